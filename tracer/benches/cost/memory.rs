//! Resident memory of the tracker, socket by socket: a process of its own for each kind, for a used heap hides growth.

use tracer::{
    decode::{self, Kernel},
    recording::layout,
    tracker::{Hooks, Limits, Tracker},
};

use crate::{
    procfs::anonymous_memory,
    sample::{figure, tell},
    stream,
};

/// What is kept.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Kind {
    /// Connections in ESTABLISHED.
    Established,
    /// TIME_WAIT minisockets whose connections are gone.
    TimeWait,
}

/// Looks while the number grows: at each doubling from here on, and at the end.
const FIRST: u64 = 1 << 14;

pub fn measure(sockets: u64, kind: Kind) {
    let kernel = Kernel::default();
    let limits = Limits { sockets: usize::try_from(sockets).unwrap_or(usize::MAX).saturating_add(1) };
    let mut tracker = Tracker::new(limits, Hooks::all());
    let pid = std::process::id();
    let (before, mut next, mut time) = (anonymous_memory(pid), FIRST, 1_000_000_000);
    let (name, steps) = match kind {
        Kind::Established => ("established", &stream::CLIENT_OPENS[..]),
        Kind::TimeWait => ("time_wait", &stream::CLIENT_LIVES[..]),
    };
    for socket in 0..sockets {
        for step in steps {
            time += 1000;
            for record in step(socket * 4 + 1, time) {
                if let Ok(event) = decode::decode(&layout::bytes(&record), &kernel) {
                    tracker.observe(&event, &mut |_| {});
                }
            }
        }
        let kept = socket + 1;
        if kept == next || kept == sockets {
            next = next.saturating_mul(2);
            assert_eq!(tracker.len() as u64, kept, "{name}: every socket is kept");
            let grown = anonymous_memory(pid).saturating_sub(before);
            tell(&format!("{name} {kept}"), "agent", 1, "bytes_per_socket", figure(grown) / figure(kept));
        }
    }
}
