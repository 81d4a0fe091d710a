//! An audit that is interrupted, at whatever moment, leaves no namespace, device, program or process.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use rustix::process::Signal;

use crate::support::{agent::BINARY, process::Process, programs, turn, wait};

/// What it is at when the signal comes: it has just begun, plays scenarios, the matrix, or random conversations.
const STAGES: [(u64, &[&str]); 5] = [
    (30, &["--quick"]),
    (1_500, &["--quick"]),
    (4_000, &["--quick"]),
    (3_000, &["--quick", "--only", "reset/closed-port", "--matrix"]),
    (3_000, &["--quick", "--only", "reset/closed-port", "--random", "100000"]),
];

fn entries(folder: &str) -> BTreeSet<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// The namespaces of a process's threads, by inode.
fn namespaces(process: &Path) -> BTreeSet<u64> {
    let threads = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    threads.filter_map(|thread| Some(fs::metadata(thread.path().join("ns/net")).ok()?.ino())).collect()
}

/// Every namespace that a thread lives in, or a file descriptor or a mount holds.
fn reachable() -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    for process in entries("/proc").iter().filter(|path| path.join("task").is_dir()) {
        found.extend(namespaces(process));
        let held = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        found.extend(held.filter_map(|fd| inode(&fs::read_link(fd.path()).ok()?.to_string_lossy())));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    found.extend(mounts.split_whitespace().filter_map(inode));
    found
}

/// The number in `net:[4026531840]`.
fn inode(name: &str) -> Option<u64> {
    name.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

#[test]
fn interrupted_at_any_moment_it_leaves_nothing_behind() {
    let Some(_turn) = turn(&[]) else { return };
    let host = || ["/run/netns", "/var/run/netns", "/sys/class/net"].map(entries);
    let before = host();
    let own = namespaces(Path::new("/proc/self"));
    let mut most = [0; STAGES.len()];
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        for ((moment, arguments), most) in STAGES.iter().zip(&mut most) {
            let mut command = Command::new(BINARY);
            command.arg("audit").args(*arguments).args(["--jobs", "16"]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut process = Process::start(&mut command, Signal::KILL);
            sleep(Duration::from_millis(*moment));
            let what = format!("{arguments:?} after {moment} ms, {signal:?}");
            assert_eq!(process.wait(Duration::ZERO), None, "{what}: it has ended by itself");
            let id = process.id();
            let objects = programs::held_by(id);
            let made: BTreeSet<u64> =
                namespaces(Path::new(&format!("/proc/{id}"))).difference(&own).copied().collect();
            *most = made.len().max(*most);
            process.signal(signal);
            let status = process.wait(Duration::from_secs(5));
            assert!(status.is_some_and(|status| !status.success()), "{what}: {status:?}");
            wait::until(Duration::from_secs(10), || {
                let left: Vec<u64> = reachable().intersection(&made).copied().collect();
                let remaining = programs::remaining(&objects);
                if left.is_empty() && remaining == programs::Objects::default() && host() == before {
                    Ok(())
                } else {
                    Err(format!("{what}: namespaces {left:?}, {remaining:?}, {:?}", host()))
                }
            });
        }
    }
    // Otherwise it was at nothing when it was interrupted.
    assert!(most.iter().skip(1).all(|most| *most > 0), "namespaces at each stage: {most:?}");
}
