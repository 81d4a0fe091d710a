//! First check: the sequence number (RFC 9293, section 3.10.7.4).

use super::{Flow, Step};
use crate::event::Origin;
use crate::rule::Rule;
use crate::segment::{Flags, Segment};
use crate::seq::acceptable;
use crate::state::State;
use crate::step::Reply;

impl Step<'_> {
    /// Leaves in `inside` what lies inside the window.
    pub(super) fn check_sequence(&mut self, segment: &Segment, inside: &mut Segment) -> Flow {
        let rcv = self.tcb.rcv;
        // RFC 5961 judges a reset by SEG.SEQ alone: its text is only a diagnosis (SHLD-2).
        let by_number_alone = segment.has(Flags::RST) && self.profile.rfc5961_rst && !self.takes_any_reset();
        if by_number_alone {
            (inside.len, inside.flags) = (0, inside.flags.without(Flags::SYN | Flags::FIN));
        }
        if self.profile.loose_edges && self.has_socket() {
            return self.check_loosely(segment, inside);
        }
        let at_edge = self.profile.empty_at_edge && inside.seq_len() == 0 && segment.seq == rcv.nxt + rcv.wnd;
        if at_edge || acceptable(segment.seq, inside.seq_len(), rcv.nxt, rcv.wnd) {
            self.trim(inside);
            if self.tcb.state.is_synchronized() && inside.seq != self.tcb.rcv.nxt {
                self.take(Rule::Seq6);
            }
            return Flow::Go;
        }
        self.unacceptable(segment, inside)
    }

    /// Linux keeps half-open requests, orphans in FIN-WAIT-2 and TIME-WAIT apart from connections, and checks them
    /// otherwise.
    fn has_socket(&self) -> bool {
        match self.tcb.state {
            State::SynReceived => self.tcb.origin == Origin::Active,
            State::FinWait2 => !self.is_shrunk_orphan(),
            State::TimeWait => false,
            _ => true,
        }
    }

    /// Linux: without ACK, RST and SYN a segment is nothing to a socket, wherever its number lies.
    pub(super) fn check_control_bits(&mut self, segment: &Segment) -> Flow {
        let means_nothing = !segment.has(Flags::ACK) && !segment.has(Flags::RST) && !segment.has(Flags::SYN);
        if !(self.profile.ackless_unanswered && means_nothing && self.has_socket()) {
            return Flow::Go;
        }
        self.take(Rule::Ack0);
        Flow::Drop
    }

    /// A request, before anything else: the first SYN again, and an ACK that is not of our SYN (Linux: `tcp_check_req`).
    pub(super) fn check_request(&mut self, segment: &Segment) -> Flow {
        let request = self.profile.half_open_requests
            && self.tcb.state == State::SynReceived
            && self.tcb.origin == Origin::Passive;
        let reset = segment.has(Flags::RST);
        if !request || reset && !self.profile.half_open_reset_in_window {
            return Flow::Go;
        }
        if self.is_own_syn_again(segment) {
            self.take(Rule::Seq2);
            self.send_syn_ack();
            return Flow::Drop;
        }
        let acknowledges = segment.ack - self.tcb.snd.una;
        let unacceptable = acknowledges == 0 || acknowledges > self.tcb.snd.nxt - self.tcb.snd.una;
        if segment.has(Flags::ACK) && unacceptable {
            self.take(Rule::Ack3);
            if !reset {
                self.reset(segment);
            }
            return Flow::Drop;
        }
        Flow::Go
    }

    fn check_loosely(&mut self, segment: &Segment, inside: &mut Segment) -> Flow {
        if self.is_crossing_syn_ack(segment) {
            return self.unacceptable(segment, inside);
        }
        let rcv = self.tcb.rcv;
        let right = rcv.nxt + rcv.wnd;
        let end = segment.seq + inside.seq_len();
        let counted_end = end - u32::from(inside.has(Flags::FIN) && self.profile.fin_beyond_edge);
        // The peer's FIN waits as text does until the user has read up to it.
        let waits = rcv.readable > 0 || rcv.unread_fins.count > 0;
        let occupied = !self.profile.text_at_edge_counts && waits;
        let beyond = counted_end.gt(right) && (segment.seq.gt(right) || occupied);
        // At a closed window the RFC's own rules hold.
        if end.lt(rcv.last_ack)
            || beyond
            || rcv.wnd == 0 && !acceptable(segment.seq, inside.seq_len(), rcv.nxt, 0)
        {
            return self.unacceptable(segment, inside);
        }
        if acceptable(segment.seq, inside.seq_len(), rcv.nxt, rcv.wnd) {
            // What goes beyond the right edge is taken whole.
            if self.trim_left(inside) {
                self.take(Rule::Seq5);
            }
        } else {
            // Nothing of it lies in the window: its ACK counts all the same.
            let answered = !(segment.has(Flags::ACK) && self.is_unsent_ack_unanswered(segment.ack));
            if inside.seq_len() > 0 && end.le(rcv.nxt) && answered {
                self.acknowledge(Reply::Now);
            }
            (inside.len, inside.flags) = (0, inside.flags.without(Flags::FIN));
            if end.le(rcv.nxt) {
                inside.seq = rcv.nxt;
            }
            self.take(Rule::Seq5);
        }
        if self.tcb.state.is_synchronized() && inside.seq != self.tcb.rcv.nxt {
            self.take(Rule::Seq6);
        }
        Flow::Go
    }

    fn unacceptable(&mut self, segment: &Segment, inside: &mut Segment) -> Flow {
        let rcv = self.tcb.rcv;
        let has_syn = segment.has(Flags::SYN);
        if self.is_crossing_syn_ack(segment) {
            self.take(Rule::Seq2g);
            (inside.seq, inside.len) = (rcv.nxt, 0);
            inside.flags = inside.flags.without(Flags::SYN | Flags::FIN);
            return Flow::Go;
        }
        let challenged = has_syn && self.profile.rfc5961_syn;
        let at_closed_window = rcv.wnd == 0 && segment.seq == rcv.nxt;
        if at_closed_window && (segment.has(Flags::RST) || !challenged) {
            self.take(Rule::Seq4);
            inside.len = 0;
            inside.flags = inside.flags.without(Flags::SYN | Flags::FIN);
            if segment.has(Flags::RST) {
                return Flow::Go;
            }
            self.acknowledge(Reply::Now);
            if self.profile.ack_at_zero_window {
                return Flow::Go;
            }
            self.check_urgent(segment);
            return Flow::Drop;
        }
        if segment.has(Flags::RST) {
            if self.is_reset_before_fin(segment) {
                return Flow::Go;
            }
            self.take(Rule::Seq1);
            return Flow::Drop;
        }
        if challenged {
            self.take(Rule::Seq2);
            if self.is_own_syn_again(segment) {
                self.send_syn_ack_again();
            } else {
                self.challenge();
            }
            return Flow::Drop;
        }
        // The number of the FIN is RCV.NXT - 1, so the check refuses it: without this rule 2MSL never restarts
        // (contradiction 7).
        let fin_again = segment.has(Flags::FIN) && !has_syn && segment.end() == rcv.nxt;
        if self.tcb.state == State::TimeWait && fin_again && self.profile.fin_again_restarts {
            self.take(Rule::Seq2t);
            self.acknowledge(Reply::Now);
            self.restart_time_wait();
            return Flow::Drop;
        }
        self.take(Rule::Seq3);
        if self.is_own_syn_again(segment) {
            self.send_syn_ack_again();
        } else {
            self.acknowledge(Reply::Now);
        }
        Flow::Drop
    }

    // Figure 7: both SYNs have crossed, and the SYN+ACK repeats the SYN that RCV.NXT already counts.
    fn is_crossing_syn_ack(&self, segment: &Segment) -> bool {
        self.profile.figure_7
            && self.tcb.state == State::SynReceived
            && self.tcb.origin == Origin::Active
            && segment.has(Flags::SYN_ACK)
            && !segment.has(Flags::RST)
            && segment.seq == self.tcb.rcv.irs
            && segment.ack == self.tcb.snd.nxt
            && (segment.len == 0 || !self.profile.loose_edges)
    }

    // The peer repeats its SYN because our SYN+ACK was lost (contradiction 5).
    fn is_own_syn_again(&self, segment: &Segment) -> bool {
        self.profile.duplicate_syn_draws_syn_ack
            && self.tcb.state == State::SynReceived
            && segment.has(Flags::SYN)
            && !segment.has(Flags::ACK)
            && segment.seq == self.tcb.rcv.irs
    }

    /// Linux: a peer that aborts right after its FIN resets at the number of the FIN.
    pub(super) fn is_reset_before_fin(&self, segment: &Segment) -> bool {
        self.profile.reset_before_fin
            && matches!(self.tcb.state, State::CloseWait | State::LastAck | State::Closing)
            && segment.seq + 1 == self.tcb.rcv.nxt
    }

    // The segment is acceptable: its first or its last number is in the window.
    fn trim(&mut self, segment: &mut Segment) {
        let left = self.trim_left(segment);
        if self.trim_right(segment) || left {
            self.take(Rule::Seq5);
        }
    }

    /// Cuts what lies before RCV.NXT. True when something did.
    fn trim_left(&self, segment: &mut Segment) -> bool {
        let rcv = self.tcb.rcv;
        if segment.seq_len() == 0 || segment.seq.in_window(rcv.nxt, rcv.wnd) {
            return false;
        }
        let mut cut = rcv.nxt - segment.seq;
        if segment.has(Flags::SYN) {
            segment.flags = segment.flags.without(Flags::SYN);
            cut -= 1;
        }
        segment.len = segment.len.saturating_sub(cut);
        segment.seq = rcv.nxt;
        true
    }

    /// Cuts what lies beyond the right edge: the FIN first, then text. True when something did.
    pub(in crate::step) fn trim_right(&self, segment: &mut Segment) -> bool {
        let right = self.tcb.rcv.nxt + self.tcb.rcv.wnd;
        let room = right - segment.text_seq();
        // A SYN at the very edge leaves its text outside.
        let room = if segment.text_seq().gt(right) { 0 } else { room };
        let mut trimmed = false;
        if segment.len > room {
            segment.len = room;
            segment.flags = segment.flags.without(Flags::FIN);
            trimmed = true;
        } else if segment.has(Flags::FIN) && segment.len == room {
            segment.flags = segment.flags.without(Flags::FIN);
            trimmed = true;
        }
        trimmed
    }
}
