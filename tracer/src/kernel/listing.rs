//! The sockets that exist already, in every network namespace.

use std::{
    collections::HashSet,
    io::{self, Read},
    time::Duration,
};

use tracer_ebpf::Record;

use super::{
    clock,
    iter::BpfIter,
    netns::{self, FindError, Namespace},
    sock_diag::{self, DiagError},
};
use crate::recording::layout;

/// How the sockets of a namespace are listed here.
#[derive(Debug)]
pub enum Lister {
    /// By `sock_diag`: what it lists is known by its cookie.
    SockDiag,
    /// By the program `snapshot` (`iter/tcp`), on kernels that give tracing programs no cookies: what it lists is known
    /// by its address, which `sock_diag` does not tell.
    Iterator(BpfIter),
}

/// What a listing found.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// When it was begun, CLOCK_MONOTONIC nanoseconds.
    pub from: u64,
    /// When it was done.
    pub until: u64,
    /// Processor time that it took: on a busy host less than it lasted.
    pub cost: Duration,
    /// Records, back to back: cut with [`Record::SIZE`].
    pub records: Vec<u8>,
    /// Namespaces that were listed to their end, by what records carry of them.
    pub namespaces: Vec<u64>,
    /// Namespaces that could not be listed, and why.
    pub problems: Vec<ListError>,
}

impl Snapshot {
    /// How long it took.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        Duration::from_nanos(self.until.saturating_sub(self.from))
    }
}

/// Why a namespace was not listed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It cannot be entered, or its identity is not told.
    #[error("the sockets of a network namespace cannot be listed: {0}")]
    Namespace(#[from] FindError),
    /// The sweep could not be started or read.
    #[error("cannot look at the orphans' minisockets: {0}")]
    Sweep(#[from] io::Error),
    /// The listing failed.
    #[error("cannot list the sockets of {namespace}: {source}")]
    Failed {
        /// Where the namespace was found.
        namespace: String,
        /// What went wrong.
        source: Cause,
    },
}

/// What went wrong with a listing.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The iterator could not be started or read.
    #[error("iter/tcp: {0}")]
    Iterator(#[from] io::Error),
    /// `sock_diag` failed.
    #[error(transparent)]
    SockDiag(#[from] DiagError),
}

impl Lister {
    /// Its name, for people.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SockDiag => "sock_diag",
            Self::Iterator(_) => "iter/tcp",
        }
    }

    /// Lists every TCP socket, minisockets included; `only`: of these namespaces.
    #[must_use]
    pub fn list(&self, only: Option<&HashSet<u64>>) -> Snapshot {
        let mut snapshot = Snapshot { from: clock::now(), ..Snapshot::default() };
        for namespace in netns::everywhere().into_values() {
            match self.list_one(&namespace, only, &mut snapshot) {
                Ok(Some(netns)) => snapshot.namespaces.push(netns),
                Ok(None) => {}
                Err(problem) => snapshot.problems.push(problem),
            }
        }
        snapshot.until = clock::now();
        snapshot
    }

    /// Says which namespace it was; `None` when it is none of those.
    fn list_one(
        &self,
        namespace: &Namespace,
        only: Option<&HashSet<u64>>,
        Snapshot { records, cost, .. }: &mut Snapshot,
    ) -> Result<Option<u64>, ListError> {
        let netns = namespace.identity()?;
        if only.is_some_and(|only| !only.contains(&netns)) {
            return Ok(None);
        }
        let name = || namespace.path.display().to_string();
        let before = records.len();
        let (_, (listed, spent)) = namespace.look(|| clock::spending(|| self.list_here(netns, records)))?;
        *cost += spent;
        // A listing is whole records; cut what is not, so that the next namespace starts at a record.
        let whole = (records.len() - before) / Record::SIZE * Record::SIZE;
        records.truncate(before + whole);
        listed.map_err(|source| ListError::Failed { namespace: name(), source })?;
        Ok(Some(netns))
    }

    /// In the namespace of the calling thread.
    fn list_here(&self, netns: u64, records: &mut Vec<u8>) -> Result<(), Cause> {
        match self {
            Self::SockDiag => {
                sock_diag::list(netns, |record| records.extend_from_slice(&layout::bytes(record)))?;
            }
            // It lists the namespace of the thread that creates it (bpf_iter_init_seq_net).
            Self::Iterator(program) => {
                program.open()?.read_to_end(records)?;
            }
        }
        Ok(())
    }
}
