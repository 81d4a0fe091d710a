//! What the last events of one CPU say about the next: the kernel does several things in one go on one CPU, and only
//! their order there tells them apart.

use tracer_ebpf::Hook;

use crate::event::{Event, What};

/// Processors that have a slot of their own. Linux knows no more; other numbers come from damaged records.
const PROCESSORS: usize = 8192;

/// A firing recorded twice comes twice within this time, nanoseconds.
pub(super) const DOUBLED: u64 = 1_000_000;

/// One CPU.
#[derive(Debug, Default)]
pub(super) struct Cpu {
    last: Option<Last>,
    /// A timer of a minisocket was cancelled or expired here, and what that means comes next.
    pub(super) pending: Option<Event>,
    /// The child that was cloned here, until another socket changes its state.
    pub(super) newborn: Option<Newborn>,
    /// The socket that began to connect here, until another socket changes its state.
    pub(super) connecting: Option<u64>,
    /// The listener that was closed here last.
    pub(super) listener_closed: Option<ListenerClosed>,
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
    socket: u64,
    time: u64,
    copy: u8,
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
    /// True when the event repeats the one before on this CPU: two copies of a handler recorded the same firing.
    /// Transitions are compared with their socket's own story instead.
    pub(super) fn repeats(&mut self, event: &Event) -> bool {
        let socket = if event.socket.address != 0 { event.socket.address } else { event.socket.cookie };
        let now = Last { hook: event.hook, socket, time: event.time, copy: event.copy };
        let Some(last) = self.last.replace(now) else { return false };
        let same = last.hook == now.hook && last.socket == now.socket;
        let twice = last.copy != now.copy && now.socket != 0 && now.time.abs_diff(last.time) < DOUBLED;
        same && (last.time == now.time || twice)
            && !matches!(event.what, What::Transition { .. } | What::Exists { .. })
    }
}
