//! Calls that may have gone unseen.

use super::{Offer, UNSEEN_CONFIG};
use crate::event::{Call, Event, Origin, Remote, Timer};
use crate::oracle::candidate::{Candidate, Terms};
use crate::oracle::observation::Kind;
use crate::segment::{Flags, Segment};
use crate::state::State;
use crate::tcb::{Config, Fin};

const fn open(origin: Origin) -> Event {
    Event::Call(Call::Open { origin, remote: Remote::Specified, config: UNSEEN_CONFIG, admission: Ok(()) })
}

const fn open_to_wait() -> Event {
    let config = Config { fast_open: true, ..UNSEEN_CONFIG };
    Event::Call(Call::connect(config))
}

impl Candidate {
    pub(super) fn guess_calls(&self, terms: &Terms, kind: &Kind, offer: Offer<'_>) {
        let state = self.tcb.state;
        let closes = self.tcb.snd.fin == Fin::None;
        match kind {
            Kind::Transition(transition) => match (state, transition.to) {
                (State::Closed, State::Listen) => offer(self, open(Origin::Passive)),
                (State::Closed | State::Listen, State::SynSent) => {
                    offer(self, open(Origin::Active));
                    if terms.profile.fast_open {
                        // The SYN waits for text to carry.
                        offer(self, open_to_wait());
                    }
                }
                (_, State::Closed) => self.guess_ends(terms, offer),
                (_, State::FinWait1 | State::LastAck) if closes => offer(self, Event::Call(Call::CLOSE)),
                // The SYN that waited for text has left.
                (State::SynSent, _) if self.tcb.snd.nxt == self.tcb.snd.iss => {
                    offer(self, Event::Call(Call::send(0)));
                }
                _ => {}
            },
            Kind::Sent(segment) => {
                if segment.has(Flags::RST) {
                    offer(self, Event::Call(Call::Abort));
                    self.guess_close_with_text_unread(offer);
                } else if segment.has(Flags::SYN) {
                    match (state, segment.has(Flags::ACK)) {
                        (State::Closed, true) => offer(self, open(Origin::Passive)),
                        (State::Closed | State::Listen, false) => offer(self, open(Origin::Active)),
                        (State::SynSent, false) if self.tcb.snd.nxt == self.tcb.snd.iss => {
                            offer(self, Event::Call(Call::send(segment.len)));
                        }
                        _ if !terms.tap.transitions => self.guess_silent_ends(offer),
                        _ => {}
                    }
                } else if segment.has(Flags::FIN) && closes {
                    offer(self, Event::Call(Call::CLOSE));
                }
            }
            Kind::Received(segment) => self.guess_calls_before(terms, segment, offer),
            _ => {}
        }
    }

    /// With a reset, and without one.
    fn guess_ends(&self, terms: &Terms, offer: Offer<'_>) {
        offer(self, Event::Call(Call::Abort));
        // The user timeout may wait for text that nobody saw queued.
        offer(self, Event::Expires(Timer::User));
        if terms.tap.sent {
            self.guess_close_with_text_unread(offer);
        }
        if self.tcb.state == State::FinWait2 {
            // The time of an orphan may be over.
            offer(self, Event::Call(Call::CLOSE_BOTH));
        }
    }

    /// That resets (SHLD-3).
    fn guess_close_with_text_unread(&self, offer: Offer<'_>) {
        let mut unread = *self;
        unread.tcb.rcv.readable = 1;
        offer(&unread, Event::Call(Call::CLOSE_BOTH));
    }

    /// What leaves no segment behind and decides what becomes of this one.
    fn guess_calls_before(&self, terms: &Terms, segment: &Segment, offer: Offer<'_>) {
        let state = self.tcb.state;
        if terms.tap.transitions {
            // Whatever changes the state would have been shown.
            let waits = matches!(state, State::FinWait1 | State::FinWait2) && !self.tcb.rcv.reader_gone;
            if waits && segment.len > 0 {
                offer(self, Event::Call(Call::CLOSE_BOTH));
            }
            return;
        }
        // Who is gone answers with a reset: that is guessed when it leaves.
        if state == State::Established && segment.has(Flags::FIN) {
            // Its own FIN has not left yet.
            offer(self, Event::Call(Call::CLOSE));
        }
        if state == State::CloseWait && !terms.profile.partial_ack_in_last_ack && self.acknowledges(segment) {
            // To the letter only the ACK of the FIN counts in LAST-ACK, also while the FIN waits for room (close-8).
            offer(self, Event::Call(Call::CLOSE));
        }
        if segment.has(Flags::SYN) && !segment.has(Flags::ACK) {
            match state {
                State::Closed => offer(self, open(Origin::Passive)),
                State::Listen | State::SynSent => offer(self, Event::Call(Call::CLOSE)),
                _ => self.guess_silent_ends(offer),
            }
        }
        if segment.has(Flags::RST) && segment.seq != self.tcb.rcv.nxt {
            // It draws nothing from CLOSED (3.10.7.1), and a challenge from a connection (RFC 5961, 3.2).
            self.guess_silent_ends(offer);
        }
    }

    /// It acknowledges something new.
    fn acknowledges(&self, segment: &Segment) -> bool {
        segment.has(Flags::ACK) && segment.ack.gt(self.tcb.snd.una) && segment.ack.le(self.tcb.snd.nxt)
    }

    /// An abort that sends nothing, the end of an orphan, or a user timeout.
    fn guess_silent_ends(&self, offer: Offer<'_>) {
        match self.tcb.state {
            State::Closing | State::LastAck | State::TimeWait => offer(self, Event::Call(Call::Abort)),
            State::FinWait2 => offer(self, Event::Call(Call::CLOSE_BOTH)),
            State::Established | State::CloseWait if self.tcb.snd.wnd == 0 => {
                // Text that nobody saw given waits for room.
                offer(self, Event::Expires(Timer::User));
            }
            _ => {}
        }
    }
}
