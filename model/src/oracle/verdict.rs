//! What the oracle says, and why.

use core::fmt;

use super::departure::Departures;
use crate::event::Timer;
use crate::rule::{Rule, Trail};
use crate::segment::{Flags, Segment};
use crate::seq::Seq;
use crate::state::State;

/// What the oracle says of one observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The profile allows it, by these rules; none when the observation changes nothing.
    Conforming(Trail),
    /// Only with these departures from the profile; the rules are those taken under them. Said once: what follows
    /// is judged with the departures granted.
    Deviation(Departures, Trail),
    /// Nothing explains it.
    Violation(Violation),
    /// Not enough is known to judge.
    Inconclusive(Cause),
}

/// Why nothing explains an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where the nearest explanation fails.
    pub mismatch: Mismatch,
    /// The nearest rules: what they prescribe is not what was seen.
    pub rules: Trail,
    /// The state in which the nearest explanation sees the endpoint.
    pub state: State,
}

/// Why there is no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Observations are missing, and the endpoint has not been in a known state since.
    Gap,
    /// More explanations than the oracle has places for.
    Overflow,
    /// There was a violation, and the endpoint has not been in a known state since.
    Derailed,
}

/// Where an explanation fails. `seen` is the observation's, `expected` the model's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The transition leaves another state than the one that the endpoint is known to be in.
    From {
        /// The model's state.
        expected: State,
    },
    /// Nothing leads to the state that was entered.
    To {
        /// Where the connection has to go now, if it has to.
        expected: Option<State>,
        /// Where it went.
        seen: State,
    },
    /// A transition that had to be seen by now was not.
    NoTransition {
        /// The state that should have been left.
        from: State,
        /// The state that should have been entered.
        to: State,
    },
    /// SND.UNA at a transition.
    Una {
        /// The model's.
        expected: Seq,
        /// The endpoint's.
        seen: Seq,
    },
    /// SND.NXT at a transition.
    Nxt {
        /// The model's.
        expected: Seq,
        /// The endpoint's.
        seen: Seq,
    },
    /// RCV.NXT at a transition.
    RcvNxt {
        /// The model's.
        expected: Seq,
        /// The endpoint's.
        seen: Seq,
    },
    /// A segment of this kind cannot leave in this state.
    Flags {
        /// Its control bits.
        seen: Flags,
    },
    /// The number of a segment sent.
    Sequence {
        /// The model's.
        expected: Seq,
        /// The segment's.
        seen: Seq,
    },
    /// The acknowledgment of a segment sent.
    Acknowledgment {
        /// The model's.
        expected: Seq,
        /// The segment's.
        seen: Seq,
    },
    /// More text than the user has given.
    NotQueued {
        /// What is left to send.
        at_most: u32,
    },
    /// More text than the peer's window allows.
    BeyondWindow {
        /// What the window allows.
        at_most: u32,
    },
    /// A FIN that the user has not called for, or that leaves text behind.
    UnwantedFin,
    /// A reset that nothing asked for.
    UnwantedReset,
    /// Timestamps where none are agreed, or none where they are; an option in a SYN+ACK that the SYN did not offer.
    Option,
    /// An ACK that was owed did not come.
    NoAck {
        /// What it should have acknowledged.
        expected: Seq,
    },
    /// A challenge ACK did not come (RFC 5961).
    NoChallenge {
        /// What it should have acknowledged.
        expected: Seq,
    },
    /// A segment that was owed did not come.
    NoSegment {
        /// Its control bits.
        flags: Flags,
        /// Its number.
        seq: Seq,
    },
    /// A timer expired before its time.
    TooEarly {
        /// The timer.
        timer: Timer,
        /// When it could have, in microseconds.
        earliest: u64,
    },
    /// A timer did not expire in its time.
    TooLate {
        /// The timer.
        timer: Timer,
        /// When it had to, in microseconds.
        latest: u64,
    },
}

impl Mismatch {
    /// A rule that speaks of it, where the last rules taken do not.
    #[must_use]
    pub const fn rule(&self) -> Option<Rule> {
        match self {
            Self::NotQueued { .. } | Self::BeyondWindow { .. } => Some(Rule::Send5),
            Self::UnwantedFin => Some(Rule::Close6),
            Self::UnwantedReset => Some(Rule::Abort3),
            Self::NoAck { .. } => Some(Rule::TmoDack),
            Self::TooEarly { timer, .. } | Self::TooLate { timer, .. } => Some(match timer {
                Timer::User => Rule::TmoUser,
                Timer::Retransmit => Rule::TmoRtx,
                Timer::TimeWait => Rule::TmoTw,
                Timer::DelayedAck => Rule::TmoDack,
                Timer::Persist => Rule::TmoPersist,
                Timer::SwsOverride => Rule::TmoSws,
                Timer::KeepAlive => Rule::TmoKeep,
                Timer::FinWait2 => Rule::TmoFw2,
            }),
            _ => None,
        }
    }
}

/// What one explanation would have allowed instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// This transition has to be seen.
    Transition(State, State),
    /// This segment has to leave by then (microseconds).
    Segment(Flags, Seq, u64),
    /// An ACK of this number has to leave by then.
    Ack(Seq, u64),
    /// New text from this number on, so much at most.
    Text(Seq, u32),
    /// The FIN, at this number or behind that text.
    Fin(Seq),
    /// What lies from the first number up to the second, again.
    Again(Seq, Seq),
    /// The end of this timer, between these times.
    Expiry(Timer, u64, u64),
}

impl Verdict {
    /// `conforming`, `deviation`, `violation` or `inconclusive`.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Conforming(_) => "conforming",
            Self::Deviation(..) => "deviation",
            Self::Violation(_) => "violation",
            Self::Inconclusive(_) => "inconclusive",
        }
    }

    /// True for a violation.
    #[must_use]
    pub const fn is_violation(&self) -> bool {
        matches!(self, Self::Violation(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class())?;
        match self {
            Self::Conforming(trail) => write!(f, " ({trail})"),
            Self::Deviation(departures, trail) => write!(f, " ({departures}: {trail})"),
            Self::Violation(violation) => write!(f, " ({violation})"),
            Self::Inconclusive(cause) => write!(f, " ({cause})"),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in {}: {}; rules {}", self.state, self.mismatch, self.rules)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gap => "gap",
            Self::Overflow => "overflow",
            Self::Derailed => "derailed",
        })
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From { expected } => write!(f, "the state was {expected}"),
            Self::To { expected: Some(expected), seen } => write!(f, "{seen} entered instead of {expected}"),
            Self::To { expected: None, seen } => write!(f, "nothing leads to {seen}"),
            Self::NoTransition { from, to } => write!(f, "no transition from {from} to {to}"),
            Self::Una { expected, seen } => write!(f, "SND.UNA {seen} instead of {expected}"),
            Self::Nxt { expected, seen } => write!(f, "SND.NXT {seen} instead of {expected}"),
            Self::RcvNxt { expected, seen } => write!(f, "RCV.NXT {seen} instead of {expected}"),
            Self::Flags { seen } => write!(f, "no {seen} can leave"),
            Self::Sequence { expected, seen } => write!(f, "SEQ {seen} instead of {expected}"),
            Self::Acknowledgment { expected, seen } => write!(f, "ACK {seen} instead of {expected}"),
            Self::NotQueued { at_most } => write!(f, "text that nobody gave: {at_most} octets wait"),
            Self::BeyondWindow { at_most } => write!(f, "text beyond the window: {at_most} octets fit"),
            Self::UnwantedFin => f.write_str("a FIN that was not called for"),
            Self::UnwantedReset => f.write_str("a reset that nothing asked for"),
            Self::Option => f.write_str("options that were not agreed"),
            Self::NoAck { expected } => write!(f, "no ACK of {expected}"),
            Self::NoChallenge { expected } => write!(f, "no challenge ACK of {expected}"),
            Self::NoSegment { flags, seq } => write!(f, "no {flags} at {seq}"),
            Self::TooEarly { timer, earliest } => {
                write!(f, "{} before {} ms", timer.name(), earliest / 1_000)
            }
            Self::TooLate { timer, latest } => {
                write!(f, "no {} by {} ms", timer.name(), latest / 1_000)
            }
        }
    }
}

/// A segment's own part of a mismatch, for readers that want the whole segment.
pub(super) const fn flags_of(segment: &Segment) -> Mismatch {
    Mismatch::Flags { seen: segment.flags }
}
