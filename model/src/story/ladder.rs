//! The ladder of a story: time downwards, A on the left, B on the right, as in the figures of RFC 9293, section 3.5.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::{Entry, Fate, Pair, Side, What};
use crate::effect::Signal;
use crate::event::{Call, Origin, Timer};
use crate::segment::{FastOpen, Flags, Segment};

/// Where A's column, a segment and B's column begin, and where every row ends.
const A: usize = 10;
const SEGMENT: usize = 27;
const B: usize = 86;
const END: usize = 100;

/// Draws what happened: calls, segments, timers, what users were told, and every change of state.
///
/// A segment that arrives before anything else happens takes one row, with the time at which it left and both ends'
/// states at its two ends. Otherwise `...` stands where it is still on its way, and its arrival is a row of its own; `X`
/// stands where it is lost. A window is shown where it differs from the last one that its sender showed.
#[must_use]
pub fn ladder(pair: &Pair) -> String {
    Ladder::new(pair, false).draw()
}

/// The same, and under each event the rules that it took.
#[must_use]
pub fn ladder_with_rules(pair: &Pair) -> String {
    Ladder::new(pair, true).draw()
}

struct Ladder<'a> {
    pair: &'a Pair,
    rules: bool,
    text: String,
    /// The time of the row before, which is not repeated.
    last: Option<u64>,
    /// What has been drawn together with an earlier entry.
    drawn: Vec<bool>,
    /// The windows that A and B showed last.
    windows: [Option<u16>; 2],
}

impl<'a> Ladder<'a> {
    fn new(pair: &'a Pair, rules: bool) -> Self {
        let drawn = vec![false; pair.log.len()];
        Self { pair, rules, text: String::new(), last: None, drawn, windows: [None; 2] }
    }

    fn draw(mut self) -> String {
        self.text = format!("{:>8}  {:<2$}B\n", "seconds", "A", B - A);
        for (index, entry) in self.pair.log.iter().enumerate() {
            if self.drawn.get(index).is_some_and(|drawn| !drawn) {
                self.entry(index, entry);
            }
        }
        let (a, b) = self.pair.states();
        self.row(self.pair.now, &line(&[(A, a.name()), (SEGMENT, "(the end)"), (B, b.name())]));
        self.text
    }

    fn entry(&mut self, index: usize, entry: &Entry) {
        let Entry { at, side, before, after, ref what, numbers: _ } = *entry;
        let change = if before == after { String::new() } else { format!(" -> {after}") };
        match what {
            What::Note(note) => self.row(at, &line(&[(A, &format!("# {note}"))])),
            What::Sent(segment, fate) => self.sent(index, entry, segment, *fate),
            What::Arrived(segment, trail) => {
                let from = if self.pair.loops { side } else { side.other() };
                let stray = self.pair.log.iter().take(index).all(|e| !self.carries(e, entry));
                let label = numbers(segment);
                let away = if stray && from != side { "(stray)" } else { "" };
                self.segment(at, (from, away, "..."), &label, (side, after.name(), "-->"));
                self.note_rules(side, &trail.to_string());
            }
            What::Call(call, reply, trail) => {
                let error = reply.err().map(|error| format!(" (error: {error})")).unwrap_or_default();
                self.beside(at, side, &format!("{}{change}{error}", call_name(*call)));
                self.note_rules(side, &trail.to_string());
            }
            What::Icmp(error) => self.beside(at, side, &format!("ICMP error: {error:?}{change}")),
            What::Expired(timer, trail) => {
                let mut text = format!("{} timer expires{change}", timer.name());
                if let Some(after) = self.again(index, *timer) {
                    text += &format!("; next in {}", seconds(after));
                }
                self.beside(at, side, &text);
                self.note_rules(side, &trail.to_string());
            }
            What::Started(timer, after) => {
                // Every segment has one: only how the time grows is worth a word, and that stands with its expiry.
                if *timer != Timer::Retransmit && !self.just_expired(index, *timer) {
                    self.beside(at, side, &format!("{} timer: {}", timer.name(), seconds(*after)));
                }
            }
            What::Told(signal) => self.beside(at, side, &format!("user: {}", told(*signal))),
        }
    }

    fn sent(&mut self, index: usize, entry: &Entry, segment: &Segment, fate: Fate) {
        let Entry { at, side, after, .. } = *entry;
        let label = self.label(side, segment);
        let here = (side, after.name(), "-->");
        if fate == Fate::Lost {
            return self.segment(at, here, &label, (side.other(), "(lost)", "X"));
        }
        let later = self.pair.log.iter().enumerate().skip(index + 1);
        // What follows at once is of the same event.
        let quiet = |e: &Entry| matches!(e.what, What::Told(_) | What::Started(..));
        match later.into_iter().find(|(_, e)| !quiet(e)) {
            Some((found, next)) if !self.pair.loops && self.carries(entry, next) => {
                self.segment(at, here, &label, (next.side, next.after.name(), "-->"));
                if let What::Arrived(_, trail) = &next.what {
                    self.note_rules(next.side, &trail.to_string());
                }
                if let Some(drawn) = self.drawn.get_mut(found) {
                    *drawn = true;
                }
            }
            _ => self.segment(at, here, &label, (side.other(), "", "...")),
        }
    }

    /// True when `arrival` is where the segment that left in `departure` ended.
    fn carries(&self, departure: &Entry, arrival: &Entry) -> bool {
        let extra = match departure.what {
            What::Sent(_, Fate::Arrives) => 0,
            What::Sent(_, Fate::Late(extra)) => extra,
            _ => return false,
        };
        let due = departure.at.saturating_add(self.pair.latency).saturating_add(extra);
        let to = if self.pair.loops { departure.side } else { departure.side.other() };
        matches!((&departure.what, &arrival.what), (What::Sent(one, _), What::Arrived(two, _)) if one == two)
            && arrival.at == due
            && arrival.side == to
    }

    /// How long the timer that expired at `index` was then set for.
    fn again(&self, index: usize, timer: Timer) -> Option<u64> {
        match self.pair.log.get(self.again_at(index, timer)?)?.what {
            What::Started(_, after) => Some(after),
            _ => None,
        }
    }

    /// Where that stands in the log: in the same step, before anything else happens.
    fn again_at(&self, index: usize, timer: Timer) -> Option<usize> {
        let step = |e: &Entry| matches!(e.what, What::Sent(..) | What::Told(_) | What::Started(..));
        let after = self.pair.log.iter().enumerate().skip(index + 1).take_while(|(_, e)| step(e));
        after
            .into_iter()
            .find(|(_, e)| matches!(e.what, What::Started(started, _) if started == timer))
            .map(|(at, _)| at)
    }

    /// True when the timer set at `index` had expired in the same step.
    fn just_expired(&self, index: usize, timer: Timer) -> bool {
        let expired = |(at, entry): (usize, &Entry)| {
            matches!(entry.what, What::Expired(which, _) if which == timer)
                && self.again_at(at, timer) == Some(index)
        };
        self.pair.log.iter().enumerate().take(index).rev().any(expired)
    }

    /// A segment: who, in which state, by which arrow, at the end where it left and at the end where it goes.
    fn segment(&mut self, at: u64, from: (Side, &str, &str), label: &str, to: (Side, &str, &str)) {
        // One that comes back to its sender is drawn between the sender and `...`.
        let leftwards = match (from.0, to.0) {
            (Side::A, Side::A) => from.2 == "...",
            (side, _) => side == Side::B,
        };
        let ((_, a, left), (_, b, right)) = if leftwards { (to, from) } else { (from, to) };
        let turned = |arrow: &str| match arrow {
            "-->" if leftwards => "<--".to_string(),
            arrow => arrow.to_string(),
        };
        let (left, right) = (turned(left), turned(right));
        self.row(at, &line(&[(A, a), (SEGMENT - 4, &left), (SEGMENT, label), (B - 4, &right), (B, b)]));
    }

    fn beside(&mut self, at: u64, side: Side, text: &str) {
        self.row(at, &line(&[(column(side, text), text)]));
    }

    fn note_rules(&mut self, side: Side, trail: &str) {
        if self.rules {
            let text = format!("[{trail}]");
            self.text += &line(&[(column(side, &text), &text)]);
            self.text.push('\n');
        }
    }

    fn row(&mut self, at: u64, row: &str) {
        let time = if self.last == Some(at) { String::new() } else { milliseconds(at) };
        self.last = Some(at);
        self.text += &format!("{time:>8}{}\n", row.get(8..).unwrap_or_default());
    }

    /// A segment as it leaves: its numbers, a window that has changed, and its options.
    fn label(&mut self, from: Side, segment: &Segment) -> String {
        let mut label = numbers(segment);
        let Segment { flags, window, options, .. } = *segment;
        let shown = &mut self.windows[from as usize];
        if !flags.has(Flags::RST) && *shown != Some(window) {
            *shown = Some(window);
            label += &format!(" win={window}");
        }
        if let Some(mss) = options.mss {
            label += &format!(" mss={mss}");
        }
        if let Some(shift) = options.window_scale {
            label += &format!(" wscale={shift}");
        }
        if options.sack_permitted {
            label += " sack";
        }
        if let Some(times) = options.timestamps {
            label += &format!(" ts={}/{}", times.value, times.echo);
        }
        match options.fast_open {
            Some(FastOpen::Request) => label += " cookie?",
            Some(FastOpen::Cookie(cookie)) => label += &format!(" cookie={cookie}"),
            None => {}
        }
        label
    }
}

/// Flags, numbers and length.
fn numbers(segment: &Segment) -> String {
    let Segment { seq, ack, flags, urgent, len, .. } = *segment;
    let mut text = format!("{flags} seq={seq}");
    if flags.has(Flags::ACK) {
        text += &format!(" ack={ack}");
    }
    if len > 0 {
        text += &format!(" len={len}");
    }
    if flags.has(Flags::URG) {
        text += &format!(" urg={urgent}");
    }
    text
}

/// Where a side's text begins: B's goes to the left as far as it needs.
fn column(side: Side, text: &str) -> usize {
    match side {
        Side::A => A,
        Side::B => B.min(END.saturating_sub(text.chars().count())).max(A),
    }
}

/// Texts at their columns; one that is too long pushes the next ones.
fn line(parts: &[(usize, &str)]) -> String {
    let mut line = String::new();
    for (column, text) in parts.iter().filter(|(_, text)| !text.is_empty()) {
        let used = line.chars().count();
        let gap = column.saturating_sub(used).max(usize::from(used > 0));
        line.extend(core::iter::repeat_n(' ', gap));
        line += text;
    }
    line
}

fn milliseconds(time: u64) -> String {
    format!("{}.{:03}", time / 1_000_000, time % 1_000_000 / 1_000)
}

fn seconds(time: u64) -> String {
    let text = format!("{}.{:06}", time / 1_000_000, time % 1_000_000);
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

fn call_name(call: Call) -> String {
    match call {
        Call::Open { origin: Origin::Passive, .. } => "OPEN passive".to_string(),
        Call::Open { .. } => "OPEN active".to_string(),
        Call::Send { len, urgent, .. } => format!("SEND {len}{}", if urgent { " urgent" } else { "" }),
        Call::Receive { len, .. } => format!("RECEIVE {len}"),
        Call::Close { .. } => "CLOSE".to_string(),
        Call::Abort => "ABORT".to_string(),
        Call::Status => "STATUS".to_string(),
    }
}

fn told(signal: Signal) -> String {
    match signal {
        Signal::Received(delivery) => format!("received {} octets from {}", delivery.len, delivery.seq),
        Signal::Sent(until) => format!("acknowledged up to {until}"),
        Signal::Urgent(until) => format!("urgent data up to {until}"),
        Signal::Aborted(error) => format!("{error}"),
        Signal::ReceiveFailed(error) => format!("RECEIVE failed, {error}"),
        Signal::SendFailed(error) => format!("SEND failed, {error}"),
        Signal::Established => "connected".to_string(),
        Signal::Closing => "the peer is closing".to_string(),
        Signal::Closed => "CLOSE done".to_string(),
        Signal::DeliveryProblem => "delivery is in trouble (R1)".to_string(),
        Signal::SoftError => "soft error".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn texts_stand_at_their_columns_and_never_touch() {
        assert_eq!(line(&[(2, "a"), (5, ""), (6, "b")]), "  a   b");
        assert_eq!(line(&[(0, "long"), (2, "b")]), "long b");
        assert_eq!(line(&[(0, "a")]), "a");
    }
}
