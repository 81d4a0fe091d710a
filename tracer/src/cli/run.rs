//! `tcp-tracer run`: the agent.

mod backlogs;

use std::{
    net::{SocketAddr, TcpListener},
    ops::ControlFlow,
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::watch;
use tracer_ebpf::Hook;

use self::backlogs::Backlogs;
use super::{
    record::bytes,
    start::{self, KernelArgs, StartError, stop_signal, stopped},
};
use crate::{
    decode::Malformed,
    judge::{Audience, Input},
    kernel::{
        counts::{self, Fate},
        listing::Snapshot,
        load::Attached,
        privileges,
    },
    ledger::KernelCounter,
    pipeline::{self, Config, Sinks, State},
    reconcile::{DEFAULT_INTERVAL, News, Report},
    sink::{
        Metrics, Violations,
        recording::{CreateError, Parts, Recorded, Rotation, Selection, Tape, WriteError, Written},
        violations::Log,
    },
    step::Finding,
    tracker::Limits,
    web::{self, Health, Inquiries, Security, SecurityError, Site, TelemetryPath},
};

/// How long the pipeline may rest while it records: a recorder that is killed leaves all but the last second.
const RECORDING_REST: Duration = Duration::from_millis(200);

/// How long the pipeline may rest while nothing happens and nobody asks: well below [`web::SILENCE`].
const REST: Duration = Duration::from_secs(5);
const _: () = assert!(REST.as_secs() * 2 <= web::SILENCE.as_secs());

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
    /// Ports of listeners whose handshakes and accept queues are exported by port; may be given several times, or
    /// separated by commas
    #[arg(long = "listen-port", value_name = "PORT", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    listen_ports: Vec<u16>,
    /// File to record to, as `record` does; where it exists, FILE.1, FILE.2 and so on go on from there
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Bytes after which the next file begins; also as 500K, 100M, 2G
    #[arg(long, value_name = "BYTES", requires = "record", value_parser = bytes)]
    record_max_size: Option<u64>,
    /// Files that stay; the oldest go first
    #[arg(long, value_name = "COUNT", requires = "record_max_size", value_parser = clap::value_parser!(u64).range(1..))]
    record_max_files: Option<u64>,
    #[command(flatten)]
    kernel: KernelArgs,
    /// Sockets that are tracked at most
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().sockets)]
    max_sockets: usize,
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
    /// Two metrics of one name: an error of ours.
    #[error("the metrics cannot be registered: {0}; please report it")]
    Metrics(#[from] prometheus::Error),
    /// The recording.
    #[error("--record: {0}")]
    Record(#[from] CreateError),
    /// Nothing can be traced.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Runs until SIGINT or SIGTERM.
///
/// # Errors
///
/// [`RunError`] when the agent cannot do its work.
pub fn run(args: Args) -> Result<(), RunError> {
    let listeners = args.listen.iter().map(|address| listen(*address)).collect::<Result<Vec<_>, _>>()?;
    let security = args.web_config.as_deref().map(Security::load).transpose()?.unwrap_or_default();
    let rotation = Rotation { max_size: args.record_max_size, max_files: args.record_max_files };
    let parts = args.record.clone().map(|file| Parts::behind(file, rotation)).transpose()?;
    // Low ports are taken and keys are read: from here on it is tracing alone, and there is no other thread yet.
    if let Err(error) = privileges::keep_only_needed() {
        log::warn!("cannot give up the capabilities that are not needed: {error}");
    }
    start::runtime()?.block_on(agent(args, listeners, security, parts))
}

fn listen(address: SocketAddr) -> Result<TcpListener, RunError> {
    let bind = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|source| RunError::Listen { address, source })
}

async fn agent(
    args: Args,
    listeners: Vec<TcpListener>,
    security: Security,
    parts: Option<Parts>,
) -> Result<(), RunError> {
    let stop = stop_signal()?;
    let types = start::types()?;
    let metrics = Arc::new(Metrics::with_ports(&types.for_decoder(), &args.listen_ports)?);
    let health = Arc::new(Health::default());
    let violations = Arc::new(Violations::default());
    let (inquirer, inquiries) = web::inquiries();
    let site = Site::new(
        Arc::clone(&metrics),
        Arc::clone(&health),
        Arc::clone(&violations),
        inquirer,
        args.telemetry_path,
        security,
    );
    if !args.listen_ports.is_empty() {
        drop(tokio::spawn(Backlogs::new(Arc::clone(&metrics), args.listen_ports).watch()));
    }
    let config = Config {
        load: args.kernel.options(),
        limits: Limits { sockets: args.max_sockets },
        reconcile: Some(DEFAULT_INTERVAL),
    };
    let mut sinks = Agent {
        metrics,
        health,
        violations,
        violation_log: Log::default(),
        tape: parts.map(|parts| Tape::new(parts, Selection::default())),
        fates: Vec::new(),
        ring_bytes: u64::from(args.kernel.options().ring_bytes),
        max_sockets: args.max_sockets as u64,
        inquiries,
        problems: Vec::new(),
        web: Some((listeners, site)),
        stop: stop.clone(),
        server: None,
    };
    pipeline::run(&types, config, &mut sinks, stopped(stop)).await.map_err(StartError::from)?;
    if let Some(tape) = sinks.tape.take() {
        tell(tape.finish(&sinks.fates));
    }
    if let Some(server) = sinks.server {
        // A server that panicked has stopped serving as well.
        let _ = server.join();
    }
    log::info!("stopped; nothing is left attached");
    Ok(())
}

/// The agent's sinks: metrics, the violations' list, the log, and the pages.
struct Agent {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    violations: Arc<Violations>,
    violation_log: Log,
    tape: Option<Tape>,
    /// As of the last count.
    fates: Vec<(Hook, Fate)>,
    ring_bytes: u64,
    max_sockets: u64,
    /// Scrapes that wait for what is only told when somebody asks.
    inquiries: Inquiries,
    /// Why the last comparison could not read the kernel's counters somewhere, so that it is said once.
    problems: Vec<String>,
    web: Option<(Vec<TcpListener>, Arc<Site>)>,
    stop: watch::Receiver<bool>,
    server: Option<JoinHandle<()>>,
}

impl Audience for Agent {
    fn finding(&mut self, finding: &Finding<'_>) {
        self.metrics.record(finding);
        if let Some(violation) = self.violations.record(finding) {
            match self.violation_log.line(&violation) {
                Ok(Some(line)) => log::error!("violation {line}"),
                Ok(None) => {}
                Err(error) => log::error!("violation of {}, which cannot be shown: {error}", violation.rule),
            }
        }
    }

    fn malformed(&mut self, reason: &Malformed, hook: Option<Hook>) {
        log::error!("a record cannot be read ({reason}); its event is lost");
        self.metrics.invalid(hook);
    }
}

impl Sinks for Agent {
    fn attached(&mut self, attached: &Attached, config: &Config) {
        if let Some(tape) = &mut self.tape {
            tape.attached(attached, config);
        }
    }

    fn input(&mut self, input: Input<'_>) {
        if let Some(tape) = &mut self.tape {
            tape.input(input);
        }
    }

    fn started(&mut self, state: &State<'_>, adopted: &Snapshot) {
        start::log_problems(state, adopted);
        if let Some(tape) = &mut self.tape {
            tape.started(adopted);
        }
        self.health.hooks(&state.attached.hooks);
        self.metrics.hooks(&state.attached.hooks);
        self.look(state);
        self.health.beat();
        log::info!(
            "following TCP in the whole host; {} sockets of {} network namespaces were there before",
            state.tracker.len(),
            adopted.namespaces.len()
        );
        self.serve();
    }

    fn swept(&mut self, swept: &Snapshot) {
        self.metrics.swept(swept.duration());
        for problem in &swept.problems {
            log::warn!("{problem}");
        }
    }

    fn refreshed(&mut self, listed: &Snapshot, missing: usize) {
        for problem in &listed.problems {
            log::warn!("{problem}; sockets there whose end was lost stay in the books");
        }
        log::info!("the sockets that exist were listed anew: {missing} had ended unseen");
    }

    fn reconciled(&mut self, report: &Report) {
        for counter in KernelCounter::ALL {
            if let Some(difference) = report.worst(counter) {
                self.metrics.kernel_difference(counter, difference);
            }
        }
        for news in &report.news {
            self.metrics.differs(news.counter);
            log::warn!("{}", sentence(news));
        }
        self.metrics.cookies_failed(report.cookies_failed);
        self.metrics.compared();
        for problem in report.problems.iter().filter(|problem| !self.problems.contains(*problem)) {
            log::warn!("{problem}");
        }
        self.problems.clone_from(&report.problems);
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
        state.fates.clone_into(&mut self.fates);
        if state.is_drained && self.inquiries.is_waiting() {
            self.look(state);
            self.inquiries.answer();
        }
        if let Some(tape) = &mut self.tape {
            let is_up = tape.tick(state.now);
            self.metrics.recording(is_up, tape.unwritten());
            // The agent goes on without its recording.
            if !is_up && let Some(tape) = self.tape.take() {
                let recorded = tape.finish(&self.fates);
                if let Ok(Recorded { unwritten, .. }) = &recorded {
                    self.metrics.recording(false, *unwritten);
                }
                tell(recorded);
            }
        }
        ControlFlow::Continue(())
    }

    fn patience(&self) -> Duration {
        // A recording is handed over from here.
        if self.tape.is_some() { RECORDING_REST } else { REST }
    }

    async fn asked(&mut self) {
        self.inquiries.asked().await;
    }
}

/// How the recording ended.
fn tell(recorded: Result<Recorded, WriteError>) {
    match recorded.and_then(|Recorded { written, unwritten }| Ok((written?, unwritten))) {
        Ok((Written { file, records, .. }, 0)) => {
            log::info!("{records} records were written, the last to {}", file.display());
        }
        Ok((Written { file, records, .. }, unwritten)) => log::warn!(
            "{records} records were written, the last to {}; {unwritten} were not, the disk being too slow",
            file.display()
        ),
        Err(error) => log::error!("{error}; nothing more is recorded"),
    }
}

/// A difference from the kernel's books, in a person's words.
fn sentence(News { counter, difference, path }: &News) -> String {
    let (section, name) = counter.source();
    format!(
        "our {} and the kernel's ({section}: {name}) differ by {difference:+} in {}; `tcp-tracer doctor --reconcile` says \
         what that means",
        counter.name(),
        path.display()
    )
}

/// Bytes of one record in the ring, its header included.
const RING_RECORD: usize = tracer_ebpf::Record::SIZE + 8;

impl Agent {
    fn look(&mut self, state: &State<'_>) {
        self.metrics.sockets(state.tracker.books());
        self.metrics.tracked(state.tracker.len() as u64, self.max_sockets);
        self.metrics.fates(state.fates);
        let programs = &state.attached.programs;
        self.metrics.programs(programs.iter().map(|program| (program.name.as_str(), counts::stats(program))));
    }

    /// Serves the pages on a thread of its own: no scrape keeps the pipeline waiting, nor the other way round.
    fn serve(&mut self) {
        let Some((listeners, site)) = self.web.take() else { return };
        let stop = self.stop.clone();
        let serving =
            std::thread::Builder::new().name("web".to_owned()).spawn(move || match start::runtime() {
                Ok(runtime) => runtime.block_on(serve(listeners, site, stop)),
                Err(error) => log::error!("cannot serve the metrics: {error}"),
            });
        match serving {
            Ok(server) => self.server = Some(server),
            Err(error) => log::error!("cannot serve the metrics: there is no thread for it: {error}"),
        }
    }
}

async fn serve(listeners: Vec<TcpListener>, site: Arc<Site>, stop: watch::Receiver<bool>) {
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
    web::serve(serving, site, stopped(stop)).await;
}
