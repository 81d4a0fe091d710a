//! `tcp-tracer audit diff`: what one kernel does and the other does not.

use std::{
    fmt::{Display, Write as _},
    io,
    path::PathBuf,
    process::ExitCode,
};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

use crate::{
    audit::report::{
        ReadError,
        diff::{Audit, Diff, Pair, diff},
        model::Finding,
        read,
    },
    cli::text,
};

/// Compares the reports of two audits: requirements, deviations, findings, scenarios, and cells of the matrix.
///
/// Exit code: 0 when both found the same, 1 when they differ, 2 when they cannot be compared.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The first report.json, or the folder that it is in
    #[arg(value_name = "A")]
    a: PathBuf,
    /// The second one
    #[arg(value_name = "B")]
    b: PathBuf,
    /// How it is printed
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON object
    Json,
}

/// Why two reports were not compared.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("cannot write to standard output: {0}")]
    Write(#[from] io::Error),
}

const SAME: ExitCode = ExitCode::SUCCESS;
const DIFFERENT: u8 = 1;
const TROUBLE: u8 = 2;

/// Prints what differs. Trouble is told on standard error, with an exit code of its own.
pub fn run(args: &Args) -> ExitCode {
    match compare(args) {
        Ok(true) => SAME,
        Ok(false) => ExitCode::from(DIFFERENT),
        Err(error) => {
            eprintln!("tcp-tracer: {error}");
            ExitCode::from(TROUBLE)
        }
    }
}

fn compare(args: &Args) -> Result<bool, Error> {
    let diff = diff(&read(&args.a)?, &read(&args.b)?);
    let page = match args.output {
        Format::Text => page(&diff, text::color()),
        Format::Json => serde_json::to_string(&diff).map_err(io::Error::from)? + "\n",
    };
    text::print(&page)?;
    Ok(diff.same)
}

const OLD: Style = AnsiColor::Red.on_default();
const NEW: Style = AnsiColor::Green.on_default();
const HEADING: Style = Style::new().bold();

/// How much of each kind the page shows; the JSON has all.
const SHOWN: usize = 40;

fn page(diff: &Diff, color: bool) -> String {
    let mut page = Page { text: String::new(), color };
    page.audits(&diff.audits);
    if diff.same {
        page.text.push_str("Both audits found the same.\n");
    }
    let changes = diff.requirements.iter().map(|one| {
        let verdicts = one.verdicts;
        let reason = one.reasons.b.as_ref().or(one.reasons.a.as_ref());
        (one.id.clone(), arrow(&verdicts), reason.cloned().unwrap_or_default())
    });
    page.changes("Requirements", &changes.collect::<Vec<_>>());
    page.only("Deviations", &diff.deviations.in_a, &diff.deviations.in_b);
    let finding = |one: &Finding| format!("{}: expected {}, seen {}", one.place, one.expected, one.seen);
    let findings = |these: &[Finding]| these.iter().map(finding).collect::<Vec<_>>();
    page.only("Findings", &findings(&diff.findings.in_a), &findings(&diff.findings.in_b));
    let changes = diff.scenarios.iter().map(|one| {
        let gone = one.deviations.in_a.iter().map(|name| format!("-{name}"));
        let new = one.deviations.in_b.iter().map(|name| format!("+{name}"));
        let shown: Vec<_> = gone.chain(new).collect();
        (format!("{}/{}", one.id, one.family), arrow(&one.outcomes), shown.join(" "))
    });
    page.changes("Scenarios", &changes.collect::<Vec<_>>());
    page.cells(diff);
    let changes = diff.sysctls.iter().map(|one| (one.name.clone(), arrow(&refs(&one.values)), String::new()));
    page.changes("Settings, which may explain it", &changes.collect::<Vec<_>>());
    page.text
}

fn refs(values: &Pair<Option<String>>) -> Pair<Option<&String>> {
    Pair { a: values.a.as_ref(), b: values.b.as_ref() }
}

/// `pass -> fail`.
fn arrow<T: Display>(pair: &Pair<Option<T>>) -> String {
    let word = |one: &Option<T>| one.as_ref().map_or_else(|| "absent".to_owned(), ToString::to_string);
    format!("{} -> {}", word(&pair.a), word(&pair.b))
}

struct Page {
    text: String,
    color: bool,
}

impl Page {
    fn audits(&mut self, audits: &Pair<Audit>) {
        for (sign, style, audit) in [("A", OLD, &audits.a), ("B", NEW, &audits.b)] {
            let Audit { kernel, started, outcome, quick } = audit;
            let quick = if *quick { ", quick" } else { "" };
            let line =
                format!("{sign} Linux {} {}, {started}{quick}: {outcome}", kernel.release, kernel.machine);
            self.line(style, &line);
        }
    }

    fn line(&mut self, style: Style, line: &str) {
        self.text.push_str(&text::styled(self.color, style, line));
        self.text.push('\n');
    }

    fn heading(&mut self, title: &str, count: usize) {
        self.text.push('\n');
        self.line(HEADING, &format!("{title} ({count})"));
    }

    /// What, from what to what, and more.
    fn changes(&mut self, title: &str, changes: &[(String, String, String)]) {
        if changes.is_empty() {
            return;
        }
        self.heading(title, changes.len());
        let widest = |column: fn(&(String, String, String)) -> &str| {
            changes.iter().map(|change| column(change).chars().count()).max().unwrap_or(0)
        };
        let (first, second) = (widest(|change| &change.0), widest(|change| &change.1));
        for (what, change, more) in changes {
            let line = format!("  {what:<first$}  {change:<second$}  {more}");
            let _ = writeln!(self.text, "{}", line.trim_end());
        }
    }

    /// What only one of them has.
    fn only(&mut self, title: &str, in_a: &[String], in_b: &[String]) {
        if in_a.is_empty() && in_b.is_empty() {
            return;
        }
        self.heading(title, in_a.len() + in_b.len());
        for (sign, style, these) in [('-', OLD, in_a), ('+', NEW, in_b)] {
            for one in these.iter().take(SHOWN) {
                self.line(style, &format!("  {sign} {one}"));
            }
            self.left(these.len());
        }
    }

    /// How many of so many were not shown.
    fn left(&mut self, count: usize) {
        let left = count.saturating_sub(SHOWN);
        if left > 0 {
            let _ = writeln!(self.text, "  and {left} more; --output json has them all");
        }
    }

    fn cells(&mut self, diff: &Diff) {
        let Pair { a, b } = diff.cells_only;
        if diff.cells.is_empty() && a == 0 && b == 0 {
            return;
        }
        self.heading("Cells of the matrix", diff.cells.len());
        for one in diff.cells.iter().take(SHOWN) {
            let _ = writeln!(self.text, "  {}/{}", one.cell, one.family);
            for (sign, style, answer) in [('-', OLD, &one.answers.a), ('+', NEW, &one.answers.b)] {
                let note = if answer.note.is_empty() { String::new() } else { format!(" ({})", answer.note) };
                let line = format!(
                    "    {sign} {}: sent {}, then {}{note}",
                    answer.outcome, answer.sent, answer.state
                );
                self.line(style, &line);
            }
        }
        self.left(diff.cells.len());
        if a + b > 0 {
            let _ = writeln!(self.text, "  cells that ran in A only: {a}; in B only: {b}");
        }
    }
}
