//! The `port` label, where somebody asked for it: the listed ports, and one value for all others.

use crate::{event::Flow, step::Role};

/// The value of ports that nobody listed.
const OTHER: &str = "other";

/// Ports that have series of their own. None: there is no such label.
#[derive(Debug)]
pub(super) struct Ports(Vec<u16>);

impl Ports {
    pub(super) fn new(listed: &[u16]) -> Self {
        let mut ports = listed.to_vec();
        ports.sort_unstable();
        ports.dedup();
        Self(ports)
    }

    /// The names of a family's labels.
    pub(super) fn labels<'a>(&self, others: &[&'a str]) -> Vec<&'a str> {
        let port = (!self.0.is_empty()).then_some("port");
        others.iter().copied().chain(port).collect()
    }

    /// One series for each slot; `make` is given the value of the label, if there is one.
    pub(super) fn each<T, E>(&self, make: impl Fn(Option<&str>) -> Result<T, E>) -> Result<Vec<T>, E> {
        if self.0.is_empty() {
            return Ok(vec![make(None)?]);
        }
        let listed = self.0.iter().map(|port| make(Some(&port.to_string())));
        listed.chain([make(Some(OTHER))]).collect()
    }

    /// The slot of the port that the server listens on.
    pub(super) fn slot(&self, role: Role, flow: &Flow) -> usize {
        let port = match role {
            Role::Client => flow.remote.port(),
            Role::Server => flow.local.port(),
        };
        self.0.binary_search(&port).unwrap_or(self.other())
    }

    /// The slot of all ports that are not listed.
    pub(super) const fn other(&self) -> usize {
        self.0.len()
    }
}
