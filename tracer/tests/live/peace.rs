//! No false alarm: healthy traffic of every kind, and not one violation.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{
    agent::Agent,
    load::{Ending, Family, Load},
    metrics::Metrics,
    mixed::Mixed,
    namespace::Namespace,
    turn,
};

/// Kinds of connections in mixed.py.
const KINDS: usize = 28;

/// Runs every kind, beside plain churn, until this many transitions; how many there were.
fn peace(transitions: i64, limit: Duration) -> i64 {
    let start = Instant::now();
    let mut agent = Agent::start();
    let mut seen = 0;
    let mut round = 0;
    while seen < transitions && start.elapsed() < limit {
        round += 1;
        // TIME_WAIT would use up the ports of one.
        let namespaces = [Namespace::new(), Namespace::new()];
        let time = Duration::from_secs(10);
        let mixed = Mixed::start(&namespaces[0], 1_000_000, time, round);
        let begun = Instant::now();
        for (family, ending) in [
            (Family::Ipv4, Ending::Client),
            (Family::Ipv6, Ending::Server),
            (Family::Ipv4, Ending::Reset),
            (Family::Ipv6, Ending::Client),
        ] {
            if transitions > 1_000_000 && begun.elapsed() < time {
                let exchanges = usize::from(round % 2 == 0);
                Load { connections: 15_000, lanes: 1, family, ending, exchanges }.run(&namespaces[1]);
            }
        }
        let made: Value = mixed.finish();
        let kinds = made["made"].as_object().unwrap().len();
        assert!(kinds + made["missing"].as_object().unwrap().len() >= KINDS - 1, "{made}");
        println!("{made}");
        // What the agent has not taken in yet comes with the next round.
        let metrics = agent.metrics();
        seen = metrics.count("tcptracer_transitions_total", &[]);
        assert_eq!(verdicts(&metrics, "violation"), 0, "{}", agent.log());
    }
    std::thread::sleep(Duration::from_secs(2));
    let metrics = agent.metrics();
    assert_eq!(verdicts(&metrics, "violation"), 0, "{}", agent.log());
    let classes = ["conforming", "deviation", "inconclusive"];
    println!(
        "{seen} transitions in {:.0} s, {} events lost: {:?}",
        start.elapsed().as_secs_f64(),
        ["ring_full", "missed"]
            .map(|outcome| metrics.count("tcptracer_events_total", &[("outcome", outcome)]))
            .iter()
            .sum::<i64>(),
        classes.map(|class| (class, verdicts(&metrics, class)))
    );
    seen
}

fn verdicts(metrics: &Metrics, verdict: &str) -> i64 {
    metrics.count("tcptracer_conformance_checks_total", &[("verdict", verdict)])
}

#[test]
fn twenty_seconds_of_everything_and_nobody_is_accused() {
    let Some(_turn) = turn(&["python3"]) else { return };
    let seen = peace(50_000, Duration::from_secs(20));
    assert!(seen > 20_000, "{seen}");
}

#[test]
#[ignore = "takes a quarter of an hour"]
fn ten_million_transitions_and_nobody_is_accused() {
    let Some(_turn) = turn(&["python3"]) else { return };
    let seen = peace(10_000_000, Duration::from_secs(3600));
    assert!(seen >= 10_000_000, "{seen}");
}
