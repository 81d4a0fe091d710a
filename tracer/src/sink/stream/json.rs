//! One JSON object per finding. Fields that a finding does not have are left out.

use std::{borrow::Cow, net::SocketAddr};

use serde::Serialize;

use super::{reset_reason, seconds};
use crate::{
    decode::Kernel,
    event::{Event, Task, What},
    sink::violations::{Scene, Violation},
    step::{Finding, StepKind, TimewaitPath, Untimed},
    tracker::Connection,
};

/// A line. Names and units are the interface of `--output json`: changing one breaks its readers.
#[derive(Debug, Serialize)]
struct Line<'a> {
    /// RFC 3339, UTC.
    timestamp: String,
    /// CLOCK_MONOTONIC, nanoseconds.
    time_ns: u64,
    kind: &'static str,
    hook: &'static str,
    /// What the socket is known by: its cookie, or its kernel address while it has none of its own. Up to 6.12 a child gets
    /// its cookie after its first transition, and before 5.12 tracing programs are told none.
    cookie: u64,
    netns: u64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    ends: Option<Ends>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comm: Option<Cow<'a, str>>,
    /// Who opened the socket; `pid` and `comm` are those who acted now.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_comm: Option<Cow<'a, str>>,
    #[serde(flatten)]
    step: Body,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    judged: Option<Judged>,
    /// The connection's story and all that the verdict rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    violation: Option<Violation>,
}

/// Left out where no socket was involved, as for a reset that answers a segment for nobody.
#[derive(Debug, Serialize)]
struct Ends {
    family: &'static str,
    local: SocketAddr,
    remote: SocketAddr,
}

/// What belongs to a kind of step.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Body {
    Transition {
        from: &'static str,
        to: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        spent_seconds: Option<f64>,
        /// Left out while nothing is measured.
        #[serde(skip_serializing_if = "Option::is_none")]
        srtt_us: Option<u32>,
        retransmits: u32,
        una: u32,
        nxt: u32,
        write_seq: u32,
        rcv_nxt: u32,
    },
    Handshake {
        role: &'static str,
        result: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        duration_seconds: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        untimed: Option<&'static str>,
    },
    Reset {
        direction: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    RequestEnded {
        completed: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        lived_seconds: Option<f64>,
    },
    TimewaitBegun {
        substate: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        path: Option<&'static str>,
    },
    TimewaitEnded {
        substate: &'static str,
        end: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        lived_seconds: Option<f64>,
    },
    Nothing {},
}

#[derive(Debug, Serialize)]
struct Judged {
    verdict: &'static str,
    rule: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    noted: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
}

/// Appends a finding and a newline.
pub(super) fn line(
    lines: &mut Vec<u8>,
    finding: &Finding<'_>,
    scene: &Scene,
    kernel: &Kernel,
) -> serde_json::Result<()> {
    let event = finding.step.event;
    let flow = finding.step.flow();
    let owner = finding.step.connection.and_then(|connection| connection.owner.as_ref());
    let line = Line {
        timestamp: format!("{:.9}", scene.anchor.wall_at(event.time)),
        time_ns: event.time,
        kind: finding.step.kind.name(),
        hook: event.hook.name(),
        cookie: finding.step.connection.map_or(event.socket.cookie, Connection::cookie),
        netns: event.socket.netns,
        ends: finding.step.has_socket().then(|| Ends {
            family: flow.family.name(),
            local: flow.local,
            remote: flow.remote,
        }),
        pid: event.task.map(|task| task.pid),
        comm: event.task.as_ref().map(Task::name),
        owner_pid: owner.map(|task| task.pid),
        owner_comm: owner.map(Task::name),
        step: body(&finding.step.kind, event, kernel),
        judged: finding.judgement.map(|judgement| Judged {
            verdict: judgement.verdict.class(),
            rule: judgement.verdict.name(),
            noted: judgement.noted.map(model::linux::DeviationId::name),
            cause: judgement.cause.map(model::linux::CloseCause::name),
        }),
        violation: Violation::of(finding, scene),
    };
    serde_json::to_writer(&mut *lines, &line)?;
    lines.push(b'\n');
    Ok(())
}

fn body(kind: &StepKind, event: &Event, kernel: &Kernel) -> Body {
    match *kind {
        StepKind::Transition { transition, evidence, spent, .. } => {
            let srtt = match event.what {
                What::Transition { srtt, .. } => srtt,
                _ => 0,
            };
            Body::Transition {
                from: transition.from.name(),
                to: transition.to.name(),
                spent_seconds: spent.map(seconds),
                srtt_us: (srtt != 0).then_some(srtt),
                retransmits: evidence.retransmits,
                una: evidence.una,
                nxt: evidence.nxt,
                write_seq: evidence.write_seq,
                rcv_nxt: evidence.rcv_nxt,
            }
        }
        StepKind::Handshake { role, result, duration } => Body::Handshake {
            role: role.name(),
            result: result.name(),
            duration_seconds: duration.ok().map(seconds),
            untimed: duration.err().map(Untimed::name),
        },
        StepKind::Reset { sent } => {
            let direction = if sent { "sent" } else { "received" };
            Body::Reset { direction, reason: reset_reason(event, kernel) }
        }
        StepKind::RequestEnded { completed, lived } => {
            Body::RequestEnded { completed, lived_seconds: lived.map(seconds) }
        }
        StepKind::TimewaitBegun { path, substate } => {
            let path = path.map(TimewaitPath::name);
            Body::TimewaitBegun { substate: substate.name(), path }
        }
        StepKind::TimewaitEnded { substate, cause, lived } => Body::TimewaitEnded {
            substate: substate.name(),
            end: cause.name(),
            lived_seconds: lived.map(seconds),
        },
        StepKind::SynRetransmit
        | StepKind::SynAckRetransmit
        | StepKind::RequestBegun
        | StepKind::TimewaitConverted
        | StepKind::TimewaitRestarted
        | StepKind::TimewaitSkipped
        | StepKind::Destroyed
        | StepKind::Duplicate => Body::Nothing {},
    }
}
