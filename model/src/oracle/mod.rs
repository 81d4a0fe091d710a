//! The oracle: does what was seen of one endpoint have an explanation in the model?
//!
//! [`Oracle`] keeps every explanation of the observations so far: a TCB and what it still owes the observer
//! ([`Candidate`]). Each observation is put to each of them. What the RFC leaves open is not guessed: the candidate
//! waits with everything that it may put off (text, ACKs, its ISS), and when the endpoint shows what it chose, the
//! choice is checked against what is permitted and adopted. What happens without being seen is closed over: timers
//! that may have expired, and, where the [`Tap`] is incomplete, calls and segments that would explain what is seen.
//! Where the profile's own reading cannot explain it, a named departure may ([`DEPARTURES`]).
//!
//! The cost of an observation is bounded by the number of candidates, and nothing is allocated. The set has `N`
//! places; when they do not suffice the verdict is inconclusive, as it is after a gap.

mod advance;
mod candidate;
mod departure;
mod duty;
mod expected;
mod explain;
mod hidden;
mod moved;
mod observation;
mod readings;
mod sent;
mod set;
mod verdict;

pub use candidate::Candidate;
pub use departure::{DEPARTURES, Departure, Departures};
pub use observation::{Kind, Numbers, Observation, Tap, Tolerance, Transition};
pub use verdict::{Cause, Expected, Mismatch, Verdict, Violation};

use advance::Machine;
use candidate::Terms;
use explain::Attempt;
use set::Set;

use crate::profile::Profile;
use crate::rule::Trail;
use crate::state::State;
use crate::tcb::Tcb;

/// A violation with what was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The observation that nothing explains.
    pub observation: Observation,
    /// Where the nearest explanation fails.
    pub violation: Violation,
}

/// Judges what is seen of one endpoint. `N` is the most explanations that it keeps at once.
#[derive(Clone, Debug)]
pub struct Oracle<const N: usize> {
    terms: Terms,
    /// The present explanations, and room for the next ones.
    sets: [Set<N>; 2],
    present: usize,
    machine: Machine,
    lost: Option<Cause>,
    granted: Departures,
    last: Option<Explanation>,
}

impl<const N: usize> Oracle<N> {
    /// An endpoint in CLOSED, judged by a profile.
    #[must_use]
    pub fn new(profile: &Profile, tap: Tap) -> Self {
        Self::with_tolerance(profile, tap, Tolerance::DEFAULT)
    }

    /// The same with another tolerance.
    #[must_use]
    pub fn with_tolerance(profile: &Profile, tap: Tap, tolerance: Tolerance) -> Self {
        let mut oracle = Self {
            terms: Terms { profile: *profile, tap, tolerance, allowed: Departures::ALL },
            sets: [Set::empty(), Set::empty()],
            present: 0,
            machine: Machine::new(),
            lost: None,
            granted: Departures::NONE,
            last: None,
        };
        oracle.know(Candidate::closed());
        oracle
    }

    /// The same oracle when only these departures may explain what the profile does not; with [`Departures::NONE`]
    /// whatever departs from the profile is a violation.
    #[must_use]
    pub fn allowing(mut self, departures: Departures) -> Self {
        self.terms.allowed = departures;
        self
    }

    /// From here on the endpoint is known to be in exactly this condition; its timers start now (microseconds).
    pub fn adopt(&mut self, tcb: &Tcb, now: u64) {
        self.know(Candidate::adopted(*tcb, now, &self.terms.profile));
    }

    /// The explanations that are left.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        self.present().as_slice()
    }

    /// Why there is no verdict at present.
    #[must_use]
    pub fn lost(&self) -> Option<Cause> {
        self.lost
    }

    /// The departures that the endpoint has been found to take.
    #[must_use]
    pub fn departures(&self) -> Departures {
        self.granted
    }

    /// How many steps of the machine the observations so far have taken: what they cost.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.machine.steps
    }

    /// The last violation. Until the endpoint is in a known state again, [`Oracle::candidates`] are those that failed
    /// to explain it, and [`Candidate::expected`] says what each of them would have allowed.
    #[must_use]
    pub fn explain(&self) -> Option<&Explanation> {
        self.last.as_ref()
    }

    /// The next observation.
    pub fn observe(&mut self, observation: &Observation) -> Verdict {
        match observation.kind {
            Kind::Restart => {
                self.know(Candidate::closed());
                return Verdict::Conforming(Trail::EMPTY);
            }
            Kind::Gap => {
                self.lost = Some(Cause::Gap);
                return Verdict::Inconclusive(Cause::Gap);
            }
            _ => {}
        }
        if let Some(cause) = self.lost {
            // What ended in CLOSED has left nothing behind.
            if let Kind::Transition(Transition { to: State::Closed, .. }) = observation.kind {
                let until = observation.at.saturating_add(self.terms.tolerance.prompt);
                self.know(Candidate::closed().with_resets_until(until));
            }
            return Verdict::Inconclusive(cause);
        }
        let Self { terms, sets: [first, second], present, machine, granted, .. } = self;
        let (now, next) = if *present == 0 { (first, second) } else { (second, first) };
        next.clear();
        let mut attempt = Attempt::new(terms, machine, next, observation, *granted);
        for candidate in now.as_slice() {
            attempt.explain(candidate);
        }
        let nearest = attempt.nearest();
        if next.overflowed() {
            self.lost = Some(Cause::Overflow);
            return Verdict::Inconclusive(Cause::Overflow);
        }
        let Some((missing, trail)) = best(next.as_slice(), self.granted) else {
            // Never without a candidate, so never without the nearest failure.
            let violation = nearest.unwrap_or(Violation {
                mismatch: Mismatch::To { expected: None, seen: State::Closed },
                rules: Trail::EMPTY,
                state: State::Closed,
            });
            self.lost = Some(Cause::Derailed);
            self.last = Some(Explanation { observation: *observation, violation });
            return Verdict::Violation(violation);
        };
        self.present = 1 - self.present;
        if missing.is_empty() {
            return Verdict::Conforming(trail);
        }
        self.granted = self.granted.with(missing);
        Verdict::Deviation(missing, trail)
    }

    fn present(&self) -> &Set<N> {
        let [first, second] = &self.sets;
        if self.present == 0 { first } else { second }
    }

    fn know(&mut self, candidate: Candidate) {
        let [first, second] = &mut self.sets;
        let set = if self.present == 0 { first } else { second };
        set.clear();
        set.push(&candidate);
        self.lost = None;
    }
}

/// What the simplest explanation needs that is not granted yet, and its rules.
fn best(candidates: &[Candidate], granted: Departures) -> Option<(Departures, Trail)> {
    candidates
        .iter()
        .map(|candidate| (candidate.departures.without(granted), candidate))
        .min_by_key(|(missing, candidate)| (missing.len(), candidate.guesses))
        .map(|(missing, candidate)| (missing, candidate.trail))
}
