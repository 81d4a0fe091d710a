//! `tcp-tracer convert`: recordings as rows, for the engines that people have.

use std::{path::PathBuf, process::ExitCode};

use crate::{
    replay,
    sink::rows::{Format, RowError, Rows},
};

/// Something of what was given is missing in the output.
const INCOMPLETE: u8 = 4;

/// What is to be converted, and into what.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 all of it was converted; 1 it could not be; 4 a file is damaged, cut off or missing, and \
                  the rest was converted."
)]
pub struct Args {
    /// Recordings; parts of one stream join
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The format
    #[arg(long, value_enum, value_name = "FORMAT")]
    to: Format,
    /// File to write; one that exists is replaced
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Why nothing was converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The output.
    #[error("cannot write to {file}: {source}", file = file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What went wrong.
        source: RowError,
    },
    /// The output is one of the recordings.
    #[error("{file} is to be read: choose another file for the output", file = .0.display())]
    Same(PathBuf),
}

/// Converts, and says on standard error how many rows that made.
///
/// # Errors
///
/// [`ConvertError`] when the output cannot be written.
pub fn run(args: &Args) -> Result<ExitCode, ConvertError> {
    let Args { files, to, output } = args;
    let place = output.canonicalize().ok();
    if place.is_some() && files.iter().any(|file| file.canonicalize().ok() == place) {
        return Err(ConvertError::Same(output.clone()));
    }
    let failed = |source| ConvertError::Write { file: output.clone(), source };
    let mut rows = Rows::create(output, *to).map_err(failed)?;
    replay::files(files, &mut rows);
    let converted = rows.finish().map_err(failed)?;
    for trouble in &converted.troubles {
        eprintln!("tcp-tracer: {trouble}");
    }
    eprintln!("{} rows in {}", converted.rows, output.display());
    Ok(if converted.troubles.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}
