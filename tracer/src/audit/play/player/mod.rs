//! The player: one step of a scenario after the other.

mod calls;
mod peer;
mod told;

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    thread,
    time::Duration,
};

use model::oracle::Departures;

use super::{
    connection::Connection,
    expect::{SLACK, Scene, Standing, nanoseconds},
    log::{Logged, Recorded},
    user::User,
};
use crate::audit::{
    account::{Account, Ports, now},
    conditions::Conditions,
    report::model::Family,
    scenario::{Action, Alternative, Awaited, Call, Script, Setting, Step, Target},
    stream::Stream,
    world::{self, Addresses, World, WorldError, addresses},
};

/// Why a scenario could not be played.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// Its world.
    #[error(transparent)]
    World(#[from] WorldError),
}

/// A step that did not go as it had to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The step's line.
    pub line: u32,
    /// What was expected.
    pub expected: String,
    /// What was seen.
    pub seen: String,
}

/// How a step ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Went {
    /// The line that fits: the step's own or that of an alternative.
    pub line: u32,
    /// The deviation that it shows.
    pub deviation: Option<&'static str>,
    /// What was seen.
    pub seen: String,
}

/// A scenario that was played.
#[derive(Debug)]
pub struct Played {
    /// When it began and ended, CLOCK_MONOTONIC nanoseconds.
    pub time: (u64, u64),
    /// Everything but the changes of state, in the order of time.
    pub log: Vec<Logged>,
    /// The connections.
    pub connections: Vec<Connection>,
    /// The kernel's account.
    pub account: Account,
    /// How each step went, as far as it came.
    pub went: Vec<Went>,
    /// Where it failed.
    pub failure: Option<Failure>,
    /// Something was lost meanwhile: packets here, or events anywhere on the host.
    pub lost: u64,
    /// The longest that peer or user took to do what was its turn, nanoseconds: a busy host makes them late.
    pub stalled: u64,
    /// The settings at the end, and what the kernel is.
    pub conditions: Conditions,
}

/// A peer or user that was later than this may have changed what happens, nanoseconds.
const LATE: u64 = 10_000_000;

impl Played {
    /// Why something that differs in this run proves nothing; none: it does prove something.
    #[must_use]
    pub const fn doubt(&self) -> Option<&'static str> {
        if self.lost > 0 {
            Some("events were lost")
        } else if self.stalled > LATE {
            Some("the host kept the peer or the user waiting")
        } else {
            None
        }
    }
}

/// The kernel's port of the first connection and of listeners.
const PORT: u16 = 7_000;

/// Plays a scenario on a thread of its own, in a network of its own.
///
/// # Errors
///
/// [`PlayError`] when there is no such network.
pub fn play(script: &Script, family: Family, stream: &Stream) -> Result<Played, PlayError> {
    thread::scope(|scope| {
        let inside = scope.spawn(|| Player::new(script, family, stream)?.run());
        inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

struct Player<'a> {
    script: &'a Script,
    family: Family,
    world: World,
    account: Account,
    connections: Vec<Connection>,
    places: HashMap<Ports, usize>,
    lines: Vec<&'a str>,
    user: User,
    log: Vec<Logged>,
    marks: BTreeMap<String, u64>,
    /// When the step before happened.
    reference: u64,
    /// From when on the next step could have been taken, where the step before knows it.
    ready: Option<u64>,
    began: u64,
    line: Option<u32>,
    mischief: Option<&'static str>,
    /// What this kernel cannot do at all: there the scenario ends.
    cannot: Option<&'static str>,
    lost: u64,
    /// Packets of networks that are gone.
    unseen: u64,
    habits: Departures,
}

type Done = Result<Went, Failure>;

impl<'a> Player<'a> {
    fn new(script: &'a Script, family: Family, stream: &Stream) -> Result<Self, PlayError> {
        let world = World::new()?;
        let account = Account::new(stream, world.cookie);
        for Setting { name, value, needed } in &script.sysctls {
            if *needed || world.sysctls.get(name).is_some() {
                world.sysctls.set(name, value)?;
            }
        }
        let connections: Vec<Connection> =
            (0..script.connections.len()).map(|place| Connection::new(ports(script, place))).collect();
        let places = (0..).zip(&connections).map(|(place, connection)| (connection.ports, place)).collect();
        let (began, lost) = (now(), account.lost());
        Ok(Self {
            script,
            family,
            world,
            account,
            connections,
            places,
            lines: script.source.lines().collect(),
            user: User::default(),
            log: Vec::new(),
            marks: BTreeMap::new(),
            reference: began,
            ready: None,
            began,
            line: None,
            mischief: None,
            cannot: None,
            lost,
            unseen: 0,
            habits: stream.habits,
        })
    }

    fn run(mut self) -> Result<Played, PlayError> {
        let mut went = Vec::new();
        let mut failure = None;
        let mut stalled = 0;
        for step in &self.script.steps {
            self.line = Some(step.line);
            let (ready, begins) = (self.ready.take(), now());
            let done = self.step(step)?;
            let acts = match step.action {
                Action::Peer(_) | Action::Icmp(_) => Some(now()),
                // Some calls wait for their answer.
                Action::User(..) => Some(begins),
                Action::Expect(_)
                | Action::Wait(_)
                | Action::Mark(_)
                | Action::Sysctl(..)
                | Action::NetworkEnds => None,
            };
            if let (Some(ready), Some(acts)) = (ready, acts) {
                stalled = stalled.max(acts.saturating_sub(ready));
            }
            if matches!(step.action, Action::Mark(_)) {
                self.ready = ready;
            }
            self.ready.get_or_insert_with(now);
            if let Some(why) = self.cannot {
                self.note(step.connection, format!("the scenario ends here: {why}"));
                break;
            }
            match done {
                Ok(done) => went.push(done),
                Err(failed) => {
                    failure = Some(failed);
                    break;
                }
            }
        }
        self.line = None;
        // What is on its way.
        self.sleep(Duration::from_millis(60))?;
        let ended = now();
        let settled = self.account.settle();
        self.log.sort_by_key(|logged| logged.time);
        let unseen = self.unseen + self.world.unseen();
        let lost = self.account.lost() - self.lost + unseen + u64::from(!settled);
        let Self { log, connections, account, began, world, habits, .. } = self;
        let conditions = Conditions { sysctls: world.sysctls.tcp(), habits };
        Ok(Played {
            time: (began, ended),
            log,
            connections,
            account,
            went,
            failure,
            lost,
            stalled,
            conditions,
        })
    }

    fn step(&mut self, step: &Step) -> Result<Done, PlayError> {
        let place = step.connection;
        Ok(match &step.action {
            Action::User(call, expected) => self.call(step, place, call, *expected)?,
            Action::Peer(forgery) => {
                self.forge(place, forgery)?;
                Ok(self.fine(step))
            }
            Action::Icmp(icmp) => {
                self.icmp(place, *icmp)?;
                Ok(self.fine(step))
            }
            Action::Expect(alternatives) => self.expect(step, place, alternatives)?,
            Action::Wait(span) => {
                self.sleep(*span)?;
                self.reference = now();
                Ok(self.fine(step))
            }
            Action::Mark(name) => {
                self.marks.insert(name.clone(), self.reference);
                Ok(self.fine(step))
            }
            Action::Sysctl(name, value) => {
                self.world.sysctls.set(name, value)?;
                self.note(place, format!("{name}={value}"));
                Ok(self.fine(step))
            }
            Action::NetworkEnds => {
                self.pump()?;
                // A socket would keep it.
                self.user = User::default();
                self.reference = now();
                self.unseen += self.world.unseen();
                // Whoever enters another network leaves the one before.
                self.world = World::new()?;
                Ok(self.fine(step))
            }
        })
    }

    fn fine(&self, step: &Step) -> Went {
        Went { line: step.line, deviation: None, seen: "done".to_owned() }
    }

    fn note(&mut self, connection: usize, text: String) {
        let what = Recorded::Note(text);
        self.log.push(Logged { time: now(), wall: 0, connection, line: self.line, what });
    }

    /// Takes in what has crossed the wire and what the kernel has told.
    fn pump(&mut self) -> Result<(), PlayError> {
        let Self { world, connections, places, log, line, mischief, .. } = self;
        let (kernel, _) = addresses(self.family);
        world.observe(&mut |seen| {
            let Ok(parsed) = world::parse(&seen.bytes) else { return };
            let Addresses { source, destination } = parsed.addresses;
            let (here, there) = if seen.from_kernel { (source, destination) } else { (destination, source) };
            let ports = Ports { kernel: here.1, peer: there.1 };
            let Some(place) = places.get(&ports).copied() else { return };
            if seen.from_kernel
                && let Some(connection) = connections.get_mut(place)
            {
                connection.sent(seen.time, &parsed, &seen.bytes);
            }
            let arrives = seen.from_kernel || parsed.checksum_fits && here.0 == kernel && known(there.0);
            let line = if seen.from_kernel { None } else { *line };
            let mischief = if seen.from_kernel { None } else { *mischief };
            let what = Recorded::Segment {
                parsed: Box::new(parsed),
                from_kernel: seen.from_kernel,
                mischief,
                arrives,
                bytes: seen.bytes,
            };
            log.push(Logged { time: seen.time, wall: seen.wall, connection: place, line, what });
        })?;
        self.account.update();
        Ok(())
    }

    fn sleep(&mut self, span: Duration) -> Result<(), PlayError> {
        let until = now() + nanoseconds(span);
        self.pump()?;
        while now() < until {
            self.rest(until);
            self.pump()?;
        }
        Ok(())
    }

    /// Waits for the wire: shortly at first, so that transitions are not read late, and then with patience.
    fn rest(&self, until: u64) {
        let time = now();
        let patience = if time.saturating_sub(self.reference) < 200_000_000 { 3_000_000 } else { 25_000_000 };
        let span = until.saturating_sub(time).min(patience);
        self.world.wait(Duration::from_nanos(span.max(1_000_000)));
    }

    fn expect(&mut self, step: &Step, place: usize, alternatives: &[Alternative]) -> Result<Done, PlayError> {
        loop {
            self.pump()?;
            let mut missed = Vec::new();
            let mut soonest = u64::MAX;
            for alternative in alternatives {
                let Alternative { line, what, window, deviation } = alternative;
                let Some(connection) = self.connections.get(place) else { continue };
                let mark = window.mark.as_ref().and_then(|mark| self.marks.get(mark));
                let base = mark.copied().unwrap_or(self.reference);
                let scene = Scene { connection, account: &self.account, base, now: now() };
                match scene.standing(what, window) {
                    Standing::Happened(time, seen) => {
                        self.reference = self.reference.max(time);
                        // What was awaited could be answered from then on; that nothing came is known later.
                        let silence = if matches!(what, Awaited::Silence(_)) { SLACK } else { 0 };
                        self.ready = Some(self.reference + silence);
                        self.took(place, what, *line);
                        let deviation = deviation.map(|deviation| deviation.name);
                        return Ok(Ok(Went { line: *line, deviation, seen }));
                    }
                    Standing::Missed(seen) => missed.push(seen),
                    Standing::Open(until) => soonest = soonest.min(until),
                }
            }
            if soonest == u64::MAX {
                missed.dedup();
                let expected = self.text(step.line);
                return Ok(Err(Failure { line: step.line, expected, seen: missed.join("; ") }));
            }
            self.rest(soonest);
        }
    }

    /// A step has waited for a segment, which counts as read now.
    fn took(&mut self, place: usize, what: &Awaited, line: u32) {
        let Awaited::Segment(_) = what else { return };
        let Some(connection) = self.connections.get_mut(place) else { return };
        let Some((time, parsed)) = connection.unread.pop_front() else { return };
        connection.take(&parsed.segment);
        let logged = self.log.iter_mut().rev().find(|logged| {
            logged.connection == place
                && logged.time == time
                && matches!(logged.what, Recorded::Segment { from_kernel: true, .. })
        });
        if let Some(logged) = logged {
            logged.line = Some(line);
        }
    }

    /// The line as it stands in the scenario.
    fn text(&self, line: u32) -> String {
        let index = usize::try_from(line).unwrap_or(1).saturating_sub(1);
        self.lines.get(index).copied().unwrap_or_default().trim().to_owned()
    }
}

/// Listeners share the first port; who connects has one of its own.
fn ports(script: &Script, place: usize) -> Ports {
    let target = script.steps.iter().find_map(|step| match step.action {
        Action::User(Call::Connect { to, .. }, _) if step.connection == place => Some(to),
        _ => None,
    });
    let kernel = PORT + target.and_then(|_| u16::try_from(place).ok()).unwrap_or(0);
    let peer = if target == Some(Target::Itself) { kernel } else { Script::peer_port(place) };
    Ports { kernel, peer }
}

fn known(address: IpAddr) -> bool {
    let (_, v4) = addresses(Family::Ipv4);
    let (_, v6) = addresses(Family::Ipv6);
    address == v4 || address == v6
}
