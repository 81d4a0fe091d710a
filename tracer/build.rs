//! Builds the eBPF program of `tracer-ebpf` with the host's own toolchain and puts it at `$OUT_DIR/tracer-ebpf`,
//! from where the agent embeds it.

use std::{
    env,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus},
};

#[path = "../xtask/src/linker_path.rs"]
mod linker_path;

/// Package and binary target of the eBPF program.
const PROGRAM: &str = "tracer-ebpf";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Error> {
    let manifest_dir = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let workspace = manifest_dir.parent().unwrap_or(&manifest_dir);
    for input in [PROGRAM, "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(input).display());
    }
    println!("cargo::rerun-if-changed={}", manifest_dir.join("build.rs").display());

    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    let linker = find_linker()?;
    let target = match variable("CARGO_CFG_TARGET_ENDIAN")?.to_str() {
        Some("big") => "bpfeb-unknown-none",
        _ => "bpfel-unknown-none",
    };
    let built = run_cargo(workspace, &ebpf_target_dir(&out_dir), target, &linker)?;

    let embedded = out_dir.join(PROGRAM);
    fs::copy(&built, &embedded).map_err(|source| Error::Copy { from: built, to: embedded, source })?;
    Ok(())
}

/// The user's choice, else what `cargo xtask setup` installed, else the `PATH`.
fn find_linker() -> Result<PathBuf, Error> {
    for name in [linker_path::OVERRIDE_VARIABLE, "XDG_CACHE_HOME", "HOME"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    if let Some(chosen) = linker_path::chosen_by_user() {
        return if chosen.is_file() { Ok(watched(chosen)) } else { Err(Error::NoSuchLinker(chosen)) };
    }
    let installed = installed_linker()?;
    if let Some(path) = installed.as_ref().filter(|path| path.is_file()) {
        return Ok(watched(path.clone()));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|folder| folder.join("bpf-linker"))
        .find(|candidate| candidate.is_file())
        .map(watched)
        .ok_or(Error::NoLinker { installed })
}

/// A new linker makes a new program.
fn watched(linker: PathBuf) -> PathBuf {
    println!("cargo::rerun-if-changed={}", linker.display());
    linker
}

fn installed_linker() -> Result<Option<PathBuf>, Error> {
    let mut command = Command::new(variable("RUSTC")?);
    command.arg("-vV");
    let output =
        command.output().map_err(|source| Error::Start { command: format!("{command:?}"), source })?;
    let version = String::from_utf8_lossy(&output.stdout);
    let release = linker_path::rustc_field(&version, "release").ok_or(Error::UnknownRustc)?;
    Ok(linker_path::installed(release))
}

/// A target folder of its own, because the outer cargo holds the lock of the usual one; beside the profiles, so that
/// debug, release and clippy builds share it, and builds for other targets too. Cargo marks the top of a target folder
/// with `CACHEDIR.TAG`, and the folder of each target in it.
fn ebpf_target_dir(out_dir: &Path) -> PathBuf {
    let top = out_dir.ancestors().filter(|folder| folder.join("CACHEDIR.TAG").is_file()).last();
    top.unwrap_or(out_dir).join("ebpf")
}

fn run_cargo(workspace: &Path, target_dir: &Path, target: &str, linker: &Path) -> Result<PathBuf, Error> {
    let mut command = Command::new(variable("CARGO")?);
    command
        .current_dir(workspace)
        .args(["build", "--release", "--package", PROGRAM, "--bin", PROGRAM])
        .args(["--target", target, "-Z", "build-std=core", "--target-dir"])
        .arg(target_dir)
        // Lets the pinned stable compiler build `core` for a target that comes without one.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(linker)?);
    // `cargo clippy` and the like wrap the compiler for the outer build only; RUSTC stays, it is the pinned one.
    for name in
        ["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER", "CARGO_BUILD_TARGET"]
    {
        command.env_remove(name);
    }
    let status =
        command.status().map_err(|source| Error::Start { command: format!("{command:?}"), source })?;
    if !status.success() {
        return Err(Error::Failed { command: format!("{command:?}"), status });
    }
    Ok(target_dir.join(target).join("release").join(PROGRAM))
}

fn rustflags(linker: &Path) -> Result<OsString, Error> {
    let mut arch_cfg = OsString::from("--cfg=bpf_target_arch=\"");
    arch_cfg.push(variable("CARGO_CFG_TARGET_ARCH")?);
    arch_cfg.push("\"");
    let mut linker_flag = OsString::from("-Clinker=");
    linker_flag.push(linker);
    // BTF tells the kernel the types of the maps and functions; bpf-linker makes it from the debug information.
    let flags = [arch_cfg, linker_flag, "-Cdebuginfo=2".into(), "-Clink-arg=--btf".into()];
    Ok(flags.join(&OsString::from("\x1f")))
}

fn variable(name: &'static str) -> Result<OsString, Error> {
    env::var_os(name).ok_or(Error::NoVariable(name))
}

enum Error {
    NoVariable(&'static str),
    UnknownRustc,
    NoSuchLinker(PathBuf),
    NoLinker { installed: Option<PathBuf> },
    Start { command: String, source: io::Error },
    Failed { command: String, status: ExitStatus },
    Copy { from: PathBuf, to: PathBuf, source: io::Error },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVariable(name) => write!(f, "{name} is not set: this build script is for cargo to run"),
            Self::UnknownRustc => write!(f, "`rustc -vV` names no release: is RUSTC a Rust compiler?"),
            Self::NoSuchLinker(path) => {
                let name = linker_path::OVERRIDE_VARIABLE;
                write!(f, "{name} is {}, which is not a file: correct or unset {name}", path.display())
            }
            Self::NoLinker { installed: Some(path) } => {
                let path = path.display();
                write!(f, "bpf-linker not found (looked in {path} and in PATH): run `cargo xtask setup`")
            }
            Self::NoLinker { installed: None } => {
                write!(
                    f,
                    "bpf-linker not found in PATH, and no home folder to look in: set HOME, run `cargo xtask setup`"
                )
            }
            Self::Start { command, source } => write!(f, "cannot start {command}: {source}"),
            Self::Failed { command, status } => {
                write!(f, "building the eBPF program failed, {status}: {command}")
            }
            Self::Copy { from, to, source } => {
                write!(f, "cannot copy {} to {}: {source}", from.display(), to.display())
            }
        }
    }
}
