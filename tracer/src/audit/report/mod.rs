//! The result of an audit: one value that every rendering starts from.

pub mod model;
mod write;

pub use write::{WriteError, write_json};
