//! The sweep: walks the sockets of some namespaces for what no hook shows.
//!
//! `iter/tcp` walks the sockets of a namespace and writes records: of each FIN_WAIT2 minisocket that the peer's FIN has
//! turned into TIME_WAIT since the last sweep (the program `sweep`), or of every socket (`snapshot`), to find out after a
//! loss what is left. A walk costs with the number of sockets, so it happens only where there is something to find, on
//! a thread of its own, and takes at most one part in [`SHARE`] of one CPU.

use std::{
    collections::HashMap,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use aya::programs::{
    Iter, ProgramError,
    iter::{IterLink, IterLinkId},
};
use tracer_ebpf::Record;

use super::{
    clock,
    netns::{self, Namespace},
};

/// Sweeping may take one part in so many of one CPU.
pub const SHARE: u32 = 100;

/// The least time between two sweeps.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// A sweep that is ready to start: one link for each namespace, by what records carry of it.
#[derive(Debug)]
pub struct Sweep {
    links: Vec<(u64, IterLink)>,
    places: HashMap<u64, PathBuf>,
}

/// What a sweep came to.
#[derive(Debug, Default)]
pub struct Swept {
    /// When it was begun, CLOCK_MONOTONIC nanoseconds.
    pub from: u64,
    /// When it was done.
    pub until: u64,
    /// Processor time that it took: on a busy host less than it lasted.
    pub cost: Duration,
    /// Records, back to back: cut with [`Record::SIZE`].
    pub records: Vec<u8>,
    /// The namespaces that were walked to their end.
    pub walked: Vec<u64>,
    /// Why namespaces were not swept.
    pub problems: Vec<String>,
    /// Where namespaces were found, for the next sweep.
    pub places: HashMap<u64, PathBuf>,
}

impl Swept {
    /// How long it took.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        Duration::from_nanos(self.until.saturating_sub(self.from))
    }
}

impl Sweep {
    /// Prepares a sweep of these namespaces. `places`: where the last sweep found them.
    ///
    /// # Errors
    ///
    /// [`ProgramError`] when the iterator cannot be linked.
    pub fn new(
        program: &mut Iter,
        namespaces: impl Iterator<Item = u64>,
        places: HashMap<u64, PathBuf>,
    ) -> Result<Self, ProgramError> {
        let links = namespaces
            .map(|netns| {
                let link: IterLinkId = program.attach()?;
                Ok((netns, program.take_link(link)?))
            })
            .collect::<Result<_, ProgramError>>()?;
        Ok(Self { links, places })
    }

    /// Walks through the namespaces.
    #[must_use]
    pub fn run(self) -> Swept {
        let Self { links, mut places } = self;
        let mut swept = Swept { from: clock::now(), ..Swept::default() };
        let spent_before = clock::spent_by_this_thread();
        let is_known = |netns: &u64| {
            let place = places.get(netns);
            let namespace = place.and_then(|place| Namespace::open(place).ok());
            namespace.is_some_and(|namespace| namespace.identity().is_ok_and(|found| found == *netns))
        };
        if !links.iter().all(|(netns, _)| is_known(netns)) {
            places = netns::all()
                .into_values()
                .filter_map(|namespace| Some((namespace.identity().ok()?, namespace.path)))
                .collect();
        }
        for (netns, link) in links {
            // A namespace that is gone has taken its minisockets along; one without a process or a name stays unswept.
            let Some(place) = places.get(&netns) else { continue };
            match walk(place, netns, link, &mut swept.records) {
                Ok(true) => swept.walked.push(netns),
                Ok(false) => {}
                Err(problem) => {
                    swept.problems.push(format!("cannot walk the sockets of {}: {problem}", place.display()));
                }
            }
        }
        swept.cost = clock::spent_by_this_thread().saturating_sub(spent_before);
        swept.until = clock::now();
        swept.places = places;
        swept
    }
}

/// False when another namespace is at this place now.
fn walk(
    place: &Path,
    netns: u64,
    link: IterLink,
    records: &mut Vec<u8>,
) -> Result<bool, Box<dyn std::error::Error>> {
    // The iterator lists the namespace of the thread that creates it (bpf_iter_init_seq_net).
    let (found, listing) = Namespace::open(place)?.look(|| link.into_file())?;
    if found != netns {
        return Ok(false);
    }
    let before = records.len();
    let read = listing?.read_to_end(records);
    let whole = (records.len() - before) / Record::SIZE * Record::SIZE;
    records.truncate(before + whole);
    read?;
    Ok(true)
}
