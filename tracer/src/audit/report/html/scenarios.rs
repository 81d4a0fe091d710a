//! Scenario by scenario: what happened as a ladder, and the text that was played.

use maud::{Markup, html};

use super::{badge, ladder, link, script};
use crate::audit::report::{
    model::{Entry, Outcome, Report, Scenario, Segment, What},
    words::{Counts, span},
};

/// The runs of one scenario, in each family.
type Runs<'a> = Vec<&'a Scenario>;

pub(super) fn section(report: &Report) -> Markup {
    let mut groups: Vec<(&str, Vec<Runs<'_>>)> = Vec::new();
    for run in &report.scenarios {
        if groups.last().is_none_or(|(group, _)| *group != run.group) {
            groups.push((&run.group, Vec::new()));
        }
        let Some((_, scenarios)) = groups.last_mut() else { continue };
        match scenarios.last_mut() {
            Some(runs) if runs.first().is_some_and(|first| first.id == run.id) => runs.push(run),
            _ => scenarios.push(vec![run]),
        }
    }
    let counts = Counts::of(report).scenarios;
    html! {
        section #scenarios {
            h2 { "Scenarios" }
            p.lead {
                "Each is a conversation between the kernel (left) and a peer made for the audit (right), which may lie, lose and forge. "
                "Bold is the state that the kernel's socket entered; the number in front is the line of the scenario's text; on the right is the verdict on each step: the rules of the model that it takes, and the requirements that it decides."
            }
            fieldset.filter {
                legend { "Show" }
                label { input type="radio" name="outcome" id="only-all" checked; " all" }
                @for (outcome, count) in &counts {
                    label { input type="radio" name="outcome" id={ "only-" (outcome.name()) }; " " (outcome.name()) " " (count) }
                }
                label.open { input type="checkbox" id="open-all"; " open all, also on paper" }
            }
            @for (group, scenarios) in &groups {
                div.group {
                    h3 { (group) }
                    @for runs in scenarios { (scenario(report, runs)) }
                }
            }
        }
    }
}

fn scenario(report: &Report, runs: &[&Scenario]) -> Markup {
    let Some(first) = runs.first() else { return html! {} };
    let worst = runs.iter().map(|run| run.outcome).max().unwrap_or(Outcome::Error);
    html! {
        details class={ "run " (worst.name()) } id=(link::scenario(&first.id)) open[worst >= Outcome::Fail] {
            summary {
                (badge(worst.name(), worst.name())) " " code { (first.id) } " " span.title { (first.title) }
                small.times { @for run in runs { span { (run.family.label()) " " (span(run.duration)) } } }
            }
            p.of {
                (link::clause(&first.clause))
                @for name in &deviations(runs) { " · " a href={ "#" (link::deviation(name)) } { (name) } }
            }
            @for run in runs { (problem(run)) }
            @for (at, run) in runs.iter().enumerate() {
                @let caption = format!("{} over {}", first.id, run.family.label());
                @match runs.get(..at).and_then(|before| before.iter().find(|other| alike(other, run))) {
                    Some(other) => {
                        p.alike {
                            (run.family.label()) " went as " (other.family.label()) " did, segment by segment and state by state."
                        }
                    }
                    None => (ladder::figure(&run.ladder, &run.decided, &caption))
                }
            }
            (script::table(report, runs))
        }
    }
}

fn deviations<'a>(runs: &[&'a Scenario]) -> Vec<&'a str> {
    let mut names: Vec<_> = runs.iter().flat_map(|run| &run.deviations).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn problem(run: &Scenario) -> Markup {
    html! {
        @if let Some(problem) = &run.problem {
            dl class={ "problem " (run.outcome.name()) } {
                dt { (run.family.label()) @if let Some(line) = problem.line { ", line " (line) } ", expected" }
                dd { (problem.expected) }
                dt { "seen" }
                dd { (problem.seen) }
            }
        }
    }
}

/// The same happened: but for times, sizes of windows, and numbers in options, as the MSS of another family.
fn alike(one: &Scenario, other: &Scenario) -> bool {
    one.outcome == other.outcome
        && one.problem == other.problem
        && one.deviations == other.deviations
        && steps(one) == steps(other)
        && one.ladder.len() == other.ladder.len()
        && one.ladder.iter().zip(&other.ladder).all(|(one, other)| shape(one) == shape(other))
}

/// What the steps decided, but for the numbers that were seen.
fn steps(run: &Scenario) -> Vec<(&str, u32, Outcome)> {
    run.decided.iter().map(|step| (step.requirement.as_str(), step.line, step.outcome)).collect()
}

fn shape(entry: &Entry) -> Entry {
    let mut shape = Entry { at: 0, wall: 0, ..entry.clone() };
    match &mut shape.what {
        What::Segment(Segment { window, options, packet, .. }) => {
            *window = 0;
            packet.clear();
            options.retain(|letter| !letter.is_ascii_digit());
        }
        What::Icmp { packet, .. } => packet.clear(),
        What::Call { .. } | What::Transition { .. } | What::Note { .. } => {}
    }
    shape
}
