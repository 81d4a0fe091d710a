//! A foreign stack agrees: smoltcp and the model, joined in memory over IPv4, handshake, transfer and close in every
//! order, with loss, repetition and reordering, in many random runs.
//!
//! `INTEROP_RUNS=20000 cargo test --release -p model --test interop` for more of them.

mod foreign;
mod native;
mod wire;

use std::collections::BTreeMap;

use foreign::Foreign;
use model::State;
use native::Native;
use smoltcp::socket::tcp;

/// A small generator: runs are told apart, and repeated, by their number (splitmix64).
pub struct Random(u64);

impl Random {
    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.any() % end
    }

    /// True so often.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// The octet at this place of either stream.
pub fn octet(place: u32) -> u8 {
    place.wrapping_mul(31).to_le_bytes()[0] ^ place.to_le_bytes()[1]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Model,
    Smoltcp,
    Both,
}

fn pick(random: &mut Random) -> First {
    [First::Model, First::Smoltcp, First::Both][usize::try_from(random.below(3)).unwrap_or(0)]
}

#[derive(Debug)]
struct Plan {
    caller: First,
    closer: First,
    to_smoltcp: u32,
    to_model: u32,
    loss: u64,
    repeats: u64,
    spread: u64,
}

impl Plan {
    fn new(random: &mut Random) -> Self {
        let caller = if random.percent(50) { First::Model } else { First::Smoltcp };
        let size = |random: &mut Random| match random.below(3) {
            0 => 0,
            1 => random.below(20),
            _ => random.below(12_000),
        };
        Self {
            caller,
            closer: pick(random),
            to_smoltcp: u32::try_from(size(random)).unwrap_or(0),
            to_model: u32::try_from(size(random)).unwrap_or(0),
            loss: [0, 0, 5, 20][usize::try_from(random.below(4)).unwrap_or(0)],
            repeats: [0, 5][usize::try_from(random.below(2)).unwrap_or(0)],
            spread: [1, 1_000, 60_000][usize::try_from(random.below(3)).unwrap_or(0)],
        }
    }
}

/// An hour: by then something is wrong.
const LIMIT: u64 = 3_600_000_000;
/// The network gets well after half a minute: bad luck for longer would be R2, lawfully (tmo-r2).
const RECOVERY: u64 = 30_000_000;

/// How a run can end well.
enum End {
    /// Both are done.
    Over(State, tcp::State),
    /// smoltcp 0.14 has text or a FIN to send and no timer that would ever send it, while the model owes nothing: by
    /// `tmo-rtx` (RFC 6298, 5.1) or `tmo-persist` (MUST-36) it would have to go on.
    ForeignStalled,
}

/// One connection from beginning to end; gives how the two ended.
fn run(number: u64) -> Result<End, String> {
    let mut random = Random(number);
    let plan = Plan::new(&mut random);
    let tell = |what: String| format!("run {number}: {what}\n{plan:?}");
    let mut native = Native::new(&mut random);
    let mut foreign = Foreign::new(&mut random);
    if plan.caller == First::Model {
        foreign.listen();
        native.connect();
    } else {
        native.listen();
        foreign.connect();
    }
    // Towards either side: when, and what.
    let mut to_native: BTreeMap<(u64, u64), Vec<u8>> = BTreeMap::new();
    let mut to_foreign: BTreeMap<(u64, u64), Vec<u8>> = BTreeMap::new();
    let (mut now, mut order) = (0, 0);
    let (mut closed_native, mut closed_foreign) = (false, false);
    while now < LIMIT {
        while let Some(entry) = to_native.first_entry().filter(|entry| entry.key().0 <= now) {
            native.arrives(now, &entry.remove()).map_err(tell)?;
        }
        while let Some(entry) = to_foreign.first_entry().filter(|entry| entry.key().0 <= now) {
            foreign.arrives(entry.remove());
        }
        native.expire(now);
        native.transfer(now, plan.to_smoltcp);
        foreign.transfer(now, plan.to_model).map_err(tell)?;
        // Who closes first does so when its own stream is handed over; the other when it has seen the FIN.
        let sent_native = native.submitted == plan.to_smoltcp && native.is_open();
        let sent_foreign = foreign.submitted == plan.to_model && foreign.is_open();
        if !closed_native && sent_native && (plan.closer != First::Smoltcp || native.saw_fin) {
            native.close(now);
            closed_native = true;
        }
        if !closed_foreign && sent_foreign && (plan.closer != First::Model || foreign.saw_fin()) {
            foreign.close(now);
            closed_foreign = true;
        }
        for (packets, towards) in [(native.take(), &mut to_foreign), (foreign.take(), &mut to_native)] {
            for packet in packets {
                let copies = u64::from(!random.percent(if now < RECOVERY { plan.loss } else { 0 }))
                    + u64::from(random.percent(plan.repeats));
                for _ in 0..copies {
                    order += 1;
                    towards.insert((now + 5_000 + random.below(plan.spread), order), packet.clone());
                }
            }
        }
        let over = |state| matches!(state, State::Closed | State::TimeWait);
        let foreign_over = matches!(foreign.state(), tcp::State::Closed | tcp::State::TimeWait);
        if closed_native && closed_foreign && over(native.state()) && foreign_over {
            if native.delivered != plan.to_model || foreign.delivered != plan.to_smoltcp {
                return Err(tell(format!("delivered {} and {}", native.delivered, foreign.delivered)));
            }
            return Ok(End::Over(native.ended_as(), foreign.state()));
        }
        let arrivals =
            [to_native.keys().next(), to_foreign.keys().next()].into_iter().flatten().map(|key| key.0);
        let next = arrivals.chain(native.deadline()).chain(foreign.deadline(now)).min();
        now = next.unwrap_or(LIMIT).max(now + 1);
    }
    if foreign.owes_without_timer() && native.owes_nothing() {
        return Ok(End::ForeignStalled);
    }
    Err(tell(format!("not over after an hour: model {}, smoltcp {}", native.state(), foreign.state())))
}

#[test]
fn thousands_of_connections_with_smoltcp_come_to_a_good_end() {
    let runs = std::env::var("INTEROP_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_500_u64);
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut stalled = 0_u64;
    let only = std::env::var("INTEROP_RUN").ok().and_then(|text| text.parse::<u64>().ok());
    for number in only.map_or(0..runs, |only| only..only + 1) {
        match run(number) {
            Ok(End::Over(native, foreign)) => {
                *ends.entry(format!("model {native}, smoltcp {foreign}")).or_default() += 1;
            }
            Ok(End::ForeignStalled) => stalled += 1,
            Err(what) => wrong.push(what),
        }
    }
    println!("{runs} runs: {ends:?}, smoltcp stalled in {stalled}");
    assert!(stalled * 200 <= runs, "smoltcp stalled in {stalled} of {runs} runs: more than chance");
    assert!(
        wrong.is_empty(),
        "{} of {runs} runs went wrong; the first ones:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(5)].join("\n")
    );
    // Every kind of end was seen: one side waits, the other, both.
    assert!(ends.len() >= 3, "{ends:?}");
}
