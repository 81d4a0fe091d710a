//! Debian's archive through apt, in a folder of its own: nothing is installed, and the machine's own sources and lists
//! stay as they are. apt checks the signature of the index and the hash of each file.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use super::catalog::Arch;
use crate::{
    command,
    file::{self, failed},
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Command(#[from] command::Error),
    #[error(
        "there is no {program} here: kernels come as Debian packages, which need apt and dpkg (on Ubuntu also the package \
         debian-archive-keyring)"
    )]
    NoApt { program: &'static str },
    #[error(
        "{KEYRING} is missing, so that no download could be verified: install the package debian-archive-keyring"
    )]
    NoKeyring,
    #[error(transparent)]
    File(#[from] file::Error),
    #[error(
        "Debian's package lists cannot be loaded from {mirror}: {said}. Kernels that are in the cache boot without a network: \
         `cargo xtask vm --list` shows them"
    )]
    Lists { mirror: String, said: String },
    #[error("Debian's archive does not give {packages}: {said}")]
    Refused { packages: String, said: String },
}

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Suites with a kernel of the matrix; trixie also gives QEMU and the guest's programs.
const SUITES: [&str; 8] = [
    "debian bullseye",
    "debian-security bullseye-security",
    "debian bookworm",
    "debian-security bookworm-security",
    "debian bookworm-backports",
    "debian trixie",
    "debian-security trixie-security",
    "debian trixie-backports",
];

/// The suite of the programs.
const PROGRAMS: &str = "trixie";

/// Lists older than this are loaded anew before something is downloaded.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// An apt of our own.
#[derive(Debug)]
pub struct Apt {
    folder: PathBuf,
    mirror: String,
}

impl Apt {
    /// Sets it up in a folder, and loads the package lists if they are old.
    pub fn open(folder: PathBuf, architectures: &[Arch]) -> Result<Self, Error> {
        for program in ["apt-get", "apt-cache", "dpkg-deb", "dpkg"] {
            command::find(program).ok_or(Error::NoApt { program })?;
        }
        if !Path::new(KEYRING).is_file() {
            return Err(Error::NoKeyring);
        }
        for part in ["lists/partial", "cache/archives/partial"] {
            let path = folder.join(part);
            fs::create_dir_all(&path).map_err(failed("create", &path))?;
        }
        let apt = Self { mirror: mirror(), folder };
        let sources: String = SUITES
            .iter()
            .map(|suite| format!("deb [signed-by={KEYRING}] {}/{suite} main\n", apt.mirror))
            .collect();
        apt.write("sources.list", &sources)?;
        // Nothing is installed, so that a package comes with everything that it needs.
        apt.write("status", "")?;
        let known = fs::read_to_string(apt.folder.join("architectures")).unwrap_or_default();
        let mut names: Vec<&str> = known.split_ascii_whitespace().collect();
        names.extend(architectures.iter().map(|arch| arch.debian()));
        names.sort_unstable();
        names.dedup();
        apt.write("apt.conf", &apt.config(&names))?;
        let names = names.join(" ");
        if names != known.trim_end() || apt.are_lists_stale() {
            apt.update()?;
            apt.write("architectures", &names)?;
        }
        Ok(apt)
    }

    fn config(&self, architectures: &[&str]) -> String {
        let folder = self.folder.display();
        let architectures: String = architectures.iter().map(|name| format!("\"{name}\"; ")).collect();
        format!(
            "Dir::Etc::SourceList \"{folder}/sources.list\";\nDir::Etc::SourceParts \"/dev/null\";\n\
             Dir::Etc::PreferencesParts \"/dev/null\";\nDir::Etc::Preferences \"/dev/null\";\n\
             Dir::State::Lists \"{folder}/lists\";\nDir::State::status \"{folder}/status\";\n\
             Dir::Cache \"{folder}/cache\";\nAPT::Architectures {{ {architectures}}};\n\
             APT::Install-Recommends \"false\";\nAPT::Sandbox::User \"root\";\nDebug::NoLocking \"true\";\n\
             Acquire::Languages \"none\";\nAcquire::Retries \"3\";\nAcquire::GzipIndexes \"true\";\n"
        )
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.folder.join(name);
        Ok(fs::write(&path, text).map_err(failed("write", &path))?)
    }

    /// Their age is that of the note of their architectures, which is written after each load.
    fn are_lists_stale(&self) -> bool {
        let loaded = fs::metadata(self.folder.join("architectures")).and_then(|note| note.modified());
        let age = loaded.ok().and_then(|loaded| SystemTime::now().duration_since(loaded).ok());
        age.is_none_or(|age| age > STALE)
    }

    fn update(&self) -> Result<(), Error> {
        eprintln!("Loading Debian's package lists from {} ...", self.mirror);
        // Without this apt succeeds with old lists, or with none.
        let mut update = self.command("apt-get");
        update.args(["update", "-qq", "--error-on=any"]);
        listen(&mut update).map(drop).map_err(|said| Error::Lists { mirror: self.mirror.clone(), said })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.folder.join("apt.conf")).env("LC_ALL", "C").stdin(Stdio::null());
        command
    }

    /// Every package name that begins with `prefix`.
    pub fn names(&self, prefix: &str) -> Result<String, Error> {
        Ok(command::output(self.command("apt-cache").args(["pkgnames", prefix]))?)
    }

    /// Downloads one package into the cache and returns its file.
    pub fn download(&self, package: &str, arch: Arch) -> Result<PathBuf, Error> {
        let name = format!("{package}:{}", arch.debian());
        let folder = self.folder.join("cache/archives");
        let mut download = self.command("apt-get");
        download.args(["download", "-qq", &name]).current_dir(&folder);
        let refused = |said| Error::Refused { packages: name.clone(), said };
        listen(&mut download).map_err(refused)?;
        let entries = fs::read_dir(&folder).map_err(failed("list", &folder))?;
        let is_it = |path: &PathBuf| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| {
                name.strip_prefix(package).is_some_and(|rest| rest.starts_with('_') && rest.ends_with(".deb"))
            })
        };
        let file = entries.flatten().map(|entry| entry.path()).find(is_it);
        file.ok_or_else(|| refused("apt-get download left no file".to_owned()))
    }

    /// Downloads packages with everything that they need, and unpacks it all into a folder.
    pub fn unpack_closure(&self, packages: &[&str], debian_arch: &str, into: &Path) -> Result<(), Error> {
        let names: Vec<_> = packages.iter().map(|package| format!("{package}:{debian_arch}")).collect();
        // A folder of their own: what another call has downloaded already would not come again.
        let archives = into.join("archives");
        fs::create_dir_all(archives.join("partial")).map_err(failed("create", &archives))?;
        let mut install = self.command("apt-get");
        install
            .args(["install", "-qq", "--yes", "--download-only", "--target-release", PROGRAMS])
            .args(&names);
        install.args(["-o", &format!("Dir::Cache::archives={}", archives.display())]);
        // The guest's machine need not be ours.
        install.args(["-o", &format!("APT::Architecture={debian_arch}")]);
        listen(&mut install).map_err(|said| Error::Refused { packages: names.join(" "), said })?;
        for entry in fs::read_dir(&archives).map_err(failed("list", &archives))?.flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "deb") {
                unpack(&entry.path(), into)?;
            }
        }
        Ok(fs::remove_dir_all(&archives).map_err(failed("remove", &archives))?)
    }
}

/// Unpacks a package, without its scripts.
pub fn unpack(package: &Path, into: &Path) -> Result<(), Error> {
    Ok(command::run(Command::new("dpkg-deb").arg("--extract").args([package, into]))?)
}

/// Runs the command; what it printed, or its last words.
fn listen(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("E: ")).collect();
    Err(match errors.as_slice() {
        // Without a network each index fails alike.
        [first, others @ ..] if others.len() > 1 => format!("{first} (and {} errors more)", others.len()),
        [_, ..] => errors.join("; "),
        [] if said.trim().is_empty() => output.status.to_string(),
        [] => said.trim().to_owned(),
    })
}

/// The machine's own Debian mirror, else Debian's.
fn mirror() -> String {
    let sources = fs::read_to_string("/etc/apt/sources.list.d/debian.sources").unwrap_or_default();
    mirror_in(&sources).unwrap_or("http://deb.debian.org").to_owned()
}

fn mirror_in(sources: &str) -> Option<&str> {
    let uris = sources.lines().filter_map(|line| line.strip_prefix("URIs:"));
    uris.flat_map(str::split_ascii_whitespace)
        .find_map(|uri| uri.trim_end_matches('/').strip_suffix("/debian"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_mirror_is_used() {
        let sources = "Types: deb\nURIs: http://mirror.example/debian/\nSuites: trixie\n\nURIs: http://x/debian-security\n";
        assert_eq!(mirror_in(sources), Some("http://mirror.example"));
        assert_eq!(mirror_in("URIs: http://x/ubuntu\n"), None);
    }

    #[test]
    fn what_a_failing_command_said_last_is_kept() {
        let said = |script: &str| listen(Command::new("sh").args(["-c", script]));
        assert_eq!(said("echo 'W: x' >&2; echo 'E: y' >&2; exit 1"), Err("y".to_owned()));
        assert_eq!(
            said("for i in 1 2 3; do echo E: $i >&2; done; exit 1"),
            Err("1 (and 2 errors more)".to_owned())
        );
        assert_eq!(said("echo what >&2; exit 1"), Err("what".to_owned()));
        assert_eq!(said("exit 7"), Err("exit status: 7".to_owned()));
        assert_eq!(listen(Command::new("echo").arg("z")), Ok("z\n".to_owned()));
    }
}
