//! A SYN flood of bounded size, with and without SYN cookies: the counts are the kernel's, memory stays bounded, and real
//! connections are timed.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream},
    time::Duration,
};

use crate::support::{
    agent::Agent,
    books::Moment,
    counters::{self, Host},
    forge::{ACK, Forger, SYN, Segment},
    guest::share,
    namespace::Namespace,
    silence, turn,
    wait::until,
};

/// SYNs of one flood.
fn syns() -> u16 {
    u16::try_from(share(20_000)).expect("a port for each")
}

/// Half-open requests that the kernel keeps at most.
const BACKLOG: i32 = 128;

/// Real connections, to the listener that is flooded and to another one.
const REAL: i64 = 40;

fn resident(agent: &Agent) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).expect("the agent's status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.split_ascii_whitespace().next().and_then(|number| number.parse().ok()).expect("kilobytes")
}

fn listen(namespace: &Namespace) -> (TcpListener, SocketAddrV4) {
    let listener = namespace.enter(|| TcpListener::bind((silence::HERE, 0)).expect("a listener"));
    rustix::net::listen(&listener, BACKLOG).expect("its backlog");
    let SocketAddr::V4(address) = listener.local_addr().expect("its address") else { unreachable!() };
    (listener, address)
}

/// Connections that work, one after the other; their ends are closed by a reset.
fn connections(namespace: &Namespace, listener: &TcpListener, address: SocketAddrV4) {
    for _ in 0..REAL {
        let mut client =
            namespace.enter(|| TcpStream::connect(address).expect("a connection during a flood"));
        let mut server = listener.accept().expect("its other end").0;
        client.write_all(b"x").expect("a byte");
        server.read_exact(&mut [0]).expect("the byte");
        rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).expect("SO_LINGER");
    }
}

fn flood(cookies: bool) {
    let namespace = Namespace::new();
    silence::attach(&namespace);
    namespace.sysctl("net/ipv4/tcp_syncookies", if cookies { "1" } else { "0" });
    namespace.sysctl("net/ipv4/tcp_max_syn_backlog", "256");
    // Requests stay until the end.
    namespace.sysctl("net/ipv4/tcp_synack_retries", "5");
    let forger = Forger::new(&namespace);
    let [(flooded, target), (other, elsewhere)] = [listen(&namespace), listen(&namespace)];
    let mut agent = Agent::start();
    let memory = resident(&agent);
    let start = Moment::quiet(&mut agent);
    let syns = syns();
    for port in 1..=syns {
        forger.send(SocketAddrV4::new(*silence::SILENT.ip(), port), target, SYN, 1000);
    }
    connections(&namespace, &other, elsewhere);
    if cookies {
        connections(&namespace, &flooded, target);
        // ACKs of cookies that were never sent.
        for port in 30_001..=30_025 {
            let from = SocketAddrV4::new(*silence::SILENT.ip(), port);
            forger.forge(&Segment { from, to: target, flags: ACK, seq: 1001, ack: 77 });
        }
    }
    let end = Moment::quiet(&mut agent);
    let change = end.since(&start);
    change.assert_healthy();
    let kernel = counters::of(&namespace);
    let [sent, received, failed] =
        ["Sent", "Recv", "Failed"].map(|what| kernel[&format!("TcpExt.Syncookies{what}")]);
    println!("cookies {cookies}: sent {sent}, received {received}, failed {failed}");

    // Each SYN is a request, a cookie, or dropped.
    let begun = change.transitions("listen", "new_syn_recv");
    let dropped = kernel["TcpExt.TCPReqQFullDrop"];
    let real = if cookies { 2 * REAL } else { REAL };
    assert_eq!(begun + sent + dropped, i64::from(syns) + real, "{begun} requests, {dropped} dropped");
    assert!(begun < 1000, "{begun} requests");
    assert_eq!(sent > 0, cookies);
    let half_open = change.ours("tcptracer_sockets", &[("state", "new_syn_recv")]);
    let listed = namespace.enter(counters::sockets_here)["syn_recv"];
    assert_eq!(half_open, i64::try_from(listed).unwrap());

    assert_eq!(change.handshakes("server", "established"), real);
    let untimed =
        |cause| change.ours("tcptracer_handshakes_untimed_total", &[("role", "server"), ("cause", cause)]);
    assert_eq!(untimed("syncookie"), received);
    assert_eq!(received, if cookies { REAL } else { 0 });
    let timed = change.ours("tcptracer_handshake_duration_seconds_count", &[("role", "server")]);
    let why = change.changed("tcptracer_handshakes_untimed_total");
    assert_eq!(timed, REAL, "real connections are timed; not: {why:?}");
    until(Duration::from_secs(90), || {
        // While nothing happens the agent is in no hurry to compare.
        drop(TcpStream::connect(agent.address));
        let metrics = agent.metrics();
        let told = metrics.count("tcptracer_handshakes_total", &[("result", "cookie_failed")])
            - start.metrics.count("tcptracer_handshakes_total", &[("result", "cookie_failed")]);
        let counted =
            Host::read().sum("TcpExt.SyncookiesFailed") - start.kernel.sum("TcpExt.SyncookiesFailed");
        let here = counters::of(&namespace)["TcpExt.SyncookiesFailed"];
        if told == counted {
            Ok(())
        } else {
            Err(format!("{told} failed cookies, {counted} by the kernel; {here} here, where {failed} were"))
        }
    });
    assert_eq!(failed, if cookies { 25 } else { 0 });

    let grown = resident(&agent).saturating_sub(memory);
    println!("the agent has grown by {grown} kB");
    assert!(grown < 16_384, "the agent has grown by {grown} kB");
    let tracked = end.metrics.count("tcptracer_tracked_sockets", &[]);
    assert!(tracked < 2000, "{tracked} sockets are tracked");
    drop((flooded, other));
}

#[test]
fn a_flood_is_met_with_cookies() {
    let Some(_turn) = turn(&[]) else { return };
    flood(true);
}

#[test]
fn a_flood_is_met_without_cookies() {
    let Some(_turn) = turn(&[]) else { return };
    flood(false);
}
