//! Timewait minisockets: born with the connection's cookie just before the connection shows CLOSE, ended by their
//! timer or before it.
//!
//! The timer tells it all. Started for an unknown address: born. Cancelled and started again: 2 MSL start over.
//! Cancelled and expired: its time is over. Cancelled and then something else on that CPU: ended early, and who
//! cancelled it says why.

use model::linux::{LinuxState, TimeWaitKind, Transition};
use tracer_ebpf::Caller;

use super::{Books, Connection, Tracker, key, name};
use crate::{
    event::{Event, Family, SocketId, TimerAction, What},
    step::{Step, StepKind, TimewaitEnd, TimewaitPath},
};

/// FIN_WAIT1 > FIN_WAIT2 and TIME_WAIT happen in one call when FIN and ACK come in one segment, within this time,
/// nanoseconds. Of a socket with a user, two segments in a row look the same when they come faster than that.
const ONE_SEGMENT: u64 = 20_000;
/// Of an orphan, the ACK without the FIN would have made a FIN_WAIT2 minisocket at once: more time can be given.
const ONE_CALL: u64 = 1_000_000;

/// One minisocket.
#[derive(Debug)]
pub(super) struct Timewait {
    /// The connection's cookie.
    pub(super) cookie: u64,
    /// When it was born, or first seen.
    pub(super) since: u64,
    pub(super) netns: u64,
    pub(super) family: Family,
    /// TIME_WAIT, or FIN_WAIT2.
    substate: LinuxState,
    /// Its birth was seen.
    pub(super) whole: bool,
    /// Its address is known.
    pub(super) placed: bool,
    /// The peer's FIN has just been noticed, and the timer that it starts has not.
    converted: bool,
}

impl Timewait {
    /// Listed, or noticed by an event; it was there at `since` already, or came while the kernel looked.
    pub(super) fn adopted(event: &Event, substate: LinuxState, since: u64) -> Self {
        let placed = event.socket.address != 0;
        Self { whole: false, placed, since, ..Self::new(event, substate) }
    }

    pub(super) fn is_fin_wait2(&self) -> bool {
        self.substate == LinuxState::FinWait2
    }

    fn new(event: &Event, substate: LinuxState) -> Self {
        let Event { time: since, ref flow, socket, .. } = *event;
        let SocketId { cookie, netns, .. } = socket;
        Self {
            cookie,
            since,
            netns,
            family: flow.family,
            substate,
            whole: true,
            placed: true,
            converted: false,
        }
    }

    /// True when the event may be one of this minisocket. Before somebody has asked for a cookie there is none: then it was
    /// listed after the event, and the address is all that there is.
    fn may_be_of(&self, event: &Event) -> bool {
        self.cookie == event.socket.cookie || event.socket.cookie == 0
    }

    /// True when the peer's FIN has come since the last look.
    pub(super) fn convert(&mut self, event: &Event, substate: LinuxState, books: &mut Books) -> bool {
        let converts = self.substate != LinuxState::TimeWait
            && substate == LinuxState::TimeWait
            && self.may_be_of(event);
        if converts {
            books.convert_minisocket(self.family, self.netns);
            self.substate = substate;
            self.converted = true;
        }
        converts
    }
}

impl Tracker {
    pub(super) fn timewait(
        &mut self,
        event: &Event,
        cpu: usize,
        action: TimerAction,
        substate: LinuxState,
        each: &mut impl FnMut(Step<'_>),
    ) {
        let mut cancelled = self.cpus.get(cpu).pending.take();
        let address = event.socket.address;
        // The memory of a minisocket that has just ended may be the next one.
        if let Some(other) = cancelled.take_if(|other| other.socket.cookie != event.socket.cookie) {
            self.timewait_cut_short(&other, cpu, Some(event), each);
        }
        if action == TimerAction::Started && cancelled.is_none() && self.timewaits.contains_key(&address) {
            self.resolve_elsewhere(event, cpu, each);
        }
        let mut known = self.timewaits.get_mut(&address);
        if let Some(known) = known.as_deref_mut() {
            // The listing has overtaken this event. The birth of what it listed, or something of one before at this address.
            let is_early = event.time < known.since;
            let is_birth = action == TimerAction::Started
                && cancelled.is_none()
                && known.may_be_of(event)
                && !known.whole;
            if is_birth && (is_early || event.time < self.listed) {
                known.whole = true;
                known.since = event.time;
                return self.announce_timewait(event, substate, each);
            }
            if is_early {
                return;
            }
        }
        if known.is_some_and(|known| !known.may_be_of(event)) {
            // The end of the one before was lost.
            self.end_timewait(event, TimewaitEnd::Unknown, each);
        }
        match action {
            TimerAction::Started if !self.timewaits.contains_key(&address) && cancelled.is_none() => {
                self.begin_timewait(event, substate, each);
            }
            TimerAction::Started => {
                self.note_timewait(event, substate, each);
                self.restart_timewait(event, each);
            }
            TimerAction::Cancelled => {
                self.note_timewait(event, substate, each);
                self.cpus.get(cpu).pending = Some(event.clone());
            }
            TimerAction::Expired => {
                self.note_timewait(event, substate, each);
                self.end_timewait(event, TimewaitEnd::Expired, each);
            }
        }
    }

    /// A sweep has found the peer's FIN. It may be late: the minisocket may have ended since, or another one may live at
    /// its address.
    pub(super) fn swept(&mut self, event: &Event, each: &mut impl FnMut(Step<'_>)) {
        let Some(known) = self.timewaits.get_mut(&name(&event.socket)) else { return };
        if event.time >= known.since && known.convert(event, LinuxState::TimeWait, &mut self.books) {
            // That FIN moved no timer, or the timer would have told.
            known.converted = false;
            each(Step { event, connection: None, kind: StepKind::TimewaitConverted });
        }
    }

    /// The timer starts over. After the peer's FIN it starts for the first time.
    fn restart_timewait(&mut self, event: &Event, each: &mut impl FnMut(Step<'_>)) {
        let known = self.timewaits.get_mut(&event.socket.address);
        if !known.is_some_and(|known| std::mem::take(&mut known.converted)) {
            each(Step { event, connection: None, kind: StepKind::TimewaitRestarted });
        }
    }

    /// Makes sure that the minisocket of this event is known, with its substate of now.
    fn note_timewait(&mut self, event: &Event, substate: LinuxState, each: &mut impl FnMut(Step<'_>)) {
        if let Some(known) = self.timewaits.get_mut(&event.socket.address) {
            if known.convert(event, substate, &mut self.books) {
                each(Step { event, connection: None, kind: StepKind::TimewaitConverted });
            }
            return;
        }
        // Its beginning was lost, or there was no room for it: it counts now, so that what ends has begun.
        if self.has_room() {
            self.timewaits.insert(event.socket.address, Timewait::adopted(event, substate, event.time));
            self.books.enter_minisocket(substate, event.flow.family, event.socket.netns);
            each(Step { event, connection: None, kind: StepKind::TimewaitBegun { path: None, substate } });
        }
    }

    fn begin_timewait(&mut self, event: &Event, substate: LinuxState, each: &mut impl FnMut(Step<'_>)) {
        if self.has_room() {
            self.timewaits.insert(event.socket.address, Timewait::new(event, substate));
            self.books.enter_minisocket(substate, event.flow.family, event.socket.netns);
            self.announce_timewait(event, substate, each);
        } else {
            self.hand_over(event, substate);
        }
    }

    fn announce_timewait(&mut self, event: &Event, substate: LinuxState, each: &mut impl FnMut(Step<'_>)) {
        let path = self.hand_over(event, substate);
        let connection = self.known(&event.socket);
        each(Step { event, connection, kind: StepKind::TimewaitBegun { path, substate } });
    }

    /// Tells the connection that a minisocket takes its place, and asks it where it comes from.
    fn hand_over(&mut self, event: &Event, substate: LinuxState) -> Option<TimewaitPath> {
        let kind = match substate {
            LinuxState::TimeWait => TimeWaitKind::TimeWait,
            _ => TimeWaitKind::FinWait2,
        };
        if event.socket.cookie == 0 {
            self.nameless.insert((event.socket.netns, event.flow), kind);
            return None;
        }
        let id = self.connections.find(key(&event.socket)?)?;
        let connection = self.connections.get_mut(id)?;
        connection.timewait_created = Some(kind);
        path_of(connection, substate, event.time)
    }

    /// As [`hand_over`](Self::hand_over), where no cookie joins the two: the socket asks when it shows CLOSE.
    pub(super) fn take_over(&mut self, event: &Event, id: u32) {
        if let Some(kind) = self.nameless.remove(&(event.socket.netns, event.flow))
            && let Some(connection) = self.connections.get_mut(id)
        {
            connection.timewait_created = Some(kind);
        }
    }

    /// The timer was cancelled, and what came next on that CPU was neither its expiry nor a restart.
    pub(super) fn timewait_cut_short(
        &mut self,
        event: &Event,
        cpu: usize,
        next: Option<&Event>,
        each: &mut impl FnMut(Step<'_>),
    ) {
        let cause = told(event).unwrap_or_else(|| {
            // Where the kernel's stack said nothing, what comes before and after on that CPU may.
            if self.connects_to(event, cpu) {
                TimewaitEnd::ReusedByConnect
            } else if next.is_some_and(|next| is_reopened(event, next)) {
                TimewaitEnd::ReusedBySyn
            } else {
                TimewaitEnd::Unknown
            }
        });
        self.end_timewait(event, cause, each);
    }

    /// True when a connect() is under way on this CPU that takes these ends (tcp_twsk_unique): it has announced
    /// SYN_SENT and is choosing its port.
    fn connects_to(&mut self, event: &Event, cpu: usize) -> bool {
        let Some(key) = self.cpus.get(cpu).connecting else { return false };
        let connection = self.connections.find(key).and_then(|id| self.connections.get(id));
        connection.is_some_and(|connection| {
            connection.state == LinuxState::SynSent
                && connection.netns == event.socket.netns
                && connection.since <= event.time
                && event.time - connection.since < ONE_CALL
                && connection.ends.may_become(&event.flow)
        })
    }

    pub(super) fn end_timewait(
        &mut self,
        event: &Event,
        cause: TimewaitEnd,
        each: &mut impl FnMut(Step<'_>),
    ) {
        let name = name(&event.socket);
        let Some(ended) = self.timewaits.remove(&name) else { return };
        self.unplaced -= usize::from(!ended.placed);
        if let Some(names) = &mut self.ended {
            names.timewait(ended.cookie, name);
        }
        if !self.nameless.is_empty() {
            // The CLOSE of its socket was lost.
            self.nameless.remove(&(ended.netns, event.flow));
        }
        self.books.leave_minisocket(ended.substate, ended.family, ended.netns);
        let lived = ended.whole.then(|| event.time.saturating_sub(ended.since));
        let kind = StepKind::TimewaitEnded { substate: ended.substate, cause, lived };
        each(Step { event, connection: None, kind });
    }
}

/// Where TIME_WAIT was entered from.
fn path_of(connection: &Connection, substate: LinuxState, time: u64) -> Option<TimewaitPath> {
    match connection.state {
        LinuxState::Closing => Some(TimewaitPath::Closing),
        LinuxState::FinWait2 => {
            let acknowledged = Transition::new(LinuxState::FinWait1, LinuxState::FinWait2);
            let at_once = if connection.dead { ONE_CALL } else { ONE_SEGMENT };
            let one_segment = substate == LinuxState::TimeWait
                && connection.previous == Some(acknowledged)
                && time.saturating_sub(connection.since) < at_once;
            Some(if one_segment { TimewaitPath::FinWait1 } else { TimewaitPath::FinWait2 })
        }
        // The story has a hole here.
        _ => None,
    }
}

/// Why the timer was stopped, by the kernel's own stack.
const fn told(event: &Event) -> Option<TimewaitEnd> {
    let What::Timewait { caller, substate, .. } = event.what else { return None };
    Some(match (caller, substate) {
        (Caller::TimewaitSegment, _) => TimewaitEnd::Reset,
        (Caller::Receive, LinuxState::TimeWait) => TimewaitEnd::ReusedBySyn,
        // Data for a user that has gone, or a SYN (TCP_TW_RST): the answer is a reset.
        (Caller::Receive, _) => TimewaitEnd::Reset,
        (Caller::Connect, _) => TimewaitEnd::ReusedByConnect,
        (Caller::Abort, _) => TimewaitEnd::Destroyed,
        (Caller::Purge, _) => TimewaitEnd::Purged,
        (Caller::Unknown | Caller::CheckRequest | Caller::RequestError, _) => return None,
    })
}

/// A new SYN took the place of the minisocket: it becomes a request in the same softirq.
fn is_reopened(ended: &Event, next: &Event) -> bool {
    matches!(next.what, What::Request { action: TimerAction::Started, .. })
        && next.socket.netns == ended.socket.netns
        && (next.flow.local, next.flow.remote) == (ended.flow.local, ended.flow.remote)
}
