//! Where RFC 9293 contradicts itself or is silent: 22 places, each with its clauses and what the model does.

use crate::profile::{Profile, SynInSynReceived};
use Decision::{Always, Switch};

/// One place.
#[derive(Clone, Copy, Debug)]
pub struct Contradiction {
    /// Its number.
    pub number: u8,
    /// One clause.
    pub one: &'static str,
    /// The other clause, or what is missing.
    pub other: &'static str,
    /// What the model does about it.
    pub decision: Decision,
}

/// How a contradiction is settled.
#[derive(Clone, Copy, Debug)]
pub enum Decision {
    /// A switch of [`Profile`], by field name, and how to turn it from one reading to the other.
    Switch(&'static str, fn(&mut Profile)),
    /// One reading for every profile, and why.
    Always(&'static str),
}

/// All of them.
pub const CONTRADICTIONS: [Contradiction; 22] = [
    Contradiction {
        number: 1,
        one: "3.4.1: the ISN clock ticks every 4 microseconds",
        other: "3.4.1: it cycles in 4.55 hours; 2^32 x 4 us is 4.77 hours",
        decision: Always("the tick is 4 us, so the cycle is 4.772 h; 4.55 h would need 2^18 Hz (isn::Clock)"),
    },
    Contradiction {
        number: 2,
        one: "3.10.5: the issuer of a reset enters CLOSED",
        other: "figure 5 note 3 and 3.5.2: it enters TIME-WAIT",
        decision: Switch("after_reset", |p| p.after_reset = p.after_reset.other()),
    },
    Contradiction {
        number: 3,
        one: "3.5.3: a reset returns a connection that is not synchronized to LISTEN",
        other: "3.10.7.3 and 3.10.7.4: SYN-SENT and an actively opened SYN-RECEIVED go to CLOSED",
        decision: Always("3.10, which names the states; LISTEN only for a passive OPEN (MUST-11)"),
    },
    Contradiction {
        number: 4,
        one: "figure 7: the crossing SYN+ACK establishes the connection",
        other: "3.10.7.4, first: it is not acceptable and draws an ACK (A.2 admits it)",
        decision: Switch("figure_7", |p| p.figure_7 ^= true),
    },
    Contradiction {
        number: 5,
        one: "3.10.7.4, fourth: a SYN in the window returns a passive SYN-RECEIVED to LISTEN",
        other: "RFC 5961, 4: a challenge; figures 6 and 8 in practice: the SYN+ACK again",
        decision: Switch("syn_in_syn_received", |p| {
            p.syn_in_syn_received = match p.syn_in_syn_received {
                SynInSynReceived::ReturnToListen => SynInSynReceived::Challenge,
                _ => SynInSynReceived::ReturnToListen,
            };
        }),
    },
    Contradiction {
        number: 6,
        one: "3.10.7.4, fifth, SYN-RECEIVED and 3.5.2 group 2: a bad ACK draws a reset",
        other: "3.10.7.4, fifth, RFC 5961 paragraph, before any state: it draws an ACK",
        decision: Switch("bad_ack", |p| p.bad_ack = p.bad_ack.other()),
    },
    Contradiction {
        number: 7,
        one: "3.10.7.4, fifth and eighth: the peer's FIN again restarts 2MSL",
        other: "3.10.7.4, first: its number is RCV.NXT-1, so it never gets there",
        decision: Switch("fin_again_restarts, time_wait_ack", |p| {
            p.fin_again_restarts ^= true;
            p.time_wait_ack = p.time_wait_ack.other();
        }),
    },
    Contradiction {
        number: 8,
        one: "3.10.7.4, eighth: FIN in SYN-RECEIVED, and in FIN-WAIT-1 with our FIN acknowledged",
        other: "3.10.7.4, fifth: by then the state is ESTABLISHED, or FIN-WAIT-2",
        decision: Always(
            "fin-1 is taken in ESTABLISHED only; fin-2 names FIN-WAIT-1 to TIME-WAIT by one segment",
        ),
    },
    Contradiction {
        number: 9,
        one: "3.10.4: CLOSE in ESTABLISHED enters FIN-WAIT-1 before the FIN leaves",
        other: "3.10.4: CLOSE in CLOSE-WAIT enters LAST-ACK when the FIN leaves",
        decision: Switch("last_ack_entry", |p| p.last_ack_entry = p.last_ack_entry.other()),
    },
    Contradiction {
        number: 10,
        one: "appendix B: MAY-5, MAY-10, MAY-11 and SHLD-25 by their labels",
        other: "appendix B: SHOULD for the first three and MUST for the last, by their columns",
        decision: Always("the label, which is also the text's word"),
    },
    Contradiction {
        number: 11,
        one: "3.10.7.3: under RFC 5961 a reset in SYN-SENT must have SEG.SEQ = RCV.NXT",
        other: "3.10.7.3: RCV.NXT is set two steps later",
        decision: Always("SEG.SEQ is not checked; the ACK has to be acceptable"),
    },
    Contradiction {
        number: 12,
        one: "3.10.7.3: SND.WND, WL1 and WL2 are set on the way to SYN-RECEIVED, from an ACK field that is absent",
        other: "RFC 1122, 4.2.2.20: they are set on the way to ESTABLISHED",
        decision: Switch("window_from_syn_ack", |p| p.window_from_syn_ack ^= true),
    },
    Contradiction {
        number: 13,
        one: "3.4 (MUST-66): RST and URG count at a zero window",
        other: "3.10.7.4, first: ACK, URG and RST do",
        decision: Switch("ack_at_zero_window", |p| p.ack_at_zero_window ^= true),
    },
    Contradiction {
        number: 14,
        one: "3.10.7.4, fifth: a segment without ACK is dropped without an answer",
        other: "3.10.7.4, first: anything unacceptable is answered",
        decision: Always("no answer: a peer that is synchronized always sets ACK"),
    },
    Contradiction {
        number: 15,
        one: "3.10.8: the user timeout sends nothing",
        other: "3.10.5: ABORT, its cousin, sends a reset",
        decision: Switch("user_timeout_resets", |p| p.user_timeout_resets ^= true),
    },
    Contradiction {
        number: 16,
        one: "3.10.7.2 and 3.10.7.3: text and control on a SYN are queued",
        other: "practice: SYN+FIN is dropped or answered, text is ignored",
        decision: Switch("syn_extras", |p| p.syn_extras = p.syn_extras.other()),
    },
    Contradiction {
        number: 17,
        one: "3.10.7: security and compartment are compared",
        other: "A.1.2: outside multilevel-secure networks they may be ignored",
        decision: Switch("security", |p| p.security ^= true),
    },
    Contradiction {
        number: 18,
        one: "3.10.7.4, first: segments are processed in order; later ones are held whole",
        other: "3.10.7.4, second to fifth, and RFC 5961: RST, SYN and ACK act on arrival",
        decision: Always("RST, SYN and ACK act at once, text and FIN are held (seq-6)"),
    },
    Contradiction {
        number: 19,
        one: "3.10.1: a passive OPEN on a listening TCB has no text",
        other: "3.9.1.1 (MUST-41, MUST-42): passive OPENs do not disturb each other",
        decision: Switch("second_listen", |p| p.second_listen = p.second_listen.other()),
    },
    Contradiction {
        number: 20,
        one: "3.10.8: user, retransmission and time-wait timeouts",
        other: "3.8.3, 3.8.4, 3.8.6: R2, keep-alive, persist, delayed ACK and override timeouts",
        decision: Always("all of them are timers (tmo-*), with the times in profile::Limits"),
    },
    Contradiction {
        number: 21,
        one: "3.10.7.4, fifth: only the ACK of our FIN can arrive in LAST-ACK",
        other: "3.8.1: text before the FIN may still be unacknowledged, and its ACKs and windows arrive",
        decision: Switch("partial_ack_in_last_ack", |p| p.partial_ack_in_last_ack ^= true),
    },
    // Found by exploring the model.
    Contradiction {
        number: 22,
        one: "3.10.3: RECEIVE in CLOSING, LAST-ACK or TIME-WAIT fails, whatever is unread",
        other: "3.10.7.4, seventh: text that came with the FIN in FIN-WAIT-1 or FIN-WAIT-2 is acknowledged and must reach the user",
        decision: Switch("reads_after_close", |p| p.reads_after_close ^= true),
    },
];

#[cfg(test)]
mod tests {
    use super::{CONTRADICTIONS, Decision};
    use crate::profile::{RFC9293_INTENT, RFC9293_LITERAL};

    #[test]
    fn they_are_numbered_in_order() {
        for (index, entry) in CONTRADICTIONS.iter().enumerate() {
            assert_eq!(usize::from(entry.number), index + 1);
        }
    }

    #[test]
    fn a_switch_changes_a_profile_and_turned_again_changes_it_back() {
        for (entry, profile) in
            CONTRADICTIONS.iter().flat_map(|entry| [RFC9293_LITERAL, RFC9293_INTENT].map(|p| (entry, p)))
        {
            let Decision::Switch(name, turn) = entry.decision else { continue };
            let mut twice = profile;
            turn(&mut twice);
            assert_ne!(twice, profile, "{name}");
            // The two switches of contradiction 7 turn together.
            let both = twice.fin_again_restarts == profile.fin_again_restarts;
            assert_eq!(both, twice.time_wait_ack == profile.time_wait_ack);
            turn(&mut twice);
            assert_eq!(twice, profile, "{name}");
        }
    }
}
