//! Eighth check: FIN (RFC 9293, section 3.10.7.4).

use super::Step;
use crate::effect::Signal;
use crate::event::CallError;
use crate::reassembly::HeldFin;
use crate::rule::Rule;
use crate::segment::{Flags, Segment};
use crate::state::State;
use crate::step::Reply;
use crate::tcb::UnreadFins;

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
                let place = if in_order { Some(place_of_fin(segment, inside)) } else { self.held_fin };
                if let Some(place) = place {
                    self.fin_reached(before, place);
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

    /// Linux: another FIN right behind the first one, in a segment that begins before that, is one more number, and waits
    /// to be read as well. True when it is so.
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
            rcv.unread_fins.count = rcv.unread_fins.count.saturating_add(1);
            self.acknowledge(Reply::Now);
        }
        again
    }

    pub(super) fn fin_reached(&mut self, before: State, place: HeldFin) {
        let with_text = self.tcb.rcv.readable > 0 && place == HeldFin::WithText;
        self.tcb.rcv.unread_fins = UnreadFins { count: 1, with_text };
        // FIN implies PUSH. Served first: afterwards RCV.NXT counts the FIN as well.
        self.serve_receives(true);
        if self.tcb.rcv.wanted > 0 {
            self.tcb.rcv.wanted = 0;
            self.tcb.rcv.unread_fins.meet();
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

/// How the FIN of a segment in order lies behind the text.
fn place_of_fin(segment: &Segment, inside: &Segment) -> HeldFin {
    let all_old = inside.len == 0 && segment.text_seq().lt(inside.seq);
    if all_old { HeldFin::Apart } else { HeldFin::WithText }
}
