//! One kind of look at the sockets: when it is due, the one that is under way, and what it found.

use std::{sync::mpsc, time::Duration};

use crate::{
    judge::records,
    kernel::{clock::now, listing::Snapshot, sweep},
};

/// Records of a sweep that are taken in between two batches of the ring, which fills meanwhile.
const BITE: usize = 1024;

/// Time until the next one when one has died.
const FAILED: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Sweeps {
    due: u64,
    running: Option<mpsc::Receiver<Snapshot>>,
    /// What it found, and how many of its records have been taken in.
    done: Option<(Snapshot, usize)>,
}

impl Sweeps {
    pub(super) const fn is_due(&self, now: u64) -> bool {
        !self.is_under_way() && now >= self.due
    }

    /// When it wants attention again, CLOCK_MONOTONIC nanoseconds; in the past while one is under way.
    pub(super) const fn next(&self) -> u64 {
        if self.is_under_way() { 0 } else { self.due }
    }

    pub(super) const fn is_under_way(&self) -> bool {
        self.running.is_some() || self.done.is_some()
    }

    /// Starts one on a thread of its own.
    pub(super) fn start(&mut self, look: impl FnOnce() -> Snapshot + Send + 'static) {
        let (sender, receiver) = mpsc::channel();
        self.running = Some(receiver);
        // Nobody waits any more when the agent is about to end.
        drop(tokio::task::spawn_blocking(move || drop(sender.send(look()))));
    }

    /// Hands over the next records that were found, as soon as everything up to the look's end has been processed; the
    /// rest of it with the last of them. The next one comes after `interval`, or later when this one was dear.
    pub(super) fn take_in(
        &mut self,
        processed: u64,
        interval: Duration,
        each: impl FnMut(&[u8]),
    ) -> Option<Snapshot> {
        match self.running.as_ref()?.try_recv() {
            Ok(found) => self.done = Some((found, 0)),
            Err(mpsc::TryRecvError::Empty) => return None,
            Err(mpsc::TryRecvError::Disconnected) if self.done.is_none() => {
                // Whoever looked died.
                self.running = None;
                self.due = now() + super::nanoseconds(FAILED);
            }
            Err(mpsc::TryRecvError::Disconnected) => {}
        }
        let (found, taken_in) = self.done.take_if(|(found, _)| found.until <= processed)?;
        let rest = records(&found.records).skip(taken_in);
        if rest.len() > BITE {
            rest.take(BITE).for_each(each);
            self.done = Some((found, taken_in + BITE));
            return None;
        }
        rest.for_each(each);
        self.running = None;
        self.due = found.from + super::nanoseconds(interval.max(found.cost * sweep::SHARE));
        Some(found)
    }
}
