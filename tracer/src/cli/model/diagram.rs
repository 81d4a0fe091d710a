//! State diagrams, generated from the model's tables, for Graphviz and Mermaid.

use model::linux::{Code, LinuxState, PAIRS};
use model::story::{Side, Story};
use model::{EDGES, Edge, EdgeRule, State, edge};

/// The language of a diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Graphviz.
    Dot,
    /// Mermaid, which code hosts draw inside Markdown.
    Mermaid,
}

/// How an arrow is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stroke {
    /// The way of a connection that opens, works and closes in order.
    Usual,
    Plain,
    /// Ends by reset, abort and timeout, and what one segment does in two steps.
    Rare,
}

struct Arrow {
    from: &'static str,
    to: &'static str,
    label: Vec<String>,
    stroke: Stroke,
}

/// CLOSED below, where connections end: drawn twice, as in figure 5, so that few arrows run upwards.
const END: &str = "CLOSED_AGAIN";

/// The diagram of RFC 9293: every edge, with what causes it.
pub fn rfc(language: Language) -> String {
    let usual = usual_edges();
    let arrow = |rule: &EdgeRule| {
        let Edge { from, to } = rule.edge;
        let upwards = matches!(from, State::Listen | State::SynSent);
        let stroke = if usual.contains(&rule.edge) {
            Stroke::Usual
        } else if !rule.atomic || breaks_off(rule.edge) {
            Stroke::Rare
        } else {
            Stroke::Plain
        };
        Arrow {
            from: from.name(),
            to: if to == State::Closed && !upwards { END } else { to.name() },
            label: vec![rule.label.to_owned()],
            stroke,
        }
    };
    let mut nodes: Vec<_> = State::ALL.map(|state| (state.name(), state.name())).to_vec();
    nodes.push((END, State::Closed.name()));
    draw(language, "rfc9293", &nodes, &EDGES.iter().map(arrow).collect::<Vec<_>>())
}

/// What Linux announces of its sockets: every pair of states, with what it may stand for.
pub fn linux(language: Language) -> String {
    let states = LinuxState::ALL.into_iter();
    let shown = |state: &LinuxState| {
        PAIRS.iter().any(|pair| pair.transition.from == *state || pair.transition.to == *state)
    };
    let mut nodes: Vec<_> = states.filter(shown).map(|state| (state.name(), state.name())).collect();
    nodes.push((END, LinuxState::Close.name()));
    let usual = usual_edges();
    let arrow = |pair: &model::linux::Pair| {
        let (from, to) = (pair.transition.from, pair.transition.to);
        let rfc = Edge::new(from.rfc(), to.rfc());
        let upwards = matches!(from, LinuxState::Listen | LinuxState::SynSent | LinuxState::Close);
        let into_time_wait = from == LinuxState::FinWait2 && pair.codes.contains(&Code::C1);
        let stroke = if usual.contains(&rfc) || into_time_wait {
            Stroke::Usual
        } else if from == to || breaks_off(rfc) {
            Stroke::Rare
        } else {
            Stroke::Plain
        };
        Arrow {
            from: from.name(),
            to: if to == LinuxState::Close && !upwards { END } else { to.name() },
            label: pair.codes.iter().map(|code| format!("{code}: {}", short(*code, rfc))).collect(),
            stroke,
        }
    };
    draw(language, "linux", &nodes, &PAIRS.iter().map(arrow).collect::<Vec<_>>())
}

/// The edges that both ends of a connection take when the client opens, and one of them closes first.
fn usual_edges() -> Vec<Edge> {
    let Some(story) = Story::find("two-msl") else { return Vec::new() };
    let pair = story.play();
    let paths = [Side::A, Side::B].map(|side| pair.path(side));
    paths
        .iter()
        .flat_map(|path| path.windows(2))
        .filter_map(|step| match *step {
            [from, to] => Some(Edge::new(from, to)),
            _ => None,
        })
        .collect()
}

/// True for the ends that nobody wished for.
fn breaks_off(edge: Edge) -> bool {
    let orderly = matches!(edge.from, State::Listen | State::LastAck | State::TimeWait);
    (edge.to == State::Closed && !orderly) || edge == Edge::new(State::SynReceived, State::Listen)
}

/// A code in a few words.
fn short(code: Code, rfc: Edge) -> &'static str {
    match code {
        Code::C1 => "goes on in TIME-WAIT, as a minisocket",
        Code::C2 => "goes on in FIN-WAIT-2, as a minisocket",
        Code::C3 => "listener's child dropped",
        Code::C4 => "listener's child born",
        Code::C5 => "listen() failed",
        Code::D1 => "ICMP error",
        Code::D2 => "orphan ended by the system",
        Code::D3 => "FIN-WAIT-2 or TIME-WAIT cut short",
        Code::D4 => "ABORT again",
        Code::S => "close() after shutdown()",
        Code::R2 => "RST, ABORT or timeout",
        Code::R15 => "ACK of FIN arrives",
        _ => edge(rfc.from, rfc.to).map_or("", |rule| rule.label),
    }
}

fn draw(language: Language, name: &str, nodes: &[(&str, &str)], arrows: &[Arrow]) -> String {
    match language {
        Language::Dot => dot(name, nodes, arrows),
        Language::Mermaid => mermaid(nodes, arrows),
    }
}

fn dot(name: &str, nodes: &[(&str, &str)], arrows: &[Arrow]) -> String {
    let mut page = format!("digraph {name} {{\n");
    page += "    node [shape=box, style=rounded, fontname=\"sans-serif\"];\n";
    page += "    edge [fontname=\"sans-serif\", fontsize=10];\n";
    for (id, label) in nodes {
        page += &format!("    \"{id}\" [label=\"{label}\"];\n");
    }
    for Arrow { from, to, label, stroke } in arrows {
        let style = match stroke {
            Stroke::Usual => ", penwidth=2.5",
            Stroke::Plain => "",
            Stroke::Rare => ", style=dashed, color=gray40",
        };
        page += &format!("    \"{from}\" -> \"{to}\" [label=\"{}\"{style}];\n", label.join("\\n"));
    }
    page + "}\n"
}

fn mermaid(nodes: &[(&str, &str)], arrows: &[Arrow]) -> String {
    // A hyphen in an id could be read as part of an arrow.
    let id = |name: &str| name.replace('-', "_");
    let mut page = "flowchart TD\n".to_owned();
    for (name, label) in nodes {
        page += &format!("    {}([\"{label}\"])\n", id(name));
    }
    for Arrow { from, to, label, stroke } in arrows {
        let arrow = match stroke {
            Stroke::Usual => "==>",
            Stroke::Plain => "-->",
            Stroke::Rare => "-.->",
        };
        page += &format!("    {} {arrow}|\"{}\"| {}\n", id(from), label.join("<br>"), id(to));
    }
    page
}

#[cfg(test)]
mod tests {
    use model::linux::PAIRS;
    use model::{EDGES, State};

    use super::{Language, linux, rfc, usual_edges};

    #[test]
    fn every_edge_is_drawn_once_with_its_cause() {
        for (language, arrow) in [(Language::Dot, " -> "), (Language::Mermaid, "|\"")] {
            let page = rfc(language);
            assert_eq!(page.lines().filter(|line| line.contains(arrow)).count(), EDGES.len(), "{page}");
            for rule in &EDGES {
                let from = rule.edge.from.name();
                let from =
                    if language == Language::Mermaid { from.replace('-', "_") } else { from.to_owned() };
                let found = page.lines().any(|line| {
                    line.trim_start().trim_start_matches('"').starts_with(&from) && line.contains(rule.label)
                });
                assert!(found, "{} in\n{page}", rule.id);
            }
        }
    }

    #[test]
    fn linux_announces_27_pairs_and_never_time_wait() {
        for (language, arrow) in [(Language::Dot, " -> "), (Language::Mermaid, "|\"")] {
            let page = linux(language);
            assert_eq!(page.lines().filter(|line| line.contains(arrow)).count(), PAIRS.len(), "{page}");
            assert!(page.contains("fin_wait2") && !page.contains("time_wait"), "{page}");
        }
    }

    #[test]
    fn the_usual_way_goes_through_every_state_but_closing() {
        let usual = usual_edges();
        let passed = |state| usual.iter().any(|edge| edge.from == state || edge.to == state);
        let missed: Vec<_> = State::ALL.into_iter().filter(|state| !passed(*state)).collect();
        assert_eq!(missed, [State::Closing]);
    }
}
