//! Tasks of this repository: `cargo xtask setup|run|test|check|bench|docs|vm`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod cache;
mod cargo;
mod check;
mod command;
mod docs;
mod file;
mod linker_path;
mod privilege;
mod run;
mod setup;
mod test;
mod vm;

/// Tasks of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what building and testing need and this machine lacks
    Setup,
    /// Build everything and start the agent, as root
    Run(run::Options),
    /// Run the tests, the live ones on this kernel included
    Test(test::Options),
    /// Check format, lints and documentation, host and eBPF
    Check,
    /// Measure what the agent costs here, side by side with others
    Bench(bench::Options),
    /// Write the generated documents anew
    Docs,
    /// Run the live tests on other kernels, in QEMU
    Vm(vm::Options),
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Setup(#[from] setup::Error),
    #[error(transparent)]
    Run(#[from] run::Error),
    #[error(transparent)]
    Test(#[from] test::Error),
    #[error(transparent)]
    Check(#[from] check::Error),
    #[error(transparent)]
    Bench(#[from] bench::Error),
    #[error(transparent)]
    Docs(#[from] docs::Error),
    #[error(transparent)]
    Vm(#[from] vm::Error),
}

fn main() -> ExitCode {
    match perform(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<(), Error> {
    match task {
        Task::Setup => setup::everything()?,
        Task::Run(options) => run::run(&options)?,
        Task::Test(options) => test::test(&options)?,
        Task::Check => check::check()?,
        Task::Bench(options) => bench::bench(&options)?,
        Task::Docs => docs::docs()?,
        Task::Vm(options) => vm::vm(&options)?,
    }
    Ok(())
}
