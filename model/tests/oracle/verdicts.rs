//! What the oracle says, observation by observation: departures by name, violations with what was expected, and what
//! cannot be judged.

use model::oracle::{
    Cause, Departures, Expected, Kind, Mismatch, Numbers, Observation, Tap, Tolerance, Transition, Verdict,
    Violation,
};
use model::profile::{LINUX, RFC9293_INTENT, RFC9293_LITERAL};
use model::segment::{Options, Timestamps};
use model::story::{Side, Story, stories};
use model::{Call, Config, Flags, Oracle, Profile, Rule, Segment, Seq, State, Tcb, Timer};

use crate::{support, trace};

pub fn seen(at: u64, kind: Kind) -> Observation {
    Observation { at, kind }
}

pub fn moves(from: State, to: State) -> Kind {
    Kind::Transition(Transition { from, to, numbers: Numbers::default() })
}

/// The departures that a story needs when another profile judges it; a violation ends the test.
#[expect(clippy::panic, reason = "a test's helper")]
fn departures(name: &str, played: &'static Profile, judged: &Profile) -> Vec<&'static str> {
    let Some(mut story) = Story::find(name) else { panic!("no story {name}") };
    story.profile = played;
    let mut pair = story.play();
    // Until the last TIME-WAIT is over.
    pair.run_for(600_000_000);
    let mut names = Vec::new();
    for side in [Side::A, Side::B] {
        let trace = trace::of(&pair, side);
        // No timer ends early: 2MSL not started over is a second or so.
        let exact = Tolerance { early_percent: 0, ..Tolerance::DEFAULT };
        let mut oracle = Oracle::<{ trace::PLACES }>::with_tolerance(judged, Tap::FULL, exact);
        for observation in &trace {
            match oracle.observe(observation) {
                Verdict::Deviation(departures, _) => names.extend(departures.iter().map(|d| d.name)),
                Verdict::Conforming(_) => {}
                _ => panic!("{name} {side:?}\n{}", trace::told(&trace, judged, Tap::FULL)),
            }
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

#[test]
fn a_time_wait_of_a_minute_is_a_departure_by_name() {
    assert_eq!(departures("two-msl", &LINUX, &RFC9293_INTENT), ["time_wait"]);
    assert!(departures("two-msl", &LINUX, &LINUX).is_empty());
}

#[test]
fn the_letter_departs_from_the_intent_where_contradictions_say() {
    let letter = |name| departures(name, &RFC9293_LITERAL, &RFC9293_INTENT);
    assert_eq!(letter("simultaneous-open"), ["figure_7"]);
    assert_eq!(letter("last-ack-lost"), ["fin_again_restarts, time_wait_ack"]);
}

#[test]
fn every_difference_between_profiles_is_a_departure_with_a_name() {
    let profiles = [&RFC9293_LITERAL, &RFC9293_INTENT, &LINUX];
    for played in profiles {
        for judged in profiles {
            for story in stories() {
                let needed = departures(story.name, played, judged);
                assert!(played != judged || needed.is_empty(), "{}: {needed:?}", story.name);
                if !needed.is_empty() {
                    println!("{} on {} judged by {}: {needed:?}", story.name, played.name, judged.name);
                }
            }
        }
    }
}

/// A connection to ESTABLISHED as its client sees it, numbers of the RFC's figures.
pub fn client() -> [Observation; 6] {
    [
        seen(0, Kind::Call(Call::connect(Config::DEFAULT))),
        seen(0, moves(State::Closed, State::SynSent)),
        seen(0, Kind::Sent(Segment::new(Flags::SYN, 100, 0))),
        seen(20_000, Kind::Received(Segment::new(Flags::SYN_ACK, 300, 101))),
        seen(20_000, moves(State::SynSent, State::Established)),
        seen(20_000, Kind::Sent(Segment::new(Flags::ACK, 101, 301))),
    ]
}

pub fn watching(tap: Tap) -> Oracle<8> {
    let mut oracle = Oracle::new(&RFC9293_INTENT, tap);
    for observation in client().iter().filter(|observation| tap.shows(&observation.kind)) {
        let verdict = oracle.observe(observation);
        assert!(matches!(verdict, Verdict::Conforming(_)), "{observation}: {verdict}");
    }
    oracle
}

#[track_caller]
#[expect(clippy::panic, reason = "a test's helper")]
pub fn violation(verdict: Verdict) -> Violation {
    let Verdict::Violation(violation) = verdict else { panic!("{verdict}") };
    violation
}

#[test]
fn a_conforming_verdict_names_the_rules() {
    let mut oracle = watching(Tap::FULL);
    let data = Segment::new(Flags::ACK | Flags::PSH, 301, 101).text(10);
    let verdict = oracle.observe(&seen(30_000, Kind::Received(data)));
    assert_eq!(verdict.to_string(), "conforming (ack-5 ack-7 txt-1)");
    let ack = Segment::new(Flags::ACK, 101, 311);
    assert_eq!(oracle.observe(&seen(40_000, Kind::Sent(ack))).to_string(), "conforming (-)");
    assert_eq!(oracle.observe(&seen(9_000_000, Kind::Quiet)).to_string(), "conforming (-)");
}

#[test]
fn an_ack_of_what_has_not_come_is_a_violation_and_says_what_would_be_right() {
    let mut oracle = watching(Tap::FULL);
    oracle.observe(&seen(30_000, Kind::Received(Segment::new(Flags::ACK, 301, 101).text(10))));
    let verdict = oracle.observe(&seen(40_000, Kind::Sent(Segment::new(Flags::ACK, 101, 312))));
    let found = violation(verdict);
    assert_eq!(found.mismatch, Mismatch::Acknowledgment { expected: Seq(311), seen: Seq(312) });
    assert_eq!(found.state, State::Established);
    assert!(found.rules.contains(Rule::Txt1), "{found}");
    let explanation = oracle.explain().expect("there was a violation");
    assert_eq!(explanation.observation.at, 40_000);
    let expected: Vec<Expected> = oracle.candidates()[0].expected(&Tolerance::DEFAULT).collect();
    assert_eq!(expected, [Expected::Ack(Seq(311), 530_000)]);
}

#[test]
fn an_ack_that_never_comes_is_missed_after_half_a_second() {
    let mut oracle = watching(Tap::FULL);
    oracle.observe(&seen(30_000, Kind::Received(Segment::new(Flags::ACK, 301, 101).text(10))));
    assert!(!oracle.observe(&seen(500_000, Kind::Quiet)).is_violation());
    let found = violation(oracle.observe(&seen(531_000, Kind::Quiet)));
    assert_eq!(found.mismatch, Mismatch::NoAck { expected: Seq(311) });
    // Where segments that leave are not seen, nothing is missed.
    let mut oracle = watching(Tap::NOTHING_SENT);
    oracle.observe(&seen(30_000, Kind::Received(Segment::new(Flags::ACK, 301, 101).text(10))));
    assert!(!oracle.observe(&seen(9_000_000, Kind::Quiet)).is_violation());
}

#[test]
fn text_beyond_the_window_is_a_violation() {
    let mut oracle = Oracle::<8>::new(&RFC9293_INTENT, Tap::FULL);
    for observation in client() {
        let narrow = match observation.kind {
            Kind::Received(segment) => Kind::Received(segment.window(100)),
            kind => kind,
        };
        oracle.observe(&Observation { kind: narrow, ..observation });
    }
    oracle.observe(&seen(30_000, Kind::Call(Call::send(101))));
    let text = |len| Kind::Sent(Segment::new(Flags::ACK | Flags::PSH, 101, 301).text(len));
    let mut other = oracle.clone();
    assert!(!other.observe(&seen(30_000, text(100))).is_violation());
    let found = violation(oracle.observe(&seen(30_000, text(101))));
    assert_eq!(found.mismatch, Mismatch::BeyondWindow { at_most: 100 });
    assert!(found.rules.contains(Rule::Send5));
}

#[test]
fn how_text_is_cut_is_the_endpoints_choice() {
    for cut in [[10, 20, 70], [1, 98, 1], [50, 49, 1]] {
        let mut oracle = watching(Tap::FULL);
        oracle.observe(&seen(30_000, Kind::Call(Call::send(100))));
        let mut seq = 101;
        for len in cut {
            let verdict =
                oracle.observe(&seen(30_000, Kind::Sent(Segment::new(Flags::ACK, seq, 301).text(len))));
            assert!(!verdict.is_violation(), "{verdict}");
            seq += len;
        }
        let more = oracle.observe(&seen(30_000, Kind::Sent(Segment::new(Flags::ACK, seq, 301).text(1))));
        assert_eq!(violation(more).mismatch, Mismatch::NotQueued { at_most: 0 });
    }
}

#[test]
fn a_time_wait_cut_short_says_when_it_could_have_ended() {
    let mut oracle = watching(Tap::FULL);
    for observation in [
        seen(1_000_000, Kind::Call(Call::CLOSE)),
        seen(1_000_000, moves(State::Established, State::FinWait1)),
        seen(1_000_000, Kind::Sent(Segment::new(Flags::FIN_ACK, 101, 301))),
        seen(1_020_000, Kind::Received(Segment::new(Flags::FIN_ACK, 301, 102))),
        // One segment, two steps: shown as one or as two.
        seen(1_020_000, moves(State::FinWait1, State::FinWait2)),
        seen(1_020_000, moves(State::FinWait2, State::TimeWait)),
        seen(1_020_000, Kind::Sent(Segment::new(Flags::ACK, 102, 302))),
    ] {
        let verdict = oracle.observe(&observation);
        assert!(!verdict.is_violation(), "{observation} {verdict}");
    }
    let found = violation(oracle.observe(&seen(21_000_000, moves(State::TimeWait, State::Closed))));
    let Mismatch::TooEarly { timer: Timer::TimeWait, earliest } = found.mismatch else { panic!("{found}") };
    assert!((229_000_000..=229_100_000).contains(&earliest), "{earliest}");
}

#[test]
fn an_impossible_edge_is_a_violation_even_when_nothing_else_is_seen() {
    let mut oracle = watching(Tap::TRANSITIONS);
    let found = violation(oracle.observe(&seen(30_000, moves(State::Established, State::Closing))));
    assert_eq!(found.mismatch, Mismatch::To { expected: None, seen: State::Closing });
    assert_eq!(oracle.lost(), Some(Cause::Derailed));
    // What ends in CLOSED has left nothing behind: a new connection is judged again.
    let closed = oracle.observe(&seen(40_000, moves(State::Closing, State::Closed)));
    assert_eq!(closed, Verdict::Inconclusive(Cause::Derailed));
    for observation in client().iter().filter(|observation| Tap::TRANSITIONS.shows(&observation.kind)) {
        assert!(matches!(oracle.observe(observation), Verdict::Conforming(_)));
    }
}

#[test]
fn after_a_gap_nothing_is_judged_until_the_state_is_known() {
    let mut oracle = watching(Tap::FULL);
    assert_eq!(oracle.observe(&seen(30_000, Kind::Gap)), Verdict::Inconclusive(Cause::Gap));
    let wild = seen(40_000, moves(State::Listen, State::Closing));
    assert_eq!(oracle.observe(&wild), Verdict::Inconclusive(Cause::Gap));
    oracle.adopt(&Tcb::closed(), 50_000);
    assert!(matches!(oracle.observe(&client()[0]), Verdict::Conforming(_)));
}

#[test]
fn too_many_explanations_are_inconclusive_and_never_a_violation() {
    let mut overflows = 0;
    for story in stories() {
        let pair = story.play();
        for side in [Side::A, Side::B] {
            let trace = trace::through(&trace::of(&pair, side), Tap::SEGMENTS);
            let mut oracle = Oracle::<1>::new(story.profile, Tap::SEGMENTS);
            for observation in &trace {
                let verdict = oracle.observe(observation);
                assert!(!verdict.is_violation(), "{} {observation}: {verdict}", story.name);
                assert!(oracle.candidates().len() <= 1);
                overflows += usize::from(verdict == Verdict::Inconclusive(Cause::Overflow));
            }
        }
    }
    assert!(overflows > 100, "{overflows}");
}

#[test]
fn the_order_of_what_one_event_causes_is_free() {
    let opening = client();
    let mut oracle = Oracle::<8>::new(&RFC9293_INTENT, Tap::FULL);
    for index in [0, 2, 1, 3, 5, 4] {
        let verdict = oracle.observe(&opening[index]);
        assert!(matches!(verdict, Verdict::Conforming(_)), "{}: {verdict}", opening[index]);
    }
}

#[test]
fn a_restart_forgets_and_the_next_segment_meets_a_closed_port() {
    let mut oracle = watching(Tap::FULL);
    oracle.observe(&seen(30_000, Kind::Restart));
    oracle.observe(&seen(40_000, Kind::Received(Segment::new(Flags::ACK, 301, 101).text(10))));
    let reset = oracle.observe(&seen(40_000, Kind::Sent(Segment::new(Flags::RST, 101, 0))));
    assert!(matches!(reset, Verdict::Conforming(_)), "{reset}");
    let again = oracle.observe(&seen(40_000, Kind::Sent(Segment::new(Flags::RST, 101, 0))));
    assert_eq!(violation(again).mismatch, Mismatch::UnwantedReset);
}

/// A listener's SYN,ACK with these options, to a SYN with those.
fn answers(offered: Options, answered: Options) -> (Verdict, Oracle<8>) {
    let mut oracle = Oracle::<8>::new(&RFC9293_INTENT, Tap::FULL);
    let config = Config { window_scale: Some(7), timestamps: true, sack: true, ..Config::DEFAULT };
    let syn = Segment { options: offered, ..Segment::new(Flags::SYN, 300, 0) };
    let syn_ack = Segment { options: answered, ..Segment::new(Flags::SYN_ACK, 100, 301) };
    let kinds = [
        Kind::Call(Call::listen(config)),
        moves(State::Closed, State::Listen),
        Kind::Received(syn),
        moves(State::Listen, State::SynReceived),
    ];
    for kind in kinds {
        let verdict = oracle.observe(&seen(0, kind));
        assert!(matches!(verdict, Verdict::Conforming(_)), "{kind}: {verdict}");
    }
    let verdict = oracle.observe(&seen(0, Kind::Sent(syn_ack)));
    (verdict, oracle)
}

#[test]
fn a_syn_ack_answers_what_was_offered_and_nothing_else() {
    let scale = Options { window_scale: Some(3), ..Options::default() };
    let stamps = Options { timestamps: Some(Timestamps { value: 1, echo: 0 }), ..Options::default() };
    for unasked in [scale, stamps] {
        let (verdict, _) = answers(Options::default(), unasked);
        assert_eq!(violation(verdict).mismatch, Mismatch::Option);
    }
    let (verdict, oracle) = answers(scale, Options { window_scale: Some(7), ..Options::default() });
    assert!(matches!(verdict, Verdict::Conforming(_)), "{verdict}");
    assert!(oracle.candidates().iter().all(|candidate| candidate.tcb().agreed.scale == Some((3, 7))));
    let sack = Options { sack_permitted: true, ..Options::default() };
    for (answered, agreed) in [(sack, true), (Options::default(), false)] {
        let (verdict, oracle) = answers(sack, answered);
        assert!(matches!(verdict, Verdict::Conforming(_)), "{verdict}");
        assert!(oracle.candidates().iter().all(|candidate| candidate.tcb().agreed.sack == agreed));
    }
    // What was offered may be left unanswered.
    let (verdict, oracle) = answers(stamps, Options::default());
    assert!(matches!(verdict, Verdict::Conforming(_)), "{verdict}");
    assert!(oracle.candidates().iter().all(|candidate| candidate.tcb().agreed.timestamps.is_none()));
}

/// What the explanation without departures would allow next.
fn expected(oracle: &Oracle<8>) -> Vec<Expected> {
    let plain = oracle.candidates().iter().find(|candidate| candidate.departures().is_empty());
    plain.map(|candidate| candidate.expected(&Tolerance::DEFAULT).collect()).unwrap_or_default()
}

#[test]
fn what_is_expected_next_is_told_in_full() {
    let mut oracle = Oracle::<8>::new(&RFC9293_INTENT, Tap::FULL);
    oracle.observe(&client()[0]);
    let syn = Seq(0x4000_0000);
    assert_eq!(
        expected(&oracle),
        [
            Expected::Transition(State::Closed, State::SynSent),
            Expected::Segment(Flags::SYN, syn, 500_000),
            Expected::Again(syn, syn + 1),
            Expected::Expiry(Timer::Retransmit, 950_000, 2_150_000),
        ]
    );
    let mut oracle = watching(Tap::FULL);
    oracle.observe(&seen(1_000_000, Kind::Call(Call::send(10))));
    assert_eq!(expected(&oracle), [Expected::Text(Seq(101), 10)]);
    oracle.observe(&seen(1_000_000, Kind::Call(Call::CLOSE)));
    oracle.observe(&seen(1_000_000, moves(State::Established, State::FinWait1)));
    assert_eq!(expected(&oracle), [Expected::Text(Seq(101), 10), Expected::Fin(Seq(111))]);
    oracle.observe(&seen(1_000_000, Kind::Sent(Segment::new(Flags::FIN_ACK, 101, 301).text(10))));
    let again = Expected::Again(Seq(101), Seq(112));
    assert_eq!(expected(&oracle), [again, Expected::Expiry(Timer::Retransmit, 1_950_000, 3_150_000)]);
    let mut oracle = watching(Tap::FULL);
    oracle.observe(&seen(1_000_000, Kind::Received(Segment::new(Flags::ACK, 301, 101).text(10))));
    assert_eq!(expected(&oracle), [Expected::Ack(Seq(311), 1_500_000)]);
}

#[test]
fn a_missing_verdict_says_why() {
    let words =
        [Cause::Gap, Cause::Overflow, Cause::Derailed].map(|cause| Verdict::Inconclusive(cause).to_string());
    assert_eq!(words, ["inconclusive (gap)", "inconclusive (overflow)", "inconclusive (derailed)"]);
}

/// A listener that keeps nothing of a SYN: whether an ACK carries a valid cookie only the endpoint knows.
#[test]
fn an_ack_with_a_cookie_establishes_or_is_reset() {
    let profile = Profile { syn_cookies: true, ..RFC9293_INTENT };
    let mut oracle = Oracle::<8>::new(&profile, Tap::FULL);
    for kind in [
        Kind::Call(Call::listen(Config::DEFAULT)),
        moves(State::Closed, State::Listen),
        Kind::Received(Segment::new(Flags::SYN, 300, 0)),
        Kind::Sent(Segment::new(Flags::SYN_ACK, 100, 301)),
        Kind::Received(Segment::new(Flags::ACK, 301, 101)),
    ] {
        let verdict = oracle.observe(&seen(1_000, kind));
        assert!(matches!(verdict, Verdict::Conforming(_)), "{kind}: {verdict}");
    }
    let mut invalid = oracle.clone();
    let valid = oracle.observe(&seen(1_000, moves(State::Listen, State::Established)));
    assert_eq!(valid.to_string(), "conforming (-)");
    assert_eq!(oracle.candidates()[0].tcb().agreed.peer_mss, 536);
    let reset = Segment::new(Flags::RST, 101, 0);
    assert_eq!(invalid.observe(&seen(1_000, Kind::Sent(reset))).to_string(), "conforming (-)");
    assert!(invalid.observe(&seen(1_000, moves(State::Listen, State::Established))).is_violation());
}

/// The FIN of a CLOSE in SYN-RECEIVED is not acknowledged before it has left.
#[test]
fn what_is_acknowledged_has_been_sent() {
    let mut oracle = Oracle::<8>::new(&RFC9293_INTENT, Tap::FULL);
    for kind in [
        Kind::Call(Call::listen(Config::DEFAULT)),
        moves(State::Closed, State::Listen),
        Kind::Received(Segment::new(Flags::SYN, 300, 0)),
        moves(State::Listen, State::SynReceived),
        Kind::Sent(Segment::new(Flags::SYN_ACK, 100, 301)),
        Kind::Call(Call::CLOSE),
        moves(State::SynReceived, State::FinWait1),
    ] {
        let verdict = oracle.observe(&seen(1_000, kind));
        assert!(matches!(verdict, Verdict::Conforming(_)), "{kind}: {verdict}");
    }
    let ack = |number| Kind::Received(Segment::new(Flags::ACK, 301, number));
    let of_the_syn = oracle.clone().observe(&seen(1_000, ack(101)));
    assert!(matches!(of_the_syn, Verdict::Conforming(_)), "{of_the_syn}");
    let found = violation(oracle.clone().observe(&seen(1_000, ack(102))));
    assert_eq!(found.mismatch, Mismatch::NoSegment { flags: Flags::FIN_ACK, seq: Seq(101) });
    // It leaves alone.
    for (flags, len) in [(Flags::ACK, 1), (Flags::FIN_ACK, 1)] {
        let other = Kind::Sent(Segment::new(flags, 101, 301).text(len));
        let found = violation(oracle.clone().observe(&seen(1_000, other)));
        assert_eq!(found.mismatch, Mismatch::Flags { seen: flags });
    }
    oracle.observe(&seen(1_000, Kind::Sent(Segment::new(Flags::FIN_ACK, 101, 301))));
    assert!(!oracle.observe(&seen(1_000, ack(102))).is_violation());
}

#[test]
fn a_syn_ack_carries_no_text() {
    let mut oracle = Oracle::<8>::new(&RFC9293_INTENT, Tap::FULL);
    for kind in [
        Kind::Call(Call::listen(Config::DEFAULT)),
        moves(State::Closed, State::Listen),
        Kind::Received(Segment::new(Flags::SYN, 300, 0)),
        moves(State::Listen, State::SynReceived),
    ] {
        oracle.observe(&seen(1_000, kind));
    }
    let syn_ack = Segment::new(Flags::SYN_ACK, 100, 301);
    let found = violation(oracle.clone().observe(&seen(1_000, Kind::Sent(syn_ack.text(5)))));
    assert_eq!(found.mismatch, Mismatch::Flags { seen: Flags::SYN_ACK });
    assert!(!oracle.observe(&seen(1_000, Kind::Sent(syn_ack))).is_violation());
}

/// The SYN,ACK of a simultaneous open repeats the options of our SYN, which the peer's did not offer; windows are scaled by
/// them all the same.
#[test]
fn a_crossed_syn_ack_with_options_of_its_own_is_a_departure() {
    let options = Options { window_scale: Some(7), ..Options::default() };
    let config = Config { window_scale: Some(7), ..Config::DEFAULT };
    let crossed = |allowed| {
        let mut oracle = Oracle::<8>::new(&RFC9293_INTENT, Tap::FULL).allowing(allowed);
        for kind in [
            Kind::Call(Call::connect(config)),
            moves(State::Closed, State::SynSent),
            Kind::Sent(Segment { options, ..Segment::new(Flags::SYN, 100, 0) }),
            Kind::Received(Segment::new(Flags::SYN, 300, 0)),
            moves(State::SynSent, State::SynReceived),
        ] {
            oracle.observe(&seen(1_000, kind));
        }
        let answer = Segment { options, ..Segment::new(Flags::SYN_ACK, 100, 301) };
        (oracle.observe(&seen(1_000, Kind::Sent(answer))), oracle)
    };
    assert_eq!(violation(crossed(Departures::NONE).0).mismatch, Mismatch::Option);
    let (verdict, mut oracle) = crossed(Departures::ALL);
    assert_eq!(verdict.to_string(), "deviation (options of a crossed SYN: -)");
    for kind in [
        Kind::Received(Segment::new(Flags::ACK, 301, 101)),
        moves(State::SynReceived, State::Established),
        Kind::Sent(Segment::new(Flags::ACK, 101, 301).window(600)),
    ] {
        oracle.observe(&seen(2_000, kind));
    }
    let windows: Vec<_> = oracle.candidates().iter().map(|candidate| candidate.tcb().rcv.wnd).collect();
    assert_eq!(windows, [600 << 7]);
    // The peer's windows are not scaled: one that it takes back counts to the octet, where a reset stays within it.
    for kind in [
        Kind::Call(Call::send(10)),
        Kind::Sent(Segment::new(Flags::ACK, 101, 301).text(10)),
        Kind::Received(Segment::new(Flags::ACK, 301, 101).window(0)),
        Kind::Call(Call::Abort),
        moves(State::Established, State::Closed),
    ] {
        assert!(!oracle.observe(&seen(3_000, kind)).is_violation(), "{kind:?}");
    }
    let reset = Kind::Sent(Segment::new(Flags::RST_ACK, 101, 301));
    assert!(!oracle.observe(&seen(3_000, reset)).is_violation(), "{:?}", oracle.explain());
}

#[test]
fn a_window_may_be_larger_than_its_field_can_tell() {
    let tcb = support::tcb(State::FinWait1);
    let judged = |allowed, window: u16| {
        let mut oracle = Oracle::<8>::new(&RFC9293_INTENT, Tap::FULL).allowing(allowed);
        oracle.adopt(&tcb, 0);
        let told = Segment::new(Flags::ACK, tcb.snd.nxt.0, tcb.rcv.nxt.0).window(window);
        oracle.observe(&seen(1_000, Kind::Sent(told)));
        // The ACK of the FIN lies beyond the edge that was told.
        let beyond = tcb.rcv.nxt + u32::from(window) + 10;
        let ack = Segment::new(Flags::ACK, beyond.0, tcb.snd.nxt.0);
        let taken = oracle.observe(&seen(2_000, Kind::Received(ack)));
        (taken.class(), oracle.observe(&seen(2_000, moves(State::FinWait1, State::FinWait2))))
    };
    let (taken, moved) = judged(Departures::ALL, 65_535);
    assert_eq!((taken, &*moved.to_string()), ("conforming", "deviation (window beyond its field: -)"));
    assert!(judged(Departures::NONE, 65_535).1.is_violation());
    assert!(judged(Departures::ALL, 65_000).1.is_violation(), "the field could have told more");
}

/// The next incarnation begins beyond the numbers of the one that waited (MAY-2).
#[test]
fn a_reopened_time_wait_goes_on_beyond_its_old_numbers() {
    let mut oracle = Oracle::<8>::new(&RFC9293_INTENT, Tap::FULL);
    oracle.adopt(&support::tcb(State::TimeWait), 0);
    oracle.observe(&seen(1_000, Kind::Received(Segment::new(Flags::SYN, 90_000, 0))));
    oracle.observe(&seen(1_000, moves(State::TimeWait, State::SynReceived)));
    let answer = |iss| Kind::Sent(Segment::new(Flags::SYN_ACK, iss, 90_001));
    let found = violation(oracle.clone().observe(&seen(1_000, answer(1_002))));
    assert_eq!(found.mismatch, Mismatch::Sequence { expected: Seq(1_003), seen: Seq(1_002) });
    assert_eq!(oracle.observe(&seen(1_000, answer(1_003))).class(), "conforming");
}
