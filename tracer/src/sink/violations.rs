//! The last violations, for people: what happened, on which connection, and which rule it breaks.

mod evidence;
mod log;

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use model::Verdict;
use serde::Serialize;

pub use self::{
    evidence::{Fields, Past, error_name},
    log::Log,
};
use crate::{
    anchor::Anchor,
    step::{Finding, StepKind},
    tracker::{Connection, Moment},
};

/// How many are kept.
pub const KEPT: usize = 256;

/// Where findings come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    /// The kernel's release.
    pub kernel: String,
    /// Turns the kernel's time into a time of day.
    pub anchor: Anchor,
}

impl Scene {
    /// This kernel, now.
    #[must_use]
    pub fn here() -> Self {
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        Self { kernel, anchor: Anchor::now() }
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::here()
    }
}

/// One violation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Violation {
    /// RFC 3339, UTC.
    pub timestamp: String,
    /// CLOCK_MONOTONIC, nanoseconds.
    pub time_ns: u64,
    /// The kernel's release.
    pub kernel: String,
    /// Name of the broken rule.
    pub rule: &'static str,
    /// Sections of RFC 9293 behind it.
    pub clause: &'static str,
    /// What the rule asks for.
    pub sentence: &'static str,
    /// What happened, for example `listen>established`.
    pub transition: String,
    /// `ipv4` or `ipv6`.
    pub family: &'static str,
    /// The end on this host.
    pub local: String,
    /// The other end.
    pub remote: String,
    /// The network namespace's cookie.
    pub netns: u64,
    /// The socket's cookie; 0: none.
    pub cookie: u64,
    /// The task that held the socket; absent in softirq, where nobody can be named.
    pub task: Option<Owner>,
    /// The socket's fields at that instant; absent for minisockets, which have none.
    pub fields: Option<Fields>,
    /// What the verdict knew of the time before.
    pub history: Option<Past>,
    /// Nanoseconds that a minisocket lived.
    pub lived_ns: Option<u64>,
    /// False: the story began earlier than what is told here.
    pub story_is_whole: bool,
    /// The connection's transitions, oldest first, this one included; empty for a socket that is not tracked.
    pub story: Vec<Chapter>,
}

/// One transition of a violation's story.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chapter {
    /// From where to where.
    pub transition: String,
    /// Seconds in the state that was left; absent when not known.
    pub spent_seconds: Option<f64>,
}

/// The task behind a violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// Process id.
    pub pid: u32,
    /// Command name.
    pub comm: String,
}

impl Violation {
    /// The violation that a finding is, if it is one.
    #[must_use]
    pub fn of(finding: &Finding<'_>, scene: &Scene) -> Option<Self> {
        let Verdict::Violation(id) = finding.judgement.as_ref()?.verdict else { return None };
        let rule = id.rule();
        let event = finding.step.event;
        let (transition, fields, history, lived_ns) = match &finding.step.kind {
            StepKind::Transition { transition, evidence, history, .. } => {
                let fields = (Some(Fields::of(evidence)), Some(Past::of(history)));
                (transition.to_string(), fields.0, fields.1, None)
            }
            StepKind::TimewaitEnded { substate, lived, .. } => {
                (format!("{substate}>close"), None, None, *lived)
            }
            other => (format!("{other:?}"), None, None, None),
        };
        let connection = finding.step.connection;
        // The kernel forgets the ports of a closed socket; the story remembers them.
        let flow = connection.map_or(event.flow, Connection::flow);
        let story = connection.map(|connection| connection.story.moments().map(Chapter::of).collect());
        Some(Self {
            timestamp: format!("{:.9}", scene.anchor.wall_at(event.time)),
            time_ns: event.time,
            kernel: scene.kernel.clone(),
            rule: rule.name,
            clause: rule.clause,
            sentence: rule.sentence,
            transition,
            family: flow.family.name(),
            local: flow.local.to_string(),
            remote: flow.remote.to_string(),
            netns: event.socket.netns,
            cookie: event.socket.cookie,
            task: event.task.map(|task| Owner { pid: task.pid, comm: task.name().into_owned() }),
            fields,
            history,
            lived_ns,
            story_is_whole: connection.is_some_and(|connection| connection.story.is_whole()),
            story: story.unwrap_or_default(),
        })
    }
}

impl Chapter {
    fn of(moment: Moment) -> Self {
        let spent_seconds = moment.spent.map(|spent| spent.as_secs_f64());
        Self { transition: moment.transition.to_string(), spent_seconds }
    }
}

/// The last [`KEPT`] violations.
#[derive(Debug, Default)]
pub struct Violations {
    scene: Scene,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    total: u64,
    last: VecDeque<Violation>,
}

/// What `/violations` answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// All violations since the agent began, forgotten ones included.
    pub total: u64,
    /// The last ones, newest first.
    pub violations: Vec<Violation>,
}

impl Violations {
    /// Keeps a finding that is a violation, and gives it back; others cost nothing.
    pub fn record(&self, finding: &Finding<'_>) -> Option<Violation> {
        let violation = Violation::of(finding, &self.scene)?;
        let mut kept = self.kept();
        kept.total += 1;
        kept.last.truncate(KEPT - 1);
        kept.last.push_front(violation.clone());
        Some(violation)
    }

    /// The list as it is now.
    #[must_use]
    pub fn report(&self) -> Report {
        let kept = self.kept();
        Report { total: kept.total, violations: kept.last.iter().cloned().collect() }
    }

    /// A thread that died with the lock cannot have left a half-made list that matters.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Scene, Violations};
    use crate::{
        checker,
        fixture::Seen,
        tracker::{Hooks, Limits, Tracker},
    };

    #[test]
    fn a_violation_tells_its_connections_story() {
        let mut tracker = Tracker::new(Limits::default(), Hooks::all());
        let violations = Violations::default();
        let seen =
            |from, to| Seen::transition("10.0.0.1:40000", "10.0.0.2:80", from, to).task(21, "curl").netns(9);
        let mut closed = seen("syn_sent", "last_ack").at(3_500_000_000);
        closed.event.flow.local.set_port(0);
        for step in [seen("close", "syn_sent").at(1_000_000_000), closed] {
            tracker.observe(&step.event, &mut |step| drop(violations.record(&checker::check(&step))));
        }
        let report = violations.report();
        assert_eq!((report.total, report.violations.len()), (1, 1), "{report:?}");
        let violation = &report.violations[0];
        assert_eq!((violation.rule, violation.transition.as_str()), ("illegal-edge", "syn_sent>last_ack"));
        assert_eq!(violation.local, "10.0.0.1:40000", "the story remembers the port that the event has lost");
        assert_eq!((violation.netns, violation.task.as_ref().map(|task| task.pid)), (9, Some(21)));
        let story: Vec<_> = violation
            .story
            .iter()
            .map(|chapter| (chapter.transition.as_str(), chapter.spent_seconds))
            .collect();
        assert_eq!(story, [("close>syn_sent", None), ("syn_sent>last_ack", Some(2.5))]);
        assert!(violation.story_is_whole);
        let fields = violation.fields.as_ref().unwrap();
        assert_eq!((fields.snd_una, fields.write_seq, fields.sk_err), (1001, 1003, "none"));
        assert_eq!(violation.history.as_ref().unwrap().previous.as_deref(), Some("close>syn_sent"));
        assert_eq!(violation.kernel, Scene::here().kernel);
    }
}
