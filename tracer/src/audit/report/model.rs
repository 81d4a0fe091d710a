//! The data model of an audit's result.
//!
//! `report.json` is this, as it stands: field names are snake_case, enums are their names, times are microseconds since
//! the scenario (or conversation) began unless the name says otherwise. [`VERSION`] changes whenever a reader of an
//! older file could be misled; new fields alone do not change it, and readers fill them with their defaults.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of this data model.
pub const VERSION: u32 = 1;

/// Everything that an audit found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`] of the writer.
    pub version: u32,
    /// The version of tcp-tracer that wrote it.
    pub tool: String,
    /// The kernel that was audited.
    pub kernel: Kernel,
    /// When it began, RFC 3339.
    pub started: String,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// What was asked for.
    pub settings: Settings,
    /// The TCP settings that the scenarios started from, by name with dots (`net.ipv4.tcp_fin_timeout`).
    pub sysctls: BTreeMap<String, String>,
    /// The whole in one value.
    pub outcome: Outcome,
    /// The 119 requirements, in the order of RFC 9293, appendix B.
    pub requirements: Vec<Requirement>,
    /// The deviations that were found, each once.
    pub deviations: Vec<Deviation>,
    /// What neither RFC 9293 nor a known deviation explains. An audit that passes has none.
    pub findings: Vec<Finding>,
    /// Each scenario, once per address family.
    pub scenarios: Vec<Scenario>,
    /// The matrix of states and segments, when it ran.
    pub matrix: Option<Matrix>,
    /// The random conversations, when they ran.
    pub random: Option<Random>,
}

/// The kernel that was audited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// `uname -v`.
    pub version: String,
    /// `uname -m`.
    pub machine: String,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The long scenarios were left out.
    pub quick: bool,
    /// The seed of everything that is random.
    pub seed: u64,
    /// Scenarios side by side.
    pub jobs: usize,
    /// Only scenarios whose id contains one of these; empty: all.
    pub only: Vec<String>,
    /// Files of scenarios that were played instead of those that come along, as they were given.
    #[serde(default)]
    pub files: Vec<String>,
}

/// How something ended, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As RFC 9293 wants it.
    Pass,
    /// With deviations that are known by name.
    Deviation,
    /// There is no verdict: something was lost (records, packets, time), or what differed did not when it was played again.
    Inconclusive,
    /// Otherwise: a finding.
    Fail,
    /// The audit itself could not do it.
    Error,
}

/// The address family of a scenario or cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// The verdict on one requirement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// For example `MUST-13`; clause and sentence are in `model::requirement::REQUIREMENTS`.
    pub id: String,
    /// The section of RFC 9293.
    pub clause: String,
    /// What it asks for.
    pub sentence: String,
    /// The verdict.
    pub verdict: RequirementVerdict,
    /// Why, in one sentence: for a deviation its explanation, for what is not observable the reason.
    pub reason: String,
    /// What decided it. Empty for what is not observable or not applicable.
    pub evidence: Vec<Evidence>,
}

/// The verdicts on a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequirementVerdict {
    /// Every step that decides it passed.
    Pass,
    /// A known deviation was seen.
    Deviation,
    /// A step that decides it failed.
    Fail,
    /// The steps that decide it did not run, or were inconclusive: `--quick`, `--only`, a loss.
    NotRun,
    /// It cannot be seen from outside the kernel, and `reason` says why.
    NotObservable,
    /// It speaks to applications, or of an option that this kernel need not have.
    NotApplicable,
}

/// A step of a scenario that decided a requirement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// [`Scenario::id`].
    pub scenario: String,
    /// In which family.
    pub family: Family,
    /// The line of the scenario's text, from 1.
    pub line: u32,
    /// How that step ended.
    pub outcome: Outcome,
    /// What was seen there.
    pub seen: String,
}

/// A deviation that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deviation {
    /// The name in `model::linux::Deviation::ALL` (`tcp-tracer explain NAME`).
    pub name: String,
    /// The clause departed from.
    pub clause: String,
    /// The requirement departed from, where there is one.
    pub requirement: Option<String>,
    /// True: the RFC leaves room for it, so that it is noted only.
    pub permitted: bool,
    /// What happens and why.
    pub why: String,
    /// What an operator can do.
    pub operator: String,
    /// The kernel function that does it.
    pub function: String,
    /// Where it was seen: `scenario-id/family:line`, `matrix`, `random`.
    pub seen_in: Vec<String>,
}

/// Something that nothing explains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Where: `scenario-id/family:line`, `matrix STATE FLAGS seq ack text/family`, `random SEED/family`.
    pub place: String,
    /// What was expected.
    pub expected: String,
    /// What was seen.
    pub seen: String,
    /// The rules of the model that speak of it, `-` for none.
    pub rules: String,
}

/// One run of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Folder and file name without ending, for example `open/handshake-client`.
    pub id: String,
    /// One line.
    pub title: String,
    /// The sections that it is about.
    pub clause: String,
    /// The group: the id's folder.
    pub group: String,
    /// In which family.
    pub family: Family,
    /// Its text.
    pub source: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong, for `Fail`, `Inconclusive` and `Error`.
    pub problem: Option<Problem>,
    /// Names of the deviations that it showed.
    pub deviations: Vec<String>,
    /// The requirements that its steps decided: id, line, outcome.
    pub decided: Vec<Decided>,
    /// How long it took, microseconds.
    pub duration: u64,
    /// Everything that happened, in the order of time.
    pub ladder: Vec<Entry>,
}

impl Scenario {
    /// A line of its text, from 1; none for a line that it has not.
    #[must_use]
    pub fn line(&self, number: u32) -> Option<&str> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.source.lines().nth(index).map(str::trim)
    }
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The line of the scenario's text; none when the oracle objects.
    pub line: Option<u32>,
    /// What was expected.
    pub expected: String,
    /// What was seen.
    pub seen: String,
}

/// A requirement that a step decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// The requirement's id.
    pub requirement: String,
    /// The line of the step.
    pub line: u32,
    /// How the step ended.
    pub outcome: Outcome,
    /// The deviation that explains it.
    pub deviation: Option<String>,
    /// What was seen.
    pub seen: String,
}

/// One thing that happened: a rung of the ladder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, microseconds since the scenario began.
    pub at: u64,
    /// Nanoseconds since 1970, for captures.
    pub wall: u64,
    /// The connection's name in the scenario; the first one is `main`.
    pub connection: String,
    /// The line of the scenario that made it or waited for it.
    pub line: Option<u32>,
    /// The kernel's state after it, in the RFC's words (`SYN-SENT`).
    pub kernel_state: String,
    /// The peer's state after it, as far as a peer that may lie has one.
    pub peer_state: Option<String>,
    /// What.
    pub what: What,
    /// What the oracle says of it under the profile `linux`; none for what it does not judge.
    pub verdict: Option<Verdict>,
    /// Departures from the RFC's own profile that it shows, as the oracle names them.
    pub departures: Vec<String>,
}

/// The kinds of things that happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum What {
    /// A segment on the wire.
    Segment(Segment),
    /// The kernel's user called, or the peer was told to.
    Call {
        /// For example `connect`, `send 100`.
        call: String,
        /// What came back: `ok`, `100`, `EOF`, `ECONNREFUSED`.
        result: String,
    },
    /// The kernel's socket changed its state.
    Transition {
        /// The state that was left, in the RFC's words.
        from: String,
        /// The state that was entered.
        to: String,
        /// What showed it: `tracepoint`, `request`, `minisocket`, `listing`.
        source: String,
    },
    /// An ICMP message to the kernel.
    Icmp {
        /// For example `host unreachable`.
        message: String,
        /// The packet, base64.
        packet: String,
    },
    /// A remark: a setting changed, a wait, what was found.
    Note {
        /// One line.
        text: String,
    },
}

/// A segment on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// True: the kernel sent it.
    pub from_kernel: bool,
    /// `SYN,ACK`.
    pub flags: String,
    /// Sequence number, relative to its sender's ISS where that is known.
    pub seq: i64,
    /// Acknowledgment number, relative to the other side's ISS; none without ACK.
    pub ack: Option<i64>,
    /// Octets of text.
    pub len: u32,
    /// The window field, unscaled.
    pub window: u16,
    /// The urgent pointer; none without URG.
    pub urgent: Option<u16>,
    /// Options in words, for example `mss 1460, wscale 7`.
    pub options: String,
    /// What a peer did to it: `lost`, `bad checksum`, `duplicate`.
    pub mischief: Option<String>,
    /// The whole IP packet, base64.
    pub packet: String,
}

/// What the oracle says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// `conforming`, `deviation`, `violation` or `inconclusive`.
    pub class: String,
    /// The rules taken, departures, or what does not fit.
    pub text: String,
}

/// The matrix: for each state, each segment that may arrive in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matrix {
    /// The states to start from, in the RFC's words.
    pub states: Vec<String>,
    /// The flag sets.
    pub flags: Vec<String>,
    /// Where the segment begins, relative to RCV.NXT and the window.
    pub seqs: Vec<String>,
    /// What it acknowledges, relative to SND.UNA and SND.NXT.
    pub acks: Vec<String>,
    /// How much text it carries.
    pub texts: Vec<u32>,
    /// What can come of a cell; cells point here.
    pub answers: Vec<Answer>,
    /// One grid per family: for each state, flag set, seq, ack and text (the last one moving fastest) the place in
    /// `answers`; none for a cell that cannot be reached or did not run.
    pub grids: Vec<Grid>,
}

/// The cells of one family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    /// Which.
    pub family: Family,
    /// See [`Matrix::grids`].
    pub cells: Vec<Option<u32>>,
}

/// What came of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Answer {
    /// How it ended.
    pub outcome: Outcome,
    /// What the kernel sent, for example `ACK`, `RST`, `-` for nothing.
    pub sent: String,
    /// The state after it, in the RFC's words.
    pub state: String,
    /// What the model says, for a cell that did not pass: departures, or what was expected.
    pub note: String,
}

/// The random conversations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Random {
    /// The seed of the first one; the others count up from it.
    pub seed: u64,
    /// How many ran.
    pub conversations: u64,
    /// Observations that the oracle judged in them.
    pub observations: u64,
    /// Conversations without a verdict: events were lost, or what differed did not when it was played again.
    pub inconclusive: u64,
    /// Which these are.
    #[serde(default)]
    pub undecided: Vec<Undecided>,
    /// How long they took, milliseconds.
    #[serde(default)]
    pub duration_ms: u64,
    /// The transitions that were seen (`ESTABLISHED>CLOSE-WAIT`) and how often.
    pub transitions: BTreeMap<String, u64>,
    /// Conversations in which something differs, shrunk.
    pub differences: Vec<Conversation>,
}

/// A conversation without a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecided {
    /// Its seed.
    pub seed: u64,
    /// Why.
    pub why: String,
}

/// A conversation in which something differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// The seed that makes the unshrunk one (`--random 1 --seed SEED`).
    pub seed: u64,
    /// In which family.
    pub family: Family,
    /// The shortest scenario that still differs, as scenario text.
    pub source: String,
    /// What differs.
    pub problem: Problem,
    /// What happened in it.
    pub ladder: Vec<Entry>,
}
