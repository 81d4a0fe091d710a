//! A real recording, in memory, to be changed and judged again: 400 connections of both families on loopback, ended in a
//! dozen ways, and the minute that TIME_WAIT lasts.

use std::{collections::BTreeMap, path::PathBuf};

use model::Verdict;
use tracer::{
    decode::Malformed,
    judge::{Audience, Input, Judge},
    recording::{Entry, Header, Reader, entry::Entries, layout},
    step::{Finding, StepKind},
    tracker::Limits,
};
use tracer_ebpf::{Hook, Record};

pub fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/replay/fixtures/mixed.rec")
}

/// One input, on its own.
#[derive(Clone, Debug, PartialEq)]
pub enum Taken {
    Listed(Record),
    Record(Record),
    /// A record that is none.
    Odd(Vec<u8>),
    Flush(u64),
    Lost(tracer::judge::Loss),
}

#[derive(Clone, Debug)]
pub struct Tape {
    pub header: Header,
    pub taken: Vec<Taken>,
}

impl Tape {
    pub fn load() -> Self {
        let mut reader = Reader::open(&path()).unwrap();
        let mut taken = Vec::new();
        while let Some(frame) = reader.next_frame().unwrap() {
            let mut entries = Entries::new(&frame.entries);
            while let Some(entry) = entries.next_entry().unwrap() {
                taken.extend(match entry {
                    Entry::Input(Input::Listed(record)) => {
                        Some(Taken::Listed(layout::record(record).unwrap()))
                    }
                    Entry::Input(Input::Record(record)) => {
                        Some(Taken::Record(layout::record(record).unwrap()))
                    }
                    Entry::Input(Input::Flush(time)) => Some(Taken::Flush(time)),
                    Entry::Input(Input::Lost(loss)) => Some(Taken::Lost(loss)),
                    _ => None,
                });
            }
        }
        Self { header: reader.header().clone(), taken }
    }

    pub fn judge(&self) -> Heard {
        self.judge_within(self.header.limits())
    }

    pub fn judge_within(&self, limits: Limits) -> Heard {
        judge(&self.header, limits, &self.taken)
    }
}

pub fn record(taken: &Taken) -> Option<&Record> {
    match taken {
        Taken::Record(record) => Some(record),
        _ => None,
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Heard {
    /// By cookie: verdicts in order.
    pub verdicts: BTreeMap<u64, Vec<Verdict>>,
    pub violations: Vec<String>,
    pub transitions: u64,
    pub malformed: u64,
    /// What the books hold in the end, and what the tracker does.
    pub books: u64,
    pub tracked: u64,
    /// The most that was tracked.
    pub peak: u64,
    begun: [u64; 2],
    ended: [u64; 2],
}

impl Heard {
    pub fn worst(&self, cookie: u64) -> u8 {
        let verdicts = self.verdicts.get(&cookie);
        verdicts.into_iter().flatten().map(|verdict| verdict.severity()).max().unwrap_or(0)
    }

    pub fn doubts(&self, cookie: u64) -> usize {
        let verdicts = self.verdicts.get(&cookie);
        verdicts.into_iter().flatten().filter(|verdict| verdict.severity() == 2).count()
    }

    /// Whatever was lost: what is in the books is there, and nothing ends that never began.
    pub fn assert_balanced(&self) {
        assert_eq!(self.books, self.tracked);
        for (begun, ended) in self.begun.iter().zip(self.ended) {
            assert!(ended <= *begun, "{ended} ended, {begun} begun");
        }
    }
}

impl Audience for Heard {
    fn finding(&mut self, finding: &Finding<'_>) {
        match finding.step.kind {
            StepKind::Transition { .. } => self.transitions += 1,
            StepKind::TimewaitBegun { .. } => self.begun[0] += 1,
            StepKind::TimewaitEnded { .. } => self.ended[0] += 1,
            StepKind::RequestBegun => self.begun[1] += 1,
            StepKind::RequestEnded { .. } => self.ended[1] += 1,
            _ => {}
        }
        let Some(judgement) = finding.judgement else { return };
        self.verdicts.entry(finding.step.event.socket.cookie).or_default().push(judgement.verdict);
        if judgement.verdict.is_violation() {
            self.violations.push(format!("{} {:?}", judgement.verdict, finding.step));
        }
    }

    fn malformed(&mut self, _: &Malformed, _: Option<Hook>) {
        self.malformed += 1;
    }
}

pub fn judge(header: &Header, limits: Limits, taken: &[Taken]) -> Heard {
    let mut judge = Judge::new(header.decoder(), limits, header.visible());
    let mut heard = Heard::default();
    for input in taken {
        match input {
            Taken::Listed(record) => judge.take(Input::Listed(&layout::bytes(record)), &mut heard),
            Taken::Record(record) => judge.take(Input::Record(&layout::bytes(record)), &mut heard),
            Taken::Odd(bytes) => judge.take(Input::Record(bytes), &mut heard),
            Taken::Flush(time) => judge.take(Input::Flush(*time), &mut heard),
            Taken::Lost(loss) => judge.take(Input::Lost(*loss), &mut heard),
        }
        heard.peak = heard.peak.max(judge.tracker().len() as u64);
    }
    heard.books = judge.tracker().books().total();
    heard.tracked = judge.tracker().len() as u64;
    heard
}

#[test]
fn the_recording_is_what_the_tests_take_it_for() {
    let tape = Tape::load();
    let heard = tape.judge();
    assert!(heard.violations.is_empty(), "{:?}", heard.violations);
    assert_eq!((heard.malformed, heard.transitions), (0, 3449));
    heard.assert_balanced();
    let conforming = heard.verdicts.values().flatten().filter(|verdict| verdict.severity() == 0).count();
    assert!(conforming > 3000, "{conforming}");
}
