//! What Linux does in detail, told as conversations: under the profile that has the switch they conform, under `linux` the
//! switch is named as a departure, and where departures are not allowed a rule is broken.

use model::event::IcmpError;
use model::oracle::{Departures, Tap, Verdict, Violation};
use model::profile::{LINUX, LINUX_IN_DETAIL, RFC9293_INTENT};
use model::story::{Fate, Pair, Side};
use model::{Call, Config, Flags, Oracle, Profile, Segment};

use crate::trace;

/// The verdicts on one end of a conversation that was played by Linux in detail.
fn judge(play: fn(&mut Pair) -> Side, profile: &Profile, allowed: Departures) -> Vec<Verdict> {
    judge_played_by(&LINUX_IN_DETAIL, play, profile, allowed)
}

fn judge_played_by(
    kernel: &Profile,
    play: fn(&mut Pair) -> Side,
    profile: &Profile,
    allowed: Departures,
) -> Vec<Verdict> {
    let mut pair = Pair::new(*kernel);
    let side = play(&mut pair);
    let mut oracle = Oracle::<{ trace::PLACES }>::new(profile, Tap::FULL).allowing(allowed);
    trace::of(&pair, side).iter().map(|observation| oracle.observe(observation)).collect()
}

/// The names of the departures, when nothing else is wrong.
#[track_caller]
#[expect(clippy::panic, reason = "a test's helper")]
fn named(play: fn(&mut Pair) -> Side, profile: &Profile) -> String {
    let mut all = Departures::NONE;
    for verdict in judge(play, profile, Departures::ALL) {
        match verdict {
            Verdict::Conforming(_) => {}
            Verdict::Deviation(departures, _) => all = all.with(departures),
            _ => panic!("{}: {verdict}", profile.name),
        }
    }
    all.to_string()
}

/// How it is broken where departures are not allowed.
#[track_caller]
fn broken(play: fn(&mut Pair) -> Side, profile: &Profile) -> String {
    let verdicts = judge(play, profile, Departures::NONE);
    let violation: Option<&Violation> = verdicts.iter().find_map(|verdict| match verdict {
        Verdict::Violation(violation) => Some(violation),
        _ => None,
    });
    violation.map(ToString::to_string).unwrap_or_default()
}

#[track_caller]
fn departs(name: &str, violation: &str, play: fn(&mut Pair) -> Side) {
    assert_eq!(named(play, &LINUX_IN_DETAIL), "-");
    assert_eq!(named(play, &LINUX), name);
    // The profile without the switch alone, too.
    let switch = Departures::named(name).unwrap_or_default();
    assert_eq!(named(play, &switch.apply(&LINUX_IN_DETAIL)), name);
    for profile in [LINUX, RFC9293_INTENT] {
        assert_eq!(broken(play, &profile), violation, "{}", profile.name);
    }
}

/// What some kernels do, mostly older ones: a switch that is off in the profile.
#[track_caller]
fn departs_in_some_kernels(name: &str, violation: &str, play: fn(&mut Pair) -> Side) {
    let habit = Departures::named(name).unwrap_or_default();
    let with_habit = habit.apply(&LINUX_IN_DETAIL);
    let judged = |profile: &Profile, allowed| judge_played_by(&with_habit, play, profile, allowed);
    let conforms = |verdict: &Verdict| matches!(verdict, Verdict::Conforming(_));
    assert!(judged(&with_habit, Departures::NONE).iter().all(conforms));
    let named: Vec<_> = judged(&LINUX_IN_DETAIL, habit)
        .into_iter()
        .filter_map(|verdict| match verdict {
            Verdict::Deviation(departures, _) => Some(departures),
            _ => None,
        })
        .collect();
    assert_eq!(named, [habit]);
    // A kernel without the habit that did it would be found out.
    let broken = judged(&LINUX_IN_DETAIL, Departures::NONE).iter().find_map(|verdict| match verdict {
        Verdict::Violation(violation) => Some(violation.to_string()),
        _ => None,
    });
    assert_eq!(broken.as_deref(), Some(violation));
}

/// Where the RFC's own throttle leaves it to the endpoint whether it answers (RFC 5961, section 7).
#[track_caller]
fn departs_from_linux(name: &str, violation: &str, play: fn(&mut Pair) -> Side) {
    for profile in [LINUX_IN_DETAIL, RFC9293_INTENT] {
        assert_eq!(named(play, &profile), "-", "{}", profile.name);
    }
    assert_eq!(named(play, &LINUX), name);
    assert_eq!(broken(play, &LINUX), violation);
}

/// What every Linux does, not only in detail.
#[track_caller]
fn departs_from_the_rfc(name: &str, violation: &str, play: fn(&mut Pair) -> Side) {
    for profile in [LINUX_IN_DETAIL, LINUX] {
        assert_eq!(named(play, &profile), "-", "{}", profile.name);
    }
    assert_eq!(named(play, &RFC9293_INTENT), name);
    assert_eq!(broken(play, &RFC9293_INTENT), violation);
}

/// Nothing that this end sends arrives.
fn unheard(pair: &mut Pair, side: Side) {
    pair.fates(side, &[Fate::Lost; 30]);
}

#[test]
fn keep_alives_that_give_up_reset() {
    departs(
        "keep_alive_resets",
        "in CLOSED: a reset that nothing asked for; rules tmo-keep abort-3",
        |pair| {
            pair.call(Side::B, Call::listen(Pair::CONFIG));
            pair.call(Side::A, Call::connect(Config { keep_alive: Some(20_000_000), ..Pair::CONFIG }));
            pair.settle();
            unheard(pair, Side::A);
            pair.run_for(800_000_000);
            Side::A
        },
    );
}

#[test]
fn a_request_checks_the_ack_before_the_number() {
    departs(
        "half_open_requests",
        "in SYN-RECEIVED: a reset that nothing asked for; rules seq-3 abort-3",
        |pair| {
            unheard(pair, Side::B);
            pair.call(Side::B, Call::listen(Pair::CONFIG));
            pair.inject(Side::B, Segment::new(Flags::SYN, 100, 0));
            pair.inject(Side::B, Segment::new(Flags::ACK, 90_000, 77_777));
            pair.inject(Side::B, Segment::new(Flags::ACK, 101, 301));
            Side::B
        },
    );
}

#[test]
fn an_ack_of_the_iss_completes_a_simultaneous_open() {
    departs("handshake_by_old_ack", "in SYN-RECEIVED: nothing leads to ESTABLISHED; rules ack-3", |pair| {
        unheard(pair, Side::A);
        pair.call(Side::A, Call::connect(Pair::CONFIG));
        pair.inject(Side::A, Segment::new(Flags::SYN, 300, 0));
        pair.inject(Side::A, Segment::new(Flags::ACK, 301, 100));
        Side::A
    });
}

#[test]
fn older_kernels_refuse_a_fin_with_an_old_ack() {
    let violation = "in TIME-WAIT: ACK 301 instead of 302; rules ack-5 ack-9 fin-4";
    departs_in_some_kernels("old_ack_refused", violation, |pair| {
        pair.establish();
        pair.call(Side::A, Call::CLOSE);
        pair.inject(Side::A, Segment::new(Flags::ACK, 301, 102));
        pair.inject(Side::A, Segment::new(Flags::FIN_ACK, 301, 101));
        Side::A
    });
}

#[test]
fn older_kernels_do_not_answer_an_ack_of_what_was_never_sent() {
    departs_in_some_kernels(
        "unsent_ack_unanswered",
        "in ESTABLISHED: no challenge ACK of 301; rules ack-1",
        |pair| {
            pair.establish();
            pair.inject(Side::A, Segment::new(Flags::ACK, 301, 102));
            pair.run_for(2_000_000);
            pair.call(Side::A, Call::CLOSE);
            Side::A
        },
    );
}

#[test]
fn older_kernels_drop_a_half_open_request_for_any_reset_in_its_window() {
    let violation = "in SYN-RECEIVED: nothing leads to LISTEN; rules rst-1";
    departs_in_some_kernels("half_open_reset_in_window", violation, |pair| {
        unheard(pair, Side::B);
        pair.call(Side::B, Call::listen(Pair::CONFIG));
        pair.inject(Side::B, Segment::new(Flags::SYN, 100, 0));
        pair.inject(Side::B, Segment::new(Flags::RST, 102, 0));
        Side::B
    });
}

#[test]
fn older_kernels_send_although_the_window_was_closed_by_a_segment_of_the_same_number() {
    let violation = "in ESTABLISHED: text beyond the window: 0 octets fit; rules send-5";
    departs_in_some_kernels("closed_window_ignored", violation, |pair| {
        pair.establish();
        pair.inject(Side::A, Segment::new(Flags::ACK, 301, 101).window(1_000));
        pair.inject(Side::A, Segment::new(Flags::ACK, 301, 101).window(0));
        pair.call(Side::A, Call::send(10));
        Side::A
    });
}

#[test]
fn older_kernels_look_at_the_ack_of_text_at_the_edge_while_other_text_waits() {
    let violation = "in FIN-WAIT-1: nothing leads to FIN-WAIT-2; rules seq-3";
    departs_in_some_kernels("text_at_edge_counts", violation, |pair| {
        pair.establish();
        pair.inject(Side::A, Segment::new(Flags::ACK, 301, 101).text(10));
        unheard(pair, Side::A);
        pair.call(Side::A, Call::CLOSE);
        let rcv = pair.end(Side::A).tcb.rcv;
        pair.inject(Side::A, Segment::new(Flags::ACK, (rcv.nxt + rcv.wnd).0, 102).text(10));
        Side::A
    });
}

#[test]
fn most_kernels_look_at_the_ack_of_a_fin_that_has_no_room_while_text_waits() {
    let violation = "in FIN-WAIT-1: nothing leads to FIN-WAIT-2; rules seq-3";
    departs_in_some_kernels("fin_beyond_edge", violation, |pair| {
        pair.establish();
        pair.inject(Side::A, Segment::new(Flags::ACK, 301, 101).text(10));
        unheard(pair, Side::A);
        pair.call(Side::A, Call::CLOSE);
        let rcv = pair.end(Side::A).tcb.rcv;
        pair.inject(Side::A, Segment::new(Flags::FIN_ACK, (rcv.nxt + rcv.wnd).0, 102));
        Side::A
    });
}

#[test]
fn older_kernels_challenge_the_crossing_syn_ack() {
    departs_in_some_kernels(
        "figure_7",
        "in ESTABLISHED: no transition from SYN-RECEIVED to ESTABLISHED; rules seq-2g ack-2",
        |pair| {
            unheard(pair, Side::A);
            pair.call(Side::A, Call::connect(Pair::CONFIG));
            pair.inject(Side::A, Segment::new(Flags::SYN, 300, 0));
            pair.inject(Side::A, Segment::new(Flags::SYN_ACK, 300, 101));
            Side::A
        },
    );
}

#[test]
fn the_ack_of_text_that_was_there_before_counts() {
    departs("loose_edges", "in FIN-WAIT-1: nothing leads to FIN-WAIT-2; rules seq-3", |pair| {
        pair.establish();
        pair.inject(Side::A, Segment::new(Flags::ACK, 301, 101).text(10));
        pair.call(Side::A, Call::receive(10));
        pair.call(Side::A, Call::CLOSE);
        pair.inject(Side::A, Segment::new(Flags::ACK, 301, 102).text(10));
        Side::A
    });
}

#[test]
fn an_ack_of_what_was_before_the_connection_is_out_of_range() {
    let violation = "in ESTABLISHED: ACK 301 instead of 311; rules ack-5 txt-1";
    departs("ack_floor_by_acked", violation, |pair| {
        pair.establish();
        // The peer's window is known.
        pair.inject(Side::A, Segment::new(Flags::ACK, 301, 101));
        pair.inject(Side::A, Segment::new(Flags::ACK, 301, 50).text(10));
        Side::A
    });
}

#[test]
fn a_segment_without_the_agreed_timestamps_is_taken() {
    departs("timestamps_optional", "in ESTABLISHED: ACK 311 instead of 301; rules paws-2", |pair| {
        let config = Config { timestamps: true, ..Pair::CONFIG };
        pair.call(Side::B, Call::listen(config));
        pair.call(Side::A, Call::connect(config));
        pair.settle();
        pair.inject(Side::A, Segment::new(Flags::ACK, 301, 101).text(10));
        Side::A
    });
}

#[test]
fn text_behind_the_peers_fin_resets() {
    departs(
        "text_after_fin_resets",
        "in CLOSE-WAIT: nothing leads to CLOSED; rules seq-5 ack-5 ack-7 txt-3",
        |pair| {
            pair.establish();
            pair.inject(Side::A, Segment::new(Flags::FIN_ACK, 301, 101));
            pair.inject(Side::A, Segment::new(Flags::ACK, 301, 101).text(5));
            Side::A
        },
    );
}

#[test]
fn another_fin_behind_the_peers_fin_draws_no_ack() {
    departs(
        "second_fin_unanswered",
        "in CLOSE-WAIT: no ACK of 302; rules ack-5 ack-7 fin-5 tmo-dack",
        |pair| {
            pair.establish();
            pair.inject(Side::A, Segment::new(Flags::FIN_ACK, 301, 101));
            pair.inject(Side::A, Segment::new(Flags::FIN_ACK, 302, 101));
            Side::A
        },
    );
}

#[test]
fn the_timeout_of_a_syn_does_not_double_at_first() {
    departs("linear_syns", "in SYN-SENT: retransmit before 2900 ms; rules open-2 tmo-rtx", |pair| {
        unheard(pair, Side::A);
        pair.call(Side::A, Call::connect(Pair::CONFIG));
        pair.run_for(40_000_000);
        Side::A
    });
}

#[test]
fn a_segment_without_ack_is_dropped_unlooked_at() {
    departs("ackless_unanswered", "in ESTABLISHED: no ACK of 301; rules seq-3 tmo-dack", |pair| {
        pair.establish();
        pair.inject(Side::A, Segment::new(Flags::NONE, 90_000, 0).text(10));
        Side::A
    });
}

#[test]
fn another_fin_of_a_segment_that_begins_earlier_moves_rcv_nxt_on() {
    departs(
        "second_fin_counts",
        "in CLOSE-WAIT: ACK 303 instead of 302; rules seq-5 ack-5 ack-7 fin-5",
        |pair| {
            pair.establish();
            pair.inject(Side::A, Segment::new(Flags::FIN_ACK, 301, 101));
            pair.inject(Side::A, Segment::new(Flags::FIN_ACK, 301, 101).text(1));
            Side::A
        },
    );
}

#[test]
fn a_fin_in_order_drops_what_is_held_behind_it() {
    departs("fin_ends_stream", "in ESTABLISHED: nothing leads to CLOSE-WAIT; rules ack-5 txt-1", |pair| {
        pair.establish();
        pair.inject(Side::A, Segment::new(Flags::ACK, 401, 101).text(50));
        pair.inject(Side::A, Segment::new(Flags::FIN_ACK, 301, 101).text(100));
        Side::A
    });
}

#[test]
fn a_reset_right_behind_held_text_counts() {
    departs("reset_behind_held", "in ESTABLISHED: nothing leads to CLOSED; rules seq-6 rst-1", |pair| {
        let config = Config { sack: true, ..Pair::CONFIG };
        pair.call(Side::B, Call::listen(config));
        pair.call(Side::A, Call::connect(config));
        pair.settle();
        pair.inject(Side::A, Segment::new(Flags::ACK, 401, 101).text(50));
        // Elsewhere in the window a reset is challenged.
        pair.inject(Side::A, Segment::new(Flags::RST, 501, 0));
        pair.inject(Side::A, Segment::new(Flags::RST, 451, 0));
        Side::A
    });
}

#[test]
fn a_minisocket_takes_a_fin_whatever_it_acknowledges() {
    departs("orphan_minisockets", "in FIN-WAIT-2: nothing leads to TIME-WAIT; rules ack-1", |pair| {
        pair.establish();
        unheard(pair, Side::B);
        pair.call(Side::A, Call::CLOSE_BOTH);
        pair.inject(Side::A, Segment::new(Flags::ACK, 301, 102));
        pair.inject(Side::A, Segment::new(Flags::FIN_ACK, 301, 1_102));
        Side::A
    });
}

#[test]
fn a_fin_out_of_order_resets_an_orphan() {
    departs("late_fin_resets", "in FIN-WAIT-1: nothing leads to CLOSED; rules seq-6 ack-5 ack-7", |pair| {
        pair.establish();
        unheard(pair, Side::A);
        pair.call(Side::A, Call::CLOSE_BOTH);
        pair.inject(Side::A, Segment::new(Flags::FIN_ACK, 311, 101));
        Side::A
    });
}

#[test]
fn a_window_that_only_shrinks_is_not_taken() {
    departs(
        "window_by_progress",
        "in ESTABLISHED: text beyond the window: 100 octets fit; rules send-5",
        |pair| {
            pair.establish();
            unheard(pair, Side::A);
            pair.inject(Side::A, Segment::new(Flags::ACK, 301, 101).window(500));
            pair.inject(Side::A, Segment::new(Flags::ACK, 301, 101).window(100));
            pair.call(Side::A, Call::send(400));
            Side::A
        },
    );
}

#[test]
fn the_reset_of_an_abort_lies_at_the_edge_of_a_window_taken_back() {
    departs("reset_at_edge", "in CLOSED: SEQ 601 instead of 1101; rules abort-3", |pair| {
        pair.establish();
        unheard(pair, Side::A);
        pair.call(Side::A, Call::send(1_000));
        pair.inject(Side::A, Segment::new(Flags::ACK, 302, 101).window(500));
        pair.call(Side::A, Call::Abort);
        Side::A
    });
}

#[test]
fn a_close_in_time_wait_with_unread_text_resets_nothing() {
    departs("time_wait_without_user", "in CLOSED: no RST at 102; rules close-11", |pair| {
        pair.establish();
        pair.inject(Side::A, Segment::new(Flags::ACK, 301, 101).text(10));
        pair.call(Side::A, Call::CLOSE);
        pair.inject(Side::A, Segment::new(Flags::FIN_ACK, 311, 102));
        pair.call(Side::A, Call::CLOSE_BOTH);
        Side::A
    });
}

#[test]
fn a_reopened_time_wait_that_fails_is_gone() {
    departs_from_the_rfc(
        "reopen_falls_back",
        "in TIME-WAIT: LISTEN entered instead of TIME-WAIT; rules rst-2",
        |pair| {
            pair.call(Side::B, Call::listen(Pair::CONFIG));
            pair.call(Side::A, Call::connect(Pair::CONFIG));
            pair.settle();
            pair.call(Side::B, Call::CLOSE);
            pair.settle();
            pair.call(Side::A, Call::CLOSE);
            pair.settle();
            unheard(pair, Side::B);
            pair.inject(Side::B, Segment::new(Flags::SYN, 90_000, 0));
            pair.inject(Side::B, Segment::new(Flags::RST, 90_001, 0));
            Side::B
        },
    );
}

#[test]
fn an_empty_segment_at_the_right_edge_is_taken() {
    departs_from_the_rfc(
        "empty_at_edge",
        "in FIN-WAIT-1: nothing leads to FIN-WAIT-2; rules seq-3",
        |pair| {
            pair.establish();
            unheard(pair, Side::A);
            pair.call(Side::A, Call::CLOSE);
            pair.inject(Side::A, Segment::new(Flags::ACK, 301 + 8_000, 102));
            Side::A
        },
    );
}

#[test]
fn a_hard_icmp_error_ends_no_open_connection() {
    departs_from_the_rfc(
        "hard_icmp_aborts",
        "in CLOSED: no transition from ESTABLISHED to CLOSED; rules seg-ss-6",
        |pair| {
            pair.establish();
            pair.icmp(Side::A, IcmpError::Hard);
            Side::A
        },
    );
}

#[test]
fn a_soft_icmp_error_ends_an_attempt() {
    departs_from_the_rfc(
        "soft_icmp_aborts_opening",
        "in SYN-SENT: nothing leads to CLOSED; rules open-2",
        |pair| {
            unheard(pair, Side::A);
            pair.call(Side::A, Call::connect(Pair::CONFIG));
            pair.icmp(Side::A, IcmpError::Soft);
            Side::A
        },
    );
}

#[test]
fn the_timeout_of_text_may_be_a_fifth_of_a_second() {
    departs_from_the_rfc(
        "rto_min",
        "in ESTABLISHED: retransmit before 980 ms; rules send-5 tmo-rtx",
        |pair| {
            pair.establish();
            unheard(pair, Side::A);
            pair.call(Side::A, Call::send(10));
            pair.run_for(2_000_000);
            Side::A
        },
    );
}

#[test]
fn a_reset_in_time_wait_draws_no_challenge() {
    departs_from_linux(
        "time_wait_unchallenged",
        "in TIME-WAIT: no challenge ACK of 302; rules seq-6 rst-1",
        |pair| {
            pair.establish();
            pair.call(Side::A, Call::CLOSE);
            pair.settle();
            pair.inject(Side::A, Segment::new(Flags::FIN_ACK, 301, 102));
            pair.inject(Side::A, Segment::new(Flags::RST, 401, 0));
            Side::A
        },
    );
}
