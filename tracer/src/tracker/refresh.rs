//! After a loss: sockets that are remembered and exist no more.
//!
//! A socket whose end was lost would stay in the books for ever. A later listing of its namespace that does not show it
//! says that it has ended, not how.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use model::linux::LinuxState;
use tracer_ebpf::Hook;

use super::{Tracker, key};
use crate::{
    event::{Event, Family, Flow, SocketId, What},
    step::{HandshakeResult, Role, Step, StepKind, TimewaitEnd, Untimed},
};

/// A socket is in the kernel's tables, or out of them, this long after what its last event said, nanoseconds.
pub const SETTLED: u64 = 1_000_000_000;

/// What a listing of some namespaces showed.
#[derive(Debug, Default)]
pub struct Listing {
    from: u64,
    namespaces: HashSet<u64>,
    /// Keys of full sockets, and addresses of the others.
    shown: HashSet<u64>,
}

impl Listing {
    /// Takes in one socket ([`What::Exists`]).
    pub fn show(&mut self, event: &Event) {
        let is_full = matches!(event.what, What::Exists { minisocket: false, state, .. } if state != LinuxState::NewSynRecv);
        let name = if is_full { key(&event.socket) } else { Some(event.socket.address) };
        self.shown.extend(name);
    }

    /// It was begun at `from` (CLOCK_MONOTONIC nanoseconds) and shows these namespaces whole. Before this is said, no socket
    /// is missing.
    pub fn is_complete(&mut self, from: u64, namespaces: &[u64]) {
        self.from = from;
        self.namespaces.extend(namespaces);
    }

    /// True when a socket that has been as it is since `since` should be there and is not.
    fn lacks(&self, name: u64, netns: u64, since: u64) -> bool {
        since.saturating_add(SETTLED) <= self.from
            && self.namespaces.contains(&netns)
            && !self.shown.contains(&name)
    }
}

impl Tracker {
    /// The namespaces of everything that is tracked.
    #[must_use]
    pub fn namespaces(&self) -> HashSet<u64> {
        let connections = self.connections.iter().map(|connection| connection.netns);
        let timewaits = self.timewaits.values().map(|timewait| timewait.netns);
        let requests = self.requests.values().map(|request| request.netns);
        connections.chain(timewaits).chain(requests).collect()
    }

    /// What is tracked and was not listed, one event ([`What::Missing`]) each, for [`observe`](Self::observe). Every
    /// event up to the end of the listing must have been observed. Sockets in CLOSE are in no table of the kernel's,
    /// and none is missed.
    #[must_use]
    pub fn missing(&self, listing: &Listing) -> Vec<Event> {
        let missing = |socket: SocketId, flow: Flow| Event {
            time: listing.from,
            hook: Hook::Snapshot,
            copy: 0,
            cpu: 0,
            socket,
            flow,
            task: None,
            what: What::Missing,
        };
        let connections = self
            .connections
            .iter()
            .filter(|known| known.state != LinuxState::Close)
            .filter(|known| listing.lacks(known.key, known.netns, known.since))
            .map(|known| missing(named(known.key, known.netns), known.flow()));
        let minisocket = |address: u64, netns: u64, family| {
            missing(SocketId { cookie: 0, address, netns }, nowhere(family))
        };
        let timewaits = self
            .timewaits
            .iter()
            .filter(|(address, known)| listing.lacks(**address, known.netns, known.since))
            .map(|(address, known)| minisocket(*address, known.netns, known.family));
        let requests = self
            .requests
            .iter()
            .filter(|(address, known)| listing.lacks(**address, known.netns, known.since))
            .map(|(address, known)| minisocket(*address, known.netns, known.family));
        connections.chain(timewaits).chain(requests).collect()
    }

    /// The end of this socket was lost.
    pub(super) fn is_missing(&mut self, event: &Event, each: &mut impl FnMut(Step<'_>)) {
        let address = event.socket.address;
        if let Some(timewait) = self.timewaits.get_mut(&address) {
            timewait.whole = false;
            self.end_timewait(event, TimewaitEnd::Unknown, each);
        } else if let Some(request) = self.requests.get_mut(&address) {
            request.whole = false;
            self.end_request(event, false, each);
            let duration = Err(Untimed::LostEvent);
            let kind = StepKind::Handshake { role: Role::Server, result: HandshakeResult::Other, duration };
            each(Step { event, connection: None, kind });
        } else {
            self.destroyed(event, each);
        }
    }
}

/// A key is a cookie, or an address where there is none.
const fn named(key: u64, netns: u64) -> SocketId {
    if key >> 63 == 0 {
        SocketId { cookie: key, address: 0, netns }
    } else {
        SocketId { cookie: 0, address: key, netns }
    }
}

/// Of a minisocket only the family is remembered.
fn nowhere(family: Family) -> Flow {
    let address = match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let end = SocketAddr::new(address, 0);
    Flow { family, local: end, remote: end }
}
