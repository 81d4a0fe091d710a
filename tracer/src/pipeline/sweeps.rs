//! When to sweep for late FINs, and what has been taken in of the sweep that is done.

use std::{collections::HashMap, path::PathBuf, sync::mpsc, time::Duration};

use aya::programs::Iter;
use tracer_ebpf::Record;

use crate::{
    judge::records,
    kernel::{
        clock::now,
        load::Attached,
        sweep::{self, Sweep, Swept},
    },
    tracker::Tracker,
};

/// Records of a sweep that are taken in between two batches of the ring.
const BITE: usize = 1024;

/// Time until a sweep that could not be started is tried again.
const FAILED_SWEEP: Duration = Duration::from_secs(60);

/// The sweeps.
#[derive(Default)]
pub(super) struct Sweeps {
    due: u64,
    running: Option<mpsc::Receiver<Swept>>,
    /// What it found, and how many of its records have been taken in.
    done: Option<(Swept, usize)>,
    /// Where namespaces were found.
    places: HashMap<u64, PathBuf>,
}

impl Sweeps {
    /// Starts a sweep where late FINs may have come, and hands the next records of the one that is done to `each`, as
    /// soon as everything up to its end has been processed: each minisocket's birth comes first. The sweep comes back
    /// when all of it has been handed over.
    pub(super) fn turn(
        &mut self,
        attached: &mut Attached,
        tracker: &Tracker,
        processed: u64,
    ) -> (Vec<u8>, Option<Swept>) {
        if self.is_due(now()) && tracker.books().with_fin_wait2_minisockets().next().is_some() {
            self.start(attached, tracker);
        }
        let Some((swept, taken_in)) = self.done(processed) else { return (Vec::new(), None) };
        // In bites: meanwhile the ring fills.
        let bite: Vec<u8> =
            records(&swept.records).skip(taken_in).take(BITE).flatten().copied().collect();
        if bite.len() == BITE * Record::SIZE {
            self.done = Some((swept, taken_in + BITE));
            return (bite, None);
        }
        self.finish(&swept);
        (bite, Some(swept))
    }

    const fn is_due(&self, now: u64) -> bool {
        self.running.is_none() && self.done.is_none() && now >= self.due
    }

    fn start(&mut self, attached: &mut Attached, tracker: &Tracker) {
        let program: Option<&mut Iter> = if attached.sweep_problem.is_none() {
            attached.ebpf.program_mut("sweep").and_then(|program| program.try_into().ok())
        } else {
            None
        };
        let Some(program) = program else { return };
        let namespaces = tracker.books().with_fin_wait2_minisockets();
        match Sweep::new(program, namespaces, std::mem::take(&mut self.places)) {
            Ok(sweep) => {
                let (sender, receiver) = mpsc::channel();
                self.running = Some(receiver);
                // Nobody waits any more when the agent is about to end.
                drop(tokio::task::spawn_blocking(move || drop(sender.send(sweep.run()))));
            }
            Err(error) => {
                log::warn!("cannot look for late FINs: {error}");
                self.due = now() + nanoseconds(FAILED_SWEEP);
            }
        }
    }

    /// The outcome, as soon as everything up to its end has been processed, and how much of it has been taken in.
    fn done(&mut self, processed: u64) -> Option<(Swept, usize)> {
        match self.running.as_ref()?.try_recv() {
            Ok(swept) => self.done = Some((swept, 0)),
            Err(mpsc::TryRecvError::Empty) => return None,
            Err(mpsc::TryRecvError::Disconnected) if self.done.is_none() => {
                // The sweeper died.
                self.running = None;
                self.due = now() + nanoseconds(FAILED_SWEEP);
            }
            Err(mpsc::TryRecvError::Disconnected) => {}
        }
        self.done.take_if(|(swept, _)| swept.until <= processed)
    }

    /// All of it has been taken in.
    fn finish(&mut self, swept: &Swept) {
        self.running = None;
        self.places.clone_from(&swept.places);
        self.due = swept.from + nanoseconds(sweep::INTERVAL.max(swept.cost * sweep::SHARE));
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
