//! The ring buffer, drained in bounded batches.
//!
//! While records come it is polled: a wake-up for each would cost the kernel more than the records. When it has been
//! found empty the reader goes to sleep, and the first record wakes it.

use std::time::Duration;

use aya::maps::{Array, MapData, RingBuf};
use tokio::io::{Interest, unix::AsyncFd};

/// Records that one call of [`drain`] hands over at most, so that nothing else starves.
pub const BATCH: usize = 8192;

/// How long a record may wait below the wake-up threshold.
const POLL: Duration = Duration::from_millis(20);

/// Hands up to [`BATCH`] records to `each`; returns how many there were.
pub fn drain(ring: &mut RingBuf<MapData>, mut each: impl FnMut(&[u8])) -> usize {
    let mut records = 0;
    while records < BATCH
        && let Some(record) = ring.next()
    {
        each(&record);
        records += 1;
    }
    records
}

/// The kernel side's ends of the ring.
pub struct RingMaps {
    /// Carries the records.
    pub records: RingBuf<MapData>,
    /// [`ASLEEP_MAP`](tracer_ebpf::ASLEEP_MAP).
    pub asleep: Array<MapData, u32>,
}

/// The consumer's end.
pub struct Ring {
    ring: AsyncFd<RingBuf<MapData>>,
    asleep: Array<MapData, u32>,
    /// Records of the last batch.
    last: usize,
    /// The kernel side has been asked for a wake-up, and none has come.
    is_asleep: bool,
}

impl Ring {
    /// Registers the ring with the runtime.
    ///
    /// # Errors
    ///
    /// What epoll gives.
    pub fn new(maps: RingMaps) -> std::io::Result<Self> {
        let RingMaps { records: ring, asleep } = maps;
        // SAFETY: the ring owns its map's descriptor and hands out the same one until it is dropped, which the
        // AsyncFd does.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }?;
        Ok(Self { ring, asleep, last: 0, is_asleep: false })
    }

    /// Waits until the kernel side asks for attention, or it is time to look again: after `rest` at the latest.
    pub async fn ready(&mut self, rest: Duration) {
        let patience = match (self.last, self.is_asleep) {
            (1.., _) => POLL,
            // What came before the kernel side knew, or was being written, is found by one more look.
            (0, false) => {
                self.is_asleep = self.asleep.set(0, 1, 0).is_ok();
                POLL
            }
            (0, true) => rest,
        };
        if let Ok(Ok(mut guard)) = tokio::time::timeout(patience, self.ring.readable()).await {
            guard.clear_ready();
            self.is_asleep = false;
        }
    }

    /// Hands up to [`BATCH`] records to `each`; returns how many there were.
    pub fn drain(&mut self, each: impl FnMut(&[u8])) -> usize {
        let records = drain(self.ring.get_mut(), each);
        self.last = records;
        // Whoever made them may have taken the request for a wake-up with it.
        self.is_asleep &= records == 0;
        records
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").finish_non_exhaustive()
    }
}
