//! Two ends and what lies between them.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::effect::{Delivery, Done, Effect, Effects, Signal};
use crate::event::{Call, CallError, Event, IcmpError, Timer};
use crate::profile::Profile;
use crate::rule::Trail;
use crate::segment::Segment;
use crate::seq::Seq;
use crate::state::State;
use crate::step::{Choices, step};
use crate::tcb::{Config, Tcb};

/// One of the two ends. By habit A is the client and B the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The left one.
    A,
    /// The right one.
    B,
}

impl Side {
    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// An end: its TCB, its timers, and what its user has seen.
#[derive(Clone, Debug)]
pub struct End {
    /// The TCB.
    pub tcb: Tcb,
    /// What is chosen where the RFC leaves a choice.
    pub choices: Choices,
    /// Text that reached the user.
    pub delivered: Vec<Delivery>,
    /// What the user was told.
    pub signals: Vec<Signal>,
    deadlines: [Option<u64>; Timer::ALL.len()],
}

impl End {
    /// Octets that reached the user.
    #[must_use]
    pub fn octets(&self) -> u32 {
        self.delivered.iter().map(|delivery| delivery.len).sum()
    }
}

/// What becomes of a segment on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Arrives,
    /// It is lost.
    Lost,
    /// It arrives so much later than the others, in microseconds.
    Late(u64),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When, in microseconds.
    pub at: u64,
    /// At which end.
    pub side: Side,
    /// The state before.
    pub before: State,
    /// The state after.
    pub after: State,
    /// SND.UNA, SND.NXT and RCV.NXT after.
    pub numbers: (Seq, Seq, Seq),
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The user called.
    Call(Call, Result<Done, CallError>, Trail),
    /// A segment left.
    Sent(Segment, Fate),
    /// A segment arrived; from the story itself when it was injected.
    Arrived(Segment, Trail),
    /// An ICMP error arrived.
    Icmp(IcmpError),
    /// A timer expired.
    Expired(Timer, Trail),
    /// A timer was set, to expire after so many microseconds.
    Started(Timer, u64),
    /// The user was told.
    Told(Signal),
    /// The teller remarks.
    Note(String),
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    at: u64,
    to: Side,
    segment: Segment,
}

/// Two ends, a network, a clock and a log.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The time, in microseconds.
    pub now: u64,
    /// How long a segment travels.
    pub latency: u64,
    /// The rules both ends follow.
    pub profile: Profile,
    /// What happened.
    pub log: Vec<Entry>,
    /// A connects to itself: what A sends comes back to A.
    pub loops: bool,
    ends: [End; 2],
    flights: Vec<Flight>,
    fates: [Vec<Fate>; 2],
}

/// The most events of one stretch: two ends that answer each other's ACKs would never stop.
const BUDGET: usize = 400;

/// Timers after which a quiet connection stays as it is.
const PATIENT: [Timer; 4] = [Timer::TimeWait, Timer::KeepAlive, Timer::User, Timer::FinWait2];

impl Pair {
    /// The remark that ends a stretch cut short: what is still on its way, or due, stays so.
    pub const NO_END: &str = "no end in sight";

    /// Both ends closed. A will choose ISS 100, B ISS 300, as in the RFC's figures.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        let end = |iss| End {
            tcb: Tcb::closed(),
            choices: Choices { iss: Seq(iss), ..Choices::default() },
            delivered: Vec::new(),
            signals: Vec::new(),
            deadlines: [None; Timer::ALL.len()],
        };
        Self {
            now: 0,
            latency: 10_000,
            profile,
            log: Vec::new(),
            loops: false,
            ends: [end(100), end(300)],
            flights: Vec::new(),
            fates: [Vec::new(), Vec::new()],
        }
    }

    /// The parameters that the stories use: MSS 1000 and windows of 8,000 octets.
    pub const CONFIG: Config =
        Config { mss: 1_000, receive_buffer: 8_000, send_buffer: 16_000, ..Config::DEFAULT };

    /// An end.
    #[must_use]
    pub fn end(&self, side: Side) -> &End {
        let [a, b] = &self.ends;
        match side {
            Side::A => a,
            Side::B => b,
        }
    }

    /// An end, to change it.
    pub fn end_mut(&mut self, side: Side) -> &mut End {
        let [a, b] = &mut self.ends;
        match side {
            Side::A => a,
            Side::B => b,
        }
    }

    /// An end's state.
    #[must_use]
    pub fn state(&self, side: Side) -> State {
        self.end(side).tcb.state
    }

    /// Both states, A's first.
    #[must_use]
    pub fn states(&self) -> (State, State) {
        (self.state(Side::A), self.state(Side::B))
    }

    /// The user of an end calls.
    pub fn call(&mut self, side: Side, call: Call) {
        self.happen(side, &Event::Call(call));
    }

    /// What becomes of the next segments that an end sends, one by one; after that they arrive.
    pub fn fates(&mut self, side: Side, fates: &[Fate]) {
        let [a, b] = &mut self.fates;
        match side {
            Side::A => *a = fates.to_vec(),
            Side::B => *b = fates.to_vec(),
        }
    }

    /// The next segment that an end sends is lost.
    pub fn lose_next(&mut self, side: Side) {
        self.fates(side, &[Fate::Lost]);
    }

    /// A segment from nowhere arrives at an end now.
    pub fn inject(&mut self, to: Side, segment: Segment) {
        self.happen(to, &Event::Arrives(segment));
    }

    /// An ICMP error that is about this end's connection.
    pub fn icmp(&mut self, to: Side, error: IcmpError) {
        self.happen(to, &Event::Icmp(error));
    }

    /// A remark in the ladder.
    pub fn note(&mut self, text: &str) {
        self.record(Side::A, self.state(Side::A), What::Note(text.to_string()));
    }

    /// An end forgets everything without a word: a crash.
    pub fn crash(&mut self, side: Side) {
        let end = self.end_mut(side);
        end.tcb = Tcb::closed();
        end.deadlines = [None; Timer::ALL.len()];
    }

    /// B listens, A connects, and the handshake runs to its end.
    pub fn establish(&mut self) {
        self.call(Side::B, Call::listen(Self::CONFIG));
        self.call(Side::A, Call::connect(Self::CONFIG));
        self.settle();
    }

    /// Runs until nothing is on its way and no timer is left that would send something.
    pub fn settle(&mut self) {
        for _ in 0..BUDGET {
            let busy = !self.flights.is_empty() || self.next_deadline(&PATIENT).is_some();
            if !busy || !self.advance(u64::MAX) {
                return;
            }
        }
        self.note(Self::NO_END);
    }

    /// Runs for so long.
    pub fn run_for(&mut self, microseconds: u64) {
        let until = self.now.saturating_add(microseconds);
        for _ in 0..BUDGET {
            if !self.advance(until) {
                self.now = until;
                return;
            }
        }
        self.note(Self::NO_END);
    }

    /// The next arrival or expiry, if it comes by then.
    fn advance(&mut self, until: u64) -> bool {
        // Of those that arrive at once the first to leave is the first in the list, and that is what is found.
        let flight = self.flights.iter().enumerate().min_by_key(|(_, f)| f.at).map(|(n, f)| (n, f.at));
        let timer = self.next_deadline(&[]);
        match (flight, timer) {
            (Some((index, at)), deadline) if at <= until && deadline.is_none_or(|(t, ..)| at <= t) => {
                self.now = at;
                let flight = self.flights.remove(index);
                self.happen(flight.to, &Event::Arrives(flight.segment));
                true
            }
            (_, Some((at, side, timer))) if at <= until => {
                self.now = at;
                self.set_deadline(side, timer, None);
                self.happen(side, &Event::Expires(timer));
                true
            }
            _ => false,
        }
    }

    fn next_deadline(&self, except: &[Timer]) -> Option<(u64, Side, Timer)> {
        [Side::A, Side::B]
            .into_iter()
            .flat_map(|side| {
                let deadlines = self.end(side).deadlines;
                Timer::ALL.into_iter().zip(deadlines).filter_map(move |(timer, at)| Some((at?, side, timer)))
            })
            .filter(|(_, _, timer)| !except.contains(timer))
            .min_by_key(|(at, ..)| *at)
    }

    fn set_deadline(&mut self, side: Side, timer: Timer, at: Option<u64>) {
        if let Some(slot) = self.end_mut(side).deadlines.get_mut(timer as usize) {
            *slot = at;
        }
    }

    fn record(&mut self, side: Side, before: State, what: What) {
        let Tcb { state: after, snd, rcv, .. } = self.end(side).tcb;
        let numbers = (snd.una, snd.nxt, rcv.nxt);
        self.log.push(Entry { at: self.now, side, before, after, numbers, what });
    }

    fn happen(&mut self, side: Side, event: &Event) {
        let (now, profile) = (self.now, self.profile);
        let mut out = Effects::new();
        let end = self.end_mut(side);
        let before = end.tcb.state;
        let choices = end.choices;
        let trail = step(&mut end.tcb, now, event, &profile, &choices, &mut out);
        let what = match *event {
            Event::Call(call) => What::Call(call, out.reply().unwrap_or(Ok(Done::Ok)), trail),
            Event::Arrives(segment) => What::Arrived(segment, trail),
            Event::Expires(timer) => What::Expired(timer, trail),
            Event::Icmp(error) => What::Icmp(error),
            Event::Transmit => What::Note(String::from("may transmit")),
        };
        self.record(side, before, what);
        for effect in out.iter() {
            self.take_effect(side, *effect);
        }
    }

    fn take_effect(&mut self, side: Side, effect: Effect) {
        match effect {
            Effect::Send(segment) => self.transmit(side, segment),
            Effect::Reply(Ok(Done::Received(delivery))) => self.end_mut(side).delivered.push(delivery),
            Effect::Reply(_) | Effect::Hold(..) => {}
            Effect::Signal(signal) => {
                if let Signal::Received(delivery) = signal {
                    self.end_mut(side).delivered.push(delivery);
                }
                self.end_mut(side).signals.push(signal);
                self.record(side, self.state(side), What::Told(signal));
            }
            Effect::Start(timer, after) => {
                self.record(side, self.state(side), What::Started(timer, after));
                self.set_deadline(side, timer, Some(self.now.saturating_add(after)));
            }
            Effect::Stop(timer) => self.set_deadline(side, timer, None),
        }
    }

    fn transmit(&mut self, side: Side, segment: Segment) {
        let [a, b] = &mut self.fates;
        let script = if side == Side::A { a } else { b };
        let fate = if script.is_empty() { Fate::Arrives } else { script.remove(0) };
        self.record(side, self.state(side), What::Sent(segment, fate));
        let extra = match fate {
            Fate::Lost => return,
            Fate::Arrives => 0,
            Fate::Late(extra) => extra,
        };
        let to = if self.loops { side } else { side.other() };
        let at = self.now.saturating_add(self.latency).saturating_add(extra);
        self.flights.push(Flight { at, to, segment });
    }

    /// The states that an end went through, each once for every change.
    #[must_use]
    pub fn path(&self, side: Side) -> Vec<State> {
        let mut path: Vec<State> = Vec::new();
        for entry in self.log.iter().filter(|entry| entry.side == side) {
            for state in [entry.before, entry.after] {
                if path.last() != Some(&state) {
                    path.push(state);
                }
            }
        }
        path
    }

    /// The segments that an end sent, lost ones too.
    pub fn sent(&self, side: Side) -> impl Iterator<Item = &Segment> {
        self.log.iter().filter_map(move |entry| match &entry.what {
            What::Sent(segment, _) if entry.side == side => Some(segment),
            _ => None,
        })
    }
}
