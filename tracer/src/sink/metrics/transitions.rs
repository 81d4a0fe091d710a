//! Transitions, the sockets they leave in each state, and how long they stayed there.

use model::linux::{LinuxState, PAIRS, Transition};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Registry};

use super::family::{self, Made, level, seconds};
use crate::{event::Family, tracker::Books};

const STATES: usize = LinuxState::ALL.len();

/// What half-open requests and timewait minisockets do without the kernel announcing it, told by their timers.
pub(super) const SILENT: [Transition; 6] = [
    Transition::new(LinuxState::Listen, LinuxState::NewSynRecv),
    Transition::new(LinuxState::NewSynRecv, LinuxState::Close),
    Transition::new(LinuxState::FinWait1, LinuxState::TimeWait),
    Transition::new(LinuxState::FinWait2, LinuxState::TimeWait),
    Transition::new(LinuxState::Closing, LinuxState::TimeWait),
    Transition::new(LinuxState::TimeWait, LinuxState::Close),
];

/// Seconds, 100 us to a day.
const STATE_DURATION: [f64; 12] =
    [0.0001, 0.001, 0.01, 0.1, 1.0, 5.0, 30.0, 60.0, 300.0, 3_600.0, 21_600.0, 86_400.0];

pub(super) struct Transitions {
    family: IntCounterVec,
    /// By from, to, family; `None` for pairs that Linux does not show.
    counters: Vec<Option<IntCounter>>,
    sockets: Vec<[IntGauge; 2]>,
    durations: Vec<Histogram>,
}

impl Transitions {
    pub(super) fn new(registry: &Registry) -> Made<Self> {
        let family = family::counters(
            registry,
            "transitions_total",
            "State transitions of TCP sockets, half-open requests and TIME_WAIT minisockets included. A pair that \
             Linux never shows has no series until it happens.",
            &["from", "to", "family"],
        )?;
        let mut counters = vec![None; STATES * STATES * Family::ALL.len()];
        for transition in PAIRS.iter().map(|pair| pair.transition).chain(SILENT) {
            for of in Family::ALL {
                counters[place(transition, of)] = Some(labelled(&family, transition, of)?);
            }
        }
        let sockets = family::gauges(
            registry,
            "sockets",
            "TCP sockets by state, half-open requests and TIME_WAIT minisockets included, as the agent's own books \
             have them.",
            &["state", "family"],
        )?;
        let durations = family::histograms(
            registry,
            "state_duration_seconds",
            "Time that sockets spent in a state, in seconds, observed when they leave it.",
            &["state"],
            &STATE_DURATION,
        )?;
        Ok(Self {
            family,
            counters,
            sockets: LinuxState::ALL
                .iter()
                .map(|state| {
                    let of =
                        |family: Family| sockets.get_metric_with_label_values(&[state.name(), family.name()]);
                    Ok([of(Family::Ipv4)?, of(Family::Ipv6)?])
                })
                .collect::<Made<_>>()?,
            durations: LinuxState::ALL
                .iter()
                .map(|state| durations.get_metric_with_label_values(&[state.name()]))
                .collect::<Made<_>>()?,
        })
    }

    pub(super) fn count(&self, transition: Transition, of: Family) {
        match &self.counters[place(transition, of)] {
            Some(counter) => counter.inc(),
            // An impossible pair happens at most once in a blue moon, so it may cost a look-up.
            None => {
                if let Ok(counter) = labelled(&self.family, transition, of) {
                    counter.inc();
                }
            }
        }
    }

    pub(super) fn spent(&self, state: LinuxState, nanoseconds: Option<u64>) {
        if let Some(nanoseconds) = nanoseconds {
            self.durations[state as usize].observe(seconds(nanoseconds));
        }
    }

    pub(super) fn sockets(&self, books: &Books) {
        for family in Family::ALL {
            for state in LinuxState::ALL {
                let minisockets =
                    if state == LinuxState::FinWait2 { books.fin_wait2_minisockets(family) } else { 0 };
                let count = books.get(state, family) + minisockets;
                self.sockets[state as usize][family as usize].set(level(count));
            }
        }
    }
}

fn place(transition: Transition, of: Family) -> usize {
    (transition.from as usize * STATES + transition.to as usize) * Family::ALL.len() + of as usize
}

fn labelled(family: &IntCounterVec, transition: Transition, of: Family) -> Made<IntCounter> {
    family.get_metric_with_label_values(&[transition.from.name(), transition.to.name(), of.name()])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::linux::{LinuxState, PAIRS, Transition};

    use super::{SILENT, STATES, place};
    use crate::event::Family;

    #[test]
    fn each_series_has_its_own_place() {
        let states = || LinuxState::ALL.into_iter();
        let places: BTreeSet<_> = states()
            .flat_map(|from| states().map(move |to| Transition::new(from, to)))
            .flat_map(|transition| Family::ALL.map(|of| place(transition, of)))
            .collect();
        assert_eq!(places, (0..STATES * STATES * 2).collect());
        assert!(LinuxState::ALL.iter().enumerate().all(|(index, state)| *state as usize == index));
    }

    #[test]
    fn silent_transitions_are_never_announced() {
        assert!(SILENT.iter().all(|silent| PAIRS.iter().all(|pair| pair.transition != *silent)));
    }
}
