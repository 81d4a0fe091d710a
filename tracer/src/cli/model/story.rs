//! A story, drawn.

use model::story::{Story, ladder, ladder_with_rules, stories};

use super::super::nearest::nearest;
use super::super::text;
use super::{ModelError, profiles};

/// Draws the story under its own profile, or another.
pub fn draw(name: &str, profile: Option<&str>, rules: bool, width: usize) -> Result<String, ModelError> {
    let mut story = find(name)?;
    if let Some(name) = profile {
        story.profile = profiles::find(name)
            .map_err(|nearest| ModelError::NoProfile { name: name.to_owned(), nearest })?;
    }
    let mut page = format!("{}\n", story.title);
    text::wrap(&mut page, story.about, 0, width);
    page += &format!("profile: {}", story.profile.name);
    let differences = profiles::differences(story.profile);
    if !differences.is_empty() {
        page += &format!(", but {}", differences.join(", "));
    }
    let pair = story.play();
    page += "\n\n";
    page += &if rules { ladder_with_rules(&pair) } else { ladder(&pair) };
    Ok(page)
}

/// How to read a ladder.
pub fn legend(width: usize) -> String {
    let mut page = String::new();
    text::wrap(
        &mut page,
        "A segment takes 10 ms and stands where it left: the state at its tail is the sender's, the one at its head \
         the receiver's once it has arrived. `...` is where it is still on its way, `X` where it is lost. win is shown \
         when it has changed.",
        0,
        width,
    );
    page
}

fn find(name: &str) -> Result<Story, ModelError> {
    let unknown = || {
        let nearest = nearest(stories().iter().map(|story| story.name), name);
        ModelError::NoStory { name: name.to_owned(), nearest }
    };
    Story::find(&super::super::nearest::plain(name)).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use model::story::stories;

    use super::{draw, profiles};

    #[test]
    fn every_story_is_drawn_under_every_profile_within_100_columns() {
        for story in stories() {
            let own = std::iter::once(None);
            for profile in own.chain(profiles::names().into_iter().map(Some)) {
                let page = draw(story.name, profile, true, 100).unwrap();
                assert!(page.starts_with(story.title) && page.contains("(the end)"), "{page}");
                if let Some(line) = page.lines().find(|line| line.chars().count() > 100) {
                    panic!("{} under {profile:?}: {line}", story.name);
                }
            }
        }
    }

    #[test]
    fn the_handshake_counts_one_for_each_syn() {
        let page = draw("handshake", None, false, 100).unwrap();
        let rows: Vec<Vec<&str>> = page.lines().map(|line| line.split_whitespace().collect()).collect();
        for row in [
            "SYN-SENT --> SYN seq=100 win=8000 mss=1000 --> SYN-RECEIVED",
            "0.010 ESTABLISHED <-- SYN,ACK seq=300 ack=101 win=8000 mss=1000 <-- SYN-RECEIVED",
            "ESTABLISHED --> ACK seq=101 ack=301 --> ESTABLISHED",
        ] {
            assert!(rows.contains(&row.split(' ').collect()), "{row} in\n{page}");
        }
    }

    #[test]
    fn a_variation_of_a_profile_is_said() {
        let page = draw("old-data", None, false, 100).unwrap();
        assert!(page.contains("profile: rfc9293-intent, but rfc1337 yes\n"), "{page}");
        let page = draw("old-data", Some("linux"), false, 100).unwrap();
        assert!(page.contains("profile: linux\n") && page.contains("2MSL timer: 60 s"), "{page}");
    }

    #[test]
    fn unknown_names_get_hints() {
        let error = draw("handshkae", None, false, 100).unwrap_err().to_string();
        assert!(error.contains("no story \"handshkae\"; did you mean handshake"), "{error}");
        let error = draw("handshake", Some("linus"), false, 100).unwrap_err().to_string();
        assert!(error.contains("no profile \"linus\"; did you mean linux"), "{error}");
    }
}
