//! Each rule that Linux never breaks, broken once: a healthy story, one thing wrong, and its rule's name.

mod linux_common;

use std::collections::BTreeSet;
use std::time::Duration;

use linux_common::*;
use model::linux::{
    CloseCause, Code, DeviationId, Evidence, History, LinuxState, Owner, SocketError, TimeWaitEnd,
    TimeWaitKind, Transition, ViolationId, ViolationRule, judge, judge_time_wait_end,
};
use model::{Inconclusive, Verdict};

/// The broken transition is judged by `expected`, and the same one without the fault is not.
#[track_caller]
fn caught(
    healthy: impl Fn() -> Story,
    from: LinuxState,
    to: LinuxState,
    fine: Evidence,
    expected: ViolationId,
    wrong: Evidence,
) {
    let story = healthy().step(from, to, wrong, breaks(expected));
    assert!(story.judged.last().is_some_and(|judgement| judgement.edges.is_empty()));
    let judged = judged(healthy(), from, to, fine);
    assert!(!judged.is_violation(), "{judged}");
}

fn judged(story: Story, from: LinuxState, to: LinuxState, evidence: Evidence) -> Verdict {
    story.verdict(from, to, evidence)
}

fn opening() -> Story {
    Story::active("client").step(CL, SS, fresh(), ok(Code::R12))
}

fn accepting() -> Story {
    Story::passive("server").step(LI, SR, newborn(), ok(Code::C4))
}

fn open() -> Story {
    Story::connected("client")
}

fn closed_first() -> Story {
    Story::closed_first("client")
}

fn half_closed() -> Story {
    closed_first().step(FW1, FW2, orphaned(fin_wait_2()), ok(Code::R10))
}

fn crossing() -> Story {
    closed_first().step(FW1, CG, orphaned(crossed_fins()), ok(Code::R11))
}

/// Our SYN counts as unacknowledged.
fn syn_unacknowledged(evidence: Evidence) -> Evidence {
    Evidence { una: evidence.una.wrapping_sub(1), ..evidence }
}

#[test]
fn illegal_edge() {
    open().step(EST, LI, established(), breaks(ViolationId::IllegalEdge));
    open().step(EST, LA, closing(established()), breaks(ViolationId::IllegalEdge));
    opening().step(SS, FW1, closing(syn_sent()), breaks(ViolationId::IllegalEdge));
    closed_first().step(FW1, EST, fin_wait_1(), breaks(ViolationId::IllegalEdge));
    Story::new("a socket's first transition").step(CL, EST, fresh(), breaks(ViolationId::IllegalEdge));
    Story::new("a child's first transition").step(LI, EST, newborn(), breaks(ViolationId::IllegalEdge));
}

#[test]
fn foreign_edge() {
    let listening = || Story::new("listener").step(CL, LI, fresh(), ok(Code::R13));
    listening().step(LI, SS, fresh(), breaks(ViolationId::ForeignEdge));
    accepting().step(SR, LI, child(), breaks(ViolationId::ForeignEdge));
    opening().step(SS, CW, close_wait(), breaks(ViolationId::ForeignEdge));
}

#[test]
fn repeated_state() {
    open().step(EST, EST, established(), breaks(ViolationId::RepeatedState));
    opening().step(SS, SS, syn_sent(), breaks(ViolationId::RepeatedState));
    Story::closed_second("client").step(CW, CW, close_wait(), breaks(ViolationId::RepeatedState));
    // close() after shutdown() repeats a state, and nothing in softirq does.
    let by_segment = Evidence { owner: Some(Owner::Softirq), ..closing(last_ack()) };
    let closing_last =
        || Story::closed_second("client").step(CW, LA, shut_write(close_wait()), ok(Code::R14));
    caught(closing_last, LA, LA, closing(last_ack()), ViolationId::RepeatedState, by_segment);
    let without_user = Evidence { dead: true, ..closing(last_ack()) };
    caught(closing_last, LA, LA, closing(last_ack()), ViolationId::RepeatedState, without_user);
    // MPTCP sets the states of its subflows without a look at what they are.
    let subflow = Evidence { is_mptcp: true, ..established() };
    open().step(EST, EST, subflow, unknown(Inconclusive::Unclassified));
}

#[test]
fn time_wait_announced() {
    half_closed().step(FW2, LinuxState::TimeWait, fin_wait_2(), breaks(ViolationId::TimeWaitAnnounced));
    crossing().step(CG, LinuxState::TimeWait, fin_wait_2(), breaks(ViolationId::TimeWaitAnnounced));
}

#[test]
fn request_announced() {
    Story::new("child").step(LI, LinuxState::NewSynRecv, newborn(), breaks(ViolationId::RequestAnnounced));
}

#[test]
fn sequence_order() {
    let rule = ViolationId::SequenceOrder;
    let ahead = |evidence: Evidence| Evidence { una: evidence.nxt.wrapping_add(1), ..evidence };
    let beyond = |evidence: Evidence| Evidence { nxt: evidence.write_seq.wrapping_add(7), ..evidence };
    caught(open, EST, CW, close_wait(), rule, ahead(close_wait()));
    caught(open, EST, CW, close_wait(), rule, beyond(close_wait()));
    caught(closed_first, FW1, CG, crossed_fins(), rule, ahead(crossed_fins()));
    // Half the number space ahead is neither before nor after.
    let opposite = |evidence: Evidence| Evidence { una: evidence.nxt.wrapping_sub(1 << 31), ..evidence };
    caught(open, EST, CW, close_wait(), rule, opposite(close_wait()));
    caught(opening, SS, EST, shaken(), rule, beyond(shaken()));
    // A failed connect() and a newborn child carry numbers that mean nothing.
    opening().step(SS, CL, ahead(fresh()), ok(Code::R6));
    Story::passive("server").step(LI, SR, ahead(newborn()), ok(Code::C4));
}

#[test]
fn receive_order() {
    let rule = ViolationId::ReceiveOrder;
    let beyond = |evidence: Evidence| Evidence { copied_seq: evidence.rcv_nxt.wrapping_add(1), ..evidence };
    caught(open, EST, CW, close_wait(), rule, beyond(close_wait()));
    caught(closed_first, FW1, CG, crossed_fins(), rule, beyond(crossed_fins()));
    // Before the peer's SYN these numbers mean nothing, nor in a newborn child.
    opening().step(SS, CL, beyond(fresh()), ok(Code::R6));
    Story::passive("server").step(LI, SR, beyond(newborn()), ok(Code::C4));
}

#[test]
fn established_syn_unacknowledged() {
    let rule = ViolationId::EstablishedSynUnacknowledged;
    caught(opening, SS, EST, shaken(), rule, syn_unacknowledged(shaken()));
    caught(accepting, SR, EST, child(), rule, syn_unacknowledged(child()));
    let crossed = || opening().step(SS, SR, syn_sent(), ok(Code::R5));
    // tcp_ack() takes an ACK of the ISS for an old one: that much is known of Linux, but not more.
    let by_old_ack = departs(DeviationId::HandshakeByOldAck);
    crossed().step(SR, EST, syn_unacknowledged(shaken()), by_old_ack);
    let evidence = syn_unacknowledged(shaken());
    let further = Evidence { una: evidence.una.wrapping_sub(1), ..evidence };
    caught(crossed, SR, EST, shaken(), rule, further);
    // With Fast Open, or where a Fast Open child cannot be excluded, data may be outstanding.
    let data = Evidence { fast_open: Some(true), ..syn_unacknowledged(shaken()) };
    opening().step(SS, EST, data, ok(Code::R4));
    Story::fast_open_child("server").step(LI, SR, newborn(), ok(Code::C4)).step(
        SR,
        EST,
        syn_unacknowledged(child()),
        ok(Code::R7),
    );
}

#[test]
fn established_receive_numbers() {
    let rule = ViolationId::EstablishedReceiveNumbers;
    caught(opening, SS, EST, shaken(), rule, with_unread(shaken()));
    caught(accepting, SR, EST, child(), rule, with_unread(child()));
}

#[test]
fn syn_received_syn_acknowledged() {
    let rule = ViolationId::SynReceivedSynAcknowledged;
    caught(opening, SS, SR, syn_sent(), rule, Evidence { una: syn_sent().nxt, ..syn_sent() });
}

#[test]
fn close_missing() {
    let rule = ViolationId::CloseMissing;
    let never_closed = |evidence| Evidence { send_shutdown: false, ..evidence };
    caught(open, EST, FW1, closing(established()), rule, never_closed(closing(established())));
    let peer_closed = || Story::closed_second("client");
    caught(peer_closed, CW, LA, closing(close_wait()), rule, never_closed(closing(close_wait())));
    caught(closed_first, FW1, FW2, fin_wait_2(), rule, never_closed(fin_wait_2()));
    caught(closed_first, FW1, CG, crossed_fins(), rule, never_closed(crossed_fins()));
}

#[test]
fn fin_wait_2_fin_unacknowledged() {
    let rule = ViolationId::FinWait2FinUnacknowledged;
    let unacknowledged = |evidence| Evidence { una: fin_wait_1().una, ..evidence };
    caught(closed_first, FW1, FW2, fin_wait_2(), rule, unacknowledged(fin_wait_2()));
    let gone = || half_closed().minisocket(TimeWaitKind::FinWait2);
    caught(gone, FW2, CL, orphaned(fin_wait_2()), rule, unacknowledged(orphaned(fin_wait_2())));
}

#[test]
fn closing_fin_acknowledged() {
    let rule = ViolationId::ClosingFinAcknowledged;
    caught(closed_first, FW1, CG, crossed_fins(), rule, peer_fin(fin_wait_2()));
}

#[test]
fn peer_fin_missing() {
    let rule = ViolationId::PeerFinMissing;
    let unmarked = |evidence| Evidence { done: false, ..evidence };
    let open_to_read = |evidence| Evidence { receive_shutdown: false, ..evidence };
    caught(open, EST, CW, close_wait(), rule, unmarked(close_wait()));
    caught(open, EST, CW, close_wait(), rule, open_to_read(close_wait()));
    caught(closed_first, FW1, CG, crossed_fins(), rule, unmarked(crossed_fins()));
    let peer_closed = || Story::closed_second("client");
    caught(peer_closed, CW, LA, shut_write(close_wait()), rule, unmarked(shut_write(close_wait())));
}

#[test]
fn peer_fin_ignored() {
    let rule = ViolationId::PeerFinIgnored;
    caught(open, EST, FW1, closing(established()), rule, closing(close_wait()));
    caught(closed_first, FW1, FW2, fin_wait_2(), rule, peer_fin(fin_wait_2()));
    caught(half_closed, FW2, FW2, closing(fin_wait_2()), rule, closing(peer_fin(fin_wait_2())));
}

#[test]
fn time_wait_fin_missing() {
    let rule = ViolationId::TimeWaitFinMissing;
    let gone = || half_closed().minisocket(TimeWaitKind::TimeWait);
    caught(gone, FW2, CL, peer_fin(fin_wait_2()), rule, fin_wait_2());
    // The minisocket of an orphan meets the FIN before the orphan's end is told.
    gone().step(FW2, CL, orphaned(fin_wait_2()), ok(Code::C1));
}

#[test]
fn time_wait_fin_unacknowledged() {
    let rule = ViolationId::TimeWaitFinUnacknowledged;
    let gone = || crossing().minisocket(TimeWaitKind::TimeWait);
    caught(gone, CG, CL, orphaned(peer_fin(fin_wait_2())), rule, orphaned(crossed_fins()));
}

#[test]
fn last_ack_fin_unacknowledged() {
    let rule = ViolationId::LastAckFinUnacknowledged;
    let both_closed = || Story::closed_second("client").step(CW, LA, shut_write(close_wait()), ok(Code::R14));
    caught(both_closed, LA, CL, last_ack_acknowledged(), rule, last_ack());
    // Each of these leaves another explanation.
    let explained = [
        (Evidence { retransmits: 3, ..last_ack() }, true),
        (by_user(last_ack()), true),
        (Evidence { soft_error: SocketError::Unreachable, ..last_ack() }, true),
        (with_error(SocketError::Unreachable, last_ack()), true),
        (orphaned(last_ack()), true),
        (Evidence { has_user_socket: None, ..last_ack() }, true),
        (last_ack(), false),
    ];
    for (evidence, resets_visible) in explained {
        let story = both_closed().remember(|history| history.resets_visible = resets_visible);
        let verdict = judged(story, LA, CL, evidence);
        assert!(!verdict.is_violation(), "{verdict}");
    }
}

#[test]
fn time_wait_cut_short() {
    let early = Duration::from_secs(30);
    let judgement = judge_time_wait_end(TimeWaitKind::TimeWait, TimeWaitEnd::Expired, early);
    assert_eq!(judgement.verdict, breaks(ViolationId::TimeWaitCutShort));
    assert!(judgement.edges.is_empty());
}

#[test]
fn repair_and_mptcp_play_by_other_rules() {
    let wrong = syn_unacknowledged(with_unread(shaken()));
    let repaired = judged(opening(), SS, EST, Evidence { repair: Some(true), ..wrong });
    let subflow = judged(opening(), SS, EST, Evidence { is_mptcp: true, ..wrong });
    assert!(!repaired.is_violation() && !subflow.is_violation());
}

#[test]
fn every_rule_has_its_test() {
    // The tests above are named after the rules they break; this one keeps the two lists the same.
    let source = include_str!("linux_violations.rs");
    let missing: BTreeSet<_> = ViolationRule::ALL
        .iter()
        .map(|rule| rule.name)
        .filter(|name| !source.contains(&format!("fn {}()", name.replace('-', "_"))))
        .collect();
    assert!(missing.is_empty(), "no test for {missing:?}");
}

#[test]
fn a_rule_is_never_reported_across_a_gap() {
    let gaps = [
        History { previous: None, ..History::default() },
        History { previous: Some(Transition::new(CL, SS)), ..History::default() },
        History { adopted: true, ..History::default() },
    ];
    for history in gaps {
        let transition = Transition::new(FW1, FW2);
        let judgement = judge(transition, &fin_wait_1(), &history);
        assert!(matches!(judgement.verdict, Verdict::Inconclusive(_)), "{judgement:?}");
    }
}

#[test]
fn a_gap_leaves_the_cause_only_to_an_adopted_socket_that_closes() {
    let adopted = History { adopted: true, ..History::default() };
    let lost = History { previous: Some(Transition::new(SS, SR)), ..History::default() };
    let cause = |from, to, history: &History| {
        judge(Transition::new(from, to), &last_ack_acknowledged(), history).cause
    };
    assert_eq!(cause(LA, CL, &adopted), Some(CloseCause::FinAcknowledged));
    assert_eq!(cause(LA, CL, &lost), None, "what was lost may have been the reason");
    assert_eq!(cause(LA, LA, &adopted), None, "nothing has ended");
}

#[test]
fn an_mptcp_connection_may_end_its_listener_from_below() {
    let subflow = Evidence { is_mptcp: true, owner: Some(Owner::Softirq), ..fresh() };
    let history = History { previous: Some(Transition::new(CL, LI)), ..History::default() };
    assert_eq!(judge(Transition::new(LI, CL), &subflow, &history).verdict, ok(Code::R16));
}

#[test]
fn a_fin_that_left_at_once_is_no_habit() {
    let history = History { previous: Some(Transition::new(SS, EST)), ..History::default() };
    let sent = shut_write(established());
    assert_eq!(judge(Transition::new(EST, FW1), &sent, &history).noted, None);
    let waiting = Evidence { write_seq: sent.write_seq.wrapping_add(5), ..sent };
    let noted = judge(Transition::new(EST, FW1), &waiting, &history).noted;
    assert_eq!(noted, Some(DeviationId::FinWait1FinUnsent));
}
