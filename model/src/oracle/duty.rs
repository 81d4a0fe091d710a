//! What an explanation owes the observer: segments, an ACK, a transition, each by a certain time.

use super::candidate::{Candidate, Terms};
use super::departure::Departures;
use super::verdict::Mismatch;
use crate::event::Timer;
use crate::rule::Rule;
use crate::segment::{Flags, Segment};
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::Tcb;

/// A segment that has to leave: SYN, SYN+ACK, a reset, or the FIN of a CLOSE before the handshake is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub seq: Seq,
    pub ack: Seq,
    pub flags: Flags,
    pub by: u64,
}

/// The most segments that may be due at once. A reset beyond them is permitted, and no longer demanded.
const MAX_DUE: usize = 4;

/// The segments that are due, in the order in which they became so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dues {
    list: [Due; MAX_DUE],
    used: usize,
}

impl Dues {
    pub(super) const NONE: Self =
        Self { list: [Due { seq: Seq(0), ack: Seq(0), flags: Flags::NONE, by: 0 }; MAX_DUE], used: 0 };

    pub(super) fn as_slice(&self) -> &[Due] {
        self.list.get(..self.used).unwrap_or_default()
    }

    /// The segment has left.
    pub(super) fn settle(&mut self, index: usize) {
        if index < self.used {
            self.list.copy_within(index + 1..self.used, index);
            self.used -= 1;
        }
    }

    fn forget_first(&mut self, many: usize) {
        for _ in 0..many {
            self.settle(0);
        }
    }

    pub(super) fn owe(&mut self, segment: &Segment, by: u64) {
        let due = Due { seq: segment.seq, ack: segment.ack, flags: segment.flags, by };
        let same = |d: &Due| d.seq == due.seq && d.flags == due.flags && !due.flags.has(Flags::RST);
        if self.as_slice().iter().any(same) {
            return;
        }
        if self.used == MAX_DUE {
            self.settle(0);
        }
        if let Some(slot) = self.list.get_mut(self.used) {
            *slot = due;
            self.used += 1;
        }
    }

    /// What the TCB owed goes with it, but for its last resets.
    pub(super) fn keep_resets(&mut self) {
        let mut index = 0;
        while let Some(due) = self.as_slice().get(index) {
            if due.flags.has(Flags::RST) { index += 1 } else { self.settle(index) }
        }
    }

    /// Our numbers begin elsewhere. A reset answers with the peer's.
    pub(super) fn shift(&mut self, by: u32) {
        for due in self.list.iter_mut().take(self.used).filter(|due| !due.flags.has(Flags::RST)) {
            due.seq += by;
        }
    }
}

/// Whether an ACK has to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Duty {
    None,
    /// For a segment that was dropped. Linux limits these (`tcp_invalid_ratelimit`).
    Should,
    /// A challenge (RFC 5961) that no limit holds back.
    Challenge,
    /// For text, FIN or SYN.
    Must,
}

impl Candidate {
    pub(super) fn due(&self) -> &[Due] {
        self.dues.as_slice()
    }

    pub(super) fn want_ack(&mut self, terms: &Terms, by: u64) {
        // An endpoint that throttles its challenges has a count of its own (RFC 5961, section 7).
        let challenge = if terms.profile.limits.challenges.is_none() { Duty::Challenge } else { Duty::None };
        let duty = self.last.as_slice().iter().fold(Duty::None, |duty, rule| {
            duty.max(match rule {
                Rule::Txt1
                | Rule::Fin1
                | Rule::Fin2
                | Rule::Fin3
                | Rule::Fin4
                | Rule::Fin5
                | Rule::Fin6
                | Rule::Seq2t
                | Rule::SegSs6 => Duty::Must,
                Rule::Seq2 | Rule::Rst1 | Rule::Syn2 | Rule::TwSyn2 | Rule::Ack1 => challenge,
                Rule::Seq3 | Rule::Seq4 | Rule::Ack14 => Duty::Should,
                _ => Duty::None,
            })
        });
        if duty > Duty::None {
            self.duty = self.duty.max(duty);
            self.ack_by = self.ack_by.min(by);
        }
    }

    /// An ACK of RCV.NXT has left.
    pub(super) fn acknowledged(&mut self) {
        self.duty = Duty::None;
        self.ack_by = u64::MAX;
        let rcv = &mut self.tcb.rcv;
        rcv.last_ack = rcv.nxt;
        rcv.unacked = 0;
        self.tcb.timers = self.tcb.timers.without(Timer::DelayedAck);
    }

    /// The connection may have ended unseen before this arrived, even if this would have ended it, or its reader gone: a
    /// reset would tell. What comes after that draws its reset, too.
    pub(super) fn note_drawn(&mut self, terms: &Terms, before: State, segment: &Segment, now: u64) {
        let unseen = !terms.tap.calls && !terms.tap.transitions && terms.tap.sent;
        let was_there = before != State::Closed || !self.drawn.as_slice().is_empty();
        let there = was_there && self.tcb.state != State::SynReceived;
        if unseen && there && !segment.has(Flags::RST) {
            self.drawn.owe(&segment.answering_reset(), now.saturating_add(terms.tolerance.prompt));
        }
    }

    /// The same explanation for each way in which this reset may show that nobody was there any more when the segment
    /// arrived that drew it. Whatever came after that draws its reset, too.
    pub(super) fn ended_before(&self, reset: &Segment, now: u64) -> impl Iterator<Item = Self> {
        let drawn = self.drawn.as_slice();
        let drew = move |due: &Due| {
            due.by >= now
                && (due.seq, due.flags) == (reset.seq, reset.flags)
                && (due.ack == reset.ack || !due.flags.has(Flags::ACK))
        };
        (0..drawn.len()).filter(move |index| drawn.get(*index).is_some_and(drew)).map(move |index| {
            let mut ended = *self;
            ended.tcb = Tcb::closed();
            ended.dues = self.drawn;
            ended.dues.forget_first(index + 1);
            ended.forget((self.tcb.state, self.tcb.snd.nxt, self.tcb.rcv.nxt));
            ended.guesses = ended.guesses.saturating_add(1);
            ended
        })
    }

    /// What had to be seen before `now` and was not. A duty that Linux is known to neglect becomes a departure.
    pub(super) fn overdue(&mut self, terms: &Terms, now: u64) -> Result<(), Mismatch> {
        if terms.tap.sent {
            if let Some(due) = self.due().iter().find(|due| due.by < now) {
                return Err(Mismatch::NoSegment { flags: due.flags, seq: due.seq });
            }
            if self.ack_by < now {
                if self.duty == Duty::Challenge {
                    return Err(Mismatch::NoChallenge { expected: self.tcb.rcv.nxt });
                }
                if self.duty == Duty::Must || !terms.allows(Departures::UNANSWERED) {
                    return Err(Mismatch::NoAck { expected: self.tcb.rcv.nxt });
                }
                self.departures = self.departures.with(Departures::UNANSWERED);
                self.duty = Duty::None;
                self.ack_by = u64::MAX;
            }
        } else {
            self.dues = Dues::NONE;
            self.duty = Duty::None;
            self.ack_by = u64::MAX;
        }
        let late = self.moved_at.saturating_add(terms.tolerance.prompt) < now;
        if self.tcb.state != self.shown && terms.tap.transitions && late {
            return Err(self.unshown());
        }
        Ok(())
    }

    /// The transition that has not been seen.
    pub(super) fn unshown(&self) -> Mismatch {
        Mismatch::NoTransition { from: self.shown, to: self.tcb.state }
    }
}

#[cfg(test)]
mod tests {
    use super::{Dues, MAX_DUE};
    use crate::segment::{Flags, Segment};
    use crate::seq::Seq;

    fn owing(segments: &[(Flags, u32)]) -> Dues {
        let mut dues = Dues::NONE;
        for (flags, seq) in segments {
            dues.owe(&Segment::new(*flags, *seq, 0), 1_000);
        }
        dues
    }

    fn numbers<const N: usize>(dues: &Dues) -> [u32; N] {
        assert_eq!(dues.as_slice().len(), N);
        core::array::from_fn(|index| dues.as_slice()[index].seq.0)
    }

    #[test]
    fn a_segment_is_owed_once_and_a_reset_for_each_that_draws_it() {
        assert_eq!(numbers(&owing(&[(Flags::SYN, 5), (Flags::SYN, 5)])), [5]);
        assert_eq!(numbers(&owing(&[(Flags::SYN, 5), (Flags::FIN_ACK, 5), (Flags::SYN, 6)])), [5, 5, 6]);
        assert_eq!(numbers(&owing(&[(Flags::RST, 5), (Flags::RST, 5)])), [5, 5]);
    }

    #[test]
    fn the_oldest_gives_way() {
        let five = owing(&[1, 2, 3, 4, 5].map(|seq| (Flags::RST, seq)));
        assert_eq!(numbers::<MAX_DUE>(&five), [2, 3, 4, 5]);
    }

    #[test]
    fn what_has_left_is_settled_and_what_is_not_there_changes_nothing() {
        let mut dues = owing(&[(Flags::SYN, 1), (Flags::RST, 2), (Flags::FIN_ACK, 3)]);
        dues.settle(3);
        assert_eq!(numbers(&dues), [1, 2, 3]);
        dues.settle(1);
        assert_eq!(numbers(&dues), [1, 3]);
        dues.forget_first(1);
        assert_eq!(numbers(&dues), [3]);
    }

    #[test]
    fn a_tcb_that_goes_leaves_its_resets() {
        let mut dues = owing(&[(Flags::SYN, 1), (Flags::RST, 2), (Flags::FIN_ACK, 3), (Flags::RST_ACK, 4)]);
        dues.shift(100);
        assert_eq!(numbers(&dues), [101, 2, 103, 4]);
        dues.keep_resets();
        assert_eq!(dues.as_slice().iter().map(|due| due.seq).collect::<std::vec::Vec<_>>(), [Seq(2), Seq(4)]);
    }

    extern crate std;
}
