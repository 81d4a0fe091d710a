//! The kernel's own account: the eBPF stream, each world handed what happens in its namespace.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use aya::maps::{MapData, RingBuf};
use model::oracle::Departures;

use crate::{
    decode::decode,
    event::Event,
    kernel::{
        btf::{BtfError, Types},
        counts,
        load::{Attached, LoadError, Options},
        ring::{BATCH, drain},
    },
    tracker::Hooks,
};

use super::{
    account::now,
    world::{Stamping, WorldError},
};

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The kernel's types.
    #[error(transparent)]
    Types(#[from] BtfError),
    /// The programs.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The times of packets, which the events are compared with.
    #[error(transparent)]
    Stamping(#[from] WorldError),
}

type Subscribers = Mutex<HashMap<u64, Subscriber>>;

/// The attached programs and the thread that reads them. Dropping it detaches everything.
#[derive(Debug)]
pub struct Stream {
    shared: Arc<Shared>,
    /// The hooks that deliver.
    pub visible: Hooks,
    /// The kernel's habits, once they are known.
    pub habits: Departures,
    /// Events and packets are to be told in one order.
    _stamping: Stamping,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    subscribers: Subscribers,
    lost: AtomicU64,
    stop: AtomicBool,
    /// How many have asked for all that had happened by then, and how many of them have it.
    asked: AtomicU64,
    answered: AtomicU64,
}

/// Where the events of one world go.
#[derive(Debug)]
struct Subscriber {
    events: mpsc::Sender<Event>,
    /// When it began to listen, CLOCK_MONOTONIC nanoseconds. A kernel without cookies of namespaces has only their inode
    /// numbers, and gives those again: what is older was the last bearer's.
    since: u64,
}

/// What one world hears. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    shared: Arc<Shared>,
    cookie: u64,
    since: u64,
    events: mpsc::Receiver<Event>,
}

/// How long a record may wait. A reader that slept less would take the processor from what it watches.
const POLL: Duration = Duration::from_millis(1);

/// How long a busy host may keep the reader from its turn.
const PATIENCE: Duration = Duration::from_secs(5);

impl Stream {
    /// Attaches the programs and begins to read.
    ///
    /// # Errors
    ///
    /// [`StreamError`] when state transitions cannot be traced.
    pub fn start() -> Result<Self, StreamError> {
        let stamping = Stamping::start()?;
        let types = Types::of_running_kernel()?;
        let (attached, maps) = Attached::new(&types, Options::default())?;
        let visible = attached.visible();
        let shared = Arc::new(Shared::default());
        let reader = {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name("audit-stream".into())
                .spawn(move || read(&shared, &attached, maps.records))
                .ok()
        };
        Ok(Self { shared, visible, habits: Departures::NONE, _stamping: stamping, reader })
    }

    /// From now on, what happens in the namespace with this cookie.
    #[must_use]
    pub fn subscribe(&self, cookie: u64) -> Subscription {
        let (sender, events) = mpsc::channel();
        let since = now();
        let subscriber = Subscriber { events: sender, since };
        lock(&self.shared.subscribers).insert(cookie, subscriber);
        Subscription { shared: Arc::clone(&self.shared), cookie, since, events }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Subscription {
    /// The next event, if one has come.
    #[must_use]
    pub fn next(&self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Waits until [`next`](Self::next) gives, and [`lost`](Self::lost) counts, whatever has happened so far. False: it may
    /// not.
    #[must_use]
    pub fn settle(&self) -> bool {
        let turn = self.shared.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let until = Instant::now() + PATIENCE;
        while self.shared.answered.load(Ordering::SeqCst) < turn {
            if Instant::now() > until {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }

    /// Events of the whole host that were lost since the stream began. When it grows, some may have been ours.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut subscribers = lock(&self.shared.subscribers);
        // A world of later may have the same number already.
        if subscribers.get(&self.cookie).is_some_and(|subscriber| subscriber.since == self.since) {
            subscribers.remove(&self.cookie);
        }
    }
}

fn read(shared: &Shared, attached: &Attached, mut ring: RingBuf<MapData>) {
    let mut malformed = 0;
    let mut rounds = 0_u32;
    while !shared.stop.load(Ordering::Relaxed) {
        let asked = shared.asked.load(Ordering::SeqCst);
        let records = {
            let subscribers = lock(&shared.subscribers);
            drain(&mut ring, |record| match decode(record, &attached.kernel) {
                Ok(event) => {
                    if let Some(Subscriber { events, since }) = subscribers.get(&event.socket.netns)
                        && event.time >= *since
                    {
                        // A world that has just ended hears no more.
                        let _ = events.send(event);
                    }
                }
                Err(_) => malformed += 1,
            })
        };
        let answers = records < BATCH && asked > shared.answered.load(Ordering::SeqCst);
        // The programs' own statistics cost system calls: not every millisecond.
        if answers || rounds.is_multiple_of(64) {
            let lost: u64 = counts::fates(attached).iter().map(|(_, fate)| fate.lost()).sum();
            shared.lost.store(lost + malformed, Ordering::Relaxed);
        }
        if answers {
            shared.answered.store(asked, Ordering::SeqCst);
        }
        rounds = rounds.wrapping_add(1);
        if records == 0 {
            thread::sleep(POLL);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, atomic::Ordering, mpsc},
        thread,
    };

    use super::{Shared, Subscription};

    #[test]
    fn who_settles_waits_for_a_look_at_the_ring_that_began_later() {
        let shared = Arc::new(Shared::default());
        let (_sender, events) = mpsc::channel();
        let subscription = Subscription { shared: Arc::clone(&shared), cookie: 1, since: 0, events };
        let settled = thread::spawn(move || subscription.settle().then(|| subscription.lost()));
        while shared.asked.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        shared.lost.store(7, Ordering::SeqCst);
        shared.answered.store(1, Ordering::SeqCst);
        assert_eq!(settled.join().ok(), Some(Some(7)));
    }
}
