//! One socket as the tracker remembers it.

use std::net::{IpAddr, SocketAddr};

use model::{
    Inconclusive,
    linux::{History, LinuxState, Origin, ResetReason, TimeWaitKind, Transition},
};

use super::Story;
use crate::{
    event::{Family, Flow, Task},
    step::Untimed,
};

/// The story of one full socket, from its first transition to its end. A socket that connects again after CLOSE
/// begins a new life under the same cookie.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// The socket's cookie, or its kernel address where there is none.
    pub(super) key: u64,
    /// Cookie (or inode number) of its network namespace.
    pub netns: u64,
    /// When this life began, CLOCK_MONOTONIC nanoseconds; for an adopted socket, when it was first seen.
    pub born: u64,
    /// When `state` was entered, or when it was first seen there.
    pub(super) since: u64,
    /// When the handshake began: CLOSE > SYN_SENT, or the birth of the request. 0: not known.
    pub(super) opened: u64,
    pub(super) ends: Ends,
    /// The task that opened it, or else the first one known to have worked on it.
    ///
    /// Set at CLOSE > SYN_SENT and CLOSE > LISTEN, where the caller is the owner by definition. A child starts without
    /// one; the first task that holds its lock at a transition is its owner then. Never replaced in the same life:
    /// whoever closes may have inherited or been handed the descriptor. A killer (`ss -K`) is no owner.
    pub owner: Option<Task>,
    /// The last transitions.
    pub story: Story,
    /// SYNs sent again in this life.
    pub syn_retransmits: u32,
    /// SND.UNA and the queue's end at the last transition: they tell a doubled record from a second firing.
    pub(super) sequence: [u32; 2],
    /// The state now.
    pub state: LinuxState,
    /// The transition that led here; `None` while none of this life has been seen.
    pub previous: Option<Transition>,
    /// Who sent the first SYN; `None` when its beginning was not seen.
    pub origin: Option<Origin>,
    /// It existed before the tracker knew it.
    pub adopted: bool,
    /// Why the next transition cannot be judged. One transition seen whole ends a hole: it says where the socket is,
    /// and from then on every fact is known again.
    pub hole: Option<Inconclusive>,
    /// `tcp_reset()` ran since the previous transition.
    pub reset_received: bool,
    /// The last RST sent since the previous transition.
    pub reset_sent: Option<ResetReason>,
    /// The timewait minisocket made of it since the previous transition.
    pub timewait_created: Option<TimeWaitKind>,
    /// Which copy of the handler recorded the last transition.
    pub last_copy: u8,
    /// A half-open request led to it.
    pub(super) request_seen: bool,
    /// The handshake has begun, and its end has not been counted.
    pub(super) opening: bool,
    /// Why `opened` is not known although the request was seen.
    pub(super) untimed: Option<Untimed>,
    /// Fast Open may have made this child, or have put off this client's SYN.
    pub(super) may_be_fast_open: bool,
    /// `since` is when the state was entered.
    pub(super) entered: bool,
    /// SOCK_DEAD at the previous transition.
    pub(super) dead: bool,
}

/// Memory per tracked socket is a promise.
const _: () = assert!(size_of::<Connection>() <= 200);

/// [`Flow`] without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    local: IpAddr,
    remote: IpAddr,
    local_port: u16,
    remote_port: u16,
    family: Family,
}

impl Connection {
    /// A socket that is seen for the first time.
    pub(super) fn new(key: u64, netns: u64, flow: &Flow, state: LinuxState, time: u64) -> Self {
        Self {
            key,
            netns,
            born: time,
            since: time,
            opened: 0,
            ends: Ends::new(flow),
            owner: None,
            story: Story::EMPTY,
            syn_retransmits: 0,
            sequence: [0; 2],
            state,
            previous: None,
            origin: None,
            adopted: false,
            hole: None,
            reset_received: false,
            reset_sent: None,
            timewait_created: None,
            last_copy: 0,
            request_seen: false,
            may_be_fast_open: false,
            opening: false,
            untimed: None,
            entered: false,
            dead: false,
        }
    }

    /// The socket's cookie; its kernel address on kernels without cookies.
    #[must_use]
    pub const fn cookie(&self) -> u64 {
        self.key
    }

    /// Both ends, as far as they were ever known in this life: the kernel forgets the ports of a closed socket.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.ends.flow()
    }

    /// Family of the socket.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.ends.family
    }

    /// When [`state`](Self::state) was entered, CLOCK_MONOTONIC nanoseconds; `None` when that was not seen.
    #[must_use]
    pub fn since(&self) -> Option<u64> {
        self.entered.then_some(self.since)
    }

    /// What the judge may know, before the next transition is taken in.
    pub(super) fn history(&self) -> History {
        History {
            origin: self.origin,
            adopted: self.adopted,
            previous: self.previous,
            was_held: self.previous.is_some() && !self.dead,
            request_seen: self.request_seen,
            reset_received: self.reset_received,
            reset_sent: self.reset_sent,
            timewait_created: self.timewait_created,
            ..History::default()
        }
    }

    /// TCP_FASTOPEN_CONNECT may put off the SYN of this client.
    #[must_use]
    pub fn may_defer_its_syn(&self) -> bool {
        self.origin == Some(Origin::Active) && self.may_be_fast_open
    }

    /// Takes over what the event knows of the two ends, and keeps what it has lost.
    pub(super) fn refresh(&mut self, flow: &Flow) {
        self.ends.refresh(flow);
    }
}

impl Ends {
    fn new(flow: &Flow) -> Self {
        Self {
            local: flow.local.ip(),
            remote: flow.remote.ip(),
            local_port: flow.local.port(),
            remote_port: flow.remote.port(),
            family: flow.family,
        }
    }

    fn flow(&self) -> Flow {
        Flow {
            family: self.family,
            local: SocketAddr::new(self.local, self.local_port),
            remote: SocketAddr::new(self.remote, self.remote_port),
        }
    }

    fn refresh(&mut self, flow: &Flow) {
        if flow.local.port() != 0 {
            self.local_port = flow.local.port();
        }
        if !flow.local.ip().is_unspecified() {
            self.local = flow.local.ip();
        }
        if flow.remote.port() != 0 {
            self.remote_port = flow.remote.port();
            self.remote = flow.remote.ip();
        }
    }

    /// True when a request with this flow can have led to this child. Old kernels fill the child's remote port in
    /// only after its first transition (inet_csk_clone_lock).
    pub(super) fn fit(&self, flow: &Flow) -> bool {
        let remote = (self.remote, self.remote_port) == (flow.remote.ip(), flow.remote.port());
        self.local_port == flow.local.port() && (remote || self.remote_port == 0)
    }

    /// True when these are, or may become, the ends of the flow: a connecting socket may not have its port yet.
    pub(super) fn may_become(&self, flow: &Flow) -> bool {
        (self.remote, self.remote_port) == (flow.remote.ip(), flow.remote.port())
            && (self.local_port == 0 || self.local_port == flow.local.port())
    }

    pub(super) const fn local_port(&self) -> u16 {
        self.local_port
    }
}
