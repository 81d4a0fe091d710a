//! Sockets that existed before the tracker: a listing, not events.

use model::{Inconclusive, linux::LinuxState};

use super::{Connection, Tracker, key, request::Request, timewait::Timewait};
use crate::{
    event::{Event, What},
    step::{Step, StepKind},
};

impl Tracker {
    /// Takes in a socket of the listing. What it says is as old as the record: later events go on from there.
    pub fn adopt(&mut self, event: &Event) {
        self.exists(event, &mut |_| {});
    }

    /// As [`adopt`](Self::adopt), for a listing in the middle of the stream, which may tell something new: what began
    /// unseen counts from here on, so that what ends has begun.
    pub(super) fn exists(&mut self, event: &Event, each: &mut impl FnMut(Step<'_>)) {
        match event.what {
            What::Exists { state: LinuxState::NewSynRecv, .. } => self.adopt_request(event, each),
            What::Exists { state, minisocket: true, .. } => self.adopt_timewait(event, state, each),
            What::Exists { state, minisocket: false, .. } => self.adopt_socket(event, state),
            _ => {}
        }
    }

    fn adopt_socket(&mut self, event: &Event, state: LinuxState) {
        let Some(key) = key(&event.socket) else { return };
        let Event { time, ref flow, .. } = *event;
        if let Some(known) = self.connections.find(key).and_then(|id| self.connections.get_mut(id)) {
            if known.state == state || time <= known.since {
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

    fn adopt_request(&mut self, event: &Event, each: &mut impl FnMut(Step<'_>)) {
        let address = event.socket.address;
        if self.requests.contains_key(&address) || !self.has_room() {
            return;
        }
        self.requests.insert(address, Request::adopted(event));
        self.books.enter(LinuxState::NewSynRecv, event.flow.family, event.socket.netns);
        each(Step { event, connection: None, kind: StepKind::RequestBegun });
    }

    fn adopt_timewait(&mut self, event: &Event, substate: LinuxState, each: &mut impl FnMut(Step<'_>)) {
        let address = event.socket.address;
        if let Some(known) = self.timewaits.get_mut(&address) {
            if known.convert(event, substate, &mut self.books) {
                each(Step { event, connection: None, kind: StepKind::TimewaitConverted });
            }
            return;
        }
        if self.has_room() {
            self.timewaits.insert(address, Timewait::adopted(event, substate));
            self.books.enter_minisocket(substate, event.flow.family, event.socket.netns);
            each(Step { event, connection: None, kind: StepKind::TimewaitBegun { path: None, substate } });
        }
    }
}
