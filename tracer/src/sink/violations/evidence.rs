//! What a violation rests on, field by field.

use model::linux::{Evidence, History, Origin, Owner, SocketError, TimeWaitKind};
use serde::Serialize;

/// The socket's fields at that instant, by the kernel's names where it has one for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fields {
    /// SND.UNA.
    pub snd_una: u32,
    /// SND.NXT.
    pub snd_nxt: u32,
    /// The end of what is queued.
    pub write_seq: u32,
    /// RCV.NXT.
    pub rcv_nxt: u32,
    /// What the user has read.
    pub copied_seq: u32,
    /// Retransmissions so far.
    pub retransmits: u32,
    /// `task`, `softirq`; absent: not known.
    pub owner: Option<&'static str>,
    /// `sk_err`: `none`, or what it stands for.
    pub sk_err: &'static str,
    /// `sk_err_soft`.
    pub sk_err_soft: &'static str,
    /// SEND_SHUTDOWN.
    pub send_shutdown: bool,
    /// RCV_SHUTDOWN.
    pub receive_shutdown: bool,
    /// SOCK_DEAD.
    pub dead: bool,
    /// SOCK_DONE: the peer's FIN was consumed.
    pub done: bool,
    /// SO_LINGER with its time, if on.
    pub linger: bool,
    /// Its time is 0.
    pub linger_zero: bool,
    /// TCP_LINGER2 below 0.
    pub linger2_negative: bool,
    /// A file refers to it.
    pub has_user_socket: Option<bool>,
    /// A subflow of MPTCP.
    pub is_mptcp: bool,
    /// TCP_REPAIR; absent: not known.
    pub repair: Option<bool>,
    /// Fast Open under way; absent: not known.
    pub fast_open: Option<bool>,
}

/// What was remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Past {
    /// `active`, `passive`; absent: not known.
    pub origin: Option<&'static str>,
    /// It was there before the tracer.
    pub adopted: bool,
    /// The transition before.
    pub previous: Option<String>,
    /// A half-open request led to it.
    pub request_seen: bool,
    /// Its listener has closed.
    pub listener_closed: bool,
    /// `tcp_reset()` ran.
    pub reset_received: bool,
    /// Why a reset was sent last.
    pub reset_sent: Option<String>,
    /// The minisocket that took its place.
    pub timewait_created: Option<&'static str>,
    /// No minisocket seen means that there is none.
    pub timewait_visible: bool,
    /// No reset seen means that there was none.
    pub resets_visible: bool,
}

impl Fields {
    pub(super) fn of(evidence: &Evidence) -> Self {
        let Evidence {
            owner,
            error,
            soft_error,
            send_shutdown,
            receive_shutdown,
            dead,
            done,
            linger,
            linger_zero,
            linger2_negative,
            has_user_socket,
            una,
            nxt,
            write_seq,
            rcv_nxt,
            copied_seq,
            retransmits,
            is_mptcp,
            repair,
            fast_open,
        } = *evidence;
        Self {
            snd_una: una,
            snd_nxt: nxt,
            write_seq,
            rcv_nxt,
            copied_seq,
            retransmits,
            owner: owner.map(|owner| match owner {
                Owner::User => "task",
                Owner::Softirq => "softirq",
            }),
            sk_err: error_name(error),
            sk_err_soft: error_name(soft_error),
            send_shutdown,
            receive_shutdown,
            dead,
            done,
            linger,
            linger_zero,
            linger2_negative,
            has_user_socket,
            is_mptcp,
            repair,
            fast_open,
        }
    }
}

impl Past {
    pub(super) fn of(history: &History) -> Self {
        let History {
            origin,
            adopted,
            previous,
            same_call: _,
            request_seen,
            listener_closed,
            reset_received,
            reset_bit: _,
            reset_sent,
            was_held: _,
            settled: _,
            timewait_created,
            timewait_visible,
            resets_visible,
        } = *history;
        Self {
            origin: origin.map(|origin| match origin {
                Origin::Active => "active",
                Origin::Passive => "passive",
            }),
            adopted,
            previous: previous.map(|transition| transition.to_string()),
            request_seen,
            listener_closed,
            reset_received,
            reset_sent: reset_sent.map(|reason| format!("{reason:?}")),
            timewait_created: timewait_created.map(|kind| match kind {
                TimeWaitKind::TimeWait => "time_wait",
                TimeWaitKind::FinWait2 => "fin_wait2",
            }),
            timewait_visible,
            resets_visible,
        }
    }
}

/// What an error number stands for.
#[must_use]
pub const fn error_name(error: SocketError) -> &'static str {
    match error {
        SocketError::None => "none",
        SocketError::Refused => "refused",
        SocketError::Reset => "reset",
        SocketError::BrokenPipe => "broken_pipe",
        SocketError::TimedOut => "timed_out",
        SocketError::Aborted => "aborted",
        SocketError::Unreachable => "unreachable",
        SocketError::Other => "other",
    }
}
