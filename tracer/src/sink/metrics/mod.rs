//! Counts, durations and gauges for Prometheus.
//!
//! Every series whose labels are known beforehand exists from the first scrape on, with 0: a series that appears late
//! breaks `rate()`. Handles are found once, so that an event costs additions and no look-up, and a scrape costs the
//! same however many sockets there are.

mod conformance;
mod family;
mod handshakes;
mod health;
mod identity;
mod ports;
#[cfg(test)]
mod tests;
mod time_wait;
mod transitions;

use std::{collections::BTreeMap, time::Duration};

use model::linux::{LinuxState, Transition};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGaugeVec, Registry};
use tracer_ebpf::Hook;

use crate::{
    decode::Kernel,
    event::What,
    kernel::{
        backlog::Queue,
        counts::{Fate, ProgramStats},
        load::HookStatus,
    },
    step::{Finding, StepKind, TimewaitPath},
    tracker::Books,
};

use self::ports::Ports;
pub use crate::ledger::KernelCounter;
pub use identity::{REVISION, VERSION, kernel as running_kernel};

/// All metrics of the agent. Every method may be called from any thread.
pub struct Metrics {
    registry: Registry,
    transitions: transitions::Transitions,
    handshakes: handshakes::Handshakes,
    time_wait: time_wait::TimeWait,
    conformance: conformance::Conformance,
    health: health::Health,
    backlog: IntGaugeVec,
    backlog_limit: IntGaugeVec,
    differences: IntGaugeVec,
    comparisons: IntCounter,
    differed: IntCounterVec,
    recording_up: IntGaugeVec,
    recording_unwritten: IntCounterVec,
    sweeps: Histogram,
}

impl Metrics {
    /// All series, with 0. `kernel` names the reasons of resets that the running kernel knows.
    ///
    /// # Errors
    ///
    /// [`prometheus::Error`] when two series have one name, or a name is none: an error of ours.
    pub fn new(kernel: &Kernel) -> Result<Self, prometheus::Error> {
        Self::with_ports(kernel, &[])
    }

    /// As [`new`](Self::new), with handshakes by the port of their listener: these, and `other`. No ports, no such label.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_ports(kernel: &Kernel, ports: &[u16]) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        identity::register(&registry)?;
        let differed = family::counters(
            &registry,
            "kernel_differences_total",
            "How often a difference between our count and the kernel's has come or grown, and stayed: events that no hook \
             has shown.",
            &["counter"],
        )?;
        for counter in KernelCounter::ALL {
            differed.get_metric_with_label_values(&[counter.name()])?;
        }
        Ok(Self {
            transitions: transitions::Transitions::new(&registry)?,
            handshakes: handshakes::Handshakes::new(&registry, kernel, Ports::new(ports))?,
            time_wait: time_wait::TimeWait::new(&registry)?,
            conformance: conformance::Conformance::new(&registry)?,
            health: health::Health::new(&registry)?,
            backlog: family::gauges(
                &registry,
                "listen_backlog",
                "Connections that wait to be accepted, by port, for the ports that were asked for.",
                &["port"],
            )?,
            backlog_limit: family::gauges(
                &registry,
                "listen_backlog_limit",
                "How many connections may wait to be accepted, by port.",
                &["port"],
            )?,
            // No series until somebody compares: a 0 would claim that the books balance.
            differences: family::gauges(
                &registry,
                "kernel_difference",
                "Our count minus the kernel's since the agent began, by the kernel's counter; where network namespaces differ, \
                 the difference that is furthest from 0.",
                &["counter"],
            )?,
            sweeps: family::histogram(
                &registry,
                "sweep_duration_seconds",
                "Time that a sweep for late FINs took, in seconds. A FIN that turns an orphan's FIN_WAIT2 minisocket into \
                 TIME_WAIT fires no hook and is noticed by the next sweep.",
                &[0.0001, 0.001, 0.01, 0.1, 1.0, 10.0],
            )?,
            comparisons: family::counter(
                &registry,
                "kernel_comparisons_total",
                "Comparisons of our counts with the kernel's that were done.",
            )?,
            differed,
            // No series where nobody records.
            recording_up: family::gauges(
                &registry,
                "recording_up",
                "Whether what the agent takes in is being recorded: 1, or 0 since the files can no longer be written.",
                &[],
            )?,
            recording_unwritten: family::counters(
                &registry,
                "recording_unwritten_records_total",
                "Records that the agent took in and the recording lacks, the disk being too slow or full.",
                &[],
            )?,
            registry,
        })
    }

    /// The registry to gather from.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Counts one finding.
    pub fn record(&self, finding: &Finding<'_>) {
        if let Some(judgement) = &finding.judgement {
            self.conformance.count(judgement.verdict);
        }
        let family = finding.step.family();
        let count = |from, to| self.transitions.count(Transition::new(from, to), family);
        match finding.step.kind {
            StepKind::Transition { transition, spent, .. } => {
                self.transitions.count(transition, family);
                self.transitions.spent(transition.from, spent);
            }
            StepKind::Handshake { role, result, duration } => {
                self.handshakes.ended(role, result, duration, &finding.step.flow());
            }
            StepKind::SynRetransmit => self.handshakes.syn_retransmits.inc(),
            StepKind::SynAckRetransmit => self.handshakes.synack_retransmits.inc(),
            StepKind::Reset { sent: false } => self.handshakes.reset_received(),
            StepKind::Reset { sent: true } => match finding.step.event.what {
                What::ResetSent { number, .. } => self.handshakes.reset_sent(number),
                _ => self.handshakes.reset_sent(0),
            },
            StepKind::RequestBegun => count(LinuxState::Listen, LinuxState::NewSynRecv),
            StepKind::RequestEnded { completed, lived } => {
                // The child of a completed request announces LISTEN -> SYN_RECV itself.
                if !completed {
                    count(LinuxState::NewSynRecv, LinuxState::Close);
                }
                self.transitions.spent(LinuxState::NewSynRecv, lived);
            }
            StepKind::TimewaitBegun { path, substate: LinuxState::TimeWait } => {
                self.time_wait.entered(path, family);
                // Where it came from when that is not known, no series can say.
                if let Some(path) = path {
                    count(left(path), LinuxState::TimeWait);
                }
            }
            StepKind::TimewaitConverted => {
                self.time_wait.entered(Some(TimewaitPath::Minisocket), family);
                count(LinuxState::FinWait2, LinuxState::TimeWait);
            }
            StepKind::TimewaitRestarted => self.time_wait.restarts.inc(),
            StepKind::TimewaitEnded { substate: LinuxState::TimeWait, cause, lived } => {
                self.time_wait.ended(cause, lived);
                count(LinuxState::TimeWait, LinuxState::Close);
                self.transitions.spent(LinuxState::TimeWait, lived);
            }
            StepKind::TimewaitSkipped => self.time_wait.skipped.inc(),
            // An orphan's FIN_WAIT2 -> CLOSE was announced when the minisocket took over.
            StepKind::TimewaitBegun { .. } | StepKind::TimewaitEnded { .. } | StepKind::Destroyed => {}
            StepKind::Duplicate => self.health.doubled(finding.step.event.hook),
        }
    }

    /// Sets the sockets of each state.
    pub fn sockets(&self, books: &Books) {
        self.transitions.sockets(books);
        self.time_wait.sockets(books);
    }

    /// Brings the counts of hook firings up to the kernel's.
    pub fn fates(&self, fates: &[(Hook, Fate)]) {
        self.health.fates(fates);
    }

    /// Says which hooks are attached.
    pub fn hooks(&self, hooks: &[HookStatus]) {
        self.health.hooks(hooks);
    }

    /// Sets how much of the ring is in use, bytes.
    pub fn ring(&self, waiting: u64, capacity: u64) {
        self.health.ring(waiting, capacity);
    }

    /// Sets how much of the agent's table is in use, sockets.
    pub fn tracked(&self, now: u64, limit: u64) {
        self.health.tracked(now, limit);
    }

    /// Observes the time from one event to its processing, nanoseconds.
    pub fn lag(&self, nanoseconds: u64) {
        self.health.lag(nanoseconds);
    }

    /// Counts a record that could not be decoded. `None`: it names no hook.
    pub fn invalid(&self, hook: Option<Hook>) {
        self.health.invalid(hook);
    }

    /// Brings the statistics of the BPF programs up to the kernel's. The series of a program appear with its first
    /// call, so it belongs right behind the attaching.
    pub fn programs<'a>(&self, programs: impl IntoIterator<Item = (&'a str, ProgramStats)>) {
        for (name, stats) in programs {
            self.health.program(name, stats);
        }
    }

    /// What waits at these ports, and how much may.
    pub fn backlogs(&self, queues: &BTreeMap<u16, Queue>) {
        for (port, Queue { waiting, limit }) in queues {
            let port = port.to_string();
            for (family, value) in [(&self.backlog, waiting), (&self.backlog_limit, limit)] {
                if let Ok(gauge) = family.get_metric_with_label_values(&[&port]) {
                    gauge.set(family::level(*value));
                }
            }
        }
    }

    /// Observes one sweep for late FINs.
    pub fn swept(&self, duration: Duration) {
        self.sweeps.observe(duration.as_secs_f64());
    }

    /// Counts one comparison with the kernel's counters.
    pub fn compared(&self) {
        self.comparisons.inc();
    }

    /// Counts a difference that has come or grown.
    pub fn differs(&self, counter: KernelCounter) {
        if let Ok(differed) = self.differed.get_metric_with_label_values(&[counter.name()]) {
            differed.inc();
        }
    }

    /// Says whether the recording goes on, and how many records are missing from it so far.
    pub fn recording(&self, is_up: bool, unwritten: u64) {
        let none: &[&str] = &[];
        if let Ok(up) = self.recording_up.get_metric_with_label_values(none) {
            up.set(is_up.into());
        }
        if let Ok(counter) = self.recording_unwritten.get_metric_with_label_values(none) {
            family::raise(&counter, unwritten);
        }
    }

    /// Counts SYN cookies that failed, which only the kernel's own counter tells.
    pub fn cookies_failed(&self, count: u64) {
        self.handshakes.cookies_failed(count);
    }

    /// Sets our count minus the kernel's.
    pub fn kernel_difference(&self, counter: KernelCounter, difference: i64) {
        if let Ok(gauge) = self.differences.get_metric_with_label_values(&[counter.name()]) {
            gauge.set(difference);
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// The state that a connection left for TIME_WAIT.
fn left(path: TimewaitPath) -> LinuxState {
    match path {
        TimewaitPath::FinWait1 => LinuxState::FinWait1,
        TimewaitPath::FinWait2 | TimewaitPath::Minisocket => LinuxState::FinWait2,
        TimewaitPath::Closing => LinuxState::Closing,
    }
}
