//! What runs in a guest: the agent and its live tests, linked statically, and Debian's programs with their libraries.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use object::read::elf::ElfFile64;

use super::{
    catalog::Arch,
    initramfs::Initramfs,
    store::{Image, PROGRAMS},
};
use crate::{
    cargo::{self, Executable},
    command, setup,
    test::SECOND_CHANCES,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Setup(#[from] setup::Error),
    #[error(transparent)]
    Cargo(#[from] cargo::Error),
    #[error("cargo built no {0}: does tracer/Cargo.toml still have it?")]
    NotBuilt(&'static str),
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} is no program for a guest: {reason}")]
    Elf { path: PathBuf, reason: object::read::Error },
    #[error("the guest's programs need {library}, which is in none of their packages")]
    NoLibrary { library: String },
}

/// The agent and its live tests for one machine.
#[derive(Debug)]
pub struct Tests {
    tests: PathBuf,
    agent: PathBuf,
}

/// The agent alone.
#[derive(Debug)]
pub struct Agent {
    /// Where it is, here and in the guest.
    pub path: PathBuf,
}

/// What a guest has in it beside its kernel, and does.
#[derive(Debug)]
pub struct Load {
    /// Our own programs, which get the paths that they have here: the tests were compiled with the agent's.
    own: Vec<PathBuf>,
    /// Debian's.
    debian: Vec<&'static str>,
    /// What the shell runs.
    script: String,
}

impl Tests {
    /// Builds them.
    pub fn build(arch: Arch) -> Result<Self, Error> {
        let built = build(arch, &["test", "--no-run", "--package", "tracer", "--test", "live"])?;
        Ok(Self {
            tests: find(&built, |program| program.is_integration_test, "live tests")?,
            agent: find(&built, is_agent, "agent")?,
        })
    }

    /// The guest reports on its kernel and runs the tests with names that contain one of `filters`.
    pub fn load(&self, fast_clock: bool, filters: &[&str]) -> Load {
        Load {
            own: vec![self.tests.clone(), self.agent.clone()],
            debian: PROGRAMS.iter().flat_map(|(_, names)| *names).copied().collect(),
            script: script(self, fast_clock, filters),
        }
    }
}

impl Agent {
    /// Builds it.
    pub fn build(arch: Arch) -> Result<Self, Error> {
        let built = build(arch, &[&AGENT[..], &FAST].concat())?;
        Ok(Self { path: find(&built, is_agent, "agent")? })
    }

    /// Builds it for this machine, where nothing has to run in a guest.
    pub fn here() -> Result<Self, Error> {
        setup::for_build()?;
        let mut build = cargo::cargo();
        build.args(AGENT);
        Ok(Self { path: find(&cargo::executables(&mut build)?, is_agent, "agent")? })
    }

    /// The guest runs this script, which knows the agent by its path here.
    pub fn load(&self, script: String) -> Load {
        Load { own: vec![self.path.clone()], debian: vec!["busybox"], script }
    }
}

const AGENT: [&str; 5] = ["build", "--package", "tracer", "--bin", "tcp-tracer"];

/// The audit judges thousands of conversations, and emulation makes that slow: what judges is optimised for speed.
const FAST: [&str; 4] = [
    "--config",
    "profile.dev.package.model.opt-level=3",
    "--config",
    "profile.dev.package.tracer.opt-level=3",
];

fn build(arch: Arch, arguments: &[&str]) -> Result<Vec<Executable>, Error> {
    let compiler = setup::for_guest(arch.target(), arch.name())?;
    let variable = arch.target().replace('-', "_");
    let mut build = cargo::cargo();
    build.args(arguments).args(["--target", arch.target()]);
    build.env(format!("CC_{variable}"), compiler);
    // A guest keeps all its files in memory.
    build.env("CARGO_PROFILE_DEV_DEBUG", "none").env("CARGO_PROFILE_DEV_STRIP", "debuginfo");
    if arch.name() != std::env::consts::ARCH {
        // The C library comes with the target: no linker of that machine is needed.
        build.env(format!("CARGO_TARGET_{}_LINKER", variable.to_uppercase()), "rust-lld");
    }
    Ok(cargo::executables(&mut build)?)
}

fn find(built: &[Executable], is_it: fn(&Executable) -> bool, name: &'static str) -> Result<PathBuf, Error> {
    let program = built.iter().find(|program| is_it(program));
    program.map(|program| program.path.clone()).ok_or(Error::NotBuilt(name))
}

fn is_agent(program: &Executable) -> bool {
    !program.is_test && program.name == "tcp-tracer"
}

/// Before the agent's report on the kernel, as JSON, and after it.
pub const REPORT: [&str; 2] = ["VM-REPORT-BEGIN", "VM-REPORT-END"];

/// Live tests that wait for the kernel's long timers: they run where the guest's clock runs fast.
pub const LONG_TIMERS: &str = "long_timers::";

/// Some of each kind: hooks and fields, adoption, TIME_WAIT, half-open requests, handshakes, the books, a bad network.
pub const QUICK: &[&str] = &[
    "watch::doctor_reports_and_is_content_with_this_kernel",
    "watch::the_chain_of_every_connection_is_gapless_and_judged",
    "adopt::sockets_of_every_namespace_are_counted_by_state",
    "cut_short::a_reset_assassinates_time_wait_unless_rfc_1337_is_on",
    "handshakes::a_half_open_request_ends_for_the_reason_that_the_kernel_shows",
    "time_wait::the_gauges_are_what_sockstat_and_the_socket_list_say",
    "reconcile::doctor_compares_for_a_person",
    "netem::everything_goes_wrong_at_once",
];

/// Live tests that want a kernel with netem.
const NETEM: &str = "netem::";

/// Seconds of the guest's clock that one test may take.
const TEST_SECONDS: u32 = 600;

/// Begins a line about a test that failed: its exit status and its name.
pub const FAILED: &str = "VM-FAILED ";

/// The exit status of a test that was killed when its time was over.
pub const KILLED: &str = "137";

/// What follows are the tests that failed, run once more.
pub const ONCE_MORE: &str = "VM-ONCE-MORE";

/// Begins a line about a test that passed when it was run once more: its name.
pub const PASSED: &str = "VM-PASSED ";

/// Writes a guest's files.
pub fn assemble(load: &Load, userland: &Path, image: &Image, into: &Path) -> Result<(), Error> {
    let mut archive = Initramfs::default();
    for folder in ["applets", "dev", "proc", "sys", "tmp", "run", "var/log/nginx", "etc"] {
        archive.folder(folder);
    }
    for (link, target) in
        [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")]
    {
        archive.link(link, target);
    }
    archive.link("var/run", "/run");
    archive.file(
        "etc/passwd",
        b"root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
    );
    archive.file("etc/group", b"root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n");
    archive.file("init", include_bytes!("init.sh"));
    archive.file("run.sh", load.script.as_bytes());
    for program in &load.own {
        add(&mut archive, program, program)?;
    }
    for file in closure(userland, load.debian.iter().copied())? {
        let inside = file.strip_prefix(userland).unwrap_or(&file).to_path_buf();
        add(&mut archive, &file, &inside)?;
    }
    for (number, module) in image.modules.iter().enumerate() {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        add(&mut archive, module, &Path::new("modules").join(format!("{number}-{name}")))?;
    }
    fs::write(into, archive.finish()).map_err(|source| Error::Write { path: into.to_path_buf(), source })
}

fn add(archive: &mut Initramfs, from: &Path, to: &Path) -> Result<(), Error> {
    archive.copy(from, to).map_err(|source| Error::Read { path: from.to_path_buf(), source })
}

/// Each test is a process of its own with its own time: one that hangs takes nobody along.
fn script(tests: &Tests, fast_clock: bool, filters: &[&str]) -> String {
    let mut report = Command::new(&tests.agent);
    report.args(["doctor", "--json"]);
    let run = |arguments: &[&str]| command::line(Command::new(&tests.tests).args(arguments));
    // What takes too long on a real clock is left to the other one.
    let left_out: &[&str] = if fast_clock { &[] } else { &["--skip", LONG_TIMERS] };
    let [begin, end] = REPORT;
    let doctor = command::line(&report);
    let list = run(&[&["--list", "--format", "terse"], left_out, filters].concat());
    let test = run(&["--test-threads=1", "--show-output", "--exact"]);
    format!(
        r#"
        export TCP_TRACER_GUEST=1
        echo {begin}
        {doctor}
        echo {end}
        attempt() {{
            case $1 in {LONG_TIMERS}* | {NETEM}*) ignored=--include-ignored ;; *) ignored= ;; esac
            timeout -s KILL {TEST_SECONDS} {test} $ignored "$1" || {{ echo "{FAILED}$? $1"; return 1; }}
        }}
        failed=
        for name in $({list} | sed -n 's/: test$//p'); do
            attempt "$name" || failed="$failed $name"
        done
        set -- $failed
        status=$#
        if [ $# -gt 0 ] && [ $# -le {SECOND_CHANCES} ]; then
            echo {ONCE_MORE}
            status=0
            for name; do
                attempt "$name" && echo "{PASSED}$name" || status=1
            done
        fi
        exit $status
        "#
    )
}

/// The programs and every library that they name, in the folder of an unpacked Debian.
fn closure(root: &Path, programs: impl Iterator<Item = &'static str>) -> Result<BTreeSet<PathBuf>, Error> {
    let mut wanted: Vec<String> = programs.map(str::to_owned).collect();
    let mut seen = BTreeSet::new();
    let mut files = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let file = locate(root, &name).ok_or_else(|| Error::NoLibrary { library: name.clone() })?;
        wanted.extend(needed(&file)?);
        files.insert(file);
    }
    Ok(files)
}

/// Where a program or a library is; symbolic links among libraries are followed by their contents.
fn locate(root: &Path, name: &str) -> Option<PathBuf> {
    let mut folders =
        vec![root.join("usr/bin"), root.join("usr/sbin"), root.join("usr/lib64"), root.join("usr/lib")];
    for triplet in ["x86_64-linux-gnu", "aarch64-linux-gnu"] {
        folders.push(root.join("usr/lib").join(triplet));
    }
    for old in ["bin", "sbin", "lib64", "lib"] {
        folders.push(root.join(old));
    }
    folders.into_iter().map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The libraries that a program asks for, and the loader that it is started by.
fn needed(path: &Path) -> Result<Vec<String>, Error> {
    let bytes = fs::read(path).map_err(|source| Error::Read { path: path.to_path_buf(), source })?;
    let elf = |reason| Error::Elf { path: path.to_path_buf(), reason };
    let file = ElfFile64::<object::Endianness>::parse(&*bytes).map_err(elf)?;
    let table = file.elf_dynamic_table().map_err(elf)?;
    let mut names = Vec::new();
    for entry in table.iter() {
        if entry.tag == object::elf::DT_NEEDED {
            names.push(String::from_utf8_lossy(table.string(entry).map_err(elf)?).into_owned());
        }
    }
    Ok(names)
}
