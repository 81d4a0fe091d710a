//! Round trips, retransmission timeouts and ICMP errors.

#[path = "support/mod.rs"]
mod support;

use model::event::IcmpError;
use model::profile::{LINUX, RFC9293_INTENT};
use model::tcb::TimerSet;
use model::{
    Call, CallError, Choices, Effects, Event, Flags, Profile, Segment, Signal, State, Tcb, Timer, step,
};
use support::{in_flight, passive, tcb};

const MS: u64 = 1_000;

fn happen(tcb: &mut Tcb, now: u64, event: Event, profile: &Profile) -> Effects {
    let mut out = Effects::new();
    step(tcb, now, &event, profile, &Choices::default(), &mut out);
    out
}

fn ack(tcb: &mut Tcb, now: u64, number: u32) {
    happen(tcb, now, Event::Arrives(Segment::new(Flags::ACK, 5001, number)), &RFC9293_INTENT);
}

fn send(tcb: &mut Tcb, now: u64, len: u32) {
    happen(tcb, now, Event::Call(Call::send(len)), &RFC9293_INTENT);
}

#[test]
fn the_first_round_trip_sets_the_timeout_and_the_next_ones_smooth_it() {
    let mut tcb = tcb(State::Established);
    send(&mut tcb, 0, 10);
    ack(&mut tcb, 800 * MS, 1011);
    // RFC 6298, 2.2: SRTT = R, RTTVAR = R/2, RTO = SRTT + 4 RTTVAR.
    assert_eq!((tcb.rtt.srtt, tcb.rtt.rttvar, tcb.rtt.rto), (Some(800 * MS), 400 * MS, 2_400 * MS));
    send(&mut tcb, 1_000 * MS, 10);
    ack(&mut tcb, 1_400 * MS, 1021);
    // 2.3: RTTVAR = 3/4 x 400 + 1/4 x |800 - 400|, SRTT = 7/8 x 800 + 1/8 x 400.
    assert_eq!((tcb.rtt.srtt, tcb.rtt.rttvar, tcb.rtt.rto), (Some(750 * MS), 400 * MS, 2_350 * MS));
}

#[test]
fn the_timeout_has_a_floor_and_a_ceiling() {
    let mut fast = tcb(State::Established);
    send(&mut fast, 0, 10);
    ack(&mut fast, MS, 1011);
    assert_eq!(fast.rtt.rto, 1_000 * MS, "RFC 6298, 2.4");
    let mut slow = tcb(State::Established);
    send(&mut slow, 0, 10);
    ack(&mut slow, 90_000 * MS, 1011);
    assert_eq!(slow.rtt.rto, 60_000 * MS, "2.5");
}

#[test]
fn what_was_sent_twice_is_not_measured_and_the_backoff_stays() {
    let mut tcb = tcb(State::Established);
    send(&mut tcb, 0, 10);
    happen(&mut tcb, 1_000 * MS, Event::Expires(Timer::Retransmit), &RFC9293_INTENT);
    ack(&mut tcb, 1_100 * MS, 1011);
    assert_eq!((tcb.rtt.srtt, tcb.rtt.rto), (None, 2_000 * MS));
    // New text is, and ends the backoff.
    send(&mut tcb, 2_000 * MS, 10);
    ack(&mut tcb, 2_100 * MS, 1021);
    assert_eq!((tcb.rtt.srtt, tcb.rtt.rto), (Some(100 * MS), 1_000 * MS));
}

#[test]
fn challenges_are_throttled() {
    // RFC 5961, section 7: so many in a period, and then no more.
    let mut profile = RFC9293_INTENT;
    profile.limits.challenges = Some((2, 5_000 * MS));
    let mut tcb = tcb(State::Established);
    let mut challenged = |at| {
        let reset = Event::Arrives(Segment::new(Flags::RST, 5002, 0));
        happen(&mut tcb, at, reset, &profile).segments().count() == 1
    };
    let seconds = [10_000, 11_000, 12_000, 14_999, 15_000, 15_001, 15_002];
    assert_eq!(seconds.map(|ms| challenged(ms * MS)), [true, true, false, false, true, true, false]);
}

/// The timers that start when `tcb` is told STATUS: what must run does from the next step on.
fn armed(tcb: Tcb) -> Vec<Timer> {
    let mut tcb = Tcb { timers: TimerSet::default(), ..tcb };
    happen(&mut tcb, 0, Event::Call(Call::Status), &RFC9293_INTENT);
    tcb.timers.iter().collect()
}

#[test]
fn which_timers_run() {
    use Timer::{KeepAlive, Persist, Retransmit, User};
    let limited = |mut tcb: Tcb| {
        tcb.config.user_timeout = Some(30_000 * MS);
        tcb.config.keep_alive = Some(60_000 * MS);
        tcb
    };
    let mut shut = tcb(State::Established);
    (shut.snd.queued, shut.snd.wnd) = (10, 0);
    assert_eq!(armed(limited(tcb(State::Established))), [KeepAlive], "MUST-26: idle");
    assert_eq!(armed(limited(in_flight(State::Established, 10))), [User, Retransmit]);
    assert_eq!(armed(limited(shut)), [User, Persist], "text waits, nothing is in flight");
    assert_eq!(armed(limited(tcb(State::FinWait2))), [KeepAlive]);
    // The user timeout is the user's: a half-open connection of a listener has none yet.
    assert_eq!(armed(limited(tcb(State::SynReceived))), [User, Retransmit]);
    assert_eq!(armed(limited(passive(State::SynReceived))), [Retransmit]);
    assert_eq!(armed(limited(passive(State::FinWait1))), [User, Retransmit]);
}

#[test]
fn icmp_errors_by_class_and_state() {
    use IcmpError::{Hard, Soft, SourceQuench};
    let told = |state, error, profile: &Profile| {
        let mut tcb = if state == State::Established { in_flight(state, 10) } else { tcb(state) };
        let out = happen(&mut tcb, 0, Event::Icmp(error), profile);
        (tcb.state, out.signals().last())
    };
    let refused = Some(Signal::Aborted(CallError::Refused));
    // MUST-55, MUST-56, SHLD-25, SHLD-26.
    assert_eq!(told(State::Established, SourceQuench, &RFC9293_INTENT), (State::Established, None));
    assert_eq!(told(State::SynSent, Soft, &RFC9293_INTENT), (State::SynSent, Some(Signal::SoftError)));
    assert_eq!(
        told(State::Established, Soft, &RFC9293_INTENT),
        (State::Established, Some(Signal::SoftError))
    );
    assert_eq!(told(State::SynSent, Hard, &RFC9293_INTENT), (State::Closed, refused));
    let reset = Some(Signal::Aborted(CallError::Reset));
    assert_eq!(told(State::Established, Hard, &RFC9293_INTENT), (State::Closed, reset));
    // Linux turns both around: soft ones abort while connecting, hard ones do not abort an open connection.
    assert_eq!(told(State::SynSent, Soft, &LINUX), (State::Closed, refused));
    assert_eq!(told(State::Established, Hard, &LINUX), (State::Established, Some(Signal::SoftError)));
    assert_eq!(told(State::Listen, Hard, &LINUX), (State::Listen, None));
}
