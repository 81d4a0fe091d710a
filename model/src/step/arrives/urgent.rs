//! Sixth check: URG (RFC 9293, section 3.10.7.4).

use super::Step;
use crate::effect::Signal;
use crate::rule::Rule;
use crate::segment::{Flags, Segment};
use crate::state::State;

impl Step<'_> {
    pub(super) fn check_urgent(&mut self, segment: &Segment) {
        if !segment.has(Flags::URG) {
            return;
        }
        if !matches!(self.tcb.state, State::Established | State::FinWait1 | State::FinWait2) {
            self.take(Rule::Urg2);
            return;
        }
        self.take(Rule::Urg1);
        let up = segment.seq + u32::from(segment.urgent);
        let rcv = &mut self.tcb.rcv;
        let consumed = rcv.nxt - rcv.readable;
        match rcv.up {
            // Already in urgent mode: the pointer may advance, the user is not told again.
            Some(known) => rcv.up = Some(known.max(up)),
            None if up.gt(consumed) => {
                rcv.up = Some(up);
                self.signal(Signal::Urgent(up));
            }
            None => {}
        }
    }
}
