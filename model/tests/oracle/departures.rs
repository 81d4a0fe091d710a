//! What Linux does in detail, told as conversations: under the profile that has the switch they conform, under `linux` the
//! switch is named as a departure, and where departures are not allowed a rule is broken.

use model::oracle::{Departures, Tap, Verdict, Violation};
use model::profile::{LINUX, LINUX_IN_DETAIL, RFC9293_INTENT};
use model::story::{Fate, Pair, Side};
use model::{Call, Config, Flags, Oracle, Profile, Segment};

use crate::trace;

/// The verdicts on one end of a conversation that was played by Linux in detail.
fn judge(play: fn(&mut Pair) -> Side, profile: &Profile, allowed: Departures) -> Vec<Verdict> {
    let mut pair = Pair::new(LINUX_IN_DETAIL);
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
