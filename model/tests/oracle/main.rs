//! The oracle judges stories: as they were, seen in part, and falsified.

mod stories;
mod trace;
