//! Handshakes.

use model::story::Side::{A, B};
use model::{CallError, Seq, Signal, State};

use crate::tell;

const CONNECTED: (State, State) = (State::Established, State::Established);

#[test]
fn three_steps_agree_on_both_numbers() {
    let told = tell("handshake");
    told.a("CLOSED SYN-SENT ESTABLISHED").b("CLOSED LISTEN SYN-RECEIVED ESTABLISHED");
    told.a_sends(&["<SEQ=100><CTL=SYN>", "<SEQ=101><ACK=301><CTL=ACK>"]);
    told.b_sends(&["<SEQ=300><ACK=101><CTL=SYN,ACK>"]);
    let (a, b) = (&told.pair.end(A).tcb, &told.pair.end(B).tcb);
    assert_eq!((a.snd.iss, a.rcv.irs), (Seq(100), Seq(300)));
    assert_eq!((b.snd.iss, b.rcv.irs), (Seq(300), Seq(100)));
    // Windows and MSS crossed over.
    assert_eq!((a.snd.wnd, b.snd.wnd), (8_000, 8_000));
    assert_eq!((a.agreed.peer_mss, b.agreed.peer_mss), (1_000, 1_000));
}

#[test]
fn text_counts_its_octets_and_syn_and_fin_one() {
    let told = tell("numbers");
    told.a_sends(&[
        "<SEQ=100><CTL=SYN>",
        "<SEQ=101><ACK=301><CTL=ACK>",
        "<SEQ=101><ACK=301><TEXT=10><CTL=PSH,ACK>",
        "<SEQ=111><ACK=301><CTL=FIN,ACK>",
        "<SEQ=112><ACK=302><CTL=ACK>",
    ]);
    told.b_sends(&[
        "<SEQ=300><ACK=101><CTL=SYN,ACK>",
        "<SEQ=301><ACK=111><CTL=ACK>",
        "<SEQ=301><ACK=112><CTL=ACK>",
        "<SEQ=301><ACK=112><CTL=FIN,ACK>",
    ]);
}

#[test]
fn the_clock_moves_the_numbers_of_the_same_addresses() {
    let told = tell("isn");
    let syns: Vec<_> = told.pair.sent(A).filter(|s| s.flags == model::Flags::SYN).collect();
    assert_eq!(syns.len(), 2);
    // 1.03 s of 4 microseconds each.
    assert_eq!(syns[1].seq - syns[0].seq, 1_030_000 / 4);
}

#[test]
fn a_lost_syn_is_repeated_after_one_second_and_then_two() {
    let told = tell("first-lost");
    assert_eq!(told.times(A, "<SEQ=100><CTL=SYN>"), [0, 1_000_000, 3_000_000]);
    assert_eq!(told.pair.states(), CONNECTED);
    // RFC 6298, 5.7.
    assert_eq!(told.pair.end(A).tcb.rtt.rto, 4_000_000);
}

#[test]
fn a_syn_without_answer_is_given_up_after_three_minutes() {
    let told = tell("first-lost-for-ever");
    told.a("CLOSED SYN-SENT CLOSED");
    let sent = told.times(A, "<SEQ=100><CTL=SYN>");
    let seconds: Vec<u64> = sent.iter().map(|at| at / 1_000_000).collect();
    assert_eq!(seconds, [0, 1, 3, 7, 15, 31, 63, 123]);
    assert!(told.pair.now >= 180_000_000);
    assert!(told.pair.end(A).signals.contains(&Signal::Aborted(CallError::TimedOut)));
    assert!(told.took("tmo-r2"));
}

#[test]
fn a_lost_syn_ack_is_repeated_by_both() {
    let told = tell("second-lost");
    assert_eq!(told.times(A, "<SEQ=100><CTL=SYN>"), [0, 1_000_000]);
    assert_eq!(told.pair.sent(B).filter(|s| s.flags == model::Flags::SYN_ACK).count(), 3);
    assert_eq!(told.pair.states(), CONNECTED);
}

#[test]
fn a_lost_third_segment_is_the_servers_to_notice() {
    let told = tell("third-lost");
    assert_eq!(told.times(B, "<SEQ=300><ACK=101><CTL=SYN,ACK>"), [10_000, 1_010_000]);
    assert_eq!(told.pair.states(), CONNECTED);
}

#[test]
fn data_of_the_client_completes_the_handshake() {
    let told = tell("third-lost-client-has-data");
    told.b("CLOSED LISTEN SYN-RECEIVED ESTABLISHED");
    told.b_sends(&["<SEQ=300><ACK=101><CTL=SYN,ACK>", "<SEQ=301><ACK=201><CTL=ACK>"]);
    assert_eq!(told.pair.end(B).octets(), 100);
}

#[test]
fn data_of_the_server_waits_for_the_ack() {
    let told = tell("third-lost-server-has-data");
    told.b_sends(&[
        "<SEQ=300><ACK=101><CTL=SYN,ACK>",
        "<SEQ=300><ACK=101><CTL=SYN,ACK>",
        "<SEQ=301><ACK=101><TEXT=100><CTL=PSH,ACK>",
    ]);
    assert_eq!(told.times(B, "<SEQ=301><ACK=101><TEXT=100><CTL=PSH,ACK>"), [1_030_000]);
}

#[test]
fn the_third_segment_may_carry_data() {
    let told = tell("third-with-data");
    told.a_sends(&["<SEQ=100><CTL=SYN>", "<SEQ=101><ACK=301><TEXT=100><CTL=PSH,ACK>"]);
    assert_eq!(told.pair.end(B).octets(), 100);
}

#[test]
fn data_on_the_syn_is_acknowledged_at_once_with_fast_open_only() {
    let told = tell("data-on-syn");
    assert_eq!(told.times(B, "<SEQ=300><ACK=101><CTL=SYN,ACK>").len(), 1);
    assert_eq!(told.pair.end(B).tcb.rcv.readable, 100);
    let told = tell("fast-open");
    assert_eq!(told.times(B, "<SEQ=300><ACK=201><CTL=SYN,ACK>").len(), 1);
    assert_eq!(told.pair.end(B).delivered.len(), 1);
    let entry =
        told.pair.log.iter().position(|e| matches!(e.what, model::story::What::Told(Signal::Received(_))));
    assert_eq!(told.pair.log[entry.unwrap()].after, State::SynReceived, "before the handshake is over");
}

#[test]
fn three_steps_refuse_an_old_syn() {
    let told = tell("old-duplicate-syn");
    told.a("CLOSED SYN-SENT ESTABLISHED");
    told.b("CLOSED LISTEN SYN-RECEIVED LISTEN SYN-RECEIVED ESTABLISHED");
    let told = tell("old-syn-to-nobody");
    told.a("CLOSED").b("CLOSED LISTEN SYN-RECEIVED LISTEN");
    let told = tell("two-listeners");
    told.a("CLOSED LISTEN").b("CLOSED LISTEN SYN-RECEIVED LISTEN");
    told.a_sends(&["<SEQ=91><CTL=RST>"]);
}

#[test]
fn two_calls_that_cross_make_one_connection() {
    for name in ["simultaneous-open", "simultaneous-open-to-the-letter"] {
        let told = tell(name);
        told.a("CLOSED SYN-SENT SYN-RECEIVED ESTABLISHED").b("CLOSED SYN-SENT SYN-RECEIVED ESTABLISHED");
        assert_eq!(told.took("seq-2g"), name == "simultaneous-open");
    }
    assert_eq!(tell("simultaneous-open-one-lost").pair.states(), CONNECTED);
}

#[test]
fn a_port_can_call_itself() {
    tell("self-connect").a("CLOSED SYN-SENT SYN-RECEIVED ESTABLISHED");
}

#[test]
fn ten_requests_take_one_handshake() {
    let told = tell("keep-alive-reuse");
    assert_eq!(told.pair.sent(A).filter(|s| s.has(model::Flags::SYN)).count(), 1);
    assert_eq!(told.pair.end(A).octets(), 10_000);
    assert_eq!(told.pair.end(B).octets(), 1_000);
}

#[test]
fn the_urgent_pointer_ends_behind_the_last_urgent_octet() {
    let told = tell("urgent");
    assert!(told.took("urg-1"));
    let sent: Vec<_> = told.pair.sent(A).filter(|s| s.has(model::Flags::URG)).collect();
    assert!(matches!(sent.as_slice(), [one] if one.len == 10 && one.urgent == 10), "{sent:?}");
    let ahead = Signal::Urgent(Seq(111));
    assert!(told.pair.end(B).signals.contains(&ahead), "{:?}", told.pair.end(B).signals);
}
