//! Streams of this kernel, rewritten into those of a wrong one: each is caught by the right rule.
//!
//! Two kinds of wrong are not for the oracle: text or a FIN that never leaves, and a retransmission that never comes. When
//! they leave is the endpoint's own affair (congestion, Nagle's algorithm, its own measure of the round trip), so the
//! oracle lets them wait. The scenarios' steps set a time to them (`kernel FIN,ACK`), and fail.

use model::{
    Flags, State,
    oracle::{Kind, Numbers, Observation, Transition},
};
use tracer::audit::{
    judge::{allowed, judge, running, traces},
    play::play,
    report::model::Family,
    scenario::library,
    stream::Stream,
};

use crate::support::turn;

/// The kernel's trace of a scenario from the library, and its oracle's complaint after it was rewritten.
fn complaint(id: &str, stream: &Stream, rewrite: impl FnOnce(&mut Vec<Observation>)) -> Option<String> {
    let scripts = library().unwrap();
    let script = scripts.iter().find(|script| script.id == id).unwrap();
    let played = play(script, Family::Ipv4, stream).unwrap();
    assert_eq!(played.failure, None, "{id}");
    let profile = running(&played.conditions);
    let trace = traces(&played).remove(0);
    let mut observations: Vec<Observation> = trace.into_iter().map(|(_, observation)| observation).collect();
    let allowed = allowed(&observations, &played.conditions);
    let before = judge(&observations, &profile, allowed);
    assert_eq!(before.violation, None, "{id} as the kernel played it");
    rewrite(&mut observations);
    // What a departure explains that Linux takes at times is caught by its name, unless the kernel itself needed it.
    let after = judge(&observations, &profile, allowed);
    let departures = after.departures.without(before.departures);
    let departs = (!departures.is_empty()).then(|| departures.to_string());
    after.violation.map(|(_, what, _)| what).or(departs)
}

fn sent(observation: &mut Observation) -> Option<&mut model::Segment> {
    match &mut observation.kind {
        Kind::Sent(segment) => Some(segment),
        _ => None,
    }
}

fn enters(observation: &Observation, state: State) -> bool {
    matches!(observation.kind, Kind::Transition(transition) if transition.to == state)
}

fn received(observation: &Observation, flags: Flags) -> bool {
    matches!(observation.kind, Kind::Received(segment) if segment.has(flags))
}

/// The place of the last segment with these bits that arrived.
fn arrival(trace: &[Observation], flags: Flags) -> usize {
    trace.iter().rposition(|one| received(one, flags)).unwrap()
}

/// Nothing is sent any more behind this place, for so long.
fn falls_silent(trace: &mut Vec<Observation>, place: usize, microseconds: u64) {
    let at = trace[place].at + microseconds;
    let mut later = 0..;
    trace.retain(|one| later.next().unwrap() <= place || !matches!(one.kind, Kind::Sent(_)));
    trace.push(Observation { at: at.max(trace.last().unwrap().at), kind: Kind::Quiet });
}

fn change(at: u64, from: State, to: State) -> Observation {
    Observation { at, kind: Kind::Transition(Transition { from, to, numbers: Numbers::default() }) }
}

/// A scenario, what the complaint has to name, and what makes the stream wrong.
type Case = (&'static str, &'static str, fn(&mut Vec<Observation>));

const OPENING: [Case; 4] = [
    ("open/server", "SEQ", |trace| {
        // The SYN,ACK comes again with another number.
        let mut again = *trace.iter().find(|one| matches!(one.kind, Kind::Sent(_))).unwrap();
        again.at = trace.last().unwrap().at + 1_100_000;
        sent(&mut again).unwrap().seq += 1;
        trace.retain(|one| !enters(one, State::Established));
        trace.retain(|one| !matches!(one.kind, Kind::Received(segment) if !segment.has(Flags::SYN)));
        trace.push(again);
    }),
    ("open/client-syn-lost", "tmo-rtx", |trace| {
        // The lost SYN goes out again after 100 ms (RFC 6298, 2.1: a second).
        let mut syns = trace.iter_mut().filter(|one| matches!(one.kind, Kind::Sent(_)));
        let (first, second) = (syns.next().unwrap().at, syns.next().unwrap());
        second.at = first + 100_000;
    }),
    ("open/passive-reset", "rst-2", |trace| {
        // A reset ends the listener along with the half-open connection (MUST-11).
        for one in trace.iter_mut() {
            if let Kind::Transition(transition) = &mut one.kind
                && transition.from == State::SynReceived
            {
                transition.to = State::Closed;
            }
        }
    }),
    ("numbers/bad-ack-half-open", "ack-3", |trace| {
        // An ACK of what was never sent in SYN-RECEIVED stays without its reset.
        let ack = trace.iter().position(|one| received(one, Flags::ACK)).unwrap();
        trace.truncate(ack + 1);
        trace.push(Observation { at: trace[ack].at + 5_000_000, kind: Kind::Quiet });
    }),
];

const NUMBERS: [Case; 4] = [
    ("reset/closed-port-ack", "seg-cl-3", |trace| {
        // A reset with another number than the one that was acknowledged.
        trace.iter_mut().filter_map(sent).for_each(|reset| reset.seq += 1);
    }),
    ("reset/next-but-one", "rst-1", |trace| {
        // A reset that is not at RCV.NXT ends the connection.
        let reset = arrival(trace, Flags::RST);
        trace.truncate(reset + 1);
        trace.push(change(trace[reset].at + 20, State::Established, State::Closed));
    }),
    ("reset/exact", "rst-4", |trace| {
        // The connection outlives a reset at RCV.NXT.
        trace.retain(|one| !enters(one, State::Closed));
        trace.push(Observation { at: trace.last().unwrap().at + 5_000_000, kind: Kind::Quiet });
    }),
    ("timers/slow-start", "send-5", |trace| {
        // The peer's window was smaller than what is sent.
        for one in trace.iter_mut() {
            if let Kind::Received(segment) = &mut one.kind {
                segment.window = 1_500;
            }
        }
    }),
];

const CLOSING: [Case; 6] = [
    ("close/client-first", "2MSL", |trace| {
        // TIME-WAIT ends after half a minute.
        trace.push(change(30_000_000, State::TimeWait, State::Closed));
    }),
    ("close/client-first", "fin-4", |trace| {
        // TIME-WAIT is left out (MUST-13).
        for one in trace.iter_mut() {
            if let Kind::Transition(transition) = &mut one.kind
                && transition.to == State::TimeWait
            {
                transition.to = State::Closed;
            }
        }
    }),
    ("close/fin-old-ack", "fin", |trace| {
        // The FIN is dropped in FIN-WAIT-2, since its ACK field is old (the bug fixed by 795a7dfbc3d9).
        // Another one follows.
        trace.truncate(trace.iter().position(|one| received(one, Flags::FIN)).unwrap() + 1);
        trace.push(Observation { at: 5_000_000, kind: Kind::Quiet });
    }),
    ("close/peer-first", "fin-1", |trace| {
        // The peer's FIN is acknowledged, and the state stays.
        trace.retain(|one| !enters(one, State::CloseWait));
    }),
    ("close/half-close", "tmo-dack", |trace| {
        // Text that arrives in FIN-WAIT-2 is not acknowledged within half a second (MUST-40).
        let text = trace
            .iter()
            .position(|one| matches!(one.kind, Kind::Received(segment) if segment.len > 0))
            .unwrap();
        falls_silent(trace, text, 700_000);
        trace.retain(|one| !received(one, Flags::FIN) && !enters(one, State::TimeWait));
    }),
    ("close/client-first", "FIN", |trace| {
        // A FIN leaves that nobody called for.
        trace.retain(|one| !matches!(one.kind, Kind::Call(model::Call::Close { .. })));
    }),
];

/// A challenge that nobody limits stays away (RFC 5961).
const CHALLENGES: [Case; 5] = [
    ("reset/next-but-one", "no challenge ACK", unchallenged_reset),
    ("reset/next-but-one", "rst-1", unchallenged_reset),
    ("numbers/syn-in-window", "seq-2", |trace| {
        let syn = arrival(trace, Flags::SYN);
        falls_silent(trace, syn, 700_000);
    }),
    ("numbers/ack-too-new", "ack-1", unchallenged_ack),
    ("numbers/ack-too-old", "ack-1", unchallenged_ack),
];

fn unchallenged_reset(trace: &mut Vec<Observation>) {
    let reset = arrival(trace, Flags::RST);
    falls_silent(trace, reset, 700_000);
}

fn unchallenged_ack(trace: &mut Vec<Observation>) {
    let ack = arrival(trace, Flags::ACK);
    falls_silent(trace, ack, 700_000);
}

#[test]
fn rewritten_streams_are_caught_by_the_right_rule() {
    let Some(_turn) = turn(&[]) else { return };
    let stream = Stream::start().unwrap();
    let missed: Vec<String> = [&OPENING[..], &NUMBERS, &CLOSING, &CHALLENGES]
        .concat()
        .into_iter()
        .filter_map(|(id, rule, rewrite)| {
            let complaint = complaint(id, &stream, rewrite).unwrap_or_default();
            (!complaint.contains(rule)).then(|| format!("{id}: {complaint:?} names no {rule}"))
        })
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
}
