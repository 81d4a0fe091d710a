//! The verdict on each of the 119 requirements.

use std::collections::BTreeMap;

use model::{
    linux::Deviation,
    requirement::{REQUIREMENTS, Requirement as Entry},
};

use RequirementVerdict::{NotApplicable, NotObservable};

use crate::audit::report::model::{Evidence, Outcome, Requirement, RequirementVerdict, Scenario};

/// Where no scenario can decide, and why.
const UNDECIDED: &[(&str, RequirementVerdict, &str)] = &[
    ("MUST-9", NotObservable, "That a secret cannot be computed from outside is no observation."),
    ("SHLD-6", NotObservable, "The audit's network has one device with one MTU."),
    ("MUST-59", NotObservable, "How many segments wait inside when an ACK leaves does not show outside."),
    (
        "MUST-58",
        NotObservable,
        "An ACK that could have been saved looks like any other; SHLD-18 and SHLD-19 are decided.",
    ),
    (
        "SHLD-9",
        NotObservable,
        "Linux counts retransmissions in TCP_INFO; whether an application is told is its own doing.",
    ),
    ("MAY-17", NotApplicable, "The sockets interface does not tell of a received PSH."),
    ("MAY-14", NotApplicable, "The sockets interface has no FLUSH call."),
    ("MAY-15", NotApplicable, "send() has no PUSH flag; MSG_MORE is its opposite."),
    ("SHLD-13", NotApplicable, "It speaks to applications."),
    ("SHLD-23", NotApplicable, "It speaks to applications."),
    ("MAY-4", NotApplicable, "Linux does not make use of it: packets with DF need no identification."),
    (
        "MAY-8",
        NotApplicable,
        "It speaks of the receiver's right to keep its window closed; MUST-36 and MUST-37 are decided.",
    ),
    ("MAY-7", NotApplicable, "Linux does not make use of it; SHLD-15 and SHLD-16 are decided."),
    ("MAY-9", NotApplicable, "The audit does not ask for it (IP_RECVTOS, IPV6_RECVTCLASS)."),
    (
        "MAY-10",
        NotApplicable,
        "The option stands for IP, and Linux leaves it to the application (IP_OPTIONS).",
    ),
    (
        "MAY-11",
        NotApplicable,
        "The option stands for IP, and Linux leaves it to the application (IP_OPTIONS).",
    ),
    (
        "MUST-51",
        NotApplicable,
        "Source routes are deprecated (RFC 6814 and RFC 7126), and Linux drops them by default.",
    ),
    (
        "MUST-52",
        NotApplicable,
        "Source routes are deprecated (RFC 6814 and RFC 7126), and Linux drops them by default.",
    ),
    (
        "MUST-53",
        NotApplicable,
        "Source routes are deprecated (RFC 6814 and RFC 7126), and Linux drops them by default.",
    ),
    (
        "SHLD-24",
        NotApplicable,
        "Source routes are deprecated (RFC 6814 and RFC 7126), and Linux drops them by default.",
    ),
];

/// The verdict on every requirement, in the order of appendix B.
#[must_use]
pub fn requirements(scenarios: &[Scenario]) -> Vec<Requirement> {
    let mut decided: BTreeMap<&str, Vec<(&Scenario, &crate::audit::report::model::Decided)>> =
        BTreeMap::new();
    for scenario in scenarios {
        for step in &scenario.decided {
            decided.entry(&step.requirement).or_default().push((scenario, step));
        }
    }
    REQUIREMENTS
        .iter()
        .map(|entry| {
            let steps = decided.remove(entry.id).unwrap_or_default();
            verdict(entry, &steps)
        })
        .collect()
}

fn verdict(entry: &Entry, steps: &[(&Scenario, &crate::audit::report::model::Decided)]) -> Requirement {
    let Entry { id, clause, sentence, .. } = *entry;
    let any = |wanted: Outcome| steps.iter().find(|(_, step)| step.outcome == wanted);
    let (verdict, reason) = if let Some((scenario, step)) = any(Outcome::Fail) {
        (RequirementVerdict::Fail, format!("{}: {}", scenario.id, step.seen))
    } else if let Some((_, step)) = any(Outcome::Deviation) {
        let name = step.deviation.as_deref().unwrap_or_default();
        let why = Deviation::by_name(name).map_or("", |deviation| deviation.why);
        (RequirementVerdict::Deviation, format!("{name}: {why}"))
    } else if any(Outcome::Pass).is_some() {
        let runs = steps.len();
        // What every segment decides is no single step's doing.
        let everywhere = steps.iter().all(|(_, step)| step.line == 0);
        let by = if everywhere { "kept by every segment of the kernel, in" } else { "decided by" };
        (RequirementVerdict::Pass, format!("{by} {runs} {}", if everywhere { "runs" } else { "steps" }))
    } else if let Some((_, known, reason)) = UNDECIDED.iter().find(|(undecided, ..)| *undecided == id) {
        (*known, (*reason).to_owned())
    } else if steps.is_empty() {
        (RequirementVerdict::NotRun, "none of the scenarios that decide it ran to that step".to_owned())
    } else {
        (RequirementVerdict::NotRun, "the runs that decide it have no verdict".to_owned())
    };
    // What every segment decides needs no list of all scenarios.
    let evidence = steps.iter().filter(|(_, step)| step.line > 0 || step.outcome != Outcome::Pass);
    Requirement {
        id: id.to_owned(),
        clause: clause.to_owned(),
        sentence: sentence.to_owned(),
        verdict,
        reason,
        evidence: evidence
            .map(|(scenario, step)| Evidence {
                scenario: scenario.id.clone(),
                family: scenario.family,
                line: step.line,
                outcome: step.outcome,
                seen: step.seen.clone(),
            })
            .collect(),
    }
}
