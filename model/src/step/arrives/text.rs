//! Seventh check: the segment's text (RFC 9293, section 3.10.7.4).

use super::{Flow, Step};
use crate::effect::Effect;
use crate::event::CallError;
use crate::reassembly::Continuation;
use crate::rule::Rule;
use crate::segment::{Flags, Segment};
use crate::state::State;
use crate::step::Reply;

impl Step<'_> {
    pub(super) fn check_text(&mut self, segment: &Segment, inside: &Segment) -> Flow {
        match self.tcb.state {
            State::Established | State::FinWait1 | State::FinWait2 => self.take_text(segment, inside),
            _ => {
                if self.check_text_after_fin(segment) == Flow::Drop {
                    return Flow::Drop;
                }
                if inside.len > 0 {
                    self.take(Rule::Txt3);
                }
                Flow::Go
            }
        }
    }

    /// Linux: a segment that begins before the peer's FIN and goes beyond it shows that the peer is confused.
    pub(super) fn check_text_after_fin(&mut self, segment: &Segment) -> Flow {
        let closed = matches!(self.tcb.state, State::CloseWait | State::Closing | State::LastAck);
        let nxt = self.tcb.rcv.nxt;
        let beyond = segment.seq.lt(nxt) && (segment.text_seq() + segment.len).gt(nxt);
        if !(self.profile.text_after_fin_resets && closed && beyond) {
            return Flow::Go;
        }
        self.take(Rule::Txt2);
        self.reset(segment);
        self.abort_with(CallError::Reset);
        Flow::Drop
    }

    fn take_text(&mut self, segment: &Segment, inside: &Segment) -> Flow {
        let user_gone = self.tcb.rcv.reader_gone
            && self.profile.half_duplex_close
            && self.tcb.state != State::Established;
        let late = if self.profile.late_fin_resets { self.goes_beyond(segment) } else { inside.len > 0 };
        if user_gone && late {
            self.take(Rule::Txt2);
            self.reset(segment);
            self.abort_with(CallError::Reset);
            return Flow::Drop;
        }
        let start = inside.text_seq();
        if start != self.tcb.rcv.nxt {
            self.hold(inside);
            return Flow::Go;
        }
        // Text of a SYN may have waited for the handshake to end.
        let reached = self.tcb.rcv.nxt + inside.len;
        let ends = inside.has(Flags::FIN) && self.profile.fin_ends_stream;
        let Continuation { text: waited, fin } =
            if ends { Continuation::default() } else { self.tcb.rcv.held.take(reached) };
        self.held_fin = fin;
        if inside.len > 0 || waited > 0 {
            self.take(Rule::Txt1);
            // What goes with the end of the stream fills no gap.
            let gap_filled = !ends && (waited > 0 || fin.is_some() || !self.tcb.rcv.held.is_empty());
            self.accept_text(inside.len.saturating_add(waited));
            self.tcb.rcv.push |= segment.has(Flags::PSH) || waited > 0;
            self.serve_receives(false);
            let two_full = self.tcb.rcv.unacked >= 2 * u32::from(self.tcb.config.mss);
            let may_wait = self.choices.delay_ack && !gap_filled && !two_full;
            self.acknowledge(if may_wait { Reply::Delayable } else { Reply::Now });
        }
        Flow::Go
    }

    /// RCV.NXT advances over text; the right edge stays where it is.
    pub(in crate::step) fn accept_text(&mut self, len: u32) {
        let rcv = &mut self.tcb.rcv;
        rcv.nxt += len;
        rcv.wnd = rcv.wnd.saturating_sub(len);
        rcv.readable = rcv.readable.saturating_add(len);
        rcv.unacked = rcv.unacked.saturating_add(len);
    }

    fn hold(&mut self, inside: &Segment) {
        let fin = inside.has(Flags::FIN);
        if inside.len == 0 && !fin {
            return;
        }
        // In SYN-RECEIVED the first check does not say it: the connection was not synchronized yet.
        if !self.trail.contains(Rule::Seq6) {
            self.take(Rule::Seq6);
        }
        let start = inside.text_seq();
        let joins = self.profile.held_text_joins;
        if self.choices.hold_out_of_order && self.tcb.rcv.held.insert(start, inside.len, fin, joins) {
            self.out.push(Effect::Hold(start, inside.len));
        }
        if self.choices.ack_out_of_order {
            self.acknowledge(Reply::Now);
        }
    }
}
