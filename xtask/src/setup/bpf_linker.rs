//! bpf-linker, built against the very LLVM that the compiler uses, in the user's cache folder.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::toolchain::{self, Toolchain};
use crate::{
    cache, cargo,
    command::{self, runs},
    file::{self, failed},
    linker_path,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Command(#[from] command::Error),
    #[error(transparent)]
    Toolchain(#[from] toolchain::Error),
    #[error(
        "{name} is {path}, which cannot be run: correct or unset {name}",
        name = linker_path::OVERRIDE_VARIABLE
    )]
    BadChoice { path: PathBuf },
    #[error(transparent)]
    Cache(#[from] cache::Error),
    #[error(transparent)]
    File(#[from] file::Error),
    #[error("the bpf-linker just built, {path}, cannot be run: does {llvm} fit this machine?")]
    Unusable { path: PathBuf, llvm: PathBuf },
}

/// Installs bpf-linker unless the user chose one or a working one is in place.
pub fn ensure(toolchain: &Toolchain) -> Result<(), Error> {
    if let Some(chosen) = linker_path::chosen_by_user() {
        return if runs(&chosen) { Ok(()) } else { Err(Error::BadChoice { path: chosen }) };
    }
    let linker = linker_path::installed(&toolchain.release).ok_or(cache::Error::NoHome)?;
    if runs(&linker) {
        return Ok(());
    }
    let cache = cache::folder()?;
    cache::create_folder(&cache)?;
    let _lock = cache::lock(&cache.join("setup.lock"))?;
    // Another call may have built it while this one waited.
    if !runs(&linker) {
        let place = cache.join(linker_path::installation_name(&toolchain.release));
        build(toolchain, &place)?;
    }
    Ok(cache::give_back(&cache)?)
}

/// Builds beside `place` and moves the finished thing there, so that an interrupted build never looks like a finished one
/// and the next one takes up its work.
fn build(toolchain: &Toolchain, place: &Path) -> Result<(), Error> {
    let llvm = toolchain.shared_llvm()?;
    eprintln!("Building bpf-linker {} (once, a minute or two) ...", linker_path::VERSION);
    let mut partial = place.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);

    let prefix = partial.join("llvm");
    let link = prefix.join("lib/libLLVM.so");
    fs::create_dir_all(prefix.join("lib")).map_err(failed("create", &prefix))?;
    remove(&link)?;
    symlink(&llvm, &link).map_err(failed("create", &link))?;

    let mut rpath = OsString::from("-Clink-arg=-Wl,-rpath,");
    rpath.push(toolchain.lib());
    let work = partial.join("target");
    let mut install = cargo::cargo();
    install
        .args(["install", "bpf-linker", "--version", linker_path::VERSION, "--locked", "--force"])
        .args(["--no-default-features", "--features", &format!("llvm-{}", toolchain.llvm_major)])
        .args(["--root".as_ref(), partial.as_os_str(), "--target-dir".as_ref(), work.as_os_str()])
        .env("LLVM_PREFIX", &prefix)
        .env("CARGO_ENCODED_RUSTFLAGS", rpath)
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("CARGO_INSTALL_ROOT");
    command::run(&mut install)?;

    let built = partial.join("bin/bpf-linker");
    if !runs(&built) {
        return Err(Error::Unusable { path: built, llvm });
    }
    remove(&work)?;
    remove(place)?;
    Ok(fs::rename(&partial, place).map_err(failed("move into place", place))?)
}

/// Removes a file, a link or a folder; it may be absent.
fn remove(path: &Path) -> Result<(), Error> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(source),
    };
    Ok(removed.map_err(failed("remove", path))?)
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;

    #[test]
    fn removing_what_is_absent_is_no_error_and_a_link_goes_without_its_target() {
        let folder = env::temp_dir().join(format!("tcp-tracer-remove-{}", process::id()));
        let (target, link) = (folder.join("target"), folder.join("link"));
        fs::create_dir_all(&target).unwrap();
        symlink(&target, &link).unwrap();

        remove(&link).unwrap();
        assert!(target.is_dir() && !link.exists());
        remove(&link).unwrap();
        remove(&folder).unwrap();
        assert!(!folder.exists());
    }
}
