//! Network namespaces for one test.

use std::{
    fs::File,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::process::run;

/// A private namespace with its loopback up; it is removed when dropped.
///
/// It has a name under `/run/netns`, for that is where the agent always finds namespaces without a process.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    handle: File,
}

impl Namespace {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tcpt-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        run(Command::new("ip").args(["netns", "add", &name]));
        let handle =
            File::open(PathBuf::from("/run/netns").join(&name)).expect("the namespace that was just made");
        let namespace = Self { name, handle };
        namespace.ip(&["link", "set", "lo", "up"]);
        // Loads open far more connections than the usual range has ports.
        namespace.sysctl("net/ipv4/ip_local_port_range", "1024 65535");
        namespace
    }

    /// Takes the name away, so that nothing holds the namespace but this value's file descriptor.
    pub fn lose_its_name(&self) {
        run(Command::new("ip").args(["netns", "delete", &self.name]));
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its inode number, as `lsns -t net` lists it.
    pub fn inode(&self) -> u64 {
        self.handle.metadata().expect("the namespace's file").ino()
    }

    /// Runs `work` on a thread of its own inside; sockets made there belong to the namespace for good.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(self.handle.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("setns into a namespace of the test");
                work()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A command that will run inside; its process id is that of the program itself.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// `ip` with these arguments, inside.
    pub fn ip(&self, arguments: &[&str]) {
        run(Command::new("ip").args(["-n", &self.name]).args(arguments));
    }

    /// Sets a value under `/proc/sys`, as the namespace sees it.
    pub fn sysctl(&self, path: &str, value: &str) {
        self.enter(|| super::sysctl::write(path, value));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // It may have lost its name.
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).stderr(Stdio::null()).status();
    }
}
