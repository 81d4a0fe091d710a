//! The agent under test: its real binary, its own words.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{
    guest::patience,
    http::{Answer, Client},
    metrics::Metrics,
    process::Process,
};

/// The binary.
pub const BINARY: &str = env!("CARGO_BIN_EXE_tcp-tracer");

/// How long it may take to end after a signal.
pub fn farewell() -> Duration {
    patience(Duration::from_secs(2))
}

/// A running `tcp-tracer run`; killed when dropped.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    /// Where its web side listens.
    pub address: SocketAddr,
    web: Client,
    log: Arc<Mutex<String>>,
}

impl Agent {
    /// Starts it on a free port and waits until it is ready: attached, adopted, serving.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`Agent::start`], with further arguments.
    pub fn start_with(arguments: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["run", "--web.listen-address", "127.0.0.1:0"]).args(arguments);
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut process = Process::start(&mut command, Signal::KILL);
        let log = Arc::new(Mutex::new(String::new()));
        let (found, address) = mpsc::channel();
        let stderr = BufReader::new(process.child().stderr.take().expect("a pipe"));
        let sink = Arc::clone(&log);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Some(address) = ready(&line) {
                    let _ = found.send(address);
                }
                let mut log = sink.lock().expect("the log");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let Ok(address) = address.recv_timeout(patience(Duration::from_secs(30))) else {
            panic!("the agent did not get ready; it said:\n{}", log.lock().expect("the log"));
        };
        let web = Client::connect(address).expect("the agent's web side");
        let mut agent = Self { process, address, web, log };
        // It closes connections that say nothing at first.
        agent.get("/", "*/*");
        agent
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Everything it has said so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("the log").clone()
    }

    /// One scrape, over the connection that is open already.
    pub fn metrics(&mut self) -> Metrics {
        Metrics::parse(&self.get("/metrics", "text/plain").text())
    }

    /// A page of its web side.
    ///
    /// # Panics
    ///
    /// When the status is not 200.
    pub fn get(&mut self, path: &str, accept: &str) -> Answer {
        let answer = self.web.get_as(path, accept).or_else(|_| {
            // It closes connections that were idle for long, or are old.
            self.web = Client::connect(self.address)?;
            self.web.get_as(path, accept)
        });
        let answer = answer.unwrap_or_else(|error| {
            panic!("the agent does not answer {path}: {error}; it said:\n{}", self.log())
        });
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer
    }

    /// Does something that may take long on a thread of its own, and asks the agent now and then: it would close a connection
    /// that says nothing, and another one is one that opens.
    pub fn asked_during<T: Send>(&mut self, work: impl FnOnce() -> T + Send) -> T {
        const OFTEN: Duration = Duration::from_secs(10);
        thread::scope(|scope| {
            let working = scope.spawn(work);
            let mut asked = Instant::now();
            while !working.is_finished() {
                thread::sleep(Duration::from_millis(20));
                if asked.elapsed() > OFTEN {
                    self.get("/", "*/*");
                    asked = Instant::now();
                }
            }
            working.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Sends a signal and waits for the end. Returns the exit status and how long it took.
    pub fn stop(mut self, signal: Signal) -> (ExitStatus, Duration) {
        let start = Instant::now();
        self.process.signal(signal);
        let status = self.process.wait(patience(Duration::from_secs(20)));
        let status =
            status.unwrap_or_else(|| panic!("still runs 20 s after {signal:?}; it said:\n{}", self.log()));
        (status, start.elapsed())
    }
}

/// The address in the line that says that the agent is ready.
fn ready(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on http://")?;
    rest.split(['/', ' ', ',', ';']).next()?.trim_end_matches('.').parse().ok()
}

/// What a command of the binary came to.
#[derive(Debug)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the prepared command to its end.
///
/// # Panics
///
/// When it runs longer than twenty seconds on a machine.
pub fn finish(command: &mut Command) -> Outcome {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = Process::start(command, Signal::KILL);
    let stdout = collect(process.child().stdout.take().expect("a pipe"));
    let stderr = collect(process.child().stderr.take().expect("a pipe"));
    let status = process.wait(patience(Duration::from_secs(20)));
    drop(process);
    let (stdout, stderr) = (stdout.join().expect("a reader"), stderr.join().expect("a reader"));
    let status = status.unwrap_or_else(|| panic!("{command:?} does not end; it said:\n{stdout}{stderr}"));
    Outcome { status, stdout, stderr }
}

fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[test]
fn the_ready_line_names_the_address() {
    let line = "2026-01-01T00:00:00Z INFO listening on http://127.0.0.1:9917, 214 sockets adopted";
    assert_eq!(ready(line), Some("127.0.0.1:9917".parse().unwrap()));
    assert_eq!(ready("listening on http://[::1]:80"), Some("[::1]:80".parse().unwrap()));
    assert_eq!(ready("listening soon"), None);
}
