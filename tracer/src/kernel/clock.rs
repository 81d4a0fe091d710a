//! The clock of the kernel's records, and what the calling thread costs.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// CLOCK_MONOTONIC, the clock of `bpf_ktime_get_ns`, nanoseconds.
#[must_use]
pub fn now() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// Does the work, and says what processor time it took of the calling thread.
pub fn spending<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let spent = || Duration::from_nanos(nanoseconds(clock_gettime(ClockId::ThreadCPUTime)));
    let before = spent();
    let done = work();
    (done, spent().saturating_sub(before))
}

fn nanoseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
