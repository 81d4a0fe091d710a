//! Events to steps: one story per connection, kept by socket cookie.
//!
//! Pure: no I/O and no clock; time comes with the events, and with [`Tracker::flush`]. What was lost, doubled or never
//! seen makes a hole in a story, and a hole has a cause; it never becomes a wrong step.

mod adopt;
mod books;
mod connection;
mod cpu;
mod gone;
mod handshake;
mod held;
mod hooks;
mod refresh;
mod request;
mod story;
mod table;
mod timewait;
mod transition;

use hashbrown::HashMap;
use model::linux::TimeWaitKind;
use tracer_ebpf::Hook;

pub use self::{
    books::{Books, Level, Levels},
    connection::Connection,
    hooks::Hooks,
    refresh::{Listing, SETTLED},
    story::{Moment, Story},
};
use self::{
    cpu::{Answered, Cpus},
    gone::Gone,
    hooks::Sight,
    refresh::Names,
    request::Request,
    table::Table,
    timewait::Timewait,
};
use crate::{
    event::{Event, Flow, SocketId, TimerAction, What},
    step::{HandshakeResult, Step, StepKind, Untimed},
};

/// An expiry follows its cancel within microseconds on the same CPU. A cancel that is older than this, in nanoseconds,
/// is the end.
const PENDING: u64 = 10_000_000;

/// The tracker's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sockets that are tracked at most, minisockets included.
    pub sockets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sockets: 1 << 20 }
    }
}

/// Every socket's story.
///
/// Feed it the listing of what exists ([`adopt`](Self::adopt)), then every event in the order of the ring
/// ([`observe`](Self::observe)); between batches tell it the time ([`flush`](Self::flush)) and what was lost
/// ([`lost`](Self::lost)). [`books`](Self::books) hold at any moment.
#[derive(Debug)]
pub struct Tracker {
    limits: Limits,
    sight: Sight,
    connections: Table,
    timewaits: HashMap<u64, Timewait>,
    requests: HashMap<u64, Request>,
    /// Minisockets that a listing has shown by their cookie, and no event by their address.
    unplaced: usize,
    /// The cookies of those by namespace and ends, until what happened before they were listed has been told: nobody had
    /// asked for their cookies then, and those events have none.
    overtaken: HashMap<(u64, Flow), u64>,
    /// Timewait minisockets of sockets without a cookie, by namespace and ends, until their socket shows CLOSE.
    nameless: HashMap<(u64, Flow), TimeWaitKind>,
    /// The first listing was complete then.
    listed: u64,
    /// What has ended since a listing was begun that is not complete yet.
    ended: Option<Names>,
    cpus: Cpus,
    gone: Gone,
    books: Books,
    /// Time of the last event.
    latest: u64,
    /// No event has come since the last flush: the ring is empty.
    quiet: bool,
}

impl Tracker {
    /// A tracker that knows nothing yet. `visible`: the hooks that deliver.
    #[must_use]
    pub fn new(limits: Limits, visible: Hooks) -> Self {
        Self {
            limits,
            sight: Sight::new(visible),
            connections: Table::default(),
            timewaits: HashMap::new(),
            requests: HashMap::new(),
            unplaced: 0,
            overtaken: HashMap::new(),
            nameless: HashMap::new(),
            listed: 0,
            ended: None,
            cpus: Cpus::default(),
            gone: Gone::default(),
            books: Books::default(),
            latest: 0,
            quiet: false,
        }
    }

    /// Takes in one event; each step that follows from it is handed to `each`, in order.
    pub fn observe(&mut self, event: &Event, each: &mut impl FnMut(Step<'_>)) {
        // None of these comes in the order of the hooks.
        match event.what {
            What::Exists { .. } => return self.exists(event, each),
            What::Swept => return self.swept(event, each),
            What::Missing => return self.is_missing(event, each),
            _ => {}
        }
        self.latest = event.time;
        self.quiet = false;
        let number = Cpus::number(event);
        let cpu = self.cpus.get(number);
        if cpu.repeats(event) || self.gone.repeats(event) {
            let connection = self.known(&event.socket);
            each(Step { event, connection, kind: StepKind::Duplicate });
            return;
        }
        if !matches!(event.what, What::Request { .. }) {
            cpu.answered = None;
        }
        if let Some(held) = cpu.held.take_if(|held| !held.goes_on(event)) {
            self.release(held, Some(event), each);
        }
        if self.cpus.get(number).pending.is_some() {
            self.resolve(number, Some(event), each);
        }
        match event.what {
            What::Transition { transition, evidence, srtt: _ } => {
                self.transition(event, number, transition, &evidence, each);
            }
            What::Destroyed { .. } => self.destroyed(event, each),
            What::ResetReceived { .. } => self.reset(event, false, each),
            What::ResetSent { answers_syn, .. } => {
                self.cpus.get(number).answered = Some(Answered::new(event, answers_syn));
                self.reset(event, true, each);
            }
            What::SynRetransmitted => self.syn_retransmitted(event, each),
            What::SynAckRetransmitted { .. } => {
                each(Step { event, connection: None, kind: StepKind::SynAckRetransmit });
            }
            What::Timewait { action, substate, .. } => {
                self.place_timewait(event, each);
                self.timewait(event, number, action, substate, each);
            }
            What::Request { action, synack_time, .. } => {
                self.place_request(event, each);
                self.request(event, number, action, synack_time, each);
            }
            What::Exists { .. } | What::Swept | What::Missing => {}
        }
    }

    /// Ends what waits for a next event that does not come; call it after each batch, an empty one included. `now`:
    /// CLOCK_MONOTONIC nanoseconds. It only counts when no event came since the last call, for then the ring is
    /// empty; while events come, they are the clock, so that a late reader draws no early conclusions.
    pub fn flush(&mut self, now: u64, each: &mut impl FnMut(Step<'_>)) {
        let now = if std::mem::replace(&mut self.quiet, true) { now } else { self.latest };
        if now > self.listed && !self.overtaken.is_empty() {
            self.overtaken = HashMap::new();
        }
        for number in self.cpus.numbers() {
            let is_over = |time: u64| time.saturating_add(PENDING) <= now;
            let slot = self.cpus.get(number);
            if let Some(held) = slot.held.take_if(|held| is_over(held.time())) {
                self.release(held, None, each);
            }
            let pending = &self.cpus.get(number).pending;
            if pending.as_ref().is_some_and(|event| is_over(event.time)) {
                self.resolve(number, None, each);
            }
        }
    }

    /// Records of a hook were lost before `until` (CLOCK_MONOTONIC nanoseconds, when the loss was noticed). Until a
    /// socket's next transition after that, no conclusion is drawn from what this hook did not show.
    pub fn lost(&mut self, hook: Hook, until: u64) {
        self.sight.lost(hook, until);
    }

    /// Sockets now, by state and family.
    #[must_use]
    pub const fn books(&self) -> &Books {
        &self.books
    }

    /// Starts the extremes in the books over: see [`Books::begin_window`].
    pub fn begin_window(&mut self) {
        self.books.begin_window();
    }

    /// Sockets that are tracked, minisockets included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.connections.len() + self.timewaits.len() + self.requests.len()
    }

    /// True when nothing is tracked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most sockets that are tracked.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limits.sockets
    }

    /// Every full socket, in no order: for a person who asks, not for a scrape.
    pub fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.connections.iter()
    }

    fn known(&self, socket: &SocketId) -> Option<&Connection> {
        self.connections.find(key(socket)?).and_then(|id| self.connections.get(id))
    }

    /// True when one more socket may be tracked. Sockets in CLOSE make room for others.
    fn has_room(&mut self) -> bool {
        while self.len() >= self.limits.sockets {
            let Some(stale) = self.connections.stale(true) else { return false };
            self.forget(stale);
        }
        true
    }

    fn forget(&mut self, id: u32) {
        if let Some(gone) = self.connections.remove(id) {
            if let Some(ended) = &mut self.ended {
                ended.full(gone.key);
            }
            self.books.leave(gone.state, gone.family(), gone.netns);
        }
    }

    /// A minisocket's timer starts on this CPU at an address that is known: unless it was stopped here, where a timer that
    /// starts over is stopped, the one before has ended on another CPU, and nothing has come after it there yet.
    fn resolve_elsewhere(&mut self, event: &Event, cpu: usize, each: &mut impl FnMut(Step<'_>)) {
        let address = event.socket.address;
        for number in self.cpus.numbers().filter(|number| *number != cpu) {
            let pending = &self.cpus.get(number).pending;
            if pending.as_ref().is_some_and(|pending| pending.socket.address == address) {
                self.resolve(number, None, each);
            }
        }
    }

    /// A timer of a minisocket stopped on this CPU. Unless `next` speaks of the same minisocket, that was its end.
    fn resolve(&mut self, cpu: usize, next: Option<&Event>, each: &mut impl FnMut(Step<'_>)) {
        let pending = &mut self.cpus.get(cpu).pending;
        let goes_on = |event: &Event| {
            next.is_some_and(|next| {
                next.socket.address == event.socket.address
                    && matches!(
                        next.what,
                        What::Timewait { .. } | What::Request { .. } | What::SynAckRetransmitted { .. }
                    )
            })
        };
        let Some(event) = pending.take_if(|event| !goes_on(event)) else { return };
        match event.what {
            What::Timewait { .. } => self.timewait_cut_short(&event, cpu, next, each),
            What::Request { action, .. } => {
                self.request_dropped(&event, action == TimerAction::Expired, each);
            }
            _ => {}
        }
    }

    fn destroyed(&mut self, event: &Event, each: &mut impl FnMut(Step<'_>)) {
        let id = key(&event.socket).and_then(|key| self.connections.find(key));
        let connection = id.and_then(|id| self.connections.get(id));
        if let Some(connection) = connection
            && connection.opening
        {
            // How it ended was lost, and with it what became of the attempt.
            let role = handshake::role(connection.origin, connection.state);
            let kind = StepKind::Handshake {
                role,
                result: HandshakeResult::Other,
                duration: Err(Untimed::LostEvent),
            };
            each(Step { event, connection: Some(connection), kind });
        }
        each(Step { event, connection, kind: StepKind::Destroyed });
        if let Some(id) = id {
            self.forget(id);
        }
    }

    fn reset(&mut self, event: &Event, sent: bool, each: &mut impl FnMut(Step<'_>)) {
        let id = key(&event.socket).and_then(|key| self.connections.find(key));
        let connection = id.and_then(|id| self.connections.get_mut(id));
        let connection = connection.map(|connection| {
            match event.what {
                What::ResetSent { reason, .. } => connection.reset_sent = Some(reason),
                _ => connection.reset_received = true,
            }
            &*connection
        });
        each(Step { event, connection, kind: StepKind::Reset { sent } });
    }

    fn syn_retransmitted(&mut self, event: &Event, each: &mut impl FnMut(Step<'_>)) {
        let id = key(&event.socket).and_then(|key| self.connections.find(key));
        let connection = id.and_then(|id| self.connections.get_mut(id));
        let connection = connection.map(|connection| {
            connection.syn_retransmits = connection.syn_retransmits.saturating_add(1);
            &*connection
        });
        each(Step { event, connection, kind: StepKind::SynRetransmit });
    }
}

/// What a minisocket is remembered by: its address, or its cookie while no event has told the address.
const fn name(socket: &SocketId) -> u64 {
    if socket.address == 0 { socket.cookie } else { socket.address }
}

/// Addresses have the highest bit set, cookies count from 1.
const fn is_cookie(name: u64) -> bool {
    name >> 63 == 0
}

/// What a socket is remembered by: its cookie, or its address where it has none.
const fn key(socket: &SocketId) -> Option<u64> {
    match (socket.cookie, socket.address) {
        (0, 0) => None,
        (0, address) => Some(address),
        (cookie, _) => Some(cookie),
    }
}
