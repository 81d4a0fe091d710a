//! The audit: how well the running kernel's TCP conforms to RFC 9293.

pub mod report;
