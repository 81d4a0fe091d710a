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
    /// That of the last one, of a peer that contradicts itself.
    later_fin: Option<Seq>,
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

    /// The number behind everything held; none when nothing is.
    #[must_use]
    pub fn end(&self) -> Option<Seq> {
        let text = self.ranges().last().map(|range| range.end());
        self.fins().map(|fin| fin + 1).chain(text).reduce(Seq::max)
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

    /// Keeps a FIN.
    pub fn insert_fin(&mut self, number: Seq) {
        let Some(first) = self.fin else {
            self.fin = Some(number);
            return;
        };
        let (least, most) = if number.lt(first) { (number, first) } else { (first, number) };
        self.fin = Some(least);
        if most != least {
            self.later_fin = Some(self.later_fin.map_or(most, |later| later.max(most)));
        }
    }

    /// Whether a FIN with this number is held.
    #[must_use]
    pub fn has_fin(&self, number: Seq) -> bool {
        self.fins().any(|fin| fin == number)
    }

    /// Whether all of these numbers are held as text.
    #[must_use]
    pub fn covers(&self, start: Seq, len: u32) -> bool {
        self.ranges().iter().any(|range| range.start.le(start) && (start + len).le(range.end()))
    }

    /// Where the text ends that a FIN before `reached` became one with: the number right behind the FIN is held as text.
    #[must_use]
    pub fn end_behind_fin(&self, reached: Seq) -> Option<Seq> {
        self.fins().filter(|fin| fin.lt(reached)).find_map(|fin| {
            let behind = fin + 1;
            let holds = |range: &&Range| range.start.le(behind) && behind.lt(range.end());
            self.ranges().iter().find(holds).map(|range| range.end())
        })
    }

    fn fins(&self) -> impl Iterator<Item = Seq> {
        self.fin.into_iter().chain(self.later_fin)
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

    /// The same, but nothing beyond a FIN that lies on the way.
    pub fn take_to_fin(&mut self, next: Seq) -> u32 {
        let taken = self.take(next);
        let on_the_way = self.fins().find(|fin| next.le(*fin));
        on_the_way.map_or(taken, |fin| taken.min(fin - next))
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
    fn a_held_fin_may_end_the_stream_within_text_that_is_held() {
        let held = |fin| {
            let mut held = Reassembly::default();
            assert!(held.insert(Seq(100), 30));
            held.fin = Some(Seq(fin));
            held
        };
        assert_eq!((held(110).take(Seq(100)), held(110).take_to_fin(Seq(100))), (30, 10));
        assert_eq!(held(100).take_to_fin(Seq(100)), 0);
        assert_eq!(held(130).take_to_fin(Seq(100)), 30);
        assert_eq!(held(140).take_to_fin(Seq(100)), 30);
        // Text in order has covered its number.
        assert_eq!(held(109).take_to_fin(Seq(110)), 20);
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
