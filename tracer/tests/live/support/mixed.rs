//! Every way to use TCP that programs know, in one namespace: see mixed.py.

use std::{
    io::Write,
    process::{Child, Stdio},
    time::Duration,
};

use serde_json::Value;

use super::namespace::Namespace;

const SCRIPT: &str = include_str!("mixed.py");

/// A running load.
#[derive(Debug)]
pub struct Mixed(Child);

impl Mixed {
    /// Begins; it ends after so many rounds of every kind, or after this time.
    pub fn start(namespace: &Namespace, rounds: u64, limit: Duration, seed: u64) -> Self {
        // Fast Open for clients and servers, and MPTCP where the kernel has it.
        namespace.sysctl("net/ipv4/tcp_fastopen", "3");
        let mut command = namespace.command("python3");
        command.args(["-", &rounds.to_string(), &limit.as_secs_f64().to_string(), &seed.to_string()]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 in a namespace");
        child.stdin.take().expect("a pipe").write_all(SCRIPT.as_bytes()).expect("a script for python3");
        Self(child)
    }

    /// Waits for its end; what was made of each kind, and what this kernel lacks.
    pub fn finish(self) -> Value {
        let output = self.0.wait_with_output().expect("the end of python3");
        assert!(output.status.success(), "mixed.py: {}", output.status);
        serde_json::from_slice(&output.stdout).expect("a summary in JSON")
    }
}
