//! `tcp-tracer audit`: how well the running kernel's TCP conforms to RFC 9293.

mod diff;
mod progress;

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf, process::ExitCode};

use progress::Speaker;

use crate::audit::{
    report::{
        Folder, WriteError,
        model::{Outcome, Report, RequirementVerdict, Undecided},
    },
    run::{AuditError, Config, audit, scenarios},
};

/// Plays scenarios between the running kernel and a peer of our own, in network namespaces of our own, and judges every
/// segment, call and transition by the reference.
///
/// Exit code: 0 when RFC 9293 and the known deviations of Linux explain everything, 3 when something is left (a finding),
/// 4 when something has no verdict (events were lost, the host was too busy, or what differed did not when it was played
/// again), 1 when the audit could not be done.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Leave out the scenarios that take longer than eight seconds
    #[arg(long)]
    quick: bool,
    /// Only scenarios whose name contains this; may be given several times
    #[arg(long, value_name = "PART")]
    only: Vec<String>,
    /// Play the scenarios of this file instead of those that come along; may be given several times
    #[arg(long = "scenario", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Scenarios side by side; they wait most of their time
    #[arg(long, default_value_t = 64, value_name = "N")]
    jobs: usize,
    /// Seed of everything that is random
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    seed: u64,
    /// Play the matrix of states and segments even with --quick, --only or --scenario
    #[arg(long)]
    matrix: bool,
    /// So many random conversations [default: 1000, or none with --quick, --only or --scenario]
    #[arg(long, value_name = "N")]
    random: Option<u64>,
    /// Write report.html, report.json, report.md, junit.xml and capture.pcapng into this folder
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// List the scenarios and what they are about, and do nothing
    #[arg(long)]
    list: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Diff(diff::Args),
}

/// Why the audit could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The audit.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The report.
    #[error(transparent)]
    Write(#[from] WriteError),
}

const FINDINGS: u8 = 3;
const INCONCLUSIVE: u8 = 4;

/// Conversations without a verdict that are named; all of them are in `report.json`.
const UNDECIDED: usize = 10;

/// Audits, says how it goes on standard error and what came of it on standard output.
///
/// # Errors
///
/// [`Error`] when there is no report, or nowhere to put it.
pub fn run(args: Args) -> Result<ExitCode, Error> {
    let Args { verb, quick, only, files, jobs, seed, matrix, random, output_dir, list } = args;
    if let Some(Verb::Diff(args)) = verb {
        return Ok(diff::run(&args));
    }
    let whole = !quick && only.is_empty() && files.is_empty();
    let random = random.unwrap_or(if whole { 1_000 } else { 0 });
    let config = Config { quick, only, files, jobs, seed, matrix: matrix || whole, random };
    if list {
        anstream::print!("{}", listing(&config)?);
        return Ok(ExitCode::SUCCESS);
    }
    let folder = output_dir.map(Folder::new).transpose()?;
    let speaker = Speaker::new();
    let report = audit(&config, &|progress| speaker.say(progress))?;
    speaker.end();
    anstream::print!("{}", summary(&report));
    if let Some(folder) = folder {
        for path in folder.write(&report)? {
            anstream::println!("{}", path.display());
        }
    }
    Ok(match report.outcome {
        Outcome::Pass | Outcome::Deviation => ExitCode::SUCCESS,
        Outcome::Fail => ExitCode::from(FINDINGS),
        Outcome::Inconclusive => ExitCode::from(INCONCLUSIVE),
        Outcome::Error => ExitCode::FAILURE,
    })
}

fn listing(config: &Config) -> Result<String, AuditError> {
    let mut text = String::new();
    for script in scenarios(config)? {
        let _ = writeln!(text, "{:<40} {:>4.0} s  {}", script.id, script.takes.as_secs_f64(), script.title);
    }
    Ok(text)
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Deviation => "deviation",
        Outcome::Inconclusive => "inconclusive",
        Outcome::Fail => "FAIL",
        Outcome::Error => "ERROR",
    }
}

fn summary(report: &Report) -> String {
    let mut out = String::new();
    let mut scenarios: BTreeMap<Outcome, usize> = BTreeMap::new();
    for scenario in &report.scenarios {
        *scenarios.entry(scenario.outcome).or_default() += 1;
    }
    let mut requirements: BTreeMap<RequirementVerdict, usize> = BTreeMap::new();
    for requirement in &report.requirements {
        *requirements.entry(requirement.verdict).or_default() += 1;
    }
    let kernel = &report.kernel;
    let seconds = report.duration_ms / 1_000;
    let _ = writeln!(out, "Linux {} {}, {seconds} s", kernel.release, kernel.machine);
    let counts: Vec<String> =
        scenarios.iter().map(|(outcome, n)| format!("{n} {}", word(*outcome))).collect();
    let _ = writeln!(out, "Scenarios      {} ({})", report.scenarios.len(), counts.join(", "));
    let counts: Vec<String> =
        requirements.iter().map(|(verdict, n)| format!("{n} {}", verdict_word(*verdict))).collect();
    let _ = writeln!(out, "Requirements   {} ({})", report.requirements.len(), counts.join(", "));
    if let Some(matrix) = &report.matrix {
        let mut cells: BTreeMap<Outcome, usize> = BTreeMap::new();
        for cell in matrix.grids.iter().flat_map(|grid| &grid.cells).flatten() {
            let answer = usize::try_from(*cell).ok().and_then(|cell| matrix.answers.get(cell));
            if let Some(answer) = answer {
                *cells.entry(answer.outcome).or_default() += 1;
            }
        }
        let counts: Vec<String> =
            cells.iter().map(|(outcome, n)| format!("{n} {}", word(*outcome))).collect();
        let _ =
            writeln!(out, "Matrix         {} cells ({})", cells.values().sum::<usize>(), counts.join(", "));
    }
    if let Some(random) = &report.random {
        let _ = writeln!(
            out,
            "Conversations  {} from seed {} in {} s ({} different, {} inconclusive)",
            random.conversations,
            random.seed,
            random.duration_ms / 1_000,
            report.unexplained_conversations(),
            random.inconclusive
        );
        for Undecided { seed, why } in random.undecided.iter().take(UNDECIDED) {
            let _ = writeln!(out, "  seed {seed} has no verdict: {why}");
        }
    }
    if !report.deviations.is_empty() {
        let names: Vec<&str> = report.deviations.iter().map(|deviation| deviation.name.as_str()).collect();
        let _ = writeln!(out, "Deviations     {} ({})", names.len(), names.join(", "));
    }
    let _ = writeln!(out, "Findings       {}", report.findings.len());
    for finding in &report.findings {
        let _ = writeln!(
            out,
            "  {}\n    expected {}\n    seen     {}",
            finding.place, finding.expected, finding.seen
        );
    }
    out
}

const fn verdict_word(verdict: RequirementVerdict) -> &'static str {
    match verdict {
        RequirementVerdict::Pass => "pass",
        RequirementVerdict::Deviation => "deviation",
        RequirementVerdict::Fail => "FAIL",
        RequirementVerdict::NotRun => "not run",
        RequirementVerdict::NotObservable => "not observable",
        RequirementVerdict::NotApplicable => "not applicable",
    }
}
