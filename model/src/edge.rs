//! The edges of the RFC 9293 state diagram (Figure 5 and section 3.10): which state may follow which, and why.

use core::fmt;

use crate::State;
use crate::State::{
    CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynReceived, SynSent,
    TimeWait,
};

/// One step of the RFC's state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Edge {
    /// The state that is left.
    pub from: State,
    /// The state that is entered.
    pub to: State,
}

/// A legal edge with the clause that allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeRule {
    /// Name for reports, kebab-case, for example `syn-sent-to-established`.
    pub id: &'static str,
    /// The step itself.
    pub edge: Edge,
    /// What causes it, and after a slash what is sent, as short as in Figure 5.
    pub label: &'static str,
    /// Sections of RFC 9293 that describe it, separated by `; `.
    pub clause: &'static str,
    /// What makes a connection take this edge, in a sentence.
    pub cause: &'static str,
    /// False for the two edges that one segment takes through an intermediate state (SYN and FIN together).
    pub atomic: bool,
}

impl Edge {
    /// An edge, legal or not.
    #[must_use]
    pub const fn new(from: State, to: State) -> Self {
        Self { from, to }
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from, self.to)
    }
}

/// The rule that allows `from -> to`, or `None` when RFC 9293 knows no such step.
#[must_use]
pub fn edge(from: State, to: State) -> Option<&'static EdgeRule> {
    EDGES.get(usize::from(INDEX[from as usize][to as usize]))
}

/// Where each pair of states stands in [`EDGES`]; beyond its end for those that do not.
const INDEX: [[u8; State::ALL.len()]; State::ALL.len()] = {
    let mut index = [[u8::MAX; State::ALL.len()]; State::ALL.len()];
    let mut at = 0;
    while at < EDGES.len() {
        let Edge { from, to } = EDGES[at].edge;
        #[expect(clippy::cast_possible_truncation, reason = "the table has 30 entries")]
        {
            index[from as usize][to as usize] = at as u8;
        }
        at += 1;
    }
    index
};

const fn atomic(
    id: &'static str,
    from: State,
    to: State,
    label: &'static str,
    clause: &'static str,
    cause: &'static str,
) -> EdgeRule {
    EdgeRule { id, edge: Edge::new(from, to), label, clause, cause, atomic: true }
}

const fn one_segment(rule: EdgeRule) -> EdgeRule {
    EdgeRule { atomic: false, ..rule }
}

/// Every legal edge: 28 atomic ones and the 2 that one segment takes by opening and closing at once.
pub const EDGES: [EdgeRule; 30] = [
    atomic(
        "closed-to-listen",
        Closed,
        Listen,
        "passive OPEN",
        "3.10.1",
        "The user opens passively and waits for peers.",
    ),
    atomic(
        "closed-to-syn-sent",
        Closed,
        SynSent,
        "active OPEN / SYN",
        "3.10.1",
        "The user opens actively: a SYN is sent.",
    ),
    atomic(
        "listen-to-syn-sent",
        Listen,
        SynSent,
        "active OPEN or SEND / SYN",
        "3.10.1; 3.10.2",
        "The user turns a passive open into an active one, by OPEN or by SEND.",
    ),
    atomic(
        "listen-to-syn-received",
        Listen,
        SynReceived,
        "SYN arrives / SYN,ACK",
        "3.10.7.2",
        "A SYN arrives and is answered with SYN,ACK.",
    ),
    atomic(
        "listen-to-closed",
        Listen,
        Closed,
        "CLOSE or ABORT",
        "3.10.4; 3.10.5",
        "The user closes or aborts before any peer came.",
    ),
    atomic(
        "syn-sent-to-syn-received",
        SynSent,
        SynReceived,
        "SYN arrives / SYN,ACK",
        "3.10.7.3; 3.5 Figure 7",
        "A SYN without an ACK arrives: both sides open at the same time.",
    ),
    atomic(
        "syn-sent-to-established",
        SynSent,
        Established,
        "SYN,ACK arrives / ACK",
        "3.10.7.3",
        "A SYN arrives together with the ACK of our own SYN.",
    ),
    atomic(
        "syn-sent-to-closed",
        SynSent,
        Closed,
        "CLOSE, ABORT, RST or timeout",
        "3.10.4; 3.10.5; 3.10.7.3; 3.10.8",
        "The user closes or aborts, the peer refuses with a reset, or the attempt times out.",
    ),
    atomic(
        "syn-received-to-established",
        SynReceived,
        Established,
        "ACK of SYN arrives",
        "3.10.7.4 fifth",
        "The ACK of our SYN arrives.",
    ),
    atomic(
        "syn-received-to-fin-wait-1",
        SynReceived,
        FinWait1,
        "CLOSE / FIN",
        "3.10.4",
        "The user closes before the handshake ended, with nothing left to send: a FIN is sent.",
    ),
    atomic(
        "syn-received-to-listen",
        SynReceived,
        Listen,
        "RST or SYN arrives (passive OPEN)",
        "3.10.7.4 second; 3.10.7.4 fourth; Figure 5 note 1",
        "A reset or a SYN in the window ends a passive open: it listens again.",
    ),
    atomic(
        "syn-received-to-closed",
        SynReceived,
        Closed,
        "RST (active OPEN), ABORT or timeout",
        "3.10.5; 3.10.7.4 second; 3.10.8",
        "A reset ends an active open, the user aborts, or the attempt times out.",
    ),
    atomic(
        "established-to-fin-wait-1",
        Established,
        FinWait1,
        "CLOSE / FIN",
        "3.10.4",
        "The user closes first.",
    ),
    atomic(
        "established-to-close-wait",
        Established,
        CloseWait,
        "FIN arrives / ACK",
        "3.10.7.4 eighth",
        "The peer's FIN arrives in order.",
    ),
    atomic(
        "established-to-closed",
        Established,
        Closed,
        "RST, ABORT or timeout",
        "3.10.5; 3.10.7.4 second; 3.10.8",
        "A reset, an abort, or the user timeout.",
    ),
    atomic(
        "fin-wait-1-to-fin-wait-2",
        FinWait1,
        FinWait2,
        "ACK of FIN arrives",
        "3.10.7.4 fifth",
        "The ACK of our FIN arrives.",
    ),
    atomic(
        "fin-wait-1-to-closing",
        FinWait1,
        Closing,
        "FIN arrives / ACK",
        "3.10.7.4 eighth",
        "The peer's FIN arrives before the ACK of ours: both sides close at the same time.",
    ),
    atomic(
        "fin-wait-1-to-time-wait",
        FinWait1,
        TimeWait,
        "FIN with ACK of FIN arrives / ACK",
        "3.10.7.4 eighth; Figure 5 note 2",
        "One segment brings both the peer's FIN and the ACK of ours.",
    ),
    atomic(
        "fin-wait-1-to-closed",
        FinWait1,
        Closed,
        "RST, ABORT or timeout",
        "3.10.5; 3.10.7.4 second; 3.10.8",
        "A reset, an abort, or the user timeout.",
    ),
    atomic(
        "fin-wait-2-to-time-wait",
        FinWait2,
        TimeWait,
        "FIN arrives / ACK",
        "3.10.7.4 eighth",
        "The peer's FIN arrives.",
    ),
    atomic(
        "fin-wait-2-to-closed",
        FinWait2,
        Closed,
        "RST, ABORT or timeout",
        "3.10.5; 3.10.7.4 second; 3.10.8",
        "A reset, an abort, or the user timeout.",
    ),
    atomic(
        "close-wait-to-last-ack",
        CloseWait,
        LastAck,
        "CLOSE / FIN",
        "3.10.4",
        "The user closes second: a FIN is sent.",
    ),
    atomic(
        "close-wait-to-closed",
        CloseWait,
        Closed,
        "RST, ABORT or timeout",
        "3.10.5; 3.10.7.4 second; 3.10.8",
        "A reset, an abort, or the user timeout.",
    ),
    atomic(
        "closing-to-time-wait",
        Closing,
        TimeWait,
        "ACK of FIN arrives",
        "3.10.7.4 fifth",
        "The ACK of our FIN arrives.",
    ),
    atomic(
        "closing-to-closed",
        Closing,
        Closed,
        "RST, ABORT or timeout",
        "3.10.5; 3.10.7.4 second; 3.10.8",
        "A reset, an abort, or the user timeout.",
    ),
    atomic(
        "last-ack-to-closed",
        LastAck,
        Closed,
        "ACK of FIN arrives, or RST, ABORT, timeout",
        "3.10.7.4 fifth; 3.10.5; 3.10.7.4 second; 3.10.8",
        "The ACK of our FIN arrives; or a reset, an abort, or the user timeout.",
    ),
    atomic(
        "time-wait-to-closed",
        TimeWait,
        Closed,
        "2 MSL are over, or RST, ABORT",
        "3.10.8; 3.10.5; 3.10.7.4 second",
        "Two maximum segment lifetimes have passed; or a reset or an abort.",
    ),
    atomic(
        "time-wait-to-syn-received",
        TimeWait,
        SynReceived,
        "newer SYN arrives / SYN,ACK",
        "3.6.1; RFC 6191",
        "A SYN that is newer than the old connection opens the next one.",
    ),
    one_segment(atomic(
        "syn-sent-to-close-wait",
        SynSent,
        CloseWait,
        "SYN,FIN,ACK arrives / ACK",
        "3.10.7.3; 3.10.7.4 eighth",
        "One segment brings SYN, the ACK of ours, and FIN.",
    )),
    one_segment(atomic(
        "syn-received-to-close-wait",
        SynReceived,
        CloseWait,
        "FIN with ACK of SYN arrives / ACK",
        "3.10.7.4 fifth; 3.10.7.4 eighth",
        "One segment brings the ACK of our SYN and FIN.",
    )),
];

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::BTreeSet;
    use std::string::String;
    use std::vec::Vec;

    use super::{EDGES, edge};
    use crate::State;

    #[test]
    fn twenty_eight_atomic_edges_and_two_by_one_segment() {
        assert_eq!(EDGES.iter().filter(|rule| rule.atomic).count(), 28);
        assert_eq!(EDGES.len(), 30);
        let distinct: BTreeSet<_> = EDGES.iter().map(|rule| rule.edge).collect();
        assert_eq!(distinct.len(), 30);
    }

    #[test]
    fn every_edge_of_the_table_is_found_and_no_other() {
        for (from, to) in State::ALL.iter().flat_map(|a| State::ALL.iter().map(move |b| (*a, *b))) {
            let listed = EDGES.iter().find(|rule| rule.edge.from == from && rule.edge.to == to);
            assert_eq!(edge(from, to), listed, "{from} -> {to}");
        }
    }

    #[test]
    fn of_110_pairs_of_distinct_states_80_are_illegal() {
        let pairs = State::ALL.iter().flat_map(|a| State::ALL.iter().map(move |b| (*a, *b)));
        let illegal = pairs.filter(|(a, b)| a != b && edge(*a, *b).is_none()).count();
        assert_eq!(illegal, 80);
    }

    #[test]
    fn no_edge_stays_where_it_is() {
        assert!(EDGES.iter().all(|rule| rule.edge.from != rule.edge.to));
        assert!(State::ALL.iter().all(|state| edge(*state, *state).is_none()));
    }

    #[test]
    fn ids_are_the_names_of_the_states() {
        let lower = |state: State| state.name().to_ascii_lowercase();
        for rule in &EDGES {
            let expected: String =
                [lower(rule.edge.from), String::from("-to-"), lower(rule.edge.to)].concat();
            assert_eq!(rule.id, expected);
            assert!(!rule.clause.is_empty() && !rule.label.is_empty(), "{}", rule.id);
            assert!(rule.cause.ends_with('.'), "{}", rule.id);
        }
    }

    #[test]
    fn every_state_is_reached_from_closed_and_leads_back() {
        let step = |set: &BTreeSet<State>, forward: bool| -> BTreeSet<State> {
            let ends = EDGES.iter().map(|rule| (rule.edge.from, rule.edge.to));
            let reached = ends.filter_map(|(from, to)| match forward {
                true => set.contains(&from).then_some(to),
                false => set.contains(&to).then_some(from),
            });
            reached.chain(set.iter().copied()).collect()
        };
        for forward in [true, false] {
            let mut set = BTreeSet::from([State::Closed]);
            for _ in 0..State::ALL.len() {
                set = step(&set, forward);
            }
            assert_eq!(
                set.into_iter().collect::<Vec<_>>(),
                State::ALL.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
            );
        }
    }
}
