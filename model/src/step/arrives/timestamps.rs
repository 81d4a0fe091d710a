//! Timestamps: PAWS (RFC 7323, section 5) and the SYN in TIME-WAIT (RFC 6191).

use super::{Flow, Step};
use crate::rule::Rule;
use crate::segment::{Flags, Segment};
use crate::state::State;
use crate::step::Reply;
use crate::tcb::{Former, Recent};

/// TS.Recent is no longer valid after 24 days (RFC 7323, section 5.5). Microseconds.
const RECENT_VALID: u64 = 24 * 24 * 3_600 * 1_000_000;

/// Timestamps are compared modulo 2^32, like sequence numbers.
const fn older(value: u32, recent: u32) -> bool {
    value.wrapping_sub(recent).cast_signed() < 0
}

impl Step<'_> {
    /// Before PAWS, which would drop a SYN without timestamps that RFC 6191 accepts.
    pub(super) fn check_time_wait_syn(&mut self, segment: &Segment) -> Flow {
        let applies = self.profile.rfc6191
            && self.tcb.state == State::TimeWait
            && segment.has(Flags::SYN)
            && !segment.has(Flags::ACK)
            && !segment.has(Flags::RST);
        if !applies {
            return Flow::Go;
        }
        if self.choices.listener && self.is_new_incarnation(segment) {
            self.take(Rule::TwSyn1);
            self.reopen(segment);
        } else {
            self.take(Rule::TwSyn2);
            if self.profile.rfc5961_syn {
                self.challenge();
            }
        }
        Flow::Drop
    }

    // The seven cases of RFC 6191, section 2. The last number used by the peer is RCV.NXT - 1.
    fn is_new_incarnation(&self, syn: &Segment) -> bool {
        let later_number = syn.seq.gt(self.tcb.rcv.nxt - 1);
        match (self.tcb.agreed.timestamps, syn.options.timestamps) {
            (Some(recent), Some(stamp)) => {
                older(recent.value, stamp.value) || (recent.value == stamp.value && later_number)
            }
            (Some(_), None) => later_number,
            (None, Some(_)) => true,
            (None, None) => later_number,
        }
    }

    // TIME-WAIT, CLOSED, LISTEN and SYN-RECEIVED in one step; the ISS must lie beyond the old numbers (MAY-2).
    fn reopen(&mut self, syn: &Segment) {
        let former = Former {
            snd_nxt: self.tcb.snd.nxt,
            rcv_nxt: self.tcb.rcv.nxt,
            rcv_wnd: self.tcb.rcv.wnd,
            agreed: self.tcb.agreed,
        };
        let (config, remote) = (self.tcb.config, self.tcb.listen_remote);
        let least = former.snd_nxt + self.profile.reopen_gap;
        let iss = if self.choices.iss.gt(former.snd_nxt) { self.choices.iss } else { least };
        self.stop_all();
        *self.tcb = crate::tcb::Tcb::listening(config, remote);
        self.tcb.former = Some(former);
        self.half_open(syn, iss);
        self.queue_from_syn(syn);
        self.first_syn_ack();
    }

    pub(super) fn check_timestamps(&mut self, segment: &Segment) -> Flow {
        if !self.profile.rfc7323 || segment.has(Flags::RST) {
            return Flow::Go;
        }
        let Some(recent) = self.tcb.agreed.timestamps else { return Flow::Go };
        match segment.options.timestamps {
            None if self.profile.timestamps_optional => Flow::Go,
            None => {
                self.take(Rule::Paws2);
                Flow::Drop
            }
            Some(stamp) => {
                let valid = self.now.saturating_sub(recent.since) < RECENT_VALID;
                if valid && older(stamp.value, recent.value) {
                    self.take(Rule::Paws1);
                    self.acknowledge(Reply::Now);
                    return Flow::Drop;
                }
                // An outdated TS.Recent is replaced by whatever is inside the left edge.
                let newer = !valid || !older(stamp.value, recent.value);
                if newer && segment.seq.le(self.tcb.rcv.last_ack) {
                    self.take(Rule::Paws3);
                    self.tcb.agreed.timestamps = Some(Recent { value: stamp.value, since: self.now });
                }
                Flow::Go
            }
        }
    }
}
