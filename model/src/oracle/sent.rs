//! A segment that left: is it one that this explanation permits now? Its free values are adopted.

use super::candidate::{Candidate, DUPLICATES, Terms};
use super::departure::Departures;
use super::duty::Due;
use super::verdict::{Mismatch, flags_of};
use crate::effect::Effects;
use crate::event::{Event, Origin, Timer};
use crate::rule::Rule;
use crate::segment::{Flags, Segment};
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::{Fin, Recent};

impl Candidate {
    pub(super) fn sends(
        &mut self,
        terms: &Terms,
        out: &mut Effects,
        now: u64,
        segment: &Segment,
    ) -> Result<(), Mismatch> {
        if segment.has(Flags::RST) {
            self.sends_reset(terms, now, segment)
        } else if segment.has(Flags::SYN) {
            self.sends_syn(terms, out, now, segment)
        } else {
            self.sends_other(terms, out, now, segment)
        }
    }

    fn sends_reset(&mut self, terms: &Terms, now: u64, reset: &Segment) -> Result<(), Mismatch> {
        if reset.has(Flags::SYN) || reset.has(Flags::FIN) {
            return Err(flags_of(reset));
        }
        let mut nearest = Mismatch::UnwantedReset;
        for (index, due) in self.due().iter().enumerate() {
            if !due.flags.has(Flags::RST) {
                continue;
            }
            // An endpoint may add the ACK that it knows (Linux does when it aborts).
            let known = [due.ack, self.tcb.rcv.nxt, self.gone.1];
            if due.seq != reset.seq {
                nearest = Mismatch::Sequence { expected: due.seq, seen: reset.seq };
            } else if due.flags.has(Flags::ACK) && !reset.has(Flags::ACK) {
                nearest = flags_of(reset);
            } else if reset.has(Flags::ACK) && !reset_ack_fits(due, &known, reset.ack) {
                nearest = Mismatch::Acknowledgment { expected: due.ack, seen: reset.ack };
            } else {
                self.dues.settle(index);
                return Ok(());
            }
        }
        // Something unacceptable may have come unseen, and this is the answer.
        let answers =
            matches!(self.tcb.state, State::Closed | State::Listen | State::SynSent | State::SynReceived);
        if (!terms.tap.received && answers) || now < self.resets_until { Ok(()) } else { Err(nearest) }
    }

    fn sends_syn(
        &mut self,
        terms: &Terms,
        out: &mut Effects,
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
            self.run(terms, out, now, &Event::Transmit);
        }
        Ok(())
    }

    /// Text that rides on the first SYN (3.10.2; RFC 7413).
    fn take_syn_text(&mut self, terms: &Terms, syn: &Segment) -> Result<(), Mismatch> {
        if syn.len == 0 || self.tcb.state != State::SynSent {
            return Ok(());
        }
        self.ride(terms, syn.len)?;
        Ok(())
    }

    // Octets of the queue leave.
    fn ride(&mut self, terms: &Terms, len: u32) -> Result<(), Mismatch> {
        let snd = &mut self.tcb.snd;
        if len > snd.queued {
            if terms.tap.calls || snd.fin == Fin::Sent {
                return Err(Mismatch::NotQueued { at_most: snd.queued });
            }
            snd.queued = len;
        }
        snd.nxt += len;
        snd.queued -= len;
        snd.pushed = snd.pushed.saturating_sub(len);
        Ok(())
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
                if self.tcb.origin != Origin::Active {
                    return Err(Mismatch::Option);
                }
                self.departures = self.departures.with(Departures::CROSSED_OPTIONS);
            }
            let agreed = &mut self.tcb.agreed;
            agreed.scale = match (offer.window_scale, options.window_scale) {
                (Some(theirs), Some(ours)) => Some((theirs.min(14), ours.min(14))),
                _ => None,
            };
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

    fn sends_other(
        &mut self,
        terms: &Terms,
        out: &mut Effects,
        now: u64,
        segment: &Segment,
    ) -> Result<(), Mismatch> {
        let state = self.tcb.state;
        let speaks = state.is_synchronized() || state == State::SynReceived;
        if !segment.has(Flags::ACK) || !speaks {
            return Err(flags_of(segment));
        }
        let snd = self.tcb.snd;
        self.take_refused(segment.ack);
        if segment.ack != self.tcb.rcv.nxt {
            return Err(Mismatch::Acknowledgment { expected: self.tcb.rcv.nxt, seen: segment.ack });
        }
        let stamped = segment.options.timestamps.is_some();
        if stamped != self.tcb.agreed.timestamps.is_some() {
            if terms.tap.received {
                return Err(Mismatch::Option);
            }
            // The peer's SYN was not seen; this shows what it offered.
            self.tcb.agreed.timestamps = stamped.then_some(Recent { value: 0, since: now });
        }
        if segment.has(Flags::URG) && snd.up.is_none() && terms.tap.calls {
            return Err(flags_of(segment));
        }
        if segment.seq_len() == 0 {
            self.sends_ack(terms, segment)?;
        } else if segment.seq == snd.nxt {
            self.sends_new(terms, now, segment.len, segment.has(Flags::FIN))?;
        } else if segment.seq.lt(snd.nxt) {
            self.sends_old(terms, now, segment)?;
        } else {
            return Err(Mismatch::Sequence { expected: snd.nxt, seen: segment.seq });
        }
        self.acknowledged();
        self.adopt_window(segment);
        if segment.seq_len() > 0 {
            self.run(terms, out, now, &Event::Transmit);
        }
        Ok(())
    }

    /// An ACK alone is always allowed: a duplicate, a window update, a keep-alive probe.
    fn sends_ack(&mut self, terms: &Terms, ack: &Segment) -> Result<(), Mismatch> {
        let snd = self.tcb.snd;
        let keeps_alive = self.tcb.config.keep_alive.is_some() || !terms.tap.calls;
        // A closed window may be probed by a number already acknowledged as well, which has to be answered.
        let closed = self.window_room() == 0 && (snd.queued > 0 || self.wants_fin() || self.tcb.in_flight());
        let probes = self.tcb.state.is_synchronized()
            && (ack.seq + 1 == snd.nxt && keeps_alive || ack.seq + 1 == snd.una && closed);
        // Where the peer took its window back, the right edge is the last number that it accepts.
        let edge = snd.una + snd.wnd;
        let at_edge = edge.lt(snd.nxt) && ack.seq == edge && self.tcb.state.is_synchronized();
        if probes {
            let probes = &mut self.tcb.rtt.keep_alive_probes;
            *probes = probes.saturating_add(1);
        }
        if ack.seq == snd.nxt || probes || at_edge {
            return Ok(());
        }
        Err(Mismatch::Sequence { expected: snd.nxt, seen: ack.seq })
    }

    fn sends_new(&mut self, terms: &Terms, now: u64, len: u32, fin: bool) -> Result<(), Mismatch> {
        let speaks = match self.tcb.state {
            State::Established | State::CloseWait | State::FinWait1 | State::Closing | State::LastAck => {
                !self.tcb.syn_unacked()
            }
            State::SynReceived => terms.profile.fast_open && !fin,
            _ => false,
        };
        if !speaks {
            let seen = if fin { Flags::FIN_ACK } else { Flags::ACK | Flags::PSH };
            return Err(Mismatch::Flags { seen });
        }
        if fin && !self.wants_fin() {
            return Err(Mismatch::UnwantedFin);
        }
        // A closed window is probed with one octet or with the FIN (3.8.6.1).
        let room = self.window_room();
        let takes = len.saturating_add(u32::from(fin));
        let probe = room == 0 && takes == 1;
        if terms.tap.received && !probe && takes > room {
            return Err(Mismatch::BeyondWindow { at_most: room });
        }
        self.ride(terms, len)?;
        let snd = &mut self.tcb.snd;
        if fin {
            if snd.queued > 0 {
                if terms.tap.received {
                    return Err(Mismatch::UnwantedFin);
                }
                // Whether there was room for all that the user gave depends on ACKs that nobody saw.
                (snd.queued, snd.pushed) = (0, 0);
            }
            snd.nxt += 1;
            snd.fin = Fin::Sent;
            if self.tcb.state == State::CloseWait {
                if self.shown == State::CloseWait {
                    self.moved_at = now;
                }
                self.tcb.state = State::LastAck;
            }
        }
        if probe {
            self.tcb.rtt.probes = self.tcb.rtt.probes.saturating_add(1);
        }
        if self.tcb.rtt.timing.is_none() {
            self.tcb.rtt.timing = Some((self.tcb.snd.nxt, now));
        }
        Ok(())
    }

    /// Something again: all of it from the retransmission queue, or with new text behind it.
    fn sends_old(&mut self, terms: &Terms, now: u64, segment: &Segment) -> Result<(), Mismatch> {
        let snd = self.tcb.snd;
        let (old, end) = (snd.nxt - segment.seq, segment.end());
        let keep_alive = snd.una == snd.nxt && segment.seq + 1 == snd.nxt && segment.len == 1;
        if keep_alive && (self.tcb.config.keep_alive.is_some() || !terms.tap.calls) {
            // The garbage octet of old keep-alives (3.8.4).
            return Ok(());
        }
        if let Some(index) = self.due().iter().position(|d| d.flags.has(Flags::FIN) && d.seq == segment.seq) {
            // The FIN of a CLOSE in SYN-RECEIVED leaves for the first time.
            self.dues.settle(index);
            return if segment.has(Flags::FIN) && segment.len == 0 { Ok(()) } else { Err(flags_of(segment)) };
        }
        let syn = u32::from(self.tcb.syn_unacked());
        if segment.seq.lt(snd.una + syn) && (terms.tap.received || syn == 1) {
            return Err(Mismatch::Sequence { expected: snd.nxt, seen: segment.seq });
        }
        let fin_there = snd.fin == Fin::Sent;
        if end.le(snd.nxt) {
            // The number of the FIN belongs to the FIN alone.
            if segment.has(Flags::FIN) != (fin_there && end == snd.nxt) {
                return Err(flags_of(segment));
            }
        } else {
            if fin_there {
                return Err(Mismatch::NotQueued { at_most: 0 });
            }
            let new = segment.len.saturating_sub(old);
            self.sends_new(terms, now, new, segment.has(Flags::FIN))?;
        }
        self.again(terms, now)
    }

    /// Counts a retransmission. Earlier than the timeout it needs duplicate ACKs, or is a departure.
    fn again(&mut self, terms: &Terms, now: u64) -> Result<(), Mismatch> {
        let timer = if self.tcb.timers.has(Timer::Persist) { Timer::Persist } else { Timer::Retransmit };
        let (earliest, _) = self.expiry(timer, &terms.tolerance);
        let opening = !self.tcb.state.is_synchronized();
        // Half the timeout, since the endpoint's own measurement of the round trip is not ours.
        let span = self.span(timer);
        let half = span.from.saturating_add(span.to.saturating_sub(span.from) / 2);
        let timed_out = !self.tcb.timers.has(timer) || now >= half;
        if self.tcb.timers.has(timer) && now < earliest {
            // The peer's SYN again draws the SYN+ACK again.
            let drawn = self.tcb.state == State::SynReceived && !terms.tap.received;
            // A refused answer makes Linux repeat its SYN at once (tcp_rcv_synsent_state_process).
            let refused = self.tcb.state == State::SynSent
                && self.tcb.rtt.retransmits == 0
                && (self.last.contains(Rule::SegSs1) || self.last.contains(Rule::SegSs2));
            if refused {
                self.departures = self.departures.with(Departures::EARLY_RETRANSMISSION);
            } else if opening && !drawn {
                return Err(Mismatch::TooEarly { timer, earliest });
            }
            if terms.tap.received && !timed_out && self.duplicates < DUPLICATES {
                self.departures = self.departures.with(Departures::EARLY_RETRANSMISSION);
            }
        }
        let limits = &terms.profile.limits;
        let rtt = &mut self.tcb.rtt;
        if timer == Timer::Persist {
            rtt.probes = rtt.probes.saturating_add(1);
        } else if timed_out {
            if rtt.retransmits == 0 {
                rtt.since = now;
            }
            rtt.retransmits = rtt.retransmits.saturating_add(1);
            rtt.rto = limits.backed_off(rtt.rto, rtt.retransmits, self.tcb.state);
        }
        rtt.timing = None;
        if self.tcb.syn_unacked() {
            self.tcb.rtt.syn_lost = true;
        } else if timer == Timer::Retransmit {
            self.tcb.rtt.recover = Some(self.tcb.snd.nxt);
        }
        // Starts anew when the step ends.
        self.tcb.timers = self.tcb.timers.without(timer);
        Ok(())
    }

    /// The window told is the window kept, as far as it moves the right edge to the right (SHLD-14).
    fn adopt_window(&mut self, segment: &Segment) {
        let shift = self.tcb.agreed.scale.map_or(0, |(_, ours)| u32::from(ours));
        let told = u32::from(segment.window).checked_shl(shift).unwrap_or(u32::MAX);
        let rcv = &mut self.tcb.rcv;
        rcv.wnd = rcv.wnd.max(told);
    }
}

fn reset_ack_fits(due: &Due, known: &[Seq; 3], seen: Seq) -> bool {
    if due.flags.has(Flags::ACK) { due.ack == seen } else { known.contains(&seen) }
}
