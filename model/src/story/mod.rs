//! Two endpoints, a scripted network, and the stories that everybody is taught.
//!
//! [`Pair`] joins two TCBs by a network that loses, delays and repeats what the script says; [`stories()`] are scripts;
//! [`ladder`] draws what happened. Needs the feature `stories` (and with it `alloc`).

mod closing;
mod ladder;
mod opening;
mod pair;
mod resets;
mod time_wait;

use alloc::vec::Vec;

pub use ladder::{ladder, ladder_with_rules};
pub use pair::{End, Entry, Fate, Pair, Side, What};

use crate::profile::{Profile, RFC9293_INTENT};

/// A story: what happens, and why it is worth telling.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    /// Its name on the command line.
    pub name: &'static str,
    /// One line.
    pub title: &'static str,
    /// What to look at.
    pub about: &'static str,
    /// The profile it is told under, unless another is asked for.
    pub profile: &'static Profile,
    play: fn(&mut Pair),
}

impl Story {
    const fn new(name: &'static str, title: &'static str, about: &'static str, play: fn(&mut Pair)) -> Self {
        Self { name, title, about, profile: &RFC9293_INTENT, play }
    }

    const fn under(mut self, profile: &'static Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Plays it; the pair holds what happened.
    #[must_use]
    pub fn play(&self) -> Pair {
        let mut pair = Pair::new(*self.profile);
        (self.play)(&mut pair);
        pair
    }

    /// The story with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        stories().into_iter().find(|story| story.name == name)
    }
}

/// Every story.
#[must_use]
pub fn stories() -> Vec<Story> {
    [opening::STORIES, closing::STORIES, time_wait::STORIES, resets::STORIES].concat()
}
