//! One event, as the laziest endpoint takes it: whatever it may put off, it puts off.

use super::candidate::{Candidate, DUPLICATES, Terms};
use super::departure::Departures;
use super::duty::{Dues, Duty};
use super::readings::Seen;
use crate::effect::{Effect, Effects};
use crate::event::{Event, Timer};
use crate::rule::{Rule, Trail};
use crate::segment::{Flags, Options};
use crate::seq::Seq;
use crate::state::State;
use crate::step::{Choices, step};

/// Takes the steps of the machine, and counts them.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    out: Effects,
    pub steps: u64,
}

impl Machine {
    pub(super) const fn new() -> Self {
        Self { out: Effects::new(), steps: 0 }
    }
}

impl Candidate {
    /// One event under the candidate's own profile, with free choices left open: no text leaves, ACKs may wait, the
    /// ISS is not known.
    pub(super) fn run(&mut self, terms: &Terms, machine: &mut Machine, now: u64, event: &Event) {
        self.run_with(terms, machine, now, event, &Choices::LAZY);
    }

    pub(super) fn run_with(
        &mut self,
        terms: &Terms,
        machine: &mut Machine,
        now: u64,
        event: &Event,
        choices: &Choices,
    ) {
        machine.steps += 1;
        let out = &mut machine.out;
        let before = (self.tcb.state, self.tcb.snd.nxt, self.tcb.rcv.nxt);
        let trail = if self.departures.is_empty() {
            step(&mut self.tcb, now, event, &terms.profile, choices, out)
        } else {
            step(&mut self.tcb, now, event, &self.departures.apply(&terms.profile), choices, out)
        };
        self.note(trail);
        self.digest(terms, out, now, event, before);
        self.open_unknown_windows(terms);
    }

    /// The departures that could have made the step from `before` another one.
    pub(super) fn other_ways(&self, terms: &Terms, before: &Self, event: &Event) -> Departures {
        Seen { before: &before.tcb, event, trail: &self.last, after: &self.tcb }
            .other_readings()
            .both(terms.allowed)
            .without(self.departures)
            .without(self.kept)
    }

    fn note(&mut self, trail: Trail) {
        if !trail.as_slice().is_empty() {
            self.last = trail;
            self.trail = trail;
        }
    }

    fn digest(&mut self, terms: &Terms, out: &Effects, now: u64, event: &Event, before: (State, Seq, Seq)) {
        let by = now.saturating_add(terms.tolerance.prompt);
        let stimulus = matches!(event, Event::Arrives(_) | Event::Expires(_));
        let chose_iss = self.last.as_slice().iter().any(|rule| {
            matches!(
                rule,
                Rule::Open2 | Rule::Open5 | Rule::Send2 | Rule::SegLi4 | Rule::SegLi3f | Rule::TwSyn1
            )
        }) && !matches!(event, Event::Transmit);
        if chose_iss {
            self.iss_known = false;
            self.duplicates = 0;
        }
        for effect in out.iter() {
            match effect {
                Effect::Send(segment) => {
                    if segment.has(Flags::RST) || segment.has(Flags::SYN) {
                        self.dues.owe(segment, by);
                    } else if segment.has(Flags::FIN) {
                        self.dues.owe(segment, by);
                        self.acknowledged();
                    } else if stimulus {
                        self.want_ack(terms, by);
                    }
                }
                // The user may have gone unseen long before.
                Effect::Start(Timer::FinWait2, _) if !terms.tap.calls => self.start(Timer::FinWait2, now, 0),
                Effect::Start(timer, after) => self.start(*timer, now, *after),
                Effect::Stop(_) | Effect::Reply(_) | Effect::Signal(_) | Effect::Hold(..) => {}
            }
        }
        if self.tcb.timers.has(Timer::DelayedAck) && stimulus {
            self.want_ack(terms, by);
        }
        if before.0 == State::SynSent && self.tcb.state.is_synchronized() && self.tcb.in_flight() {
            // What went out on a SYN and was not taken goes out again at once (RFC 7413, 4.1.3).
            self.duplicates = DUPLICATES;
        }
        if self.tcb.state != before.0 {
            if self.shown == before.0 {
                self.moved_at = now;
            }
            if matches!(self.tcb.state, State::Closed | State::Listen) {
                self.forget(before);
            }
        }
    }

    pub(super) fn forget(&mut self, before: (State, Seq, Seq)) {
        self.gone = (before.1, before.2);
        self.duty = Duty::None;
        self.ack_by = u64::MAX;
        self.iss_known = true;
        self.offer = Options::default();
        self.refused = None;
        self.drawn = Dues::NONE;
        self.dues.keep_resets();
    }
}
