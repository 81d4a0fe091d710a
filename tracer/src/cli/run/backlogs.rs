//! The accept queues of the ports that were asked for.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    kernel::{
        backlog::{self, Queue},
        listing::ListError,
    },
    sink::Metrics,
};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(5);

/// They are told to the metrics, and what could not be asked to the log.
pub(super) struct Backlogs {
    metrics: Arc<Metrics>,
    ports: Vec<u16>,
    /// Problems of the last look.
    said: Vec<String>,
}

impl Backlogs {
    /// Looks for the first time: the first scrape has them.
    pub(super) fn new(metrics: Arc<Metrics>, ports: Vec<u16>) -> Self {
        let found = backlog::read(&ports);
        let mut backlogs = Self { metrics, ports, said: Vec::new() };
        backlogs.tell(found);
        backlogs
    }

    /// Looks at them until the agent ends.
    pub(super) async fn watch(mut self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let ports = self.ports.clone();
            let Ok(found) = tokio::task::spawn_blocking(move || backlog::read(&ports)).await else {
                return log::error!("the accept queues are not looked at any more");
            };
            self.tell(found);
        }
    }

    fn tell(&mut self, (queues, problems): (BTreeMap<u16, Queue>, Vec<ListError>)) {
        self.metrics.backlogs(&queues);
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        // Each once, while it lasts.
        for problem in problems.iter().filter(|problem| !self.said.contains(*problem)) {
            log::warn!("accept queues: {problem}");
        }
        self.said = problems;
    }
}
