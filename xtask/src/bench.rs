//! `cargo xtask bench`: what the agent costs on this machine's kernel, side by side with others, as a table and a plot.
//!
//! tracer's bench `cost` takes the figures, as root; here they are put into pairs, ratios and medians.

mod machine;
mod peers;
mod plan;
mod plot;
mod report;
mod sample;
mod summary;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{cargo, command, privilege, setup};
use machine::Machine;
use peers::Peers;
use plan::{Section, Size};
use report::Report;
use sample::Samples;

/// The program that takes the figures.
const COST: &str = "cost";

#[derive(clap::Args)]
pub struct Options {
    /// Few rounds: some minutes instead of a quarter of an hour, and wider spreads
    #[arg(long, conflicts_with = "tiny")]
    quick: bool,
    /// One round of everything, only to see that it works
    #[arg(long)]
    tiny: bool,
    /// Write docs/cost.md and docs/cost.svg as well
    #[arg(long)]
    docs: bool,
    /// Only these parts
    #[arg(value_enum)]
    sections: Vec<Section>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Setup(#[from] setup::Error),
    #[error(transparent)]
    Cargo(#[from] cargo::Error),
    #[error(transparent)]
    Command(#[from] command::Error),
    #[error(transparent)]
    Privilege(#[from] privilege::Error),
    #[error("cargo built no bench named {COST}: does tracer/Cargo.toml still have it?")]
    NoBench,
    #[error("these parts could not be measured: {}; what they said is above", .0.join(", "))]
    Failed(Vec<&'static str>),
    #[error(transparent)]
    Sample(#[from] sample::Error),
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
}

/// Builds, measures, and writes `target/bench/cost.{txt,md,csv,svg}`.
pub fn bench(options: &Options) -> Result<(), Error> {
    setup::for_build()?;
    let size = match options {
        Options { tiny: true, .. } => Size::Tiny,
        Options { quick: true, .. } => Size::Quick,
        _ => Size::Full,
    };
    let sections = if options.sections.is_empty() { &Section::ALL[..] } else { &options.sections };
    let peers =
        if sections.iter().any(|section| section.has_peers()) { Peers::find() } else { Peers::none() };
    let program = build()?;
    let before = Machine::look();
    let mut samples = Samples::default();
    let mut failed = Vec::new();
    for section in sections {
        for arguments in section.arguments(size, &peers) {
            eprintln!("== {} {}", COST, arguments.join(" "));
            let mut command = if section.needs_root() {
                privilege::as_root(&program, &[])?
            } else {
                Command::new(&program)
            };
            match command::output(command.args(&arguments)) {
                Ok(output) => samples.read(*section, &output)?,
                // The other parts are worth having all the same.
                Err(error) => {
                    eprintln!("{error}");
                    failed.push(section.name());
                }
            }
        }
    }
    let report =
        Report { machine: before, command: typed(options), rows: summary::rows(sections, &samples, &peers) };
    print!("\n{}", report.text());
    let plot = plot::draw(&samples);
    let folder = cargo::workspace().join("target/bench");
    fs::create_dir_all(&folder).map_err(|source| Error::Write { path: folder.clone(), source })?;
    write(&folder.join("cost.txt"), &report.text())?;
    write(&folder.join("cost.csv"), &report.csv())?;
    write(&folder.join("cost.md"), &report.markdown())?;
    write(&folder.join("cost.svg"), &plot)?;
    write(&folder.join("samples.jsonl"), samples.lines())?;
    eprintln!("\nTable, plot and raw figures are in {}.", folder.display());
    if options.docs {
        let folder = cargo::workspace().join("docs");
        write(&folder.join("cost.md"), &report.markdown())?;
        write(&folder.join("cost.svg"), &plot)?;
    }
    if failed.is_empty() { Ok(()) } else { Err(Error::Failed(failed)) }
}

fn build() -> Result<PathBuf, Error> {
    let mut build = cargo::cargo();
    build.args(["bench", "--no-run", "--package", "tracer", "--bench", COST]);
    let built = cargo::executables(&mut build)?;
    built.into_iter().find(|program| program.name == COST).map(|program| program.path).ok_or(Error::NoBench)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::Write { path: path.to_path_buf(), source })
}

/// The command that makes these figures again.
fn typed(options: &Options) -> String {
    let mut words = vec!["cargo xtask bench".to_owned()];
    words.extend(options.quick.then(|| "--quick".to_owned()));
    words.extend(options.tiny.then(|| "--tiny".to_owned()));
    words.extend(options.docs.then(|| "--docs".to_owned()));
    words.extend(options.sections.iter().map(|section| section.name().to_owned()));
    words.join(" ")
}
