//! What one event means for the connection it belongs to: the tracker's answer, the checker's question, and, once
//! judged, the sinks' input.

use model::Inconclusive;
use model::linux::{Evidence, History, Judgement, LinuxState, Transition};

use crate::{
    event::{Event, Family, Flow, Task},
    tracker::Connection,
};

/// One step in the life of a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<'a> {
    /// The event behind it.
    pub event: &'a Event,
    /// The story so far, this step included; `None` for steps of sockets that are not tracked.
    pub connection: Option<&'a Connection>,
    /// What happened.
    pub kind: StepKind,
}

/// The kinds of steps. One event gives no step, one, or several in order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StepKind {
    /// A transition that the kernel's tracepoint showed.
    Transition {
        /// From where to where.
        transition: Transition,
        /// The socket's fields at that instant.
        evidence: Evidence,
        /// What is remembered of the socket, for the judge.
        history: History,
        /// `Some`: the story has a hole, so that no verdict is possible.
        hole: Option<Inconclusive>,
        /// Nanoseconds spent in the state that was left; `None` when its beginning was not seen.
        spent: Option<u64>,
    },
    /// A handshake has come to its end.
    Handshake {
        /// Who opened.
        role: Role,
        /// How it ended.
        result: HandshakeResult,
        /// How long it took until then, nanoseconds, or why that is not known.
        duration: Result<u64, Untimed>,
    },
    /// A SYN was sent again.
    SynRetransmit,
    /// A SYN+ACK was sent again.
    SynAckRetransmit,
    /// An RST was sent or received; the event says why.
    Reset {
        /// True when this host sent it.
        sent: bool,
    },
    /// A half-open request was born (a pseudo transition LISTEN -> NEW_SYN_RECV).
    RequestBegun,
    /// A half-open request has ended.
    RequestEnded {
        /// True when a child was made of it.
        completed: bool,
        /// Nanoseconds it lived; `None` when its beginning was not seen.
        lived: Option<u64>,
    },
    /// A timewait minisocket was made.
    TimewaitBegun {
        /// From which state the connection came; `None` when its story is not known.
        path: Option<TimewaitPath>,
        /// TIME_WAIT, or FIN_WAIT2 for an orphan that still waits for the peer's FIN.
        substate: LinuxState,
    },
    /// The peer's FIN turned an orphan's FIN_WAIT2 minisocket into TIME_WAIT, noticed now.
    TimewaitConverted,
    /// 2 MSL were started over.
    TimewaitRestarted,
    /// A timewait minisocket has ended.
    TimewaitEnded {
        /// TIME_WAIT or FIN_WAIT2: what it was at its end.
        substate: LinuxState,
        /// Why.
        cause: TimewaitEnd,
        /// Nanoseconds it lived; `None` when its beginning was not seen.
        lived: Option<u64>,
    },
    /// The kernel had no room for the minisocket of a TIME-WAIT that was due, or of an orphan's FIN-WAIT-2.
    TimewaitSkipped,
    /// The socket is gone.
    Destroyed,
    /// The same firing came twice (from two copies of the handler); nothing changed.
    Duplicate,
}

impl StepKind {
    /// The name of the kind, as streams and rows spell it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Transition { .. } => "transition",
            Self::Handshake { .. } => "handshake",
            Self::SynRetransmit => "syn_retransmit",
            Self::SynAckRetransmit => "synack_retransmit",
            Self::Reset { .. } => "reset",
            Self::RequestBegun => "request_begun",
            Self::RequestEnded { .. } => "request_ended",
            Self::TimewaitBegun { .. } => "timewait_begun",
            Self::TimewaitConverted => "timewait_converted",
            Self::TimewaitRestarted => "timewait_restarted",
            Self::TimewaitEnded { .. } => "timewait_ended",
            Self::TimewaitSkipped => "timewait_skipped",
            Self::Destroyed => "destroyed",
            Self::Duplicate => "duplicate",
        }
    }
}

/// Who opened the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// We sent the first SYN.
    Client,
    /// The peer did.
    Server,
}

/// How a handshake ended: the values of `tcptracer_handshakes_total{result}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandshakeResult {
    /// ESTABLISHED was reached.
    Established,
    /// An RST answered the SYN.
    Refused,
    /// An RST ended a handshake that was under way.
    Reset,
    /// No answer.
    Timeout,
    /// The network said that there is no way.
    Unreachable,
    /// The caller gave up.
    Aborted,
    /// The listener had no room.
    Overflow,
    /// A SYN cookie did not fit.
    CookieFailed,
    /// None of these.
    Other,
}

/// Why an established handshake has no duration: the values of `tcptracer_handshakes_untimed_total{cause}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Untimed {
    /// A SYN cookie: the kernel kept nothing to time it by.
    SynCookie,
    /// Fast Open: data came before the handshake ended, or a SYN may have waited for data (TCP_FASTOPEN_CONNECT).
    FastOpen,
    /// It began before the agent.
    Adopted,
    /// Its beginning was lost.
    LostEvent,
}

/// Where TIME_WAIT was entered from: the values of `tcptracer_time_wait_entered_total{path}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimewaitPath {
    /// FIN and the ACK of ours in one segment.
    FinWait1,
    /// The usual way.
    FinWait2,
    /// After a simultaneous close.
    Closing,
    /// Inside the minisocket of an orphan.
    Minisocket,
}

/// Why a timewait minisocket ended: the values of `tcptracer_time_wait_ended_total{cause}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimewaitEnd {
    /// Its time was over.
    Expired,
    /// Our connect took the addresses and ports.
    ReusedByConnect,
    /// The peer's SYN opened the next connection.
    ReusedBySyn,
    /// An RST came (RFC 1337's assassination); to what came for an orphan in FIN_WAIT2, one was sent.
    Reset,
    /// `ss -K`.
    Destroyed,
    /// Its namespace went away.
    Purged,
    /// Not known.
    Unknown,
}

macro_rules! labels {
    ($type:ident { $($variant:ident = $name:literal),+ $(,)? }) => {
        impl $type {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The metrics' label value.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

labels!(Role { Client = "client", Server = "server" });
labels!(HandshakeResult {
    Established = "established", Refused = "refused", Reset = "reset", Timeout = "timeout",
    Unreachable = "unreachable", Aborted = "aborted", Overflow = "overflow", CookieFailed = "cookie_failed",
    Other = "other",
});
labels!(Untimed { SynCookie = "syncookie", FastOpen = "fastopen", Adopted = "adopted", LostEvent = "lost_event" });
labels!(TimewaitPath {
    FinWait1 = "fin_wait1", FinWait2 = "fin_wait2", Closing = "closing", Minisocket = "minisocket",
});
labels!(TimewaitEnd {
    Expired = "expired", ReusedByConnect = "reused", ReusedBySyn = "reused", Reset = "reset", Destroyed = "destroyed", Purged = "purged",
    Unknown = "unknown",
});

/// A step and what the model says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding<'a> {
    /// The step. It is as large as all evidence together, and is not moved.
    pub step: &'a Step<'a>,
    /// The model's judgement: of transitions, and of ends of timewait minisockets whose birth and cause are known.
    pub judgement: Option<Judgement>,
}

impl Step<'_> {
    /// Family of the socket.
    #[must_use]
    pub fn family(&self) -> Family {
        self.event.flow.family
    }

    /// Both ends, as far as the story knows them: the kernel forgets the ports of a closed socket.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.connection.map_or(self.event.flow, Connection::flow)
    }

    /// False for a reset that belongs to no socket: it has no ends that are known, and no family.
    #[must_use]
    pub const fn has_socket(&self) -> bool {
        self.event.socket.address != 0
    }

    /// The task that acted on the socket, or else the one that owns it.
    #[must_use]
    pub fn task(&self) -> Option<Task> {
        self.event.task.or_else(|| self.connection?.owner)
    }
}
