//! As many connections as the machine can make: nothing is lost, and each figure is what the kernel counted itself.

use std::time::Duration;

use crate::support::{
    agent::Agent,
    books::Moment,
    counters::{self, Host},
    load::{Ending, Family, Load},
    namespace::Namespace,
    programs, sysctl, turn,
    wait::until,
};

const CONNECTIONS: u64 = 100_000;
const LANES: u64 = 2;

#[test]
fn a_hundred_thousand_connections_three_times_over_and_not_one_event_is_lost() {
    let Some(_turn) = turn(&[]) else { return };
    // The kernel then counts for itself how often it started each program.
    let _stats = sysctl::Changed::to("kernel/bpf_stats_enabled", "1");
    let mut agent = Agent::start();
    for (family, ending) in
        [(Family::Ipv4, Ending::Client), (Family::Ipv6, Ending::Server), (Family::Ipv4, Ending::Reset)]
    {
        let load = Load { connections: CONNECTIONS, lanes: LANES, family, ending, exchanges: 0 };
        let done = (0..3).any(|_| round(&mut agent, load));
        assert!(done, "others on this host used TCP in each of three attempts: {load:?}");
    }
}

/// False: somebody else on the host used TCP meanwhile, so that nothing can be said to the last one.
fn round(agent: &mut Agent, load: Load) -> bool {
    // A new namespace each time: TIME_WAIT would use up its ports and buckets.
    let namespace = Namespace::new();
    let start = Moment::settled(agent);
    let firings_before = programs::firings(agent.pid());
    load.run(&namespace);
    let end = Moment::settled(agent);
    let firings_after = programs::firings(agent.pid());
    if !end.kernel.same_namespaces(&start.kernel) {
        return false;
    }
    let change = end.since(&start);
    let own = counters::of(&namespace);
    let opened = [change.kernel("Tcp.ActiveOpens"), change.kernel("Tcp.PassiveOpens")];
    if opened != [own["Tcp.ActiveOpens"], own["Tcp.PassiveOpens"]] {
        return false;
    }

    change.assert_healthy();
    let what = format!("{:?} {:?}", load.family, load.ending);
    let connections = i64::try_from(load.connections).unwrap();
    let lanes = i64::try_from(load.lanes).unwrap();
    assert_eq!(opened, [connections; 2], "{what}: the kernel's count of the load");
    assert_eq!(
        [change.transitions("close", "syn_sent"), change.transitions("listen", "syn_recv")],
        opened,
        "{what}"
    );
    for role in ["client", "server"] {
        assert_eq!(change.handshakes(role, "established"), connections, "{what}: {role}");
    }

    // Five transitions at each end, three when a reset cuts it short, and two of each listener.
    let transitions = match load.ending {
        Ending::Client | Ending::Server => 10 * connections,
        Ending::Reset => 6 * connections,
    } + 2 * lanes;
    assert_eq!(
        change.ours("tcptracer_conformance_checks_total", &[]),
        transitions,
        "{what}: one verdict each"
    );
    for (hook, program, expected) in [
        ("inet_sock_set_state", "state_0", transitions),
        ("tcp_destroy_sock", "destroy_0", 2 * connections + lanes),
    ] {
        // By the kernel's own count of runs and skipped runs.
        let fired = firings_after[program] - firings_before[program];
        assert_eq!(fired, expected, "{what}: runs and misses of {program}");
        // Each firing is accounted for. One in a million comes from two copies of the handler, and is dropped later on.
        let accounted = change.ours("tcptracer_events_total", &[("hook", hook)]);
        let doubled = accounted - fired;
        assert!(
            (0..=fired / 100_000).contains(&doubled),
            "{what}: {hook} fired {fired} times, we have {accounted}"
        );
    }

    // What the kernel keeps of them, and what it took away again for new connections.
    let timewaits = if load.ending == Ending::Reset { 0 } else { connections };
    assert_eq!(own["sockstat.tw"] + own["TcpExt.TWRecycled"], timewaits, "{what}: the kernel's minisockets");
    until(Duration::from_secs(5), || {
        let metrics = agent.metrics();
        let gauges = ["tcptracer_time_wait_sockets", "tcptracer_fin_wait2_minisockets"];
        let ours: i64 = gauges.iter().map(|gauge| metrics.count(gauge, &[])).sum();
        match Host::read().sum("sockstat.tw") {
            tw if tw == ours => Ok(()),
            tw => Err(format!("{what}: {tw} minisockets by sockstat, {ours} by us")),
        }
    });
    true
}
