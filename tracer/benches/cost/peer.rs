//! Other tools that follow the same tracepoint.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::support::{process::Process, programs};

/// Which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// libbpf-tools' tcpstates.
    Tcpstates,
    /// A script that does the same.
    Bpftrace,
}

impl Tool {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcpstates => "tcpstates",
            Self::Bpftrace => "bpftrace",
        }
    }
}

/// Time that it may take to attach, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Time from its programs' appearance in the kernel to the first event for sure, and for its last output.
const SETTLE: Duration = Duration::from_millis(500);

/// A peer at work. What it prints goes into memory (tmpfs), so that neither a disk nor a reader slows it down.
pub struct Peer {
    process: Process,
    output: PathBuf,
    errors: PathBuf,
}

/// What it has seen.
pub struct Seen {
    /// Events that it printed.
    pub lines: u64,
    /// Events that it says it lost.
    pub lost: u64,
}

impl Peer {
    pub fn start(tool: Tool, path: &Path) -> io::Result<Self> {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let file = |kind| folder.join(format!("tcp-tracer-bench-{}-{kind}", std::process::id()));
        let (output, errors) = (file("out"), file("err"));
        let mut command = in_its_own_tracefs();
        command.arg(path);
        if tool == Tool::Bpftrace {
            command.arg("-e").arg(include_str!("transitions.bt"));
        }
        command.stdin(Stdio::null()).stdout(File::create(&output)?).stderr(File::create(&errors)?);
        let peer = Self { process: Process::start(&mut command, Signal::INT), output, errors };
        let begin = Instant::now();
        while programs::held_by(peer.process.id()).programs.is_empty() {
            if begin.elapsed() > PATIENCE {
                return Err(io::Error::other(peer.words()));
            }
            sleep(Duration::from_millis(50));
        }
        sleep(SETTLE);
        Ok(peer)
    }

    pub fn stop(mut self) -> io::Result<Seen> {
        sleep(SETTLE);
        if self.process.wait(Duration::ZERO).is_some() {
            return Err(io::Error::other(self.words()));
        }
        self.process.signal(Signal::INT);
        if self.process.wait(PATIENCE).is_none() {
            return Err(io::Error::other("it does not end"));
        }
        let output = fs::read_to_string(&self.output)?;
        // Each event's line begins with the socket's kernel address; headings do not.
        let lines = output.lines().filter(|line| line.starts_with("ffff"));
        Ok(Seen { lines: lines.count() as u64, lost: lost(&self.words()) })
    }

    fn words(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        for file in [&self.output, &self.errors] {
            let _ = fs::remove_file(file);
        }
    }
}

/// A command with tracefs in its place, which these tools need and not every host has mounted. The mount is the
/// command's alone.
fn in_its_own_tracefs() -> Command {
    const SCRIPT: &str = r#"
        test -e /sys/kernel/tracing/events || mount -t tracefs tracefs /sys/kernel/tracing
        exec "$@"
    "#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", SCRIPT, "sh"]);
    command
}

/// The sum of all "lost 12 events" and "Lost 12 events".
fn lost(words: &str) -> u64 {
    let words: Vec<_> = words.split_ascii_whitespace().collect();
    words
        .windows(2)
        .filter(|pair| pair[0].eq_ignore_ascii_case("lost"))
        .filter_map(|pair| pair[1].parse::<u64>().ok())
        .sum()
}
