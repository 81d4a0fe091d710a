//! The one record layout.

/// One event as the kernel saw it: the evidence of the socket's own fields at that instant.
///
/// Plain integers only: enums are made by the agent's decoder, which can refuse. No padding, no uninitialised byte.
/// Where a kernel lacks a field, the value is 0 and the agent knows it from the resolved offsets.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// `bpf_ktime_get_ns()`: CLOCK_MONOTONIC, nanoseconds.
    pub time_ns: u64,
    /// Socket cookie; the same for a request, its child and its timewait minisocket. 0: none yet.
    pub cookie: u64,
    /// Kernel address of the `sock`, `request_sock` or `inet_timewait_sock`; reused once it is freed.
    pub socket: u64,
    /// `net->net_cookie`, or the inode number of the namespace where a kernel has no cookie.
    pub netns: u64,
    /// `tgid << 32 | pid` of the task that holds the socket's lock; 0 when no task does.
    pub task: u64,
    /// Hook-specific: transition to CLOSE or ESTABLISHED: [`repair`]; request: `snt_synack` (microseconds); timewait timer: `timer_list.expires` (jiffies);
    /// `tcp_send_reset`: the flags of the segment that it answers (`tcp_skb_cb.tcp_flags`), 0 without one; a socket listed
    /// by `sock_diag`, whose address is 0: when the kernel had not looked yet (nanoseconds).
    pub detail: u64,
    /// Command name of that task.
    pub comm: [u8; 16],
    /// Local address; IPv4 in the first four bytes.
    pub local: [u8; 16],
    /// Remote address; IPv4 in the first four bytes.
    pub remote: [u8; 16],
    /// `sk_flags`, low half: see [`uapi::sock_flag`](crate::uapi::sock_flag); request whose timer ends:
    /// [`request_flag`].
    pub sock_flags: u32,
    /// `tcp_sock.snd_una`; request: `snt_isn`.
    pub una: u32,
    /// `tcp_sock.snd_nxt`; timewait: `tw_snd_nxt`.
    pub nxt: u32,
    /// `tcp_sock.write_seq`.
    pub write_seq: u32,
    /// `tcp_sock.rcv_nxt`; timewait: `tw_rcv_nxt`; request: `rcv_isn`.
    pub rcv_nxt: u32,
    /// `tcp_sock.copied_seq`.
    pub copied_seq: u32,
    /// `tcp_sock.snd_wnd`: the window that the peer offers, bytes.
    pub window: u32,
    /// `tcp_sock.srtt_us`: smoothed round-trip time, microseconds times 8.
    pub srtt_us: u32,
    /// `tcp_sock.total_retrans`; request: `num_retrans`.
    pub retransmits: u32,
    /// `sk_lingertime`, jiffies.
    pub lingertime: u32,
    /// `tcp_sock.linger2`: negative means that FIN-WAIT-2 is killed at once.
    pub linger2: i32,
    /// `sk_err`: a positive errno.
    pub err: i32,
    /// `sk_err_soft`: a positive errno.
    pub err_soft: i32,
    /// `sk_protocol`.
    pub protocol: u16,
    /// `sk_family`.
    pub family: u16,
    /// Local port, host byte order.
    pub local_port: u16,
    /// Remote port, host byte order.
    pub remote_port: u16,
    /// The CPU it happened on.
    pub cpu: u16,
    /// [`Hook`](crate::Hook) number.
    pub hook: u8,
    /// Which copy of the handler recorded it.
    pub copy: u8,
    /// State before; equal to `to` for hooks that are not transitions.
    pub from: u8,
    /// State after; for a timewait minisocket its substate.
    pub to: u8,
    /// `sk_shutdown`.
    pub shutdown: u8,
    /// Facts in single bits: [`bits`].
    pub bits: u8,
    /// `enum sk_rst_reason` (hook `tcp_send_reset`); [`Caller`](crate::Caller) number (hook `timer_cancel`); else 0.
    pub reason: u32,
}

impl Record {
    /// Size in bytes: what the ring, a recording and the iterator's output are cut into.
    pub const SIZE: usize = size_of::<Self>();

    /// A record that says nothing yet.
    pub const EMPTY: Self = Self {
        time_ns: 0,
        cookie: 0,
        socket: 0,
        netns: 0,
        task: 0,
        detail: 0,
        comm: [0; 16],
        local: [0; 16],
        remote: [0; 16],
        sock_flags: 0,
        una: 0,
        nxt: 0,
        write_seq: 0,
        rcv_nxt: 0,
        copied_seq: 0,
        window: 0,
        srtt_us: 0,
        retransmits: 0,
        lingertime: 0,
        linger2: 0,
        err: 0,
        err_soft: 0,
        protocol: 0,
        family: 0,
        local_port: 0,
        remote_port: 0,
        cpu: 0,
        hook: 0,
        copy: 0,
        from: 0,
        to: 0,
        shutdown: 0,
        bits: 0,
        reason: 0,
    };
}

/// Meaning of [`Record::bits`].
pub mod bits {
    /// `sk_lock.owned`: a task holds the socket; `task` and `comm` are that task.
    pub const OWNED: u8 = 1;
    /// `sk_socket` is set: a file refers to it.
    pub const HAS_SOCKET: u8 = 1 << 1;
    /// `tcp_sock.is_mptcp`.
    pub const MPTCP: u8 = 1 << 2;
    /// `tcp_sock.fastopen_rsk` is set: a Fast Open child before its final ACK.
    pub const FAST_OPEN: u8 = 1 << 3;
    /// `tcp_send_reset` without a segment to answer: `tcp_send_active_reset()`.
    pub const ACTIVE_RESET: u8 = 1 << 4;
    /// A minisocket: the record has no fields of a full socket.
    pub const MINISOCKET: u8 = 1 << 5;
    /// That minisocket is a half-open request, not a timewait socket.
    pub const REQUEST: u8 = 1 << 6;
    /// Of a transition to ESTABLISHED: `tcp_sock.syn_data` is set, that is, text left on our SYN (Fast Open); or a kernel
    /// does not tell.
    pub const SYN_DATA: u8 = 1 << 7;
    /// Of a transition to SYN_SENT: `tcp_sock.fastopen_connect` is set, so that the SYN may wait for the first write.
    pub const SYN_DEFERRED: u8 = SYN_DATA;
}

/// Meaning of [`Record::detail`] for a transition to CLOSE or ESTABLISHED: `tcp_sock.repair`. 0: not known.
pub mod repair {
    /// TCP_REPAIR is on.
    pub const ON: u64 = 1;
    /// It is off.
    pub const OFF: u64 = 2;
}

/// Meaning of [`Record::detail`] for a child that is announced (LISTEN > SYN_RECV): whether Fast Open can have made it.
/// 0: not known.
pub mod fast_open {
    /// Listeners of its namespace may take Fast Open (bit 1 of `net.ipv4.tcp_fastopen`).
    pub const POSSIBLE: u64 = 1;
    /// They take none.
    pub const OFF: u64 = 2;
    /// That bit.
    pub const SERVER_ENABLE: u32 = 1 << 1;
}

/// Meaning of [`Record::sock_flags`] for a request whose timer ends without a child.
pub mod request_flag {
    /// `inet_request_sock.acked`: the last ACK of the handshake has come, and was put off.
    pub const ACKNOWLEDGED: u32 = 1;
    /// The listener wants data before it accepts (TCP_DEFER_ACCEPT): a mere ACK is put off.
    pub const DEFERRED: u32 = 1 << 1;
    /// The listener's accept queue is full.
    pub const LISTENER_FULL: u32 = 1 << 2;
    /// The listener listens no more.
    pub const LISTENER_GONE: u32 = 1 << 3;
}

/// What the fields take by themselves; a layout with padding would leak stale ring bytes.
const FIELDS_SIZE: usize = 6 * size_of::<u64>() + 3 * 16 + 14 * size_of::<u32>() + 5 * size_of::<u16>() + 6;
const _: () = assert!(Record::SIZE == FIELDS_SIZE && Record::SIZE.is_multiple_of(8));
