//! The kernel's own TCP counters, of every network namespace of the host.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::PathBuf,
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::namespace::Namespace;

/// The states in the order of the kernel's numbers from 1 on, named as the metrics name them.
pub const STATES: [&str; 12] = [
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
    "new_syn_recv",
];

/// Counters by name: `Tcp.ActiveOpens`, `TcpExt.TW`, `sockstat.tw`.
pub type Counters = BTreeMap<String, i64>;

/// The counters of every namespace of the host, by the namespace's inode number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(BTreeMap<u64, Counters>);

impl Host {
    /// Reads them. Namespaces that only a file descriptor keeps alive are not found.
    pub fn read() -> Self {
        Self(in_each_namespace(here))
    }

    /// The sum of one counter over all namespaces.
    pub fn sum(&self, counter: &str) -> i64 {
        self.0
            .values()
            .map(|counters| {
                *counters.get(counter).unwrap_or_else(|| panic!("the kernel has no counter {counter}"))
            })
            .sum()
    }

    /// True when both have the same namespaces: counters of one that went away are lost.
    pub fn same_namespaces(&self, other: &Self) -> bool {
        self.0.keys().eq(other.0.keys())
    }

    /// As [`Host::moved_since`], but for what happened in one namespace.
    pub fn moved_elsewhere_since(&self, earlier: &Self, namespace: &Namespace) -> Vec<String> {
        let inode = namespace.inode();
        let elsewhere = |host: &Self| {
            Self(
                host.0
                    .iter()
                    .filter(|(found, _)| **found != inode)
                    .map(|(found, counters)| (*found, counters.clone()))
                    .collect(),
            )
        };
        elsewhere(self).moved_since(&elsewhere(earlier))
    }

    /// What has opened, failed or closed in between; nothing: quiet. Segments may have moved: asking the agent takes some.
    pub fn moved_since(&self, earlier: &Self) -> Vec<String> {
        const MOVES: [&str; 6] = [
            "Tcp.ActiveOpens",
            "Tcp.PassiveOpens",
            "Tcp.AttemptFails",
            "Tcp.EstabResets",
            "Tcp.CurrEstab",
            "sockstat.inuse",
        ];
        if !self.same_namespaces(earlier) {
            return vec![format!("namespaces {:?} became {:?}", earlier.0.keys(), self.0.keys())];
        }
        let change = |name: &&str| self.sum(name) - earlier.sum(name);
        MOVES
            .iter()
            .filter(|name| change(name) != 0)
            .map(|name| format!("{name} by {}", change(name)))
            .collect()
    }
}

/// The counters of one namespace.
pub fn of(namespace: &Namespace) -> Counters {
    namespace.enter(here)
}

/// Sockets by state, of every namespace of the host, as `/proc/net/tcp` lists them: minisockets by their substate.
pub fn sockets() -> BTreeMap<&'static str, u64> {
    let mut sums: BTreeMap<_, _> = STATES.iter().map(|state| (*state, 0)).collect();
    for counts in in_each_namespace(sockets_here).values() {
        for (state, count) in counts {
            *sums.get_mut(state).expect("every state has a count") += count;
        }
    }
    sums
}

/// As [`sockets`], of the thread's namespace alone.
pub fn sockets_here() -> BTreeMap<&'static str, u64> {
    let mut counts: BTreeMap<_, _> = STATES.iter().map(|state| (*state, 0)).collect();
    for line in [net("tcp"), net("tcp6")].iter().flat_map(|table| table.lines().skip(1)) {
        let number =
            line.split_ascii_whitespace().nth(3).and_then(|field| usize::from_str_radix(field, 16).ok());
        let state =
            number.and_then(|number| STATES.get(number.checked_sub(1)?)).expect("a state in /proc/net/tcp");
        *counts.get_mut(state).expect("every state has a count") += 1;
    }
    counts
}

/// The counters of the thread's namespace.
pub fn here() -> Counters {
    let mut counters = Counters::new();
    for file in ["snmp", "netstat"] {
        parse_tables(&net(file), &mut counters);
    }
    parse_sockstat(&net("sockstat"), &mut counters);
    counters
}

/// Runs `work` once inside every namespace that a process or a name under `/run/netns` stands for.
fn in_each_namespace<T: Send>(work: impl Fn() -> T + Send + Sync) -> BTreeMap<u64, T> {
    let mut found = BTreeMap::new();
    for path in paths() {
        let Ok(inode) = fs::metadata(&path).map(|metadata| metadata.ino()) else { continue };
        if found.contains_key(&inode) {
            continue;
        }
        // Its process may just have ended.
        let Ok(handle) = File::open(&path) else { continue };
        let inside = || {
            move_into_link_name_space(handle.as_fd(), Some(LinkNameSpaceType::Network)).ok()?;
            Some(work())
        };
        let result = thread::scope(|scope| scope.spawn(inside).join());
        if let Some(result) = result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
            found.insert(inode, result);
        }
    }
    found
}

fn paths() -> Vec<PathBuf> {
    let entries = |folder| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let processes = entries("/proc").filter(|path| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
    });
    processes.map(|path| path.join("ns/net")).chain(entries("/run/netns")).collect()
}

/// A file of `/proc/net`, of the thread's own namespace (`/proc/net` itself is that of the main thread).
fn net(file: &str) -> String {
    fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default()
}

/// `snmp` and `netstat`: a line of names, a line of values.
fn parse_tables(text: &str, counters: &mut Counters) {
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let Some((table, names)) = names.split_once(':') else { continue };
        let Some((_, values)) = values.split_once(':') else { continue };
        for (name, value) in names.split_ascii_whitespace().zip(values.split_ascii_whitespace()) {
            if let Ok(value) = value.parse() {
                counters.insert(format!("{table}.{name}"), value);
            }
        }
    }
}

/// `TCP: inuse 3 orphan 0 tw 0 alloc 3 mem 289`
fn parse_sockstat(text: &str, counters: &mut Counters) {
    let Some(line) = text.lines().find_map(|line| line.strip_prefix("TCP:")) else { return };
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    for pair in words.chunks_exact(2) {
        if let Ok(value) = pair[1].parse() {
            counters.insert(format!("sockstat.{}", pair[0]), value);
        }
    }
}

#[test]
fn tables_are_read_by_name() {
    let mut counters = Counters::new();
    parse_tables("Tcp: MaxConn ActiveOpens\nTcp: -1 42\nTcpExt: TW\nTcpExt: 7\n", &mut counters);
    parse_sockstat("sockets: used 26\nTCP: inuse 3 orphan 0 tw 5 alloc 3 mem 289\n", &mut counters);
    assert_eq!(counters["Tcp.MaxConn"], -1);
    assert_eq!(counters["Tcp.ActiveOpens"], 42);
    assert_eq!(counters["TcpExt.TW"], 7);
    assert_eq!(counters["sockstat.tw"], 5);
}
