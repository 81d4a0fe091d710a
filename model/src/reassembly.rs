//! What arrived out of order: a bounded list of segments (SHLD-31).

use crate::seq::Seq;

/// How many separate segments are held; one more is not kept, and so comes again.
pub const MAX_HELD: usize = 8;

/// A segment that is held, or several that became one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Held {
    /// The first number.
    pub start: Seq,
    /// How many, the FIN's included.
    pub len: u32,
    /// The last number is a FIN.
    pub fin: bool,
}

impl Held {
    const fn end(self) -> Seq {
        Seq(self.start.0.wrapping_add(self.len))
    }

    fn covers(self, other: Self) -> bool {
        self.start.le(other.start) && other.end().le(self.end())
    }
}

/// What continues the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Continuation {
    /// Octets of text.
    pub text: u32,
    /// The peer's FIN behind them.
    pub fin: Option<HeldFin>,
}

/// How a FIN that was held lies behind the text before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldFin {
    /// Right behind it.
    WithText,
    /// In a segment whose own text had all come before.
    Apart,
}

/// Segments beyond RCV.NXT, in ascending order of their first and of their last numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reassembly {
    held: [Held; MAX_HELD],
    used: usize,
}

impl Reassembly {
    /// Nothing is held.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// What is held.
    #[must_use]
    pub fn held(&self) -> &[Held] {
        self.held.get(..self.used).unwrap_or_default()
    }

    /// The number behind everything held; none when nothing is.
    #[must_use]
    pub fn end(&self) -> Option<Seq> {
        self.held().iter().map(|held| held.end()).reduce(Seq::max)
    }

    /// The number of the nearest FIN.
    #[must_use]
    pub fn fin(&self) -> Option<Seq> {
        self.held().iter().find(|held| held.fin).map(|held| held.end() - 1)
    }

    /// Keeps `len` octets from `start`, and the FIN behind them; false when there is no place for one more segment.
    ///
    /// Of two segments one of which holds the other's numbers, only that one is kept, and with it only its FIN. A FIN
    /// without text becomes one with what it follows, and so does text if it `joins`: then it lies before the FIN that it
    /// followed.
    pub fn insert(&mut self, start: Seq, len: u32, fin: bool, joins: bool) -> bool {
        let new = Held { start, len: len.saturating_add(u32::from(fin)), fin };
        if new.len == 0 || self.held().iter().any(|held| held.covers(new)) {
            return true;
        }
        let followed = self.held.iter_mut().take(self.used).find(|held| held.end() == start);
        if let Some(followed) = followed.filter(|_| joins || len == 0) {
            followed.len = followed.len.saturating_add(new.len);
            followed.fin |= fin;
            return true;
        }
        let mut kept = [Held::default(); MAX_HELD + 1];
        let mut count = 0;
        for held in self.held().iter().filter(|held| !new.covers(**held)) {
            kept[count] = *held;
            count += 1;
        }
        let place = kept.iter().take(count).take_while(|held| held.start.lt(start)).count();
        kept.copy_within(place..count, place + 1);
        kept[place] = new;
        count += 1;
        if count > MAX_HELD {
            count = condense(&mut kept);
        }
        let room = count <= MAX_HELD;
        if room {
            self.store(&kept[..count]);
        }
        room
    }

    /// Takes what continues a stream that has reached `next`. A FIN ends it, and what is held behind that goes.
    pub fn take(&mut self, next: Seq) -> Continuation {
        let mut reached = next;
        let mut taken = 0;
        let mut fin = None;
        for held in self.held() {
            if held.start.gt(reached) || fin.is_some() {
                break;
            }
            taken += 1;
            if held.end().gt(reached) {
                let old = held.start.lt(reached) && held.end() == reached + 1;
                fin = held.fin.then_some(if old { HeldFin::Apart } else { HeldFin::WithText });
                reached = held.end();
            }
        }
        let rest = *self;
        self.store(if fin.is_some() { &[] } else { rest.held().get(taken..).unwrap_or_default() });
        Continuation { text: reached - next - u32::from(fin.is_some()), fin }
    }

    // Unused places are empty: two equal contents are equal, and hash alike.
    fn store(&mut self, kept: &[Held]) {
        self.held = [Held::default(); MAX_HELD];
        self.used = kept.len().min(MAX_HELD);
        for (place, held) in self.held.iter_mut().zip(kept) {
            *place = *held;
        }
    }
}

/// Makes one of neighbours that touch, unless a FIN lies between them; how many are left.
fn condense(kept: &mut [Held; MAX_HELD + 1]) -> usize {
    let mut last = 0;
    for at in 1..kept.len() {
        let (one, next) = (kept[last], kept[at]);
        if one.fin || next.start.gt(one.end()) {
            last += 1;
            kept[last] = next;
        } else if next.end().gt(one.end()) {
            kept[last] = Held { len: next.end() - one.start, fin: next.fin, ..one };
        }
    }
    last + 1
}

#[cfg(test)]
mod tests {
    use super::{Continuation, Held, HeldFin, MAX_HELD, Reassembly};
    use crate::seq::Seq;

    /// Segments as they came: the first number, octets, and whether a FIN is behind them.
    fn held(joins: bool, segments: &[(u32, u32, bool)]) -> Reassembly {
        let mut held = Reassembly::default();
        for (start, len, fin) in segments {
            assert!(held.insert(Seq(*start), *len, *fin, joins));
        }
        held
    }

    fn text(text: u32) -> Continuation {
        Continuation { text, fin: None }
    }

    #[test]
    fn a_hole_filled_gives_everything_behind_it() {
        let mut held = held(false, &[(120, 10, false), (100, 10, false)]);
        assert_eq!(held.take(Seq(90)), text(0));
        assert!(held.insert(Seq(110), 10, false, false));
        assert_eq!(held.take(Seq(105)), text(25));
        assert!(held.is_empty());
    }

    #[test]
    fn a_fin_ends_the_stream_where_its_own_segment_ends() {
        let with_text = Some(HeldFin::WithText);
        let mut bare = held(false, &[(100, 10, false), (110, 0, true), (111, 10, false)]);
        assert_eq!(bare.take(Seq(100)), Continuation { text: 10, fin: with_text });
        assert!(bare.is_empty(), "what was behind it goes");
        // Within other text, of which only a part lies in its segment.
        let mut within = held(false, &[(100, 20, true), (110, 50, false)]);
        assert_eq!(within.take(Seq(100)), Continuation { text: 20, fin: with_text });
        // Its segment brings nothing that has not come.
        let mut old = held(false, &[(100, 20, true)]);
        assert_eq!(old.take(Seq(120)), Continuation { text: 0, fin: Some(HeldFin::Apart) });
        assert_eq!(held(false, &[(120, 0, true)]).take(Seq(120)), Continuation { text: 0, fin: with_text });
        // Text in order has passed it.
        assert_eq!(held(false, &[(110, 0, true)]).take(Seq(120)), text(0));
    }

    #[test]
    fn of_a_segment_inside_of_another_nothing_is_kept() {
        let fin = (110, 0, true);
        let around = (100, 30, false);
        for segments in [[fin, around], [around, fin]] {
            assert_eq!(held(false, &segments).take(Seq(100)), text(30), "{segments:?}");
        }
        assert_eq!(held(false, &[(100, 30, true), fin]).take(Seq(100)).text, 30);
    }

    #[test]
    fn text_that_joins_a_fin_lies_before_it() {
        let segments = [(200, 500, false), (101, 0, true), (102, 100, false)];
        let mut joined = held(true, &segments);
        let fin = Some(HeldFin::WithText);
        // The FIN's number is one of the stream, wherever it lay.
        assert_eq!(joined.take(Seq(150)), Continuation { text: 51, fin });
        assert!(joined.is_empty());
        assert_eq!(held(true, &segments).fin(), Some(Seq(201)));
        assert_eq!(held(false, &segments).take(Seq(150)), text(550));
        // A FIN behind a FIN needs no room at all.
        assert_eq!(held(false, &[fin_at(101), fin_at(102)]).take(Seq(101)).text, 1);
    }

    const fn fin_at(number: u32) -> (u32, u32, bool) {
        (number, 0, true)
    }

    #[test]
    fn across_the_wrap_and_full() {
        let mut wrapped = held(false, &[(u32::MAX - 4, 10, false)]);
        assert_eq!(wrapped.take(Seq(u32::MAX - 4)), text(10));
        let mut full = Reassembly::default();
        for n in 0..8 {
            assert!(full.insert(Seq(100 + n * 10), 5, false, false));
        }
        assert_eq!(full.held().len(), MAX_HELD);
        let before = full;
        assert!(!full.insert(Seq(500), 5, false, false), "a ninth one has no place");
        assert_eq!(full, before);
        assert!(full.insert(Seq(105), 5, false, false), "but what fills a gap has: three become one");
        assert_eq!(full.held().len(), MAX_HELD - 1);
        assert_eq!(full.held()[0], Held { start: Seq(100), len: 15, fin: false });
    }
}
