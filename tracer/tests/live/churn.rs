//! As many connections as the machine can make: nothing is lost, and each figure is what the kernel counted itself.

use std::{thread, time::Duration};

use crate::support::{
    agent::Agent,
    books::Moment,
    load::{Ending, Family, Load},
    namespace::Namespace,
    programs, sysctl, turn,
};

const CONNECTIONS: u64 = 100_000;
const LANES: u64 = 2;

/// Hooks that fire for TCP sockets only, so that they stand still between loads, and the first copy of their program.
const HOOKS: [(&str, &str); 2] = [("inet_sock_set_state", "state_0"), ("tcp_destroy_sock", "destroy_0")];

#[test]
fn a_hundred_thousand_connections_three_times_over_and_not_one_event_is_lost() {
    let Some(_turn) = turn(&[]) else { return };
    // The kernel then counts for itself how often it started each program.
    let _stats = sysctl::Changed::to("kernel/bpf_stats_enabled", "1");
    let mut agent = Agent::start();
    for (family, ending) in
        [(Family::Ipv4, Ending::Client), (Family::Ipv6, Ending::Server), (Family::Ipv4, Ending::Reset)]
    {
        // A new namespace each time: TIME_WAIT would use up its ports and buckets.
        let namespace = Namespace::new();
        let load = Load { connections: CONNECTIONS, lanes: LANES, family, ending, exchanges: 0 };
        round(&mut agent, &namespace, load);
    }
}

fn round(agent: &mut Agent, namespace: &Namespace, load: Load) {
    let what = format!("{:?} {:?}", load.family, load.ending);
    let firings_before = firings(agent);
    let start = Moment::settled(agent);
    load.run(namespace);
    let end = Moment::settled(agent);
    let firings_after = firings(agent);
    let change = end.since(&start);

    change.assert_healthy();
    let connections = i64::try_from(load.connections).unwrap();
    let lanes = i64::try_from(load.lanes).unwrap();
    let opened = [change.kernel("Tcp.ActiveOpens"), change.kernel("Tcp.PassiveOpens")];
    assert_eq!(opened, [connections; 2], "{what}: the kernel's count of the load");
    assert_eq!(
        [change.transitions("close", "syn_sent"), change.transitions("listen", "syn_recv")],
        opened,
        "{what}"
    );
    for role in ["client", "server"] {
        assert_eq!(change.handshakes(role, "established"), connections, "{what}: {role}");
    }

    // Each hook fired as often as the kernel says, and each firing is accounted for.
    for (index, (hook, program)) in HOOKS.into_iter().enumerate() {
        let accounted = change.ours("tcptracer_events_total", &[("hook", hook)]);
        assert_eq!(
            accounted,
            firings_after[index] - firings_before[index],
            "{what}: runs and misses of {program}"
        );
    }
    // Five transitions at each end, three when a reset cuts it short, and two of each listener.
    let transitions = match load.ending {
        Ending::Client | Ending::Server => 10 * connections,
        Ending::Reset => 6 * connections,
    } + 2 * lanes;
    let delivered = |hook| change.ours("tcptracer_events_total", &[("hook", hook), ("outcome", "delivered")]);
    assert_eq!(delivered("inet_sock_set_state"), transitions, "{what}: transitions");
    assert_eq!(delivered("tcp_destroy_sock"), 2 * connections + lanes, "{what}: sockets that ended");
    assert_eq!(
        change.ours("tcptracer_conformance_checks_total", &[]),
        transitions,
        "{what}: one verdict each"
    );

    let timewaits = if load.ending == Ending::Reset { 0 } else { connections };
    assert_eq!(change.kernel("sockstat.tw"), timewaits, "{what}: the kernel's minisockets");
    assert_eq!(
        change.ours("tcptracer_time_wait_sockets", &[]) + change.ours("tcptracer_fin_wait2_minisockets", &[]),
        timewaits,
        "{what}: our minisockets"
    );
}

/// Firings of [`HOOKS`] by the kernel's count, in that order.
fn firings(agent: &Agent) -> [i64; HOOKS.len()] {
    // What a load left behind is still closing for a moment.
    thread::sleep(Duration::from_millis(100));
    let firings = programs::firings(agent.pid());
    HOOKS.map(|(_, program)| {
        *firings.get(program).unwrap_or_else(|| panic!("no program {program}: {firings:?}"))
    })
}
