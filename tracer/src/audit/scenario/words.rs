//! The words of a scenario: times, numbers, flags, ranges, octets.

use std::{str::FromStr, time::Duration};

use model::{Flags, State};

use super::{error::Wrong, script::Number};

pub fn value<T: FromStr>(text: &str, expected: &'static str) -> Result<T, Wrong> {
    text.parse().map_err(|_| Wrong::Value { found: text.to_owned(), expected })
}

/// `200ms`, `1.5s`, `2min`.
pub fn duration(text: &str) -> Result<Duration, Wrong> {
    let wrong = || Wrong::Value { found: text.to_owned(), expected: "time, as in 200ms, 1.5s or 2min" };
    let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?;
    let (amount, unit) = text.split_at(split);
    let amount: f64 = amount.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "ms" => amount / 1000.0,
        "s" => amount,
        "min" => amount * 60.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

/// `5`, `+5`, `-5`, `edge`, `edge-1`.
pub fn number(text: &str) -> Result<Number, Wrong> {
    let expected = "number: 5 from the ISS, +5 or -5 from the next one, edge or edge-1 from the right edge";
    if let Some(rest) = text.strip_prefix("edge") {
        return Ok(Number::Edge(if rest.is_empty() { 0 } else { value(rest, expected)? }));
    }
    let amount = value(text.strip_prefix('+').unwrap_or(text), expected)?;
    Ok(if text.starts_with(['+', '-']) { Number::Relative(amount) } else { Number::Absolute(amount) })
}

/// `5`, `5..10`, `1..` (up to the largest).
pub fn range<T: FromStr + Copy + Limits>(text: &str) -> Result<(T, T), Wrong> {
    let expected = "number or range, as in 5, 5..10 or 1..";
    match text.split_once("..") {
        None => value(text, expected).map(|n| (n, n)),
        Some((from, "")) => Ok((value(from, expected)?, T::LARGEST)),
        Some((from, to)) => Ok((value(from, expected)?, value(to, expected)?)),
    }
}

pub trait Limits {
    const LARGEST: Self;
}
impl Limits for u16 {
    const LARGEST: Self = Self::MAX;
}
impl Limits for u32 {
    const LARGEST: Self = Self::MAX;
}
impl Limits for i32 {
    const LARGEST: Self = Self::MAX;
}

/// `SYN,ACK`, `none`, `SYN,ECE,CWR`: control bits, and those of ECN.
pub fn flags(text: &str) -> Result<(Flags, u8), Wrong> {
    let (mut flags, mut ecn) = (Flags::NONE, 0);
    for word in text.split(',') {
        match word {
            "FIN" => flags = flags | Flags::FIN,
            "SYN" => flags = flags | Flags::SYN,
            "RST" => flags = flags | Flags::RST,
            "PSH" => flags = flags | Flags::PSH,
            "ACK" => flags = flags | Flags::ACK,
            "URG" => flags = flags | Flags::URG,
            "ECE" => ecn |= 1,
            "CWR" => ecn |= 2,
            "none" => {}
            _ => {
                let expected = "set of control bits, as in SYN,ACK or none";
                return Err(Wrong::Value { found: text.to_owned(), expected });
            }
        }
    }
    Ok((flags, ecn))
}

/// `01:02:ff`.
pub fn octets(text: &str) -> Result<Vec<u8>, Wrong> {
    let wrong = || Wrong::Value { found: text.to_owned(), expected: "row of octets, as in 02:04:05:b4" };
    text.split(':').map(|octet| u8::from_str_radix(octet, 16).map_err(|_| wrong())).collect()
}

/// `FIN-WAIT-1`.
pub fn state(text: &str) -> Result<State, Wrong> {
    State::ALL.into_iter().find(|state| state.to_string() == text).ok_or_else(|| Wrong::Value {
        found: text.to_owned(),
        expected: "state of RFC 9293, as in FIN-WAIT-1",
    })
}

/// The errors of calls.
pub const ERRORS: [(&str, i32); 21] = [
    ("EAGAIN", libc::EAGAIN),
    ("ECONNREFUSED", libc::ECONNREFUSED),
    ("ECONNRESET", libc::ECONNRESET),
    ("ECONNABORTED", libc::ECONNABORTED),
    ("EPIPE", libc::EPIPE),
    ("ETIMEDOUT", libc::ETIMEDOUT),
    ("EHOSTUNREACH", libc::EHOSTUNREACH),
    ("ENETUNREACH", libc::ENETUNREACH),
    ("ENOPROTOOPT", libc::ENOPROTOOPT),
    ("EACCES", libc::EACCES),
    ("EPROTO", libc::EPROTO),
    ("EINVAL", libc::EINVAL),
    ("EISCONN", libc::EISCONN),
    ("ENOTCONN", libc::ENOTCONN),
    ("EADDRINUSE", libc::EADDRINUSE),
    ("EADDRNOTAVAIL", libc::EADDRNOTAVAIL),
    ("EALREADY", libc::EALREADY),
    ("ENOENT", libc::ENOENT),
    ("EOPNOTSUPP", libc::EOPNOTSUPP),
    ("EPROTONOSUPPORT", libc::EPROTONOSUPPORT),
    ("none", 0),
];

/// An error by name.
pub fn errno(text: &str) -> Result<i32, Wrong> {
    let known = ERRORS.iter().find(|(name, _)| *name == text);
    known.map(|(_, number)| *number).ok_or_else(|| unknown(text, ERRORS.iter().map(|(name, _)| *name)))
}

pub fn unknown<'a>(found: &str, known: impl Iterator<Item = &'a str>) -> Wrong {
    Wrong::Word { found: found.to_owned(), known: known.collect::<Vec<_>>().join(", ") }
}
