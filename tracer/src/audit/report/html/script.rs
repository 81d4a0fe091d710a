//! A scenario's text, line by line, with what each line decided.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::link;
use crate::audit::report::model::{Outcome, Report, Scenario};

/// The text of a scenario; `runs` are its runs, in each family.
pub(super) fn table(report: &Report, runs: &[&Scenario]) -> Markup {
    let Some(first) = runs.first() else { return html! {} };
    html! {
        table.script {
            @for (number, text) in (1..).zip(first.source.lines()).filter(|(_, text)| !headline(text)) {
                @let outcome = worst(runs, number);
                tr id=(link::line(&first.id, number)) class=[outcome.map(Outcome::name)] {
                    td { (number) }
                    td { (line(report, text, &decided(runs, number))) }
                }
            }
        }
    }
}

/// What stands above the table already.
fn headline(line: &str) -> bool {
    line.is_empty() || line.starts_with("title:") || line.starts_with("rfc:")
}

/// A line; the requirements in it have the colour of what came of them.
fn line(report: &Report, text: &str, decided: &BTreeMap<&str, Outcome>) -> Markup {
    html! {
        @for (word, between) in link::words(text) {
            @match decided.get(word) {
                Some(outcome) => {
                    a class=(outcome.name()) href={ "#" (link::requirement(word)) } title=(outcome.name()) { (word) }
                }
                None => (link::deviations(report, word))
            }
            (between)
        }
    }
}

/// The requirements that a line decided, and the worst of what came of it.
fn decided<'a>(runs: &[&'a Scenario], line: u32) -> BTreeMap<&'a str, Outcome> {
    let mut decided = BTreeMap::new();
    for step in runs.iter().flat_map(|run| &run.decided).filter(|step| step.line == line) {
        let worst = decided.entry(step.requirement.as_str()).or_insert(step.outcome);
        *worst = step.outcome.max(*worst);
    }
    decided
}

/// How a line went, where it is worth a colour.
fn worst(runs: &[&Scenario], line: u32) -> Option<Outcome> {
    let failed =
        runs.iter().find(|run| run.problem.as_ref().is_some_and(|problem| problem.line == Some(line)));
    let steps = runs.iter().flat_map(|run| &run.decided).filter(|step| step.line == line);
    let departs = steps.map(|step| step.outcome).max().filter(|outcome| *outcome > Outcome::Pass);
    failed.map(|run| run.outcome).max(departs)
}
