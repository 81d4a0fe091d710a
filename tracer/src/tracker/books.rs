//! How many sockets are in which state, kept by adding and subtracting, never by walking.

use model::linux::LinuxState;

use crate::event::Family;

const FAMILIES: usize = Family::ALL.len();

/// Sockets now, by state and family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    sockets: [[u64; FAMILIES]; LinuxState::ALL.len()],
    fin_wait2_minisockets: [u64; FAMILIES],
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

    pub(crate) fn enter(&mut self, state: LinuxState, family: Family) {
        self.sockets[state as usize][family as usize] += 1;
    }

    pub(crate) fn leave(&mut self, state: LinuxState, family: Family) {
        subtract(&mut self.sockets[state as usize][family as usize]);
    }

    pub(crate) fn enter_minisocket(&mut self, substate: LinuxState, family: Family) {
        *self.minisockets(substate, family) += 1;
    }

    pub(crate) fn leave_minisocket(&mut self, substate: LinuxState, family: Family) {
        subtract(self.minisockets(substate, family));
    }

    fn minisockets(&mut self, substate: LinuxState, family: Family) -> &mut u64 {
        match substate {
            LinuxState::TimeWait => &mut self.sockets[substate as usize][family as usize],
            _ => &mut self.fin_wait2_minisockets[family as usize],
        }
    }
}

fn subtract(count: &mut u64) {
    debug_assert!(*count > 0, "a socket leaves a state that no socket is in");
    *count = count.saturating_sub(1);
}
