//! Folders and files of the tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tracer::audit::report::{Folder, model::Report};

use crate::fixture;

/// An empty folder of a test's own.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Writes the report into the folder.
pub fn written(report: &Report, folder: &Path) {
    Folder::new(folder.to_owned()).unwrap().write(report).unwrap();
}

/// One of the files of the fixture's report.
pub fn file(test: &str, name: &str) -> Vec<u8> {
    let folder = folder(test);
    written(&fixture::report(), &folder);
    fs::read(folder.join(name)).unwrap()
}

/// The same as text.
pub fn text(test: &str, name: &str) -> String {
    String::from_utf8(file(test, name)).unwrap()
}
