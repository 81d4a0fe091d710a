//! The end of a timewait minisocket: what it means, and whether TIME-WAIT lasted.

use core::slice;
use core::time::Duration;

use super::{Code, DeviationId, Judgement, TimeWaitKind, ViolationId};
use crate::{Edge, Inconclusive, State, Verdict, edge};

/// How a timewait minisocket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeWaitEnd {
    /// Its timer ran out.
    Expired,
    /// Our own `connect()` took its addresses and ports.
    ReusedByConnect,
    /// The peer's SYN opened the next connection.
    ReusedBySyn,
    /// A reset came.
    Reset,
    /// Data, or a SYN, for a user that has gone: answered by a reset (FIN-WAIT-2 only).
    LateData,
    /// Destroyed from outside (`ss -K`).
    Destroyed,
    /// Its network namespace is gone.
    Purged,
    /// Ended early, and what ended it was not seen.
    Unknown,
}

/// 2 MSL with the MSL of two minutes that RFC 9293, section 3.4.2, assumes.
pub const RFC_TIME_WAIT: Duration = Duration::from_secs(240);

/// What Linux keeps instead (`TCP_TIMEWAIT_LEN`). Its timers fire late, by up to some seconds, never early.
pub const LINUX_TIME_WAIT: Duration = Duration::from_secs(60);

/// A timer is started within a tick and counts whole ticks, of at most 10 ms.
const TICKS: Duration = Duration::from_millis(50);

/// Judges the end of a minisocket that stood for `kind` when it died, `lived` after its creation.
#[must_use]
pub fn judge_time_wait_end(kind: TimeWaitKind, end: TimeWaitEnd, lived: Duration) -> Judgement {
    let (verdict, noted) = match kind {
        TimeWaitKind::TimeWait => time_wait(end, lived),
        TimeWaitKind::FinWait2 => (fin_wait_2(end), None),
    };
    let ended = match (kind, end) {
        (TimeWaitKind::TimeWait, TimeWaitEnd::ReusedBySyn) => (State::TimeWait, State::SynReceived),
        (TimeWaitKind::TimeWait, _) => (State::TimeWait, State::Closed),
        (TimeWaitKind::FinWait2, _) => (State::FinWait2, State::Closed),
    };
    let edges: &'static [Edge] = match verdict {
        Verdict::Conforming(_) | Verdict::Deviation(_) => {
            edge(ended.0, ended.1).map_or(&[], |rule| slice::from_ref(&rule.edge))
        }
        Verdict::Violation(_) | Verdict::Inconclusive(_) => &[],
    };
    Judgement { verdict, cause: None, noted, edges }
}

fn time_wait(end: TimeWaitEnd, lived: Duration) -> (Verdict, Option<DeviationId>) {
    match end {
        TimeWaitEnd::Expired if lived.saturating_add(TICKS) < LINUX_TIME_WAIT => {
            (Verdict::Violation(ViolationId::TimeWaitCutShort), None)
        }
        TimeWaitEnd::Expired if lived < RFC_TIME_WAIT => (Verdict::Deviation(DeviationId::TimeWait60s), None),
        TimeWaitEnd::Expired | TimeWaitEnd::Destroyed => (Verdict::Conforming(Code::T1), None),
        TimeWaitEnd::Reset => (Verdict::Conforming(Code::T1), Some(DeviationId::TimeWaitAssassination)),
        TimeWaitEnd::ReusedBySyn => (Verdict::Conforming(Code::T2), None),
        TimeWaitEnd::ReusedByConnect => (Verdict::Deviation(DeviationId::TimeWaitReuse), None),
        TimeWaitEnd::Purged => (Verdict::Deviation(DeviationId::TimeWaitPurged), None),
        TimeWaitEnd::LateData | TimeWaitEnd::Unknown => {
            (Verdict::Inconclusive(Inconclusive::Unclassified), None)
        }
    }
}

fn fin_wait_2(end: TimeWaitEnd) -> Verdict {
    match end {
        TimeWaitEnd::Expired => Verdict::Deviation(DeviationId::FinWait2Timeout),
        TimeWaitEnd::Purged => Verdict::Deviation(DeviationId::OrphanLimit),
        TimeWaitEnd::Reset | TimeWaitEnd::LateData | TimeWaitEnd::Destroyed => Verdict::Conforming(Code::R2),
        TimeWaitEnd::ReusedByConnect => Verdict::Deviation(DeviationId::FinWait2Reuse),
        // tcp_timewait_state_process answers a SYN by a reset, and never opens anew.
        TimeWaitEnd::ReusedBySyn | TimeWaitEnd::Unknown => Verdict::Inconclusive(Inconclusive::Unclassified),
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{TimeWaitEnd, judge_time_wait_end};
    use crate::linux::{Code, DeviationId, TimeWaitKind, ViolationId};
    use crate::{Edge, Inconclusive, State, Verdict};

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_minute_less_the_timer_s_ticks_is_a_minute() {
        let end = |lived| judge_time_wait_end(TimeWaitKind::TimeWait, TimeWaitEnd::Expired, lived).verdict;
        let cut_short = Verdict::Violation(ViolationId::TimeWaitCutShort);
        assert_ne!(end(MINUTE - super::TICKS), cut_short);
        assert_eq!(end(MINUTE - super::TICKS - Duration::from_nanos(1)), cut_short);
        assert_eq!(end(Duration::MAX), Verdict::Conforming(Code::T1));
    }

    #[test]
    fn time_wait_runs_out_after_a_minute_where_the_rfc_wants_four() {
        let judgement = judge_time_wait_end(TimeWaitKind::TimeWait, TimeWaitEnd::Expired, MINUTE);
        assert_eq!(judgement.verdict, Verdict::Deviation(DeviationId::TimeWait60s));
        assert_eq!(judgement.edges, [Edge::new(State::TimeWait, State::Closed)]);
        let four = judge_time_wait_end(TimeWaitKind::TimeWait, TimeWaitEnd::Expired, 4 * MINUTE);
        assert_eq!(four.verdict, Verdict::Conforming(Code::T1));
    }

    #[test]
    fn a_timer_that_fires_before_its_minute_is_a_violation() {
        let early = |lived| judge_time_wait_end(TimeWaitKind::TimeWait, TimeWaitEnd::Expired, lived).verdict;
        assert_eq!(early(Duration::from_secs(59)), Verdict::Violation(ViolationId::TimeWaitCutShort));
        assert_eq!(early(Duration::ZERO), Verdict::Violation(ViolationId::TimeWaitCutShort));
        assert_eq!(
            early(Duration::from_millis(59_990)),
            Verdict::Deviation(DeviationId::TimeWait60s),
            "a tick"
        );
    }

    #[test]
    fn each_early_end_has_its_reason() {
        let end = |end| judge_time_wait_end(TimeWaitKind::TimeWait, end, Duration::from_secs(1));
        assert_eq!(end(TimeWaitEnd::Reset).noted, Some(DeviationId::TimeWaitAssassination));
        assert_eq!(end(TimeWaitEnd::Reset).verdict, Verdict::Conforming(Code::T1));
        assert_eq!(end(TimeWaitEnd::Destroyed).verdict, Verdict::Conforming(Code::T1));
        assert_eq!(end(TimeWaitEnd::ReusedByConnect).verdict, Verdict::Deviation(DeviationId::TimeWaitReuse));
        assert_eq!(end(TimeWaitEnd::Purged).verdict, Verdict::Deviation(DeviationId::TimeWaitPurged));
        assert_eq!(end(TimeWaitEnd::Unknown).verdict, Verdict::Inconclusive(Inconclusive::Unclassified));
        assert_eq!(end(TimeWaitEnd::LateData).verdict, Verdict::Inconclusive(Inconclusive::Unclassified));
        let reopened = end(TimeWaitEnd::ReusedBySyn);
        assert_eq!(reopened.verdict, Verdict::Conforming(Code::T2));
        assert_eq!(reopened.edges, [Edge::new(State::TimeWait, State::SynReceived)]);
    }

    #[test]
    fn a_minisocket_in_fin_wait_2_was_never_in_time_wait() {
        let end = |end| judge_time_wait_end(TimeWaitKind::FinWait2, end, Duration::from_secs(2)).verdict;
        assert_eq!(end(TimeWaitEnd::Expired), Verdict::Deviation(DeviationId::FinWait2Timeout));
        assert_eq!(end(TimeWaitEnd::Purged), Verdict::Deviation(DeviationId::OrphanLimit));
        for aborted in [TimeWaitEnd::Reset, TimeWaitEnd::LateData, TimeWaitEnd::Destroyed] {
            assert_eq!(end(aborted), Verdict::Conforming(Code::R2));
        }
        assert_eq!(end(TimeWaitEnd::ReusedByConnect), Verdict::Deviation(DeviationId::FinWait2Reuse));
        for unknown in [TimeWaitEnd::ReusedBySyn, TimeWaitEnd::Unknown] {
            assert_eq!(end(unknown), Verdict::Inconclusive(Inconclusive::Unclassified));
        }
    }
}
