//! `tcp-tracer explain`: what an id in a metric, a table or a record means, from the model's own tables.

use std::io;

use model::{
    EDGES, Inconclusive, Verdict,
    linux::{CloseCause, Code, Deviation, Seen, Standing, ViolationRule},
};

use super::text;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A rule, deviation, violation, cause or requirement, for example R7, fin-wait-2-timeout or MUST-13. Without
    /// one, all of them are listed.
    #[arg(value_name = "ID")]
    id: Option<String>,
}

/// Why nothing was explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// No table has it.
    #[error("there is no rule, deviation, violation, cause or requirement {id:?}{}; `tcp-tracer explain` lists all", suggestion(.nearest))]
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

fn suggestion(nearest: &[&str]) -> String {
    if nearest.is_empty() { String::new() } else { format!("; did you mean {}", nearest.join(" or ")) }
}

/// Prints what the user asked for.
///
/// # Errors
///
/// [`ExplainError::Unknown`] with the ids that look like the one typed.
pub fn run(args: &Args) -> Result<(), ExplainError> {
    let width = text::terminal_width().unwrap_or(100).clamp(60, 100);
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
    sentence: &'static str,
    /// What else is known: a title and a text.
    more: Vec<(&'static str, &'static str)>,
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
}

impl Kind {
    const ALL: [Self; 6] =
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
        }
    }
}

fn entries() -> Vec<Entry> {
    let entry =
        |id, kind, sentence| Entry { id, kind, sentence, more: vec![], requirement: None, clause: None };
    let codes = Code::ALL
        .iter()
        .map(|rule| Entry { clause: Some(rule.clause), ..entry(rule.name, Kind::Code, rule.sentence) });
    let edges = EDGES
        .iter()
        .map(|rule| Entry { clause: Some(rule.clause), ..entry(rule.id, Kind::Edge, rule.cause) });
    let deviations = Deviation::ALL.iter().map(|deviation| {
        let Deviation { id: _, name, standing, seen, clause, requirement, function, why, operator } =
            *deviation;
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
        Entry {
            more: vec![
                ("verdict", standing),
                ("seen in", seen),
                ("kernel", function),
                ("operator", operator),
            ],
            requirement,
            clause: Some(clause),
            ..entry(name, Kind::Deviation, why)
        }
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
             --ring-bytes helps against the first; tcptracer_events_total says which it was."
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
    if !found.is_empty() {
        return Ok(found.into_iter().map(|entry| entry.page(width)).collect::<Vec<_>>().join("\n"));
    }
    let required: Vec<_> = entries.iter().filter(|entry| entry.requires(typed)).collect();
    if required.is_empty() {
        return Err(ExplainError::Unknown { id: typed.to_owned(), nearest: nearest(entries, typed) });
    }
    let mut page =
        format!("{}: a requirement of RFC 9293; here it decides about\n\n", typed.to_ascii_uppercase());
    for entry in required {
        page.push_str(&entry.page(width));
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    Ok(page)
}

/// Ids are compared without case, and `_` is as good as `-`.
fn plain(id: &str) -> String {
    id.trim().to_ascii_lowercase().replace('_', "-")
}

fn nearest(entries: &[Entry], typed: &str) -> Vec<&'static str> {
    let typed = plain(typed);
    let ids = entries.iter().flat_map(|entry| std::iter::once(entry.id).chain(entry.requirement));
    let mut scored: Vec<_> = ids
        .map(|id| {
            let within = typed.len() >= 3 && plain(id).contains(&typed);
            (if within { 1.0 } else { strsim::jaro_winkler(&plain(id), &typed) }, id)
        })
        .filter(|(score, _)| *score > 0.8)
        .collect();
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let mut nearest: Vec<&'static str> = Vec::new();
    for (_, id) in scored {
        if !nearest.contains(&id) && nearest.len() < 3 {
            nearest.push(id);
        }
    }
    nearest
}

impl Entry {
    /// True when this requirement stands behind it.
    fn requires(&self, requirement: &str) -> bool {
        let wanted = requirement.trim().to_ascii_uppercase();
        let in_clause = self.clause.into_iter().flat_map(|clause| clause.split("; "));
        wanted.contains('-')
            && wanted.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && self.requirement.into_iter().chain(in_clause).any(|known| known == wanted)
    }

    fn page(&self, width: usize) -> String {
        let mut page = format!("{}: {}\n", self.id, self.kind.names().1);
        let title = if self.kind == Kind::Deviation { "why" } else { "meaning" };
        let clause = self.clause.map(|clause| ("clause", clause));
        let requirement = self.requirement.map(|requirement| ("requirement", requirement));
        let rows = [Some((title, self.sentence)), clause, requirement];
        for (title, text) in rows.into_iter().flatten().chain(self.more.iter().copied()) {
            page.push_str(&format!("  {title:<12}"));
            text::wrap(&mut page, text, 14, width);
        }
        page
    }
}

fn list(entries: &[Entry], width: usize) -> String {
    let mut page = String::new();
    for kind in Kind::ALL {
        page.push_str(&format!("{}\n", kind.names().0));
        let of_kind: Vec<_> = entries.iter().filter(|entry| entry.kind == kind).collect();
        let widest = of_kind.iter().map(|entry| entry.id.len()).max().unwrap_or(0);
        for entry in of_kind {
            // The rest of a long text is what `explain ID` is for.
            let first = entry.sentence.split_inclusive(". ").next().unwrap_or(entry.sentence);
            page.push_str(&format!("  {:<widest$}  ", entry.id));
            text::wrap(&mut page, first, widest + 4, width);
        }
        page.push('\n');
    }
    page.push_str(&format!("Verdicts: {}\n", Verdict::CLASSES.join(", ")));
    page
}

#[cfg(test)]
mod tests {
    use super::{Entry, ExplainError, entries, explain, list};

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
    fn case_and_dashes_do_not_matter() {
        assert_eq!(page("r7"), page("R7"));
        assert_eq!(page("FIN_WAIT_2_TIMEOUT"), page("fin-wait-2-timeout"));
    }

    #[test]
    fn every_id_has_a_page_and_is_listed() {
        let entries = entries();
        let list = list(&entries, 100);
        for Entry { id, sentence, .. } in &entries {
            let page = page(id);
            let first = sentence.split_ascii_whitespace().next().unwrap();
            assert!(page.contains(&format!("{id}: ")) && page.contains(first), "{id}");
            assert!(list.contains(&format!("  {id} ")), "{id}");
        }
    }

    #[test]
    fn a_requirement_leads_to_what_it_decides() {
        let page = page("must-13");
        assert!(page.starts_with("MUST-13: a requirement of RFC 9293"), "{page}");
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
    fn a_requirement_that_nothing_here_decides_is_unknown() {
        assert!(explain(&entries(), "MUST-9", 100).is_err());
        assert!(explain(&entries(), "3.10.4", 100).is_err());
    }
}
