//! The oracle judges stories: as they were, seen in part, and falsified.

mod garbage;
mod mutations;
mod random;
#[path = "../support/snapshot.rs"]
mod snapshot;
mod stories;
mod trace;
mod verdicts;
