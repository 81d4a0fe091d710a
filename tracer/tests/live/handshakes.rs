//! Each way in which a handshake can end, made on purpose, lands in its own series and in no other.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use rustix::net::{AddressFamily, SocketType, bind, connect, ipproto, socket};

use crate::support::{
    agent::Agent,
    books, counters,
    forge::{Forger, RST, SYN},
    load::{Family, Held},
    namespace::Namespace,
    silence, turn,
    wait::until,
};

/// An agent, a namespace with a silent network, and the outcomes that a scenario adds.
struct Bench {
    namespace: Namespace,
    agent: Agent,
}

impl Bench {
    fn new() -> Self {
        let namespace = Namespace::new();
        silence::attach(&namespace);
        Self { namespace, agent: Agent::start() }
    }

    /// Asserts that the scenario adds exactly these outcomes.
    fn expect(&mut self, expected: &[(&str, &str, i64)], scenario: impl Fn(&Namespace)) {
        let Self { namespace, agent } = self;
        let [start, end] = books::alone(agent, namespace, || scenario(namespace));
        let change = end.since(&start);
        change.assert_healthy();
        for (role, result, count) in expected {
            let outcomes = change.changed("tcptracer_handshakes_total");
            assert_eq!(
                change.handshakes(role, result),
                *count,
                "{role} {result}; all that changed: {outcomes:?}"
            );
        }
        let all: i64 = change.ours("tcptracer_handshakes_total", &[]);
        let outcomes = change.changed("tcptracer_handshakes_total");
        assert_eq!(all, expected.iter().map(|(_, _, count)| count).sum::<i64>(), "{outcomes:?}");
    }
}

fn connect_fails(namespace: &Namespace, address: impl Into<SocketAddr> + Send) -> ErrorKind {
    let address = address.into();
    namespace.enter(|| TcpStream::connect(address).expect_err("a connection that must fail").kind())
}

#[test]
fn established() {
    let Some(_turn) = turn(&[]) else { return };
    let mut bench = Bench::new();
    bench.expect(&[("client", "established", 6), ("server", "established", 6)], |namespace| {
        Held::open(namespace, Family::Ipv4, 3);
        Held::open(namespace, Family::Ipv6, 3);
    });
}

#[test]
fn refused_by_a_closed_port() {
    let Some(_turn) = turn(&[]) else { return };
    let mut bench = Bench::new();
    bench.expect(&[("client", "refused", 2)], |namespace| {
        for family in [Family::Ipv4, Family::Ipv6] {
            // A port that had a listener a moment ago.
            let address =
                namespace.enter(|| TcpListener::bind(family.loopback()).unwrap().local_addr().unwrap());
            assert_eq!(connect_fails(namespace, address), ErrorKind::ConnectionRefused);
        }
    });
}

#[test]
fn timed_out_in_silence() {
    let Some(_turn) = turn(&[]) else { return };
    let mut bench = Bench::new();
    bench.expect(&[("client", "timeout", 1)], |namespace| {
        assert_eq!(connect_fails(namespace, silence::SILENT), ErrorKind::TimedOut);
    });
}

#[test]
fn unreachable_without_a_neighbour() {
    let Some(_turn) = turn(&[]) else { return };
    let mut bench = Bench::new();
    bench.expect(&[("client", "unreachable", 1)], |namespace| {
        assert_eq!(connect_fails(namespace, silence::ABSENT), ErrorKind::HostUnreachable);
    });
}

#[test]
fn aborted_by_the_caller() {
    let Some(_turn) = turn(&[]) else { return };
    let mut bench = Bench::new();
    bench.expect(&[("client", "aborted", 1)], |namespace| {
        let error = namespace
            .enter(|| TcpStream::connect_timeout(&silence::SILENT.into(), Duration::from_millis(100)))
            .expect_err("a connection to nobody");
        assert_eq!(error.kind(), ErrorKind::TimedOut, "the caller's own limit");
    });
}

#[test]
fn reset_while_the_client_is_in_syn_received() {
    let Some(_turn) = turn(&[]) else { return };
    let mut bench = Bench::new();
    bench.expect(&[("client", "reset", 1)], |namespace| {
        let here = SocketAddrV4::new(silence::HERE, 4000);
        let forger = Forger::new(namespace);
        thread::scope(|scope| {
            let client = scope.spawn(|| namespace.enter(|| connect_from(here, silence::SILENT)));
            until(Duration::from_secs(2), || match counters::sockets()["syn_sent"] {
                0 => Err("no SYN yet".to_owned()),
                _ => Ok(()),
            });
            // Simultaneous open (RFC 9293 figure 7), and then the peer gives up.
            forger.send(silence::SILENT, here, SYN, 5000);
            forger.send(silence::SILENT, here, RST, 5001);
            let error = client.join().unwrap().expect_err("a reset");
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        });
    });
}

#[test]
fn a_half_open_request_ends_by_timeout_or_for_a_reason_that_no_tracepoint_tells() {
    let Some(_turn) = turn(&[]) else { return };
    let mut bench = Bench::new();
    let listener = bench.namespace.enter(|| TcpListener::bind((silence::HERE, 0)).unwrap());
    let SocketAddr::V4(here) = listener.local_addr().unwrap() else { unreachable!("an IPv4 listener") };
    let forger = Forger::new(&bench.namespace);

    // An RST for a request shows only as its timer's end (tcp_check_req fires no tracepoint).
    bench.expect(&[("server", "other", 1)], |_| {
        forger.send(silence::SILENT, here, SYN, 1000);
        forger.send(silence::SILENT, here, RST, 1001);
    });
    bench.expect(&[("server", "timeout", 1)], |_| {
        let before = counters::sockets()["syn_recv"];
        forger.send(silence::SILENT, here, SYN, 1_000_000);
        assert_eq!(counters::sockets()["syn_recv"], before + 1);
        until(Duration::from_secs(10), || match counters::sockets()["syn_recv"] {
            now if now == before => Ok(()),
            now => Err(format!("{now} half-open requests")),
        });
    });
}

fn connect_from(here: SocketAddrV4, there: SocketAddrV4) -> io::Result<()> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::TCP))?;
    bind(&socket, &here)?;
    Ok(connect(&socket, &there)?)
}
