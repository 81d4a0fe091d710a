//! The ring buffer, drained in bounded batches.

use std::time::Duration;

use aya::maps::{MapData, RingBuf};
use tokio::io::{Interest, unix::AsyncFd};

/// Records that one call of [`Ring::drain`] hands over at most, so that nothing else starves.
pub const BATCH: usize = 8192;

/// How long a record may wait below the wake-up threshold.
const POLL: Duration = Duration::from_millis(20);

/// The consumer's end.
pub struct Ring {
    ring: AsyncFd<RingBuf<MapData>>,
}

impl Ring {
    /// Registers the ring with the runtime.
    ///
    /// # Errors
    ///
    /// What epoll gives.
    pub fn new(ring: RingBuf<MapData>) -> std::io::Result<Self> {
        // SAFETY: the ring owns its map's descriptor and hands out the same one until it is dropped, which the
        // AsyncFd does.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }?;
        Ok(Self { ring })
    }

    /// Waits until the kernel side asks for attention, or the poll interval is over.
    pub async fn ready(&mut self) {
        if let Ok(Ok(mut guard)) = tokio::time::timeout(POLL, self.ring.readable()).await {
            guard.clear_ready();
        }
    }

    /// Hands up to [`BATCH`] records to `each`; returns how many there were.
    pub fn drain(&mut self, mut each: impl FnMut(&[u8])) -> usize {
        let ring = self.ring.get_mut();
        let mut records = 0;
        while records < BATCH
            && let Some(record) = ring.next()
        {
            each(&record);
            records += 1;
        }
        records
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").finish_non_exhaustive()
    }
}
