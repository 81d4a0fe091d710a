//! Segments for CLOSED and LISTEN: RFC 9293, sections 3.10.7.1 and 3.10.7.2.

use super::Step;
use crate::effect::{Effect, Signal};
use crate::event::{Origin, Remote};
use crate::profile::SynExtras;
use crate::rule::Rule;
use crate::segment::{Flags, Options, Segment};
use crate::seq::Seq;
use crate::state::State;

impl Step<'_> {
    pub(super) fn arrives_closed(&mut self, segment: &Segment) {
        if segment.has(Flags::RST) {
            self.take(Rule::SegCl1);
            return;
        }
        self.take(if segment.has(Flags::ACK) { Rule::SegCl3 } else { Rule::SegCl2 });
        self.reset(segment);
    }

    pub(super) fn arrives_listen(&mut self, segment: &Segment) {
        if segment.has(Flags::RST) {
            self.take(Rule::SegLi1);
        } else if segment.has(Flags::ACK) {
            match self.choices.valid_cookie {
                Some(mss) if self.profile.syn_cookies && !segment.has(Flags::SYN) => {
                    self.rebuild_from_cookie(segment, mss);
                }
                _ => {
                    self.take(Rule::SegLi2);
                    self.reset(segment);
                }
            }
        } else if segment.has(Flags::SYN) {
            self.syn_arrives(segment);
        } else {
            self.take(Rule::SegLi6);
            if segment.has(Flags::FIN) {
                self.take(Rule::Fin0);
            }
        }
    }

    fn syn_arrives(&mut self, syn: &Segment) {
        if self.profile.security && syn.compartment != self.tcb.config.compartment {
            self.take(Rule::SegLi3);
            self.reset(syn);
        } else if self.profile.fast_open && self.choices.valid_fast_open && syn.len > 0 {
            self.take(Rule::SegLi3f);
            self.half_open(syn, self.choices.iss);
            self.take_window(syn);
            let len = syn.len.min(self.tcb.rcv.wnd);
            self.accept_text(len);
            self.tcb.rcv.push = true;
            self.serve_receives(false);
            self.first_syn_ack();
        } else if self.profile.syn_cookies {
            self.take(Rule::SegLi3c);
            self.answer_with_cookie(syn);
        } else if self.profile.syn_extras == SynExtras::Ignore && syn.has(Flags::FIN) {
            self.take(Rule::SegLi6);
            self.take(Rule::Fin0);
        } else {
            self.take(Rule::SegLi4);
            self.half_open(syn, self.choices.iss);
            self.queue_from_syn(syn);
            self.first_syn_ack();
        }
    }

    /// A SYN makes a half-open connection. The SYN+ACK is still to be sent.
    pub(super) fn half_open(&mut self, syn: &Segment, iss: Seq) {
        self.prepare(iss);
        self.agree(syn);
        let rcv = &mut self.tcb.rcv;
        (rcv.irs, rcv.nxt, rcv.last_ack) = (syn.seq, syn.seq + 1, syn.seq + 1);
        // Whatever comes next is newer than this: the first window update must count.
        (self.tcb.snd.wl1, self.tcb.snd.wl2) = (syn.seq, iss);
        self.tcb.origin = Origin::Passive;
        self.tcb.remote = Remote::Specified;
        self.enter(State::SynReceived);
    }

    pub(super) fn first_syn_ack(&mut self) {
        self.send_syn_ack();
        self.tcb.snd.nxt = self.tcb.snd.iss + 1;
        self.time_segment();
        self.transmit = true;
    }

    /// Text and FIN on a SYN wait until the handshake is over, as far as they fit the window.
    pub(super) fn queue_from_syn(&mut self, syn: &Segment) {
        if self.profile.syn_extras == SynExtras::Ignore {
            return;
        }
        let start = self.tcb.rcv.nxt;
        let len = syn.len.min(self.tcb.rcv.wnd);
        let fin = syn.has(Flags::FIN) && len == syn.len && len < self.tcb.rcv.wnd;
        self.tcb.rcv.held.insert(start, len, fin, false);
        if len > 0 || fin {
            self.out.push(Effect::Hold(start, len));
        }
    }

    // Nothing is remembered: the numbers are all there is, and options have no place in them.
    fn answer_with_cookie(&mut self, syn: &Segment) {
        let config = &self.tcb.config;
        let answer = Segment {
            seq: self.choices.iss,
            ack: syn.seq + 1,
            flags: Flags::SYN_ACK,
            window: u16::try_from(config.receive_buffer).unwrap_or(u16::MAX),
            options: Options { mss: Some(config.mss), ..Options::default() },
            compartment: config.compartment,
            ..Segment::default()
        };
        self.out.push(Effect::Send(answer));
    }

    fn rebuild_from_cookie(&mut self, ack: &Segment, mss: u16) {
        self.take(Rule::SegLi2c);
        let iss = ack.ack - 1;
        let syn = Segment {
            seq: ack.seq - 1,
            options: Options { mss: Some(mss), ..Options::default() },
            ..Segment::default()
        };
        self.half_open(&syn, iss);
        let snd = &mut self.tcb.snd;
        (snd.una, snd.nxt) = (ack.ack, ack.ack);
        self.take_window(ack);
        self.enter(State::Established);
        self.signal(Signal::Established);
        let mut inside = *ack;
        self.trim_right(&mut inside);
        self.after_ack(ack, &inside, State::Established);
    }
}
