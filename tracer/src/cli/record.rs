//! `tcp-tracer record`: everything that the kernel side says, into a file.

use std::{fmt, ops::ControlFlow, path::PathBuf, time::Duration};

use tokio::sync::watch;
use tracer_ebpf::Hook;

use super::{
    start::{self, KernelArgs, StartError, duration, stop_signal},
    text,
};
use crate::{
    decode::Malformed,
    filter::{SocketArgs, Sockets},
    judge::{Audience, Input},
    kernel::{counts, listing::Snapshot, load::Attached, netns::FindError},
    pipeline::{self, Config, Sinks, State},
    sink::recording::{CreateError, Parts, Recorded, Rotation, Selection, Tape, WriteError, Written},
    step::{Finding, StepKind},
};

/// What is to be recorded, where, and for how long.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to write; it must not exist
    file: PathBuf,
    #[command(flatten)]
    rotation: RotationArgs,
    /// Stop after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = duration)]
    duration: Option<Duration>,
    #[command(flatten)]
    kernel: KernelArgs,
    // Last, since its heading holds for all that follows.
    #[command(flatten)]
    sockets: SocketArgs,
}

/// How a recording is cut into files.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct RotationArgs {
    /// Bytes after which the next file begins: FILE, FILE.1, FILE.2 and so on; also as 500K, 100M, 2G
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    max_size: Option<u64>,
    /// Files that stay; the oldest go first
    #[arg(long, value_name = "COUNT", requires = "max_size", value_parser = clap::value_parser!(u64).range(1..))]
    max_files: Option<u64>,
}

impl RotationArgs {
    /// As the recorder wants it.
    #[must_use]
    pub const fn rotation(self) -> Rotation {
        let Self { max_size, max_files } = self;
        Rotation { max_size, max_files }
    }
}

/// Why a text is no size.
#[derive(Debug, thiserror::Error)]
#[error("expected bytes, at least 64K, for example 104857600, 100M or 2G")]
pub(super) struct NoSize;

/// Less would be little more than headers.
const SMALLEST: u64 = 64 << 10;

pub(super) fn bytes(text: &str) -> Result<u64, NoSize> {
    let (number, shift) = match text.char_indices().last() {
        Some((at, 'K' | 'k')) => (&text[..at], 10),
        Some((at, 'M' | 'm')) => (&text[..at], 20),
        Some((at, 'G' | 'g')) => (&text[..at], 30),
        _ => (text, 0),
    };
    let number: u64 = number.parse().map_err(|_| NoSize)?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes >= SMALLEST).ok_or(NoSize)
}

/// Why recording ended early, or never began.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The filter names a namespace that cannot be used.
    #[error("--netns: {0}")]
    Filter(#[from] FindError),
    /// The file.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// Nothing can be traced.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The disk.
    #[error("{source}{}", not_written(*.unwritten))]
    Write {
        /// What went wrong.
        source: WriteError,
        /// Records that were taken in later.
        unwritten: u64,
    },
}

fn not_written(records: u64) -> String {
    if records == 0 { String::new() } else { format!("; {records} records after that were not written") }
}

/// Records until it has been enough, or SIGINT or SIGTERM comes; then says on standard error how much that was, and what
/// was lost.
///
/// # Errors
///
/// [`RecordError`] when nothing can be traced, or written.
pub fn run(args: Args) -> Result<(), RecordError> {
    let Args { file, rotation, duration, kernel, sockets } = args;
    let selection = Selection { sockets: Sockets::new(sockets)? };
    let runtime = start::runtime()?;
    let types = start::types()?;
    // Before anything is attached: a path that cannot be written to is said at once.
    let parts = Parts::fresh(file, rotation.rotation())?;
    let config = Config { load: kernel.options(), ..Config::default() };
    let summary = runtime.block_on(async {
        let stop = stop_signal()?;
        let mut sinks = Record {
            tape: Some(Tape::new(parts, selection)),
            outcome: None,
            stop,
            duration,
            started: 0,
            summary: Summary::default(),
        };
        // The sink itself looks for the end, so that it can write what was lost before everything is detached.
        pipeline::run(&types, config, &mut sinks, std::future::pending()).await.map_err(StartError::from)?;
        sinks.summary()
    })?;
    eprintln!("{summary}");
    Ok(())
}

/// The recording, and when it ends.
struct Record {
    tape: Option<Tape>,
    outcome: Option<Result<Recorded, WriteError>>,
    stop: watch::Receiver<bool>,
    duration: Option<Duration>,
    /// CLOCK_MONOTONIC, nanoseconds.
    started: u64,
    summary: Summary,
}

impl Audience for Record {
    fn finding(&mut self, finding: &Finding<'_>) {
        self.summary.transitions += u64::from(matches!(finding.step.kind, StepKind::Transition { .. }));
    }

    fn malformed(&mut self, reason: &Malformed, _: Option<Hook>) {
        log::error!("a record cannot be read ({reason}); its event is lost");
    }
}

impl Sinks for Record {
    fn attached(&mut self, attached: &Attached, config: &Config) {
        if let Some(tape) = &mut self.tape {
            tape.attached(attached, config);
        }
    }

    fn input(&mut self, input: Input<'_>) {
        if let Some(tape) = &mut self.tape {
            tape.input(input);
        }
    }

    fn started(&mut self, state: &State<'_>, adopted: &Snapshot) {
        start::log_problems(state, adopted);
        self.started = state.now;
        if let Some(tape) = &mut self.tape {
            tape.started(adopted);
        }
        log::info!("recording; {} sockets were there before", state.tracker.len());
    }

    fn batch_end(&mut self, state: &State<'_>) -> ControlFlow<()> {
        let elapsed = Duration::from_nanos(state.now.saturating_sub(self.started));
        let over = self.duration.is_some_and(|duration| elapsed >= duration);
        let goes_on = self.tape.as_mut().is_some_and(|tape| tape.tick(state.now));
        if goes_on && !over && !*self.stop.borrow() {
            return ControlFlow::Continue(());
        }
        let fates = counts::fates(state.attached);
        self.summary.elapsed = elapsed;
        self.summary.lost = fates.iter().map(|(_, fate)| fate.lost()).sum();
        self.outcome = self.tape.take().map(|tape| tape.finish(&fates));
        ControlFlow::Break(())
    }
}

impl Record {
    fn summary(self) -> Result<Summary, RecordError> {
        let error = |source, unwritten| RecordError::Write { source, unwritten };
        let outcome = self.outcome.unwrap_or_else(|| Ok(Recorded::default()));
        let Recorded { written, unwritten } = outcome.map_err(|source| error(source, 0))?;
        let written = written.map_err(|source| error(source, unwritten))?;
        Ok(Summary { written, unwritten, ..self.summary })
    }
}

/// What is said at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Summary {
    elapsed: Duration,
    transitions: u64,
    written: Written,
    unwritten: u64,
    lost: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { elapsed, transitions, written, unwritten, lost } = self;
        let Written { file, records, parts, bytes } = written;
        let files = if *parts == 1 { String::new() } else { format!(" ({parts} files, this is the last)") };
        write!(
            f,
            "{:.1} s: {transitions} transitions, {records} records in {} of {}{files}, ",
            elapsed.as_secs_f64(),
            text::size(*bytes),
            file.display()
        )?;
        match (lost, unwritten) {
            (0, 0) => f.write_str("none lost"),
            (lost, 0) => {
                write!(f, "{lost} LOST before they could be recorded; a larger --ring-bytes loses less")
            }
            (lost, unwritten) => {
                write!(f, "{lost} LOST, {unwritten} NOT WRITTEN because the disk was too slow")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Summary, bytes};
    use crate::sink::recording::Written;

    #[test]
    fn sizes_have_units_and_a_least() {
        assert_eq!(bytes("65536").unwrap(), 65_536);
        assert_eq!(bytes("64K").unwrap(), 65_536);
        assert_eq!(bytes("100M").unwrap(), 100 << 20);
        assert_eq!(bytes("2g").unwrap(), 2 << 30);
        for wrong in ["", "K", "10", "63K", "1T", "-1", "1.5M", "99999999999G"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_end_says_how_much_and_what_is_missing() {
        let written = Written { file: "a.rec".into(), records: 41, parts: 1, bytes: 2048 };
        let summary =
            Summary { elapsed: Duration::from_millis(1250), transitions: 10, written, ..Summary::default() };
        assert_eq!(summary.to_string(), "1.2 s: 10 transitions, 41 records in 2.0 KiB of a.rec, none lost");
        let lossy = Summary { lost: 3, unwritten: 7, ..summary };
        assert!(lossy.to_string().ends_with("3 LOST, 7 NOT WRITTEN because the disk was too slow"));
    }
}
