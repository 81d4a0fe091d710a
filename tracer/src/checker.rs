//! Steps to findings: asks the model, and only where the story has no hole. Pure.

use model::{
    Verdict,
    linux::{Judgement, judge},
};

use crate::step::{Finding, Step, StepKind};

/// Judges a step.
#[must_use]
pub fn check(step: Step<'_>) -> Finding<'_> {
    let judgement = match &step.kind {
        StepKind::Transition { hole: Some(hole), .. } => {
            Some(Judgement { verdict: Verdict::Inconclusive(*hole), cause: None, noted: None, edges: &[] })
        }
        StepKind::Transition { transition, evidence, history, hole: None, .. } => {
            Some(judge(*transition, evidence, history))
        }
        _ => None,
    };
    Finding { step, judgement }
}
