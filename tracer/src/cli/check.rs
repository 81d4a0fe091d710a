//! `tcp-tracer check`: judges recordings, with the code that judges live.

use std::{io, path::PathBuf, process::ExitCode};

use serde::Serialize;

use super::text;
use crate::{
    replay,
    sink::{
        summary::{KEPT, Source, Summary},
        violations::Violation,
    },
};

/// Judged to the end, and something was violated.
const VIOLATED: u8 = 3;
/// Nothing was violated, and something is missing.
const INCOMPLETE: u8 = 4;

/// What the exit status says.
pub(super) const STATUS: &str = "Exit status: 0 all of it was judged, no violation; 1 nothing could be read; 3 violations; \
                                 4 no violation, but a file is damaged, cut off or missing.";

/// What is to be judged.
#[derive(Debug, clap::Args)]
#[command(after_help = STATUS)]
pub struct Args {
    /// Recordings; parts of one stream join
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A page for eyes, or one JSON object
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// None of the files is a recording.
    #[error("{}", .0.join("\ntcp-tracer: "))]
    Nothing(Vec<String>),
    /// Standard output failed.
    #[error("cannot write to standard output: {0}")]
    Write(#[from] io::Error),
}

/// Judges, and prints what that came to.
///
/// # Errors
///
/// [`CheckError`] when nothing could be judged at all, or standard output fails.
pub fn run(args: &Args) -> Result<ExitCode, CheckError> {
    let mut summary = Summary::default();
    replay::files(&args.files, &mut summary);
    if summary.streams.is_empty() {
        return Err(CheckError::Nothing(summary.troubles));
    }
    let page = match args.output {
        Output::Text => page(&summary)?,
        Output::Json => {
            let result = result(&summary);
            serde_json::to_string_pretty(&Page { result, summary: &summary }).map_err(io::Error::from)? + "\n"
        }
    };
    text::print(&page)?;
    for trouble in &summary.troubles {
        eprintln!("tcp-tracer: {trouble}");
    }
    Ok(match result(&summary) {
        "pass" => ExitCode::SUCCESS,
        "violations" => ExitCode::from(VIOLATED),
        _ => ExitCode::from(INCOMPLETE),
    })
}

#[derive(Serialize)]
struct Page<'a> {
    /// `pass`, `violations` or `incomplete`.
    result: &'static str,
    #[serde(flatten)]
    summary: &'a Summary,
}

fn result(summary: &Summary) -> &'static str {
    if summary.violated() > 0 {
        "violations"
    } else if summary.is_whole() {
        "pass"
    } else {
        "incomplete"
    }
}

fn page(summary: &Summary) -> io::Result<String> {
    let mut page = String::new();
    for source in &summary.streams {
        page.push_str(&describe(source));
    }
    let Summary { records, transitions, lost, unwritten, doubled, malformed, .. } = summary;
    let lost: u64 = lost.values().sum();
    page.push_str(&format!("{records} records, {transitions} transitions; {lost} events lost\n"));
    for (count, meaning) in [
        (unwritten, "records not written, the disk being too slow"),
        (doubled, "records of events that another copy of the handler recorded as well"),
        (malformed, "records that cannot be read"),
    ] {
        if *count > 0 {
            page.push_str(&format!("{count} {meaning}\n"));
        }
    }
    page.push('\n');
    for class in model::Verdict::CLASSES {
        page.push_str(&format!("{:>12}  {class}\n", summary.verdicts_of(class)));
        let details = match class {
            "conforming" => &summary.noted,
            "deviation" => &summary.deviations,
            "inconclusive" => &summary.inconclusive,
            _ => &summary.broken,
        };
        for (name, count) in details {
            page.push_str(&format!("{:>14}{count:>12}  {name}\n", ""));
        }
    }
    for violation in &summary.violations {
        page.push('\n');
        page.push_str(&tell(violation)?);
    }
    let more = summary.violated().saturating_sub(summary.violations.len() as u64);
    if more > 0 {
        page.push_str(&format!("\n{more} more violations are not shown; {KEPT} are kept\n"));
    }
    page.push_str(match result(summary) {
        "pass" => "\nNo violation.\n",
        "violations" => "\nVIOLATIONS.\n",
        _ => "\nNo violation in what could be judged, which is NOT THE WHOLE: see below.\n",
    });
    Ok(page)
}

fn describe(source: &Source) -> String {
    let Source { kernel, machine, agent, first_part, selection, missing_hooks, begun, seconds, .. } = source;
    let mut text = format!("Linux {kernel} {machine}, {seconds:.1} s from {begun}, tcp-tracer {agent}\n");
    if *first_part > 0 {
        text.push_str(&format!(
            "begins with part {first_part}: what was there then is adopted without a listing\n"
        ));
    }
    if let Some(selection) = selection {
        text.push_str(&format!("recorded: {selection}\n"));
    }
    if !missing_hooks.is_empty() {
        text.push_str(&format!("hooks missing: {}\n", missing_hooks.join(", ")));
    }
    text
}

/// A violation: its rule, then all that is known of it, in one line for programs.
fn tell(violation: &Violation) -> io::Result<String> {
    let Violation { timestamp, rule, clause, sentence, transition, local, remote, .. } = violation;
    let line = serde_json::to_string(violation).map_err(io::Error::from)?;
    Ok(format!(
        "{timestamp} {local} {remote} {transition}\n  breaks {rule} (RFC 9293, {clause}): {sentence}\n  {line}\n"
    ))
}
