//! Segments that may have arrived unseen.

use super::{Offer, UNHEARD_WINDOW, leads};
use crate::event::Event;
use crate::oracle::candidate::{Candidate, Terms};
use crate::oracle::observation::Kind;
use crate::segment::{Flags, Segment, Timestamps};
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::Tcb;

impl Candidate {
    pub(super) fn guess_segments(&self, terms: &Terms, kind: &Kind, offer: Offer<'_>) {
        let state = self.tcb.state;
        let rcv_nxt = match kind {
            Kind::Transition(transition) => transition.numbers.rcv_nxt,
            Kind::Sent(segment) => segment.has(Flags::ACK).then_some(segment.ack),
            _ => None,
        };
        if matches!(state, State::Closed | State::Listen | State::SynSent) {
            self.guess_syns(kind, rcv_nxt, offer);
            return;
        }
        let Self { tcb: Tcb { snd, rcv, .. }, .. } = self;
        let at = rcv.nxt;
        // An end has to be shown, and what is sent afterwards can only be a reset.
        let ends = match kind {
            Kind::Sent(segment) => segment.has(Flags::RST) || !terms.tap.transitions,
            _ if self.tcb.former.is_some() => leads(kind, &[State::TimeWait, State::Closed, State::Listen]),
            _ => leads(kind, &[State::Closed, State::Listen]),
        };
        if ends {
            offer(self, Event::Arrives(self.heard(Flags::RST, at, Seq(0))));
            if state == State::SynReceived && rcv.reader_gone {
                // Its text resets.
                offer(self, Event::Arrives(self.heard(Flags::ACK, at, snd.nxt).text(1)));
            }
        }
        if state == State::TimeWait {
            if leads(kind, &[State::Closed, State::Listen, State::SynReceived]) {
                offer(self, Event::Arrives(self.newer_syn(rcv_nxt)));
            }
            return;
        }
        let counts = matches!(state, State::SynReceived | State::FinWait1 | State::Closing | State::LastAck);
        let counts = counts && self.tcb.in_flight();
        if counts
            && leads(
                kind,
                &[State::Established, State::FinWait1, State::FinWait2, State::TimeWait, State::Closed],
            )
        {
            offer(self, Event::Arrives(self.heard(Flags::ACK, at, snd.nxt)));
        }
        // Text that the endpoint acknowledges, with a FIN at its end or without.
        let ahead = rcv_nxt.map_or(0, |next| next - at);
        let known = (1..UNHEARD_WINDOW).contains(&ahead);
        if known && !matches!(kind, Kind::Transition(_)) {
            let ack = if state == State::SynReceived { snd.nxt } else { snd.una };
            offer(self, Event::Arrives(self.heard(Flags::ACK, at, ack).text(ahead)));
        }
        let closed = matches!(state, State::CloseWait | State::LastAck | State::Closing);
        if (known || rcv_nxt.is_none())
            && !closed
            && leads(kind, &[State::CloseWait, State::Closing, State::TimeWait])
        {
            let fin = self.heard(Flags::FIN_ACK, at, snd.una).text(ahead.saturating_sub(1));
            if state != State::SynReceived {
                offer(self, Event::Arrives(fin));
            }
            if counts {
                offer(self, Event::Arrives(Segment { ack: snd.nxt, ..fin }));
            }
        }
    }

    /// The SYN that RCV.NXT counts. What it offers shows when the endpoint agrees to it. Or the peer refuses.
    fn guess_syns(&self, kind: &Kind, rcv_nxt: Option<Seq>, offer: Offer<'_>) {
        let state = self.tcb.state;
        let irs = rcv_nxt.map_or(Seq(0), |next| next - 1);
        let syn = |flags| Event::Arrives(Segment::new(flags, irs.0, self.tcb.snd.nxt.0));
        if state != State::Closed && leads(kind, &[State::SynReceived]) {
            offer(self, syn(Flags::SYN));
        }
        if state == State::SynSent {
            if leads(kind, &[State::Established]) {
                offer(self, syn(Flags::SYN_ACK));
            }
            if leads(kind, &[State::CloseWait]) {
                offer(self, syn(Flags::SYN_ACK | Flags::FIN));
            }
            if leads(kind, &[State::Closed]) {
                offer(self, Event::Arrives(self.heard(Flags::RST_ACK, Seq(0), self.tcb.snd.nxt)));
            }
        }
    }

    /// A segment of a peer that nobody hears, with the timestamps that were agreed.
    fn heard(&self, flags: Flags, seq: Seq, ack: Seq) -> Segment {
        let mut segment = Segment::new(flags, seq.0, ack.0);
        segment.options.timestamps =
            self.tcb.agreed.timestamps.map(|r| Timestamps { value: r.value, echo: 0 });
        segment
    }

    /// Its timestamp is evidence that it is newer than the connection in TIME-WAIT (RFC 6191).
    fn newer_syn(&self, rcv_nxt: Option<Seq>) -> Segment {
        let mut syn = Segment::new(Flags::SYN, rcv_nxt.map_or(self.tcb.rcv.nxt, |next| next - 1).0, 0);
        let value = self.tcb.agreed.timestamps.map_or(0, |recent| recent.value.wrapping_add(1));
        syn.options.timestamps = Some(Timestamps { value, echo: 0 });
        syn
    }
}
