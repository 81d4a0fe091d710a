//! Our counts against the kernel's own, network namespace by network namespace. Pure.
//!
//! Neither side can be stopped to be compared with the other. So ours is looked at before and after the kernel's books
//! are read, and what was counted in between may or may not be in them: the kernel's number has to lie within a span.
//! On a quiet host the span is a point. A number outside it is looked at again, and a difference is reported only if
//! it stays ([`Clerk`]).
//!
//! Counts that only grow are compared from the first reading on; namespaces that appear later begin at 0 on both
//! sides. Numbers of sockets are compared as they are, since the sockets that were there before are known.

mod clerk;
mod news;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use hashbrown::HashMap;

pub use self::{
    clerk::{Clerk, DEFAULT_INTERVAL},
    news::News,
};
use crate::{
    kernel::readings::Reading,
    ledger::{Counts, GROWING, KernelCounter},
    tracker::{Level, Levels},
};

/// A range of numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The least.
    pub low: i64,
    /// The most.
    pub high: i64,
}

impl Span {
    const fn point(value: i64) -> Self {
        Self { low: value, high: value }
    }

    fn between(one: i64, other: i64) -> Self {
        Self { low: one.min(other), high: one.max(other) }
    }

    fn of(level: Level) -> Self {
        let number = |level| i64::try_from(level).unwrap_or(i64::MAX);
        Self { low: number(level.low), high: number(level.high) }
    }

    const fn plus(self, other: Self) -> Self {
        Self { low: self.low + other.low, high: self.high + other.high }
    }

    const fn shifted(self, by: i64) -> Self {
        Self { low: self.low + by, high: self.high + by }
    }

    /// `value` minus each number of the span.
    const fn below(self, value: i64) -> Self {
        Self { low: value - self.high, high: value - self.low }
    }

    fn overlap(self, other: Self) -> Option<Self> {
        let both = Self { low: self.low.max(other.low), high: self.high.min(other.high) };
        (both.low <= both.high).then_some(both)
    }

    const fn contains(self, value: i64) -> bool {
        self.low <= value && value <= self.high
    }

    /// How far the span is above (positive) or below (negative) the other one; 0 when they overlap.
    const fn distance(self, other: Self) -> i64 {
        if self.low > other.high {
            self.low - other.high
        } else if self.high < other.low {
            self.high - other.low
        } else {
            0
        }
    }
}

/// One counter of one namespace. Growing ones since the agent, or the namespace, began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// What the kernel's number should be by our books.
    pub ours: Span,
    /// What it is.
    pub kernel: i64,
    /// Ours minus the kernel's; 0 when the kernel's number lies within ours.
    pub difference: i64,
}

/// All counters of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// What records carry of the namespace.
    pub netns: u64,
    /// Where it was found.
    pub path: PathBuf,
    /// By [`KernelCounter`]; `None` where this kernel has no such counter.
    pub counters: [Option<Comparison>; KernelCounter::ALL.len()],
}

impl Compared {
    /// True when nothing differs.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.counters.iter().flatten().all(|counter| counter.difference == 0)
    }
}

/// What a comparison of the whole host came to. Differences in it have stayed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// When it was begun, CLOCK_MONOTONIC nanoseconds.
    pub begun: u64,
    /// Every namespace that could be read.
    pub namespaces: Vec<Compared>,
    /// Why others could not.
    pub problems: Vec<String>,
    /// SYN cookies that failed since the last report, by the kernel's count: no tracepoint shows them.
    pub cookies_failed: u64,
    /// What the last report did not have.
    pub news: Vec<News>,
}

impl Report {
    /// The difference of one counter that is furthest from 0; `None` when no namespace has that counter.
    #[must_use]
    pub fn worst(&self, counter: KernelCounter) -> Option<i64> {
        let found = self.namespaces.iter().filter_map(|compared| compared.counters[counter as usize]);
        found.map(|comparison| comparison.difference).max_by_key(|difference| difference.abs())
    }

    /// True when nothing differs.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.namespaces.iter().all(Compared::is_balanced)
    }
}

/// Our side during one reading.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ours {
    /// Our counts before the kernel's books were read.
    pub before: Counts,
    /// When everything up to the end of the reading had been processed.
    pub after: Counts,
    /// Sockets in between.
    pub levels: Levels,
}

/// What is remembered from reading to reading.
#[derive(Debug, Default)]
struct Balances {
    namespaces: HashMap<u64, Balance>,
    /// The first reading has been: whoever turns up now is new.
    begun: bool,
    /// SyncookiesFailed of each namespace at the last reading.
    cookies_failed: HashMap<u64, i64>,
    /// Whether this kernel's CurrEstab includes CLOSE_WAIT, as RFC 4022 wants it; kernels before 6.10 forgot that
    /// (a46d0ea5c942, since backported). Found out where it makes a difference.
    counts_close_wait: Option<bool>,
}

/// One namespace.
#[derive(Clone, Debug)]
struct Balance {
    /// The kernel's number minus our certain one, as far as it is known.
    ahead: [Span; GROWING],
    /// Unclear steps that are in `ahead` already.
    settled: [i64; GROWING],
    /// The kernel's numbers when the comparison began, for display.
    base: [i64; GROWING],
}

impl Balances {
    /// Compares one namespace.
    fn compare(&mut self, reading: &Reading, ours: &Ours) -> Compared {
        let begins = !self.begun;
        let balance = self
            .namespaces
            .entry(reading.netns)
            .or_insert_with(|| if begins { Balance::begun(reading, ours) } else { Balance::new() });
        let mut counters = [None; KernelCounter::ALL.len()];
        for (counter, (kernel, compared)) in
            KernelCounter::ALL.into_iter().zip(reading.counters.into_iter().zip(&mut counters))
        {
            let Some(kernel) = kernel else { continue };
            *compared = Some(match counter {
                KernelCounter::Timewait => level(Span::of(ours.levels.minisockets), kernel),
                KernelCounter::CurrEstab => curr_estab(&mut self.counts_close_wait, &ours.levels, kernel),
                growing => balance.compare(growing as usize, kernel, ours),
            });
        }
        Compared { netns: reading.netns, path: reading.path.clone(), counters }
    }
}

impl Balances {
    /// SYN cookies that have failed since the last reading. What was there at the first one is none of ours.
    fn cookies_failed(&mut self, readings: &[Reading]) -> u64 {
        let mut growth = 0;
        for Reading { netns, cookies_failed, .. } in readings {
            let Some(now) = *cookies_failed else { continue };
            let before = self.cookies_failed.insert(*netns, now).unwrap_or(if self.begun { 0 } else { now });
            growth += u64::try_from(now - before).unwrap_or(0);
        }
        growth
    }
}

impl Balance {
    /// A namespace that is younger than the agent.
    const fn new() -> Self {
        Self { ahead: [Span::point(0); GROWING], settled: [0; GROWING], base: [0; GROWING] }
    }

    /// A namespace that has counted before.
    fn begun(reading: &Reading, ours: &Ours) -> Self {
        let mut balance = Self::new();
        for counter in 0..GROWING {
            let kernel = reading.counters[counter].unwrap_or(0);
            let certain = Span::between(ours.before.certain[counter], ours.after.certain[counter]);
            balance.ahead[counter] = certain.below(kernel);
            balance.settled[counter] = ours.before.unclear[counter];
            balance.base[counter] = balance.ahead[counter].low;
        }
        balance
    }

    fn compare(&mut self, counter: usize, kernel: i64, ours: &Ours) -> Comparison {
        let certain = Span::between(ours.before.certain[counter], ours.after.certain[counter]);
        let Span { low, high } = self.ahead[counter];
        let expected = Span { low, high: high + ours.after.unclear[counter] - self.settled[counter] };
        let found = certain.below(kernel);
        if let Some(both) = expected.overlap(found) {
            self.ahead[counter] = both;
            self.settled[counter] = ours.before.unclear[counter];
        }
        let base = self.base[counter];
        Comparison {
            ours: expected.plus(certain).shifted(-base),
            kernel: kernel - base,
            difference: expected.distance(found),
        }
    }
}

fn level(ours: Span, kernel: i64) -> Comparison {
    Comparison { ours, kernel, difference: ours.distance(Span::point(kernel)) }
}

fn curr_estab(counts_close_wait: &mut Option<bool>, levels: &Levels, kernel: i64) -> Comparison {
    let without = Span::of(levels.established);
    let with = without.plus(Span::of(levels.close_wait));
    if counts_close_wait.is_none() && with.overlap(without).is_none() {
        *counts_close_wait = match (with.contains(kernel), without.contains(kernel)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
    }
    match counts_close_wait {
        Some(false) => level(without, kernel),
        None if without.contains(kernel) => level(without, kernel),
        _ => level(with, kernel),
    }
}
