//! nginx in a namespace, and curl as its client.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;

use super::{load::Family, namespace::Namespace, process, process::Process, scratch::Scratch, wait::until};

const PORT: u16 = 8080;

/// A running server with two workers. `/once` closes after each answer, every other location keeps the connection.
#[derive(Debug)]
pub struct Nginx<'a> {
    namespace: &'a Namespace,
    _process: Process,
    _scratch: Scratch,
}

impl<'a> Nginx<'a> {
    pub fn start(namespace: &'a Namespace) -> Self {
        let scratch = Scratch::new("nginx");
        let folder = scratch.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("  {kind}_temp_path {folder}/{kind};\n"))
            .concat();
        let config = scratch.file(
            "nginx.conf",
            &format!(
                "daemon off;\nworker_processes 2;\npid {folder}/pid;\nerror_log {folder}/error.log;\n\
                 events {{ worker_connections 1024; }}\n\
                 http {{\n{temporary}  access_log off;\n  server {{\n\
                 listen 127.0.0.1:{PORT};\n    listen [::1]:{PORT};\n\
                 location /once {{ keepalive_timeout 0; return 200 \"once\\n\"; }}\n\
                 location / {{ return 200 \"kept\\n\"; }}\n  }}\n}}\n"
            ),
        );
        let mut command = namespace.command("nginx");
        command.arg("-p").arg(scratch.path()).arg("-c").arg(config).stdin(Stdio::null());
        // SIGTERM takes the workers along.
        let process = Process::start(&mut command, Signal::TERM);
        let nginx = Self { namespace, _process: process, _scratch: scratch };
        until(Duration::from_secs(10), || {
            let answer = nginx.curl(Family::Ipv4, "once").output().map_err(|error| error.to_string())?;
            if answer.status.success() { Ok(()) } else { Err("nginx does not answer".to_owned()) }
        });
        nginx
    }

    /// Asks for these pages (curl's ranges `[1-5]` are many pages) in one curl, which keeps connections if nginx does.
    /// Returns answers and connections, as curl counted them.
    pub fn fetch(&self, family: Family, pages: &str) -> (u64, u64) {
        let output = process::run(&mut self.curl(family, pages));
        let lines = String::from_utf8(output.stdout).expect("curl's figures");
        lines.lines().fold((0, 0), |(answers, connections), line| {
            let (status, connects) = line.split_once(' ').expect("two figures");
            assert_eq!(status, "200", "nginx's answer");
            (answers + 1, connections + connects.parse::<u64>().expect("num_connects"))
        })
    }

    fn curl(&self, family: Family, pages: &str) -> Command {
        let host = match family {
            Family::Ipv4 => "127.0.0.1",
            // Not as a range of pages.
            Family::Ipv6 => "\\[::1\\]",
        };
        let mut command = self.namespace.command("curl");
        command.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code} %{num_connects}\\n"]);
        command.args(["--noproxy", "*", &format!("http://{host}:{PORT}/{pages}")]).stdin(Stdio::null());
        command
    }
}
