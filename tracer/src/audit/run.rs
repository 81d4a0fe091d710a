//! The audit as a whole: every scenario on a thread and in a network of its own, many side by side.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    thread,
    time::Instant,
};

use jiff::Timestamp;
use model::linux::{DeviationId, Standing};

use super::{
    judge::{self, Judged},
    play::{self, PlayError},
    report::model::{
        self as report, Deviation, Family, Finding, Kernel, Outcome, Problem, Report, Scenario, Settings,
    },
    scenario::{ParseError, Script, library, parse_file},
    stream::{Stream, StreamError},
    world::{World, WorldError},
};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Leave the long scenarios out.
    pub quick: bool,
    /// Only scenarios whose id contains one of these.
    pub only: Vec<String>,
    /// Files of scenarios, instead of those that come with the audit.
    pub files: Vec<PathBuf>,
    /// Scenarios side by side.
    pub jobs: usize,
    /// The seed of what is random.
    pub seed: u64,
}

/// Why there is no audit.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The eBPF stream.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The network.
    #[error(transparent)]
    World(#[from] WorldError),
    /// A scenario's text.
    #[error(transparent)]
    Scenario(#[from] ParseError),
    /// A scenario's file.
    #[error("cannot read {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Nothing is left.
    #[error("no scenario fits; `tcp-tracer audit --list` shows their names")]
    Nothing,
}

/// What has come so far, for whoever waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Runs that have ended.
    pub done: usize,
    /// All runs.
    pub all: usize,
    /// The run that has just ended: id, family, outcome.
    pub last: (String, Family, Outcome),
    /// What went wrong there.
    pub problem: Option<Problem>,
}

/// The scenarios that the configuration chooses.
///
/// # Errors
///
/// [`AuditError::File`], [`AuditError::Scenario`], and [`AuditError::Nothing`].
pub fn scenarios(config: &Config) -> Result<Vec<Script>, AuditError> {
    let mut scripts = if config.files.is_empty() { library()? } else { Vec::new() };
    for path in &config.files {
        let failed = |source| AuditError::File { path: path.clone(), source };
        let source = fs::read_to_string(path).map_err(failed)?;
        let group = path.file_stem().unwrap_or_default().to_string_lossy();
        scripts.extend(parse_file(&group, &path.display().to_string(), &source)?);
    }
    scripts.retain(|script| {
        let chosen = config.only.is_empty() || config.only.iter().any(|part| script.id.contains(part));
        chosen && !(config.quick && script.takes > Script::QUICK)
    });
    if scripts.is_empty() { Err(AuditError::Nothing) } else { Ok(scripts) }
}

/// Audits the running kernel. `progress` is called after each run, from any thread.
///
/// # Errors
///
/// [`AuditError`] when the audit cannot be done at all; what single scenarios meet is in the report.
pub fn audit(config: &Config, progress: &(dyn Fn(&Progress) + Sync)) -> Result<Report, AuditError> {
    let scripts = scenarios(config)?;
    let started = Timestamp::now();
    let clock = Instant::now();
    let stream = Stream::start()?;
    // The settings that every scenario starts from; and whether there can be a network at all.
    let sysctls = thread::scope(|scope| {
        let inside = scope.spawn(|| World::new().map(|world| world.sysctls.tcp()));
        inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    let judged = play_all(&scripts, config, &stream, progress);
    drop(stream);
    let mut scenarios = Vec::new();
    let mut findings = Vec::new();
    let mut seen: BTreeMap<DeviationId, BTreeSet<String>> = BTreeMap::new();
    for Judged { scenario, findings: found, deviations } in judged {
        for (id, line) in deviations {
            let family = judge::name(scenario.family);
            let place = match line {
                Some(line) => format!("{}/{family}:{line}", scenario.id),
                None => format!("{}/{family}", scenario.id),
            };
            seen.entry(id).or_default().insert(place);
        }
        findings.extend(found);
        scenarios.push(scenario);
    }
    let outcome = scenarios.iter().map(|scenario| scenario.outcome).max().unwrap_or(Outcome::Error);
    Ok(Report {
        version: report::VERSION,
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: kernel(),
        started: started.to_string(),
        duration_ms: u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX),
        settings: Settings {
            quick: config.quick,
            seed: config.seed,
            jobs: config.jobs,
            only: config.only.clone(),
        },
        sysctls,
        outcome,
        requirements: judge::requirements(&scenarios),
        deviations: seen.into_iter().map(|(id, places)| deviation(id, places)).collect(),
        findings,
        scenarios,
        matrix: None,
        random: None,
    })
}

fn play_all(
    scripts: &[Script],
    config: &Config,
    stream: &Stream,
    progress: &(dyn Fn(&Progress) + Sync),
) -> Vec<Judged> {
    let mut runs: Vec<(&Script, Family)> =
        scripts.iter().flat_map(|script| script.families.iter().map(move |family| (script, *family))).collect();
    let all = runs.len();
    // The longest ones begin first; they wait most of their time.
    runs.sort_by_key(|(script, _)| script.takes);
    let queue = Mutex::new(runs);
    let judged: Mutex<Vec<Judged>> = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..config.jobs.clamp(1, all.max(1)) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let Some((script, family)) = next else { return };
                    let one = play_one(script, family, stream);
                    let last = (script.id.clone(), family, one.scenario.outcome);
                    let problem = one.scenario.problem.clone();
                    let mut judged = judged.lock().unwrap_or_else(PoisonError::into_inner);
                    judged.push(one);
                    let done = judged.len();
                    drop(judged);
                    progress(&Progress { done, all, last, problem });
                }
            });
        }
    });
    let mut judged = judged.into_inner().unwrap_or_else(PoisonError::into_inner);
    let order = |one: &Judged| {
        let place = scripts.iter().position(|script| script.id == one.scenario.id);
        (place, one.scenario.family)
    };
    judged.sort_by_key(order);
    judged
}

/// Plays and judges one scenario.
fn play_one(script: &Script, family: Family, stream: &Stream) -> Judged {
    match play::play(script, family, stream) {
        Ok(played) => judge::scenario(script, family, &played),
        Err(error) => impossible(script, family, &error),
    }
}

fn impossible(script: &Script, family: Family, error: &PlayError) -> Judged {
    let problem = Problem { line: None, expected: "a network to play in".to_owned(), seen: error.to_string() };
    let scenario = Scenario {
        id: script.id.clone(),
        title: script.title.clone(),
        clause: script.clause.clone(),
        group: script.id.split('/').next().unwrap_or_default().to_owned(),
        family,
        source: script.source.clone(),
        outcome: Outcome::Error,
        problem: Some(problem),
        deviations: Vec::new(),
        decided: Vec::new(),
        duration: 0,
        ladder: Vec::new(),
    };
    Judged { scenario, findings: Vec::<Finding>::new(), deviations: Vec::new() }
}

fn deviation(id: DeviationId, seen_in: BTreeSet<String>) -> Deviation {
    let known = id.deviation();
    Deviation {
        name: known.name.to_owned(),
        clause: known.clause.to_owned(),
        requirement: known.requirement.map(str::to_owned),
        permitted: known.standing == Standing::Permitted,
        why: known.why.to_owned(),
        operator: known.operator.to_owned(),
        function: known.function.to_owned(),
        seen_in: seen_in.into_iter().collect(),
    }
}

fn kernel() -> Kernel {
    let uname = rustix::system::uname();
    Kernel {
        release: uname.release().to_string_lossy().into_owned(),
        version: uname.version().to_string_lossy().into_owned(),
        machine: uname.machine().to_string_lossy().into_owned(),
    }
}
