//! After a loss the books are refreshed: what a listing does not show any more has ended unseen.

use std::time::Duration;

use tracer_ebpf::Hook;

use super::{Sinks, Work, conclude, sweeps::Sweeps};
use crate::{
    decode,
    kernel::{clock::now, load::Attached},
    tracker::{Listing, SETTLED},
};

/// The least time between two listings, and the longest wait for the losses to stop.
const INTERVAL: Duration = Duration::from_secs(10);

/// When something was lost, CLOCK_MONOTONIC nanoseconds.
#[derive(Clone, Copy)]
struct Losses {
    first: u64,
    last: u64,
}

#[derive(Default)]
pub(super) struct Refresh {
    /// Since the last listing was begun.
    losses: Option<Losses>,
    sweeps: Sweeps,
    listing: Listing,
}

impl Refresh {
    /// Events of this hook were lost before now.
    pub(super) fn lost(&mut self, hook: Hook, now: u64) {
        // What becomes of sockets is told by these; the others only say why.
        if matches!(
            hook,
            Hook::State | Hook::Destroy | Hook::TimerStart | Hook::TimerCancel | Hook::TimerExpire
        ) {
            self.losses.get_or_insert(Losses { first: now, last: now }).last = now;
        }
    }

    /// A loss rarely comes alone, and what moved just before it has to settle.
    fn is_due(&self, now: u64) -> bool {
        self.losses.is_some_and(|Losses { first, last }| {
            last + SETTLED <= now || first + super::nanoseconds(INTERVAL) <= now
        }) && self.sweeps.is_due(now)
    }
}

impl Work {
    /// Lists what exists when something was lost, and the ring is `calm`. What is found is taken in when everything up to
    /// the end of the listing has been.
    pub(super) fn refresh(
        &mut self,
        attached: &mut Attached,
        is_calm: bool,
        processed: u64,
        sinks: &mut impl Sinks,
    ) {
        if is_calm && self.refresh.is_due(now()) && attached.has(Hook::Snapshot) {
            self.refresh.losses = None;
            self.refresh.listing = Listing::default();
            let namespaces = self.tracker.namespaces();
            self.refresh.sweeps.start(attached, "snapshot", namespaces.into_iter());
        }
        let Self { refresh, tracker, ledger, .. } = self;
        let Refresh { sweeps, listing, .. } = refresh;
        let swept =
            sweeps.take_in(processed, INTERVAL, |record| match decode::decode(record, &attached.kernel) {
                Ok(event) => {
                    listing.show(&event);
                    tracker.observe(&event, &mut |step| conclude(step, ledger, sinks));
                }
                Err(reason) => sinks.malformed(&reason, decode::hook_of(record)),
            });
        let Some(swept) = swept else { return };
        listing.is_complete(swept.from, &swept.walked);
        let missing = tracker.missing(listing);
        for event in &missing {
            tracker.observe(event, &mut |step| conclude(step, ledger, sinks));
        }
        *listing = Listing::default();
        sinks.refreshed(&swept, missing.len());
    }
}
