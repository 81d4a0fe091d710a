//! The network namespaces of the host.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A handle to one network namespace; keeps it alive while it is open.
#[derive(Debug)]
pub struct Namespace {
    /// Inode number: unique while the namespace lives, recycled afterwards.
    pub inode: u64,
    /// Where it was found, for messages.
    pub path: PathBuf,
    handle: File,
}

/// Every namespace that a process lives in or that is mounted under `/run/netns`, by inode.
///
/// A namespace held only by a file descriptor or a socket is not found. What cannot be opened, since its process has
/// just ended or the agent may not, is left out.
#[must_use]
pub fn all() -> BTreeMap<u64, Namespace> {
    let mut found = BTreeMap::new();
    let processes = entries("/proc")
        .filter(|path| {
            path.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
        })
        .map(|path| path.join("ns/net"));
    for path in processes.chain(entries("/run/netns")) {
        // Most processes share a namespace: look at the inode before opening anything.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if found.contains_key(&metadata.ino()) {
            continue;
        }
        if let Ok(namespace) = Namespace::open(&path) {
            found.insert(namespace.inode, namespace);
        }
    }
    found
}

fn entries(directory: &str) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

impl Namespace {
    /// Opens the namespace that this file stands for.
    ///
    /// # Errors
    ///
    /// What opening the file gives; a process that has ended is `NotFound`.
    pub fn open(path: &Path) -> io::Result<Self> {
        let handle = File::open(path)?;
        Ok(Self { inode: handle.metadata()?.ino(), path: path.to_owned(), handle })
    }

    /// Runs `work` on a thread of its own inside the namespace; the caller's thread stays where it is.
    ///
    /// # Errors
    ///
    /// What setns(2) gives: it needs CAP_SYS_ADMIN.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(
                    std::os::fd::AsFd::as_fd(&self.handle),
                    Some(LinkNameSpaceType::Network),
                )?;
                Ok(work())
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}
