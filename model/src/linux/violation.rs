//! The rules that no Linux kernel breaks. Each one is certain: the kernel's own code cannot reach a transition that
//! breaks it, so a broken one means a changed kernel, a corrupted record, or an error of ours.

use core::fmt;

/// Names a rule of [`ViolationRule::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ViolationId {
    /// Not an edge of the RFC, and not one of Linux.
    IllegalEdge,
    /// An edge of the RFC that Linux never takes.
    ForeignEdge,
    /// A state announced again where nothing can repeat it.
    RepeatedState,
    /// TIME_WAIT announced for a full socket.
    TimeWaitAnnounced,
    /// NEW_SYN_RECV announced for a full socket.
    RequestAnnounced,
    /// SND.UNA, SND.NXT and the end of the queue are out of order.
    SequenceOrder,
    /// More was read than was received.
    ReceiveOrder,
    /// ESTABLISHED although our SYN is not acknowledged.
    EstablishedSynUnacknowledged,
    /// ESTABLISHED with octets between what was received and what was read.
    EstablishedReceiveNumbers,
    /// SYN-RECEIVED although our SYN is acknowledged.
    SynReceivedSynAcknowledged,
    /// A closing state although the user never closed.
    CloseMissing,
    /// FIN-WAIT-2 although our FIN is not acknowledged.
    FinWait2FinUnacknowledged,
    /// CLOSING although our FIN is acknowledged.
    ClosingFinAcknowledged,
    /// A state behind the peer's FIN although no FIN was consumed.
    PeerFinMissing,
    /// A state before the peer's FIN although it was consumed.
    PeerFinIgnored,
    /// TIME-WAIT although no FIN was consumed.
    TimeWaitFinMissing,
    /// TIME-WAIT from CLOSING although our FIN is not acknowledged.
    TimeWaitFinUnacknowledged,
    /// LAST-ACK ended without the ACK of our FIN and without any other cause.
    LastAckFinUnacknowledged,
    /// TIME-WAIT ran out before its time.
    TimeWaitCutShort,
}

/// A rule, its clause and its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViolationRule {
    /// The rule's identity.
    pub id: ViolationId,
    /// Its name for reports and metrics, kebab-case.
    pub name: &'static str,
    /// Sections of RFC 9293, separated by `; `.
    pub clause: &'static str,
    /// What must hold, in a sentence.
    pub sentence: &'static str,
}

impl ViolationRule {
    /// Every rule, in the order of [`ViolationId`].
    pub const ALL: [Self; 19] = [
        rule(
            ViolationId::IllegalEdge,
            "illegal-edge",
            "3.3.2; 3.10",
            "A connection only takes the edges of the state diagram.",
        ),
        rule(
            ViolationId::ForeignEdge,
            "foreign-edge",
            "3.3.2; 3.10",
            "Linux never takes this edge of the diagram, or never shows it in one step.",
        ),
        rule(
            ViolationId::RepeatedState,
            "repeated-state",
            "3.10",
            "Only a close() after shutdown() announces the state that a socket is already in.",
        ),
        rule(
            ViolationId::TimeWaitAnnounced,
            "time-wait-announced",
            "3.3.2",
            "TIME-WAIT belongs to minisockets; a full socket neither enters nor leaves it.",
        ),
        rule(
            ViolationId::RequestAnnounced,
            "request-announced",
            "3.3.2",
            "Half-open requests change their state in silence; a full socket is never one.",
        ),
        rule(
            ViolationId::SequenceOrder,
            "sequence-order",
            "3.4; 3.3.1",
            "SND.UNA is not after SND.NXT, and SND.NXT is not after the end of what is queued.",
        ),
        rule(
            ViolationId::ReceiveOrder,
            "receive-order",
            "3.3.1; 3.10.3",
            "RCV.NXT is not before what the user has read.",
        ),
        rule(
            ViolationId::EstablishedSynUnacknowledged,
            "established-syn-unacknowledged",
            "3.10.7.3; 3.10.7.4 fifth; 3.5",
            "A connection is ESTABLISHED only when the peer has acknowledged our SYN.",
        ),
        rule(
            ViolationId::EstablishedReceiveNumbers,
            "established-receive-numbers",
            "3.10.7.3; 3.10.7.2",
            "When the handshake ends nothing but the peer's SYN was received, and nothing is left to read.",
        ),
        rule(
            ViolationId::SynReceivedSynAcknowledged,
            "syn-received-syn-acknowledged",
            "3.10.7.3",
            "SYN-SENT leads to SYN-RECEIVED only while our SYN is not acknowledged.",
        ),
        rule(
            ViolationId::CloseMissing,
            "close-missing",
            "3.10.4",
            "FIN-WAIT-1, FIN-WAIT-2, CLOSING and LAST-ACK follow a CLOSE of our user.",
        ),
        rule(
            ViolationId::FinWait2FinUnacknowledged,
            "fin-wait-2-fin-unacknowledged",
            "3.10.7.4 fifth",
            "A connection is in FIN-WAIT-2 only when the peer has acknowledged our FIN and all data before it.",
        ),
        rule(
            ViolationId::ClosingFinAcknowledged,
            "closing-fin-acknowledged",
            "3.10.7.4 eighth; Figure 5 note 2",
            "The peer's FIN leads to CLOSING only while our own FIN is not acknowledged; otherwise to TIME-WAIT.",
        ),
        rule(
            ViolationId::PeerFinMissing,
            "peer-fin-missing",
            "3.10.7.4 eighth",
            "CLOSE-WAIT, CLOSING and LAST-ACK follow the peer's FIN.",
        ),
        rule(
            ViolationId::PeerFinIgnored,
            "peer-fin-ignored",
            "3.10.7.4 eighth",
            "A consumed FIN of the peer leaves ESTABLISHED, FIN-WAIT-1 and FIN-WAIT-2 at once.",
        ),
        rule(
            ViolationId::TimeWaitFinMissing,
            "time-wait-fin-missing",
            "3.10.7.4 eighth",
            "FIN-WAIT-2 leads to TIME-WAIT only by the peer's FIN.",
        ),
        rule(
            ViolationId::TimeWaitFinUnacknowledged,
            "time-wait-fin-unacknowledged",
            "3.10.7.4 fifth",
            "CLOSING leads to TIME-WAIT only by the ACK of our FIN.",
        ),
        rule(
            ViolationId::LastAckFinUnacknowledged,
            "last-ack-fin-unacknowledged",
            "3.10.7.4 fifth",
            "LAST-ACK ends by the ACK of our FIN, a reset, an abort or a timeout.",
        ),
        rule(
            ViolationId::TimeWaitCutShort,
            "time-wait-cut-short",
            "3.4.2; 3.6.1",
            "TIME-WAIT that runs out has lasted the 60 s at least that Linux gives it.",
        ),
    ];

    /// The rule with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|rule| rule.name == name)
    }
}

impl ViolationId {
    /// The rule.
    #[must_use]
    pub const fn rule(self) -> &'static ViolationRule {
        &ViolationRule::ALL[self as usize]
    }

    /// The rule's name, kebab-case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.rule().name
    }

    /// The clause that is broken.
    #[must_use]
    pub const fn clause(self) -> &'static str {
        self.rule().clause
    }
}

impl fmt::Display for ViolationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

const fn rule(
    id: ViolationId,
    name: &'static str,
    clause: &'static str,
    sentence: &'static str,
) -> ViolationRule {
    ViolationRule { id, name, clause, sentence }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::ViolationRule;

    #[test]
    fn the_table_is_in_the_order_of_the_ids_and_names_lead_back() {
        for (index, rule) in ViolationRule::ALL.iter().enumerate() {
            assert_eq!(rule.id as usize, index);
            assert_eq!(rule.id.rule(), rule);
            assert_eq!(ViolationRule::by_name(rule.name), Some(rule));
            assert_eq!((rule.id.name(), rule.id.clause()), (rule.name, rule.clause));
            assert_eq!(rule.id.to_string(), rule.name);
            assert!(!rule.clause.is_empty() && rule.sentence.ends_with('.'), "{}", rule.name);
        }
    }
}
