//! The candidates: a fixed number of places.

use super::candidate::Candidate;

/// At most `N` candidates, no two the same.
#[derive(Clone, Debug)]
pub(super) struct Set<const N: usize> {
    list: [Candidate; N],
    used: usize,
    overflow: bool,
}

impl<const N: usize> Set<N> {
    pub(super) fn empty() -> Self {
        Self { list: [Candidate::closed(); N], used: 0, overflow: false }
    }

    pub(super) fn as_slice(&self) -> &[Candidate] {
        self.list.get(..self.used).unwrap_or_default()
    }

    pub(super) fn overflowed(&self) -> bool {
        self.overflow
    }

    pub(super) fn clear(&mut self) {
        self.used = 0;
        self.overflow = false;
    }

    /// Adds a candidate. Of two that explain the same, the one that needs fewer departures and guesses stays.
    pub(super) fn push(&mut self, candidate: &Candidate) {
        let used = self.list.iter_mut().take(self.used);
        for known in used {
            if known.same(candidate) {
                // Either reading led here, so both are still open.
                let kept = known.kept.both(candidate.kept);
                let cost = |c: &Candidate| (c.departures().len(), c.guesses);
                if cost(candidate) < cost(known) {
                    *known = *candidate;
                }
                known.kept = kept;
                return;
            }
        }
        match self.list.get_mut(self.used) {
            Some(slot) => {
                *slot = *candidate;
                self.used += 1;
            }
            None => self.overflow = true,
        }
    }
}
