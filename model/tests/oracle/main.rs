//! The oracle judges stories: as they were, seen in part, and falsified.

mod mutations;
mod random;
mod stories;
mod trace;
