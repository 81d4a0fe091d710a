//! The agent, one way of the data:
//!
//! ```text
//! ring -> decode::decode -> Event -> tracker -> Step -> checker -> Finding -> sinks
//! ```

pub mod anchor;
pub mod audit;
pub mod checker;
pub mod cli;
pub mod decode;
pub mod event;
pub mod filter;
#[cfg(test)]
mod fixture;
pub mod judge;
pub mod kernel;
pub mod ledger;
pub mod pipeline;
pub mod reconcile;
pub mod recording;
pub mod replay;
pub mod sink;
pub mod step;
pub mod tracker;
pub mod web;
