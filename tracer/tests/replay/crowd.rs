//! Many conversations at once, healthy each, their steps interleaved as anyone likes. One step is what the kernel
//! does in one go on one CPU.

use model::linux::LinuxState::*;
use proptest::prelude::*;
use tracer::event::{Event, Family};

use crate::host::{Host, Minisocket, SECOND, Socket};

/// How a conversation goes.
#[derive(Clone, Copy, Debug)]
pub enum Course {
    /// The client closes; its orphan waits in a minisocket.
    ClientCloses,
    /// The server half-closes and keeps its descriptor.
    ServerHalfCloses,
    /// Both close at once.
    BothClose,
    /// A reset on both sides.
    Reset,
    /// Nobody listens; the socket then connects again, and the client closes.
    RefusedThenAgain,
}

struct Conversation {
    course: Course,
    step: u32,
    listener: Socket,
    client: Socket,
    port: u16,
    request: Option<Minisocket>,
    server: Option<Socket>,
    timewaits: Vec<Minisocket>,
}

/// Which conversation goes on, on which CPU, after how long.
pub type Turn = (prop::sample::Index, u16, u64);

pub fn courses() -> impl Strategy<Value = Vec<(Course, Family)>> {
    let course = prop_oneof![
        Just(Course::ClientCloses),
        Just(Course::ServerHalfCloses),
        Just(Course::BothClose),
        Just(Course::Reset),
        Just(Course::RefusedThenAgain),
    ];
    prop::collection::vec((course, prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)]), 1..12)
}

pub fn turns() -> impl Strategy<Value = Vec<Turn>> {
    prop::collection::vec((any::<prop::sample::Index>(), 0..3_u16, 0..2 * SECOND), 20..200)
}

/// The events of all conversations. Conversations that the turns do not finish stay where they are.
pub fn stream(courses: &[(Course, Family)], turns: &[Turn]) -> Host {
    let mut host = Host::new();
    let listeners = Family::ALL.map(|family| host.listen(family, 80));
    let mut talks: Vec<_> = courses
        .iter()
        .enumerate()
        .map(|(number, (course, family))| {
            let port = 40_000 + u16::try_from(number).unwrap();
            let client = host.fresh(*family, port, 80);
            let listener = listeners[*family as usize].clone();
            let (request, server, timewaits) = (None, None, Vec::new());
            Conversation { course: *course, step: 0, listener, client, port, request, server, timewaits }
        })
        .collect();
    for (who, cpu, wait) in turns {
        host.cpu = *cpu;
        host.wait(*wait);
        talks[who.index(courses.len())].go_on(&mut host);
    }
    host
}

impl Conversation {
    fn go_on(&mut self, host: &mut Host) {
        let step = self.step;
        self.step += 1;
        let opening = match self.course {
            Course::RefusedThenAgain => 5,
            _ => 4,
        };
        match (self.course, step) {
            (Course::RefusedThenAgain, 0) => {
                host.connect(&mut self.client);
                host.reset_received(&mut self.client);
            }
            (_, step) if step < opening => self.open(host, step + 4 - opening),
            (_, step) => self.end(host, step - opening),
        }
    }

    fn open(&mut self, host: &mut Host, step: u32) {
        match step {
            0 => host.connect(&mut self.client),
            1 => self.request = Some(host.request(&self.listener, self.port)),
            2 => host.established(&mut self.client),
            _ => self.server = self.request.take().map(|request| host.accept(&self.listener, &request)),
        }
    }

    fn end(&mut self, host: &mut Host, step: u32) {
        let Self { client, server: Some(server), timewaits, .. } = self else { return };
        match (self.course, step) {
            (Course::ClientCloses | Course::RefusedThenAgain, 0) => host.close(client),
            (Course::ClientCloses | Course::RefusedThenAgain, 1) => host.fin_received(server),
            (Course::ClientCloses | Course::RefusedThenAgain, 2) => {
                host.fin_acknowledged(client);
                timewaits.push(host.time_wait(client, FinWait2));
            }
            (Course::ClientCloses | Course::RefusedThenAgain, 3) => {
                host.close(server);
                timewaits[0].substate = TimeWait;
            }
            (Course::ClientCloses | Course::RefusedThenAgain, 4) => host.fin_acknowledged(server),
            (Course::ServerHalfCloses, 0) => host.shutdown(server),
            (Course::ServerHalfCloses, 1) => host.fin_received(client),
            (Course::ServerHalfCloses, 2) => host.fin_acknowledged(server),
            (Course::ServerHalfCloses, 3) => host.close(client),
            (Course::ServerHalfCloses, 4) => {
                host.fin_received(server);
                timewaits.push(host.time_wait(server, TimeWait));
            }
            (Course::ServerHalfCloses, 5) => {
                host.fin_acknowledged(client);
                host.destroy(server);
            }
            (Course::BothClose, 0) => {
                host.close(client);
                host.close(server);
            }
            (Course::BothClose, 1) => {
                host.fin_received(client);
                host.fin_received(server);
            }
            (Course::BothClose, 2) => {
                for socket in [client, server] {
                    socket.evidence.una = socket.evidence.write_seq;
                    timewaits.push(host.time_wait(socket, TimeWait));
                }
            }
            (Course::Reset, 0) => host.reset_received(client),
            (Course::Reset, 1) => {
                host.reset_received(server);
                host.destroy(client);
                host.destroy(server);
            }
            (_, 8) => {
                for timewait in &*timewaits {
                    host.wait(60 * SECOND);
                    host.expire(timewait);
                }
            }
            _ => {}
        }
    }
}

/// What names a socket across its minisockets.
pub fn name(event: &Event) -> u64 {
    if event.socket.cookie != 0 { event.socket.cookie } else { event.socket.address }
}
