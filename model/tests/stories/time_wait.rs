//! TIME-WAIT.

use model::story::Side::{A, B};
use model::{State, Tcb};

use crate::tell;

#[test]
fn two_msl_is_240_seconds_by_the_rfc_and_60_on_linux() {
    for (name, seconds) in [("two-msl", 240), ("two-msl-60", 60)] {
        let told = tell(name);
        let at = |state| told.pair.log.iter().find(|e| e.side == A && e.after == state).map(|e| e.at);
        let began = at(State::TimeWait).unwrap();
        let ended = told
            .pair
            .log
            .iter()
            .find(|e| e.before == State::TimeWait && e.after == State::Closed)
            .unwrap()
            .at;
        assert_eq!(ended - began, seconds * 1_000_000);
    }
}

#[test]
fn old_data_dies_and_must_not_take_time_wait_with_it() {
    let told = tell("old-data");
    assert_eq!(told.pair.state(B), State::TimeWait);
    assert_eq!(told.pair.end(B).octets(), 100, "the copy, once");
    let told = tell("time-wait-assassinated");
    assert_eq!(told.pair.state(B), State::Closed);
    assert!(told.took("rst-5"));
}

#[test]
fn without_time_wait_old_data_reaches_the_new_user() {
    let told = tell("time-wait-cut-short");
    assert_eq!(told.pair.end(B).octets(), 200, "100 that were sent, and the same 100 again");
    assert_eq!(told.pair.sent(A).filter(|s| s.len > 0).count(), 2);
    // Each now acknowledges what the other says it never sent.
    assert!(told.took("ack-1") && told.took("seq-3"));
}

#[test]
fn a_newer_syn_ends_the_wait() {
    let told = tell("reopen");
    assert_eq!(told.pair.states(), (State::Established, State::Established));
    assert!(told.took("tw-syn-1"));
    assert!(told.pair.end(B).tcb.snd.iss.gt(model::Seq(302)));
}

#[test]
fn at_the_end_nothing_is_left() {
    let told = tell("resources-freed");
    for side in [A, B] {
        assert_eq!(told.pair.end(side).tcb, Tcb::closed());
    }
    assert!(told.took("open-1") && told.took("close-2"), "the port was free");
}
