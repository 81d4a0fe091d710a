//! The command line: one file per verb.

mod audit;
mod check;
mod convert;
mod doctor;
mod explain;
mod model;
mod nearest;
mod record;
mod run;
mod start;
mod text;
mod watch;

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "tcp-tracer", version, about, long_about = None, propagate_version = true)]
/// Watches what the kernel's TCP really does and checks it against RFC 9293.
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// What is logged to standard error.
    #[arg(long = "log.level", global = true, default_value = "info", value_name = "LEVEL")]
    log_level: log::LevelFilter,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The agent: follows every TCP state transition of this host and serves Prometheus metrics.
    Run(run::Args),
    /// Shows state transitions as they happen, each with its verdict.
    Watch(watch::Args),
    /// Writes everything that the kernel side says into a file, to be judged later or elsewhere.
    Record(record::Args),
    /// Judges recordings, with the code that judges live.
    Check(check::Args),
    /// Recordings as rows of JSON or Parquet, for the engines that people have.
    Convert(convert::Args),
    /// Says what this kernel offers, what is missing, what that costs, and what to do about it.
    Doctor(doctor::Args),
    /// The reference itself: states, edges, rules, requirements, profiles, diagrams and stories of RFC 9293.
    Model(model::Args),
    /// Audits how well the running kernel's TCP conforms to RFC 9293.
    Audit(audit::Args),
    /// Says what the id of a rule, deviation, violation, cause or requirement means.
    Explain(explain::Args),
}

/// Parses the command line and runs the verb.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { verb, log_level } = Cli::parse();
    env_logger::Builder::new().filter_level(log_level).format_target(false).init();
    let done = match verb {
        Verb::Run(args) => run::run(args).map(|()| ExitCode::SUCCESS).map_err(boxed),
        Verb::Watch(args) => watch::run(args).map(|()| ExitCode::SUCCESS).map_err(boxed),
        Verb::Record(args) => record::run(args).map(|()| ExitCode::SUCCESS).map_err(boxed),
        Verb::Check(args) => check::run(&args).map_err(boxed),
        Verb::Convert(args) => convert::run(&args).map_err(boxed),
        Verb::Doctor(args) => doctor::run(&args).map_err(boxed),
        Verb::Model(args) => model::run(&args).map(|()| ExitCode::SUCCESS).map_err(boxed),
        Verb::Audit(args) => audit::run(args).map_err(boxed),
        Verb::Explain(args) => explain::run(&args).map(|()| ExitCode::SUCCESS).map_err(boxed),
    };
    done.unwrap_or_else(|error| {
        eprintln!("tcp-tracer: {error}");
        ExitCode::FAILURE
    })
}

fn boxed(error: impl Error + 'static) -> Box<dyn Error> {
    Box::new(error)
}
