//! The oracle's word on a trace.

use model::{
    Oracle, Profile,
    oracle::{Departures, Observation, Tap, Tolerance, Verdict},
};

/// Places for explanations.
const PLACES: usize = 32;

/// The kernel's clocks are ours; its timer wheel rounds up by up to an eighth.
const TOLERANCE: Tolerance =
    Tolerance { early_percent: 5, late_percent: 15, late: 1_000_000, prompt: 500_000 };

/// The word on one observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The verdict.
    pub verdict: Verdict,
    /// The state of the simplest explanation afterwards.
    pub state: model::State,
}

/// The word on a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// On each observation, up to the first violation.
    pub each: Vec<Observed>,
    /// The departures that the profile alone does not explain.
    pub departures: Departures,
    /// The observation that nothing explains, and what was expected there.
    pub violation: Option<(usize, String, String)>,
    /// There was a moment without a verdict.
    pub inconclusive: bool,
}

impl Judgement {
    /// The profile explains everything, as it is.
    #[must_use]
    pub fn conforms(&self) -> bool {
        self.violation.is_none() && self.departures.is_empty() && !self.inconclusive
    }
}

/// Puts the observations to an oracle of this profile, which takes no departures but these.
#[must_use]
pub fn judge(trace: &[Observation], profile: &Profile, allowed: Departures) -> Judgement {
    let oracle = Oracle::<PLACES>::with_tolerance(profile, Tap::FULL, TOLERANCE).allowing(allowed);
    // An oracle is large, and threads' stacks are not.
    let mut oracle = Box::new(oracle);
    let mut judgement =
        Judgement { each: Vec::new(), departures: Departures::NONE, violation: None, inconclusive: false };
    for (at, observation) in trace.iter().enumerate() {
        let verdict = oracle.observe(observation);
        let state =
            oracle.candidates().first().map_or(model::State::Closed, |candidate| candidate.tcb().state);
        judgement.each.push(Observed { verdict, state });
        match verdict {
            Verdict::Conforming(_) | Verdict::Deviation(..) => {}
            Verdict::Inconclusive(_) => judgement.inconclusive = true,
            Verdict::Violation(violation) => {
                judgement.violation = Some((at, violation.to_string(), violation.rules.to_string()));
                break;
            }
        }
    }
    judgement.departures = oracle.departures();
    judgement
}
