//! The ladder of a story: time downwards, A on the left, B on the right.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write as _;

use super::{Fate, Pair, Side, What};
use crate::effect::Signal;
use crate::event::{Call, Origin};

const COLUMN: usize = 30;
const WIRE: usize = 50;

/// Draws what happened: calls, segments (`--x` when lost), timers, what users were told, and every change of state
/// with the rules that caused it.
#[must_use]
pub fn ladder(pair: &Pair) -> String {
    let mut text = format!("{:>10}   {:<COLUMN$} {:<WIRE$} {}\n", "seconds", "A", "", "B");
    for entry in &pair.log {
        let time = format!("{:>3}.{:06}", entry.at / 1_000_000, entry.at % 1_000_000);
        let mut change = String::new();
        if entry.before != entry.after {
            change = format!("-> {}", entry.after);
        }
        let (here, wire) = match &entry.what {
            What::Note(note) => {
                let _ = writeln!(text, "{:>10}   # {note}", "");
                continue;
            }
            What::Sent(segment, fate) => {
                let label = segment.to_string();
                (entry.after.to_string(), arrow(entry.side, &label, *fate))
            }
            What::Call(call, reply, trail) => {
                let mut what = format!("{} {change}", call_name(*call));
                if let Err(error) = reply {
                    what += &format!("(error: {error:?})");
                }
                (what, format!("[{trail}]"))
            }
            What::Arrived(segment, trail) => {
                let what = if change.is_empty() { entry.after.to_string() } else { change };
                (what, format!("{segment} [{trail}]"))
            }
            What::Expired(timer, trail) => (format!("{} timer {change}", timer.name()), format!("[{trail}]")),
            What::Told(signal) => (format!("user: {}", told(*signal)), String::new()),
        };
        let row = match entry.side {
            Side::A => format!("{time:>10}   {here:<COLUMN$} {wire:<WIRE$}"),
            Side::B => format!("{time:>10}   {:<COLUMN$} {wire:>WIRE$} {here}", ""),
        };
        text += row.trim_end();
        text.push('\n');
    }
    text
}

fn arrow(from: Side, label: &str, fate: Fate) -> String {
    let room = WIRE.saturating_sub(label.len() + 6);
    let line = "-".repeat(room);
    match (from, fate) {
        (Side::A, Fate::Lost) => format!("--{label}--x"),
        (Side::A, _) => format!("--{label}{line}-->{}", late(fate)),
        (Side::B, Fate::Lost) => format!("x--{label}--"),
        (Side::B, _) => format!("{}<--{line}{label}--", late(fate)),
    }
}

fn late(fate: Fate) -> &'static str {
    if matches!(fate, Fate::Late(_)) { " (late)" } else { "" }
}

fn call_name(call: Call) -> String {
    match call {
        Call::Open { origin: Origin::Passive, .. } => "OPEN passive".to_string(),
        Call::Open { .. } => "OPEN active".to_string(),
        Call::Send { len, .. } => format!("SEND {len}"),
        Call::Receive { len, .. } => format!("RECEIVE {len}"),
        Call::Close { .. } => "CLOSE".to_string(),
        Call::Abort => "ABORT".to_string(),
        Call::Status => "STATUS".to_string(),
    }
}

fn told(signal: Signal) -> String {
    match signal {
        Signal::Received(delivery) => format!("received {} octets from {}", delivery.len, delivery.seq),
        Signal::Sent(until) => format!("sent, up to {until}"),
        Signal::Urgent(until) => format!("urgent data up to {until}"),
        Signal::Aborted(error) => format!("aborted, {error:?}"),
        Signal::ReceiveFailed(error) => format!("RECEIVE failed, {error:?}"),
        Signal::SendFailed(error) => format!("SEND failed, {error:?}"),
        Signal::Established => "connected".to_string(),
        Signal::Closing => "the peer is closing".to_string(),
        Signal::Closed => "CLOSE done".to_string(),
        Signal::DeliveryProblem => "delivery is in trouble (R1)".to_string(),
        Signal::SoftError => "soft error".to_string(),
    }
}
