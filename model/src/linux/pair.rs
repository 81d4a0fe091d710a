//! The pairs of states that Linux can announce, and what each stands for in RFC 9293.

use core::fmt;

use super::LinuxState::{
    self, Close, CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv, SynSent,
};
use super::Transition;

/// What an observed pair of states stands for. R: an edge of the RFC. C: several RFC steps, or a step of a copy, in
/// one. D: a documented departure. S: a close that changes nothing. U: allowed, never taken by Linux. T: the end of a
/// timewait minisocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// CLOSE of an open connection.
    R1,
    /// ABORT, reset or user timeout of a synchronized connection.
    R2,
    /// The peer's FIN on an open connection.
    R3,
    /// SYN,ACK answers our SYN.
    R4,
    /// The SYNs of both sides cross.
    R5,
    /// The active open ends: closed, aborted, refused or timed out.
    R6,
    /// The ACK of our SYN,ACK.
    R7,
    /// CLOSE before the handshake has ended.
    R8,
    /// An open in SYN-RECEIVED ends by reset, abort or timeout.
    R9,
    /// The ACK of our FIN.
    R10,
    /// The peer's FIN while ours is not acknowledged.
    R11,
    /// Active OPEN.
    R12,
    /// Passive OPEN.
    R13,
    /// CLOSE after the peer's FIN.
    R14,
    /// The ACK of our FIN ends the connection.
    R15,
    /// CLOSE or ABORT of a listener.
    R16,
    /// Into TIME-WAIT, which lives on in a minisocket.
    C1,
    /// FIN-WAIT-2 lives on in a minisocket.
    C2,
    /// The child of a listener is dropped; the listener never stopped listening.
    C3,
    /// The child of a listener is born.
    C4,
    /// `listen()` failed and took its step back.
    C5,
    /// An ICMP error ends an open.
    D1,
    /// The system ends a connection that nobody holds any more.
    D2,
    /// FIN-WAIT-2 or TIME-WAIT is cut short.
    D3,
    /// An abort closes what is closed.
    D4,
    /// `close()` after `shutdown()`: nothing happens.
    S,
    /// FIN in SYN-RECEIVED.
    U1,
    /// TIME-WAIT ends; the end of a minisocket, not a pair.
    T1,
    /// A SYN in TIME-WAIT opens the next connection; the end of a minisocket, not a pair.
    T2,
}

/// A [`Code`] with its clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeRule {
    /// The code.
    pub code: Code,
    /// Its name, for example `R1`.
    pub name: &'static str,
    /// Sections and requirements of RFC 9293, separated by `; `.
    pub clause: &'static str,
    /// What it stands for, in a sentence.
    pub sentence: &'static str,
}

/// A pair of states that Linux can announce for a TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The pair.
    pub transition: Transition,
    /// What it may stand for; evidence decides when there are several.
    pub codes: &'static [Code],
}

/// What `from > to` may stand for, or `None` when a TCP socket never announces this pair.
#[must_use]
pub fn pair(transition: Transition) -> Option<&'static Pair> {
    PAIRS.get(usize::from(INDEX[transition.from as usize][transition.to as usize]))
}

/// Where each transition stands in [`PAIRS`]; beyond its end for those that do not.
const INDEX: [[u8; LinuxState::ALL.len()]; LinuxState::ALL.len()] = {
    let mut index = [[u8::MAX; LinuxState::ALL.len()]; LinuxState::ALL.len()];
    let mut at = 0;
    while at < PAIRS.len() {
        let Transition { from, to } = PAIRS[at].transition;
        #[expect(clippy::cast_possible_truncation, reason = "the table has 27 entries")]
        {
            index[from as usize][to as usize] = at as u8;
        }
        at += 1;
    }
    index
};

impl Code {
    /// The table of all codes, in the order of their declaration.
    pub const ALL: [CodeRule; 29] = [
        rule(Code::R1, "R1", "3.10.4", "The user closes an open connection; a FIN is queued."),
        rule(
            Code::R2,
            "R2",
            "3.10.5; 3.10.7.4 second; 3.10.8; MUST-12; MUST-20; SHLD-3",
            "A synchronized connection ends at once: by ABORT, by a valid reset, or by timeout.",
        ),
        rule(Code::R3, "R3", "3.10.7.4 eighth", "The peer's FIN arrives in order."),
        rule(Code::R4, "R4", "3.10.7.3", "An acceptable SYN,ACK answers our SYN."),
        rule(
            Code::R5,
            "R5",
            "3.10.7.3; 3.5 Figure 7; MUST-10; MUST-11",
            "A SYN crosses ours: both sides open at the same time.",
        ),
        rule(
            Code::R6,
            "R6",
            "3.10.4; 3.10.5; 3.10.7.3; 3.10.8; MUST-22",
            "An active open ends without a connection: closed, aborted, refused or timed out.",
        ),
        rule(Code::R7, "R7", "3.10.7.4 fifth", "The ACK of our SYN arrives."),
        rule(
            Code::R8,
            "R8",
            "3.10.4",
            "The user closes before the handshake has ended (Fast Open, simultaneous open).",
        ),
        rule(
            Code::R9,
            "R9",
            "3.10.5; 3.10.7.4 second; 3.10.8; MUST-11",
            "A connection in SYN-RECEIVED ends by reset, abort or timeout.",
        ),
        rule(Code::R10, "R10", "3.10.7.4 fifth", "The ACK of our FIN arrives."),
        rule(
            Code::R11,
            "R11",
            "3.10.7.4 eighth",
            "The peer's FIN arrives before the ACK of ours: both sides close at the same time.",
        ),
        rule(Code::R12, "R12", "3.10.1", "The user opens actively."),
        rule(Code::R13, "R13", "3.10.1; MUST-41; MUST-42", "The user opens passively."),
        rule(Code::R14, "R14", "3.10.4", "The user closes after the peer did; a FIN is queued."),
        rule(Code::R15, "R15", "3.10.7.4 fifth", "The ACK of our FIN arrives, the last one of all."),
        rule(Code::R16, "R16", "3.10.4; 3.10.5", "The user closes or aborts a listener."),
        rule(
            Code::C1,
            "C1",
            "3.10.7.4 fifth; 3.10.7.4 eighth; Figure 5 note 2; MUST-13",
            "The connection enters TIME-WAIT: a minisocket takes over and the socket itself shows CLOSE.",
        ),
        rule(
            Code::C2,
            "C2",
            "3.10.7.4",
            "Nobody holds the socket any more: a minisocket waits on in FIN-WAIT-2 and the socket shows CLOSE.",
        ),
        rule(
            Code::C3,
            "C3",
            "3.10.7.4 second; Figure 5 note 1; MUST-11",
            "A passive open goes back to LISTEN: its child is dropped, the listener never stopped listening.",
        ),
        rule(
            Code::C4,
            "C4",
            "3.10.7.2",
            "A listener's child is born in SYN-RECEIVED, after its handshake was kept in a request.",
        ),
        rule(Code::C5, "C5", "3.10.1; MUST-42", "listen() found the port taken and took its step back."),
        rule(Code::D1, "D1", "3.9.2.2; MUST-56", "An ICMP error ends an open although it is only a hint."),
        rule(
            Code::D2,
            "D2",
            "3.10.5; 3.10.8",
            "The system ends a connection whose user has gone: too many, too long, or its namespace is gone.",
        ),
        rule(
            Code::D3,
            "D3",
            "3.10.7.4; MUST-13",
            "FIN-WAIT-2 is ended by a timer or an option, or TIME-WAIT is skipped.",
        ),
        rule(Code::D4, "D4", "3.10.5", "An abort announces CLOSE a second time."),
        rule(Code::S, "S", "3.10.4", "close() after shutdown(): there is no second FIN."),
        rule(
            Code::U1,
            "U1",
            "3.10.7.4 eighth",
            "A FIN in SYN-RECEIVED: Linux has the code, and no segment reaches it.",
        ),
        rule(
            Code::T1,
            "T1",
            "3.10.8; 3.10.5; 3.10.7.4 second",
            "TIME-WAIT ends: its time is over, or by a reset or an abort.",
        ),
        rule(
            Code::T2,
            "T2",
            "3.6.1; MAY-2; RFC 6191",
            "A SYN that is newer than the connection in TIME-WAIT opens the next one.",
        ),
    ];

    /// The code's table entry.
    #[must_use]
    pub const fn rule(self) -> &'static CodeRule {
        &Self::ALL[self as usize]
    }

    /// The code's name, for example `R1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.rule().name
    }

    /// The clauses behind it.
    #[must_use]
    pub const fn clause(self) -> &'static str {
        self.rule().clause
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

const fn rule(code: Code, name: &'static str, clause: &'static str, sentence: &'static str) -> CodeRule {
    CodeRule { code, name, clause, sentence }
}

const fn allowed(from: LinuxState, to: LinuxState, codes: &'static [Code]) -> Pair {
    Pair { transition: Transition::new(from, to), codes }
}

/// Every pair of states that a Linux kernel can announce for a TCP socket (26 seen, and SYN_RECV > CLOSE_WAIT).
/// TIME_WAIT and NEW_SYN_RECV never appear: minisockets and requests change their state in silence.
pub const PAIRS: [Pair; 27] = [
    allowed(Established, FinWait1, &[Code::R1]),
    allowed(Established, Close, &[Code::R2, Code::D2]),
    allowed(Established, CloseWait, &[Code::R3]),
    allowed(SynSent, Established, &[Code::R4]),
    allowed(SynSent, SynRecv, &[Code::R5]),
    allowed(SynSent, Close, &[Code::R6, Code::D1]),
    allowed(SynRecv, Established, &[Code::R7]),
    allowed(SynRecv, FinWait1, &[Code::R8]),
    allowed(SynRecv, Close, &[Code::R9, Code::C3, Code::D1, Code::D2]),
    allowed(SynRecv, CloseWait, &[Code::U1]),
    allowed(FinWait1, FinWait1, &[Code::S]),
    allowed(FinWait1, FinWait2, &[Code::R10]),
    allowed(FinWait1, Close, &[Code::R2, Code::D2]),
    allowed(FinWait1, Closing, &[Code::R11]),
    allowed(FinWait2, FinWait2, &[Code::S]),
    allowed(FinWait2, Close, &[Code::C1, Code::C2, Code::R2, Code::D2, Code::D3]),
    allowed(Close, SynSent, &[Code::R12]),
    allowed(Close, Listen, &[Code::R13]),
    allowed(Close, Close, &[Code::D4]),
    allowed(CloseWait, Close, &[Code::R2, Code::D2]),
    allowed(CloseWait, LastAck, &[Code::R14]),
    allowed(LastAck, Close, &[Code::R15, Code::R2, Code::D2]),
    allowed(LastAck, LastAck, &[Code::S]),
    allowed(Listen, SynRecv, &[Code::C4]),
    allowed(Listen, Close, &[Code::R16, Code::C5]),
    allowed(Closing, Close, &[Code::C1, Code::R2, Code::D2, Code::D3]),
    allowed(Closing, Closing, &[Code::S]),
];

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::BTreeSet;
    use std::string::ToString;

    use super::{Code, PAIRS, pair};
    use crate::edge;
    use crate::linux::LinuxState::{Close, CloseWait, NewSynRecv, SynRecv, TimeWait};
    use crate::linux::Transition;

    #[test]
    fn twenty_six_pairs_were_seen_and_one_more_is_allowed() {
        let distinct: BTreeSet<_> = PAIRS.iter().map(|pair| pair.transition).collect();
        assert_eq!(distinct.len(), 27);
        assert!(pair(Transition::new(SynRecv, CloseWait)).is_some());
        assert!(pair(Transition::new(CloseWait, SynRecv)).is_none());
    }

    #[test]
    fn every_pair_of_the_table_is_found_and_no_other() {
        let all = crate::linux::LinuxState::ALL;
        for transition in all.into_iter().flat_map(|from| all.map(|to| Transition::new(from, to))) {
            let listed = PAIRS.iter().find(|pair| pair.transition == transition);
            assert_eq!(pair(transition), listed, "{transition}");
        }
    }

    #[test]
    fn a_pair_is_an_edge_of_the_rfc_or_repeats_its_state() {
        for pair in &PAIRS {
            let (from, to) = (pair.transition.from, pair.transition.to);
            assert!(from == to || edge(from.rfc(), to.rfc()).is_some(), "{}", pair.transition);
        }
    }

    #[test]
    fn minisockets_and_requests_are_never_announced() {
        let hidden = |state| state == TimeWait || state == NewSynRecv;
        assert!(!PAIRS.iter().any(|pair| hidden(pair.transition.from) || hidden(pair.transition.to)));
    }

    #[test]
    fn only_the_way_to_close_needs_more_than_the_pair() {
        for pair in &PAIRS {
            assert!(!pair.codes.is_empty() && (pair.codes.len() == 1 || pair.transition.to == Close));
        }
    }

    #[test]
    fn the_codes_are_in_the_order_of_their_declaration() {
        for (index, rule) in Code::ALL.iter().enumerate() {
            assert_eq!(rule.code as usize, index);
            assert_eq!(rule.code.rule(), rule);
            assert_eq!((rule.code.name(), rule.code.clause()), (rule.name, rule.clause));
            assert_eq!(rule.code.to_string(), rule.name);
            assert!(!rule.clause.is_empty() && rule.sentence.ends_with('.'), "{}", rule.name);
        }
    }
}
