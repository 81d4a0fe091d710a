//! Tasks of this repository: `cargo xtask setup|run|test|check`.
fn main() {}
