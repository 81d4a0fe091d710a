//! What may have happened unseen, just before an observation: goal-directed, so that few guesses are made.

mod calls;
mod departed;
mod segments;

use super::candidate::{Candidate, Terms};
use super::observation::Kind;
use crate::event::{Event, Timer};
use crate::state::State;
use crate::tcb::{Config, UnreadFins};

/// What an OPEN may have asked for that nobody saw: everything, until the SYN shows what.
const UNSEEN_CONFIG: Config = Config {
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
pub(super) const UNHEARD_WINDOW: u32 = 1 << 30;

/// Takes a guess: the candidate that the event meets, and the event.
type Offer<'a> = &'a mut dyn FnMut(&Candidate, Event);

/// False when the observation is a transition to none of these states, where the event that is guessed leads.
fn leads(kind: &Kind, to: &[State]) -> bool {
    match kind {
        Kind::Transition(transition) => to.contains(&transition.to),
        _ => true,
    }
}

impl Candidate {
    /// Timers whose end changes the state, and which may have ended by now.
    pub(super) fn timers_that_end(&self) -> impl Iterator<Item = Timer> + use<> {
        const ENDING: [Timer; 5] =
            [Timer::TimeWait, Timer::User, Timer::Retransmit, Timer::KeepAlive, Timer::FinWait2];
        let timers = self.tcb.timers;
        ENDING.into_iter().filter(move |timer| timers.has(*timer))
    }

    /// Calls and segments that may have gone unseen before this observation, each with the candidate that it meets.
    pub(super) fn guess(&self, terms: &Terms, kind: &Kind, offer: Offer<'_>) {
        if !terms.tap.calls {
            self.guess_calls(terms, kind, offer);
        }
        if !terms.tap.received {
            self.guess_segments(terms, kind, offer);
        }
    }

    /// Puts windows out of the way that nobody can know.
    pub(super) fn open_unknown_windows(&mut self, terms: &Terms) {
        if terms.tap.calls && terms.tap.received {
            return;
        }
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
            let rcv = &mut self.tcb.rcv;
            (rcv.readable, rcv.wanted, rcv.unread_fins) = (0, 0, UnreadFins::default());
        }
        if !terms.tap.received || !(terms.tap.calls || terms.tap.sent) {
            self.tcb.rcv.wnd = self.tcb.rcv.wnd.max(UNHEARD_WINDOW);
        }
    }
}
