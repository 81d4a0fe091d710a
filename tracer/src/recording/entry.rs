//! What stands in a frame: inputs of the judge, and notes about them.
//!
//! ```text
//! entry = tag (u8), then
//!   1 listed     count (u32), records     sockets that were there before
//!   2 records    count (u32), records     of the ring and of sweeps, as they came
//!   3 lost       hook (u8), until (u64), ring_full (u64), missed (u64)
//!   4 flush      time (u64)               everything older has been taken in
//!   5 anchor     monotonic (u64), wall (i64)
//!   6 listing    namespaces (u32), problems (u32): the listing is complete
//!   7 unwritten  records (u64), until (u64): taken in, but not written for want of time
//!   8 fate       hook (u8), delivered, filtered, ring_full, missed, recovered (u64): at the end
//!   9 end        0: recording was stopped; 1: it goes on in the next part
//!  10 odd        length (u16), bytes      a record of another size
//!  11 shown      count (u32), records     of a listing that was made after a loss
//!  12 walked     namespace (u64)          that listing shows it whole
//!  13 complete   time (u64)               that listing was begun then, and is complete
//!  14 relisting                           after a loss a listing is begun
//! ```

use tracer_ebpf::{Hook, Record};

use super::{u32_at, u64_at};
use crate::{
    anchor::Anchor,
    judge::{Input, Loss},
    kernel::counts::Fate,
};

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// The judge took it in.
    Input(Input<'a>),
    /// Both clocks.
    Anchor(Anchor),
    /// The listing of what was there before is complete.
    Listing {
        /// Network namespaces that were listed.
        namespaces: u32,
        /// Namespaces that could not be.
        problems: u32,
    },
    /// Taken in, but not written: the disk was too slow.
    Unwritten(Unwritten),
    /// What became of a hook's firings until now.
    Fate(Hook, Fate),
    /// Nothing follows in this part.
    End(End),
}

/// Records that were taken in and not written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unwritten {
    /// How many.
    pub records: u64,
    /// When the last of them was taken in, CLOCK_MONOTONIC nanoseconds.
    pub until: u64,
}

/// Why a part ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Recording was stopped.
    Stopped,
    /// It goes on in the next part.
    Continued,
}

/// Why some bytes are no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// No such entry.
    #[error("unknown entry {0}")]
    Tag(u8),
    /// The frame ends within it.
    #[error("entry {tag} is cut short")]
    Short {
        /// Which.
        tag: u8,
    },
    /// No hook has this number.
    #[error("unknown hook {0}")]
    Hook(u8),
    /// No reason has this number.
    #[error("unknown end {0}")]
    End(u8),
}

const LISTED: u8 = 1;
const RECORDS: u8 = 2;
const LOST: u8 = 3;
const FLUSH: u8 = 4;
const ANCHOR: u8 = 5;
const LISTING: u8 = 6;
const UNWRITTEN: u8 = 7;
const FATE: u8 = 8;
const END: u8 = 9;
const ODD: u8 = 10;
const SHOWN: u8 = 11;
const WALKED: u8 = 12;
const COMPLETE: u8 = 13;
const RELISTING: u8 = 14;

/// Entries on their way into a frame.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
    /// The records that the last entry may still grow by: tag, where its count stands, and the count.
    run: Option<(u8, usize, u32)>,
    records: u64,
    /// Where the last two entries begin, when both are flushes: the last may be replaced.
    flushes: Option<usize>,
}

impl Encoder {
    /// Appends an entry.
    pub fn push(&mut self, entry: &Entry<'_>) {
        let flushes = self.flushes.take();
        match *entry {
            Entry::Input(Input::Listed(record)) => self.record(LISTED, record),
            Entry::Input(Input::Record(record)) => self.record(RECORDS, record),
            Entry::Input(Input::Shown(record)) => self.record(SHOWN, record),
            Entry::Input(Input::Listing) => self.words(&[RELISTING], &[]),
            Entry::Input(Input::Walked(netns)) => self.words(&[WALKED], &[netns]),
            Entry::Input(Input::Complete(from)) => self.words(&[COMPLETE], &[from]),
            Entry::Input(Input::Lost(Loss { hook, until, ring_full, missed })) => {
                self.words(&[LOST, hook as u8], &[until, ring_full, missed]);
            }
            Entry::Input(Input::Flush(time)) => self.flush(time, flushes),
            Entry::Anchor(Anchor { monotonic_ns, wall_ns }) => {
                self.words(&[ANCHOR], &[monotonic_ns, wall_ns.cast_unsigned()]);
            }
            Entry::Listing { namespaces, problems } => {
                self.words(&[LISTING], &[u64::from(namespaces) | u64::from(problems) << 32]);
            }
            Entry::Unwritten(Unwritten { records, until }) => self.words(&[UNWRITTEN], &[records, until]),
            Entry::Fate(hook, Fate { delivered, filtered, ring_full, missed, recovered }) => {
                self.words(&[FATE, hook as u8], &[delivered, filtered, ring_full, missed, recovered]);
            }
            Entry::End(end) => self.words(&[END, u8::from(end == End::Continued)], &[]),
        }
    }

    /// The first flush of a row tells the judge that nothing came; of the others only the last matters.
    fn flush(&mut self, time: u64, earlier: Option<usize>) {
        let again = earlier.is_some_and(|at| self.bytes.len() - at == 2 * FLUSH_SIZE);
        if again {
            self.bytes.truncate(self.bytes.len() - FLUSH_SIZE);
        }
        let first = if again { earlier } else { earlier.or(Some(self.bytes.len())) };
        self.words(&[FLUSH], &[time]);
        self.flushes = first;
    }

    fn record(&mut self, tag: u8, record: &[u8]) {
        self.records += 1;
        if record.len() != Record::SIZE {
            let length = u16::try_from(record.len()).unwrap_or(u16::MAX);
            self.words(&[ODD], &[]);
            self.bytes.extend(length.to_le_bytes());
            self.bytes.extend(&record[..usize::from(length)]);
            return;
        }
        let run = self.run.filter(|(running, _, count)| *running == tag && *count < u32::MAX);
        let (at, count) = match run {
            Some((_, at, count)) => (at, count + 1),
            None => {
                self.bytes.push(tag);
                self.bytes.extend([0; 4]);
                (self.bytes.len() - 4, 1)
            }
        };
        self.bytes[at..at + 4].copy_from_slice(&count.to_le_bytes());
        self.bytes.extend(record);
        self.run = Some((tag, at, count));
    }

    fn words(&mut self, head: &[u8], words: &[u64]) {
        self.run = None;
        self.bytes.extend(head);
        self.bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }

    /// Bytes so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True when there is nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Records so far.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Takes everything out, and begins anew.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self).bytes
    }
}

/// Bytes of a flush.
const FLUSH_SIZE: usize = 1 + size_of::<u64>();

/// The entries of a frame.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    bytes: &'a [u8],
    /// Records of the last entry that are still to come, and its tag.
    run: (u32, u8),
}

impl<'a> Entries<'a> {
    /// The entries in these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, run: (0, RECORDS) }
    }

    /// The next entry; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`Invalid`]; there is nothing more to be had then.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'a>>, Invalid> {
        loop {
            if let (left @ 1.., tag) = self.run {
                self.run.0 = left - 1;
                let record = self.cut(Record::SIZE, tag)?;
                return Ok(Some(Entry::Input(match tag {
                    LISTED => Input::Listed(record),
                    SHOWN => Input::Shown(record),
                    _ => Input::Record(record),
                })));
            }
            let Some((tag, rest)) = self.bytes.split_first() else { return Ok(None) };
            self.bytes = rest;
            if !matches!(*tag, LISTED | RECORDS | SHOWN) {
                return self.single(*tag).map(Some);
            }
            self.run = (u32_at(self.cut(4, *tag)?, 0), *tag);
        }
    }

    fn single(&mut self, tag: u8) -> Result<Entry<'a>, Invalid> {
        Ok(match tag {
            LOST => {
                let (hook, [until, ring_full, missed]) = (self.hook(tag)?, self.words(tag)?);
                Entry::Input(Input::Lost(Loss { hook, until, ring_full, missed }))
            }
            FLUSH => {
                let [time] = self.words(tag)?;
                Entry::Input(Input::Flush(time))
            }
            ANCHOR => {
                let [monotonic_ns, wall_ns] = self.words(tag)?;
                Entry::Anchor(Anchor { monotonic_ns, wall_ns: wall_ns.cast_signed() })
            }
            WALKED => {
                let [netns] = self.words(tag)?;
                Entry::Input(Input::Walked(netns))
            }
            RELISTING => Entry::Input(Input::Listing),
            COMPLETE => {
                let [from] = self.words(tag)?;
                Entry::Input(Input::Complete(from))
            }
            LISTING => {
                let counts = self.cut(8, tag)?;
                Entry::Listing { namespaces: u32_at(counts, 0), problems: u32_at(counts, 4) }
            }
            UNWRITTEN => {
                let [records, until] = self.words(tag)?;
                Entry::Unwritten(Unwritten { records, until })
            }
            FATE => {
                let hook = self.hook(tag)?;
                let [delivered, filtered, ring_full, missed, recovered] = self.words(tag)?;
                Entry::Fate(hook, Fate { delivered, filtered, ring_full, missed, recovered })
            }
            END => match self.cut(1, tag)?[0] {
                0 => Entry::End(End::Stopped),
                1 => Entry::End(End::Continued),
                other => return Err(Invalid::End(other)),
            },
            ODD => {
                let length = self.cut(2, tag)?;
                let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
                Entry::Input(Input::Record(self.cut(length, tag)?))
            }
            other => return Err(Invalid::Tag(other)),
        })
    }

    fn hook(&mut self, tag: u8) -> Result<Hook, Invalid> {
        let number = self.cut(1, tag)?[0];
        Hook::from_u8(number).ok_or(Invalid::Hook(number))
    }

    fn words<const COUNT: usize>(&mut self, tag: u8) -> Result<[u64; COUNT], Invalid> {
        let bytes = self.cut(COUNT * 8, tag)?;
        Ok(std::array::from_fn(|word| u64_at(bytes, word * 8)))
    }

    fn cut(&mut self, length: usize, tag: u8) -> Result<&'a [u8], Invalid> {
        let (bytes, rest) = self.bytes.split_at_checked(length).ok_or(Invalid::Short { tag })?;
        self.bytes = rest;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> Vec<Entry<'_>> {
        let mut entries = Entries::new(bytes);
        std::iter::from_fn(|| entries.next_entry().unwrap()).collect()
    }

    #[test]
    fn every_entry_comes_back_in_order() {
        let (one, two, odd) = ([1; Record::SIZE], [2; Record::SIZE], [3; 5]);
        let fate = Fate { delivered: 1, filtered: 2, ring_full: 3, missed: 4, recovered: 5 };
        let loss = Loss { hook: Hook::Destroy, until: 7, ring_full: 8, missed: 9 };
        let entries = [
            Entry::Anchor(Anchor { monotonic_ns: 1, wall_ns: -1 }),
            Entry::Input(Input::Listed(&one)),
            Entry::Input(Input::Listed(&two)),
            Entry::Listing { namespaces: 2, problems: 1 },
            Entry::Input(Input::Record(&one)),
            Entry::Input(Input::Record(&odd)),
            Entry::Input(Input::Record(&two)),
            Entry::Input(Input::Lost(loss)),
            Entry::Input(Input::Listing),
            Entry::Input(Input::Shown(&two)),
            Entry::Input(Input::Walked(77)),
            Entry::Input(Input::Complete(10)),
            Entry::Input(Input::Flush(11)),
            Entry::Unwritten(Unwritten { records: 5, until: 12 }),
            Entry::Fate(Hook::TimerExpire, fate),
            Entry::End(End::Continued),
            Entry::End(End::Stopped),
        ];
        let mut encoder = Encoder::default();
        entries.iter().for_each(|entry| encoder.push(entry));
        assert_eq!(encoder.records(), 6);
        assert_eq!(decoded(&encoder.take()), entries);
        assert!(encoder.is_empty());
    }

    #[test]
    fn of_a_row_of_flushes_the_first_and_the_last_are_kept() {
        let record = [1; Record::SIZE];
        let flush = |time| Entry::Input(Input::Flush(time));
        let mut encoder = Encoder::default();
        for time in 0..5 {
            encoder.push(&flush(time));
        }
        encoder.push(&Entry::Input(Input::Record(&record)));
        for time in 5..7 {
            encoder.push(&flush(time));
        }
        let kept = [flush(0), flush(4), Entry::Input(Input::Record(&record)), flush(5), flush(6)];
        assert_eq!(decoded(&encoder.take()), kept);
    }

    #[test]
    fn what_is_no_entry_is_said() {
        assert_eq!(Entries::new(&[99]).next_entry(), Err(Invalid::Tag(99)));
        assert_eq!(Entries::new(&[LOST, 200, 0]).next_entry(), Err(Invalid::Hook(200)));
        assert_eq!(Entries::new(&[FLUSH, 0, 0]).next_entry(), Err(Invalid::Short { tag: FLUSH }));
        assert_eq!(Entries::new(&[END, 2]).next_entry(), Err(Invalid::End(2)));
        assert_eq!(
            Entries::new(&[RECORDS, 1, 0, 0, 0, 7]).next_entry(),
            Err(Invalid::Short { tag: RECORDS })
        );
        assert_eq!(Entries::new(&[]).next_entry(), Ok(None));
    }
}
