//! What must hold in every state, at every transition, and at the end of every fair continuation.

use model::effect::Done;
use model::tcb::Fin;
use model::{Effect, Flags, Rule, Seq, Signal, State, Tcb, Timer};

use crate::world::{BASE, BUFFER, Happened, Scenario, World};

/// A property by name. `Ok(())` when it holds.
pub enum Check {
    State(fn(&World, &Scenario) -> bool),
    Transition(fn(&World, &Happened, &Scenario) -> bool),
    End(fn(&World, &Scenario) -> bool),
}

pub struct Property {
    pub name: &'static str,
    pub check: Check,
}

const fn state(name: &'static str, check: fn(&World, &Scenario) -> bool) -> Property {
    Property { name, check: Check::State(check) }
}

const fn transition(name: &'static str, check: fn(&World, &Happened, &Scenario) -> bool) -> Property {
    Property { name, check: Check::Transition(check) }
}

const fn end(name: &'static str, check: fn(&World, &Scenario) -> bool) -> Property {
    Property { name, check: Check::End(check) }
}

/// Found when a fair continuation has no end.
pub const NEVER_ENDS: &str = "no pair is stuck for ever";

fn alive(tcb: &Tcb) -> bool {
    !matches!(tcb.state, State::Closed | State::Listen)
}

fn pairs(world: &World) -> [(&Tcb, &Tcb); 2] {
    let [a, b] = &world.ends;
    [(&a.tcb, &b.tcb), (&b.tcb, &a.tcb)]
}

/// Nothing in the scenario can reset a connection lawfully.
fn benign(scenario: &Scenario) -> bool {
    scenario.old.is_empty()
        && !scenario.scripts.iter().any(|script| script.contains(&crate::world::Do::Abort))
}

pub const PROPERTIES: &[Property] = &[
    state("SND.UNA is not beyond SND.NXT", |world, _| {
        pairs(world)
            .iter()
            .all(|(tcb, _)| !alive(tcb) || (tcb.snd.iss.le(tcb.snd.una) && tcb.snd.una.le(tcb.snd.nxt)))
    }),
    state("nothing is received that was not sent", |world, _| {
        !world.joined() || pairs(world).iter().all(|(tcb, peer)| tcb.rcv.nxt.le(peer.snd.nxt))
    }),
    state("nothing is acknowledged that was not received", |world, _| {
        !world.joined() || pairs(world).iter().all(|(tcb, peer)| tcb.snd.una.le(peer.rcv.nxt))
    }),
    state("no more is delivered than was sent", |world, scenario| {
        let [a, b] = &world.ends;
        !benign(scenario) || (a.delivered <= b.submitted && b.delivered <= a.submitted)
    }),
    state("what is in flight will be repeated", |world, _| {
        world.ends.iter().all(|end| {
            let runs = |timer| end.tcb.timers.has(timer);
            // Whoever waits in TIME-WAIT after a reset of its own (contradiction 2) has given up what was in flight.
            let waits = end.tcb.state == State::TimeWait;
            waits
                || !alive(&end.tcb)
                || !end.tcb.in_flight()
                || runs(Timer::Retransmit)
                || runs(Timer::Persist)
        })
    }),
    state("TIME-WAIT runs the 2MSL timer and no other", |world, _| {
        world
            .ends
            .iter()
            .all(|end| end.tcb.state != State::TimeWait || end.tcb.timers.iter().eq([Timer::TimeWait]))
    }),
    state("CLOSED holds nothing", |world, _| {
        world.ends.iter().all(|end| end.tcb.state != State::Closed || end.tcb == Tcb::closed())
    }),
    state("nobody is synchronized with a peer that never was", |world, _| {
        [(0, 1), (1, 0)].into_iter().all(|(me, other)| {
            let (tcb, peer) = (&world.ends[me].tcb, &world.ends[other]);
            let used = (0..u32::from(peer.opens)).any(|n| tcb.rcv.irs == Seq(BASE[other] + 1_000 * n));
            !tcb.state.is_synchronized() || used
        })
    }),
    state("two that are ESTABLISHED are so with each other", |world, _| {
        let both = world.ends.iter().all(|end| end.tcb.state == State::Established);
        !both || world.joined()
    }),
    state("a user is told of the peer's FIN once", |world, _| {
        world.ends.iter().all(|end| end.told_closing <= 1)
    }),
    state("a user is told of the connection once", |world, _| {
        world.ends.iter().all(|end| end.told_established <= end.opens)
    }),
    state("the window is no larger than the buffer", |world, _| {
        world
            .ends
            .iter()
            .all(|end| end.tcb.state == State::Closed || end.tcb.rcv.wnd + end.tcb.rcv.readable <= BUFFER)
    }),
    state("a connection that nobody resets is not reset", |world, scenario| {
        !benign(scenario) || world.ends.iter().all(|end| !end.told_aborted)
    }),
    transition("no reset answers a reset", |_, happened, _| {
        let reset = happened.arrived.is_some_and(|packet| packet.segment.has(Flags::RST));
        !(reset && happened.sent().any(|sent| sent.has(Flags::RST)))
    }),
    transition("text reaches the user in order, without gap or repetition", |world, happened, _| {
        let peer = &world.ends[1 - happened.end];
        let mut next = None;
        for effect in &happened.effects {
            let delivery = match effect {
                Effect::Reply(Ok(Done::Received(delivery))) | Effect::Signal(Signal::Received(delivery)) => {
                    delivery
                }
                _ => continue,
            };
            // The first octet of a connection follows the peer's SYN; the rest follows what came before.
            let before = world.ends[happened.end].delivered - delivery.len;
            let expected = next.unwrap_or(happened_irs(happened) + 1 + before);
            if delivery.seq != expected || (peer.opens == 1 && delivery.seq.lt(Seq(BASE[1 - happened.end]))) {
                return false;
            }
            next = Some(delivery.seq + delivery.len);
        }
        true
    }),
    transition("the right edge never moves left", |_, happened, _| {
        let same = happened.before.rcv.irs == happened.after.rcv.irs
            && alive(&happened.before)
            && alive(&happened.after);
        let edge = |tcb: &Tcb| tcb.rcv.nxt + tcb.rcv.wnd;
        !same || happened.before.state == State::SynSent || edge(&happened.before).le(edge(&happened.after))
    }),
    transition("RCV.NXT never goes back", |_, happened, _| {
        let same = happened.before.rcv.irs == happened.after.rcv.irs
            && happened.before.state.is_synchronized()
            && happened.after.state.is_synchronized();
        !same || happened.before.rcv.nxt.le(happened.after.rcv.nxt)
    }),
    transition("text stays inside the window, but for a probe", |world, happened, _| {
        let Some(edge) = world.ends[1 - happened.end].edge else { return true };
        let probe = u32::from(happened.took(Rule::TmoPersist));
        !world.joined()
            || happened.sent().all(|sent| sent.len == 0 || (sent.seq + sent.len).le(edge + probe + 1))
    }),
    transition("nothing is sent behind the FIN", |_, happened, _| {
        let snd = &happened.after.snd;
        snd.fin != Fin::Sent || happened.sent().all(|sent| !alive(&happened.after) || sent.end().le(snd.nxt))
    }),
    transition("an orderly close leaves TIME-WAIT on at least one side", |world, happened, scenario| {
        let gone = happened.took(Rule::Ack12);
        !gone || !benign(scenario) || world.ends[1 - happened.end].was_time_wait
    }),
    transition("a segment of an old connection establishes nothing", |_, happened, _| {
        let old = happened.arrived.is_some_and(|packet| packet.old);
        !old || happened.after.state != State::Established || happened.before.state == State::Established
    }),
    transition("the peer's FIN again restarts 2MSL", |_, happened, _| {
        let again = happened.arrived.is_some_and(|packet| {
            let segment = packet.segment;
            segment.has(Flags::FIN)
                && !segment.has(Flags::SYN)
                && segment.end() == happened.before.rcv.nxt
                && segment.ack == happened.before.snd.nxt
        });
        happened.before.state != State::TimeWait
            || !again
            || happened.effects.iter().any(|effect| matches!(effect, Effect::Start(Timer::TimeWait, _)))
    }),
    end("in the end both are closed", |world, scenario| {
        let finished = |end: usize| !alive(&world.ends[end].tcb);
        // Who has no CLOSE in the script keeps the connection.
        !scenario.scripts.iter().all(|script| script.contains(&crate::world::Do::Close))
            || (finished(0) && finished(1))
    }),
    end("in the end everything has been delivered", |world, scenario| {
        let [a, b] = &world.ends;
        !benign(scenario) || (a.delivered == b.submitted && b.delivered == a.submitted)
    }),
];

fn happened_irs(happened: &Happened) -> Seq {
    if alive(&happened.after) { happened.after.rcv.irs } else { happened.before.rcv.irs }
}
