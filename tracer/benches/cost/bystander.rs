//! Traffic that opens and closes nothing: all it meets of the agent are the tracepoints of timers.

use std::{
    io::{Read, Write},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use aya::sys::{Stats, enable_stats};

use crate::{
    sample::{figure, tell},
    support::{
        agent::Agent,
        load::{Family, Held},
        namespace::Namespace,
    },
};

/// Connections that exchange at the same time.
const EXCHANGES: usize = 2;

pub fn measure(rounds: u64, milliseconds: u64) {
    let window = Duration::from_millis(milliseconds);
    for round in 1..=rounds {
        let agent_first = round % 2 == 0;
        for with_agent in [agent_first, !agent_first] {
            let agent = with_agent.then(Agent::start);
            sleep(Duration::from_millis(300));
            let arm = if agent.is_some() { "agent" } else { "without agent" };
            tell("bulk transfer", arm, round, "bytes_per_second", bulk(window));
            tell("request/response", arm, round, "exchanges_per_second", exchange(window));
        }
        measure_programs(round, window);
    }
}

/// The share of all processor time that the programs take meanwhile, by the kernel's own clock: exact where the throughput
/// of two runs differs by more than the agent costs.
fn measure_programs(round: u64, window: Duration) {
    // The kernel counts while this is open.
    let _counting = match enable_stats(Stats::RunTime) {
        Ok(open) => open,
        Err(error) => return eprintln!("the kernel keeps no statistics of BPF programs: {error}"),
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let mut agent = Agent::start();
    for (case, load) in [("bulk transfer", bulk as fn(Duration) -> f64), ("request/response", exchange)] {
        let before = run_seconds(&mut agent);
        let begin = Instant::now();
        load(window);
        let elapsed = begin.elapsed().as_secs_f64();
        let spent = run_seconds(&mut agent) - before;
        tell(case, "agent", round, "share_of_programs", spent / elapsed / figure(processors as u64));
    }
}

/// What all programs have taken so far.
fn run_seconds(agent: &mut Agent) -> f64 {
    agent.metrics().sum("tcptracer_bpf_run_seconds_total", &[])
}

/// Bytes per second of one connection.
fn bulk(window: Duration) -> f64 {
    let namespace = Namespace::new();
    let Held { mut clients, mut servers, .. } = Held::open(&namespace, Family::Ipv4, 1);
    let (Some(mut client), Some(mut server)) = (clients.pop(), servers.pop()) else { return 0.0 };
    thread::scope(|scope| {
        scope.spawn(move || {
            let buffer = vec![0; 128 << 10];
            let begin = Instant::now();
            // An error: nobody reads any more.
            while begin.elapsed() < window && client.write_all(&buffer).is_ok() {}
        });
        let mut buffer = vec![0; 128 << 10];
        let (begin, mut bytes) = (Instant::now(), 0_u64);
        while let Ok(count @ 1..) = server.read(&mut buffer) {
            bytes += count as u64;
        }
        figure(bytes) / begin.elapsed().as_secs_f64()
    })
}

/// Requests of one byte answered per second, over all connections.
fn exchange(window: Duration) -> f64 {
    let namespace = Namespace::new();
    let Held { clients, servers, .. } = Held::open(&namespace, Family::Ipv4, EXCHANGES);
    thread::scope(|scope| {
        for mut server in servers {
            scope.spawn(move || {
                let mut byte = [0];
                while server.read_exact(&mut byte).and_then(|()| server.write_all(&byte)).is_ok() {}
            });
        }
        let asking: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                scope.spawn(move || {
                    let (begin, mut answers, mut byte) = (Instant::now(), 0_u64, [1]);
                    while begin.elapsed() < window
                        && client.write_all(&byte).and_then(|()| client.read_exact(&mut byte)).is_ok()
                    {
                        answers += 1;
                    }
                    figure(answers) / begin.elapsed().as_secs_f64()
                })
            })
            .collect();
        asking.into_iter().filter_map(|thread| thread.join().ok()).sum()
    })
}
