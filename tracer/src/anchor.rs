//! An instant on two clocks.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::kernel::clock;

/// An instant on both clocks: what turns a record's time into a time of day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// CLOCK_MONOTONIC, nanoseconds.
    pub monotonic_ns: u64,
    /// The same instant by the wall clock, nanoseconds since 1970 UTC.
    pub wall_ns: i64,
}

impl Anchor {
    /// This instant.
    #[must_use]
    pub fn now() -> Self {
        let wall_ns = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        Self { monotonic_ns: clock::now(), wall_ns }
    }

    /// The wall clock at an instant of CLOCK_MONOTONIC, nanoseconds since 1970 UTC.
    #[must_use]
    pub fn wall_ns_at(&self, monotonic_ns: u64) -> i64 {
        self.wall_ns.saturating_add_unsigned(monotonic_ns).saturating_sub_unsigned(self.monotonic_ns)
    }

    /// The wall clock at an instant of CLOCK_MONOTONIC.
    #[must_use]
    pub fn wall_at(&self, monotonic_ns: u64) -> Timestamp {
        let since = SignedDuration::from_nanos(self.wall_ns_at(monotonic_ns));
        Timestamp::UNIX_EPOCH.saturating_add(since).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::Anchor;

    #[test]
    fn a_record_gets_the_time_of_day() {
        let anchor = Anchor { monotonic_ns: 5_000, wall_ns: 1_700_000_000_000_000_000 };
        assert_eq!(anchor.wall_ns_at(7_000), 1_700_000_000_000_002_000);
        assert_eq!(anchor.wall_at(4_000).to_string(), "2023-11-14T22:13:19.999999Z");
        assert_eq!(anchor.wall_ns_at(u64::MAX), i64::MAX - 5_000, "no overflow");
    }
}
