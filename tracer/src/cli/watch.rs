//! `tcp-tracer watch`: transitions as they happen.

use std::{
    fmt,
    io::{self, Stdout},
    num::NonZeroU64,
    ops::ControlFlow,
    time::Duration,
};

use tokio::sync::watch;
use tracer_ebpf::Hook;

use super::{
    start::{self, KernelArgs, StartError, duration, stop_signal},
    text,
};
use crate::{
    anchor::Anchor,
    decode::Malformed,
    filter::{Filter, FilterArgs},
    judge::Audience,
    kernel::{counts, listing::Snapshot, netns::FindError},
    pipeline::{self, Config, Sinks, State},
    sink::stream::{Format, Selection, Shown, Stream, Table, WriteError},
    step::Finding,
};

/// What is to be shown, how, and for how long.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A table for eyes, or one JSON object per line
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Not transitions only: handshakes, resets, retransmitted SYNs, half-open requests and TIME_WAIT minisockets too
    #[arg(long)]
    all: bool,
    /// Stop after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = duration)]
    duration: Option<Duration>,
    /// Stop after so many lines
    #[arg(long, value_name = "LINES")]
    count: Option<NonZeroU64>,
    #[command(flatten)]
    kernel: KernelArgs,
    // Last, since its heading holds for all that follows.
    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Output {
    Table,
    Json,
}

/// Why watching ended early.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The filter names a namespace that cannot be used.
    #[error("--netns: {0}")]
    Filter(#[from] FindError),
    /// Nothing can be traced.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Standard output.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Shows what happens until it has been enough, or SIGINT or SIGTERM comes; then says on standard error how much that
/// was, and what was lost.
///
/// # Errors
///
/// [`WatchError`] when nothing can be traced, or shown.
pub fn run(args: Args) -> Result<(), WatchError> {
    let filter = Filter::new(args.filter)?;
    let selection = Selection { filter, all: args.all, limit: args.count.map(NonZeroU64::get) };
    let format = match args.output {
        Output::Table => {
            let width = text::terminal_width().unwrap_or(usize::MAX);
            Format::Table(Table { width, color: text::color() })
        }
        Output::Json => Format::Json,
    };
    let config = Config { load: args.kernel.options(), ..Config::default() };
    let summary = start::runtime()?.block_on(watch(config, format, selection, args.duration))?;
    eprintln!("{summary}");
    Ok(())
}

async fn watch(
    config: Config,
    format: Format,
    selection: Selection,
    duration: Option<Duration>,
) -> Result<Summary, WatchError> {
    let stop = stop_signal()?;
    let types = start::types()?;
    // Until the pipeline says when it has started.
    let epoch = Anchor::now();
    let mut sinks = Watch {
        stream: Stream::new(io::stdout(), format, selection, epoch),
        stop,
        duration,
        started: 0,
        summary: Summary::default(),
    };
    // The sink itself looks for the end, so that it can count what was lost before everything is detached.
    pipeline::run(&types, config, &mut sinks, std::future::pending()).await.map_err(StartError::from)?;
    Ok(Summary { shown: sinks.stream.finish()?, ..sinks.summary })
}

/// The stream, and when it ends.
struct Watch {
    stream: Stream<Stdout>,
    stop: watch::Receiver<bool>,
    duration: Option<Duration>,
    /// CLOCK_MONOTONIC, nanoseconds.
    started: u64,
    summary: Summary,
}

impl Audience for Watch {
    fn finding(&mut self, finding: &Finding<'_>) {
        self.stream.finding(finding);
    }

    fn malformed(&mut self, reason: &Malformed, _: Option<Hook>) {
        log::error!("a record cannot be read ({reason}); its event is lost");
        self.summary.malformed += 1;
    }
}

impl Sinks for Watch {
    fn started(&mut self, state: &State<'_>, adopted: &Snapshot) {
        start::log_problems(state, adopted);
        self.started = state.now;
        self.stream.start(Anchor::now(), &state.attached.kernel);
    }

    fn batch_end(&mut self, state: &State<'_>) -> ControlFlow<()> {
        let enough = self.stream.flush().is_break();
        let elapsed = Duration::from_nanos(state.now.saturating_sub(self.started));
        let over = self.duration.is_some_and(|duration| elapsed >= duration);
        if !(enough || over || *self.stop.borrow()) {
            return ControlFlow::Continue(());
        }
        self.summary.elapsed = elapsed;
        for (hook, fate) in counts::fates(state.attached) {
            self.summary.ring_full += fate.ring_full;
            self.summary.missed += fate.missed;
            if fate.lost() > 0 {
                self.summary.hooks.push(hook.name());
            }
        }
        ControlFlow::Break(())
    }
}

/// What is said at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Summary {
    elapsed: Duration,
    shown: Shown,
    /// Lost for want of room in the ring.
    ring_full: u64,
    /// Firings that found every copy of the handler interrupted; some may have been no business of ours.
    missed: u64,
    /// Hooks that lost something.
    hooks: Vec<&'static str>,
    /// Records that did not decode.
    malformed: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { elapsed, shown: Shown { shown, seen }, ring_full, missed, hooks, malformed } = self;
        write!(f, "{:.1} s: {shown} shown of {seen} seen, ", elapsed.as_secs_f64())?;
        let lost = ring_full + missed + malformed;
        if lost == 0 {
            return f.write_str("none lost");
        }
        write!(f, "{}{lost} LOST", if *missed > 0 { "up to " } else { "" })?;
        if !hooks.is_empty() {
            write!(f, " ({})", hooks.join(", "))?;
        }
        let causes = [
            (ring_full, "for want of room in the ring, which a larger --ring-bytes gives"),
            (missed, "while every copy of a handler was interrupted, against which more --copies help"),
            (malformed, "that could not be read, which is an error to report"),
        ];
        for (count, cause) in causes.into_iter().filter(|(count, _)| **count > 0) {
            write!(f, "; {count} {cause}")?;
        }
        f.write_str(". The connections they belong to are inconclusive until their next transition.")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Summary;
    use crate::sink::stream::Shown;

    #[test]
    fn a_quiet_end() {
        let shown = Shown { shown: 12, seen: 345 };
        let summary = Summary { elapsed: Duration::from_millis(1250), shown, ..Summary::default() };
        assert_eq!(summary.to_string(), "1.2 s: 12 shown of 345 seen, none lost");
    }

    #[test]
    fn a_loss_says_what_it_means_and_what_helps() {
        let summary = Summary {
            ring_full: 7,
            missed: 2,
            hooks: vec!["timer_start", "timer_cancel"],
            ..Summary::default()
        };
        let summary = summary.to_string();
        for part in [
            "up to 9 LOST (timer_start, timer_cancel); 7 for want",
            "--ring-bytes",
            "2 while every copy",
            "--copies",
            "inconclusive",
        ] {
            assert!(summary.contains(part), "{part} in {summary}");
        }
    }
}
