//! `report.json`, read back.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::model::{Report, VERSION};

/// Why a report could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file.
    #[error("cannot read {path}: {source}; give the report.json of an audit, or the folder that it is in")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No JSON, or cut off.
    #[error("{path} is damaged: {source}; write it anew with `tcp-tracer audit --output-dir DIR`")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What the parser said, with line and column.
        source: serde_json::Error,
    },
    /// A report whose parts contradict each other.
    #[error("{path} is damaged: {what}; write it anew with `tcp-tracer audit --output-dir DIR`")]
    Contradiction {
        /// Which.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// JSON of something else.
    #[error("{path} is no report of `tcp-tracer audit`: it has no version, tool and kernel")]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// Another version of the data model.
    #[error(
        "{path} has version {found} of the report's format (tcp-tracer {tool}), this tcp-tracer reads {VERSION}; audit again with one version on both kernels"
    )]
    Version {
        /// Which.
        path: PathBuf,
        /// The version that it has.
        found: u64,
        /// What wrote it.
        tool: String,
    },
}

/// What tells a report from other JSON, in every version of the format.
#[derive(Deserialize)]
struct Head {
    version: u64,
    tool: String,
    #[serde(rename = "kernel")]
    _kernel: serde::de::IgnoredAny,
}

/// Reads a report; of a folder, the `report.json` in it.
///
/// # Errors
///
/// [`ReadError`].
pub fn read(path: &Path) -> Result<Report, ReadError> {
    let path = if path.is_dir() { path.join("report.json") } else { path.to_owned() };
    match fs::read(&path) {
        Ok(bytes) => parse(&bytes, &path),
        Err(source) => Err(ReadError::File { path, source }),
    }
}

fn parse(bytes: &[u8], path: &Path) -> Result<Report, ReadError> {
    let path = path.to_owned();
    let head: Head = match serde_json::from_slice(bytes) {
        Ok(head) => head,
        // The JSON is good and the fields are others.
        Err(error) if error.is_data() => return Err(ReadError::Foreign { path }),
        Err(source) => return Err(ReadError::Damaged { path, source }),
    };
    if head.version != u64::from(VERSION) {
        return Err(ReadError::Version { path, found: head.version, tool: head.tool });
    }
    let report: Report = match serde_json::from_slice(bytes) {
        Ok(report) => report,
        Err(source) => return Err(ReadError::Damaged { path, source }),
    };
    match report.matrix.as_ref().and_then(super::model::Matrix::damage) {
        Some(what) => Err(ReadError::Contradiction { path, what }),
        None => Ok(report),
    }
}
