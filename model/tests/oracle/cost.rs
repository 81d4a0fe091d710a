//! What judging costs: steps of the machine, and explanations held at once. A wider guess and a narrower one both show.

use std::fmt::Write as _;

use model::oracle::Tap;
use model::profile::{LINUX, RFC9293_INTENT, RFC9293_LITERAL};
use model::story::{Pair, Side, stories};
use model::{Oracle, Profile};

use crate::random::play;
use crate::{snapshot, trace};

const COMMAND: &str = "cargo test -p model --features stories --test oracle cost";

/// For each tap: observations, steps, and the most explanations at once, both ends together.
fn row(text: &mut String, name: &str, pair: &Pair, profile: &Profile) {
    let _ = write!(text, "{name:32}");
    for (_, tap) in Tap::NAMED {
        let (mut seen, mut steps, mut most) = (0, 0, 0);
        for side in [Side::A, Side::B] {
            let mut oracle = Oracle::<{ trace::PLACES }>::new(profile, tap);
            for observation in trace::through(&trace::of(pair, side), tap) {
                oracle.observe(&observation);
                seen += 1;
                most = most.max(oracle.candidates().len());
            }
            steps += oracle.steps();
        }
        let _ = write!(text, "{:>17}", format!("{seen} {steps} {most}"));
    }
    text.push('\n');
}

fn heading() -> String {
    Tap::NAMED.iter().fold(format!("{:32}", ""), |text, (name, _)| text + &format!("{name:>17}")) + "\n"
}

#[test]
fn of_stories() {
    let mut text = heading();
    for story in stories() {
        row(&mut text, story.name, &story.play(), story.profile);
    }
    snapshot::matches("oracle-cost-stories.txt", &text, COMMAND);
}

#[test]
fn of_random_runs() {
    let mut text = heading();
    for seed in 0..90 {
        let profile = [RFC9293_INTENT, RFC9293_LITERAL, LINUX][usize::try_from(seed % 3).unwrap_or_default()];
        row(&mut text, &format!("{seed} {}", profile.name), &play(seed, profile), &profile);
    }
    snapshot::matches("oracle-cost-random.txt", &text, COMMAND);
}
