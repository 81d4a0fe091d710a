//! One observation put to one candidate: every way in which it fits.

mod expiries;
mod received;

use super::advance::Machine;
use super::candidate::{Candidate, Terms};
use super::departure::Departures;
use super::observation::{Kind, Observation, Tap, Transition};
use super::set::Set;
use super::verdict::{Mismatch, Violation};
use crate::event::{Call, Event};
use crate::rule::Trail;
use crate::segment::Flags;
use crate::state::State;
use crate::tcb::Fin;
use received::remember_offer;

/// Unseen events between two observations, at most: to close, say, a connection that was never seen to open.
const MAX_UNSEEN: u8 = 3;

/// Departures that one explanation may need and that nothing has proved yet.
const MAX_UNPROVEN: u32 = 2;

/// An observation being explained.
pub(super) struct Attempt<'a, const N: usize> {
    terms: &'a Terms,
    machine: &'a mut Machine,
    next: &'a mut Set<N>,
    observation: &'a Observation,
    proven: Departures,
    nearest: Option<(u32, Violation)>,
    /// Something was found that needs no departure beyond these.
    found: bool,
    granted: Departures,
}

impl<'a, const N: usize> Attempt<'a, N> {
    pub(super) fn new(
        terms: &'a Terms,
        machine: &'a mut Machine,
        next: &'a mut Set<N>,
        observation: &'a Observation,
        proven: Departures,
    ) -> Self {
        Self {
            terms,
            machine,
            next,
            observation,
            proven,
            nearest: None,
            found: false,
            granted: Departures::NONE,
        }
    }

    /// Where the explanation with the fewest departures fails.
    pub(super) fn nearest(&self) -> Option<Violation> {
        self.nearest.map(|(_, violation)| violation)
    }

    /// Adds every way in which the candidate explains the observation, with as few unseen events as will do: what
    /// may have happened besides can still be guessed when an observation needs it.
    pub(super) fn explain(&mut self, candidate: &Candidate) {
        let mut candidate = *candidate;
        candidate.trail = Trail::EMPTY;
        if let Err(mismatch) = candidate.overdue(self.terms, self.observation.at) {
            self.fail(&candidate, mismatch);
            return;
        }
        candidate.open_unknown_windows(self.terms);
        self.granted = candidate.departures;
        self.found = false;
        self.explain_from(&candidate, 0);
        let tap = self.terms.tap;
        if tap.calls && tap.received {
            return;
        }
        // A stimulus finds the connection as unseen ones may have left it: afterwards is too late to guess that. And of
        // all ends only an abort sends a reset.
        let eager = match self.observation.kind {
            // An end and another beginning.
            Kind::Received(segment) if segment.has(Flags::SYN) && !tap.transitions => 2,
            Kind::Received(_) => 1,
            Kind::Transition(Transition { to: State::Closed, .. }) if tap.sent => 1,
            _ => 0,
        };
        let mut unseen = 1;
        while unseen <= MAX_UNSEEN && (!self.found || unseen <= eager) {
            self.explain_from(&candidate, unseen);
            unseen += 1;
        }
    }

    /// With a tap missing there is enough to guess: one unproven departure at a time.
    fn is_plausible(&self, candidate: &Candidate) -> bool {
        let most = if self.terms.tap == Tap::FULL { MAX_UNPROVEN } else { 1 };
        candidate.departures.without(self.proven).len() <= most
    }

    fn fail(&mut self, candidate: &Candidate, mismatch: Mismatch) {
        let departures = candidate.departures.len();
        if self.nearest.is_some_and(|(fewest, _)| fewest <= departures) {
            return;
        }
        let rules = if candidate.trail.as_slice().is_empty() { candidate.last } else { candidate.trail };
        let rules = mismatch.rule().filter(|rule| !rules.contains(*rule)).map_or(rules, |rule| {
            let mut more = rules;
            more.push(rule);
            more
        });
        self.nearest = Some((departures, Violation { mismatch, rules, state: candidate.tcb.state }));
    }

    /// With exactly so many unseen events before it.
    fn explain_from(&mut self, candidate: &Candidate, unseen: u8) {
        match self.overdue(candidate) {
            Some((timer, _)) if !self.terms.tap.transitions => return self.expire(candidate, timer, unseen),
            Some((timer, latest)) => return self.fail(candidate, Mismatch::TooLate { timer, latest }),
            None => {}
        }
        if unseen == 0 {
            if let Err(mismatch) = self.direct(candidate) {
                self.fail(candidate, mismatch);
            }
        } else if self.is_settled(candidate) {
            if let Kind::Sent(segment) = &self.observation.kind {
                for mut ended in candidate.ended_before(segment, self.observation.at) {
                    self.push(&mut ended);
                }
            }
            self.guess(candidate, unseen - 1);
            if !self.terms.tap.sent && candidate.wants_fin() {
                let mut sent = *candidate;
                sent.fin_sent_unseen();
                self.guess(&sent, unseen - 1);
            }
            if let Some(closed) = candidate.closed_before_the_handshake(self.terms, false) {
                self.guess(&closed, unseen - 1);
            }
        }
        self.expiries(candidate, unseen);
    }

    /// A stimulus, seen or not, finds no transition unshown: whatever the one before caused has been seen by now.
    fn is_settled(&self, candidate: &Candidate) -> bool {
        !self.terms.tap.transitions || candidate.shown == candidate.tcb.state
    }

    fn guess(&mut self, candidate: &Candidate, unseen: u8) {
        let (terms, observation) = (self.terms, self.observation);
        candidate.guess(terms, &observation.kind, &mut |before, event| {
            self.explain_guess(before, &event, unseen);
        });
    }

    fn explain_guess(&mut self, before: &Candidate, event: &Event, unseen: u8) {
        let mut guessed = *before;
        guessed.guesses = guessed.guesses.saturating_add(1);
        if let Event::Expires(timer) = event {
            guessed.tcb.timers = guessed.tcb.timers.with(*timer);
        }
        // Text that came unseen came before the user went: afterwards it would have been answered by a reset.
        let gone = guessed.tcb.rcv.reader_gone;
        let open = guessed.tcb.state.is_synchronized();
        let text = open && matches!(event, Event::Arrives(segment) if segment.len > 0);
        guessed.tcb.rcv.reader_gone &= !text;
        guessed.run(self.terms, self.machine, self.observation.at, event);
        guessed.tcb.rcv.reader_gone |= gone && text && guessed.tcb.state.is_synchronized();
        remember_offer(before, &mut guessed, event);
        if !guessed.same(before) {
            self.explain_from(&guessed, unseen);
        }
    }

    fn direct(&mut self, candidate: &Candidate) -> Result<(), Mismatch> {
        let at = self.observation.at;
        match &self.observation.kind {
            Kind::Call(call) => {
                let event = Event::Call(*call);
                if matches!(call, Call::Close { reader_gone: true }) && !self.terms.tap.received {
                    // Whether text was left unread decides (SHLD-3), and nobody saw what came.
                    let mut other = *candidate;
                    other.tcb.rcv.readable = u32::from(other.tcb.rcv.readable == 0);
                    self.event(&other, &event)?;
                }
                if matches!(call, Call::Close { .. })
                    && let Some(other) = candidate.text_sent_unseen(self.terms)
                {
                    self.event(&other, &event)?;
                }
                self.event(candidate, &event)
            }
            Kind::Received(segment) => self.received(candidate, segment),
            Kind::Icmp(error) => self.event(candidate, &Event::Icmp(*error)),
            Kind::Sent(segment) => {
                let mut after = *candidate;
                after.sends(self.terms, self.machine, at, segment)?;
                self.push(&mut after);
                Ok(())
            }
            Kind::Transition(transition) => {
                candidate.may_move(self.terms, transition)?;
                let mut after = *candidate;
                after.moves(self.terms, at, transition)?;
                self.push(&mut after);
                Ok(())
            }
            Kind::Quiet | Kind::Restart | Kind::Gap => {
                let mut after = *candidate;
                self.push(&mut after);
                Ok(())
            }
        }
    }

    fn event(&mut self, candidate: &Candidate, event: &Event) -> Result<(), Mismatch> {
        if !self.is_settled(candidate) {
            return Err(candidate.unshown());
        }
        let mut after = *candidate;
        after.run(self.terms, self.machine, self.observation.at, event);
        remember_offer(candidate, &mut after, event);
        if let (Event::Arrives(segment), false) = (event, self.terms.tap.calls) {
            after.note_refused(segment);
            after.note_drawn(self.terms, candidate.tcb.state, segment, self.observation.at);
        }
        for way in after.other_ways(self.terms, candidate, event).each() {
            if self.push_other(candidate, &after, event, way) {
                after.kept = after.kept.with(way);
            }
        }
        self.push(&mut after);
        Ok(())
    }

    fn push(&mut self, candidate: &mut Candidate) {
        self.found |= candidate.departures == self.granted;
        if !self.terms.tap.transitions {
            candidate.shown = candidate.tcb.state;
        }
        self.next.push(candidate);
    }

    /// The event under another reading; false when that makes no difference.
    fn push_other(&mut self, before: &Candidate, after: &Candidate, event: &Event, way: Departures) -> bool {
        let mut other = *before;
        other.departures = other.departures.with(way);
        if !self.is_plausible(&other) {
            return false;
        }
        other.run(self.terms, self.machine, self.observation.at, event);
        remember_offer(before, &mut other, event);
        let differs = !other.same(after);
        if differs {
            self.push(&mut other);
        }
        differs
    }
}

impl Candidate {
    /// A CLOSE behind text that waits for the handshake may have gone unseen (close-5).
    fn closed_before_the_handshake(&self, terms: &Terms, reader_gone: bool) -> Option<Self> {
        let may = !terms.tap.calls && self.tcb.state == State::SynReceived && self.tcb.snd.fin == Fin::None;
        may.then(|| {
            let mut closed = *self;
            closed.tcb.snd.fin = Fin::Wanted;
            closed.tcb.rcv.reader_gone |= reader_gone;
            closed.guesses = closed.guesses.saturating_add(1);
            closed
        })
    }
}
