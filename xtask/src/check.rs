//! `cargo xtask check`: format, lints and documentation, for the host and for eBPF.

use std::{env, process::Command};

use crate::{cargo, command, setup};

/// The package of the eBPF program. Its library is for the host as well, its binary is not.
const EBPF: &str = "tracer-ebpf";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Setup(#[from] setup::Error),
    #[error("{} of {checks} checks failed: {}", .failed.len(), .failed.join(", "))]
    Failed { failed: Vec<&'static str>, checks: usize },
}

/// Runs every check, also after one has failed, and tells which failed.
pub fn check() -> Result<(), Error> {
    setup::for_check()?;
    let mut checks = all();
    let mut failed = Vec::new();
    for (name, command) in &mut checks {
        eprintln!("== {name}");
        if let Err(error) = command::run(command) {
            eprintln!("{error}");
            failed.push(*name);
        }
    }
    verdict(failed, checks.len())
}

fn verdict(failed: Vec<&'static str>, checks: usize) -> Result<(), Error> {
    if !failed.is_empty() {
        return Err(Error::Failed { failed, checks });
    }
    eprintln!("All {checks} checks passed.");
    Ok(())
}

fn all() -> Vec<(&'static str, Command)> {
    let host = ["--workspace", "--exclude", EBPF];
    let library = ["--package", EBPF, "--lib"];
    let deny = ["--", "--deny", "warnings"];

    let mut fmt = for_host("fmt");
    fmt.args(["--all", "--check"]);

    let mut clippy_host = for_host("clippy");
    clippy_host.args(host).arg("--all-targets").args(deny);

    // The test profile checks a library together with its unit tests.
    let mut clippy_abi = for_host("clippy");
    clippy_abi.args(library).args(["--profile", "test"]).args(deny);

    let mut clippy_ebpf = for_ebpf("clippy");
    clippy_ebpf.args(["--package", EBPF]).args(deny);

    let mut doc_host = documentation(for_host("doc"));
    doc_host.arg("--no-deps").args(host);

    // The program itself is left out: cargo would write its pages over those of the library, which has the same crate name.
    let mut doc_abi = documentation(for_host("rustdoc"));
    doc_abi.args(library);

    vec![
        ("format", fmt),
        ("clippy (host)", clippy_host),
        ("clippy (shared ABI)", clippy_abi),
        ("clippy (eBPF)", clippy_ebpf),
        ("documentation (host)", doc_host),
        ("documentation (shared ABI)", doc_abi),
    ]
}

fn documentation(mut command: Command) -> Command {
    command.env("RUSTDOCFLAGS", "--deny warnings");
    command
}

fn for_host(verb: &str) -> Command {
    let mut command = cargo::cargo();
    command.arg(verb);
    command
}

/// A cargo command for the eBPF target, in the manner of `tracer/build.rs`.
fn for_ebpf(verb: &str) -> Command {
    let target = if cfg!(target_endian = "big") { "bpfeb-unknown-none" } else { "bpfel-unknown-none" };
    let mut command = cargo::cargo();
    command
        .args([verb, "--release", "--target", target, "-Z", "build-std=core", "--target-dir"])
        .arg(cargo::ebpf_target_dir())
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", format!("--cfg=bpf_target_arch=\"{}\"", env::consts::ARCH));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_checks_are_named() {
        assert!(verdict(vec![], 6).is_ok());
        let error = verdict(vec!["format", "clippy (eBPF)"], 6).unwrap_err();
        assert_eq!(error.to_string(), "2 of 6 checks failed: format, clippy (eBPF)");
    }

    #[test]
    fn every_lint_run_denies_warnings() {
        for (name, command) in all() {
            let line = command::line(&command);
            if line.contains(" clippy ") {
                assert!(line.ends_with("-- --deny warnings"), "{name}: {line}");
            }
        }
    }
}
