//! Into the ring, with the wake-up batched and every loss counted.

use aya_ebpf::{
    EbpfContext,
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns},
};
use aya_log_ebpf::warn;
use tracer_ebpf::{Hook, Outcome, Record};

use super::maps::{RECORDS, count, note_loss, wakeup_bytes};

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
    let record = entry.write(Record::EMPTY);
    stamp(record, hook, copy);
    fill(record);
    // One interrupt per megabyte or so; the reader polls as well. A wake-up per record costs four times the record.
    let waiting = RECORDS.query(u64::from(BPF_RB_AVAIL_DATA));
    let wakeup = if waiting >= wakeup_bytes() { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP };
    entry.submit(u64::from(wakeup));
    count(hook, copy, Outcome::Delivered);
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
