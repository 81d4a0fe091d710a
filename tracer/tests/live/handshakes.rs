//! Each way in which a handshake can end, made on purpose, lands in its own series and in no other.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream},
    os::fd::AsRawFd,
    thread,
    time::Duration,
};

use rustix::net::{AddressFamily, SendFlags, SocketType, bind, connect, ipproto, sendto, socket};

use crate::support::{
    agent::Agent,
    books, counters,
    forge::{ACK, Forger, RST, SYN, host_unreachable},
    load::{Family, Held},
    namespace::Namespace,
    peer::{self, Peer},
    process::run,
    seen, silence, turn,
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

    /// Asserts that the scenario adds exactly these outcomes. Returns how many half-open requests the kernel counts as
    /// ended by a segment.
    fn expect(&mut self, expected: &[(&str, &str, i64)], scenario: impl Fn(&Namespace)) -> i64 {
        let Self { namespace, agent } = self;
        let [start, end] = books::alone(agent, namespace, |_| scenario(namespace));
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
        change.kernel("TcpExt.EmbryonicRsts")
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
    // Without a socket older kernels do not announce it.
    let sent = bench.agent.metrics().count("tcptracer_resets_total", &[("direction", "sent")]);
    let told = if sent == 0 {
        "not seen by the tracepoint tcp_send_reset"
    } else {
        "seen by the tracepoint tcp_send_reset"
    };
    seen("the RST that a closed port answers with", told);
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

/// A listener that the peer can reach.
fn listener(namespace: &Namespace) -> (TcpListener, SocketAddrV4) {
    let listener = namespace.enter(|| TcpListener::bind((peer::HERE, 0)).unwrap());
    let SocketAddr::V4(here) = listener.local_addr().unwrap() else { unreachable!("an IPv4 listener") };
    (listener, here)
}

#[test]
fn a_half_open_request_ends_for_the_reason_that_the_kernel_shows() {
    let Some(_turn) = turn(&["ss"]) else { return };
    let mut bench = Bench::new();
    let peer = Peer::new(&bench.namespace);
    let (_listener, here) = listener(&bench.namespace);
    let embryonic = bench.expect(&[("server", "reset", 2)], |_| {
        peer.open(1, here, 1000).say(RST);
        // A second SYN within the window (RFC 9293, 3.10.7.4).
        let other = peer.open(2, here, 1000);
        other.say_at(SYN, 1010);
    });
    assert_eq!(embryonic, 2);
    let embryonic = bench.expect(&[("server", "unreachable", 1)], |_| {
        let undelivered = peer.open(3, here, 1000).syn_ack().packet();
        peer.send_packet(&host_unreachable(peer::THERE, &undelivered));
    });
    assert_eq!(embryonic, 0);
    bench.expect(&[("server", "aborted", 1)], |namespace| {
        peer.open(4, here, 1000);
        run(namespace.command("ss").args(["-K", "-tan", "state", "syn-recv"]));
    });
    bench.expect(&[("server", "timeout", 1)], |namespace| {
        peer.open(5, here, 1000);
        assert_eq!(namespace.enter(counters::sockets_here)["syn_recv"], 1);
        none_half_open(namespace);
    });
    bench.expect(&[("server", "aborted", 1)], |namespace| {
        let (listener, here) = listener(namespace);
        let mut outlives = peer.open(6, here, 1000);
        drop(listener);
        outlives.say(ACK);
    });
}

fn none_half_open(namespace: &Namespace) {
    until(Duration::from_secs(10), || match namespace.enter(counters::sockets_here)["syn_recv"] {
        0 => Ok(()),
        now => Err(format!("{now} half-open requests")),
    });
}

#[test]
fn the_last_ack_that_finds_no_room_is_an_overflow() {
    let Some(_turn) = turn(&[]) else { return };
    let mut bench = Bench::new();
    let peer = Peer::new(&bench.namespace);
    // Room for two in the accept queue, and for two half-open requests.
    let three = |namespace: &Namespace| {
        let (listener, here) = listener(namespace);
        rustix::net::listen(&listener, 1).unwrap();
        peer.open(1, here, 1000).say(ACK);
        let [mut accepted, mut refused] = [2, 3].map(|port| peer.open(port, here, 1000));
        accepted.say(ACK);
        refused.say(ACK);
        listener
    };
    let expected = [("server", "established", 2), ("server", "overflow", 1)];
    bench.namespace.sysctl("net/ipv4/tcp_abort_on_overflow", "1");
    let embryonic = bench.expect(&expected, |namespace| drop(three(namespace)));
    assert_eq!(embryonic, 1);

    // Put off until the time is over: one SYN,ACK more, and nobody has accepted meanwhile.
    bench.namespace.sysctl("net/ipv4/tcp_abort_on_overflow", "0");
    let embryonic = bench.expect(&expected, |namespace| {
        let _listener = three(namespace);
        none_half_open(namespace);
    });
    assert_eq!(embryonic, 0, "a timeout is none");
    // The kernel counts each ACK.
    assert!(counters::of(&bench.namespace)["TcpExt.ListenOverflows"] >= 2);
}

fn connect_from(here: SocketAddrV4, there: SocketAddrV4) -> io::Result<()> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::TCP))?;
    bind(&socket, &here)?;
    Ok(connect(&socket, &there)?)
}

/// A client whose SYN carries its text.
fn early(listener: &TcpListener) {
    let address = listener.local_addr().expect("the listener's address");
    let client = socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::TCP)).expect("a socket");
    let fast_open = SendFlags::from_bits_retain(libc::MSG_FASTOPEN.cast_unsigned());
    assert_eq!(sendto(&client, b"early", fast_open, &address).expect("a SYN with text"), 5);
    let mut server = listener.accept().expect("the child").0;
    server.read_exact(&mut [0; 5]).expect("the text");
}

fn plain(listener: &TcpListener) {
    let client = TcpStream::connect(listener.local_addr().expect("the listener's address"));
    drop((client.expect("a connection"), listener.accept().expect("its other end")));
}

#[test]
fn without_a_request_a_server_was_opened_by_fast_open_or_by_a_syn_cookie() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    let mut agent = Agent::start();
    // Every SYN is answered with a cookie; then clients and all listeners use Fast Open, and none asks for its cookie.
    for (cookies, fast_open, open, kernel, causes) in [
        ("2", "1", plain as fn(&TcpListener), "TcpExt.SyncookiesRecv", [("syncookie", 5), ("fastopen", 0)]),
        ("0", "1543", early, "TcpExt.TCPFastOpenPassive", [("syncookie", 0), ("fastopen", 5)]),
    ] {
        namespace.sysctl("net/ipv4/tcp_syncookies", cookies);
        namespace.sysctl("net/ipv4/tcp_fastopen", fast_open);
        // When it begins to listen it looks up what is for every listener.
        let listener = namespace.enter(|| TcpListener::bind(Family::Ipv4.loopback()).expect("a listener"));
        let [start, end] = books::alone(&mut agent, &namespace, |_| {
            namespace.enter(|| (0..5).for_each(|_| open(&listener)));
        });
        let change = end.since(&start);
        change.assert_healthy();
        assert_eq!(change.kernel(kernel), 5, "by the kernel's own count");
        let untimed = |cause| {
            change.ours("tcptracer_handshakes_untimed_total", &[("role", "server"), ("cause", cause)])
        };
        let why = change.changed("tcptracer_handshakes_untimed_total");
        assert_eq!(causes.map(|(cause, _)| (cause, untimed(cause))), causes, "{why:?}");
        assert_eq!(change.handshakes("server", "established"), 5);
    }
}

#[test]
fn a_client_whose_syn_brought_text_is_established_while_its_text_is_not_acknowledged() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    let mut agent = Agent::start();
    // Clients send text on their SYN without asking for a cookie, and no listener takes it.
    namespace.sysctl("net/ipv4/tcp_fastopen", "5");
    let listener = namespace.enter(|| TcpListener::bind(Family::Ipv4.loopback()).expect("a listener"));
    let [start, end] = books::alone(&mut agent, &namespace, |_| {
        namespace.enter(|| (0..5).for_each(|_| early(&listener)));
    });
    let change = end.since(&start);
    change.assert_healthy();
    assert_eq!(change.kernel("TcpExt.TCPFastOpenActiveFail"), 5, "by the kernel's own count");
    assert_eq!(change.handshakes("client", "established"), 5);
    assert_eq!(change.handshakes("server", "established"), 5);
}

/// A socket whose connect() sends a SYN only when something is written.
fn deferred(address: SocketAddr) -> TcpStream {
    let client = socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::TCP)).expect("a socket");
    let on = 1_i32;
    let size = libc::socklen_t::try_from(size_of::<i32>()).expect("a small number");
    // SAFETY: the pointer is to an int of that size.
    let set = unsafe {
        libc::setsockopt(
            client.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_FASTOPEN_CONNECT,
            (&raw const on).cast(),
            size,
        )
    };
    assert_eq!(set, 0, "TCP_FASTOPEN_CONNECT");
    connect(&client, &address).expect("a connection, or the promise of one");
    TcpStream::from(client)
}

fn refused(namespace: &Namespace) {
    let nobody = SocketAddr::new(Family::Ipv4.loopback().ip(), 1);
    namespace.enter(|| TcpStream::connect(nobody).expect_err("nobody listens"));
}

fn comparisons(agent: &mut Agent) -> i64 {
    agent.metrics().count("tcptracer_kernel_comparisons_total", &[])
}

#[test]
fn a_syn_that_waits_for_the_first_write_is_missed_by_nobody_and_timed_by_nobody() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    let mut agent = Agent::start();
    // Clients and all listeners use Fast Open, and none asks for its cookie.
    namespace.sysctl("net/ipv4/tcp_fastopen", "1543");
    let [start, end] = books::alone(&mut agent, &namespace, |agent| {
        let (listener, waiting) = namespace.enter(|| {
            let listener = TcpListener::bind(Family::Ipv4.loopback()).expect("a listener");
            let address = listener.local_addr().expect("its address");
            (listener, [(); 5].map(|()| deferred(address)))
        });
        let before = comparisons(agent);
        until(Duration::from_secs(120), || {
            // While nothing happens the agent is in no hurry to compare.
            refused(&namespace);
            if comparisons(agent) >= before + 2 { Ok(()) } else { Err("too few comparisons".to_owned()) }
        });
        for mut client in waiting {
            client.write_all(b"early").expect("the first write");
            let mut server = listener.accept().expect("its other end").0;
            server.read_exact(&mut [0; 5]).expect("the text");
        }
    });
    let change = end.since(&start);
    change.assert_healthy();
    assert_eq!(change.ours("tcptracer_kernel_differences_total", &[("counter", "active_opens")]), 0);
    let untimed = [("role", "client"), ("cause", "fastopen")];
    assert_eq!(change.ours("tcptracer_handshakes_untimed_total", &untimed), 5);
    assert_eq!(change.handshakes("client", "established"), 5);
}
