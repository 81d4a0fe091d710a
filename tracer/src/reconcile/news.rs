//! Which differences are news.

use hashbrown::HashMap;

use super::Compared;
use crate::ledger::KernelCounter;

/// The differences of the last report, by namespace.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<(u64, KernelCounter), i64>);

impl Known {
    /// Counters whose difference in some namespace has come, or has grown, since the last report.
    pub(super) fn news(&mut self, namespaces: &[Compared]) -> Vec<KernelCounter> {
        let mut now = HashMap::new();
        for Compared { netns, counters, .. } in namespaces {
            let found = KernelCounter::ALL.into_iter().zip(counters);
            now.extend(found.filter_map(|(counter, found)| {
                let difference = found.map_or(0, |found| found.difference);
                (difference != 0).then_some(((*netns, counter), difference))
            }));
        }
        let is_new = |(name, difference): (&(u64, KernelCounter), &i64)| {
            let before = self.0.get(name).copied().unwrap_or(0);
            before.signum() != difference.signum() || before.abs() < difference.abs()
        };
        let news = KernelCounter::ALL.into_iter();
        let news =
            news.filter(|counter| now.iter().any(|found| found.0.1 == *counter && is_new(found))).collect();
        self.0 = now;
        news
    }
}
