//! Where Linux departs from RFC 9293, on purpose and for good: what it does, where, why, and what an operator can do.

use core::fmt;

/// Names an entry of [`Deviation::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each entry of the table says what its id means")]
pub enum DeviationId {
    FinWait1FinUnsent,
    LastAckFinUnsent,
    SynReceivedCloseWithData,
    SoftIcmpAbortsConnect,
    SynSentWithoutSyn,
    OrphanLimit,
    OrphanRetries,
    FinWait2Timeout,
    Linger2Abort,
    TimeWaitOverflow,
    AbortRepeatsClose,
    UnreadDataReset,
    ResetSenderSkipsTimeWait,
    TcpRepair,
    TimeWait60s,
    TimeWaitReuse,
    TimeWaitAssassination,
    TimeWaitPurged,
    TimeWaitIgnoresReset,
    AcceptQueueDrop,
    AbortOnOverflow,
    DeferAccept,
    SynReceivedInRequest,
    SynTimeoutTooShort,
    ResetBeyondExact,
    SynSentResetUnchecked,
    SynAckPayloadIgnored,
    SynFinDropped,
    CrossedSynAckChallenged,
    ListenSendMissing,
    FastIsnClock,
    SynResetsHalfOpen,
    ReopenedTimeWaitLost,
    EmptySegmentAtEdge,
    HardIcmpIgnored,
    ShortRetransmissionTimeout,
    TailLossProbe,
    RateLimitedAnswer,
    DefaultMss536,
    SynResentAtOnce,
    SynLinearTimeouts,
    CrossedSynScalesWindow,
    KeepAliveReset,
    HalfOpenAckFirst,
    HandshakeByOldAck,
    LooseWindowEdges,
    TextAfterFinResets,
    SecondFinUnanswered,
    CrossedSynAgainChallenged,
    AckFloorByAcked,
    TimestampsOptional,
    FastPathSkipsAckRange,
    WindowByProgress,
    FinEndsStream,
    OrphanMinisocket,
    LateFinResets,
    ResetAtEdge,
    UnreadInTimeWait,
    SecondFinCounts,
    AcklessUnanswered,
    TimeWaitUnchallenged,
    WindowBeyondField,
    OldAckRefused,
    UnsentAckUnanswered,
    HalfOpenResetInWindow,
    ClosedWindowIgnored,
    TextAtEdgeCounts,
    FinBeyondEdge,
    HalfOpenAbortSilent,
    TimeWaitFirstTimestamp,
    FinWait2Reuse,
}

/// A departure of Linux from RFC 9293.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// The entry's identity.
    pub id: DeviationId,
    /// Its name for reports and metrics, kebab-case, for example `fin-wait-2-timeout`.
    pub name: &'static str,
    /// Whether the RFC forbids it or leaves room for it.
    pub standing: Standing,
    /// What shows it.
    pub seen: Seen,
    /// Sections of RFC 9293 (or another RFC, named), separated by `; `.
    pub clause: &'static str,
    /// The requirement's id in RFC 9293, where there is one.
    pub requirement: Option<&'static str>,
    /// The kernel function that does it.
    pub function: &'static str,
    /// What happens and why Linux does so.
    pub why: &'static str,
    /// What an operator can do about it.
    pub operator: &'static str,
}

/// What the RFC says of a deviation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// The RFC asks for something else: the verdict is a deviation.
    Departs,
    /// The RFC leaves room for it: the verdict stays conforming and the deviation is only noted.
    Permitted,
}

/// What has to be watched to see a deviation happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Seen {
    /// A socket's transition and its fields.
    Transition,
    /// The life of a timewait minisocket.
    TimeWait,
    /// The life of a half-open request, or the time a handshake took.
    Handshake,
    /// Only the segments themselves, or the system call's result.
    Wire,
}

impl Deviation {
    /// The entry with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|deviation| deviation.name == name)
    }

    /// Every known deviation, in the order of [`DeviationId`].
    pub const ALL: [Self; 71] = [
        Self {
            id: DeviationId::FinWait1FinUnsent,
            name: "fin-wait-1-fin-unsent",
            standing: Standing::Permitted,
            seen: Seen::Transition,
            clause: "3.10.4; Figure 5",
            requirement: None,
            function: "tcp_close_state",
            why: "The socket enters FIN-WAIT-1 when the FIN is queued. With unsent data ahead of it the FIN leaves \
                  later, or never when the peer's window stays shut. Figure 5 pairs the step with sending the FIN, \
                  while the text of CLOSE enters the state in any case.",
            operator: "Nothing to tune. A peer that reads slowly keeps such sockets alive; TCP_USER_TIMEOUT and \
                       tcp_orphan_retries bound them.",
        },
        Self {
            id: DeviationId::LastAckFinUnsent,
            name: "last-ack-fin-unsent",
            standing: Standing::Departs,
            seen: Seen::Transition,
            clause: "3.10.4",
            requirement: None,
            function: "tcp_close_state",
            why: "In CLOSE-WAIT the RFC waits until all data is segmentized, sends the FIN, and only then enters \
                  LAST-ACK. Linux enters LAST-ACK when the FIN is queued, so that close() needs no further state.",
            operator: "Nothing to tune. TCP_USER_TIMEOUT and tcp_orphan_retries bound how long the rest may take.",
        },
        Self {
            id: DeviationId::SynReceivedCloseWithData,
            name: "syn-received-close-with-data",
            standing: Standing::Departs,
            seen: Seen::Transition,
            clause: "3.10.4",
            requirement: None,
            function: "tcp_close_state",
            why: "A CLOSE in SYN-RECEIVED with data sent or waiting is to be held until ESTABLISHED. A Fast Open \
                  child that answered before the handshake's last ACK goes to FIN-WAIT-1 at once.",
            operator: "Switch off the server side of Fast Open (bit 2 of tcp_fastopen) where it matters.",
        },
        Self {
            id: DeviationId::SoftIcmpAbortsConnect,
            name: "soft-icmp-aborts-connect",
            standing: Standing::Departs,
            seen: Seen::Transition,
            clause: "3.9.2.2; RFC 5461 section 4",
            requirement: Some("MUST-56"),
            function: "tcp_v4_err, tcp_v6_err",
            why: "An ICMP error that is only a hint (network or host unreachable, also a failed neighbour lookup) \
                  ends a connection that is still being opened, so that an application can try its next address \
                  without waiting for the timeout. Synchronized connections keep such an error to themselves.",
            operator: "No sysctl. Keep routers and firewalls from sending unreachables for short outages, or retry \
                       in the application.",
        },
        Self {
            id: DeviationId::SynSentWithoutSyn,
            name: "syn-sent-without-syn",
            standing: Standing::Departs,
            seen: Seen::Transition,
            clause: "3.10.1; RFC 7413",
            requirement: None,
            function: "tcp_v4_connect, tcp_v6_connect",
            why: "With TCP_FASTOPEN_CONNECT connect() enters SYN-SENT and the SYN leaves with the first write. A \
                  close before that write ends the attempt without a single segment.",
            operator: "It is the application's choice (TCP_FASTOPEN_CONNECT); bit 1 of tcp_fastopen forbids it.",
        },
        Self {
            id: DeviationId::OrphanLimit,
            name: "orphan-limit",
            standing: Standing::Departs,
            seen: Seen::Transition,
            clause: "3.10.4; 3.10.8",
            requirement: None,
            function: "tcp_check_oom, tcp_out_of_resources",
            why: "A connection that its user has closed is dropped before its FIN is acknowledged: there are more \
                  orphans than tcp_max_orphans, TCP has used up tcp_mem, or the network namespace is gone. The \
                  kernel's own comment calls it a violation made to survive attacks.",
            operator: "Raise tcp_max_orphans or tcp_mem; look for peers that never acknowledge FINs. On container \
                       hosts it is normal while a namespace is torn down.",
        },
        Self {
            id: DeviationId::OrphanRetries,
            name: "orphan-retries",
            standing: Standing::Departs,
            seen: Seen::Transition,
            clause: "3.8.3; 3.10.8",
            requirement: Some("MUST-20"),
            function: "tcp_write_timeout, tcp_orphan_retries",
            why: "Once its user has gone, a connection gives up after tcp_orphan_retries retransmissions instead of \
                  the limit that the user had chosen.",
            operator: "tcp_orphan_retries (0 stands for 8, about 100 s at the shortest timeout).",
        },
        Self {
            id: DeviationId::FinWait2Timeout,
            name: "fin-wait-2-timeout",
            standing: Standing::Departs,
            seen: Seen::Transition,
            clause: "3.10.7.4; 3.6",
            requirement: None,
            function: "tcp_keepalive_timer, inet_twsk_kill",
            why: "The RFC waits in FIN-WAIT-2 for the peer's FIN without end. Linux waits tcp_fin_timeout once \
                  nobody holds the socket, in the socket itself or in a minisocket, and drops it then. A later FIN \
                  is answered by a reset.",
            operator: "tcp_fin_timeout (60 s), or TCP_LINGER2 per socket. Many of these point to peers that do not \
                       close their side.",
        },
        Self {
            id: DeviationId::Linger2Abort,
            name: "linger2-abort",
            standing: Standing::Departs,
            seen: Seen::Transition,
            clause: "3.10.7.4; 3.6",
            requirement: None,
            function: "__tcp_close, tcp_rcv_state_process",
            why: "The application set TCP_LINGER2 below zero: no FIN-WAIT-2 after close(), a reset instead.",
            operator: "It is the application's choice (TCP_LINGER2).",
        },
        Self {
            id: DeviationId::TimeWaitOverflow,
            name: "time-wait-overflow",
            standing: Standing::Departs,
            seen: Seen::Transition,
            clause: "3.6.1; 3.10.7.4",
            requirement: Some("MUST-13"),
            function: "tcp_time_wait",
            why: "The namespace has as many minisockets as tcp_max_tw_buckets allows, or no memory for one more, so \
                  the connection goes to CLOSED at once. Old segments may then meet a new connection.",
            operator: "Raise tcp_max_tw_buckets (a minisocket costs about 250 octets), or use fewer short \
                       connections. TCPTimeWaitOverflow in /proc/net/netstat counts the same.",
        },
        Self {
            id: DeviationId::AbortRepeatsClose,
            name: "abort-repeats-close",
            standing: Standing::Departs,
            seen: Seen::Transition,
            clause: "3.10.5",
            requirement: None,
            function: "tcp_abort",
            why: "Destroying a listener from outside (ss -K) closes it and then runs the common end of every abort, \
                  which announces CLOSE again. An ABORT in CLOSED should return an error.",
            operator: "Harmless.",
        },
        Self {
            id: DeviationId::UnreadDataReset,
            name: "unread-data-reset",
            standing: Standing::Permitted,
            seen: Seen::Transition,
            clause: "3.6.1; RFC 2525 section 2.17",
            requirement: Some("SHLD-3"),
            function: "__tcp_close",
            why: "The user closed with received data unread, so the peer gets a reset instead of a FIN and learns \
                  that data was lost. The RFC asks for exactly this from hosts whose close() ends both directions.",
            operator: "The application should read until the end before it closes, or shutdown(SHUT_WR) first.",
        },
        Self {
            id: DeviationId::ResetSenderSkipsTimeWait,
            name: "reset-sender-skips-time-wait",
            standing: Standing::Permitted,
            seen: Seen::Transition,
            clause: "Figure 5 note 3; 3.10.5",
            requirement: None,
            function: "tcp_disconnect, tcp_abort",
            why: "A note to Figure 5 sends whoever issues a reset to TIME-WAIT, the text of ABORT to CLOSED. Linux \
                  follows the text.",
            operator: "Nothing to tune. SO_LINGER 0 as a way around TIME-WAIT gives up its protection.",
        },
        Self {
            id: DeviationId::TcpRepair,
            name: "tcp-repair",
            standing: Standing::Departs,
            seen: Seen::Transition,
            clause: "3.10.1; 3.10.5",
            requirement: None,
            function: "tcp_connect, __tcp_close",
            why: "TCP_REPAIR moves a connection between processes or hosts: it becomes ESTABLISHED or CLOSED without \
                  a segment.",
            operator: "Only privileged tools do this (checkpoint and restore, live migration).",
        },
        Self {
            id: DeviationId::TimeWait60s,
            name: "time-wait-60s",
            standing: Standing::Departs,
            seen: Seen::TimeWait,
            clause: "3.4.2; 3.6.1",
            requirement: Some("MUST-13"),
            function: "tcp_time_wait",
            why: "TIME-WAIT lasts 60 s, a constant of the kernel (TCP_TIMEWAIT_LEN). With the RFC's MSL of two \
                  minutes it would last 240 s. Segments live far shorter today and ports are scarce.",
            operator: "Not tunable; timestamps (tcp_timestamps, on by default) guard against old segments.",
        },
        Self {
            id: DeviationId::TimeWaitReuse,
            name: "time-wait-reuse",
            standing: Standing::Departs,
            seen: Seen::TimeWait,
            clause: "3.6.1; RFC 6191",
            requirement: Some("MUST-13"),
            function: "tcp_twsk_unique",
            why: "connect() takes over the addresses and ports of a connection in TIME-WAIT when timestamps can \
                  tell the two apart.",
            operator: "tcp_tw_reuse (2: loopback only, 1: everywhere, 0: never by itself), tcp_tw_reuse_delay from \
                       6.14 on.",
        },
        Self {
            id: DeviationId::TimeWaitAssassination,
            name: "time-wait-assassination",
            standing: Standing::Permitted,
            seen: Seen::TimeWait,
            clause: "3.10.7.4 second; RFC 1337",
            requirement: None,
            function: "tcp_timewait_state_process",
            why: "A reset ends TIME-WAIT early, as the RFC says; RFC 1337 shows how an old segment can cause it.",
            operator: "tcp_rfc1337=1 ignores resets in TIME-WAIT.",
        },
        Self {
            id: DeviationId::TimeWaitPurged,
            name: "time-wait-purged",
            standing: Standing::Departs,
            seen: Seen::TimeWait,
            clause: "3.6.1",
            requirement: Some("MUST-13"),
            function: "inet_twsk_purge",
            why: "The network namespace is gone and takes its minisockets along.",
            operator: "Normal when a container ends.",
        },
        Self {
            id: DeviationId::TimeWaitIgnoresReset,
            name: "time-wait-ignores-reset",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 second; RFC 1337",
            requirement: None,
            function: "tcp_timewait_state_process",
            why: "With tcp_rfc1337=1 a reset does not end TIME-WAIT, which is what RFC 1337 proposes.",
            operator: "tcp_rfc1337 (off by default).",
        },
        Self {
            id: DeviationId::AcceptQueueDrop,
            name: "accept-queue-drop",
            standing: Standing::Departs,
            seen: Seen::Handshake,
            clause: "3.10.7.4 fifth",
            requirement: None,
            function: "tcp_v4_syn_recv_sock, tcp_v6_syn_recv_sock",
            why: "The ACK that ends a handshake is dropped while the accept queue is full, and the SYN,ACK goes out \
                  again, in the hope that the application catches up.",
            operator: "A longer listen() backlog, net.core.somaxconn, or a faster accept loop. ListenOverflows in \
                       /proc/net/netstat counts it.",
        },
        Self {
            id: DeviationId::AbortOnOverflow,
            name: "abort-on-overflow",
            standing: Standing::Departs,
            seen: Seen::Handshake,
            clause: "3.10.7.4 fifth",
            requirement: None,
            function: "tcp_check_req",
            why: "With tcp_abort_on_overflow=1 a full accept queue answers the handshake's last ACK by a reset.",
            operator: "tcp_abort_on_overflow (off by default), and the accept queue as above.",
        },
        Self {
            id: DeviationId::DeferAccept,
            name: "defer-accept",
            standing: Standing::Departs,
            seen: Seen::Handshake,
            clause: "3.10.7.4 fifth",
            requirement: None,
            function: "tcp_check_req",
            why: "With TCP_DEFER_ACCEPT the ACK that ends the handshake is ignored until data comes, so the server \
                  stays in SYN-RECEIVED and the application wakes up only for work.",
            operator: "It is the application's choice (TCP_DEFER_ACCEPT); its time is no handshake time.",
        },
        Self {
            id: DeviationId::SynReceivedInRequest,
            name: "syn-received-in-request",
            standing: Standing::Permitted,
            seen: Seen::Handshake,
            clause: "3.10.7.2; Figure 5 note 1; RFC 4987",
            requirement: Some("MUST-11"),
            function: "tcp_conn_request",
            why: "SYN-RECEIVED of a passive open lives in a small request; the listener never leaves LISTEN, so the \
                  way back to it is to drop the request.",
            operator: "tcp_max_syn_backlog and tcp_syncookies bound what a flood of SYNs can cost.",
        },
        Self {
            id: DeviationId::SynTimeoutTooShort,
            name: "syn-timeout-too-short",
            standing: Standing::Departs,
            seen: Seen::Handshake,
            clause: "3.8.3",
            requirement: Some("MUST-23"),
            function: "tcp_write_timeout",
            why: "An active open gives up after 127 s (131 s from 6.5 on) by default; the RFC asks for at least \
                  three minutes.",
            operator: "tcp_syn_retries=7 gives 255 s (TCP_SYNCNT per socket).",
        },
        Self {
            id: DeviationId::ResetBeyondExact,
            name: "reset-beyond-exact",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 second; RFC 5961 section 3.2",
            requirement: None,
            function: "tcp_validate_incoming",
            why: "A reset counts when its number is exactly RCV.NXT; Linux also takes RCV.NXT-1 after the peer's \
                  FIN, and the right edge of the last selective acknowledgment, so that such connections do not \
                  hang.",
            operator: "No sysctl.",
        },
        Self {
            id: DeviationId::SynSentResetUnchecked,
            name: "syn-sent-reset-unchecked",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.3; RFC 5961 section 3.2",
            requirement: None,
            function: "tcp_rcv_synsent_state_process",
            why: "In SYN-SENT a reset counts when it acknowledges our SYN; its own sequence number is not looked at.",
            operator: "No sysctl.",
        },
        Self {
            id: DeviationId::SynAckPayloadIgnored,
            name: "syn-ack-payload-ignored",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.3",
            requirement: None,
            function: "tcp_rcv_synsent_state_process",
            why: "Data or a FIN in the SYN,ACK is not processed unless Fast Open is in use; the peer sends it again.",
            operator: "No sysctl.",
        },
        Self {
            id: DeviationId::SynFinDropped,
            name: "syn-fin-dropped",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.2",
            requirement: None,
            function: "tcp_rcv_state_process",
            why: "A listener drops a SYN that carries a FIN: no honest peer sends one, scanners do.",
            operator: "No sysctl.",
        },
        Self {
            id: DeviationId::CrossedSynAckChallenged,
            name: "crossed-syn-ack-challenged",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.5 Figure 7",
            requirement: Some("MUST-10"),
            function: "tcp_validate_incoming",
            why: "When SYNs cross, kernels before 6.12 (and some stable ones after) answer the peer's SYN,ACK by a \
                  challenge and wait for a plain ACK. The handshake takes one exchange more.",
            operator: "A newer kernel.",
        },
        Self {
            id: DeviationId::ListenSendMissing,
            name: "listen-send-missing",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.1; 3.10.2; Figure 5",
            requirement: None,
            function: "inet_stream_connect, tcp_sendmsg",
            why: "The sockets interface has no way to turn a listener into an active open: connect() on it says \
                  EISCONN.",
            operator: "Nothing to do.",
        },
        Self {
            id: DeviationId::FastIsnClock,
            name: "fast-isn-clock",
            standing: Standing::Permitted,
            seen: Seen::Wire,
            clause: "3.4.1; RFC 6528",
            requirement: Some("SHLD-1"),
            function: "secure_tcp_seq",
            why: "The clock behind initial sequence numbers ticks every 64 ns instead of every 4 us; the keyed hash \
                  is as the RFC asks.",
            operator: "Nothing to do.",
        },
        Self {
            id: DeviationId::SynResetsHalfOpen,
            name: "syn-resets-half-open",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 fourth; RFC 5961 section 4",
            requirement: None,
            function: "tcp_check_req",
            why: "A SYN in the window of a half-open request, other than the first one again, draws a reset, and the \
                  request is dropped. The RFC returns to LISTEN in silence, or challenges where RFC 5961 is carried \
                  over.",
            operator: "No sysctl.",
        },
        Self {
            id: DeviationId::ReopenedTimeWaitLost,
            name: "reopened-time-wait-lost",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.6.1",
            requirement: Some("MAY-2"),
            function: "tcp_v4_rcv, tcp_v6_rcv",
            why: "A newer SYN ends TIME-WAIT for good. Should it prove to be an old duplicate the connection does not \
                  return to TIME-WAIT, which the RFC makes a condition of reopening.",
            operator: "No sysctl.",
        },
        Self {
            id: DeviationId::EmptySegmentAtEdge,
            name: "empty-segment-at-edge",
            standing: Standing::Permitted,
            seen: Seen::Wire,
            clause: "3.10.7.4 first, table 6",
            requirement: None,
            function: "tcp_sequence",
            why: "A segment without text is accepted at the very right edge of the window as well, so that two sides \
                  whose windows are full of lost text do not refuse the ACKs of each other.",
            operator: "Nothing to do.",
        },
        Self {
            id: DeviationId::HardIcmpIgnored,
            name: "hard-icmp-ignored",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.9.2.2; RFC 5927",
            requirement: Some("SHLD-26"),
            function: "tcp_v4_err, tcp_v6_err",
            why: "A port or protocol unreachable does not abort a synchronized connection, since anyone could forge \
                  it. The error is kept as a soft one.",
            operator: "IP_RECVERR tells the application of such errors at once.",
        },
        Self {
            id: DeviationId::ShortRetransmissionTimeout,
            name: "rto-min-200ms",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.8.1; RFC 6298 section 2.4",
            requirement: Some("MUST-18"),
            function: "tcp_set_rto",
            why: "The retransmission timeout may be as short as 200 ms, where RFC 6298 recommends a second at least: \
                  networks have become faster, and timestamps and SACK undo what was sent again too early.",
            operator: "The rto_min of a route, or tcp_rto_min_us from 6.11 on.",
        },
        Self {
            id: DeviationId::TailLossProbe,
            name: "tail-loss-probe",
            standing: Standing::Permitted,
            seen: Seen::Wire,
            clause: "3.8.1; RFC 8985 section 7",
            requirement: None,
            function: "tcp_send_loss_probe, tcp_rack_mark_lost",
            why: "The last segment is sent again after about two round trips, before the retransmission timeout, so \
                  that a lost tail is found by selective acknowledgments.",
            operator: "tcp_early_retrans=0 switches it off.",
        },
        Self {
            id: DeviationId::RateLimitedAnswer,
            name: "rate-limited-answer",
            standing: Standing::Permitted,
            seen: Seen::Wire,
            clause: "3.10.7.4 first; RFC 5961 section 7",
            requirement: None,
            function: "tcp_oow_rate_limited",
            why: "Of segments that are not acceptable and come in a row only one in half a second is answered, so that \
                  two confused ends do not keep answering each other.",
            operator: "tcp_invalid_ratelimit (500 ms; 0 answers all).",
        },
        Self {
            id: DeviationId::DefaultMss536,
            name: "ipv6-default-mss-536",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.7.1",
            requirement: Some("MUST-15"),
            function: "tcp_parse_options, TCP_MSS_DEFAULT",
            why: "Of a peer that announces no MSS Linux assumes 536 octets over IPv6 as well, where the RFC \
                  assumes 1220.",
            operator: "Nothing to tune; every known TCP announces its MSS.",
        },
        Self {
            id: DeviationId::SynResentAtOnce,
            name: "syn-resent-at-once",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.3 first; 3.8.1",
            requirement: None,
            function: "tcp_rcv_synsent_state_process",
            why: "An answer with an unacceptable ACK makes a client send its first SYN again at once: its own \
                  reset may just have ended an old connection of the peer, which then can begin anew.",
            operator: "Nothing to do.",
        },
        Self {
            id: DeviationId::SynLinearTimeouts,
            name: "syn-linear-timeouts",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.8.1; RFC 6298 section 5.5",
            requirement: Some("MUST-19"),
            function: "tcp_retransmit_timer",
            why: "The timeout of a SYN doubles only after the fourth retransmission; until then the SYN goes out \
                  every second, since a lost SYN costs a user more than the network.",
            operator: "tcp_syn_linear_timeouts=0 doubles from the first one on (6.5 and later).",
        },
        Self {
            id: DeviationId::CrossedSynScalesWindow,
            name: "crossed-syn-scales-window",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.5 figure 7; RFC 7323 section 2.2",
            requirement: Some("SHLD-14"),
            function: "tcp_rcv_synsent_state_process",
            why: "When SYNs cross, the SYN,ACK repeats the options of the SYN, asked for or not. And where the peer does not scale windows, the kernel forgets to stop scaling its \
                  own: the window it tells is right-shifted all the same, and looks tiny until it is large again.",
            operator: "net.ipv4.tcp_window_scaling=0 for hosts that open simultaneously to such peers.",
        },
        Self {
            id: DeviationId::KeepAliveReset,
            name: "keep-alive-reset",
            standing: Standing::Permitted,
            seen: Seen::Wire,
            clause: "3.8.4",
            requirement: None,
            function: "tcp_keepalive_timer",
            why: "When keep-alive probes stay unanswered the connection ends with a reset, in case the peer is alive \
                  after all. The RFC does not say how a connection ends that a keep-alive has found dead.",
            operator: "Nothing to do.",
        },
        Self {
            id: DeviationId::HalfOpenAckFirst,
            name: "half-open-ack-first",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 first and fifth",
            requirement: None,
            function: "tcp_check_req",
            why: "Of a segment for a half-open request the ACK field is checked before the sequence number: an \
                  unacceptable ACK draws a reset wherever the segment lies, also beside a SYN, and the request \
                  stays.",
            operator: "No sysctl.",
        },
        Self {
            id: DeviationId::HandshakeByOldAck,
            name: "handshake-by-old-ack",
            standing: Standing::Departs,
            seen: Seen::Transition,
            clause: "3.10.7.4 fifth",
            requirement: None,
            function: "tcp_rcv_state_process, tcp_ack",
            why: "In the SYN-RECEIVED of a simultaneous open an ACK of the ISS itself, which does not acknowledge \
                  the SYN, completes the handshake: to tcp_ack() it is old, not wrong.",
            operator: "Nothing to do.",
        },
        Self {
            id: DeviationId::LooseWindowEdges,
            name: "loose-window-edges",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 first, table 6",
            requirement: None,
            function: "tcp_sequence",
            why: "A segment that ends right at RCV.NXT, or begins right at the edge of the window, counts as \
                  acceptable, so that its ACK is not lost; one that goes beyond the edge is dropped whole, \
                  instead of trimmed, while received text, or the FIN behind it, waits to be read.",
            operator: "No sysctl.",
        },
        Self {
            id: DeviationId::TextAfterFinResets,
            name: "text-after-fin-resets",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 seventh",
            requirement: None,
            function: "tcp_rcv_state_process",
            why: "Text with numbers behind the peer's FIN, in a segment that begins before it, resets the \
                  connection. The RFC ignores such text.",
            operator: "Nothing to do; no honest peer sends it.",
        },
        Self {
            id: DeviationId::SecondFinUnanswered,
            name: "second-fin-unanswered",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 eighth",
            requirement: None,
            function: "tcp_rcv_state_process",
            why: "Another FIN behind the peer's FIN is dropped without the ACK that the RFC gives every FIN.",
            operator: "Nothing to do; no honest peer sends it.",
        },
        Self {
            id: DeviationId::CrossedSynAgainChallenged,
            name: "crossed-syn-again-challenged",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 first; 3.5",
            requirement: None,
            function: "tcp_validate_incoming",
            why: "In a simultaneous open the peer's SYN again draws a challenge ACK, where the SYN,ACK again \
                  would help a peer that has lost it.",
            operator: "Nothing to do: the SYN,ACK comes again by its timer.",
        },
        Self {
            id: DeviationId::AckFloorByAcked,
            name: "ack-floor-by-acked",
            standing: Standing::Permitted,
            seen: Seen::Wire,
            clause: "3.10.7.4 fifth; RFC 5961 section 5.2",
            requirement: Some("MAY-12"),
            function: "tcp_ack",
            why: "The lowest ACK that counts as a duplicate lies below SND.UNA by the largest window seen, or by \
                  what was acknowledged at all where that is less: a tighter range than the one of RFC 5961.",
            operator: "Nothing to do.",
        },
        Self {
            id: DeviationId::TimestampsOptional,
            name: "missing-timestamps-accepted",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4; RFC 7323 section 3.2",
            requirement: None,
            function: "tcp_validate_incoming",
            why: "A segment that lacks the timestamps both sides agreed on is processed, where RFC 7323 \
                  recommends to drop it: some middleboxes remove the option.",
            operator: "No sysctl.",
        },
        Self {
            id: DeviationId::FastPathSkipsAckRange,
            name: "fast-path-skips-ack-range",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 fifth; RFC 5961 section 5.2",
            requirement: Some("MAY-12"),
            function: "tcp_rcv_established",
            why: "Text in order whose ACK lies below the acceptable range is challenged on the slow path, but \
                  taken on the fast path of header prediction, which ignores what tcp_ack() says.",
            operator: "No sysctl.",
        },
        Self {
            id: DeviationId::WindowByProgress,
            name: "window-by-progress",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 fifth",
            requirement: None,
            function: "tcp_may_update_window",
            why: "The send window comes from every ACK of something new, also where its segment is older than the one \
                  that set the window last (SND.WL1); and a segment with the number of that one may raise the window \
                  or close it, but not lower it.",
            operator: "Nothing to do.",
        },
        Self {
            id: DeviationId::FinEndsStream,
            name: "fin-ends-stream",
            standing: Standing::Permitted,
            seen: Seen::Wire,
            clause: "3.10.7.4 seventh and eighth",
            requirement: None,
            function: "tcp_data_queue, tcp_fin",
            why: "A peer that sends text with numbers behind its FIN contradicts itself, and the RFC says nothing of \
                  it while both are out of order: the FIN ends the stream, and what is held behind it is dropped.",
            operator: "Nothing to do; no honest peer sends it.",
        },
        Self {
            id: DeviationId::OrphanMinisocket,
            name: "orphan-minisocket",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4; RFC 5961 sections 3.2 and 5.2",
            requirement: None,
            function: "tcp_timewait_state_process",
            why: "A socket that nobody holds any more waits for the peer's FIN in a small form, which knows neither \
                  ACKs nor challenges: every reset in the window ends it, a reset outside of it draws an ACK, a SYN \
                  in the window is answered by a reset, and the ACK field of the FIN does not matter.",
            operator: "Nothing to do; a user that shuts down and reads to the end keeps the whole socket.",
        },
        Self {
            id: DeviationId::LateFinResets,
            name: "late-fin-resets",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 seventh",
            requirement: Some("SHLD-3"),
            function: "tcp_rcv_state_process",
            why: "After close() a FIN that is out of order resets the connection at once: text must lie before it, \
                  and nobody will read it. So does text that lies outside of the window.",
            operator: "Shut down for writing and read to the end, instead of close().",
        },
        Self {
            id: DeviationId::ResetAtEdge,
            name: "reset-at-window-edge",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.5",
            requirement: None,
            function: "tcp_send_active_reset, tcp_acceptable_seq",
            why: "Where the peer took its window back, the reset of an abort does not carry SND.NXT but the number at \
                  the right edge of the window, which the peer will accept.",
            operator: "Nothing to do.",
        },
        Self {
            id: DeviationId::UnreadInTimeWait,
            name: "unread-in-time-wait",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.6.1; 3.10.4",
            requirement: Some("SHLD-3"),
            function: "tcp_time_wait, __tcp_close",
            why: "When the connection has reached TIME-WAIT and text is still unread, close() sends no reset to show \
                  the loss: the socket has handed the connection over to a minisocket and is closed itself.",
            operator: "Read to the end before close().",
        },
        Self {
            id: DeviationId::SecondFinCounts,
            name: "second-fin-counts",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 eighth",
            requirement: None,
            function: "tcp_data_queue, tcp_fin",
            why: "Another FIN of the peer, right behind its first one and in a segment that begins before that, moves \
                  RCV.NXT on by one. The RFC stays in its state, with RCV.NXT where the first FIN put it.",
            operator: "Nothing to do; no honest peer sends it.",
        },
        Self {
            id: DeviationId::AcklessUnanswered,
            name: "ackless-unanswered",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 first",
            requirement: None,
            function: "tcp_rcv_established, tcp_rcv_state_process",
            why: "A segment with none of SYN, ACK and RST is dropped before its sequence number is looked at. The RFC \
                  looks at the number first, and acknowledges a segment that is not acceptable.",
            operator: "Nothing to do; no honest peer sends it.",
        },
        Self {
            id: DeviationId::TimeWaitUnchallenged,
            name: "time-wait-unchallenged",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 second and fifth; RFC 5961 sections 3.2 and 5.2",
            requirement: None,
            function: "tcp_timewait_state_process",
            why: "In TIME-WAIT a reset in the window that is not exactly at RCV.NXT is dropped without the challenge ACK \
                  that asks for an exact one, and the range of ACKs is not looked at. Nothing is lost: the connection is \
                  over, and its end comes by itself.",
            operator: "Nothing to do.",
        },
        Self {
            id: DeviationId::WindowBeyondField,
            name: "window-beyond-field",
            standing: Standing::Permitted,
            seen: Seen::Wire,
            clause: "3.3.1; 3.10.7.4 first; RFC 7323 section 2.2",
            requirement: None,
            function: "tcp_select_window",
            why: "Without window scaling the receive window may grow beyond 65,535 octets, which is all that the header \
                  field can tell; text beyond that edge, which the peer was never offered, is taken.",
            operator: "Nothing to do; no honest peer sends it.",
        },
        Self {
            id: DeviationId::OldAckRefused,
            name: "old-ack-refused",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 fifth",
            requirement: None,
            function: "tcp_rcv_state_process",
            why: "Once either side has closed, kernels before 6.8 (and some stable ones after) challenge and drop a \
                  segment whose ACK is older than SND.UNA, text and FIN included. The RFC ignores the ACK and goes on \
                  with the segment. The connection hangs until the peer sends it again with a newer ACK.",
            operator: "A newer kernel.",
        },
        Self {
            id: DeviationId::UnsentAckUnanswered,
            name: "unsent-ack-unanswered",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 fifth",
            requirement: None,
            function: "tcp_ack, tcp_rcv_established",
            why: "On a connection that is open, older kernels drop an ACK of something that was never sent without \
                  the ACK that the RFC answers it with. In the closing states they answer.",
            operator: "A newer kernel.",
        },
        Self {
            id: DeviationId::HalfOpenResetInWindow,
            name: "half-open-reset-in-window",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 second; RFC 5961 section 3.2",
            requirement: None,
            function: "tcp_check_req",
            why: "Older kernels drop a half-open request for a reset anywhere in its window, where RFC 5961 wants the \
                  exact number, and leave it alone when the reset's ACK is wrong. A reset forged blindly is more \
                  likely to hit.",
            operator: "A newer kernel.",
        },
        Self {
            id: DeviationId::ClosedWindowIgnored,
            name: "closed-window-ignored",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 fifth",
            requirement: None,
            function: "tcp_may_update_window",
            why: "A segment with the number of the one that set the window last may raise the window, but to older \
                  kernels it does not close it: text goes out against a closed window, and has to be sent again.",
            operator: "A newer kernel.",
        },
        Self {
            id: DeviationId::TextAtEdgeCounts,
            name: "text-at-edge-counts",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 first, table 6",
            requirement: None,
            function: "tcp_sequence",
            why: "Text that begins right at the edge of the window is dropped, but older kernels look at its ACK and \
                  its window, also while received text waits to be read; the RFC drops the whole segment.",
            operator: "Nothing to do.",
        },
        Self {
            id: DeviationId::FinBeyondEdge,
            name: "fin-beyond-edge",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.7.4 first, table 6",
            requirement: None,
            function: "tcp_sequence",
            why: "A FIN for which the window has no room is not taken, but the ACK that comes with it counts, also \
                  while received text waits to be read: some stacks send it so. The RFC drops the whole segment, and \
                  so did Linux 6.18.15.",
            operator: "Nothing to do.",
        },
        Self {
            id: DeviationId::HalfOpenAbortSilent,
            name: "half-open-abort-silent",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.10.5",
            requirement: None,
            function: "tcp_abort, inet_csk_reqsk_queue_drop",
            why: "A half-open request that is destroyed from outside (ss -K) goes without a word, where an ABORT in \
                  SYN-RECEIVED sends a reset. The peer learns of it when it acknowledges the SYN,ACK.",
            operator: "Harmless.",
        },
        Self {
            id: DeviationId::TimeWaitFirstTimestamp,
            name: "time-wait-first-timestamp",
            standing: Standing::Departs,
            seen: Seen::Wire,
            clause: "3.6.1; RFC 6191 section 2",
            requirement: Some("SHLD-4"),
            function: "tcp_timewait_state_process",
            why: "A SYN with timestamps for a connection in TIME-WAIT that had none is newer by that alone. Linux compares \
                  its number only, and answers an older one with an ACK.",
            operator: "Nothing to do; the peer resets and tries again.",
        },
        Self {
            id: DeviationId::FinWait2Reuse,
            name: "fin-wait-2-reuse",
            standing: Standing::Departs,
            seen: Seen::TimeWait,
            clause: "3.10.1; 3.6",
            requirement: None,
            function: "tcp_twsk_unique, __inet_check_established",
            why: "connect() from a port that the user names takes the place of a connection that waits in FIN-WAIT-2 \
                  without a user, where timestamps are in use. That connection exists still, and its peer may send.",
            operator: "Let the system choose the port of outgoing connections.",
        },
    ];
}

impl DeviationId {
    /// The table entry.
    #[must_use]
    pub const fn deviation(self) -> &'static Deviation {
        &Deviation::ALL[self as usize]
    }

    /// The entry's name, kebab-case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.deviation().name
    }

    /// The clause departed from.
    #[must_use]
    pub const fn clause(self) -> &'static str {
        self.deviation().clause
    }
}

impl fmt::Display for DeviationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::Deviation;

    #[test]
    fn the_table_is_in_the_order_of_the_ids_and_names_lead_back() {
        for (index, deviation) in Deviation::ALL.iter().enumerate() {
            assert_eq!(deviation.id as usize, index);
            assert_eq!(deviation.id.deviation(), deviation);
            assert_eq!(Deviation::by_name(deviation.name), Some(deviation));
            assert_eq!((deviation.id.name(), deviation.id.clause()), (deviation.name, deviation.clause));
            assert_eq!(deviation.id.to_string(), deviation.name);
        }
        assert_eq!(Deviation::by_name("no-such-deviation"), None);
    }

    #[test]
    fn every_entry_explains_itself_in_sentences() {
        for Deviation { name, clause, function, why, operator, .. } in &Deviation::ALL {
            assert!(!clause.is_empty() && !function.is_empty(), "{name}");
            assert!(why.ends_with('.') && why.len() > 50, "{name}");
            assert!(operator.ends_with('.'), "{name}");
        }
    }
}
