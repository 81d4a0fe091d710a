//! The model's tables.

use model::contradiction::{CONTRADICTIONS, Decision};
use model::linux::{Deviation, PAIRS};
use model::oracle::{DEPARTURES, Departure};
use model::requirement::{Class, REQUIREMENTS, Requirement};
use model::story::stories as all_stories;
use model::{EDGES, Rule, State};
use serde_json::Value;

use super::table::{Column, Table};

/// The eleven states, and where their edges lead.
pub fn states() -> Table {
    let columns = vec![
        Column::new("State"),
        Column::new("Synchronized"),
        Column::wrapped("Next", 30),
        Column::new("Meaning"),
    ];
    let row = |state: State| {
        let next: Vec<Value> = EDGES
            .iter()
            .filter(|rule| rule.edge.from == state)
            .map(|rule| rule.edge.to.name().into())
            .collect();
        vec![state.name().into(), state.is_synchronized().into(), next.into(), state.sentence().into()]
    };
    Table::new(columns, State::ALL.into_iter().map(row).collect())
}

/// The thirty edges.
pub fn edges() -> Table {
    let columns = vec![
        Column::hidden("Id"),
        Column::new("From"),
        Column::new("To"),
        Column::hidden("Label"),
        Column::wrapped("Clause", 22),
        Column::new("Cause"),
        Column::hidden("Atomic"),
    ];
    let row = |rule: &model::EdgeRule| {
        let model::EdgeRule { id, edge, label, clause, cause, atomic } = *rule;
        let (from, to) = (edge.from.name(), edge.to.name());
        vec![id.into(), from.into(), to.into(), label.into(), clause.into(), cause.into(), atomic.into()]
    };
    Table::new(columns, EDGES.iter().map(row).collect())
}

/// What Linux announces, and what that stands for.
pub fn linux_edges() -> Table {
    let columns = vec![
        Column::new("From"),
        Column::new("To"),
        Column::new("Rule"),
        Column::wrapped("Clause", 22),
        Column::new("Stands for"),
    ];
    let row = |pair: &'static model::linux::Pair| {
        let (from, to) = (pair.transition.from.name(), pair.transition.to.name());
        pair.codes.iter().map(move |code| {
            let rule = code.rule();
            vec![from.into(), to.into(), rule.name.into(), rule.clause.into(), rule.sentence.into()]
        })
    };
    Table::new(columns, PAIRS.iter().flat_map(row).collect())
}

/// The rules of the machine, in the order of the checks.
pub fn rules() -> Table {
    let columns = vec![Column::new("Rule"), Column::wrapped("Clause", 26), Column::new("Sentence")];
    let row = |rule: Rule| vec![rule.id().into(), rule.clause().into(), rule.sentence().into()];
    Table::new(columns, Rule::ALL.into_iter().map(row).collect())
}

/// The requirements of appendix B.
pub fn requirements() -> Table {
    let columns = vec![
        Column::new("Requirement"),
        Column::new("Clause"),
        Column::wrapped("Seen in", 24),
        Column::hidden("Timed"),
        Column::new("Sentence"),
    ];
    let row = |requirement: &Requirement| {
        let Requirement { id, clause, seen, timed, sentence } = *requirement;
        let seen: Vec<Value> = seen.iter().map(|class| place(*class).into()).collect();
        vec![id.into(), clause.into(), seen.into(), timed.into(), sentence.into()]
    };
    Table::new(columns, REQUIREMENTS.iter().map(row).collect())
}

/// Where a breach of a requirement can be seen.
pub const fn place(class: Class) -> &'static str {
    match class {
        Class::State => "transitions",
        Class::Fields => "socket fields",
        Class::Wire => "segments",
        Class::Api => "application",
    }
}

/// Where the RFC contradicts itself.
pub fn contradictions() -> Table {
    let columns = vec![
        Column::new("Number"),
        Column::wrapped("One clause", 28),
        Column::wrapped("The other", 28),
        Column::new("Decision"),
        Column::hidden("Switches"),
    ];
    let row = |entry: &model::contradiction::Contradiction| {
        let (decision, switches) = match entry.decision {
            Decision::Switch(names, _) => (format!("by profile: {names}"), names.split(", ").collect()),
            Decision::Always(why) => (why.to_owned(), Vec::new()),
        };
        vec![entry.number.into(), entry.one.into(), entry.other.into(), decision.into(), switches.into()]
    };
    Table::new(columns, CONTRADICTIONS.iter().map(row).collect())
}

/// Where Linux departs from the RFC segment by segment: what the oracle, and so the audit, knows by name.
pub fn departures() -> Table {
    let columns = vec![
        Column::new("Deviation"),
        Column::wrapped("Kernel", 27),
        Column::hidden("Switch"),
        Column::wrapped("Clause", 14),
        Column::new("What Linux does"),
    ];
    let row = |departure: &Departure| {
        let Deviation { name, function, clause, why, .. } = departure.linux?.deviation();
        let cells = [*name, *function, departure.name, *clause, *why];
        Some(cells.map(Value::from).to_vec())
    };
    Table::new(columns, DEPARTURES.iter().filter_map(row).collect())
}

/// The stories.
pub fn stories() -> Table {
    let columns = vec![
        Column::new("Story"),
        Column::new("What happens"),
        Column::hidden("About"),
        Column::hidden("Profile"),
    ];
    let row = |story: model::story::Story| {
        vec![story.name.into(), story.title.into(), story.about.into(), story.profile.name.into()]
    };
    Table::new(columns, all_stories().into_iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::super::table::Output;
    use super::{
        DEPARTURES, PAIRS, contradictions, departures, edges, linux_edges, requirements, rules, states,
        stories,
    };
    use crate::cli::model::profiles;

    #[test]
    fn every_table_fits_100_columns_and_its_json_has_every_row() {
        let tables = [
            (states(), 11),
            (edges(), 30),
            (linux_edges(), PAIRS.iter().map(|pair| pair.codes.len()).sum()),
            (rules(), 117),
            (requirements(), 119),
            (contradictions(), 22),
            (departures(), DEPARTURES.iter().filter(|departure| departure.linux.is_some()).count()),
            (profiles::table(), 73),
        ];
        for (table, rows) in tables {
            let page = table.print(Output::Table, 100);
            for line in page.lines() {
                assert!(line.chars().count() <= 100 && line == line.trim_end(), "{line}");
            }
            let json: serde_json::Value = serde_json::from_str(&table.print(Output::Json, 100)).unwrap();
            assert_eq!(json.as_array().unwrap().len(), rows, "{page}");
            assert_eq!(table.print(Output::Markdown, 100).lines().count(), rows + 2);
        }
        assert!(!stories().is_empty());
    }

    #[test]
    fn an_edge_is_found_by_its_states() {
        let words = ["time-wait".to_owned(), "newer".to_owned()];
        let page = edges().containing(&words).print(Output::Table, 100);
        assert_eq!(page.lines().count(), 3, "{page}");
        assert!(page.contains("TIME-WAIT  SYN-RECEIVED  3.6.1; RFC 6191  A SYN that is newer"), "{page}");
    }
}
