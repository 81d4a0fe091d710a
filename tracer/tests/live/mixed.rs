//! Connections that end in every way, by the thousand: the gauges of TIME_WAIT are the kernel's at each moment, and what
//! has entered has ended or is there.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread::scope,
    time::{Duration, Instant},
};

use crate::{
    support::{
        agent::Agent,
        books::Moment,
        counters::{self, Host},
        guest::share,
        load::{Ending, Family, Load, listen},
        metrics::Metrics,
        namespace::Namespace,
        turn,
        wait::until,
    },
    time_wait::agree_within_two_sweeps,
};

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Close {
    /// Both sides at once.
    Both,
    /// The client shuts its sending side down, and the server goes on for a byte.
    Half,
    /// Data for a socket that is closed: an RST from the kernel itself.
    LateData,
    /// Closed with data unread.
    Unread,
    /// The client closes, and the server does so when all are through.
    LateFin,
    /// The client closes, and the server never does.
    NoFin,
}

/// Ends one connection this way; what is to stay open is handed back.
fn end(close: Close, mut client: TcpStream, mut server: TcpStream) -> Option<TcpStream> {
    let mut byte = [0];
    match close {
        Close::Both => scope(|scope| {
            scope.spawn(|| client.shutdown(Shutdown::Both));
            // The peer may have been quicker.
            let _ = server.shutdown(Shutdown::Both);
            None
        }),
        Close::Half => {
            client.shutdown(Shutdown::Write).expect("half a close");
            assert_eq!(server.read(&mut byte).expect("the client's FIN"), 0);
            server.write_all(&byte).expect("the server goes on");
            drop(server);
            client.read_exact(&mut byte).expect("the server's byte");
            assert_eq!(client.read(&mut byte).expect("the server's FIN"), 0);
            None
        }
        Close::LateData => {
            drop(client);
            // A byte for nobody; the answer may be here already when the next one leaves.
            let _ = server.write_all(&byte);
            None
        }
        Close::Unread => {
            server.write_all(&byte).expect("a byte that nobody reads");
            until(Duration::from_secs(5), || match client.peek(&mut byte) {
                Ok(1) => Ok(()),
                other => Err(format!("{other:?}")),
            });
            None
        }
        Close::LateFin | Close::NoFin => {
            drop(client);
            Some(server)
        }
    }
}

/// Connections that all end this way.
fn closes(namespace: &Namespace, family: Family, count: usize, close: Close) -> Vec<TcpStream> {
    let listener: TcpListener = namespace.enter(|| listen(family));
    let address = listener.local_addr().expect("its address");
    let mut open = Vec::new();
    namespace.enter(|| {
        for _ in 0..count {
            let client = TcpStream::connect(address).expect("a connection");
            let (server, _) = listener.accept().expect("its other end");
            open.extend(end(close, client, server));
        }
    });
    if close == Close::LateFin { Vec::new() } else { open }
}

/// A round: 11 ways to close, `each` times. What never closes is handed back.
fn round(namespace: &Namespace, family: Family, each: usize) -> Vec<TcpStream> {
    let connections = u64::try_from(each).expect("a number");
    for ending in [Ending::Client, Ending::Server, Ending::Reset] {
        for exchanges in [0, 1] {
            Load { connections, lanes: 1, family, ending, exchanges }.run(namespace);
        }
    }
    let ways = [Close::Both, Close::Half, Close::LateData, Close::Unread, Close::LateFin];
    for close in ways {
        closes(namespace, family, each, close);
    }
    // Descriptors are dear.
    closes(namespace, family, each.min(50), Close::NoFin)
}

/// While the load runs, the comparison with the kernel goes on as well; no difference may ever be believed.
fn differs(metrics: &Metrics) -> Vec<(String, f64)> {
    metrics
        .matching("tcptracer_kernel_difference", &[])
        .filter(|(_, difference)| *difference != 0.0)
        .map(|(labels, difference)| (labels["counter"].clone(), difference))
        .collect()
}

/// `rounds` rounds; asserts after each that the books are the kernel's.
fn mixed(agent: &mut Agent, namespace: &Namespace, rounds: usize, each: usize) {
    let start = Moment::quiet(agent);
    let mut open = Vec::new();
    for number in 0..rounds {
        let family = if number % 2 == 0 { Family::Ipv4 } else { Family::Ipv6 };
        let done = AtomicBool::new(false);
        let before = Instant::now();
        open.extend(scope(|scope| {
            let load = scope.spawn(|| {
                let open = round(namespace, family, each);
                done.store(true, Ordering::Relaxed);
                open
            });
            while !done.load(Ordering::Relaxed) {
                assert_eq!(differs(&agent.metrics()), [], "during round {number}");
                std::thread::sleep(Duration::from_millis(200));
            }
            load.join().expect("the load")
        }));
        agree_within_two_sweeps(agent, &format!("round {number}"));
        let now = agent.metrics().count("tcptracer_time_wait_sockets", &[]);
        println!("round {number}: {:?}, {now} in TIME_WAIT", before.elapsed());
    }
    let last = Moment::quiet(agent);
    let change = last.since(&start);
    change.assert_nothing_lost();
    assert_eq!(
        change.verdicts("violation"),
        0,
        "{:?}",
        change.changed("tcptracer_conformance_violations_total")
    );
    assert_entered_is_ended_and_now(
        &change.changed("tcptracer_time_wait_ended_total"),
        &start.metrics,
        &last.metrics,
    );

    let kernel = counters::of(namespace);
    let made = kernel["TcpExt.TW"] + kernel["TcpExt.TWKilled"];
    let entered = change.ours("tcptracer_time_wait_entered_total", &[]);
    let orphans = change.ours("tcptracer_fin_wait2_minisockets", &[]);
    println!("{made} minisockets made, {entered} entered TIME_WAIT, {orphans} orphans wait");
    let recycled = kernel["TcpExt.TWRecycled"];
    let reused = change.ours("tcptracer_time_wait_ended_total", &[("cause", "reused")]);
    assert!(reused >= recycled, "{reused} reused, {recycled} of them by our connect");
    assert_eq!(change.ours("tcptracer_time_wait_ended_total", &[("cause", "unknown")]), 0);
    assert_eq!(
        change.ours("tcptracer_time_wait_skipped_total", &[]),
        change.kernel("TcpExt.TCPTimeWaitOverflow")
    );
}

fn assert_entered_is_ended_and_now(ends: &[String], start: &Metrics, last: &Metrics) {
    let of = |metrics: &Metrics, name: &str| metrics.count(name, &[]);
    let change = |name| of(last, name) - of(start, name);
    assert_eq!(
        change("tcptracer_time_wait_entered_total"),
        change("tcptracer_time_wait_ended_total") + change("tcptracer_time_wait_sockets"),
        "{ends:?}"
    );
}

#[test]
fn ten_thousand_mixed_closes_and_the_gauges_are_the_kernels_at_each_moment() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    mixed(&mut Agent::start(), &namespace, 4, usize::try_from(share(250)).unwrap());
}

/// `cargo test -p tracer --test live -- --ignored --nocapture a_hundred_thousand_mixed_closes`
#[test]
#[ignore = "takes some minutes"]
fn a_hundred_thousand_mixed_closes_and_all_of_time_wait_runs_out() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    let mut agent = Agent::start();
    let start = agent.metrics();
    mixed(&mut agent, &namespace, 10, 1000);
    // A minute, and what the timer wheel adds.
    until(Duration::from_secs(90), || match counters::of(&namespace)["sockstat.tw"] {
        0 => Ok(()),
        left => Err(format!("{left} minisockets")),
    });
    agree_within_two_sweeps(&mut agent, "at the end");
    assert_eq!(Host::read().sum("sockstat.tw"), agent.metrics().count("tcptracer_time_wait_sockets", &[]));
    let last = agent.metrics();
    let change = |name, labels: &[(&str, &str)]| last.count(name, labels) - start.count(name, labels);
    let ended = change("tcptracer_time_wait_ended_total", &[]);
    println!("{ended} ended; expired {}", change("tcptracer_time_wait_ended_total", &[("cause", "expired")]));
    assert_eq!(change("tcptracer_time_wait_ended_total", &[("cause", "unknown")]), 0);
    // Never less than a minute: what is shorter was cut short.
    let violations = change("tcptracer_conformance_violations_total", &[("rule", "time-wait-cut-short")]);
    assert_eq!(violations, 0);
    let up_to = |edge| change("tcptracer_time_wait_duration_seconds_bucket", &[("le", edge)]);
    let [early, late, all] = ["59", "65", "+Inf"].map(up_to);
    println!("{early} lasted less than 59 s, {} from 59 to 65 s, {} longer", late - early, all - late);
    let cut_short: i64 = ["reused", "reset", "destroyed", "purged"]
        .map(|cause| change("tcptracer_time_wait_ended_total", &[("cause", cause)]))
        .iter()
        .sum();
    assert!(early <= cut_short, "{early} lasted less than 59 s, {cut_short} were cut short");
    // The wheel rounds up by 4 s at the most; an orphan's minisocket has waited for the FIN before.
    let orphans = change("tcptracer_time_wait_entered_total", &[("path", "minisocket")]);
    assert!(all - late <= orphans, "{} lasted longer than 65 s, {orphans} had been orphans", all - late);
}
