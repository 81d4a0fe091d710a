//! Root for the one program that needs it.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    process::Command,
};

use crate::command;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{program} needs root, and neither sudo nor doas is installed: start it as root yourself")]
    NoWayToRoot { program: String },
}

type Variable = (OsString, OsString);

/// True if this process has root's user id.
pub fn is_root() -> bool {
    // The kernel gives /proc/self to the effective user id of the process.
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// A command that starts `program` as root: directly, through sudo, or through doas.
/// `variables` are set for it in addition to those it inherits.
pub fn as_root(program: &Path, variables: &[(&str, &OsStr)]) -> Result<Command, Error> {
    if is_root() {
        let mut command = Command::new(program);
        command.envs(variables.iter().copied());
        return Ok(command);
    }
    let tool = ["sudo", "doas"].into_iter().find_map(command::find);
    let tool = tool.ok_or_else(|| Error::NoWayToRoot { program: program.display().to_string() })?;
    let mut command = Command::new(tool);
    // Neither tool passes variables on; `env` sets them behind the door.
    let added = variables.iter().map(|(name, value)| (OsString::from(name), value.to_os_string()));
    command.args(["--", "env"]).args(assignments(kept(env::vars_os()).chain(added))).arg(program);
    Ok(command)
}

/// The variables that our programs read.
fn kept(variables: impl Iterator<Item = Variable>) -> impl Iterator<Item = Variable> {
    let is_read = |name: &str| {
        ["CI", "NO_COLOR", "RUST_BACKTRACE", "RUST_LOG"].contains(&name) || name.starts_with("TCP_TRACER_")
    };
    variables.filter(move |(name, _)| name.to_str().is_some_and(is_read))
}

fn assignments(variables: impl Iterator<Item = Variable>) -> Vec<OsString> {
    let assignment = |(mut name, value): Variable| {
        name.push("=");
        name.push(value);
        name
    };
    variables.map(assignment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_programs_own_variables_pass_the_door_to_root() {
        let given = [
            ("RUST_LOG", "debug"),
            ("LD_PRELOAD", "x.so"),
            ("TCP_TRACER_LIVE", "required"),
            ("PATH", "/bin"),
        ];
        let given = given.map(|(name, value)| (name.into(), value.into()));
        assert_eq!(assignments(kept(given.into_iter())), ["RUST_LOG=debug", "TCP_TRACER_LIVE=required"]);
    }

    #[test]
    fn the_user_id_is_the_one_that_id_prints() {
        let id = command::output(Command::new("id").arg("-u")).unwrap();
        assert_eq!(is_root(), id.trim() == "0");
    }
}
