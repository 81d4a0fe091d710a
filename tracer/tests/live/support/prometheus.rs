//! A real Prometheus, and promtool.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;

use super::{http::Client, process::Process, scratch::Scratch, wait::until};

/// How often a server scrapes.
pub const SCRAPE_INTERVAL: Duration = Duration::from_secs(1);

/// A running server that scrapes one target each [`SCRAPE_INTERVAL`].
#[derive(Debug)]
pub struct Prometheus {
    web: Client,
    _process: Process,
    _scratch: Scratch,
}

impl Prometheus {
    pub fn start(target: SocketAddr) -> Self {
        let scratch = Scratch::new("prometheus");
        let seconds = SCRAPE_INTERVAL.as_secs();
        let config = scratch.file(
            "prometheus.yml",
            &format!(
                "global: {{ scrape_interval: {seconds}s, scrape_timeout: {seconds}s }}\n\
                 scrape_configs:\n  - job_name: tcp-tracer\n    static_configs: [{{ targets: ['{target}'] }}]\n"
            ),
        );
        let address = free_address();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", scratch.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn")
            .stdin(Stdio::null());
        let process = Process::start(&mut command, Signal::TERM);
        let web = until(Duration::from_secs(20), || {
            let mut web = Client::connect(address).map_err(|error| error.to_string())?;
            match web.get("/-/ready") {
                Ok(answer) if answer.status == 200 => Ok(web),
                answer => Err(format!("Prometheus is not ready: {answer:?}")),
            }
        });
        Self { web, _process: process, _scratch: scratch }
    }

    /// The value of an expression that gives one element.
    ///
    /// # Errors
    ///
    /// What Prometheus answered instead.
    pub fn query(&mut self, expression: &str) -> Result<f64, String> {
        let path = format!("/api/v1/query?query={}", percent_encode(expression));
        let answer = self.web.get(&path).map_err(|error| error.to_string())?;
        let json: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        let result = json["data"]["result"].as_array().ok_or_else(|| answer.text())?;
        match result.as_slice() {
            [element] => {
                element["value"][1].as_str().and_then(|value| value.parse().ok()).ok_or_else(|| answer.text())
            }
            _ => Err(format!("{expression} gives {} elements", result.len())),
        }
    }
}

/// What `promtool check metrics` says of a scrape: its exit code and its complaints.
pub fn promtool_check(scrape: &str) -> (Option<i32>, String) {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool");
    child.stdin.take().expect("a pipe").write_all(scrape.as_bytes()).expect("a scrape for promtool");
    let output = child.wait_with_output().expect("promtool's verdict");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// A port of the loopback that was free just now.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}
