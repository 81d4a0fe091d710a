//! The tests' own tools, tried on the kernel without the agent: what proves something must first be right itself.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::support::{
    counters,
    forge::{Forger, RST, SYN},
    load::{Ending, Family, Held, Load, UNBORN},
    namespace::Namespace,
    nginx::Nginx,
    silence, turn,
    wait::until,
};

#[test]
fn a_load_makes_exactly_its_connections() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    for (family, ending, exchanges) in [
        (Family::Ipv4, Ending::Client, 0),
        (Family::Ipv6, Ending::Client, 2),
        (Family::Ipv4, Ending::Server, 0),
        (Family::Ipv6, Ending::Server, 1),
        (Family::Ipv4, Ending::Reset, 0),
    ] {
        let before = counters::of(&namespace);
        let changed = |counter| counters::of(&namespace)[counter] - before[counter];
        Load { connections: 1001, lanes: 2, family, ending, exchanges }.run(&namespace);
        let opens = ["Tcp.ActiveOpens", "Tcp.PassiveOpens", "TcpExt.ListenOverflows"].map(changed);
        assert_eq!(opens, [1001, 1001 - changed(UNBORN), 0], "{family:?} {ending:?}");
        let time_waits = if ending == Ending::Reset { 0 } else { 1001 };
        // Of connections that are closed at once the kernel itself resets a few: the FIN meets no child yet.
        let fewest = if exchanges == 0 { time_waits * 9 / 10 } else { time_waits };
        until(Duration::from_secs(5), || match changed("sockstat.tw") + changed("TcpExt.TWRecycled") {
            found if (fewest..=time_waits).contains(&found) => Ok(()),
            found => Err(format!("{family:?} {ending:?}: {found} minisockets, not {time_waits}")),
        });
    }
}

#[test]
fn held_connections_show_in_the_socket_list() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    let before = counters::sockets();
    let mut held = Held::open(&namespace, Family::Ipv6, 7);
    held.use_all();
    let after = counters::sockets();
    assert_eq!(after["established"] - before["established"], 14);
    assert_eq!(after["listen"] - before["listen"], 1);
}

#[test]
fn silence_times_out_and_absence_is_unreachable() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    silence::attach(&namespace);
    let connect = |address| {
        namespace.enter(|| TcpStream::connect(SocketAddr::V4(address)).expect_err("no answer").kind())
    };
    assert_eq!(connect(silence::ABSENT), ErrorKind::HostUnreachable);
    assert_eq!(connect(silence::SILENT), ErrorKind::TimedOut);
}

#[test]
fn a_forged_syn_makes_a_request_and_a_forged_rst_ends_it() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    silence::attach(&namespace);
    let listener = namespace.enter(|| std::net::TcpListener::bind((silence::HERE, 0)).unwrap());
    let SocketAddr::V4(here) = listener.local_addr().unwrap() else { unreachable!() };
    let forger = Forger::new(&namespace);
    let requests = || counters::sockets()["syn_recv"];
    let before = requests();
    forger.send(silence::SILENT, here, SYN, 1000);
    assert_eq!(requests() - before, 1);
    forger.send(silence::SILENT, here, RST, 1001);
    assert_eq!(requests() - before, 0);
}

#[test]
fn curl_counts_its_connections_to_nginx() {
    let Some(_turn) = turn(&["nginx", "curl"]) else { return };
    let namespace = Namespace::new();
    let nginx = Nginx::start(&namespace);
    for family in [Family::Ipv4, Family::Ipv6] {
        assert_eq!(nginx.fetch(family, "once?[1-10]"), (10, 10));
        assert_eq!(nginx.fetch(family, "kept?[1-10]"), (10, 1));
    }
}
