//! What each hook costs inside the kernel, by the kernel's own statistics.

use std::collections::BTreeMap;

use aya::sys::{Stats, enable_stats};

use crate::{
    churn,
    sample::tell,
    support::{agent::Agent, load::Family},
};

pub fn measure(rounds: u64, connections: u64) {
    // The kernel counts while this is open.
    let _counting = match enable_stats(Stats::RunTime) {
        Ok(open) => open,
        Err(error) => return eprintln!("the kernel keeps no statistics of BPF programs: {error}"),
    };
    for round in 1..=rounds {
        let mut agent = Agent::start();
        let before = Work::of(&mut agent);
        let made = churn::run(Family::Ipv4, connections).made;
        let after = Work::of(&mut agent);
        let mut all = 0.0;
        for (handler, (seconds, runs)) in &after.handlers {
            let (seconds_before, runs_before) = before.handlers.get(handler).copied().unwrap_or_default();
            let (nanoseconds, runs) = ((seconds - seconds_before) * 1e9, runs - runs_before);
            all += nanoseconds;
            if runs > 0.0 {
                tell(handler, "agent", round, "ns_per_run", nanoseconds / runs);
                tell(handler, "agent", round, "runs_per_connection", runs / made);
            }
        }
        tell("all", "agent", round, "ns_per_transition", all / (after.transitions - before.transitions));
        tell("all", "agent", round, "ns_per_connection", all / made);
    }
}

/// What the programs have done so far.
struct Work {
    /// Seconds and runs by program.
    handlers: BTreeMap<String, (f64, f64)>,
    transitions: f64,
}

impl Work {
    fn of(agent: &mut Agent) -> Self {
        let metrics = agent.metrics();
        let mut handlers = BTreeMap::<String, (f64, f64)>::new();
        for (labels, seconds) in metrics.matching("tcptracer_bpf_run_seconds_total", &[]) {
            handlers.entry(labels["program"].clone()).or_default().0 += seconds;
        }
        for (labels, runs) in metrics.matching("tcptracer_bpf_runs_total", &[]) {
            handlers.entry(labels["program"].clone()).or_default().1 += runs;
        }
        let state = [("hook", "inet_sock_set_state"), ("outcome", "delivered")];
        Self { handlers, transitions: metrics.sum("tcptracer_events_total", &state) }
    }
}
