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

/// A folder that takes a report's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// This folder, which is made if it is not there. An audit takes minutes: that a file can be written is tried before.
    ///
    /// # Errors
    ///
    /// [`WriteError::File`].
    pub fn new(path: PathBuf) -> Result<Self, WriteError> {
        fs::create_dir_all(&path).map_err(|source| failed(&path, source))?;
        let folder = Self(path);
        let tried = folder.unfinished("report.json");
        fs::write(&tried, [])
            .and_then(|()| fs::remove_file(&tried))
            .map_err(|source| failed(&tried, source))?;
        Ok(folder)
    }

    /// Writes `report.html`, `report.json`, `report.md`, `junit.xml` and `capture.pcapng`; returns the files' paths. A file
    /// that was there is replaced as a whole.
    ///
    /// # Errors
    ///
    /// [`WriteError::File`].
    pub fn write(&self, report: &Report) -> Result<Vec<PathBuf>, WriteError> {
        let files: [(&str, Render); 5] = [
            ("report.html", |report| Ok(html::page(report).into_bytes())),
            ("report.json", json),
            ("report.md", |report| Ok(markdown::page(report).into_bytes())),
            ("junit.xml", junit::document),
            ("capture.pcapng", |report| Ok(capture::capture(report))),
        ];
        let mut written = Vec::new();
        for (name, render) in files {
            let path = self.0.join(name);
            let replace = |bytes: Vec<u8>| {
                let unfinished = self.unfinished(name);
                fs::write(&unfinished, bytes)?;
                fs::rename(&unfinished, &path)
            };
            render(report).and_then(replace).map_err(|source| failed(&path, source))?;
            written.push(path);
        }
        Ok(written)
    }

    /// Where a file is until it is whole.
    fn unfinished(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.new"))
    }
}

fn failed(path: &Path, source: io::Error) -> WriteError {
    WriteError::File { path: path.to_owned(), source }
}

/// Makes the content of a file.
type Render = fn(&Report) -> io::Result<Vec<u8>>;

fn json(report: &Report) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(report)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::Folder;

    #[test]
    fn a_folder_is_made_and_tried_before_there_is_a_report() {
        let place = env::temp_dir().join(format!("tcp-tracer-report-{}", process::id()));
        let folder = place.join("made").join("here");
        Folder::new(folder.clone()).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "what was tried is gone");
        // A file is in the way.
        fs::write(place.join("file"), "").unwrap();
        let refused = Folder::new(place.join("file")).unwrap_err().to_string();
        assert!(refused.contains("cannot write") && refused.contains("--output-dir"), "{refused}");
        fs::remove_dir_all(&place).unwrap();
    }
}
