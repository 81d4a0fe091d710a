//! What kernels differ in and people may notice: `cargo xtask vm` puts it into docs/kernels.md.

use std::fmt::Display;

/// Tells what this kernel does. `what` names the question in the same words on every kernel, without a colon.
pub fn seen(what: &str, found: impl Display) {
    println!("seen: {what}: {found}");
}
