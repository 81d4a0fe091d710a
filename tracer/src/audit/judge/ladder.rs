//! The ladder of a run: a rung for each thing that happened.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use model::{Flags, State, oracle::Verdict as Word};

use super::{
    oracle::Judgement,
    peer::Peer,
    trace::{Source, Trace},
};
use crate::audit::{
    play::{Connection, Logged, Played, Recorded},
    report::model::{Entry, Segment, Verdict, What},
    scenario::{Action, Awaited, Script},
    world::Parsed,
};

/// Everything that happened in a run, in the order of time, with the states of both ends and the oracle's words.
pub(super) fn ladder(
    script: &Script,
    played: &Played,
    traces: &[Trace],
    words: &[Option<Judgement>],
) -> Vec<Entry> {
    let began = played.time.0;
    let mut entries = Vec::new();
    let verdict = |place: usize, source: Source| {
        let at = traces.get(place)?.iter().position(|(from, _)| *from == source)?;
        words.get(place)?.as_ref()?.each.get(at).map(|observed| said(&observed.verdict))
    };
    let changes = played.account.changes();
    let mut timed: Vec<(u64, Source, usize)> =
        (0..).zip(&played.log).map(|(at, l)| (l.time, Source::Log(at), l.connection)).collect();
    for (at, change) in changes.iter().enumerate() {
        let place = played.connections.iter().position(|connection| {
            connection.ports == change.ports
                || change.ports.peer == 0 && connection.ports.kernel == change.ports.kernel
        });
        timed.extend(place.map(|place| (change.time, Source::Change(at), place)));
    }
    timed.sort_by_key(|(time, ..)| *time);
    let mut kernel = vec![State::Closed; played.connections.len()];
    let mut peers = vec![Peer::default(); played.connections.len()];
    for (time, source, place) in timed {
        let (Some(kernel), Some(peer)) = (kernel.get_mut(place), peers.get_mut(place)) else { continue };
        let Some(connection) = played.connections.get(place) else { continue };
        let (what, line, wall) = match source {
            Source::Log(at) => {
                let Some(logged) = played.log.get(at) else { continue };
                peer.follow(logged);
                (what(logged, connection), logged.line, logged.wall)
            }
            Source::Change(at) => {
                let Some(change) = changes.get(at) else { continue };
                *kernel = change.transition.to;
                let what = What::Transition {
                    from: change.transition.from.to_string(),
                    to: change.transition.to.to_string(),
                    source: change.source.to_owned(),
                };
                (what, waited(script, change.transition.to, place), 0)
            }
            Source::End => continue,
        };
        let word = verdict(place, source);
        entries.push(Entry {
            at: time.saturating_sub(began) / 1_000,
            wall,
            connection: script.connections.get(place).cloned().unwrap_or_default(),
            line,
            kernel_state: kernel.to_string(),
            peer_state: peer.state.map(|state| state.to_string()),
            what,
            verdict: word,
            departures: Vec::new(),
        });
    }
    entries
}

/// The line that waits for this state, when there is only one.
fn waited(script: &Script, state: State, place: usize) -> Option<u32> {
    let mut lines = script.steps.iter().filter_map(|step| match &step.action {
        Action::Expect(alternatives) if step.connection == place => {
            let first = alternatives.first()?;
            (first.what == Awaited::State(state)).then_some(step.line)
        }
        _ => None,
    });
    let line = lines.next()?;
    lines.next().is_none().then_some(line)
}

fn said(verdict: &Word) -> Verdict {
    let text = match verdict {
        Word::Conforming(trail) => trail.to_string(),
        Word::Deviation(departures, trail) => format!("{departures}: {trail}"),
        Word::Violation(violation) => violation.to_string(),
        Word::Inconclusive(cause) => cause.to_string(),
    };
    Verdict { class: verdict.class().to_owned(), text }
}

fn what(logged: &Logged, connection: &Connection) -> What {
    match &logged.what {
        Recorded::Segment { parsed, from_kernel, mischief, bytes, .. } => {
            let segment = &parsed.segment;
            let (own, other): (i64, i64) = if *from_kernel {
                (connection.of_kernel(segment.seq), connection.of_peer(segment.ack))
            } else {
                (connection.of_peer(segment.seq), connection.of_kernel(segment.ack))
            };
            let bits =
                ["", ",ECE", ",CWR", ",ECE,CWR"].get(usize::from(parsed.ecn_bits)).copied().unwrap_or("");
            What::Segment(Segment {
                from_kernel: *from_kernel,
                flags: format!("{}{bits}", segment.flags),
                seq: own,
                ack: segment.has(Flags::ACK).then_some(other),
                len: segment.len,
                window: segment.window,
                urgent: segment.has(Flags::URG).then_some(segment.urgent),
                options: options(parsed, connection, *from_kernel),
                mischief: mischief.map(str::to_owned),
                packet: BASE64_STANDARD.encode(bytes),
            })
        }
        Recorded::Call { call, result, .. } => What::Call { call: call.clone(), result: result.clone() },
        Recorded::Icmp { message, bytes, .. } => {
            What::Icmp { message: (*message).to_owned(), packet: BASE64_STANDARD.encode(bytes) }
        }
        Recorded::Note(text) => What::Note { text: text.clone() },
    }
}

fn options(parsed: &Parsed, connection: &Connection, from_kernel: bool) -> String {
    let options = &parsed.segment.options;
    let mut words = Vec::new();
    if let Some(mss) = options.mss {
        words.push(format!("mss {mss}"));
    }
    if let Some(shift) = options.window_scale {
        words.push(format!("wscale {shift}"));
    }
    if options.sack_permitted {
        words.push("sackOK".to_owned());
    }
    if let Some(stamps) = options.timestamps {
        words.push(format!("ts {} ecr {}", stamps.value, stamps.echo));
    }
    if options.fast_open.is_some() {
        words.push("tfo".to_owned());
    }
    for (from, to) in &parsed.sacks {
        let number = |seq| if from_kernel { connection.of_peer(seq) } else { connection.of_kernel(seq) };
        words.push(format!("sack {}-{}", number(*from), number(*to)));
    }
    words.join(", ")
}
