//! Live tests: the agent's binary on the running kernel, with real clients and servers, judged by the kernel's counters.
//!
//! They need root and a kernel with BTF. Every load runs in network namespaces of its own; the agent sees the whole host,
//! so its figures are compared with the sums over all namespaces. One test runs at a time on a machine.
//! A test that cannot run says `skipped: ...`; with `TCP_TRACER_LIVE=required` (or `CI=true`) it fails instead.

#[cfg(test)]
mod adopt;
#[cfg(test)]
mod backlog;
#[cfg(test)]
mod churn;
#[cfg(test)]
mod cut_short;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod flood;
#[cfg(test)]
mod handshakes;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod late;
#[cfg(test)]
mod long_timers;
#[cfg(test)]
mod loss;
#[cfg(test)]
mod many;
#[cfg(test)]
mod mixed;
#[cfg(test)]
mod netem;
#[cfg(test)]
mod nginx;
#[cfg(test)]
mod peace;
#[cfg(test)]
mod prometheus;
#[cfg(test)]
mod reconcile;
#[cfg(test)]
mod record;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod support;
#[cfg(test)]
mod time_wait;
#[cfg(test)]
mod watch;
