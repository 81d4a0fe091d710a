//! What can be seen of one endpoint, and which kinds of it are complete.

use core::fmt;

use crate::event::{Call, IcmpError};
use crate::segment::Segment;
use crate::seq::Seq;
use crate::state::State;

/// One thing seen, in the order in which the endpoint dealt with it.
///
/// A segment that arrives comes before what it causes. What one event causes (a transition, segments) may come in any
/// order among itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// When, in microseconds; never earlier than the one before.
    pub at: u64,
    /// What.
    pub kind: Kind,
}

/// What was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The user called.
    Call(Call),
    /// The endpoint processed a segment from the network.
    Received(Segment),
    /// The endpoint handed a segment to the network.
    Sent(Segment),
    /// The endpoint changed its state.
    Transition(Transition),
    /// An ICMP error reached the endpoint.
    Icmp(IcmpError),
    /// Nothing: time went by.
    Quiet,
    /// The endpoint lost its memory: a crash, a reboot.
    Restart,
    /// Observations are missing here, of any kind.
    Gap,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state that is left.
    pub from: State,
    /// The state that is entered.
    pub to: State,
    /// The variables at that instant.
    pub numbers: Numbers,
}

/// Sequence variables, as far as they can be read.
///
/// SND.NXT may already count what the same event sends; the others are those that led to the transition. Not
/// looked at when CLOSED or LISTEN is entered: the TCB is gone then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// SND.UNA.
    pub una: Option<Seq>,
    /// SND.NXT.
    pub nxt: Option<Seq>,
    /// RCV.NXT; not looked at before the peer's SYN has come.
    pub rcv_nxt: Option<Seq>,
}

/// Which kinds of observation are complete. Where one is not, anything of that kind may have happened unseen; what is
/// seen of it all the same has to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tap {
    /// User calls.
    pub calls: bool,
    /// Segments that the endpoint processes.
    pub received: bool,
    /// Segments that it sends.
    pub sent: bool,
    /// Its changes of state.
    pub transitions: bool,
}

impl Tap {
    /// Everything is seen.
    pub const FULL: Self = Self { calls: true, received: true, sent: true, transitions: true };
    /// Only changes of state are seen: what a tracepoint gives.
    pub const TRANSITIONS: Self = Self { calls: false, received: false, sent: false, transitions: true };
    /// Only segments, both ways: what a capture gives.
    pub const SEGMENTS: Self = Self { calls: false, received: true, sent: true, transitions: false };
    /// Everything but the segments that the endpoint sends.
    pub const NOTHING_SENT: Self = Self { sent: false, ..Self::FULL };
    /// Everything but the segments that it receives.
    pub const NOTHING_RECEIVED: Self = Self { received: false, ..Self::FULL };
    /// Segments and transitions: a capture beside a tracepoint.
    pub const NO_CALLS: Self = Self { calls: false, ..Self::FULL };
    /// Segments and calls.
    pub const NO_TRANSITIONS: Self = Self { transitions: false, ..Self::FULL };

    /// Those above, with their names; the first one is complete.
    pub const NAMED: [(&'static str, Self); 7] = [
        ("everything", Self::FULL),
        ("nothing sent", Self::NOTHING_SENT),
        ("nothing received", Self::NOTHING_RECEIVED),
        ("no calls", Self::NO_CALLS),
        ("no transitions", Self::NO_TRANSITIONS),
        ("only transitions", Self::TRANSITIONS),
        ("only segments", Self::SEGMENTS),
    ];

    /// Whether what this tap shows includes observations of this kind.
    #[must_use]
    pub const fn shows(self, kind: &Kind) -> bool {
        match kind {
            Kind::Call(_) => self.calls,
            Kind::Received(_) | Kind::Icmp(_) => self.received,
            Kind::Sent(_) => self.sent,
            Kind::Transition(_) => self.transitions,
            Kind::Quiet | Kind::Restart | Kind::Gap => true,
        }
    }
}

/// How exact the clocks of endpoint and observer are, and how prompt the endpoint has to be. Microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// A timer may expire this much too early, in percent of its duration.
    pub early_percent: u64,
    /// A timer may expire this much too late, in percent of its duration (timer wheels are coarse).
    pub late_percent: u64,
    /// And this much too late on top.
    pub late: u64,
    /// An answer to a segment leaves within this time: half a second is what a delayed ACK may take (MUST-40).
    pub prompt: u64,
}

impl Tolerance {
    /// 5 % early; 15 % and a second late; half a second for an answer.
    pub const DEFAULT: Self = Self { early_percent: 5, late_percent: 15, late: 1_000_000, prompt: 500_000 };
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(call) => f.write_str(match call {
                Call::Open { .. } => "OPEN",
                Call::Send { .. } => "SEND",
                Call::Receive { .. } => "RECEIVE",
                Call::Close { .. } => "CLOSE",
                Call::Abort => "ABORT",
                Call::Status => "STATUS",
            }),
            Self::Received(segment) => write!(f, "received {segment}"),
            Self::Sent(segment) => write!(f, "sent {segment}"),
            Self::Transition(Transition { from, to, .. }) => write!(f, "{from} -> {to}"),
            Self::Icmp(_) => f.write_str("ICMP error"),
            Self::Quiet => f.write_str("nothing"),
            Self::Restart => f.write_str("restart"),
            Self::Gap => f.write_str("gap"),
        }
    }
}

/// `12.345678 s: sent <SEQ=100><CTL=SYN>`
impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06} s: {}", self.at / 1_000_000, self.at % 1_000_000, self.kind)
    }
}
