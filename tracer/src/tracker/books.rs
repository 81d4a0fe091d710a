//! How many sockets are in which state, kept by adding and subtracting, never by walking.

use hashbrown::HashMap;
use model::linux::LinuxState;

use crate::event::Family;

const FAMILIES: usize = Family::ALL.len();

/// Sockets now, by state and family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    sockets: [[u64; FAMILIES]; LinuxState::ALL.len()],
    fin_wait2_minisockets: [u64; FAMILIES],
    namespaces: HashMap<u64, Levels>,
}

/// Sockets of one network namespace, as far as the kernel counts them there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// In ESTABLISHED.
    pub established: Level,
    /// In CLOSE_WAIT.
    pub close_wait: Level,
    /// Timewait minisockets of both kinds.
    pub minisockets: Level,
    /// Those that are still FIN-WAIT-2.
    pub fin_wait2_minisockets: Level,
}

/// A number of sockets now, and its extremes since the last [`Books::begin_window`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Now.
    pub now: u64,
    /// The least.
    pub low: u64,
    /// The most.
    pub high: u64,
}

impl Level {
    fn rise(&mut self) {
        self.now += 1;
        self.high = self.high.max(self.now);
    }

    fn fall(&mut self) {
        subtract(&mut self.now);
        self.low = self.low.min(self.now);
    }

    const fn begin_window(&mut self) {
        self.low = self.now;
        self.high = self.now;
    }
}

impl Levels {
    const fn of(&mut self, state: LinuxState) -> Option<&mut Level> {
        match state {
            LinuxState::Established => Some(&mut self.established),
            LinuxState::CloseWait => Some(&mut self.close_wait),
            _ => None,
        }
    }
}

impl Books {
    /// Sockets in a state. TIME_WAIT: minisockets truly in TIME-WAIT. FIN_WAIT2: full sockets only. NEW_SYN_RECV:
    /// half-open requests.
    #[must_use]
    pub const fn get(&self, state: LinuxState, family: Family) -> u64 {
        self.sockets[state as usize][family as usize]
    }

    /// Timewait minisockets that are still FIN-WAIT-2: orphans that wait for the peer's FIN. `ss` lists them as
    /// FIN-WAIT-2, sockstat counts them as `tw`.
    #[must_use]
    pub const fn fin_wait2_minisockets(&self, family: Family) -> u64 {
        self.fin_wait2_minisockets[family as usize]
    }

    /// Everything together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.sockets.iter().flatten().chain(&self.fin_wait2_minisockets).sum()
    }

    /// Sockets of one namespace.
    #[must_use]
    pub fn levels(&self, netns: u64) -> Levels {
        self.namespaces.get(&netns).copied().unwrap_or_default()
    }

    /// True when there are FIN-WAIT-2 minisockets in any namespace.
    #[must_use]
    pub fn has_fin_wait2_minisockets(&self) -> bool {
        self.namespaces.values().any(|levels| levels.fin_wait2_minisockets.now > 0)
    }

    /// Starts the extremes of every namespace over. Namespaces without sockets are forgotten.
    pub fn begin_window(&mut self) {
        self.namespaces.retain(|_, levels| {
            let Levels { established, close_wait, minisockets, fin_wait2_minisockets } = levels;
            let all = [established, close_wait, minisockets, fin_wait2_minisockets];
            let is_used = all.iter().any(|level| level.now > 0);
            all.into_iter().for_each(Level::begin_window);
            is_used
        });
    }

    pub(crate) fn enter(&mut self, state: LinuxState, family: Family, netns: u64) {
        self.sockets[state as usize][family as usize] += 1;
        if is_counted(state)
            && let Some(level) = self.namespaces.entry(netns).or_default().of(state)
        {
            level.rise();
        }
    }

    pub(crate) fn leave(&mut self, state: LinuxState, family: Family, netns: u64) {
        subtract(&mut self.sockets[state as usize][family as usize]);
        if is_counted(state)
            && let Some(level) = self.namespaces.get_mut(&netns).and_then(|levels| levels.of(state))
        {
            level.fall();
        }
    }

    pub(crate) fn enter_minisocket(&mut self, substate: LinuxState, family: Family, netns: u64) {
        *self.minisockets(substate, family) += 1;
        let levels = self.namespaces.entry(netns).or_default();
        levels.minisockets.rise();
        if substate != LinuxState::TimeWait {
            levels.fin_wait2_minisockets.rise();
        }
    }

    pub(crate) fn leave_minisocket(&mut self, substate: LinuxState, family: Family, netns: u64) {
        subtract(self.minisockets(substate, family));
        let Some(levels) = self.namespaces.get_mut(&netns) else { return };
        levels.minisockets.fall();
        if substate != LinuxState::TimeWait {
            levels.fin_wait2_minisockets.fall();
        }
    }

    /// The peer's FIN turned a FIN-WAIT-2 minisocket into TIME-WAIT.
    pub(crate) fn convert_minisocket(&mut self, family: Family, netns: u64) {
        subtract(self.minisockets(LinuxState::FinWait2, family));
        *self.minisockets(LinuxState::TimeWait, family) += 1;
        if let Some(levels) = self.namespaces.get_mut(&netns) {
            levels.fin_wait2_minisockets.fall();
        }
    }

    fn minisockets(&mut self, substate: LinuxState, family: Family) -> &mut u64 {
        match substate {
            LinuxState::TimeWait => &mut self.sockets[substate as usize][family as usize],
            _ => &mut self.fin_wait2_minisockets[family as usize],
        }
    }
}

/// True for the states that the kernel counts by namespace (CurrEstab).
const fn is_counted(state: LinuxState) -> bool {
    matches!(state, LinuxState::Established | LinuxState::CloseWait)
}

fn subtract(count: &mut u64) {
    debug_assert!(*count > 0, "a socket leaves a state that no socket is in");
    *count = count.saturating_sub(1);
}
