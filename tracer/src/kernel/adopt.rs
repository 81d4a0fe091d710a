//! The sockets that exist already: `iter/tcp` in every network namespace.

use std::{fs::File, io::Read};

use aya::programs::{Iter, ProgramError};
use tracer_ebpf::Record;

use super::netns::{self, Namespace};

/// What a listing of all namespaces found.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Records, back to back: cut with [`Record::SIZE`].
    pub records: Vec<u8>,
    /// Namespaces that were listed.
    pub namespaces: usize,
    /// Namespaces that could not be listed, and why.
    pub problems: Vec<AdoptError>,
}

/// Why a namespace was not listed.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// setns(2) refused.
    #[error(
        "cannot enter the network namespace {namespace}: {source}; its sockets are not adopted (needs CAP_SYS_ADMIN)"
    )]
    Enter {
        /// Where the namespace was found.
        namespace: String,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The iterator could not be started.
    #[error("cannot list the sockets of {namespace}: {source}")]
    Iterator {
        /// Where the namespace was found.
        namespace: String,
        /// What the kernel said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Lists every TCP socket of the host, minisockets included.
pub fn snapshot(program: &mut Iter) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for namespace in netns::all().into_values() {
        match list(program, &namespace, &mut snapshot.records) {
            Ok(()) => snapshot.namespaces += 1,
            Err(problem) => snapshot.problems.push(problem),
        }
    }
    snapshot
}

fn list(program: &mut Iter, namespace: &Namespace, records: &mut Vec<u8>) -> Result<(), AdoptError> {
    let name = || namespace.path.display().to_string();
    // The iterator lists the namespace of the thread that creates it (bpf_iter_init_seq_net).
    let mut listing = namespace
        .enter(|| open(program).map_err(|source| Box::new(source) as Box<_>))
        .map_err(|source| AdoptError::Enter { namespace: name(), source })?
        .map_err(|source| AdoptError::Iterator { namespace: name(), source })?;
    let before = records.len();
    listing
        .read_to_end(records)
        .map_err(|source| AdoptError::Iterator { namespace: name(), source: Box::new(source) })?;
    // A listing is whole records; cut what is not, so that the next namespace starts at a record.
    let whole = (records.len() - before) / Record::SIZE * Record::SIZE;
    records.truncate(before + whole);
    Ok(())
}

fn open(program: &mut Iter) -> Result<File, ProgramError> {
    let link = program.attach()?;
    program.take_link(link)?.into_file().map_err(|error| ProgramError::IOError(std::io::Error::other(error)))
}
