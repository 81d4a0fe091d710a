//! Why a socket went to CLOSE: an ordered table of tests, each one on the socket's fields and what came before.
//!
//! `sk_err` alone proves little: it may be left over from an ICMP message or an earlier connection, the application
//! may have fetched it, and a disconnect sets it only afterwards. So each test asks for the fields that the kernel's
//! own code path must have left behind.

use core::fmt;

use super::LinuxState::{
    self, Close, CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv, SynSent,
};
use super::{Evidence, History, Origin, Owner, ResetReason, SocketError, TimeWaitKind, Transition};
use crate::Inconclusive;

/// Why a socket went to CLOSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CloseCause {
    /// Into TIME-WAIT, which a minisocket carries on.
    TimeWait,
    /// FIN-WAIT-2 is carried on by a minisocket.
    FinWait2Minisocket,
    /// A reset from the peer, or data after close, which Linux treats alike when the segment was not seen.
    ResetReceived,
    /// Data arrived after the user had closed.
    LateData,
    /// The ACK of our FIN in LAST-ACK.
    FinAcknowledged,
    /// The listener was closed, shut down or aborted.
    ListenerClosed,
    /// `listen()` failed half-way.
    ListenRolledBack,
    /// An abort announced CLOSE a second time.
    AbortRepeated,
    /// Retransmissions, or the user's time limit, ran out.
    TimedOut,
    /// Keep-alive probes stayed unanswered.
    KeepaliveTimedOut,
    /// Retransmissions ran out after the user had gone.
    OrphanTimedOut,
    /// The system dropped a connection whose user had gone.
    OrphanKilled,
    /// No FIN came within `tcp_fin_timeout`.
    FinWait2TimedOut,
    /// `TCP_LINGER2` below zero.
    Linger2Abort,
    /// The minisocket for TIME-WAIT or FIN-WAIT-2 could not be had.
    TimeWaitSkipped,
    /// An ICMP error ended the open.
    IcmpAbort,
    /// An ICMP port unreachable refused the open.
    IcmpRefused,
    /// `connect()` failed before the SYN: no port, no route.
    ConnectFailed,
    /// The user gave up an open under way.
    ConnectAbandoned,
    /// The user closed a deferred open whose SYN had never left.
    SynNeverSent,
    /// Destroyed from outside: `ss -K`, `bpf_sock_destroy`.
    AdministrativeAbort,
    /// Closed with received data unread.
    UnreadData,
    /// Closed with `SO_LINGER` 0.
    LingerZero,
    /// `connect(AF_UNSPEC)`, the sockets' ABORT.
    Disconnect,
    /// Closed under `TCP_REPAIR`.
    Repair,
    /// Never accepted, and its listener is gone.
    UnacceptedDropped,
    /// A listener's child that could not be set up or lost a race.
    ChildDiscarded,
    /// A subflow ended by its MPTCP connection.
    MptcpAbort,
}

impl CloseCause {
    /// Every cause.
    pub const ALL: [Self; 28] = [
        Self::TimeWait,
        Self::FinWait2Minisocket,
        Self::ResetReceived,
        Self::LateData,
        Self::FinAcknowledged,
        Self::ListenerClosed,
        Self::ListenRolledBack,
        Self::AbortRepeated,
        Self::TimedOut,
        Self::KeepaliveTimedOut,
        Self::OrphanTimedOut,
        Self::OrphanKilled,
        Self::FinWait2TimedOut,
        Self::Linger2Abort,
        Self::TimeWaitSkipped,
        Self::IcmpAbort,
        Self::IcmpRefused,
        Self::ConnectFailed,
        Self::ConnectAbandoned,
        Self::SynNeverSent,
        Self::AdministrativeAbort,
        Self::UnreadData,
        Self::LingerZero,
        Self::Disconnect,
        Self::Repair,
        Self::UnacceptedDropped,
        Self::ChildDiscarded,
        Self::MptcpAbort,
    ];

    /// The cause in snake_case, for labels and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.describe().0
    }

    /// The cause in a sentence.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        self.describe().1
    }

    const fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::TimeWait => ("time_wait", "Both sides have closed; a minisocket carries on in TIME-WAIT."),
            Self::FinWait2Minisocket => {
                ("fin_wait_2_minisocket", "Nobody holds the socket; a minisocket waits for the peer's FIN.")
            }
            Self::ResetReceived => ("reset_received", "The peer reset the connection."),
            Self::LateData => ("late_data", "Data arrived after the user had closed; the peer gets a reset."),
            Self::FinAcknowledged => {
                ("fin_acknowledged", "The peer acknowledged our FIN, the last one of all.")
            }
            Self::ListenerClosed => ("listener_closed", "The listener was closed."),
            Self::ListenRolledBack => ("listen_rolled_back", "listen() failed and took its step back."),
            Self::AbortRepeated => ("abort_repeated", "An abort closed what was closed already."),
            Self::TimedOut => ("timed_out", "The peer did not answer in time."),
            Self::KeepaliveTimedOut => ("keepalive_timed_out", "The peer did not answer keep-alive probes."),
            Self::OrphanTimedOut => (
                "orphan_timed_out",
                "The peer did not acknowledge our FIN in time, and no user holds the socket.",
            ),
            Self::OrphanKilled => (
                "orphan_killed",
                "The system dropped a connection that no user holds: limits or namespace exit.",
            ),
            Self::FinWait2TimedOut => ("fin_wait_2_timed_out", "The peer's FIN did not come in time."),
            Self::Linger2Abort => ("linger2_abort", "TCP_LINGER2 forbids FIN-WAIT-2 after close."),
            Self::TimeWaitSkipped => ("time_wait_skipped", "There was no room for a minisocket."),
            Self::IcmpAbort => ("icmp_abort", "An ICMP error ended the open."),
            Self::IcmpRefused => ("icmp_refused", "An ICMP port unreachable refused the open."),
            Self::ConnectFailed => ("connect_failed", "connect() failed before a SYN was sent."),
            Self::ConnectAbandoned => ("connect_abandoned", "The user gave up the open."),
            Self::SynNeverSent => {
                ("syn_never_sent", "The user closed a deferred open before its SYN was sent.")
            }
            Self::AdministrativeAbort => ("administrative_abort", "The socket was destroyed from outside."),
            Self::UnreadData => ("unread_data", "The user closed with received data unread."),
            Self::LingerZero => ("linger_zero", "The user closed with SO_LINGER 0."),
            Self::Disconnect => ("disconnect", "The user aborted by connect(AF_UNSPEC)."),
            Self::Repair => ("repair", "The socket was closed under TCP_REPAIR, without a segment."),
            Self::UnacceptedDropped => {
                ("unaccepted_dropped", "The listener closed before this connection was accepted.")
            }
            Self::ChildDiscarded => {
                ("child_discarded", "The listener's child could not be set up, or lost a race.")
            }
            Self::MptcpAbort => ("mptcp_abort", "The MPTCP connection ended this subflow."),
        }
    }
}

impl fmt::Display for CloseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Decides why a socket in `from` went to CLOSE.
pub(super) fn classify(
    from: LinuxState,
    evidence: &Evidence,
    history: &History,
) -> Result<CloseCause, Inconclusive> {
    let cause = match from {
        Listen => listener(evidence, history),
        Close => closed(evidence, history),
        _ => connection(from, evidence, history),
    };
    match cause {
        // An MPTCP connection may close its subflows from any state, whatever their fields say.
        Err(_) if evidence.is_mptcp => Ok(CloseCause::MptcpAbort),
        cause => cause,
    }
}

fn listener(evidence: &Evidence, history: &History) -> Result<CloseCause, Inconclusive> {
    if evidence.owner == Some(Owner::Softirq) {
        return Err(Inconclusive::Unclassified);
    }
    // A failed listen() is over before another call can start; a closed listener has both directions shut down.
    let rolled_back = history.same_call && history.previous == Some(Transition::new(Close, Listen));
    Ok(if rolled_back { CloseCause::ListenRolledBack } else { CloseCause::ListenerClosed })
}

fn closed(evidence: &Evidence, history: &History) -> Result<CloseCause, Inconclusive> {
    // tcp_abort: a listener is closed first and then, like any socket, once more.
    let aborted =
        evidence.error == SocketError::Aborted || history.previous == Some(Transition::new(Listen, Close));
    if aborted || evidence.is_mptcp { Ok(CloseCause::AbortRepeated) } else { Err(Inconclusive::Unclassified) }
}

fn connection(from: LinuxState, evidence: &Evidence, history: &History) -> Result<CloseCause, Inconclusive> {
    // The minisocket is created first (tcp_time_wait), so it is there when the socket shows CLOSE.
    match (from, history.timewait_created) {
        (FinWait2 | Closing, Some(TimeWaitKind::TimeWait)) => return Ok(CloseCause::TimeWait),
        (FinWait2, Some(TimeWaitKind::FinWait2)) => return Ok(CloseCause::FinWait2Minisocket),
        _ => {}
    }
    // tcp_reset ends the connection in the same step. It also serves for data after close.
    if history.reset_received {
        let late = history.reset_bit == Some(false) || history.reset_sent == Some(ResetReason::AbortOnData);
        return Ok(if late { CloseCause::LateData } else { CloseCause::ResetReceived });
    }
    // In LAST-ACK the acknowledged FIN ends the connection at once, whatever sk_err was left behind.
    if from == LastAck && evidence.una == evidence.write_seq {
        return Ok(CloseCause::FinAcknowledged);
    }
    // A consumed FIN in FIN-WAIT-2, or an acknowledged one in CLOSING, leads nowhere but to TIME-WAIT.
    let time_wait_due = match from {
        FinWait2 => evidence.done,
        Closing => evidence.una == evidence.write_seq,
        _ => false,
    };
    if time_wait_due {
        let skipped = history.timewait_visible;
        return Ok(if skipped { CloseCause::TimeWaitSkipped } else { CloseCause::TimeWait });
    }
    if evidence.error == SocketError::Aborted && evidence.owner != Some(Owner::Softirq) {
        return Ok(CloseCause::AdministrativeAbort);
    }
    if let Some(cause) = timed_out(from, evidence, history) {
        return Ok(cause);
    }
    match from {
        SynSent => syn_sent(evidence, history),
        SynRecv if evidence.owner == Some(Owner::Softirq) => syn_recv_in_softirq(evidence, history),
        FinWait2 if evidence.dead => fin_wait_2_orphan(evidence, history),
        _ if evidence.dead => orphan(from, evidence),
        _ if evidence.owner == Some(Owner::Softirq) => held_in_softirq(from, evidence, history),
        _ => held_by_task(from, evidence),
    }
}

/// tcp_write_err reports the last soft error, or else a timeout. It never runs in FIN-WAIT-2, where all is
/// acknowledged.
fn timed_out(from: LinuxState, evidence: &Evidence, history: &History) -> Option<CloseCause> {
    let Evidence { error, soft_error, owner, .. } = *evidence;
    let soft = error != SocketError::None && error == soft_error && owner == Some(Owner::Softirq);
    if from == FinWait2 || !(error == SocketError::TimedOut || soft) {
        return None;
    }
    Some(match history.reset_sent {
        Some(ResetReason::KeepaliveTimeout) => CloseCause::KeepaliveTimedOut,
        Some(ResetReason::AbortOnMemory) if evidence.dead => CloseCause::OrphanKilled,
        _ if evidence.dead && matches!(from, FinWait1 | LastAck | Closing) => CloseCause::OrphanTimedOut,
        _ => CloseCause::TimedOut,
    })
}

fn syn_sent(evidence: &Evidence, history: &History) -> Result<CloseCause, Inconclusive> {
    if evidence.owner == Some(Owner::Softirq) {
        return match evidence.error {
            SocketError::Refused if history.resets_visible => Ok(CloseCause::IcmpRefused),
            SocketError::Refused => Ok(CloseCause::ResetReceived),
            SocketError::Unreachable | SocketError::Other => Ok(CloseCause::IcmpAbort),
            _ => Err(Inconclusive::Unclassified),
        };
    }
    let closing = evidence.send_shutdown && evidence.receive_shutdown;
    // tcp_connect gives the SYN its number and sends all that is queued. A socket that is used again keeps the numbers
    // of its last connection until then, but tcp_disconnect has moved the end of its queue.
    let syn_sent = evidence.una != evidence.nxt && evidence.nxt == evidence.write_seq;
    Ok(match (syn_sent, closing) {
        (false, true) => CloseCause::SynNeverSent,
        (false, false) => CloseCause::ConnectFailed,
        (true, false) if evidence.error == SocketError::Refused => CloseCause::ResetReceived,
        (true, _) => CloseCause::ConnectAbandoned,
    })
}

fn syn_recv_in_softirq(evidence: &Evidence, history: &History) -> Result<CloseCause, Inconclusive> {
    match evidence.error {
        SocketError::Reset => Ok(CloseCause::ResetReceived),
        SocketError::Refused => Ok(CloseCause::IcmpRefused),
        SocketError::Unreachable | SocketError::Other => Ok(CloseCause::IcmpAbort),
        SocketError::None if history.listener_closed && !evidence.dead => Ok(CloseCause::UnacceptedDropped),
        // Whoever opened actively has a user; a child that nobody accepted has none.
        SocketError::None
            if history.origin != Some(Origin::Active) && evidence.has_user_socket != Some(true) =>
        {
            Ok(CloseCause::ChildDiscarded)
        }
        _ => Err(Inconclusive::Unclassified),
    }
}

/// FIN-WAIT-2 without a FIN, of a socket that nobody holds: no minisocket has been seen.
fn fin_wait_2_orphan(evidence: &Evidence, history: &History) -> Result<CloseCause, Inconclusive> {
    match history.reset_sent {
        _ if evidence.error == SocketError::Reset => return Ok(CloseCause::ResetReceived),
        Some(ResetReason::AbortOnData) if !evidence.linger2_negative => return Ok(CloseCause::LateData),
        Some(ResetReason::AbortOnMemory) => return Ok(CloseCause::OrphanKilled),
        _ if evidence.linger2_negative => return Ok(CloseCause::Linger2Abort),
        // tcp_keepalive_timer resets the peer before it closes; it is the only one here that does so before.
        Some(ResetReason::TcpState | ResetReason::Unknown) => {
            return Ok(CloseCause::FinWait2TimedOut);
        }
        _ => {}
    }
    match (history.timewait_visible, history.resets_visible) {
        // The usual end, and what is left when no reset announced a timeout.
        (false, true) => Ok(CloseCause::FinWait2Minisocket),
        (_, false) => Err(Inconclusive::MissingHook),
        // The ACK of our FIN came before close(), or while close() waited for it (SO_LINGER): the kernel wanted a
        // minisocket, then or later, and got none. Where that ACK came after close(), late data in the same segment is
        // as likely, and only the reset that follows tells.
        (true, true) if history.settled || history.was_held => Ok(CloseCause::TimeWaitSkipped),
        (true, true) => Err(Inconclusive::Unclassified),
    }
}

/// A socket that nobody holds, in another state than FIN-WAIT-2.
fn orphan(from: LinuxState, evidence: &Evidence) -> Result<CloseCause, Inconclusive> {
    if evidence.error == reset_error(from) {
        return Ok(CloseCause::ResetReceived);
    }
    match from {
        FinWait1 | LastAck | Closing | SynRecv => Ok(CloseCause::OrphanKilled),
        Established | CloseWait if evidence.owner == Some(Owner::Softirq) => Ok(CloseCause::OrphanKilled),
        _ => Err(Inconclusive::Unclassified),
    }
}

/// A segment, or the listener's end, closed a socket that has a user or waits for one.
fn held_in_softirq(
    from: LinuxState,
    evidence: &Evidence,
    history: &History,
) -> Result<CloseCause, Inconclusive> {
    if evidence.error == reset_error(from) {
        return Ok(CloseCause::ResetReceived);
    }
    let unaccepted = match evidence.has_user_socket {
        Some(attached) => !attached,
        None => history.listener_closed,
    };
    if matches!(from, Established | CloseWait) && unaccepted && evidence.error == SocketError::None {
        return Ok(CloseCause::UnacceptedDropped);
    }
    Err(Inconclusive::Unclassified)
}

/// A task that holds the socket closed it; nobody has let go of it yet.
fn held_by_task(from: LinuxState, evidence: &Evidence) -> Result<CloseCause, Inconclusive> {
    let closing = evidence.send_shutdown && evidence.receive_shutdown;
    // __tcp_close asks in this order.
    if evidence.repair == Some(true) {
        return Ok(CloseCause::Repair);
    }
    if closing && unread(evidence) {
        return Ok(CloseCause::UnreadData);
    }
    if closing && evidence.linger && evidence.linger_zero {
        return Ok(CloseCause::LingerZero);
    }
    if evidence.error == reset_error(from) {
        return Ok(CloseCause::ResetReceived);
    }
    // A timer that had to wait for the task reports the soft error too.
    if evidence.error != SocketError::None && evidence.error == evidence.soft_error && closing {
        return Ok(CloseCause::TimedOut);
    }
    match from {
        // Shutting down the sending side would have left these states; only close() shuts both down before.
        Established | CloseWait if evidence.send_shutdown => Err(Inconclusive::Unclassified),
        _ if evidence.owner.is_none() => Err(Inconclusive::MissingHook),
        _ => Ok(CloseCause::Disconnect),
    }
}

/// What tcp_reset reports in each state but SYN-SENT, which has its own rows.
const fn reset_error(from: LinuxState) -> SocketError {
    match from {
        CloseWait => SocketError::BrokenPipe,
        _ => SocketError::Reset,
    }
}

/// Whether received data was left unread. RCV.NXT counts the peer's FIN, which nobody reads.
const fn unread(evidence: &Evidence) -> bool {
    let behind = evidence.rcv_nxt.wrapping_sub(evidence.copied_seq);
    behind > evidence.done as u32 && behind < 1 << 31
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::BTreeSet;

    use std::string::ToString;

    use super::{CloseCause, classify};
    use crate::Inconclusive;
    use crate::linux::LinuxState::{
        Close, CloseWait, Established, FinWait1, FinWait2, Listen, SynRecv, SynSent,
    };
    use crate::linux::{Evidence, History, Origin, Owner, ResetReason, SocketError, Transition};

    const UNKNOWN: Result<CloseCause, Inconclusive> = Err(Inconclusive::Unclassified);

    fn softirq(error: SocketError) -> Evidence {
        Evidence { owner: Some(Owner::Softirq), error, ..Evidence::default() }
    }

    fn task() -> Evidence {
        Evidence { owner: Some(Owner::User), ..Evidence::default() }
    }

    #[test]
    fn an_abort_repeats_the_close_of_a_listener_or_of_what_is_closed() {
        let after = |from| History { previous: Some(Transition::new(from, Close)), ..History::default() };
        let aborted = Evidence { error: SocketError::Aborted, ..task() };
        assert_eq!(classify(Close, &aborted, &after(Established)), Ok(CloseCause::AbortRepeated));
        assert_eq!(classify(Close, &task(), &after(Listen)), Ok(CloseCause::AbortRepeated));
        assert_eq!(classify(Close, &task(), &after(Established)), UNKNOWN);
    }

    #[test]
    fn a_timeout_by_who_is_left() {
        let timed_out = |from, dead, reset_sent| {
            let evidence = Evidence { dead, ..softirq(SocketError::TimedOut) };
            classify(from, &evidence, &History { reset_sent, ..History::default() })
        };
        assert_eq!(timed_out(FinWait1, false, None), Ok(CloseCause::TimedOut));
        assert_eq!(timed_out(FinWait1, true, None), Ok(CloseCause::OrphanTimedOut));
        assert_eq!(timed_out(Established, true, None), Ok(CloseCause::TimedOut));
        let memory = Some(ResetReason::AbortOnMemory);
        assert_eq!(timed_out(FinWait1, true, memory), Ok(CloseCause::OrphanKilled));
        assert_eq!(timed_out(FinWait1, false, memory), Ok(CloseCause::TimedOut));
    }

    #[test]
    fn an_open_that_a_task_ends() {
        let sent = Evidence { una: 1, nxt: 2, write_seq: 2, send_shutdown: true, ..task() };
        let refused = Evidence { error: SocketError::Refused, ..sent };
        let history = History::default();
        assert_eq!(classify(SynSent, &sent, &history), Ok(CloseCause::ConnectAbandoned));
        assert_eq!(classify(SynSent, &refused, &history), Ok(CloseCause::ResetReceived));
        let closing = Evidence { receive_shutdown: true, ..refused };
        assert_eq!(classify(SynSent, &closing, &history), Ok(CloseCause::ConnectAbandoned));
    }

    #[test]
    fn a_child_that_the_network_ends() {
        let child = |error, origin, has_user_socket| {
            let evidence = Evidence { has_user_socket, ..softirq(error) };
            classify(SynRecv, &evidence, &History { origin, ..History::default() })
        };
        let passive = Some(Origin::Passive);
        assert_eq!(child(SocketError::Reset, passive, Some(false)), Ok(CloseCause::ResetReceived));
        assert_eq!(child(SocketError::None, passive, Some(false)), Ok(CloseCause::ChildDiscarded));
        assert_eq!(child(SocketError::None, passive, Some(true)), UNKNOWN);
        assert_eq!(child(SocketError::None, Some(Origin::Active), Some(false)), UNKNOWN);
    }

    #[test]
    fn an_orphan_by_its_state_and_error() {
        let orphan =
            |from, evidence| classify(from, &Evidence { dead: true, ..evidence }, &History::default());
        assert_eq!(orphan(FinWait2, softirq(SocketError::Reset)), Ok(CloseCause::ResetReceived));
        assert_eq!(orphan(Established, softirq(SocketError::None)), Ok(CloseCause::OrphanKilled));
        assert_eq!(orphan(CloseWait, softirq(SocketError::BrokenPipe)), Ok(CloseCause::ResetReceived));
        assert_eq!(orphan(Established, task()), UNKNOWN);
    }

    #[test]
    fn unread_data_counts_only_for_close() {
        let unread = Evidence { rcv_nxt: 30, copied_seq: 20, ..task() };
        let end = |evidence: Evidence| classify(Established, &evidence, &History::default());
        let both = Evidence { send_shutdown: true, receive_shutdown: true, ..unread };
        assert_eq!(end(both), Ok(CloseCause::UnreadData));
        assert_eq!(end(Evidence { receive_shutdown: true, ..unread }), Ok(CloseCause::Disconnect));
        assert_eq!(end(Evidence { send_shutdown: true, ..unread }), UNKNOWN);
        // The FIN is counted and read by nobody; a distance of half the space is none.
        assert_eq!(end(Evidence { done: true, copied_seq: 29, ..both }), UNKNOWN);
        assert_eq!(end(Evidence { copied_seq: 30_u32.wrapping_sub(1 << 31), ..both }), UNKNOWN);
    }

    #[test]
    fn a_cause_prints_its_name() {
        assert_eq!(CloseCause::LateData.to_string(), "late_data");
    }

    #[test]
    fn names_are_distinct_and_sentences_are_sentences() {
        let names: BTreeSet<_> = CloseCause::ALL.into_iter().map(CloseCause::name).collect();
        assert_eq!(names.len(), CloseCause::ALL.len());
        assert!(CloseCause::ALL.into_iter().all(|cause| cause.sentence().ends_with('.')));
    }

    #[test]
    fn the_list_is_in_the_order_of_the_variants() {
        assert!(CloseCause::ALL.into_iter().enumerate().all(|(index, cause)| cause as usize == index));
    }
}
