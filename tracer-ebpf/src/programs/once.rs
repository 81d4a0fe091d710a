//! Each firing is handled by one copy: the first that the kernel did not skip.
//!
//! A copy notes what it handled in a short per-CPU list; a later copy leaves that firing alone. The note names the
//! life of the socket (its cookie) and a discriminator that moves between equal transitions of one life, so that an
//! old note cannot swallow a new event. Should an interrupt push a note out between two copies, the event is
//! delivered twice with different copy numbers, and the tracker drops the second: nothing is ever lost here.

use tracer_ebpf::Hook;

use super::maps::RECENT;

const NOTES: usize = 16;

/// What identifies one firing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Firing {
    /// The socket's life: cookie, or address where it has none.
    pub life: u64,
    /// What happened to it.
    pub what: u64,
}

/// The latest firings that were handled on this CPU, for one hook.
pub struct Recent {
    next: u32,
    notes: [Firing; NOTES],
}

/// True when `copy` has to handle this firing; the firing is noted then.
#[inline(always)]
pub fn claim(hook: Hook, copy: u8, firing: Firing) -> bool {
    let Some(recent) = RECENT.get_ptr_mut(hook as u32) else { return true };
    // SAFETY: this CPU's own slot. A program that interrupts this one may write in between: see the module's text.
    let recent = unsafe { &mut *recent };
    if copy > 0 && recent.notes.iter().any(|note| *note == firing) {
        return false;
    }
    let next = recent.next as usize % NOTES;
    recent.notes[next] = firing;
    recent.next = recent.next.wrapping_add(1);
    true
}
