//! What a tracer saw: one transition, the socket's fields at that instant, and what is remembered of the socket.

use core::fmt;

use super::LinuxState;

/// A state change as the kernel announced it, before the new state was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Transition {
    /// The state that is left.
    pub from: LinuxState,
    /// The state that is entered.
    pub to: LinuxState,
}

impl Transition {
    /// A transition, possible or not.
    #[must_use]
    pub const fn new(from: LinuxState, to: LinuxState) -> Self {
        Self { from, to }
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}", self.from, self.to)
    }
}

/// Who was working on the socket (`sk_lock.owned`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A task holds the socket lock: a system call, or segments and timers that had to wait for it.
    User,
    /// Nobody holds it: a segment from the network, a timer, or a listener dealing with its children.
    Softirq,
}

/// The socket's pending error (`sk_err`) or the last soft one (`sk_err_soft`), as far as causes differ by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SocketError {
    /// No error.
    #[default]
    None,
    /// `ECONNREFUSED`: a reset in SYN-SENT, or an ICMP port unreachable.
    Refused,
    /// `ECONNRESET`.
    Reset,
    /// `EPIPE`: a reset in CLOSE-WAIT.
    BrokenPipe,
    /// `ETIMEDOUT`.
    TimedOut,
    /// `ECONNABORTED`: somebody destroyed the socket from outside.
    Aborted,
    /// `EHOSTUNREACH`, `ENETUNREACH`, `EHOSTDOWN`, `ENONET`.
    Unreachable,
    /// Any other error number.
    Other,
}

/// The fields of the socket at the instant of the transition. `Option` where a kernel may lack the field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Who was working on the socket.
    pub owner: Option<Owner>,
    /// `sk_err`. May be left over from an earlier ICMP message or connection.
    pub error: SocketError,
    /// `sk_err_soft`: what a timeout will report instead of "timed out".
    pub soft_error: SocketError,
    /// The sending direction was shut down by the user (`SEND_SHUTDOWN`).
    pub send_shutdown: bool,
    /// The receiving direction is shut down, by the user or by the peer's FIN (`RCV_SHUTDOWN`).
    pub receive_shutdown: bool,
    /// `SOCK_DEAD`: the last file descriptor is gone.
    pub dead: bool,
    /// `SOCK_DONE`: the peer's FIN was consumed.
    pub done: bool,
    /// `SOCK_LINGER`: `SO_LINGER` is on.
    pub linger: bool,
    /// `sk_lingertime` is 0.
    pub linger_zero: bool,
    /// `TCP_LINGER2` is negative: no FIN-WAIT-2 after close.
    pub linger2_negative: bool,
    /// A user's socket is attached (`sk_socket`): false before accept and after close.
    pub has_user_socket: Option<bool>,
    /// SND.UNA (`snd_una`).
    pub una: u32,
    /// SND.NXT (`snd_nxt`).
    pub nxt: u32,
    /// The end of what the user (and CLOSE) has queued (`write_seq`).
    pub write_seq: u32,
    /// RCV.NXT (`rcv_nxt`).
    pub rcv_nxt: u32,
    /// What the user has read (`copied_seq`).
    pub copied_seq: u32,
    /// All retransmissions of this connection so far (`total_retrans`).
    pub retransmits: u32,
    /// The socket is a subflow of an MPTCP connection.
    pub is_mptcp: bool,
    /// `TCP_REPAIR` is on.
    pub repair: Option<bool>,
    /// Fast Open is under way: our SYN may wait for data (`fastopen_connect`, at CLOSE > SYN_SENT) or carried some
    /// (`syn_data`), or the child waits for the handshake's last ACK
    /// (`fastopen_rsk`). The kernel clears the latter just before SYN_RECV > ESTABLISHED, and sets it after LISTEN > SYN_RECV:
    /// there it is known only where no listener takes Fast Open.
    pub fast_open: Option<bool>,
}

/// Which side began the connection (RFC 9293 MUST-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// We sent the first SYN.
    Active,
    /// A listener received it.
    Passive,
}

/// Why Linux sent a reset (`enum sk_rst_reason`), as far as causes differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResetReason {
    /// Closed with unread data.
    AbortOnClose,
    /// Data arrived after the user had closed.
    AbortOnData,
    /// `TCP_LINGER2` below zero.
    AbortOnLinger,
    /// Too many orphans or too little memory.
    AbortOnMemory,
    /// The state asked for it: disconnect, `SO_LINGER` 0, FIN-WAIT-2 timeout.
    TcpState,
    /// Keep-alive probes stayed unanswered.
    KeepaliveTimeout,
    /// Retransmissions stayed unanswered.
    TcpTimeout,
    /// A reason that makes no difference here.
    Other,
    /// The kernel is too old to say.
    Unknown,
}

/// What a timewait minisocket stands for (`tw_substate`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeWaitKind {
    /// RFC TIME-WAIT.
    TimeWait,
    /// RFC FIN-WAIT-2 of a socket that nobody holds any more, kept in a minisocket to save memory.
    FinWait2,
}

/// What is remembered of the socket. Everything but `origin`, `adopted` and `request_seen` speaks of the time since
/// the previous transition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Which side opened; unknown for adopted sockets.
    pub origin: Option<Origin>,
    /// The socket was there before the tracer.
    pub adopted: bool,
    /// The transition before this one, of the same life.
    pub previous: Option<Transition>,
    /// The previous transition happened within the same system call of the same task (a failed `listen()`).
    pub same_call: bool,
    /// A half-open request led to this child, so it is not a Fast Open child.
    pub request_seen: bool,
    /// The listener of this child has closed.
    pub listener_closed: bool,
    /// `tcp_receive_reset` fired. Linux also calls it when data arrives after close.
    pub reset_received: bool,
    /// Whether the segment behind `reset_received` had its RST bit set, where a hook can see the segment.
    pub reset_bit: Option<bool>,
    /// The last reset that we sent. A caller that holds a record back until the kernel has finished its step may put
    /// a reset sent just after the transition here as well; more causes are told apart then.
    pub reset_sent: Option<ResetReason>,
    /// At the transition before this one a user still held the socket: close() has come, or ended, since.
    pub was_held: bool,
    /// Everything that the kernel does right after the transition has been seen: a reset would be in `reset_sent`.
    pub settled: bool,
    /// The timewait minisocket that took this socket's place.
    pub timewait_created: Option<TimeWaitKind>,
    /// The hooks that see minisockets are attached: no minisocket seen means none created.
    pub timewait_visible: bool,
    /// The hooks that see resets are attached: no reset seen means none received or sent.
    pub resets_visible: bool,
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::Transition;
    use crate::linux::LinuxState::{Close, SynSent};

    #[test]
    fn a_transition_prints_both_states() {
        assert_eq!(Transition::new(SynSent, Close).to_string(), "syn_sent>close");
    }
}
