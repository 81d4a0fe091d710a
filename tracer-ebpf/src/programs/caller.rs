//! Who stopped a timer, from the kernel's stack.

use core::mem::MaybeUninit;

use aya_ebpf::{EbpfContext, helpers::generated::bpf_get_stack};
use tracer_ebpf::Caller;

use super::maps::{CALLERS, caller};

/// Frames that are looked at. The programs' own and those of the timers are five or six, and the function that is looked
/// for is two or three further up.
const FRAMES: usize = 14;

/// Number of the [`Caller`] whose function is innermost on the stack.
#[inline(always)]
pub fn find(context: &impl EbpfContext) -> u32 {
    let mut stack = MaybeUninit::<[u64; FRAMES]>::uninit();
    // SAFETY: the helper writes no more than the size that it is told.
    let read =
        unsafe { bpf_get_stack(context.as_ptr(), stack.as_mut_ptr().cast(), size_of_val(&stack) as u32, 0) };
    if read < 0 {
        return Caller::Unknown as u32;
    }
    // SAFETY: the helper has filled all of it, with zeros where the stack is shorter.
    for address in unsafe { stack.assume_init() } {
        let mut index = 0;
        while index < CALLERS {
            let [start, end, number] = caller(index);
            if start <= address && address < end {
                return number as u32;
            }
            index += 1;
        }
    }
    Caller::Unknown as u32
}
