//! The kernel, its settings, and how to do it again.

use maud::{Markup, html};

use crate::audit::report::model::{Report, Settings};

pub(super) fn section(report: &Report) -> Markup {
    let Report { kernel, sysctls, started, settings, .. } = report;
    html! {
        section #environment {
            h2 { "Kernel and settings" }
            dl.facts {
                dt { "Release" } dd { (kernel.release) }
                dt { "Build" } dd { (kernel.version) }
                dt { "Machine" } dd { (kernel.machine) }
                dt { "Begun" } dd { (started) }
                dt { "Command" } dd { code { (command(report)) } }
                dt { "Side by side" } dd { (settings.jobs) }
            }
            h3 { "Settings that the scenarios started from" }
            @if sysctls.is_empty() { p { "None was read." } }
            div.sysctls {
                @for (name, value) in sysctls { div { code { (name) } " " span { (value) } } }
            }
        }
    }
}

/// The command that does the same.
fn command(report: &Report) -> String {
    let Settings { quick, seed, jobs: _, only, files } = &report.settings;
    let mut command = "tcp-tracer audit --output-dir DIR".to_owned();
    if *quick {
        command.push_str(" --quick");
    }
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    for part in only {
        command.push_str(&format!(" --only {}", quoted(part)));
    }
    for file in files {
        command.push_str(&format!(" --scenario {}", quoted(file)));
    }
    // A whole audit has a matrix unasked.
    if report.matrix.is_some() && (*quick || !only.is_empty() || !files.is_empty()) {
        command.push_str(" --matrix");
    }
    if let Some(random) = &report.random {
        command.push_str(&format!(" --random {}", random.conversations));
    }
    command.push_str(&format!(" --seed {seed}"));
    command
}
