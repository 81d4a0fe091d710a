//! A ladder diagram: time downwards, the kernel on the left, its peer on the right.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::audit::report::{
    model::{Decided, Entry, Outcome, Segment, What},
    words::span,
};

/// Where the columns are, in units of the drawing (pixels on a screen).
const WIDTH: u32 = 960;
const TIME: u32 = 64;
const LINE: u32 = 102;
const KERNEL_STATE: u32 = 208;
const KERNEL: u32 = 218;
const PEER: u32 = 604;
const MIDDLE: u32 = u32::midpoint(KERNEL, PEER);
const PEER_STATE: u32 = 614;
const VERDICT: u32 = 722;

/// Letters that fit between the ends, and behind the verdict's mark.
const LABEL_LETTERS: usize = 52;
const VERDICT_LETTERS: usize = 34;

/// A silence that deserves a row of its own, microseconds.
const LONG: u64 = 900_000;

/// The diagram with its caption. What the steps decided is said where their lines are.
pub(super) fn figure(entries: &[Entry], decided: &[Decided], caption: &str) -> Markup {
    if entries.is_empty() {
        return html! { p.alike { (caption) ": nothing happened." } };
    }
    let mut ladder = Ladder::new(entries);
    let mut before: Option<u64> = None;
    for entry in entries {
        let silence = entry.at.saturating_sub(before.unwrap_or(entry.at));
        if silence >= LONG {
            ladder.silence(silence);
        }
        before = Some(entry.at);
        ladder.entry(entry, decided);
    }
    ladder.finish(caption)
}

struct Ladder {
    /// Where the next row begins.
    top: u32,
    rows: Vec<Markup>,
    /// More than one connection: each row says whose it is.
    several: bool,
    /// The states shown last, by connection: the kernel's and the peer's.
    shown: BTreeMap<String, (String, Option<String>)>,
}

impl Ladder {
    fn new(entries: &[Entry]) -> Self {
        let first = entries.first().map(|entry| &entry.connection);
        let several = entries.iter().any(|entry| Some(&entry.connection) != first);
        Self { top: 26, rows: Vec::new(), several, shown: BTreeMap::new() }
    }

    fn silence(&mut self, silence: u64) {
        let (top, middle) = (self.top, self.top + 17);
        self.rows.push(html! {
            @for x in [KERNEL, PEER] {
                path.blank d={ "M" (x) " " (top + 4) "v18" } {}
                path.pause d={ "M" (x) " " (top + 5) "v18" } {}
            }
            text.mid.dim x=(MIDDLE) y=(middle) { (span(silence)) " of silence" }
        });
        self.top += 28;
    }

    fn entry(&mut self, entry: &Entry, decided: &[Decided]) {
        let (height, base, body) = match &entry.what {
            What::Segment(segment) => {
                let height = if segment.options.is_empty() { 30 } else { 40 };
                (height, 13, self.segment(entry, segment))
            }
            What::Icmp { message, .. } => (30, 13, self.icmp(entry, message)),
            What::Call { call, result } => {
                (24, 16, self.at_kernel(entry, "call", &format!("{call} → {result}")))
            }
            What::Transition { from, to, source } => {
                (24, 16, self.at_kernel(entry, "state", &format!("{from} → {to}  ({source})")))
            }
            What::Note { text } => (24, 16, self.at_kernel(entry, "note", text)),
        };
        let states = self.states(entry);
        let y = self.top + base;
        self.rows.push(html! {
            text.end.dim x=(TIME) y=(y) { (span(entry.at)) }
            @if let Some(line) = entry.line { text.end.no x=(LINE) y=(y) { (line) } }
            @if let Some(state) = &states.0 { text.end.st x=(KERNEL_STATE) y=(y) { (state) } }
            (body)
            @if let Some(state) = &states.1 { text.st x=(PEER_STATE) y=(y) { (state) } }
            (verdict(entry, decided, y))
        });
        self.top += height;
    }

    /// Both ends' states, where they are others than what was shown last.
    fn states(&mut self, entry: &Entry) -> (Option<String>, Option<String>) {
        let now = (entry.kernel_state.clone(), entry.peer_state.clone());
        let before = self.shown.insert(entry.connection.clone(), now.clone());
        let kernel = before.as_ref().is_none_or(|(kernel, _)| *kernel != now.0);
        let peer = before.as_ref().is_none_or(|(_, peer)| *peer != now.1);
        (kernel.then_some(now.0), now.1.filter(|_| peer))
    }

    /// A label, preceded by whose it is when that is not clear.
    fn label(&self, entry: &Entry, text: &str) -> String {
        if self.several { format!("{}: {text}", entry.connection) } else { text.to_owned() }
    }

    fn segment(&self, entry: &Entry, segment: &Segment) -> Markup {
        let Segment { from_kernel, flags, seq, ack, len, window, urgent, options, mischief, packet: _ } =
            segment;
        let ack = ack.map(|ack| format!(" ack {ack}")).unwrap_or_default();
        let len = if *len == 0 { String::new() } else { format!(" len {len}") };
        let urgent = urgent.map(|urgent| format!(" urg {urgent}")).unwrap_or_default();
        let flags = if flags.is_empty() { "no flags" } else { flags };
        let label = self.label(entry, &format!("{flags} seq {seq}{ack}{len}{urgent} win {window}"));
        let (from, to) = if *from_kernel { (KERNEL, PEER) } else { (PEER, KERNEL) };
        let y = self.top + 19;
        let lost = mischief.as_deref() == Some("lost");
        let class = match (from_kernel, mischief) {
            (true, _) => "arrow",
            (false, None) => "arrow peer",
            (false, Some(_)) => "arrow peer odd",
        };
        html! {
            (clipped(MIDDLE, self.top + 13, "mid", &label, LABEL_LETTERS))
            path class=(class) d=(arrow(from, if lost { MIDDLE } else { to }, y)) {}
            @if lost { path.cross d={ "M" (MIDDLE - 5) " " (y - 5) "l10 10m0-10l-10 10" } {} }
            @if let Some(mischief) = mischief {
                text.odd.end x=(PEER - 8) y=(self.top + 31) { (mischief) }
            }
            @if !options.is_empty() {
                (clipped(MIDDLE, self.top + 31, "mid opt", options, LABEL_LETTERS + 6))
            }
        }
    }

    fn icmp(&self, entry: &Entry, message: &str) -> Markup {
        let label = self.label(entry, &format!("ICMP {message}"));
        html! {
            (clipped(MIDDLE, self.top + 13, "mid odd", &label, LABEL_LETTERS))
            path.arrow.peer.odd d=(arrow(PEER, KERNEL, self.top + 19)) {}
        }
    }

    /// Something at the kernel's end: a call, a change of state, a remark.
    fn at_kernel(&self, entry: &Entry, class: &str, text: &str) -> Markup {
        let y = self.top + 12;
        let text = self.label(entry, text);
        html! {
            @match class {
                "call" => { path.mark d={ "M" (KERNEL - 4) " " (y - 5) "l8 5-8 5z" } {} }
                "state" => { circle.mark cx=(KERNEL) cy=(y) r="4.5" {} }
                _ => {}
            }
            (clipped(KERNEL + 12, y + 4, class, &text, LABEL_LETTERS))
        }
    }

    fn finish(self, caption: &str) -> Markup {
        let Self { top, rows, several: _, shown: _ } = self;
        let height = top + 8;
        html! {
            figure.ladder {
                figcaption { (caption) }
                svg viewBox={ "0 0 " (WIDTH) " " (height) } width=(WIDTH) height=(height) role="img" aria-label={ "Ladder diagram: " (caption) } {
                    text.end.head x=(TIME) y="14" { "time" }
                    text.end.head x=(LINE) y="14" { "line" }
                    text.mid.head x=(KERNEL) y="14" { "kernel" }
                    text.mid.head x=(PEER) y="14" { "peer" }
                    text.head x=(VERDICT) y="14" { "verdict" }
                    path.life d={ "M" (KERNEL) " 20V" (height - 4) "M" (PEER) " 20V" (height - 4) } {}
                    @for row in &rows { (row) }
                }
            }
        }
    }
}

/// A line with a head, a little downwards as time passes.
fn arrow(from: u32, to: u32, y: u32) -> String {
    let back = if from < to { "-8" } else { "8" };
    let lines = if from < to { "-8 4" } else { "8 4" };
    format!("M{from} {}L{to} {y}m{back}-4.5l{}8 4.5{lines}", y - 2, if from < to { "" } else { "-" })
}

/// Text that is cut where it would run into something; the whole is shown when one points at it.
fn clipped(x: u32, y: u32, class: &str, text: &str, letters: usize) -> Markup {
    let short: Option<String> = (text.chars().count() > letters)
        .then(|| text.chars().take(letters.saturating_sub(1)).chain(['…']).collect());
    html! {
        text class=(class) x=(x) y=(y) {
            @match short {
                Some(short) => { title { (text) } (short) }
                None => (text)
            }
        }
    }
}

/// The model's word, and what the step decided: a mark, the rules, the requirements.
fn verdict(entry: &Entry, decided: &[Decided], y: u32) -> Markup {
    let said = entry.verdict.as_ref().map(|verdict| match verdict.class.as_str() {
        "conforming" => Outcome::Pass,
        "deviation" => Outcome::Deviation,
        "violation" => Outcome::Fail,
        _ => Outcome::Inconclusive,
    });
    // What the peer does decides nothing.
    let of_kernel =
        !matches!(&entry.what, What::Segment(Segment { from_kernel: false, .. }) | What::Icmp { .. });
    let steps: Vec<_> = decided.iter().filter(|step| of_kernel && Some(step.line) == entry.line).collect();
    let Some(outcome) = said.into_iter().chain(steps.iter().map(|step| step.outcome)).max() else {
        return html! {};
    };
    let rules = entry.verdict.iter().map(|verdict| verdict.text.as_str());
    let departures = entry.departures.iter().map(String::as_str);
    let steps =
        steps.iter().flat_map(|step| [step.requirement.as_str(), step.deviation.as_deref().unwrap_or("-")]);
    // An observation that changes nothing needs no rule.
    let mut words: Vec<_> =
        departures.chain(rules).chain(steps).filter(|word| !matches!(*word, "" | "-")).collect();
    words.dedup();
    let mark = match outcome {
        Outcome::Pass => "m-4 0l3 3.5 5-7",
        Outcome::Deviation => "m-4 0l4-4 4 4-4 4z",
        Outcome::Fail | Outcome::Error => "m-4-4l8 8m0-8l-8 8",
        Outcome::Inconclusive => "m-4 0h8",
    };
    html! {
        path class={ "tick " (outcome.name()) } d={ "M" (VERDICT + 5) " " (y - 4) (mark) } {}
        @if !words.is_empty() {
            (clipped(VERDICT + 16, y, &format!("rule {}", outcome.name()), &words.join(" "), VERDICT_LETTERS))
        }
    }
}
