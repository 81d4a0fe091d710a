//! What only a peer that contradicts itself, or an audit, meets: each switch in both positions.

#[path = "support/mod.rs"]
mod support;

use model::profile::LINUX_IN_DETAIL;
use model::{Call, Choices, Effects, Event, Flags, Profile, Segment, Seq, State, Tcb, step};
use support::{in_flight, tcb};

const TEXT: Flags = Flags(Flags::ACK.0 | Flags::PSH.0);

/// The TCB after these segments, one after the other.
fn after(mut tcb: Tcb, profile: &Profile, segments: &[Segment]) -> Tcb {
    for segment in segments {
        let mut out = Effects::new();
        step(&mut tcb, 5_000_000, &Event::Arrives(*segment), profile, &Choices::default(), &mut out);
    }
    tcb
}

/// Linux with the switch on and off.
fn both(turn: fn(&mut Profile, bool)) -> [Profile; 2] {
    [true, false].map(|on| {
        let mut profile = LINUX_IN_DETAIL;
        turn(&mut profile, on);
        profile
    })
}

#[test]
fn an_old_segment_brings_a_window_when_it_acknowledges_something_new() {
    // It begins before SND.WL1.
    let late = Segment::new(TEXT, 4991, 1051).text(20).window(300);
    let [progress, sequence] = both(|p, on| p.window_by_progress = on)
        .map(|p| after(in_flight(State::Established, 100), &p, &[late]));
    assert_eq!((progress.snd.una, progress.snd.wnd, progress.snd.wl1), (Seq(1051), 300, Seq(4991)));
    assert_eq!((sequence.snd.una, sequence.snd.wnd, sequence.snd.wl1), (Seq(1051), 10_000, Seq(5001)));
}

#[test]
fn a_window_that_only_shrinks_is_not_taken_unless_it_closes() {
    let told = |window| Segment::new(Flags::ACK, 5001, 1001).window(window);
    let windows = |told: &[Segment]| {
        both(|p, on| p.window_by_progress = on).map(|p| after(tcb(State::Established), &p, told).snd.wnd)
    };
    assert_eq!(windows(&[told(300)]), [10_000, 300]);
    assert_eq!(windows(&[told(20_000)]), [20_000, 20_000]);
    assert_eq!(windows(&[told(0)]), [0, 0]);
    assert_eq!(windows(&[told(0), told(300), told(200)]), [300, 200]);
    // Text moves SEG.SEQ on.
    let text = Segment::new(TEXT, 5001, 1001).text(10).window(9_000);
    assert_eq!(windows(&[text, Segment::new(Flags::ACK, 5011, 1001).window(300)]), [300, 300]);
}

#[test]
fn a_fin_in_order_ends_the_stream_and_what_was_held_behind_it_goes() {
    let held = Segment::new(TEXT, 5101, 1001).text(50).window(10_000);
    let fin = Segment::new(Flags::FIN_ACK, 5001, 1001).text(100).window(10_000);
    let [ends, goes_on] =
        both(|p, on| p.fin_ends_stream = on).map(|p| after(tcb(State::Established), &p, &[held, fin]));
    assert_eq!((ends.state, ends.rcv.nxt), (State::CloseWait, Seq(5102)));
    assert!(ends.rcv.held.is_empty());
    assert_eq!((goes_on.state, goes_on.rcv.nxt), (State::Established, Seq(5151)));
}

#[test]
fn a_held_fin_ends_the_stream_unless_other_text_has_all_of_its_segment() {
    let around = Segment::new(TEXT, 5051, 1001).text(100);
    let gap = Segment::new(TEXT, 5001, 1001).text(50);
    let [ends, lost] = [5041, 5051].map(|begin| {
        let fin = Segment::new(Flags::FIN_ACK, begin, 1001).text(5101 - begin);
        after(tcb(State::Established), &LINUX_IN_DETAIL, &[fin, around, gap])
    });
    assert_eq!((ends.state, ends.rcv.nxt), (State::CloseWait, Seq(5102)));
    assert_eq!((lost.state, lost.rcv.nxt), (State::Established, Seq(5151)));
}

#[test]
fn a_fin_in_order_fills_no_gap_and_its_ack_may_wait() {
    let held = Segment::new(TEXT, 5103, 1001).text(1);
    let fin = Segment::new(Flags::FIN_ACK, 5001, 1001).text(100);
    let mut waits = after(tcb(State::Established), &LINUX_IN_DETAIL, &[held]);
    let choices = Choices { delay_ack: true, ..Choices::default() };
    let mut out = Effects::new();
    step(&mut waits, 5_000_000, &Event::Arrives(fin), &LINUX_IN_DETAIL, &choices, &mut out);
    assert_eq!((waits.state, waits.rcv.last_ack), (State::CloseWait, Seq(5001)));
    assert_eq!(out.segments().count(), 0);
}

fn orphan(state: State) -> Tcb {
    let mut orphan = tcb(state);
    orphan.rcv.reader_gone = true;
    orphan
}

/// The states after one segment, and what was sent, with the switch on and off.
fn answers(before: Tcb, turn: fn(&mut Profile, bool), segment: Segment) -> [(State, String); 2] {
    both(turn).map(|profile| {
        let (mut tcb, mut out) = (before, Effects::new());
        step(&mut tcb, 5_000_000, &Event::Arrives(segment), &profile, &Choices::default(), &mut out);
        (tcb.state, out.segments().map(|segment| segment.flags.to_string()).collect())
    })
}

#[test]
fn an_orphan_in_fin_wait_2_is_a_minisocket() {
    let small = |segment| answers(orphan(State::FinWait2), |p, on| p.orphan_minisockets = on, segment);
    let (gone, stays) = (State::Closed, State::FinWait2);
    let said = |state, flags: &str| (state, flags.to_owned());
    // Not at RCV.NXT, but in the window.
    assert_eq!(small(Segment::new(Flags::RST, 5101, 0)), [said(gone, ""), said(stays, "ACK")]);
    assert_eq!(small(Segment::new(Flags::RST, 4000, 0)), [said(stays, "ACK"), said(stays, "")]);
    assert_eq!(small(Segment::new(Flags::SYN, 5001, 0)), [said(gone, "RST,ACK"), said(stays, "ACK")]);
    // An ACK of what was never sent.
    assert_eq!(small(Segment::new(Flags::ACK, 5001, 1100)), [said(stays, ""), said(stays, "ACK")]);
    let fin = Segment::new(Flags::FIN_ACK, 5001, 1100);
    assert_eq!(small(fin), [said(State::TimeWait, "ACK"), said(stays, "ACK")]);
    assert_eq!(small(Segment::new(Flags(0), 5001, 0).text(1)), [said(stays, ""), said(stays, "")]);
    let late = Segment::new(TEXT, 5001, 1002).text(10);
    assert_eq!(small(late), [said(gone, "RST"), said(gone, "RST")]);
    // One whose user only shut down its writing is a whole socket.
    let whole = answers(tcb(State::FinWait2), |p, on| p.orphan_minisockets = on, fin);
    assert_eq!(whole, [said(stays, "ACK"), said(stays, "ACK")]);
}

#[test]
fn the_ack_of_an_orphan_s_fin_is_all_that_counts_of_its_segment() {
    // An octet before RCV.NXT beside it: whole sockets acknowledge it once more.
    let ack = Segment::new(TEXT, 5000, 1002).text(1);
    let [small, whole] = answers(orphan(State::FinWait1), |p, on| p.orphan_minisockets = on, ack);
    assert_eq!((small, whole), ((State::FinWait2, String::new()), (State::FinWait2, "ACK".to_owned())));
}

#[test]
fn a_reset_right_behind_held_text_counts_where_sack_is_agreed() {
    let held = [Segment::new(TEXT, 5101, 1001).text(50), Segment::new(TEXT, 5201, 1001).text(50)];
    let states = |sack, seq| {
        let mut before = tcb(State::Established);
        before.agreed.sack = sack;
        let reset = Segment::new(Flags::RST, seq, 0);
        both(|p, on| p.reset_behind_held = on).map(|p| after(before, &p, &[held[0], held[1], reset]).state)
    };
    assert_eq!(states(true, 5251), [State::Closed, State::Established]);
    assert_eq!(states(true, 5151), [State::Established; 2]);
    assert_eq!(states(false, 5251), [State::Established; 2]);
}

#[test]
fn a_fin_out_of_order_resets_an_orphan() {
    let fin = Segment::new(Flags::FIN_ACK, 5011, 1001);
    let [late, held] = answers(orphan(State::FinWait1), |p, on| p.late_fin_resets = on, fin);
    assert_eq!((late.0, held), (State::Closed, (State::FinWait1, "ACK".to_owned())));
}

#[test]
fn a_held_fin_may_merge_with_the_text_right_behind_it() {
    let fin = Segment::new(Flags::FIN_ACK, 5011, 1001).text(90);
    let behind = Segment::new(TEXT, 5102, 1001).text(50);
    let gap = Segment::new(TEXT, 5001, 1001).text(10);
    let [merged, ends] =
        both(|p, on| p.held_text_joins = on).map(|p| after(tcb(State::Established), &p, &[fin, behind, gap]));
    assert_eq!((merged.state, merged.rcv.nxt), (State::CloseWait, Seq(5152)));
    assert_eq!((ends.state, ends.rcv.nxt), (State::CloseWait, Seq(5102)));
}

#[test]
fn another_fin_that_begins_before_the_first_one_moves_rcv_nxt_on() {
    // RCV.NXT is 5002: the peer's FIN was 5001.
    let again = Segment::new(Flags::FIN_ACK, 5001, 1001).text(1);
    let [counts, ignored] =
        both(|p, on| p.second_fin_counts = on).map(|p| after(tcb(State::CloseWait), &p, &[again]).rcv.nxt);
    assert_eq!((counts, ignored), (Seq(5003), Seq(5002)));
}

#[test]
fn the_reset_of_an_abort_lies_at_the_edge_of_a_window_taken_back() {
    let mut before = in_flight(State::Established, 2_000);
    before.snd.wnd = 500;
    let numbers = both(|p, on| p.reset_at_edge = on).map(|p| {
        let (mut tcb, mut out) = (before, Effects::new());
        step(&mut tcb, 0, &Event::Call(Call::Abort), &p, &Choices::default(), &mut out);
        out.segments().next().map(|reset| reset.seq)
    });
    assert_eq!(numbers, [Some(Seq(1501)), Some(Seq(3001))]);
}

#[test]
fn close_in_time_wait_with_unread_text_resets_nothing() {
    let mut before = tcb(State::TimeWait);
    before.rcv.readable = 10;
    let states = both(|p, on| p.time_wait_without_user = on).map(|p| {
        let (mut tcb, mut out) = (before, Effects::new());
        step(&mut tcb, 0, &Event::Call(Call::CLOSE_BOTH), &p, &Choices::default(), &mut out);
        (tcb.state, out.segments().count())
    });
    assert_eq!(states, [(State::TimeWait, 0), (State::Closed, 1)]);
}

#[test]
fn in_time_wait_a_reset_in_the_window_is_not_challenged() {
    let reset = Segment::new(Flags::RST, 5101, 0);
    let [silent, challenges] = answers(tcb(State::TimeWait), |p, on| p.time_wait_unchallenged = on, reset);
    assert_eq!((silent, challenges), ((State::TimeWait, String::new()), (State::TimeWait, "ACK".to_owned())));
}

#[test]
fn a_segment_without_syn_ack_and_reset_is_dropped_wherever_it_lies() {
    let stray = Segment::new(Flags(0), 99_000, 0).text(10);
    let said = |state| answers(tcb(state), |p, on| p.ackless_unanswered = on, stray).map(|(_, said)| said);
    assert_eq!(said(State::Established), ["", "ACK"]);
    assert_eq!(said(State::CloseWait), ["", "ACK"]);
    // Minisockets look at the number first.
    assert_eq!(said(State::TimeWait), ["ACK", "ACK"]);
    let orphans = answers(orphan(State::FinWait2), |p, on| p.ackless_unanswered = on, stray);
    assert_eq!(orphans.map(|(_, said)| said), ["ACK", "ACK"]);
}

#[test]
fn in_time_wait_the_range_of_acks_does_not_matter() {
    let old = Segment::new(Flags::ACK, 5002, 0x8000_0000);
    let [silent, challenges] = answers(tcb(State::TimeWait), |p, on| p.time_wait_unchallenged = on, old);
    assert_eq!((silent, challenges), ((State::TimeWait, String::new()), (State::TimeWait, "ACK".to_owned())));
}

#[test]
fn a_second_fin_counts_before_ours_is_acknowledged_and_its_octet_is_unread_at_close() {
    let mut closing = in_flight(State::Closing, 0);
    closing.snd.una = Seq(1000);
    let again = Segment::new(Flags::FIN_ACK, 5001, 1000).text(1);
    let [counts, ignored] = both(|p, on| p.second_fin_counts = on)
        .map(|p| after(closing, &p, &[again]).rcv.nxt - closing.rcv.nxt);
    assert_eq!((counts, ignored), (1, 0));
    let again = Segment::new(Flags::FIN_ACK, 5001, 1001).text(1);
    let open = |unread| {
        let mut open = tcb(State::CloseWait);
        open.rcv.unread_fins.count = unread;
        after(open, &LINUX_IN_DETAIL, &[again]).rcv.is_unread()
    };
    assert_eq!([0, 1].map(open), [false, true], "where the first FIN was met nothing of the stream is left");
}

/// Whether a segment that goes beyond the right edge counts in LAST-ACK, to which these events lead: it has the ACK of the
/// FIN.
fn takes_beyond_the_edge(events: &[Event]) -> bool {
    let happens = |mut tcb: Tcb, event: &Event| {
        step(&mut tcb, 5_000_000, event, &LINUX_IN_DETAIL, &Choices::default(), &mut Effects::new());
        tcb
    };
    let before = events.iter().fold(tcb(State::Established), happens);
    assert_eq!(before.state, State::LastAck);
    let edge = before.rcv.nxt + (before.rcv.wnd - 1);
    let beyond = Event::Arrives(Segment::new(TEXT, edge.0, before.snd.nxt.0).text(10));
    happens(before, &beyond).state == State::Closed
}

#[test]
fn a_fin_takes_room_in_the_window_until_the_user_has_met_it() {
    let fin = Event::Arrives(Segment::new(Flags::FIN_ACK, 5001, 1001));
    let text = |len| Event::Arrives(Segment::new(TEXT, 5001, 1001).text(len));
    let fin_behind = |len: u32| Event::Arrives(Segment::new(Flags::FIN_ACK, 5001 + len, 1001));
    let old = Event::Arrives(Segment::new(Flags::FIN_ACK, 5005, 1001).text(6));
    let again = Event::Arrives(Segment::new(Flags::FIN_ACK, 5001, 1001).text(1));
    let read = |len| Event::Call(Call::receive(len));
    let shut = Event::Call(Call::CLOSE);
    assert!(!takes_beyond_the_edge(&[fin, shut]), "not read");
    assert!(takes_beyond_the_edge(&[fin, shut, read(10)]), "EOF");
    assert!(!takes_beyond_the_edge(&[text(10), fin_behind(10), shut, read(9)]), "text is left");
    assert!(takes_beyond_the_edge(&[text(10), fin_behind(10), shut, read(10)]), "both lie in one buffer");
    assert!(!takes_beyond_the_edge(&[text(10), read(10), fin_behind(10), shut]), "the text was read before");
    assert!(
        !takes_beyond_the_edge(&[text(10), old, shut, read(10)]),
        "it came with old text, in another one"
    );
    assert!(takes_beyond_the_edge(&[text(10), old, shut, read(11)]), "and the reader asked for more");
    assert!(takes_beyond_the_edge(&[read(10), fin, shut]), "a RECEIVE was waiting");
    assert!(!takes_beyond_the_edge(&[fin, shut, again, read(1)]), "another one came");
    assert!(takes_beyond_the_edge(&[fin, Event::Call(Call::CLOSE_BOTH)]), "CLOSE takes it along");
}

#[test]
fn text_in_order_that_brings_nothing_else_makes_its_number_the_last_window_s() {
    // Text far ahead that is not kept brings a window; text in order with the same one moves SND.WL1 back.
    let edge = tcb(State::Established).rcv.nxt + tcb(State::Established).rcv.wnd;
    let ahead = Segment::new(TEXT, edge.0, 1001).text(100).window(300);
    let order = Segment::new(TEXT, 5001, 1001).text(100).window(300);
    let [fast, slow] = both(|p, on| p.predicted_window = on)
        .map(|p| after(tcb(State::Established), &p, &[ahead, order]).snd.wl1);
    assert_eq!((fast, slow), (Seq(5001), edge));
}

#[test]
fn a_held_fin_that_text_passes_counts_at_the_end_of_the_text_behind_it() {
    let fin = Segment::new(Flags::FIN_ACK, 5002, 1001);
    let behind = Segment::new(TEXT, 5003, 1001).text(100);
    let gap = Segment::new(TEXT, 5001, 1001).text(100);
    let [merged, lost] =
        both(|p, on| p.held_text_joins = on).map(|p| after(tcb(State::Established), &p, &[fin, behind, gap]));
    assert_eq!((merged.state, merged.rcv.nxt), (State::CloseWait, Seq(5103)));
    assert_eq!((lost.state, lost.rcv.nxt), (State::Established, Seq(5103)));
}

#[test]
fn a_fin_far_ahead_does_not_keep_a_nearer_one_from_merging() {
    let far = Segment::new(Flags::FIN_ACK, 9_000, 1001);
    let fin = Segment::new(Flags::FIN_ACK, 5002, 1001);
    let behind = Segment::new(TEXT, 5003, 1001).text(100);
    let gap = Segment::new(TEXT, 5001, 1001).text(100);
    let [merged, _] = both(|p, on| p.held_text_joins = on)
        .map(|p| after(tcb(State::Established), &p, &[far, fin, behind, gap]));
    assert_eq!((merged.state, merged.rcv.nxt), (State::CloseWait, Seq(5103)));
}

#[test]
fn text_that_merges_with_a_fin_does_not_merge_with_held_text_that_it_overlaps() {
    let held = Segment::new(TEXT, 5101, 1001).text(536);
    let fin = Segment::new(Flags::FIN_ACK, 5002, 1001);
    let behind = Segment::new(TEXT, 5003, 1001).text(100);
    let gap = Segment::new(TEXT, 5001, 1001).text(100);
    let [merged, lost] = both(|p, on| p.held_text_joins = on)
        .map(|p| after(tcb(State::Established), &p, &[held, fin, behind, gap]));
    assert_eq!((merged.state, merged.rcv.nxt), (State::CloseWait, Seq(5103)));
    assert_eq!((lost.state, lost.rcv.nxt), (State::Established, Seq(5637)));
}

#[test]
fn a_fin_inside_of_held_text_is_dropped_with_its_segment() {
    let text = Segment::new(Flags::FIN_ACK, 5063, 1001).text(100);
    let inside = Segment::new(Flags::FIN_ACK, 5101, 1001);
    let gap = Segment::new(TEXT, 5001, 1001).text(100);
    let dropped = after(tcb(State::Established), &LINUX_IN_DETAIL, &[text, inside, gap]);
    assert_eq!((dropped.state, dropped.rcv.nxt), (State::CloseWait, Seq(5164)));
}

#[test]
fn of_two_fins_held_the_one_that_text_has_not_passed_counts() {
    let fins = [Segment::new(Flags::FIN_ACK, 5064, 1001).text(100), Segment::new(Flags::FIN_ACK, 5002, 1001)];
    let text = Segment::new(TEXT, 5001, 1001).text(100);
    let after = after(tcb(State::Established), &LINUX_IN_DETAIL, &[fins[0], fins[1], text]);
    assert_eq!((after.state, after.rcv.nxt), (State::CloseWait, Seq(5165)));
}
