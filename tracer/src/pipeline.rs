//! The loop: ring -> decode -> track -> check -> sinks.

mod refresh;
mod sweeps;

use std::{
    future::Future,
    ops::ControlFlow,
    pin::pin,
    sync::{Arc, mpsc},
    time::Duration,
};

use tracer_ebpf::{Hook, Record};

use self::{refresh::Refresh, sweeps::Sweeps};
use crate::{
    judge::{Audience, Input, Judge, Loss, records},
    kernel::{
        btf::Types,
        clock::now,
        counts::{self, Fate},
        listing::Snapshot,
        load::{Attached, LoadError, Options},
        readings::{self, Readings},
        ring::{BATCH, Ring},
        sweep::{self, Sweep},
    },
    reconcile::{Clerk, Report},
    tracker::{Limits, Tracker},
};

/// Records that may wait in memory while the existing sockets are listed.
const BACKLOG: usize = 1 << 20;

/// Nanoseconds between two looks at the kernel side's counts.
const COUNT_INTERVAL: u64 = 1_000_000_000;

/// Time between two looks at something that is under way while nothing else happens.
const SOON: Duration = Duration::from_millis(100);

/// What the pipeline needs to know before it starts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// The kernel side.
    pub load: Options,
    /// The tracker's memory.
    pub limits: Limits,
    /// How often our counts are compared with the kernel's; `None`: never.
    pub reconcile: Option<Duration>,
}

/// Where findings go. Sinks never call back.
pub trait Sinks: Audience {
    /// The programs are attached; nothing has been taken in yet.
    fn attached(&mut self, _attached: &Attached, _config: &Config) {}
    /// What the judge is about to take in: the whole truth, in its order.
    fn input(&mut self, _input: Input<'_>) {}
    /// The programs are attached, and the sockets that were there before are known.
    fn started(&mut self, state: &State<'_>, adopted: &Snapshot);
    /// A sweep for late FINs is done, and what it found has been taken in.
    fn swept(&mut self, _swept: &Snapshot) {}
    /// After a loss the sockets that exist have been listed again; so many of ours exist no more.
    fn refreshed(&mut self, _listed: &Snapshot, _missing: usize) {}
    /// Our counts have been compared with the kernel's.
    fn reconciled(&mut self, _report: &Report) {}
    /// The ring is empty for now, or a batch is done. `Break` ends the pipeline.
    fn batch_end(&mut self, state: &State<'_>) -> ControlFlow<()>;
    /// How long nothing may happen until [`batch_end`](Self::batch_end) is called all the same.
    fn patience(&self) -> Duration {
        Duration::from_millis(200)
    }
    /// Ready when somebody wants to know how things stand: losses are counted and the ring is read at once. What comes
    /// of it is told by [`batch_end`](Self::batch_end), as always. Asked anew after each batch.
    fn asked(&mut self) -> impl Future<Output = ()> {
        std::future::pending()
    }
}

/// What sinks may look at between batches.
#[derive(Debug)]
pub struct State<'a> {
    /// The kernel side.
    pub attached: &'a Attached,
    /// The books.
    pub tracker: &'a Tracker,
    /// What became of every firing, as of the last count.
    pub fates: &'a [(Hook, Fate)],
    /// CLOCK_MONOTONIC, nanoseconds.
    pub now: u64,
    /// Records in the batch that has just ended.
    pub records: usize,
    /// The ring was found empty behind them.
    pub is_drained: bool,
    /// Nanoseconds between the batch's last event and now; `None` without one.
    pub lag: Option<u64>,
}

/// Why the pipeline could not start.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The kernel side.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The ring cannot be watched.
    #[error("the ring buffer cannot be polled: {0}")]
    Ring(#[source] std::io::Error),
}

/// Attaches, adopts what exists, and hands every finding to the sinks until `shutdown` is ready or a sink breaks.
/// Everything is detached when it returns.
///
/// # Errors
///
/// [`PipelineError`] when nothing can be traced.
pub async fn run(
    types: &Types,
    config: Config,
    sinks: &mut impl Sinks,
    shutdown: impl Future<Output = ()>,
) -> Result<(), PipelineError> {
    let (mut attached, ring) = Attached::new(types, config.load)?;
    let mut ring = Ring::new(ring).map_err(PipelineError::Ring)?;
    let kernel_log = kernel_log(&mut attached);

    sinks.attached(&attached, &config);

    // What is lost from here on counts, also while the listing is made.
    let mut work = Work::new(config, &attached, kernel_log);
    let (snapshot, backlog) = list_existing(&attached, &mut ring);
    for record in records(&snapshot.records) {
        work.take(Input::Listed(record), sinks);
    }
    work.count_losses(&attached, true, sinks);
    sinks.started(&work.state(&attached, 0, false), &snapshot);
    for record in records(&backlog) {
        work.take(Input::Record(record), sinks);
    }
    drop((snapshot, backlog));

    let mut shutdown = pin!(shutdown);
    let mut is_asked = false;
    loop {
        // First what was lost, then what was not: no conclusion is drawn from a silence that was a loss.
        work.count_losses(&attached, std::mem::take(&mut is_asked), sinks);
        let before = now();
        let records = ring.drain(|record| work.take(Input::Record(record), sinks));
        let is_drained = records < BATCH;
        work.is_counted &= records == 0;
        // Everything up to `before` has been seen only if the ring was found empty since.
        let processed = if is_drained { before } else { work.judge.latest() };
        work.take(Input::Flush(processed), sinks);
        work.sweep(&attached, processed, sinks);
        work.refresh(&attached, is_drained, processed, sinks);
        if let Some(report) = work.reconcile(processed, records > 0) {
            work.heed(&report, attached.visible(), sinks);
            sinks.reconciled(&report);
        }
        if sinks.batch_end(&work.state(&attached, records, is_drained)).is_break() {
            return Ok(());
        }
        let rest = work.rest().min(sinks.patience());
        let next = async {
            if is_drained {
                ring.ready(rest).await;
            } else {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = &mut shutdown => return Ok(()),
            () = sinks.asked() => is_asked = true,
            () = next => {}
        }
    }
}

/// What the programs log; it goes to the log of the agent.
fn kernel_log(attached: &mut Attached) -> Option<KernelLog> {
    aya_log::EbpfLogger::init(&mut attached.ebpf)
        .inspect_err(|error| log::warn!("the kernel side's own messages cannot be read: {error}"))
        .ok()
}

/// Lists the sockets that exist while the ring is kept from running full.
fn list_existing(attached: &Attached, ring: &mut Ring) -> (Snapshot, Vec<u8>) {
    let mut backlog = Vec::new();
    let Some(lister) = attached.lister.as_deref() else { return (Snapshot::default(), backlog) };
    let snapshot = std::thread::scope(|scope| {
        let listing = scope.spawn(|| lister.list(None));
        while !listing.is_finished() {
            if backlog.len() < BACKLOG * Record::SIZE {
                ring.drain(|record| backlog.extend_from_slice(record));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        listing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    (snapshot, backlog)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The sinks are told what comes in, and then what comes of it.
fn take(judge: &mut Judge, input: Input<'_>, sinks: &mut impl Sinks) {
    sinks.input(input);
    judge.take(input, sinks);
}

type KernelLog = aya_log::EbpfLogger<&'static dyn log::Log>;

/// What the loop carries from batch to batch.
struct Work {
    kernel_log: Option<KernelLog>,
    judge: Judge,
    clerk: Option<Clerk>,
    /// The kernel's books are being read.
    reading: Option<mpsc::Receiver<Readings>>,
    sweeps: Sweeps,
    refresh: Refresh,
    fates: Vec<(Hook, Fate)>,
    counted: u64,
    /// Nothing has happened since the count.
    is_counted: bool,
    loss_mark: u64,
}

impl Work {
    fn new(config: Config, attached: &Attached, kernel_log: Option<KernelLog>) -> Self {
        Self {
            kernel_log,
            judge: Judge::new(attached.kernel.clone(), config.limits, attached.visible()),
            clerk: config.reconcile.map(Clerk::new),
            reading: None,
            sweeps: Sweeps::default(),
            refresh: Refresh::default(),
            fates: counts::fates(attached),
            counted: now(),
            is_counted: false,
            loss_mark: 0,
        }
    }

    fn take(&mut self, input: Input<'_>, sinks: &mut impl Sinks) {
        take(&mut self.judge, input, sinks);
    }

    /// Asks the kernel side what was lost: at once when the ring has been full or somebody asks, else once a second while
    /// something happens. A host that does nothing loses nothing: a firing is missed while another one
    /// runs, which wakes us.
    fn count_losses(&mut self, attached: &Attached, is_asked: bool, sinks: &mut impl Sinks) {
        let (now, mark) = (now(), counts::loss_mark(attached));
        if mark == self.loss_mark && now.saturating_sub(self.counted) < COUNT_INTERVAL && !is_asked {
            return;
        }
        if let Some(kernel_log) = &mut self.kernel_log {
            kernel_log.flush();
        }
        self.loss_mark = mark;
        self.counted = now;
        self.is_counted = true;
        let fates = counts::fates(attached);
        let earlier = std::mem::replace(&mut self.fates, fates.clone());
        for ((hook, fate), (_, earlier)) in fates.into_iter().zip(earlier) {
            if fate.lost() > earlier.lost() {
                let ring_full = fate.ring_full.saturating_sub(earlier.ring_full);
                let missed = fate.missed.saturating_sub(earlier.missed);
                self.take(Input::Lost(Loss { hook, until: now, ring_full, missed }), sinks);
                self.refresh.lost(hook, now);
                log::warn!(
                    "{} events of {} were lost ({ring_full} for want of room in the ring); what they would have shown is \
                     inconclusive",
                    ring_full + missed,
                    hook.name(),
                );
            }
        }
    }

    /// Looks for late FINs while they may come. What a sweep found is taken in when everything up to its end has been:
    /// each minisocket's birth comes first.
    fn sweep(&mut self, attached: &Attached, processed: u64, sinks: &mut impl Sinks) {
        let Self { judge, sweeps, .. } = self;
        if let Ok(noted) = &attached.sweep
            && sweeps.is_due(now())
            && judge.tracker().books().has_fin_wait2_minisockets()
        {
            let others = judge.tracker().orphans_without_address();
            let sweep = Sweep { noted: Arc::clone(noted), lister: attached.lister.clone(), others };
            sweeps.start(move || sweep.run());
        }
        let swept = sweeps.take_in(processed, sweep::INTERVAL, |record| {
            take(judge, Input::Record(record), sinks);
        });
        if let Some(swept) = swept {
            sinks.swept(&swept);
        }
    }

    /// Compares our counts with the kernel's, whose books are read on a thread of their own: it moves through the
    /// namespaces, and the ring does not wait for it. `processed`: every record older than this has been.
    fn reconcile(&mut self, processed: u64, is_busy: bool) -> Option<Report> {
        let Self { judge, clerk: Some(clerk), reading, .. } = self else { return None };
        let (ledger, tracker) = judge.books();
        if is_busy {
            clerk.notice();
        }
        let now = now();
        if clerk.wants_reading(now, ledger, tracker) {
            let (sender, receiver) = mpsc::channel();
            *reading = Some(receiver);
            // Nobody waits any more when the agent is about to end.
            drop(tokio::task::spawn_blocking(move || drop(sender.send(readings::read()))));
        }
        let answer = reading.as_ref().map(mpsc::Receiver::try_recv);
        match answer {
            Some(Ok(readings)) => {
                *reading = None;
                clerk.readings(Some(readings), now);
            }
            // The reader died: nothing to compare with this time.
            Some(Err(mpsc::TryRecvError::Disconnected)) => {
                *reading = None;
                clerk.readings(None, now);
            }
            Some(Err(mpsc::TryRecvError::Empty)) | None => {}
        }
        clerk.report(processed, now, ledger, tracker)
    }

    /// How long nothing has to be done unless something happens.
    fn rest(&self) -> Duration {
        let Self { judge, clerk, sweeps, refresh, counted, is_counted, .. } = self;
        let is_sweeping = sweeps.is_under_way() || judge.tracker().books().has_fin_wait2_minisockets();
        let next = [
            clerk.as_ref().map_or(u64::MAX, Clerk::next),
            if is_sweeping { sweeps.next() } else { u64::MAX },
            refresh.next(),
            if *is_counted { u64::MAX } else { counted + COUNT_INTERVAL },
        ];
        let next = next.into_iter().fold(u64::MAX, u64::min);
        Duration::from_nanos(next.saturating_sub(now())).max(SOON)
    }

    fn state<'a>(&'a self, attached: &'a Attached, records: usize, is_drained: bool) -> State<'a> {
        let now = now();
        let lag = (records > 0).then(|| now.saturating_sub(self.judge.latest()));
        State { attached, tracker: self.judge.tracker(), fates: &self.fates, now, records, is_drained, lag }
    }
}
