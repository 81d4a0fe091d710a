//! Every story conforms to the profile it is told under, at both ends, through every tap.

use model::oracle::{Tap, Verdict};
use model::story::{Side, stories};

use crate::trace;

#[test]
fn every_story_conforms_at_both_ends() {
    for story in stories() {
        let pair = story.play();
        for side in [Side::A, Side::B] {
            let trace = trace::of(&pair, side);
            let verdicts = trace::judge(&trace, story.profile, Tap::FULL);
            assert!(
                verdicts.iter().all(|verdict| matches!(verdict, Verdict::Conforming(_))),
                "{} {side:?}\n{}",
                story.name,
                trace::told(&trace, story.profile, Tap::FULL)
            );
        }
    }
}

#[test]
fn with_a_tap_missing_no_story_is_a_violation() {
    let mut bad = 0;
    for (name, tap) in Tap::NAMED {
        let (mut conforming, mut all) = (0, 0);
        for story in stories() {
            let pair = story.play();
            for side in [Side::A, Side::B] {
                let trace = trace::through(&trace::of(&pair, side), tap);
                let verdicts = trace::judge(&trace, story.profile, tap);
                all += verdicts.len();
                conforming += verdicts.iter().filter(|v| matches!(v, Verdict::Conforming(_))).count();
                if verdicts.iter().any(|verdict| !matches!(verdict, Verdict::Conforming(_))) {
                    bad += 1;
                    println!("{name}: {} {side:?}\n{}", story.name, trace::told(&trace, story.profile, tap));
                }
            }
        }
        println!("{name}: {conforming} of {all} observations conform");
    }
    assert_eq!(bad, 0);
}
