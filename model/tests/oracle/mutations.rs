//! Falsified stories: what an endpoint would look like that breaks a rule. Nearly all have to be violations.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use model::oracle::{Kind, Observation, Tap, Transition, Verdict};
use model::story::{Side, Story, stories};
use model::{Flags, Segment, Seq, State};

use crate::{snapshot, trace};

/// A falsified trace: which operator, where, and what came of it.
struct Mutant {
    operator: &'static str,
    at: usize,
    trace: Vec<Observation>,
}

struct Mutator<'a> {
    trace: &'a [Observation],
    mutants: Vec<Mutant>,
}

impl Mutator<'_> {
    fn add(&mut self, operator: &'static str, at: usize, trace: Vec<Observation>) {
        self.mutants.push(Mutant { operator, at, trace });
    }

    fn replace(&mut self, operator: &'static str, at: usize, kind: Kind) {
        let mut trace = self.trace.to_vec();
        trace[at].kind = kind;
        self.add(operator, at, trace);
    }

    fn remove(&mut self, operator: &'static str, at: usize) {
        let mut trace = self.trace.to_vec();
        trace.remove(at);
        self.add(operator, at, trace);
    }

    fn transition(&mut self, at: usize, transition: Transition) {
        for to in State::ALL {
            if to != transition.to && to != transition.from {
                self.replace("wrong edge", at, Kind::Transition(Transition { to, ..transition }));
            }
        }
        self.remove("missing edge", at);
        if transition.to.is_synchronized() {
            let wrong = |seq: Option<Seq>| seq.map(|seq| seq + 1);
            let mut changed = transition;
            changed.numbers.una = wrong(changed.numbers.una);
            self.replace("SND.UNA one too far", at, Kind::Transition(changed));
            let mut changed = transition;
            changed.numbers.rcv_nxt = wrong(changed.numbers.rcv_nxt);
            self.replace("RCV.NXT one too far", at, Kind::Transition(changed));
        }
        if (transition.from, transition.to) == (State::TimeWait, State::Closed)
            && matches!(self.trace[at - 1].kind, Kind::Sent(_) | Kind::Transition(_))
        {
            // Moved forward to a tenth of the wait.
            let mut trace = self.trace.to_vec();
            let since = trace[at - 1].at;
            trace[at].at = since + (trace[at].at - since) / 10;
            self.add("TIME-WAIT cut short", at, trace);
            let mut trace = self.trace.to_vec();
            let whole = trace[at].at - since;
            for observation in &mut trace[at..] {
                observation.at += whole / 2;
            }
            self.add("TIME-WAIT half as long again", at, trace);
        }
    }

    fn sent(&mut self, at: usize, segment: Segment) {
        let sent = |change: fn(&mut Segment)| {
            let mut changed = segment;
            change(&mut changed);
            Kind::Sent(changed)
        };
        if segment.has(Flags::ACK) {
            self.replace("ACK one too far", at, sent(|s| s.ack += 1));
            self.replace("ACK one too near", at, sent(|s| s.ack = s.ack - 1));
            self.replace("ACK far off", at, sent(|s| s.ack += 100_000));
        }
        // The first SYN's number is free.
        if !segment.has(Flags::SYN) || self.is_again(at, &segment) {
            self.replace("SEQ one too far", at, sent(|s| s.seq += 1));
            self.replace("SEQ one too near", at, sent(|s| s.seq = s.seq - 1));
            self.replace("SEQ far off", at, sent(|s| s.seq += 100_000));
        }
        if !segment.has(Flags::RST) {
            self.replace("RST instead", at, sent(|s| s.flags = Flags::RST));
            if !segment.has(Flags::FIN) {
                self.replace("FIN added", at, sent(|s| s.flags = s.flags.with(Flags::FIN)));
            }
        }
        if segment.has(Flags::SYN) {
            self.replace("SYN without SYN", at, sent(|s| s.flags = s.flags.without(Flags::SYN)));
        } else {
            self.replace("SYN added", at, sent(|s| s.flags = s.flags.with(Flags::SYN)));
        }
        if segment.has(Flags::ACK) && !segment.has(Flags::RST) && !segment.has(Flags::SYN) {
            self.replace("ACK bit missing", at, sent(|s| s.flags = s.flags.without(Flags::ACK)));
        }
        if segment.has(Flags::FIN) {
            self.replace("FIN bit missing", at, sent(|s| s.flags = s.flags.without(Flags::FIN)));
        }
        if segment.len > 0 {
            self.replace("text that nobody gave", at, sent(|s| s.len += 50_000));
        }
        if segment.seq_len() > 0 && !self.is_again(at, &segment) {
            self.remove("segment not sent", at);
        } else if segment.has(Flags::RST) {
            self.remove("RST not sent", at);
        } else if segment.seq_len() == 0 && self.answers_new_text(at) {
            self.remove("ACK not sent", at);
        }
    }

    /// True when the segment was sent before.
    fn is_again(&self, at: usize, segment: &Segment) -> bool {
        self.trace[..at].iter().any(|earlier| match &earlier.kind {
            Kind::Sent(sent) => sent.seq == segment.seq && sent.seq_len() == segment.seq_len(),
            _ => false,
        })
    }

    /// True when what came before this ACK has to be acknowledged, and nothing else does it within half a second.
    fn answers_new_text(&self, at: usize) -> bool {
        let now = self.trace[at].at;
        let new = self.trace[..at].iter().rev().take(3).any(|earlier| match &earlier.kind {
            Kind::Received(segment) => earlier.at == now && segment.seq_len() > 0,
            _ => false,
        });
        let again = self.trace[at + 1..].iter().any(|later| match &later.kind {
            Kind::Sent(sent) => later.at <= now + 500_000 && sent.has(Flags::ACK),
            Kind::Transition(transition) => later.at <= now + 500_000 && transition.to == State::Closed,
            Kind::Restart => later.at <= now + 500_000,
            _ => false,
        });
        new && !again
    }

    fn received(&mut self, at: usize, segment: Segment) {
        let acts = matches!(
            self.trace.get(at + 1),
            Some(Observation { kind: Kind::Transition(_), at: then }) if *then == self.trace[at].at
        );
        if acts {
            self.remove("transition without its segment", at);
            let mut changed = segment;
            changed.seq += 100_000;
            if !changed.has(Flags::SYN) {
                self.replace("transition by a segment outside the window", at, Kind::Received(changed));
            }
            if segment.has(Flags::FIN) {
                changed = segment;
                changed.flags = changed.flags.without(Flags::FIN);
                self.replace("FIN believed that did not come", at, Kind::Received(changed));
            }
        }
    }

    /// Things that a broken endpoint does of itself.
    fn spontaneous(&mut self, at: usize, state: State, numbers: (Seq, Seq)) {
        let now = self.trace[at].at;
        let mut insert = |operator, kinds: &[Kind]| {
            let mut trace = self.trace.to_vec();
            let more = kinds.iter().map(|kind| Observation { at: now, kind: *kind });
            trace.splice(at + 1..at + 1, more);
            self.mutants.push(Mutant { operator, at, trace });
        };
        let (nxt, rcv_nxt) = numbers;
        if state == State::Established {
            let syn = Segment::new(Flags::SYN, rcv_nxt.0.wrapping_add(7), 0);
            let syn_ack = Segment::new(Flags::SYN_ACK, 77_777, rcv_nxt.0.wrapping_add(8));
            insert("SYN accepted in ESTABLISHED", &[Kind::Received(syn), Kind::Sent(syn_ack)]);
            insert("reset that nobody asked for", &[Kind::Sent(Segment::new(Flags::RST, nxt.0, 0))]);
            insert(
                "peer's FIN acknowledged before it came",
                &[Kind::Sent(Segment::new(Flags::ACK, nxt.0, rcv_nxt.0.wrapping_add(1)))],
            );
        }
        let quits = Transition { from: state, to: State::Closed, numbers: Default::default() };
        if !matches!(state, State::Closed | State::TimeWait) {
            insert("connection given up", &[Kind::Transition(quits)]);
        }
    }
}

/// Every mutant of a trace.
fn mutants(trace: &[Observation]) -> Vec<Mutant> {
    let mut mutator = Mutator { trace, mutants: Vec::new() };
    let mut state = State::Closed;
    for (at, observation) in trace.iter().enumerate() {
        match observation.kind {
            Kind::Transition(transition) => {
                state = transition.to;
                mutator.transition(at, transition);
                if let (Some(nxt), Some(rcv_nxt)) = (transition.numbers.nxt, transition.numbers.rcv_nxt) {
                    mutator.spontaneous(at, state, (nxt, rcv_nxt));
                }
            }
            Kind::Sent(segment) => mutator.sent(at, segment),
            Kind::Received(segment) => mutator.received(at, segment),
            Kind::Call(_) => {
                let acts = matches!(trace.get(at + 1), Some(Observation { kind: Kind::Transition(_), .. }));
                if acts {
                    mutator.remove("transition without its call", at);
                }
            }
            Kind::Restart => state = State::Closed,
            Kind::Icmp(_) | Kind::Quiet | Kind::Gap => {}
        }
    }
    let _ = state;
    mutator.mutants
}

/// The end of a trace is silence that lasts: what is owed has to have come.
fn with_silence(story: &Story, side: Side) -> Vec<Observation> {
    let mut trace = trace::of(&story.play(), side);
    if let Some(last) = trace.last().copied() {
        trace.push(Observation { at: last.at + 100_000_000, kind: Kind::Quiet });
    }
    trace
}

const COMMAND: &str = "cargo test -p model --features stories --test oracle mutations";

#[derive(Default)]
struct Count {
    all: usize,
    violations: usize,
    deviations: usize,
    /// What judging them takes.
    steps: u64,
    /// Why they are violations.
    reasons: BTreeMap<String, usize>,
}

fn detect(tap: Tap) -> (BTreeMap<&'static str, Count>, Vec<String>) {
    let mut counts: BTreeMap<&'static str, Count> = BTreeMap::new();
    let mut missed = Vec::new();
    for story in stories() {
        for side in [Side::A, Side::B] {
            let whole = with_silence(&story, side);
            let healthy = trace::through(&whole, tap);
            for mutant in mutants(&whole) {
                let seen = trace::through(&mutant.trace, tap);
                if seen == healthy {
                    // This tap does not show what was falsified.
                    continue;
                }
                let (verdicts, steps) = trace::judge_and_count(&seen, story.profile, tap);
                let count = counts.entry(mutant.operator).or_default();
                count.all += 1;
                count.steps += steps;
                if let Some(Verdict::Violation(violation)) = verdicts.iter().find(|v| v.is_violation()) {
                    count.violations += 1;
                    let reason = format!("{:?}", violation.mismatch);
                    let kind = reason.split([' ', '(']).next().unwrap_or_default();
                    let reason = format!("{kind} in {}", violation.state);
                    *count.reasons.entry(reason).or_default() += 1;
                } else if verdicts.iter().any(|verdict| matches!(verdict, Verdict::Deviation(..))) {
                    count.deviations += 1;
                    missed.push(format!(
                        "{} {side:?} {}: {} (deviation): {}",
                        story.name,
                        mutant.operator,
                        mutant.trace[mutant.at],
                        reason(mutant.operator)
                    ));
                } else {
                    missed.push(format!(
                        "{} {side:?} {}: {}: {}",
                        story.name,
                        mutant.operator,
                        mutant.trace[mutant.at],
                        reason(mutant.operator)
                    ));
                }
            }
        }
    }
    (counts, missed)
}

/// Why a mutant of this kind may be what a healthy endpoint looks like.
fn reason(operator: &str) -> &'static str {
    match operator {
        "ACK not sent" => {
            "a challenge may be throttled (RFC 5961, 7); a dropped segment's ACK is a departure"
        }
        "FIN bit missing" | "segment not sent" => {
            "what was lost and sent again may have been put off until then"
        }
        "missing edge" => {
            "another reading of the profile stays, R2 is the user's choice, or a crash came first"
        }
        "TIME-WAIT cut short" | "TIME-WAIT half as long again" => "a story whose 2MSL is zero",
        "transition by a segment outside the window" => "SYN-SENT knows no window yet",
        "transition without its segment" => "another segment explains it under a departure",
        _ => "a missing tap leaves room for it",
    }
}

/// What was found with this tap, as text, and the share of violations.
fn report(name: &str, tap: Tap) -> (String, f64) {
    let (counts, missed) = detect(tap);
    let mut text = format!("{name}\n");
    for (operator, Count { all, violations, deviations, steps, reasons }) in &counts {
        let _ = writeln!(
            text,
            "  {operator}: {violations} of {all} are violations, {deviations} deviations; {steps} steps"
        );
        for (reason, many) in reasons {
            let _ = writeln!(text, "    {many} {reason}");
        }
    }
    let all: usize = counts.values().map(|count| count.all).sum();
    let found: usize = counts.values().map(|count| count.violations).sum();
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let share = found as f64 / all as f64;
    let _ = writeln!(text, "  all: {found} of {all}, {:.1} %", share * 100.0);
    if tap == Tap::FULL {
        for line in &missed {
            let _ = writeln!(text, "  missed: {line}");
        }
    }
    (text, share)
}

#[test]
fn with_everything_seen_nearly_every_mutant_is_a_violation() {
    let (text, share) = report("everything seen", Tap::FULL);
    assert!(share >= 0.99, "{share}");
    snapshot::matches("oracle-full.txt", &text, COMMAND);
}

/// With less to see there is less to find. What is found, and for which reason, is a reviewed snapshot: a change shows.
#[test]
fn with_less_seen_fewer_mutants_are_violations() {
    let text: String = Tap::NAMED[1..].iter().map(|(name, tap)| report(name, *tap).0).collect();
    snapshot::matches("oracle-partial.txt", &text, COMMAND);
}
