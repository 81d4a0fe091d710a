//! How often something is played before its verdict counts: a difference has to come twice.
//!
//! What a kernel does wrong, it does again. What came once and stays away was our own doing (an observation that the host
//! kept from us), or the kernel's on a rare occasion; nobody can tell which, so there is no verdict.

use super::report::model::Outcome;

/// What the attempts at one thing have shown so far.
#[derive(Debug)]
pub struct Repeats<T> {
    left: u32,
    differed: Option<T>,
}

/// What the attempts amount to, with the attempt that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    /// As this attempt says.
    Settled(T),
    /// This attempt differed, and no other one did: inconclusive.
    Unconfirmed(T),
}

/// Attempts at most.
pub const ATTEMPTS: u32 = 3;

/// What is said of a difference that did not come again.
pub const UNCONFIRMED: &str = "not when it was played again";

impl<T> Default for Repeats<T> {
    fn default() -> Self {
        Self { left: ATTEMPTS, differed: None }
    }
}

impl<T> Repeats<T> {
    /// The verdict after an attempt that ended so; none: it has to be played again.
    #[must_use]
    pub fn after(&mut self, outcome: Outcome, attempt: T) -> Option<Verdict<T>> {
        self.left = self.left.saturating_sub(1);
        match (outcome, self.differed.take()) {
            (Outcome::Inconclusive, differed) if self.left > 0 => {
                self.differed = differed;
                None
            }
            (Outcome::Fail, None) if self.left > 0 => {
                self.differed = Some(attempt);
                None
            }
            (Outcome::Fail, None) => Some(Verdict::Unconfirmed(attempt)),
            (Outcome::Pass | Outcome::Deviation | Outcome::Inconclusive, Some(differed)) => {
                Some(Verdict::Unconfirmed(differed))
            }
            (Outcome::Pass | Outcome::Deviation | Outcome::Inconclusive, None)
            | (Outcome::Fail, Some(_))
            | (Outcome::Error, _) => Some(Verdict::Settled(attempt)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Outcome::{self, Deviation, Error, Fail, Inconclusive, Pass},
        Repeats,
        Verdict::{self, Settled, Unconfirmed},
    };

    /// The number of the attempt that counts, and how many there were.
    fn played(outcomes: &[Outcome]) -> (Verdict<usize>, usize) {
        let mut repeats = Repeats::default();
        for (at, outcome) in outcomes.iter().enumerate() {
            if let Some(verdict) = repeats.after(*outcome, at) {
                return (verdict, at + 1);
            }
        }
        panic!("no verdict after {outcomes:?}");
    }

    #[test]
    fn what_is_explained_is_played_once() {
        assert_eq!(played(&[Pass]), (Settled(0), 1));
        assert_eq!(played(&[Deviation]), (Settled(0), 1));
        assert_eq!(played(&[Error]), (Settled(0), 1));
    }

    #[test]
    fn a_difference_counts_when_it_comes_again() {
        assert_eq!(played(&[Fail, Fail]), (Settled(1), 2));
        assert_eq!(played(&[Fail, Inconclusive, Fail]), (Settled(2), 3));
    }

    #[test]
    fn a_difference_that_stays_away_is_no_verdict_and_never_a_pass() {
        assert_eq!(played(&[Fail, Pass]), (Unconfirmed(0), 2));
        assert_eq!(played(&[Fail, Deviation]), (Unconfirmed(0), 2));
        assert_eq!(played(&[Inconclusive, Fail, Pass]), (Unconfirmed(1), 3));
        // The attempts are over before it could come again.
        assert_eq!(played(&[Inconclusive, Inconclusive, Fail]), (Unconfirmed(2), 3));
        assert_eq!(played(&[Fail, Inconclusive, Inconclusive]), (Unconfirmed(0), 3));
    }

    #[test]
    fn what_has_no_verdict_gets_three_attempts() {
        assert_eq!(played(&[Inconclusive, Pass]), (Settled(1), 2));
        assert_eq!(played(&[Inconclusive, Inconclusive, Deviation]), (Settled(2), 3));
        assert_eq!(played(&[Inconclusive, Inconclusive, Inconclusive]), (Settled(2), 3));
    }

    #[test]
    fn an_error_ends_it() {
        assert_eq!(played(&[Fail, Error]), (Settled(1), 2));
    }
}
