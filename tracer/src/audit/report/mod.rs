//! The result of an audit: one value that every rendering starts from.

mod capture;
mod cells;
pub mod diff;
mod html;
mod junit;
mod markdown;
pub mod model;
mod pcapng;
mod place;
mod read;
mod section;
mod words;
mod write;

pub use cells::Place;
pub use read::{ReadError, read};
pub use write::{Folder, WriteError};
