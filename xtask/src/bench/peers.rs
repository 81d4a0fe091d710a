//! The tools that the agent is measured against, and where they come from. What cannot be had is said in the table.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    command, linker_path,
    setup::{self, Availability},
};

/// Each tool's path, or why there is none.
#[derive(Debug)]
pub struct Peers(Vec<(&'static str, Result<PathBuf, String>)>);

/// Why a tool could not be fetched.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Command(#[from] command::Error),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("no apt-get on this system to fetch it with")]
    NoApt,
    #[error("no cache folder: set HOME")]
    NoCache,
    #[error("apt-get names no package repository of Debian")]
    NoRepository,
    #[error("its package holds no {0}")]
    Absent(&'static str),
}

impl Peers {
    /// For a run that needs none.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Finds each, or fetches it.
    pub fn find() -> Self {
        let bpftrace = match setup::for_bench() {
            Availability::Complete => command::find("bpftrace").ok_or_else(|| "not found".to_owned()),
            Availability::Missing(missing) => command::find("bpftrace").ok_or_else(|| missing.to_string()),
        };
        let told = |found: Result<PathBuf, Error>| found.map_err(|error| error.to_string());
        Self(vec![
            ("tcpstates", told(tcpstates())),
            ("bpftrace", bpftrace),
            ("node-exporter", told(node_exporter())),
        ])
    }

    /// Options of the bench for those that are there.
    pub fn paths(&self, names: &[&str]) -> Vec<(&'static str, String)> {
        let wanted = self.0.iter().filter(|(name, _)| names.contains(name));
        wanted.filter_map(|(name, found)| Some((*name, found.as_ref().ok()?.display().to_string()))).collect()
    }

    /// Why a tool is not there.
    pub fn obstacle(&self, name: &str) -> Option<&str> {
        let (_, found) = self.0.iter().find(|(peer, _)| *peer == name)?;
        found.as_ref().err().map(String::as_str)
    }
}

/// The suite whose tcpstates is known to work, and what it needs of it.
const SUITE: &str = "trixie";
const TCPSTATES: [&str; 6] = ["libbpf-tools", "libc6", "libelf1t64", "zlib1g", "libzstd1", "libbpf1"];

/// libbpf-tools' tcpstates: unpacked beside the libraries of its suite, and started through their loader.
fn tcpstates() -> Result<PathBuf, Error> {
    let folder = linker_path::cache_folder().ok_or(Error::NoCache)?.join(format!("peers/{SUITE}"));
    let starter = folder.join("tcpstates");
    if starter.is_file() {
        return Ok(starter);
    }
    let root = folder.join("root");
    unpack(&folder, &root, Some(SUITE), &TCPSTATES)?;
    let program =
        find_below(&root, &["usr/sbin", "usr/bin"], "tcpstates").ok_or(Error::Absent("tcpstates"))?;
    let loader = find_below(&root, &["usr/lib64", "usr/lib"], "ld-linux").ok_or(Error::Absent("ld-linux"))?;
    let libraries =
        fs::read_dir(root.join("usr/lib")).into_iter().flatten().flatten().map(|entry| entry.path());
    let libraries: Vec<_> =
        libraries.filter(|path| path.is_dir()).map(|path| path.display().to_string()).collect();
    let script = format!(
        "#!/bin/sh\nexec '{}' --library-path '{}' '{}' \"$@\"\n",
        loader.display(),
        libraries.join(":"),
        program.display()
    );
    let failed = |source| Error::File { path: starter.clone(), source };
    fs::write(&starter, script).map_err(failed)?;
    fs::set_permissions(&starter, fs::Permissions::from_mode(0o755)).map_err(failed)?;
    Ok(starter)
}

/// node_exporter: unpacked as well, for its package would start a service.
fn node_exporter() -> Result<PathBuf, Error> {
    const NAME: &str = "prometheus-node-exporter";
    if let Some(installed) = command::find(NAME) {
        return Ok(installed);
    }
    let folder = linker_path::cache_folder().ok_or(Error::NoCache)?.join("peers/own-suite");
    let root = folder.join("root");
    if find_below(&root, &["usr/bin"], NAME).is_none() {
        unpack(&folder, &root, None, &[NAME])?;
    }
    find_below(&root, &["usr/bin"], NAME).ok_or(Error::Absent(NAME))
}

/// Downloads packages of a suite (or of this system's own) with apt's signature checks and unpacks them; nothing gets installed,
/// and the system's package lists stay as they are.
fn unpack(folder: &Path, root: &Path, suite: Option<&str>, packages: &[&str]) -> Result<(), Error> {
    let apt_get = command::find("apt-get").ok_or(Error::NoApt)?;
    let downloads = folder.join("packages");
    for path in [root, &downloads, &folder.join("lists/partial"), &folder.join("cache/archives/partial")] {
        fs::create_dir_all(path).map_err(|source| Error::File { path: path.to_path_buf(), source })?;
    }
    let mut options = Vec::new();
    if let Some(suite) = suite {
        let list = folder.join("sources.list");
        let repository = repository(&apt_get)?;
        fs::write(&list, format!("deb {repository} {suite} main\n"))
            .map_err(|source| Error::File { path: list.clone(), source })?;
        options = vec![
            format!("Dir::Etc::sourcelist={}", list.display()),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::State::lists={}", folder.join("lists").display()),
            format!("Dir::Cache={}", folder.join("cache").display()),
            // The folder is the caller's alone.
            "APT::Sandbox::User=".to_owned(),
        ];
    }
    let apt = |verb: &str| {
        let mut command = Command::new(&apt_get);
        command.current_dir(&downloads).arg("--quiet=2");
        for option in &options {
            command.args(["--option", option]);
        }
        command.arg(verb);
        command
    };
    if suite.is_some() {
        command::run(&mut apt("update"))?;
    }
    command::run(apt("download").args(packages))?;
    for package in fs::read_dir(&downloads).into_iter().flatten().flatten() {
        command::run(Command::new("dpkg-deb").arg("--extract").arg(package.path()).arg(root))?;
    }
    Ok(())
}

/// Where this Debian gets its packages from.
fn repository(apt_get: &Path) -> Result<String, Error> {
    let targets = command::output(Command::new(apt_get).args([
        "indextargets",
        "--format",
        "$(ORIGIN)|$(LABEL)|$(REPO_URI)",
    ]))?;
    let of_debian = targets.lines().find_map(|line| line.strip_prefix("Debian|Debian|"));
    of_debian.map(str::to_owned).ok_or(Error::NoRepository)
}

/// The first file in these folders, or one level below them, whose name begins so.
fn find_below(root: &Path, folders: &[&str], name: &str) -> Option<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let mut found: Vec<_> =
            fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        found.sort();
        found
    };
    let begins =
        |path: &PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name));
    folders.iter().map(|folder| root.join(folder)).find_map(|folder| {
        let here = entries(&folder);
        let below = here.iter().filter(|path| path.is_dir()).flat_map(|path| entries(path));
        here.iter().cloned().chain(below).find(|path| begins(path) && path.is_file())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_has_a_reason_and_no_option() {
        let peers = Peers(vec![
            ("tcpstates", Err(Error::NoApt.to_string())),
            ("bpftrace", Ok(PathBuf::from("/usr/bin/bpftrace"))),
        ]);
        assert_eq!(peers.paths(&["tcpstates", "bpftrace"]), [("bpftrace", "/usr/bin/bpftrace".to_owned())]);
        assert_eq!(peers.obstacle("tcpstates"), Some("no apt-get on this system to fetch it with"));
        assert_eq!(peers.obstacle("bpftrace"), None);
    }
}
