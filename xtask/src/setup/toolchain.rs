//! The compiler that cargo uses here, and the components of it that we need.

use std::{env, ffi::OsString, fs, io, path::PathBuf, process::Command};

use crate::{cargo, command, linker_path::rustc_field};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Command(#[from] command::Error),
    #[error("`rustc -vV` shows no usable `{0}`: is this rustc built with LLVM?")]
    NoField(&'static str),
    #[error(
        "the Rust toolchain in {sysroot} has no {component}, and there is no rustup to add it: install rustup (https://rustup.rs), \
         then run `rustup toolchain install` in this folder"
    )]
    NoRustup { component: &'static str, sysroot: PathBuf },
    #[error("cannot list {folder}: {source}")]
    List { folder: PathBuf, source: io::Error },
    #[error(
        "no shared LLVM in {folder}: use the rustup toolchain of rust-toolchain.toml, or name a bpf-linker of the same LLVM in \
         BPF_LINKER"
    )]
    NoLlvm { folder: PathBuf },
}

/// A component of the toolchain.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    /// rustup's name for it.
    name: &'static str,
    /// A file of it, below the sysroot.
    file: &'static str,
}

/// The sources of `core`, which is built for the eBPF target.
pub const RUST_SRC: Component =
    Component { name: "rust-src", file: "lib/rustlib/src/rust/library/core/src/lib.rs" };
pub const CLIPPY: Component = Component { name: "clippy", file: "bin/clippy-driver" };
pub const RUSTFMT: Component = Component { name: "rustfmt", file: "bin/rustfmt" };

/// The active toolchain.
#[derive(Debug, Clone)]
pub struct Toolchain {
    /// For example `1.95.0`.
    pub release: String,
    /// For example 22.
    pub llvm_major: u32,
    pub sysroot: PathBuf,
}

impl Toolchain {
    /// Asks rustc.
    pub fn find() -> Result<Self, Error> {
        let version = command::output(rustc().arg("-vV"))?;
        let sysroot = command::output(rustc().args(["--print", "sysroot"]))?;
        let release = rustc_field(&version, "release").ok_or(Error::NoField("release"))?;
        let llvm = rustc_field(&version, "LLVM version").and_then(llvm_major);
        Ok(Self {
            release: release.to_owned(),
            llvm_major: llvm.ok_or(Error::NoField("LLVM version"))?,
            sysroot: sysroot.trim_end().into(),
        })
    }

    /// Adds the component if it is missing.
    pub fn ensure(&self, component: Component) -> Result<(), Error> {
        self.add("component", component.name, component.file)
    }

    /// Adds the standard library for a target if it is missing.
    pub fn ensure_target(&self, target: &'static str) -> Result<(), Error> {
        self.add("target", target, &format!("lib/rustlib/{target}/lib"))
    }

    fn add(&self, kind: &str, name: &'static str, proof: &str) -> Result<(), Error> {
        if self.sysroot.join(proof).exists() {
            return Ok(());
        }
        let rustup = command::find("rustup")
            .ok_or_else(|| Error::NoRustup { component: name, sysroot: self.sysroot.clone() })?;
        eprintln!("Adding {name} to the Rust toolchain ...");
        let toolchain = env::var_os("RUSTUP_TOOLCHAIN").unwrap_or_else(|| OsString::from(&self.release));
        let mut add = Command::new(rustup);
        add.args([kind, "add", name, "--toolchain"]).arg(toolchain);
        Ok(command::run(&mut add)?)
    }

    /// The folder of the toolchain's shared libraries.
    pub fn lib(&self) -> PathBuf {
        self.sysroot.join("lib")
    }

    /// The shared LLVM that rustc itself uses.
    pub fn shared_llvm(&self) -> Result<PathBuf, Error> {
        let folder = self.lib();
        let entries =
            fs::read_dir(&folder).map_err(|source| Error::List { folder: folder.clone(), source })?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        match choose_llvm(names, self.llvm_major) {
            Some(name) => Ok(folder.join(name)),
            None => Err(Error::NoLlvm { folder }),
        }
    }
}

fn rustc() -> Command {
    let mut command = Command::new(env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc")));
    command.current_dir(cargo::workspace());
    command
}

fn llvm_major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

/// Among the names in a folder the shared LLVM of this major version. `libLLVM-22-rust-*.so` beside it is a linker
/// script with the same meaning; it is taken only where it is the only one (as in older toolchains, where it is the library).
fn choose_llvm(names: impl Iterator<Item = String>, major: u32) -> Option<String> {
    let (versioned, dashed) = (format!("libLLVM.so.{major}"), format!("libLLVM-{major}"));
    let follows = |name: &str, prefix: &str| {
        name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
    };
    let is_shared = |name: &str| name.ends_with(".so") || name.contains(".so.");
    let mut candidates: Vec<String> = names
        .filter(|name| is_shared(name) && (follows(name, &versioned) || follows(name, &dashed)))
        .collect();
    candidates.sort_by_key(|name| (!name.starts_with(&versioned), name.clone()));
    candidates.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(names: &[&str], major: u32) -> Option<String> {
        choose_llvm(names.iter().map(|name| (*name).to_owned()), major)
    }

    #[test]
    fn the_major_version_is_the_first_number() {
        assert_eq!(llvm_major("22.1.2"), Some(22));
        assert_eq!(llvm_major("19"), Some(19));
        assert_eq!(llvm_major("unknown"), None);
    }

    #[test]
    fn the_library_is_preferred_to_the_linker_script() {
        let names = [
            "rustlib",
            "libLLVM-22-rust-1.95.0-stable.so",
            "libLLVM.so.22.1-rust-1.95.0-stable",
            "librustc_driver-6108105cd7e839cf.so",
        ];
        assert_eq!(chosen(&names, 22).as_deref(), Some("libLLVM.so.22.1-rust-1.95.0-stable"));
    }

    #[test]
    fn an_older_toolchains_only_file_is_taken() {
        assert_eq!(
            chosen(&["libLLVM-17-rust-1.75.0-stable.so"], 17).as_deref(),
            Some("libLLVM-17-rust-1.75.0-stable.so")
        );
    }

    #[test]
    fn another_major_version_is_no_match() {
        assert_eq!(chosen(&["libLLVM.so.22.1-rust-1.95.0-stable", "libLLVM.so.221"], 2), None);
        assert_eq!(chosen(&["libLLVM.so.21.1"], 22), None);
        assert_eq!(chosen(&["libLLVM-22.a"], 22), None);
    }

    #[test]
    fn the_toolchain_of_this_test_has_a_shared_llvm() {
        let toolchain = Toolchain::find().unwrap();
        assert!(toolchain.shared_llvm().unwrap().is_file());
    }
}
