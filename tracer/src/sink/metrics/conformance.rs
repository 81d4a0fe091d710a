//! What the model says of each transition.

use model::{
    Inconclusive, Verdict,
    linux::{Deviation, DeviationId, Seen, Standing, ViolationRule},
};
use prometheus::{IntCounter, IntCounterVec, Registry};

use super::family::{self, Made};

pub(super) struct Conformance {
    /// By [`Verdict::severity`].
    checks: Vec<IntCounter>,
    deviation_family: IntCounterVec,
    /// By [`DeviationId`]; `None` for those that no transition shows.
    deviations: Vec<Option<IntCounter>>,
    violations: Vec<IntCounter>,
    inconclusive: Vec<IntCounter>,
}

impl Conformance {
    pub(super) fn new(registry: &Registry) -> Made<Self> {
        let checks = family::counters(
            registry,
            "conformance_checks_total",
            "Transitions, and ends of minisockets whose life was seen, checked against RFC 9293, by verdict.",
            &["verdict"],
        )?;
        let deviation_family = family::counters(
            registry,
            "conformance_deviations_total",
            "Transitions that show a documented departure of Linux from RFC 9293, by its name.",
            &["rule"],
        )?;
        let violations = family::counters(
            registry,
            "conformance_violations_total",
            "Transitions that neither RFC 9293 nor a documented departure of Linux allows, by the broken rule.",
            &["rule"],
        )?;
        let inconclusive = family::counters(
            registry,
            "conformance_inconclusive_total",
            "Transitions of which too little was seen for a verdict, by cause.",
            &["cause"],
        )?;
        let deviation = |deviation: &Deviation| {
            watched(deviation)
                .then(|| deviation_family.get_metric_with_label_values(&[deviation.name]))
                .transpose()
        };
        Ok(Self {
            checks: Verdict::CLASSES
                .iter()
                .map(|class| checks.get_metric_with_label_values(&[class]))
                .collect::<Made<_>>()?,
            deviations: Deviation::ALL.iter().map(deviation).collect::<Made<_>>()?,
            deviation_family,
            violations: ViolationRule::ALL
                .iter()
                .map(|rule| violations.get_metric_with_label_values(&[rule.name]))
                .collect::<Made<_>>()?,
            inconclusive: Inconclusive::ALL
                .iter()
                .map(|cause| inconclusive.get_metric_with_label_values(&[cause.name()]))
                .collect::<Made<_>>()?,
        })
    }

    pub(super) fn count(&self, verdict: Verdict) {
        self.checks[usize::from(verdict.severity())].inc();
        match verdict {
            Verdict::Conforming(_) => {}
            Verdict::Deviation(id) => self.deviation(id),
            Verdict::Violation(id) => self.violations[id as usize].inc(),
            Verdict::Inconclusive(cause) => self.inconclusive[cause as usize].inc(),
        }
    }

    fn deviation(&self, id: DeviationId) {
        match &self.deviations[id as usize] {
            Some(counter) => counter.inc(),
            None => {
                if let Ok(counter) = self.deviation_family.get_metric_with_label_values(&[id.name()]) {
                    counter.inc();
                }
            }
        }
    }
}

/// True for what the agent can see. A series that stays 0 because nobody looks would say that it never happens.
pub(super) fn watched(deviation: &Deviation) -> bool {
    deviation.standing == Standing::Departs && matches!(deviation.seen, Seen::Transition | Seen::TimeWait)
}

#[cfg(test)]
mod tests {
    use model::{
        Inconclusive,
        linux::{Deviation, ViolationRule},
    };

    #[test]
    fn ids_are_indexes() {
        assert!(Deviation::ALL.iter().enumerate().all(|(index, deviation)| deviation.id as usize == index));
        assert!(ViolationRule::ALL.iter().enumerate().all(|(index, rule)| rule.id as usize == index));
        assert!(Inconclusive::ALL.iter().enumerate().all(|(index, cause)| *cause as usize == index));
    }
}
