//! One explanation of what was seen: a TCB, and what it still owes the observer.

use super::departure::{Departures, Seen, that_matter};
use super::observation::{Tap, Tolerance};
use super::verdict::Mismatch;
use crate::effect::{Effect, Effects};
use crate::event::{Event, Timer};
use crate::profile::Profile;
use crate::rule::{Rule, Trail};
use crate::segment::{Flags, Options, Segment};
use crate::seq::Seq;
use crate::state::State;
use crate::step::{Choices, step};
use crate::tcb::{Fin, Tcb};

/// What every explanation is judged by.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub profile: Profile,
    pub tap: Tap,
    pub tolerance: Tolerance,
}

/// A segment that has to leave: SYN, SYN+ACK, a reset, or the FIN of a CLOSE before the handshake is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub seq: Seq,
    pub ack: Seq,
    pub flags: Flags,
    pub by: u64,
}

const MINUTE: u64 = 60_000_000;

/// The most segments that may be due at once. A reset beyond them is permitted, and no longer demanded.
const MAX_DUE: usize = 4;

/// Duplicate ACKs after which a segment may be sent again before its timeout (RFC 5681, section 3.2).
pub(super) const DUPLICATES: u8 = 3;

/// When a timer was started and when it is to expire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub from: u64,
    pub to: u64,
}

impl Span {
    /// Timers of no known duration may end at any time, whenever they began.
    fn same(self, other: Self) -> bool {
        self == other || (self.from == self.to && other.from == other.to)
    }
}

/// Whether an ACK has to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Duty {
    None,
    /// For a segment that was dropped. Linux limits these (`tcp_invalid_ratelimit`).
    Should,
    /// For text, FIN or SYN.
    Must,
}

/// One explanation.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    pub(super) tcb: Tcb,
    /// The state that the observer has been shown.
    pub(super) shown: State,
    /// When the TCB's state moved away from `shown`.
    pub(super) moved_at: u64,
    pub(super) spans: [Span; Timer::ALL.len()],
    due: [Due; MAX_DUE],
    dues: u8,
    pub(super) duty: Duty,
    /// When the ACK has to have left.
    pub(super) ack_by: u64,
    /// False while the ISS in the TCB stands for one that was not seen yet.
    pub(super) iss_known: bool,
    /// The options of the peer's SYN.
    pub(super) offer: Options,
    /// SND.NXT and RCV.NXT before the TCB was last deleted: a reset may carry them.
    pub(super) gone: (Seq, Seq),
    /// Octets that came at RCV.NXT and that the window, as far as it was told, did not take.
    pub(super) refused: u32,
    /// How many unseen events it supposes.
    pub(super) guesses: u16,
    /// Until when a reset may belong to a connection that nobody knew.
    pub(super) resets_until: u64,
    /// ACKs in a row that acknowledged nothing new.
    pub(super) duplicates: u8,
    pub(super) departures: Departures,
    /// Departures that would have made a difference before, and were not taken: an implementation does not change.
    pub(super) kept: Departures,
    /// The rules that the last event took.
    pub(super) last: Trail,
    /// The rules that the present observation took.
    pub(super) trail: Trail,
}

const NOTHING_DUE: Due = Due { seq: Seq(0), ack: Seq(0), flags: Flags::NONE, by: 0 };

/// Where an unknown ISS stands until it is seen.
const PLACEHOLDER: Seq = Seq(0x4000_0000);

impl Candidate {
    pub(super) fn closed() -> Self {
        Self {
            tcb: Tcb::closed(),
            shown: State::Closed,
            moved_at: 0,
            spans: [Span::default(); Timer::ALL.len()],
            due: [NOTHING_DUE; MAX_DUE],
            dues: 0,
            duty: Duty::None,
            ack_by: u64::MAX,
            iss_known: true,
            offer: Options::default(),
            gone: (Seq(0), Seq(0)),
            refused: 0,
            guesses: 0,
            resets_until: 0,
            duplicates: 0,
            departures: Departures::NONE,
            kept: Departures::NONE,
            last: Trail::EMPTY,
            trail: Trail::EMPTY,
        }
    }

    /// The same, when what went before may still send its reset.
    pub(super) fn with_resets_until(mut self, until: u64) -> Self {
        self.resets_until = until;
        self
    }

    /// A connection that was there before the observer. Its timers count from now.
    pub(super) fn adopted(tcb: Tcb, now: u64, profile: &Profile) -> Self {
        let mut candidate = Self { tcb, shown: tcb.state, ..Self::closed() };
        for timer in tcb.timers.iter() {
            let after = match timer {
                Timer::TimeWait => profile.limits.time_wait,
                _ => tcb.rtt.rto,
            };
            candidate.start(timer, now, after);
        }
        candidate
    }

    /// The TCB.
    #[must_use]
    pub fn tcb(&self) -> &Tcb {
        &self.tcb
    }

    /// The departures from the profile that it needs.
    #[must_use]
    pub fn departures(&self) -> Departures {
        self.departures
    }

    /// The state that the observer has been shown: not the TCB's while a transition is still to be seen.
    #[must_use]
    pub fn shown(&self) -> State {
        self.shown
    }

    /// The rules that the last event took.
    #[must_use]
    pub fn rules(&self) -> Trail {
        self.last
    }

    /// True when both explain the same, whatever the departures that led there.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.tcb == other.tcb
            && self.shown == other.shown
            && self.iss_known == other.iss_known
            && self.refused == other.refused
            && (self.duty, self.ack_by) == (other.duty, other.ack_by)
            && self.due() == other.due()
            && self.tcb.timers.iter().all(|timer| self.span(timer).same(other.span(timer)))
    }

    pub(super) fn due(&self) -> &[Due] {
        self.due.get(..usize::from(self.dues)).unwrap_or_default()
    }

    pub(super) fn settle_due(&mut self, index: usize) {
        let used = usize::from(self.dues);
        if index < used {
            self.due.copy_within(index + 1..used, index);
            self.dues -= 1;
        }
    }

    fn owe(&mut self, segment: &Segment, by: u64) {
        let due = Due { seq: segment.seq, ack: segment.ack, flags: segment.flags, by };
        let same = |d: &Due| d.seq == due.seq && d.flags == due.flags && !due.flags.has(Flags::RST);
        if self.due().iter().any(same) {
            return;
        }
        if usize::from(self.dues) == MAX_DUE {
            self.settle_due(0);
        }
        if let Some(slot) = self.due.get_mut(usize::from(self.dues)) {
            *slot = due;
            self.dues += 1;
        }
    }

    pub(super) fn span(&self, timer: Timer) -> Span {
        self.spans.get(timer as usize).copied().unwrap_or_default()
    }

    pub(super) fn start(&mut self, timer: Timer, now: u64, after: u64) {
        if let Some(slot) = self.spans.get_mut(timer as usize) {
            *slot = Span { from: now, to: now.saturating_add(after) };
        }
    }

    /// Between when and when a running timer expires.
    pub(super) fn expiry(&self, timer: Timer, tolerance: &Tolerance) -> (u64, u64) {
        let Span { from, to } = self.span(timer);
        let whole = to.saturating_sub(from);
        // No backoff need go beyond a minute (RFC 6298, 2.5).
        let least = if timer == Timer::Retransmit { whole.min(MINUTE) } else { whole };
        let early = from.saturating_add(least - (least / 100) * tolerance.early_percent.min(100));
        let late = to
            .saturating_add((whole / 100).saturating_mul(tolerance.late_percent))
            .saturating_add(tolerance.late);
        (early, late)
    }

    /// One event under the candidate's own profile, with free choices left open: no text leaves, ACKs may wait, the
    /// ISS is not known.
    pub(super) fn run(&mut self, terms: &Terms, out: &mut Effects, now: u64, event: &Event) {
        self.run_with(terms, out, now, event, &OPEN_CHOICES);
    }

    pub(super) fn run_with(
        &mut self,
        terms: &Terms,
        out: &mut Effects,
        now: u64,
        event: &Event,
        choices: &Choices,
    ) {
        let before = (self.tcb.state, self.tcb.snd.nxt, self.tcb.rcv.nxt);
        let trail = if self.departures.is_empty() {
            step(&mut self.tcb, now, event, &terms.profile, choices, out)
        } else {
            step(&mut self.tcb, now, event, &self.departures.apply(&terms.profile), choices, out)
        };
        self.note(trail);
        self.digest(terms, out, now, event, before);
    }

    /// The departures that could have made the step from `before` another one.
    pub(super) fn other_ways(&self, before: &Self, event: &Event) -> Departures {
        that_matter(&Seen { before: &before.tcb, event, trail: &self.last, after: &self.tcb })
            .without(self.departures)
            .without(self.kept)
    }

    fn note(&mut self, trail: Trail) {
        if !trail.as_slice().is_empty() {
            self.last = trail;
            self.trail = trail;
        }
    }

    fn digest(&mut self, terms: &Terms, out: &Effects, now: u64, event: &Event, before: (State, Seq, Seq)) {
        let by = now.saturating_add(terms.tolerance.prompt);
        let stimulus = matches!(event, Event::Arrives(_) | Event::Expires(_));
        let chose_iss = self.last.as_slice().iter().any(|rule| {
            matches!(
                rule,
                Rule::Open2 | Rule::Open5 | Rule::Send2 | Rule::SegLi4 | Rule::SegLi3f | Rule::TwSyn1
            )
        }) && !matches!(event, Event::Transmit);
        if chose_iss {
            self.iss_known = false;
            self.duplicates = 0;
        }
        for effect in out.iter() {
            match effect {
                Effect::Send(segment) => {
                    if segment.has(Flags::RST) || segment.has(Flags::SYN) {
                        self.owe(segment, by);
                    } else if segment.has(Flags::FIN) {
                        self.owe(segment, by);
                        self.acknowledged();
                    } else if stimulus {
                        self.want_ack(by);
                    }
                }
                // The user may have gone unseen long before.
                Effect::Start(Timer::FinWait2, _) if !terms.tap.calls => self.start(Timer::FinWait2, now, 0),
                Effect::Start(timer, after) => self.start(*timer, now, *after),
                Effect::Stop(_) | Effect::Reply(_) | Effect::Signal(_) | Effect::Hold(..) => {}
            }
        }
        if self.tcb.timers.has(Timer::DelayedAck) && stimulus {
            self.want_ack(by);
        }
        if before.0 == State::SynSent && self.tcb.state.is_synchronized() && self.tcb.in_flight() {
            // What went out on a SYN and was not taken goes out again at once (RFC 7413, 4.1.3).
            self.duplicates = DUPLICATES;
        }
        if self.tcb.state != before.0 {
            if self.shown == before.0 {
                self.moved_at = now;
            }
            if matches!(self.tcb.state, State::Closed | State::Listen) {
                self.forget(before);
            }
        }
    }

    /// What a TCB owed goes with it, but for its last resets.
    fn forget(&mut self, before: (State, Seq, Seq)) {
        self.gone = (before.1, before.2);
        self.duty = Duty::None;
        self.ack_by = u64::MAX;
        self.iss_known = true;
        self.offer = Options::default();
        let mut index = 0;
        while let Some(due) = self.due().get(index) {
            if due.flags.has(Flags::RST) { index += 1 } else { self.settle_due(index) }
        }
    }

    fn want_ack(&mut self, by: u64) {
        let duty = self.last.as_slice().iter().fold(Duty::None, |duty, rule| {
            duty.max(match rule {
                Rule::Txt1
                | Rule::Fin1
                | Rule::Fin2
                | Rule::Fin3
                | Rule::Fin4
                | Rule::Fin5
                | Rule::Fin6
                | Rule::Seq2t
                | Rule::SegSs6 => Duty::Must,
                Rule::Seq3 | Rule::Seq4 | Rule::Ack14 => Duty::Should,
                _ => Duty::None,
            })
        });
        if duty > Duty::None {
            self.duty = self.duty.max(duty);
            self.ack_by = self.ack_by.min(by);
        }
    }

    /// An ACK of RCV.NXT has left.
    pub(super) fn acknowledged(&mut self) {
        self.duty = Duty::None;
        self.ack_by = u64::MAX;
        let rcv = &mut self.tcb.rcv;
        rcv.last_ack = rcv.nxt;
        rcv.unacked = 0;
        self.tcb.timers = self.tcb.timers.without(Timer::DelayedAck);
    }

    /// Puts the ISS, and with it everything counted from it, where it turned out to be.
    pub(super) fn rebase(&mut self, iss: Seq) {
        let shift = iss - self.tcb.snd.iss;
        let snd = &mut self.tcb.snd;
        snd.iss = iss;
        snd.una += shift;
        snd.nxt += shift;
        if self.tcb.state == State::SynReceived {
            snd.wl2 += shift;
        }
        if let Some(up) = &mut snd.up {
            *up += shift;
        }
        if let Some((end, _)) = &mut self.tcb.rtt.timing {
            *end += shift;
        }
        let used = usize::from(self.dues);
        for due in self.due.iter_mut().take(used) {
            if !due.flags.has(Flags::RST) {
                due.seq += shift;
            }
        }
        self.iss_known = true;
    }

    /// What had to be seen before `now` and was not. A duty that Linux is known to neglect becomes a departure.
    pub(super) fn overdue(&mut self, terms: &Terms, now: u64) -> Result<(), Mismatch> {
        if terms.tap.sent {
            if let Some(due) = self.due().iter().find(|due| due.by < now) {
                return Err(Mismatch::NoSegment { flags: due.flags, seq: due.seq });
            }
            if self.ack_by < now {
                if self.duty == Duty::Must {
                    return Err(Mismatch::NoAck { expected: self.tcb.rcv.nxt });
                }
                self.departures = self.departures.with(Departures::UNANSWERED);
                self.duty = Duty::None;
                self.ack_by = u64::MAX;
            }
        } else {
            self.dues = 0;
            self.duty = Duty::None;
            self.ack_by = u64::MAX;
        }
        let late = self.moved_at.saturating_add(terms.tolerance.prompt) < now;
        if self.tcb.state != self.shown && terms.tap.transitions && late {
            return Err(self.unshown());
        }
        Ok(())
    }

    /// The transition that has not been seen.
    pub(super) fn unshown(&self) -> Mismatch {
        Mismatch::NoTransition { from: self.shown, to: self.tcb.state }
    }

    /// True when the user has closed and the FIN has not left.
    pub(super) fn wants_fin(&self) -> bool {
        self.tcb.snd.fin == Fin::Wanted
    }

    /// Octets that the peer's window leaves room for.
    pub(super) fn window_room(&self) -> u32 {
        let snd = &self.tcb.snd;
        snd.wnd.saturating_sub(snd.nxt - snd.una)
    }
}

/// The laziest endpoint: whatever it may put off, it does.
pub(super) const OPEN_CHOICES: Choices = Choices {
    iss: PLACEHOLDER,
    delay_ack: true,
    ack_out_of_order: false,
    hold_out_of_order: true,
    text_on_syn: false,
    congestion_window: 0,
    burst: 0,
    valid_cookie: None,
    valid_fast_open: false,
    fast_open: None,
    listener: true,
};
