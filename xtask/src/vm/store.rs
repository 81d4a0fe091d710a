//! What a guest is made of, downloaded once and kept in the user's cache folder.

use std::{
    cell::OnceCell,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    apt::{self, Apt},
    catalog::{Arch, Kernel, candidates},
};
use crate::{
    cache, command,
    file::{self, failed},
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Apt(#[from] apt::Error),
    #[error(transparent)]
    Cache(#[from] cache::Error),
    #[error(transparent)]
    Command(#[from] command::Error),
    #[error(transparent)]
    File(#[from] file::Error),
    #[error("Debian's suites have no kernel {0} now: `cargo xtask vm --list` shows those of the matrix")]
    NoSuchKernel(Kernel),
    #[error("no package of kernel {kernel} can be had: {}", .reasons.join("; "))]
    NoKernel { kernel: Kernel, reasons: Vec<String> },
    #[error("QEMU comes from Debian's build for amd64 and arm64; there is none for this machine")]
    NoQemu,
}

impl Error {
    /// True when another kernel may be had all the same.
    pub const fn is_of_one_kernel(&self) -> bool {
        matches!(self, Self::NoSuchKernel(_) | Self::NoKernel { .. })
    }
}

/// Modules that a live test may want: the tests' networks, what damages them, and what ss and the agent ask.
const MODULES: [&str; 6] = ["veth", "dummy", "tun", "sch_netem", "inet_diag", "tcp_diag"];

/// Programs of the guest, by package.
pub const PROGRAMS: [(&str, &[&str]); 4] = [
    ("busybox-static", &["busybox"]),
    ("iproute2", &["ip", "tc", "ss"]),
    ("nginx-light", &["nginx"]),
    ("curl", &["curl"]),
];

/// The cache.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    architectures: Vec<Arch>,
    apt: OnceCell<Apt>,
}

/// A kernel, ready to boot.
#[derive(Clone, Debug)]
pub struct Image {
    /// The package that it came in, with its version.
    pub package: String,
    pub vmlinuz: PathBuf,
    /// Modules in the order in which to insert them.
    pub modules: Vec<PathBuf>,
}

/// QEMU with its own libraries.
#[derive(Clone, Debug)]
pub struct Qemu(PathBuf);

impl Store {
    /// Opens it for kernels of these machines. What is there is used as it is; `refresh` empties it first.
    pub fn open(architectures: &[Arch], refresh: bool) -> Result<Self, Error> {
        let folder = cache::folder()?.join("vm");
        if refresh && folder.is_dir() {
            fs::remove_dir_all(&folder).map_err(failed("empty", &folder))?;
        }
        cache::create_folder(&folder)?;
        Ok(Self { folder, architectures: architectures.to_vec(), apt: OnceCell::new() })
    }

    /// The package of this kernel that is in the cache already.
    pub fn cached(kernel: &Kernel) -> Result<Option<String>, Error> {
        let note = cache::folder()?.join("vm").join(folder_of(kernel)).join("package");
        Ok(fs::read_to_string(note).ok().map(|package| package.trim().to_owned()))
    }

    /// Only what is missing needs the archive.
    fn apt(&self) -> Result<&Apt, Error> {
        if self.apt.get().is_none() {
            let mut architectures = self.architectures.clone();
            architectures.extend(host());
            let apt = Apt::open(self.folder.join("apt"), &architectures)?;
            // Nobody else has set it: this is the only thread.
            let _ = self.apt.set(apt);
        }
        self.apt.get().ok_or(Error::NoQemu)
    }

    /// The newest kernel of this release that the archive really gives.
    pub fn kernel(&self, kernel: &Kernel) -> Result<Image, Error> {
        let folder = self.folder.join(folder_of(kernel));
        self.once(&folder, |partial| self.fetch_kernel(kernel, partial))?;
        let note = folder.join("package");
        let modules = MODULES.iter().map(|name| folder.join(format!("{name}.ko")));
        Ok(Image {
            package: fs::read_to_string(&note).map_err(failed("read", &note))?.trim().to_owned(),
            vmlinuz: folder.join("vmlinuz"),
            modules: modules.filter(|path| path.is_file()).collect(),
        })
    }

    fn fetch_kernel(&self, kernel: &Kernel, into: &Path) -> Result<(), Error> {
        let apt = self.apt()?;
        let names = apt.names("linux-")?;
        let candidates = candidates(kernel, names.lines());
        if candidates.is_empty() {
            return Err(Error::NoSuchKernel(kernel.clone()));
        }
        let mut reasons = Vec::new();
        for candidate in candidates {
            eprintln!("Fetching {} ...", candidate.package);
            let unpacked = into.join("unpacked");
            // An index may list what the archive has lost: the next one is older but there.
            let version = match fetch(apt, &candidate.package, kernel.arch, &unpacked) {
                Ok(version) => version,
                Err(apt::Error::Refused { said, .. }) => {
                    reasons.push(format!("{}: {said}", candidate.package));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if let Some(modules) = &candidate.modules {
                match fetch(apt, modules, kernel.arch, &unpacked) {
                    // Tests that need a module say so.
                    Err(apt::Error::Refused { said, .. }) => eprintln!("warning: without modules: {said}"),
                    fetched => drop(fetched?),
                }
            }
            let Some(image) = find(&unpacked, &|name| name.starts_with("vmlinuz")) else {
                reasons.push(format!("{}: holds no kernel", candidate.package));
                remove(&unpacked)?;
                continue;
            };
            copy(&image, &into.join("vmlinuz"))?;
            for module in MODULES {
                if let Some(file) = find(&unpacked, &|name| {
                    name == format!("{module}.ko") || name == format!("{module}.ko.xz")
                }) {
                    take_module(&file, &into.join(format!("{module}.ko")))?;
                }
            }
            remove(&unpacked)?;
            let note = into.join("package");
            return Ok(fs::write(&note, version).map_err(failed("write", &note))?);
        }
        Err(Error::NoKernel { kernel: kernel.clone(), reasons })
    }

    /// QEMU for guests of this machine.
    pub fn qemu(&self, guest: Arch) -> Result<Qemu, Error> {
        let host = host().ok_or(Error::NoQemu)?;
        let folder = self.folder.join(format!("qemu-{guest}"));
        let package = match guest {
            Arch::X86_64 => "qemu-system-x86",
            Arch::Aarch64 => "qemu-system-arm",
        };
        self.once(&folder, |partial| {
            eprintln!("Fetching {package} with its libraries ...");
            Ok(self.apt()?.unpack_closure(&[package], host.debian(), partial)?)
        })?;
        Ok(Qemu(folder))
    }

    /// The folder with the programs of guests of this machine, as on a Debian system.
    pub fn userland(&self, guest: Arch) -> Result<PathBuf, Error> {
        let folder = self.folder.join(format!("userland-{guest}"));
        self.once(&folder, |partial| {
            eprintln!("Fetching the guest's programs for {guest} ...");
            let packages = PROGRAMS.map(|(package, _)| package);
            Ok(self.apt()?.unpack_closure(&packages, guest.debian(), partial)?)
        })?;
        Ok(folder)
    }

    /// Makes a folder unless it is there: beside its place and then moved, so that a half one never looks like a whole.
    fn once(&self, folder: &Path, make: impl FnOnce(&Path) -> Result<(), Error>) -> Result<(), Error> {
        if folder.is_dir() {
            return Ok(());
        }
        let _lock = cache::lock(&self.folder.join("lock"))?;
        // Another call may have made it while this one waited.
        if folder.is_dir() {
            return Ok(());
        }
        let partial = folder.with_extension("partial");
        remove(&partial)?;
        fs::create_dir(&partial).map_err(failed("create", &partial))?;
        make(&partial)?;
        fs::rename(&partial, folder).map_err(failed("move into place", folder))?;
        Ok(cache::give_back(&self.folder)?)
    }
}

impl Qemu {
    /// A command that starts it, through the dynamic loader of its own libraries.
    pub fn command(&self, guest: Arch) -> Command {
        let Self(folder) = self;
        let (loader, triplet) = if cfg!(target_arch = "aarch64") {
            ("usr/lib/ld-linux-aarch64.so.1", "aarch64-linux-gnu")
        } else {
            ("usr/lib64/ld-linux-x86-64.so.2", "x86_64-linux-gnu")
        };
        let libraries = folder.join("usr/lib").join(triplet);
        let mut command = Command::new(folder.join(loader));
        command.arg("--library-path").arg(&libraries);
        command.arg(folder.join("usr/bin").join(format!("qemu-system-{guest}")));
        for data in ["usr/share/seabios", "usr/share/qemu"] {
            command.arg("-L").arg(folder.join(data));
        }
        command.env("QEMU_MODULE_DIR", libraries.join("qemu"));
        command
    }
}

fn folder_of(kernel: &Kernel) -> String {
    format!("kernel-{}-{}", kernel.tag, kernel.arch)
}

/// This machine, where Debian builds QEMU for it.
fn host() -> Option<Arch> {
    match std::env::consts::ARCH {
        "x86_64" => Some(Arch::X86_64),
        "aarch64" => Some(Arch::Aarch64),
        _ => None,
    }
}

/// Downloads and unpacks one package; returns its name with version.
fn fetch(apt: &Apt, package: &str, arch: Arch, into: &Path) -> Result<String, apt::Error> {
    let file = apt.download(package, arch)?;
    apt::unpack(&file, into)?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy().replace("%3a", ":");
    // It is unpacked, and an older one could be taken for a newer one later.
    let _ = fs::remove_file(&file);
    Ok(name)
}

/// The first file below `folder` with a name that fits.
fn find(folder: &Path, fits: &dyn Fn(&str) -> bool) -> Option<PathBuf> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let found = if is_folder {
            find(&path, fits)
        } else {
            path.file_name().and_then(|name| name.to_str()).is_some_and(fits).then_some(path)
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The guest's insmod wants modules as they are.
fn take_module(file: &Path, to: &Path) -> Result<(), Error> {
    if file.extension().is_some_and(|extension| extension == "xz") {
        let out = fs::File::create(to).map_err(failed("create", to))?;
        Ok(command::run(
            Command::new("xz").args(["--decompress", "--stdout"]).arg(file).stdout(Stdio::from(out)),
        )?)
    } else {
        copy(file, to)
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::copy(from, to).map_err(failed("copy", from))?;
    Ok(())
}

fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", folder)(source).into())
        }
        _ => Ok(()),
    }
}
