//! Which hooks deliver, and until when their records may be incomplete.

use tracer_ebpf::Hook;

/// A set of hooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hooks(u16);

impl Hooks {
    /// Every hook.
    #[must_use]
    pub fn all() -> Self {
        Hook::ALL.into_iter().collect()
    }

    /// The set without one hook.
    #[must_use]
    pub const fn without(self, hook: Hook) -> Self {
        Self(self.0 & !Self::bit(hook))
    }

    /// True when the hook is in the set.
    #[must_use]
    pub const fn has(self, hook: Hook) -> bool {
        self.0 & Self::bit(hook) != 0
    }

    const fn bit(hook: Hook) -> u16 {
        1 << hook as u8
    }
}

impl FromIterator<Hook> for Hooks {
    fn from_iter<I: IntoIterator<Item = Hook>>(hooks: I) -> Self {
        Self(hooks.into_iter().fold(0, |set, hook| set | Self::bit(hook)))
    }
}

/// What can be trusted: no record of a hook means "it did not fire" only where the hook is attached and nothing was
/// lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    attached: Hooks,
    /// Per hook: records up to this time may be missing.
    doubtful: [u64; Hook::ALL.len()],
}

impl Sight {
    pub(super) const fn new(attached: Hooks) -> Self {
        Self { attached, doubtful: [0; Hook::ALL.len()] }
    }

    pub(super) fn lost(&mut self, hook: Hook, until: u64) {
        let doubtful = &mut self.doubtful[hook as usize];
        *doubtful = until.max(*doubtful);
    }

    /// True when every firing of the hook since `since` has been seen.
    pub(super) const fn whole(&self, hook: Hook, since: u64) -> bool {
        self.attached.has(hook) && since >= self.doubtful[hook as usize]
    }

    /// True when records of the hook have ever been lost.
    pub(super) const fn ever_lost(&self, hook: Hook) -> bool {
        self.doubtful[hook as usize] != 0
    }
}
