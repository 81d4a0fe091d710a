//! A report's files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{capture, html, junit, markdown, model::Report};

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

/// Writes `report.html`, `report.json`, `report.md`, `junit.xml` and `capture.pcapng` into the folder, which is made if
/// it is not there; returns the files' paths. A file that was there is replaced as a whole.
///
/// # Errors
///
/// [`WriteError::File`].
pub fn write(report: &Report, folder: &Path) -> Result<Vec<PathBuf>, WriteError> {
    let failed = |path: &Path, source| WriteError::File { path: path.to_owned(), source };
    fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
    let files: [(&str, Render); 5] = [
        ("report.html", |report| Ok(html::page(report).into_bytes())),
        ("report.json", json),
        ("report.md", |report| Ok(markdown::page(report).into_bytes())),
        ("junit.xml", junit::document),
        ("capture.pcapng", |report| Ok(capture::capture(report))),
    ];
    let mut written = Vec::new();
    for (name, render) in files {
        let path = folder.join(name);
        let replace = |bytes: Vec<u8>| {
            let unfinished = folder.join(format!("{name}.new"));
            fs::write(&unfinished, bytes)?;
            fs::rename(&unfinished, &path)
        };
        render(report).and_then(replace).map_err(|source| failed(&path, source))?;
        written.push(path);
    }
    Ok(written)
}

/// Makes the content of a file.
type Render = fn(&Report) -> io::Result<Vec<u8>>;

fn json(report: &Report) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(report)?;
    bytes.push(b'\n');
    Ok(bytes)
}
