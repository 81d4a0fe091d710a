//! Which differences are news.

use std::path::PathBuf;

use hashbrown::HashMap;

use super::Compared;
use crate::ledger::KernelCounter;

/// A difference that has come, or has grown, since the last report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// What differs.
    pub counter: KernelCounter,
    /// Ours minus the kernel's.
    pub difference: i64,
    /// The namespace in which it does, by the place where it was found.
    pub path: PathBuf,
}

/// The differences of the last report, by namespace.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<(u64, KernelCounter), i64>);

impl Known {
    /// What the last report did not have.
    pub(super) fn news(&mut self, namespaces: &[Compared]) -> Vec<News> {
        let mut now = HashMap::new();
        let mut news = Vec::new();
        for Compared { netns, path, counters } in namespaces {
            for (counter, found) in KernelCounter::ALL.into_iter().zip(counters) {
                let difference = found.map_or(0, |found| found.difference);
                if difference == 0 {
                    continue;
                }
                now.insert((*netns, counter), difference);
                let before = self.0.get(&(*netns, counter)).copied().unwrap_or(0);
                if before.signum() != difference.signum() || before.abs() < difference.abs() {
                    news.push(News { counter, difference, path: path.clone() });
                }
            }
        }
        self.0 = now;
        news
    }
}
