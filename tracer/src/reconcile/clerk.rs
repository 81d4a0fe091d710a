//! When to compare, and when to believe a difference.

use std::{collections::HashSet, time::Duration};

use hashbrown::HashMap;

use super::{Balances, Compared, Ours, Report, news::Known};
use crate::{
    kernel::readings::Readings,
    ledger::{Counts, Ledger},
    tracker::Tracker,
};

/// Time between two comparisons, unless reading takes so long that they are spread out.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// How much longer that is while nothing happens and nothing differs.
const IDLE: u64 = 12;

/// Reading the kernel's books may take one part in so many of one CPU.
const SHARE: u64 = 200;

/// How long what was under way in the kernel during a reading may take to be in our books, nanoseconds: an end that
/// only shows by nothing coming after it is known 10 ms later.
const SETTLES: u64 = 30_000_000;

/// A difference is believed when it was there this many times in a row, each time in a new window.
const LOOKS: u32 = 4;

/// Time between two such looks, nanoseconds.
const LOOK_AGAIN: u64 = 150_000_000;

/// Does the comparing, driven by the pipeline: it never waits and never reads anything itself.
#[derive(Debug)]
pub struct Clerk {
    balances: Balances,
    phase: Phase,
    interval: u64,
    /// When to begin the next window.
    due: u64,
    /// When that will be should something happen before.
    busy_due: u64,
    /// Events came since the last report.
    busy: bool,
    series: Series,
    /// Namespaces that we have counts of and the last reading did not find.
    absent: HashSet<u64>,
    known: Known,
}

#[derive(Debug)]
enum Phase {
    Waiting,
    Reading { before: HashMap<u64, Counts> },
    Settling { before: HashMap<u64, Counts>, readings: Readings },
}

/// Looks in a row at the same differences.
#[derive(Debug, Default)]
struct Series {
    looks: u32,
    begun: u64,
    /// By namespace: the smallest differences so far, and how many looks have found the namespace.
    found: HashMap<u64, (Compared, u32)>,
    problems: Vec<String>,
    /// Nanoseconds that reading took.
    spent: u64,
    cookies_failed: u64,
}

impl Clerk {
    /// A clerk that compares every `interval`, the first time at once.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self {
            balances: Balances::default(),
            phase: Phase::Waiting,
            interval: u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX),
            due: 0,
            busy_due: 0,
            busy: true,
            series: Series::default(),
            absent: HashSet::new(),
            known: Known::default(),
        }
    }

    /// Something was processed: there may be something to compare.
    pub fn notice(&mut self) {
        if !std::mem::replace(&mut self.busy, true) {
            self.due = self.due.min(self.busy_due);
        }
    }

    /// When it wants attention again, CLOCK_MONOTONIC nanoseconds; in the past while a comparison is under way.
    #[must_use]
    pub const fn next(&self) -> u64 {
        if matches!(self.phase, Phase::Waiting) { self.due } else { 0 }
    }

    /// True when the kernel's books are to be read now, from here on: hand the outcome to [`readings`](Self::readings).
    pub fn wants_reading(&mut self, now: u64, ledger: &Ledger, tracker: &mut Tracker) -> bool {
        if !matches!(self.phase, Phase::Waiting) || now < self.due {
            return false;
        }
        tracker.begin_window();
        if self.series.looks == 0 {
            self.series.begun = now;
        }
        self.phase = Phase::Reading { before: ledger.all() };
        true
    }

    /// The books that were asked for; `None` when there is no answer.
    pub fn readings(&mut self, readings: Option<Readings>, now: u64) {
        let phase = std::mem::replace(&mut self.phase, Phase::Waiting);
        match (phase, readings) {
            (Phase::Reading { before }, Some(readings)) => self.phase = Phase::Settling { before, readings },
            _ => self.due = now + self.interval,
        }
    }

    /// Compares as soon as everything that happened up to the end of the reading has been processed. `processed`: every
    /// record older than this has been.
    pub fn report(
        &mut self,
        processed: u64,
        now: u64,
        ledger: &mut Ledger,
        tracker: &Tracker,
    ) -> Option<Report> {
        let is_settled =
            matches!(&self.phase, Phase::Settling { readings, .. } if processed >= readings.until + SETTLES);
        if !is_settled {
            return None;
        }
        let Phase::Settling { before, readings } = std::mem::replace(&mut self.phase, Phase::Waiting) else {
            return None;
        };
        self.series.cookies_failed += self.balances.cookies_failed(&readings.namespaces);
        self.series.look(&mut self.balances, &before, &readings, ledger, tracker);
        self.forget(&readings, ledger);
        let is_first = !std::mem::replace(&mut self.balances.begun, true);
        if !self.series.is_balanced() && self.series.looks < LOOKS && !is_first {
            self.due = now + LOOK_AGAIN;
            return None;
        }
        let series = std::mem::take(&mut self.series);
        let spread = series.spent.saturating_mul(SHARE);
        let mut report = series.report();
        // The first look is not looked at again: what it finds to differ may be under way.
        if !is_first {
            report.news = self.known.news(&report.namespaces);
        }
        let idle = !std::mem::replace(&mut self.busy, false) && report.is_balanced();
        self.busy_due = now + self.interval.max(spread);
        self.due =
            if idle { self.busy_due.max(now + self.interval.saturating_mul(IDLE)) } else { self.busy_due };
        Some(report)
    }

    /// Namespaces that are gone take their counts along. Ours may be younger than the reading: they go when a second
    /// one does not find them either.
    fn forget(&mut self, readings: &Readings, ledger: &mut Ledger) {
        if !readings.problems.is_empty() {
            // What could not be read may still be there.
            return;
        }
        let there: HashSet<u64> = readings.namespaces.iter().map(|reading| reading.netns).collect();
        let ours = ledger.all().into_keys().chain(self.balances.namespaces.keys().copied());
        let absent: HashSet<u64> = ours.filter(|netns| !there.contains(netns)).collect();
        let gone = |netns: u64| absent.contains(&netns) && self.absent.contains(&netns);
        ledger.retain(|netns| !gone(netns));
        self.balances.namespaces.retain(|netns, _| !gone(*netns));
        self.balances.cookies_failed.retain(|netns, _| !gone(*netns));
        self.absent = absent;
    }
}

impl Series {
    fn look(
        &mut self,
        balances: &mut Balances,
        before: &HashMap<u64, Counts>,
        readings: &Readings,
        ledger: &Ledger,
        tracker: &Tracker,
    ) {
        self.looks += 1;
        self.spent = self.spent.max(readings.until.saturating_sub(readings.from));
        self.problems = readings.problems.iter().map(ToString::to_string).collect();
        let mut found = HashMap::new();
        for reading in &readings.namespaces {
            let netns = reading.netns;
            let ours = Ours {
                before: before.get(&netns).copied().unwrap_or_default(),
                after: ledger.counts(netns),
                levels: tracker.books().levels(netns),
            };
            let compared = balances.compare(reading, &ours);
            let entry = match self.found.remove(&netns) {
                Some((earlier, looks)) => (smaller(&earlier, compared), looks + 1),
                None => (compared, 1),
            };
            found.insert(netns, entry);
        }
        // A namespace that went away in between has nothing to be compared with.
        self.found = found;
    }

    fn is_balanced(&self) -> bool {
        self.found.values().all(|(compared, _)| compared.is_balanced())
    }

    /// Of a namespace that not every look has found, a difference is not known to stay.
    fn report(self) -> Report {
        let Self { looks, begun, found, problems, cookies_failed, .. } = self;
        let known = found.into_values().filter(|(compared, seen)| *seen == looks || compared.is_balanced());
        let mut namespaces: Vec<_> = known.map(|(compared, _)| compared).collect();
        namespaces.sort_by(|one, other| one.path.cmp(&other.path));
        Report { begun, namespaces, problems, cookies_failed, news: Vec::new() }
    }
}

/// The later comparison, but with a difference only where the earlier one had one of the same sign, and the smaller
/// one of the two.
fn smaller(earlier: &Compared, mut later: Compared) -> Compared {
    for (later, earlier) in later.counters.iter_mut().zip(earlier.counters) {
        if let (Some(later), Some(earlier)) = (later, earlier) {
            let same_sign = later.difference.signum() == earlier.difference.signum();
            let smaller = later.difference.abs().min(earlier.difference.abs());
            later.difference = if same_sign { later.difference.signum() * smaller } else { 0 };
        }
    }
    later
}
