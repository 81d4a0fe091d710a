//! The kernel's books of every network namespace, each read at a known time.

use std::path::PathBuf;

use super::{
    clock,
    netns::{self, FindError, Namespace},
    procfs::{Counters, ProcError},
};
use crate::ledger::KernelCounter;

/// The books of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What records carry of the namespace.
    pub netns: u64,
    /// Where the namespace was found.
    pub path: PathBuf,
    /// By [`KernelCounter`]; `None` where this kernel has no such counter.
    pub counters: [Option<i64>; KernelCounter::ALL.len()],
    /// `TcpExt: SyncookiesFailed`: what no tracepoint shows.
    pub cookies_failed: Option<i64>,
}

/// One look at all of them.
#[derive(Debug, Default)]
pub struct Readings {
    /// When the first file was opened, CLOCK_MONOTONIC nanoseconds.
    pub from: u64,
    /// When the last one was closed.
    pub until: u64,
    /// The namespaces that could be read.
    pub namespaces: Vec<Reading>,
    /// Why others could not.
    pub problems: Vec<ReadingError>,
}

/// Why the books of a namespace are not known.
#[derive(Debug, thiserror::Error)]
pub enum ReadingError {
    /// The namespace cannot be entered, or does not tell its cookie.
    #[error(transparent)]
    Namespace(#[from] FindError),
    /// Its files cannot be read.
    #[error(transparent)]
    Proc(#[from] ProcError),
}

/// Reads the books of every namespace that can be found.
#[must_use]
pub fn read() -> Readings {
    // The time that reading takes decides how often it is done.
    netns::learn_identity();
    let mut readings = Readings { from: clock::now(), ..Readings::default() };
    for namespace in netns::all().into_values() {
        match of(namespace) {
            Ok(reading) => readings.namespaces.push(reading),
            Err(problem) => readings.problems.push(problem),
        }
    }
    readings.until = clock::now();
    readings
}

fn of(namespace: Namespace) -> Result<Reading, ReadingError> {
    let (netns, counters) = namespace.look(Counters::of_this_thread)?;
    let counters = counters?;
    let cookies_failed = counters.get("TcpExt", "SyncookiesFailed");
    let counters = KernelCounter::ALL.map(|counter| {
        let (section, name) = counter.source();
        counters.get(section, name)
    });
    Ok(Reading { netns, path: namespace.path, counters, cookies_failed })
}
