//! What the verbs share that attach to the kernel: their options, how they start and end, and what they say then.

use std::{io, time::Duration};

use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{
    kernel::{
        btf::{BtfError, Types},
        listing::Snapshot,
        load::Options,
    },
    pipeline::{PipelineError, State},
};

/// What the kernel side may be told.
#[derive(Debug, clap::Args)]
pub struct KernelArgs {
    /// Size of the ring between kernel and agent, bytes: a power of two, 64 KiB to 1 GiB
    #[arg(long, value_name = "BYTES", default_value_t = Options::default().ring_bytes, value_parser = ring_bytes)]
    ring_bytes: u32,
    /// Copies of each handler that another one can interrupt, 1 to 4; more lose less where programs interrupt each other
    /// [default: as this kernel asks for]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=4))]
    copies: Option<u8>,
}

impl KernelArgs {
    /// As the loader wants it.
    #[must_use]
    pub fn options(&self) -> Options {
        Options { ring_bytes: self.ring_bytes, copies: self.copies.map(u32::from) }
    }
}

/// Why a ring cannot have this size.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a ring size: give a power of two from 65536 (64 KiB) to 1073741824 (1 GiB), for example 33554432"
)]
struct RingSize;

fn ring_bytes(text: &str) -> Result<u32, RingSize> {
    let bytes: u32 = text.parse().map_err(|_| RingSize)?;
    if bytes.is_power_of_two() && (1 << 16..=1 << 30).contains(&bytes) { Ok(bytes) } else { Err(RingSize) }
}

/// Why a text is no duration.
#[derive(Debug, thiserror::Error)]
#[error("expected seconds above 0, for example 10 or 0.5")]
pub struct NoDuration;

pub fn duration(text: &str) -> Result<Duration, NoDuration> {
    let seconds: f64 = text.parse().map_err(|_| NoDuration)?;
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero()).ok_or(NoDuration)
}

/// Why nothing can be traced.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The runtime could not be started.
    #[error("cannot start the asynchronous runtime: {0}")]
    Runtime(#[source] io::Error),
    /// The signal handlers could not be installed.
    #[error("cannot wait for SIGINT and SIGTERM: {0}")]
    Signal(#[source] io::Error),
    /// The kernel's types.
    #[error(transparent)]
    Types(#[from] BtfError),
    /// The kernel side.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
}

/// A runtime on the calling thread: for the pipeline, or for the pages. With more threads, each wake-up would be handed
/// from the one that waits to the one that works.
///
/// # Errors
///
/// [`StartError::Runtime`].
pub fn runtime() -> Result<Runtime, StartError> {
    Builder::new_current_thread().enable_all().build().map_err(StartError::Runtime)
}

/// The types of the running kernel.
///
/// # Errors
///
/// [`StartError::Types`].
pub fn types() -> Result<Types, StartError> {
    Ok(Types::of_running_kernel()?)
}

/// Says what this run will not see, and why.
pub fn log_problems(state: &State<'_>, adopted: &Snapshot) {
    for problem in &adopted.problems {
        log::warn!("{problem}");
    }
    for status in &state.attached.hooks {
        if let Some(problem) = &status.problem {
            log::warn!("hook {}: {problem}", status.hook.name());
        }
    }
    if let Err(problem) = &state.attached.sweep {
        log::warn!("no sweep for late FINs, which are noticed only when the minisocket ends: {problem}");
    }
}

/// Becomes true with the first SIGINT or SIGTERM.
///
/// # Errors
///
/// [`StartError::Signal`].
pub fn stop_signal() -> Result<watch::Receiver<bool>, StartError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signal)?;
    let (stop, receiver) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        // Without a receiver the agent has ended already.
        let _ = stop.send(true);
    });
    Ok(receiver)
}

/// Ready when the receiver becomes true.
pub async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone: nobody could stop us any more.
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn seconds_may_have_a_fraction() {
        assert_eq!(duration("10").unwrap(), Duration::from_secs(10));
        assert_eq!(duration("0.5").unwrap(), Duration::from_millis(500));
        for wrong in ["0", "-1", "ten", "inf", "NaN", "1e300", ""] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
