//! Every order of events of two endpoints over a network that loses, repeats and reorders, within small bounds;
//! `cargo run --release -p model --example explore` goes further.
#![allow(clippy::panic, clippy::allow_attributes, reason = "a breach is told in full")]

mod broken;
mod properties;
mod scenarios;
mod search;
mod world;

use broken::BROKEN;
use model::Profile;
use properties::{NEVER_ENDS, PROPERTIES};
use scenarios::{INTENT, LITERAL, scenarios};
use search::{Found, explore};
use world::{Scenario, sound};

fn scenario(profile: Profile, name: &str) -> Scenario {
    let found = scenarios(profile, [1, 1, 1]).into_iter().find(|scenario| scenario.name == name);
    found.unwrap_or_else(|| panic!("no scenario {name}"))
}

#[test]
fn the_intent_keeps_every_property() {
    assert!(PROPERTIES.len() >= 15);
    for scenario in scenarios(INTENT, [1, 1, 1]) {
        let found = explore(&scenario, sound, 3_000, None);
        if let Some(breach) = found.breach {
            panic!("{}: {}\n{}", scenario.name, breach.property, breach.story);
        }
        assert!(found.complete || found.states == 3_000, "{}: {}", scenario.name, found.states);
        assert!(found.states > 1_000, "{}: {} states only", scenario.name, found.states);
    }
}

#[test]
fn every_property_is_able_to_fail() {
    let mut wrong = Vec::new();
    for broken in BROKEN {
        let scenario = scenario(INTENT, broken.scenario);
        let found = explore(&scenario, broken.step, 40_000, Some(broken.property));
        if found.breach.is_none() {
            wrong.push(format!("not found in {} states: {}", found.states, broken.property));
        }
    }
    let names = PROPERTIES.iter().map(|property| property.name).chain([NEVER_ENDS]);
    wrong.extend(
        names
            .filter(|name| !BROKEN.iter().any(|broken| broken.property == *name))
            .map(|name| format!("no machine breaks: {name}")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where the letter of the RFC misleads, and its intent does not.
#[test]
fn the_letter_breaks_what_the_intent_keeps() {
    let letter = |name, property| -> Found {
        let kept = explore(&scenario(INTENT, name), sound, 8_000, Some(property));
        assert!(kept.breach.is_none(), "{name}: {property}");
        explore(&scenario(LITERAL, name), sound, 40_000, Some(property))
    };
    // Contradiction 7: the first check refuses the FIN that the fifth and the eighth want to see.
    let found = letter("nothing but closes", "the peer's FIN again restarts 2MSL");
    assert!(found.breach.is_some_and(|breach| breach.story.contains("seq-3")));
    // The same, the other way: two TIME-WAITs that take every ACK for a FIN acknowledge each other for ever.
    let found = letter("nothing but closes", NEVER_ENDS);
    assert!(found.breach.is_some_and(|breach| breach.story.matches("ack-14").count() > 10));
    // Contradiction 22: what came with the FIN cannot be read any more.
    let found = letter("closed windows", "in the end everything has been delivered");
    assert!(found.breach.is_some());
}
