//! What happened, in the words of the domain: nobody past the decoder sees the kernel's layout.

use std::net::SocketAddr;

use model::linux::{Evidence, LinuxState, ResetReason, Transition};
use tracer_ebpf::{Caller, Hook};

/// One firing of a hook.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// CLOCK_MONOTONIC, nanoseconds.
    pub time: u64,
    /// The hook that saw it.
    pub hook: Hook,
    /// Which copy of the hook's program recorded it: a doubled event has two different ones.
    pub copy: u8,
    /// The CPU it happened on.
    pub cpu: u16,
    /// Whose event it is.
    pub socket: SocketId,
    /// Both ends of the connection, as far as they are known at that instant.
    pub flow: Flow,
    /// The task that held the socket at that instant. `None`: softirq, so nobody can be named.
    pub task: Option<Task>,
    /// What happened.
    pub what: What,
}

/// How a socket is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketId {
    /// The kernel's socket cookie, the same for a request, its child and its timewait minisocket. 0: none.
    pub cookie: u64,
    /// Kernel address; only meaningful within one life.
    pub address: u64,
    /// Cookie of the network namespace (or its inode number on kernels without one).
    pub netns: u64,
}

/// The address family of a socket. A v4-mapped connection of an IPv6 socket counts as IPv6, as in `ss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// AF_INET.
    Ipv4,
    /// AF_INET6.
    Ipv6,
}

impl Family {
    /// Both, in the order of their use as an index.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The metrics' label value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

/// Both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Family of the socket.
    pub family: Family,
    /// The end on this host.
    pub local: SocketAddr,
    /// The other end; port 0 while it is unknown.
    pub remote: SocketAddr,
}

/// The task that acted on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    /// Process id (the kernel's tgid).
    pub pid: u32,
    /// Thread id (the kernel's pid).
    pub tid: u32,
    /// Command name, NUL-padded.
    pub comm: [u8; 16],
}

impl Task {
    /// The command name as text; bytes that are no UTF-8 are replaced.
    #[must_use]
    pub fn name(&self) -> std::borrow::Cow<'_, str> {
        let end = self.comm.iter().position(|byte| *byte == 0).unwrap_or(self.comm.len());
        String::from_utf8_lossy(&self.comm[..end])
    }
}

/// What a hook saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// A full socket changes its state.
    Transition {
        /// From where to where.
        transition: Transition,
        /// The socket's own fields at that instant.
        evidence: Evidence,
        /// Smoothed round-trip time, microseconds; 0 where there is none yet.
        srtt: u32,
    },
    /// A full socket ends.
    Destroyed {
        /// Its state then, as a rule CLOSE.
        state: LinuxState,
    },
    /// `tcp_reset()` ran for the socket: an RST came, or data came after the close.
    ResetReceived {
        /// The state before.
        state: LinuxState,
    },
    /// An RST was sent.
    ResetSent {
        /// Why, on kernels that say it.
        reason: ResetReason,
        /// The kernel's number for it (`enum sk_rst_reason`), 0 on kernels that have none.
        number: u32,
        /// Sent by `tcp_send_active_reset()`, not as the answer to a segment.
        active: bool,
        /// The segment that it answers is a SYN.
        answers_syn: bool,
    },
    /// A SYN was sent again.
    SynRetransmitted,
    /// A request sent its SYN+ACK again.
    SynAckRetransmitted {
        /// SYN+ACKs sent again before this one.
        earlier: u32,
    },
    /// A timer of a timewait minisocket.
    Timewait {
        /// What became of the timer.
        action: TimerAction,
        /// TIME_WAIT, or FIN_WAIT2 for an orphan that only waits for the peer's FIN.
        substate: LinuxState,
        /// Deadline, jiffies.
        expires: u64,
        /// Who stopped it; unknown where it was not stopped.
        caller: Caller,
    },
    /// The SYN+ACK timer of a half-open request.
    Request {
        /// What became of the timer.
        action: TimerAction,
        /// SYN+ACKs sent again so far.
        retransmits: u32,
        /// When the first SYN+ACK left, CLOCK_MONOTONIC microseconds; 0 when not yet.
        synack_time: u64,
        /// What its end rests on, where the timer has stopped or expired.
        end: RequestEnd,
    },
    /// A timewait minisocket that was FIN_WAIT2 has been found to be TIME_WAIT by a sweep, which comes when it comes: not
    /// in the order of the hooks.
    Swept,
    /// A socket that is tracked is not in a later listing: its end was lost. No record says this; see
    /// [`Tracker::missing`](crate::tracker::Tracker::missing).
    Missing,
    /// A socket that existed when the snapshot was taken.
    Exists {
        /// Its state; NEW_SYN_RECV for a request, the substate for a timewait minisocket.
        state: LinuxState,
        /// True for a request or a timewait minisocket.
        minisocket: bool,
        /// Nothing had been looked at before this time; the event's own time is when it had been. CLOCK_MONOTONIC
        /// nanoseconds.
        from: u64,
    },
}

/// What the end of a half-open request rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestEnd {
    /// Who stopped its timer; unknown where it expired.
    pub caller: Caller,
    /// The last ACK of the handshake has come, and was put off.
    pub acknowledged: bool,
    /// The listener wants data before it accepts (TCP_DEFER_ACCEPT).
    pub deferred: bool,
    /// The listener's accept queue is full.
    pub listener_full: bool,
    /// The listener listens no more.
    pub listener_gone: bool,
}

/// What became of a timer. An expiry shows as a cancel and then an expire; a re-arm as a cancel and then a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimerAction {
    /// Put into the wheel.
    Started,
    /// Taken out of the wheel.
    Cancelled,
    /// Its handler is about to run.
    Expired,
}
