//! After a loss: sockets that are remembered and exist no more.
//!
//! A socket whose end was lost would stay in the books for ever. A later listing of its namespace that does not show it
//! says that it has ended, not how.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use model::linux::LinuxState;
use tracer_ebpf::Hook;

use super::{Tracker, is_cookie, key, name};
use crate::{
    event::{Event, Family, Flow, SocketId, What},
    step::{HandshakeResult, Role, Step, StepKind, TimewaitEnd, Untimed},
};

/// A socket is in the kernel's tables, or out of them, this long after what its last event said, nanoseconds.
pub const SETTLED: u64 = 1_000_000_000;

/// Sockets, by what each kind is known by in events and listings alike.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Full sockets, by key.
    full: HashSet<u64>,
    /// Timewait minisockets, by cookie and by address.
    timewaits: HashSet<u64>,
    /// Half-open requests, by namespace and ends: they have a cookie only once somebody has asked for it.
    requests: HashSet<(u64, Flow)>,
}

impl Names {
    /// Takes in a listed socket.
    fn show(&mut self, event: &Event) {
        match event.what {
            What::Exists { state: LinuxState::NewSynRecv, .. } => {
                self.requests.insert((event.socket.netns, event.flow));
            }
            What::Exists { minisocket: true, .. } => self.timewait(event.socket.cookie, event.socket.address),
            _ => self.full.extend(key(&event.socket)),
        }
    }

    /// True when the listed socket is among them.
    fn have(&self, event: &Event) -> bool {
        match event.what {
            What::Exists { state: LinuxState::NewSynRecv, .. } => {
                self.requests.contains(&(event.socket.netns, event.flow))
            }
            What::Exists { minisocket: true, .. } => {
                self.has_timewait(event.socket.cookie, event.socket.address)
            }
            _ => key(&event.socket).is_some_and(|key| self.full.contains(&key)),
        }
    }

    pub(super) fn full(&mut self, key: u64) {
        self.full.insert(key);
    }

    pub(super) fn timewait(&mut self, cookie: u64, address: u64) {
        self.timewaits.extend([cookie, address].into_iter().filter(|name| *name != 0));
    }

    pub(super) fn request(&mut self, netns: u64, flow: Flow) {
        self.requests.insert((netns, flow));
    }

    fn has_timewait(&self, cookie: u64, address: u64) -> bool {
        // The memory of one that has ended may be another one: its cookie decides where it has one.
        self.timewaits.contains(if cookie == 0 { &address } else { &cookie })
    }
}

/// What a listing of some namespaces showed.
#[derive(Debug, Default)]
pub struct Listing {
    from: u64,
    namespaces: HashSet<u64>,
    shown: Names,
    /// Minisockets that were shown without an address: which of them are known is asked when all have been.
    minisockets: Vec<Event>,
}

impl Listing {
    /// Takes in one socket ([`What::Exists`]). False when the tracker is to hear of it only when the listing is complete
    /// ([`Tracker::unheard`]).
    pub fn show(&mut self, event: &Event) -> bool {
        self.shown.show(event);
        let waits = matches!(event.what, What::Exists { minisocket: true, .. }) && event.socket.address == 0;
        if waits {
            self.minisockets.push(event.clone());
        }
        !waits
    }

    /// It was begun at `from` (CLOCK_MONOTONIC nanoseconds) and shows these namespaces whole. Before this is said, no socket
    /// is missing.
    pub fn is_complete(&mut self, from: u64, namespaces: &[u64]) {
        self.from = from;
        self.namespaces.extend(namespaces);
    }

    /// True when a socket that has been as it is since `since` should be there.
    fn is_expected(&self, netns: u64, since: u64) -> bool {
        since.saturating_add(SETTLED) <= self.from && self.namespaces.contains(&netns)
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
        let shown = &listing.shown;
        let connections = self
            .connections
            .iter()
            .filter(|known| known.state != LinuxState::Close && !shown.full.contains(&known.key))
            .filter(|known| listing.is_expected(known.netns, known.since))
            .map(|known| missing(named(known.key, known.netns), known.flow()));
        let timewaits = self
            .timewaits
            .iter()
            .filter(|(name, known)| !shown.has_timewait(known.cookie, **name))
            .filter(|(_, known)| listing.is_expected(known.netns, known.since))
            .map(|(name, known)| missing(named(*name, known.netns), nowhere(known.family)));
        let requests = self
            .requests
            .iter()
            .filter(|(_, known)| !shown.requests.contains(&(known.netns, known.flow)))
            .filter(|(_, known)| listing.is_expected(known.netns, known.since))
            .map(|(name, known)| missing(named(*name, known.netns), known.flow));
        connections.chain(timewaits).chain(requests).collect()
    }

    /// The minisockets that were listed without an address, with the address that they are tracked by, for
    /// [`observe`](Self::observe).
    #[must_use]
    pub fn unheard(&self, listing: &mut Listing) -> Vec<Event> {
        let mut shown = std::mem::take(&mut listing.minisockets);
        let requests: HashMap<_, _> =
            self.requests.iter().map(|(name, known)| ((known.netns, known.flow), *name)).collect();
        let timewaits: HashMap<_, _> =
            self.timewaits.iter().map(|(name, known)| (known.cookie, *name)).collect();
        for event in &mut shown {
            let known = match event.what {
                What::Exists { state: LinuxState::NewSynRecv, .. } => {
                    requests.get(&(event.socket.netns, event.flow))
                }
                _ => timewaits.get(&event.socket.cookie),
            };
            // One that is known by its cookie stays so.
            if let Some(name) = known.filter(|name| **name != event.socket.cookie) {
                event.socket.address = *name;
            }
        }
        shown
    }

    /// A listing begins: what ends before it is complete is no news when the listing shows it.
    pub fn listing_begins(&mut self) {
        self.ended = Some(Names::default());
    }

    /// The listing is complete, and has been taken in.
    pub fn listing_ends(&mut self) {
        self.ended = None;
    }

    /// True when it has ended since the listing was begun.
    pub(super) fn has_ended(&self, event: &Event) -> bool {
        self.ended.as_ref().is_some_and(|ended| ended.have(event))
    }

    /// Cookies of the FIN_WAIT2 minisockets that only a listing has shown, by namespace: no hook has told their address.
    #[must_use]
    pub fn orphans_without_address(&self) -> HashMap<u64, HashSet<u64>> {
        let mut orphans: HashMap<u64, HashSet<u64>> = HashMap::new();
        if self.unplaced > 0 {
            let all = self.timewaits.iter().filter(|(_, known)| !known.placed && known.is_fin_wait2());
            for (cookie, known) in all {
                orphans.entry(known.netns).or_default().insert(*cookie);
            }
        }
        orphans
    }

    /// The end of this socket was lost.
    pub(super) fn is_missing(&mut self, event: &Event, each: &mut impl FnMut(Step<'_>)) {
        let name = name(&event.socket);
        if let Some(timewait) = self.timewaits.get_mut(&name) {
            timewait.whole = false;
            self.end_timewait(event, TimewaitEnd::Unknown, each);
        } else if let Some(request) = self.requests.get_mut(&name) {
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
    if is_cookie(key) {
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
