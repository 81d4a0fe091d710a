//! Calls of cargo, and what cargo tells about the files that it made.

use std::{
    env,
    ffi::OsString,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::command;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Command(#[from] command::Error),
    #[error("a line of `{command}` is not the JSON that cargo promises: {source}")]
    Json { command: String, source: serde_json::Error },
}

/// A program that cargo built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executable {
    /// Name of cargo's target: the program's, or the test file's.
    pub name: String,
    /// Name of the package's folder.
    pub package: String,
    /// The package's folder: where cargo runs a test.
    pub folder: PathBuf,
    /// True if it was built to run tests.
    pub is_test: bool,
    /// True for an integration test (a file in `tests/`).
    pub is_integration_test: bool,
    pub path: PathBuf,
}

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    // cargo says at run time where the package is; the place of compilation serves a program started by hand.
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The target folder of the eBPF build, the one that `tracer/build.rs` uses: its packages for the host serve both.
pub fn ebpf_target_dir() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    let top = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    top.map_or_else(|| workspace().join("target"), Path::to_path_buf).join("ebpf")
}

/// The cargo that started this program, in the workspace's folder.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(workspace());
    command
}

/// Runs a building cargo command (complete but for its message format) and returns the programs that it made;
/// diagnostics go to the terminal.
pub fn executables(command: &mut Command) -> Result<Vec<Executable>, Error> {
    command.arg("--message-format=json-render-diagnostics").stdout(Stdio::piped());
    let line = command::line(command);
    let mut child =
        command.spawn().map_err(|source| command::Error::Start { command: line.clone(), source })?;
    let mut found = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for message in BufReader::new(stdout).lines() {
            let message = message.map_err(|source| command::Error::Read { command: line.clone(), source })?;
            found.extend(
                executable(&message).map_err(|source| Error::Json { command: line.clone(), source })?,
            );
        }
    }
    let status = child.wait().map_err(|source| command::Error::Read { command: line, source })?;
    command::succeeded(command, status)?;
    Ok(found)
}

/// The program that a message of cargo tells about, if it tells about one.
fn executable(message: &str) -> Result<Option<Executable>, serde_json::Error> {
    if !message.starts_with('{') {
        return Ok(None);
    }
    let message: Value = serde_json::from_str(message)?;
    let text = |pointer| message.pointer(pointer).and_then(Value::as_str);
    let described = || {
        let path = PathBuf::from(text("/executable")?);
        let folder = Path::new(text("/manifest_path")?).parent()?.to_path_buf();
        Some(Executable {
            name: text("/target/name")?.to_owned(),
            package: folder.file_name()?.to_string_lossy().into_owned(),
            is_test: message.pointer("/profile/test").and_then(Value::as_bool)?,
            is_integration_test: text("/target/kind/0")? == "test",
            folder,
            path,
        })
    };
    Ok(described())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_program_is_read_from_cargos_message() {
        let message = r#"{"reason":"compiler-artifact","package_id":"path+file:///w/tracer#0.1.0",
            "manifest_path":"/w/tracer/Cargo.toml","target":{"kind":["test"],"crate_types":["bin"],"name":"live_tcp",
            "src_path":"/w/tracer/tests/live_tcp.rs"},"profile":{"test":true},
            "filenames":["/w/target/debug/deps/live_tcp-1"],"executable":"/w/target/debug/deps/live_tcp-1"}"#;
        let found = executable(message).unwrap().unwrap();
        assert_eq!(
            found,
            Executable {
                name: "live_tcp".into(),
                package: "tracer".into(),
                folder: "/w/tracer".into(),
                is_test: true,
                is_integration_test: true,
                path: "/w/target/debug/deps/live_tcp-1".into(),
            }
        );
    }

    #[test]
    fn a_message_about_a_library_names_no_program() {
        let message = r#"{"reason":"compiler-artifact","manifest_path":"/w/model/Cargo.toml",
            "target":{"kind":["lib"],"name":"model"},"executable":null}"#;
        assert_eq!(executable(message).unwrap(), None);
    }

    #[test]
    fn lines_that_are_no_messages_are_passed_over_and_broken_ones_are_errors() {
        assert_eq!(executable("note: something").unwrap(), None);
        assert!(executable("{\"reason\":").is_err());
    }

    #[test]
    fn the_workspace_is_where_its_lock_file_is() {
        assert!(workspace().join("Cargo.lock").is_file());
    }
}
