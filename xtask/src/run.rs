//! `cargo xtask run`: builds the agent and becomes it.

use std::{ffi::OsString, io, os::unix::process::CommandExt, path::PathBuf, process::Command};

use crate::{cargo, command, privilege, setup};

/// The agent's binary target.
const AGENT: &str = "tcp-tracer";

#[derive(clap::Args)]
pub struct Options {
    /// Arguments of `tcp-tracer run`; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Setup(#[from] setup::Error),
    #[error(transparent)]
    Cargo(#[from] cargo::Error),
    #[error(transparent)]
    Privilege(#[from] privilege::Error),
    #[error("cargo built no program named {AGENT}: does tracer/Cargo.toml still have that binary?")]
    NoAgent,
    #[error("cannot start `{command}`: {source}")]
    Start { command: String, source: io::Error },
}

/// Builds as the calling user, and asks for root for the agent alone. Returns only if the agent could not be started: this
/// process becomes the agent, so that signals and the exit code are the agent's own.
pub fn run(options: &Options) -> Result<(), Error> {
    setup::for_build()?;
    let agent = build()?;
    let mut command = agent_command(privilege::as_root(&agent, &[])?, &options.arguments);
    let source = command.exec();
    Err(Error::Start { command: command::line(&command), source })
}

fn build() -> Result<PathBuf, Error> {
    let mut build = cargo::cargo();
    build.args(["build", "--release", "--package", "tracer", "--bin", AGENT]);
    let built = cargo::executables(&mut build)?;
    built.into_iter().find(|program| program.name == AGENT).map(|program| program.path).ok_or(Error::NoAgent)
}

fn agent_command(mut command: Command, arguments: &[OsString]) -> Command {
    command.arg("run").args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn typed(words: &[&str]) -> String {
        let options = Cli::parse_from(["run"].iter().chain(words)).options;
        command::line(&agent_command(Command::new("agent"), &options.arguments))
    }

    #[test]
    fn the_agents_arguments_pass_through_in_order() {
        assert_eq!(typed(&[]), "agent run");
        assert_eq!(typed(&["--port", "80", "x"]), "agent run --port 80 x");
        assert_eq!(typed(&["--", "--help"]), "agent run --help");
        assert_eq!(typed(&["a", "--", "b"]), "agent run a -- b");
    }
}
