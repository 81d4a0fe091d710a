//! As many connections as the machine can make: nothing is lost, and each figure is what the kernel counted itself.

use std::{collections::BTreeMap, time::Duration};

use crate::support::{
    agent::Agent,
    books::{Difference, Moment},
    counters::{self, Counters, Host, STATES},
    guest::share,
    load::{Ending, Family, Load, UNBORN},
    namespace::Namespace,
    programs, sysctl, turn,
    wait::until,
};

/// What one round of a load changed.
struct Round<'a> {
    load: Load,
    change: Difference<'a>,
    /// The counters of the load's own namespace, which was new.
    own: Counters,
    /// Firings of each program by the kernel's own count, skipped runs included.
    fired: BTreeMap<String, i64>,
}

#[test]
fn a_hundred_thousand_bare_connections_three_times_over_and_not_one_event_is_lost() {
    let Some(_turn) = turn(&[]) else { return };
    // The kernel then counts for itself how often it started each program.
    let _stats = sysctl::Changed::to("kernel/bpf_stats_enabled", "1");
    let mut agent = Agent::start();
    for (family, ending) in
        [(Family::Ipv4, Ending::Client), (Family::Ipv6, Ending::Server), (Family::Ipv4, Ending::Reset)]
    {
        let load = Load { connections: share(100_000), lanes: 2, family, ending, exchanges: 0 };
        run(&mut agent, load, |_, round| round.assert_complete());
    }
}

#[test]
fn ordered_connections_are_all_conforming_and_the_books_balance() {
    let Some(_turn) = turn(&[]) else { return };
    let _stats = sysctl::Changed::to("kernel/bpf_stats_enabled", "1");
    let mut agent = Agent::start();
    for (family, ending) in
        [(Family::Ipv6, Ending::Client), (Family::Ipv4, Ending::Server), (Family::Ipv6, Ending::Reset)]
    {
        // Data back and forth: both ends are up before one of them closes.
        let load = Load { connections: share(30_000), lanes: 2, family, ending, exchanges: 1 };
        run(&mut agent, load, |agent, round| {
            round.assert_complete();
            round.assert_ordered();
            assert_minisockets_agree(agent);
        });
    }
}

/// Runs a load in a new namespace (TIME_WAIT would use up the ports and buckets of an old one), and judges it when
/// nobody else on the host used TCP meanwhile: only then can figures be compared to the last one.
fn run(agent: &mut Agent, load: Load, judge: impl Fn(&mut Agent, &Round<'_>)) {
    let mut others = Vec::new();
    for _ in 0..3 {
        let namespace = Namespace::new();
        let start = Moment::settled(agent);
        let before = programs::firings(agent.pid());
        agent.asked_during(|| load.run(&namespace));
        let end = Moment::settled(agent);
        let after = programs::firings(agent.pid());
        if !end.kernel.same_namespaces(&start.kernel) {
            others.push("a network namespace came or went".to_owned());
            continue;
        }
        let change = end.since(&start);
        let own = counters::of(&namespace);
        let opens = ["Tcp.ActiveOpens", "Tcp.PassiveOpens"];
        let elsewhere = opens.map(|name| change.kernel(name) - own[name]);
        if elsewhere != [0, 0] || change.adopted() != 0 {
            others.push(format!(
                "opened elsewhere: {elsewhere:?}; steps of sockets older than the agent: {}",
                change.adopted()
            ));
            continue;
        }
        let fired = after.iter().map(|(program, count)| (program.clone(), count - before[program])).collect();
        judge(agent, &Round { load, change, own, fired });
        return;
    }
    panic!("others on this host used TCP in each of three attempts at {load:?}: {others:?}");
}

impl Round<'_> {
    /// Every firing of a hook is accounted for, none was lost, and every story is whole.
    fn assert_complete(&self) {
        let Self { load, change, own, fired } = self;
        change.assert_nothing_lost();
        assert_eq!(change.verdicts("violation"), 0, "{load:?}");
        let connections = i64::try_from(load.connections).unwrap();
        let born = connections - own[UNBORN];
        let opened = [own["Tcp.ActiveOpens"], own["Tcp.PassiveOpens"]];
        assert_eq!(opened, [connections, born], "{load:?}: the kernel's count of the load");
        let ours = [change.transitions("close", "syn_sent"), change.transitions("listen", "syn_recv")];
        assert_eq!(ours, opened, "{load:?}: opens");
        for (role, number) in [("client", connections), ("server", born)] {
            assert_eq!(change.handshakes(role, "established"), number, "{load:?}: {role}");
        }
        for (hook, program) in [("inet_sock_set_state", "state_0"), ("tcp_destroy_sock", "destroy_0")] {
            // Some in a million are delivered by two copies of the handler, and the tracker drops the second.
            let doubled = change.ours("tcptracer_events_doubled_total", &[("hook", hook)]);
            let accounted = change.ours("tcptracer_events_total", &[("hook", hook)]) - doubled;
            assert_eq!(accounted, fired[program], "{load:?}: {hook}, {doubled} doubled");
        }
        let verdicts = change.ours("tcptracer_conformance_checks_total", &[]);
        // A TIME_WAIT that ends is judged as well, unless its beginning or its cause is not known.
        let ended = change.ours("tcptracer_time_wait_ended_total", &[]);
        let beyond = verdicts - fired["state_0"];
        assert!(
            (0..=ended).contains(&beyond),
            "{load:?}: {beyond} verdicts more than transitions, {ended} ends"
        );
    }

    /// Besides, each connection took the usual way to its end. Bare ones need not: on two CPUs a FIN overtakes the birth
    /// of its peer now and then; an RST comes back, and some closers wait in FIN_WAIT1 for longer than a test.
    fn assert_ordered(&self) {
        let Self { load, change, own, fired } = self;
        change.assert_healthy();
        let connections = i64::try_from(load.connections).unwrap();
        let lanes = i64::try_from(load.lanes).unwrap();
        // Five transitions at each end, three when a reset cuts it short, and two of each listener.
        let each = if load.ending == Ending::Reset { 6 } else { 10 };
        assert_eq!(fired["state_0"], each * connections + 2 * lanes, "{load:?}: transitions");
        assert_eq!(fired["destroy_0"], 2 * connections + lanes, "{load:?}: sockets that ended");
        let timewaits = if load.ending == Ending::Reset { 0 } else { connections };
        // Newer kernels count in TW what they make, older ones what expired.
        let made = own["TcpExt.TW"].max(own["sockstat.tw"] + own["TcpExt.TWRecycled"]);
        assert_eq!(made, timewaits, "{load:?}: minisockets that the kernel made");
        // A listener stays where it is when a child is cloned from it.
        for state in
            STATES.iter().filter(|state| !["close", "listen", "time_wait", "new_syn_recv"].contains(state))
        {
            let entered = change.ours_if_any("tcptracer_transitions_total", &[("to", state)]);
            assert_eq!(entered, change.left(state), "{load:?}: entered and left {state}");
        }
    }
}

fn assert_minisockets_agree(agent: &mut Agent) {
    until(Duration::from_secs(5), || {
        let metrics = agent.metrics();
        let gauges = ["tcptracer_time_wait_sockets", "tcptracer_fin_wait2_minisockets"];
        let ours: i64 = gauges.iter().map(|gauge| metrics.count(gauge, &[])).sum();
        match Host::read().sum("sockstat.tw") {
            tw if tw == ours => Ok(()),
            tw => Err(format!("{tw} minisockets by sockstat, {ours} by us")),
        }
    });
}
