//! Where findings go.

pub mod stream;
