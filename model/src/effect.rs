//! What a step does to the world, in order: segments, replies and signals to the user, timer orders.

use core::ops::Deref;

use crate::event::{CallError, Timer};
use crate::segment::Segment;
use crate::seq::Seq;
use crate::state::State;

/// Text handed to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Delivery {
    /// Number of the first octet.
    pub seq: Seq,
    /// Octets.
    pub len: u32,
    /// A PUSH was seen, or a FIN, which implies it.
    pub push: bool,
    /// Urgent data is still ahead.
    pub urgent: bool,
}

/// The answer to STATUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status {
    /// The state.
    pub state: State,
    /// SND.UNA, SND.NXT and SND.WND.
    pub send: (Seq, Seq, u32),
    /// RCV.NXT and RCV.WND.
    pub receive: (Seq, u32),
    /// Octets waiting to be sent, and to be read.
    pub queued: (u32, u32),
}

/// How a call succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Done {
    /// "ok".
    Ok,
    /// Accepted; a signal completes it.
    Queued,
    /// The caller makes a second TCB (a passive OPEN beside a listening one, where the profile allows it).
    Second,
    /// RECEIVE's text.
    Received(Delivery),
    /// STATUS.
    Status(Status),
}

/// What the user is told without having asked at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// OPEN is complete.
    Established,
    /// A waiting RECEIVE is complete.
    Received(Delivery),
    /// Every octet before this number has been acknowledged: those SENDs are complete.
    Sent(Seq),
    /// The peer will send no more.
    Closing,
    /// CLOSE is complete: our FIN has been acknowledged.
    Closed,
    /// Waiting RECEIVEs fail.
    ReceiveFailed(CallError),
    /// Waiting or unacknowledged SENDs fail.
    SendFailed(CallError),
    /// The connection ended otherwise than by CLOSE (MUST-12).
    Aborted(CallError),
    /// Urgent data ends before this number (MUST-32).
    Urgent(Seq),
    /// R1: retransmission has become persistent; IP should look for another route (MUST-20, SHLD-9).
    DeliveryProblem,
    /// A soft ICMP error (SHLD-25).
    SoftError,
}

/// One effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Send this segment.
    Send(Segment),
    /// Answer the call being made.
    Reply(Result<Done, CallError>),
    /// Tell the user.
    Signal(Signal),
    /// Text (or a FIN, of length 0) out of order is held from this number on.
    Hold(Seq, u32),
    /// (Re)start the timer; it expires after so many microseconds.
    Start(Timer, u64),
    /// Stop the timer.
    Stop(Timer),
}

/// The most segments that one step sends; [`crate::event::Event::Transmit`] goes on from there.
pub const MAX_BURST: u8 = 16;

const CAPACITY: usize = 48;

/// The effects of one step, inline: no allocation.
#[derive(Clone, Debug)]
pub struct Effects {
    list: [Effect; CAPACITY],
    used: usize,
    overflow: bool,
}

impl Effects {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { list: [Effect::Stop(Timer::User); CAPACITY], used: 0, overflow: false }
    }

    /// True when there was an effect too many: never, or the capacity is wrong. Tests assert it.
    #[must_use]
    pub const fn overflowed(&self) -> bool {
        self.overflow
    }

    /// The segments among the effects.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.iter().filter_map(|effect| match effect {
            Effect::Send(segment) => Some(segment),
            _ => None,
        })
    }

    /// The signals among the effects.
    pub fn signals(&self) -> impl Iterator<Item = Signal> {
        self.iter().filter_map(|effect| match effect {
            Effect::Signal(signal) => Some(*signal),
            _ => None,
        })
    }

    /// The reply to a call, if the event was one.
    #[must_use]
    pub fn reply(&self) -> Option<Result<Done, CallError>> {
        self.iter().find_map(|effect| match effect {
            Effect::Reply(reply) => Some(*reply),
            _ => None,
        })
    }

    pub(crate) fn clear(&mut self) {
        self.used = 0;
        self.overflow = false;
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        match self.list.get_mut(self.used) {
            Some(slot) => {
                *slot = effect;
                self.used += 1;
            }
            None => self.overflow = true,
        }
    }
}

impl Default for Effects {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Effects {
    type Target = [Effect];

    fn deref(&self) -> &[Effect] {
        self.list.get(..self.used).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, Effect, Effects};
    use crate::event::Timer;

    #[test]
    fn one_effect_too_many_is_told_and_not_kept() {
        let mut effects = Effects::new();
        for _ in 0..CAPACITY {
            effects.push(Effect::Stop(Timer::User));
        }
        assert!(!effects.overflowed());
        effects.push(Effect::Stop(Timer::User));
        assert!(effects.overflowed());
        assert_eq!(effects.len(), CAPACITY);
        effects.clear();
        assert!(!effects.overflowed() && effects.is_empty());
    }
}
