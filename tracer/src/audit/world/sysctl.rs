//! The settings of the calling thread's network.

use std::{collections::BTreeMap, fs, path::PathBuf};

use super::WorldError;

/// The settings under `net`, by their names with dots. `/proc/sys` shows each thread those of its own namespace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sysctls;

impl Sysctls {
    /// Sets one.
    ///
    /// # Errors
    ///
    /// [`WorldError::Sysctl`].
    pub fn set(self, name: &str, value: &str) -> Result<(), WorldError> {
        fs::write(path(name), value).map_err(|source| WorldError::Sysctl {
            name: name.to_owned(),
            value: value.to_owned(),
            source,
        })
    }

    /// Reads one; `None` when this kernel has none of that name.
    #[must_use]
    pub fn get(self, name: &str) -> Option<String> {
        let value = fs::read_to_string(path(name)).ok()?;
        Some(value.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// Everything that is about TCP.
    #[must_use]
    pub fn tcp(self) -> BTreeMap<String, String> {
        let entries = fs::read_dir("/proc/sys/net/ipv4").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with("tcp_"))
            // The keys of Fast Open are secrets.
            .filter(|name| name != "tcp_fastopen_key")
            .map(|name| format!("net.ipv4.{name}"))
            .filter_map(|name| Some((name.clone(), self.get(&name)?)))
            .collect()
    }
}

fn path(name: &str) -> PathBuf {
    PathBuf::from("/proc/sys").join(name.replace('.', "/"))
}
