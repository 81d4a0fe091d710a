//! How handshakes end: one outcome per attempt.
//!
//! A client's attempt runs from CLOSE > SYN_SENT to the transition that leaves the opening states; a simultaneous open
//! is a client's too. A server's runs from the birth of the request to SYN_RECV > ESTABLISHED of the child made of it,
//! or to the end of the request without one.

use model::linux::LinuxState::{Close, Established, FinWait1, SynRecv, SynSent};
use model::linux::{CloseCause, Evidence, LinuxState, Origin, SocketError, Transition};

use crate::step::{HandshakeResult, Role};

/// The outcome that a transition is, as far as transition and evidence say it. `cause`: the judge's, for transitions to
/// CLOSE.
pub(super) fn result(
    transition: Transition,
    evidence: &Evidence,
    cause: Option<CloseCause>,
) -> Option<HandshakeResult> {
    match (transition.from, transition.to) {
        (SynSent | SynRecv, Established) => Some(HandshakeResult::Established),
        // The caller has closed what was not open yet (Fast Open, simultaneous open).
        (SynRecv, FinWait1) => Some(HandshakeResult::Aborted),
        (SynSent | SynRecv, Close) => Some(failure(transition.from, evidence, cause)),
        _ => None,
    }
}

/// The side that an opening socket is on. Without a known beginning: a full socket in SYN_RECV is a listener's child,
/// but for the rare simultaneous open.
pub(super) fn role(origin: Option<Origin>, from: LinuxState) -> Role {
    match origin {
        Some(Origin::Active) => Role::Client,
        Some(Origin::Passive) => Role::Server,
        None if from == SynSent => Role::Client,
        None => Role::Server,
    }
}

fn failure(from: LinuxState, evidence: &Evidence, cause: Option<CloseCause>) -> HandshakeResult {
    match cause {
        Some(CloseCause::ResetReceived) if from == SynSent => HandshakeResult::Refused,
        Some(CloseCause::ResetReceived) => HandshakeResult::Reset,
        Some(CloseCause::IcmpRefused) => HandshakeResult::Refused,
        Some(CloseCause::IcmpAbort) => HandshakeResult::Unreachable,
        // tcp_write_err hands the last ICMP error to the caller instead of "timed out".
        Some(CloseCause::TimedOut) if evidence.error == SocketError::Unreachable => {
            HandshakeResult::Unreachable
        }
        Some(CloseCause::TimedOut | CloseCause::OrphanTimedOut) => HandshakeResult::Timeout,
        Some(
            CloseCause::ConnectAbandoned
            | CloseCause::SynNeverSent
            | CloseCause::AdministrativeAbort
            | CloseCause::UnreadData
            | CloseCause::LingerZero
            | CloseCause::Disconnect
            | CloseCause::Repair
            | CloseCause::UnacceptedDropped
            | CloseCause::MptcpAbort,
        ) => HandshakeResult::Aborted,
        // No SYN has left: no port, no route (ConnectFailed). Nobody gave up, and nobody answered.
        Some(_) => HandshakeResult::Other,
        None => by_error(from, evidence.error),
    }
}

/// The story has a hole: only the error that the caller gets can tell.
fn by_error(from: LinuxState, error: SocketError) -> HandshakeResult {
    match error {
        SocketError::Refused => HandshakeResult::Refused,
        SocketError::Reset if from == SynRecv => HandshakeResult::Reset,
        SocketError::TimedOut => HandshakeResult::Timeout,
        SocketError::Unreachable => HandshakeResult::Unreachable,
        SocketError::Aborted => HandshakeResult::Aborted,
        _ => HandshakeResult::Other,
    }
}
