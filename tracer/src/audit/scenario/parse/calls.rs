//! `user`: the calls.

use super::{find, incomplete};
use crate::audit::scenario::{
    error::Wrong,
    script::{Action, Call, Direction, Expected, Readiness, SocketKind, SocketOption, Target},
    words::{errno, range, unknown, value},
};

const CALLS: [&str; 19] = [
    "listen",
    "connect",
    "accept",
    "send",
    "recv",
    "shutdown",
    "close",
    "abort",
    "disconnect",
    "set",
    "get",
    "error",
    "close-listener",
    "connect-listener",
    "shutdown-listener",
    "destroy",
    "destroy-listener",
    "poll",
    "recv-urgent",
];

/// The words behind `user`.
pub(super) fn user(words: &[&str]) -> Result<Action, Wrong> {
    let (words, expected) = match words {
        [words @ .., "->", "any"] => (words, Expected::Any),
        [words @ .., "->", error] => (words, Expected::Error(errno(error)?)),
        words => (words, Expected::Ok),
    };
    let Some((name, rest)) = words.split_first() else { return Err(incomplete("user", "a call")) };
    let call = match (*name, rest) {
        ("listen", words) => listen(words)?,
        ("connect", words) => connect(words)?,
        ("accept", []) => Call::Accept,
        ("send", [len]) => Call::Send { len: value(len, "number of octets")?, urgent: false, more: false },
        ("send", [len, "urgent"]) => {
            Call::Send { len: value(len, "number of octets")?, urgent: true, more: false }
        }
        ("send", [len, "more"]) => {
            Call::Send { len: value(len, "number of octets")?, urgent: false, more: true }
        }
        ("recv", ["EOF"]) => Call::Receive { len: 0, urgent: false },
        ("recv", [len]) => Call::Receive { len: value(len, "number of octets, or EOF,")?, urgent: false },
        ("recv-urgent", []) => Call::Receive { len: 1, urgent: true },
        ("shutdown", [direction]) => {
            let known = [(Direction::Read, "rd"), (Direction::Write, "wr"), (Direction::Both, "rdwr")];
            Call::Shutdown(find(direction, known.into_iter())?)
        }
        ("close", []) => Call::Close,
        ("abort", []) => Call::Abort,
        ("disconnect", []) => Call::Disconnect,
        ("close-listener", []) => Call::CloseListener,
        ("connect-listener", []) => Call::ConnectListener,
        ("shutdown-listener", []) => Call::ShutdownListener,
        ("destroy", []) => Call::Destroy,
        ("destroy-listener", []) => Call::DestroyListener,
        ("error", []) => Call::Error,
        ("set", [setting]) => {
            let (name, setting) = setting.split_once('=').ok_or_else(|| incomplete("set", "OPTION=VALUE"))?;
            Call::Set(option(name)?, value(setting, "number")?)
        }
        ("get", [name, span]) => {
            let (from, to) = range(span)?;
            Call::Get(option(name)?, from, to)
        }
        ("poll", [word]) => {
            let known = [
                (Readiness::Urgent, "urgent"),
                (Readiness::Readable, "readable"),
                (Readiness::Writable, "writable"),
                (Readiness::HungUp, "hung-up"),
                (Readiness::Error, "error"),
            ];
            Call::Poll(find(word, known.into_iter())?)
        }
        (known, _) if CALLS.contains(&known) => {
            return Err(incomplete(known, "other arguments (docs/audit-scenarios.md)"));
        }
        (other, _) => return Err(unknown(other, CALLS.into_iter())),
    };
    Ok(Action::User(call, expected))
}

const KINDS: [(SocketKind, &str); 2] = [(SocketKind::Mapped, "mapped"), (SocketKind::Multipath, "multipath")];

fn listen(words: &[&str]) -> Result<Call, Wrong> {
    let (mut backlog, mut kind) = (128, SocketKind::Plain);
    for word in words {
        match word.strip_prefix("backlog=") {
            Some(number) => backlog = value(number, "number")?,
            None => kind = find(word, KINDS.into_iter())?,
        }
    }
    Ok(Call::Listen { backlog, kind })
}

fn connect(words: &[&str]) -> Result<Call, Wrong> {
    let (mut to, mut bound, mut kind) = (Target::Peer, false, SocketKind::Plain);
    match words {
        [] => {}
        ["bound"] => bound = true,
        ["itself"] => to = Target::Itself,
        ["to", address] => to = Target::Address(value(address, "address")?),
        [word] => kind = find(word, KINDS.into_iter())?,
        _ => return Err(incomplete("connect", "other arguments (docs/audit-scenarios.md)")),
    }
    Ok(Call::Connect { to, bound, kind })
}

fn option(name: &str) -> Result<SocketOption, Wrong> {
    find(name, SocketOption::ALL.iter().map(|(option, name)| (*option, *name)))
}
