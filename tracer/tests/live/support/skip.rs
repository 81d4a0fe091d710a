//! Whether a live test can run here, and its turn: one at a time on a machine, for the kernel's counters are shared.

use std::{env, fs::File, path::Path};

/// A test's turn; the next one waits until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _lock: File,
}

/// Waits for this test's turn. `None`: it cannot run here, and has said why.
///
/// # Panics
///
/// Instead of skipping where live tests are required.
#[must_use]
pub fn turn(programs: &[&str]) -> Option<Turn> {
    if let Some(reason) = obstacle(programs) {
        let required = env::var("TCP_TRACER_LIVE").is_ok_and(|value| value == "required")
            || env::var("CI").is_ok_and(|value| value == "true");
        assert!(!required, "live tests are required here, and this one cannot run: {reason}");
        println!("skipped: {reason}");
        return None;
    }
    // Not a file of one checkout: tests of another one disturb as much.
    let path = env::temp_dir().join("tcp-tracer-live.lock");
    let lock = File::options().create(true).truncate(false).write(true).open(&path).expect("a lock file");
    lock.lock().expect("the machine-wide lock");
    Some(Turn { _lock: lock })
}

fn obstacle(programs: &[&str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root".to_owned());
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Some("needs a kernel with BTF (/sys/kernel/btf/vmlinux)".to_owned());
    }
    // Namespaces are made with ip(8).
    programs
        .iter()
        .chain(&["ip"])
        .find(|program| find(program).is_none())
        .map(|program| format!("needs the program {program}; `cargo xtask setup` installs it"))
}

fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = env::var_os("PATH")?;
    // Root's PATH in a stripped environment may lack the system's own folders.
    let system = ["/usr/sbin", "/sbin"].map(Into::into);
    env::split_paths(&path).chain(system).map(|folder| folder.join(program)).find(|file| file.is_file())
}
