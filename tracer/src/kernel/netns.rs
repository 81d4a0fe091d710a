//! The network namespaces of the host.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::{
        fd::AsRawFd,
        unix::{fs::MetadataExt, net::UnixDatagram},
    },
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tracer_ebpf::{FIELDS, Field};

use super::btf::Types;

/// A handle to one network namespace; keeps it alive while it is open.
#[derive(Debug)]
pub struct Namespace {
    /// Inode number: unique while the namespace lives, recycled afterwards.
    pub inode: u64,
    /// Where it was found, for messages.
    pub path: PathBuf,
    handle: File,
}

/// Every namespace that a process lives in or that is mounted, by inode.
///
/// One that is held otherwise is found by [`everywhere`]. What cannot be opened, since its process has just ended or the
/// agent may not, is left out.
#[must_use]
pub fn all() -> BTreeMap<u64, Namespace> {
    let mut found = BTreeMap::new();
    let processes = processes().map(|path| path.join("ns/net"));
    add(&mut found, processes.chain(entries("/run/netns")).chain(mounted()));
    found
}

/// As [`all`], with those that only a thread lives in or a file descriptor holds: a look at each of them on the host. One
/// that nothing but a socket holds is not found.
#[must_use]
pub fn everywhere() -> BTreeMap<u64, Namespace> {
    let mut found = all();
    let processes: Vec<_> = processes().collect();
    let threads =
        processes.iter().flat_map(|path| entries(path.join("task"))).map(|path| path.join("ns/net"));
    let descriptors = processes.iter().flat_map(|path| entries(path.join("fd")));
    let descriptors = descriptors.filter(|path| fs::read_link(path).is_ok_and(|target| may_be_one(&target)));
    add(&mut found, threads.chain(descriptors));
    found
}

/// What a file descriptor is open to, by its name: to follow any link could reach into a file system that does not answer.
/// One that was opened by a mount has that mount's name, and `/` when it is gone.
fn may_be_one(target: &Path) -> bool {
    let name = target.as_os_str().as_encoded_bytes();
    name == b"/" || name.starts_with(b"net:[") || name.windows(5).any(|part| part == b"netns")
}

fn add(found: &mut BTreeMap<u64, Namespace>, paths: impl Iterator<Item = PathBuf>) {
    for path in paths {
        // Most processes share a namespace: look at the inode before opening anything.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if !metadata.is_file() || found.contains_key(&metadata.ino()) {
            continue;
        }
        match Namespace::open(&path) {
            Ok(namespace) if namespace.is_one() => {
                found.insert(namespace.inode, namespace);
            }
            _ => {}
        }
    }
}

fn processes() -> impl Iterator<Item = PathBuf> {
    entries("/proc").filter(|path| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
    })
}

fn entries(directory: impl AsRef<Path>) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Where network namespaces are mounted, as container engines do each in a folder of its own.
fn mounted() -> Vec<PathBuf> {
    fs::read_to_string("/proc/self/mountinfo").map_or_else(|_| Vec::new(), |table| mounts(&table))
}

/// proc_pid_mountinfo(5): the fourth field is the root of the mount, the fifth where it is.
fn mounts(table: &str) -> Vec<PathBuf> {
    let namespaces = table.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        root.starts_with("net:[").then(|| PathBuf::from(unescaped(point)))
    });
    namespaces.collect()
}

/// Blanks and backslashes are written in octal there.
fn unescaped(path: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(path.to_owned(), |path, (octal, character)| path.replace(octal, character))
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

    /// Runs `work` inside the namespace, on a thread of its own; the caller's thread stays where it is.
    ///
    /// # Errors
    ///
    /// What setns(2) gives: it needs CAP_SYS_ADMIN. The caller's own namespace needs nothing.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        if self.is_own() {
            return Ok(work());
        }
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

    /// True when the file stands for a network namespace indeed.
    fn is_one(&self) -> bool {
        // SAFETY: this request takes no argument and writes nothing; another file than a namespace's does not know it.
        unsafe { libc::ioctl(self.handle.as_raw_fd(), NS_GET_NSTYPE) == libc::CLONE_NEWNET }
    }

    /// True for the namespace of the calling thread.
    fn is_own(&self) -> bool {
        fs::metadata("/proc/thread-self/ns/net").is_ok_and(|own| own.ino() == self.inode)
    }
}

/// Why a namespace that somebody named cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Nothing of that name.
    #[error(
        "there is no network namespace {name}: {tried}; give a name of `ip netns list`, a path such as /proc/PID/ns/net, \
         or an inode number as `lsns -t net` lists them"
    )]
    NotFound {
        /// As typed.
        name: String,
        /// Where it was looked for.
        tried: String,
    },
    /// setns(2) refused.
    #[error(
        "cannot enter the network namespace {namespace} to ask for its cookie: {source} (needs CAP_SYS_ADMIN)"
    )]
    Enter {
        /// Where the namespace was found.
        namespace: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel has cookies and does not tell them.
    #[error(
        "the kernel does not tell the cookie of the network namespace {namespace}: {source} (needs Linux 5.14)"
    )]
    Cookie {
        /// Where the namespace was found.
        namespace: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The namespace that somebody means: a path, an inode number, or a name under `/run/netns`.
///
/// # Errors
///
/// [`FindError::NotFound`].
pub fn find(name: &str) -> Result<Namespace, FindError> {
    let not_found = |tried| FindError::NotFound { name: name.to_owned(), tried };
    let open = |path: &Path| {
        let found = Namespace::open(path).map_err(|error| error.to_string());
        found
            .and_then(|found| found.is_one().then_some(found).ok_or("not a network namespace".to_owned()))
            .map_err(|error| not_found(format!("{}: {error}", path.display())))
    };
    if name.contains('/') {
        return open(Path::new(name));
    }
    let named = Path::new("/run/netns").join(name);
    match name.parse() {
        Ok(inode) if !named.exists() => everywhere()
            .remove(&inode)
            .ok_or_else(|| not_found("no thread lives in it, and no mount or open file holds it".to_owned())),
        _ => open(&named),
    }
}

impl Namespace {
    /// What records carry of this namespace: its cookie, or its inode number on kernels without cookies.
    ///
    /// # Errors
    ///
    /// [`FindError::Enter`] without CAP_SYS_ADMIN, [`FindError::Cookie`] on kernels that keep the cookie to themselves.
    pub fn identity(&self) -> Result<u64, FindError> {
        self.look(|| ()).map(|(identity, ())| identity)
    }

    /// Runs `work` inside, as [`enter`](Self::enter) does, and says the namespace's [`identity`](Self::identity) too.
    ///
    /// # Errors
    ///
    /// As [`identity`](Self::identity).
    pub fn look<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<(u64, T), FindError> {
        let namespace = || self.path.display().to_string();
        let (answer, seen) = self
            .enter(|| (cookie(), work()))
            .map_err(|source| FindError::Enter { namespace: namespace(), source })?;
        match answer {
            Ok(cookie) => Ok((cookie, seen)),
            Err(source) if source.raw_os_error() == Some(libc::ENOPROTOOPT) && !has_cookies() => {
                Ok((self.inode, seen))
            }
            Err(source) => Err(FindError::Cookie { namespace: namespace(), source }),
        }
    }
}

/// The cookie of the calling thread's namespace (`SO_NETNS_COOKIE`, since 5.14).
fn cookie() -> io::Result<u64> {
    // Any socket knows its namespace; this one needs no address and no protocol module.
    let socket = UnixDatagram::unbound()?;
    let mut cookie = 0_u64;
    let mut size = libc::socklen_t::try_from(size_of::<u64>()).map_err(io::Error::other)?;
    // SAFETY: the pointers are to a u64 and to its size, and both live across the call.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut size,
        )
    };
    if done == 0 { Ok(cookie) } else { Err(io::Error::last_os_error()) }
}

/// include/uapi/linux/nsfs.h: `_IO(0xb7, 0x3)`.
const NS_GET_NSTYPE: libc::Ioctl = 0xb703;

/// include/uapi/asm-generic/socket.h; the same on every architecture that the agent supports.
const SO_NETNS_COOKIE: libc::c_int = 71;

/// Finds out how namespaces are told apart, which may take as long as reading all of the kernel's types: do it before
/// anything that is timed.
pub fn learn_identity() {
    if cookie().is_err() {
        has_cookies();
    }
}

/// True when the kernel's namespaces have cookies, which records then carry. Asked for each namespace, and it takes
/// reading all of the kernel's types: once is enough.
fn has_cookies() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let source = FIELDS.iter().find(|(field, _)| *field == Field::NetCookie);
        let types = Types::of_running_kernel();
        types.is_ok_and(|types| source.is_some_and(|(_, source)| types.offset(source).is_some()))
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{FindError, find, mounts};

    #[test]
    fn mounted_namespaces_are_those_whose_root_is_one() {
        let table = "29 1 254:0 / / rw,relatime - ext4 /dev/root rw\n\
                     61 24 0:4 net:[4026532240] /run/docker/netns/a\\040b rw - nsfs nsfs rw\n\
                     62 24 0:4 mnt:[4026532241] /run/mnt rw shared:9 - nsfs nsfs rw\n\
                     63 24 0:4 net:[4026532242]\n";
        assert_eq!(mounts(table), [PathBuf::from("/run/docker/netns/a b")]);
    }

    #[test]
    fn a_namespace_by_path_and_by_inode() {
        let by_path = find("/proc/self/ns/net").unwrap();
        let by_inode = find(&by_path.inode.to_string()).unwrap();
        assert_eq!(by_path.inode, by_inode.inode);
        assert_eq!(by_path.identity().unwrap(), by_inode.identity().unwrap());
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for name in ["no-such-namespace", "/proc/self/ns/no-such", "/proc/self/ns/mnt", "/dev/null", "1"] {
            assert!(matches!(find(name), Err(FindError::NotFound { .. })), "{name}");
        }
    }
}
