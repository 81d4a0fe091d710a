//! A segment that arrived, put to one candidate.

use super::Attempt;
use crate::event::Event;
use crate::oracle::candidate::{Candidate, DUPLICATES};
use crate::oracle::departure::Departures;
use crate::oracle::hidden::UNHEARD_WINDOW;
use crate::oracle::verdict::Mismatch;
use crate::segment::{Flags, Segment};
use crate::seq::Seq;
use crate::state::State;
use crate::step::Choices;

/// The most that a window's field can tell.
const FULL_FIELD: u32 = 65_535;

impl<const N: usize> Attempt<'_, N> {
    pub(super) fn received(&mut self, candidate: &Candidate, segment: &Segment) -> Result<(), Mismatch> {
        let terms = self.terms;
        let mut before = *candidate;
        if segment.has(Flags::ACK) && !terms.tap.sent {
            if !before.iss_known {
                // Or it acknowledges nothing that was sent: the number that stands for the ISS is nobody's.
                self.event(&before, &Event::Arrives(*segment))?;
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
        if segment.has(Flags::ACK) {
            before.unsent(segment.ack)?;
        }
        before.count_duplicates(segment);
        let event = Event::Arrives(*segment);
        self.event(&before, &event)?;
        let rcv = &before.tcb.rcv;
        // The least that takes it: had the window been larger, later text shows it when it is acknowledged.
        let is_inside = segment.seq != rcv.nxt && !(terms.profile.empty_at_edge && segment.seq_len() == 0);
        let needed = segment.end().max(segment.seq + u32::from(is_inside)) - rcv.nxt;
        // Text at RCV.NXT can wait until the ACK shows how much was taken.
        let matters =
            before.tcb.state.is_synchronized() && (segment.seq.gt(rcv.nxt) || segment.has(Flags::FIN));
        let untold = rcv.wnd.saturating_add(1)..UNHEARD_WINDOW;
        if !terms.tap.calls && matters && untold.contains(&needed) {
            // The user may have read unseen, and opened the window further than was told (3.8.6.2.2).
            let mut other = before;
            other.tcb.rcv.wnd = needed;
            self.event(&other, &event)?;
        }
        let hidden = Departures::HIDDEN_WINDOW;
        if before.full_field && matters && needed > rcv.wnd && needed < 2 * FULL_FIELD && terms.allows(hidden)
        {
            let mut other = before;
            other.tcb.rcv.wnd = needed;
            other.departures = other.departures.with(hidden);
            other.guesses = other.guesses.saturating_add(1);
            if self.is_plausible(&other) {
                self.event(&other, &event)?;
            }
        }
        // Text for a user who has gone resets.
        for reader_gone in [false, true].into_iter().take(if segment.len > 0 { 2 } else { 1 }) {
            if let Some(other) = before.closed_before_the_handshake(terms, reader_gone) {
                self.event(&other, &event)?;
            }
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
        let choices = if state == State::Listen && profile.fast_open && segment.has(Flags::SYN) {
            Choices { valid_fast_open: true, ..Choices::LAZY }
        } else if state == State::Listen && profile.syn_cookies && segment.has(Flags::ACK) {
            Choices { valid_cookie: Some(536), ..Choices::LAZY }
        } else if state == State::TimeWait && segment.has(Flags::SYN) && !segment.has(Flags::ACK) {
            Choices { listener: false, ..Choices::LAZY }
        } else {
            return;
        };
        let mut other = *before;
        other.run_with(self.terms, self.machine, self.observation.at, event, &choices);
        remember_offer(before, &mut other, event);
        self.push(&mut other);
    }
}

/// The options of the SYN that began this connection.
pub(super) fn remember_offer(before: &Candidate, after: &mut Candidate, event: &Event) {
    if let Event::Arrives(segment) = event
        && segment.has(Flags::SYN)
        && after.tcb.state != before.tcb.state
        && !matches!(after.tcb.state, State::Closed | State::Listen)
    {
        after.offer = segment.options;
    }
}

impl Candidate {
    /// What is acknowledged has been sent.
    fn unsent(&self, ack: Seq) -> Result<(), Mismatch> {
        let snd = &self.tcb.snd;
        let counted = ack.gt(snd.una) && ack.le(snd.nxt);
        let unsent = self.due().iter().find(|due| {
            !due.flags.has(Flags::RST) && counted && ack.gt(due.seq) && self.tcb.state != State::Listen
        });
        unsent.map_or(Ok(()), |due| Err(Mismatch::NoSegment { flags: due.flags, seq: due.seq }))
    }

    /// The user may have read unseen, and the window be larger than was told; and what its field tells is cut to the
    /// unit of its scale (RFC 7323, 2.3). So text at its edge, in order or held, may have been taken up to any octet.
    pub(super) fn note_refused(&mut self, segment: &Segment) {
        let rcv = &self.tcb.rcv;
        let (start, edge) = (segment.text_seq(), rcv.nxt + rcv.wnd);
        let end = start + segment.len;
        let beyond = end.gt(edge) && self.tcb.state.is_synchronized();
        self.refused = match self.refused.filter(|(_, upto)| upto.gt(rcv.nxt)) {
            Some((from, upto)) if beyond && start.le(upto) && edge.le(upto) => Some((from, upto.max(end))),
            None if beyond && start.le(edge) => Some((edge, end)),
            known => known,
        };
    }

    /// RCV.NXT is seen beyond what the told window takes.
    pub(in crate::oracle) fn take_refused(&mut self, seen: Seq) {
        let rcv = &mut self.tcb.rcv;
        let takes = |(from, upto): &(Seq, Seq)| from.le(rcv.nxt) && seen.gt(rcv.nxt) && seen.le(*upto);
        if self.refused.as_ref().is_some_and(takes) {
            rcv.wnd = rcv.wnd.saturating_sub(seen - rcv.nxt);
            rcv.nxt = seen;
            self.refused = None;
        }
    }

    fn count_duplicates(&mut self, segment: &Segment) {
        let snd = &self.tcb.snd;
        if segment.ack.gt(snd.una) && segment.ack.le(snd.nxt) {
            // What was outstanding when something was sent again is taken for lost, too: an ACK that falls short of it
            // calls for the next segment (RFC 5681, 3.1; RFC 6582, 3.2).
            let short = self.tcb.rtt.recover.is_some_and(|until| segment.ack.lt(until));
            self.duplicates = if short { DUPLICATES } else { 0 };
        } else if segment.seq_len() == 0 && segment.ack == snd.una && self.tcb.in_flight() {
            self.duplicates = self.duplicates.saturating_add(1);
        }
    }
}
