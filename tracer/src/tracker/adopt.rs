//! Sockets that existed before the tracker: a listing, not events.

use model::{Inconclusive, linux::LinuxState};

use super::{Connection, Tracker, key, name, request::Request, timewait::Timewait};
use crate::{
    event::{Event, SocketId, What},
    step::{Step, StepKind, TimewaitEnd},
};

impl Tracker {
    /// Takes in a socket of the listing. What it says is as old as the record: later events go on from there.
    pub fn adopt(&mut self, event: &Event) {
        self.exists(event, &mut |_| {});
    }

    /// As [`adopt`](Self::adopt), for a listing in the middle of the stream, which may tell something new: what began
    /// unseen counts from here on, so that what ends has begun.
    pub(super) fn exists(&mut self, event: &Event, each: &mut impl FnMut(Step<'_>)) {
        let What::Exists { state, minisocket, from } = event.what else { return };
        if self.has_ended(event) {
            return;
        }
        if from < event.time {
            self.listed = self.listed.max(event.time);
        }
        match (state, minisocket) {
            (LinuxState::NewSynRecv, _) => self.adopt_request(event, from, each),
            (_, true) => self.adopt_timewait(event, state, from, each),
            (_, false) => self.adopt_socket(event, state, from),
        }
    }

    /// The first event of a minisocket that only a listing has shown tells its address.
    pub(super) fn place_timewait(&mut self, event: &Event, each: &mut impl FnMut(Step<'_>)) {
        let Some(cookie) = self.listed_as(event).filter(|cookie| self.timewaits.contains_key(cookie)) else {
            return;
        };
        let address = event.socket.address;
        if self.timewaits.contains_key(&address) {
            // The end of the one before was lost.
            self.end_timewait(event, TimewaitEnd::Unknown, each);
        }
        if let Some(mut known) = self.timewaits.remove(&cookie) {
            self.unplaced -= usize::from(!known.placed);
            known.placed = true;
            self.timewaits.insert(address, known);
        }
    }

    /// As [`place_timewait`](Self::place_timewait), for a half-open request.
    pub(super) fn place_request(&mut self, event: &Event, each: &mut impl FnMut(Step<'_>)) {
        let Some(cookie) = self.listed_as(event).filter(|cookie| self.requests.contains_key(cookie)) else {
            return;
        };
        let address = event.socket.address;
        if self.requests.contains_key(&address) {
            self.end_request(event, false, each);
        }
        if let Some(mut known) = self.requests.remove(&cookie) {
            self.unplaced -= usize::from(!known.placed);
            known.placed = true;
            self.requests.insert(address, known);
        }
    }

    /// The cookie by which a listing may have shown the minisocket of this event without its address.
    fn listed_as(&self, event: &Event) -> Option<u64> {
        let SocketId { cookie, address, netns } = event.socket;
        if self.unplaced == 0 || address == 0 {
            return None;
        }
        if cookie != 0 { Some(cookie) } else { self.overtaken.get(&(netns, event.flow)).copied() }
    }

    /// A listing has shown this minisocket; what happened to it before may be told only now.
    fn overtakes(&mut self, event: &Event) {
        if event.socket.address == 0 {
            self.unplaced += 1;
            self.overtaken.insert((event.socket.netns, event.flow), event.socket.cookie);
        }
    }

    fn adopt_socket(&mut self, event: &Event, state: LinuxState, from: u64) {
        let Some(key) = key(&event.socket) else { return };
        let Event { time, ref flow, .. } = *event;
        if let Some(known) = self.connections.find(key).and_then(|id| self.connections.get_mut(id)) {
            // Whatever moved it has told, unless it came while the kernel looked.
            if known.state == state || from <= known.since {
                return;
            }
            // What led there was lost.
            self.books.leave(known.state, known.family(), known.netns);
            self.books.enter(state, known.family(), known.netns);
            known.state = state;
            known.since = time;
            known.entered = false;
            known.previous = None;
            known.origin = None;
            known.adopted = true;
            known.hole = Some(Inconclusive::LostEvent);
            return;
        }
        if !self.has_room() {
            return;
        }
        let mut connection = Connection::new(key, event.socket.netns, flow, state, time);
        connection.adopted = true;
        connection.hole = Some(Inconclusive::Adopted);
        connection.opening = matches!(state, LinuxState::SynSent | LinuxState::SynRecv);
        if self.connections.insert(connection).is_some() {
            self.books.enter(state, flow.family, event.socket.netns);
        }
    }

    fn adopt_request(&mut self, event: &Event, from: u64, each: &mut impl FnMut(Step<'_>)) {
        let name = name(&event.socket);
        if name == 0 || self.requests.contains_key(&name) || !self.has_room() {
            return;
        }
        self.requests.insert(name, Request::adopted(event, from));
        self.overtakes(event);
        self.books.enter(LinuxState::NewSynRecv, event.flow.family, event.socket.netns);
        each(Step { event, connection: None, kind: StepKind::RequestBegun });
    }

    fn adopt_timewait(
        &mut self,
        event: &Event,
        substate: LinuxState,
        from: u64,
        each: &mut impl FnMut(Step<'_>),
    ) {
        let name = name(&event.socket);
        if name == 0 {
            return;
        }
        if let Some(known) = self.timewaits.get_mut(&name) {
            if known.convert(event, substate, &mut self.books) {
                each(Step { event, connection: None, kind: StepKind::TimewaitConverted });
            }
            return;
        }
        if self.has_room() {
            self.timewaits.insert(name, Timewait::adopted(event, substate, from));
            self.overtakes(event);
            self.books.enter_minisocket(substate, event.flow.family, event.socket.netns);
            each(Step { event, connection: None, kind: StepKind::TimewaitBegun { path: None, substate } });
        }
    }
}
