//! Machines that are broken on purpose, each in one way: what a property is for.

use model::effect::{Delivery, Done};
use model::tcb::{Fin, TimerSet};
use model::{
    CallError, Choices, Effect, Event, Flags, Profile, Rule, Segment, Signal, State, Tcb, Timer, Trail,
};

use crate::world::{StepFn, sound};

/// A broken machine, the scenario that shows it, and the property that it breaks.
pub struct Broken {
    pub property: &'static str,
    pub scenario: &'static str,
    pub step: StepFn,
}

macro_rules! broken {
    ($property:literal in $scenario:literal, |$tcb:ident, $event:ident, $effects:ident, $trail:ident, $before:ident| $body:block) => {
        Broken {
            property: $property,
            scenario: $scenario,
            step: |tcb: &mut Tcb,
                   event: &Event,
                   profile: &Profile,
                   choices: &Choices,
                   effects: &mut Vec<Effect>| {
                let before = *tcb;
                let trail: Trail = sound(tcb, event, profile, choices, effects);
                {
                    #[allow(unused_variables, clippy::allow_attributes, reason = "each uses some")]
                    let ($tcb, $event, $effects, $trail, $before) =
                        (&mut *tcb, event, &mut *effects, &trail, &before);
                    $body
                }
                trail
            },
        }
    };
}

fn arrived(event: &Event) -> Option<&Segment> {
    match event {
        Event::Arrives(segment) => Some(segment),
        _ => None,
    }
}

pub const BROKEN: &[Broken] = &[
    broken!("SND.UNA is not beyond SND.NXT" in "client and server", |tcb, event, effects, trail, before| {
        if trail.contains(Rule::Ack4) {
            tcb.snd.una = tcb.snd.nxt + 1;
        }
    }),
    broken!("nothing is received that was not sent" in "client and server", |tcb, event, effects, trail, before| {
        if trail.contains(Rule::Txt1) {
            tcb.rcv.nxt += 1;
        }
    }),
    broken!("nothing is acknowledged that was not received" in "client and server", |tcb, event, effects, trail, before| {
        // Any ACK is taken for one of everything.
        if trail.contains(Rule::Ack5) && tcb.in_flight() {
            tcb.snd.una = tcb.snd.nxt;
        }
    }),
    broken!("no more is delivered than was sent" in "client and server", |tcb, event, effects, trail, before| {
        if trail.contains(Rule::Txt1) {
            tcb.rcv.readable += 1;
        }
    }),
    broken!("what is in flight will be repeated" in "client and server", |tcb, event, effects, trail, before| {
        if trail.contains(Rule::Send5) {
            tcb.timers = TimerSet::default();
        }
    }),
    broken!("TIME-WAIT runs the 2MSL timer and no other" in "nothing but closes", |tcb, event, effects, trail, before| {
        if tcb.state == State::TimeWait {
            tcb.timers = tcb.timers.with(Timer::Retransmit);
        }
    }),
    broken!("CLOSED holds nothing" in "nothing but closes", |tcb, event, effects, trail, before| {
        if trail.contains(Rule::TmoTw) {
            tcb.rcv.readable = 1;
        }
    }),
    // Two steps instead of three: the SYN alone establishes.
    broken!("nobody is synchronized with a peer that never was" in "an old SYN", |tcb, event, effects, trail, before| {
        if trail.contains(Rule::SegLi4) {
            tcb.state = State::Established;
            tcb.snd.una = tcb.snd.nxt;
        }
    }),
    broken!("a segment of an old connection establishes nothing" in "an old SYN", |tcb, event, effects, trail, before| {
        if trail.contains(Rule::SegLi4) {
            tcb.state = State::Established;
            tcb.snd.una = tcb.snd.nxt;
        }
    }),
    broken!("two that are ESTABLISHED are so with each other" in "an old SYN", |tcb, event, effects, trail, before| {
        // SYN-SENT believes any SYN+ACK, whatever it acknowledges.
        if trail.contains(Rule::SegSs2) && arrived(event).is_some_and(|segment| segment.has(Flags::SYN)) {
            tcb.state = State::Established;
            tcb.snd.una = tcb.snd.nxt;
            tcb.rcv.irs = arrived(event).map_or(tcb.rcv.irs, |segment| segment.seq + 7);
        }
        if trail.contains(Rule::SegLi4) {
            tcb.state = State::Established;
            tcb.snd.una = tcb.snd.nxt;
        }
    }),
    broken!("a user is told of the peer's FIN once" in "nothing but closes", |tcb, event, effects, trail, before| {
        if trail.contains(Rule::Seq3) && arrived(event).is_some_and(|segment| segment.has(Flags::FIN)) {
            effects.push(Effect::Signal(Signal::Closing));
        }
    }),
    broken!("a user is told of the connection once" in "client and server", |tcb, event, effects, trail, before| {
        if trail.contains(Rule::Seq2) || trail.contains(Rule::Ack4) {
            effects.push(Effect::Signal(Signal::Established));
        }
    }),
    broken!("the window is no larger than the buffer" in "closed windows", |tcb, event, effects, trail, before| {
        if trail.contains(Rule::Txt1) {
            tcb.rcv.wnd += 1;
        }
    }),
    broken!("a connection that nobody resets is not reset" in "client and server", |tcb, event, effects, trail, before| {
        // One retransmission and the user is told that all is lost.
        if trail.contains(Rule::TmoRtx) {
            effects.push(Effect::Signal(Signal::Aborted(CallError::TimedOut)));
        }
    }),
    broken!("no reset answers a reset" in "an abort", |tcb, event, effects, trail, before| {
        if let Some(segment) = arrived(event).filter(|segment| segment.has(Flags::RST)) {
            effects.push(Effect::Send(Segment::new(Flags::RST, segment.ack.0, 0)));
        }
    }),
    broken!("text reaches the user in order, without gap or repetition" in "client and server", |tcb, event, effects, trail, before| {
        // A segment that was received before is delivered again.
        if trail.contains(Rule::Seq3) && arrived(event).is_some_and(|segment| segment.len > 0) {
            let seq = tcb.rcv.nxt - 1;
            let again = Delivery { seq: seq + 1, len: 1, push: false, urgent: false };
            effects.push(Effect::Reply(Ok(Done::Received(again))));
            effects.push(Effect::Reply(Ok(Done::Received(Delivery { seq, ..again }))));
        }
    }),
    broken!("the right edge never moves left" in "closed windows", |tcb, event, effects, trail, before| {
        if trail.contains(Rule::Txt1) {
            tcb.rcv.wnd = 0;
        }
    }),
    broken!("RCV.NXT never goes back" in "client and server", |tcb, event, effects, trail, before| {
        if trail.contains(Rule::Seq3) && tcb.state.is_synchronized() {
            tcb.rcv.nxt = tcb.rcv.irs + 1;
        }
    }),
    broken!("text stays inside the window, but for a probe" in "closed windows", |tcb, event, effects, trail, before| {
        if trail.contains(Rule::Send5) && tcb.snd.queued > 0 {
            let mut beyond = Segment::new(Flags::ACK, tcb.snd.nxt.0, tcb.rcv.nxt.0).text(4);
            beyond.window = 1;
            effects.push(Effect::Send(beyond));
        }
    }),
    broken!("nothing is sent behind the FIN" in "client and server", |tcb, event, effects, trail, before| {
        if trail.contains(Rule::Close6) && tcb.snd.fin == Fin::Sent {
            effects.push(Effect::Send(Segment::new(Flags::ACK, tcb.snd.nxt.0, tcb.rcv.nxt.0).text(1)));
        }
    }),
    broken!("an orderly close leaves TIME-WAIT on at least one side" in "nothing but closes", |tcb, event, effects, trail, before| {
        if tcb.state == State::TimeWait {
            *tcb = Tcb::closed();
        }
    }),
    broken!("the peer's FIN again restarts 2MSL" in "nothing but closes", |tcb, event, effects, trail, before| {
        if trail.contains(Rule::Seq2t) {
            effects.retain(|effect| !matches!(effect, Effect::Start(..)));
        }
    }),
    // The ACK of the FIN is forgotten for ever.
    broken!("no pair is stuck for ever" in "nothing but closes", |tcb, event, effects, trail, before| {
        if tcb.state == State::CloseWait || before.state == State::CloseWait {
            effects.retain(|effect| !matches!(effect, Effect::Send(segment) if segment.flags == Flags::ACK));
            tcb.rcv.nxt = before.rcv.nxt;
            tcb.state = before.state;
        }
    }),
    broken!("in the end both are closed" in "client and server", |tcb, event, effects, trail, before| {
        // The FIN is taken as sent, and never leaves.
        if trail.contains(Rule::Close6) {
            effects.retain(|effect| !matches!(effect, Effect::Send(_)));
            tcb.timers = TimerSet::default();
        }
    }),
    broken!("in the end everything has been delivered" in "client and server", |tcb, event, effects, trail, before| {
        if trail.contains(Rule::Txt1) {
            tcb.rcv.readable = 0;
        }
    }),
];
