//! TIME_WAIT, which no transition shows: our count of minisockets is the kernel's, all the time.

use std::time::Duration;

use crate::support::{
    agent::Agent,
    books::Moment,
    counters::{self, Host},
    guest::{patience, share},
    load::{Ending, Family, Held, Load},
    metrics::Metrics,
    namespace::Namespace,
    seen, turn,
    wait::until,
};

/// More than two sweeps take: with many sockets in other namespaces they are rare.
const SWEPT: Duration = Duration::from_secs(30);

/// Waits until our gauges are the kernel's figures: sockstat's `tw`, and the socket list by substate.
fn agree(agent: &mut Agent) {
    until(SWEPT, || {
        let metrics = agent.metrics();
        let time_wait = metrics.count("tcptracer_time_wait_sockets", &[]);
        let fin_wait2 = metrics.count("tcptracer_fin_wait2_minisockets", &[]);
        let tw = Host::read().sum("sockstat.tw");
        let listed = counters::sockets()["time_wait"];
        if time_wait + fin_wait2 != tw {
            let said = agent.log();
            return Err(format!(
                "sockstat's tw is {tw}, ours {time_wait} + {fin_wait2}; the agent said:\n{said}"
            ));
        }
        if i64::try_from(listed) != Ok(time_wait) {
            return Err(format!("{listed} sockets listed in TIME_WAIT, ours {time_wait}"));
        }
        Ok(())
    });
}

#[test]
fn the_gauges_are_what_sockstat_and_the_socket_list_say() {
    let Some(_turn) = turn(&[]) else { return };
    let each = share(2000);
    let namespaces = [Namespace::new(), Namespace::new()];
    let mut agent = Agent::start();
    let start = Moment::quiet(&mut agent);
    for (namespace, family) in namespaces.iter().zip([Family::Ipv4, Family::Ipv6]) {
        for ending in [Ending::Client, Ending::Server, Ending::Reset] {
            Load { connections: each, lanes: 2, family, ending, exchanges: 1 }.run(namespace);
        }
        let kernel = counters::of(namespace);
        let made = kernel["sockstat.tw"] + kernel["TcpExt.TWRecycled"];
        assert_eq!(
            made,
            i64::try_from(2 * each).unwrap(),
            "{family:?}: one minisocket for each orderly ending"
        );
    }
    agree(&mut agent);
    let end = Moment::quiet(&mut agent);
    let change = end.since(&start);
    change.assert_healthy();
    let entered = change.ours("tcptracer_time_wait_entered_total", &[]);
    let waiting = change.ours("tcptracer_fin_wait2_minisockets", &[]);
    // Whoever else on the host closes connections meanwhile is in both. Newer kernels count what they make, older ones
    // what expired.
    let counted = change.kernel("TcpExt.TW") + change.kernel("TcpExt.TWKilled");
    let counts_made = namespaces.iter().all(|namespace| counters::of(namespace)["TcpExt.TW"] != 0);
    let unended = change.kernel("sockstat.tw") + change.kernel("TcpExt.TWRecycled");
    let made = if counts_made { counted } else { counted + unended };
    assert_eq!(entered + waiting, made);
    let what = if counts_made { "minisockets that are made" } else { "minisockets whose time is over" };
    seen("the kernel's own counter TcpExt.TW counts", what);
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
    let fin_timeout = patience(Duration::from_secs(2));
    short.sysctl("net/ipv4/tcp_fin_timeout", &fin_timeout.as_secs().to_string());
    let mut agent = Agent::start();
    let mut held = Held::open(&short, Family::Ipv6, usize::try_from(COUNT).unwrap());
    held.clients.clear();
    // Of bare connections the kernel resets a few itself: a FIN meets no child yet.
    Load { connections: 30, lanes: 1, family: Family::Ipv4, ending: Ending::Server, exchanges: 1 }
        .run(&doomed);
    agree(&mut agent);
    assert_eq!(counters::of(&short)["sockstat.tw"] + counters::of(&doomed)["sockstat.tw"], 2 * COUNT);

    // The orphans' time is over: they end without ever having been TIME_WAIT.
    until(3 * fin_timeout, || match counters::of(&short)["sockstat.tw"] {
        0 => Ok(()),
        left => Err(format!("{left} orphans")),
    });
    agree(&mut agent);
    let ended =
        |agent: &mut Agent| agent.metrics().count("tcptracer_time_wait_ended_total", &[("cause", "purged")]);
    let before = ended(&mut agent);
    drop(doomed);
    until(Duration::from_secs(10), || match ended(&mut agent) - before {
        COUNT => Ok(()),
        found => Err(format!("{found} of {COUNT} minisockets went with their namespace")),
    });
    agree(&mut agent);
}

/// TIME_WAIT and FIN_WAIT2 now, as `/proc/net/tcp` lists them. FIN_WAIT2 may be a full socket as well: the kernel keeps
/// it when the ACK finds close() still at work.
fn listed() -> [i64; 2] {
    let sockets = counters::sockets();
    ["time_wait", "fin_wait2"].map(|state| i64::try_from(sockets[state]).unwrap())
}

fn gauges(metrics: &Metrics) -> [i64; 2] {
    ["time_wait", "fin_wait2"].map(|state| metrics.count("tcptracer_sockets", &[("state", state)]))
}

fn sweeps(metrics: &Metrics) -> i64 {
    metrics.count("tcptracer_sweep_duration_seconds_count", &[])
}

/// Waits until our gauges are the kernel's figures, for two sweeps at the most: the second began after this call.
pub fn agree_within_two_sweeps(agent: &mut Agent, what: &str) {
    let before = sweeps(&agent.metrics());
    until(SWEPT, || {
        let metrics = agent.metrics();
        let found = gauges(&metrics);
        let minisockets = metrics.count("tcptracer_time_wait_sockets", &[])
            + metrics.count("tcptracer_fin_wait2_minisockets", &[]);
        let tw = Host::read().sum("sockstat.tw");
        if tw != minisockets {
            return Err(format!("{what}: sockstat's tw is {tw}, our sum {minisockets}"));
        }
        if found == listed() {
            return Ok(());
        }
        if gauges(&agent.metrics()) != found {
            return Err(format!("{what}: some end while we look"));
        }
        let swept = sweeps(&metrics) - before;
        assert!(swept <= 2, "{what}: after {swept} sweeps ours are {found:?}, listed {:?}", listed());
        Err(format!("{what}: ours {found:?}, listed {:?}, {swept} sweeps", listed()))
    });
}

#[test]
fn a_fin_that_no_hook_shows_is_found_by_the_next_sweep() {
    let Some(_turn) = turn(&[]) else { return };
    let count = usize::try_from(share(1000)).unwrap();
    let namespaces = [Namespace::new(), Namespace::new()];
    let mut agent = Agent::start();
    let start = Moment::quiet(&mut agent);
    let mut held: Vec<_> = namespaces
        .iter()
        .zip([Family::Ipv4, Family::Ipv6])
        .map(|(namespace, family)| Held::open(namespace, family, count))
        .collect();
    for held in &mut held {
        held.clients.clear();
    }
    let total = i64::try_from(2 * count).unwrap();
    let orphaned = Moment::quiet(&mut agent);
    let change = orphaned.since(&start);
    let waiting = change.ours("tcptracer_sockets", &[("state", "fin_wait2")]);
    assert_eq!(waiting, total, "every peer is yet to close");
    agree_within_two_sweeps(&mut agent, "no FIN");

    // A third of the peers close, and then the rest.
    for held in &mut held {
        held.servers.truncate(2 * count / 3);
    }
    agree_within_two_sweeps(&mut agent, "a third");
    for held in &mut held {
        held.servers.clear();
    }
    agree_within_two_sweeps(&mut agent, "all");
    let closed = Moment::quiet(&mut agent);
    let change = closed.since(&start);
    change.assert_healthy();
    let kernel: i64 = namespaces.iter().map(|namespace| counters::of(namespace)["sockstat.tw"]).sum();
    assert_eq!(kernel, total, "minisockets by the kernel's count");
    let entered = |path| change.ours("tcptracer_time_wait_entered_total", &[("path", path)]);
    assert_eq!(entered("minisocket") + entered("fin_wait2"), total);
    assert!(entered("minisocket") > total * 9 / 10, "{} of {total} by a sweep", entered("minisocket"));

    // Nothing is left to be looked for.
    let before = sweeps(&agent.metrics());
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(sweeps(&agent.metrics()), before, "a sweep without a FIN_WAIT2 minisocket");
}

#[test]
fn orphans_of_before_the_agent_are_swept_as_well() {
    const COUNT: usize = 100;
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    let mut held = Held::open(&namespace, Family::Ipv4, COUNT);
    held.clients.clear();
    let mut agent = Agent::start();
    let start = Moment::quiet(&mut agent);
    held.servers.clear();
    agree_within_two_sweeps(&mut agent, "adopted");
    let end = Moment::quiet(&mut agent);
    let entered = end.since(&start).ours("tcptracer_time_wait_entered_total", &[("path", "minisocket")]);
    let minisockets = start.metrics.count("tcptracer_fin_wait2_minisockets", &[]);
    let full = gauges(&start.metrics)[1] - minisockets;
    assert_eq!(entered + full, i64::try_from(COUNT).unwrap());
}

#[test]
fn connections_closed_by_the_client_are_in_time_wait() {
    let Some(_turn) = turn(&[]) else { return };
    let each = share(5000);
    let namespace = Namespace::new();
    let mut agent = Agent::start();
    let start = agent.metrics();
    for family in [Family::Ipv4, Family::Ipv6] {
        Load { connections: each, lanes: 2, family, ending: Ending::Client, exchanges: 0 }.run(&namespace);
        agree(&mut agent);
        agree_within_two_sweeps(&mut agent, "closed by the client");
    }
    let entered = |metrics: &Metrics| metrics.count("tcptracer_time_wait_entered_total", &[]);
    let made = entered(&agent.metrics()) - entered(&start);
    assert!(made >= i64::try_from(2 * each).unwrap(), "{made} entered TIME_WAIT");
}
