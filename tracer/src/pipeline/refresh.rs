//! After a loss the books are refreshed: what a listing does not show any more has ended unseen.

use std::time::Duration;

use tracer_ebpf::Hook;

use super::{Sinks, Work, sweeps::Sweeps, take};
use crate::{
    judge::{Input, Loss},
    kernel::{clock::now, load::Attached},
    reconcile::Report,
    tracker::{Hooks, SETTLED},
};

/// The least time between two listings, and the longest wait for the losses to stop.
const INTERVAL: Duration = Duration::from_secs(10);

/// When something was lost, CLOCK_MONOTONIC nanoseconds.
#[derive(Clone, Copy)]
struct Losses {
    first: u64,
    last: u64,
}

/// Hooks that tell what becomes of sockets; the others only say why.
const LIVES: [Hook; 5] = [Hook::State, Hook::Destroy, Hook::TimerStart, Hook::TimerCancel, Hook::TimerExpire];

#[derive(Default)]
pub(super) struct Refresh {
    /// Since the last listing was begun.
    losses: Option<Losses>,
    /// When a loss was counted last, CLOCK_MONOTONIC nanoseconds.
    counted: u64,
    /// When the last comparison with the kernel's books was begun.
    last_comparison: u64,
    sweeps: Sweeps,
}

impl Refresh {
    /// Events of this hook were counted as lost before now.
    pub(super) fn lost(&mut self, hook: Hook, now: u64) {
        self.counted = now;
        self.note(hook, now);
    }

    fn note(&mut self, hook: Hook, now: u64) {
        if LIVES.contains(&hook) {
            self.losses.get_or_insert(Losses { first: now, last: now }).last = now;
        }
    }

    /// When there may be something to do again, CLOCK_MONOTONIC nanoseconds.
    pub(super) fn next(&self) -> u64 {
        if self.losses.is_some() || self.sweeps.is_under_way() { self.sweeps.next() } else { u64::MAX }
    }

    /// Takes note of a comparison with the kernel's books. True when it tells of events that no hook has shown, and no loss
    /// that was counted explains it.
    fn compared(&mut self, report: &Report, visible: Hooks) -> bool {
        // The loss may lie before a comparison that it was too late for, and was counted up to a second after it.
        let since =
            std::mem::replace(&mut self.last_comparison, report.begun).saturating_sub(super::COUNT_INTERVAL);
        let is_explained = self.counted >= since || !LIVES.iter().all(|hook| visible.has(*hook));
        !report.news.is_empty() && !is_explained
    }

    /// A loss rarely comes alone, and what moved just before it has to settle.
    fn is_due(&self, now: u64) -> bool {
        self.losses.is_some_and(|Losses { first, last }| {
            last + SETTLED <= now || first + super::nanoseconds(INTERVAL) <= now
        }) && self.sweeps.is_due(now)
    }
}

impl Work {
    /// A difference from the kernel's books that stays is a loss as well, though nothing counted it: the kernel has not run
    /// the programs. (One was seen that runs none while its init process is on the CPU, softirqs included.)
    pub(super) fn heed(&mut self, report: &Report, visible: Hooks, sinks: &mut impl Sinks) {
        if !self.refresh.compared(report, visible) {
            return;
        }
        let now = now();
        for hook in LIVES {
            self.take(Input::Lost(Loss { hook, until: now, ring_full: 0, missed: 0 }), sinks);
            self.refresh.note(hook, now);
        }
        log::warn!(
            "the kernel has counted what no hook has shown, and no event is known to be lost: what lives now is inconclusive, \
             and will be listed anew"
        );
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ledger::KernelCounter, reconcile::News};

    const SECOND: u64 = 1_000_000_000;

    fn report(begun: u64, differs: Option<KernelCounter>) -> Report {
        let news = differs.map(|counter| News { counter, difference: -1, path: "/proc/1/ns/net".into() });
        Report { begun, news: news.into_iter().collect(), ..Report::default() }
    }

    #[test]
    fn a_difference_that_no_loss_explains_was_never_seen() {
        let mut refresh = Refresh::default();
        assert!(!refresh.compared(&report(100 * SECOND, None), Hooks::all()), "nothing differs");
        assert!(refresh.compared(&report(105 * SECOND, Some(KernelCounter::Timewait)), Hooks::all()));
    }

    #[test]
    fn what_was_counted_as_lost_explains_a_difference_of_the_next_two_comparisons() {
        let mut refresh = Refresh::default();
        refresh.compared(&report(100 * SECOND, None), Hooks::all());
        refresh.lost(Hook::State, 103 * SECOND);
        assert!(!refresh.compared(&report(105 * SECOND, Some(KernelCounter::CurrEstab)), Hooks::all()));
        assert!(refresh.compared(&report(110 * SECOND, Some(KernelCounter::CurrEstab)), Hooks::all()));
    }

    #[test]
    fn a_missing_hook_explains_everything() {
        let visible = Hooks::all().without(Hook::TimerCancel);
        assert!(!Refresh::default().compared(&report(100 * SECOND, Some(KernelCounter::Timewait)), visible));
    }
}
