//! Wherever turning one switch of a profile makes a difference to a segment, the oracle keeps that reading; and it does not
//! try out more than that takes.

use std::fmt::Write as _;

use model::oracle::{DEPARTURES, Departures, Kind, Observation, Tap};
use model::profile::{LINUX, LINUX_IN_DETAIL, RFC9293_INTENT, RFC9293_LITERAL};
use model::{Choices, Effects, Event, Flags, Oracle, Profile, Segment, State, Tcb, Timer, step};

use crate::{snapshot, support};

const COMMAND: &str = "cargo test -p model --features stories --test oracle readings";

const PROFILES: [Profile; 4] = [RFC9293_LITERAL, RFC9293_INTENT, LINUX, LINUX_IN_DETAIL];

/// Connections in a state, as different as the switches care for.
fn connections(state: State) -> Vec<Tcb> {
    let mut full = support::tcb(state);
    full.rcv.wnd = 0;
    let mut unread = support::tcb(state);
    unread.rcv.readable = 10;
    let mut gone = support::in_flight(state, 100);
    // An orphan in FIN-WAIT-2 has its timer already.
    gone.rcv.reader_gone = state != State::FinWait2;
    // CLOSE has taken the peer's FIN along, but for one that came later.
    gone.rcv.unread_fins.count = u8::from(state == State::Closing);
    vec![support::tcb(state), support::passive(state), support::stamped(state, 10), full, unread, gone]
}

fn segments(tcb: &Tcb) -> Vec<Segment> {
    let rcv = &tcb.rcv;
    let seqs =
        [rcv.irs, rcv.nxt - 20, rcv.nxt - 1, rcv.nxt, rcv.nxt + 5, rcv.nxt + rcv.wnd, rcv.nxt + 90_000];
    let snd = &tcb.snd;
    let acks = [snd.iss - 5, snd.iss, snd.una - 1, snd.una, snd.nxt, snd.nxt + 7];
    let flags = [
        Flags::NONE,
        Flags::ACK,
        Flags::FIN_ACK,
        Flags::RST,
        Flags::RST_ACK,
        Flags::SYN,
        Flags::SYN_ACK,
        Flags::SYN | Flags::FIN,
    ];
    let mut segments = Vec::new();
    for seq in seqs {
        for ack in acks {
            for flags in flags {
                for len in [0, 20] {
                    segments.push(Segment::new(flags, seq.0, ack.0).text(len));
                }
            }
        }
    }
    segments
}

/// What a step leaves behind that the oracle has to tell apart: the connection, and the segments that have to leave.
fn outcome(tcb: &Tcb, segment: &Segment, profile: &Profile, listener: bool) -> (Tcb, Vec<Segment>) {
    let mut tcb = *tcb;
    let mut out = Effects::new();
    let choices = Choices { listener, ..Choices::LAZY };
    step(&mut tcb, 1_000, &Event::Arrives(*segment), profile, &choices, &mut out);
    let owed = out.segments().filter(|sent| sent.has(Flags::RST) || sent.has(Flags::SYN)).copied().collect();
    (tcb, owed)
}

#[test]
fn every_reading_that_makes_a_difference_to_a_segment_is_kept() {
    let mut text = String::new();
    for profile in PROFILES {
        let readings = DEPARTURES.map(|departure| {
            (departure.name, Departures::named(departure.name).unwrap_or_default().apply(&profile))
        });
        for state in State::ALL {
            let mut oracle = Oracle::<32>::new(&profile, Tap::FULL);
            let (mut cells, mut kept) = (0, 0);
            for tcb in connections(state) {
                for segment in segments(&tcb) {
                    oracle.adopt(&tcb, 1_000);
                    oracle.observe(&Observation { at: 1_000, kind: Kind::Received(segment) });
                    // Two readings with one outcome are kept as one.
                    let outcomes: Vec<_> = oracle
                        .candidates()
                        .iter()
                        .map(|candidate| candidate.departures().apply(&profile))
                        .flat_map(|kept| [true, false].map(|it| outcome(&tcb, &segment, &kept, it)))
                        .collect();
                    for (name, turned) in &readings {
                        let found =
                            *turned == profile || outcomes.contains(&outcome(&tcb, &segment, turned, true));
                        assert!(found, "{} {state} {segment} {name}", profile.name);
                    }
                    cells += 1;
                    kept += oracle.candidates().len();
                }
            }
            let steps = oracle.steps();
            let _ = writeln!(text, "{} {state}: {cells} segments, {steps} steps, {kept} kept", profile.name);
        }
    }
    snapshot::matches("oracle-readings.txt", &text, COMMAND);
}

/// The same for the ends of timers.
#[test]
fn timers_end_under_every_reading() {
    let mut text = String::new();
    for profile in PROFILES {
        for state in State::ALL.into_iter().filter(|state| !matches!(state, State::Closed | State::Listen)) {
            for timer in Timer::ALL {
                let mut oracle = Oracle::<32>::new(&profile, Tap::FULL);
                let mut tcb = support::in_flight(state, 10);
                tcb.timers = tcb.timers.with(timer);
                (tcb.rtt.retransmits, tcb.rtt.keep_alive_probes) = (9, 9);
                oracle.adopt(&tcb, 1_000);
                let reset = Segment::new(Flags::RST, tcb.snd.nxt.0, 0);
                let verdict = oracle.observe(&Observation { at: 2_000_000, kind: Kind::Sent(reset) });
                let _ = writeln!(
                    text,
                    "{} {state} {}: {verdict}, {} steps",
                    profile.name,
                    timer.name(),
                    oracle.steps()
                );
            }
        }
    }
    snapshot::matches("oracle-timers.txt", &text, COMMAND);
}
