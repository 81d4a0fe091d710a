//! What may leave, segment by segment: at a closed window, at an edge that was taken back, before the handshake is over.

use model::oracle::{Kind, Tap};
use model::profile::RFC9293_INTENT;
use model::tcb::Fin;
use model::{Flags, Oracle, Profile, Segment, State, Tcb};

use crate::support;
use crate::verdicts::seen;

/// The verdict on a segment that leaves a connection in this condition, a second after it was known.
fn leaves_under(profile: Profile, tcb: Tcb, segment: Segment) -> String {
    let mut oracle = Oracle::<8>::new(&profile, Tap::FULL);
    oracle.adopt(&tcb, 0);
    oracle.observe(&seen(1_000_000, Kind::Sent(segment))).to_string()
}

fn leaves(tcb: Tcb, segment: Segment) -> String {
    leaves_under(RFC9293_INTENT, tcb, segment)
}

fn ack(seq: u32) -> Segment {
    Segment::new(Flags::ACK, seq, 5001)
}

const FINE: &str = "conforming (-)";

#[test]
fn a_closed_window_may_be_probed_by_an_old_number_while_something_waits() {
    let mut nothing = support::tcb(State::Established);
    nothing.snd.wnd = 0;
    let mut text = nothing;
    (text.snd.queued, text.snd.pushed) = (10, 10);
    let mut fin = nothing;
    (fin.state, fin.snd.fin) = (State::FinWait1, Fin::Wanted);
    let mut in_flight = support::in_flight(State::Established, 10);
    in_flight.snd.wnd = 10;
    for waits in [text, fin, in_flight] {
        assert_eq!(leaves(waits, ack(1000)), FINE);
    }
    let wrong = "violation (in ESTABLISHED: SEQ 1000 instead of 1001; rules -)";
    assert_eq!(leaves(nothing, ack(1000)), wrong);
    // Nor is it a probe while there is room.
    let mut open = text;
    open.snd.wnd = 1;
    assert_eq!(leaves(open, ack(1000)), wrong);
}

#[test]
fn a_keep_alive_probes_by_the_number_before() {
    let mut tcb = support::tcb(State::Established);
    assert_eq!(leaves(tcb, ack(1000)), "violation (in ESTABLISHED: SEQ 1000 instead of 1001; rules -)");
    tcb.config.keep_alive = Some(1_000_000);
    assert_eq!(leaves(tcb, ack(1000)), FINE);
    assert_eq!(leaves(tcb, ack(1000).text(1)), FINE, "with an octet of garbage");
    assert_eq!(leaves(tcb, ack(999)), "violation (in ESTABLISHED: SEQ 999 instead of 1001; rules -)");
    assert_eq!(leaves(tcb, ack(1002)), "violation (in ESTABLISHED: SEQ 1002 instead of 1001; rules -)");
}

#[test]
fn the_edge_of_a_window_that_was_taken_back_is_a_number_too() {
    let mut tcb = support::in_flight(State::Established, 10);
    tcb.snd.wnd = 4;
    assert_eq!(leaves(tcb, ack(1005)), FINE);
    for wrong in [997, 1004, 1006] {
        let verdict = format!("violation (in ESTABLISHED: SEQ {wrong} instead of 1011; rules -)");
        assert_eq!(leaves(tcb, ack(wrong)), verdict);
    }
    tcb.snd.wnd = 20;
    let beyond = "violation (in ESTABLISHED: SEQ 1021 instead of 1011; rules -)";
    assert_eq!(leaves(tcb, ack(1021)), beyond);
}

#[test]
fn text_before_the_handshake_is_over_needs_fast_open() {
    let mut tcb = support::passive(State::SynReceived);
    (tcb.snd.queued, tcb.snd.pushed) = (10, 10);
    let fast = Profile { fast_open: true, ..RFC9293_INTENT };
    let text = ack(1001).text(10);
    assert_eq!(leaves_under(fast, tcb, text), FINE);
    let none = "violation (in SYN-RECEIVED: no PSH,ACK can leave; rules -)";
    assert_eq!(leaves(tcb, text), none);
    tcb.snd.fin = Fin::Wanted;
    let fin = Segment { flags: Flags::FIN_ACK, ..text };
    assert_eq!(leaves_under(fast, tcb, fin), "violation (in SYN-RECEIVED: no FIN,ACK can leave; rules -)");
    let closed = support::tcb(State::FinWait2);
    let late = Segment::new(Flags::ACK, 1002, 5001).text(1);
    assert_eq!(leaves(closed, late), "violation (in FIN-WAIT-2: no PSH,ACK can leave; rules -)");
}

#[test]
fn a_closed_window_is_probed_by_an_octet_or_the_fin_alone() {
    let mut tcb = support::tcb(State::Established);
    (tcb.snd.wnd, tcb.snd.queued, tcb.snd.pushed) = (0, 10, 10);
    assert_eq!(leaves(tcb, ack(1001).text(1)), FINE);
    let more = "violation (in ESTABLISHED: text beyond the window: 0 octets fit; rules send-5)";
    assert_eq!(leaves(tcb, ack(1001).text(2)), more);
    tcb.snd.wnd = 5;
    assert_eq!(leaves(tcb, ack(1001).text(5)), FINE);
    let more = "violation (in ESTABLISHED: text beyond the window: 5 octets fit; rules send-5)";
    assert_eq!(leaves(tcb, ack(1001).text(6)), more);
    let mut fin = support::tcb(State::FinWait1);
    (fin.snd.wnd, fin.snd.nxt, fin.snd.fin) = (0, fin.snd.una, Fin::Wanted);
    assert_eq!(leaves(fin, Segment::new(Flags::FIN_ACK, 1001, 5001)), FINE);
    fin.snd.fin = Fin::None;
    let unwanted = "violation (in FIN-WAIT-1: a FIN that was not called for; rules close-6)";
    assert_eq!(leaves(fin, Segment::new(Flags::FIN_ACK, 1001, 5001)), unwanted);
    // It leaves no text behind.
    (fin.snd.wnd, fin.snd.queued, fin.snd.fin) = (100, 10, Fin::Wanted);
    assert_eq!(leaves(fin, Segment::new(Flags::FIN_ACK, 1001, 5001).text(9)), unwanted);
    assert_eq!(leaves(fin, Segment::new(Flags::FIN_ACK, 1001, 5001).text(10)), FINE);
}

#[test]
fn what_leaves_again_is_what_was_there() {
    let tcb = support::in_flight(State::Established, 10);
    for again in [ack(1001).text(10), ack(1005).text(6), ack(1001).text(4)] {
        assert_eq!(leaves(tcb, again), FINE, "{again}");
    }
    let acked = "violation (in ESTABLISHED: SEQ 1000 instead of 1011; rules -)";
    assert_eq!(leaves(tcb, ack(1000).text(5)), acked);
    let mut more = tcb;
    (more.snd.queued, more.snd.pushed) = (5, 5);
    assert_eq!(leaves(more, ack(1005).text(11)), FINE, "with new text behind it");
    let too_much = "violation (in ESTABLISHED: text that nobody gave: 5 octets wait; rules send-5)";
    assert_eq!(leaves(more, ack(1005).text(12)), too_much);
    // The FIN has a number of its own, and nothing comes behind it.
    let mut closed = support::tcb(State::FinWait1);
    closed.snd.nxt += 10;
    let fin = |seq, len| Segment::new(Flags::FIN_ACK, seq, 5001).text(len);
    for again in [fin(1001, 10), fin(1005, 6), fin(1011, 0), ack(1001).text(10)] {
        assert_eq!(leaves(closed, again), FINE, "{again}");
    }
    let flags = |flags| format!("violation (in FIN-WAIT-1: no {flags} can leave; rules -)");
    assert_eq!(leaves(closed, fin(1001, 9)), flags("FIN,ACK"));
    assert_eq!(leaves(closed, ack(1001).text(11)), flags("ACK"));
    let behind = "violation (in FIN-WAIT-1: text that nobody gave: 0 octets wait; rules send-5)";
    assert_eq!(leaves(closed, ack(1001).text(12)), behind);
}

#[test]
fn urgent_text_needs_an_urgent_send() {
    let mut tcb = support::tcb(State::Established);
    (tcb.snd.queued, tcb.snd.pushed) = (10, 10);
    let urgent = Segment { flags: Flags::ACK | Flags::URG, ..ack(1001).text(10) };
    assert_eq!(leaves(tcb, urgent), "violation (in ESTABLISHED: no ACK,URG can leave; rules -)");
    tcb.snd.up = Some(tcb.snd.nxt + 10);
    assert_eq!(leaves(tcb, urgent), FINE);
}

/// Twenty octets were sent, this arrived, and the first ten leave again at once.
fn again_after(received: &[Segment]) -> String {
    let mut oracle = Oracle::<8>::new(&RFC9293_INTENT, Tap::FULL);
    let mut tcb = support::tcb(State::Established);
    (tcb.snd.queued, tcb.snd.pushed) = (20, 20);
    oracle.adopt(&tcb, 0);
    oracle.observe(&seen(0, Kind::Sent(ack(1001).text(10))));
    oracle.observe(&seen(0, Kind::Sent(ack(1011).text(10))));
    for segment in received {
        oracle.observe(&seen(1_000, Kind::Received(*segment)));
    }
    let tcb = *oracle.candidates()[0].tcb();
    let again = Segment::new(Flags::ACK, tcb.snd.una.0, tcb.rcv.nxt.0).text(10);
    oracle.observe(&seen(1_000, Kind::Sent(again))).to_string()
}

#[test]
fn three_duplicate_acks_call_for_what_is_missing() {
    let again = Segment::new(Flags::ACK, 5001, 1001);
    let early = "deviation (early retransmission: -)";
    assert_eq!(again_after(&[again; 3]), FINE);
    assert_eq!(again_after(&[again; 2]), early);
    // Neither text nor an older number is a duplicate ACK, and progress begins the count anew.
    let older = Segment::new(Flags::ACK, 5001, 1000);
    assert_eq!(again_after(&[again, again, older]), early);
    assert_eq!(again_after(&[again, again, again.text(10)]), early);
    let progress = Segment::new(Flags::ACK, 5001, 1011);
    assert_eq!(again_after(&[again, again, again, progress]), early);
    let beyond = Segment::new(Flags::ACK, 5001, 1022);
    assert_eq!(again_after(&[again, again, again, beyond]), FINE);
}

#[test]
fn acks_before_anything_was_sent_are_no_duplicates() {
    let mut oracle = Oracle::<8>::new(&RFC9293_INTENT, Tap::FULL);
    let mut tcb = support::tcb(State::Established);
    (tcb.snd.queued, tcb.snd.pushed) = (10, 10);
    oracle.adopt(&tcb, 0);
    for _ in 0..3 {
        oracle.observe(&seen(0, Kind::Received(Segment::new(Flags::ACK, 5001, 1001))));
    }
    let text = seen(0, Kind::Sent(ack(1001).text(10)));
    assert_eq!(oracle.observe(&text).to_string(), FINE);
    assert_eq!(oracle.observe(&text).to_string(), "deviation (early retransmission: -)");
}

/// What was sent before a timeout is taken for lost: an ACK that falls short of it calls for the next segment.
#[test]
fn after_a_timeout_each_ack_calls_for_more() {
    let mut oracle = Oracle::<8>::new(&RFC9293_INTENT, Tap::FULL);
    let mut tcb = support::tcb(State::Established);
    (tcb.snd.queued, tcb.snd.pushed) = (30, 30);
    oracle.adopt(&tcb, 0);
    let text = |seq| Kind::Sent(ack(seq).text(10));
    let acked = |ack| Kind::Received(Segment::new(Flags::ACK, 5001, ack));
    for (at, kind) in [
        (0, text(1001)),
        (0, text(1011)),
        (0, text(1021)),
        (1_000_000, text(1001)),
        (1_010_000, acked(1011)),
        (1_010_000, text(1011)),
        (1_020_000, acked(1021)),
        (1_020_000, text(1021)),
    ] {
        let verdict = oracle.observe(&seen(at, kind));
        assert_eq!(verdict.class(), "conforming", "{at} {kind}: {verdict}");
    }
}

/// With nothing seen of what leaves, an ACK shows how much has left, if there was as much to send.
#[test]
fn an_ack_shows_what_has_left_unseen() {
    let reached = |fin, acked| {
        let mut oracle = Oracle::<8>::new(&RFC9293_INTENT, Tap::NOTHING_SENT);
        let mut tcb = support::tcb(State::FinWait1);
        (tcb.snd.nxt, tcb.snd.queued, tcb.snd.pushed, tcb.snd.fin) = (tcb.snd.una, 10, 10, fin);
        oracle.adopt(&tcb, 0);
        oracle.observe(&seen(1_000, Kind::Received(Segment::new(Flags::ACK, 5001, acked))));
        oracle.candidates()[0].tcb().snd.nxt.0
    };
    assert_eq!([1005, 1011, 1012, 1013].map(|acked| reached(Fin::Wanted, acked)), [1005, 1011, 1012, 1001]);
    assert_eq!([1005, 1011, 1012].map(|acked| reached(Fin::None, acked)), [1005, 1011, 1001]);
}
