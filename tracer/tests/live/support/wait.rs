//! Waiting with a limit.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use super::guest::patience;

/// Tries again and again until `attempt` succeeds, and returns what it gives.
///
/// # Panics
///
/// With the last reason when the time is over.
pub fn until<T>(limit: Duration, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let limit = patience(limit);
    let start = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(reason) => {
                assert!(start.elapsed() < limit, "still not after {limit:?}: {reason}");
                sleep(Duration::from_millis(50));
            }
        }
    }
}
