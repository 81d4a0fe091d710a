//! What the user does: system calls, with patience where the network decides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use model::event;

use super::{Done, Failure, PlayError, Player, Went, told::told};
use crate::audit::{
    account::{Ports, now},
    play::{
        log::{Logged, Recorded},
        user::{Outcome, Socket, ends},
    },
    scenario::{Call, Direction, ERRORS, Expected, SocketKind, Step, Target},
    world::addresses,
};
use crate::kernel::sock_diag;

impl Player<'_> {
    pub(super) fn call(
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
        let mut progress = Progress::default();
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
            Call::Receive { len, urgent: false } => progress.told(*len, self.user.is_deaf(place)),
            Call::Receive { .. } => Vec::new(),
            _ => told(call, &result, &self.user, place, self.family).into_iter().collect(),
        };
        self.cannot = result.as_ref().err().and_then(|error| impossible(call, *error));
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

    fn ends(&self, place: usize) -> (SocketAddr, SocketAddr) {
        let ports = self.connections.get(place).map_or(Ports::default(), |connection| connection.ports);
        ends(addresses(self.family), (ports.kernel, ports.peer))
    }

    fn make(&mut self, place: usize, call: &Call, progress: &mut Progress) -> Outcome<Answer> {
        let (here, there) = self.ends(place);
        let user = &mut self.user;
        match call {
            Call::Listen { backlog, kind } => {
                if user.listener.is_none() {
                    let here = as_seen_by(*kind, here);
                    let socket = user.make(place, here, *kind)?;
                    socket.bind(here)?;
                    user.listener = Some(socket);
                }
                user.listener()?.listen(*backlog)?;
            }
            Call::Connect { to, bound, kind } => {
                let there = match to {
                    Target::Peer => there,
                    Target::Address(address) => SocketAddr::new(*address, there.port()),
                    Target::Itself => here,
                };
                let [here, there] = [here, there].map(|end| as_seen_by(*kind, end));
                if user.socket(place).is_err() {
                    let socket = user.make(place, here, *kind)?;
                    // Only the port: which address fits is for IP to say (MUST-44).
                    let any = SocketAddr::new(unspecified(here), here.port());
                    socket.bind(if *bound { here } else { any })?;
                    user.put(place, Some(socket));
                }
                user.socket(place)?.connect(there)?;
            }
            Call::Accept => {
                let socket = user.accept(there.port())?;
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
            Call::Shutdown(direction) => {
                user.socket(place)?.shutdown(*direction)?;
                if *direction != Direction::Write {
                    user.deaf.insert(place);
                }
            }
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
            Call::ConnectListener => drop(user.listener()?.connect(there)?),
            Call::ShutdownListener => user.listener()?.shutdown(Direction::Both)?,
            Call::Destroy => destroy(here, there)?,
            Call::DestroyListener => destroy(here, SocketAddr::new(unspecified(here), 0))?,
            Call::Poll(readiness) => {
                if !user.socket(place)?.ready(*readiness) {
                    return Ok(Answer::No("not reported".to_owned()));
                }
            }
        }
        Ok(Answer::Done)
    }
}

fn unspecified(like: SocketAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

/// An address as a socket of this kind wants it.
fn as_seen_by(kind: SocketKind, address: SocketAddr) -> SocketAddr {
    match (kind, address.ip()) {
        (SocketKind::Mapped, IpAddr::V4(v4)) => SocketAddr::new(v4.to_ipv6_mapped().into(), address.port()),
        _ => address,
    }
}

fn destroy(here: SocketAddr, there: SocketAddr) -> Outcome<()> {
    sock_diag::destroy(here, there).map_err(|error| error.errno().unwrap_or(libc::EIO))
}

/// What a kernel without the ability says to a call.
fn impossible(call: &Call, error: i32) -> Option<&'static str> {
    match (call, error) {
        (Call::Destroy | Call::DestroyListener, libc::EOPNOTSUPP) => {
            Some("this kernel cannot destroy such a socket (CONFIG_INET_DIAG_DESTROY)")
        }
        (
            Call::Listen { kind: SocketKind::Multipath, .. }
            | Call::Connect { kind: SocketKind::Multipath, .. },
            libc::EPROTONOSUPPORT | libc::ENOPROTOOPT,
        ) => Some("this kernel has no Multipath TCP, or net.mptcp.enabled is 0"),
        _ => None,
    }
}

/// What a call has given so far.
#[derive(Default)]
struct Progress {
    read: u32,
    /// The octet that has to come next.
    next: Option<u8>,
    /// Then there was no more to come.
    ended: bool,
}

impl Progress {
    /// What the oracle is told of a read of `len` octets, 0 standing for the end alone. What was read was read, whether or
    /// not it is all that was asked for.
    fn told(&self, len: u32, deaf: bool) -> Vec<event::Call> {
        // Who has shut down the reading side is told of an end that is none of the peer's.
        let ended = self.ended && !deaf;
        let mut told = Vec::new();
        if ended {
            told.push(event::Call::receive(len.max(1)));
        } else if self.read > 0 {
            told.push(event::Call::receive(self.read));
        }
        // A system call that gives text tells of no end, though it may come upon it: another one has.
        if ended && self.read > 0 {
            told.push(event::Call::receive(1));
        }
        told
    }
}

/// What a call gave, where it gave no error.
pub(super) enum Answer {
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
        progress.ended = got == 0;
        progress.read = u32::try_from(got).unwrap_or(0);
        return Ok(if got == 0 { Answer::Done } else { Answer::No(format!("{got} octets")) });
    }
    while progress.read < len {
        let mut text = vec![0; usize::try_from(len - progress.read).unwrap_or(0)];
        let got = socket.receive(&mut text, flags)?;
        if got == 0 {
            progress.ended = true;
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

fn name(error: i32) -> String {
    let known = ERRORS.iter().find(|(_, number)| *number == error);
    known.map_or_else(|| format!("error {error}"), |(name, _)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use model::event;

    use super::{Progress, impossible};
    use crate::audit::scenario::{Call, SocketKind};

    #[test]
    fn only_what_a_kernel_lacks_ends_a_scenario_early() {
        let listen = |kind| Call::Listen { backlog: 1, kind };
        assert!(impossible(&Call::Destroy, libc::EOPNOTSUPP).is_some());
        assert!(impossible(&listen(SocketKind::Multipath), libc::EPROTONOSUPPORT).is_some());
        assert_eq!(impossible(&Call::Destroy, libc::ENOENT), None);
        assert_eq!(impossible(&Call::Disconnect, libc::EOPNOTSUPP), None);
        assert_eq!(impossible(&listen(SocketKind::Multipath), libc::EADDRINUSE), None);
        assert_eq!(impossible(&listen(SocketKind::Plain), libc::EPROTONOSUPPORT), None);
    }

    #[test]
    fn what_was_read_is_told_and_the_peer_s_end() {
        let told = |read, ended, deaf| Progress { read, next: None, ended }.told(10, deaf);
        let receive = event::Call::receive;
        assert_eq!(told(0, false, false), []);
        assert_eq!(told(7, false, false), [receive(7)]);
        assert_eq!(told(0, true, false), [receive(10)]);
        assert_eq!(told(7, true, false), [receive(10), receive(1)]);
        // Nobody knows whether the peer has ended anything.
        assert_eq!((told(0, true, true), told(7, true, true)), (vec![], vec![receive(7)]));
        assert_eq!(Progress { ended: true, ..Progress::default() }.told(0, false), [receive(1)]);
    }
}
