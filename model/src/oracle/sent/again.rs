//! Something that left again: when it may.

use crate::event::Timer;
use crate::oracle::candidate::{Candidate, DUPLICATES, Terms};
use crate::oracle::departure::Departures;
use crate::oracle::verdict::{Mismatch, flags_of};
use crate::profile::LINUX_IN_DETAIL;
use crate::rule::Rule;
use crate::segment::{Flags, Segment};
use crate::state::State;
use crate::tcb::Fin;

impl Candidate {
    /// Something again: all of it from the retransmission queue, or with new text behind it.
    pub(super) fn sends_old(&mut self, terms: &Terms, now: u64, segment: &Segment) -> Result<(), Mismatch> {
        let snd = self.tcb.snd;
        let (old, end) = (snd.nxt - segment.seq, segment.end());
        let keep_alive = snd.una == snd.nxt && segment.seq + 1 == snd.nxt && segment.len == 1;
        if keep_alive && self.tcb.config.keep_alive.is_some() {
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
    pub(super) fn again(&mut self, terms: &Terms, now: u64) -> Result<(), Mismatch> {
        let timer = if self.tcb.timers.has(Timer::Persist) { Timer::Persist } else { Timer::Retransmit };
        self.resend_linearly(terms, now);
        let (earliest, _) = self.expiry(timer, &terms.tolerance);
        // Half the timeout, since the endpoint's own measurement of the round trip is not ours.
        let span = self.span(timer);
        let half = span.from.saturating_add(span.to.saturating_sub(span.from) / 2);
        let timed_out = !self.tcb.timers.has(timer) || now >= half;
        let mut short = false;
        if self.tcb.timers.has(timer) && now < earliest && self.is_early(terms, timed_out)? {
            short = self.is_after_short_timeout(terms, now);
            let habit = if short { Departures::SHORT_TIMEOUT } else { Departures::EARLY_RETRANSMISSION };
            if !terms.allows(habit) {
                return Err(Mismatch::TooEarly { timer, earliest });
            }
            self.departures = self.departures.with(habit);
        }
        let limits = self.departures.apply(&terms.profile).limits;
        let rtt = &mut self.tcb.rtt;
        if timer == Timer::Persist {
            rtt.probes = rtt.probes.saturating_add(1);
        } else if timed_out || short {
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

    /// Whether something sent again before its timeout was sent without a reason that the RFCs know.
    fn is_early(&self, terms: &Terms, timed_out: bool) -> Result<bool, Mismatch> {
        // A refused answer makes Linux repeat its SYN at once (tcp_rcv_synsent_state_process).
        let refused = self.tcb.state == State::SynSent
            && self.tcb.rtt.retransmits == 0
            && (self.last.contains(Rule::SegSs1) || self.last.contains(Rule::SegSs2));
        // The peer's SYN again draws the SYN+ACK again.
        let drawn = self.tcb.state == State::SynReceived && !terms.tap.received;
        if !self.tcb.state.is_synchronized() && !refused && !drawn {
            let (earliest, _) = self.expiry(Timer::Retransmit, &terms.tolerance);
            return Err(Mismatch::TooEarly { timer: Timer::Retransmit, earliest });
        }
        Ok(refused || terms.tap.received && !timed_out && self.duplicates < DUPLICATES)
    }

    /// Whether the timeout that was measured is over, under a bound to it like Linux's (RFC 6298, 2.4: a second).
    fn is_after_short_timeout(&self, terms: &Terms, now: u64) -> bool {
        let (limits, linux) = (&terms.profile.limits, &LINUX_IN_DETAIL.limits);
        let rtt = &self.tcb.rtt;
        let Some(srtt) = rtt.srtt else { return false };
        let may = self.tcb.state.is_synchronized()
            && linux.rto_min < limits.rto_min
            && terms.allows(Departures::SHORT_TIMEOUT);
        let measured = srtt.saturating_add(limits.granularity.max(rtt.rttvar.saturating_mul(4)));
        let timeout = measured.max(linux.rto_min).checked_shl(rtt.retransmits.into()).unwrap_or(u64::MAX);
        let early = timeout / 100 * terms.tolerance.early_percent.min(100);
        let over = self.span(Timer::Retransmit).from.saturating_add(timeout.saturating_sub(early));
        may && self.tcb.timers.has(Timer::Retransmit) && now >= over
    }

    /// A SYN that comes again after the time that it took before shows that its timeout does not double.
    fn resend_linearly(&mut self, terms: &Terms, now: u64) {
        let limits = &terms.profile.limits;
        let may = self.tcb.state == State::SynSent
            && limits.linear_syns == 0
            && (1..=LINUX_IN_DETAIL.limits.linear_syns).contains(&self.tcb.rtt.retransmits)
            && terms.allows(Departures::LINEAR_SYNS);
        if !may || now >= self.expiry(Timer::Retransmit, &terms.tolerance).0 {
            return;
        }
        let mut linear = *self;
        linear.departures = linear.departures.with(Departures::LINEAR_SYNS);
        linear.tcb.rtt.rto = limits.rto_initial;
        linear.start(Timer::Retransmit, self.span(Timer::Retransmit).from, limits.rto_initial);
        if now >= linear.expiry(Timer::Retransmit, &terms.tolerance).0 {
            *self = linear;
        }
    }
}
