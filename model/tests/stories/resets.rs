//! Resets.

use model::story::Side::{A, B};
use model::{CallError, Flags, Signal, State};

use crate::tell;

#[test]
fn a_reset_in_every_state() {
    for (name, before, after, told_user) in [
        ("closed", State::Closed, State::Closed, None),
        ("listen", State::Listen, State::Listen, None),
        ("syn-sent", State::SynSent, State::Closed, Some(CallError::Refused)),
        ("syn-received", State::SynReceived, State::Listen, None),
        ("established", State::Established, State::Closed, Some(CallError::Reset)),
        ("fin-wait-1", State::FinWait1, State::Closed, Some(CallError::Reset)),
        ("fin-wait-2", State::FinWait2, State::Closed, Some(CallError::Reset)),
        ("close-wait", State::CloseWait, State::Closed, Some(CallError::Reset)),
        ("closing", State::Closing, State::Closed, None),
        ("last-ack", State::LastAck, State::Closed, None),
        ("time-wait", State::TimeWait, State::Closed, None),
    ] {
        let told = tell(&format!("reset-in-{name}"));
        let arrival = told.pair.log.iter().rev().find(|e| {
            e.side == A && matches!(&e.what, model::story::What::Arrived(s, _) if s.has(Flags::RST))
        });
        let arrival = arrival.unwrap();
        assert_eq!((arrival.before, arrival.after), (before, after), "{name}");
        let aborted = told.pair.end(A).signals.iter().find_map(|signal| match signal {
            Signal::Aborted(error) => Some(*error),
            _ => None,
        });
        assert_eq!(aborted, told_user, "{name}");
        assert!(!told.pair.sent(A).any(|s| s.has(Flags::RST)), "a reset never answers a reset");
    }
}

#[test]
fn a_blind_reset_is_challenged() {
    let told = tell("blind-reset");
    assert_eq!(told.pair.states(), (State::Established, State::Established));
    assert!(told.took("rst-1"));
}

#[test]
fn nobody_listens() {
    let told = tell("refused");
    told.a("CLOSED SYN-SENT CLOSED");
    told.b_sends(&["<SEQ=0><ACK=101><CTL=RST,ACK>"]);
}

#[test]
fn a_crash_is_found_out_by_the_next_segment() {
    let told = tell("half-open");
    assert_eq!(told.pair.states(), (State::Established, State::Established));
    assert!(told.pair.end(B).signals.contains(&Signal::Aborted(CallError::Reset)));
    let told = tell("half-open-data");
    assert_eq!(told.pair.states(), (State::Closed, State::Closed));
    told.a_sends(&["<SEQ=100><CTL=SYN>", "<SEQ=101><ACK=301><CTL=ACK>", "<SEQ=101><CTL=RST>"]);
}

#[test]
fn abort_and_unread_data_reset_the_peer() {
    for name in ["close-unread", "abort"] {
        let told = tell(name);
        assert_eq!(told.pair.states(), (State::Closed, State::Closed), "{name}");
        let resetter = if name == "abort" { A } else { B };
        assert_eq!(told.pair.sent(resetter).filter(|s| s.has(Flags::RST)).count(), 1);
        let other = told.pair.end(resetter.other());
        assert!(other.signals.contains(&Signal::Aborted(CallError::Reset)), "{name}");
    }
}
