//! Deadlines to the microsecond: what is still in time at an instant and is not one later, or was not one earlier.

use model::oracle::{Departures, Kind, Observation, Tap, Verdict};
use model::profile::{LINUX, RFC9293_INTENT};
use model::tcb::Fin;
use model::{Call, Config, Flags, Oracle, Segment, State, Tcb, Timer};

use crate::support;
use crate::verdicts::{moves, seen, watching};

/// The verdicts on one thing seen just in time and just out of time, as text.
fn around(oracle: &Oracle<8>, kind: Kind, at: u64) -> [String; 3] {
    [at - 1, at, at + 1].map(|at| oracle.clone().observe(&seen(at, kind)).to_string())
}

fn after(mut oracle: Oracle<8>, observations: &[Observation]) -> Oracle<8> {
    for observation in observations {
        let verdict = oracle.observe(observation);
        assert!(matches!(verdict, Verdict::Conforming(_)), "{observation}: {verdict}");
    }
    oracle
}

fn fresh() -> Oracle<8> {
    Oracle::new(&RFC9293_INTENT, Tap::FULL)
}

const FINE: &str = "conforming (-)";

#[test]
fn an_ack_has_half_a_second() {
    let text = Segment::new(Flags::ACK, 301, 101).text(10);
    let oracle = after(watching(Tap::FULL), &[seen(1_000_000, Kind::Received(text))]);
    let late = "violation (in ESTABLISHED: no ACK of 311; rules ack-5 ack-7 txt-1 tmo-dack)";
    assert_eq!(around(&oracle, Kind::Quiet, 1_500_000), [FINE, FINE, late]);
}

#[test]
fn an_ack_that_linux_may_withhold_has_half_a_second_and_is_a_departure_then() {
    let outside = Segment::new(Flags::ACK, 90_000, 101);
    let oracle = after(watching(Tap::FULL), &[seen(1_000_000, Kind::Received(outside))]);
    let late = "deviation (unanswered segment: -)";
    assert_eq!(around(&oracle, Kind::Quiet, 1_500_000), [FINE, FINE, late]);
    // Said once.
    let mut oracle = oracle;
    assert!(oracle.departures().is_empty());
    oracle.observe(&seen(1_500_001, Kind::Quiet));
    assert_eq!(oracle.departures(), Departures::UNANSWERED);
    assert_eq!(oracle.observe(&seen(1_600_000, Kind::Quiet)).to_string(), FINE);
}

#[test]
fn a_syn_has_half_a_second() {
    let call = Kind::Call(Call::connect(Config::DEFAULT));
    let shown = moves(State::Closed, State::SynSent);
    let oracle = after(fresh(), &[seen(1_000_000, call), seen(1_000_000, shown)]);
    let late = "violation (in SYN-SENT: no SYN at 1073741824; rules open-2)";
    assert_eq!(around(&oracle, Kind::Quiet, 1_500_000), [FINE, FINE, late]);
}

#[test]
fn a_transition_has_half_a_second() {
    let oracle = after(watching(Tap::FULL), &[seen(1_000_000, Kind::Call(Call::CLOSE))]);
    let late = "violation (in FIN-WAIT-1: no transition from ESTABLISHED to FIN-WAIT-1; rules close-6)";
    assert_eq!(around(&oracle, Kind::Quiet, 1_500_000), [FINE, FINE, late]);
}

/// A FIN that leaves in CLOSE-WAIT moves the state, and that has to be shown in time, too.
#[test]
fn the_transition_by_a_fin_has_half_a_second() {
    let mut oracle = fresh();
    let mut tcb = support::tcb(State::CloseWait);
    (tcb.snd.queued, tcb.snd.pushed, tcb.snd.fin) = (10, 10, Fin::Wanted);
    oracle.adopt(&tcb, 0);
    let fin = Segment::new(Flags::FIN_ACK, 1001, 5002).text(10);
    let oracle = after(oracle, &[seen(1_000_000, Kind::Sent(fin))]);
    let late = "violation (in LAST-ACK: no transition from CLOSE-WAIT to LAST-ACK; rules -)";
    assert_eq!(around(&oracle, Kind::Quiet, 1_500_000), [FINE, FINE, late]);
}

/// A connection in TIME-WAIT since `since`.
fn waiting(since: u64) -> Oracle<8> {
    let mut oracle = fresh();
    oracle.adopt(&support::tcb(State::TimeWait), since);
    oracle
}

#[test]
fn two_msl_may_be_a_twentieth_too_short() {
    let early = "violation (in TIME-WAIT: 2MSL before 229000 ms; rules tmo-tw)";
    let ends = "conforming (tmo-tw)";
    let closes = moves(State::TimeWait, State::Closed);
    assert_eq!(around(&waiting(1_000_000), closes, 229_000_000), [early, ends, ends]);
}

#[test]
fn two_msl_may_be_15_percent_and_a_second_too_long() {
    let late = "violation (in TIME-WAIT: no 2MSL by 278000 ms; rules tmo-tw)";
    assert_eq!(around(&waiting(1_000_000), Kind::Quiet, 278_000_000), [FINE, FINE, late]);
}

#[test]
fn a_syn_again_may_be_a_twentieth_too_early() {
    let syn = Segment::new(Flags::SYN, 100, 0);
    let oracle = after(
        fresh(),
        &[
            seen(1_000_000, Kind::Call(Call::connect(Config::DEFAULT))),
            seen(1_000_000, moves(State::Closed, State::SynSent)),
            seen(1_000_000, Kind::Sent(syn)),
        ],
    );
    let early = "violation (in SYN-SENT: retransmit before 1950 ms; rules open-2 tmo-rtx)";
    assert_eq!(around(&oracle, Kind::Sent(syn), 1_950_000), [early, FINE, FINE]);
}

#[test]
fn text_again_has_half_its_timeout_and_is_a_departure_before() {
    let text = Kind::Sent(Segment::new(Flags::ACK | Flags::PSH, 101, 301).text(10));
    let call = Kind::Call(Call::send(10));
    let oracle = after(watching(Tap::FULL), &[seen(2_000_000, call), seen(2_000_000, text)]);
    let short = "deviation (rto_min: -)";
    assert_eq!(around(&oracle, text, 2_500_000), [short, FINE, FINE]);
    // A twentieth less than the 200 ms of Linux.
    let early = "deviation (early retransmission: -)";
    assert_eq!(around(&oracle, text, 2_190_000), [early, short, short]);
}

#[test]
fn the_user_timeout_may_be_a_twentieth_too_short() {
    let mut oracle = fresh();
    let mut tcb = support::in_flight(State::Established, 10);
    tcb.config.user_timeout = Some(30_000_000);
    oracle.adopt(&tcb, 0);
    let again = Segment::new(Flags::ACK | Flags::PSH, 1001, 5001).text(10);
    // Its user timeout runs from the first step on that finds something to send.
    let oracle = after(oracle, &[seen(1_000_000, Kind::Sent(again))]);
    let none = "violation (in ESTABLISHED: nothing leads to CLOSED; rules -)";
    let ends = "conforming (tmo-user)";
    let closes = moves(State::Established, State::Closed);
    assert_eq!(around(&oracle, closes, 29_500_000), [none, ends, ends]);
}

#[test]
fn a_reset_may_follow_an_end_that_nobody_understood_for_half_a_second() {
    let mut oracle = watching(Tap::FULL);
    oracle.observe(&seen(1_000_000, Kind::Gap));
    oracle.observe(&seen(1_000_000, moves(State::Established, State::Closed)));
    let reset = Kind::Sent(Segment::new(Flags::RST, 101, 0));
    let late = "violation (in CLOSED: a reset that nothing asked for; rules abort-3)";
    assert_eq!(around(&oracle, reset, 1_500_000), [FINE, late, late]);
}

#[test]
fn an_orphan_stays_in_fin_wait_2_as_long_as_the_profile_says() {
    let mut oracle = Oracle::<8>::new(&LINUX, Tap::FULL);
    let mut tcb = support::tcb(State::FinWait2);
    tcb.timers = tcb.timers.with(Timer::FinWait2);
    tcb.rcv.reader_gone = true;
    tcb.rtt.rto = 60_000_000;
    oracle.adopt(&tcb, 1_000_000);
    let closes = moves(State::FinWait2, State::Closed);
    let none = "violation (in FIN-WAIT-2: nothing leads to CLOSED; rules -)";
    let ends = "conforming (tmo-fw2)";
    assert_eq!(around(&oracle, closes, 58_000_000), [none, ends, ends]);
    let late = "violation (in FIN-WAIT-2: no fin-wait-2 by 71000 ms; rules tmo-fw2)";
    assert_eq!(around(&oracle, Kind::Quiet, 71_000_000), [FINE, FINE, late]);
}

#[test]
fn a_closed_tcb_waits_for_nothing() {
    let mut oracle = fresh();
    oracle.adopt(&Tcb::closed(), 0);
    assert_eq!(oracle.observe(&seen(9_000_000_000, Kind::Quiet)).to_string(), FINE);
}

/// The end of an unseen user is shown by the reset that the next segment draws.
#[test]
fn a_reset_that_a_segment_draws_from_nobody_has_its_number_and_half_a_second() {
    let unseen = |segment| after(watching(Tap::SEGMENTS), &[seen(1_000_000, Kind::Received(segment))]);
    let text = Segment::new(Flags::ACK, 301, 95).text(10);
    let reset = |seq| Kind::Sent(Segment::new(Flags::RST, seq, 0));
    let late = "violation (in ESTABLISHED: no ACK of 311; rules ack-5 txt-1 tmo-dack)";
    assert_eq!(around(&unseen(text), reset(95), 1_500_000), [FINE, FINE, late]);
    let other = "violation (in ESTABLISHED: a reset that nothing asked for; rules ack-5 txt-1 abort-3)";
    assert_eq!(unseen(text).observe(&seen(1_000_000, reset(96))).to_string(), other);
    // Without an ACK to answer at, it acknowledges.
    let bare = Segment::new(Flags::PSH, 301, 0).text(10);
    let acknowledges = |ack| Kind::Sent(Segment::new(Flags::RST_ACK, 0, ack));
    assert_eq!(unseen(bare).observe(&seen(1_000_000, acknowledges(311))).to_string(), FINE);
    let other = "violation (in ESTABLISHED: a reset that nothing asked for; rules ack-0 abort-3)";
    assert_eq!(unseen(bare).observe(&seen(1_000_000, acknowledges(312))).to_string(), other);
}

/// Each of several segments draws its reset.
#[test]
fn who_is_gone_resets_whatever_came_since() {
    let text = |seq| Kind::Received(Segment::new(Flags::ACK, seq, 101).text(10));
    let reset = Kind::Sent(Segment::new(Flags::RST, 101, 0));
    let two = [seen(1_000_000, text(301)), seen(1_100_000, text(311))];
    let once = after(after(watching(Tap::SEGMENTS), &two), &[seen(1_200_000, reset)]);
    let twice = after(once, &[seen(1_200_000, reset)]);
    let mut thrice = twice;
    let unwanted = "violation (in CLOSED: a reset that nothing asked for; rules ack-5 ack-7 txt-1 abort-3)";
    assert_eq!(thrice.observe(&seen(1_200_000, reset)).to_string(), unwanted);
    // What is sent shows that somebody was there.
    let ack = Kind::Sent(Segment::new(Flags::ACK, 101, 321));
    let mut alive = after(after(watching(Tap::SEGMENTS), &two), &[seen(1_200_000, ack)]);
    alive.observe(&seen(1_200_000, reset));
    assert!(alive.observe(&seen(1_200_000, reset)).is_violation());
}

/// LAST-ACK is entered when the FIN leaves, and it leaves when the window has room for it behind the text.
#[test]
fn a_fin_needs_room_behind_the_text() {
    let shown = |window| {
        let mut oracle = fresh();
        let mut tcb = support::tcb(State::CloseWait);
        (tcb.snd.wnd, tcb.snd.queued, tcb.snd.pushed, tcb.snd.fin) = (window, 10, 10, Fin::Wanted);
        oracle.adopt(&tcb, 0);
        oracle.observe(&seen(1_000, moves(State::CloseWait, State::LastAck))).to_string()
    };
    assert_eq!(shown(11), FINE);
    assert_eq!(shown(10), "violation (in CLOSE-WAIT: nothing leads to LAST-ACK; rules -)");
}

/// R2 is a time here, and as exact as any timer: a twentieth early.
#[test]
fn retransmission_gives_up_after_r2() {
    let mut oracle = fresh();
    let mut tcb = support::in_flight(State::Established, 10);
    (tcb.rtt.retransmits, tcb.rtt.since) = (4, 1_000_000);
    oracle.adopt(&tcb, 1_000_000);
    let none = "violation (in ESTABLISHED: nothing leads to CLOSED; rules -)";
    let ends = "conforming (tmo-r2)";
    let closes = moves(State::Established, State::Closed);
    assert_eq!(around(&oracle, closes, 96_238_096), [none, ends, ends]);
}

/// Whether the user had gone is not seen: the orphan's time may be over, and another connection begin.
#[test]
fn an_orphan_ends_in_silence() {
    let mut oracle = Oracle::<8>::new(&LINUX, Tap::SEGMENTS);
    oracle.adopt(&support::tcb(State::FinWait2), 0);
    let syn = Segment::new(Flags::SYN, 77_777, 0);
    assert_eq!(oracle.observe(&seen(100_000_000, Kind::Sent(syn))).class(), "conforming");
    assert_eq!(oracle.candidates()[0].tcb().state, State::SynSent);
    let mut oracle = Oracle::<8>::new(&RFC9293_INTENT, Tap::SEGMENTS);
    oracle.adopt(&support::tcb(State::FinWait2), 0);
    assert!(oracle.observe(&seen(100_000_000, Kind::Sent(syn))).is_violation(), "the RFC knows no such time");
}

/// Linux repeats its SYN at once when the answer to it makes no sense, and only then.
#[test]
fn a_refused_answer_draws_the_syn_again_at_once() {
    let syn = Kind::Sent(Segment::new(Flags::SYN, 100, 0));
    let opening = [
        seen(0, Kind::Call(Call::connect(Config::DEFAULT))),
        seen(0, moves(State::Closed, State::SynSent)),
        seen(0, syn),
    ];
    let bad = |flags| Kind::Received(Segment::new(flags, 300, 77));
    let reset = Kind::Sent(Segment::new(Flags::RST, 77, 0));
    let early = "deviation (early retransmission: -)";
    let ack = after(fresh(), &opening);
    let mut once = after(ack.clone(), &[seen(10_000, bad(Flags::ACK)), seen(10_000, reset)]);
    assert_eq!(once.observe(&seen(10_000, syn)).to_string(), early);
    let mut refused = after(ack.clone(), &[seen(10_000, bad(Flags::RST_ACK))]);
    assert_eq!(refused.observe(&seen(10_000, syn)).to_string(), early);
    let mut unprovoked = ack.clone();
    let violation = "violation (in SYN-SENT: retransmit before 950 ms; rules open-2 tmo-rtx)";
    assert_eq!(unprovoked.observe(&seen(10_000, syn)).to_string(), violation);
    // Not after it was sent again anyway.
    let mut later = after(ack, &[seen(1_000_000, syn), seen(1_010_000, bad(Flags::RST_ACK))]);
    assert!(later.observe(&seen(1_010_000, syn)).is_violation());
    // In an open connection it is no reason.
    let mut open = watching(Tap::FULL);
    open.observe(&seen(1_000_000, Kind::Call(Call::send(10))));
    let text = Kind::Sent(Segment::new(Flags::ACK | Flags::PSH, 101, 301).text(10));
    assert_eq!(open.observe(&seen(1_000_000, text)).to_string(), FINE);
    assert_eq!(open.observe(&seen(1_100_000, text)).to_string(), early);
}
