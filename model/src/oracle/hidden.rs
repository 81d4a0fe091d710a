//! What may have happened unseen, just before an observation: goal-directed, so that few guesses are made.

use super::candidate::{Candidate, Terms};
use super::observation::{Kind, Numbers};
use crate::event::{Call, Event, Origin, Remote, Timer};
use crate::segment::{Flags, Options, Segment, Timestamps};
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::{Config, Fin};

/// The most guesses for one observation.
pub(super) const MAX_GUESSES: usize = 12;

/// A bounded list of events.
pub(super) struct Guesses {
    list: [Event; MAX_GUESSES],
    used: usize,
}

impl Guesses {
    pub(super) const fn none() -> Self {
        Self { list: [Event::Transmit; MAX_GUESSES], used: 0 }
    }

    pub(super) fn add(&mut self, event: Event) {
        if let Some(slot) = self.list.get_mut(self.used) {
            *slot = event;
            self.used += 1;
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Event> {
        self.list.get(..self.used)?.get(index).copied()
    }
}

/// What an OPEN may have asked for that nobody saw: everything, until the SYN shows what.
pub(super) const UNSEEN_CONFIG: Config = Config {
    receive_buffer: 1 << 30,
    send_buffer: u32::MAX,
    window_scale: Some(14),
    timestamps: true,
    sack: true,
    keep_alive: Some(0),
    user_timeout: Some(0),
    ..Config::DEFAULT
};

/// A window for peers that nobody hears.
const UNHEARD_WINDOW: u32 = 1 << 30;

const fn open(origin: Origin) -> Event {
    Event::Call(Call::Open { origin, remote: Remote::Specified, config: UNSEEN_CONFIG, admission: Ok(()) })
}

const fn open_to_wait() -> Event {
    let config = Config { fast_open: true, ..UNSEEN_CONFIG };
    Event::Call(Call::connect(config))
}

impl Candidate {
    /// Timers whose end changes the state, and which may have ended by now.
    pub(super) fn timers_that_end(&self) -> impl Iterator<Item = Timer> + use<> {
        const ENDING: [Timer; 5] =
            [Timer::TimeWait, Timer::User, Timer::Retransmit, Timer::KeepAlive, Timer::FinWait2];
        let timers = self.tcb.timers;
        ENDING.into_iter().filter(move |timer| timers.has(*timer))
    }

    /// Calls and segments that may have gone unseen before this observation.
    pub(super) fn guess(&self, terms: &Terms, kind: &Kind, guesses: &mut Guesses) {
        if !terms.tap.calls {
            self.guess_calls(terms, kind, guesses);
        }
        if !terms.tap.received {
            self.guess_segments(kind, guesses);
        }
    }

    fn guess_calls(&self, terms: &Terms, kind: &Kind, guesses: &mut Guesses) {
        let state = self.tcb.state;
        let closes = self.tcb.snd.fin == Fin::None;
        match kind {
            Kind::Transition(transition) => match (state, transition.to) {
                (State::Closed, State::Listen) => guesses.add(open(Origin::Passive)),
                (State::Closed | State::Listen, State::SynSent) => {
                    guesses.add(open(Origin::Active));
                    if terms.profile.fast_open {
                        // The SYN waits for text to carry.
                        guesses.add(open_to_wait());
                    }
                }
                (State::Closed, State::SynReceived) => guesses.add(open(Origin::Passive)),
                (_, State::Closed) => {
                    guesses.add(Event::Call(Call::Abort));
                    guesses.add(Event::Call(Call::CLOSE_BOTH));
                    // The user timeout may wait for text that nobody saw queued.
                    guesses.add(Event::Expires(Timer::User));
                }
                (_, State::FinWait1 | State::LastAck) if closes => {
                    guesses.add(Event::Call(Call::CLOSE));
                    guesses.add(Event::Call(Call::CLOSE_BOTH));
                }
                _ => {}
            },
            Kind::Sent(segment) => {
                if segment.has(Flags::RST) {
                    guesses.add(Event::Call(Call::Abort));
                    guesses.add(Event::Call(Call::CLOSE_BOTH));
                } else if segment.has(Flags::SYN) {
                    match (state, segment.has(Flags::ACK)) {
                        (State::Closed, true) => guesses.add(open(Origin::Passive)),
                        (State::Closed | State::Listen, false) => guesses.add(open(Origin::Active)),
                        // An abort that sends nothing.
                        (State::Closing | State::LastAck | State::TimeWait, _) => {
                            guesses.add(Event::Call(Call::Abort));
                        }
                        (State::SynSent, false) if self.tcb.snd.nxt == self.tcb.snd.iss => {
                            guesses.add(Event::Call(Call::send(segment.len)));
                        }
                        _ => {}
                    }
                } else if segment.has(Flags::FIN) && closes {
                    guesses.add(Event::Call(Call::CLOSE));
                    guesses.add(Event::Call(Call::CLOSE_BOTH));
                }
            }
            Kind::Received(segment) => self.guess_calls_before(terms, segment, guesses),
            _ => {}
        }
    }

    /// What leaves no segment behind and decides what becomes of this one.
    fn guess_calls_before(&self, terms: &Terms, segment: &Segment, guesses: &mut Guesses) {
        let state = self.tcb.state;
        let closes = matches!(state, State::FinWait1 | State::FinWait2);
        if closes && segment.len > 0 && !self.tcb.rcv.reader_gone {
            guesses.add(Event::Call(Call::CLOSE_BOTH));
        }
        if terms.tap.transitions {
            // Whatever else changes the state would have been shown.
            return;
        }
        if state.is_synchronized() {
            guesses.add(Event::Expires(Timer::User));
        }
        match state {
            State::Closing | State::LastAck | State::TimeWait => guesses.add(Event::Call(Call::Abort)),
            State::Closed if segment.has(Flags::SYN) => guesses.add(open(Origin::Passive)),
            State::Listen | State::SynSent => guesses.add(Event::Call(Call::CLOSE)),
            State::Established if segment.seq_len() > 0 => {
                // The FIN has not left yet; text for a user who has gone resets (SHLD-3).
                guesses.add(Event::Call(Call::CLOSE_BOTH));
                if segment.has(Flags::FIN) {
                    guesses.add(Event::Call(Call::CLOSE));
                }
            }
            _ => {}
        }
    }

    fn guess_segments(&self, kind: &Kind, guesses: &mut Guesses) {
        let (snd, rcv) = (&self.tcb.snd, &self.tcb.rcv);
        let state = self.tcb.state;
        let (numbers, sent) = match kind {
            Kind::Transition(transition) => (transition.numbers, None),
            Kind::Sent(segment) => {
                let rcv_nxt = segment.has(Flags::ACK).then_some(segment.ack);
                (Numbers { rcv_nxt, ..Numbers::default() }, Some(segment))
            }
            _ => (Numbers::default(), None),
        };
        let stamps = self.tcb.agreed.timestamps.map(|r| Timestamps { value: r.value, echo: 0 });
        let plain = Options { timestamps: stamps, ..Options::default() };
        let segment =
            |flags, seq: Seq, ack: Seq| Segment { options: plain, ..Segment::new(flags, seq.0, ack.0) };
        if !state.is_synchronized() && state != State::SynReceived {
            // The SYN that RCV.NXT counts; the peer offers whatever the endpoint then agrees to.
            let irs = numbers.rcv_nxt.map_or(Seq(0), |next| next - 1);
            let answer = sent.filter(|s| s.has(Flags::SYN)).map(|s| s.options).unwrap_or_default();
            let options = if state == State::Listen {
                answer
            } else {
                Options {
                    window_scale: self.tcb.config.window_scale,
                    timestamps: self.tcb.config.timestamps.then_some(Timestamps { value: 0, echo: 0 }),
                    sack_permitted: true,
                    ..Options::default()
                }
            };
            let syn = |flags| Event::Arrives(Segment { options, ..segment(flags, irs, snd.nxt) });
            if matches!(state, State::Listen | State::SynSent) {
                guesses.add(syn(Flags::SYN));
            }
            if state == State::SynSent {
                guesses.add(syn(Flags::SYN_ACK));
                guesses.add(syn(Flags::SYN_ACK | Flags::FIN));
                guesses.add(Event::Arrives(segment(Flags::RST_ACK, Seq(0), snd.nxt)));
            }
            return;
        }
        let at = rcv.nxt;
        guesses.add(Event::Arrives(segment(Flags::RST, at, Seq(0))));
        if self.tcb.in_flight() {
            guesses.add(Event::Arrives(segment(Flags::ACK, at, snd.nxt)));
        }
        // Text that the endpoint acknowledges, with a FIN at its end or without.
        let ahead = numbers.rcv_nxt.map_or(0, |next| next - at);
        if ahead > 0 && ahead < UNHEARD_WINDOW {
            guesses.add(Event::Arrives(segment(Flags::ACK, at, snd.una).text(ahead)));
            // What it acknowledges of ours can be guessed when it matters.
            let matters = matches!(kind, Kind::Transition(_)) || state == State::SynReceived;
            if matters && self.tcb.in_flight() {
                guesses.add(Event::Arrives(segment(Flags::ACK, at, snd.nxt).text(ahead)));
            }
        }
        if matches!(state, State::TimeWait) {
            let syn = Segment::new(Flags::SYN, numbers.rcv_nxt.map_or(at, |next| next - 1).0, 0);
            guesses.add(Event::Arrives(syn));
            // Timestamps are evidence too (RFC 6191).
            let newer = stamps.map_or(0, |stamp| stamp.value.wrapping_add(1));
            let mut stamped = syn;
            stamped.options.timestamps = Some(Timestamps { value: newer, echo: 0 });
            guesses.add(Event::Arrives(stamped));
            return;
        }
        let fin = numbers.rcv_nxt.is_none() || ahead > 0;
        if fin && !matches!(state, State::CloseWait | State::LastAck | State::Closing) {
            let text = if ahead < UNHEARD_WINDOW { ahead.saturating_sub(1) } else { 0 };
            guesses.add(Event::Arrives(segment(Flags::FIN_ACK, at, snd.una).text(text)));
            if self.tcb.in_flight() {
                guesses.add(Event::Arrives(segment(Flags::FIN_ACK, at, snd.nxt).text(text)));
            }
        }
    }

    /// Lets leave unseen what has to have left for `upto` to be an acknowledgment, or a number that was reached.
    pub(super) fn sent_unseen(&mut self, terms: &Terms, upto: Seq) {
        let snd = &mut self.tcb.snd;
        let missing = upto - snd.nxt;
        let speaks = match self.tcb.state {
            // Text on the SYN.
            State::SynSent => true,
            State::SynReceived => terms.profile.fast_open,
            state => state.is_synchronized(),
        };
        if missing == 0 || missing >= UNHEARD_WINDOW || !speaks {
            return;
        }
        let may_close = snd.fin == Fin::Wanted;
        let mut text = missing.min(snd.queued);
        let mut left = missing - text;
        if left > 0 && !may_close && !terms.tap.calls && snd.fin == Fin::None {
            (text, left) = (missing, 0);
            snd.queued = missing;
        }
        if left > 1 || (left == 1 && !may_close) {
            return;
        }
        snd.nxt += text;
        snd.queued -= text;
        snd.pushed = snd.pushed.saturating_sub(text);
        if left == 1 {
            self.fin_sent_unseen();
        }
    }

    /// Everything that waited left unseen, and its timeout runs. Nothing waited: `None`.
    pub(super) fn all_sent_unseen(&self) -> Option<Self> {
        let mut sent = *self;
        sent.fin_sent_unseen();
        let snd = &mut sent.tcb.snd;
        snd.nxt += snd.queued;
        (snd.queued, snd.pushed) = (0, 0);
        let moved = snd.nxt != self.tcb.snd.nxt && self.tcb.state.is_synchronized();
        sent.tcb.timers = sent.tcb.timers.with(Timer::Retransmit);
        moved.then_some(sent)
    }

    /// The FIN, with all text before it, left unseen.
    pub(super) fn fin_sent_unseen(&mut self) {
        let snd = &mut self.tcb.snd;
        if snd.fin != Fin::Wanted {
            return;
        }
        snd.nxt += snd.queued;
        snd.nxt += 1;
        (snd.queued, snd.pushed, snd.fin) = (0, 0, Fin::Sent);
        if self.tcb.state == State::CloseWait {
            self.tcb.state = State::LastAck;
        }
    }

    /// Puts windows out of the way that nobody can know.
    pub(super) fn open_unknown_windows(&mut self, terms: &Terms) {
        if !self.tcb.state.is_synchronized() && self.tcb.state != State::SynReceived {
            return;
        }
        if !terms.tap.received {
            self.tcb.snd.wnd = self.tcb.snd.wnd.max(UNHEARD_WINDOW);
            // What the peer has acknowledged, unheard, makes room for more.
            self.tcb.config.send_buffer = u32::MAX;
        }
        if !terms.tap.calls {
            // The user reads at once.
            (self.tcb.rcv.readable, self.tcb.rcv.wanted) = (0, 0);
        }
        if !terms.tap.received || !(terms.tap.calls || terms.tap.sent) {
            self.tcb.rcv.wnd = self.tcb.rcv.wnd.max(UNHEARD_WINDOW);
        }
    }

    /// Takes over what a transition shows of numbers that nothing else does.
    pub(super) fn absorb(&mut self, terms: &Terms, numbers: &Numbers) {
        let tap = terms.tap;
        if !self.iss_known
            && let Some(una) = numbers.una
        {
            // SND.UNA is the ISS until the SYN is acknowledged.
            if self.tcb.snd.una == self.tcb.snd.iss {
                self.rebase(una);
            }
        }
        if !tap.sent
            && let Some(nxt) = numbers.nxt
        {
            self.sent_unseen(terms, nxt);
        }
        let synchronized = self.tcb.state.is_synchronized();
        if let Some(una) = numbers.una
            && !tap.received
            && synchronized
            && self.iss_known
            && una.gt(self.tcb.snd.una)
            && una.le(self.tcb.snd.nxt)
        {
            self.tcb.snd.una = una;
        }
    }
}
