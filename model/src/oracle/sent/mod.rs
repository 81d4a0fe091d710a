//! A segment that left: is it one that this explanation permits now? Its free values are adopted.

mod again;
mod syn;

use super::advance::Machine;
use super::candidate::{Candidate, Terms};
use super::duty::{Due, Dues};
use super::verdict::{Mismatch, flags_of};
use crate::event::Event;
use crate::segment::{Flags, Segment};
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::{Fin, Recent};

impl Candidate {
    pub(super) fn sends(
        &mut self,
        terms: &Terms,
        machine: &mut Machine,
        now: u64,
        segment: &Segment,
    ) -> Result<(), Mismatch> {
        if segment.has(Flags::RST) {
            return self.sends_reset(terms, now, segment);
        }
        // Somebody is there.
        self.drawn = Dues::NONE;
        if segment.has(Flags::SYN) {
            self.sends_syn(terms, machine, now, segment)
        } else {
            self.sends_other(terms, machine, now, segment)
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

    fn sends_other(
        &mut self,
        terms: &Terms,
        machine: &mut Machine,
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
            self.sends_ack(segment)?;
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
            self.run(terms, machine, now, &Event::Transmit);
        }
        Ok(())
    }

    /// An ACK alone is always allowed: a duplicate, a window update, a keep-alive probe.
    fn sends_ack(&mut self, ack: &Segment) -> Result<(), Mismatch> {
        let snd = self.tcb.snd;
        let keeps_alive = self.tcb.config.keep_alive.is_some();
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

    /// The window told is the window kept, as far as it moves the right edge to the right (SHLD-14).
    fn adopt_window(&mut self, segment: &Segment) {
        let shift = self.tcb.agreed.scale.map_or(0, |(_, ours)| u32::from(ours));
        self.full_field = segment.window == u16::MAX && self.tcb.agreed.scale.is_none();
        let told = u32::from(segment.window).checked_shl(shift).unwrap_or(u32::MAX);
        let rcv = &mut self.tcb.rcv;
        rcv.wnd = rcv.wnd.max(told);
    }
}

fn reset_ack_fits(due: &Due, known: &[Seq; 3], seen: Seq) -> bool {
    if due.flags.has(Flags::ACK) { due.ack == seen } else { known.contains(&seen) }
}
