//! `tcp-tracer explain`: what an id in a metric, a table or a record means, from the model's own tables.

use std::{borrow::Cow, io};

use model::{
    EDGES, Inconclusive, Rule, State, Verdict,
    contradiction::{CONTRADICTIONS, Decision},
    linux::{CloseCause, Code, Deviation, Seen, Standing, ViolationRule},
    oracle::{DEPARTURES, Departure},
    profile::{LINUX_IN_DETAIL, Profile},
    requirement::REQUIREMENTS,
    story::{Story, What, stories},
};

use super::model::{place, switches};
use super::nearest::{nearest, plain, suggestion};
use super::text;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A rule, state, edge, deviation, violation, cause, requirement or switch, for example R7, seg-ss-6,
    /// fin-wait-2-timeout or MUST-13. Without one, what the agent reports is listed.
    #[arg(value_name = "ID")]
    id: Option<String>,
}

/// Why nothing was explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// No table has it.
    #[error("there is no rule, state, edge, deviation, violation, cause, requirement or switch {id:?}{}; `tcp-tracer explain` and `tcp-tracer model` list them", suggestion(.nearest))]
    Unknown {
        /// As typed.
        id: String,
        /// Ids that look like it.
        nearest: Vec<&'static str>,
    },
    /// Standard output.
    #[error("cannot write to standard output: {0}")]
    Write(#[from] io::Error),
}

/// Prints what the user asked for.
///
/// # Errors
///
/// [`ExplainError::Unknown`] with the ids that look like the one typed.
pub fn run(args: &Args) -> Result<(), ExplainError> {
    let width = text::page_width();
    let entries = entries();
    let page = match &args.id {
        None => list(&entries, width),
        Some(id) => explain(&entries, id, width)?,
    };
    Ok(text::print(&page)?)
}

/// Anything with an id.
struct Entry {
    id: &'static str,
    kind: Kind,
    /// What it means, first.
    sentence: Cow<'static, str>,
    /// What else is known: a title and a text.
    more: Vec<(&'static str, Cow<'static, str>)>,
    /// Requirement of RFC 9293.
    requirement: Option<&'static str>,
    /// Sections of RFC 9293; the model's clauses name requirements as well.
    clause: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Edge,
    Deviation,
    Violation,
    Cause,
    Inconclusive,
    State,
    Rule,
    Requirement,
    Switch,
    Contradiction,
}

impl Kind {
    /// What the agent's reports are made of; the rest is listed by `tcp-tracer model`.
    const REPORTED: [Self; 6] =
        [Self::Code, Self::Edge, Self::Deviation, Self::Violation, Self::Cause, Self::Inconclusive];

    /// The heading of the list, and what one of them is.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Code => {
                ("Rules: what a pair of Linux states stands for", "what a pair of Linux states stands for")
            }
            Self::Edge => {
                ("Edges of the state diagram of RFC 9293", "an edge of the state diagram of RFC 9293")
            }
            Self::Deviation => ("Deviations of Linux from RFC 9293", "a deviation of Linux from RFC 9293"),
            Self::Violation => ("Violations", "a violation, when it is broken"),
            Self::Cause => ("Causes of a close", "a cause of a close"),
            Self::Inconclusive => ("Why a transition is inconclusive", "a reason for no verdict"),
            Self::State => ("States", "a state of RFC 9293"),
            Self::Rule => ("Rules of the machine", "a rule of the machine"),
            Self::Requirement => ("Requirements of RFC 9293", "a requirement of RFC 9293"),
            Self::Switch => ("Switches of profiles", "a switch of the profiles"),
            Self::Contradiction => ("Contradictions", "where RFC 9293 contradicts itself or is silent"),
        }
    }
}

fn entries() -> Vec<Entry> {
    reported().into_iter().chain(reference()).collect()
}

fn entry(id: &'static str, kind: Kind, sentence: impl Into<Cow<'static, str>>) -> Entry {
    Entry { id, kind, sentence: sentence.into(), more: vec![], requirement: None, clause: None }
}

/// What the model itself consists of.
fn reference() -> Vec<Entry> {
    let states = State::ALL.into_iter().map(|state| {
        let next: Vec<_> = EDGES.iter().filter(|rule| rule.edge.from == state).map(|rule| rule.id).collect();
        Entry {
            more: vec![("edges", next.join(", ").into())],
            ..entry(state.name(), Kind::State, state.sentence())
        }
    });
    let rules = Rule::ALL
        .into_iter()
        .map(|rule| Entry { clause: Some(rule.clause()), ..entry(rule.id(), Kind::Rule, rule.sentence()) });
    let requirements = REQUIREMENTS.iter().map(|requirement| {
        let places: Vec<_> = requirement.seen.iter().map(|class| place(*class)).collect();
        let time = if requirement.timed { ", with the time" } else { "" };
        let seen = if places.is_empty() { "nothing".to_owned() } else { places.join(", ") };
        Entry {
            more: vec![("seen in", format!("{seen}{time}").into())],
            clause: Some(requirement.clause),
            ..entry(requirement.id, Kind::Requirement, requirement.sentence)
        }
    });
    let [first, ..] = Profile::ALL;
    let switches = switches(&first).into_iter().enumerate().map(|(at, switch)| {
        let of =
            |profile: &Profile| Some(format!("{} in {}", switches(profile).get(at)?.value, profile.name));
        // What only audits meet has a profile of its own.
        let values: Vec<_> = Profile::ALL.iter().chain([&LINUX_IN_DETAIL]).filter_map(of).collect();
        let linux = DEPARTURES
            .iter()
            .filter(|departure| departs(departure, switch.name))
            .find_map(|departure| departure.linux);
        let settles =
            switch.contradiction().map(|number| ("settles", format!("contradiction {number}").into()));
        let mut more = vec![("values", values.join(", ").into())];
        more.extend(linux.map(|id| ("deviation", id.name().into())));
        more.extend(settles);
        Entry { more, ..entry(switch.name, Kind::Switch, switch.meaning) }
    });
    let contradictions = CONTRADICTIONS.iter().map(|contradiction| {
        let (title, decision) = match contradiction.decision {
            Decision::Switch(names, _) => ("switch", names),
            Decision::Always(why) => ("decision", why),
        };
        let more = vec![("but", contradiction.other.into()), (title, decision.into())];
        let id = CONTRADICTION_IDS.get(usize::from(contradiction.number)).copied().unwrap_or_default();
        Entry { more, ..entry(id, Kind::Contradiction, contradiction.one) }
    });
    states.chain(rules).chain(requirements).chain(switches).chain(contradictions).collect()
}

/// True when this departure turns the switch.
fn departs(departure: &Departure, switch: &str) -> bool {
    departure.name.split([':', ',']).any(|name| name.trim() == switch)
}

/// By number; there is none with the number 0.
const CONTRADICTION_IDS: [&str; CONTRADICTIONS.len() + 1] = [
    "",
    "contradiction-1",
    "contradiction-2",
    "contradiction-3",
    "contradiction-4",
    "contradiction-5",
    "contradiction-6",
    "contradiction-7",
    "contradiction-8",
    "contradiction-9",
    "contradiction-10",
    "contradiction-11",
    "contradiction-12",
    "contradiction-13",
    "contradiction-14",
    "contradiction-15",
    "contradiction-16",
    "contradiction-17",
    "contradiction-18",
    "contradiction-19",
    "contradiction-20",
    "contradiction-21",
    "contradiction-22",
];

/// What appears in the agent's reports.
fn reported() -> Vec<Entry> {
    let codes = Code::ALL
        .iter()
        .map(|rule| Entry { clause: Some(rule.clause), ..entry(rule.name, Kind::Code, rule.sentence) });
    let edges = EDGES
        .iter()
        .map(|rule| Entry { clause: Some(rule.clause), ..entry(rule.id, Kind::Edge, rule.cause) });
    let deviations = Deviation::ALL.iter().map(|deviation| {
        let Deviation { id, name, standing, seen, clause, requirement, function, why, operator } = *deviation;
        let standing = match standing {
            Standing::Departs => "deviation: the RFC asks for something else",
            Standing::Permitted => "conforming: the RFC leaves room for it, it is only noted",
        };
        let seen = match seen {
            Seen::Transition => "a socket's transition and its fields",
            Seen::TimeWait => "the life of a TIME_WAIT minisocket",
            Seen::Handshake => "the life of a half-open request, or the time that a handshake took",
            Seen::Wire => "segments or results of system calls only, which the agent does not watch",
        };
        let switches: Vec<_> = DEPARTURES
            .iter()
            .filter(|departure| departure.linux == Some(id))
            .map(|departure| departure.name)
            .collect();
        let mut more = vec![
            ("verdict", standing.into()),
            ("seen in", seen.into()),
            ("kernel", function.into()),
            ("operator", operator.into()),
        ];
        if !switches.is_empty() {
            more.push(("switch", switches.join(", ").into()));
        }
        Entry { more, requirement, clause: Some(clause), ..entry(name, Kind::Deviation, why) }
    });
    let violations = ViolationRule::ALL
        .iter()
        .map(|rule| Entry { clause: Some(rule.clause), ..entry(rule.name, Kind::Violation, rule.sentence) });
    let causes = CloseCause::ALL.into_iter().map(|cause| entry(cause.name(), Kind::Cause, cause.sentence()));
    let inconclusive =
        Inconclusive::ALL.into_iter().map(|cause| entry(cause.name(), Kind::Inconclusive, missing(cause)));
    codes.chain(edges).chain(deviations).chain(violations).chain(causes).chain(inconclusive).collect()
}

const fn missing(cause: Inconclusive) -> &'static str {
    match cause {
        Inconclusive::LostEvent => {
            "A record of this socket is missing: the ring was full, or the kernel skipped a nested event. A larger \
             --ring-bytes helps against the first; tcptracer_events_total says which it was. A listing of what exists sets the books right after a loss."
        }
        Inconclusive::Adopted => {
            "The socket was there before the agent and this is its first transition, so what led to it is unknown. \
             Sockets that are opened later are judged in full."
        }
        Inconclusive::MissingHook => {
            "The hook that would tell is not attached; `tcp-tracer doctor` says which ones are missing, and why."
        }
        Inconclusive::TableFull => {
            "The agent follows as many sockets as its table holds, and this one had no room; a larger table helps."
        }
        Inconclusive::Unclassified => {
            "Everything was seen, and no known cause fits. Please report such transitions with the JSON line of \
             `tcp-tracer watch --verdict inconclusive --output json`."
        }
    }
}

fn explain(entries: &[Entry], typed: &str, width: usize) -> Result<String, ExplainError> {
    let found: Vec<_> = entries.iter().filter(|entry| plain(entry.id) == plain(typed)).collect();
    if found.is_empty() {
        let ids = entries.iter().map(|entry| entry.id);
        return Err(ExplainError::Unknown { id: typed.to_owned(), nearest: nearest(ids, typed) });
    }
    let mut page = found.iter().map(|entry| entry.page(width)).collect::<Vec<_>>().join("\n");
    let decided: Vec<_> = entries.iter().filter(|entry| entry.requires(typed)).collect();
    if !decided.is_empty() {
        page.push_str("\nIt decides about\n\n");
        page += &decided.iter().map(|entry| entry.page(width)).collect::<Vec<_>>().join("\n");
    }
    Ok(page)
}

impl Entry {
    /// True when this requirement stands behind it.
    fn requires(&self, requirement: &str) -> bool {
        let wanted = requirement.trim().to_ascii_uppercase();
        // `3.8.3 (MUST-20, MUST-22)` names two.
        let apart = |letter: char| !letter.is_ascii_alphanumeric() && letter != '-';
        let in_clause = self.clause.into_iter().flat_map(|clause| clause.split(apart));
        ["MUST-", "SHLD-", "MAY-", "REC-"].iter().any(|strength| wanted.starts_with(strength))
            && self.requirement.into_iter().chain(in_clause).any(|known| known == wanted)
    }

    fn page(&self, width: usize) -> String {
        let mut page = format!("{}: {}\n", self.id, self.kind.names().1);
        let title = if self.kind == Kind::Deviation { "why" } else { "meaning" };
        let clause = self.clause.map(|clause| ("clause", clause));
        let requirement = self.requirement.map(|requirement| ("requirement", requirement));
        let rows = [Some((title, &*self.sentence)), clause, requirement];
        let more = self.more.iter().map(|(title, text)| (*title, &**text));
        let told = self.stories();
        let told = (!told.is_empty()).then_some(("stories", &*told));
        for (title, text) in rows.into_iter().flatten().chain(more).chain(told) {
            page.push_str(&format!("  {title:<12}"));
            text::wrap(&mut page, text, 14, width);
        }
        page
    }

    /// The stories in which a rule of the machine is taken, the first few.
    fn stories(&self) -> String {
        let rule = if self.kind == Kind::Rule { Rule::from_id(self.id) } else { None };
        let Some(rule) = rule else { return String::new() };
        let takes = |story: &Story| {
            story.play().log.iter().any(|entry| match &entry.what {
                What::Call(_, _, trail) | What::Arrived(_, trail) | What::Expired(_, trail) => {
                    trail.contains(rule)
                }
                _ => false,
            })
        };
        let names: Vec<_> = stories().iter().filter(|story| takes(story)).map(|story| story.name).collect();
        match names.get(..SHOWN_STORIES) {
            Some(first) if names.len() > SHOWN_STORIES => {
                format!("{} and {} more", first.join(", "), names.len() - SHOWN_STORIES)
            }
            _ => names.join(", "),
        }
    }
}

/// How many stories a page names.
const SHOWN_STORIES: usize = 5;

fn list(entries: &[Entry], width: usize) -> String {
    let mut page = String::new();
    for kind in Kind::REPORTED {
        page.push_str(&format!("{}\n", kind.names().0));
        let of_kind: Vec<_> = entries.iter().filter(|entry| entry.kind == kind).collect();
        let widest = of_kind.iter().map(|entry| entry.id.len()).max().unwrap_or(0);
        for entry in of_kind {
            // The rest of a long text is what `explain ID` is for.
            let first = entry.sentence.split_inclusive(". ").next().unwrap_or(&entry.sentence);
            page.push_str(&format!("  {:<widest$}  ", entry.id));
            text::wrap(&mut page, first, widest + 4, width);
        }
        page.push('\n');
    }
    page.push_str(&format!("Verdicts: {}\n\n", Verdict::CLASSES.join(", ")));
    text::wrap(
        &mut page,
        "`tcp-tracer model states|rules|requirements|profiles|contradictions` lists what else can be explained.",
        0,
        width,
    );
    page
}

#[cfg(test)]
mod tests {
    use super::{Entry, ExplainError, Kind, entries, explain, list};

    fn page(id: &str) -> String {
        explain(&entries(), id, 100).unwrap()
    }

    fn nearest(id: &str) -> Vec<&'static str> {
        match explain(&entries(), id, 100) {
            Err(ExplainError::Unknown { nearest, .. }) => nearest,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_deviation_says_why_and_what_to_do() {
        let page = page("fin-wait-2-timeout");
        for part in ["a deviation of Linux", "3.10.7.4; 3.6", "tcp_keepalive_timer", "tcp_fin_timeout (60 s)"]
        {
            assert!(page.contains(part), "{part} in\n{page}");
        }
        assert!(page.lines().all(|line| line.len() <= 100), "{page}");
    }

    #[test]
    fn a_switch_and_the_deviation_that_it_stands_for_lead_to_each_other() {
        let words = |id| page(id).split_whitespace().collect::<Vec<_>>().join(" ");
        let switch = words("ackless_unanswered");
        for part in
            ["no in linux, ", "yes in linux-in-detail", "deviation ackless-unanswered", "tcp_rcv_established"]
        {
            assert!(switch.contains(part), "{part} in\n{switch}");
        }
        assert!(words("last-ack-fin-unsent").contains("switch last_ack_entry"));
        assert!(words("syn_in_syn_received").contains("deviation syn-resets-half-open"));
    }

    #[test]
    fn case_and_dashes_do_not_matter() {
        assert_eq!(page("r7"), page("R7"));
        assert_eq!(page("FIN_WAIT_2_TIMEOUT"), page("fin-wait-2-timeout"));
    }

    #[test]
    fn every_id_has_a_page_and_is_listed() {
        let entries = entries();
        let list = list(&entries, 100);
        for Entry { id, kind, sentence, .. } in &entries {
            let page = page(id);
            let first = sentence.split_ascii_whitespace().next().unwrap();
            assert!(page.contains(&format!("{id}: ")) && page.contains(first), "{id}");
            let listed = !Kind::REPORTED.contains(kind) || list.contains(&format!("  {id} "));
            assert!(listed && page.lines().all(|line| line.chars().count() <= 100), "{id}");
        }
    }

    #[test]
    fn a_requirement_leads_to_what_it_decides() {
        let page = page("must-13");
        assert!(page.starts_with("MUST-13: a requirement of RFC 9293\n"), "{page}");
        assert!(page.contains("C1: what a pair") && page.contains("time-wait-60s: a deviation"), "{page}");
        assert!(!page.contains("fin-wait-2-timeout:"), "{page}");
    }

    #[test]
    fn a_slip_of_the_finger_gets_a_hint() {
        assert_eq!(nearest("fin-wait-2-timout")[0], "fin-wait-2-timeout");
        assert!(nearest("unread").contains(&"unread-data-reset"));
        assert_eq!(nearest("xyzzy"), [""; 0]);
        let message = explain(&entries(), "ilegal-edge", 100).unwrap_err().to_string();
        assert!(
            message.contains("did you mean illegal-edge") && message.contains("tcp-tracer explain"),
            "{message}"
        );
    }

    #[test]
    fn a_requirement_that_nothing_here_decides_is_explained_all_the_same() {
        let page = page("MUST-9");
        assert!(page.contains("3.4.1") && !page.contains("It decides"), "{page}");
        assert!(explain(&entries(), "MUST-999", 100).is_err());
        assert!(explain(&entries(), "3.10.4", 100).is_err());
    }

    #[test]
    fn a_rule_of_the_machine_names_the_stories_that_take_it() {
        let page = page("seq-2t");
        assert!(page.starts_with("seq-2t: a rule of the machine"), "{page}");
        assert!(page.contains("stories     ") && page.contains("last-ack-lost"), "{page}");
        assert!(explain(&entries(), "ack-2", 100).unwrap().contains(" more\n"));
    }

    #[test]
    fn switches_and_contradictions_lead_to_each_other() {
        assert!(page("rfc1337").contains("no in rfc9293-literal"), "{}", page("rfc1337"));
        let switch = page("fin_again_restarts");
        assert!(switch.contains("contradiction 7") && switch.contains("yes in linux"), "{switch}");
        assert!(page("contradiction-7").contains("fin_again_restarts, time_wait_ack"));
        assert!(page("TIME-WAIT").contains("time-wait-to-syn-received"));
    }
}
