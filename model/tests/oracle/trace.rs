//! What an observer of one end would have recorded of a story.

use model::oracle::{Kind, Numbers, Observation, Tap, Transition, Verdict};
use model::story::{Entry, Pair, Side, What};
use model::{Oracle, Profile, State};

/// Places that the tests' oracles have.
pub const PLACES: usize = 16;

/// Everything that happened at one end, in order. The last second is silence, unless the run was cut short.
pub fn of(pair: &Pair, side: Side) -> Vec<Observation> {
    let mut trace = Vec::new();
    let mut state = State::Closed;
    for entry in pair.log.iter().filter(|entry| entry.side == side) {
        let Entry { at, before, after, numbers, what, .. } = entry;
        let mut see = |kind| trace.push(Observation { at: *at, kind });
        if matches!(what, What::Note(_) | What::Told(_) | What::Started(..)) {
            continue;
        }
        if *before != state {
            // The story crashed this end.
            see(Kind::Restart);
        }
        match what {
            What::Call(call, ..) => see(Kind::Call(*call)),
            What::Arrived(segment, _) => see(Kind::Received(*segment)),
            What::Sent(segment, _) => see(Kind::Sent(*segment)),
            What::Icmp(error) => see(Kind::Icmp(*error)),
            What::Expired(..) | What::Started(..) | What::Told(_) | What::Note(_) => {}
        }
        if before != after {
            let (una, nxt, rcv_nxt) = *numbers;
            let numbers = Numbers { una: Some(una), nxt: Some(nxt), rcv_nxt: Some(rcv_nxt) };
            see(Kind::Transition(Transition { from: *before, to: *after, numbers }));
        }
        state = *after;
    }
    if !pair.log.last().is_some_and(|entry| entry.what == What::Note(Pair::NO_END.into())) {
        trace.push(Observation { at: pair.now + 1_000_000, kind: Kind::Quiet });
    }
    trace
}

/// What of a trace a tap shows.
pub fn through(trace: &[Observation], tap: Tap) -> Vec<Observation> {
    trace.iter().copied().filter(|observation| tap.shows(&observation.kind)).collect()
}

/// The verdict on every observation.
pub fn judge(trace: &[Observation], profile: &Profile, tap: Tap) -> Vec<Verdict> {
    judge_and_count(trace, profile, tap).0
}

/// The same, and the steps of the machine that it took.
pub fn judge_and_count(trace: &[Observation], profile: &Profile, tap: Tap) -> (Vec<Verdict>, u64) {
    let mut oracle = Oracle::<PLACES>::new(profile, tap);
    let verdicts = trace.iter().map(|observation| oracle.observe(observation)).collect();
    (verdicts, oracle.steps())
}

/// The trace with its verdicts, up to the first violation, for messages.
pub fn told(trace: &[Observation], profile: &Profile, tap: Tap) -> String {
    let mut oracle = Oracle::<PLACES>::new(profile, tap);
    let mut text = String::new();
    for observation in trace {
        let verdict = oracle.observe(observation);
        let count = oracle.candidates().len();
        text += &format!("{observation:60} {verdict} [{count}]\n");
        if !matches!(verdict, Verdict::Conforming(_) | Verdict::Inconclusive(_)) {
            for candidate in oracle.candidates() {
                text += &format!("  {candidate:?}\n");
            }
            break;
        }
    }
    text
}
