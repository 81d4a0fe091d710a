//! What `tcp-tracer watch --all` shows of one namespace.

use std::{
    io::{BufRead, BufReader},
    process::{ChildStdout, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;

use super::{
    agent::BINARY,
    load::{Ending, Family, Load},
    namespace::Namespace,
    process::Process,
    wait::until,
};

/// A running watch.
#[derive(Debug)]
pub struct Shown {
    lines: Receiver<Value>,
    _watch: Process,
}

impl Shown {
    /// Starts it, and waits until it shows what happens.
    pub fn of(namespace: &Namespace) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["watch", "--all", "--output", "json", "--netns", namespace.name()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut watch = Process::start(&mut command, Signal::KILL);
        let shown = Self { lines: lines(watch.child().stdout.take().expect("a pipe")), _watch: watch };
        let load =
            Load { connections: 1, lanes: 1, family: Family::Ipv6, ending: Ending::Reset, exchanges: 0 };
        until(Duration::from_secs(10), || {
            load.run(namespace);
            shown.lines.recv_timeout(Duration::from_millis(100)).map_err(|_| "nothing to see".to_owned())
        });
        shown
    }

    /// The next line of which `read` makes something.
    ///
    /// # Panics
    ///
    /// When none comes within `limit`.
    pub fn next<T>(&self, limit: Duration, mut read: impl FnMut(&Value) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            let line = self.lines.recv_timeout(limit.saturating_sub(start.elapsed()));
            let line = line.unwrap_or_else(|_| panic!("nothing of that kind within {limit:?}"));
            if let Some(found) = read(&line) {
                return found;
            }
        }
    }
}

/// JSON, line by line.
pub fn lines(stdout: ChildStdout) -> Receiver<Value> {
    let (sink, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let line =
                serde_json::from_str(&line).unwrap_or_else(|error| panic!("not JSON: {error}: {line}"));
            if sink.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
