//! bpf-linker, built against the very LLVM that the compiler uses, in the user's cache folder.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, lchown, symlink},
    path::{Path, PathBuf},
};

use super::toolchain::{self, Toolchain};
use crate::{
    cargo,
    command::{self, runs},
    linker_path, privilege,
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
    #[error("no folder to install bpf-linker in: set HOME or XDG_CACHE_HOME to an absolute path")]
    NoCache,
    #[error("cannot {what} {path}: {source}")]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the bpf-linker just built, {path}, cannot be run: does {llvm} fit this machine?")]
    Unusable { path: PathBuf, llvm: PathBuf },
}

/// Installs bpf-linker unless the user chose one or a working one is in place.
pub fn ensure(toolchain: &Toolchain) -> Result<(), Error> {
    if let Some(chosen) = linker_path::chosen_by_user() {
        return if runs(&chosen) { Ok(()) } else { Err(Error::BadChoice { path: chosen }) };
    }
    let linker = linker_path::installed(&toolchain.release).ok_or(Error::NoCache)?;
    if runs(&linker) {
        return Ok(());
    }
    let cache = linker_path::cache_folder().ok_or(Error::NoCache)?;
    create_folder(&cache)?;
    // The kernel frees the lock when the process ends, however it ends.
    let _lock = lock(&cache.join("setup.lock"))?;
    // Another call may have built it while this one waited.
    if !runs(&linker) {
        let place = cache.join(linker_path::installation_name(&toolchain.release));
        build(toolchain, &place)?;
    }
    give_back(&cache)
}

fn lock(path: &Path) -> Result<File, Error> {
    let file = File::options().create(true).append(true).open(path).map_err(failed("open", path))?;
    if file.try_lock().is_err() {
        eprintln!("Waiting for another set-up to finish ...");
        file.lock().map_err(failed("lock", path))?;
    }
    Ok(file)
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
    fs::rename(&partial, place).map_err(failed("move into place", place))
}

/// Removes a file, a link or a folder; it may be absent.
fn remove(path: &Path) -> Result<(), Error> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(source),
    };
    removed.map_err(failed("remove", path))
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::File { what, path, source }
}

/// Creates the folder and the folders above it, each owned by the owner of the one it is in: root working in a user's home
/// (sudo with the user's HOME) leaves nothing there that the user could not use.
fn create_folder(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(path);
    if parent != path {
        create_folder(parent)?;
    }
    match fs::create_dir(path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => Err(failed("create", path)(source)),
        _ if privilege::is_root() => {
            let metadata = parent.metadata().map_err(failed("look at", parent))?;
            lchown(path, Some(metadata.uid()), Some(metadata.gid()))
                .map_err(failed("change the owner of", path))
        }
        _ => Ok(()),
    }
}

/// Gives everything in the folder to the folder's owner, if root made it for somebody else.
fn give_back(folder: &Path) -> Result<(), Error> {
    let metadata = folder.metadata().map_err(failed("look at", folder))?;
    if privilege::is_root() && metadata.uid() != 0 {
        chown_all(folder, metadata.uid(), metadata.gid())?;
    }
    Ok(())
}

fn chown_all(path: &Path, user: u32, group: u32) -> Result<(), Error> {
    lchown(path, Some(user), Some(group)).map_err(failed("change the owner of", path))?;
    if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
        for entry in fs::read_dir(path).map_err(failed("list", path))? {
            chown_all(&entry.map_err(failed("list", path))?.path(), user, group)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;

    #[test]
    fn what_root_makes_in_a_users_home_is_the_users() {
        let home = env::temp_dir().join(format!("tcp-tracer-home-{}", process::id()));
        fs::create_dir(&home).unwrap();
        if privilege::is_root() {
            lchown(&home, Some(1234), Some(1234)).unwrap();
        }
        let owner = home.metadata().unwrap().uid();
        let cache = home.join(".cache/tcp-tracer");

        create_folder(&cache).unwrap();
        fs::write(cache.join("made-by-root"), "").unwrap();
        give_back(&cache).unwrap();

        for made in [home.join(".cache"), cache.clone(), cache.join("made-by-root")] {
            assert_eq!(made.metadata().unwrap().uid(), owner, "{}", made.display());
        }
        fs::remove_dir_all(&home).unwrap();
    }

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
