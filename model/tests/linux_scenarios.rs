//! Real sequences of Linux kernels (5.10 to 7.2), as recorded scenario by scenario: stimulus, transitions, verdicts.
//! Scenarios whose stimulus changes no socket's state have no row here.

mod linux_common;

use linux_common::*;
use model::Inconclusive;
use model::linux::{
    CloseCause, Code, DeviationId, Evidence, Origin, Owner, ResetReason, SocketError, TimeWaitKind,
};

// Open and close.

#[test]
fn s01_listen_and_close() {
    Story::new("listener")
        .step(CL, LI, fresh(), ok(Code::R13))
        .step(LI, CL, closing(fresh()), ok(Code::R16))
        .because(CloseCause::ListenerClosed)
        .walks("LISTEN -> CLOSED");
}

#[test]
fn s02_client_closes_first() {
    Story::closed_first("client").ends_in_time_wait();
    Story::accepted("server").step(EST, CW, close_wait(), ok(Code::R3)).ends_in_last_ack();
}

#[test]
fn s03_server_closes_first() {
    Story::accepted("server").step(EST, FW1, closing(established()), ok(Code::R1)).ends_in_time_wait();
    Story::closed_second("client").ends_in_last_ack();
}

#[test]
fn s04_half_close_with_the_descriptor_still_open() {
    Story::connected("client")
        .step(EST, FW1, shut_write(established()), ok(Code::R1))
        .step(FW1, FW2, fin_wait_2(), ok(Code::R10))
        .minisocket(TimeWaitKind::TimeWait)
        .step(FW2, CL, peer_fin(fin_wait_2()), ok(Code::C1))
        .because(CloseCause::TimeWait)
        .walks("FIN-WAIT-2 -> TIME-WAIT");
}

#[test]
fn s05_half_close_then_close_in_fin_wait_2() {
    Story::connected("client")
        .step(EST, FW1, shut_write(established()), ok(Code::R1))
        .step(FW1, FW2, fin_wait_2(), ok(Code::R10))
        .step(FW2, FW2, closing(fin_wait_2()), ok(Code::S))
        .walks("")
        .minisocket(TimeWaitKind::FinWait2)
        .step(FW2, CL, by_user(orphaned(fin_wait_2())), ok(Code::C2))
        .walks("");
}

#[test]
fn s06_fin_wait_2_timeout_in_the_socket_itself() {
    // The ACK of the FIN was handled inside close(), so the full socket stays and its timer resets the peer.
    Story::closed_first("client")
        .step(FW1, FW2, by_user(orphaned(fin_wait_2())), ok(Code::R10))
        .reset_sent(ResetReason::TcpState)
        .step(FW2, CL, orphaned(fin_wait_2()), departs(DeviationId::FinWait2Timeout))
        .because(CloseCause::FinWait2TimedOut)
        .walks("FIN-WAIT-2 -> CLOSED");
    // A kernel that does not say why it sent the reset.
    Story::closed_first("older kernel")
        .step(FW1, FW2, by_user(orphaned(fin_wait_2())), ok(Code::R10))
        .reset_sent(ResetReason::Unknown)
        .step(FW2, CL, orphaned(fin_wait_2()), departs(DeviationId::FinWait2Timeout));
    // An error left behind is none of its business: in FIN-WAIT-2 nothing is retransmitted.
    let stale = Evidence { soft_error: SocketError::Unreachable, ..orphaned(fin_wait_2()) };
    Story::closed_first("stale error")
        .step(FW1, FW2, by_user(orphaned(fin_wait_2())), ok(Code::R10))
        .reset_sent(ResetReason::TcpState)
        .step(FW2, CL, with_error(SocketError::Unreachable, stale), departs(DeviationId::FinWait2Timeout));
    Story::accepted("the peer, closing later")
        .step(EST, CW, close_wait(), ok(Code::R3))
        .step(CW, LA, closing(close_wait()), ok(Code::R14))
        .reset_arrives()
        .step(LA, CL, orphaned(with_error(SocketError::Reset, last_ack())), ok(Code::R2))
        .because(CloseCause::ResetReceived);
}

#[test]
fn s07_linger2_below_zero_after_shutdown() {
    let forbids = |evidence| Evidence { linger2_negative: true, ..evidence };
    Story::connected("client")
        .step(EST, FW1, shut_write(established()), ok(Code::R1))
        .step(FW1, FW2, forbids(fin_wait_2()), ok(Code::R10))
        .step(FW2, FW2, forbids(closing(fin_wait_2())), ok(Code::S))
        .step(FW2, CL, forbids(by_user(orphaned(fin_wait_2()))), departs(DeviationId::Linger2Abort))
        .because(CloseCause::Linger2Abort);
    Story::accepted("server").step(EST, CW, close_wait(), ok(Code::R3)).reset_arrives().step(
        CW,
        CL,
        with_error(SocketError::BrokenPipe, close_wait()),
        ok(Code::R2),
    );
}

#[test]
fn s08_linger2_below_zero_when_the_fin_is_acknowledged() {
    let forbids = |evidence| Evidence { linger2_negative: true, ..evidence };
    Story::closed_first("client").step(FW1, FW2, forbids(orphaned(fin_wait_2())), ok(Code::R10)).step(
        FW2,
        CL,
        forbids(orphaned(fin_wait_2())),
        departs(DeviationId::Linger2Abort),
    );
    Story::closed_first("judged when the reset that follows is known")
        .step(FW1, FW2, forbids(orphaned(fin_wait_2())), ok(Code::R10))
        .reset_sent(ResetReason::AbortOnData)
        .step(FW2, CL, forbids(orphaned(fin_wait_2())), departs(DeviationId::Linger2Abort));
}

#[test]
fn s09_a_long_fin_timeout_moves_to_a_minisocket_later() {
    Story::closed_first("client")
        .step(FW1, FW2, orphaned(fin_wait_2()), ok(Code::R10))
        .minisocket(TimeWaitKind::FinWait2)
        .step(FW2, CL, orphaned(fin_wait_2()), ok(Code::C2));
}

#[test]
fn s10_fin_and_the_ack_of_ours_in_one_segment() {
    for held in [true, false] {
        let user = |evidence| if held { evidence } else { orphaned(evidence) };
        Story::closed_first("note 2 of Figure 5")
            .step(FW1, FW2, user(fin_wait_2()), ok(Code::R10))
            .minisocket(TimeWaitKind::TimeWait)
            .step(FW2, CL, user(peer_fin(fin_wait_2())), ok(Code::C1));
    }
}

#[test]
fn s11_simultaneous_close() {
    Story::closed_first("client")
        .step(FW1, CG, orphaned(crossed_fins()), ok(Code::R11))
        .minisocket(TimeWaitKind::TimeWait)
        .step(CG, CL, orphaned(peer_fin(fin_wait_2())), ok(Code::C1))
        .walks("CLOSING -> TIME-WAIT");
}

#[test]
fn s12_close_in_closing() {
    Story::connected("client")
        .step(EST, FW1, shut_write(established()), ok(Code::R1))
        .step(FW1, CG, crossed_fins(), ok(Code::R11))
        .step(CG, CG, closing(crossed_fins()), ok(Code::S))
        .minisocket(TimeWaitKind::TimeWait)
        .step(CG, CL, orphaned(peer_fin(fin_wait_2())), ok(Code::C1));
}

// Opens that fail.

#[test]
fn s13_refused_twice_on_one_socket() {
    let refused = with_error(SocketError::Refused, syn_sent());
    Story::active("client")
        .step(CL, SS, fresh(), ok(Code::R12))
        .reset_arrives()
        .step(SS, CL, refused, ok(Code::R6))
        .because(CloseCause::ResetReceived)
        .step(CL, SS, with_error(SocketError::Refused, fresh()), ok(Code::R12))
        .reset_arrives()
        .step(SS, CL, refused, ok(Code::R6))
        .walks("SYN-SENT -> CLOSED");
}

#[test]
fn s14_nobody_answers() {
    let silent = Evidence { retransmits: 1, ..with_error(SocketError::TimedOut, syn_sent()) };
    Story::active("client")
        .step(CL, SS, fresh(), ok(Code::R12))
        .step(SS, CL, silent, ok(Code::R6))
        .because(CloseCause::TimedOut);
}

#[test]
fn s15_s16_host_unreachable_while_connecting() {
    Story::active("by ICMP, or because no neighbour answers")
        .step(CL, SS, fresh(), ok(Code::R12))
        .step(
            SS,
            CL,
            with_error(SocketError::Unreachable, syn_sent()),
            departs(DeviationId::SoftIcmpAbortsConnect),
        )
        .because(CloseCause::IcmpAbort);
    Story::active("a port unreachable is a hard error, which may end it")
        .step(CL, SS, fresh(), ok(Code::R12))
        .step(SS, CL, with_error(SocketError::Refused, syn_sent()), ok(Code::R6))
        .because(CloseCause::IcmpRefused);
}

#[test]
fn s17_s53_no_port_left() {
    Story::active("client")
        .step(CL, SS, fresh(), ok(Code::R12))
        .step(SS, CL, fresh(), ok(Code::R6))
        .because(CloseCause::ConnectFailed);
}

#[test]
fn no_port_left_for_a_socket_that_is_used_again() {
    // Its last connection ended with its FIN unacknowledged; tcp_disconnect moves the queue past the old window.
    let last = Evidence { una: 700, nxt: 701, write_seq: 701 + 65_535 + 2, ..fresh() };
    Story::active("connect() fails before the next SYN")
        .step(CL, SS, last, ok(Code::R12))
        .step(SS, CL, last, ok(Code::R6))
        .because(CloseCause::ConnectFailed);
    Story::active("a deferred open is closed before the next SYN")
        .step(CL, SS, last, ok(Code::R12))
        .step(SS, CL, closing(last), departs(DeviationId::SynSentWithoutSyn))
        .because(CloseCause::SynNeverSent);
}

#[test]
fn s19_close_or_shutdown_while_connecting() {
    for gives_up in [closing(syn_sent()), by_user(syn_sent())] {
        Story::active("client")
            .step(CL, SS, fresh(), ok(Code::R12))
            .step(SS, CL, gives_up, ok(Code::R6))
            .because(CloseCause::ConnectAbandoned);
    }
}

#[test]
fn s20_disconnect_and_connect_again() {
    Story::connected("client")
        .step(EST, CL, by_user(established()), ok(Code::R2))
        .because(CloseCause::Disconnect)
        .noting(DeviationId::ResetSenderSkipsTimeWait)
        .step(CL, SS, with_error(SocketError::Reset, fresh()), ok(Code::R12))
        .step(SS, EST, shaken(), ok(Code::R4));
}

#[test]
fn a_disconnect_is_no_close_whatever_the_socket_was_set_to() {
    let lingers = Evidence { linger: true, linger_zero: true, ..by_user(established()) };
    for evidence in [lingers, with_unread(by_user(established()))] {
        Story::connected("client").step(EST, CL, evidence, ok(Code::R2)).because(CloseCause::Disconnect);
    }
}

#[test]
fn s21_a_listener_stops_and_starts() {
    Story::new("listener")
        .step(CL, LI, fresh(), ok(Code::R13))
        .step(LI, CL, by_user(fresh()), ok(Code::R16))
        .step(CL, LI, fresh(), ok(Code::R13))
        .step(LI, CL, closing(fresh()), ok(Code::R16))
        .because(CloseCause::ListenerClosed);
}

// Resets and aborts.

#[test]
fn s22_reset_in_each_synchronized_state() {
    let reset = |evidence| with_error(SocketError::Reset, evidence);
    let established = Story::connected("EST").reset_arrives();
    established.step(EST, CL, reset(linux_common::established()), ok(Code::R2));
    let close_wait = Story::closed_second("CW").reset_arrives();
    close_wait.step(CW, CL, with_error(SocketError::BrokenPipe, linux_common::close_wait()), ok(Code::R2));
    let fin_wait_1 = Story::closed_first("FW1").reset_arrives();
    fin_wait_1.step(FW1, CL, reset(orphaned(linux_common::fin_wait_1())), ok(Code::R2));
    Story::closed_first("FW2")
        .step(FW1, FW2, by_user(orphaned(fin_wait_2())), ok(Code::R10))
        .reset_arrives()
        .step(FW2, CL, reset(orphaned(fin_wait_2())), ok(Code::R2));
    Story::closed_second("LA")
        .step(CW, LA, closing(linux_common::close_wait()), ok(Code::R14))
        .reset_arrives()
        .step(LA, CL, reset(orphaned(last_ack())), ok(Code::R2));
    Story::closed_first("CG")
        .step(FW1, CG, orphaned(crossed_fins()), ok(Code::R11))
        .reset_arrives()
        .step(CG, CL, reset(orphaned(crossed_fins())), ok(Code::R2))
        .because(CloseCause::ResetReceived);
}

#[test]
fn a_reset_whose_hook_did_not_fire_is_told_by_its_error() {
    Story::connected("EST")
        .step(EST, CL, with_error(SocketError::Reset, established()), ok(Code::R2))
        .because(CloseCause::ResetReceived);
    Story::closed_first("orphan")
        .step(FW1, CL, orphaned(with_error(SocketError::Reset, fin_wait_1())), ok(Code::R2))
        .because(CloseCause::ResetReceived);
    Story::closed_second("CW has an error of its own")
        .step(CW, CL, with_error(SocketError::BrokenPipe, close_wait()), ok(Code::R2))
        .because(CloseCause::ResetReceived);
    Story::connected("in the hands of a task")
        .step(EST, CL, by_user(with_error(SocketError::Reset, established())), ok(Code::R2))
        .because(CloseCause::ResetReceived);
    Story::active("no reset hook, so no difference to ICMP")
        .remember(|history| history.resets_visible = false)
        .step(CL, SS, fresh(), ok(Code::R12))
        .step(SS, CL, with_error(SocketError::Refused, syn_sent()), ok(Code::R6))
        .because(CloseCause::ResetReceived);
}

#[test]
fn s25_close_with_linger_zero() {
    let linger = |evidence| Evidence { linger: true, linger_zero: true, ..closing(evidence) };
    Story::connected("EST")
        .step(EST, CL, linger(established()), ok(Code::R2))
        .because(CloseCause::LingerZero)
        .noting(DeviationId::ResetSenderSkipsTimeWait);
    Story::closed_second("CW")
        .step(CW, CL, linger(close_wait()), ok(Code::R2))
        .because(CloseCause::LingerZero);
}

#[test]
fn s26_close_with_unread_data() {
    Story::connected("EST")
        .step(EST, CL, with_unread(closing(established())), ok(Code::R2))
        .because(CloseCause::UnreadData)
        .noting(DeviationId::UnreadDataReset);
    Story::closed_second("CW")
        .step(CW, CL, with_unread(closing(close_wait())), ok(Code::R2))
        .because(CloseCause::UnreadData);
    Story::connected("FW2")
        .step(EST, FW1, shut_write(established()), ok(Code::R1))
        .step(FW1, FW2, fin_wait_2(), ok(Code::R10))
        .step(FW2, CL, with_unread(closing(fin_wait_2())), ok(Code::R2))
        .because(CloseCause::UnreadData);
}

#[test]
fn s27_the_fin_alone_is_not_unread_data() {
    let everything_read = close_wait();
    assert_eq!(everything_read.rcv_nxt.wrapping_sub(everything_read.copied_seq), 1);
    Story::closed_second("client").ends_in_last_ack();
    // Had it been closed at once, one number behind would not explain it.
    Story::closed_second("client").step(CW, CL, closing(close_wait()), unknown(Inconclusive::Unclassified));
}

#[test]
fn s28_listener_closes_with_two_children_waiting() {
    let waiting = |evidence| Evidence { has_user_socket: Some(false), ..evidence };
    Story::accepted("EST")
        .step(EST, CL, waiting(established()), ok(Code::R2))
        .because(CloseCause::UnacceptedDropped);
    Story::accepted("CW")
        .step(EST, CW, waiting(close_wait()), ok(Code::R3))
        .step(CW, CL, waiting(close_wait()), ok(Code::R2))
        .because(CloseCause::UnacceptedDropped);
}

// Servers.

#[test]
fn s30_accepted_after_the_queue_had_room_again() {
    let late = Evidence { retransmits: 1, ..child() };
    Story::passive("server").step(LI, SR, newborn(), ok(Code::C4)).step(SR, EST, late, ok(Code::R7));
}

#[test]
fn s32_syncookie() {
    Story::fast_open_child("no request")
        .step(LI, SR, newborn(), ok(Code::C4))
        .walks("LISTEN -> SYN-RECEIVED")
        .step(SR, EST, child(), ok(Code::R7))
        .walks("SYN-RECEIVED -> ESTABLISHED");
}

#[test]
fn s33_fast_open_child_answers_before_the_handshake_ends() {
    let answered = Evidence {
        has_user_socket: Some(true),
        nxt: ISS.wrapping_add(51),
        write_seq: ISS.wrapping_add(51),
        copied_seq: IRS.wrapping_add(1),
        rcv_nxt: IRS.wrapping_add(11),
        ..child()
    };
    Story::fast_open_child("server").step(LI, SR, newborn(), ok(Code::C4)).step(
        SR,
        EST,
        answered,
        ok(Code::R7),
    );
}

#[test]
fn s34_fast_open_child_closed_before_the_handshake_ends() {
    Story::fast_open_child("server")
        .step(LI, SR, newborn(), ok(Code::C4))
        .step(SR, FW1, closing(shaken()), ok(Code::R8))
        .ends_in_time_wait();
    let answered = Evidence { write_seq: ISS.wrapping_add(51), nxt: ISS.wrapping_add(51), ..shaken() };
    Story::fast_open_child("server that had answered")
        .step(LI, SR, newborn(), ok(Code::C4))
        .step(SR, FW1, closing(answered), departs(DeviationId::SynReceivedCloseWithData))
        .walks("SYN-RECEIVED -> FIN-WAIT-1");
}

#[test]
fn s35_fast_open_child_that_never_gets_there() {
    let born = |name| Story::fast_open_child(name).step(LI, SR, newborn(), ok(Code::C4));
    born("closed with unread data")
        .step(SR, CL, with_unread(closing(shaken())), ok(Code::R9))
        .because(CloseCause::UnreadData);
    born("reset")
        .reset_arrives()
        .step(SR, CL, with_error(SocketError::Reset, shaken()), ok(Code::C3))
        .walks("SYN-RECEIVED -> LISTEN");
    born("no ACK")
        .step(SR, CL, with_error(SocketError::TimedOut, shaken()), ok(Code::R9))
        .because(CloseCause::TimedOut);
    born("listener closed")
        .remember(|history| history.listener_closed = true)
        .step(SR, CL, child(), ok(Code::R9))
        .because(CloseCause::UnacceptedDropped);
    born("ICMP").step(
        SR,
        CL,
        with_error(SocketError::Unreachable, child()),
        departs(DeviationId::SoftIcmpAbortsConnect),
    );
}

#[test]
fn a_child_that_cannot_be_set_up_goes_without_a_trace() {
    Story::passive("lost the race for its addresses")
        .step(LI, SR, newborn(), ok(Code::C4))
        .step(SR, CL, child(), ok(Code::C3))
        .because(CloseCause::ChildDiscarded)
        .walks("SYN-RECEIVED -> LISTEN");
    Story::passive("no route, no memory")
        .step(LI, SR, newborn(), ok(Code::C4))
        .step(SR, CL, Evidence { dead: true, ..child() }, ok(Code::C3))
        .because(CloseCause::ChildDiscarded);
}

#[test]
fn s36_fast_open_child_shut_down_before_the_handshake_ends() {
    Story::fast_open_child("server")
        .step(LI, SR, newborn(), ok(Code::C4))
        .step(SR, EST, Evidence { send_shutdown: true, ..shaken() }, ok(Code::R7))
        .step(EST, FW1, Evidence { send_shutdown: true, ..shaken() }, ok(Code::R1));
}

#[test]
fn s37_fast_open_client() {
    let data_not_acknowledged = Evidence {
        fast_open: Some(true),
        nxt: ISS.wrapping_add(31),
        write_seq: ISS.wrapping_add(31),
        ..shaken()
    };
    Story::active("data in the SYN").step(CL, SS, fresh(), ok(Code::R12)).step(
        SS,
        EST,
        data_not_acknowledged,
        ok(Code::R4),
    );
    Story::active("deferred, then closed: no SYN ever")
        .step(CL, SS, fresh(), ok(Code::R12))
        .step(SS, CL, closing(fresh()), departs(DeviationId::SynSentWithoutSyn))
        .because(CloseCause::SynNeverSent);
}

// Simultaneous opens.

#[test]
fn s38_s39_s40_crossed_syns() {
    let crossed = |name| {
        Story::active(name)
            .step(CL, SS, fresh(), ok(Code::R12))
            .step(SS, SR, syn_sent(), ok(Code::R5))
            .walks("SYN-SENT -> SYN-RECEIVED")
    };
    crossed("established").step(SR, EST, shaken(), ok(Code::R7));
    crossed("closed").step(SR, FW1, closing(syn_sent()), ok(Code::R8)).ends_in_time_wait();
    crossed("reset")
        .reset_arrives()
        .step(SR, CL, with_error(SocketError::Reset, syn_sent()), ok(Code::R9))
        .walks("SYN-RECEIVED -> CLOSED");
    crossed("timed out").step(SR, CL, with_error(SocketError::TimedOut, syn_sent()), ok(Code::R9));
    crossed("port unreachable")
        .step(SR, CL, with_error(SocketError::Refused, syn_sent()), ok(Code::R9))
        .because(CloseCause::IcmpRefused);
}

#[test]
fn s41_a_socket_connected_to_itself() {
    Story::active("one socket, both sides")
        .step(CL, SS, fresh(), ok(Code::R12))
        .step(SS, SR, by_user(syn_sent()), ok(Code::R5))
        .step(SR, EST, by_user(shaken()), ok(Code::R7))
        .step(EST, FW1, closing(established()), ok(Code::R1))
        .step(FW1, CG, orphaned(crossed_fins()), ok(Code::R11))
        .minisocket(TimeWaitKind::TimeWait)
        .step(CG, CL, orphaned(peer_fin(fin_wait_2())), ok(Code::C1));
}

// Time-outs, orphans, limits.

#[test]
fn s42_repair() {
    let repair = |evidence| Evidence { repair: Some(true), ..evidence };
    Story::active("restored")
        .step(CL, SS, repair(fresh()), ok(Code::R12))
        .step(SS, EST, repair(by_user(shaken())), departs(DeviationId::TcpRepair))
        .step(EST, CL, repair(closing(established())), departs(DeviationId::TcpRepair))
        .because(CloseCause::Repair);
}

#[test]
fn s43_s44_the_peer_goes_silent() {
    let silent = with_error(SocketError::TimedOut, Evidence { retransmits: 6, ..established() });
    Story::connected("user timeout").step(EST, CL, silent, ok(Code::R2)).because(CloseCause::TimedOut);
    Story::connected("keep-alive")
        .reset_sent(ResetReason::KeepaliveTimeout)
        .step(EST, CL, silent, ok(Code::R2))
        .because(CloseCause::KeepaliveTimedOut);
    let unreachable = Evidence { soft_error: SocketError::Unreachable, ..silent };
    Story::connected("the soft error is reported instead")
        .step(EST, CL, with_error(SocketError::Unreachable, unreachable), ok(Code::R2))
        .because(CloseCause::TimedOut);
    Story::connected("the timer had to wait for close()")
        .step(EST, CL, closing(with_error(SocketError::Unreachable, unreachable)), ok(Code::R2))
        .because(CloseCause::TimedOut);
}

#[test]
fn s45_orphans_give_up_early() {
    let silent = |evidence| orphaned(with_error(SocketError::TimedOut, evidence));
    Story::closed_first("FW1")
        .step(FW1, CL, silent(fin_wait_1()), departs(DeviationId::OrphanRetries))
        .because(CloseCause::OrphanTimedOut);
    Story::closed_second("LA").step(CW, LA, closing(close_wait()), ok(Code::R14)).step(
        LA,
        CL,
        silent(last_ack()),
        departs(DeviationId::OrphanRetries),
    );
    Story::closed_first("out of memory says so").reset_sent(ResetReason::AbortOnMemory).step(
        FW1,
        CL,
        silent(fin_wait_1()),
        departs(DeviationId::OrphanLimit),
    );
}

#[test]
fn s46_too_many_orphans() {
    Story::closed_first("in close()")
        .step(FW1, CL, by_user(orphaned(fin_wait_1())), departs(DeviationId::OrphanLimit))
        .because(CloseCause::OrphanKilled);
    Story::closed_second("in close()").step(CW, LA, closing(close_wait()), ok(Code::R14)).step(
        LA,
        CL,
        by_user(orphaned(last_ack())),
        departs(DeviationId::OrphanLimit),
    );
    Story::closed_first("by the timer").reset_sent(ResetReason::AbortOnMemory).step(
        FW1,
        CL,
        orphaned(fin_wait_1()),
        departs(DeviationId::OrphanLimit),
    );
    Story::closed_second("namespace gone: no reset").step(CW, LA, closing(close_wait()), ok(Code::R14)).step(
        LA,
        CL,
        orphaned(last_ack()),
        departs(DeviationId::OrphanLimit),
    );
    Story::closed_first("in FIN-WAIT-2")
        .step(FW1, FW2, orphaned(fin_wait_2()), ok(Code::R10))
        .reset_sent(ResetReason::AbortOnMemory)
        .step(FW2, CL, orphaned(fin_wait_2()), departs(DeviationId::OrphanLimit));
}

#[test]
fn s47_no_room_for_time_wait() {
    Story::closed_first("a FIN was consumed, so TIME-WAIT was due")
        .step(FW1, FW2, orphaned(fin_wait_2()), ok(Code::R10))
        .step(FW2, CL, orphaned(peer_fin(fin_wait_2())), departs(DeviationId::TimeWaitOverflow))
        .because(CloseCause::TimeWaitSkipped)
        .walks("FIN-WAIT-2 -> TIME-WAIT, TIME-WAIT -> CLOSED");
    Story::closed_first("simultaneous close")
        .step(FW1, CG, orphaned(crossed_fins()), ok(Code::R11))
        .step(CG, CL, orphaned(peer_fin(fin_wait_2())), departs(DeviationId::TimeWaitOverflow))
        .walks("CLOSING -> TIME-WAIT, TIME-WAIT -> CLOSED");
    Story::connected("close() in FIN-WAIT-2")
        .step(EST, FW1, shut_write(established()), ok(Code::R1))
        .step(FW1, FW2, fin_wait_2(), ok(Code::R10))
        .step(FW2, FW2, closing(fin_wait_2()), ok(Code::S))
        .step(FW2, CL, by_user(orphaned(fin_wait_2())), departs(DeviationId::TimeWaitOverflow))
        .walks("FIN-WAIT-2 -> CLOSED");
    Story::closed_first("close() waits for the ACK of our FIN (SO_LINGER)")
        .step(FW1, FW2, fin_wait_2(), ok(Code::R10))
        .step(FW2, CL, by_user(orphaned(fin_wait_2())), departs(DeviationId::TimeWaitOverflow))
        .because(CloseCause::TimeWaitSkipped);
}

#[test]
fn no_room_or_late_data_cannot_be_told_without_the_reset_that_follows() {
    let acknowledged = |name| Story::closed_first(name).step(FW1, FW2, orphaned(fin_wait_2()), ok(Code::R10));
    acknowledged("judged at once").step(FW2, CL, orphaned(fin_wait_2()), unknown(Inconclusive::Unclassified));
    acknowledged("judged when the reset is known")
        .reset_sent(ResetReason::AbortOnData)
        .step(FW2, CL, orphaned(fin_wait_2()), ok(Code::R2))
        .because(CloseCause::LateData);
}

#[test]
fn without_the_timer_hooks_the_fields_tell_time_wait() {
    let blind = |name| Story::closed_first(name).remember(|history| history.timewait_visible = false);
    blind("FIN consumed").step(FW1, FW2, orphaned(fin_wait_2()), ok(Code::R10)).step(
        FW2,
        CL,
        orphaned(peer_fin(fin_wait_2())),
        ok(Code::C1),
    );
    blind("no FIN yet").step(FW1, FW2, orphaned(fin_wait_2()), ok(Code::R10)).step(
        FW2,
        CL,
        orphaned(fin_wait_2()),
        ok(Code::C2),
    );
    blind("simultaneous").step(FW1, CG, orphaned(crossed_fins()), ok(Code::R11)).step(
        CG,
        CL,
        orphaned(peer_fin(fin_wait_2())),
        ok(Code::C1),
    );
    blind("neither timers nor resets to see")
        .remember(|history| history.resets_visible = false)
        .step(FW1, FW2, orphaned(fin_wait_2()), ok(Code::R10))
        .step(FW2, CL, orphaned(fin_wait_2()), unknown(Inconclusive::MissingHook));
}

// The rest.

#[test]
fn s50_s52_the_next_connection_is_a_life_of_its_own() {
    Story::accepted("new SYN into TIME-WAIT").step(EST, CW, close_wait(), ok(Code::R3)).ends_in_last_ack();
    Story::closed_first("connect() took the ports").ends_in_time_wait();
}

#[test]
fn s55_destroyed_from_outside() {
    let destroyed = |evidence| by_user(with_error(SocketError::Aborted, evidence));
    Story::connected("EST")
        .reset_sent(ResetReason::TcpState)
        .step(EST, CL, destroyed(established()), ok(Code::R2))
        .because(CloseCause::AdministrativeAbort)
        .noting(DeviationId::ResetSenderSkipsTimeWait);
    Story::active("SS")
        .step(CL, SS, fresh(), ok(Code::R12))
        .step(SS, CL, destroyed(syn_sent()), ok(Code::R6))
        .because(CloseCause::AdministrativeAbort);
    Story::new("listener")
        .step(CL, LI, fresh(), ok(Code::R13))
        .step(LI, CL, fresh(), ok(Code::R16))
        .step(CL, CL, destroyed(fresh()), departs(DeviationId::AbortRepeatsClose))
        .because(CloseCause::AbortRepeated)
        .walks("");
}

#[test]
fn s57_data_after_close() {
    Story::closed_first("FW1")
        .reset_arrives()
        .remember(|history| history.reset_bit = Some(false))
        .step(FW1, CL, orphaned(with_error(SocketError::Reset, fin_wait_1())), ok(Code::R2))
        .because(CloseCause::LateData);
    Story::closed_first("FW2, the reset that followed is known")
        .step(FW1, FW2, by_user(orphaned(fin_wait_2())), ok(Code::R10))
        .reset_arrives()
        .reset_sent(ResetReason::AbortOnData)
        .step(FW2, CL, orphaned(with_error(SocketError::Reset, fin_wait_2())), ok(Code::R2))
        .because(CloseCause::LateData);
    Story::closed_first("the segment was not seen")
        .reset_arrives()
        .step(FW1, CL, orphaned(with_error(SocketError::Reset, fin_wait_1())), ok(Code::R2))
        .because(CloseCause::ResetReceived);
}

#[test]
fn s59_mptcp_subflows() {
    let subflow = |evidence| Evidence { is_mptcp: true, ..evidence };
    Story::active("closed by a worker")
        .step(CL, SS, subflow(fresh()), ok(Code::R12))
        .step(SS, EST, subflow(shaken()), ok(Code::R4))
        .step(EST, FW1, subflow(closing(established())), ok(Code::R1))
        .step(FW1, FW1, subflow(closing(fin_wait_1())), ok(Code::S))
        .step(FW1, FW2, subflow(orphaned(fin_wait_2())), ok(Code::R10))
        .minisocket(TimeWaitKind::FinWait2)
        .step(FW2, CL, subflow(orphaned(fin_wait_2())), ok(Code::C2));
    Story::active("closed directly")
        .step(CL, SS, subflow(fresh()), ok(Code::R12))
        .step(SS, EST, subflow(shaken()), ok(Code::R4))
        .step(EST, CL, subflow(closing(established())), ok(Code::R2))
        .because(CloseCause::MptcpAbort)
        .step(CL, CL, subflow(closing(fresh())), departs(DeviationId::AbortRepeatsClose));
}

#[test]
fn s62_s63_answers_after_retransmissions() {
    let late = |evidence| Evidence { retransmits: 2, ..evidence };
    Story::active("client").step(CL, SS, fresh(), ok(Code::R12)).step(SS, EST, late(shaken()), ok(Code::R4));
    Story::passive("server").step(LI, SR, newborn(), ok(Code::C4)).step(SR, EST, late(child()), ok(Code::R7));
}

#[test]
fn s64_listen_on_a_taken_port() {
    Story::new("listener")
        .step(CL, LI, fresh(), ok(Code::R13))
        .remember(|history| history.same_call = true)
        .step(LI, CL, fresh(), ok(Code::C5))
        .because(CloseCause::ListenRolledBack);
}

#[test]
fn s66_the_fin_waits_behind_data() {
    let behind = |evidence: Evidence| Evidence {
        nxt: evidence.write_seq.wrapping_sub(40),
        una: evidence.write_seq.wrapping_sub(40),
        ..evidence
    };
    Story::connected("closed first: the RFC enters FIN-WAIT-1 in any case")
        .step(EST, FW1, closing(behind(established())), ok(Code::R1))
        .noting(DeviationId::FinWait1FinUnsent)
        .reset_arrives()
        .step(FW1, CL, orphaned(with_error(SocketError::Reset, behind(fin_wait_1()))), ok(Code::R2));
    Story::closed_second("closed second: the RFC would stay in CLOSE-WAIT")
        .step(CW, LA, closing(behind(close_wait())), departs(DeviationId::LastAckFinUnsent))
        .walks("CLOSE-WAIT -> LAST-ACK");
}

#[test]
fn s67_an_old_icmp_error_does_not_spoil_an_orderly_close() {
    let stale = |evidence| with_error(SocketError::Unreachable, evidence);
    Story::closed_second("IP_RECVERR")
        .step(CW, LA, stale(closing(close_wait())), ok(Code::R14))
        .step(LA, CL, stale(orphaned(last_ack_acknowledged())), ok(Code::R15))
        .because(CloseCause::FinAcknowledged);
    Story::connected("unread data all the same")
        .step(EST, CL, stale(with_unread(closing(established()))), ok(Code::R2))
        .because(CloseCause::UnreadData);
}

#[test]
fn s68_close_in_last_ack() {
    Story::closed_second("server")
        .step(CW, LA, shut_write(close_wait()), ok(Code::R14))
        .step(LA, LA, closing(last_ack()), ok(Code::S))
        .step(LA, CL, orphaned(last_ack_acknowledged()), ok(Code::R15));
}

#[test]
fn s70_the_last_ack_of_the_handshake_brings_data_and_a_fin() {
    Story::accepted("server").step(
        EST,
        CW,
        Evidence { has_user_socket: Some(false), ..close_wait() },
        ok(Code::R3),
    );
}

#[test]
fn s74_fin_wait_2_only_when_the_fin_is_acknowledged() {
    Story::closed_first("client")
        .step(FW1, FW2, orphaned(fin_wait_2()), ok(Code::R10))
        .walks("FIN-WAIT-1 -> FIN-WAIT-2");
}

#[test]
fn s76_reset_while_waiting_to_be_accepted() {
    let waiting = Evidence { has_user_socket: Some(false), ..established() };
    Story::accepted("server")
        .reset_arrives()
        .step(EST, CL, with_error(SocketError::Reset, waiting), ok(Code::R2))
        .because(CloseCause::ResetReceived);
}

#[test]
fn s77_a_lingering_close_is_not_an_orphan_yet() {
    let lingers = |evidence| Evidence { linger: true, ..closing(evidence) };
    Story::connected("client").step(EST, FW1, lingers(established()), ok(Code::R1)).ends_in_time_wait();
}

#[test]
fn the_last_ack_may_be_handled_inside_close() {
    Story::closed_second("client").step(CW, LA, closing(close_wait()), ok(Code::R14)).step(
        LA,
        CL,
        by_user(orphaned(last_ack_acknowledged())),
        ok(Code::R15),
    );
    Story::connected("FIN handled by a task that only reads")
        .step(EST, FW1, shut_write(established()), ok(Code::R1))
        .step(FW1, FW2, by_user(fin_wait_2()), ok(Code::R10))
        .minisocket(TimeWaitKind::TimeWait)
        .step(FW2, CL, by_user(peer_fin(fin_wait_2())), ok(Code::C1));
}

#[test]
fn disconnect_after_both_directions_were_shut_down() {
    Story::connected("FW2")
        .step(EST, FW1, closing(established()), ok(Code::R1))
        .step(FW1, FW2, Evidence { receive_shutdown: true, ..fin_wait_2() }, ok(Code::R10))
        .step(FW2, CL, closing(fin_wait_2()), ok(Code::R2))
        .because(CloseCause::Disconnect);
    Story::closed_second("LA")
        .step(CW, LA, shut_write(close_wait()), ok(Code::R14))
        .step(LA, CL, by_user(last_ack()), ok(Code::R2))
        .because(CloseCause::Disconnect);
}

// What is not known is said.

#[test]
fn a_missing_record_is_a_loss_not_a_violation() {
    Story::connected("FW1 was lost")
        .step(FW1, FW2, fin_wait_2(), unknown(Inconclusive::LostEvent))
        .minisocket(TimeWaitKind::TimeWait)
        .step(FW2, CL, peer_fin(fin_wait_2()), ok(Code::C1));
    Story::active("first seen half-way").step(SS, EST, shaken(), unknown(Inconclusive::LostEvent));
    Story::new("a listener whose beginning was lost").step(
        LI,
        CL,
        closing(fresh()),
        unknown(Inconclusive::LostEvent),
    );
    Story::connected("lost, and then an impossible pair").step(
        LA,
        EST,
        last_ack(),
        unknown(Inconclusive::LostEvent),
    );
}

#[test]
fn an_adopted_socket_is_judged_from_its_second_transition_on() {
    let adopted = |name| Story::new(name).remember(|history| history.adopted = true);
    adopted("client")
        .step(EST, FW1, closing(established()), unknown(Inconclusive::Adopted))
        .ends_in_time_wait();
    adopted("reset")
        .reset_arrives()
        .step(EST, CL, with_error(SocketError::Reset, established()), unknown(Inconclusive::Adopted))
        .because(CloseCause::ResetReceived);
    adopted("an impossible pair").step(EST, LI, established(), unknown(Inconclusive::Adopted));
}

#[test]
fn a_close_that_nothing_explains_is_unclassified() {
    let stranger = unknown(Inconclusive::Unclassified);
    Story::connected("a segment closed it").step(EST, CL, established(), stranger);
    Story::connected("closed, all read, no linger").step(EST, CL, closing(established()), stranger);
    Story::active("connecting").step(CL, SS, fresh(), ok(Code::R12)).step(SS, CL, syn_sent(), stranger);
    Story::new("listener").step(CL, LI, fresh(), ok(Code::R13)).step(
        LI,
        CL,
        Evidence { owner: Some(Owner::Softirq), ..fresh() },
        stranger,
    );
    Story::new("closed").step(CL, CL, fresh(), stranger);
    Story::active("crossed SYNs")
        .step(CL, SS, fresh(), ok(Code::R12))
        .step(SS, SR, syn_sent(), ok(Code::R5))
        .step(SR, CL, syn_sent(), stranger);
    Story::connected("an orphan that is not closing").step(
        EST,
        CL,
        by_user(orphaned(established())),
        stranger,
    );
    let owner_unknown = Evidence { owner: None, ..established() };
    Story::connected("nobody knows who").step(EST, CL, owner_unknown, unknown(Inconclusive::MissingHook));
}

#[test]
fn the_origin_of_an_adopted_child_is_not_guessed() {
    Story::new("server")
        .remember(|history| history.origin = None)
        .step(LI, SR, newborn(), ok(Code::C4))
        .reset_arrives()
        .step(SR, CL, with_error(SocketError::Reset, child()), ok(Code::R9))
        .walks("SYN-RECEIVED -> CLOSED");
    Story::active("simultaneous").remember(|history| history.origin = Some(Origin::Active)).step(
        CL,
        SS,
        fresh(),
        ok(Code::R12),
    );
}
