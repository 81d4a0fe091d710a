//! Accept queues of the ports that somebody asks for.

use std::{net::TcpStream, time::Duration};

use crate::support::{
    agent::Agent,
    load::{Family, listen},
    namespace::Namespace,
    turn,
    wait::until,
};

#[test]
fn what_waits_to_be_accepted_is_counted_by_port() {
    let Some(_turn) = turn(&[]) else { return };
    let namespaces = [Namespace::new(), Namespace::new()];
    let listeners = namespaces.each_ref().map(|namespace| namespace.enter(|| listen(Family::Ipv4)));
    let [port, other] =
        listeners.each_ref().map(|listener| listener.local_addr().expect("its address").port());
    let mut agent = Agent::start_with(&["--listen-port", &format!("{port},{other}")]);
    let mut waiting = |port: u16| {
        let metrics = agent.metrics();
        ["tcptracer_listen_backlog", "tcptracer_listen_backlog_limit"]
            .map(|name| metrics.count(name, &[("port", &port.to_string())]))
    };
    until(Duration::from_secs(10), || match waiting(port) {
        [0, (1..)] => Ok(()),
        found => Err(format!("nobody waits yet: {found:?}")),
    });

    let clients: Vec<_> = namespaces[0]
        .enter(|| (0..3).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("a connection")).collect());
    until(Duration::from_secs(10), || match waiting(port) {
        [3, (3..)] => Ok(()),
        found => Err(format!("three wait: {found:?}")),
    });
    if other != port {
        assert_eq!(waiting(other)[0], 0, "at another port");
    }

    for _ in &clients {
        listeners[0].accept().expect("one that waits");
    }
    until(Duration::from_secs(10), || match waiting(port) {
        [0, (1..)] => Ok(()),
        found => Err(format!("all are accepted: {found:?}")),
    });

    // The same connections, as handshakes of both sides.
    let metrics = agent.metrics();
    for role in ["client", "server"] {
        let labels =
            [("port", port.to_string()), ("role", role.to_owned()), ("result", "established".to_owned())];
        let labels = labels.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert_eq!(metrics.count("tcptracer_handshakes_total", &labels), 3, "{role}");
    }
}
