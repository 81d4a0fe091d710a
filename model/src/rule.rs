//! The 117 rules of the machine: one table.
//!
//! Each has the id that code, tests, reports and metrics use, the clause it comes from (a bare number is a section of
//! RFC 9293), and one plain sentence. [`step`](fn@crate::step) leaves the rules it took in a [`Trail`].

use core::fmt;

macro_rules! rules {
    ($($variant:ident $id:literal $clause:literal $sentence:literal;)*) => {
        /// A rule of the machine. In the order of the table, which is the order of the checks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule {
            $(#[doc = concat!("`", $id, "`: ", $sentence)] $variant,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: [Self; [$($id),*].len()] = [$(Self::$variant),*];

            /// The name in reports and metrics, for example `seg-ss-6`.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// Where it comes from: sections of RFC 9293 unless another source is named.
            #[must_use]
            pub const fn clause(self) -> &'static str {
                match self { $(Self::$variant => $clause,)* }
            }

            /// What it says.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

rules! {
    Open1 "open-1" "3.10.1"
        "A passive OPEN creates a TCB and waits in LISTEN; the remote may be left open.";
    Open2 "open-2" "3.10.1"
        "An active OPEN with a remote chooses the ISS, sends a SYN and enters SYN-SENT.";
    Open3 "open-3" "3.10.1"
        "An active OPEN without a remote is refused: remote socket unspecified.";
    Open4 "open-4" "3.10.1, 3.9.1.1"
        "An OPEN that lacks access, room, a valid DSCP or compartment, or names a broadcast or multicast remote, is refused.";
    Open5 "open-5" "3.10.1"
        "An active OPEN on a listening TCB with a remote turns it active: SYN, SYN-SENT.";
    Open6 "open-6" "3.10.1"
        "An active OPEN on a listening TCB without a remote, or without room, is refused.";
    Open7 "open-7" "3.10.1, 3.9.1.1"
        "A second passive OPEN on a listening TCB: the text is silent, the profile decides.";
    Open8 "open-8" "3.10.1"
        "Any OPEN on a TCB beyond LISTEN is refused: connection already exists.";
    Send1 "send-1" "3.10.2"
        "SEND without a connection is refused.";
    Send2 "send-2" "3.10.2"
        "SEND on a listening TCB with a remote turns it active: SYN, SYN-SENT; the text goes on the SYN or waits.";
    Send3 "send-3" "3.10.2"
        "SEND on a listening TCB without a remote, or without room, is refused.";
    Send4 "send-4" "3.10.2"
        "SEND before the handshake is over waits in the queue, or is refused for want of room; with Fast Open it may ride on the SYN.";
    Send5 "send-5" "3.10.2"
        "SEND in ESTABLISHED or CLOSE-WAIT cuts the text into segments as window, Nagle, silly-window and congestion rules allow.";
    Send6 "send-6" "3.10.2"
        "SEND after CLOSE is refused: connection closing.";
    Recv1 "recv-1" "3.10.3"
        "RECEIVE without a connection is refused.";
    Recv2 "recv-2" "3.10.3"
        "RECEIVE before the handshake is over waits, or is refused for want of room.";
    Recv3 "recv-3" "3.10.3"
        "RECEIVE with enough text at hand is served in order; the window is advertised anew when the silly-window rule allows.";
    Recv4 "recv-4" "3.10.3"
        "RECEIVE with too little text at hand waits, or is refused for want of room.";
    Recv5 "recv-5" "3.10.3"
        "RECEIVE after the peer's FIN is served from what is left.";
    Recv6 "recv-6" "3.10.3"
        "RECEIVE after the peer's FIN with nothing left is refused: connection closing.";
    Recv7 "recv-7" "3.10.3"
        "RECEIVE in CLOSING, LAST-ACK or TIME-WAIT is refused: connection closing.";
    Close1 "close-1" "3.10.4"
        "CLOSE without a connection is refused.";
    Close2 "close-2" "3.10.4"
        "CLOSE of a listening TCB deletes it; waiting RECEIVEs fail.";
    Close3 "close-3" "3.10.4"
        "CLOSE in SYN-SENT deletes the TCB without a segment; waiting calls fail.";
    Close4 "close-4" "3.10.4"
        "CLOSE in SYN-RECEIVED with nothing to send sends FIN and enters FIN-WAIT-1.";
    Close5 "close-5" "3.10.4"
        "CLOSE in SYN-RECEIVED with text to send waits for ESTABLISHED.";
    Close6 "close-6" "3.10.4"
        "CLOSE in ESTABLISHED enters FIN-WAIT-1 at once; the FIN follows the last text.";
    Close7 "close-7" "3.10.4"
        "CLOSE in FIN-WAIT-1 or FIN-WAIT-2 never sends a second FIN.";
    Close8 "close-8" "3.10.4"
        "CLOSE in CLOSE-WAIT with nothing to send sends FIN and enters LAST-ACK.";
    Close9 "close-9" "3.10.4"
        "CLOSE in CLOSE-WAIT with text to send waits until that is segmentized; LAST-ACK when the FIN leaves.";
    Close10 "close-10" "3.10.4"
        "CLOSE in CLOSING, LAST-ACK or TIME-WAIT is refused: connection closing.";
    Close11 "close-11" "3.6.1 (SHLD-3)"
        "CLOSE that abandons unread text resets the connection, to say that text was lost.";
    Abort1 "abort-1" "3.10.5"
        "ABORT without a connection is refused.";
    Abort2 "abort-2" "3.10.5"
        "ABORT in LISTEN or SYN-SENT deletes the TCB; waiting calls fail.";
    Abort3 "abort-3" "3.10.5"
        "ABORT of an open connection sends a reset, flushes the queues and deletes the TCB.";
    Abort4 "abort-4" "3.10.5"
        "ABORT in CLOSING, LAST-ACK or TIME-WAIT deletes the TCB without a segment.";
    Stat1 "stat-1" "3.10.6"
        "STATUS without a connection is refused.";
    Stat2 "stat-2" "3.10.6"
        "STATUS reports the state and the TCB's variables.";
    SegCl1 "seg-cl-1" "3.10.7.1"
        "A reset to a closed port is dropped.";
    SegCl2 "seg-cl-2" "3.10.7.1"
        "Any other segment without ACK to a closed port is answered by a reset that acknowledges it.";
    SegCl3 "seg-cl-3" "3.10.7.1"
        "A segment with ACK to a closed port is answered by a reset at the number it acknowledges.";
    SegLi1 "seg-li-1" "3.10.7.2"
        "A reset to a listener is ignored.";
    SegLi2c "seg-li-2c" "RFC 4987, 3.6"
        "An ACK that carries a valid SYN cookie rebuilds the TCB: ESTABLISHED without SYN-RECEIVED.";
    SegLi2 "seg-li-2" "3.10.7.2"
        "An ACK to a listener is answered by a reset at the number it acknowledges.";
    SegLi3 "seg-li-3" "3.10.7.2"
        "A SYN of another security compartment is answered by a reset.";
    SegLi3f "seg-li-3f" "RFC 7413, 4.2"
        "A SYN with a valid Fast Open cookie: its text is delivered before the handshake ends.";
    SegLi3c "seg-li-3c" "RFC 4987, 3.6"
        "A SYN under SYN cookies is answered from the cookie alone; no TCB is kept.";
    SegLi4 "seg-li-4" "3.10.7.2"
        "A SYN makes a half-open connection: ISS chosen, SYN+ACK sent, SYN-RECEIVED.";
    SegLi6 "seg-li-6" "3.10.7.2"
        "Anything else to a listener is dropped; no lawful peer sends it.";
    SegSs1 "seg-ss-1" "3.10.7.3"
        "A reset whose ACK does not acknowledge our SYN is dropped.";
    SegSs2 "seg-ss-2" "3.10.7.3"
        "An ACK that does not acknowledge our SYN is answered by a reset.";
    SegSs3 "seg-ss-3" "3.10.7.3"
        "A reset that acknowledges our SYN refuses the connection.";
    SegSs4 "seg-ss-4" "3.10.7.3"
        "A reset without ACK cannot be validated and is dropped.";
    SegSs5 "seg-ss-5" "3.10.7.3"
        "A segment of another security compartment is answered by a reset.";
    SegSs6 "seg-ss-6" "3.10.7.3"
        "SYN and an ACK of our SYN: ESTABLISHED, acknowledged; text and FIN of the same segment count.";
    SegSs7 "seg-ss-7" "3.10.7.3"
        "A SYN without ACK is a simultaneous open: SYN+ACK, SYN-RECEIVED.";
    SegSs8 "seg-ss-8" "3.10.7.3"
        "A segment with neither SYN nor RST is dropped.";
    Paws1 "paws-1" "RFC 7323, 5.3 R1"
        "A segment whose timestamp is older than TS.Recent is acknowledged and dropped.";
    Paws2 "paws-2" "RFC 7323, 3.2"
        "Once timestamps are agreed, a segment without them is dropped, unless it is a reset.";
    Paws3 "paws-3" "RFC 7323, 4.3 (2)"
        "A timestamp that covers the left edge becomes TS.Recent.";
    TwSyn1 "tw-syn-1" "RFC 6191, 2; 3.6.1 (MAY-2)"
        "A SYN that is evidently newer than the connection in TIME-WAIT begins a new incarnation.";
    TwSyn2 "tw-syn-2" "RFC 6191, 2; RFC 5961, 4"
        "A SYN without such evidence leaves TIME-WAIT as it is.";
    Seq1 "seq-1" "3.10.7.4, first"
        "A reset outside the window is dropped.";
    Seq2 "seq-2" "3.10.7.4, first and fourth; RFC 5961, 4"
        "A SYN outside the window draws a challenge ACK.";
    Seq2t "seq-2t" "3.10.7.4, fifth and eighth"
        "The peer's FIN again in TIME-WAIT is acknowledged and restarts 2MSL.";
    Seq2g "seq-2g" "3.5, figure 7; A.2"
        "The crossing SYN+ACK of a simultaneous open counts as the ACK of our SYN.";
    Seq4 "seq-4" "3.10.7.4, first; 3.4 (MUST-66)"
        "At a closed window a segment at RCV.NXT loses its text, yet its RST, ACK and URG count.";
    Seq3 "seq-3" "3.10.7.4, first"
        "Any other unacceptable segment is acknowledged and dropped.";
    Seq5 "seq-5" "3.10.7.4, first"
        "What lies outside the window is trimmed off, SYN and FIN included.";
    Seq6 "seq-6" "3.10.7.4, first (SHLD-31)"
        "Text and FIN beyond RCV.NXT are held; RST, SYN and ACK act at once.";
    Rst1 "rst-1" "3.10.7.4, second 3); RFC 5961, 3"
        "A reset inside the window but not at RCV.NXT draws a challenge ACK.";
    Rst2 "rst-2" "3.10.7.4, second"
        "A reset sends a passively opened half-open connection back to LISTEN; the user is not told.";
    Rst3 "rst-3" "3.10.7.4, second"
        "A reset ends an actively opened half-open connection: refused.";
    Rst4 "rst-4" "3.10.7.4, second"
        "A reset ends an open connection: calls fail, queues are flushed, the user is told.";
    Rst6 "rst-6" "RFC 1337, 3"
        "A reset does not end TIME-WAIT early.";
    Rst5 "rst-5" "3.10.7.4, second"
        "A reset in CLOSING, LAST-ACK or TIME-WAIT deletes the TCB.";
    Sec1 "sec-1" "3.10.7.4, third"
        "A half-open connection answers another security compartment by a reset.";
    Sec2 "sec-2" "3.10.7.4, third"
        "An open connection is ended by a segment of another security compartment.";
    Syn1 "syn-1" "3.10.7.4, fourth"
        "A SYN in the window sends a passively opened half-open connection back to LISTEN.";
    Syn2 "syn-2" "3.10.7.4, fourth; RFC 5961, 4"
        "A SYN on a connection draws a challenge ACK.";
    Syn3 "syn-3" "3.10.7.4, fourth"
        "Without RFC 5961 a SYN in the window is an error that resets the connection.";
    Ack0 "ack-0" "3.10.7.4, fifth"
        "A segment without ACK is dropped.";
    Ack1 "ack-1" "3.10.7.4, fifth (MAY-12); RFC 5961, 5"
        "An ACK outside SND.UNA-MAX.SND.WND .. SND.NXT is acknowledged and dropped.";
    Ack2 "ack-2" "3.10.7.4, fifth"
        "The ACK of our SYN makes SYN-RECEIVED ESTABLISHED and sets the send window.";
    Ack3 "ack-3" "3.10.7.4, fifth; 3.5.2"
        "Any other ACK in SYN-RECEIVED is answered by a reset.";
    Ack4 "ack-4" "3.10.7.4, fifth"
        "A new ACK advances SND.UNA; what it covers leaves the retransmission queue.";
    Ack5 "ack-5" "3.10.7.4, fifth"
        "A duplicate ACK changes nothing, and the segment is processed further.";
    Ack6 "ack-6" "3.10.7.4, fifth"
        "An ACK of something never sent is acknowledged and dropped.";
    Ack7 "ack-7" "3.10.7.4, fifth"
        "A segment not older than the last window update sets the send window.";
    Ack8 "ack-8" "3.10.7.4, fifth"
        "Our FIN is acknowledged: FIN-WAIT-1 becomes FIN-WAIT-2.";
    Ack9 "ack-9" "3.10.7.4, fifth"
        "In FIN-WAIT-2 with nothing to retransmit the user's CLOSE is done.";
    Ack10 "ack-10" "3.10.7.4, fifth"
        "Our FIN is acknowledged in CLOSING: TIME-WAIT.";
    Ack11 "ack-11" "3.10.7.4, fifth"
        "In CLOSING anything but the ACK of our FIN is ignored from here on.";
    Ack12 "ack-12" "3.10.7.4, fifth"
        "Our FIN is acknowledged in LAST-ACK: the connection is gone.";
    Ack13 "ack-13" "3.10.7.4, fifth"
        "In LAST-ACK an ACK that does not reach our FIN counts for the text before it, and no more.";
    Ack14 "ack-14" "3.10.7.4, fifth"
        "In TIME-WAIT what arrives is taken for the peer's FIN again: acknowledge, restart 2MSL.";
    Urg1 "urg-1" "3.10.7.4, sixth"
        "An urgent pointer ahead of the user is remembered and told once.";
    Urg2 "urg-2" "3.10.7.4, sixth"
        "An urgent pointer after the peer's FIN is ignored.";
    Txt1 "txt-1" "3.10.7.4, seventh"
        "Text at RCV.NXT is taken, with what was held behind it, and acknowledged.";
    Txt2 "txt-2" "3.6.1 (SHLD-3)"
        "New text for a user who has gone resets the connection.";
    Txt3 "txt-3" "3.10.7.4, seventh"
        "Text after the peer's FIN is ignored.";
    Fin0 "fin-0" "3.10.7.4, eighth"
        "A FIN in CLOSED, LISTEN or SYN-SENT cannot be validated and is not processed.";
    Fin1 "fin-1" "3.10.7.4, eighth"
        "The peer's FIN in ESTABLISHED: CLOSE-WAIT.";
    Fin2 "fin-2" "3.10.7.4, eighth"
        "The peer's FIN with the ACK of ours: FIN-WAIT-1 to TIME-WAIT in one segment.";
    Fin3 "fin-3" "3.10.7.4, eighth"
        "The peer's FIN before the ACK of ours: CLOSING.";
    Fin4 "fin-4" "3.10.7.4, eighth"
        "The peer's FIN in FIN-WAIT-2: TIME-WAIT.";
    Fin5 "fin-5" "3.10.7.4, eighth"
        "Another FIN in CLOSE-WAIT, CLOSING or LAST-ACK is acknowledged and changes nothing.";
    Fin6 "fin-6" "3.10.7.4, eighth"
        "Another FIN in TIME-WAIT is acknowledged and restarts 2MSL.";
    TmoUser "tmo-user" "3.10.8"
        "The user timeout ends the connection; calls fail, the user is told.";
    TmoRtx "tmo-rtx" "3.10.8; RFC 6298, 5.4-5.7"
        "The oldest unacknowledged segment goes out again and the timeout doubles.";
    TmoR2 "tmo-r2" "3.8.3 (MUST-20, MUST-22, MUST-23)"
        "Retransmission beyond R2 ends the connection.";
    TmoTw "tmo-tw" "3.10.8"
        "After 2MSL TIME-WAIT is over and the TCB is deleted.";
    TmoDack "tmo-dack" "3.8.6.3 (MUST-40)"
        "A delayed ACK leaves in less than half a second.";
    TmoPersist "tmo-persist" "3.8.6.1 (MUST-36)"
        "A closed window is probed, ever more rarely, for as long as the peer answers.";
    TmoSws "tmo-sws" "3.8.6.2.1"
        "Text held back against silly windows leaves after the override timeout.";
    TmoKeep "tmo-keep" "3.8.4"
        "An idle connection is probed; only several unanswered probes end it.";
    TmoFw2 "tmo-fw2" "Linux: tcp_fin_timeout"
        "An orphan in FIN-WAIT-2 is given up; the RFC waits for ever.";
}

impl Rule {
    /// The rule with this id.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.id() == id)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// The most rules that one event can take, with room to spare: the longest chain seen is nine.
const MAX_TRAIL: usize = 16;

/// The rules that one event took, in order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trail {
    rules: [Rule; MAX_TRAIL],
    used: usize,
}

impl Trail {
    /// No rule yet.
    pub const EMPTY: Self = Self { rules: [Rule::Open1; MAX_TRAIL], used: 0 };

    /// The rules taken.
    #[must_use]
    pub fn as_slice(&self) -> &[Rule] {
        self.rules.get(..self.used).unwrap_or_default()
    }

    /// True when the rule was taken.
    #[must_use]
    pub fn contains(&self, rule: Rule) -> bool {
        self.as_slice().contains(&rule)
    }

    pub(crate) fn push(&mut self, rule: Rule) {
        if let Some(slot) = self.rules.get_mut(self.used) {
            *slot = rule;
            self.used += 1;
        }
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `seq-5 ack-4 txt-1`; a lone `-` when no rule was taken.
impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for rule in self.as_slice() {
            write!(f, "{separator}{rule}")?;
            separator = " ";
        }
        if separator.is_empty() { f.write_str("-") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;

    use super::{Rule, Trail};

    #[test]
    fn a_trail_knows_the_rules_taken_and_prints_them() {
        let mut trail = Trail::EMPTY;
        assert_eq!(format!("{trail} {trail:?}"), "- -");
        trail.push(Rule::Seq5);
        trail.push(Rule::Ack4);
        assert!(trail.contains(Rule::Seq5) && trail.contains(Rule::Ack4) && !trail.contains(Rule::Open1));
        assert_eq!(format!("{trail} / {trail:?}"), "seq-5 ack-4 / seq-5 ack-4");
    }

    #[test]
    fn there_are_117_rules_and_every_id_finds_its_rule() {
        assert_eq!(Rule::ALL.len(), 117);
        for rule in Rule::ALL {
            assert_eq!(Rule::from_id(rule.id()), Some(rule));
            assert!(!rule.clause().is_empty() && rule.sentence().ends_with('.'), "{rule}");
        }
    }
}
