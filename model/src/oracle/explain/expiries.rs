//! Timers that have, or may have, expired unseen before an observation.

use super::{Attempt, each};
use crate::effect::Effects;
use crate::event::{Event, Timer};
use crate::oracle::candidate::{Candidate, Terms};
use crate::oracle::observation::Kind;
use crate::segment::Flags;

/// The timers that have to end in time; the others depend on measurements of the endpoint's own.
const PUNCTUAL: [Timer; 3] = [Timer::TimeWait, Timer::User, Timer::FinWait2];

impl<const N: usize> Attempt<'_, N> {
    /// The timer that must have expired by now.
    pub(super) fn overdue(&self, candidate: &Candidate) -> Option<(Timer, u64)> {
        let tap = self.terms.tap;
        let late = |timer| {
            let (_, latest) = candidate.expiry(timer, &self.terms.tolerance);
            let known = tap.received && (tap.calls || timer == Timer::TimeWait);
            (known && latest < self.observation.at && PUNCTUAL.contains(&timer)).then_some((timer, latest))
        };
        candidate.timers_that_end().find_map(late)
    }

    /// The candidate with a timer expired just now, which changed its state.
    pub(super) fn expire(&mut self, candidate: &Candidate, timer: Timer, unseen: u8) {
        let mut ended = *candidate;
        ended.guesses = ended.guesses.saturating_add(1);
        ended.end_timer(self.terms, self.out, self.observation.at, timer);
        if ended.tcb.state != candidate.tcb.state {
            self.explain_from(&ended, unseen);
        }
        self.vary(candidate, &ended, &Event::Expires(timer), unseen);
    }

    /// Timers that may have expired unseen.
    pub(super) fn expiries(&mut self, candidate: &Candidate, unseen: u8) {
        // A reset may be the first sign of an end.
        let shows = match self.observation.kind {
            Kind::Transition(_) => true,
            Kind::Sent(segment) => segment.has(Flags::RST),
            _ => false,
        };
        let settled = candidate.shown == candidate.tcb.state;
        if self.terms.tap.transitions && !(shows && settled) {
            return;
        }
        for timer in candidate.timers_that_end() {
            let (earliest, _) = candidate.expiry(timer, &self.terms.tolerance);
            if earliest <= self.observation.at {
                self.expire(candidate, timer, unseen);
            }
        }
        if !self.terms.tap.sent
            && let Some(sent) = candidate.all_sent_unseen()
        {
            self.expire(&sent, Timer::Retransmit, unseen);
        }
    }

    // The same expiry under other readings of the profile.
    fn vary(&mut self, before: &Candidate, after: &Candidate, event: &Event, unseen: u8) {
        for way in each(after.other_ways(before, event)) {
            let mut other = *before;
            other.departures = other.departures.with(way);
            other.run(self.terms, self.out, self.observation.at, event);
            let ends = other.tcb.state != before.tcb.state;
            if ends && !other.same(after) && self.is_plausible(&other) {
                self.explain_from(&other, unseen);
            }
        }
    }
}

impl Candidate {
    fn end_timer(&mut self, terms: &Terms, out: &mut Effects, now: u64, timer: Timer) {
        if timer == Timer::Retransmit && !terms.tap.sent {
            // Nobody counted the retransmissions.
            self.tcb.rtt.retransmits = u8::MAX;
            self.tcb.rtt.since = 0;
        }
        if timer == Timer::KeepAlive && !terms.tap.sent {
            self.tcb.rtt.keep_alive_probes = u8::MAX;
        }
        // A count of retransmissions is exact; a time is as exact as any timer.
        let early = match timer {
            Timer::Retransmit => now.saturating_add(now.saturating_sub(self.tcb.rtt.since) / 20),
            _ => now,
        };
        self.run(terms, out, early, &Event::Expires(timer));
    }
}
