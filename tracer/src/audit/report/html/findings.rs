//! What nothing explains.

use maud::{Markup, html};

use super::link;
use crate::audit::report::{
    model::{Finding, Report},
    place,
    words::several,
};

/// How many findings are told in full.
const SHOWN: usize = 100;

pub(super) fn section(report: &Report) -> Markup {
    // A scenario's finding says more than that of a cell or of a random conversation.
    let mut findings: Vec<_> = report.findings.iter().collect();
    findings.sort_by_key(|finding| {
        (place::in_scenario(&finding.place).is_none(), finding.place.starts_with("matrix"))
    });
    let left = findings.len().saturating_sub(SHOWN);
    html! {
        section #findings {
            h2 { "Findings" }
            @if report.findings.is_empty() {
                p { "There are none: RFC 9293, or a deviation that is known by name, explains everything that was seen." }
            } @else {
                p.lead { "What neither RFC 9293 nor a known deviation explains. Each is either a defect of the kernel or of this audit, and worth a look." }
                @for finding in findings.iter().take(SHOWN) { (one(report, finding)) }
                @if left > 0 { p { "And " (several(left as u64, "more finding", "more findings")) ", in " code { "report.json" } "." } }
            }
        }
    }
}

fn one(report: &Report, finding: &Finding) -> Markup {
    let Finding { place, expected, seen, rules } = finding;
    html! {
        article.card.fail {
            h3 { (link::finding(report, place)) }
            dl {
                dt { "expected" } dd { (expected) }
                dt { "seen" } dd { (seen) }
                @if rules != "-" { dt { "rules" } dd { code { (rules) } } }
            }
        }
    }
}
