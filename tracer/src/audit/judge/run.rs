//! A run of a scenario becomes its part of the report.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use model::{
    Flags, State,
    linux::DeviationId,
    oracle::{Departures, Observation, Verdict as Word},
    profile::RFC9293_INTENT,
};

use super::{
    departure::departures,
    oracle::{Judgement, judge},
    profile::running,
    reading::{Reading, explain},
    trace::{Source, Trace, traces},
    wire,
    word::CROWDED,
};
use crate::audit::{
    play::{Connection, Failure, Logged, Played, Recorded, Went},
    report::model::{Decided, Entry, Family, Finding, Outcome, Problem, Scenario, Segment, Verdict, What},
    scenario::{Action, Script},
};

/// A judged run.
#[derive(Debug)]
pub struct Judged {
    /// The scenario's part of the report.
    pub scenario: Scenario,
    /// What nothing explains.
    pub findings: Vec<Finding>,
    /// The deviations that were seen, and on which line where a step showed them.
    pub deviations: Vec<(DeviationId, Option<u32>)>,
}

impl Judged {
    /// The same run without a verdict, and why: what differs in it is no finding, and what conforms decides nothing, since
    /// what nothing explains casts doubt on what a step alone says.
    #[must_use]
    pub fn unsettled(mut self, why: &str) -> Self {
        let scenario = &mut self.scenario;
        scenario.outcome = Outcome::Inconclusive;
        let problem = scenario.problem.get_or_insert_with(|| Problem {
            line: None,
            expected: "a verdict".to_owned(),
            seen: "none".to_owned(),
        });
        problem.seen = format!("{}: {why}", problem.seen);
        for step in &mut scenario.decided {
            if matches!(step.outcome, Outcome::Pass | Outcome::Fail) {
                step.outcome = Outcome::Inconclusive;
            }
        }
        self.findings.clear();
        self
    }
}

/// Judges a run.
#[must_use]
pub fn scenario(script: &Script, family: Family, played: &Played) -> Judged {
    let place = |line: Option<u32>| match line {
        Some(line) => format!("{}/{}:{line}", script.id, name(family)),
        None => format!("{}/{}", script.id, name(family)),
    };
    let mut findings = Vec::new();
    let mut deviations: Vec<(DeviationId, Option<u32>)> = Vec::new();
    let mut problem = None;
    let mut uncertain = false;
    if let Some(Failure { line, expected, seen }) = &played.failure {
        let (expected, seen) = (expected.clone(), seen.clone());
        findings.push(Finding {
            place: place(Some(*line)),
            expected: expected.clone(),
            seen: seen.clone(),
            rules: "-".into(),
        });
        problem = Some(Problem { line: Some(*line), expected, seen });
    }
    for Went { line, deviation, .. } in &played.went {
        let id = deviation.and_then(model::linux::Deviation::by_name).map(|deviation| deviation.id);
        deviations.extend(id.map(|id| (id, Some(*line))));
    }
    for judged in played.account.judged() {
        match judged.what {
            Ok(id) => deviations.push((id, None)),
            Err(violation) => {
                let expected = "a transition that the kernel can make".to_owned();
                findings.push(Finding {
                    place: place(None),
                    expected,
                    seen: violation.to_owned(),
                    rules: violation.to_owned(),
                });
            }
        }
    }
    let traces = traces(played);
    let mut words: Vec<Option<Judgement>> = Vec::new();
    for trace in &traces {
        if script.unjudged.is_some() {
            words.push(None);
            continue;
        }
        let (judgement, shown) = explained(trace, played);
        for id in shown {
            deviations.push((id, None));
        }
        if let Some((at, expected, rules)) = &judgement.violation {
            let seen = trace.get(*at).map(|(_, observation)| observation.to_string()).unwrap_or_default();
            let finding =
                Finding { place: place(None), expected: expected.clone(), seen, rules: rules.clone() };
            problem.get_or_insert(Problem {
                line: None,
                expected: finding.expected.clone(),
                seen: finding.seen.clone(),
            });
            findings.push(finding);
        }
        uncertain |= judgement.inconclusive;
        words.push(Some(judgement));
    }
    let (looked, broken) = wire::inspect(played);
    deviations.extend(broken.iter().filter_map(|(.., known)| known.map(|id| (id, None))));
    for (id, _, what, _) in broken.iter().filter(|(.., known)| known.is_none()) {
        findings.push(Finding {
            place: place(None),
            expected: (*id).to_owned(),
            seen: what.clone(),
            rules: (*id).to_owned(),
        });
    }
    let departs: BTreeSet<DeviationId> = deviations.iter().map(|(id, _)| *id).collect();
    let outcome = if !findings.is_empty() {
        Outcome::Fail
    } else if departs.iter().any(|id| id.deviation().standing == model::linux::Standing::Departs) {
        Outcome::Deviation
    } else {
        Outcome::Pass
    };
    if problem.is_none() && outcome == Outcome::Fail {
        problem = findings.first().map(|finding| Problem {
            line: None,
            expected: finding.expected.clone(),
            seen: finding.seen.clone(),
        });
    }
    let mut decided = decided(script, played);
    if looked > 0 {
        decided.extend(wire::WATCHED.iter().map(|id| {
            let wrong = broken.iter().find(|(broken, ..)| broken == id);
            Decided {
                requirement: (*id).to_owned(),
                line: 0,
                outcome: match wrong {
                    Some((.., None)) => Outcome::Fail,
                    Some((.., Some(_))) => Outcome::Deviation,
                    None => Outcome::Pass,
                },
                deviation: wrong.and_then(|(.., known)| known.map(|id| id.name().to_owned())),
                seen: wrong.map_or_else(
                    || format!("{looked} segments of the kernel"),
                    |(_, _, what, _)| what.clone(),
                ),
            }
        }));
    }
    let scenario = Scenario {
        id: script.id.clone(),
        title: script.title.clone(),
        clause: script.clause.clone(),
        group: script.id.split('/').next().unwrap_or_default().to_owned(),
        family,
        source: script.source.clone(),
        outcome,
        problem,
        deviations: departs.iter().map(|id| id.name().to_owned()).collect(),
        decided,
        duration: (played.time.1 - played.time.0) / 1_000,
        ladder: ladder(script, played, &traces, &words),
    };
    let doubt = if uncertain { Some(CROWDED) } else { played.doubt().filter(|_| !findings.is_empty()) };
    let judged = Judged { scenario, findings, deviations };
    match doubt {
        Some(why) => judged.unsettled(why),
        None => judged,
    }
}

/// `ipv4` or `ipv6`.
#[must_use]
pub const fn name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    }
}

/// The oracle's word under the settings of the run, and the deviations that it needed.
fn explained(trace: &Trace, played: &Played) -> (Judgement, Vec<DeviationId>) {
    let observations: Vec<Observation> = trace.iter().map(|(_, observation)| *observation).collect();
    let Reading { judgement, profile, trace, fast_path } = explain(&observations, &played.conditions);
    if judgement.violation.is_some() {
        return (judgement, Vec::new());
    }
    let mut shown = if judge(&observations, &RFC9293_INTENT, Departures::NONE).conforms() {
        Vec::new()
    } else {
        departures(&trace, &profile, judgement.departures, &BTreeSet::new())
    };
    if profile.limits.r2 != running(&played.conditions).limits.r2 {
        shown.push(DeviationId::OrphanRetries);
    }
    shown.extend(fast_path.then_some(DeviationId::FastPathSkipsAckRange));
    (judgement, shown)
}

fn decided(script: &Script, played: &Played) -> Vec<Decided> {
    let mut decided = Vec::new();
    let mut steps = script.steps.iter();
    for (step, went) in steps.by_ref().zip(&played.went) {
        for requirement in &step.decides {
            let departs = went.deviation.and_then(model::linux::Deviation::by_name);
            let outcome = match departs {
                Some(known) if known.standing == model::linux::Standing::Departs => Outcome::Deviation,
                _ => Outcome::Pass,
            };
            decided.push(Decided {
                requirement: requirement.id.to_owned(),
                line: went.line,
                outcome,
                deviation: went.deviation.map(str::to_owned),
                seen: went.seen.clone(),
            });
        }
    }
    if let Some(failure) = &played.failure
        && let Some(step) = script.steps.iter().find(|step| step.line == failure.line)
    {
        decided.extend(step.decides.iter().map(|requirement| Decided {
            requirement: requirement.id.to_owned(),
            line: failure.line,
            outcome: Outcome::Fail,
            deviation: None,
            seen: failure.seen.clone(),
        }));
    }
    decided
}

fn ladder(script: &Script, played: &Played, traces: &[Trace], words: &[Option<Judgement>]) -> Vec<Entry> {
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
            (first.what == crate::audit::scenario::Awaited::State(state)).then_some(step.line)
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

fn options(parsed: &crate::audit::world::Parsed, connection: &Connection, from_kernel: bool) -> String {
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

/// The state of a peer, as far as what it sent and received tells. One that lies has none of its own; this is what an
/// honest one would be in.
#[derive(Clone, Debug, Default)]
struct Peer {
    state: Option<State>,
    fin_end: Option<model::Seq>,
}

impl Peer {
    fn follow(&mut self, logged: &Logged) {
        let Recorded::Segment { parsed, from_kernel, arrives, mischief, .. } = &logged.what else { return };
        if !arrives && *mischief != Some("lost") {
            return;
        }
        let segment = &parsed.segment;
        let (fin, ack) = (segment.has(Flags::FIN), segment.has(Flags::ACK));
        let state = self.state.unwrap_or(State::Closed);
        let acked = ack && self.fin_end.is_some_and(|end| segment.ack == end);
        let next = if segment.has(Flags::RST) {
            State::Closed
        } else if *from_kernel {
            match state {
                State::Closed if segment.has(Flags::SYN) && !ack => State::Listen,
                State::SynSent if segment.has(Flags::SYN) => {
                    if ack {
                        State::Established
                    } else {
                        State::SynReceived
                    }
                }
                State::SynReceived if ack && !fin => State::Established,
                State::SynReceived | State::Established if fin => State::CloseWait,
                State::FinWait1 if fin => {
                    if acked {
                        State::TimeWait
                    } else {
                        State::Closing
                    }
                }
                State::FinWait1 if acked => State::FinWait2,
                State::FinWait2 if fin => State::TimeWait,
                State::Closing if acked => State::TimeWait,
                State::LastAck if acked => State::Closed,
                other => other,
            }
        } else {
            if fin {
                self.fin_end = Some(segment.end());
            }
            match state {
                State::Closed | State::Listen if segment.has(Flags::SYN) => {
                    if ack {
                        State::SynReceived
                    } else {
                        State::SynSent
                    }
                }
                State::Established | State::SynReceived if fin => State::FinWait1,
                State::CloseWait if fin => State::LastAck,
                other => other,
            }
        };
        self.state = Some(next);
    }
}

#[cfg(test)]
mod tests {
    use super::{Decided, Family, Finding, Judged, Outcome, Problem, Scenario};

    /// A run of which one step passed, another one showed a deviation, and the last one differed.
    fn differing() -> Judged {
        let step = |line, outcome| Decided {
            requirement: "MUST-13".to_owned(),
            line,
            outcome,
            deviation: None,
            seen: String::new(),
        };
        let problem = Problem { line: Some(9), expected: "state CLOSED".into(), seen: "nothing".into() };
        let finding = Finding {
            place: "timers/user-timeout/ipv6:9".into(),
            expected: problem.expected.clone(),
            seen: problem.seen.clone(),
            rules: "-".into(),
        };
        let scenario = Scenario {
            id: "timers/user-timeout".into(),
            title: String::new(),
            clause: String::new(),
            group: "timers".into(),
            family: Family::Ipv6,
            source: String::new(),
            outcome: Outcome::Fail,
            problem: Some(problem),
            deviations: Vec::new(),
            decided: vec![step(7, Outcome::Pass), step(8, Outcome::Deviation), step(9, Outcome::Fail)],
            duration: 0,
            ladder: Vec::new(),
        };
        Judged { scenario, findings: vec![finding], deviations: Vec::new() }
    }

    #[test]
    fn a_run_without_a_verdict_finds_nothing_and_decides_nothing_and_says_why() {
        let Judged { scenario, findings, .. } = differing().unsettled("not when it was played again");
        assert_eq!((scenario.outcome, findings), (Outcome::Inconclusive, Vec::new()));
        let decided: Vec<Outcome> = scenario.decided.iter().map(|step| step.outcome).collect();
        // A deviation was seen, whatever else came.
        assert_eq!(decided, [Outcome::Inconclusive, Outcome::Deviation, Outcome::Inconclusive]);
        let problem = scenario.problem.unwrap();
        assert_eq!((problem.line, problem.expected.as_str()), (Some(9), "state CLOSED"));
        assert_eq!(problem.seen, "nothing: not when it was played again");
    }
}
