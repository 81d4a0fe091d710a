//! The clock of the kernel's records.

use rustix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC, the clock of `bpf_ktime_get_ns`, nanoseconds.
#[must_use]
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
