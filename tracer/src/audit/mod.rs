//! The audit: how well the running kernel's TCP conforms to RFC 9293.

pub mod account;
pub mod conditions;
pub mod habits;
pub mod judge;
pub mod matrix;
pub mod play;
pub mod random;
pub mod repeats;
pub mod report;
pub mod run;
pub mod scenario;
pub mod side_by_side;
pub mod stream;
pub mod world;
