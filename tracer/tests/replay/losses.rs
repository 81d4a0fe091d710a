//! A real recording with faults put in: whatever is lost, doubled, out of order or cannot be read, nobody is accused, and
//! the books balance.

use proptest::prelude::*;
use tracer::{judge::Loss, recording::layout, tracker::Limits};
use tracer_ebpf::{Hook, Record};

use crate::tape::{Taken, Tape, record};

/// Where a run of faults begins, and how long it is.
fn runs(longest: usize) -> impl Strategy<Value = Vec<(prop::sample::Index, usize)>> {
    prop::collection::vec((any::<prop::sample::Index>(), 1..=longest), 1..12)
}

fn places(tape: &Tape, runs: &[(prop::sample::Index, usize)]) -> Vec<bool> {
    let mut chosen = vec![false; tape.taken.len()];
    for (begin, length) in runs {
        let begin = begin.index(tape.taken.len());
        for at in begin..(begin + length).min(chosen.len()) {
            chosen[at] = record(&tape.taken[at]).is_some();
        }
    }
    chosen
}

/// The tape with something else in some places.
fn with(tape: &Tape, chosen: &[bool], mut instead: impl FnMut(&Record, &mut Vec<Taken>)) -> Tape {
    let mut taken = Vec::new();
    for (input, chosen) in tape.taken.iter().zip(chosen) {
        match record(input) {
            Some(record) if *chosen => instead(record, &mut taken),
            _ => taken.push(input.clone()),
        }
    }
    Tape { header: tape.header.clone(), taken }
}

fn assert_accuses_nobody(tape: &Tape) {
    let heard = tape.judge();
    assert!(heard.violations.is_empty(), "{:?}", heard.violations);
    heard.assert_balanced();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_that_never_came(runs in runs(400)) {
        let tape = Tape::load();
        assert_accuses_nobody(&with(&tape, &places(&tape, &runs), |_, _| {}));
    }

    #[test]
    fn records_that_came_twice(runs in runs(400)) {
        let tape = Tape::load();
        let healthy = tape.judge();
        let twice = with(&tape, &places(&tape, &runs), |record, taken| {
            taken.push(Taken::Record(*record));
            // Another copy of the handler, a little later.
            let copy = record.copy + 1;
            taken.push(Taken::Record(Record { copy, time_ns: record.time_ns + 300, ..*record }));
        });
        assert_accuses_nobody(&twice);
        prop_assert_eq!(twice.judge().transitions, healthy.transitions, "each is counted once");
    }

    #[test]
    fn records_in_another_order(swaps in prop::collection::vec((any::<prop::sample::Index>(), 1..6_usize), 1..60)) {
        let mut tape = Tape::load();
        for (at, distance) in swaps {
            let at = at.index(tape.taken.len() - distance);
            let [one, other] = [at, at + distance].map(|at| record(&tape.taken[at]).copied());
            // The ring keeps the order of each CPU.
            if let (Some(one), Some(other)) = (one, other) && one.cpu != other.cpu {
                tape.taken.swap(at, at + distance);
            }
        }
        assert_accuses_nobody(&tape);
    }

    #[test]
    fn records_that_cannot_be_read(runs in runs(40), byte in any::<u8>(), size in 0..2 * Record::SIZE) {
        let tape = Tape::load();
        let chosen = places(&tape, &runs);
        let damaged = with(&tape, &chosen, |record, taken| {
            let mut bytes = layout::bytes(record).to_vec();
            bytes[std::mem::offset_of!(Record, hook)] = byte.max(u8::try_from(Hook::ALL.len()).unwrap());
            bytes.resize(size, 0);
            taken.push(Taken::Odd(bytes));
        });
        assert_accuses_nobody(&damaged);
        prop_assert_eq!(damaged.judge().malformed, chosen.iter().filter(|chosen| **chosen).count() as u64);
    }

    #[test]
    fn a_ring_that_was_full(runs in runs(1500)) {
        let tape = Tape::load();
        let chosen = places(&tape, &runs);
        let mut taken = Vec::new();
        let mut lost: Vec<Record> = Vec::new();
        for (input, chosen) in tape.taken.iter().zip(chosen) {
            match record(input) {
                Some(record) if chosen => lost.push(*record),
                _ => {
                    // The kernel side's counts are looked at before the next batch.
                    if let Some(last) = lost.last() {
                        let until = last.time_ns + 1_000_000;
                        taken.extend(Hook::ALL.into_iter().map(|hook| {
                            let ring_full = lost.iter().filter(|record| record.hook == hook as u8).count() as u64;
                            Taken::Lost(Loss { hook, until, ring_full, missed: 0 })
                        }));
                        lost.clear();
                    }
                    taken.push(input.clone());
                }
            }
        }
        assert_accuses_nobody(&Tape { header: tape.header, taken });
    }

    #[test]
    fn a_table_that_is_full(sockets in 0..600_usize) {
        let tape = Tape::load();
        let heard = tape.judge_within(Limits { sockets });
        prop_assert_eq!(&heard.violations, &Vec::<String>::new());
        prop_assert!(heard.peak <= sockets as u64);
        heard.assert_balanced();
    }

    #[test]
    fn an_agent_that_began_in_the_middle(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let mut tape = Tape::load();
        let (from, to) = (from.index(tape.taken.len()), to.index(tape.taken.len()));
        tape.taken = tape.taken[from.min(to)..from.max(to)].to_vec();
        assert_accuses_nobody(&tape);
    }
}
