//! Sockets that are older than the agent, in several namespaces and in every state.

use std::{
    fs::File,
    net::{Shutdown, SocketAddr, SocketAddrV4, TcpListener},
    os::fd::AsFd,
    sync::mpsc::channel,
    thread,
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use tracer::kernel::netns;

use crate::support::{
    agent::Agent,
    books::{self, Moment},
    counters,
    forge::{Forger, SYN},
    load::{Ending, Family, Held, Load},
    namespace::Namespace,
    silence, turn,
    wait::until,
};

#[test]
fn sockets_of_every_namespace_are_counted_by_state() {
    let Some(_turn) = turn(&[]) else { return };
    let namespaces = [Namespace::new(), Namespace::new(), Namespace::new()];
    let _v4 = Held::open(&namespaces[0], Family::Ipv4, 10);
    let v6 = Held::open(&namespaces[1], Family::Ipv6, 5);
    // FIN_WAIT2 at the client, CLOSE_WAIT at the server.
    for client in &v6.clients[..2] {
        client.shutdown(Shutdown::Write).unwrap();
    }
    // TIME_WAIT, and FIN_WAIT2 in minisockets.
    Load { connections: 20, lanes: 1, family: Family::Ipv4, ending: Ending::Client, exchanges: 1 }
        .run(&namespaces[1]);
    let mut orphaned = Held::open(&namespaces[0], Family::Ipv6, 4);
    orphaned.clients.clear();
    // A half-open request, and a SYN without an answer.
    silence::attach(&namespaces[2]);
    namespaces[2].sysctl("net/ipv4/tcp_syn_retries", "6");
    namespaces[2].sysctl("net/ipv4/tcp_synack_retries", "5");
    let listener = namespaces[2].enter(|| TcpListener::bind((silence::HERE, 0)).unwrap());
    let SocketAddr::V4(here) = listener.local_addr().unwrap() else { unreachable!("an IPv4 listener") };
    Forger::new(&namespaces[2]).send(SocketAddrV4::new(*silence::SILENT.ip(), 9), here, SYN, 1);
    let _unanswered = namespaces[2].enter(|| {
        let flags = SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, Some(ipproto::TCP))
            .expect("a socket");
        assert_eq!(connect(&socket, &silence::SILENT), Err(Errno::INPROGRESS));
        socket
    });

    let mut agent = Agent::start();
    let listed = counters::sockets();
    for (state, least) in [
        ("established", 26),
        ("close_wait", 6),
        ("listen", 4),
        ("time_wait", 20),
        ("fin_wait2", 6),
        ("syn_sent", 1),
        ("syn_recv", 1),
    ] {
        assert!(listed[state] >= least, "the kernel lists {} in {state}", listed[state]);
    }
    until(Duration::from_secs(5), || books::agree_by_state(&mut agent));
    let minisockets = agent.metrics().count("tcptracer_fin_wait2_minisockets", &[]);
    assert!(minisockets >= 4, "{minisockets} FIN_WAIT2 minisockets");
}

#[test]
fn a_namespace_that_only_a_descriptor_or_a_thread_holds_is_found() {
    let Some(_turn) = turn(&[]) else { return };
    let by_descriptor = Namespace::new();
    by_descriptor.lose_its_name();
    let by_thread = Namespace::new();
    let inodes = [by_descriptor.inode(), by_thread.inode()];
    let (inside, goes_in) = channel();
    let (stays, may_leave) = channel::<()>();
    thread::scope(|scope| {
        // Dropped when the test has failed, too.
        let _stays = stays;
        let handle = File::open(format!("/run/netns/{}", by_thread.name())).expect("its file");
        scope.spawn(move || {
            move_into_link_name_space(handle.as_fd(), Some(LinkNameSpaceType::Network)).expect("setns");
            drop(handle);
            inside.send(()).expect("the test waits");
            let _ = may_leave.recv();
        });
        goes_in.recv().expect("a thread inside");
        drop(by_thread);
        let all = netns::all();
        assert!(!inodes.iter().any(|inode| all.contains_key(inode)), "no process lives there");
        let everywhere = netns::everywhere();
        assert!(inodes.iter().all(|inode| everywhere.contains_key(inode)), "{everywhere:?}");
    });
}

#[test]
fn the_first_verdict_on_an_adopted_socket_is_inconclusive_and_the_next_ones_are_not() {
    const COUNT: u16 = 10;
    let Some(_turn) = turn(&[]) else { return };
    let namespaces = [Namespace::new(), Namespace::new()];
    let held =
        namespaces.each_ref().map(|namespace| Held::open(namespace, Family::Ipv4, usize::from(COUNT / 2)));
    let mut agent = Agent::start();

    let start = Moment::quiet(&mut agent);
    let inconclusive = start.metrics.count("tcptracer_conformance_inconclusive_total", &[]);
    assert_eq!(inconclusive, 0, "adopting alone is no transition");
    for held in held {
        let Held { listener, clients, servers } = held;
        drop(clients);
        // The FINs are with the servers before these close.
        thread::sleep(Duration::from_millis(50));
        drop(servers);
        drop(listener);
    }
    let end = Moment::quiet(&mut agent);
    let change = end.since(&start);

    assert_eq!(change.verdicts("violation"), 0);
    // Both ends of each connection, and the listeners' only transition.
    let count = i64::from(COUNT);
    let first = 2 * count + 2;
    assert_eq!(
        change.verdicts("inconclusive"),
        first,
        "{:?}",
        change.changed("tcptracer_conformance_inconclusive_total")
    );
    assert_eq!(change.ours("tcptracer_conformance_inconclusive_total", &[("cause", "adopted")]), first);
    // FIN_WAIT1 > FIN_WAIT2 > CLOSE at the client, CLOSE_WAIT > LAST_ACK > CLOSE at the server.
    assert_eq!(change.verdicts("conforming") + change.verdicts("deviation"), 4 * count);
}
