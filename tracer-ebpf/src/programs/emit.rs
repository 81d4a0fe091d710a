//! Into the ring, with the wake-up batched and every loss counted.

use core::mem::MaybeUninit;

use aya_ebpf::{
    EbpfContext,
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns},
};
use aya_log_ebpf::warn;
use tracer_ebpf::{Hook, Outcome, Record};

use super::maps::{RECORDS, count, note_loss, reader_sleeps, wakeup_bytes};

/// Delivers the record that `fill` completes in place, or counts it as lost.
#[inline(always)]
pub fn emit(context: &impl EbpfContext, hook: Hook, copy: u8, fill: impl FnOnce(&mut Record)) {
    let Some(mut entry) = RECORDS.reserve::<Record>(0) else {
        note_loss();
        if count(hook, copy, Outcome::RingFull) == 1 {
            warn!(context, "the ring is full: first lost event of hook {} on this CPU", hook as u8);
        }
        return;
    };
    let record = blank(&mut entry);
    stamp(record, hook, copy);
    fill(record);
    let delivered = count(hook, copy, Outcome::Delivered);
    // One interrupt per megabyte or so, and one for a reader that sleeps; else the reader polls. A wake-up per record
    // costs four times the record.
    let is_full = || RECORDS.query(u64::from(BPF_RB_AVAIL_DATA)) >= wakeup_bytes();
    let is_urgent = reader_sleeps() || (delivered.is_multiple_of(ASKING) && is_full());
    let wakeup = if is_urgent { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP };
    entry.submit(u64::from(wakeup));
}

/// All zero, word by word. Written as one value it becomes a call of memset, which this target does byte by byte: that
/// took as long as everything else.
#[inline(always)]
fn blank(entry: &mut MaybeUninit<Record>) -> &mut Record {
    const WORDS: usize = Record::SIZE / size_of::<u64>();
    let words = entry.as_mut_ptr().cast::<u64>();
    let mut word = 0;
    while word < WORDS {
        // SAFETY: in bounds, and a Record is aligned to its words; volatile, or else it is a memset again.
        unsafe { words.add(word).write_volatile(0) };
        word += 1;
    }
    // SAFETY: integers without padding, all of them written.
    unsafe { entry.assume_init_mut() }
}

/// When, where and by what the record was made.
#[inline(always)]
pub fn stamp(record: &mut Record, hook: Hook, copy: u8) {
    // SAFETY: plain helpers without arguments.
    unsafe {
        record.time_ns = bpf_ktime_get_ns();
        record.cpu = bpf_get_smp_processor_id() as u16;
    }
    record.hook = hook as u8;
    record.copy = copy;
}

/// The ring is asked how much waits in it by one record in so many of each program and CPU.
const ASKING: u64 = 64;
