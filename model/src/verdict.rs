//! The verdict on one transition.

use core::fmt;

use crate::linux::{Code, DeviationId, ViolationId};

/// What the reference says of one observed transition. A connection's verdict is the worst of its transitions'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// As RFC 9293 wants it; the code says which of its edges, see [`Code`].
    Conforming(Code),
    /// A departure from RFC 9293 that Linux is known for, see [`crate::linux::Deviation`].
    Deviation(DeviationId),
    /// Neither the RFC nor Linux's known departures allow it, see [`crate::linux::ViolationRule`].
    Violation(ViolationId),
    /// Not enough was seen to judge.
    Inconclusive(Inconclusive),
}

/// Why a transition cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Inconclusive {
    /// A record of this socket is missing.
    LostEvent,
    /// The socket was there before the tracer and this is its first transition.
    Adopted,
    /// The hook that would tell is not attached.
    MissingHook,
    /// The tracker had no room for this socket.
    TableFull,
    /// Everything was seen, and no known cause fits.
    Unclassified,
}

impl Verdict {
    /// The names of the four classes, as metric labels, from best to worst.
    pub const CLASSES: [&'static str; 4] = ["conforming", "deviation", "inconclusive", "violation"];

    /// The class as a metric label: `conforming`, `deviation`, `violation` or `inconclusive`.
    #[must_use]
    pub const fn class(self) -> &'static str {
        Self::CLASSES[self.severity() as usize]
    }

    /// 0 for conforming, then deviation, inconclusive, and 3 for violation: a connection counts as its worst step.
    #[must_use]
    pub const fn severity(self) -> u8 {
        match self {
            Self::Conforming(_) => 0,
            Self::Deviation(_) => 1,
            Self::Inconclusive(_) => 2,
            Self::Violation(_) => 3,
        }
    }

    /// The worse of two verdicts; the first of two equally bad ones.
    #[must_use]
    pub const fn worst(self, other: Self) -> Self {
        if other.severity() > self.severity() { other } else { self }
    }

    /// True for [`Verdict::Violation`].
    #[must_use]
    pub const fn is_violation(self) -> bool {
        matches!(self, Self::Violation(_))
    }

    /// The name of the code, deviation, violation or cause inside.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conforming(code) => code.name(),
            Self::Deviation(id) => id.name(),
            Self::Violation(id) => id.name(),
            Self::Inconclusive(cause) => cause.name(),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.class(), self.name())
    }
}

impl Inconclusive {
    /// Every cause.
    pub const ALL: [Self; 5] =
        [Self::LostEvent, Self::Adopted, Self::MissingHook, Self::TableFull, Self::Unclassified];

    /// The cause as a metric label, for example `lost_event`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LostEvent => "lost_event",
            Self::Adopted => "adopted",
            Self::MissingHook => "missing_hook",
            Self::TableFull => "table_full",
            Self::Unclassified => "unclassified",
        }
    }
}

impl fmt::Display for Inconclusive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::{Inconclusive, Verdict};
    use crate::linux::{Code, DeviationId, ViolationId};

    #[test]
    fn a_connection_is_as_bad_as_its_worst_step() {
        let fine = Verdict::Conforming(Code::R1);
        let deviation = Verdict::Deviation(DeviationId::OrphanLimit);
        let unknown = Verdict::Inconclusive(Inconclusive::LostEvent);
        let violation = Verdict::Violation(ViolationId::IllegalEdge);
        assert_eq!(fine.worst(deviation).worst(fine), deviation);
        assert_eq!(deviation.worst(unknown), unknown);
        assert_eq!(fine.worst(Verdict::Conforming(Code::R2)), fine, "the first of two equally bad ones");
        assert_eq!(violation.worst(unknown), violation);
        assert!(violation.is_violation() && !unknown.is_violation());
        let classes = [fine, deviation, unknown, violation].map(Verdict::class);
        assert_eq!(classes, ["conforming", "deviation", "inconclusive", "violation"]);
    }

    #[test]
    fn a_verdict_prints_its_class_and_its_reason() {
        extern crate std;
        use std::string::ToString;
        let verdict = Verdict::Deviation(DeviationId::OrphanLimit);
        assert_eq!(verdict.to_string(), "deviation (orphan-limit)");
        assert_eq!(Verdict::Inconclusive(Inconclusive::LostEvent).to_string(), "inconclusive (lost_event)");
        assert_eq!(Inconclusive::LostEvent.to_string(), "lost_event");
    }
}
