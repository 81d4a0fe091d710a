//! Bytes to [`Event`]: the only bridge from the ABI to the domain.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use model::linux::{Evidence, LinuxState, Owner, ResetReason, SocketError, Transition};
use tracer_ebpf::{Caller, Hook, Record, SWEEP_COPY, bits, fast_open, repair, request_flag, uapi};

use crate::{
    event::{Event, Family, Flow, RequestEnd, SocketId, Task, TimerAction, What},
    recording::layout,
};

/// What the decoder has to know of the kernel that made the records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// `enum sk_rst_reason`: number and name without the prefix `SK_RST_REASON_`; empty before 6.12.
    pub reset_reasons: Vec<(u32, String)>,
}

/// Why some bytes are no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The record has another size.
    #[error("a record of {got} bytes instead of {}", Record::SIZE)]
    Size {
        /// Bytes at hand.
        got: usize,
    },
    /// No hook has this number.
    #[error("unknown hook number {0}")]
    Hook(u8),
    /// No TCP state has this number.
    #[error("unknown TCP state {0}")]
    State(u8),
    /// Neither IPv4 nor IPv6.
    #[error("unknown address family {0}")]
    Family(u16),
    /// No caller has this number.
    #[error("unknown caller {0}")]
    Caller(u32),
    /// A minisocket's timer is part of it, so its address is known.
    #[error("a minisocket's timer without an address")]
    NoAddress,
}

/// Reads one record.
///
/// # Errors
///
/// [`Malformed`] when the bytes cannot come from our programs.
pub fn decode(bytes: &[u8], kernel: &Kernel) -> Result<Event, Malformed> {
    let record = layout::record(bytes).ok_or(Malformed::Size { got: bytes.len() })?;
    let hook = Hook::from_u8(record.hook).ok_or(Malformed::Hook(record.hook))?;
    Ok(Event {
        time: record.time_ns,
        hook,
        copy: record.copy,
        cpu: record.cpu,
        socket: SocketId { cookie: record.cookie, address: record.socket, netns: record.netns },
        flow: flow(&record)?,
        task: task(&record),
        what: what(hook, &record, kernel)?,
    })
}

/// The hook that a damaged record names, for counting it.
#[must_use]
pub fn hook_of(bytes: &[u8]) -> Option<Hook> {
    bytes.get(std::mem::offset_of!(Record, hook)).copied().and_then(Hook::from_u8)
}

fn what(hook: Hook, record: &Record, kernel: &Kernel) -> Result<What, Malformed> {
    let state = || state(record.to);
    Ok(match hook {
        Hook::State => What::Transition {
            transition: Transition { from: self::state(record.from)?, to: state()? },
            evidence: evidence(record),
            srtt: record.srtt_us >> 3,
        },
        Hook::Destroy => What::Destroyed { state: state()? },
        Hook::ReceiveReset => What::ResetReceived { state: state()? },
        Hook::SendReset => What::ResetSent {
            reason: reset_reason(record.reason, kernel),
            number: record.reason,
            active: record.bits & bits::ACTIVE_RESET != 0,
            answers_syn: record.detail & uapi::tcp_flag::SYN != 0,
        },
        Hook::Retransmit => What::SynRetransmitted,
        Hook::RetransmitSynack => What::SynAckRetransmitted { earlier: record.retransmits },
        Hook::TimerStart => timer(record, TimerAction::Started)?,
        Hook::TimerCancel => timer(record, TimerAction::Cancelled)?,
        Hook::TimerExpire => timer(record, TimerAction::Expired)?,
        Hook::Snapshot if record.copy == SWEEP_COPY => What::Swept,
        Hook::Snapshot => {
            let state = state()?;
            let minisocket = record.bits & bits::MINISOCKET != 0;
            // iter/tcp, which knows the address, holds the socket while it makes the record; sock_diag does not.
            let is_exact = record.socket != 0;
            let from = if is_exact { record.time_ns } else { record.detail.min(record.time_ns) };
            What::Exists { state, minisocket, from }
        }
    })
}

fn timer(record: &Record, action: TimerAction) -> Result<What, Malformed> {
    if record.socket == 0 {
        return Err(Malformed::NoAddress);
    }
    let caller = Caller::from_u32(record.reason).ok_or(Malformed::Caller(record.reason))?;
    Ok(if record.bits & bits::REQUEST != 0 {
        let end = request_end(record, caller);
        What::Request { action, retransmits: record.retransmits, synack_time: record.detail, end }
    } else {
        What::Timewait { action, substate: state(record.to)?, expires: record.detail, caller }
    })
}

const fn request_end(record: &Record, caller: Caller) -> RequestEnd {
    RequestEnd {
        caller,
        acknowledged: record.sock_flags & request_flag::ACKNOWLEDGED != 0,
        deferred: record.sock_flags & request_flag::DEFERRED != 0,
        listener_full: record.sock_flags & request_flag::LISTENER_FULL != 0,
        listener_gone: record.sock_flags & request_flag::LISTENER_GONE != 0,
    }
}

fn evidence(record: &Record) -> Evidence {
    let flag = |bit| record.sock_flags & bit != 0;
    let is_announced = (record.from, record.to) == (uapi::tcp_state::LISTEN, uapi::tcp_state::SYN_RECV);
    Evidence {
        owner: Some(if record.bits & bits::OWNED == 0 { Owner::Softirq } else { Owner::User }),
        error: socket_error(record.err),
        soft_error: socket_error(record.err_soft),
        send_shutdown: record.shutdown & uapi::shutdown::SEND != 0,
        receive_shutdown: record.shutdown & uapi::shutdown::RECEIVE != 0,
        dead: flag(uapi::sock_flag::DEAD),
        done: flag(uapi::sock_flag::DONE),
        linger: flag(uapi::sock_flag::LINGER),
        linger_zero: record.lingertime == 0,
        linger2_negative: record.linger2 < 0,
        has_user_socket: Some(record.bits & bits::HAS_SOCKET != 0),
        una: record.una,
        nxt: record.nxt,
        write_seq: record.write_seq,
        rcv_nxt: record.rcv_nxt,
        copied_seq: record.copied_seq,
        retransmits: record.retransmits,
        is_mptcp: record.bits & bits::MPTCP != 0,
        repair: match record.detail {
            repair::ON if !is_announced => Some(true),
            repair::OFF if !is_announced => Some(false),
            _ => None,
        },
        fast_open: match record.detail {
            // It is made the child's before it is a Fast Open child's.
            fast_open::OFF if is_announced => Some(false),
            _ if is_announced => None,
            _ => Some(record.bits & (bits::FAST_OPEN | bits::SYN_DATA) != 0),
        },
    }
}

/// `errno` of `sk_err` as the cause it stands for. The numbers are those of include/uapi/asm-generic/errno.h.
fn socket_error(errno: i32) -> SocketError {
    match errno {
        0 => SocketError::None,
        libc::ECONNREFUSED => SocketError::Refused,
        libc::ECONNRESET => SocketError::Reset,
        libc::EPIPE => SocketError::BrokenPipe,
        libc::ETIMEDOUT => SocketError::TimedOut,
        libc::ECONNABORTED => SocketError::Aborted,
        libc::EHOSTUNREACH
        | libc::ENETUNREACH
        | libc::EHOSTDOWN
        | libc::ENETDOWN
        | libc::ENOPROTOOPT
        | libc::EACCES
        | libc::EPERM
        | libc::EMSGSIZE
        | libc::EPROTO => SocketError::Unreachable,
        _ => SocketError::Other,
    }
}

fn reset_reason(number: u32, kernel: &Kernel) -> ResetReason {
    let Some((_, name)) = kernel.reset_reasons.iter().find(|(known, _)| *known == number) else {
        return ResetReason::Unknown;
    };
    match name.as_str() {
        "TCP_ABORT_ON_CLOSE" => ResetReason::AbortOnClose,
        "TCP_ABORT_ON_DATA" => ResetReason::AbortOnData,
        "TCP_ABORT_ON_LINGER" => ResetReason::AbortOnLinger,
        "TCP_ABORT_ON_MEMORY" => ResetReason::AbortOnMemory,
        "TCP_STATE" => ResetReason::TcpState,
        "TCP_KEEPALIVE_TIMEOUT" => ResetReason::KeepaliveTimeout,
        "TCP_TIMEOUT" => ResetReason::TcpTimeout,
        _ => ResetReason::Other,
    }
}

fn flow(record: &Record) -> Result<Flow, Malformed> {
    let (family, local, remote) = match record.family {
        uapi::AF_INET => (Family::Ipv4, ipv4(record.local), ipv4(record.remote)),
        uapi::AF_INET6 => (Family::Ipv6, ipv6(record.local), ipv6(record.remote)),
        // A reset that belongs to no socket has no family either.
        0 if record.socket == 0 => (Family::Ipv4, ipv4([0; 16]), ipv4([0; 16])),
        other => return Err(Malformed::Family(other)),
    };
    Ok(Flow {
        family,
        local: SocketAddr::new(local, record.local_port),
        remote: SocketAddr::new(remote, record.remote_port),
    })
}

fn ipv4(bytes: [u8; 16]) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
}

fn ipv6(bytes: [u8; 16]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(bytes))
}

fn task(record: &Record) -> Option<Task> {
    let [tgid, tid] = [(record.task >> 32) & u64::from(u32::MAX), record.task & u64::from(u32::MAX)];
    let (Ok(pid), Ok(tid)) = (u32::try_from(tgid), u32::try_from(tid)) else { return None };
    (record.bits & bits::OWNED != 0).then_some(Task { pid, tid, comm: record.comm })
}

fn state(number: u8) -> Result<LinuxState, Malformed> {
    use uapi::tcp_state as n;
    Ok(match number {
        n::ESTABLISHED => LinuxState::Established,
        n::SYN_SENT => LinuxState::SynSent,
        n::SYN_RECV => LinuxState::SynRecv,
        n::FIN_WAIT1 => LinuxState::FinWait1,
        n::FIN_WAIT2 => LinuxState::FinWait2,
        n::TIME_WAIT => LinuxState::TimeWait,
        n::CLOSE => LinuxState::Close,
        n::CLOSE_WAIT => LinuxState::CloseWait,
        n::LAST_ACK => LinuxState::LastAck,
        n::LISTEN => LinuxState::Listen,
        n::CLOSING => LinuxState::Closing,
        n::NEW_SYN_RECV => LinuxState::NewSynRecv,
        other => return Err(Malformed::State(other)),
    })
}
