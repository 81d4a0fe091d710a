//! Closes.

use model::State;
use model::story::Side::{A, B};

use crate::tell;

#[test]
fn either_side_may_close_first_and_waits() {
    const FIRST: &str = "ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT";
    const SECOND: &str = "ESTABLISHED CLOSE-WAIT LAST-ACK CLOSED";
    tell("close-by-client")
        .a(&format!("CLOSED SYN-SENT {FIRST}"))
        .b(&format!("CLOSED LISTEN SYN-RECEIVED {SECOND}"));
    tell("close-by-server")
        .a(&format!("CLOSED SYN-SENT {SECOND}"))
        .b(&format!("CLOSED LISTEN SYN-RECEIVED {FIRST}"));
}

#[test]
fn three_segments_close_when_the_ack_can_wait_for_the_fin() {
    let told = tell("three-way-close");
    told.a("CLOSED SYN-SENT ESTABLISHED FIN-WAIT-1 TIME-WAIT");
    told.b_sends(&["<SEQ=300><ACK=101><CTL=SYN,ACK>", "<SEQ=301><ACK=102><CTL=FIN,ACK>"]);
}

#[test]
fn half_a_close_still_receives() {
    let told = tell("half-close");
    assert_eq!(told.pair.end(A).octets(), 9_000);
    told.a("CLOSED SYN-SENT ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT");
}

#[test]
fn both_wait_after_a_simultaneous_close() {
    let told = tell("simultaneous-close");
    told.a("CLOSED SYN-SENT ESTABLISHED FIN-WAIT-1 CLOSING TIME-WAIT");
    told.b("CLOSED LISTEN SYN-RECEIVED ESTABLISHED FIN-WAIT-1 CLOSING TIME-WAIT");
}

#[test]
fn a_lost_fin_comes_again() {
    let told = tell("fin-lost");
    assert_eq!(told.times(A, "<SEQ=101><ACK=301><CTL=FIN,ACK>"), [30_000, 1_030_000]);
    assert_eq!(told.pair.states(), (State::TimeWait, State::Closed));
}

#[test]
fn text_is_taken_before_the_fin() {
    let told = tell("fin-with-data");
    assert_eq!(told.pair.end(B).octets(), 100);
    assert_eq!(told.pair.states(), (State::FinWait2, State::CloseWait));
    let told = tell("fin-out-of-order");
    assert_eq!(told.pair.end(B).octets(), 100);
    assert_eq!(told.pair.states(), (State::FinWait2, State::CloseWait));
    assert!(told.took("seq-6"));
}

#[test]
fn the_last_ack_again_restarts_2msl_but_not_to_the_letter() {
    for (name, restarts) in [("last-ack-lost", true), ("last-ack-lost-to-the-letter", false)] {
        let mut told = tell(name);
        assert_eq!(told.times(A, "<SEQ=102><ACK=302><CTL=ACK>").len(), 2);
        assert_eq!(told.took("seq-2t"), restarts);
        // The FIN comes again one second after TIME-WAIT began.
        let began = told.pair.log.iter().find(|e| e.after == State::TimeWait).unwrap().at;
        told.pair.run_for(began + 240_500_000 - told.pair.now);
        assert_eq!(told.pair.state(A), if restarts { State::TimeWait } else { State::Closed }, "{name}");
        told.pair.run_for(1_000_000);
        assert_eq!(told.pair.state(A), State::Closed);
        assert_eq!(told.pair.state(B), State::Closed);
    }
}

#[test]
fn close_before_the_handshake_is_over() {
    tell("close-in-syn-received").b("CLOSED LISTEN SYN-RECEIVED FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT");
}
