//! Random conversations in lockstep with the oracle; what differs is shrunk to the least that still does.

mod generate;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use model::{linux::DeviationId, oracle::Observation};

use generate::{Conversation, together};

use super::{
    judge::{self, Word, traces, word},
    play::{self, Played},
    repeats::{Repeats, UNCONFIRMED, Verdict},
    report::model::{self as report, Family, Finding, Outcome, Problem, Random, Undecided},
    scenario::{ParseError, Script, parse_file},
    side_by_side::side_by_side,
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

/// Conversations of one network. They run side by side, and so do their waits.
const BATCH: u64 = 100;

/// What is looked for at most when a conversation is shrunk: each attempt plays it anew.
const ATTEMPTS: usize = 24;

/// Differences that are shrunk; more of them are findings as they came.
const SHRUNK: usize = 12;

/// Why nothing was played.
const NO_NETWORK: &str = "no network to play in";

#[derive(Default)]
struct Sum {
    conversations: u64,
    observations: u64,
    transitions: BTreeMap<String, u64>,
    deviations: BTreeSet<DeviationId>,
    /// What is not explained so far, and the word on it among the others.
    open: BTreeMap<u64, Word>,
}

/// Plays `count` conversations, of the seeds from `seed` on; even seeds speak IPv4, odd ones IPv6. `progress` hears of
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
    let began = Instant::now();
    let played = AtomicU64::new(0);
    let known: Mutex<BTreeSet<DeviationId>> = Mutex::default();
    let parts = side_by_side(jobs, batches(seed, count), |(family, seeds)| {
        let so_far = known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let part = play_batch(&seeds, family, stream, &so_far)?;
        known.lock().unwrap_or_else(PoisonError::into_inner).extend(&part.deviations);
        let new = part.conversations;
        progress(played.fetch_add(new, Ordering::Relaxed) + new, count);
        Ok::<_, ParseError>(part)
    })?;
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut sum = parts.into_iter().fold(Sum::default(), Sum::with);
    let open = std::mem::take(&mut sum.open).into_iter().collect();
    let verdicts = side_by_side(jobs, open, |(seed, among_others)| {
        Ok::<_, ParseError>((seed, again(seed, among_others, stream)?))
    })?;
    let mut undecided = Vec::new();
    let mut differences = Vec::new();
    let mut findings = Vec::new();
    for (seed, verdict) in verdicts {
        match verdict {
            Verdict::Settled(Word::Explained(shown)) => sum.deviations.extend(shown),
            Verdict::Settled(Word::Unknown(why)) => undecided.push(Undecided { seed, why: why.to_owned() }),
            Verdict::Unconfirmed(word) => {
                undecided.push(Undecided { seed, why: format!("{word}: {UNCONFIRMED}") });
            }
            Verdict::Settled(Word::Unexplained { expected, seen, rules }) => {
                let place = format!("random {seed}/{}", family_of(seed).name());
                findings.push(Finding { place, expected, seen, rules });
                if differences.len() < SHRUNK {
                    differences.extend(shrink(seed, stream)?);
                }
            }
        }
    }
    let random = Random {
        seed,
        conversations: sum.conversations,
        observations: sum.observations,
        inconclusive: u64::try_from(undecided.len()).unwrap_or(u64::MAX),
        undecided,
        duration_ms,
        transitions: sum.transitions,
        differences,
    };
    Ok(Results { random, findings, deviations: sum.deviations })
}

/// The seeds by family, in batches.
fn batches(seed: u64, count: u64) -> Vec<(Family, Vec<u64>)> {
    let mut batches = Vec::new();
    let mut from = 0;
    // Two batches share a range of seeds, one of each family.
    while from < count {
        let to = count.min(from.saturating_add(2 * BATCH));
        for family in [Family::Ipv4, Family::Ipv6] {
            let seeds = (from..to).map(|n| seed.wrapping_add(n)).filter(|seed| family_of(*seed) == family);
            batches.push((family, seeds.collect::<Vec<u64>>()));
        }
        from = to;
    }
    batches.retain(|(_, seeds)| !seeds.is_empty());
    batches
}

/// A seed alone says everything about its conversation.
const fn family_of(seed: u64) -> Family {
    if seed.is_multiple_of(2) { Family::Ipv4 } else { Family::Ipv6 }
}

fn play_batch(
    seeds: &[u64],
    family: Family,
    stream: &Stream,
    known: &BTreeSet<DeviationId>,
) -> Result<Sum, ParseError> {
    let conversations: Vec<_> =
        seeds.iter().map(|seed| (format!("c{seed}"), Conversation::new(*seed))).collect();
    let script = script(&together(&conversations))?;
    let mut sum = Sum { conversations: u64::try_from(seeds.len()).unwrap_or(0), ..Sum::default() };
    let Ok(played) = play::play(&script, family, stream) else {
        sum.open.extend(seeds.iter().map(|seed| (*seed, Word::Unknown(NO_NETWORK))));
        return Ok(sum);
    };
    // The first connection is the listener, which belongs to no conversation.
    for (seed, trace) in seeds.iter().zip(traces(&played).iter().skip(1)) {
        let observations: Vec<Observation> = trace.iter().map(|(_, observation)| *observation).collect();
        sum.observations += u64::try_from(observations.len()).unwrap_or(0);
        match word(&observations, &played, known) {
            Word::Explained(shown) => sum.deviations.extend(shown),
            word => {
                sum.open.insert(*seed, word);
            }
        }
    }
    for change in played.account.changes() {
        let pair = format!("{}>{}", change.transition.from, change.transition.to);
        *sum.transitions.entry(pair).or_default() += 1;
    }
    Ok(sum)
}

impl Sum {
    fn with(mut self, part: Self) -> Self {
        self.conversations += part.conversations;
        self.observations += part.observations;
        for (transition, times) in part.transitions {
            *self.transitions.entry(transition).or_default() += times;
        }
        self.deviations.extend(part.deviations);
        self.open.extend(part.open);
        self
    }
}

fn script(text: &str) -> Result<Script, ParseError> {
    // What is still owed has to come.
    let text = format!("title: random\nrfc: 3.10\n\nuser listen\n{text}wait 650ms\n");
    Ok(parse_file("random", "random", &text)?.remove(0))
}

/// A conversation that was played alone, and the word on it.
struct Alone {
    word: Word,
    script: Script,
    played: Option<Played>,
}

impl Alone {
    fn new(conversation: &Conversation, family: Family, stream: &Stream) -> Result<Self, ParseError> {
        let script = script(&together(&[("c".to_owned(), conversation.clone())]))?;
        let Ok(played) = play::play(&script, family, stream) else {
            return Ok(Self { word: Word::Unknown(NO_NETWORK), script, played: None });
        };
        let observations: Vec<Observation> = traces(&played)
            .into_iter()
            .nth(1)
            .unwrap_or_default()
            .into_iter()
            .map(|(_, seen)| seen)
            .collect();
        let word = word(&observations, &played, &BTreeSet::new());
        Ok(Self { word, script, played: Some(played) })
    }

    /// It differs, and how.
    fn problem(&self) -> Option<Problem> {
        match &self.word {
            Word::Unexplained { expected, seen, .. } => {
                Some(Problem { line: None, expected: expected.clone(), seen: seen.clone() })
            }
            Word::Explained(_) | Word::Unknown(_) => None,
        }
    }
}

/// The verdict on a conversation that is not explained among the others: it is played alone, as often as [`Repeats`] wants
/// it. A difference among the others is an attempt that counts; others may have been in the way of a verdict.
fn again(seed: u64, among_others: Word, stream: &Stream) -> Result<Verdict<Word>, ParseError> {
    let mut repeats = Repeats::default();
    let differed = among_others.outcome() == Outcome::Fail;
    let mut verdict = if differed { repeats.after(Outcome::Fail, among_others) } else { None };
    loop {
        if let Some(verdict) = verdict {
            return Ok(verdict);
        }
        let word = Alone::new(&Conversation::new(seed), family_of(seed), stream)?.word;
        verdict = repeats.after(word.outcome(), word);
    }
}

/// Leaves out one step after the other for as long as something still differs. None: this time nothing does.
fn shrink(seed: u64, stream: &Stream) -> Result<Option<report::Conversation>, ParseError> {
    let family = family_of(seed);
    let mut conversation = Conversation::new(seed);
    let mut least = Alone::new(&conversation, family, stream)?;
    if least.problem().is_none() {
        return Ok(None);
    }
    let mut at = conversation.body.len();
    for _ in 0..ATTEMPTS.min(at) {
        at -= 1;
        let mut shorter = conversation.clone();
        shorter.body.remove(at);
        let alone = Alone::new(&shorter, family, stream)?;
        if alone.problem().is_some() {
            (conversation, least) = (shorter, alone);
        }
    }
    let (Some(problem), Some(played)) = (least.problem(), &least.played) else { return Ok(None) };
    let ladder = judge::scenario(&least.script, family, played).scenario.ladder;
    Ok(Some(report::Conversation { seed, family, source: least.script.source, problem, ladder }))
}

#[cfg(test)]
mod tests {
    use super::{BATCH, Family, batches, family_of};

    #[test]
    fn every_seed_is_in_one_batch_of_its_family() {
        let mut all: Vec<u64> = Vec::new();
        for (family, seeds) in batches(7, 501) {
            assert!(!seeds.is_empty() && seeds.len() <= usize::try_from(BATCH).unwrap());
            assert!(seeds.iter().all(|seed| family_of(*seed) == family), "{family:?}: {seeds:?}");
            all.extend(seeds);
        }
        all.sort_unstable();
        assert_eq!(all, (7..508).collect::<Vec<u64>>());
        assert_eq!(batches(4, 1), [(Family::Ipv4, vec![4])]);
        // Seeds go round at the end of numbers.
        assert_eq!(batches(u64::MAX, 2), [(Family::Ipv4, vec![0]), (Family::Ipv6, vec![u64::MAX])]);
    }
}
