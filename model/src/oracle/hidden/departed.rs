//! What may have left unseen, and what a transition shows of it.

use super::UNHEARD_WINDOW;
use crate::event::Timer;
use crate::oracle::candidate::{Candidate, Terms};
use crate::oracle::observation::Numbers;
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::Fin;

impl Candidate {
    /// Lets leave unseen what has to have left for `upto` to be an acknowledgment, or a number that was reached.
    pub(in crate::oracle) fn sent_unseen(&mut self, terms: &Terms, upto: Seq) {
        let snd = &mut self.tcb.snd;
        let missing = upto - snd.nxt;
        let speaks = match self.tcb.state {
            // Text on the SYN.
            State::SynSent => true,
            State::SynReceived => terms.profile.fast_open,
            state => state.is_synchronized(),
        };
        if missing == 0 || missing >= UNHEARD_WINDOW || !speaks {
            return;
        }
        if !terms.tap.calls && snd.fin == Fin::None {
            // Nobody saw the text given.
            snd.queued = snd.queued.max(missing);
        }
        let text = missing.min(snd.queued);
        let fin = match missing - text {
            0 => false,
            // Where nobody saw the text given, the last octet may be text, and the FIN still to come: that is left open.
            1 if snd.fin == Fin::Wanted && terms.tap.calls => true,
            _ => return,
        };
        snd.nxt += text;
        snd.queued -= text;
        snd.pushed = snd.pushed.saturating_sub(text);
        if fin {
            self.fin_sent_unseen();
        }
    }

    /// Everything that waited left unseen, and its timeout runs. Nothing waited: `None`.
    pub(in crate::oracle) fn all_sent_unseen(&self) -> Option<Self> {
        let mut sent = *self;
        sent.fin_sent_unseen();
        let snd = &mut sent.tcb.snd;
        snd.nxt += snd.queued;
        (snd.queued, snd.pushed) = (0, 0);
        let moved = snd.nxt != self.tcb.snd.nxt && self.tcb.state.is_synchronized();
        sent.tcb.timers = sent.tcb.timers.with(Timer::Retransmit);
        moved.then_some(sent)
    }

    /// In CLOSE-WAIT a CLOSE behind text that waits is another than one behind text that has left (close-8, close-9).
    /// All of it may have, as far as any window had room, or as a probe of a closed one (3.8.6.1).
    pub(in crate::oracle) fn text_sent_unseen(&self, terms: &Terms) -> Option<Self> {
        let snd = &self.tcb.snd;
        let room = snd.max_wnd.saturating_sub(snd.nxt - snd.una);
        let may =
            !terms.tap.sent && self.tcb.state == State::CloseWait && (1..=room.max(1)).contains(&snd.queued);
        may.then(|| {
            let mut sent = *self;
            sent.sent_unseen(terms, snd.nxt + snd.queued);
            sent
        })
    }

    /// The FIN, with all text before it, left unseen.
    pub(in crate::oracle) fn fin_sent_unseen(&mut self) {
        let snd = &mut self.tcb.snd;
        if snd.fin != Fin::Wanted {
            return;
        }
        snd.nxt += snd.queued;
        snd.nxt += 1;
        (snd.queued, snd.pushed, snd.fin) = (0, 0, Fin::Sent);
        if self.tcb.state == State::CloseWait {
            self.tcb.state = State::LastAck;
        }
    }

    /// Takes over what a transition shows of numbers that nothing else does.
    pub(in crate::oracle) fn absorb(&mut self, terms: &Terms, now: u64, numbers: &Numbers) {
        let tap = terms.tap;
        if !self.iss_known
            && let Some(una) = numbers.una
        {
            // SND.UNA is the ISS until the SYN is acknowledged.
            if self.tcb.snd.una == self.tcb.snd.iss {
                self.rebase(una);
            }
        }
        if !tap.sent
            && let Some(nxt) = numbers.nxt
        {
            self.sent_unseen(terms, nxt);
            if self.tcb.in_flight() && self.tcb.snd.wnd > 0 && !self.tcb.timers.has(Timer::Retransmit) {
                // Nobody knows since when its timeout runs.
                self.tcb.timers = self.tcb.timers.with(Timer::Retransmit);
                self.start(Timer::Retransmit, now, 0);
            }
        }
        let synchronized = self.tcb.state.is_synchronized();
        if let Some(una) = numbers.una
            && !tap.received
            && synchronized
            && self.iss_known
            && una.gt(self.tcb.snd.una)
            && una.le(self.tcb.snd.nxt)
        {
            self.tcb.snd.una = una;
        }
    }
}
