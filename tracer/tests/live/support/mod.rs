//! What the live tests share.

pub mod agent;
pub mod books;
pub mod counters;
pub mod forge;
pub mod guest;
pub mod http;
pub mod load;
pub mod metrics;
pub mod mixed;
pub mod namespace;
pub mod nginx;
pub mod peer;
pub mod process;
pub mod programs;
pub mod prometheus;
pub mod scratch;
pub mod seen;
pub mod shown;
pub mod silence;
pub mod skip;
pub mod sysctl;
pub mod wait;

pub use seen::seen;
pub use skip::turn;
