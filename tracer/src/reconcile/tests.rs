//! Two pretended sides: ours, and what the kernel's files say.

use std::time::Duration;

use super::{Balances, Clerk, Ours, Report, Span};
use crate::{
    fixture::Seen,
    kernel::readings::{Reading, Readings},
    ledger::{Counts, KernelCounter, Ledger},
    tracker::{Hooks, Level, Levels, Limits, Tracker},
};

const OPENS: usize = KernelCounter::ActiveOpens as usize;
const FAILS: usize = KernelCounter::AttemptFails as usize;

fn reading(netns: u64, counters: &[(KernelCounter, i64)]) -> Reading {
    let mut reading = Reading {
        netns,
        path: "/run/netns/x".into(),
        counters: [Some(0); KernelCounter::ALL.len()],
        cookies_failed: Some(0),
    };
    for (counter, value) in counters {
        reading.counters[*counter as usize] = Some(*value);
    }
    reading
}

/// Active opens and unclear failures, before and after a reading.
fn ours(opens: [i64; 2], unclear: [i64; 2]) -> Ours {
    let counts = |index: usize| {
        let mut counts = Counts::default();
        counts.certain[OPENS] = opens[index];
        counts.unclear[FAILS] = unclear[index];
        counts
    };
    Ours { before: counts(0), after: counts(1), levels: Levels::default() }
}

fn begun() -> Balances {
    Balances { begun: true, ..Balances::default() }
}

fn opens(balances: &mut Balances, kernel: i64, ours: Ours) -> i64 {
    let compared = balances.compare(&reading(1, &[(KernelCounter::ActiveOpens, kernel)]), &ours);
    compared.counters[OPENS].unwrap().difference
}

#[test]
fn what_was_there_before_is_the_base() {
    let mut balances = Balances::default();
    assert_eq!(opens(&mut balances, 1000, ours([4, 4], [0, 0])), 0, "the first reading");
    balances.begun = true;
    assert_eq!(opens(&mut balances, 1006, ours([10, 10], [0, 0])), 0);
    assert_eq!(opens(&mut balances, 1007, ours([10, 10], [0, 0])), -1, "we missed one");
    assert_eq!(opens(&mut balances, 1006, ours([12, 12], [0, 0])), 2, "we count too much");
    assert_eq!(opens(&mut balances, 1008, ours([12, 12], [0, 0])), 0, "and the base stays");
}

#[test]
fn a_new_namespace_begins_at_zero() {
    assert_eq!(opens(&mut begun(), 3, ours([3, 3], [0, 0])), 0);
    assert_eq!(opens(&mut begun(), 3, ours([1, 1], [0, 0])), -2);
}

#[test]
fn what_happened_during_the_reading_may_be_in_it() {
    for kernel in 10..=14 {
        assert_eq!(opens(&mut begun(), kernel, ours([10, 14], [0, 0])), 0);
    }
    assert_eq!(opens(&mut begun(), 15, ours([10, 14], [0, 0])), -1);
    assert_eq!(opens(&mut begun(), 9, ours([10, 14], [0, 0])), 1);
}

#[test]
fn a_base_that_was_read_under_load_is_learned_exactly() {
    let mut balances = Balances::default();
    // Somewhere from 0 to 5 of these are in the kernel's 100.
    assert_eq!(opens(&mut balances, 100, ours([0, 5], [0, 0])), 0);
    balances.begun = true;
    // Quiet now: the kernel is ahead by 97.
    assert_eq!(opens(&mut balances, 117, ours([20, 20], [0, 0])), 0);
    assert_eq!(opens(&mut balances, 119, ours([21, 21], [0, 0])), -1);
}

#[test]
fn unclear_steps_widen_the_span_until_the_kernel_has_settled_them() {
    let mut balances = begun();
    let mut fails = |kernel, unclear: i64| {
        let reading = reading(1, &[(KernelCounter::AttemptFails, kernel)]);
        let found = balances.compare(&reading, &ours([0, 0], [unclear, unclear])).counters[FAILS].unwrap();
        (found.ours, found.difference)
    };
    assert_eq!(fails(2, 3), (Span { low: 0, high: 3 }, 0), "two of three were counted");
    assert_eq!(fails(2, 3), (Span { low: 2, high: 2 }, 0));
    assert_eq!(fails(3, 3), (Span { low: 2, high: 2 }, -1), "the third one cannot be counted later");
    assert_eq!(fails(3, 4), (Span { low: 2, high: 3 }, 0));
}

#[test]
fn sockets_in_close_wait_count_or_not_as_the_kernel_has_it() {
    let level = |now| Level { now, low: now, high: now };
    let sockets = |established, close_wait| {
        let levels =
            Levels { established: level(established), close_wait: level(close_wait), ..Levels::default() };
        Ours { levels, ..Ours::default() }
    };
    for counts_close_wait in [true, false] {
        let mut balances = begun();
        let mut difference = |established, close_wait, kernel| {
            let reading = reading(1, &[(KernelCounter::CurrEstab, kernel)]);
            let compared = balances.compare(&reading, &sockets(established, close_wait));
            compared.counters[KernelCounter::CurrEstab as usize].unwrap().difference
        };
        assert_eq!(difference(5, 0, 5), 0, "no way to know yet");
        let (right, wrong) = if counts_close_wait { (7, 5) } else { (5, 7) };
        assert_eq!(difference(5, 2, right), 0, "found out");
        assert_ne!(difference(5, 2, wrong), 0, "and remembered");
        assert_eq!(difference(5, 2, right), 0);
    }
}

#[test]
fn minisockets_are_compared_by_their_extremes() {
    let minisockets = Level { now: 12, low: 9, high: 14 };
    let ours = Ours { levels: Levels { minisockets, ..Levels::default() }, ..Ours::default() };
    let difference = |kernel| {
        let reading = reading(1, &[(KernelCounter::Timewait, kernel)]);
        begun().compare(&reading, &ours).counters[KernelCounter::Timewait as usize].unwrap().difference
    };
    assert_eq!([8, 9, 14, 16].map(difference), [1, 0, 0, -2]);
}

/// A host with one namespace, looked at through a clerk.
struct Host {
    clerk: Clerk,
    ledger: Ledger,
    tracker: Tracker,
    kernel: Vec<Reading>,
    now: u64,
}

const SECOND: u64 = 1_000_000_000;

impl Host {
    fn new() -> Self {
        Self {
            clerk: Clerk::new(Duration::from_secs(5)),
            ledger: Ledger::default(),
            tracker: Tracker::new(Limits::default(), Hooks::all()),
            kernel: vec![reading(1, &[])],
            now: SECOND,
        }
    }

    fn opens(&mut self, kernel: i64, ours: usize) {
        if let Some(opens) = &mut self.kernel[0].counters[OPENS] {
            *opens += kernel;
        }
        let seen = Seen::transition("10.1.2.3:40000", "10.9.9.9:80", "close", "syn_sent");
        (0..ours).for_each(|_| seen.with_finding(|finding| self.ledger.record(finding)));
    }

    /// What the next report makes of the active opens, and how many looks it took.
    fn report(&mut self) -> (i64, u64) {
        let (report, looks) = self.next();
        (report.worst(KernelCounter::ActiveOpens).unwrap_or(0), looks)
    }

    /// Lets time go by until there is a report.
    fn next(&mut self) -> (Report, u64) {
        let start = self.now;
        let mut readings = 0;
        while self.now - start < 100 * SECOND {
            self.now += 20_000_000;
            self.clerk.notice();
            if self.clerk.wants_reading(self.now, &self.ledger, &mut self.tracker) {
                readings += 1;
                let read = Readings {
                    from: self.now,
                    until: self.now + 1_000_000,
                    namespaces: self.kernel.clone(),
                    problems: Vec::new(),
                };
                self.clerk.readings(Some(read), self.now);
            }
            let processed = self.now - 1_000_000;
            if let Some(report) = self.clerk.report(processed, self.now, &mut self.ledger, &self.tracker) {
                return (report, readings);
            }
        }
        panic!("no report within 100 s");
    }
}

#[test]
fn a_difference_is_looked_at_four_times_before_it_is_told() {
    let mut host = Host::new();
    assert_eq!(host.report(), (0, 1), "the base");
    host.opens(7, 7);
    assert_eq!(host.report(), (0, 1));
    host.opens(2, 0);
    assert_eq!(host.report(), (-2, 4));
    host.opens(0, 2);
    assert_eq!(host.report(), (0, 1), "late, but there");
}

#[test]
fn a_difference_is_news_when_it_comes_and_when_it_grows() {
    let opens = |difference| vec![(KernelCounter::ActiveOpens, difference)];
    let mut host = Host::new();
    let mut news = |kernel, ours| {
        host.opens(kernel, ours);
        host.next().0.news.iter().map(|news| (news.counter, news.difference)).collect::<Vec<_>>()
    };
    assert_eq!(news(0, 0), []);
    assert_eq!(news(2, 0), opens(-2), "two were not seen");
    assert_eq!(news(5, 5), [], "nothing new");
    assert_eq!(news(1, 0), opens(-3), "a third one");
    assert_eq!(news(0, 2), [], "less");
    assert_eq!(news(0, 2), opens(1), "now we have too many");
    assert_eq!(news(1, 0), [], "none");
    assert_eq!(news(1, 0), opens(-1), "and again");
}

#[test]
fn a_namespace_that_is_gone_is_forgotten_by_both_sides() {
    let mut host = Host::new();
    host.report();
    host.opens(3, 3);
    host.report();
    let namespace = host.kernel.remove(0);
    assert_eq!(host.report().0, 0);
    assert_eq!(host.report().0, 0);
    assert_eq!(host.ledger.counts(1), Counts::default());
    // The same name again, and a new namespace for all we know.
    host.kernel.push(Reading { counters: [Some(0); KernelCounter::ALL.len()], ..namespace });
    host.opens(1, 1);
    assert_eq!(host.report().0, 0);
}

#[test]
fn what_cannot_be_read_is_no_difference() {
    let mut host = Host::new();
    host.report();
    host.now += 6 * SECOND;
    assert!(host.clerk.wants_reading(host.now, &host.ledger, &mut host.tracker));
    host.clerk.readings(None, host.now);
    assert_eq!(host.clerk.report(host.now, host.now, &mut host.ledger, &host.tracker), None);
    host.opens(1, 1);
    assert_eq!(host.report(), (0, 1));
}

#[test]
fn failed_cookies_are_counted_from_the_first_reading_on() {
    let mut balances = Balances::default();
    let failed = |balances: &mut Balances, counts: &[(u64, i64)]| {
        let reading =
            |(netns, count): &(u64, i64)| Reading { cookies_failed: Some(*count), ..reading(*netns, &[]) };
        let readings: Vec<_> = counts.iter().map(reading).collect();
        balances.cookies_failed(&readings)
    };
    assert_eq!(failed(&mut balances, &[(1, 700)]), 0, "of before");
    balances.begun = true;
    assert_eq!(failed(&mut balances, &[(1, 703), (2, 5)]), 8, "a new namespace begins at 0");
    assert_eq!(failed(&mut balances, &[(1, 703), (2, 6)]), 1);
}
