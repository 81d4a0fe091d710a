//! What the agent costs on the running kernel: raw samples, one JSON object per line, for `cargo xtask bench`.
//!
//! Every figure is taken several times, in turn with what it is compared to, so that a machine whose speed drifts changes
//! both. Loads run in private network namespaces and are bounded in number and time. The support code is that of the
//! live tests.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

mod alone;
mod bystander;
mod churn;
mod memory;
mod peer;
mod procfs;
mod programs;
mod replay;
mod sample;
mod scrape;
mod stream;
#[expect(dead_code, unused_imports, reason = "the live tests use the rest")]
#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "made for tests: a load that fails is a broken measurement, and ends it with a message"
)]
#[path = "../../tests/live/support/mod.rs"]
mod support;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    measure: Measure,
}

#[derive(Subcommand)]
enum Measure {
    /// Transitions per second of one core through decode, track, check and metrics
    Replay {
        #[arg(long)]
        rounds: u64,
        /// Connections alive at once
        #[arg(long, value_delimiter = ',')]
        connections: Vec<u64>,
    },
    /// Growth of the resident memory for each socket that the tracker knows
    Memory {
        #[arg(long)]
        sockets: u64,
        #[arg(long)]
        kind: memory::Kind,
    },
    /// Start-up, and the processor time of an agent that has nothing to do
    Alone {
        #[arg(long)]
        rounds: u64,
        #[arg(long)]
        seconds: u64,
    },
    /// Connections per second at saturation, with and without the agent and its peers
    Churn {
        #[arg(long)]
        rounds: u64,
        #[arg(long)]
        connections: u64,
        #[arg(long)]
        tcpstates: Option<PathBuf>,
        #[arg(long)]
        bpftrace: Option<PathBuf>,
    },
    /// Time of each BPF program, by the kernel's own clock
    Programs {
        #[arg(long)]
        rounds: u64,
        #[arg(long)]
        connections: u64,
    },
    /// Traffic that opens and closes nothing, with and without the agent
    Bystander {
        #[arg(long)]
        rounds: u64,
        #[arg(long)]
        milliseconds: u64,
    },
    /// Scrapes while there are many sockets
    Scrape {
        #[arg(long)]
        scrapes: u64,
        /// TIME_WAIT sockets, in rising order
        #[arg(long, value_delimiter = ',')]
        sockets: Vec<u64>,
        #[arg(long)]
        node_exporter: Option<PathBuf>,
    },
}

fn main() {
    match Cli::parse().measure {
        Measure::Replay { rounds, connections } => replay::measure(rounds, &connections),
        Measure::Memory { sockets, kind } => memory::measure(sockets, kind),
        Measure::Alone { rounds, seconds } => alone::measure(rounds, seconds),
        Measure::Churn { rounds, connections, tcpstates, bpftrace } => {
            churn::measure(rounds, connections, tcpstates.as_deref(), bpftrace.as_deref());
        }
        Measure::Programs { rounds, connections } => programs::measure(rounds, connections),
        Measure::Bystander { rounds, milliseconds } => bystander::measure(rounds, milliseconds),
        Measure::Scrape { scrapes, sockets, node_exporter } => {
            scrape::measure(scrapes, &sockets, node_exporter.as_deref());
        }
    }
}
