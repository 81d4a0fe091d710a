//! `report.json`.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::model::Report;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file or its folder.
    #[error("cannot write {path}: {source}; choose another folder with --output-dir")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes `report.json` into the folder, which is made if it is not there; returns the file's path.
///
/// # Errors
///
/// [`WriteError::File`].
pub fn write_json(report: &Report, folder: &Path) -> Result<PathBuf, WriteError> {
    let path = folder.join("report.json");
    let failed = |source| WriteError::File { path: path.clone(), source };
    fs::create_dir_all(folder).map_err(failed)?;
    let mut file = BufWriter::new(File::create(&path).map_err(failed)?);
    serde_json::to_writer(&mut file, report).map_err(|error| failed(error.into()))?;
    file.write_all(b"\n").and_then(|()| file.flush()).map_err(failed)?;
    Ok(path)
}
