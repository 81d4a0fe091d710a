//! A network on which nobody answers.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::namespace::Namespace;

/// Our own address on it.
pub const HERE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// Segments to this address vanish without a word.
pub const SILENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 18, 0, 2), 7);
/// Nobody has this address, and the neighbour protocol finds that out.
pub const ABSENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 18, 0, 3), 7);

/// Connects the namespace to it: a veth pair with both ends inside, so that no program outside is involved.
pub fn attach(namespace: &Namespace) {
    namespace.ip(&["link", "add", "silent0", "type", "veth", "peer", "name", "silent1"]);
    namespace.ip(&["link", "set", "silent0", "up"]);
    namespace.ip(&["link", "set", "silent1", "up"]);
    namespace.ip(&["address", "add", &format!("{HERE}/24"), "dev", "silent0"]);
    // The other end drops frames for a foreign station.
    let silent = SILENT.ip().to_string();
    namespace.ip(&[
        "neigh",
        "add",
        &silent,
        "lladdr",
        "02:00:00:00:00:99",
        "nud",
        "permanent",
        "dev",
        "silent0",
    ]);
    // Three requests, 0.1 s apart, before the address counts as unreachable.
    namespace.sysctl("net/ipv4/neigh/silent0/retrans_time_ms", "100");
    // One SYN and one retransmission, then ETIMEDOUT: three seconds at the most.
    namespace.sysctl("net/ipv4/tcp_syn_retries", "1");
    namespace.sysctl("net/ipv4/tcp_synack_retries", "1");
}
