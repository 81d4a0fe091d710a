//! How many observations per second the oracle judges on one core, and that it allocates nothing:
//! `cargo run --release -p model --features stories --example oracle_speed`
//!
//! The load is both ends of a connection as a full tap shows it: handshake, requests and answers, close, TIME-WAIT.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use model::oracle::{Kind, Numbers, Observation, Tap, Transition, Verdict};
use model::profile::RFC9293_INTENT;
use model::story::{Pair, Side, What};
use model::{Call, Oracle};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROUNDS: u64 = 20_000;

/// A connection with ten requests, closed in order, to the end of TIME-WAIT.
fn connection() -> Pair {
    let mut pair = Pair::new(RFC9293_INTENT);
    pair.establish();
    for _ in 0..10 {
        pair.call(Side::B, Call::receive(100));
        pair.call(Side::A, Call::receive(1_000));
        pair.call(Side::A, Call::send(100));
        pair.settle();
        pair.call(Side::B, Call::send(1_000));
        pair.settle();
    }
    for side in [Side::A, Side::B] {
        pair.call(side, Call::CLOSE);
        pair.settle();
    }
    pair.run_for(241_000_000);
    pair
}

fn trace(pair: &Pair, side: Side) -> Vec<Observation> {
    let mut trace = Vec::new();
    for entry in pair.log.iter().filter(|entry| entry.side == side) {
        let mut see = |kind| trace.push(Observation { at: entry.at, kind });
        match &entry.what {
            What::Call(call, ..) => see(Kind::Call(*call)),
            What::Arrived(segment, _) => see(Kind::Received(*segment)),
            What::Sent(segment, _) => see(Kind::Sent(*segment)),
            What::Icmp(error) => see(Kind::Icmp(*error)),
            What::Started(..) | What::Expired(..) | What::Told(_) | What::Note(_) => {}
        }
        if entry.before != entry.after {
            let (una, nxt, rcv_nxt) = entry.numbers;
            let numbers = Numbers { una: Some(una), nxt: Some(nxt), rcv_nxt: Some(rcv_nxt) };
            see(Kind::Transition(Transition { from: entry.before, to: entry.after, numbers }));
        }
    }
    trace
}

fn main() -> ExitCode {
    let pair = connection();
    let mut fine = true;
    println!("an oracle is {} octets", size_of::<Oracle<16>>());
    for (name, tap) in Tap::NAMED {
        for side in [Side::A, Side::B] {
            let mut trace = trace(&pair, side);
            trace.retain(|observation| tap.shows(&observation.kind));
            fine &= measure(name, tap, side, &trace, pair.now + 1_000_000);
        }
    }
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The same connection again and again, each `span` microseconds later.
fn measure(name: &str, tap: Tap, side: Side, trace: &[Observation], span: u64) -> bool {
    let mut oracle = Oracle::<16>::new(&RFC9293_INTENT, tap);
    let (mut judged, mut conforming, mut most) = (0_u64, 0_u64, 0);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let start = Instant::now();
    for round in 0..ROUNDS {
        for observation in trace {
            let observation = Observation { at: observation.at + round * span, ..*observation };
            let verdict = oracle.observe(black_box(&observation));
            judged += 1;
            conforming += u64::from(matches!(black_box(verdict), Verdict::Conforming(_)));
            most = most.max(oracle.candidates().len());
        }
    }
    let elapsed = start.elapsed().as_secs_f64();
    let allocated = ALLOCATIONS.load(Ordering::Relaxed) - before;
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    let (rate, steps) = (judged as f64 / elapsed, oracle.steps() as f64 / judged as f64);
    println!(
        "{name:16} {side:?}: {rate:>10.0} observations/s, {steps:.2} steps each ({judged} judged, {conforming} conforming, \
         at most {most} candidates, {allocated} allocations)"
    );
    allocated == 0 && judged == conforming
}
