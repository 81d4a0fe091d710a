//! Second check: RST; third check: security (RFC 9293, section 3.10.7.4).

use super::{Flow, Step};
use crate::event::{CallError, Origin};
use crate::rule::Rule;
use crate::segment::{Flags, Segment};
use crate::state::State;

impl Step<'_> {
    pub(super) fn check_reset(&mut self, segment: &Segment) -> Flow {
        if !segment.has(Flags::RST) {
            return Flow::Go;
        }
        let behind_held = self.profile.reset_behind_held
            && self.tcb.agreed.sack
            && self.tcb.rcv.held.end() == Some(segment.seq);
        let exact = segment.seq == self.tcb.rcv.nxt
            || self.is_reset_before_fin(segment)
            || behind_held
            || self.takes_any_reset();
        if self.profile.rfc5961_rst && !exact {
            self.take(Rule::Rst1);
            if !(self.profile.time_wait_unchallenged && self.tcb.state == State::TimeWait) {
                self.challenge();
            }
            return Flow::Drop;
        }
        match (self.tcb.state, self.tcb.origin) {
            (State::SynReceived, Origin::Passive) => {
                self.take(Rule::Rst2);
                self.return_to_listen();
            }
            (State::SynReceived, Origin::Active) => {
                self.take(Rule::Rst3);
                self.abort_with(CallError::Refused);
            }
            (State::TimeWait, _) if self.profile.rfc1337 => self.take(Rule::Rst6),
            (State::Closing | State::LastAck | State::TimeWait, _) => {
                self.take(Rule::Rst5);
                self.delete();
            }
            _ => {
                self.take(Rule::Rst4);
                self.abort_with(CallError::Reset);
            }
        }
        Flow::Drop
    }

    /// Older Linux: of a half-open request every reset in the window counts.
    pub(super) fn takes_any_reset(&self) -> bool {
        self.profile.half_open_reset_in_window
            && self.tcb.state == State::SynReceived
            && self.tcb.origin == Origin::Passive
    }

    pub(super) fn check_security(&mut self, segment: &Segment) -> Flow {
        if !self.profile.security || segment.compartment == self.tcb.config.compartment {
            return Flow::Go;
        }
        if self.tcb.state == State::SynReceived {
            self.take(Rule::Sec1);
            self.reset(segment);
        } else {
            self.take(Rule::Sec2);
            self.reset(segment);
            self.abort_with(CallError::Reset);
        }
        Flow::Drop
    }
}
