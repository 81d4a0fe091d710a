//! The machine: one total function over every event of RFC 9293, section 3.10.
//!
//! [`step`] takes a TCB and one event; it changes the TCB, writes the effects in order, and returns the rules it took.
//! It reads no clock and draws no random number: time is `now`, and whatever the RFC leaves open is in [`Choices`].
//! No TCB and no segment make it panic, however nonsensical.
//!
//! Within one check the first rule that fits decides; the checks come in the RFC's order. A file per group:
//! `calls`, `listen` (CLOSED and LISTEN), `syn_sent`, `arrives` (all other states, a file per check), `timers`;
//! `output` sends what may be sent and keeps the timers, `emit` builds segments, `options` agrees on options.

mod arrives;
mod calls;
mod emit;
mod listen;
mod options;
mod output;
mod syn_sent;
mod timers;

use crate::effect::{Effect, Effects, Signal};
use crate::event::{CallError, Event, IcmpError, Timer};
use crate::profile::Profile;
use crate::reassembly::HeldFin;
use crate::rule::{Rule, Trail};
use crate::segment::FastOpen;
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::{Tcb, TimerSet};

/// What the RFC leaves to the implementation at the moment of an event, and what only the environment knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Choices {
    /// The initial sequence number, should this event need one; [`crate::isn`] computes it.
    pub iss: Seq,
    /// Whether an ACK of text may wait (SHLD-18).
    pub delay_ack: bool,
    /// Whether text out of order draws an ACK at once (MAY-13).
    pub ack_out_of_order: bool,
    /// Whether text out of order is held (SHLD-31).
    pub hold_out_of_order: bool,
    /// Whether the text of a SEND on a listening TCB rides on the SYN (3.10.2).
    pub text_on_syn: bool,
    /// Octets that congestion control allows in flight (MUST-19).
    pub congestion_window: u32,
    /// Segments of text to send at most in this step; [`crate::effect::MAX_BURST`] bounds it.
    pub burst: u8,
    /// The MSS inside the SYN cookie that this ACK carries, when it does carry a valid one.
    pub valid_cookie: Option<u16>,
    /// Whether the Fast Open cookie of this SYN is valid.
    pub valid_fast_open: bool,
    /// The Fast Open option for our SYN or SYN+ACK.
    pub fast_open: Option<FastOpen>,
    /// Whether somebody listens for what would be a new incarnation (TIME-WAIT).
    pub listener: bool,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            iss: Seq(0),
            delay_ack: false,
            ack_out_of_order: true,
            hold_out_of_order: true,
            text_on_syn: false,
            congestion_window: u32::MAX,
            burst: crate::effect::MAX_BURST,
            valid_cookie: None,
            valid_fast_open: false,
            fast_open: None,
            listener: true,
        }
    }
}

impl Choices {
    /// Whatever may be put off is: no text leaves, ACKs wait, and the ISS stands for one that is still to be chosen.
    pub const LAZY: Self = Self {
        iss: Seq(0x4000_0000),
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
}

/// One event. `now` is in microseconds on any clock that does not go back; `out` is cleared first.
pub fn step(
    tcb: &mut Tcb,
    now: u64,
    event: &Event,
    profile: &Profile,
    choices: &Choices,
    out: &mut Effects,
) -> Trail {
    out.clear();
    let mut step = Step {
        tcb,
        now,
        profile,
        choices,
        out,
        trail: Trail::EMPTY,
        reply: Reply::None,
        resend: false,
        transmit: false,
        held_fin: None,
    };
    match event {
        Event::Call(call) => step.call(call),
        Event::Arrives(segment) => match step.tcb.state {
            State::Closed => step.arrives_closed(segment),
            State::Listen => step.arrives_listen(segment),
            State::SynSent => step.arrives_syn_sent(segment),
            _ => step.arrives(segment),
        },
        Event::Expires(timer) => step.expires(*timer),
        Event::Icmp(error) => step.icmp(*error),
        Event::Transmit => step.transmit = true,
    }
    step.finish();
    step.trail
}

/// Whether the segment being processed has to be acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reply {
    None,
    /// It may wait (SHLD-18).
    Delayable,
    Now,
}

struct Step<'a> {
    tcb: &'a mut Tcb,
    now: u64,
    profile: &'a Profile,
    choices: &'a Choices,
    out: &'a mut Effects,
    trail: Trail,
    reply: Reply,
    /// The head of the retransmission queue goes out again, once the whole segment has been processed.
    resend: bool,
    /// Something changed that may let text go out.
    transmit: bool,
    /// What was held has led up to the peer's FIN.
    held_fin: Option<HeldFin>,
}

impl Step<'_> {
    fn take(&mut self, rule: Rule) {
        self.trail.push(rule);
    }

    fn signal(&mut self, signal: Signal) {
        self.out.push(Effect::Signal(signal));
    }

    fn acknowledge(&mut self, reply: Reply) {
        self.reply = self.reply.max(reply);
    }

    fn enter(&mut self, state: State) {
        self.tcb.state = state;
    }

    fn start(&mut self, timer: Timer, after: u64) {
        self.tcb.timers = self.tcb.timers.with(timer);
        self.out.push(Effect::Start(timer, after));
    }

    fn stop(&mut self, timer: Timer) {
        if self.tcb.timers.has(timer) {
            self.tcb.timers = self.tcb.timers.without(timer);
            self.out.push(Effect::Stop(timer));
        }
    }

    fn stop_all(&mut self) {
        for timer in self.tcb.timers.iter() {
            self.out.push(Effect::Stop(timer));
        }
        self.tcb.timers = TimerSet::default();
    }

    /// Calls that wait are answered with an error.
    fn fail_calls(&mut self, error: CallError) {
        if self.tcb.rcv.wanted > 0 {
            self.tcb.rcv.wanted = 0;
            self.signal(Signal::ReceiveFailed(error));
        }
        let unfinished = self.tcb.snd.queued > 0 || self.tcb.in_flight();
        if unfinished && self.tcb.state != State::Closed && self.tcb.state != State::Listen {
            self.signal(Signal::SendFailed(error));
        }
    }

    /// What the step was going to send is no longer wanted.
    fn send_nothing(&mut self) {
        (self.reply, self.resend, self.transmit) = (Reply::None, false, false);
    }

    /// The TCB is deleted: CLOSED.
    fn delete(&mut self) {
        self.stop_all();
        *self.tcb = Tcb::closed();
        self.send_nothing();
    }

    /// The connection ends otherwise than by CLOSE: calls fail, the user is told (MUST-12), the TCB goes.
    fn abort_with(&mut self, error: CallError) {
        self.fail_calls(error);
        self.signal(Signal::Aborted(error));
        self.delete();
    }

    /// A half-open connection goes back to LISTEN, and whoever sent the first SYN is forgotten.
    ///
    /// One that replaced a TIME-WAIT goes back there instead: its SYN was an old duplicate (MAY-2).
    fn return_to_listen(&mut self) {
        self.stop_all();
        let (config, remote) = (self.tcb.config, self.tcb.listen_remote);
        self.send_nothing();
        let Some(former) = self.tcb.former.filter(|_| self.profile.reopen_falls_back) else {
            *self.tcb = Tcb::listening(config, remote);
            return;
        };
        *self.tcb = Tcb { state: State::TimeWait, ..Tcb::listening(config, remote) };
        self.tcb.agreed = former.agreed;
        (self.tcb.snd.iss, self.tcb.snd.una, self.tcb.snd.nxt) =
            (former.snd_nxt - 1, former.snd_nxt, former.snd_nxt);
        self.tcb.snd.fin = crate::tcb::Fin::Sent;
        (self.tcb.rcv.irs, self.tcb.rcv.nxt, self.tcb.rcv.wnd) =
            (former.rcv_nxt - 1, former.rcv_nxt, former.rcv_wnd);
        self.start(Timer::TimeWait, self.profile.limits.time_wait);
    }

    /// TIME-WAIT: the 2MSL timer starts, the others stop.
    fn enter_time_wait(&mut self) {
        self.enter(State::TimeWait);
        self.stop_all();
        self.start(Timer::TimeWait, self.profile.limits.time_wait);
    }

    fn restart_time_wait(&mut self) {
        self.start(Timer::TimeWait, self.profile.limits.time_wait);
    }

    /// ICMP errors (3.9.2.2): soft ones are told, hard ones abort where the profile says so.
    fn icmp(&mut self, error: IcmpError) {
        let opening = matches!(self.tcb.state, State::SynSent | State::SynReceived);
        let aborts = match error {
            IcmpError::SourceQuench => return,
            IcmpError::Soft => opening && self.profile.soft_icmp_aborts_opening,
            IcmpError::Hard => opening || self.profile.hard_icmp_aborts,
        };
        match self.tcb.state {
            State::Closed | State::Listen | State::TimeWait => {}
            _ if aborts => self.abort_with(if opening { CallError::Refused } else { CallError::Reset }),
            _ => self.signal(Signal::SoftError),
        }
    }
}
