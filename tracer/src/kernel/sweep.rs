//! The sweep: finds what no hook shows, the FIN_WAIT2 minisockets that the peer's FIN has turned into TIME_WAIT.
//!
//! The program `sweep` looks at those that the hooks have noted, and at no others. Those that were there before the
//! agent are known by their cookie alone, and are listed, as long as there are any. Both happen only where there is
//! something to find, on a thread of their own, and take at most one part in [`SHARE`] of one CPU.

use std::{
    collections::{HashMap, HashSet},
    io::Read,
    sync::Arc,
    time::Duration,
};

use tracer_ebpf::{Record, SWEEP_COPY, uapi::tcp_state};

use super::{
    clock,
    iter::BpfIter,
    listing::{Lister, Snapshot},
};
use crate::{judge::records, recording::layout};

/// Sweeping may take one part in so many of one CPU.
pub const SHARE: u32 = 100;

/// The least time between two sweeps.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// A sweep that is ready to start.
#[derive(Debug)]
pub struct Sweep {
    /// Walks through those that the hooks have noted.
    pub noted: Arc<BpfIter>,
    /// Lists the others.
    pub lister: Option<Arc<Lister>>,
    /// Cookies of the others, by network namespace.
    pub others: HashMap<u64, HashSet<u64>>,
}

impl Sweep {
    /// Looks. What was found is records, of minisockets that are TIME_WAIT now.
    #[must_use]
    pub fn run(self) -> Snapshot {
        let Self { noted, lister, others } = self;
        let mut swept = match lister {
            Some(lister) if !others.is_empty() => lister.list(Some(&others.keys().copied().collect())),
            _ => Snapshot { from: clock::now(), ..Snapshot::default() },
        };
        swept.records = records(&swept.records)
            .filter_map(layout::record)
            .filter(|record| {
                record.to == tcp_state::TIME_WAIT
                    && others.get(&record.netns).is_some_and(|others| others.contains(&record.cookie))
            })
            .flat_map(|record| layout::bytes(&Record { copy: SWEEP_COPY, ..record }))
            .collect();
        let before = swept.records.len();
        let (read, cost) = clock::spending(|| noted.open()?.read_to_end(&mut swept.records));
        let whole = (swept.records.len() - before) / Record::SIZE * Record::SIZE;
        swept.records.truncate(before + whole);
        swept.problems.extend(read.err().map(Into::into));
        swept.cost += cost;
        swept.until = clock::now();
        swept
    }
}
