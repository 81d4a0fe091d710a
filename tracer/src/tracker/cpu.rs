//! What the last events of one CPU say about the next: the kernel does several things in one go on one CPU, and only
//! their order there tells them apart.

use tracer_ebpf::Hook;

use super::held::Held;
use crate::event::{Event, What};

/// Processors that have a slot of their own. Linux knows no more; other numbers come from damaged records.
const PROCESSORS: usize = 8192;

/// A firing recorded twice comes twice within this time, nanoseconds: as long as interrupts hold up the second copy.
pub(super) const DOUBLED: u64 = 20_000_000;

/// Events of interrupts that may come between two records of one firing. Later copies handle few events, so the search
/// is rare.
const BETWEEN: usize = 64;

/// One CPU.
#[derive(Debug, Default)]
pub(super) struct Cpu {
    recent: Recent,
    /// A timer of a minisocket was cancelled or expired here, and what that means comes next.
    pub(super) pending: Option<Event>,
    /// The child that was cloned here, until another socket changes its state.
    pub(super) newborn: Option<Newborn>,
    /// The socket that began to connect here, until another socket changes its state.
    pub(super) connecting: Option<u64>,
    /// The listener that was closed here last.
    pub(super) listener_closed: Option<ListenerClosed>,
    /// The RST that was sent here, until the next event.
    pub(super) answered: Option<Answered>,
    /// A transition that the next event here explains.
    pub(super) held: Option<Held>,
}

/// An RST that answers a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    netns: u64,
    port: u16,
    /// That segment is a SYN.
    pub(super) syn: bool,
}

impl Answered {
    pub(super) const fn new(event: &Event, syn: bool) -> Self {
        Self { netns: event.socket.netns, port: event.flow.local.port(), syn }
    }

    /// True when the listener of this request sent it.
    pub(super) const fn is_for(&self, request: &Event) -> bool {
        self.netns == request.socket.netns && self.port == request.flow.local.port()
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Newborn {
    pub(super) key: u64,
    pub(super) address: u64,
    pub(super) time: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ListenerClosed {
    pub(super) netns: u64,
    pub(super) port: u16,
    pub(super) time: u64,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    hook: Hook,
    socket: (u64, u64),
    time: u64,
    copy: u8,
}

/// The last events, oldest overwritten first.
#[derive(Debug)]
struct Recent {
    events: [Option<Last>; BETWEEN],
    next: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Self { events: [None; BETWEEN], next: 0 }
    }
}

impl Recent {
    fn push(&mut self, event: Last) {
        self.events[self.next] = Some(event);
        self.next = (self.next + 1) % BETWEEN;
    }

    fn newest_first(&self) -> impl Iterator<Item = &Last> {
        let (later, earlier) = self.events.split_at(self.next);
        later.iter().rev().chain(earlier.iter().rev()).map_while(Option::as_ref)
    }
}

/// Every CPU that has been heard of.
#[derive(Debug, Default)]
pub(super) struct Cpus(Vec<Cpu>);

impl Cpus {
    pub(super) fn number(event: &Event) -> usize {
        usize::from(event.cpu) % PROCESSORS
    }

    pub(super) fn get(&mut self, number: usize) -> &mut Cpu {
        if number >= self.0.len() {
            self.0.resize_with(number + 1, Cpu::default);
        }
        &mut self.0[number]
    }

    pub(super) fn numbers(&self) -> std::ops::Range<usize> {
        0..self.0.len()
    }
}

impl Cpu {
    /// True when two copies of a handler recorded the same firing, and this is the second record. Between them there may
    /// be events of interrupts, but none of the same socket. Transitions are compared with their socket's own story
    /// instead.
    pub(super) fn repeats(&mut self, event: &Event) -> bool {
        if matches!(event.what, What::Transition { .. }) {
            return false;
        }
        // Memory is used again at once, so the address alone names nobody.
        let socket = (event.socket.cookie, event.socket.address);
        let now = Last { hook: event.hook, socket, time: event.time, copy: event.copy };
        let repeats = self.recent.newest_first().next().is_some_and(|last| now.is_same_record(last))
            || (now.copy > 0 && now.socket != (0, 0) && now.is_twin(self.recent.newest_first()));
        self.recent.push(now);
        repeats
    }
}

impl Last {
    fn is_same_record(&self, last: &Self) -> bool {
        (self.hook, self.socket, self.time) == (last.hook, last.socket, last.time)
    }

    /// The copies of a handler run in their order.
    fn is_twin<'a>(&self, mut newest_first: impl Iterator<Item = &'a Self>) -> bool {
        newest_first.find(|before| before.socket == self.socket).is_some_and(|before| {
            before.hook == self.hook
                && before.copy < self.copy
                && self.time.saturating_sub(before.time) < DOUBLED
        })
    }
}
