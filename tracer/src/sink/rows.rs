//! Findings as rows with fixed columns, for the engines that people have.

mod jsonl;
mod parquet;

use std::{fs::File, path::Path};

use model::linux::{CloseCause, DeviationId, Evidence, LinuxState, Owner};
use serde::Serialize;
use tracer_ebpf::Hook;

use self::{jsonl::Lines, parquet::Table};
use super::{stream, violations::error_name};
use crate::{
    anchor::Anchor,
    decode::{Kernel, Malformed},
    event::{Task, What},
    judge::Audience,
    recording::{Entry, Header},
    replay::{Listener, Trouble},
    step::{Finding, StepKind, TimewaitPath, Untimed},
};

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object per line; what a row does not have is left out.
    Jsonl,
    /// Apache Parquet, compressed with Zstandard.
    Parquet,
}

/// Why there are no rows, or not all.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// The file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A row.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A row group.
    #[error(transparent)]
    Parquet(#[from] ::parquet::errors::ParquetError),
}

macro_rules! rows {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ident,)*) => {
        /// One finding. Names, types and units are the interface of `convert`.
        #[derive(Clone, Debug, Default, PartialEq, Serialize)]
        pub struct Row {
            $($(#[doc = $doc])+ #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<rows!(@type $kind)>,)*
        }

        /// Name and type of every column, in their order.
        pub const COLUMNS: &[(&str, Kind)] = &[$((stringify!($name), Kind::$kind)),*];

        impl Row {
            /// The values, in the order of [`COLUMNS`].
            fn values(&self, mut each: impl FnMut(usize, Option<Value<'_>>)) {
                let mut column = 0;
                $(
                    each(column, rows!(@value self.$name, $kind));
                    column += 1;
                )*
                debug_assert_eq!(column, COLUMNS.len());
            }
        }
    };
    (@type Time) => { WallTime };
    (@type U64) => { u64 };
    (@type U32) => { u32 };
    (@type U16) => { u16 };
    (@type Seconds) => { f64 };
    (@type Flag) => { bool };
    (@type Name) => { &'static str };
    (@type Text) => { String };
    (@value $self:ident.$name:ident, Time) => { $self.$name.map(|time| Value::Wide(time.0)) };
    (@value $self:ident.$name:ident, U64) => { $self.$name.map(|value| Value::Wide(value.cast_signed())) };
    (@value $self:ident.$name:ident, U32) => { $self.$name.map(|value| Value::Narrow(value.cast_signed())) };
    (@value $self:ident.$name:ident, U16) => { $self.$name.map(|value| Value::Narrow(value.into())) };
    (@value $self:ident.$name:ident, Seconds) => { $self.$name.map(Value::Real) };
    (@value $self:ident.$name:ident, Flag) => { $self.$name.map(Value::Flag) };
    (@value $self:ident.$name:ident, Name) => { $self.$name.map(Value::Text) };
    (@value $self:ident.$name:ident, Text) => { $self.$name.as_deref().map(Value::Text) };
}

/// Nanoseconds since 1970 UTC; RFC 3339 as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallTime(pub i64);

impl Serialize for WallTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = jiff::Timestamp::from_nanosecond(self.0.into()).map_err(serde::ser::Error::custom)?;
        serializer.collect_str(&format_args!("{time:.9}"))
    }
}

/// What a column holds. Every column may be empty in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nanoseconds since 1970 UTC.
    Time,
    /// A number of 64 bits.
    U64,
    /// A number of 32 bits.
    U32,
    /// A number of 16 bits.
    U16,
    /// Seconds.
    Seconds,
    /// Yes or no.
    Flag,
    /// Text of a closed set.
    Name,
    /// Any text.
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Value<'a> {
    Wide(i64),
    Narrow(i32),
    Real(f64),
    Flag(bool),
    Text(&'a str),
}

rows! {
    /// When, by the wall clock, UTC.
    timestamp: Time,
    /// When, CLOCK_MONOTONIC nanoseconds.
    time_ns: U64,
    /// Names the recording: `stream` of its header.
    stream: Text,
    /// The kernel's release.
    kernel: Text,
    /// `transition`, `handshake`, `reset` and so on.
    kind: Name,
    /// The hook behind it.
    hook: Name,
    /// The CPU it happened on.
    cpu: U16,
    /// The socket's cookie.
    cookie: U64,
    /// The network namespace's cookie.
    netns: U64,
    /// `ipv4`, `ipv6`.
    family: Name,
    /// Address of the end on this host.
    local_address: Text,
    /// Its port.
    local_port: U16,
    /// Address of the other end.
    remote_address: Text,
    /// Its port.
    remote_port: U16,
    /// Process that acted.
    pid: U32,
    /// Its command name.
    comm: Text,
    /// Process that opened the socket.
    owner_pid: U32,
    /// Its command name.
    owner_comm: Text,
    /// The state that was left.
    from: Name,
    /// The state that was entered; of a minisocket, what it is.
    to: Name,
    /// Seconds in the state that was left.
    spent_seconds: Seconds,
    /// Who opened: `client`, `server`.
    role: Name,
    /// How a handshake ended.
    result: Name,
    /// How long it took.
    duration_seconds: Seconds,
    /// Why that is not known.
    untimed: Name,
    /// Of a reset: `sent`, `received`.
    direction: Name,
    /// Why a reset was sent.
    reason: Text,
    /// A half-open request became a connection.
    completed: Flag,
    /// Where TIME_WAIT was entered from.
    path: Name,
    /// Why a minisocket ended.
    end: Name,
    /// How long it lived.
    lived_seconds: Seconds,
    /// `conforming`, `deviation`, `inconclusive`, `violation`.
    verdict: Name,
    /// The rule, deviation or cause behind it: `tcp-tracer explain RULE`.
    rule: Name,
    /// A habit of Linux that a conforming transition shows.
    noted: Name,
    /// Why a socket went to CLOSE.
    cause: Name,
    /// SND.UNA.
    snd_una: U32,
    /// SND.NXT.
    snd_nxt: U32,
    /// The end of what is queued.
    write_seq: U32,
    /// RCV.NXT.
    rcv_nxt: U32,
    /// What the user has read.
    copied_seq: U32,
    /// Smoothed round-trip time, microseconds.
    srtt_us: U32,
    /// Retransmissions so far.
    retransmits: U32,
    /// Who worked on the socket: `task`, `softirq`.
    context: Name,
    /// What `sk_err` stands for.
    sk_err: Name,
    /// What `sk_err_soft` stands for.
    sk_err_soft: Name,
    /// SEND_SHUTDOWN.
    send_shutdown: Flag,
    /// RCV_SHUTDOWN.
    receive_shutdown: Flag,
    /// SOCK_DEAD.
    dead: Flag,
    /// SOCK_DONE.
    done: Flag,
    /// A file refers to it.
    has_user_socket: Flag,
    /// A subflow of MPTCP.
    is_mptcp: Flag,
    /// Fast Open under way.
    fast_open: Flag,
}

/// The sink of `convert`.
#[derive(Debug)]
pub struct Rows {
    output: Output,
    anchor: Anchor,
    kernel: Kernel,
    release: String,
    stream: String,
    failure: Option<RowError>,
    troubles: Vec<Trouble>,
    written: u64,
}

#[derive(Debug)]
enum Output {
    Jsonl(Lines),
    Parquet(Box<Table>),
}

/// What came of it.
#[derive(Debug)]
pub struct Converted {
    /// Rows in the file.
    pub rows: u64,
    /// What is missing.
    pub troubles: Vec<Trouble>,
}

impl Rows {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// [`RowError`] when it cannot be made.
    pub fn create(path: &Path, format: Format) -> Result<Self, RowError> {
        let file = File::create(path)?;
        let output = match format {
            Format::Jsonl => Output::Jsonl(Lines::new(file)),
            Format::Parquet => Output::Parquet(Box::new(Table::new(file)?)),
        };
        Ok(Self {
            output,
            anchor: Anchor::default(),
            kernel: Kernel::default(),
            release: String::new(),
            stream: String::new(),
            failure: None,
            troubles: Vec::new(),
            written: 0,
        })
    }

    /// Writes the rest.
    ///
    /// # Errors
    ///
    /// [`RowError`] when the file could not be written, now or earlier.
    pub fn finish(self) -> Result<Converted, RowError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        match self.output {
            Output::Jsonl(lines) => lines.finish()?,
            Output::Parquet(table) => table.finish()?,
        }
        Ok(Converted { rows: self.written, troubles: self.troubles })
    }

    fn row(&self, finding: &Finding<'_>) -> Row {
        let step = finding.step;
        let event = step.event;
        let flow = step.has_socket().then(|| step.flow());
        let owner = step.connection.and_then(|connection| connection.owner.as_ref());
        let mut row = Row {
            timestamp: Some(WallTime(self.anchor.wall_ns_at(event.time))),
            time_ns: Some(event.time),
            stream: Some(self.stream.clone()),
            kernel: Some(self.release.clone()),
            kind: Some(step.kind.name()),
            hook: Some(event.hook.name()),
            cpu: Some(event.cpu),
            cookie: Some(event.socket.cookie),
            netns: Some(event.socket.netns),
            family: flow.map(|flow| flow.family.name()),
            local_address: flow.map(|flow| flow.local.ip().to_string()),
            local_port: flow.map(|flow| flow.local.port()),
            remote_address: flow.map(|flow| flow.remote.ip().to_string()),
            remote_port: flow.map(|flow| flow.remote.port()),
            pid: event.task.map(|task| task.pid),
            comm: event.task.as_ref().map(|task| task.name().into_owned()),
            owner_pid: owner.map(|task| task.pid),
            owner_comm: owner.map(Task::name).map(std::borrow::Cow::into_owned),
            ..Row::default()
        };
        if let Some(judgement) = &finding.judgement {
            row.verdict = Some(judgement.verdict.class());
            row.rule = Some(judgement.verdict.name());
            row.noted = judgement.noted.map(DeviationId::name);
            row.cause = judgement.cause.map(CloseCause::name);
        }
        self.fill(&mut row, finding);
        row
    }

    /// What belongs to the kind of step.
    fn fill(&self, row: &mut Row, finding: &Finding<'_>) {
        let seconds = |nanoseconds: u64| nanoseconds as f64 / 1e9;
        let event = finding.step.event;
        match finding.step.kind {
            StepKind::Transition { transition, ref evidence, spent, .. } => {
                row.from = Some(transition.from.name());
                row.to = Some(transition.to.name());
                row.spent_seconds = spent.map(seconds);
                if let What::Transition { srtt, .. } = event.what {
                    row.srtt_us = (srtt != 0).then_some(srtt);
                }
                row.evidence(evidence);
            }
            StepKind::Handshake { role, result, duration } => {
                row.role = Some(role.name());
                row.result = Some(result.name());
                row.duration_seconds = duration.ok().map(seconds);
                row.untimed = duration.err().map(Untimed::name);
            }
            StepKind::Reset { sent } => {
                row.direction = Some(if sent { "sent" } else { "received" });
                row.reason = stream::reset_reason(event, &self.kernel);
            }
            StepKind::RequestEnded { completed, lived } => {
                row.completed = Some(completed);
                row.lived_seconds = lived.map(seconds);
            }
            StepKind::TimewaitBegun { path, substate } => {
                row.to = Some(substate.name());
                row.path = path.map(TimewaitPath::name);
            }
            StepKind::TimewaitEnded { substate, cause, lived } => {
                row.from = Some(substate.name());
                row.to = Some(LinuxState::Close.name());
                row.end = Some(cause.name());
                row.lived_seconds = lived.map(seconds);
            }
            StepKind::SynRetransmit
            | StepKind::SynAckRetransmit
            | StepKind::RequestBegun
            | StepKind::TimewaitConverted
            | StepKind::TimewaitRestarted
            | StepKind::TimewaitSkipped
            | StepKind::Destroyed
            | StepKind::Duplicate => {}
        }
    }
}

impl Row {
    fn evidence(&mut self, evidence: &Evidence) {
        self.snd_una = Some(evidence.una);
        self.snd_nxt = Some(evidence.nxt);
        self.write_seq = Some(evidence.write_seq);
        self.rcv_nxt = Some(evidence.rcv_nxt);
        self.copied_seq = Some(evidence.copied_seq);
        self.retransmits = Some(evidence.retransmits);
        self.context = evidence.owner.map(|owner| match owner {
            Owner::User => "task",
            Owner::Softirq => "softirq",
        });
        self.sk_err = Some(error_name(evidence.error));
        self.sk_err_soft = Some(error_name(evidence.soft_error));
        self.send_shutdown = Some(evidence.send_shutdown);
        self.receive_shutdown = Some(evidence.receive_shutdown);
        self.dead = Some(evidence.dead);
        self.done = Some(evidence.done);
        self.has_user_socket = evidence.has_user_socket;
        self.is_mptcp = Some(evidence.is_mptcp);
        self.fast_open = evidence.fast_open;
    }
}

impl Audience for Rows {
    fn finding(&mut self, finding: &Finding<'_>) {
        if self.failure.is_some() {
            return;
        }
        let row = self.row(finding);
        let done = match &mut self.output {
            Output::Jsonl(lines) => lines.row(&row),
            Output::Parquet(table) => table.row(&row),
        };
        match done {
            Ok(()) => self.written += 1,
            Err(error) => self.failure = Some(error),
        }
    }

    fn malformed(&mut self, reason: &Malformed, _: Option<Hook>) {
        log::error!("a record cannot be read ({reason}); its event is lost");
    }
}

impl Listener for Rows {
    fn stream(&mut self, header: &Header) {
        self.anchor = header.begun;
        self.kernel = header.decoder();
        self.release.clone_from(&header.kernel.release);
        self.stream.clone_from(&header.stream);
    }

    fn entry(&mut self, entry: &Entry<'_>) {
        if let Entry::Anchor(anchor) = entry {
            self.anchor = *anchor;
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }
}
