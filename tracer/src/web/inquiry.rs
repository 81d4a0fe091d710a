//! A scrape shows how things stand, not how they stood when the pipeline last looked: it asks first.

use std::{future::pending, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// A pipeline that is too busy to answer by then is not waited for: what it has told so far is recent.
const PATIENCE: Duration = Duration::from_millis(250);

/// Whoever wants to know.
#[derive(Debug)]
pub struct Inquirer(mpsc::Sender<oneshot::Sender<()>>);

/// Whoever can tell.
#[derive(Debug)]
pub struct Inquiries {
    asked: mpsc::Receiver<oneshot::Sender<()>>,
    waiting: Vec<oneshot::Sender<()>>,
}

/// The two ends.
#[must_use]
pub fn inquiries() -> (Inquirer, Inquiries) {
    let (sender, asked) = mpsc::channel(1);
    (Inquirer(sender), Inquiries { asked, waiting: Vec::new() })
}

impl Inquirer {
    /// Waits until everything that has happened so far is told, or nobody tells it.
    pub(super) async fn ask(&self) {
        let (reply, told) = oneshot::channel();
        let answer = async {
            if self.0.send(reply).await.is_ok() {
                // An error means that the pipeline has ended.
                let _ = told.await;
            }
        };
        // Late is as good as never.
        let _ = timeout(PATIENCE, answer).await;
    }
}

impl Inquiries {
    /// Ready when somebody asks.
    pub async fn asked(&mut self) {
        match self.asked.recv().await {
            Some(reply) => self.waiting.push(reply),
            None => pending().await,
        }
    }

    /// True when somebody waits for an answer.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Everything is told.
    pub fn answer(&mut self) {
        for reply in self.waiting.drain(..) {
            // Who has given up needs no answer.
            let _ = reply.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{PATIENCE, inquiries};

    #[tokio::test]
    async fn who_asks_waits_for_the_answer() {
        let (inquirer, mut inquiries) = inquiries();
        let telling = async {
            inquiries.asked().await;
            assert!(inquiries.is_waiting());
            inquiries.answer();
            assert!(!inquiries.is_waiting());
        };
        let begin = Instant::now();
        tokio::join!(inquirer.ask(), telling);
        assert!(begin.elapsed() < PATIENCE, "no answer came");
    }

    #[tokio::test]
    async fn nobody_waits_for_a_pipeline_that_is_busy_or_gone() {
        let (inquirer, inquiries) = inquiries();
        let begin = Instant::now();
        // The second finds the first one's question still there.
        inquirer.ask().await;
        inquirer.ask().await;
        assert!(begin.elapsed() >= 2 * PATIENCE);
        drop(inquiries);
        let begin = Instant::now();
        inquirer.ask().await;
        assert!(begin.elapsed() < PATIENCE);
    }
}
