//! The user's cache folder: what is built or downloaded once for every checkout.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, lchown},
    path::{Path, PathBuf},
};

use crate::{
    file::{self, failed},
    linker_path, privilege,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no folder to keep things in: set HOME or XDG_CACHE_HOME to an absolute path")]
    NoHome,
    #[error(transparent)]
    File(#[from] file::Error),
}

/// Where it is, whether or not it exists yet.
pub fn folder() -> Result<PathBuf, Error> {
    linker_path::cache_folder().ok_or(Error::NoHome)
}

/// Waits for the lock in this file. The kernel frees it when the process ends, however it ends.
pub fn lock(path: &Path) -> Result<File, Error> {
    let file = File::options().create(true).append(true).open(path).map_err(failed("open", path))?;
    if file.try_lock().is_err() {
        eprintln!("Waiting for another task to finish ...");
        file.lock().map_err(failed("lock", path))?;
    }
    Ok(file)
}

/// Creates the folder and the folders above it, each owned by the owner of the one it is in: root working in a user's home
/// (sudo with the user's HOME) leaves nothing there that the user could not use.
pub fn create_folder(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(path);
    if parent != path {
        create_folder(parent)?;
    }
    match fs::create_dir(path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            Err(failed("create", path)(source).into())
        }
        _ if privilege::is_root() => {
            let metadata = parent.metadata().map_err(failed("look at", parent))?;
            lchown(path, Some(metadata.uid()), Some(metadata.gid()))
                .map_err(failed("change the owner of", path))?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Gives everything in the folder to the folder's owner, if root made it for somebody else.
pub fn give_back(folder: &Path) -> Result<(), Error> {
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
}
