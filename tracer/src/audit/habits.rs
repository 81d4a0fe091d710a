//! Where kernels differ as a whole: each takes a departure always or never. This one shows which, by a few scenarios that
//! are played before anything is judged. Its release is not asked.

use std::thread;

use model::{
    linux::{Deviation, DeviationId},
    oracle::Departures,
};

use super::{
    play::{self, Played, Went},
    repeats::ATTEMPTS,
    report::model::Family,
    scenario::{ParseError, Script, library},
    stream::Stream,
};

/// The scenario that tells, and the deviation that one of its steps then shows.
const TELLING: [(&str, DeviationId); 7] = [
    ("open/crossing", DeviationId::CrossedSynAckChallenged),
    ("numbers/ack-too-new", DeviationId::UnsentAckUnanswered),
    ("close/fin-old-ack", DeviationId::OldAckRefused),
    ("reset/half-open-reset-in-window", DeviationId::HalfOpenResetInWindow),
    ("numbers/window-closed-by-same-number", DeviationId::ClosedWindowIgnored),
    ("numbers/text-at-edge-acks", DeviationId::TextAtEdgeCounts),
    ("numbers/fin-at-edge-acks", DeviationId::FinBeyondEdge),
];

/// The habits of the running kernel. Where a scenario could not be played to its end it has told nothing, and the kernel is
/// taken for one without that habit: what it does then is a finding, and not explained.
///
/// # Errors
///
/// [`ParseError`], which a test excludes.
pub fn habits(stream: &Stream) -> Result<Departures, ParseError> {
    let scripts = library()?;
    let is_shown = |(id, deviation)| {
        scripts.iter().find(|script| script.id == id).is_some_and(|script| shows(script, deviation, stream))
    };
    // Side by side: they wait most of their time, and so does whoever began the audit.
    let shown = thread::scope(|scope| {
        let players = TELLING.map(|telling| scope.spawn(move || is_shown(telling)));
        players.map(|player| player.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let told = TELLING.iter().zip(shown).filter(|(_, is_shown)| *is_shown);
    Ok(told.fold(Departures::NONE, |habits, ((_, deviation), _)| habits.with(Departures::of(*deviation))))
}

fn shows(script: &Script, deviation: DeviationId, stream: &Stream) -> bool {
    for _ in 0..ATTEMPTS {
        let Ok(Played { went, failure: None, .. }) = play::play(script, Family::Ipv4, stream) else {
            continue;
        };
        return went.iter().any(|Went { deviation: shown, .. }| {
            shown.and_then(Deviation::by_name).is_some_and(|shown| shown.id == deviation)
        });
    }
    false
}

#[cfg(test)]
mod tests {
    use model::{oracle::Departures, profile::LINUX_IN_DETAIL};

    use super::TELLING;
    use crate::audit::scenario::library;

    #[test]
    fn each_scenario_that_tells_has_a_step_that_names_the_deviation_and_a_switch_of_the_profile_is_its() {
        let scripts = library().unwrap();
        for (id, deviation) in TELLING {
            let script = scripts.iter().find(|script| script.id == id).unwrap();
            assert!(script.source.contains(&format!("[{}]", deviation.name())), "{id}");
            let habit = Departures::of(deviation);
            assert_eq!(habit.len(), 1, "{id}");
            assert_ne!(habit.apply(&LINUX_IN_DETAIL), LINUX_IN_DETAIL, "{id}");
        }
    }
}
