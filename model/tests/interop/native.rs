//! The model's end: TCB, timers, and a user who sends and reads.

use model::effect::Done;
use model::profile::RFC9293_INTENT;
use model::{Call, Choices, Config, Effect, Effects, Event, Flags, Seq, Signal, State, Tcb, Timer, step};

use crate::{Random, octet, wire};

pub struct Native {
    tcb: Tcb,
    choices: Choices,
    deadlines: [Option<u64>; Timer::ALL.len()],
    packets: Vec<Vec<u8>>,
    config: Config,
    aborted: bool,
    last: State,
    iss: Seq,
    pub submitted: u32,
    pub delivered: u32,
    pub saw_fin: bool,
}

impl Native {
    pub fn new(random: &mut Random) -> Self {
        let iss = Seq(u32::try_from(random.any() >> 32).unwrap_or(0));
        let scale = random.percent(50).then_some(3);
        let config = Config {
            mss: [536, 1460][usize::from(random.percent(50))],
            receive_buffer: [1_000, 8_000, 60_000][usize::try_from(random.below(3)).unwrap_or(0)],
            send_buffer: 10_000,
            window_scale: scale,
            sack: true,
            nagle: random.percent(50),
            ..Config::DEFAULT
        };
        Self {
            tcb: Tcb::closed(),
            choices: Choices { iss, delay_ack: random.percent(50), ..Choices::default() },
            deadlines: [None; Timer::ALL.len()],
            packets: Vec::new(),
            config,
            aborted: false,
            last: State::Closed,
            iss,
            submitted: 0,
            delivered: 0,
            saw_fin: false,
        }
    }

    pub fn listen(&mut self) {
        self.happen(0, &Event::Call(Call::listen(self.config)));
    }

    pub fn connect(&mut self) {
        self.happen(0, &Event::Call(Call::connect(self.config)));
    }

    pub fn close(&mut self, now: u64) {
        self.happen(now, &Event::Call(Call::CLOSE));
    }

    pub fn state(&self) -> State {
        self.tcb.state
    }

    /// TIME-WAIT if that is how it ended, even if it is over by now.
    pub fn ended_as(&self) -> State {
        self.last
    }

    pub fn is_open(&self) -> bool {
        matches!(self.tcb.state, State::Established | State::CloseWait)
    }

    /// Nothing is unsent or unacknowledged.
    pub fn owes_nothing(&self) -> bool {
        !self.tcb.in_flight() && self.tcb.snd.queued == 0 && self.tcb.snd.fin != model::tcb::Fin::Wanted
    }

    pub fn arrives(&mut self, now: u64, packet: &[u8]) -> Result<(), String> {
        let (segment, text) = wire::decode(packet)?;
        if self.tcb.state.is_synchronized() && !text.is_empty() {
            let first = segment.text_seq() - (self.tcb.rcv.irs + 1);
            let right = text.iter().zip(first..).all(|(is, place)| *is == octet(place));
            if !right {
                return Err(format!("smoltcp's text at {first} is not its text"));
            }
        }
        self.happen(now, &Event::Arrives(segment));
        if self.aborted { Err(format!("aborted by {segment}")) } else { Ok(()) }
    }

    pub fn expire(&mut self, now: u64) {
        for (timer, place) in Timer::ALL.into_iter().zip(0..) {
            if self.deadlines[place].is_some_and(|at| at <= now) {
                self.deadlines[place] = None;
                self.happen(now, &Event::Expires(timer));
            }
        }
    }

    pub fn deadline(&self) -> Option<u64> {
        self.deadlines.iter().flatten().min().copied()
    }

    /// The user sends what is left of its stream, and reads what there is.
    pub fn transfer(&mut self, now: u64, stream: u32) {
        let left = stream - self.submitted;
        let room =
            self.config.send_buffer - self.tcb.snd.queued - (self.tcb.snd.nxt - self.tcb.snd.una).min(5_000);
        let len = left.min(room / 2);
        if self.is_open() && len > 0 && self.happen(now, &Event::Call(Call::send(len))) {
            self.submitted += len;
        }
        if self.tcb.rcv.readable > 0 {
            self.happen(now, &Event::Call(Call::receive(self.tcb.rcv.readable)));
        }
    }

    pub fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.packets)
    }

    // False when a call was refused.
    fn happen(&mut self, now: u64, event: &Event) -> bool {
        let mut out = Effects::new();
        let trail = step(&mut self.tcb, now, event, &RFC9293_INTENT, &self.choices, &mut out);
        if std::env::var_os("INTEROP_TRACE").is_some() {
            let what = match event {
                Event::Arrives(segment) => format!("{segment} window {}", segment.window),
                other => format!("{other:?}"),
            };
            let sent: Vec<String> = out.segments().map(|s| format!("{s} window {}", s.window)).collect();
            println!(
                "{now:>12} {what} [{trail}] -> {} {} | rto {} rtx {}",
                self.tcb.state,
                sent.join(" "),
                self.tcb.rtt.rto,
                self.tcb.rtt.retransmits
            );
        }
        if self.tcb.state != State::Closed {
            self.last = self.tcb.state;
        } else if self.last != State::TimeWait {
            self.last = State::Closed;
        }
        let mut accepted = true;
        for effect in out.iter() {
            match effect {
                Effect::Send(segment) => {
                    let first = segment.text_seq() - (self.iss + 1);
                    let text: Vec<u8> = (first..).take(segment.len as usize).map(octet).collect();
                    debug_assert!(segment.len == 0 || !segment.has(Flags::SYN));
                    self.packets.push(wire::encode(segment, &text));
                }
                Effect::Reply(Ok(Done::Received(delivery))) => self.delivered += delivery.len,
                Effect::Reply(Err(_)) => accepted = false,
                Effect::Signal(Signal::Closing) => self.saw_fin = true,
                Effect::Signal(Signal::Aborted(_)) => self.aborted = true,
                Effect::Start(timer, after) => self.deadlines[*timer as usize] = Some(now + after),
                Effect::Stop(timer) => self.deadlines[*timer as usize] = None,
                _ => {}
            }
        }
        accepted
    }
}
