//! An agent with nothing to do: how soon it is there, what it takes then.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    procfs::{processor_time, resident_memory},
    sample::{figure, tell},
    support::agent::Agent,
};

pub fn measure(rounds: u64, seconds: u64) {
    let window = Duration::from_secs(seconds);
    for round in 1..=rounds {
        let begin = Instant::now();
        let mut agent = Agent::start();
        tell("", "agent", round, "start_seconds", begin.elapsed().as_secs_f64());
        // What the start has set in motion ends first.
        sleep(Duration::from_secs(1));
        let events = delivered(&mut agent);
        let (begin, before) = (Instant::now(), processor_time(agent.pid()));
        sleep(window);
        let spent = processor_time(agent.pid()).saturating_sub(before);
        let share = spent.as_secs_f64() / begin.elapsed().as_secs_f64();
        tell("", "agent", round, "idle_core_share", share);
        // Others on this host may have opened connections meanwhile.
        tell(
            "",
            "agent",
            round,
            "idle_events_per_second",
            (delivered(&mut agent) - events) / figure(seconds),
        );
        tell("", "agent", round, "resident_bytes", figure(resident_memory(agent.pid())));
    }
}

fn delivered(agent: &mut Agent) -> f64 {
    agent.metrics().sum("tcptracer_events_total", &[("outcome", "delivered")])
}
