//! Random conversations in lockstep with the oracle; what differs is shrunk to the least that still does.

mod generate;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::{Mutex, PoisonError},
    thread,
};

use model::{linux::DeviationId, oracle::Observation};

use generate::conversation;

use super::{
    judge::{self, departures, judge, name, named, orphaned, running, traces},
    play::{self, Played},
    report::model::{Conversation, Family, Finding, Problem, Random},
    scenario::{ParseError, Script, parse_file},
    stream::Stream,
};

/// What the conversations show.
#[derive(Debug)]
pub struct Results {
    /// The report's part.
    pub random: Random,
    /// What nothing explains.
    pub findings: Vec<Finding>,
    /// The deviations that were seen.
    pub deviations: BTreeSet<DeviationId>,
}

/// Conversations of one network, one after the other; their last waits run together.
const BATCH: u64 = 40;

/// What is looked for at most when a conversation is shrunk: each attempt plays it anew.
const ATTEMPTS: usize = 24;

/// Differences that are shrunk; more of them are only counted.
const SHRUNK: usize = 12;

#[derive(Default)]
struct Sum {
    conversations: u64,
    observations: u64,
    inconclusive: u64,
    transitions: BTreeMap<String, u64>,
    deviations: BTreeSet<DeviationId>,
    different: Vec<(u64, Family)>,
}

/// Plays `count` conversations, of the seeds from `seed` on; of each seed the family alternates. `progress` hears of
/// conversations that are done and of all.
///
/// # Errors
///
/// [`ParseError`], which a test excludes.
pub fn random(
    stream: &Stream,
    jobs: usize,
    (seed, count): (u64, u64),
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Results, ParseError> {
    let next = Mutex::new(0_u64);
    let sum = Mutex::new(Sum::default());
    let failed: Mutex<Option<ParseError>> = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let from = {
                        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
                        let from = *next;
                        *next = from.saturating_add(BATCH);
                        from
                    };
                    if from >= count {
                        return;
                    }
                    let seeds: Vec<u64> =
                        (from..count.min(from + BATCH)).map(|n| seed.wrapping_add(n)).collect();
                    let family = if (from / BATCH).is_multiple_of(2) { Family::Ipv4 } else { Family::Ipv6 };
                    let mut part = Sum::default();
                    if let Err(error) = play_batch(&seeds, family, stream, &mut part) {
                        *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        return;
                    }
                    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                    sum.conversations += part.conversations;
                    sum.observations += part.observations;
                    sum.inconclusive += part.inconclusive;
                    for (transition, times) in part.transitions {
                        *sum.transitions.entry(transition).or_default() += times;
                    }
                    sum.deviations.extend(part.deviations);
                    sum.different.extend(part.different);
                    progress(sum.conversations, count);
                }
            });
        }
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    sum.different.sort_unstable();
    let mut differences = Vec::new();
    let mut findings = Vec::new();
    let different = std::mem::take(&mut sum.different);
    for (at, (seed, family)) in different.iter().enumerate() {
        let place = format!("random {seed}/{}", name(*family));
        if at >= SHRUNK {
            let seen = format!("one more of {}", different.len());
            findings.push(Finding {
                place,
                expected: "what the model says".to_owned(),
                seen,
                rules: "-".to_owned(),
            });
            continue;
        }
        let Some(conversation) = shrink(*seed, *family, stream)? else {
            // Alone it does not differ, twice: the host was busy when it did.
            sum.inconclusive += 1;
            continue;
        };
        let Problem { expected, seen, .. } = conversation.problem.clone();
        findings.push(Finding { place, expected, seen, rules: "-".to_owned() });
        differences.push(conversation);
    }
    let random = Random {
        seed,
        conversations: sum.conversations,
        observations: sum.observations,
        inconclusive: sum.inconclusive,
        transitions: sum.transitions,
        differences,
    };
    Ok(Results { random, findings, deviations: sum.deviations })
}

fn play_batch(seeds: &[u64], family: Family, stream: &Stream, sum: &mut Sum) -> Result<(), ParseError> {
    let mut text = String::new();
    for seed in seeds {
        let (opening, body) = conversation(*seed);
        for line in opening.iter().chain(&body) {
            let _ = writeln!(text, "{}", line.replacen('@', &format!("@c{seed}"), 1));
        }
    }
    let script = script(&text)?;
    let Ok(played) = play::play(&script, family, stream) else { return Ok(()) };
    let traces = traces(&played);
    for (seed, trace) in seeds.iter().zip(traces.iter().skip(1)) {
        let observations: Vec<Observation> = trace.iter().map(|(_, observation)| *observation).collect();
        sum.conversations += 1;
        sum.observations += u64::try_from(observations.len()).unwrap_or(0);
        match word(&observations, &played) {
            Ok(shown) => sum.deviations.extend(shown),
            Err(None) => sum.inconclusive += 1,
            Err(Some(_)) => sum.different.push((*seed, family)),
        }
    }
    for change in played.account.changes() {
        let pair = format!("{}>{}", change.transition.from, change.transition.to);
        *sum.transitions.entry(pair).or_default() += 1;
    }
    Ok(())
}

fn script(text: &str) -> Result<Script, ParseError> {
    // The listener belongs to no conversation, and what is still owed has to come.
    let text = format!("title: random\nrfc: 3.10\n\nuser listen\n{text}wait 650ms\n");
    Ok(parse_file("random", "random", &text)?.remove(0))
}

/// The deviations that a conversation shows; or what nothing explains, none when it is not known.
fn word(observations: &[Observation], played: &Played) -> Result<Vec<DeviationId>, Option<Problem>> {
    let profile = running(&played.sysctls);
    let mut used = profile;
    let mut judgement = judge(observations, &profile);
    if judgement.violation.is_some() {
        used = orphaned(&profile, &played.sysctls);
        judgement = judge(observations, &used);
    }
    let unnamed = judgement.departures.iter().find(|departure| named(departure.name, observations).is_none());
    if let Some((at, expected, _)) = judgement.violation {
        if played.lost > 0 {
            return Err(None);
        }
        let seen = observations.get(at).map(ToString::to_string).unwrap_or_default();
        return Err(Some(Problem { line: None, expected, seen }));
    }
    if let Some(departure) = unnamed {
        let expected = "what the profile linux says".to_owned();
        return Err(Some(Problem { line: None, expected, seen: departure.name.to_owned() }));
    }
    if judgement.inconclusive {
        return Err(None);
    }
    Ok(departures(observations, &used, judgement.departures))
}

/// Leaves out one step after the other for as long as something still differs.
fn shrink(seed: u64, family: Family, stream: &Stream) -> Result<Option<Conversation>, ParseError> {
    let (opening, mut body) = conversation(seed);
    let text = |body: &[String]| {
        let lines: Vec<String> = opening.iter().chain(body).map(|line| line.replacen('@', "@c", 1)).collect();
        lines.join("\n") + "\n"
    };
    let differs = |body: &[String]| -> Result<Option<(Problem, Script, Played)>, ParseError> {
        let script = script(&text(body))?;
        let Ok(played) = play::play(&script, family, stream) else { return Ok(None) };
        let traces = traces(&played);
        let Some(trace) = traces.get(1) else { return Ok(None) };
        let observations: Vec<Observation> = trace.iter().map(|(_, observation)| *observation).collect();
        Ok(match word(&observations, &played) {
            Err(Some(problem)) => Some((problem, script, played)),
            Err(None) | Ok(_) => None,
        })
    };
    let mut least = differs(&body)?;
    if least.is_none() {
        least = differs(&body)?;
    }
    let mut attempts = ATTEMPTS;
    let mut at = body.len();
    while at > 0 && attempts > 0 && least.is_some() {
        at -= 1;
        attempts -= 1;
        let mut shorter = body.clone();
        shorter.remove(at);
        if let Some(found) = differs(&shorter)? {
            body = shorter;
            least = Some(found);
        }
    }
    let Some((problem, script, played)) = least else {
        return Ok(None);
    };
    let ladder = judge::scenario(&script, family, &played).scenario.ladder;
    Ok(Some(Conversation { seed, family, source: script.source, problem, ladder }))
}
