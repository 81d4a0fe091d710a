//! Every story, told and checked: the states that both ends go through, the segments between them, what users get.
//!
//! The ladders are snapshots: `UPDATE_SNAPSHOTS=1 cargo test -p model --features stories --test stories`

mod closing;
mod opening;
mod resets;
#[path = "../support/snapshot.rs"]
mod snapshot;
mod time_wait;

use model::State;
use model::story::{Pair, Side, Story, ladder, ladder_with_rules, stories};

/// A story as it was played.
pub struct Told {
    /// What came of it.
    pub pair: Pair,
}

/// Plays a story.
#[allow(clippy::panic, clippy::allow_attributes, reason = "a test's helper")]
pub fn tell(name: &str) -> Told {
    let Some(story) = Story::find(name) else { panic!("no story {name}") };
    Told { pair: story.play() }
}

impl Told {
    /// The states of A, each change.
    #[track_caller]
    pub fn a(&self, path: &str) -> &Self {
        self.path(Side::A, path)
    }

    /// The states of B, each change.
    #[track_caller]
    pub fn b(&self, path: &str) -> &Self {
        self.path(Side::B, path)
    }

    #[track_caller]
    fn path(&self, side: Side, expected: &str) -> &Self {
        let path: Vec<&str> = self.pair.path(side).into_iter().map(State::name).collect();
        assert_eq!(path.join(" "), expected, "{side:?}\n{}", ladder(&self.pair));
        self
    }

    /// The segments that A sent, lost ones too.
    #[track_caller]
    pub fn a_sends(&self, segments: &[&str]) -> &Self {
        self.sends(Side::A, segments)
    }

    /// The segments that B sent, lost ones too.
    #[track_caller]
    pub fn b_sends(&self, segments: &[&str]) -> &Self {
        self.sends(Side::B, segments)
    }

    #[track_caller]
    fn sends(&self, side: Side, expected: &[&str]) -> &Self {
        let sent: Vec<String> = self.pair.sent(side).map(ToString::to_string).collect();
        assert_eq!(sent, expected, "{side:?}\n{}", ladder(&self.pair));
        self
    }

    /// When a segment of this text left a side, in microseconds.
    pub fn times(&self, side: Side, text: &str) -> Vec<u64> {
        let sent = self.pair.log.iter().filter(|entry| entry.side == side);
        sent.filter(|e| matches!(&e.what, model::story::What::Sent(s, _) if s.to_string() == text))
            .map(|e| e.at)
            .collect()
    }

    /// True when either side took the rule.
    pub fn took(&self, rule: &str) -> bool {
        use model::story::What::{Arrived, Call, Expired};
        self.pair.log.iter().any(|entry| match &entry.what {
            Call(_, _, trail) | Arrived(_, trail) | Expired(_, trail) => {
                trail.as_slice().iter().any(|taken| taken.id() == rule)
            }
            _ => false,
        })
    }
}

#[test]
fn every_ladder_is_the_reviewed_one() {
    for story in stories() {
        let text = format!(
            "{}\n{}\n({})\n\n{}",
            story.title,
            story.about,
            story.profile.name,
            ladder_with_rules(&story.play())
        );
        let name = format!("stories/{}.txt", story.name);
        snapshot::matches(&name, &text, "cargo test -p model --features stories --test stories");
    }
}

/// Without the rules the same rows are left.
#[test]
fn a_ladder_without_rules_has_all_other_rows() {
    for story in stories() {
        let pair = story.play();
        let whole = ladder_with_rules(&pair);
        let rest = whole.lines().filter(|line| !line.trim_start().starts_with('[')).fold(
            String::new(),
            |mut text, line| {
                text += line;
                text.push('\n');
                text
            },
        );
        assert_eq!(ladder(&pair), rest, "{}", story.name);
    }
}

/// Of two segments that leave at once each is drawn where it leaves, and again where it arrives.
#[test]
fn a_burst_is_on_its_way_together() {
    let mut pair = Pair::new(model::profile::RFC9293_INTENT);
    pair.establish();
    let before = ladder(&pair).matches("...").count();
    pair.call(Side::A, model::Call::send(2_000));
    pair.settle();
    // Two and their two ACKs.
    assert_eq!(ladder(&pair).matches("...").count() - before, 8, "{}", ladder(&pair));
}

#[test]
fn names_are_unique_and_every_story_ends() {
    let names: Vec<&str> = stories().iter().map(|story| story.name).collect();
    let unique: std::collections::BTreeSet<&&str> = names.iter().collect();
    assert_eq!(unique.len(), names.len());
    for story in stories() {
        assert!(!story.play().log.is_empty(), "{}", story.name);
    }
}
