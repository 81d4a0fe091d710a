//! A SYN or SYN,ACK that left: the ISS, and what the endpoint offers.

use crate::event::{Event, Origin};
use crate::oracle::advance::Machine;
use crate::oracle::candidate::{Candidate, Terms};
use crate::oracle::departure::Departures;
use crate::oracle::verdict::{Mismatch, flags_of};
use crate::segment::{Flags, Segment};
use crate::state::State;

impl Candidate {
    pub(super) fn sends_syn(
        &mut self,
        terms: &Terms,
        machine: &mut Machine,
        now: u64,
        syn: &Segment,
    ) -> Result<(), Mismatch> {
        let kind = syn.flags.0 & Flags::SYN_ACK.0;
        let odd = syn.has(Flags::FIN) || (syn.has(Flags::ACK) && syn.len > 0);
        let due = self.due().iter().position(|due| due.flags.0 & Flags::SYN_ACK.0 == kind);
        let first = due.and_then(|index| Some((index, *self.due().get(index)?)));
        let again = match self.tcb.state {
            State::SynSent => !syn.has(Flags::ACK),
            // Also where CLOSE came before the handshake was over.
            _ => syn.has(Flags::ACK) && self.tcb.syn_unacked(),
        };
        let unsent = self.tcb.state == State::SynSent && self.tcb.snd.nxt == self.tcb.snd.iss;
        if odd || (first.is_none() && (unsent || !again)) {
            return Err(flags_of(syn));
        }
        let ack = first.map_or(self.tcb.rcv.nxt, |(_, due)| due.ack);
        if syn.has(Flags::ACK) && syn.ack != ack {
            return Err(Mismatch::Acknowledgment { expected: ack, seen: syn.ack });
        }
        if self.iss_known {
            let expected = first.map_or(self.tcb.snd.iss, |(_, due)| due.seq);
            let free = self.tcb.state == State::Listen;
            if syn.seq != expected && !free {
                return Err(Mismatch::Sequence { expected, seen: syn.seq });
            }
        } else {
            if let Some(former) = self.tcb.former
                && terms.profile.reopen_falls_back
                && !syn.seq.gt(former.snd_nxt)
            {
                return Err(Mismatch::Sequence { expected: former.snd_nxt + 1, seen: syn.seq });
            }
            self.rebase(syn.seq);
        }
        if let Some((index, _)) = first {
            self.dues.settle(index);
            self.take_syn_text(terms, syn)?;
            self.agree_as_sent(terms, syn)?;
        } else {
            self.again(terms, now)?;
        }
        if self.tcb.state != State::Listen {
            if syn.has(Flags::ACK) {
                self.acknowledged();
            }
            self.run(terms, machine, now, &Event::Transmit);
        }
        Ok(())
    }

    /// Text that rides on the first SYN (3.10.2; RFC 7413).
    fn take_syn_text(&mut self, terms: &Terms, syn: &Segment) -> Result<(), Mismatch> {
        if syn.len == 0 || self.tcb.state != State::SynSent {
            return Ok(());
        }
        self.ride(terms, syn.len)
    }

    /// What the endpoint itself offers is its choice, and seen here.
    fn agree_as_sent(&mut self, terms: &Terms, syn: &Segment) -> Result<(), Mismatch> {
        let options = &syn.options;
        let config = &mut self.tcb.config;
        if let Some(mss) = options.mss {
            config.mss = mss;
        }
        config.window_scale = options.window_scale;
        config.timestamps = options.timestamps.is_some();
        config.sack = options.sack_permitted;
        if syn.has(Flags::ACK) {
            let offer = self.offer;
            let unasked = (options.window_scale.is_some() && offer.window_scale.is_none())
                || (options.timestamps.is_some() && offer.timestamps.is_none());
            if unasked && terms.tap.received {
                if self.tcb.origin != Origin::Active || !terms.allows(Departures::CROSSED_OPTIONS) {
                    return Err(Mismatch::Option);
                }
                self.departures = self.departures.with(Departures::CROSSED_OPTIONS);
            }
            let agreed = &mut self.tcb.agreed;
            agreed.scale = match (offer.window_scale, options.window_scale) {
                (Some(theirs), Some(ours)) => Some((theirs.min(14), ours.min(14))),
                // Who repeats what the peer did not offer scales its own windows all the same.
                (None, Some(ours)) if unasked => Some((0, ours.min(14))),
                _ => None,
            };
            agreed.scale_is_unasked = offer.window_scale.is_none() && agreed.scale.is_some();
            if options.timestamps.is_none() {
                agreed.timestamps = None;
            }
            agreed.sack &= options.sack_permitted;
        }
        if self.tcb.state != State::Listen {
            // Before the handshake is over this is the whole window; what the buffer holds shows later.
            let told = u32::from(syn.window);
            let rcv = &mut self.tcb.rcv;
            rcv.wnd = if terms.tap.calls { rcv.wnd.max(told) } else { told };
        }
        Ok(())
    }
}
