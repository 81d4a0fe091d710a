//! A real server and a real client, and the kernel's counters as the judge.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use crate::support::{
    agent::Agent, books, guest::share, load::Family, namespace::Namespace, nginx::Nginx, turn,
};

/// Connections of each kind: v4 and v6, closed after one answer and kept.
fn each() -> u64 {
    share(250)
}

#[test]
fn a_thousand_connections_of_curl_to_nginx_are_complete_conforming_and_counted_to_the_last_one() {
    let Some(_turn) = turn(&["nginx", "curl"]) else { return };
    let each = each();
    let namespace = Namespace::new();
    let nginx = Nginx::start(&namespace);
    let mut agent = Agent::start();

    let [start, end] = books::alone(&mut agent, &namespace, |_| {
        for family in [Family::Ipv4, Family::Ipv6] {
            assert_eq!(nginx.fetch(family, &format!("once?[1-{each}]")), (each, each));
            assert_eq!(kept(&nginx, family), (3 * each, each));
        }
    });
    let change = end.since(&start);

    change.assert_healthy();
    let connections = i64::try_from(4 * each).unwrap();
    assert_eq!(change.kernel("Tcp.ActiveOpens"), connections, "connections that curl did not count");
    assert_eq!(change.transitions("close", "syn_sent"), change.kernel("Tcp.ActiveOpens"));
    assert_eq!(change.transitions("listen", "syn_recv"), change.kernel("Tcp.PassiveOpens"));
    for counter in ["active_opens", "passive_opens", "curr_estab"] {
        let difference = end.metrics.count("tcptracer_kernel_difference", &[("counter", counter)]);
        assert_eq!(difference, 0, "the agent's own comparison: {counter}");
    }

    // Whatever entered a state has left it again.
    for state in ["syn_sent", "syn_recv", "established", "fin_wait1", "close_wait", "last_ack"] {
        let entered = change.ours("tcptracer_transitions_total", &[("to", state)]);
        let left = change.left(state);
        assert_eq!(entered, left, "entered and left {state}");
    }

    for role in ["client", "server"] {
        assert_eq!(change.handshakes(role, "established"), connections, "{role}");
        for family in ["ipv4", "ipv6"] {
            let labels = [("role", role), ("family", family)];
            let timed = change.ours("tcptracer_handshake_duration_seconds_count", &labels);
            assert_eq!(timed, connections / 2, "handshakes timed: {role} {family}");
        }
        assert_eq!(change.ours("tcptracer_handshakes_untimed_total", &[("role", role)]), 0, "{role}");
    }
    assert_eq!(change.changed("tcptracer_handshakes_total").len(), 2, "other outcomes than established");
}

/// Many curls, each with three requests over one connection. Returns answers and connections.
fn kept(nginx: &Nginx<'_>, family: Family) -> (u64, u64) {
    let begun = AtomicU64::new(0);
    thread::scope(|scope| {
        let work = || {
            let mut sum = (0, 0);
            while begun.fetch_add(1, Ordering::Relaxed) < each() {
                let (answers, connections) = nginx.fetch(family, "kept?[1-3]");
                sum = (sum.0 + answers, sum.1 + connections);
            }
            sum
        };
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    })
}
