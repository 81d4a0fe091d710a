//! One explanation of what was seen: a TCB, and what it still owes the observer.

use super::departure::Departures;
use super::duty::{Dues, Duty};
use super::observation::{Tap, Tolerance};
use crate::event::Timer;
use crate::profile::Profile;
use crate::rule::Trail;
use crate::segment::Options;
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::{Fin, Tcb};

/// What every explanation is judged by.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub profile: Profile,
    pub tap: Tap,
    pub tolerance: Tolerance,
    /// The departures that may explain what the profile does not.
    pub allowed: Departures,
}

impl Terms {
    pub fn allows(&self, departure: Departures) -> bool {
        departure.without(self.allowed).is_empty()
    }
}

const MINUTE: u64 = 60_000_000;

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

/// One explanation.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    pub(super) tcb: Tcb,
    /// The state that the observer has been shown.
    pub(super) shown: State,
    /// When the TCB's state moved away from `shown`.
    pub(super) moved_at: u64,
    pub(super) spans: [Span; Timer::ALL.len()],
    pub(super) dues: Dues,
    pub(super) duty: Duty,
    /// The resets that what arrived lately would have drawn from nobody.
    pub(super) drawn: Dues,
    /// When the ACK has to have left.
    pub(super) ack_by: u64,
    /// False while the ISS in the TCB stands for one that was not seen yet.
    pub(super) iss_known: bool,
    /// The options of the peer's SYN.
    pub(super) offer: Options,
    /// SND.NXT and RCV.NXT before the TCB was last deleted: a reset may carry them.
    pub(super) gone: (Seq, Seq),
    /// From where to where text came that lies right behind the window, as far as it was told.
    pub(super) refused: Option<(Seq, Seq)>,
    /// The window that was told last is the most that its field can tell.
    pub(super) full_field: bool,
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

impl Candidate {
    pub(super) fn closed() -> Self {
        Self {
            tcb: Tcb::closed(),
            shown: State::Closed,
            moved_at: 0,
            spans: [Span::default(); Timer::ALL.len()],
            dues: Dues::NONE,
            duty: Duty::None,
            drawn: Dues::NONE,
            ack_by: u64::MAX,
            iss_known: true,
            offer: Options::default(),
            gone: (Seq(0), Seq(0)),
            refused: None,
            full_field: false,
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

    /// Puts the ISS, and with it everything counted from it, where it turned out to be.
    pub(super) fn rebase(&mut self, iss: Seq) {
        let shift = iss - self.tcb.snd.iss;
        let snd = &mut self.tcb.snd;
        snd.iss = iss;
        snd.una += shift;
        snd.nxt += shift;
        snd.wl2 += shift;
        if let Some(up) = &mut snd.up {
            *up += shift;
        }
        if let Some((end, _)) = &mut self.tcb.rtt.timing {
            *end += shift;
        }
        self.dues.shift(shift);
        self.iss_known = true;
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
