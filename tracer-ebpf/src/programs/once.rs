//! Each firing is handled by one copy: the first that the kernel did not skip.
//!
//! A copy notes what it handled on a short per-CPU stack; a later copy finds the note and leaves that firing alone,
//! and the last copy takes the note away. Interrupts nest, so the notes of what they interrupt stay below theirs.
//! A note names the life of the socket (its cookie) and a discriminator that moves between equal transitions of one
//! life, so that a left-over note cannot swallow a new event. Should a note get lost between two copies, the event is
//! delivered twice with different copy numbers, and the tracker drops the second: nothing is ever lost here.

use tracer_ebpf::Hook;

use super::maps::{RECENT, attached_copies};

const NOTES: usize = 16;

/// What identifies one firing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Firing {
    /// The socket's life: cookie, or address where it has none.
    pub life: u64,
    /// What happened to it.
    pub what: u64,
}

impl Firing {
    /// Makes it the note of no life. Word by word: as one value it becomes a call of memset, which this target does byte
    /// by byte.
    #[inline(always)]
    fn erase(&mut self) {
        // SAFETY: two words of the map's memory; volatile, or else it is a memset again.
        unsafe {
            (&raw mut self.life).write_volatile(0);
            (&raw mut self.what).write_volatile(0);
        }
    }
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
    let is_last_copy = u64::from(copy) + 1 == attached_copies();
    if copy > 0 {
        let top = recent.next.wrapping_sub(1);
        if recent.notes[top as usize % NOTES] == firing {
            if is_last_copy {
                recent.notes[top as usize % NOTES].erase();
                recent.next = top;
            }
            return false;
        }
        if let Some(note) = recent.notes.iter_mut().find(|note| **note == firing) {
            if is_last_copy {
                note.erase();
            }
            return false;
        }
    }
    if !is_last_copy {
        recent.notes[recent.next as usize % NOTES] = firing;
        recent.next = recent.next.wrapping_add(1);
    }
    true
}
