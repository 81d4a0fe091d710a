//! `tcp-tracer run`: the agent.

use std::{
    net::{SocketAddr, TcpListener},
    ops::ControlFlow,
    path::PathBuf,
    sync::Arc,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tracer_ebpf::Hook;

use crate::{
    decode::Malformed,
    kernel::{
        adopt::Snapshot,
        btf::{BtfError, Types},
        counts,
        load::Options,
        privileges,
        sweep::Swept,
    },
    ledger::KernelCounter,
    pipeline::{self, Config, PipelineError, Sinks, State},
    reconcile::{Comparison, DEFAULT_INTERVAL, Report},
    sink::{Metrics, Violations},
    step::Finding,
    tracker::Limits,
    web::{self, Health, Security, SecurityError, Site, TelemetryPath},
};

/// Nanoseconds between two looks at what is slow to ask for.
const SLOW: u64 = 1_000_000_000;

/// What the agent may be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address to serve the metrics on; may be given several times. Port 0 takes a free one
    #[arg(long = "web.listen-address", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9917")]
    listen: Vec<SocketAddr>,
    /// Path of the metrics
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics")]
    telemetry_path: TelemetryPath,
    /// YAML file with TLS and passwords, as Prometheus' exporter-toolkit has it
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config: Option<PathBuf>,
    #[command(flatten)]
    kernel: KernelArgs,
    /// Sockets that are tracked at most
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().sockets)]
    max_sockets: usize,
}

/// What the kernel side may be told.
#[derive(Debug, clap::Args)]
pub struct KernelArgs {
    /// Size of the ring between kernel and agent, bytes: a power of two, 64 KiB to 1 GiB
    #[arg(long, value_name = "BYTES", default_value_t = Options::default().ring_bytes, value_parser = ring_bytes)]
    ring_bytes: u32,
    /// Copies of each handler, 1 to 4; more lose less where programs interrupt each other [default: as this kernel
    /// asks for]
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

/// Why the agent ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A port is taken, or not ours to take.
    #[error("cannot listen on {address}: {source}; choose another one with --web.listen-address")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The web configuration.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The runtime could not be started.
    #[error("cannot start the asynchronous runtime: {0}")]
    Runtime(#[source] std::io::Error),
    /// The signal handlers could not be installed.
    #[error("cannot wait for SIGINT and SIGTERM: {0}")]
    Signal(#[source] std::io::Error),
    /// The kernel's types.
    #[error(transparent)]
    Types(#[from] BtfError),
    /// Two metrics of one name: an error of ours.
    #[error("the metrics cannot be registered: {0}; please report it")]
    Metrics(#[from] prometheus::Error),
    /// Nothing can be traced.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
}

/// Runs until SIGINT or SIGTERM.
///
/// # Errors
///
/// [`RunError`] when the agent cannot do its work.
pub fn run(args: Args) -> Result<(), RunError> {
    let listeners = args.listen.iter().map(|address| listen(*address)).collect::<Result<Vec<_>, _>>()?;
    let security = args.web_config.as_deref().map(Security::load).transpose()?.unwrap_or_default();
    // Low ports are taken and keys are read: from here on it is tracing alone, and there is no other thread yet.
    if let Err(error) = privileges::keep_only_needed() {
        log::warn!("cannot give up the capabilities that are not needed: {error}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    runtime.block_on(agent(args, listeners, security))
}

fn listen(address: SocketAddr) -> Result<TcpListener, RunError> {
    let bind = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|source| RunError::Listen { address, source })
}

async fn agent(args: Args, listeners: Vec<TcpListener>, security: Security) -> Result<(), RunError> {
    let stop = stop_signal()?;
    let types = Types::of_running_kernel()?;
    let metrics = Arc::new(Metrics::new(&types.for_decoder())?);
    let health = Arc::new(Health::default());
    let violations = Arc::new(Violations::default());
    let site = Site::new(
        Arc::clone(&metrics),
        Arc::clone(&health),
        Arc::clone(&violations),
        args.telemetry_path,
        security,
    );
    let config = Config {
        load: args.kernel.options(),
        limits: Limits { sockets: args.max_sockets },
        reconcile: Some(DEFAULT_INTERVAL),
    };
    let mut sinks = Agent {
        metrics,
        health,
        violations,
        ring_bytes: u64::from(args.kernel.ring_bytes),
        max_sockets: args.max_sockets as u64,
        looked: 0,
        differences: Vec::new(),
        web: Some((listeners, site)),
        stop: stop.clone(),
        server: None,
    };
    pipeline::run(&types, config, &mut sinks, stopped(stop)).await?;
    if let Some(server) = sinks.server {
        // A server task that panicked has stopped serving as well.
        let _ = server.await;
    }
    log::info!("stopped; nothing is left attached");
    Ok(())
}

/// Becomes true with the first SIGINT or SIGTERM.
pub(super) fn stop_signal() -> Result<watch::Receiver<bool>, RunError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signal)?;
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

pub(super) async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone: nobody could stop us any more.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The agent's sinks: metrics, the violations' list, the log, and the pages.
struct Agent {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    violations: Arc<Violations>,
    ring_bytes: u64,
    max_sockets: u64,
    looked: u64,
    /// What the last comparison with the kernel's counters found, so that a change is said once.
    differences: Vec<String>,
    web: Option<(Vec<TcpListener>, Arc<Site>)>,
    stop: watch::Receiver<bool>,
    server: Option<tokio::task::JoinHandle<()>>,
}

impl Sinks for Agent {
    fn started(&mut self, state: &State<'_>, adopted: &Snapshot) {
        for problem in &adopted.problems {
            log::warn!("{problem}");
        }
        for status in &state.attached.hooks {
            if let Some(problem) = &status.problem {
                log::warn!("hook {}: {problem}", status.hook.name());
            }
        }
        if let Some(problem) = &state.attached.sweep_problem {
            log::warn!("no sweep for late FINs, which are noticed only when the minisocket ends: {problem}");
        }
        self.health.hooks(&state.attached.hooks);
        self.metrics.hooks(&state.attached.hooks);
        self.look(state);
        self.health.beat();
        log::info!(
            "following TCP in the whole host; {} sockets of {} network namespaces were there before",
            state.tracker.len(),
            adopted.namespaces
        );
        self.serve();
    }

    fn finding(&mut self, finding: &Finding<'_>) {
        self.metrics.record(finding);
        self.violations.record(finding);
    }

    fn malformed(&mut self, reason: &Malformed, hook: Option<Hook>) {
        log::error!("a record cannot be read ({reason}); its event is lost");
        self.metrics.invalid(hook);
    }

    fn swept(&mut self, swept: &Swept) {
        self.metrics.swept(swept.duration());
        for problem in &swept.problems {
            log::warn!("{problem}");
        }
    }

    fn refreshed(&mut self, swept: &Swept, missing: usize) {
        for problem in &swept.problems {
            log::warn!("{problem}; sockets there whose end was lost stay in the books");
        }
        log::info!("the sockets that exist were listed after the loss: {missing} had ended unseen");
    }

    fn reconciled(&mut self, report: &Report) {
        for counter in KernelCounter::ALL {
            if let Some(difference) = report.worst(counter) {
                self.metrics.kernel_difference(counter, difference);
            }
        }
        self.metrics.cookies_failed(report.cookies_failed);
        self.metrics.compared();
        let differences = sentences(report);
        for news in differences.iter().filter(|difference| !self.differences.contains(*difference)) {
            log::warn!("{news}");
        }
        self.differences = differences;
    }

    fn batch_end(&mut self, state: &State<'_>) -> ControlFlow<()> {
        self.health.beat();
        if state.records > 0 {
            self.metrics.sockets(state.tracker.books());
            self.metrics.tracked(state.tracker.len() as u64, self.max_sockets);
        }
        if let Some(lag) = state.lag {
            self.metrics.lag(lag);
        }
        self.metrics.ring((state.records * RING_RECORD) as u64, self.ring_bytes);
        if state.now.saturating_sub(self.looked) >= SLOW {
            self.look(state);
        }
        ControlFlow::Continue(())
    }
}

/// What a comparison found wrong.
fn sentences(report: &Report) -> Vec<String> {
    let mut sentences = report.problems.clone();
    for compared in &report.namespaces {
        for (counter, comparison) in KernelCounter::ALL.into_iter().zip(compared.counters) {
            if let Some(Comparison { difference, .. }) = comparison.filter(|found| found.difference != 0) {
                let (section, name) = counter.source();
                sentences.push(format!(
                    "our {} and the kernel's ({section}: {name}) differ by {difference:+} in {}; `tcp-tracer doctor \
                     --reconcile` says what that means",
                    counter.name(),
                    compared.path.display()
                ));
            }
        }
    }
    sentences
}

/// Bytes of one record in the ring, its header included.
const RING_RECORD: usize = tracer_ebpf::Record::SIZE + 8;

impl Agent {
    fn look(&mut self, state: &State<'_>) {
        self.looked = state.now;
        self.metrics.sockets(state.tracker.books());
        self.metrics.tracked(state.tracker.len() as u64, self.max_sockets);
        self.metrics.fates(state.fates);
        let programs = &state.attached.programs;
        self.metrics.programs(programs.iter().map(|program| (program.name.as_str(), counts::stats(program))));
    }

    fn serve(&mut self) {
        let Some((listeners, site)) = self.web.take() else { return };
        let mut serving = Vec::new();
        for listener in listeners {
            let address = listener.local_addr();
            match (tokio::net::TcpListener::from_std(listener), address) {
                (Ok(listener), Ok(address)) => {
                    log::info!("listening on {}://{address}", site.scheme());
                    serving.push(listener);
                }
                (Err(error), _) | (_, Err(error)) => log::error!("cannot serve the metrics: {error}"),
            }
        }
        self.server = Some(tokio::spawn(web::serve(serving, site, stopped(self.stop.clone()))));
    }
}
