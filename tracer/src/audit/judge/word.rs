//! The word on a connection that stands for itself: a cell of the matrix, a random conversation.

use std::collections::BTreeSet;

use model::{
    linux::DeviationId,
    oracle::{Departures, Observation},
    profile::RFC9293_INTENT,
};

use super::{
    departure::departures,
    oracle::judge,
    reading::{Reading, explain_crossed},
};
use crate::audit::play::Played;

/// What a trace amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// The reference, and these known deviations, explain everything.
    Explained(Vec<DeviationId>),
    /// Nothing explains it.
    Unexplained {
        /// What the model says.
        expected: String,
        /// What was seen instead.
        seen: String,
        /// The rules that the nearest explanation took.
        rules: String,
    },
    /// Events were lost, or there are more explanations than places for them.
    Unknown(&'static str),
}

/// The word on a trace of this run. What is in `known` already is not looked for again: that takes most of the time.
#[must_use]
pub fn word(trace: &[Observation], played: &Played, known: &BTreeSet<DeviationId>) -> Word {
    if judge(trace, &RFC9293_INTENT, Departures::NONE).conforms() {
        return Word::Explained(Vec::new());
    }
    let Reading { judgement, profile, trace: read, fast_path } = explain_crossed(trace, &played.conditions);
    if let Some((at, expected, rules)) = judgement.violation {
        if played.lost > 0 {
            return Word::Unknown("events were lost");
        }
        let seen = read.get(at).map(ToString::to_string).unwrap_or_default();
        return Word::Unexplained { expected, seen, rules };
    }
    if judgement.inconclusive {
        return Word::Unknown("no room for every explanation");
    }
    let mut shown = departures(&read, &profile, judgement.departures, known);
    shown.extend(fast_path.then_some(DeviationId::FastPathSkipsAckRange));
    Word::Explained(shown)
}
