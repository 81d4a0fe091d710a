//! The word on a connection that stands for itself: a cell of the matrix, a random conversation.

use std::{collections::BTreeSet, fmt};

use model::{
    linux::{DeviationId, Standing},
    oracle::{Departures, Observation},
    profile::RFC9293_INTENT,
};

use super::{
    departure::departures,
    oracle::judge,
    reading::{Reading, explain_crossed},
};
use crate::audit::{play::Played, report::model::Outcome};

/// More explanations than places for them.
pub const CROWDED: &str = "no room for every explanation";

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
    /// Nobody can tell, and why.
    Unknown(&'static str),
}

impl Word {
    /// How it counts.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Explained(shown) if departs(shown) => Outcome::Deviation,
            Self::Explained(_) => Outcome::Pass,
            Self::Unexplained { .. } => Outcome::Fail,
            Self::Unknown(_) => Outcome::Inconclusive,
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Explained(_) => f.write_str("explained"),
            Self::Unexplained { expected, seen, .. } => write!(f, "expected {expected}, seen {seen}"),
            Self::Unknown(why) => f.write_str(why),
        }
    }
}

/// One of them is more than the RFC permits.
pub(super) fn departs<'a>(shown: impl IntoIterator<Item = &'a DeviationId>) -> bool {
    shown.into_iter().any(|id| id.deviation().standing == Standing::Departs)
}

/// The word on a trace of this run. What is in `known` already is not looked for again: that takes most of the time.
#[must_use]
pub fn word(trace: &[Observation], played: &Played, known: &BTreeSet<DeviationId>) -> Word {
    if judge(trace, &RFC9293_INTENT, Departures::NONE).conforms() {
        return Word::Explained(Vec::new());
    }
    let Reading { judgement, profile, trace: read, fast_path } = explain_crossed(trace, &played.conditions);
    if let Some((at, expected, rules)) = judgement.violation {
        if let Some(why) = played.doubt() {
            return Word::Unknown(why);
        }
        let seen = read.get(at).map(ToString::to_string).unwrap_or_default();
        return Word::Unexplained { expected, seen, rules };
    }
    if judgement.inconclusive {
        return Word::Unknown(CROWDED);
    }
    let mut shown = departures(&read, &profile, judgement.departures, known);
    shown.extend(fast_path.then_some(DeviationId::FastPathSkipsAckRange));
    Word::Explained(shown)
}
