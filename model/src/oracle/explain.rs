//! One observation put to one candidate: every way in which it fits.

use super::candidate::{Candidate, OPEN_CHOICES, Terms};
use super::departure::Departures;
use super::hidden::Guesses;
use super::observation::{Kind, Observation, Transition};
use super::set::Set;
use super::verdict::{Mismatch, Violation};
use crate::effect::Effects;
use crate::event::{Call, Event, Timer};
use crate::rule::Trail;
use crate::segment::{Flags, Segment};
use crate::seq::Seq;
use crate::state::State;
use crate::step::Choices;
use crate::tcb::Fin;

/// Unseen events between two observations, at most: to close, say, a connection that was never seen to open.
const MAX_UNSEEN: u8 = 3;

/// Departures that one explanation may need and that nothing has proved yet.
const MAX_UNPROVEN: u32 = 2;

/// The timers that have to end in time; the others depend on measurements of the endpoint's own.
const PUNCTUAL: [Timer; 3] = [Timer::TimeWait, Timer::User, Timer::FinWait2];

/// An observation being explained.
pub(super) struct Attempt<'a, const N: usize> {
    terms: &'a Terms,
    out: &'a mut Effects,
    next: &'a mut Set<N>,
    observation: &'a Observation,
    proven: Departures,
    nearest: Option<(u32, Violation)>,
    /// Something was found that needs no departure beyond these.
    found: bool,
    granted: Departures,
}

impl<'a, const N: usize> Attempt<'a, N> {
    pub(super) fn new(
        terms: &'a Terms,
        out: &'a mut Effects,
        next: &'a mut Set<N>,
        observation: &'a Observation,
        proven: Departures,
    ) -> Self {
        Self { terms, out, next, observation, proven, nearest: None, found: false, granted: Departures::NONE }
    }

    /// Where the explanation with the fewest departures fails.
    pub(super) fn nearest(&self) -> Option<Violation> {
        self.nearest.map(|(_, violation)| violation)
    }

    /// Adds every way in which the candidate explains the observation, with as few unseen events as will do: what
    /// may have happened besides can still be guessed when an observation needs it.
    pub(super) fn explain(&mut self, candidate: &Candidate) {
        let mut candidate = *candidate;
        candidate.trail = Trail::EMPTY;
        if let Err(mismatch) = candidate.overdue(self.terms, self.observation.at) {
            self.fail(&candidate, mismatch);
            return;
        }
        self.granted = candidate.departures;
        self.found = false;
        self.explain_from(&candidate, 0);
        let tap = self.terms.tap;
        if tap.calls && tap.received {
            return;
        }
        // A stimulus finds the connection as unseen ones may have left it: afterwards is too late to guess that. And of
        // all ends only an abort sends a reset.
        let eager = match self.observation.kind {
            Kind::Call(_) if !tap.transitions => 1,
            // An end and another beginning.
            Kind::Received(segment) if segment.has(Flags::SYN) && !tap.transitions => 2,
            Kind::Received(_) => 1,
            Kind::Transition(Transition { to: State::Closed, .. }) => 1,
            _ => 0,
        };
        let mut unseen = 1;
        while unseen <= MAX_UNSEEN && (!self.found || unseen <= eager) {
            self.explain_from(&candidate, unseen);
            unseen += 1;
        }
    }

    /// With a tap missing there is enough to guess: one unproven departure at a time.
    fn is_plausible(&self, candidate: &Candidate) -> bool {
        let most = if self.terms.tap == super::Tap::FULL { MAX_UNPROVEN } else { 1 };
        candidate.departures.without(self.proven).len() <= most
    }

    fn fail(&mut self, candidate: &Candidate, mismatch: Mismatch) {
        let departures = candidate.departures.len();
        if self.nearest.is_some_and(|(fewest, _)| fewest <= departures) {
            return;
        }
        let rules = if candidate.trail.as_slice().is_empty() { candidate.last } else { candidate.trail };
        let rules = mismatch.rule().filter(|rule| !rules.contains(*rule)).map_or(rules, |rule| {
            let mut more = rules;
            more.push(rule);
            more
        });
        self.nearest = Some((departures, Violation { mismatch, rules, state: candidate.tcb.state }));
    }

    /// With exactly so many unseen events before it.
    fn explain_from(&mut self, candidate: &Candidate, unseen: u8) {
        let terms = self.terms;
        let mut candidate = *candidate;
        if terms.tap != super::Tap::FULL {
            candidate.open_unknown_windows(terms);
        }
        match self.overdue(&candidate) {
            Some((timer, _)) if !terms.tap.transitions => return self.expire(&candidate, timer, unseen),
            Some((timer, latest)) if candidate.shown == candidate.tcb.state => {
                return self.fail(&candidate, Mismatch::TooLate { timer, latest });
            }
            _ => {}
        }
        if unseen == 0 {
            if let Err(mismatch) = self.direct(&candidate) {
                self.fail(&candidate, mismatch);
            }
        } else {
            self.guess(&candidate, unseen - 1);
            if !terms.tap.sent && candidate.wants_fin() {
                let mut sent = candidate;
                sent.fin_sent_unseen();
                self.guess(&sent, unseen - 1);
            }
            if let Some(closed) = candidate.closed_before_the_handshake(terms) {
                self.guess(&closed, unseen - 1);
            }
        }
        self.expiries(&candidate, unseen);
    }

    fn guess(&mut self, candidate: &Candidate, unseen: u8) {
        let mut guesses = Guesses::none();
        candidate.guess(self.terms, &self.observation.kind, &mut guesses);
        let mut index = 0;
        while let Some(event) = guesses.get(index) {
            index += 1;
            self.explain_guess(candidate, &event, unseen);
            if matches!(event, Event::Call(Call::Close { reader_gone: true })) {
                // With text left unread it is a reset (SHLD-3).
                let mut unread = *candidate;
                unread.tcb.rcv.readable = 1;
                self.explain_guess(&unread, &event, unseen);
            }
        }
    }

    fn explain_guess(&mut self, candidate: &Candidate, event: &Event, unseen: u8) {
        let mut guessed = *candidate;
        guessed.guesses = guessed.guesses.saturating_add(1);
        if let Event::Expires(timer) = event {
            guessed.tcb.timers = guessed.tcb.timers.with(*timer);
        }
        // Text that came unseen came before the user went: afterwards it would have been answered by a reset.
        let gone = guessed.tcb.rcv.reader_gone;
        let text = matches!(event, Event::Arrives(segment) if segment.len > 0);
        guessed.tcb.rcv.reader_gone &= !text;
        guessed.run(self.terms, self.out, self.observation.at, event);
        guessed.tcb.rcv.reader_gone |= gone && text && guessed.tcb.state.is_synchronized();
        remember_offer(candidate, &mut guessed, event);
        if !guessed.same(candidate) {
            self.explain_from(&guessed, unseen);
        }
    }

    /// The timer that must have expired by now.
    fn overdue(&self, candidate: &Candidate) -> Option<(Timer, u64)> {
        let tap = self.terms.tap;
        let late = |timer| {
            let (_, latest) = candidate.expiry(timer, &self.terms.tolerance);
            let known = tap.received && (tap.calls || timer == Timer::TimeWait);
            (known && latest < self.observation.at && PUNCTUAL.contains(&timer)).then_some((timer, latest))
        };
        candidate.timers_that_end().find_map(late)
    }

    /// The candidate with a timer expired just now, which changed its state.
    fn expire(&mut self, candidate: &Candidate, timer: Timer, unseen: u8) {
        let mut ended = *candidate;
        ended.guesses = ended.guesses.saturating_add(1);
        ended.end_timer(self.terms, self.out, self.observation.at, timer);
        if ended.tcb.state != candidate.tcb.state {
            self.explain_from(&ended, unseen);
        }
        self.vary(candidate, &ended, &Event::Expires(timer), unseen);
    }

    /// Timers that may have expired unseen.
    fn expiries(&mut self, candidate: &Candidate, unseen: u8) {
        // A reset may be the first sign of an end.
        let shows = match self.observation.kind {
            Kind::Transition(_) => true,
            Kind::Sent(segment) => segment.has(Flags::RST),
            _ => false,
        };
        let settled = candidate.shown == candidate.tcb.state;
        if self.terms.tap.transitions && !(shows && settled) {
            return;
        }
        for timer in candidate.timers_that_end() {
            let (earliest, _) = candidate.expiry(timer, &self.terms.tolerance);
            if earliest <= self.observation.at {
                self.expire(candidate, timer, unseen);
            }
        }
        if !self.terms.tap.sent
            && let Some(sent) = candidate.all_sent_unseen()
        {
            self.expire(&sent, Timer::Retransmit, unseen);
        }
    }

    // The same expiry under other readings of the profile.
    fn vary(&mut self, before: &Candidate, after: &Candidate, event: &Event, unseen: u8) {
        for way in each(after.other_ways(before, event)) {
            let mut other = *before;
            other.departures = other.departures.with(way);
            other.run(self.terms, self.out, self.observation.at, event);
            let ends = other.tcb.state != before.tcb.state;
            if ends && !other.same(after) && self.is_plausible(&other) {
                self.explain_from(&other, unseen);
            }
        }
    }

    fn direct(&mut self, candidate: &Candidate) -> Result<(), Mismatch> {
        let at = self.observation.at;
        match &self.observation.kind {
            Kind::Call(call) => {
                let event = Event::Call(*call);
                if matches!(call, Call::Close { reader_gone: true }) && !self.terms.tap.received {
                    // Whether text was left unread decides (SHLD-3), and nobody saw what came.
                    let mut other = *candidate;
                    other.tcb.rcv.readable = u32::from(other.tcb.rcv.readable == 0);
                    self.event(&other, &event)?;
                }
                self.event(candidate, &event)
            }
            Kind::Received(segment) => self.received(candidate, segment),
            Kind::Icmp(error) => self.event(candidate, &Event::Icmp(*error)),
            Kind::Sent(segment) => {
                let mut after = *candidate;
                after.sends(self.terms, self.out, at, segment)?;
                self.push(&after);
                Ok(())
            }
            Kind::Transition(transition) => {
                let mut after = *candidate;
                after.moves(self.terms, at, transition)?;
                self.push(&after);
                Ok(())
            }
            Kind::Quiet | Kind::Restart | Kind::Gap => {
                self.push(candidate);
                Ok(())
            }
        }
    }

    /// A stimulus finds no transition unshown: whatever the one before caused has been seen by now.
    fn event(&mut self, candidate: &Candidate, event: &Event) -> Result<(), Mismatch> {
        if self.terms.tap.transitions && candidate.shown != candidate.tcb.state {
            return Err(candidate.unshown());
        }
        let mut after = *candidate;
        after.run(self.terms, self.out, self.observation.at, event);
        remember_offer(candidate, &mut after, event);
        if let (Event::Arrives(segment), false) = (event, self.terms.tap.calls) {
            after.note_refused(candidate.tcb.rcv.nxt, segment);
        }
        for way in each(after.other_ways(candidate, event)) {
            if self.push_other(candidate, &after, event, way) {
                after.kept = after.kept.with(way);
            }
        }
        self.push(&after);
        Ok(())
    }

    fn push(&mut self, candidate: &Candidate) {
        self.found |= candidate.departures == self.granted;
        let mut candidate = *candidate;
        if !self.terms.tap.transitions {
            candidate.shown = candidate.tcb.state;
        }
        self.next.push(&candidate);
    }

    /// The event under another reading; false when that makes no difference.
    fn push_other(&mut self, before: &Candidate, after: &Candidate, event: &Event, way: Departures) -> bool {
        let mut other = *before;
        other.departures = other.departures.with(way);
        if !self.is_plausible(&other) {
            return false;
        }
        other.run(self.terms, self.out, self.observation.at, event);
        remember_offer(before, &mut other, event);
        let differs = !other.same(after);
        if differs {
            self.push(&other);
        }
        differs
    }

    fn received(&mut self, candidate: &Candidate, segment: &Segment) -> Result<(), Mismatch> {
        let terms = self.terms;
        let mut before = *candidate;
        if segment.has(Flags::ACK) && !terms.tap.sent {
            if !before.iss_known {
                // Or it acknowledges nothing that was sent.
                let mut other = before;
                other.rebase(segment.ack + 0x2000_0000);
                other.iss_known = false;
                self.event(&other, &Event::Arrives(*segment))?;
                let counted = before.tcb.snd.nxt - before.tcb.snd.iss;
                before.rebase(segment.ack - counted);
            }
            let without = before;
            before.sent_unseen(terms, segment.ack);
            if before.tcb.state == State::SynSent && !before.same(&without) {
                // Or no text rode on the SYN, and this acknowledges nothing that was sent.
                self.event(&without, &Event::Arrives(*segment))?;
            }
        }
        if terms.tap.sent && segment.has(Flags::ACK) {
            before.unsent(segment.ack)?;
        }
        before.count_duplicates(segment);
        let event = Event::Arrives(*segment);
        self.event(&before, &event)?;
        let rcv = &before.tcb.rcv;
        let needed = segment.end().max(segment.seq + u32::from(segment.seq != rcv.nxt)) - rcv.nxt;
        // Text at RCV.NXT can wait until the ACK shows how much was taken.
        let matters =
            before.tcb.state.is_synchronized() && (segment.seq.gt(rcv.nxt) || segment.has(Flags::FIN));
        if !terms.tap.calls && matters && needed > rcv.wnd && needed < 1 << 30 {
            // The user may have read unseen, and opened the window further than was told (3.8.6.2.2).
            let mut other = before;
            other.tcb.rcv.wnd = needed;
            self.event(&other, &event)?;
        }
        if let Some(other) = before.closed_before_the_handshake(terms) {
            self.event(&other, &event)?;
        }
        let stamped = before.tcb.agreed.timestamps.is_some();
        if !terms.tap.sent && stamped && before.tcb.rcv.last_ack != before.tcb.rcv.nxt {
            // An ACK may have left unseen; Last.ACK.sent decides about TS.Recent (RFC 7323, 4.3).
            let mut other = before;
            other.acknowledged();
            self.event(&other, &event)?;
        }
        self.other_choices(&before, segment, &event);
        Ok(())
    }

    /// What only the endpoint knows about a segment: whether a cookie is valid, whether somebody listens.
    fn other_choices(&mut self, before: &Candidate, segment: &Segment, event: &Event) {
        let profile = &self.terms.profile;
        let state = before.tcb.state;
        let choices =
            if state == State::Listen && profile.fast_open && segment.has(Flags::SYN) && segment.len > 0 {
                Choices { valid_fast_open: true, ..OPEN_CHOICES }
            } else if state == State::Listen && profile.syn_cookies && segment.has(Flags::ACK) {
                Choices { valid_cookie: Some(536), ..OPEN_CHOICES }
            } else if state == State::TimeWait && segment.has(Flags::SYN) && !segment.has(Flags::ACK) {
                Choices { listener: false, ..OPEN_CHOICES }
            } else {
                return;
            };
        let mut other = *before;
        other.run_with(self.terms, self.out, self.observation.at, event, &choices);
        remember_offer(before, &mut other, event);
        self.push(&other);
    }
}

/// Each of a set by itself.
fn each(departures: Departures) -> impl Iterator<Item = Departures> {
    (0..if departures.is_empty() { 0 } else { super::DEPARTURES.len() })
        .map(Departures::of)
        .filter(move |one| one.without(departures).is_empty())
}

fn remember_offer(before: &Candidate, after: &mut Candidate, event: &Event) {
    if let Event::Arrives(segment) = event
        && segment.has(Flags::SYN)
        && after.tcb.state != before.tcb.state
        && !matches!(after.tcb.state, State::Closed | State::Listen)
    {
        after.offer = segment.options;
    }
}

impl Candidate {
    /// A CLOSE behind text that waits for the handshake may have gone unseen (close-5).
    fn closed_before_the_handshake(&self, terms: &Terms) -> Option<Self> {
        let may = !terms.tap.calls && self.tcb.state == State::SynReceived && self.tcb.snd.fin == Fin::None;
        let mut closed = *self;
        closed.tcb.snd.fin = Fin::Wanted;
        closed.guesses = closed.guesses.saturating_add(1);
        may.then_some(closed)
    }

    /// What is acknowledged has been sent.
    fn unsent(&self, ack: Seq) -> Result<(), Mismatch> {
        let snd = &self.tcb.snd;
        let counted = self.iss_known && ack.gt(snd.una) && ack.le(snd.nxt);
        let unsent = self.due().iter().find(|due| {
            !due.flags.has(Flags::RST) && counted && ack.gt(due.seq) && self.tcb.state != State::Listen
        });
        unsent.map_or(Ok(()), |due| Err(Mismatch::NoSegment { flags: due.flags, seq: due.seq }))
    }

    /// The user may have read unseen, and the window be larger than was told.
    fn note_refused(&mut self, before: Seq, segment: &Segment) {
        let (start, next) = (segment.text_seq(), self.tcb.rcv.nxt);
        let end = start + segment.len;
        let refused = segment.len > 0 && start.le(next) && end.gt(next) && self.tcb.state.is_synchronized();
        let known = self.refused.saturating_sub(next - before);
        self.refused = if refused { known.max(end - next) } else { known };
    }

    fn count_duplicates(&mut self, segment: &Segment) {
        let snd = &self.tcb.snd;
        if segment.ack.gt(snd.una) && segment.ack.le(snd.nxt) {
            self.duplicates = 0;
        } else if segment.seq_len() == 0 && segment.ack == snd.una && self.tcb.in_flight() {
            self.duplicates = self.duplicates.saturating_add(1);
        }
    }

    fn end_timer(&mut self, terms: &Terms, out: &mut Effects, now: u64, timer: Timer) {
        if timer == Timer::Retransmit && !terms.tap.sent {
            // Nobody counted the retransmissions.
            self.tcb.rtt.retransmits = u8::MAX;
            self.tcb.rtt.since = 0;
        }
        if timer == Timer::KeepAlive && !terms.tap.sent {
            self.tcb.rtt.keep_alive_probes = u8::MAX;
        }
        // A count of retransmissions is exact; a time is as exact as any timer.
        let early = match timer {
            Timer::Retransmit => now.saturating_add(now.saturating_sub(self.tcb.rtt.since) / 20),
            _ => now,
        };
        self.run(terms, out, early, &Event::Expires(timer));
    }
}
