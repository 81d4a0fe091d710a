//! What is measured, and how often.

use super::peers::Peers;

/// A part of the bench; each is a command of tracer's bench `cost`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Section {
    /// Connections per second at saturation, with and without
    Churn,
    /// Time in the kernel, program by program
    Programs,
    /// Traffic that opens and closes nothing
    Bystander,
    /// Transitions per second through the agent's own code
    Replay,
    /// Memory for each tracked socket
    Memory,
    /// Start-up, and an agent with nothing to do
    Alone,
    /// Time of a scrape while there are many sockets
    Scrape,
}

/// How much time it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Seconds for each part: the tool itself is tried.
    Tiny,
    /// Five minutes.
    Quick,
    /// Twenty minutes.
    Full,
}

impl Size {
    const fn choose<T: Copy>(self, tiny: T, quick: T, full: T) -> T {
        match self {
            Self::Tiny => tiny,
            Self::Quick => quick,
            Self::Full => full,
        }
    }
}

impl Section {
    pub const ALL: [Self; 7] =
        [Self::Churn, Self::Programs, Self::Bystander, Self::Replay, Self::Memory, Self::Alone, Self::Scrape];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Churn => "churn",
            Self::Programs => "programs",
            Self::Bystander => "bystander",
            Self::Replay => "replay",
            Self::Memory => "memory",
            Self::Alone => "alone",
            Self::Scrape => "scrape",
        }
    }

    pub const fn has_peers(self) -> bool {
        matches!(self, Self::Churn | Self::Scrape)
    }

    pub const fn needs_root(self) -> bool {
        !matches!(self, Self::Replay | Self::Memory)
    }

    /// The calls that measure it.
    pub fn arguments(self, size: Size, peers: &Peers) -> Vec<Vec<String>> {
        let call = |options: &[(&str, String)]| {
            let options = options.iter().map(|(option, value)| format!("--{option}={value}"));
            std::iter::once(self.name().to_owned()).chain(options).collect::<Vec<_>>()
        };
        let rounds =
            |tiny: u32, quick: u32, full: u32| ("rounds", size.choose(tiny, quick, full).to_string());
        let connections = ("connections", size.choose(5_000, 30_000, 40_000).to_string());
        match self {
            Self::Churn => {
                let mut options = vec![rounds(1, 4, 14), connections];
                options.extend(peers.paths(&["tcpstates", "bpftrace"]));
                vec![call(&options)]
            }
            Self::Programs => vec![call(&[rounds(1, 3, 8), connections])],
            Self::Bystander => {
                let milliseconds = size.choose(200, 800, 1_500).to_string();
                vec![call(&[rounds(1, 10, 30), ("milliseconds", milliseconds)])]
            }
            Self::Replay => vec![call(&[rounds(1, 5, 15), ("connections", "1000,100000".to_owned())])],
            Self::Memory => ["established", "time-wait"]
                .map(|kind| {
                    let sockets = size.choose("100000", "1000000", "1000000").to_owned();
                    call(&[("sockets", sockets), ("kind", kind.to_owned())])
                })
                .to_vec(),
            Self::Alone => vec![call(&[rounds(1, 3, 8), ("seconds", size.choose(1, 5, 10).to_string())])],
            Self::Scrape => {
                let sockets = size.choose("0,3000", "0,10000,100000", "0,10000,100000,300000").to_owned();
                let scrapes = ("scrapes", size.choose(3, 15, 21).to_string());
                let mut options = vec![scrapes, ("sockets", sockets)];
                options.extend(peers.paths(&["node-exporter"]));
                vec![call(&options)]
            }
        }
    }
}
