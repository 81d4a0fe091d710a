//! The judge: one transition in, one verdict out.

use core::slice;

use super::LinuxState::{
    self, Close, CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, Listen, NewSynRecv, SynRecv,
    SynSent, TimeWait,
};
use super::{
    CloseCause, Code, DeviationId, Evidence, History, Origin, Transition, ViolationId, cause, fields, pair,
};
use crate::{Edge, Inconclusive, State, Verdict, edge};

/// A verdict with what led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why the socket went to CLOSE; `None` for other transitions and where it cannot be known.
    pub cause: Option<CloseCause>,
    /// A habit of Linux that this transition shows and the RFC leaves room for; the verdict is conforming.
    pub noted: Option<DeviationId>,
    /// The steps of the RFC's diagram that the transition stands for. Empty when it stands for none (a repeated
    /// close, a minisocket that waits on in FIN-WAIT-2) and when it was not judged or is a violation.
    pub edges: &'static [Edge],
}

/// Judges one transition by its pair of states, the socket's fields at that instant, and what came before.
///
/// Total: every input has a verdict. Certainty comes first: a gap in the history makes it
/// [`Verdict::Inconclusive`], and so does a CLOSE whose cause is not among the known ones.
#[must_use]
pub fn judge(transition: Transition, evidence: &Evidence, history: &History) -> Judgement {
    if let Some(gap) = gap(transition, history) {
        let known = gap == Inconclusive::Adopted && transition.to == Close && pair(transition).is_some();
        let cause = if known { cause::classify(transition.from, evidence, history).ok() } else { None };
        return Judgement { cause, ..Judgement::of(Verdict::Inconclusive(gap)) };
    }
    let Some(pair) = pair(transition) else {
        let rule = impossible(transition);
        // An MPTCP connection sets its subflows' states without looking at what they are.
        let repeated = evidence.is_mptcp && rule == ViolationId::RepeatedState;
        let unknown = Verdict::Inconclusive(Inconclusive::Unclassified);
        return Judgement::of(if repeated { unknown } else { Verdict::Violation(rule) });
    };
    if let Some(rule) = fields::broken(transition, evidence, history) {
        return Judgement::of(Verdict::Violation(rule));
    }
    if transition.to != Close {
        return opening_or_closing(transition, pair.codes[0], evidence, history);
    }
    match cause::classify(transition.from, evidence, history) {
        Ok(cause) => closed(transition.from, cause, evidence, history),
        Err(unknown) => Judgement::of(Verdict::Inconclusive(unknown)),
    }
}

impl Judgement {
    const fn of(verdict: Verdict) -> Self {
        Self { verdict, cause: None, noted: None, edges: &[] }
    }
}

/// What is missing before this transition. A life begins in CLOSE, or as the copy of a listener.
fn gap(transition: Transition, history: &History) -> Option<Inconclusive> {
    let begins = transition.from == Close || (transition.from == Listen && transition.to != Close);
    match history.previous {
        Some(previous) if previous.to == transition.from => None,
        Some(_) => Some(Inconclusive::LostEvent),
        None if history.adopted => Some(Inconclusive::Adopted),
        None if begins => None,
        None => Some(Inconclusive::LostEvent),
    }
}

fn impossible(transition: Transition) -> ViolationId {
    let Transition { from, to } = transition;
    if from == TimeWait || to == TimeWait {
        ViolationId::TimeWaitAnnounced
    } else if from == NewSynRecv || to == NewSynRecv {
        ViolationId::RequestAnnounced
    } else if from == to {
        ViolationId::RepeatedState
    } else if edge(from.rfc(), to.rfc()).is_some() {
        ViolationId::ForeignEdge
    } else {
        ViolationId::IllegalEdge
    }
}

/// Every transition but those to CLOSE stands for one edge, or for none when the state repeats.
fn opening_or_closing(
    transition: Transition,
    code: Code,
    evidence: &Evidence,
    history: &History,
) -> Judgement {
    let Transition { from, to } = transition;
    let unsent = evidence.nxt != evidence.write_seq;
    // "If no SENDs have been issued": then nothing is between what the handshake acknowledges and the queue's end.
    let data_before_established =
        from == SynRecv && history.origin == Some(Origin::Passive) && evidence.una != evidence.write_seq;
    let (departs, noted) = match (from, to) {
        (SynSent, Established) if evidence.repair == Some(true) => (Some(DeviationId::TcpRepair), None),
        (SynRecv, Established) if fields::is_by_old_ack(transition, evidence, history) => {
            (Some(DeviationId::HandshakeByOldAck), None)
        }
        (SynRecv, FinWait1) if data_before_established => (Some(DeviationId::SynReceivedCloseWithData), None),
        (Established | SynRecv, FinWait1) if unsent => (None, Some(DeviationId::FinWait1FinUnsent)),
        (CloseWait, LastAck) if unsent => (Some(DeviationId::LastAckFinUnsent), None),
        _ => (None, None),
    };
    let verdict = departs.map_or(Verdict::Conforming(code), Verdict::Deviation);
    Judgement { verdict, cause: None, noted, edges: one(from.rfc(), to.rfc()) }
}

fn closed(from: LinuxState, cause: CloseCause, evidence: &Evidence, history: &History) -> Judgement {
    let ended = Verdict::Conforming(end_code(from));
    // Where an ABORT sends a reset (3.10.5), the sender goes to CLOSED and not to TIME-WAIT.
    let resets_peer = matches!(from, Established | FinWait1 | FinWait2 | CloseWait);
    let aborted = resets_peer.then_some(DeviationId::ResetSenderSkipsTimeWait);
    let (verdict, noted) = match cause {
        CloseCause::TimeWait => (Verdict::Conforming(Code::C1), None),
        CloseCause::FinWait2Minisocket => (Verdict::Conforming(Code::C2), None),
        CloseCause::FinAcknowledged => (Verdict::Conforming(Code::R15), None),
        CloseCause::ListenerClosed => (Verdict::Conforming(Code::R16), None),
        CloseCause::ListenRolledBack => (Verdict::Conforming(Code::C5), None),
        CloseCause::ChildDiscarded => (Verdict::Conforming(Code::C3), None),
        CloseCause::ResetReceived if back_to_listen(from, cause, history) => {
            (Verdict::Conforming(Code::C3), None)
        }
        CloseCause::ResetReceived
        | CloseCause::LateData
        | CloseCause::TimedOut
        | CloseCause::KeepaliveTimedOut
        | CloseCause::IcmpRefused
        | CloseCause::ConnectFailed
        | CloseCause::ConnectAbandoned
        | CloseCause::UnacceptedDropped
        | CloseCause::MptcpAbort => (ended, None),
        CloseCause::UnreadData => (ended, Some(DeviationId::UnreadDataReset)),
        CloseCause::LingerZero | CloseCause::Disconnect | CloseCause::AdministrativeAbort => (ended, aborted),
        CloseCause::AbortRepeated => (Verdict::Deviation(DeviationId::AbortRepeatsClose), None),
        CloseCause::OrphanTimedOut => (Verdict::Deviation(DeviationId::OrphanRetries), None),
        CloseCause::OrphanKilled => (Verdict::Deviation(DeviationId::OrphanLimit), None),
        CloseCause::FinWait2TimedOut => (Verdict::Deviation(DeviationId::FinWait2Timeout), None),
        CloseCause::Linger2Abort => (Verdict::Deviation(DeviationId::Linger2Abort), None),
        CloseCause::TimeWaitSkipped => (Verdict::Deviation(DeviationId::TimeWaitOverflow), None),
        CloseCause::IcmpAbort => (Verdict::Deviation(DeviationId::SoftIcmpAbortsConnect), None),
        CloseCause::SynNeverSent => (Verdict::Deviation(DeviationId::SynSentWithoutSyn), None),
        CloseCause::Repair => (Verdict::Deviation(DeviationId::TcpRepair), None),
    };
    let edges = match (from, cause) {
        (_, CloseCause::TimeWait) => one(from.rfc(), State::TimeWait),
        (_, CloseCause::FinWait2Minisocket | CloseCause::AbortRepeated) => &[],
        (FinWait2, CloseCause::TimeWaitSkipped) if evidence.done => &THROUGH_TIME_WAIT_FROM_FIN_WAIT_2,
        (Closing, CloseCause::TimeWaitSkipped) => &THROUGH_TIME_WAIT_FROM_CLOSING,
        _ if back_to_listen(from, cause, history) => one(State::SynReceived, State::Listen),
        _ => one(from.rfc(), State::Closed),
    };
    Judgement { verdict, cause: Some(cause), noted, edges }
}

/// A reset returns a passive open to LISTEN (note 1 of Figure 5): the listener is there already, the child dies.
fn back_to_listen(from: LinuxState, cause: CloseCause, history: &History) -> bool {
    let passive = from == SynRecv && history.origin == Some(Origin::Passive);
    cause == CloseCause::ChildDiscarded || (passive && cause == CloseCause::ResetReceived)
}

/// The code for a socket that ends by reset, abort or timeout.
const fn end_code(from: LinuxState) -> Code {
    match from {
        Listen => Code::R16,
        SynSent => Code::R6,
        SynRecv => Code::R9,
        _ => Code::R2,
    }
}

fn one(from: State, to: State) -> &'static [Edge] {
    edge(from, to).map_or(&[], |rule| slice::from_ref(&rule.edge))
}

const THROUGH_TIME_WAIT_FROM_FIN_WAIT_2: [Edge; 2] =
    [Edge::new(State::FinWait2, State::TimeWait), Edge::new(State::TimeWait, State::Closed)];
const THROUGH_TIME_WAIT_FROM_CLOSING: [Edge; 2] =
    [Edge::new(State::Closing, State::TimeWait), Edge::new(State::TimeWait, State::Closed)];
