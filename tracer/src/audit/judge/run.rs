//! A run of a scenario becomes its part of the report.

use std::collections::BTreeSet;

use model::{
    linux::{Deviation, DeviationId, Standing},
    oracle::{Departures, Observation},
    profile::RFC9293_INTENT,
};

use super::{
    departure::departures,
    ladder::ladder,
    oracle::{Judgement, judge},
    profile::running,
    reading::{Reading, explain},
    trace::{Trace, traces},
    wire::{self, Broken},
    word::{CROWDED, departs},
};
use crate::audit::{
    play::{Failure, Played, Went},
    report::model::{Decided, Family, Finding, Outcome, Problem, Scenario},
    scenario::Script,
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
    let mut run = Run {
        place: format!("{}/{}", script.id, family.name()),
        findings: Vec::new(),
        deviations: Vec::new(),
    };
    run.steps(played);
    run.transitions(played);
    let traces = traces(played);
    let words: Vec<Option<Judgement>> =
        traces.iter().map(|trace| script.unjudged.is_none().then(|| run.trace(trace, played))).collect();
    let uncertain = words.iter().flatten().any(|judgement| judgement.inconclusive);
    let (looked, broken) = wire::inspect(played);
    run.segments(&broken);
    let Run { findings, deviations, .. } = run;
    let shown: BTreeSet<DeviationId> = deviations.iter().map(|(id, _)| *id).collect();
    let outcome = if !findings.is_empty() {
        Outcome::Fail
    } else if departs(&shown) {
        Outcome::Deviation
    } else {
        Outcome::Pass
    };
    let mut decided = decided(script, played);
    if looked > 0 {
        decided.extend(wire::WATCHED.iter().map(|id| watched(id, looked, &broken)));
    }
    let scenario = Scenario {
        id: script.id.clone(),
        title: script.title.clone(),
        clause: script.clause.clone(),
        group: script.id.split('/').next().unwrap_or_default().to_owned(),
        family,
        source: script.source.clone(),
        outcome,
        problem: findings.first().map(|finding| Problem {
            // A step that failed comes before everything else.
            line: played.failure.as_ref().map(|failure| failure.line),
            expected: finding.expected.clone(),
            seen: finding.seen.clone(),
        }),
        deviations: shown.iter().map(|id| id.name().to_owned()).collect(),
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

/// What comes together while a run is judged.
struct Run {
    /// As findings name it.
    place: String,
    findings: Vec<Finding>,
    deviations: Vec<(DeviationId, Option<u32>)>,
}

impl Run {
    fn finds(&mut self, expected: &str, seen: &str, rules: &str) {
        let (expected, seen, rules) = (expected.to_owned(), seen.to_owned(), rules.to_owned());
        self.findings.push(Finding { place: self.place.clone(), expected, seen, rules });
    }

    fn steps(&mut self, played: &Played) {
        if let Some(Failure { line, expected, seen }) = &played.failure {
            let place = format!("{}:{line}", self.place);
            let (expected, seen) = (expected.clone(), seen.clone());
            self.findings.push(Finding { place, expected, seen, rules: "-".to_owned() });
        }
        for Went { line, deviation, .. } in &played.went {
            let id = deviation.and_then(Deviation::by_name).map(|deviation| deviation.id);
            self.deviations.extend(id.map(|id| (id, Some(*line))));
        }
    }

    fn transitions(&mut self, played: &Played) {
        for judged in played.account.judged() {
            match judged.what {
                Ok(id) => self.deviations.push((id, None)),
                Err(violation) => {
                    self.finds("a transition that the kernel can make", violation, violation);
                }
            }
        }
    }

    fn trace(&mut self, trace: &Trace, played: &Played) -> Judgement {
        let (judgement, shown) = explained(trace, played);
        self.deviations.extend(shown.into_iter().map(|id| (id, None)));
        if let Some((at, expected, rules)) = &judgement.violation {
            let seen = trace.get(*at).map(|(_, observation)| observation.to_string()).unwrap_or_default();
            self.finds(expected, &seen, rules);
        }
        judgement
    }

    fn segments(&mut self, broken: &[Broken]) {
        for (requirement, _, what, known) in broken {
            match known {
                Some(id) => self.deviations.push((*id, None)),
                None => self.finds(requirement, what, requirement),
            }
        }
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

/// What the kernel's segments, so many of which were looked at, say of a requirement.
fn watched(requirement: &str, looked: usize, broken: &[Broken]) -> Decided {
    let wrong = broken.iter().find(|(broken, ..)| *broken == requirement);
    Decided {
        requirement: requirement.to_owned(),
        line: 0,
        outcome: match wrong {
            Some((.., None)) => Outcome::Fail,
            Some((.., Some(_))) => Outcome::Deviation,
            None => Outcome::Pass,
        },
        deviation: wrong.and_then(|(.., known)| known.map(|id| id.name().to_owned())),
        seen: wrong
            .map_or_else(|| format!("{looked} segments of the kernel"), |(_, _, what, _)| what.clone()),
    }
}

fn decided(script: &Script, played: &Played) -> Vec<Decided> {
    let mut decided = Vec::new();
    let mut steps = script.steps.iter();
    for (step, went) in steps.by_ref().zip(&played.went) {
        for requirement in &step.decides {
            let outcome = match went.deviation.and_then(Deviation::by_name) {
                Some(known) if known.standing == Standing::Departs => Outcome::Deviation,
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
