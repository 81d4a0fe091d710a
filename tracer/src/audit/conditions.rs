//! Under which conditions the kernel plays: what decides between readings of its profile.

use std::collections::BTreeMap;

use model::oracle::Departures;

/// The conditions of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// The settings, by their names with dots.
    pub sysctls: BTreeMap<String, String>,
    /// The departures that this kernel takes always, and others never; see [`habits`](super::habits::habits).
    pub habits: Departures,
}

impl Conditions {
    /// A setting of TCP that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.sysctls.get(&format!("net.ipv4.{name}"))?.parse().ok()
    }
}
