//! `tcp-tracer doctor`: what this kernel offers, what is missing, what that costs, and what to do about it.

mod checks;
mod reconcile;
#[cfg(test)]
mod tests;

use std::{io, process::ExitCode, time::Duration};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use self::checks::{Check, Mark, diagnose, outcome};
use super::{
    start::{self, StartError, duration, stop_signal, stopped},
    text,
};
use crate::kernel::probe::Probe;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Instead: follow TCP for a while and compare our counts with the kernel's own, in every network namespace
    #[arg(long)]
    reconcile: bool,
    /// Seconds that --reconcile watches
    #[arg(long, value_name = "SECONDS", value_parser = duration, default_value = "10", requires = "reconcile")]
    duration: Duration,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// Standard output failed.
    #[error("cannot write to standard output: {0}")]
    Write(#[from] io::Error),
    /// Nothing can be traced.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Looks at the kernel and prints what it found. Success: state transitions can be traced; with `--reconcile`, our
/// counts are the kernel's.
///
/// # Errors
///
/// [`DoctorError`] when standard output fails, or there is nothing to compare.
pub fn run(args: &Args) -> Result<ExitCode, DoctorError> {
    if args.reconcile {
        return compare(args);
    }
    let probe = Probe::new();
    let checks = diagnose(&probe);
    let page = if args.json {
        let report = Report {
            release: &probe.release,
            machine: &probe.machine,
            can_trace: probe.can_trace(),
            checks: &checks,
        };
        serde_json::to_string_pretty(&report).map_err(io::Error::from)? + "\n"
    } else {
        let width = text::terminal_width().unwrap_or(100).clamp(60, 100);
        page(&probe, &checks, width, text::color())
    };
    text::print(&page)?;
    Ok(if probe.can_trace() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn compare(args: &Args) -> Result<ExitCode, DoctorError> {
    let outcome = start::runtime()?.block_on(async {
        let stop = stop_signal()?;
        reconcile::watch(args.duration, stopped(stop)).await
    })?;
    let width = text::terminal_width().unwrap_or(100).clamp(60, 100);
    let page = if args.json { outcome.json()? } else { outcome.page(width, text::color()) };
    text::print(&page)?;
    Ok(if outcome.is_balanced() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Serialize)]
struct Report<'a> {
    release: &'a str,
    machine: &'a str,
    can_trace: bool,
    checks: &'a [Check],
}

/// Where names begin, and where the text beside them does.
const NAME: usize = 11;
const TEXT: usize = 35;

fn page(probe: &Probe, checks: &[Check], width: usize, color: bool) -> String {
    let mut page = format!("Linux {} {}\n", probe.release, probe.machine);
    let mut section = "";
    let mut said: &[String] = &[];
    for check in checks {
        if check.section != section {
            section = check.section;
            page.push_str(&format!("\n{}\n", text::styled(color, Style::new().bold(), section)));
        }
        let mark = check.mark.name();
        page.push_str(&format!("  {}", text::styled(color, style(check.mark), mark)));
        page.push_str(&" ".repeat(NAME - 2 - mark.len()));
        page.push_str(&format!("{:<1$}", check.name, TEXT - NAME));
        if check.name.len() >= TEXT - NAME {
            page.push('\n');
            page.push_str(&" ".repeat(TEXT));
        }
        text::wrap(&mut page, &check.text, TEXT, width);
        // What several hooks have in common is said once.
        for note in check.notes.iter().filter(|_| check.notes != said) {
            page.push_str(&" ".repeat(TEXT));
            text::wrap(&mut page, note, TEXT, width);
        }
        said = &check.notes;
    }
    page.push('\n');
    text::wrap(&mut page, &outcome(probe, checks), 0, width);
    page
}

const fn style(mark: Mark) -> Style {
    match mark {
        Mark::Ok => AnsiColor::Green.on_default(),
        Mark::Degraded | Mark::Changed => AnsiColor::Yellow.on_default(),
        Mark::Missing => AnsiColor::Red.on_default(),
        Mark::Info | Mark::Unknown => Style::new(),
    }
}
