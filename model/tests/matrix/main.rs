//! Every cell of 11 states x 32 flag sets x 7 sequence positions x 7 ACK positions x 3 texts is decided, by one chain
//! of rules; the whole table is a reviewed snapshot.
//!
//! After a change that is meant, look at the difference and write the snapshots anew:
//! `UPDATE_SNAPSHOTS=1 cargo test -p model --test matrix`

mod cells;
mod condense;
#[path = "../support/snapshot.rs"]
mod snapshot;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use model::profile::{LINUX, LINUX_IN_DETAIL, RFC9293_INTENT, RFC9293_LITERAL};
use model::{Profile, State};

use cells::{Cell, Start, all, outcome};

/// The cells of one state, by outcome.
fn table(start: Start, describe: impl Fn(&Cell) -> Option<String>) -> BTreeMap<String, Vec<Cell>> {
    let mut groups: BTreeMap<String, Vec<Cell>> = BTreeMap::new();
    for cell in all(start) {
        if let Some(outcome) = describe(&cell) {
            groups.entry(outcome).or_default().push(cell);
        }
    }
    groups
}

fn render(title: &str, describe: impl Fn(&Cell) -> Option<String> + Copy) -> String {
    let mut text = format!("{title}\n");
    for start in Start::ALL {
        let groups = table(start, describe);
        if groups.is_empty() {
            continue;
        }
        text += &format!("\n== {start}\n\n");
        for (outcome, cells) in groups {
            text += &format!("{outcome}\n");
            for line in condense::boxes(&cells) {
                text += &format!("    {line}\n");
            }
        }
    }
    text
}

fn matches_snapshot(name: &str, text: &str) {
    snapshot::matches(name, text, "cargo test -p model --test matrix");
}

const LEGEND: &str = "\
Each block: rules taken -> next state; segments sent; signals. Below it the cells with that outcome, and how many.
Flags: a bit that is set, !bit that is not, others either way. seq against the receive window of 10,000: old =
RCV.NXT-20,000, nxt-1, nxt, nxt+1, edge-1 = its last number, edge, far = RCV.NXT+2^30. ack: low = below SND.UNA-MAX.SND.WND,
una-1, una, mid = inside what is in flight, nxt, nxt+1, far = SND.NXT+2^30. text: octets, 10000 = the whole window.";

#[test]
fn the_whole_table_under_the_intent() {
    let text = render(
        &format!("What every segment does in every state, by RFC 9293 as it is meant.\n\n{LEGEND}"),
        |cell| Some(outcome(cell, &RFC9293_INTENT)),
    );
    matches_snapshot("matrix-intent.txt", &text);
}

fn differences(profile: &Profile) -> String {
    render(
        &format!(
            "Where {} differs from {}: the first outcome is the intent's.\n\n{LEGEND}",
            profile.name, RFC9293_INTENT.name
        ),
        |cell| {
            let (meant, is) = (outcome(cell, &RFC9293_INTENT), outcome(cell, profile));
            (meant != is).then(|| format!("{meant}\n  but {is}"))
        },
    )
}

#[test]
fn where_the_letter_differs() {
    matches_snapshot("matrix-literal.txt", &differences(&RFC9293_LITERAL));
}

#[test]
fn where_linux_differs() {
    matches_snapshot("matrix-linux.txt", &differences(&LINUX));
}

#[test]
fn where_linux_differs_in_every_detail() {
    matches_snapshot("matrix-linux-in-detail.txt", &differences(&LINUX_IN_DETAIL));
}

#[test]
fn each_of_the_51744_cells_is_decided() {
    let starts = Start::ALL.into_iter().filter(|start| *start != Start::CROSSED);
    let count: usize = starts.map(|start| all(start).count()).sum();
    assert_eq!(count, 51_744);
    for profile in Profile::ALL.into_iter().chain([LINUX_IN_DETAIL]) {
        for start in Start::ALL {
            for cell in all(start) {
                let (trail, next) = cells::run(&cell, &profile);
                assert!(!trail.as_slice().is_empty(), "no rule decides {cell:?} under {}", profile.name);
                assert!(is_edge(start.state(), next), "{} -> {next} by {trail}: {cell:?}", start.state());
            }
        }
    }
}

/// What one segment may do to the state: an edge, or two edges at once.
fn is_edge(from: State, to: State) -> bool {
    use State::{
        CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynReceived, SynSent,
        TimeWait,
    };
    from == to
        || matches!(
            (from, to),
            (Listen, SynReceived)
                | (SynSent, SynReceived | Established | CloseWait | Closed)
                | (SynReceived, Established | CloseWait | Listen | Closed)
                | (Established, CloseWait | Closed)
                | (FinWait1, FinWait2 | Closing | TimeWait | Closed)
                | (FinWait2, TimeWait | Closed)
                | (CloseWait, Closed)
                | (Closing, TimeWait | Closed)
                | (LastAck, Closed)
                | (TimeWait, SynReceived | Closed)
        )
}
