//! Steps to findings: asks the model, and only where the story has no hole. Pure.

use std::time::Duration;

use model::{
    Verdict,
    linux::{Judgement, LinuxState, TimeWaitEnd, TimeWaitKind, judge, judge_time_wait_end},
};

use crate::step::{Finding, Step, StepKind, TimewaitEnd};

/// Judges a step.
#[must_use]
pub fn check<'a>(step: &'a Step<'a>) -> Finding<'a> {
    let judgement = match step.kind {
        StepKind::Transition { hole: Some(hole), .. } => {
            Some(Judgement { verdict: Verdict::Inconclusive(hole), cause: None, noted: None, edges: &[] })
        }
        StepKind::Transition { transition, ref evidence, ref history, hole: None, .. } => {
            Some(judge(transition, evidence, history))
        }
        StepKind::TimewaitEnded { substate, cause, lived } => end_of_minisocket(substate, cause, lived),
        _ => None,
    };
    Finding { step, judgement }
}

/// Only where birth and cause are known is there anything to judge.
fn end_of_minisocket(substate: LinuxState, cause: TimewaitEnd, lived: Option<u64>) -> Option<Judgement> {
    let kind = match substate {
        LinuxState::TimeWait => TimeWaitKind::TimeWait,
        _ => TimeWaitKind::FinWait2,
    };
    let end = match cause {
        TimewaitEnd::Expired => TimeWaitEnd::Expired,
        TimewaitEnd::Reset => TimeWaitEnd::Reset,
        TimewaitEnd::Destroyed => TimeWaitEnd::Destroyed,
        TimewaitEnd::Purged => TimeWaitEnd::Purged,
        TimewaitEnd::ReusedByConnect => TimeWaitEnd::ReusedByConnect,
        TimewaitEnd::ReusedBySyn => TimeWaitEnd::ReusedBySyn,
        TimewaitEnd::Unknown => return None,
    };
    Some(judge_time_wait_end(kind, end, Duration::from_nanos(lived?)))
}

#[cfg(test)]
mod tests {
    use model::linux::{DeviationId, ViolationId};

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn verdict(substate: LinuxState, cause: TimewaitEnd, lived: Option<u64>) -> Option<Verdict> {
        end_of_minisocket(substate, cause, lived).map(|judgement| judgement.verdict)
    }

    #[test]
    fn a_minute_of_time_wait_is_linux_and_less_is_not() {
        let expired = |seconds| verdict(LinuxState::TimeWait, TimewaitEnd::Expired, Some(seconds * SECOND));
        assert_eq!(expired(61), Some(Verdict::Deviation(DeviationId::TimeWait60s)));
        assert_eq!(expired(30), Some(Verdict::Violation(ViolationId::TimeWaitCutShort)));
    }

    #[test]
    fn an_orphan_may_be_given_up_earlier() {
        let verdict = verdict(LinuxState::FinWait2, TimewaitEnd::Expired, Some(2 * SECOND));
        assert_eq!(verdict, Some(Verdict::Deviation(DeviationId::FinWait2Timeout)));
    }

    #[test]
    fn what_is_not_known_is_not_judged() {
        assert_eq!(verdict(LinuxState::TimeWait, TimewaitEnd::Expired, None), None);
        assert_eq!(verdict(LinuxState::TimeWait, TimewaitEnd::Unknown, Some(SECOND)), None);
    }

    #[test]
    fn who_takes_the_place_of_time_wait_makes_the_difference() {
        let verdict = |cause| verdict(LinuxState::TimeWait, cause, Some(SECOND)).unwrap();
        assert_eq!(verdict(TimewaitEnd::ReusedByConnect), Verdict::Deviation(DeviationId::TimeWaitReuse));
        assert_eq!(verdict(TimewaitEnd::ReusedBySyn).name(), "T2");
    }
}
