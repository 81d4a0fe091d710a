//! The files of a recording: their names, their size, and how many stay.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// How a recording is cut into files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes after which the next part begins; `None`: there is one part.
    pub max_size: Option<u64>,
    /// Parts that stay; `None`: all of them.
    pub max_files: Option<u64>,
}

/// Why a file cannot be begun.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// There is one.
    #[error("{path} exists already; choose another name, or remove it", path = .0.display())]
    Exists(PathBuf),
    /// The system refuses.
    #[error("cannot create {path}: {source}", path = path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// The files of one recording: `FILE`, `FILE.1`, `FILE.2` and so on.
#[derive(Debug)]
pub struct Parts {
    base: PathBuf,
    rotation: Rotation,
    first: File,
    /// Number in the name of the first file.
    offset: u64,
}

impl Parts {
    /// Begins a recording that was not there before.
    ///
    /// # Errors
    ///
    /// [`CreateError`] when the file exists, or cannot be made.
    pub fn fresh(base: PathBuf, rotation: Rotation) -> Result<Self, CreateError> {
        let first = create(&base)?;
        Ok(Self { base, rotation, first, offset: 0 })
    }

    /// Begins a recording behind the files of earlier ones.
    ///
    /// # Errors
    ///
    /// [`CreateError`] when the file cannot be made.
    pub fn behind(base: PathBuf, rotation: Rotation) -> Result<Self, CreateError> {
        let offset = existing(&base).into_iter().max().map_or(0, |last| last + 1);
        let first = create(&name(&base, offset))?;
        Ok(Self { base, rotation, first, offset })
    }

    /// The first file, and where to go on from there.
    pub(super) fn open(self) -> (File, Place) {
        let Self { base, rotation, first, offset } = self;
        (first, Place { base, rotation, offset, part: 0 })
    }
}

/// Where a recording has got to.
#[derive(Debug)]
pub(super) struct Place {
    base: PathBuf,
    rotation: Rotation,
    offset: u64,
    part: u64,
}

impl Place {
    /// The file that is being written.
    pub(super) fn path(&self) -> PathBuf {
        name(&self.base, self.offset + self.part)
    }

    /// Its number in the stream.
    pub(super) const fn part(&self) -> u64 {
        self.part
    }

    /// True when a file of this size has no room for so many bytes more.
    pub(super) fn is_full(&self, size: u64, more: u64) -> bool {
        self.rotation.max_size.is_some_and(|max| size + more > max)
    }

    /// Begins the next file. The oldest ones go first: there are never too many.
    pub(super) fn next(&mut self) -> Result<File, CreateError> {
        let next = self.offset + self.part + 1;
        if let Some(keep) = self.rotation.max_files {
            for number in existing(&self.base).into_iter().filter(|number| number + keep <= next) {
                let old = name(&self.base, number);
                if let Err(error) = fs::remove_file(&old) {
                    log::warn!("cannot remove {}: {error}", old.display());
                }
            }
        }
        let file = create(&name(&self.base, next))?;
        self.part += 1;
        Ok(file)
    }
}

fn create(path: &Path) -> Result<File, CreateError> {
    File::create_new(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => CreateError::Exists(path.to_owned()),
        _ => CreateError::Create { path: path.to_owned(), source },
    })
}

fn name(base: &Path, number: u64) -> PathBuf {
    if number == 0 {
        return base.to_owned();
    }
    let mut name = base.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Numbers of the files that are there.
fn existing(base: &Path) -> Vec<u64> {
    let folder = base.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(own) = base.file_name().map(|name| name.to_string_lossy().into_owned()) else {
        return Vec::new();
    };
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    let number = |file: &fs::DirEntry| {
        let file = file.file_name().to_string_lossy().into_owned();
        match file.strip_prefix(&own)? {
            "" => Some(0),
            rest => rest.strip_prefix('.')?.parse().ok().filter(|number| *number > 0),
        }
    };
    files.flatten().filter_map(|file| number(&file)).collect()
}
