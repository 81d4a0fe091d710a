//! Segments for all other states: the eight checks of RFC 9293, section 3.10.7.4, in their order.

mod ack;
mod fin;
mod orphan;
mod reset;
mod sequence;
mod syn;
mod text;
mod timestamps;
mod urgent;

use super::Step;
use crate::segment::Segment;
use crate::state::State;

/// What a check decides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// The next check follows.
    Go,
    /// The segment is done with.
    Drop,
}

impl Step<'_> {
    pub(super) fn arrives(&mut self, segment: &Segment) {
        // What lies inside the window; the resets and the urgent pointer need the segment as it came.
        let mut inside = *segment;
        let before = self.tcb.state;
        let dropped = self.check_control_bits(segment) == Flow::Drop
            || self.check_time_wait_syn(segment) == Flow::Drop
            || self.check_timestamps(segment) == Flow::Drop
            || self.check_minisocket(segment) == Flow::Drop
            || self.check_request(segment) == Flow::Drop
            || self.check_sequence(segment, &mut inside) == Flow::Drop
            || self.check_reset(segment) == Flow::Drop
            || self.check_security(segment) == Flow::Drop
            || self.check_syn(segment, &inside) == Flow::Drop
            || self.check_ack(segment, &inside) == Flow::Drop
            || self.ends_with_its_ack(segment, before);
        if !dropped {
            self.after_ack(segment, &inside, before);
        }
    }

    /// Checks six to eight. `before` is the state in which the segment found the connection.
    pub(super) fn after_ack(&mut self, segment: &Segment, inside: &Segment, before: State) {
        self.transmit = true;
        self.check_urgent(segment);
        if self.check_text(segment, inside) == Flow::Go {
            self.check_fin(segment, inside, before);
        }
    }
}
