//! The accept queues of some ports, over all network namespaces.

use std::collections::BTreeMap;

use super::{
    listing::{Cause, ListError},
    netns,
    sock_diag::{self, Backlog},
};

/// What waits, and how much may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Connections that wait to be accepted.
    pub waiting: u64,
    /// How many may wait.
    pub limit: u64,
}

/// The queues of these ports, each the sum of all sockets that listen there: several may (SO_REUSEPORT, both families,
/// other namespaces). A port where nobody listens has an empty one. And what could not be asked.
#[must_use]
pub fn read(ports: &[u16]) -> (BTreeMap<u16, Queue>, Vec<ListError>) {
    let mut queues: BTreeMap<_, _> = ports.iter().map(|port| (*port, Queue::default())).collect();
    let mut problems = Vec::new();
    for namespace in netns::all().into_values() {
        let count = |Backlog { port, waiting, limit }: Backlog| {
            if let Some(queue) = queues.get_mut(&port) {
                queue.waiting += u64::from(waiting);
                queue.limit += u64::from(limit);
            }
        };
        match namespace.look(|| sock_diag::backlogs(count)) {
            Ok((_, Ok(()))) => {}
            Ok((_, Err(error))) => problems.push(ListError::Failed {
                namespace: namespace.path.display().to_string(),
                source: Cause::SockDiag(error),
            }),
            Err(error) => problems.push(error.into()),
        }
    }
    (queues, problems)
}
