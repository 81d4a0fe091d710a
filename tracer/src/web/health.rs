//! Whether the agent does its work.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tracer_ebpf::Hook;

use crate::kernel::load::HookStatus;

/// The pipeline looks at the ring every few seconds, also when nothing happens; a silence of this length means that it
/// stands still.
pub const SILENCE: Duration = Duration::from_secs(10);

/// Shared between the pipeline, which says that it lives, and `/healthz`, which asks.
#[derive(Debug)]
pub struct Health {
    began: Instant,
    /// Milliseconds since `began`, plus one; 0: never.
    beat: AtomicU64,
    hooks: Mutex<Vec<HookStatus>>,
}

/// Why the agent does not do its work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Sick {
    /// The hook without which nothing is seen.
    #[error("the hook {} is not attached{}", Hook::State.name(), because(.0.as_deref()))]
    Detached(Option<String>),
    /// The pipeline has never run.
    #[error("the pipeline has not started yet")]
    NotStarted,
    /// The pipeline ran once.
    #[error("the pipeline has not read any event for {} s", .0.as_secs())]
    Silent(Duration),
}

fn because(problem: Option<&str>) -> String {
    problem.map(|problem| format!(": {problem}")).unwrap_or_default()
}

impl Default for Health {
    fn default() -> Self {
        Self { began: Instant::now(), beat: AtomicU64::new(0), hooks: Mutex::default() }
    }
}

impl Health {
    /// The pipeline lives: to be called with every round, also when there was no event.
    pub fn beat(&self) {
        self.beat_at(self.began.elapsed());
    }

    /// Sets what is attached.
    pub fn hooks(&self, hooks: &[HookStatus]) {
        *self.lock() = hooks.to_vec();
    }

    /// What is attached.
    #[must_use]
    pub fn hook_table(&self) -> Vec<HookStatus> {
        self.lock().clone()
    }

    /// # Errors
    ///
    /// [`Sick`] when the agent does not do its work.
    pub fn check(&self) -> Result<(), Sick> {
        self.check_at(self.began.elapsed())
    }

    fn beat_at(&self, since: Duration) {
        let milliseconds = u64::try_from(since.as_millis()).unwrap_or(u64::MAX - 1);
        self.beat.store(milliseconds + 1, Ordering::Relaxed);
    }

    fn check_at(&self, now: Duration) -> Result<(), Sick> {
        let state = self.lock().iter().find(|status| status.hook == Hook::State).cloned();
        match state {
            Some(status) if status.copies > 0 => {}
            other => return Err(Sick::Detached(other.and_then(|status| status.problem))),
        }
        let last = self.beat.load(Ordering::Relaxed).checked_sub(1).ok_or(Sick::NotStarted)?;
        let silence = now.saturating_sub(Duration::from_millis(last));
        if silence > SILENCE { Err(Sick::Silent(silence)) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<HookStatus>> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracer_ebpf::Hook;

    use super::{Health, Sick};
    use crate::kernel::load::{HookStatus, Kind};

    fn state_hook(copies: u32, problem: Option<&str>) -> [HookStatus; 1] {
        [HookStatus { hook: Hook::State, kind: Kind::TpBtf, copies, problem: problem.map(str::to_owned) }]
    }

    #[test]
    fn healthy_while_attached_and_beating() {
        let health = Health::default();
        assert_eq!(health.check(), Err(Sick::Detached(None)));
        health.hooks(&state_hook(2, None));
        assert_eq!(health.check(), Err(Sick::NotStarted));
        health.beat();
        assert_eq!(health.check(), Ok(()));
    }

    #[test]
    fn a_pipeline_that_stands_still_is_sick() {
        let health = Health::default();
        health.hooks(&state_hook(2, None));
        health.beat_at(Duration::from_secs(100));
        assert_eq!(health.check_at(Duration::from_secs(110)), Ok(()));
        let sick = health.check_at(Duration::from_secs(111)).expect_err("11 s of silence");
        assert_eq!(sick.to_string(), "the pipeline has not read any event for 11 s");
    }

    #[test]
    fn a_lost_hook_is_named_with_its_reason() {
        let health = Health::default();
        health.beat();
        health.hooks(&state_hook(0, Some("the kernel said no")));
        let sick = health.check().expect_err("no hook");
        assert_eq!(sick.to_string(), "the hook inet_sock_set_state is not attached: the kernel said no");
    }
}
