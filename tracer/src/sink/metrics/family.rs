//! Families of series: made and registered in one step.

use prometheus::{
    Counter, CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, core::Collector,
};

/// What can go wrong while the metrics are set up: a name twice, a label that is none.
pub(super) type Made<T> = Result<T, prometheus::Error>;

/// The prefix of every name.
const NAMESPACE: &str = "tcptracer";

fn options(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace(NAMESPACE)
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, family: Made<C>) -> Made<C> {
    let family = family?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

pub(super) fn counter(registry: &Registry, name: &str, help: &str) -> Made<IntCounter> {
    registered(registry, IntCounter::with_opts(options(name, help)))
}

pub(super) fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Made<IntCounterVec> {
    registered(registry, IntCounterVec::new(options(name, help), labels))
}

/// Counters of seconds.
pub(super) fn second_counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Made<CounterVec> {
    registered(registry, CounterVec::new(options(name, help), labels))
}

pub(super) fn gauge(registry: &Registry, name: &str, help: &str) -> Made<IntGauge> {
    registered(registry, IntGauge::with_opts(options(name, help)))
}

pub(super) fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Made<IntGaugeVec> {
    registered(registry, IntGaugeVec::new(options(name, help), labels))
}

pub(super) fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> Made<Histogram> {
    let options = HistogramOpts::from(options(name, help)).buckets(buckets.to_vec());
    registered(registry, Histogram::with_opts(options))
}

pub(super) fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> Made<HistogramVec> {
    let options = HistogramOpts::from(options(name, help)).buckets(buckets.to_vec());
    registered(registry, HistogramVec::new(options, labels))
}

/// Brings a counter up to a count that somebody else keeps. A count that went back (two reads that raced, a counter
/// that began again) changes nothing: counters never decrease.
pub(super) fn raise(counter: &IntCounter, count: u64) {
    counter.inc_by(count.saturating_sub(counter.get()));
}

/// As [`raise`], for seconds.
pub(super) fn raise_seconds(counter: &Counter, seconds: f64) {
    let difference = seconds - counter.get();
    if difference > 0.0 {
        counter.inc_by(difference);
    }
}

/// A gauge's value; more than `i64::MAX` cannot be told apart from it.
pub(super) fn level(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Nanoseconds as seconds.
pub(super) fn seconds(nanoseconds: u64) -> f64 {
    std::time::Duration::from_nanos(nanoseconds).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::{level, raise, raise_seconds, seconds};
    use prometheus::{Counter, IntCounter};

    #[test]
    fn a_counter_follows_a_count_up_and_never_down() {
        let counter = IntCounter::new("a_total", "a").expect("a name");
        for (count, shown) in [(0, 0), (5, 5), (3, 5), (5, 5), (9, 9)] {
            raise(&counter, count);
            assert_eq!(counter.get(), shown, "after {count}");
        }
        let counter = Counter::new("b_seconds_total", "b").expect("a name");
        for (count, shown) in [(0.5, 0.5), (0.25, 0.5), (2.0, 2.0)] {
            raise_seconds(&counter, count);
            assert!((counter.get() - shown).abs() < 1e-12, "after {count}");
        }
    }

    #[test]
    fn units() {
        assert!((seconds(1_500_000_000) - 1.5).abs() < 1e-12);
        assert_eq!(level(u64::MAX), i64::MAX);
    }
}
