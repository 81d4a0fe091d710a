//! What an explanation would allow next: the other half of a violation's message.

use super::Tolerance;
use super::candidate::Candidate;
use super::verdict::Expected;
use crate::tcb::Fin;

impl Candidate {
    /// What this explanation would allow next.
    pub fn expected(&self, tolerance: &Tolerance) -> impl Iterator<Item = Expected> {
        let (snd, rcv) = (self.tcb.snd, self.tcb.rcv);
        let unshown =
            (self.shown != self.tcb.state).then_some(Expected::Transition(self.shown, self.tcb.state));
        let ack = (self.ack_by != u64::MAX).then_some(Expected::Ack(rcv.nxt, self.ack_by));
        let text = (snd.queued > 0).then(|| Expected::Text(snd.nxt, snd.queued.min(self.window_room())));
        let fin = (snd.fin == Fin::Wanted).then(|| Expected::Fin(snd.nxt + snd.queued));
        let again = self.tcb.in_flight().then_some(Expected::Again(snd.una, snd.nxt));
        let tolerance = *tolerance;
        let due = self.due().iter().map(|due| Expected::Segment(due.flags, due.seq, due.by));
        let ends = self.timers_that_end().map(move |timer| {
            let (earliest, latest) = self.expiry(timer, &tolerance);
            Expected::Expiry(timer, earliest, latest)
        });
        unshown.into_iter().chain(due).chain(ack).chain(text).chain(fin).chain(again).chain(ends)
    }
}
