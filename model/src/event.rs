//! What can happen to a TCB: user calls, an arriving segment, a timer (RFC 9293, section 3.10).

use core::fmt;

use crate::segment::Segment;
use crate::tcb::Config;

/// How a connection is, or was, opened (MUST-11: remembered).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Origin {
    /// By waiting.
    #[default]
    Passive,
    /// By sending the first SYN.
    Active,
}

/// What is known of the other end. Addresses themselves belong to the caller, who finds the TCB by them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Remote {
    /// Anyone.
    #[default]
    Unspecified,
    /// One address and port.
    Specified,
    /// A broadcast or multicast address, which an active OPEN has to refuse (MUST-46).
    Forbidden,
}

/// Why a call fails. The RFC's wording in 3.10 is the doc line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallError {
    /// connection does not exist
    DoesNotExist,
    /// connection illegal for this process
    NoAccess,
    /// insufficient resources
    InsufficientResources,
    /// remote socket unspecified
    RemoteUnspecified,
    /// The remote is a broadcast or multicast address (MUST-46).
    RemoteForbidden,
    /// The DSCP value is not allowed.
    BadDscp,
    /// security/compartment not allowed
    BadCompartment,
    /// connection already exists
    AlreadyExists,
    /// connection closing
    Closing,
    /// connection reset
    Reset,
    /// connection refused
    Refused,
    /// Retransmission went beyond R2, or keep-alive found nobody.
    TimedOut,
    /// connection aborted due to user timeout
    UserTimeout,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::DoesNotExist => "connection does not exist",
            Self::NoAccess => "connection illegal for this process",
            Self::InsufficientResources => "insufficient resources",
            Self::RemoteUnspecified => "remote socket unspecified",
            Self::RemoteForbidden => "remote is broadcast or multicast",
            Self::BadDscp => "DSCP value not allowed",
            Self::BadCompartment => "security/compartment not allowed",
            Self::AlreadyExists => "connection already exists",
            Self::Closing => "connection closing",
            Self::Reset => "connection reset",
            Self::Refused => "connection refused",
            Self::TimedOut => "timed out",
            Self::UserTimeout => "user timeout",
        })
    }
}

/// A user call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// OPEN.
    Open {
        /// Passive or active.
        origin: Origin,
        /// The other end.
        remote: Remote,
        /// The connection's parameters.
        config: Config,
        /// What the environment says: access, room, DSCP, compartment. The machine cannot know.
        admission: Result<(), CallError>,
    },
    /// SEND.
    Send {
        /// Octets.
        len: u32,
        /// The PUSH flag.
        push: bool,
        /// The URGENT flag.
        urgent: bool,
        /// The other end, when the call names it.
        remote: Remote,
        /// What the environment says.
        admission: Result<(), CallError>,
    },
    /// RECEIVE of at most `len` octets.
    Receive {
        /// Octets wanted.
        len: u32,
        /// What the environment says.
        admission: Result<(), CallError>,
    },
    /// CLOSE.
    Close {
        /// True for the half-duplex close of sockets (MAY-1): the user will read no more either.
        reader_gone: bool,
    },
    /// ABORT.
    Abort,
    /// STATUS.
    Status,
}

impl Call {
    /// A passive OPEN by an admitted user, remote open.
    #[must_use]
    pub const fn listen(config: Config) -> Self {
        Self::Open { origin: Origin::Passive, remote: Remote::Unspecified, config, admission: Ok(()) }
    }

    /// An active OPEN by an admitted user.
    #[must_use]
    pub const fn connect(config: Config) -> Self {
        Self::Open { origin: Origin::Active, remote: Remote::Specified, config, admission: Ok(()) }
    }

    /// A pushed SEND by an admitted user.
    #[must_use]
    pub const fn send(len: u32) -> Self {
        Self::Send { len, push: true, urgent: false, remote: Remote::Unspecified, admission: Ok(()) }
    }

    /// A RECEIVE by an admitted user.
    #[must_use]
    pub const fn receive(len: u32) -> Self {
        Self::Receive { len, admission: Ok(()) }
    }

    /// The RFC's CLOSE: no more to send, still reading (`shutdown(SHUT_WR)`).
    pub const CLOSE: Self = Self::Close { reader_gone: false };
    /// The sockets' `close()`: no more to send, no more reading.
    pub const CLOSE_BOTH: Self = Self::Close { reader_gone: true };
}

/// The timers of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timer {
    /// USER TIMEOUT (3.9.1.1, 3.10.8).
    User,
    /// RETRANSMISSION TIMEOUT (RFC 6298).
    Retransmit,
    /// 2MSL.
    TimeWait,
    /// Delayed acknowledgment (3.8.6.3).
    DelayedAck,
    /// Zero-window probe (3.8.6.1).
    Persist,
    /// The sender's silly-window override (3.8.6.2.1).
    SwsOverride,
    /// Keep-alive (3.8.4).
    KeepAlive,
    /// Linux's limit for orphans in FIN-WAIT-2.
    FinWait2,
}

impl Timer {
    /// Every timer.
    pub const ALL: [Self; 8] = [
        Self::User,
        Self::Retransmit,
        Self::TimeWait,
        Self::DelayedAck,
        Self::Persist,
        Self::SwsOverride,
        Self::KeepAlive,
        Self::FinWait2,
    ];

    /// A short name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Retransmit => "retransmit",
            Self::TimeWait => "2MSL",
            Self::DelayedAck => "delayed-ack",
            Self::Persist => "persist",
            Self::SwsOverride => "sws-override",
            Self::KeepAlive => "keep-alive",
            Self::FinWait2 => "fin-wait-2",
        }
    }
}

/// An ICMP error that the caller has matched to this TCB (MUST-54), by class (3.9.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IcmpError {
    /// Source quench: silently discarded (MUST-55).
    SourceQuench,
    /// Destination unreachable 0, 1, 5; time exceeded; parameter problem: never fatal (MUST-56).
    Soft,
    /// Destination unreachable 2-4: abort (SHLD-26).
    Hard,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The user calls.
    Call(Call),
    /// A segment arrives, checksum and addresses verified (MUST-3, MUST-57, MUST-63), options decoded.
    Arrives(Segment),
    /// A timer expires. One that the machine has not started, or has stopped, is ignored.
    Expires(Timer),
    /// An ICMP error arrives. Outside the 117 rules: it leaves no trail.
    Icmp(IcmpError),
    /// The caller can take more segments: goes on where the burst limit ended, or where the congestion window grew.
    Transmit,
}
