//! The last transitions of a connection, for whoever has to understand a violation.

use std::time::Duration;

use model::linux::{LinuxState, Transition};

/// Transitions that are remembered.
const LENGTH: usize = 6;
const _: () = assert!(2 * LENGTH < u8::MAX as usize);

/// The last transitions of one socket, across its lives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Story {
    transitions: [Transition; LENGTH],
    /// Seconds in the state that was left; NaN: not known. Seven digits from nanoseconds to years in four bytes.
    spent: [f32; LENGTH],
    told: u8,
}

/// One transition of a story.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// From where to where.
    pub transition: Transition,
    /// Time spent in the state that was left, to seven digits; `None`: not known.
    pub spent: Option<Duration>,
}

impl Story {
    pub(super) const EMPTY: Self = Self {
        transitions: [Transition::new(LinuxState::Close, LinuxState::Close); LENGTH],
        spent: [f32::NAN; LENGTH],
        told: 0,
    };

    #[expect(clippy::cast_possible_truncation, reason = "LENGTH is small: asserted")]
    pub(super) fn tell(&mut self, transition: Transition, spent: Option<u64>) {
        let place = usize::from(self.told) % LENGTH;
        self.transitions[place] = transition;
        self.spent[place] = spent.map_or(f32::NAN, |nanoseconds| nanoseconds as f32 / 1e9);
        // Counts to twice the length, then steps back by one length: the places stay in order.
        self.told = if usize::from(self.told) + 1 == 2 * LENGTH { LENGTH as u8 } else { self.told + 1 };
    }

    /// True when nothing has been forgotten since the first transition that was seen, and that began a life.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let begins =
            |moment: Moment| matches!(moment.transition.from, LinuxState::Close | LinuxState::Listen);
        usize::from(self.told) < LENGTH && self.moments().next().is_some_and(begins)
    }

    /// The moments, oldest first.
    pub fn moments(&self) -> impl Iterator<Item = Moment> {
        let told = usize::from(self.told);
        (told.saturating_sub(LENGTH)..told).map(|number| {
            let place = number % LENGTH;
            let spent = Duration::try_from_secs_f32(self.spent[place]).ok();
            Moment { transition: self.transitions[place], spent }
        })
    }
}

#[cfg(test)]
mod tests {
    use model::linux::LinuxState::{Close, CloseWait, Established, LastAck, SynSent};

    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first_however_long_the_story_gets() {
        let mut story = Story::EMPTY;
        assert_eq!(story.moments().count(), 0);
        let round = [
            (Close, SynSent),
            (SynSent, Established),
            (Established, CloseWait),
            (CloseWait, LastAck),
            (LastAck, Close),
        ];
        let mut expected = Vec::new();
        for (number, (from, to)) in round.into_iter().cycle().take(1000).enumerate() {
            let spent = (number > 0).then_some(number as u64 * 1_000_000_000);
            story.tell(Transition::new(from, to), spent);
            expected.push((Transition::new(from, to), number as f64));
            let last = expected.len().saturating_sub(LENGTH);
            let told: Vec<_> = story.moments().collect();
            assert_eq!(told.len(), expected[last..].len());
            for (moment, (transition, spent)) in told.iter().zip(&expected[last..]) {
                assert_eq!(moment.transition, *transition, "after {number}");
                let told = moment.spent.map_or(0.0, |spent| spent.as_secs_f64());
                assert!((told - spent).abs() <= spent * 1e-6, "after {number}: {told} instead of {spent}");
            }
        }
    }
}
