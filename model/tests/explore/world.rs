//! Two endpoints, their users, and a network that loses, repeats and reorders: one state of the exploration.
//!
//! Time stands still: a timer may expire whenever it runs, but 2MSL only once nothing is on its way any more, which is
//! what an MSL promises.

use model::{
    Call, Choices, Effect, Effects, Event, Flags, Profile, Rule, Segment, Seq, Signal, State, Tcb, Timer,
    Trail, step,
};

/// A segment on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    pub segment: Segment,
    /// From a connection that is over.
    pub old: bool,
}

/// What a user does, in this order, whenever it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Do {
    Send(u32),
    Close,
    Abort,
}

/// One end, with what only the explorer knows (it is part of the state, so it is small).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct End {
    pub tcb: Tcb,
    /// Towards this end, in any order.
    pub incoming: Vec<Packet>,
    /// How much of the script is done.
    pub done: u8,
    /// Octets that SEND accepted, and that reached this user.
    pub submitted: u32,
    pub delivered: u32,
    /// The initial numbers this end has used so far: `base + 1000 * n`.
    pub opens: u8,
    pub told_established: u8,
    pub told_closing: u8,
    pub told_aborted: bool,
    pub was_time_wait: bool,
    /// The furthest right edge this end has advertised.
    pub edge: Option<Seq>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub ends: [End; 2],
    pub losses: u8,
    pub repeats: u8,
    pub timeouts: u8,
}

/// What the exploration is about.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub profile: Profile,
    pub scripts: [&'static [Do]; 2],
    /// Both connect; otherwise the second listens.
    pub both_connect: bool,
    /// Users read at once; otherwise whenever they like, and the window may close.
    pub eager: bool,
    /// Segments of an old connection that are on their way to the second end.
    pub old: &'static [(Flags, u32, u32)],
    pub losses: u8,
    pub repeats: u8,
    pub timeouts: u8,
}

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Deliver(usize, usize),
    /// Delivered, and yet still on its way.
    Repeat(usize, usize),
    Lose(usize, usize),
    Expire(usize, Timer),
    User(usize),
    Read(usize),
}

/// Whose turn it was last.
#[derive(Default)]
pub struct Turn {
    delivery: usize,
    deliveries: usize,
    user: usize,
    timer: usize,
    expiries: usize,
}

/// What happened, for properties of transitions.
pub struct Happened {
    pub end: usize,
    pub before: Tcb,
    pub after: Tcb,
    pub arrived: Option<Packet>,
    pub trail: Trail,
    pub effects: Vec<Effect>,
    pub reply_error: bool,
}

/// A step function; broken ones show that a property is able to fail.
pub type StepFn = fn(&mut Tcb, &Event, &Profile, &Choices, &mut Vec<Effect>) -> Trail;

/// The machine itself.
pub fn sound(
    tcb: &mut Tcb,
    event: &Event,
    profile: &Profile,
    choices: &Choices,
    effects: &mut Vec<Effect>,
) -> Trail {
    let mut out = Effects::new();
    let trail = step(tcb, 0, event, profile, choices, &mut out);
    effects.extend_from_slice(&out);
    trail
}

pub const BASE: [u32; 2] = [100_000, 300_000];
pub const BUFFER: u32 = 2;

impl Scenario {
    pub fn config(&self) -> model::Config {
        model::Config {
            mss: 1,
            default_mss: 1,
            receive_buffer: BUFFER,
            send_buffer: 4,
            nagle: false,
            ..model::Config::DEFAULT
        }
    }

    pub fn start(&self, step: StepFn) -> World {
        let end = || End {
            tcb: Tcb::closed(),
            incoming: Vec::new(),
            done: 0,
            submitted: 0,
            delivered: 0,
            opens: 0,
            told_established: 0,
            told_closing: 0,
            told_aborted: false,
            was_time_wait: false,
            edge: None,
        };
        let mut world = World {
            ends: [end(), end()],
            losses: self.losses,
            repeats: self.repeats,
            timeouts: self.timeouts,
        };
        let second =
            if self.both_connect { Call::connect(self.config()) } else { Call::listen(self.config()) };
        world.happen(self, step, 1, &Event::Call(second), None);
        world.happen(self, step, 0, &Event::Call(Call::connect(self.config())), None);
        for (flags, seq, ack) in self.old {
            let segment =
                Segment { flags: *flags, seq: Seq(*seq), ack: Seq(*ack), window: 2, ..Segment::default() };
            world.ends[1].incoming.push(Packet { segment, old: true });
        }
        world
    }
}

impl World {
    /// Everything that can happen next.
    pub fn actions(&self, scenario: &Scenario, actions: &mut Vec<Action>) {
        actions.clear();
        let quiet = self.ends.iter().all(|end| end.incoming.is_empty());
        for (number, end) in self.ends.iter().enumerate() {
            for index in 0..end.incoming.len() {
                actions.push(Action::Deliver(number, index));
                if self.repeats > 0 {
                    actions.push(Action::Repeat(number, index));
                }
                if self.losses > 0 {
                    actions.push(Action::Lose(number, index));
                }
            }
            for timer in end.tcb.timers.iter() {
                match timer {
                    // And users read what there is while it is there.
                    Timer::TimeWait if !quiet || self.can_read(scenario, number) => {}
                    Timer::TimeWait | Timer::DelayedAck => actions.push(Action::Expire(number, timer)),
                    _ if self.timeouts > 0 => actions.push(Action::Expire(number, timer)),
                    _ => {}
                }
            }
            if self.user_can(scenario, number) {
                actions.push(Action::User(number));
            }
            if self.can_read(scenario, number) && !scenario.eager {
                actions.push(Action::Read(number));
            }
        }
    }

    fn can_read(&self, scenario: &Scenario, number: usize) -> bool {
        let tcb = &self.ends[number].tcb;
        let refused = matches!(tcb.state, State::Closing | State::LastAck | State::TimeWait);
        tcb.rcv.readable > 0 && (!refused || scenario.profile.reads_after_close)
    }

    // Sockets hand a passively opened connection over when it is ESTABLISHED. (By the RFC its user may call before, and
    // what it asked for is forgotten without a word when a reset brings the connection back to LISTEN.)
    fn user_can(&self, scenario: &Scenario, number: usize) -> bool {
        let end = &self.ends[number];
        let tcb = &end.tcb;
        let open = matches!(tcb.state, State::Established | State::CloseWait)
            || (tcb.state == State::SynReceived && tcb.origin == model::Origin::Active);
        match scenario.scripts[number].get(usize::from(end.done)) {
            Some(Do::Send(_)) => open,
            // With nothing unread: LAST-ACK ends with the TCB, and what it holds.
            Some(Do::Close) => open && tcb.rcv.readable == 0,
            Some(Do::Abort) => tcb.state.is_synchronized(),
            None => false,
        }
    }

    /// Does it, and says what happened.
    pub fn apply(&mut self, scenario: &Scenario, step: StepFn, action: Action) -> Option<Happened> {
        match action {
            Action::Deliver(end, index) => {
                let packet = self.ends[end].incoming.remove(index);
                Some(self.happen(scenario, step, end, &Event::Arrives(packet.segment), Some(packet)))
            }
            Action::Repeat(end, index) => {
                self.repeats -= 1;
                let packet = self.ends[end].incoming[index];
                Some(self.happen(scenario, step, end, &Event::Arrives(packet.segment), Some(packet)))
            }
            Action::Lose(end, index) => {
                self.losses -= 1;
                self.ends[end].incoming.remove(index);
                None
            }
            Action::Expire(end, timer) => {
                if !matches!(timer, Timer::TimeWait | Timer::DelayedAck) {
                    self.timeouts = self.timeouts.saturating_sub(1);
                }
                Some(self.happen(scenario, step, end, &Event::Expires(timer), None))
            }
            Action::User(number) => {
                let end = &mut self.ends[number];
                let call = match scenario.scripts[number].get(usize::from(end.done)) {
                    Some(Do::Send(len)) => Call::send(*len),
                    Some(Do::Close) => Call::CLOSE,
                    Some(Do::Abort) => Call::Abort,
                    None => return None,
                };
                end.done += 1;
                let happened = self.happen(scenario, step, number, &Event::Call(call), None);
                if let (Call::Send { len, .. }, false) = (call, happened.reply_error) {
                    self.ends[number].submitted += len;
                }
                Some(happened)
            }
            Action::Read(end) => {
                let read = Call::receive(self.ends[end].tcb.rcv.readable);
                Some(self.happen(scenario, step, end, &Event::Call(read), None))
            }
        }
    }

    fn happen(
        &mut self,
        scenario: &Scenario,
        step: StepFn,
        number: usize,
        event: &Event,
        arrived: Option<Packet>,
    ) -> Happened {
        let end = &mut self.ends[number];
        let choices = Choices { iss: Seq(BASE[number] + 1_000 * u32::from(end.opens)), ..Choices::default() };
        let before = end.tcb;
        let mut effects = Vec::new();
        let trail = step(&mut end.tcb, event, &scenario.profile, &choices, &mut effects);
        let opened = matches!(before.state, State::Closed | State::Listen | State::TimeWait)
            && matches!(end.tcb.state, State::SynSent | State::SynReceived | State::Established);
        end.opens += u8::from(opened);
        if opened || end.tcb.state == State::Listen {
            end.edge = None;
        }
        let refused = matches!(end.tcb.state, State::Closing | State::LastAck | State::TimeWait)
            && !scenario.profile.reads_after_close;
        if scenario.eager && end.tcb.rcv.readable > 0 && !refused {
            let read = Event::Call(Call::receive(end.tcb.rcv.readable));
            step(&mut end.tcb, &read, &scenario.profile, &choices, &mut effects);
        }
        let mut reply_error = false;
        let mut out = Vec::new();
        for effect in &effects {
            match effect {
                Effect::Send(segment) => out.push(*segment),
                Effect::Reply(Ok(model::effect::Done::Received(delivery))) => end.delivered += delivery.len,
                Effect::Reply(Err(_)) => reply_error = true,
                Effect::Signal(Signal::Established) => end.told_established += 1,
                Effect::Signal(Signal::Closing) => end.told_closing += 1,
                Effect::Signal(Signal::Aborted(_)) => end.told_aborted = true,
                _ => {}
            }
        }
        end.was_time_wait |= end.tcb.state == State::TimeWait;
        for segment in &out {
            if segment.has(Flags::ACK) && !segment.has(Flags::RST) {
                let edge = segment.ack + u32::from(segment.window);
                end.edge = Some(end.edge.map_or(edge, |known| known.max(edge)));
            }
        }
        let after = end.tcb;
        for segment in out {
            let packet = Packet { segment, old: false };
            let incoming = &mut self.ends[1 - number].incoming;
            // Any order may be delivered, so the list is kept in one order; one copy of a segment stands for many.
            if !incoming.contains(&packet) {
                incoming.push(packet);
                incoming.sort_unstable_by_key(key);
            }
        }
        Happened { end: number, before, after, arrived, trail, effects, reply_error }
    }

    /// What would happen if from now on nothing were lost: everything is delivered, timers expire when nothing else
    /// happens. Gives the end, or how it went on for ever.
    pub fn fair(&self, scenario: &Scenario, step: StepFn, most: usize) -> Option<Self> {
        let mut world = self.clone();
        let mut turn = Turn::default();
        for _ in 0..most {
            let Some(action) = world.fair_action(scenario, &mut turn) else { return Some(world) };
            world.apply(scenario, step, action);
        }
        None
    }

    /// Both ends in turn, for each kind of action on its own: nobody is passed over for ever.
    pub fn fair_action(&self, scenario: &Scenario, turn: &mut Turn) -> Option<Action> {
        let ends = |last: usize| [1 - last, last];
        // Segments go on crossing while a timer runs: now and then one expires all the same.
        turn.deliveries += 1;
        let overdue = turn.deliveries.is_multiple_of(16);
        let waiting = ends(turn.delivery).into_iter().find(|end| !self.ends[*end].incoming.is_empty());
        if let (Some(end), false) = (waiting, overdue) {
            turn.delivery = end;
            return Some(Action::Deliver(end, 0));
        }
        for end in ends(turn.user) {
            let reads = self.can_read(scenario, end);
            if reads || self.user_can(scenario, end) {
                turn.user = end;
                return Some(if reads { Action::Read(end) } else { Action::User(end) });
            }
        }
        for end in ends(turn.timer) {
            let timers: Vec<Timer> =
                self.ends[end].tcb.timers.iter().filter(|timer| *timer != Timer::TimeWait).collect();
            if !timers.is_empty() {
                turn.timer = end;
                turn.expiries += 1;
                return Some(Action::Expire(end, timers[turn.expiries / 2 % timers.len()]));
            }
        }
        if let Some(end) = waiting {
            turn.delivery = end;
            return Some(Action::Deliver(end, 0));
        }
        ends(turn.timer)
            .into_iter()
            .find(|end| self.ends[*end].tcb.timers.has(Timer::TimeWait))
            .map(|end| Action::Expire(end, Timer::TimeWait))
    }

    /// True when this end's connection is with the other end's: each knows the other's initial number.
    pub fn joined(&self) -> bool {
        let [a, b] = &self.ends;
        a.tcb.rcv.irs == b.tcb.snd.iss
            && b.tcb.rcv.irs == a.tcb.snd.iss
            && a.tcb.snd.iss != Seq(0)
            && b.tcb.snd.iss != Seq(0)
    }
}

fn key(packet: &Packet) -> (u32, u32, u8, u32, u16, bool) {
    let segment = &packet.segment;
    (segment.seq.0, segment.ack.0, segment.flags.0, segment.len, segment.window, packet.old)
}

impl Happened {
    pub fn took(&self, rule: Rule) -> bool {
        self.trail.contains(rule)
    }

    pub fn sent(&self) -> impl Iterator<Item = &Segment> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Send(segment) => Some(segment),
            _ => None,
        })
    }
}
