//! Sockets in TIME_WAIT by the hundred thousand: a scrape does not walk through them.

use std::{
    net::SocketAddr,
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::support::{
    agent::Agent,
    counters,
    http::Client,
    load::{Ending, Family, Load},
    namespace::Namespace,
    process::Process,
    turn,
    wait::until,
};

/// Debian's exporter, whose tcpstat collector asks the kernel for every socket at each scrape.
const NODE_EXPORTER: &str = "prometheus-node-exporter";
const NODE_ADDRESS: &str = "127.0.0.1:19100";

const SCRAPES: usize = 21;

/// The middle one of some scrapes.
fn median(mut scrape: impl FnMut()) -> Duration {
    let mut times: Vec<_> = (0..SCRAPES)
        .map(|_| {
            let start = Instant::now();
            scrape();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[SCRAPES / 2]
}

/// The exporter inside the namespace, with nothing but this collector.
fn node_exporter(namespace: &Namespace) -> Process {
    let mut command = namespace.command(NODE_EXPORTER);
    command.args(["--collector.disable-defaults", "--collector.tcpstat", "--web.disable-exporter-metrics"]);
    command.arg(format!("--web.listen-address={NODE_ADDRESS}"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Process::start(&mut command, Signal::KILL)
}

/// A scrape by one of both, in turn, while so many sockets are in TIME_WAIT.
fn compare(agent: &mut Agent, namespace: &Namespace) -> (i64, Duration, Duration) {
    let time_wait = counters::of(namespace)["sockstat.tw"];
    let ours = median(|| drop(agent.get("/metrics", "text/plain")));
    let theirs = namespace.enter(|| {
        let address: SocketAddr = NODE_ADDRESS.parse().expect("an address");
        let mut client =
            until(Duration::from_secs(10), || Client::connect(address).map_err(|e| e.to_string()));
        let text = client.get("/metrics").expect("a scrape").text();
        let line =
            text.lines().find(|line| line.starts_with("node_tcp_connection_states{state=\"time_wait\"}"));
        println!("node_exporter: {}", line.unwrap_or("no sockets in TIME_WAIT"));
        median(|| drop(client.get("/metrics").expect("a scrape")))
    });
    (time_wait, ours, theirs)
}

/// `cargo test -p tracer --test live -- --ignored --nocapture a_scrape_costs_the_same`
#[test]
#[ignore = "needs a machine that makes 300,000 connections within a minute"]
fn a_scrape_costs_the_same_with_three_hundred_thousand_sockets_in_time_wait() {
    let Some(_turn) = turn(&[NODE_EXPORTER]) else { return };
    let namespace = Namespace::new();
    namespace.sysctl("net/ipv4/tcp_max_tw_buckets", "400000");
    let mut agent = Agent::start();
    let _theirs = node_exporter(&namespace);
    let mut rows = vec![compare(&mut agent, &namespace)];
    let start = Instant::now();
    for step in 1..=12 {
        // A port of the client and one of the listener name a connection: 60,000 for each listener. Once most of them
        // are taken, the kernel takes some over from TIME_WAIT.
        Load { connections: 30_000, lanes: 2, family: Family::Ipv4, ending: Ending::Client, exchanges: 0 }
            .run(&namespace);
        println!("{} connections after {:?}", step * 30_000, start.elapsed());
        if step % 4 == 0 {
            rows.push(compare(&mut agent, &namespace));
        }
    }
    println!("{:>10} {:>12} {:>14}", "TIME_WAIT", "tcp-tracer", "node_exporter");
    for (time_wait, ours, theirs) in &rows {
        println!("{time_wait:>10} {ours:>12.1?} {theirs:>14.1?}");
    }
    let (most, last, _) = rows[rows.len() - 1];
    assert!(most >= 300_000, "only {most} in TIME_WAIT: connections are made too slowly here");
    let gauges = ["tcptracer_time_wait_sockets", "tcptracer_fin_wait2_minisockets"];
    // Where a kernel has not run the programs for some of them, a listing finds them, every 10 seconds at the most.
    until(Duration::from_secs(30), || {
        let metrics = agent.metrics();
        let ours: i64 = gauges.iter().map(|gauge| metrics.count(gauge, &[])).sum();
        match counters::Host::read().sum("sockstat.tw") {
            tw if tw == ours => Ok(()),
            tw => {
                Err(format!("{tw} minisockets by sockstat, {ours} by us; the agent says:\n{}", agent.log()))
            }
        }
    });
    let first = rows[0].1;
    assert!(last < Duration::from_millis(5), "{last:?}");
    assert!(last < 2 * first + Duration::from_millis(1), "{first:?} without sockets, {last:?} with {most}");
}
