//! `report.html`: one file that needs no other, neither network nor script.

mod deviations;
mod environment;
mod findings;
mod ladder;
mod link;
mod matrix;
mod random;
mod requirements;
mod scenarios;
mod script;
mod summary;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::model::Report;

/// Screen, dark screen and paper.
const STYLE: &str = include_str!("style.css");

/// Nothing is loaded and nothing runs, whatever is in the report.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// A green tick, so that no browser asks for a favicon.
const ICON: &str = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>\
                    <rect width='16' height='16' rx='4' fill='%231a7f4b'/>\
                    <path d='M4 8.5l3 3 5-6.5' fill='none' stroke='white' stroke-width='2'/></svg>";

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let title = format!("TCP conformance of Linux {}", report.kernel.release);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="generator" content={ "tcp-tracer " (report.tool) };
                title { (title) }
                link rel="icon" href=(ICON);
                style { (PreEscaped(STYLE)) }
            }
            body {
                (summary::header(report, &title))
                main { (body(report)) }
                footer {
                    "Written by tcp-tracer " (report.tool) ". The same as data: " code { "report.json" } "; for CI: "
                    code { "junit.xml" } "; for Wireshark, with the verdicts as comments: " code { "capture.pcapng" } "."
                }
            }
        }
    };
    page.into_string()
}

fn body(report: &Report) -> Markup {
    html! {
        (findings::section(report))
        (requirements::section(report))
        (deviations::section(report))
        @if let Some(matrix) = &report.matrix { (matrix::section(report, matrix)) }
        (scenarios::section(report))
        @if let Some(random) = &report.random { (random::section(report, random)) }
        (environment::section(report))
    }
}

/// A verdict in its colour.
fn badge(class: &str, word: &str) -> Markup {
    html! { span class={ "badge " (class) } { (word) } }
}
