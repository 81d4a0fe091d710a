//! `user`: the calls.

use super::{find, incomplete};
use crate::audit::scenario::{
    error::Wrong,
    script::{Action, Call, Direction, Expected, Readiness, SocketOption},
    words::{errno, range, unknown, value},
};

const CALLS: [&str; 15] = [
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
        ("listen", []) => Call::Listen { backlog: 128 },
        ("listen", [word]) => {
            let backlog =
                word.strip_prefix("backlog=").ok_or_else(|| unknown(word, ["backlog=N"].into_iter()))?;
            Call::Listen { backlog: value(backlog, "number")? }
        }
        ("connect", []) => Call::Connect { to: None, bound: false },
        ("connect", ["bound"]) => Call::Connect { to: None, bound: true },
        ("connect", ["to", address]) => Call::Connect { to: Some(value(address, "address")?), bound: false },
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

fn option(name: &str) -> Result<SocketOption, Wrong> {
    find(name, SocketOption::ALL.iter().map(|(option, name)| (*option, *name)))
}
