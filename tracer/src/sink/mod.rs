//! Where findings go. A sink takes what it is given and never calls back.

pub mod metrics;
pub mod openmetrics;
pub mod recording;
pub mod rows;
pub mod stream;
pub mod summary;
pub mod violations;

pub use metrics::Metrics;
pub use violations::Violations;
