//! Every rule of the machine: stimulus, state before, expected next state, expected segments, expected trail.

mod arrives;
mod calls;
mod opening;
mod row;
#[path = "../support/mod.rs"]
mod support;
mod timers;

use model::Rule;
use row::Row;

fn rows() -> Vec<Row> {
    [calls::rows(), opening::rows(), arrives::rows(), timers::rows()].into_iter().flatten().collect()
}

#[test]
fn every_row_goes_as_its_rule_says() {
    let wrong: Vec<String> = rows().iter().filter_map(|row| row.run().err()).collect();
    assert!(wrong.is_empty(), "{} rows differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_rule_has_a_row_that_takes_it() {
    let rows = rows();
    let bare: Vec<Rule> =
        Rule::ALL.into_iter().filter(|rule| !rows.iter().any(|row| row.rule() == *rule)).collect();
    assert!(bare.is_empty(), "rules without a row: {bare:?}");
}
