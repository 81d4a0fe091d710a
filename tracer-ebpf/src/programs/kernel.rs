//! Reading kernel structs at offsets that BTF gave.

use core::ffi::c_void;

use aya_ebpf::{EbpfContext, helpers::bpf_probe_read_kernel};
use tracer_ebpf::{Field, MISSING};

use super::maps::offset;

/// A pointer into the kernel.
pub type Kernel = *const c_void;

/// Loads a field through a pointer that the verifier knows the type of; `None` where this kernel lacks the field.
///
/// The verifier checks the offset and the size against BTF, and a fault reads as zero.
#[inline(always)]
pub fn load<T: Copy>(base: Kernel, field: Field) -> Option<T> {
    let offset = offset(field);
    if offset == MISSING {
        return None;
    }
    // SAFETY: `base` is a kernel pointer of the field's container, and the verifier refuses anything else.
    Some(unsafe { core::ptr::read_volatile(base.cast::<u8>().add(offset as usize).cast::<T>()) })
}

/// As [`load`], with 0 for a field that this kernel lacks.
#[inline(always)]
pub fn load_or_zero<T: Copy + Default>(base: Kernel, field: Field) -> T {
    load(base, field).unwrap_or_default()
}

/// Loads a single bit, counted from `base`; `None` where this kernel lacks it (`u64::MAX`).
#[inline(always)]
pub fn load_bit(base: Kernel, bit: u64) -> Option<bool> {
    if bit == u64::MAX {
        return None;
    }
    // SAFETY: as in `load`; a bit field may be read by the byte.
    let byte = unsafe { core::ptr::read_volatile(base.cast::<u8>().add((bit / 8) as usize)) };
    Some(byte >> (bit % 8) & 1 == 1)
}

/// Argument `n` of the hook as a mere number: the verifier allows no arithmetic on a typed pointer.
#[inline(always)]
pub fn address(context: &impl EbpfContext, n: usize) -> u64 {
    // SAFETY: the context of a BTF tracepoint is an array of its arguments, and the helper copes with any address.
    unsafe { bpf_probe_read_kernel(context.as_ptr().cast::<u64>().add(n)) }.unwrap_or_default()
}

/// A typed pointer as a mere number, by way of a map: a memory that the verifier knows no types of. Cheaper than
/// [`address`], which is a call.
#[inline(always)]
pub fn number<const WORDS: usize>(pointer: Kernel, by_way_of: *mut [u64; WORDS]) -> u64 {
    let word = by_way_of.cast::<u64>();
    // SAFETY: the program's own room in a map, of at least one word; volatile, or else nothing goes through it.
    unsafe {
        word.write_volatile(pointer as u64);
        word.read_volatile()
    }
}

/// Reads a field through an address that the verifier does not know the type of.
#[inline(always)]
pub fn probe<T: Copy + Default>(base: u64, field: Field) -> T {
    let offset = offset(field);
    if offset == MISSING {
        return T::default();
    }
    // SAFETY: the helper copes with any address and fails on a bad one.
    unsafe { bpf_probe_read_kernel((base + u64::from(offset)) as *const T) }.unwrap_or_default()
}

/// Reads a single bit, counted from `base`; `None` where this kernel lacks it (`u64::MAX`).
#[inline(always)]
pub fn probe_bit(base: u64, bit: u64) -> Option<bool> {
    if bit == u64::MAX {
        return None;
    }
    // SAFETY: the helper copes with any address and fails on a bad one.
    let byte: u8 = unsafe { bpf_probe_read_kernel((base + bit / 8) as *const u8) }.unwrap_or_default();
    Some(byte >> (bit % 8) & 1 == 1)
}

/// Loads an IPv6 address word by word: BTF describes it as an array of words.
#[inline(always)]
pub fn load_v6(base: Kernel, field: Field, into: &mut [u8; 16]) {
    let offset = offset(field);
    if offset == MISSING {
        return;
    }
    let words = into.as_mut_ptr().cast::<u32>();
    let mut word = 0;
    while word < 4 {
        // SAFETY: the source as in `load`; the target is sixteen bytes.
        unsafe {
            let source = base.cast::<u8>().add(offset as usize + word * 4).cast::<u32>();
            words.add(word).write_unaligned(core::ptr::read_volatile(source));
        }
        word += 1;
    }
}
