//! A connection whose user has closed, as Linux keeps it: only the peer's FIN is still wanted.

use super::{Flow, Step};
use crate::event::CallError;
use crate::reassembly::HeldFin;
use crate::rule::Rule;
use crate::segment::{Flags, Segment};
use crate::state::State;
use crate::step::Reply;

impl Step<'_> {
    /// In FIN-WAIT-2 an orphan is a minisocket, which knows numbers and no ACKs (Linux: `tcp_timewait_state_process`).
    pub(super) fn check_minisocket(&mut self, segment: &Segment) -> Flow {
        let rcv = self.tcb.rcv;
        if !(self.is_shrunk_orphan() && self.tcb.state == State::FinWait2) {
            return Flow::Go;
        }
        let (end, right) = (segment.end(), rcv.nxt + rcv.wnd);
        let within = segment.seq == rcv.nxt
            || end.gt(rcv.nxt) && segment.seq.lt(right)
            || segment.seq == right && segment.seq == end;
        if !within {
            // A reset out of the window draws an ACK as well.
            self.take(Rule::Seq3);
            self.acknowledge(Reply::Now);
        } else if segment.has(Flags::RST) {
            self.take(Rule::Rst4);
            self.abort_with(CallError::Reset);
        } else if segment.has(Flags::SYN) && !segment.seq.lt(rcv.nxt) {
            self.take(Rule::Syn3);
            self.reset(segment);
            self.abort_with(CallError::Reset);
        } else if !segment.has(Flags::ACK) {
            self.take(Rule::Ack0);
        } else if end == segment.seq || end.le(rcv.nxt) {
            self.take(Rule::Ack5);
        } else if segment.has(Flags::FIN) && end == rcv.nxt + 1 {
            self.fin_reached(State::FinWait2, HeldFin::WithText);
        } else {
            self.take(Rule::Txt2);
            self.reset(segment);
            self.abort_with(CallError::Reset);
        }
        Flow::Drop
    }

    /// The segment that acknowledged an orphan's FIN is done with, unless it has a FIN itself, or late text.
    pub(super) fn ends_with_its_ack(&mut self, segment: &Segment, before: State) -> bool {
        let entered = before == State::FinWait1 && self.tcb.state == State::FinWait2;
        let consumed =
            entered && self.is_shrunk_orphan() && !segment.has(Flags::FIN) && !self.goes_beyond(segment);
        if consumed {
            self.reply = Reply::None;
        }
        consumed
    }

    /// Something of the segment, other than the FIN, lies beyond RCV.NXT.
    pub(super) fn goes_beyond(&self, segment: &Segment) -> bool {
        segment.seq_len() > 0 && (segment.text_seq() + segment.len).gt(self.tcb.rcv.nxt)
    }

    pub(super) const fn is_shrunk_orphan(&self) -> bool {
        self.profile.orphan_minisockets && self.tcb.rcv.reader_gone
    }
}
