//! Where the bpf-linker of this repository lives. Shared, through `#[path]`, by `xtask` that installs it and by
//! `tracer/build.rs` that links with it, so that both always mean the same file; standard library only.

use std::{env, path::PathBuf};

/// The version that `cargo xtask setup` installs.
pub const VERSION: &str = "0.13.0";

/// Names a bpf-linker to be used instead of the installed one.
pub const OVERRIDE_VARIABLE: &str = "BPF_LINKER";

/// The linker that the user chose through [`OVERRIDE_VARIABLE`], if any.
pub fn chosen_by_user() -> Option<PathBuf> {
    env::var_os(OVERRIDE_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The folder with one linker per pair of versions: `$XDG_CACHE_HOME/tcp-tracer`, else `~/.cache/tcp-tracer`.
/// `None` when the environment names no home folder either.
pub fn cache_folder() -> Option<PathBuf> {
    // The XDG base directory specification says to ignore a relative path.
    let xdg = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base =
        xdg.or_else(|| env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".cache")));
    Some(base?.join("tcp-tracer"))
}

/// The name of the installation inside [`cache_folder`]. A linker is tied to the LLVM of one rustc, hence both versions.
pub fn installation_name(rustc_release: &str) -> String {
    format!("bpf-linker-{VERSION}-rustc-{rustc_release}")
}

/// The installed linker's path, whether or not it exists yet.
pub fn installed(rustc_release: &str) -> Option<PathBuf> {
    Some(cache_folder()?.join(installation_name(rustc_release)).join("bin/bpf-linker"))
}

/// A field of `rustc -vV`, such as `release`, `host` or `LLVM version`.
pub fn rustc_field<'a>(rustc_verbose_version: &'a str, name: &str) -> Option<&'a str> {
    rustc_verbose_version.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(": ")?.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUSTC: &str = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\n\
                         release: 1.95.0\nLLVM version: 22.1.2\n";

    #[test]
    fn fields_of_rustc_are_found_by_their_whole_name() {
        assert_eq!(rustc_field(RUSTC, "release"), Some("1.95.0"));
        assert_eq!(rustc_field(RUSTC, "LLVM version"), Some("22.1.2"));
        assert_eq!(rustc_field(RUSTC, "LLVM"), None);
        assert_eq!(rustc_field(RUSTC, "commit-hash"), None);
    }

    #[test]
    fn the_path_names_both_versions() {
        let path = installed("1.95.0").unwrap();
        assert!(
            path.ends_with("tcp-tracer/bpf-linker-0.13.0-rustc-1.95.0/bin/bpf-linker"),
            "{}",
            path.display()
        );
    }
}
