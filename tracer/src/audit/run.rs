//! The audit as a whole: every scenario on a thread and in a network of its own, many side by side.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use jiff::Timestamp;
use model::linux::{DeviationId, Standing};

use super::{
    habits::habits,
    judge::{self, Judged},
    matrix,
    play::{self, PlayError},
    random,
    repeats::{Repeats, UNCONFIRMED, Verdict},
    report::model::{
        self as report, Answer, Deviation, Family, Finding, Kernel, Matrix, Outcome, Problem, Random, Report,
        Scenario, Settings,
    },
    scenario::{ParseError, Script, library, parse_file},
    side_by_side::side_by_side,
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
    /// Play the matrix.
    pub matrix: bool,
    /// So many random conversations.
    pub random: u64,
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
    #[error(
        "cannot read the scenarios in {path}: {source}; give a text file, as docs/audit-scenarios.md describes it"
    )]
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
pub enum Progress {
    /// A scenario has ended.
    Scenario(Done),
    /// Rows of the matrix, done and all.
    Matrix(usize, usize),
    /// Random conversations, done and all.
    Random(u64, u64),
}

/// A scenario that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
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
    let mut stream = Stream::start()?;
    // The settings that every scenario starts from; and whether there can be a network at all.
    let sysctls = thread::scope(|scope| {
        let inside = scope.spawn(|| World::new().map(|world| world.sysctls.tcp()));
        inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    allow_many_sockets();
    stream.habits = habits(&stream)?;
    let judged = play_all(&scripts, config, &stream, progress);
    let mut findings = Vec::new();
    let mut seen: BTreeMap<DeviationId, BTreeSet<String>> = BTreeMap::new();
    let jobs = config.jobs.min(BUSY);
    let matrix = if config.matrix {
        let results = matrix::matrix(&stream, jobs, &|done, all| progress(&Progress::Matrix(done, all)))?;
        findings.extend(results.findings);
        for id in results.deviations {
            seen.entry(id).or_default().insert("matrix".to_owned());
        }
        Some(results.matrix)
    } else {
        None
    };
    let random = if config.random > 0 {
        let results = random::random(&stream, jobs, (config.seed, config.random), &|done, all| {
            progress(&Progress::Random(done, all));
        })?;
        findings.extend(results.findings);
        for id in results.deviations {
            seen.entry(id).or_default().insert("random".to_owned());
        }
        Some(results.random)
    } else {
        None
    };
    drop(stream);
    let mut scenarios = Vec::new();
    for Judged { scenario, findings: found, deviations } in judged {
        for (id, line) in deviations {
            let family = scenario.family.name();
            let place = match line {
                Some(line) => format!("{}/{family}:{line}", scenario.id),
                None => format!("{}/{family}", scenario.id),
            };
            seen.entry(id).or_default().insert(place);
        }
        findings.extend(found);
        scenarios.push(scenario);
    }
    let mut outcome = scenarios.iter().map(|scenario| scenario.outcome).max().unwrap_or(Outcome::Error);
    if !findings.is_empty() {
        outcome = outcome.max(Outcome::Fail);
    } else if has_gaps(matrix.as_ref(), random.as_ref()) {
        outcome = outcome.max(Outcome::Inconclusive);
    }
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
            files: config.files.iter().map(|path| path.display().to_string()).collect(),
        },
        sysctls,
        outcome,
        requirements: judge::requirements(&scenarios),
        deviations: seen.into_iter().map(|(id, places)| deviation(id, places)).collect(),
        findings,
        scenarios,
        matrix,
        random,
    })
}

/// Something was played and has no verdict.
fn has_gaps(matrix: Option<&Matrix>, random: Option<&Random>) -> bool {
    let unknown = |answer: &Answer| answer.outcome == Outcome::Inconclusive;
    matrix.is_some_and(|matrix| matrix.answers.iter().any(unknown))
        || random.is_some_and(|random| random.inconclusive > 0)
}

fn play_all(
    scripts: &[Script],
    config: &Config,
    stream: &Stream,
    progress: &(dyn Fn(&Progress) + Sync),
) -> Vec<Judged> {
    let mut runs: Vec<(&Script, Family)> = scripts
        .iter()
        .flat_map(|script| script.families.iter().map(move |family| (script, *family)))
        .collect();
    let all = runs.len();
    // The longest ones begin first; they wait most of their time.
    runs.sort_by_key(|(script, _)| Reverse(script.takes));
    let done = AtomicUsize::new(0);
    let judged = side_by_side(config.jobs, runs, |(script, family)| {
        let judged = play_one(script, family, stream);
        let last = (script.id.clone(), family, judged.scenario.outcome);
        let problem = judged.scenario.problem.clone();
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress(&Progress::Scenario(Done { done, all, last, problem }));
        Ok::<_, Infallible>(judged)
    });
    let Ok(mut judged) = judged;
    let order = |one: &Judged| {
        let place = scripts.iter().position(|script| script.id == one.scenario.id);
        (place, one.scenario.family)
    };
    judged.sort_by_key(order);
    judged
}

/// Rows and conversations side by side: unlike scenarios they do not wait, but work.
const BUSY: usize = 4;

/// Plays and judges one scenario, as often as [`Repeats`] wants it.
fn play_one(script: &Script, family: Family, stream: &Stream) -> Judged {
    let mut repeats = Repeats::default();
    loop {
        let judged = match play::play(script, family, stream) {
            Ok(played) => judge::scenario(script, family, &played),
            Err(error) => impossible(script, family, &error),
        };
        match repeats.after(judged.scenario.outcome, judged) {
            Some(Verdict::Settled(judged)) => return judged,
            Some(Verdict::Unconfirmed(judged)) => return judged.unsettled(UNCONFIRMED),
            None => {}
        }
    }
}

/// Every connection of a row is a socket: as many as the system lets us have.
fn allow_many_sockets() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it rows fail, which is said there.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn impossible(script: &Script, family: Family, error: &PlayError) -> Judged {
    let problem =
        Problem { line: None, expected: "a network to play in".to_owned(), seen: error.to_string() };
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
