//! The player: one step of a scenario after the other.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    thread,
    time::Duration,
};

use model::{
    event::{self, Origin, Remote},
    tcb::Config,
};

use super::{
    connection::Connection,
    expect::{Scene, Standing, nanoseconds},
    log::{Logged, Recorded},
    user::{Outcome, Socket, User, ends},
};
use crate::audit::{
    account::{Account, Ports, now},
    report::model::Family,
    scenario::{
        Action, Alternative, Awaited, Call, Direction, ERRORS, Expected, Forgery, Icmp, Script, SocketOption,
        Step,
    },
    stream::Stream,
    world::{self, Addresses, Forged, World, WorldError, addresses},
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
    /// The longest that a step took which waits for nothing, nanoseconds: a busy host makes the peer late.
    pub stalled: u64,
    /// The settings at the end.
    pub sysctls: BTreeMap<String, String>,
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
    user: User,
    log: Vec<Logged>,
    marks: BTreeMap<String, u64>,
    /// When the step before happened.
    reference: u64,
    began: u64,
    line: Option<u32>,
    mischief: Option<&'static str>,
    lost: u64,
}

type Done = Result<Went, Failure>;

impl<'a> Player<'a> {
    fn new(script: &'a Script, family: Family, stream: &Stream) -> Result<Self, PlayError> {
        let world = World::new()?;
        let account = Account::new(stream, world.cookie);
        for (name, value) in &script.sysctls {
            world.sysctls.set(name, value)?;
        }
        let connects = |place| {
            script.steps.iter().any(|step| {
                step.connection == place && matches!(step.action, Action::User(Call::Connect { .. }, _))
            })
        };
        let connections = (0..script.connections.len())
            .map(|place| {
                let offset = if connects(place) { u16::try_from(place).unwrap_or(0) } else { 0 };
                Connection::new(Ports { kernel: PORT + offset, peer: Script::peer_port(place) })
            })
            .collect();
        let (began, lost) = (now(), account.lost());
        Ok(Self {
            script,
            family,
            world,
            account,
            connections,
            user: User::default(),
            log: Vec::new(),
            marks: BTreeMap::new(),
            reference: began,
            began,
            line: None,
            mischief: None,
            lost,
        })
    }

    fn run(mut self) -> Result<Played, PlayError> {
        let mut went = Vec::new();
        let mut failure = None;
        let mut stalled = 0;
        for step in &self.script.steps {
            self.line = Some(step.line);
            let before = now();
            let done = self.step(step)?;
            if matches!(step.action, Action::Peer(_) | Action::Mark(_) | Action::Icmp(_)) {
                stalled = stalled.max(now() - before);
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
        self.log.sort_by_key(|logged| logged.time);
        let lost = self.account.lost() - self.lost + self.world.unseen();
        let Self { log, connections, account, began, world, .. } = self;
        let sysctls = world.sysctls.tcp();
        Ok(Played { time: (began, ended), log, connections, account, went, failure, lost, stalled, sysctls })
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
        let Self { world, connections, log, line, mischief, .. } = self;
        let (kernel, _) = addresses(self.family);
        world.observe(&mut |seen| {
            let Ok(parsed) = world::parse(&seen.bytes) else { return };
            let Addresses { source, destination } = parsed.addresses;
            let (here, there) = if seen.from_kernel { (source, destination) } else { (destination, source) };
            let ports = Ports { kernel: here.1, peer: there.1 };
            let Some(place) = connections.iter().position(|connection| connection.ports == ports) else {
                return;
            };
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
        self.script.source.lines().nth(index).unwrap_or_default().trim().to_owned()
    }

    /// A call in the scenario's words.
    fn words(&self, line: u32, call: &Call) -> String {
        let text = self.text(line);
        let end = [" ->", " [", " #"].iter().filter_map(|mark| text.find(mark)).min().unwrap_or(text.len());
        let text = text.get(..end).unwrap_or_default();
        match (text.strip_prefix("user"), call) {
            (Some(words), _) => words.split_once(' ').map_or("", |(_, words)| words).trim().to_owned(),
            // A line of its own stands for the whole handshake.
            (None, Call::Listen { .. }) => "listen".to_owned(),
            (None, Call::Accept) => "accept".to_owned(),
            (None, _) => "connect".to_owned(),
        }
    }

    fn forge(&mut self, place: usize, forgery: &Forgery) -> Result<(), PlayError> {
        self.pump()?;
        let (kernel, peer) = addresses(self.family);
        // Milliseconds, as the kernel's own clock counts them.
        let clock = u32::try_from((now() - self.began) / 1_000_000 + 100_000).unwrap_or(0);
        let Some(connection) = self.connections.get_mut(place) else { return Ok(()) };
        let Ports { kernel: here, peer: there } = connection.ports;
        let segment = connection.forge(forgery, clock);
        let made = Addresses {
            source: (forgery.from.unwrap_or(peer), there),
            destination: (forgery.to.unwrap_or(kernel), here),
        };
        let forged = Forged {
            checksum: forgery.bad_checksum.into(),
            options: forgery.raw_options.clone(),
            ip_options: forgery.ip_options.clone(),
            traffic_class: forgery.traffic_class,
            ecn_bits: forgery.ecn_bits,
        };
        let packet = world::build((&made, &segment, &forged));
        self.mischief = if forgery.bad_checksum {
            Some("bad checksum")
        } else if forgery.from.is_some() || forgery.to.is_some() {
            Some("forged address")
        } else {
            None
        };
        if forgery.lost {
            let parsed = world::parse(&packet);
            if let Ok(parsed) = parsed {
                let what = Recorded::Segment {
                    parsed: Box::new(parsed),
                    from_kernel: false,
                    mischief: Some("lost"),
                    arrives: false,
                    bytes: packet,
                };
                self.log.push(Logged { time: now(), wall: 0, connection: place, line: self.line, what });
            }
        } else {
            self.reference = now();
            self.world.inject(&packet)?;
            if forgery.twice {
                self.world.inject(&packet)?;
            }
        }
        self.pump()?;
        self.mischief = None;
        Ok(())
    }

    fn icmp(&mut self, place: usize, icmp: Icmp) -> Result<(), PlayError> {
        self.pump()?;
        let (kernel, peer) = addresses(self.family);
        let (kind, code) = icmp.number(self.family);
        let Some(connection) = self.connections.get(place) else { return Ok(()) };
        let made = Addresses { source: (peer, 0), destination: (kernel, 0) };
        let packet = world::icmp(kind, code, &connection.last_packet, &made);
        let message = Icmp::ALL.iter().find(|(known, _)| *known == icmp).map_or("", |(_, name)| name);
        self.reference = now();
        let what = Recorded::Icmp { message, class: icmp.class(), bytes: packet.clone() };
        self.log.push(Logged { time: self.reference, wall: 0, connection: place, line: self.line, what });
        self.world.inject(&packet)?;
        self.pump()
    }

    fn call(
        &mut self,
        step: &Step,
        place: usize,
        call: &Call,
        expected: Expected,
    ) -> Result<Done, PlayError> {
        self.pump()?;
        let time = now();
        let wanted = match expected {
            Expected::Ok | Expected::Any => 0,
            Expected::Error(error) => error,
        };
        // What depends on the network may take a moment.
        let patient =
            matches!(call, Call::Accept | Call::Receive { .. } | Call::Error | Call::Poll(_) | Call::Get(..))
                && wanted != libc::EAGAIN
                && expected != Expected::Any;
        let until = time + 1_000_000_000;
        let mut progress = Progress { read: 0, next: None };
        let result = loop {
            let result = self.make(place, call, &mut progress);
            let waits = match (&result, call) {
                (Err(libc::EAGAIN), _) => true,
                (Ok(Answer::Error(got)), _) => *got != wanted,
                (Ok(Answer::No(_)), _) => true,
                _ => false,
            };
            if !(patient && waits) || now() > until {
                break result;
            }
            self.pump()?;
            self.rest(until);
        };
        let told = match call {
            // What was read was read, whether or not it is all that was asked for.
            Call::Receive { urgent: false, .. } if progress.read > 0 => {
                Some(event::Call::receive(progress.read))
            }
            Call::Receive { .. } => None,
            _ => told(call, &result, &self.user, place, self.family),
        };
        let (got, words) = match &result {
            Ok(Answer::Done) => (0, "ok".to_owned()),
            Ok(Answer::Error(error)) => (*error, name(*error)),
            Ok(Answer::No(seen)) => (-1, seen.clone()),
            Err(error) => (*error, name(*error)),
        };
        let text = self.words(step.line, call);
        let what = Recorded::Call { call: text, result: words.clone(), told };
        self.log.push(Logged { time, wall: 0, connection: place, line: self.line, what });
        self.reference = self.reference.max(time);
        self.pump()?;
        if got == wanted || expected == Expected::Any {
            Ok(Ok(Went { line: step.line, deviation: None, seen: words }))
        } else {
            Ok(Err(Failure { line: step.line, expected: self.text(step.line), seen: words }))
        }
    }

    fn ends(&self, place: usize) -> (SocketAddr, SocketAddr) {
        let ports = self.connections.get(place).map_or(Ports::default(), |connection| connection.ports);
        ends(addresses(self.family), (ports.kernel, ports.peer))
    }

    fn make(&mut self, place: usize, call: &Call, progress: &mut Progress) -> Outcome<Answer> {
        let (here, there) = self.ends(place);
        let user = &mut self.user;
        match call {
            Call::Listen { backlog } => {
                let socket = user.make(place, here)?;
                socket.bind(here)?;
                socket.listen(*backlog)?;
                user.listener = Some(socket);
            }
            Call::Connect { to, bound } => {
                let there = to.map_or(there, |address| SocketAddr::new(address, there.port()));
                if user.socket(place).is_err() {
                    let socket = user.make(place, here)?;
                    // Only the port: which address fits is for IP to say (MUST-44).
                    let any = if here.is_ipv4() { IpAddr::from([0; 4]) } else { IpAddr::from([0_u16; 8]) };
                    socket.bind(if *bound { here } else { SocketAddr::new(any, here.port()) })?;
                    user.put(place, Some(socket));
                }
                user.socket(place)?.connect(there)?;
            }
            Call::Accept => {
                let socket = user.listener.as_ref().ok_or(libc::EBADF)?.accept()?;
                user.put(place, Some(socket));
            }
            Call::Send { len, urgent, more } => {
                let size = usize::try_from(*len).unwrap_or(usize::MAX);
                let mut flags = if *urgent { libc::MSG_OOB } else { 0 };
                if *more {
                    flags |= libc::MSG_MORE;
                }
                let sent = user.socket(place)?.send(&vec![0x55; size], flags)?;
                if sent != size {
                    return Ok(Answer::No(format!("{sent} octets sent")));
                }
            }
            Call::Receive { len, urgent } => return receive(user.socket(place)?, *len, *urgent, progress),
            Call::Shutdown(direction) => user.socket(place)?.shutdown(*direction)?,
            Call::Close => {
                user.socket(place)?;
                user.put(place, None);
            }
            Call::Abort => {
                user.socket(place)?.linger_zero()?;
                user.put(place, None);
            }
            Call::Disconnect => user.socket(place)?.disconnect()?,
            Call::Set(option, value) => match user.socket(place) {
                Ok(socket) => socket.set(*option, *value)?,
                Err(_) => user.settings.push((place, *option, *value)),
            },
            Call::Get(option, from, to) => {
                let got = user.socket(place)?.get(*option)?;
                if !(*from..=*to).contains(&got) {
                    return Ok(Answer::No(format!("{got}")));
                }
            }
            Call::Error => return user.socket(place)?.error().map(Answer::Error),
            Call::CloseListener => user.listener = None,
            Call::Poll(readiness) => {
                if !user.socket(place)?.ready(*readiness) {
                    return Ok(Answer::No("not reported".to_owned()));
                }
            }
        }
        Ok(Answer::Done)
    }
}

/// What a call has given so far.
struct Progress {
    read: u32,
    /// The octet that has to come next.
    next: Option<u8>,
}

enum Answer {
    Done,
    /// SO_ERROR.
    Error(i32),
    /// Another answer than the one that was asked for.
    No(String),
}

fn receive(socket: &Socket, len: u32, urgent: bool, progress: &mut Progress) -> Outcome<Answer> {
    let flags = if urgent { libc::MSG_OOB } else { 0 };
    if len == 0 {
        let got = socket.receive(&mut [0; 16], flags)?;
        return Ok(if got == 0 { Answer::Done } else { Answer::No(format!("{got} octets")) });
    }
    while progress.read < len {
        let mut text = vec![0; usize::try_from(len - progress.read).unwrap_or(0)];
        let got = socket.receive(&mut text, flags)?;
        if got == 0 {
            return Ok(Answer::No(format!("EOF after {} octets", progress.read)));
        }
        // Each octet is the low byte of its number: one more than the one before.
        for octet in text.iter().take(got) {
            if progress.next.is_some_and(|next| next != *octet) {
                return Ok(Answer::No(format!("octets out of order after {}", progress.read)));
            }
            progress.next = Some(octet.wrapping_add(1));
            progress.read += 1;
        }
    }
    Ok(Answer::Done)
}

fn known(address: IpAddr) -> bool {
    let (_, v4) = addresses(Family::Ipv4);
    let (_, v6) = addresses(Family::Ipv6);
    address == v4 || address == v6
}

fn name(error: i32) -> String {
    let known = ERRORS.iter().find(|(_, number)| *number == error);
    known.map_or_else(|| format!("error {error}"), |(name, _)| (*name).to_owned())
}

/// What the oracle is told of a call.
fn told(
    call: &Call,
    result: &Outcome<Answer>,
    user: &User,
    place: usize,
    family: Family,
) -> Option<event::Call> {
    if !matches!(result, Ok(Answer::Done)) {
        return None;
    }
    Some(match call {
        Call::Listen { .. } => event::Call::listen(config(user, place, family)),
        Call::Connect { .. } => event::Call::Open {
            origin: Origin::Active,
            remote: Remote::Specified,
            config: config(user, place, family),
            admission: Ok(()),
        },
        Call::Send { len, urgent, .. } => event::Call::Send {
            len: *len,
            push: true,
            urgent: *urgent,
            remote: Remote::Unspecified,
            admission: Ok(()),
        },
        Call::Shutdown(Direction::Write) => event::Call::CLOSE,
        Call::Shutdown(Direction::Both) | Call::Close => event::Call::CLOSE_BOTH,
        Call::Abort | Call::Disconnect => event::Call::Abort,
        // Whom nobody has accepted goes with the listener.
        Call::CloseListener if user.socket(place).is_err() => event::Call::Abort,
        _ => return None,
    })
}

/// What the user's options make of a connection.
fn config(user: &User, place: usize, family: Family) -> Config {
    let set = |wanted| {
        let settings = user.settings.iter().rev();
        settings
            .filter(|(at, ..)| *at == place)
            .find(|(_, option, _)| *option == wanted)
            .map(|(.., value)| *value)
    };
    let seconds = |value: i32| u64::try_from(value).unwrap_or(0) * 1_000_000;
    let on = |option| set(option).is_some_and(|value| value != 0);
    Config {
        default_mss: if family == Family::Ipv4 { 536 } else { 1220 },
        // The window is what the kernel tells, no more.
        receive_buffer: 1,
        // The kernel offers them all; its SYN shows what it did.
        window_scale: Some(0),
        timestamps: true,
        sack: true,
        send_buffer: u32::MAX >> 2,
        nagle: !on(SocketOption::NoDelay),
        keep_alive: on(SocketOption::KeepAlive)
            .then(|| set(SocketOption::KeepIdle).map_or(7_200_000_000, seconds)),
        user_timeout: set(SocketOption::UserTimeout)
            .filter(|value| *value > 0)
            .map(|value| u64::try_from(value).unwrap_or(0) * 1_000),
        fast_open: on(SocketOption::FastOpenConnect),
        ..Config::DEFAULT
    }
}
