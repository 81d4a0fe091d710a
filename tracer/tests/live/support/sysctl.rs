//! Values under `/proc/sys`.

use std::{fs, path::Path};

/// Sets a value.
pub fn write(path: &str, value: &str) {
    let path = Path::new("/proc/sys").join(path);
    fs::write(&path, value)
        .unwrap_or_else(|error| panic!("cannot write {value} to {}: {error}", path.display()));
}

/// A value of the whole host that is put back when dropped.
#[derive(Debug)]
pub struct Changed {
    path: &'static str,
    before: String,
}

impl Changed {
    pub fn to(path: &'static str, value: &str) -> Self {
        let before = fs::read_to_string(Path::new("/proc/sys").join(path)).expect("a sysctl");
        write(path, value);
        Self { path, before }
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        let _ = fs::write(Path::new("/proc/sys").join(self.path), self.before.trim());
    }
}
