//! What a scenario waits for: whether it has happened, cannot happen any more, or may still.

use std::{fmt::Write as _, time::Duration};

use model::{Flags, State};

use super::connection::Connection;
use crate::audit::{
    account::Account,
    scenario::{Awaited, Pattern, Window},
    world::Parsed,
};

/// Time that reading takes: what is decided by its absence is decided that much later, nanoseconds.
pub const SLACK: u64 = 60_000_000;

/// Where something awaited stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It happened, at this time; in words.
    Happened(u64, String),
    /// It cannot happen any more; what was seen instead.
    Missed(String),
    /// It may still, and silence decides at this time.
    Open(u64),
}

/// Where to look.
pub struct Scene<'a> {
    pub connection: &'a Connection,
    pub account: &'a Account,
    /// When the window's time begins to count.
    pub base: u64,
    pub now: u64,
}

impl Scene<'_> {
    pub fn standing(&self, what: &Awaited, window: &Window) -> Standing {
        let from = self.base + nanoseconds(window.from);
        let to = self.base + nanoseconds(window.to);
        match what {
            Awaited::Segment(pattern) => self.segment(pattern, window, (from, to)),
            Awaited::State(state) => self.state(*state, window, (from, to)),
            Awaited::Silence(span) => self.silence(self.base + nanoseconds(*span)),
        }
    }

    fn segment(&self, pattern: &Pattern, window: &Window, (from, to): (u64, u64)) -> Standing {
        let Some((time, parsed)) = self.connection.unread.front() else {
            return self.absent(to, "nothing was sent");
        };
        let seen = describe(self.connection, parsed);
        if let Some(wrong) = mismatch(pattern, self.connection, parsed) {
            return Standing::Missed(format!("{seen}: {wrong}"));
        }
        // What was sent while the peer was still busy counts as soon as well.
        if *window != Window::SOON && *time < from || *time > to {
            return Standing::Missed(format!("{seen}, {}", after(self.base, *time)));
        }
        Standing::Happened(*time, format!("{seen}, {}", after(self.base, *time)))
    }

    fn state(&self, state: State, window: &Window, (from, to): (u64, u64)) -> Standing {
        let ports = self.connection.ports;
        let now = self.account.state(ports);
        let timed = *window != Window::SOON;
        if !timed && now == state {
            let last = self.account.changes().iter().rev().find(|change| change.ports == ports);
            let time = last.map_or(self.base, |change| change.time.max(self.base));
            return Standing::Happened(time, format!("{state}"));
        }
        let entered = self.account.changes().iter().find(|change| {
            change.ports == ports && change.transition.to == state && change.time >= self.base
        });
        match entered {
            Some(change) if change.time < from || change.time > to => {
                Standing::Missed(format!("{state} {}", after(self.base, change.time)))
            }
            Some(change) => {
                Standing::Happened(change.time, format!("{state} {}", after(self.base, change.time)))
            }
            None => self.absent(to, &format!("the state is {now}")),
        }
    }

    fn silence(&self, until: u64) -> Standing {
        match self.connection.unread.front() {
            Some((time, parsed)) if *time <= until => {
                let seen = describe(self.connection, parsed);
                Standing::Missed(format!("{seen}, {}", after(self.base, *time)))
            }
            _ if self.now >= until + SLACK => Standing::Happened(until, "silence".to_owned()),
            _ => Standing::Open(until + SLACK),
        }
    }

    fn absent(&self, to: u64, seen: &str) -> Standing {
        if self.now > to + SLACK {
            Standing::Missed(format!("{seen} {}", after(self.base, self.now)))
        } else {
            Standing::Open(to + SLACK)
        }
    }
}

pub fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn after(base: u64, time: u64) -> String {
    let micros = time.saturating_sub(base) / 1_000;
    format!("after {}.{:03} ms", micros / 1_000, micros % 1_000)
}

/// A segment of the kernel in a scenario's own words.
pub fn describe(connection: &Connection, parsed: &Parsed) -> String {
    let segment = &parsed.segment;
    let mut text =
        format!("{}{} seq={}", segment.flags, ecn(parsed.ecn_bits), connection.of_kernel(segment.seq));
    if segment.has(Flags::ACK) {
        let _ = write!(text, " ack={}", connection.of_peer(segment.ack));
    }
    if segment.len > 0 {
        let _ = write!(text, " len={}", segment.len);
    }
    let _ = write!(text, " win={}", segment.window);
    text
}

fn ecn(bits: u8) -> &'static str {
    match bits {
        1 => ",ECE",
        2 => ",CWR",
        3 => ",ECE,CWR",
        _ => "",
    }
}

/// What does not fit.
fn mismatch(pattern: &Pattern, connection: &Connection, parsed: &Parsed) -> Option<String> {
    let Pattern {
        flags,
        not_pushed,
        ecn_bits,
        seq,
        ack,
        len,
        window,
        urgent,
        mss,
        window_scale,
        timestamps,
        sack_permitted,
        sack,
        fast_open,
        traffic_class,
        hops,
        ip_options,
        iss_gap,
    } = pattern;
    let segment = &parsed.segment;
    let options = &segment.options;
    let pushed = segment.has(Flags::PSH);
    let bare = |flags: Flags| flags.without(Flags::PSH);
    if bare(segment.flags) != bare(*flags) || flags.has(Flags::PSH) && !pushed || *not_pushed && pushed {
        return Some(format!("not {flags}{}", if *not_pushed { " without PSH" } else { "" }));
    }
    let kernel = (connection.kernel_iss.unwrap_or_default(), connection.kernel_taken);
    let peer = (connection.peer_iss, connection.peer_nxt);
    if let Some(number) = seq
        && connection.number(*number, kernel) != segment.seq
    {
        return Some(format!("not seq={}", connection.of_kernel(connection.number(*number, kernel))));
    }
    if let Some(number) = ack
        && connection.number(*number, peer) != segment.ack
    {
        return Some(format!("not ack={}", connection.of_peer(connection.number(*number, peer))));
    }
    let sacked = parsed.sacks.first().map(|(from, to)| (connection.of_peer(*from), connection.of_peer(*to)));
    let within = |range: &Option<(u32, u32)>, value: u32| range.is_none_or(|(a, b)| (a..=b).contains(&value));
    let wide = |range: &Option<(u16, u16)>| range.map(|(a, b)| (u32::from(a), u32::from(b)));
    let checks = [
        (within(len, segment.len), "length"),
        (within(&wide(window), segment.window.into()), "window"),
        (urgent.is_none_or(|pointer| pointer == segment.urgent), "urgent pointer"),
        (ecn_bits.is_none_or(|bits| bits == parsed.ecn_bits), "ECN bits"),
        (
            match (mss, options.mss) {
                (None, _) | (Some(None), None) => true,
                (Some(range), Some(mss)) => range.is_some_and(|(a, b)| (a..=b).contains(&mss)),
                (Some(Some(_)), None) => false,
            },
            "MSS option",
        ),
        (window_scale.is_none_or(|there| there == options.window_scale.is_some()), "window scale option"),
        (timestamps.is_none_or(|there| there == options.timestamps.is_some()), "timestamps option"),
        (sack_permitted.is_none_or(|there| there == options.sack_permitted), "SACK-permitted option"),
        (sack.is_none_or(|block| block == sacked), "SACK option"),
        (fast_open.is_none_or(|there| there == options.fast_open.is_some()), "Fast Open option"),
        (traffic_class.is_none_or(|class| class == parsed.traffic_class), "traffic class"),
        (hops.is_none_or(|hops| hops == parsed.hops), "TTL"),
        (iss_gap.is_none() || connection.iss_gap.is_some_and(|gap| within(iss_gap, gap)), "ISS"),
        (ip_options.is_none_or(|length| length == parsed.ip_options), "IP options"),
    ];
    let wrong = checks.iter().find(|(fits, _)| !fits);
    wrong.map(|(_, what)| {
        format!(
            "another {what} (ISS gap {:?}, options {options:?}, sack {sacked:?}, urgent {}, class {}, ttl {}, ip options {})",
            connection.iss_gap, segment.urgent, parsed.traffic_class, parsed.hops, parsed.ip_options
        )
    })
}
