//! The agent's own health: what its hooks delivered and lost, and how far it is behind.

use prometheus::{CounterVec, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};
use tracer_ebpf::Hook;

use super::family::{self, Made, level, raise, raise_seconds, seconds};
use crate::kernel::{
    counts::{Fate, ProgramStats},
    load::{HookStatus, Kind},
};

/// Seconds from the kernel's time stamp; the ring is polled every 20 ms.
const LAG: [f64; 12] = [0.0001, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 10.0, 30.0];

/// The hook of a record that does not even say where it comes from.
const UNKNOWN: &str = "unknown";

pub(super) struct Health {
    /// By hook; delivered, filtered, ring_full, missed.
    events: Vec<[IntCounter; 4]>,
    /// By hook, the unknown one last.
    invalid: Vec<IntCounter>,
    /// By hook.
    doubled: Vec<IntCounter>,
    lag: Histogram,
    ring: IntGauge,
    ring_capacity: IntGauge,
    tracked: IntGauge,
    tracked_limit: IntGauge,
    attached: IntGaugeVec,
    run_seconds: CounterVec,
    runs: IntCounterVec,
}

impl Health {
    pub(super) fn new(registry: &Registry) -> Made<Self> {
        let events = family::counters(
            registry,
            "events_total",
            "Firings of kernel hooks by what became of them; ring_full and missed ones are lost.",
            &["hook", "outcome"],
        )?;
        let invalid = family::counters(
            registry,
            "events_invalid_total",
            "Records from the kernel side that could not be decoded.",
            &["hook"],
        )?;
        let doubled = family::counters(
            registry,
            "events_doubled_total",
            "Firings of kernel hooks that were delivered twice, by two copies of a handler; the second record is dropped.",
            &["hook"],
        )?;
        let attached = family::gauges(
            registry,
            "hook_attached",
            "Whether a kernel hook is attached: 1, or 0 when this kernel lacks it or refuses it.",
            &["hook", "kind"],
        )?;
        // How existing sockets are listed is decided when the programs are loaded.
        for hook in Hook::ALL.iter().filter(|hook| **hook != Hook::Snapshot) {
            attached.get_metric_with_label_values(&[hook.name(), Kind::TpBtf.name()])?;
        }
        let fates = |hook: &Hook| {
            let of = |outcome| events.get_metric_with_label_values(&[hook.name(), outcome]);
            Ok([of("delivered")?, of("filtered")?, of("ring_full")?, of("missed")?])
        };
        let names = Hook::ALL.iter().map(|hook| hook.name());
        Ok(Self {
            // The snapshot is asked for; it does not fire.
            events: Hook::ALL
                .iter()
                .filter(|hook| **hook != Hook::Snapshot)
                .map(fates)
                .collect::<Made<_>>()?,
            invalid: names
                .chain([UNKNOWN])
                .map(|name| invalid.get_metric_with_label_values(&[name]))
                .collect::<Made<_>>()?,
            doubled: Hook::ALL
                .iter()
                .map(|hook| doubled.get_metric_with_label_values(&[hook.name()]))
                .collect::<Made<_>>()?,
            lag: family::histogram(
                registry,
                "event_lag_seconds",
                "Time from an event in the kernel to its processing, in seconds.",
                &LAG,
            )?,
            ring: family::gauge(
                registry,
                "ring_bytes",
                "Bytes that wait in the ring between kernel and agent.",
            )?,
            ring_capacity: family::gauge(
                registry,
                "ring_capacity_bytes",
                "Size of the ring between kernel and agent, in bytes.",
            )?,
            tracked: family::gauge(registry, "tracked_sockets", "Sockets in the agent's table.")?,
            tracked_limit: family::gauge(
                registry,
                "tracked_sockets_limit",
                "Sockets that the agent's table may hold; those beyond it are not judged.",
            )?,
            attached,
            run_seconds: family::second_counters(
                registry,
                "bpf_run_seconds_total",
                "Time that a BPF program ran, in seconds; 0 unless kernel.bpf_stats_enabled is on.",
                &["program"],
            )?,
            runs: family::counters(
                registry,
                "bpf_runs_total",
                "Runs of a BPF program; 0 unless kernel.bpf_stats_enabled is on.",
                &["program"],
            )?,
        })
    }

    pub(super) fn fates(&self, fates: &[(Hook, Fate)]) {
        for (hook, fate) in fates {
            let Some(counters) = self.events.get(*hook as usize) else { continue };
            let counts = [fate.delivered, fate.filtered, fate.ring_full, fate.missed];
            for (counter, count) in counters.iter().zip(counts) {
                raise(counter, count);
            }
        }
    }

    pub(super) fn hooks(&self, hooks: &[HookStatus]) {
        for status in hooks {
            if let Ok(attached) =
                self.attached.get_metric_with_label_values(&[status.hook.name(), status.kind.name()])
            {
                attached.set(i64::from(status.copies > 0));
            }
        }
    }

    pub(super) fn ring(&self, waiting: u64, capacity: u64) {
        self.ring.set(level(waiting));
        self.ring_capacity.set(level(capacity));
    }

    pub(super) fn tracked(&self, now: u64, limit: u64) {
        self.tracked.set(level(now));
        self.tracked_limit.set(level(limit));
    }

    pub(super) fn lag(&self, nanoseconds: u64) {
        self.lag.observe(seconds(nanoseconds));
    }

    pub(super) fn invalid(&self, hook: Option<Hook>) {
        self.invalid[hook.map_or(Hook::ALL.len(), |hook| hook as usize)].inc();
    }

    pub(super) fn doubled(&self, hook: Hook) {
        self.doubled[hook as usize].inc();
    }

    pub(super) fn program(&self, name: &str, stats: ProgramStats) {
        if let Ok(counter) = self.run_seconds.get_metric_with_label_values(&[name]) {
            raise_seconds(&counter, seconds(stats.run_time_ns));
        }
        if let Ok(counter) = self.runs.get_metric_with_label_values(&[name]) {
            raise(&counter, stats.runs);
        }
    }
}
