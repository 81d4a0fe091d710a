//! Segments for SYN-SENT: RFC 9293, section 3.10.7.3.

use super::{Reply, Step};
use crate::effect::Signal;
use crate::event::CallError;
use crate::profile::SynExtras;
use crate::rule::Rule;
use crate::segment::{Flags, Segment};
use crate::state::State;

impl Step<'_> {
    pub(super) fn arrives_syn_sent(&mut self, segment: &Segment) {
        let (has_ack, has_rst) = (segment.has(Flags::ACK), segment.has(Flags::RST));
        let snd = self.tcb.snd;
        // SND.UNA < SEG.ACK =< SND.NXT, as distances so that no ACK field is on neither side.
        let acknowledges = segment.ack - snd.una;
        if has_ack && (acknowledges == 0 || acknowledges > snd.nxt - snd.una) {
            self.take(if has_rst { Rule::SegSs1 } else { Rule::SegSs2 });
            if !has_rst {
                self.reset(segment);
            }
        } else if has_rst {
            // RFC 5961 would compare SEG.SEQ with RCV.NXT, which does not exist yet (contradiction 11).
            self.take(if has_ack { Rule::SegSs3 } else { Rule::SegSs4 });
            if has_ack {
                self.abort_with(CallError::Refused);
            }
        } else if self.profile.security && segment.compartment != self.tcb.config.compartment {
            self.take(Rule::SegSs5);
            self.reset(segment);
        } else if !segment.has(Flags::SYN) {
            self.take(Rule::SegSs8);
            if segment.has(Flags::FIN) {
                self.take(Rule::Fin0);
            }
        } else if has_ack {
            self.take(Rule::SegSs6);
            self.syn_acknowledged(segment);
        } else {
            self.take(Rule::SegSs7);
            self.crossing_syn(segment);
        }
    }

    fn take_syn(&mut self, syn: &Segment) {
        self.agree(syn);
        let rcv = &mut self.tcb.rcv;
        (rcv.irs, rcv.nxt) = (syn.seq, syn.seq + 1);
    }

    fn syn_acknowledged(&mut self, segment: &Segment) {
        self.take_syn(segment);
        self.accept_ack(segment.ack);
        if self.profile.window_from_syn_ack {
            self.take_window(segment);
        } else {
            // So that the next segment, whatever its number, sets the window (contradiction 12).
            (self.tcb.snd.wl1, self.tcb.snd.wl2) = (segment.seq, segment.ack);
        }
        self.enter(State::Established);
        self.signal(Signal::Established);
        self.acknowledge(Reply::Now);
        let ignore = self.profile.syn_extras == SynExtras::Ignore && !self.profile.fast_open;
        let mut rest = *segment;
        if ignore {
            (rest.len, rest.flags) = (0, rest.flags.without(Flags::FIN));
        } else {
            self.trim_right(&mut rest);
        }
        // What Fast Open sent on the SYN and the peer did not take goes out again at once (RFC 7413, 4.1.3).
        self.resend = self.tcb.in_flight();
        self.after_ack(segment, &rest, State::Established);
    }

    fn crossing_syn(&mut self, syn: &Segment) {
        self.take_syn(syn);
        self.take_window(syn);
        // SEG.ACK means nothing without ACK; the RFC's SND.WL2 := SEG.ACK becomes ISS (contradiction 12).
        self.tcb.snd.wl2 = self.tcb.snd.iss;
        if self.tcb.snd.nxt == self.tcb.snd.iss {
            // A SYN that Fast Open had put off: the SYN+ACK is the first to leave.
            self.tcb.snd.nxt += 1;
        }
        self.enter(State::SynReceived);
        self.queue_from_syn(syn);
        self.send_syn_ack();
        self.transmit = true;
    }
}
