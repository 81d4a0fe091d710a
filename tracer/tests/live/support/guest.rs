//! Whether the test runs in a guest of `cargo xtask vm`, and what is different there.

use std::{env, time::Duration};

/// A guest is emulated: it does in seconds what the machine itself does in a fraction of one.
const SLOWER: u32 = 20;

/// What the processor alone is waited for takes longer too, but not that much: most of a wait is for the clock.
const PATIENCE: u32 = 5;

/// The size of a load: the full one on a machine, a part of it in a guest.
pub fn share(full: u64) -> u64 {
    if is_guest() { full / u64::from(SLOWER) } else { full }
}

/// How long to wait for what takes processor time.
pub fn patience(time: Duration) -> Duration {
    if is_guest() { time * PATIENCE } else { time }
}

/// How late a program may come to its turn on the processor.
pub fn delay(time: Duration) -> Duration {
    if is_guest() { time * SLOWER } else { time }
}

fn is_guest() -> bool {
    env::var_os("TCP_TRACER_GUEST").is_some()
}
