//! What goes wrong with a file or a folder, said in one way.

use std::{
    io,
    path::{Path, PathBuf},
};

/// What was tried, on what, and what the system said.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {path}: {source}")]
pub struct Error {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Turns the system's answer into [`Error`].
pub fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error { what, path, source }
}
