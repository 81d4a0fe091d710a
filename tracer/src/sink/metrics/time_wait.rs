//! TIME_WAIT: how sockets come to it, how long it lasts, and how it ends.

use model::linux::LinuxState;
use prometheus::{Histogram, IntCounter, IntGauge, Registry};

use super::family::{self, Made, level, seconds};
use crate::{
    event::Family,
    step::{TimewaitEnd, TimewaitPath},
    tracker::Books,
};

/// Seconds; dense around the 60 s that Linux keeps.
const DURATION: [f64; 12] = [1.0, 5.0, 10.0, 30.0, 55.0, 59.0, 60.0, 61.0, 65.0, 90.0, 120.0, 240.0];

/// The path of a minisocket whose earlier story was not seen.
const UNKNOWN: &str = "unknown";

pub(super) struct TimeWait {
    sockets: [IntGauge; 2],
    fin_wait2_minisockets: [IntGauge; 2],
    /// By path, the unknown one last, and family.
    entered: Vec<[IntCounter; 2]>,
    ended: Vec<IntCounter>,
    pub(super) restarts: IntCounter,
    pub(super) skipped: IntCounter,
    duration: Histogram,
}

impl TimeWait {
    pub(super) fn new(registry: &Registry) -> Made<Self> {
        let gauges = |name, help| {
            let gauges = family::gauges(registry, name, help, &["family"])?;
            let of = |family: Family| gauges.get_metric_with_label_values(&[family.name()]);
            Made::Ok([of(Family::Ipv4)?, of(Family::Ipv6)?])
        };
        let entered = family::counters(
            registry,
            "time_wait_entered_total",
            "Connections that entered TIME_WAIT, by the state they came from; minisocket: an orphan's FIN_WAIT2 kept \
             in a minisocket; unknown: the connection's story was not seen.",
            &["path", "family"],
        )?;
        let ended = family::counters(
            registry,
            "time_wait_ended_total",
            "TIME_WAIT minisockets that ended, by cause; unknown: events of its life were lost, or it was stopped before a \
             sweep had seen a FIN that came in the tick of its birth.",
            &["cause"],
        )?;
        let skipped = family::counters(
            registry,
            "time_wait_skipped_total",
            "Connections that owed TIME_WAIT, at once or after the peer's FIN, and got no minisocket, by cause; overflow: \
             no room for one (tcp_max_tw_buckets or memory). The kernel's TCPTimeWaitOverflow.",
            &["cause"],
        )?;
        let paths = TimewaitPath::ALL.iter().map(|path| path.name()).chain([UNKNOWN]);
        Ok(Self {
            sockets: gauges(
                "time_wait_sockets",
                "Sockets in TIME_WAIT, orphans still in FIN_WAIT2 not included.",
            )?,
            fin_wait2_minisockets: gauges(
                "fin_wait2_minisockets",
                "Orphans in FIN_WAIT2 that the kernel keeps in a TIME_WAIT minisocket; sockstat counts them as tw.",
            )?,
            entered: paths
                .map(|path| {
                    let of = |family: Family| entered.get_metric_with_label_values(&[path, family.name()]);
                    Ok([of(Family::Ipv4)?, of(Family::Ipv6)?])
                })
                .collect::<Made<_>>()?,
            ended: TimewaitEnd::ALL
                .iter()
                .map(|cause| ended.get_metric_with_label_values(&[cause.name()]))
                .collect::<Made<_>>()?,
            restarts: family::counter(
                registry,
                "time_wait_restarts_total",
                "Times that TIME_WAIT was started over by a segment of the old connection.",
            )?,
            skipped: skipped.get_metric_with_label_values(&["overflow"])?,
            duration: family::histogram(
                registry,
                "time_wait_duration_seconds",
                "Time that minisockets lived until TIME_WAIT ended, in seconds.",
                &DURATION,
            )?,
        })
    }

    pub(super) fn entered(&self, path: Option<TimewaitPath>, of: Family) {
        self.entered[path.map_or(TimewaitPath::ALL.len(), |path| path as usize)][of as usize].inc();
    }

    pub(super) fn ended(&self, cause: TimewaitEnd, lived: Option<u64>) {
        self.ended[cause as usize].inc();
        if let Some(nanoseconds) = lived {
            self.duration.observe(seconds(nanoseconds));
        }
    }

    pub(super) fn sockets(&self, books: &Books) {
        for family in Family::ALL {
            self.sockets[family as usize].set(level(books.get(LinuxState::TimeWait, family)));
            self.fin_wait2_minisockets[family as usize].set(level(books.fin_wait2_minisockets(family)));
        }
    }
}
