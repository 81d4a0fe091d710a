//! `cargo xtask test`: the tests of every crate, then the live tests as root.

mod summary;

use std::{
    env,
    ffi::OsStr,
    io::{self, Read, Write},
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    cargo::{self, Executable},
    command, privilege, setup,
    setup::Availability,
};
pub use summary::Tally;
use summary::{Outcome, Summary};

/// Integration tests with this prefix need root and the running kernel.
const LIVE_PREFIX: &str = "live";

/// Live tests that may fail and be run once more; when more fail, it was no accident.
pub const SECOND_CHANCES: usize = 3;

/// Set to `required` it turns a live test's "skipped: ..." into a failure.
const LIVE_VARIABLE: &str = "TCP_TRACER_LIVE";

#[derive(clap::Args)]
pub struct Options {
    /// Run only the tests whose names contain this
    filter: Option<String>,
    /// Leave the live tests out
    #[arg(long, conflicts_with = "require_live")]
    no_live: bool,
    /// Fail if a live test cannot run (CI=true means the same)
    #[arg(long)]
    require_live: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Setup(#[from] setup::Error),
    #[error(transparent)]
    Cargo(#[from] cargo::Error),
    #[error(transparent)]
    Command(#[from] command::Error),
    #[error("cannot pass on what `{command}` prints: {source}")]
    Output { command: String, source: io::Error },
    #[error(transparent)]
    Verdict(#[from] summary::Failure),
}

/// Runs everything, also after a failure, and ends with one summary.
pub fn test(options: &Options) -> Result<(), Error> {
    let required = options.require_live || env::var_os("CI").is_some_and(|value| value == "true");
    setup::for_build()?;
    if !options.no_live
        && let Availability::Missing(missing) = setup::for_live_tests()
    {
        if required {
            return Err(setup::Error::Packages(missing).into());
        }
        eprintln!("note: {missing}; the tests that use them say so");
    }
    let (mut live, host): (Vec<_>, Vec<_>) = build()?.into_iter().partition(is_live);
    // The audit's come last: what they leave to the kernel is in the others' counts.
    live.sort_by(|one, other| one.name.cmp(&other.name));

    let mut summary = Summary::default();
    for program in &host {
        summary.host.push(run(host_command(program, options), title(program))?);
    }
    summary.docs = Some(run(documentation_command(options), "documentation".to_owned())?);
    if options.no_live {
        summary.live_obstacle = Some("left out by --no-live".to_owned());
    } else if let Some(obstacle) = obstacle_to_root() {
        summary.live_obstacle = Some(obstacle);
    } else {
        for program in &live {
            let outcome = match live_command(program, options.filter.as_slice(), required) {
                Ok(command) => once_more(run(command, title(program))?, program, required)?,
                Err(error) => Outcome::not_started(title(program), error.to_string()),
            };
            summary.live.push(outcome);
        }
    }
    print!("\n{summary}");
    Ok(summary.verdict(required)?)
}

/// The test programs of the host's crates, and of the ABI library that the eBPF program shares with them.
fn build() -> Result<Vec<Executable>, Error> {
    let mut host = cargo::cargo();
    host.args(["test", "--no-run", "--workspace", "--exclude", "tracer-ebpf"]);
    let mut abi = cargo::cargo();
    abi.args(["test", "--no-run", "--package", "tracer-ebpf", "--lib"]);
    let mut programs = cargo::executables(&mut host)?;
    programs.extend(cargo::executables(&mut abi)?);
    // Cargo also tells about the plain binaries that integration tests start.
    programs.retain(|program| program.is_test);
    Ok(programs)
}

fn is_live(program: &Executable) -> bool {
    program.is_integration_test && program.name.starts_with(LIVE_PREFIX)
}

fn title(program: &Executable) -> String {
    format!("{}/{}", program.package, program.name)
}

/// Like cargo, a test runs in its package's folder.
fn host_command(program: &Executable, options: &Options) -> Command {
    let mut command = Command::new(&program.path);
    command.current_dir(&program.folder).env("CARGO_MANIFEST_DIR", &program.folder).args(&options.filter);
    command
}

fn documentation_command(options: &Options) -> Command {
    let mut command = cargo::cargo();
    command.args(["test", "--quiet", "--doc", "--workspace", "--"]).args(&options.filter);
    command
}

/// Live tests run one after another, because they share the kernel's counters; `--show-output` lets them say why they skipped.
fn live_command(
    program: &Executable,
    filter: &[String],
    required: bool,
) -> Result<Command, privilege::Error> {
    let mut variables = vec![("CARGO_MANIFEST_DIR", program.folder.as_os_str())];
    if required {
        variables.push((LIVE_VARIABLE, OsStr::new("required")));
    }
    let mut command = privilege::as_root(&program.path, &variables)?;
    command.args(["--test-threads=1", "--show-output"]).args(filter).current_dir(&program.folder);
    Ok(command)
}

/// Runs the live tests that failed once more, if they are few. The agent counts for the whole host, so a process that uses
/// TCP at the wrong moment fails a test without a fault of ours; what fails twice has failed, and what did not is named.
fn once_more(first: Outcome, program: &Executable, required: bool) -> Result<Outcome, Error> {
    let names = first.failures().to_vec();
    if names.is_empty() || names.len() > SECOND_CHANCES {
        return Ok(first);
    }
    let filter: Vec<_> = names.into_iter().chain(["--exact".to_owned()]).collect();
    match live_command(program, &filter, required) {
        Ok(command) => Ok(first.repeated(run(command, format!("{}, once more", title(program)))?)),
        Err(_) => Ok(first),
    }
}

/// Why this user cannot become root, if so. sudo may ask for the password here.
fn obstacle_to_root() -> Option<String> {
    if privilege::is_root() {
        return None;
    }
    let mut attempt = match privilege::as_root(Path::new("true"), &[]) {
        Ok(command) => command,
        Err(_) => return Some("they need root, and neither sudo nor doas is installed".to_owned()),
    };
    command::run(&mut attempt).err().map(|error| format!("they need root: {error}"))
}

/// Runs a test program, shows its output and keeps the figures.
fn run(mut command: Command, title: String) -> Result<Outcome, Error> {
    println!("\n== {title}");
    let line = command::line(&command);
    let started = command.stdout(Stdio::piped()).spawn();
    let mut child = started.map_err(|source| command::Error::Start { command: line.clone(), source })?;
    let mut tally = Tally::default();
    if let Some(mut stdout) = child.stdout.take() {
        pass_on(&mut stdout, &mut io::stdout().lock(), &mut tally)
            .map_err(|source| Error::Output { command: line.clone(), source })?;
    }
    let status = child.wait().map_err(|source| command::Error::Read { command: line, source })?;
    Ok(Outcome::ended(title, tally, status))
}

/// Shows the bytes at once, so that a test that hangs is the last one on the screen, and counts whole lines.
fn pass_on(from: &mut impl Read, to: &mut impl Write, tally: &mut Tally) -> io::Result<()> {
    let mut buffer = [0; 8192];
    let mut line = Vec::new();
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        to.write_all(bytes)?;
        to.flush()?;
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                tally.read(&String::from_utf8_lossy(&line));
                line.clear();
            }
        }
    }
    tally.read(&String::from_utf8_lossy(&line));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &str, is_integration_test: bool) -> Executable {
        Executable {
            name: name.into(),
            package: "tracer".into(),
            folder: "/w/tracer".into(),
            is_test: true,
            is_integration_test,
            path: "/w/target/debug/deps/x".into(),
        }
    }

    #[test]
    fn live_tests_are_integration_tests_of_that_name() {
        assert!(is_live(&program("live_tcp", true)));
        assert!(is_live(&program("live", true)));
        assert!(!is_live(&program("replay", true)));
        assert!(!is_live(&program("liveness", false)));
    }

    #[test]
    fn output_cut_anywhere_is_counted_once() {
        struct Slowly<'a>(&'a [u8]);
        impl Read for Slowly<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.take(3).read(buffer).inspect(|count| self.0 = &self.0[*count..])
            }
        }
        let text = b"skipped: no nginx\ntest result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n";
        let (mut shown, mut tally) = (Vec::new(), Tally::default());
        pass_on(&mut Slowly(text), &mut shown, &mut tally).unwrap();
        assert_eq!(shown, text);
        assert_eq!((tally.passed, tally.ignored, tally.skipped), (2, 1, vec!["no nginx".to_owned()]));
    }
}
