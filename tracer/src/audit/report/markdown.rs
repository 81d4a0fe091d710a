//! `report.md`: the report for terminals, reviews and mail.

use std::fmt::{self, Write};

use super::{
    model::{Matrix, Outcome, Random, Report, Settings},
    section,
    words::{Counts, counted, several, span, thousands},
};

/// The whole page, in GitHub's Markdown.
pub(super) fn page(report: &Report) -> String {
    let mut page = String::new();
    // Writing into a string cannot fail.
    let _ = write_page(&mut page, report);
    page
}

fn write_page(out: &mut String, report: &Report) -> fmt::Result {
    summary(out, report)?;
    findings(out, report)?;
    requirements(out, report)?;
    deviations(out, report)?;
    if let Some(matrix) = &report.matrix {
        cells(out, matrix)?;
    }
    scenarios(out, report)?;
    if let Some(random) = &report.random {
        conversations(out, report, random)?;
    }
    settings(out, report)
}

fn summary(out: &mut String, report: &Report) -> fmt::Result {
    let Report { kernel, outcome, .. } = report;
    let counts = Counts::of(report);
    writeln!(out, "# TCP conformance of Linux {}\n", Text(&kernel.release))?;
    writeln!(out, "**{}.** {}\n", outcome.headline(), outcome.meaning())?;
    writeln!(out, "| | |\n|---|---|")?;
    writeln!(
        out,
        "| Kernel | {} {}, {} |",
        Text(&kernel.release),
        Text(&kernel.machine),
        Text(&kernel.version)
    )?;
    let took = span(report.duration_ms * 1_000);
    let Settings { quick, files, .. } = &report.settings;
    let mut what = if *quick { ", without the long scenarios".to_owned() } else { String::new() };
    if !files.is_empty() {
        let _ = write!(what, ", scenarios of {}", files.join(", "));
    }
    writeln!(
        out,
        "| Audited | {}, {took}{}, tcp-tracer {} |",
        Text(&report.started),
        Text(&what),
        Text(&report.tool)
    )?;
    let requirements = report.requirements.len();
    writeln!(out, "| Requirements | {requirements}: {} |", counted(&counts.requirements))?;
    let known = report.deviations.iter().filter(|deviation| !deviation.permitted).count();
    let permitted = report.deviations.len() - known;
    writeln!(out, "| Deviations | {known}, and {permitted} that the RFC permits |")?;
    writeln!(out, "| Findings | {} |", report.findings.len())?;
    let runs = report.scenarios.len();
    writeln!(out, "| Runs of scenarios | {runs}: {} |", counted(&counts.scenarios))?;
    if report.matrix.is_some() {
        writeln!(out, "| Cells of the matrix | {} |", counted(&counts.cells))?;
    }
    if let Some(random) = &report.random {
        let count = thousands(random.conversations);
        writeln!(
            out,
            "| Random conversations | {count}, {} unexplained |",
            report.unexplained_conversations()
        )?;
    }
    writeln!(out)
}

fn findings(out: &mut String, report: &Report) -> fmt::Result {
    if report.findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Findings\n\n| where | expected | seen | rules |\n|---|---|---|---|")?;
    for finding in &report.findings {
        let [place, expected, seen, rules] =
            [&finding.place, &finding.expected, &finding.seen, &finding.rules].map(|text| Text(text));
        writeln!(out, "| {place} | {expected} | {seen} | {rules} |")?;
    }
    writeln!(out)
}

fn requirements(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "## Requirements")?;
    for (place, (number, title)) in section::SECTIONS.iter().enumerate() {
        let mut here =
            report.requirements.iter().filter(|one| section::place(&one.clause) == place).peekable();
        if here.peek().is_none() {
            continue;
        }
        writeln!(out, "\n### {number} {title}\n\n| requirement | verdict | asks | why |\n|---|---|---|---|")?;
        for one in here {
            let (id, sentence, reason) = (Text(&one.id), Text(&one.sentence), Text(&one.reason));
            writeln!(out, "| {id} | {} | {sentence} | {reason} |", one.verdict)?;
        }
    }
    writeln!(out)
}

fn deviations(out: &mut String, report: &Report) -> fmt::Result {
    if report.deviations.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Deviations\n")?;
    for one in &report.deviations {
        let standing = if one.permitted { "permitted by the RFC" } else { "departs from the RFC" };
        let requirement = one.requirement.iter().map(|id| format!(", {}", Text(id))).collect::<String>();
        writeln!(out, "### {}\n\n{standing}; {}{requirement}\n", Text(&one.name), Text(&one.clause))?;
        writeln!(out, "{}\n", Text(&one.why))?;
        writeln!(out, "- Operator: {}\n- Kernel function: `{}`", Text(&one.operator), one.function)?;
        writeln!(out, "- Seen in: {}\n", Text(&one.seen_in.join(", ")))?;
    }
    Ok(())
}

fn cells(out: &mut String, matrix: &Matrix) -> fmt::Result {
    writeln!(
        out,
        "## Matrix\n\n| state | family | pass | deviation | inconclusive | fail | error | empty |"
    )?;
    writeln!(out, "|---|---|--:|--:|--:|--:|--:|--:|")?;
    let each = matrix.size() / matrix.states.len().max(1);
    for (state, name) in matrix.states.iter().enumerate() {
        for grid in &matrix.grids {
            let cells = grid.cells.get(state * each..(state + 1) * each).unwrap_or_default();
            let outcomes: Vec<_> =
                cells.iter().map(|cell| matrix.answer(*cell).map(|answer| answer.outcome)).collect();
            let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
            write!(out, "| {} | {} |", Text(name), grid.family.label())?;
            for outcome in Outcome::ALL {
                write!(out, " {} |", count(Some(outcome)))?;
            }
            writeln!(out, " {} |", count(None))?;
        }
    }
    writeln!(out)
}

fn scenarios(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(
        out,
        "## Scenarios\n\n| scenario | family | outcome | time | what it shows |\n|---|---|---|--:|---|"
    )?;
    for one in &report.scenarios {
        let problem = one.problem.iter().map(|problem| {
            let line = problem.line.map(|line| format!(" (line {line})")).unwrap_or_default();
            format!(": expected {}{line}, seen {}", problem.expected, problem.seen)
        });
        let more =
            problem.chain((!one.deviations.is_empty()).then(|| format!(" [{}]", one.deviations.join(", "))));
        let what = format!("{}{}", one.title, more.collect::<String>());
        let (id, family, time) = (Text(&one.id), one.family.label(), span(one.duration));
        writeln!(out, "| {id} | {family} | {} | {time} | {} |", one.outcome, Text(&what))?;
    }
    writeln!(out)
}

fn conversations(out: &mut String, report: &Report, random: &Random) -> fmt::Result {
    let Random {
        seed,
        conversations,
        observations,
        inconclusive,
        undecided: _,
        duration_ms,
        transitions: _,
        differences,
    } = random;
    let last = seed.saturating_add(conversations.saturating_sub(1));
    writeln!(out, "## Random conversations\n")?;
    writeln!(
        out,
        "{}, seeds {seed} to {last}, in {}: {} judged, {} without a verdict, {} that nothing explains.\n",
        several(*conversations, "conversation", "conversations"),
        span(duration_ms * 1_000),
        several(*observations, "observation", "observations"),
        several(*inconclusive, "conversation", "conversations"),
        several(report.unexplained_conversations() as u64, "conversation", "conversations"),
    )?;
    for one in differences {
        let (expected, seen) = (Text(&one.problem.expected), Text(&one.problem.seen));
        writeln!(out, "Seed {}, {}: expected {expected}, seen {seen}\n", one.seed, one.family.label())?;
        for line in one.source.lines() {
            writeln!(out, "    {line}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn settings(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "## Settings of the kernel\n\n| sysctl | value |\n|---|---|")?;
    for (name, value) in &report.sysctls {
        writeln!(out, "| {} | {} |", Text(name), Text(value))?;
    }
    Ok(())
}

/// Text that Markdown takes as it stands: in one line, without markup, whatever a table makes of `|`.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '\n' | '\r' => f.write_char(' '),
            '<' => f.write_str("&lt;"),
            '&' => f.write_str("&amp;"),
            '|' | '*' | '`' | '[' | '\\' | '~' => write!(f, "\\{letter}"),
            other => f.write_char(other),
        })
    }
}
