//! What runs leave behind, as JSON, for the documents: kernels may be booted one at a time, each from its own tree.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use crate::{
    cargo, command,
    file::{self, failed},
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    File(#[from] file::Error),
    #[error("{path} is not what `cargo xtask vm` keeps there, or what another version of it kept: {source}")]
    Json { path: PathBuf, source: serde_json::Error },
}

/// Reads a file; what is empty where there is none.
pub fn read<T: Default + for<'a> Deserialize<'a>>(path: &Path) -> Result<T, Error> {
    match fs::read(path) {
        Ok(json) => {
            serde_json::from_slice(&json).map_err(|source| Error::Json { path: path.to_path_buf(), source })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(source) => Err(failed("read", path)(source).into()),
    }
}

/// Writes a file.
pub fn write<T: Serialize + ?Sized>(path: &Path, what: &T) -> Result<(), Error> {
    let json = serde_json::to_string_pretty(what)
        .map_err(|source| Error::Json { path: path.to_path_buf(), source })?;
    Ok(fs::write(path, json + "\n").map_err(failed("write", path))?)
}

/// Of those with the same key the one with the highest rank, the later one of two equals; in the order of keys.
pub fn latest<T, K: Ord, R: PartialOrd>(
    records: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> K,
    rank: impl Fn(&T) -> R,
) -> Vec<T> {
    let mut found: BTreeMap<K, T> = BTreeMap::new();
    for record in records {
        let key = key(&record);
        if found.get(&key).is_none_or(|known| rank(known) <= rank(&record)) {
            found.insert(key, record);
        }
    }
    found.into_values().collect()
}

/// Now, seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// The commit of this tree, and whether files beside the documents differ from it.
pub fn tree() -> String {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(cargo::workspace()).args(arguments);
        command::output(&mut git).map(|output| output.trim().to_owned())
    };
    let changed = ["status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs"];
    match (git(&["rev-parse", "--short=10", "HEAD"]), git(&changed)) {
        (Ok(commit), Ok(changes)) if changes.is_empty() => commit,
        (Ok(commit), _) => format!("{commit}, changed"),
        (Err(_), _) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let path = std::env::temp_dir().join(format!("tcp-tracer-kept-{}.json", std::process::id()));
        assert_eq!(read::<Vec<u32>>(&path).unwrap(), [0_u32; 0]);
        write(&path, &[1, 2]).unwrap();
        assert_eq!(read::<Vec<u32>>(&path).unwrap(), [1, 2]);
        fs::write(&path, "{}").unwrap();
        let error = read::<Vec<u32>>(&path).unwrap_err().to_string();
        assert!(error.contains("is not what `cargo xtask vm` keeps there"), "{error}");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_highest_of_each_kind_stays_and_the_later_one_of_equals() {
        let records = [("b", 1, 'x'), ("a", 3, 'x'), ("a", 2, 'y'), ("b", 1, 'z')];
        let left = latest(records, |record| record.0, |record| record.1);
        assert_eq!(left, [("a", 3, 'x'), ("b", 1, 'z')]);
    }
}
