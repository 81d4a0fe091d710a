//! TIME_WAIT, which no transition shows: our count of minisockets is the kernel's, all the time.

use std::time::Duration;

use crate::support::{
    agent::Agent,
    books::Moment,
    counters::{self, Host},
    load::{Ending, Family, Held, Load},
    metrics::Metrics,
    namespace::Namespace,
    turn,
    wait::until,
};

/// Waits until our gauges are the kernel's figures: sockstat's `tw`, and the socket list by substate.
fn agree(agent: &mut Agent) {
    until(Duration::from_secs(5), || {
        let metrics = agent.metrics();
        let time_wait = metrics.count("tcptracer_time_wait_sockets", &[]);
        let fin_wait2 = metrics.count("tcptracer_fin_wait2_minisockets", &[]);
        let tw = Host::read().sum("sockstat.tw");
        let listed = counters::sockets()["time_wait"];
        if time_wait + fin_wait2 != tw {
            return Err(format!("sockstat's tw is {tw}, ours {time_wait} + {fin_wait2}"));
        }
        if i64::try_from(listed) != Ok(time_wait) {
            return Err(format!("{listed} sockets listed in TIME_WAIT, ours {time_wait}"));
        }
        Ok(())
    });
}

#[test]
fn the_gauges_are_what_sockstat_and_the_socket_list_say() {
    const EACH: u64 = 2000;
    let Some(_turn) = turn(&[]) else { return };
    let namespaces = [Namespace::new(), Namespace::new()];
    let mut agent = Agent::start();
    let start = Moment::quiet(&mut agent);
    let mut orderly = 0;
    for (namespace, family) in namespaces.iter().zip([Family::Ipv4, Family::Ipv6]) {
        for ending in [Ending::Client, Ending::Server, Ending::Reset] {
            Load { connections: EACH, lanes: 2, family, ending, exchanges: 1 }.run(namespace);
        }
        let kernel = counters::of(namespace);
        let made = kernel["sockstat.tw"] + kernel["TcpExt.TWRecycled"];
        assert_eq!(
            made,
            i64::try_from(2 * EACH).unwrap(),
            "{family:?}: one minisocket for each orderly ending"
        );
        orderly += made;
    }
    agree(&mut agent);
    let end = Moment::quiet(&mut agent);
    let change = end.since(&start);
    change.assert_healthy();
    let entered = change.ours("tcptracer_time_wait_entered_total", &[]);
    let waiting = change.ours("tcptracer_fin_wait2_minisockets", &[]);
    assert_eq!(entered + waiting, orderly);
}

#[test]
fn an_orphan_in_fin_wait2_is_no_time_wait_until_the_peer_closes() {
    const COUNT: i64 = 50;
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    let mut agent = Agent::start();
    let start = Moment::quiet(&mut agent);
    let mut held = Held::open(&namespace, Family::Ipv4, usize::try_from(COUNT).unwrap());
    held.clients.clear();
    let orphaned = Moment::quiet(&mut agent);
    let change = orphaned.since(&start);
    change.assert_healthy();
    assert_eq!(counters::of(&namespace)["sockstat.tw"], COUNT, "what the kernel counts as tw");
    assert_eq!(change.ours("tcptracer_fin_wait2_minisockets", &[]), COUNT);
    assert_eq!(change.ours("tcptracer_time_wait_entered_total", &[]), 0);
    agree(&mut agent);

    // No tracepoint shows the peer's FIN.
    held.servers.clear();
    agree(&mut agent);
    let closed = Moment::quiet(&mut agent);
    let change = closed.since(&orphaned);
    assert_eq!(change.ours("tcptracer_time_wait_entered_total", &[("path", "minisocket")]), COUNT);
    assert_eq!(change.ours("tcptracer_fin_wait2_minisockets", &[]), -COUNT);
}

#[test]
fn orphans_expire_and_a_namespace_takes_its_minisockets_along() {
    const COUNT: i64 = 30;
    let Some(_turn) = turn(&[]) else { return };
    let short = Namespace::new();
    let doomed = Namespace::new();
    short.sysctl("net/ipv4/tcp_fin_timeout", "2");
    let mut agent = Agent::start();
    let mut held = Held::open(&short, Family::Ipv6, usize::try_from(COUNT).unwrap());
    held.clients.clear();
    Load { connections: 30, lanes: 1, family: Family::Ipv4, ending: Ending::Server, exchanges: 0 }
        .run(&doomed);
    agree(&mut agent);
    assert_eq!(counters::of(&short)["sockstat.tw"] + counters::of(&doomed)["sockstat.tw"], 2 * COUNT);

    // The orphans' time is over: they end without ever having been TIME_WAIT.
    until(Duration::from_secs(6), || match counters::of(&short)["sockstat.tw"] {
        0 => Ok(()),
        left => Err(format!("{left} orphans")),
    });
    agree(&mut agent);
    let ended = |agent: &mut Agent| {
        // Nothing in the tracepoints tells a purge from other early ends.
        let of =
            |metrics: &Metrics, cause| metrics.count("tcptracer_time_wait_ended_total", &[("cause", cause)]);
        let metrics = agent.metrics();
        of(&metrics, "purged") + of(&metrics, "unknown")
    };
    let before = ended(&mut agent);
    drop(doomed);
    until(Duration::from_secs(10), || match ended(&mut agent) - before {
        COUNT => Ok(()),
        found => Err(format!("{found} of {COUNT} minisockets went with their namespace")),
    });
    agree(&mut agent);
}
