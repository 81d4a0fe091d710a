//! TIME_WAIT that ends before its time: each way has its cause, and the kernel's counters agree.

use std::{
    io::Read,
    net::{Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream},
    thread::sleep,
    time::Duration,
};

use crate::support::{
    agent::Agent,
    books::{self, Difference, Moment},
    counters,
    forge::{ACK, RST, SYN},
    load::{Ending, Family, Held, Load},
    namespace::Namespace,
    peer::{Conversation, HERE, Peer},
    process::run,
    seen, turn,
    wait::until,
};

/// Ends of TIME_WAIT by every cause but the usual one.
fn early_ends(change: &Difference<'_>) -> Vec<(&'static str, i64)> {
    ["reused", "reset", "destroyed", "purged", "unknown"]
        .into_iter()
        .map(|cause| (cause, change.ours("tcptracer_time_wait_ended_total", &[("cause", cause)])))
        .filter(|(_, count)| *count != 0)
        .collect()
}

/// Runs a scenario, again where others disturb it, and asserts which early ends it adds.
fn expect(agent: &mut Agent, namespace: &Namespace, expected: &[(&str, i64)], mut scenario: impl FnMut()) {
    let [start, end] = books::alone(agent, namespace, |_| scenario());
    let change = end.since(&start);
    change.assert_healthy();
    assert_eq!(early_ends(&change), expected);
}

/// A server in TIME_WAIT whose client is the peer.
fn in_time_wait<'a>(peer: &'a Peer, listener: &TcpListener, port: u16) -> Conversation<'a> {
    let SocketAddr::V4(here) = listener.local_addr().unwrap() else { unreachable!("an IPv4 listener") };
    let mut conversation = peer.open(port, here, 10_000);
    conversation.say(ACK);
    drop(listener.accept().expect("the peer's connection"));
    conversation.close_second();
    conversation
}

#[test]
fn a_reset_assassinates_time_wait_unless_rfc_1337_is_on() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    let peer = Peer::new(&namespace);
    let listener = namespace.enter(|| TcpListener::bind((HERE, 0)).unwrap());
    let mut agent = Agent::start();
    let mut ports = 1..;
    expect(&mut agent, &namespace, &[("reset", 3)], || {
        for port in ports.by_ref().take(3) {
            in_time_wait(&peer, &listener, port).say(RST);
        }
    });
    assert_eq!(counters::of(&namespace)["sockstat.tw"], 0);

    namespace.sysctl("net/ipv4/tcp_rfc1337", "1");
    let last = ports.clone().next().unwrap();
    expect(&mut agent, &namespace, &[], || {
        for port in ports.by_ref().take(3) {
            in_time_wait(&peer, &listener, port).say(RST);
        }
    });
    let protected = i64::from(ports.next().unwrap() - last);
    assert_eq!(counters::of(&namespace)["sockstat.tw"], protected, "RFC 1337 protects them");
}

#[test]
fn a_new_syn_takes_the_place_and_a_local_connect_does() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    let peer = Peer::new(&namespace);
    let listener = namespace.enter(|| TcpListener::bind((HERE, 0)).unwrap());
    let mut agent = Agent::start();
    // RFC 9293, 3.10.7.4 (MAY-2): a SYN beyond the old sequence numbers.
    let mut ports = 1..;
    expect(&mut agent, &namespace, &[("reused", 1)], || {
        let old = in_time_wait(&peer, &listener, ports.next().unwrap());
        old.say_at(SYN, old.seq + 100_000);
        peer.receive_with(SYN | ACK);
        old.say_at(RST, old.seq + 100_001);
    });

    namespace.sysctl("net/ipv4/tcp_tw_reuse", "1");
    let held = Held::open(&namespace, Family::Ipv4, 0);
    let address = held.listener.local_addr().unwrap();
    // One port for all.
    namespace.sysctl("net/ipv4/ip_local_port_range", "40000 40000");
    let connect = || {
        drop(namespace.enter(|| TcpStream::connect(address).expect("the only port")));
        let (mut server, _) = held.listener.accept().expect("the other end");
        assert_eq!(server.read(&mut [0]).expect("the client's FIN"), 0);
    };
    let recycled = || counters::of(&namespace)["TcpExt.TWRecycled"];
    let connect_again = || {
        // tcp_tw_reuse_delay.
        sleep(Duration::from_millis(1200));
        connect();
    };
    connect();
    connect_again();
    let before = recycled();
    assert_eq!(before, 1, "by the kernel's own count");
    expect(&mut agent, &namespace, &[("reused", 2)], || (0..2).for_each(|_| connect_again()));
    assert!(recycled() - before >= 2);
}

#[test]
fn ss_and_the_end_of_a_namespace_destroy_time_wait() {
    let Some(_turn) = turn(&["ss"]) else { return };
    let mut agent = Agent::start();
    let load = Load { connections: 20, lanes: 1, family: Family::Ipv4, ending: Ending::Server, exchanges: 1 };
    let namespace = Namespace::new();
    let fill = |agent: &mut Agent| {
        load.run(&namespace);
        every_fin_is_noticed(agent);
    };
    let [start, end] = books::alone(&mut agent, &namespace, |agent| {
        fill(agent);
        run(namespace.command("ss").args(["-K", "-tan", "state", "time-wait"]));
    });
    let change = end.since(&start);
    change.assert_healthy();
    // Older kernels have no tcp_abort() of a minisocket (EOPNOTSUPP), and ss says nothing of it.
    let destroys = counters::of(&namespace)["sockstat.tw"] == 0;
    seen("`ss -K` destroys sockets in TIME_WAIT", if destroys { "yes" } else { "no" });
    let expected: &[_] = if destroys { &[("destroyed", 20)] } else { &[] };
    assert_eq!(early_ends(&change), expected);
    agree_on_time_wait(&mut agent);

    fill(&mut agent);
    let start = Moment::quiet(&mut agent);
    let left = counters::of(&namespace)["sockstat.tw"];
    drop(namespace);
    until(Duration::from_secs(10), || {
        // Of a namespace that is gone there is nothing to compare.
        let end = Moment { metrics: agent.metrics(), ..start.clone() };
        let change = end.since(&start);
        match early_ends(&change) {
            ends if ends == [("purged", left)] => Ok(()),
            ends => Err(format!(
                "{left} were in TIME_WAIT; {ends:?} of {:?}",
                change.changed("tcptracer_time_wait_ended_total")
            )),
        }
    });
}

/// Waits until a sweep has seen every FIN. One that comes within the tick of its minisocket's birth moves no timer, and until
/// then the agent takes the next stop of that timer for the one by the FIN, and does not look in whose name it is.
fn every_fin_is_noticed(agent: &mut Agent) {
    until(Duration::from_secs(10), || match agent.metrics().count("tcptracer_fin_wait2_minisockets", &[]) {
        0 => Ok(()),
        left => Err(format!("{left} minisockets in FIN_WAIT2")),
    });
}

/// Waits until we have as many in TIME_WAIT as the kernel.
fn agree_on_time_wait(agent: &mut Agent) {
    until(Duration::from_secs(10), || {
        let listed = counters::sockets()["time_wait"];
        match agent.metrics().count("tcptracer_time_wait_sockets", &[]) {
            ours if i64::try_from(listed) == Ok(ours) => Ok(()),
            ours => Err(format!("{listed} sockets listed in TIME_WAIT, ours {ours}")),
        }
    });
}

#[test]
fn time_wait_that_finds_no_room_is_counted_as_the_kernel_counts_it() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    namespace.sysctl("net/ipv4/tcp_max_tw_buckets", "0");
    let mut agent = Agent::start();
    let start = Moment::quiet(&mut agent);
    for family in [Family::Ipv4, Family::Ipv6] {
        for ending in [Ending::Client, Ending::Server] {
            Load { connections: 200, lanes: 1, family, ending, exchanges: 1 }.run(&namespace);
        }
        // Sockets that still have a user when TIME_WAIT is due.
        let held = Held::open(&namespace, family, 50);
        held.clients.iter().for_each(|client| client.shutdown(Shutdown::Write).unwrap());
        // Where both close before the FIN has arrived, both ends go to TIME_WAIT.
        until(Duration::from_secs(5), || match namespace.enter(counters::sockets_here)["fin_wait2"] {
            50 => Ok(()),
            found => Err(format!("{found} in FIN_WAIT2")),
        });
        drop(held);
    }
    let end = Moment::quiet(&mut agent);
    let change = end.since(&start);
    change.assert_healthy();
    let overflows = counters::of(&namespace)["TcpExt.TCPTimeWaitOverflow"];
    assert_eq!(overflows, 2 * (200 + 200 + 50), "the kernel's count");
    let skipped = change.ours("tcptracer_time_wait_skipped_total", &[("cause", "overflow")]);
    assert_eq!(skipped, overflows);
    assert_eq!(change.ours("tcptracer_time_wait_entered_total", &[]), 0);
}

#[test]
fn data_for_an_orphan_is_told_from_a_minisocket_that_found_no_room() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    let peer = Peer::new(&namespace);
    let listener = namespace.enter(|| TcpListener::bind((HERE, 0)).unwrap());
    let SocketAddr::V4(here) = listener.local_addr().unwrap() else { unreachable!("an IPv4 listener") };
    let mut agent = Agent::start();
    let start = Moment::quiet(&mut agent);
    let orphan = |port: u16| {
        let mut conversation = peer.open(port, SocketAddrV4::new(HERE, here.port()), 10_000);
        conversation.say(ACK);
        drop(listener.accept().expect("the peer's connection"));
        conversation.ack = peer.receive_with(crate::support::forge::FIN).seq + 1;
        conversation
    };
    // The ACK of the FIN comes with a FIN that is out of order: bytes that nobody will read lie before it.
    let late = orphan(1);
    late.say_at(crate::support::forge::FIN | ACK, late.seq + 10);
    let end = Moment::quiet(&mut agent);
    let change = end.since(&start);
    change.assert_healthy();
    assert_eq!(change.ours("tcptracer_time_wait_skipped_total", &[]), 0);

    namespace.sysctl("net/ipv4/tcp_max_tw_buckets", "0");
    orphan(2).say(ACK);
    let last = Moment::quiet(&mut agent);
    let change = last.since(&end);
    change.assert_healthy();
    assert_eq!(counters::of(&namespace)["TcpExt.TCPTimeWaitOverflow"], 1);
    let told =
        ["tcptracer_transitions_total", "tcptracer_resets_total", "tcptracer_conformance_deviations_total"];
    let told: Vec<_> = told.iter().map(|metric| change.changed(metric)).collect();
    assert_eq!(change.ours("tcptracer_time_wait_skipped_total", &[]), 1, "{told:?}");
}
