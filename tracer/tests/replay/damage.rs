//! Bytes that are no records, or are records of nothing: an error or an event, and a tracker that bears it.

use proptest::prelude::*;
use tracer::{
    decode::{Kernel, Malformed, decode, hook_of},
    recording::layout,
};
use tracer_ebpf::{Hook, Record};

use crate::watch::Watch;

/// Bytes of a record's size, with the small fields often in their range, so that many of them decode.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let small = (
        0..12_u8,
        0..15_u8,
        0..15_u8,
        prop::sample::select(vec![2_u16, 10, 0, 1]),
        0..4_u64,
        0..4_u64,
        any::<bool>(),
    );
    (prop::collection::vec(any::<u8>(), Record::SIZE), small).prop_map(|(mut bytes, small)| {
        let (hook, from, to, family, cookie, address, tame) = small;
        if tame {
            bytes[std::mem::offset_of!(Record, hook)] = hook;
            bytes[std::mem::offset_of!(Record, from)] = from;
            bytes[std::mem::offset_of!(Record, to)] = to;
            put(&mut bytes, std::mem::offset_of!(Record, family), &family.to_ne_bytes());
            put(&mut bytes, std::mem::offset_of!(Record, cookie), &cookie.to_ne_bytes());
            put(&mut bytes, std::mem::offset_of!(Record, socket), &address.to_ne_bytes());
            put(&mut bytes, std::mem::offset_of!(Record, reason), &(u32::from(to) % 9).to_ne_bytes());
            put(&mut bytes, std::mem::offset_of!(Record, cpu), &(u16::from(hook) % 2).to_ne_bytes());
        }
        bytes
    })
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_an_event_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..2 * Record::SIZE)) {
        let decoded = decode(&bytes, &Kernel::default());
        if bytes.len() != Record::SIZE {
            prop_assert_eq!(decoded, Err(Malformed::Size { got: bytes.len() }));
        }
        let _ = hook_of(&bytes);
    }

    #[test]
    fn a_decoded_event_says_what_its_record_said(bytes in bytes()) {
        match decode(&bytes, &Kernel::default()) {
            Ok(event) => {
                prop_assert_eq!(Some(event.hook), hook_of(&bytes));
                prop_assert!((event.hook as usize) < Hook::ALL.len());
            }
            Err(Malformed::Hook(number)) => prop_assert!(usize::from(number) >= Hook::ALL.len()),
            Err(Malformed::State(number)) => prop_assert!(number == 0 || number > 12),
            Err(Malformed::Family(number)) => prop_assert!(number != 2 && number != 10),
            Err(Malformed::Caller(number)) => prop_assert!(number > 7),
            Err(Malformed::NoAddress) => {
                prop_assert_eq!(layout::record(&bytes).map(|record| record.socket), Some(0));
            }
            Err(Malformed::Size { .. }) => prop_assert!(false, "the size is right"),
        }
    }

    #[test]
    fn the_tracker_bears_whatever_decodes(records in prop::collection::vec(bytes(), 1..60)) {
        let events: Vec<_> = records.iter().filter_map(|bytes| decode(bytes, &Kernel::default()).ok()).collect();
        let mut watch = Watch::new();
        watch.see(&events).flush(u64::MAX);
        prop_assert_eq!(watch.tracker.books().total(), watch.tracker.len() as u64);
    }
}
