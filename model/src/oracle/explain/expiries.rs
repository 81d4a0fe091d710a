//! Timers that have, or may have, expired unseen before an observation.

use super::Attempt;
use crate::event::{Event, Timer};
use crate::oracle::advance::Machine;
use crate::oracle::candidate::{Candidate, Terms};
use crate::oracle::observation::Kind;
use crate::segment::Flags;
use crate::state::State;

/// The timers that have to end in time; the others depend on measurements of the endpoint's own.
const PUNCTUAL: [Timer; 3] = [Timer::TimeWait, Timer::User, Timer::FinWait2];

impl<const N: usize> Attempt<'_, N> {
    /// The timer that must have expired by now.
    pub(super) fn overdue(&self, candidate: &Candidate) -> Option<(Timer, u64)> {
        let tap = self.terms.tap;
        if !tap.received {
            return None;
        }
        let known = |timer: &Timer| PUNCTUAL.contains(timer) && (tap.calls || *timer == Timer::TimeWait);
        candidate.timers_that_end().filter(known).find_map(|timer| {
            let (_, latest) = candidate.expiry(timer, &self.terms.tolerance);
            (latest < self.observation.at).then_some((timer, latest))
        })
    }

    /// The candidate with a timer expired just now, which changed its state.
    pub(super) fn expire(&mut self, candidate: &Candidate, timer: Timer, unseen: u8) {
        let mut ended = *candidate;
        ended.guesses = ended.guesses.saturating_add(1);
        ended.end_timer(self.terms, self.machine, self.observation.at, timer);
        if ended.tcb.state != candidate.tcb.state {
            self.explain_from(&ended, unseen);
        }
        self.vary(candidate, &ended, &Event::Expires(timer), unseen);
    }

    /// Timers that may have expired unseen.
    pub(super) fn expiries(&mut self, candidate: &Candidate, unseen: u8) {
        if !self.is_settled(candidate) || !self.shows_an_end() {
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

    /// Whether the observation may be the first sign of an expiry: they all end in CLOSED.
    fn shows_an_end(&self) -> bool {
        let tap = self.terms.tap;
        match &self.observation.kind {
            Kind::Transition(transition) => transition.to == State::Closed,
            Kind::Sent(segment) => segment.has(Flags::RST) || (segment.has(Flags::SYN) && !tap.transitions),
            // Without calls, the reset that it draws is the sign, if it draws one.
            Kind::Received(segment) => {
                !tap.transitions && (tap.calls || segment.has(Flags::SYN) || segment.has(Flags::RST))
            }
            Kind::Call(_) => !tap.transitions,
            Kind::Icmp(_) | Kind::Quiet | Kind::Restart | Kind::Gap => false,
        }
    }

    // The same expiry under other readings of the profile.
    fn vary(&mut self, before: &Candidate, after: &Candidate, event: &Event, unseen: u8) {
        for way in after.other_ways(self.terms, before, event).each() {
            let mut other = *before;
            other.departures = other.departures.with(way);
            other.run(self.terms, self.machine, self.observation.at, event);
            let ends = other.tcb.state != before.tcb.state;
            if ends && !other.same(after) && self.is_plausible(&other) {
                self.explain_from(&other, unseen);
            }
        }
    }
}

impl Candidate {
    fn end_timer(&mut self, terms: &Terms, machine: &mut Machine, now: u64, timer: Timer) {
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
        self.run(terms, machine, early, &Event::Expires(timer));
    }
}
