//! Two ends that do what they like over a network that loses, delays, reorders and repeats: never a violation.

use std::collections::BTreeMap;

use model::oracle::{Observation, Tap, Verdict};
use model::profile::{LINUX, RFC9293_INTENT, RFC9293_LITERAL};
use model::story::{Fate, Pair, Side};
use model::{Call, Config, Oracle, Profile, Segment, Seq, State};

use crate::trace;

/// A generator of its own, so that a seed means the same for ever (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        let index = self.below(list.len() as u64);
        list[usize::try_from(index).unwrap_or_default()]
    }

    #[expect(clippy::cast_possible_truncation, reason = "bounded")]
    fn len(&mut self, bound: u64) -> u32 {
        self.below(bound) as u32
    }
}

fn config(random: &mut Random) -> Config {
    Config {
        timestamps: random.chance(30),
        window_scale: random.chance(30).then_some(3),
        receive_buffer: random.of(&[8_000, 2_000, 100_000]),
        nagle: random.chance(70),
        keep_alive: random.chance(10).then_some(20_000_000),
        user_timeout: random.chance(10).then_some(30_000_000),
        ..Pair::CONFIG
    }
}

/// A run: calls, losses and repetitions by the seed.
pub fn play(seed: u64, profile: Profile) -> Pair {
    let random = &mut Random(seed);
    let mut pair = Pair::new(profile);
    let loss = random.of(&[0, 5, 20]);
    for side in [Side::A, Side::B] {
        let choices = &mut pair.end_mut(side).choices;
        choices.iss = Seq(random.len(u64::from(u32::MAX)));
        choices.delay_ack = random.chance(50);
        choices.ack_out_of_order = random.chance(50);
        choices.congestion_window = if random.chance(30) { 3_000 } else { u32::MAX };
    }
    let passive = config(random);
    pair.call(Side::B, if random.chance(90) { Call::listen(passive) } else { Call::connect(passive) });
    let active = config(random);
    pair.call(Side::A, Call::connect(active));
    let mut carried: Vec<(Side, Segment)> = Vec::new();
    for _ in 0..40 {
        for side in [Side::A, Side::B] {
            let fates: Vec<Fate> = (0..8)
                .map(|_| match random.below(100) {
                    n if n < loss => Fate::Lost,
                    n if n < 2 * loss => Fate::Late(random.below(3_000_000)),
                    _ => Fate::Arrives,
                })
                .collect();
            pair.fates(side, &fates);
        }
        let side = if random.chance(50) { Side::A } else { Side::B };
        match random.below(20) {
            0..=4 => pair.call(side, Call::send(1 + random.len(3_000))),
            5..=9 => pair.call(side, Call::receive(1 + random.len(4_000))),
            10 if random.chance(40) => pair.call(side, Call::CLOSE),
            11 if random.chance(20) => pair.call(side, Call::CLOSE_BOTH),
            12 if random.chance(5) => pair.call(side, Call::Abort),
            13 => {
                let sent: Vec<Segment> = pair.sent(side).copied().collect();
                carried.extend(sent.into_iter().map(|segment| (side.other(), segment)));
                if loss > 0 && !carried.is_empty() {
                    // An old segment comes again.
                    let (to, segment) = random.of(&carried);
                    pair.inject(to, segment);
                }
            }
            14 if random.chance(10) => {
                let mut open = config(random);
                open.timestamps = false;
                if pair.state(side) == State::Closed || pair.state(side) == State::TimeWait {
                    pair.end_mut(side).choices.iss = Seq(random.len(u64::from(u32::MAX)));
                    pair.call(side, Call::connect(open));
                }
            }
            15 => pair.run_for(random.below(5_000_000)),
            16 if random.chance(10) => pair.run_for(random.below(400_000_000)),
            _ => pair.run_for(random.below(60_000)),
        }
    }
    pair.settle();
    pair
}

#[derive(Default)]
struct Count {
    observations: usize,
    conforming: usize,
    inconclusive: usize,
    most: usize,
}

/// A run that the oracle does not accept.
struct Refused {
    seed: u64,
    profile: Profile,
    side: Side,
    tap: Tap,
    seen: Vec<Observation>,
    verdict: Verdict,
}

impl Refused {
    /// Runs with the same cause mostly fail alike.
    fn kind(&self, tap: &str) -> String {
        let verdict = self.verdict.to_string();
        let words = verdict.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default();
        format!("{tap}: {words}")
    }
}

/// The trace up to the observation that is refused.
fn judge(profile: &Profile, tap: Tap, full: &[Observation], count: &mut Count) -> Option<(usize, Verdict)> {
    let mut oracle = Oracle::<{ trace::PLACES }>::new(profile, tap);
    for (at, observation) in full.iter().filter(|observation| tap.shows(&observation.kind)).enumerate() {
        let verdict = oracle.observe(observation);
        count.observations += 1;
        count.most = count.most.max(oracle.candidates().len());
        match verdict {
            Verdict::Conforming(_) => count.conforming += 1,
            Verdict::Inconclusive(_) => count.inconclusive += 1,
            Verdict::Deviation(..) | Verdict::Violation(_) => return Some((at, verdict)),
        }
    }
    None
}

/// A number from the environment.
fn knob(name: &str) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// So many seeds; `ORACLE_SEEDS` more, from `ORACLE_FROM` on.
fn seeds(count: u64) -> core::ops::Range<u64> {
    let from = knob("ORACLE_FROM");
    from..from + count + knob("ORACLE_SEEDS")
}

/// Runs of these seeds. Of all that are refused it tells how many there are of each kind, and the shortest.
fn runs(seeds: core::ops::Range<u64>, taps: &[(&str, Tap)]) {
    let mut counts: Vec<Count> = taps.iter().map(|_| Count::default()).collect();
    let mut kinds: BTreeMap<String, (usize, Refused)> = BTreeMap::new();
    for seed in seeds {
        let profile = [RFC9293_INTENT, RFC9293_LITERAL, LINUX][usize::try_from(seed % 3).unwrap_or_default()];
        let pair = play(seed, profile);
        for side in [Side::A, Side::B] {
            let full = trace::of(&pair, side);
            for ((name, tap), count) in taps.iter().zip(&mut counts) {
                let Some((at, verdict)) = judge(&profile, *tap, &full, count) else { continue };
                let mut seen = trace::through(&full, *tap);
                seen.truncate(at + 1);
                let refused = Refused { seed, profile, side, tap: *tap, seen, verdict };
                let (many, shortest) = kinds.entry(refused.kind(name)).or_insert_with(|| {
                    let Refused { seed, profile, side, tap, ref seen, verdict } = refused;
                    (0, Refused { seed, profile, side, tap, seen: seen.clone(), verdict })
                });
                *many += 1;
                if refused.seen.len() < shortest.seen.len() {
                    *shortest = refused;
                }
            }
        }
    }
    for ((name, _), count) in taps.iter().zip(&counts) {
        println!(
            "{name}: {} observations, {} conforming, {} inconclusive, at most {} candidates",
            count.observations, count.conforming, count.inconclusive, count.most
        );
    }
    for (kind, (many, Refused { seed, profile, side, tap, seen, .. })) in &kinds {
        let told = trace::told(seen, profile, *tap);
        println!("{many} times {kind}\nseed {seed} {} {side:?}\n{told}", profile.name);
    }
    let kinds: Vec<&String> = kinds.keys().collect();
    assert!(kinds.is_empty(), "{kinds:#?}");
}

/// These, one by one, in full and in part.
fn single_runs(seeds: &[u64]) {
    for seed in seeds {
        runs(*seed..*seed + 1, &Tap::NAMED);
    }
}

#[test]
fn random_runs_seen_in_full_conform() {
    runs(seeds(600), &Tap::NAMED[..1]);
}

#[test]
fn random_runs_seen_in_part_are_no_violations() {
    runs(seeds(200), &Tap::NAMED[1..]);
}

/// Text and FIN look alike where only numbers are seen (the last octet that left before a CLOSE is no FIN), and a window that
/// nobody told may be just large enough for a segment at its edge, or end within it: a scaled field tells whole units of
/// eight octets, and the text that was held took the rest as well.
#[test]
fn runs_whose_numbers_have_two_readings() {
    single_runs(&[111_784, 106_424, 174_497, 337_479]);
}

/// Ends that leave no trace of their own. A user timeout, after which the peer's reset draws nothing; one that waited for
/// text that a closed window let nobody see, before the next OPEN; R2, before the ACK of the FIN comes and draws a reset.
#[test]
fn runs_that_end_unseen() {
    single_runs(&[270_704, 297_763, 347_746]);
}

/// What left unseen decides: text that only a transition's SND.NXT counts runs into R2; a CLOSE behind a probe with the
/// last octet, or behind text that left before the window closed, finds none before it; and in LAST-ACK, where the FIN waits
/// for room, the letter of the RFC takes no ACK of the text.
#[test]
fn runs_whose_text_left_unseen() {
    single_runs(&[182_353, 211_462, 400_548, 211_084]);
}

/// Two ends that answer each other's ACKs for ever are cut short, with an ACK still to come: the trace claims no silence.
#[test]
fn a_run_without_end() {
    single_runs(&[681_474]);
}

/// A half-open connection that replaced a TIME-WAIT goes back there (MAY-2): rare enough to be named.
#[test]
fn runs_that_fall_back_to_time_wait() {
    single_runs(&[24_294, 33_987, 75_357]);
}
