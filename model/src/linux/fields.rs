//! What must hold of the socket's fields at a transition. Only what the kernel's code cannot break is asked for.

use super::LinuxState::{
    Close, CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv, SynSent,
};
use super::{Evidence, History, Origin, Owner, SocketError, TimeWaitKind, Transition, ViolationId};

/// The rule that the fields break, if any. MPTCP moves its subflows and TCP_REPAIR its sockets by other rules: both
/// are let pass.
pub(super) fn broken(transition: Transition, evidence: &Evidence, history: &History) -> Option<ViolationId> {
    if evidence.is_mptcp || evidence.repair == Some(true) {
        return None;
    }
    let checks = [
        repeated,
        sequence_order,
        receive_order,
        handshake,
        user_close,
        peer_fin,
        our_fin,
        time_wait,
        last_ack,
    ];
    checks.into_iter().find_map(|check| check(transition, evidence, history))
}

/// A state is announced again by close() after shutdown() alone (tcp_close_state), which holds the socket and has not let
/// go of its user yet (sock_orphan comes later). An MPTCP connection sets its subflows' states without looking at what
/// they are.
fn repeated(transition: Transition, evidence: &Evidence, _: &History) -> Option<ViolationId> {
    let repeats = transition.from == transition.to && transition.from != Close && !evidence.is_mptcp;
    (repeats && (evidence.dead || evidence.owner == Some(Owner::Softirq)))
        .then_some(ViolationId::RepeatedState)
}

fn sequence_order(transition: Transition, evidence: &Evidence, _: &History) -> Option<ViolationId> {
    let meaningful = match transition.from {
        // CLOSE > SYN_SENT comes before the first number is chosen, and a failed connect() before it was stored; a
        // newborn child still has its listener's numbers.
        Close | Listen => false,
        SynSent => transition.to != Close,
        _ => true,
    };
    let ordered = not_after(evidence.una, evidence.nxt) && not_after(evidence.nxt, evidence.write_seq);
    (meaningful && !ordered).then_some(ViolationId::SequenceOrder)
}

/// Before the peer's SYN there is nothing to receive, and a newborn child still has its listener's numbers.
fn receive_order(transition: Transition, evidence: &Evidence, _: &History) -> Option<ViolationId> {
    let meaningful = !matches!(transition.from, Close | Listen | SynSent);
    (meaningful && !not_after(evidence.copied_seq, evidence.rcv_nxt)).then_some(ViolationId::ReceiveOrder)
}

/// True when a simultaneous open ends although nothing but the SYN is outstanding: an ACK of the ISS was enough.
pub(super) fn is_by_old_ack(transition: Transition, evidence: &Evidence, history: &History) -> bool {
    (transition.from, transition.to) == (SynRecv, Established)
        && history.origin == Some(Origin::Active)
        && evidence.fast_open == Some(false)
        && evidence.nxt.wrapping_sub(evidence.una) == 1
        && evidence.nxt == evidence.write_seq
        && evidence.rcv_nxt == evidence.copied_seq
}

fn handshake(transition: Transition, evidence: &Evidence, history: &History) -> Option<ViolationId> {
    let syn_outstanding = evidence.una != evidence.nxt;
    // Fast Open sends and receives data before the handshake ends. Its children look like others here, unless a
    // request is known to have led to them.
    let plain = evidence.fast_open == Some(false)
        && (history.origin == Some(Origin::Active) || transition.from == SynSent || history.request_seen);
    match (transition.from, transition.to) {
        (SynRecv, Established) if is_by_old_ack(transition, evidence, history) => None,
        (SynSent | SynRecv, Established) if plain && syn_outstanding => {
            Some(ViolationId::EstablishedSynUnacknowledged)
        }
        (SynSent | SynRecv, Established) if plain && evidence.rcv_nxt != evidence.copied_seq => {
            Some(ViolationId::EstablishedReceiveNumbers)
        }
        (SynSent, SynRecv) if !syn_outstanding => Some(ViolationId::SynReceivedSynAcknowledged),
        _ => None,
    }
}

/// `sk_shutdown` is set before the state changes, by shutdown() as by close(), and stays.
fn user_close(transition: Transition, evidence: &Evidence, _: &History) -> Option<ViolationId> {
    let closed = matches!(transition.to, FinWait1 | LastAck)
        || matches!(transition.from, FinWait1 | FinWait2 | Closing | LastAck);
    (closed && !evidence.send_shutdown).then_some(ViolationId::CloseMissing)
}

/// tcp_fin marks the socket and changes its state in one go.
fn peer_fin(transition: Transition, evidence: &Evidence, _: &History) -> Option<ViolationId> {
    let after_fin = matches!(transition.to, CloseWait | Closing)
        || matches!(transition.from, CloseWait | Closing | LastAck);
    let before_fin = !after_fin
        && (matches!(transition.from, Established | FinWait1)
            || (transition.from == FinWait2 && transition.to == FinWait2));
    let consumed = evidence.done && evidence.receive_shutdown;
    match consumed {
        false if after_fin => Some(ViolationId::PeerFinMissing),
        true if before_fin => Some(ViolationId::PeerFinIgnored),
        _ => None,
    }
}

/// The end of the queue counts our FIN from the moment it is built, which is before the next segment is looked at.
fn our_fin(transition: Transition, evidence: &Evidence, _: &History) -> Option<ViolationId> {
    let acknowledged = evidence.una == evidence.write_seq;
    match (transition.from, transition.to) {
        (FinWait1, FinWait2) | (FinWait2, _) if !acknowledged => Some(ViolationId::FinWait2FinUnacknowledged),
        (FinWait1, Closing) if acknowledged => Some(ViolationId::ClosingFinAcknowledged),
        _ => None,
    }
}

fn time_wait(transition: Transition, evidence: &Evidence, history: &History) -> Option<ViolationId> {
    if transition.to != Close || history.timewait_created != Some(TimeWaitKind::TimeWait) {
        return None;
    }
    match transition.from {
        // An orphan's minisocket is born in FIN-WAIT-2 and can meet the FIN on another CPU before this one has told
        // of the socket's end (inet_twsk_hashdance shows it before its timer is started).
        FinWait2 if !evidence.done && !evidence.dead => Some(ViolationId::TimeWaitFinMissing),
        Closing if evidence.una != evidence.write_seq => Some(ViolationId::TimeWaitFinUnacknowledged),
        _ => None,
    }
}

/// Certain only for a socket that somebody holds: without a user the kernel may drop it and say nothing. A timeout
/// needs a retransmission, and an error that nobody has fetched in between.
fn last_ack(transition: Transition, evidence: &Evidence, history: &History) -> Option<ViolationId> {
    let held = evidence.has_user_socket == Some(true) && !evidence.dead;
    let by_segment = evidence.owner == Some(Owner::Softirq) && evidence.retransmits == 0;
    let no_error = evidence.error == SocketError::None && evidence.soft_error == SocketError::None;
    let no_reset = history.resets_visible && !history.reset_received && history.reset_sent.is_none();
    let unacknowledged = evidence.una != evidence.write_seq;
    (transition == Transition::new(LastAck, Close)
        && held
        && by_segment
        && no_error
        && no_reset
        && unacknowledged)
        .then_some(ViolationId::LastAckFinUnacknowledged)
}

/// `a <= b` in sequence space (RFC 9293, section 3.4).
const fn not_after(a: u32, b: u32) -> bool {
    b.wrapping_sub(a) < 1 << 31
}
