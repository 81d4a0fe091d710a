//! The head of the page: which kernel, what came of it, and how much was looked at.

use maud::{Markup, html};

use crate::audit::report::{
    model::{Outcome, Report, RequirementVerdict},
    words::{Counts, several, span, thousands},
};

/// A part of a bar: class, word, count.
type Part = (&'static str, &'static str, usize);

pub(super) fn header(report: &Report, title: &str) -> Markup {
    let Report { kernel, outcome, .. } = report;
    let took = span(report.duration_ms * 1_000);
    html! {
        header {
            h1 { (title) }
            p.of {
                (kernel.machine) " · " (kernel.version) br;
                "audited " (when(&report.started)) " in " (took) " by tcp-tracer " (report.tool)
                @if report.settings.quick { " · quick: the long scenarios were left out" }
                @if !report.settings.only.is_empty() { " · only " (report.settings.only.join(", ")) }
                @if !report.settings.files.is_empty() { " · scenarios of " (report.settings.files.join(", ")) }
            }
            div class={ "verdict " (outcome.name()) } {
                strong { (outcome.headline()) }
                p { (outcome.meaning()) }
            }
            div.tiles { (tiles(report)) }
            nav { (contents(report)) }
        }
    }
}

/// `2026-11-21 13:50 UTC`.
fn when(started: &str) -> String {
    match started.get(..16) {
        Some(minute) if started.ends_with('Z') => format!("{} UTC", minute.replace('T', " ")),
        _ => started.to_owned(),
    }
}

fn tiles(report: &Report) -> Markup {
    let counts = Counts::of(report);
    let verdicts = RequirementVerdict::ALL.map(|verdict| {
        let count = counts.requirements.get(&verdict).copied().unwrap_or(0);
        (super::requirements::class(verdict), verdict.name(), count)
    });
    let departs = report.deviations.iter().filter(|deviation| !deviation.permitted).count();
    let deviations = [
        ("deviation", "depart from the RFC", departs),
        ("pass", "permitted by it", report.deviations.len() - departs),
    ];
    html! {
        (tile("requirements", "requirements of the RFC", report.requirements.len(), &verdicts))
        (tile("deviations", "deviations seen", report.deviations.len(), &deviations))
        (tile("scenarios", "runs of scenarios", report.scenarios.len(), &outcomes(&counts.scenarios)))
        @if report.matrix.is_some() {
            (tile("matrix", "cells of the matrix", counts.cells.values().sum(), &outcomes(&counts.cells)))
        }
        @if let Some(random) = &report.random {
            @let differ = report.unexplained_conversations();
            @let all = usize::try_from(random.conversations).unwrap_or(usize::MAX);
            (tile("random", "random conversations", all, &[
                ("pass", "explained", all.saturating_sub(differ)),
                ("fail", "unexplained", differ),
            ]))
        }
        @let findings = report.findings.len();
        (tile("findings", "unexplained", findings, &[("fail", if findings == 1 { "finding" } else { "findings" }, findings)]))
    }
}

fn outcomes(counts: &std::collections::BTreeMap<Outcome, usize>) -> [Part; 5] {
    Outcome::ALL.map(|outcome| (outcome.name(), outcome.name(), counts.get(&outcome).copied().unwrap_or(0)))
}

fn tile(target: &str, what: &str, count: usize, parts: &[Part]) -> Markup {
    let parts = || parts.iter().filter(|(.., count)| *count > 0);
    html! {
        a.tile href={ "#" (target) } {
            b { (thousands(count as u64)) } " " (what)
            span.bar aria-hidden="true" {
                @for (class, _, count) in parts() { i class=(class) style={ "flex-grow:" (count) } {} }
            }
            span.parts {
                @for (class, word, count) in parts() {
                    span { i class={ "dot " (class) } {} (thousands(*count as u64)) " " (word) }
                }
            }
        }
    }
}

fn contents(report: &Report) -> Markup {
    html! {
        a href="#findings" { "Findings" }
        a href="#requirements" { "Requirements" }
        a href="#deviations" { "Deviations" }
        @if report.matrix.is_some() { a href="#matrix" { "Matrix" } }
        a href="#scenarios" { "Scenarios" }
        @if let Some(random) = &report.random {
            a href="#random" title=(several(random.conversations, "conversation", "conversations")) { "Random conversations" }
        }
        a href="#environment" { "Kernel and settings" }
    }
}
