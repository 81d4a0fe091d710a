//! Eighth check: FIN (RFC 9293, section 3.10.7.4).

use super::Step;
use crate::effect::Signal;
use crate::event::CallError;
use crate::rule::Rule;
use crate::segment::{Flags, Segment};
use crate::state::State;
use crate::step::Reply;

impl Step<'_> {
    /// `before` is the state in which the segment found the connection.
    pub(super) fn check_fin(&mut self, segment: &Segment, inside: &Segment, before: State) {
        if self.counts_fin_again(segment) {
            return;
        }
        match self.tcb.state {
            State::Established | State::FinWait1 | State::FinWait2 => {
                let end = inside.text_seq() + inside.len;
                let in_order = inside.has(Flags::FIN) && end == self.tcb.rcv.nxt;
                if in_order || self.tcb.rcv.held.has_fin(self.tcb.rcv.nxt) {
                    let behind = if in_order { 0 } else { self.merged_behind_fin() };
                    self.fin_reached(before);
                    self.tcb.rcv.nxt += behind;
                }
            }
            State::CloseWait | State::Closing | State::LastAck if inside.has(Flags::FIN) => {
                self.take(Rule::Fin5);
                if !self.profile.second_fin_unanswered {
                    self.acknowledge(Reply::Now);
                }
            }
            State::TimeWait
                if inside.has(Flags::FIN)
                    && !(self.profile.second_fin_unanswered && before == State::Closing) =>
            {
                self.take(Rule::Fin6);
                self.acknowledge(Reply::Now);
                self.restart_time_wait();
            }
            _ => {}
        }
    }

    /// Held text right behind a held FIN that became one with it.
    fn merged_behind_fin(&mut self) -> u32 {
        let rcv = &mut self.tcb.rcv;
        if self.profile.held_fin_merges { rcv.held.take(rcv.nxt + 1) } else { 0 }
    }

    /// Linux: another FIN right behind the first one, in a segment that begins before that, is one more number, and the
    /// octet with the first one's number waits to be read. True when it is so.
    pub(super) fn counts_fin_again(&mut self, segment: &Segment) -> bool {
        let closed = matches!(self.tcb.state, State::CloseWait | State::Closing | State::LastAck);
        let nxt = self.tcb.rcv.nxt;
        let again = self.profile.second_fin_counts
            && closed
            && segment.has(Flags::FIN)
            && segment.seq.lt(nxt)
            && segment.end() == nxt + 1;
        if again {
            self.take(Rule::Fin5);
            let rcv = &mut self.tcb.rcv;
            rcv.nxt += 1;
            if self.profile.fin_occupies && !rcv.reader_gone {
                rcv.readable = rcv.readable.saturating_add(1);
            }
            self.acknowledge(Reply::Now);
        }
        again
    }

    pub(super) fn fin_reached(&mut self, before: State) {
        // FIN implies PUSH. Served first: afterwards RCV.NXT counts the FIN as well.
        self.serve_receives(true);
        if self.tcb.rcv.wanted > 0 {
            self.tcb.rcv.wanted = 0;
            self.signal(Signal::ReceiveFailed(CallError::Closing));
        }
        let rcv = &mut self.tcb.rcv;
        rcv.push |= rcv.readable > 0;
        rcv.nxt += 1;
        rcv.wnd = rcv.wnd.saturating_sub(1);
        rcv.held = crate::reassembly::Reassembly::default();
        self.signal(Signal::Closing);
        // In CLOSE-WAIT the user's own CLOSE may follow at once, and its FIN carry this ACK: the three-segment close.
        let may_wait = self.choices.delay_ack && self.tcb.state == State::Established;
        self.acknowledge(if may_wait { Reply::Delayable } else { Reply::Now });
        match self.tcb.state {
            State::FinWait1 => {
                self.take(Rule::Fin3);
                self.enter(State::Closing);
            }
            State::FinWait2 => {
                self.take(if before == State::FinWait1 { Rule::Fin2 } else { Rule::Fin4 });
                self.enter_time_wait();
            }
            _ => {
                self.take(Rule::Fin1);
                self.enter(State::CloseWait);
            }
        }
    }
}
