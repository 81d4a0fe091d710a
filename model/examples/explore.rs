//! Explores two endpoints of the model over a network that loses, repeats and reorders.
//!
//! `cargo run --release -p model --example explore [STATES]`: distinct states per profile, 1,200,000 unless said.

#[path = "../tests/explore/properties.rs"]
mod properties;
#[path = "../tests/explore/scenarios.rs"]
mod scenarios;
#[path = "../tests/explore/search.rs"]
mod search;
#[path = "../tests/explore/world.rs"]
mod world;

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let most = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_200_000);
    let began = Instant::now();
    let mut total = 0;
    let mut sound = true;
    println!("{} properties", properties::PROPERTIES.len() + 1);
    for (profile, expected) in [(scenarios::INTENT, true), (scenarios::LITERAL, false)] {
        let list = scenarios::scenarios(profile, [2, 1, 3]);
        let share = most / list.len() + 1;
        println!("{}", profile.name);
        for scenario in list {
            let found = search::explore(&scenario, world::sound, share, None);
            total += found.states;
            let how = if found.complete { "all" } else { "bounded" };
            println!("  {:<28} {:>9} states ({how})", scenario.name, found.states);
            if let Some(breach) = found.breach {
                println!("    broken: {}\n{}", breach.property, breach.story);
                sound &= !expected;
            }
        }
    }
    println!("{total} distinct states in {:.1} s", began.elapsed().as_secs_f64());
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
