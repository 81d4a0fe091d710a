//! Plays a scenario against the running kernel, in a world of its own.

mod connection;
mod expect;
mod log;
mod player;
mod user;

pub use connection::Connection;
pub use log::{Logged, Recorded};
pub use player::{Failure, PlayError, Played, Went, play};
