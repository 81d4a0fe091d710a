//! After a loss the books are refreshed: what a listing does not show any more has ended unseen.

use std::time::Duration;

use tracer_ebpf::Hook;

use super::{Sinks, Work, sweeps::Sweeps, take};
use crate::{
    judge::Input,
    kernel::{clock::now, load::Attached},
    tracker::SETTLED,
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

    /// When there may be something to do again, CLOCK_MONOTONIC nanoseconds.
    pub(super) fn next(&self) -> u64 {
        if self.losses.is_some() || self.sweeps.is_under_way() { self.sweeps.next() } else { u64::MAX }
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
        attached: &Attached,
        is_calm: bool,
        processed: u64,
        sinks: &mut impl Sinks,
    ) {
        if is_calm
            && self.refresh.is_due(now())
            && let Some(lister) = attached.lister.clone()
        {
            self.refresh.losses = None;
            let namespaces = self.judge.tracker().namespaces();
            self.take(Input::Listing, sinks);
            self.refresh.sweeps.start(move || lister.list(Some(&namespaces)));
        }
        let Self { refresh, judge, .. } = self;
        let listed =
            refresh.sweeps.take_in(processed, INTERVAL, |record| take(judge, Input::Shown(record), sinks));
        let Some(listed) = listed else { return };
        for netns in &listed.namespaces {
            take(judge, Input::Walked(*netns), sinks);
        }
        take(judge, Input::Complete(listed.from), sinks);
        sinks.refreshed(&listed, judge.missing());
    }
}
