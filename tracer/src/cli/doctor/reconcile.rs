//! `tcp-tracer doctor --reconcile`: our counts against the kernel's own, for a person.

use std::{future::Future, io, ops::ControlFlow, time::Duration};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use tracer_ebpf::Hook;

use super::DoctorError;
use crate::{
    cli::{
        start::{self, StartError},
        text,
    },
    decode::Malformed,
    judge::Audience,
    kernel::listing::Snapshot,
    ledger::KernelCounter,
    pipeline::{self, Config, Sinks, State},
    reconcile::{Compared, Comparison, Report, Span},
    step::{Finding, StepKind},
};

/// Time between two comparisons.
const INTERVAL: Duration = Duration::from_millis(300);

/// What watching came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The last comparison; `None` when it was ended before there was one.
    report: Option<Report>,
    /// Nanoseconds that were watched.
    watched: u64,
    transitions: u64,
    lost: u64,
    malformed: u64,
    /// Why sockets that were there before are not known.
    unlisted: Vec<String>,
    missing: Vec<Hook>,
}

/// Attaches, watches for this long or until `shutdown`, and compares.
pub(super) async fn watch(
    duration: Duration,
    shutdown: impl Future<Output = ()>,
) -> Result<Outcome, DoctorError> {
    let types = start::types()?;
    let duration = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let mut watcher = Watcher { outcome: Outcome::default(), started: 0, duration };
    let config = Config { reconcile: Some(INTERVAL), ..Config::default() };
    pipeline::run(&types, config, &mut watcher, shutdown).await.map_err(StartError::from)?;
    Ok(watcher.outcome)
}

/// Keeps the last comparison.
struct Watcher {
    outcome: Outcome,
    started: u64,
    duration: u64,
}

impl Audience for Watcher {
    fn finding(&mut self, finding: &Finding<'_>) {
        self.outcome.transitions += u64::from(matches!(finding.step.kind, StepKind::Transition { .. }));
    }

    fn malformed(&mut self, _reason: &Malformed, _hook: Option<Hook>) {
        self.outcome.malformed += 1;
    }
}

impl Sinks for Watcher {
    fn started(&mut self, state: &State<'_>, adopted: &Snapshot) {
        self.started = state.now;
        self.outcome.unlisted = adopted.problems.iter().map(ToString::to_string).collect();
        let hooks = state.attached.hooks.iter();
        self.outcome.missing = hooks.filter(|hook| hook.copies == 0).map(|hook| hook.hook).collect();
    }

    fn reconciled(&mut self, report: &Report) {
        self.outcome.report = Some(report.clone());
    }

    fn batch_end(&mut self, state: &State<'_>) -> ControlFlow<()> {
        self.outcome.watched = state.now.saturating_sub(self.started);
        self.outcome.lost = state.fates.iter().map(|(_, fate)| fate.lost()).sum();
        let until = self.started.saturating_add(self.duration);
        let is_done = self.outcome.report.as_ref().is_some_and(|report| report.begun >= until);
        if is_done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Outcome {
    /// True when something was compared and nothing differs.
    pub(super) fn is_balanced(&self) -> bool {
        self.report.as_ref().is_some_and(|report| !report.namespaces.is_empty() && report.is_balanced())
    }

    /// One JSON object.
    pub(super) fn json(&self) -> Result<String, DoctorError> {
        let namespaces = self.report.iter().flat_map(|report| &report.namespaces).map(Books::new).collect();
        let page = Page {
            balanced: self.is_balanced(),
            watched_seconds: self.watched as f64 / 1e9,
            transitions: self.transitions,
            lost_events: self.lost,
            namespaces,
            problems: self.problems().collect(),
        };
        Ok(serde_json::to_string_pretty(&page).map_err(io::Error::from)? + "\n")
    }

    fn problems(&self) -> impl Iterator<Item = &str> {
        let unread = self.report.iter().flat_map(|report| &report.problems);
        unread.chain(&self.unlisted).map(String::as_str)
    }

    /// The page for a person.
    pub(super) fn page(&self, width: usize, color: bool) -> String {
        let mut page = format!(
            "Watched {:.1} s: {} transitions, {} events lost.\n",
            self.watched as f64 / 1e9,
            self.transitions,
            self.lost + self.malformed
        );
        let Some(report) = &self.report else {
            page.push_str("\nEnded before the first comparison was done.\n");
            return page;
        };
        let mut quiet = 0;
        for compared in &report.namespaces {
            if compared.is_balanced() && is_unused(compared) {
                quiet += 1;
            } else {
                table(&mut page, compared, color);
            }
        }
        if quiet > 0 {
            page.push_str(&format!(
                "\nNetwork namespaces in which nothing happened, and nothing differs: {quiet}\n"
            ));
        }
        let mut problems: Vec<_> = self.problems().collect();
        problems.dedup();
        for problem in problems {
            page.push('\n');
            text::wrap(&mut page, &format!("Not compared: {problem}"), 0, width);
        }
        for sentence in self.meaning(report) {
            page.push('\n');
            text::wrap(&mut page, &sentence, 0, width);
        }
        page
    }

    /// What the differences mean.
    fn meaning(&self, report: &Report) -> Vec<String> {
        if report.namespaces.is_empty() {
            return vec!["No network namespace could be read, so nothing was compared.".to_owned()];
        }
        if report.is_balanced() {
            return vec!["The books balance: each of our counts is the kernel's.".to_owned()];
        }
        let all = || {
            report
                .namespaces
                .iter()
                .flat_map(|compared| KernelCounter::ALL.into_iter().zip(compared.counters))
        };
        let differs =
            |sign: i64| all().any(|(_, found)| found.is_some_and(|found| found.difference.signum() == sign));
        let mut sentences = Vec::new();
        if differs(-1) {
            let why = match (self.lost + self.malformed, self.missing.as_slice()) {
                (0, []) => {
                    "No event is known to be lost and every hook is attached. Either this kernel does not run BPF programs \
                     at all times (one was seen that runs none while its init process is on the CPU; `perf stat -e \
                     sock:inet_sock_set_state` counts without them), or this is an error of tcp-tracer: please report it."
                        .to_owned()
                }
                (0, missing) => {
                    let names: Vec<_> = missing.iter().map(|hook| hook.name()).collect();
                    format!("These hooks are missing, and what they would show is not counted: {}.", names.join(", "))
                }
                (lost, _) => format!("{lost} events were lost, which explains it; a larger ring (--ring-bytes of `run`) \
                                      or more copies of the handlers (--copies) lose less."),
            };
            sentences.push(format!("Below 0: the kernel counted what we did not see. {why}"));
        }
        if differs(1) {
            sentences.push(
                "Above 0: we count what the kernel does not. Either the end of a socket was lost, or this is an error of \
                 tcp-tracer: please report it."
                    .to_owned(),
            );
        }
        sentences.push(
            "Each difference was there in several looks in a row, so it is not an event under way. What the tracepoints \
             leave open, such as a half-open request that was dropped, shows as a range and is no difference."
                .to_owned(),
        );
        sentences
    }
}

fn is_unused(compared: &Compared) -> bool {
    compared.counters.iter().flatten().all(|found| found.kernel == 0)
}

/// Width of the columns.
const NAME: usize = 20;
const NUMBER: usize = 14;

fn table(page: &mut String, compared: &Compared, color: bool) {
    let path = compared.path.display().to_string();
    page.push_str(&format!(
        "\n{} (cookie {})\n",
        text::styled(color, Style::new().bold(), &path),
        compared.netns
    ));
    page.push_str(&format!(
        "  {:NAME$}{:>NUMBER$}{:>NUMBER$}{:>NUMBER$}\n",
        "counter", "ours", "kernel", "difference"
    ));
    for (counter, found) in KernelCounter::ALL.into_iter().zip(compared.counters) {
        let Some(Comparison { ours, kernel, difference }) = found else {
            page.push_str(&format!("  {:NAME$}{:>NUMBER$}\n", counter.name(), "not on this kernel"));
            continue;
        };
        page.push_str(&format!("  {:NAME$}{:>NUMBER$}{kernel:>NUMBER$}", counter.name(), span(ours)));
        let difference = match difference {
            0 => format!("{:>NUMBER$}", 0),
            difference => {
                let number = format!("{difference:>+NUMBER$}");
                text::styled(color, AnsiColor::Red.on_default(), &number).to_string()
            }
        };
        page.push_str(&format!("{difference}\n"));
    }
}

fn span(Span { low, high }: Span) -> String {
    if low == high { low.to_string() } else { format!("{low}..{high}") }
}

#[derive(Serialize)]
struct Page<'a> {
    balanced: bool,
    watched_seconds: f64,
    transitions: u64,
    lost_events: u64,
    namespaces: Vec<Books>,
    problems: Vec<&'a str>,
}

#[derive(Serialize)]
struct Books {
    namespace: String,
    cookie: u64,
    counters: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    counter: &'static str,
    ours_low: i64,
    ours_high: i64,
    kernel: i64,
    difference: i64,
}

impl Books {
    fn new(compared: &Compared) -> Self {
        let line = |(counter, found): (KernelCounter, Option<Comparison>)| {
            let Comparison { ours: Span { low, high }, kernel, difference } = found?;
            Some(Line { counter: counter.name(), ours_low: low, ours_high: high, kernel, difference })
        };
        Self {
            namespace: compared.path.display().to_string(),
            cookie: compared.netns,
            counters: KernelCounter::ALL.into_iter().zip(compared.counters).filter_map(line).collect(),
        }
    }
}
