//! Text that arrived out of order: a bounded list of ranges (SHLD-31).

use crate::seq::Seq;

/// How many separate ranges are held; text that would need another one is not kept, and so comes again.
pub const MAX_RANGES: usize = 8;

/// A run of sequence numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Range {
    /// The first number.
    pub start: Seq,
    /// How many.
    pub len: u32,
}

impl Range {
    fn end(self) -> Seq {
        self.start + self.len
    }
}

/// Ranges beyond RCV.NXT in ascending order, none touching another, and where the peer's FIN lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reassembly {
    ranges: [Range; MAX_RANGES],
    used: usize,
    /// The number of a FIN that has arrived but is not yet reached.
    pub fin: Option<Seq>,
}

impl Reassembly {
    /// Nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used == 0 && self.fin.is_none()
    }

    /// The ranges held.
    #[must_use]
    pub fn ranges(&self) -> &[Range] {
        self.ranges.get(..self.used).unwrap_or_default()
    }

    /// Keeps `len` octets from `start`; false when there is no place for one more range.
    pub fn insert(&mut self, start: Seq, len: u32) -> bool {
        if len == 0 {
            return true;
        }
        let mut merged = Range { start, len };
        let mut kept = [Range::default(); MAX_RANGES];
        let mut count = 0;
        for range in self.ranges() {
            if range.end().lt(merged.start) || merged.end().lt(range.start) {
                kept[count] = *range;
                count += 1;
            } else {
                let first = if range.start.lt(merged.start) { range.start } else { merged.start };
                let last = range.end().max(merged.end());
                merged = Range { start: first, len: last - first };
            }
        }
        if count == MAX_RANGES {
            return false;
        }
        let place = kept.iter().take(count).take_while(|range| range.start.lt(merged.start)).count();
        kept.copy_within(place..count, place + 1);
        kept[place] = merged;
        self.store(&kept, count + 1);
        true
    }

    /// Takes what continues at `next`; gives how many octets that is.
    pub fn take(&mut self, next: Seq) -> u32 {
        let mut reached = next;
        let mut kept = [Range::default(); MAX_RANGES];
        let mut count = 0;
        for range in self.ranges() {
            if range.start.le(reached) {
                reached = reached.max(range.end());
            } else {
                kept[count] = *range;
                count += 1;
            }
        }
        self.store(&kept, count);
        reached - next
    }

    // Unused places are empty ranges: two equal contents are equal, and hash alike.
    fn store(&mut self, kept: &[Range; MAX_RANGES], count: usize) {
        self.ranges = *kept;
        self.used = count;
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_RANGES, Range, Reassembly};
    use crate::seq::Seq;

    #[test]
    fn a_hole_filled_gives_everything_behind_it() {
        let mut held = Reassembly::default();
        assert!(held.insert(Seq(120), 10));
        assert!(held.insert(Seq(100), 10));
        assert_eq!(held.take(Seq(90)), 0);
        assert!(held.insert(Seq(110), 10));
        assert_eq!(held.ranges(), [Range { start: Seq(100), len: 30 }]);
        assert_eq!(held.take(Seq(105)), 25);
        assert!(held.is_empty());
    }

    #[test]
    fn across_the_wrap_and_full() {
        let mut held = Reassembly::default();
        assert!(held.insert(Seq(u32::MAX - 4), 10));
        assert_eq!(held.take(Seq(u32::MAX - 4)), 10);
        for n in 0..8 {
            assert!(held.insert(Seq(100 + n * 10), 5));
        }
        assert_eq!(held.ranges().len(), MAX_RANGES);
        assert!(!held.insert(Seq(500), 5), "a ninth range has no place");
        assert!(held.insert(Seq(105), 5), "but filling a gap has");
        assert_eq!(held.ranges().len(), MAX_RANGES - 1);
    }
}
