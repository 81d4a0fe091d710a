//! Requirement by requirement, in the order of the RFC.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{badge, link};
use crate::audit::report::{
    model::{Evidence, Family, Outcome, Report, Requirement, RequirementVerdict},
    section::{self, SECTIONS},
    words::{Counts, several},
};

pub(super) const fn class(verdict: RequirementVerdict) -> &'static str {
    match verdict {
        RequirementVerdict::Pass => "pass",
        RequirementVerdict::Deviation => "deviation",
        RequirementVerdict::Fail => "fail",
        RequirementVerdict::NotRun => "not-run",
        RequirementVerdict::NotObservable => "not-observable",
        RequirementVerdict::NotApplicable => "not-applicable",
    }
}

/// How many steps a requirement's row names.
const SHOWN: usize = 6;

pub(super) fn section(report: &Report) -> Markup {
    let mut groups: BTreeMap<usize, Vec<&Requirement>> = BTreeMap::new();
    for requirement in &report.requirements {
        groups.entry(section::place(&requirement.clause)).or_default().push(requirement);
    }
    let counts = Counts::of(report).requirements;
    html! {
        section #requirements {
            h2 { "Requirements" }
            p.lead {
                "Every requirement of RFC 9293 (appendix B) and what decided it. MUST, SHLD (SHOULD), MAY and REC (RECOMMENDED) say how strong it is."
            }
            dl.legend {
                @for verdict in RequirementVerdict::ALL {
                    div { dt { (badge(class(verdict), verdict.name())) } dd { (verdict.meaning()) } }
                }
            }
            div.map { @for requirement in groups.values().flatten() { (chip(requirement)) } }
            fieldset.filter {
                legend { "Show" }
                label { input type="radio" name="verdict" id="show-all" checked; " all " (report.requirements.len()) }
                @for (verdict, count) in &counts {
                    label {
                        input type="radio" name="verdict" id={ "show-" (class(*verdict)) };
                        " " (verdict.name()) " " (count)
                    }
                }
            }
            @for (place, requirements) in &groups {
                @let (number, title) = SECTIONS.get(*place).copied().unwrap_or_default();
                div.group {
                    h3 { span.number { (number) } " " (title) }
                    table.requirements {
                        @for requirement in requirements { (row(report, requirement)) }
                    }
                }
            }
        }
    }
}

fn chip(requirement: &Requirement) -> Markup {
    let Requirement { id, verdict, sentence, .. } = requirement;
    html! {
        a class=(class(*verdict)) href={ "#" (link::requirement(id)) } title={ (verdict.name()) ": " (sentence) } { (id) }
    }
}

fn row(report: &Report, requirement: &Requirement) -> Markup {
    let Requirement { id, clause, sentence, verdict, reason, evidence } = requirement;
    html! {
        tr class=(class(*verdict)) id=(link::requirement(id)) {
            th scope="row" {
                @match section::address(clause) {
                    Some(address) => { a href=(address) rel="noreferrer" title={ "RFC 9293, " (clause) } { (id) } }
                    None => (id)
                }
            }
            td { (badge(class(*verdict), verdict.name())) }
            td {
                p { (sentence) }
                @if !reason.is_empty() { p.why { (link::deviations(report, reason)) } }
                @if !evidence.is_empty() { (steps(evidence)) }
            }
        }
    }
}

/// The steps of both families that a line stands for.
struct Step<'a> {
    scenario: &'a str,
    line: u32,
    outcome: Outcome,
    seen: &'a str,
    families: Vec<Family>,
}

/// The steps that decided, the worst first.
fn steps(evidence: &[Evidence]) -> Markup {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for Evidence { scenario, family, line, outcome, seen } in evidence {
        let same = |step: &&mut Step<'_>| {
            step.scenario == scenario && step.line == *line && step.outcome == *outcome
        };
        match steps.iter_mut().find(same) {
            Some(step) => step.families.push(*family),
            None => {
                steps.push(Step { scenario, line: *line, outcome: *outcome, seen, families: vec![*family] });
            }
        }
    }
    steps.sort_by_key(|step| std::cmp::Reverse(step.outcome));
    let left = steps.len().saturating_sub(SHOWN);
    html! {
        ul.steps {
            @for step in steps.iter().take(SHOWN) { (step.item()) }
            @if left > 0 {
                li { "and " (several(left as u64, "more step", "more steps")) }
            }
        }
    }
}

impl Step<'_> {
    fn item(&self) -> Markup {
        let Self { scenario, line, outcome, seen, families } = self;
        let families: Vec<_> = families.iter().map(|family| family.label()).collect();
        html! {
            li title=(seen) {
                i class={ "dot " (outcome.name()) } {}
                a href={ "#" (link::line(scenario, *line)) } { (scenario) @if *line > 0 { ":" (line) } }
                " " small { (families.join(", ")) }
                @if *outcome >= Outcome::Deviation && !seen.is_empty() { " " span.seen { (seen) } }
            }
        }
    }
}
