//! A transition that was shown: is it the one that this explanation has to make now?

use super::candidate::{Candidate, Terms};
use super::observation::Transition;
use super::verdict::Mismatch;
use crate::event::Timer;
use crate::state::State;

impl Candidate {
    /// Whether the states allow it; the variables are still to be looked at.
    pub(super) fn may_move(&self, terms: &Terms, transition: &Transition) -> Result<(), Mismatch> {
        let Transition { from, to, .. } = *transition;
        let state = self.tcb.state;
        if from != self.shown {
            return Err(if self.shown == state {
                Mismatch::From { expected: state }
            } else {
                self.unshown()
            });
        }
        if state != from {
            // In Linux text that comes with the ACK of an orphan's FIN meets FIN-WAIT-2 (tcp_rcv_state_process).
            let late_text = terms.profile.late_fin_resets
                && (from, to, state) == (State::FinWait1, State::FinWait2, State::Closed);
            let leads = to == state || late_text || between(from, to, state);
            return if leads { Ok(()) } else { Err(Mismatch::To { expected: Some(state), seen: to }) };
        }
        match (from, to) {
            (State::CloseWait, State::LastAck) if self.wants_fin() => Ok(()),
            (State::TimeWait, State::Closed) => {
                let (earliest, _) = self.expiry(Timer::TimeWait, &terms.tolerance);
                Err(Mismatch::TooEarly { timer: Timer::TimeWait, earliest })
            }
            _ => Err(Mismatch::To { expected: None, seen: to }),
        }
    }

    /// A transition that was shown, and that the states allow.
    pub(super) fn moves(&mut self, terms: &Terms, now: u64, transition: &Transition) -> Result<(), Mismatch> {
        let to = transition.to;
        self.absorb(terms, now, &transition.numbers);
        if self.tcb.state == self.shown {
            // No event is left to cause it: the FIN leaves, if there is room for it.
            if self.window_room() <= self.tcb.snd.queued {
                return Err(Mismatch::To { expected: None, seen: to });
            }
            (self.tcb.state, self.shown, self.moved_at) = (to, to, now);
            return Ok(());
        }
        self.shown = to;
        if to == self.tcb.state { self.check(terms, transition) } else { Ok(()) }
    }

    /// The variables that a transition shows.
    fn check(&mut self, terms: &Terms, transition: &Transition) -> Result<(), Mismatch> {
        if matches!(transition.to, State::Closed | State::Listen) {
            return Ok(());
        }
        let numbers = &transition.numbers;
        if let Some(rcv_nxt) = numbers.rcv_nxt {
            self.take_refused(rcv_nxt);
        }
        let (snd, rcv) = (&self.tcb.snd, &self.tcb.rcv);
        if let Some(una) = numbers.una
            && terms.tap.received
            && self.iss_known
            && una != snd.una
        {
            return Err(Mismatch::Una { expected: snd.una, seen: una });
        }
        if let Some(nxt) = numbers.nxt
            && self.iss_known
        {
            let waiting = snd.queued.saturating_add(u32::from(self.wants_fin()));
            let more = if terms.tap.calls { waiting } else { u32::MAX >> 1 };
            if nxt - snd.nxt > more {
                return Err(Mismatch::Nxt { expected: snd.nxt, seen: nxt });
            }
        }
        let heard = !matches!(transition.to, State::SynSent);
        if let Some(rcv_nxt) = numbers.rcv_nxt
            && heard
            && rcv_nxt != rcv.nxt
        {
            if !terms.tap.received && rcv_nxt.gt(rcv.nxt) {
                // Text came before the event that moved it.
                self.tcb.rcv.nxt = rcv_nxt;
                return Ok(());
            }
            return Err(Mismatch::RcvNxt { expected: rcv.nxt, seen: rcv_nxt });
        }
        Ok(())
    }
}

/// True when one event passes through `middle` on its way.
const fn between(from: State, middle: State, to: State) -> bool {
    use State::{
        CloseWait, Closed, Closing, Established, FinWait1, FinWait2, Listen, SynReceived, SynSent, TimeWait,
    };
    matches!(
        (from, middle, to),
        (FinWait1, FinWait2, TimeWait)
            | (SynSent | SynReceived, Established, CloseWait)
            | (SynReceived, Established, FinWait1)
            | (SynReceived, Established | FinWait1, Closing)
            | (TimeWait, Closed | Listen, SynReceived)
    )
}
