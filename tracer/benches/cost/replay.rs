//! How many transitions one core takes through decode, track, check, the ledger and metrics.

use rustix::time::{ClockId, clock_gettime};
use tracer::{
    checker,
    decode::{self, Kernel},
    ledger::Ledger,
    sink::{Metrics, Violations},
    tracker::{Hooks, Limits, Tracker},
};
use tracer_ebpf::Record;

use crate::{
    sample::{figure, tell},
    stream,
};

/// Transitions of one round, as near as the number of connections allows.
const ROUND: u64 = 1_000_000;

/// Processor time, not wall time: on a busy machine others' work does not count.
pub fn measure(rounds: u64, populations: &[u64]) {
    let kernel = Kernel::default();
    // One round more, to warm up.
    for round in 0..=rounds {
        for &connections in populations {
            let waves = (ROUND / stream::TRANSITIONS / connections).max(1);
            let seconds = replay(connections, waves, &kernel);
            if round > 0 {
                let transitions = figure(waves * connections * stream::TRANSITIONS);
                tell(&connections, "agent", round, "transitions_per_core_second", transitions / seconds);
            }
        }
    }
}

/// Processor seconds that `waves` times `connections` whole connections take, once the tables have grown.
fn replay(connections: u64, waves: u64, kernel: &Kernel) -> f64 {
    let mut tracker = Tracker::new(Limits::default(), Hooks::all());
    let mut ledger = Ledger::default();
    let violations = Violations::default();
    let metrics = match Metrics::new(kernel) {
        Ok(metrics) => metrics,
        Err(error) => return fail(&error),
    };
    let (mut spent, mut told, mut doubtful, mut time) = (0.0, 0_u64, 0_u64, 1_000_000_000);
    let mut bytes = Vec::new();
    for wave in 0..=waves {
        // The first wave lets the tables grow.
        if wave == 1 {
            (spent, told) = (0.0, 0);
        }
        for step in stream::STEPS {
            bytes.clear();
            stream::interleaved(step, wave * connections..(wave + 1) * connections, time, &mut bytes);
            time += connections * 100;
            let begin = processor_seconds();
            for record in bytes.chunks_exact(Record::SIZE) {
                // As the judge does it.
                let Ok(event) = &decode::decode(record, kernel) else { continue };
                tracker.observe(event, &mut |step| {
                    let finding = checker::check(&step);
                    ledger.record(&finding);
                    metrics.record(&finding);
                    violations.record(&finding);
                    if let Some(judgement) = finding.judgement {
                        told += 1;
                        doubtful += u64::from(judgement.verdict.severity() > 1);
                    }
                });
            }
            spent += processor_seconds() - begin;
        }
    }
    // Each transition has its verdict, and so has the end of each TIME_WAIT.
    let expected = waves * connections * (stream::TRANSITIONS + 1);
    assert_eq!((tracker.len(), told, doubtful), (0, expected, 0), "a healthy stream is told whole");
    spent
}

fn fail(error: &dyn std::error::Error) -> f64 {
    eprintln!("error: {error}");
    std::process::exit(1)
}

#[expect(clippy::cast_precision_loss, reason = "a few seconds")]
fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
