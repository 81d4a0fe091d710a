//! The kernel's own books of one network namespace: `/proc/net/{snmp,netstat,sockstat,sockstat6}`.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use super::netns::Namespace;

/// Counters of one namespace, by section and name, as the files spell them (`Tcp`/`ActiveOpens`,
/// `TcpExt`/`TCPTimeWaitOverflow`, `TCP`/`tw`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    values: BTreeMap<(String, String), i64>,
}

/// Why the counters are not known.
#[derive(Debug, thiserror::Error)]
pub enum ProcError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// setns(2) refused.
    #[error("cannot enter the network namespace {}: {source} (needs CAP_SYS_ADMIN)", .path.display())]
    Enter {
        /// Where the namespace was found.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Counters {
    /// Reads the books of a namespace.
    ///
    /// # Errors
    ///
    /// [`ProcError`] when the namespace cannot be entered or its files cannot be read.
    pub fn of(namespace: &Namespace) -> Result<Self, ProcError> {
        namespace
            .enter(Self::of_this_thread)
            .map_err(|source| ProcError::Enter { path: namespace.path.clone(), source })?
    }

    /// Reads the books of the namespace that this thread lives in.
    ///
    /// # Errors
    ///
    /// [`ProcError::Read`].
    pub fn of_this_thread() -> Result<Self, ProcError> {
        let mut counters = Self::default();
        // /proc/net belongs to the main thread; a thread that has moved finds its own namespace here.
        for (file, parse) in [
            ("snmp", Self::add_table as fn(&mut Self, &str)),
            ("netstat", Self::add_table),
            ("sockstat", Self::add_sockstat),
            ("sockstat6", Self::add_sockstat),
        ] {
            let path = PathBuf::from("/proc/thread-self/net").join(file);
            match fs::read_to_string(&path) {
                Ok(text) => parse(&mut counters, &text),
                // A kernel without IPv6 has no sockstat6.
                Err(error) if error.kind() == io::ErrorKind::NotFound && file == "sockstat6" => {}
                Err(source) => return Err(ProcError::Read { path, source }),
            }
        }
        Ok(counters)
    }

    /// One counter; `None` when this kernel has none of that name.
    #[must_use]
    pub fn get(&self, section: &str, name: &str) -> Option<i64> {
        self.values.get(&(section.to_owned(), name.to_owned())).copied()
    }

    /// `Section: name name ...` followed by `Section: value value ...`.
    fn add_table(&mut self, text: &str) {
        let mut lines = text.lines();
        while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
            let Some((section, names)) = names.split_once(':') else { continue };
            let Some((_, values)) = values.split_once(':') else { continue };
            for (name, value) in names.split_ascii_whitespace().zip(values.split_ascii_whitespace()) {
                self.insert(section, name, value);
            }
        }
    }

    /// `Section: name value name value ...`.
    fn add_sockstat(&mut self, text: &str) {
        for line in text.lines() {
            let Some((section, pairs)) = line.split_once(':') else { continue };
            let mut words = pairs.split_ascii_whitespace();
            while let (Some(name), Some(value)) = (words.next(), words.next()) {
                self.insert(section, name, value);
            }
        }
    }

    fn insert(&mut self, section: &str, name: &str, value: &str) {
        if let Ok(value) = value.parse() {
            self.values.insert((section.to_owned(), name.to_owned()), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Counters;

    #[test]
    fn a_table_names_its_values_one_line_above() {
        let mut counters = Counters::default();
        counters.add_table("Tcp: ActiveOpens PassiveOpens MaxConn\nTcp: 17 4 -1\nUdp: InDatagrams\nUdp: 3\n");
        assert_eq!(counters.get("Tcp", "ActiveOpens"), Some(17));
        assert_eq!(counters.get("Tcp", "MaxConn"), Some(-1));
        assert_eq!(counters.get("Udp", "InDatagrams"), Some(3));
        assert_eq!(counters.get("Tcp", "NoSuchCounter"), None);
    }

    #[test]
    fn sockstat_is_pairs() {
        let mut counters = Counters::default();
        counters.add_sockstat("sockets: used 131\nTCP: inuse 4 orphan 0 tw 60 alloc 5 mem 1\n");
        assert_eq!(counters.get("TCP", "tw"), Some(60));
        assert_eq!(counters.get("sockets", "used"), Some(131));
    }

    #[test]
    fn damaged_text_gives_no_counter() {
        let mut counters = Counters::default();
        counters.add_table("Tcp: ActiveOpens PassiveOpens\nTcp: seventeen\nTcp");
        counters.add_sockstat("TCP: tw\nTCP tw 4");
        assert_eq!(counters, Counters::default());
    }

    #[test]
    fn this_thread_has_books() {
        let counters = Counters::of_this_thread().expect("/proc is mounted");
        assert!(counters.get("Tcp", "ActiveOpens").is_some());
        assert!(counters.get("TCP", "tw").is_some());
    }
}
