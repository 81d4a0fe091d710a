//! Which agent, on which kernel, in which process.

use prometheus::{Registry, process_collector::ProcessCollector};

use super::family::{self, Made};

/// The agent's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The source's revision, as the build was told in `TCPTRACER_REVISION`.
pub const REVISION: &str = match option_env!("TCPTRACER_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// Release and machine of the running kernel, as `uname -rm` prints them.
#[must_use]
pub fn kernel() -> (String, String) {
    let name = rustix::system::uname();
    (name.release().to_string_lossy().into_owned(), name.machine().to_string_lossy().into_owned())
}

pub(super) fn register(registry: &Registry) -> Made<()> {
    let build = family::gauges(
        registry,
        "build_info",
        "Version and source revision of the agent; the value is always 1.",
        &["version", "revision"],
    )?;
    build.get_metric_with_label_values(&[VERSION, REVISION])?.set(1);
    let (release, machine) = kernel();
    let running = family::gauges(
        registry,
        "kernel_info",
        "Release and machine of the running kernel; the value is always 1.",
        &["release", "machine"],
    )?;
    running.get_metric_with_label_values(&[&release, &machine])?.set(1);
    registry.register(Box::new(ProcessCollector::for_self()))
}
