//! The oracle judges stories: as they were, seen in part, and falsified.

mod cost;
mod deadlines;
mod departures;
mod garbage;
mod mutations;
mod random;
mod readings;
mod sent;
#[path = "../support/snapshot.rs"]
mod snapshot;
mod stories;
#[path = "../support/mod.rs"]
mod support;
mod trace;
mod verdicts;
