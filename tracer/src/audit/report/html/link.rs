//! Anchors within the page, and links to them and to the RFC.

use maud::{Markup, html};

use crate::audit::report::{
    model::Report,
    place::{self, InScenario},
    section,
};

/// What may stand in an anchor.
fn plain(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect()
}

/// The anchor of a requirement.
pub(super) fn requirement(id: &str) -> String {
    plain(id)
}

/// The anchor of a deviation.
pub(super) fn deviation(name: &str) -> String {
    format!("deviation-{}", plain(name))
}

/// The anchor of a scenario.
pub(super) fn scenario(id: &str) -> String {
    format!("scenario-{}", plain(id))
}

/// The anchor of a line of a scenario; line 0 stands for the whole.
pub(super) fn line(id: &str, line: u32) -> String {
    if line == 0 { scenario(id) } else { format!("{}-{line}", scenario(id)) }
}

/// A clause, linked to the RFC where it names a section.
pub(super) fn clause(clause: &str) -> Markup {
    html! {
        @match section::address(clause) {
            Some(address) => { a href=(address) rel="noreferrer" { "RFC 9293, " (clause) } }
            None => (clause)
        }
    }
}

/// A place of a finding, linked to where it is on this page.
pub(super) fn finding(report: &Report, text: &str) -> Markup {
    link(target(report, text), text)
}

/// A place in a scenario without its family, and any other place as it is; linked to where it is on this page.
pub(super) fn place(report: &Report, text: &str) -> Markup {
    let name = match place::in_scenario(text) {
        Some(InScenario { scenario, line: Some(line), .. }) => format!("{scenario}:{line}"),
        Some(InScenario { scenario, line: None, .. }) => scenario.to_owned(),
        None => text.to_owned(),
    };
    link(target(report, text), &name)
}

fn link(target: Option<String>, text: &str) -> Markup {
    html! {
        @match target {
            Some(target) => { a href={ "#" (target) } { (text) } }
            None => (text)
        }
    }
}

fn target(report: &Report, text: &str) -> Option<String> {
    match place::in_scenario(text) {
        Some(place) if report.scenarios.iter().any(|one| one.id == place.scenario) => {
            Some(line(place.scenario, place.line.unwrap_or(0)))
        }
        _ if text.starts_with("matrix") && report.matrix.is_some() => Some("matrix".to_owned()),
        _ if text.starts_with("random") && report.random.is_some() => Some("random".to_owned()),
        _ => None,
    }
}

/// A text in which the names of deviations lead to what is known of them.
pub(super) fn deviations(report: &Report, text: &str) -> Markup {
    let known = |word: &str| report.deviations.iter().any(|deviation| deviation.name == word);
    html! {
        @for (word, between) in words(text) {
            @if known(word) { a href={ "#" (deviation(word)) } { (word) } } @else { (word) }
            (between)
        }
    }
}

/// The words of a text, as names are made of them, each with what follows until the next one.
pub(super) fn words(text: &str) -> Vec<(&str, &str)> {
    let within = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.find(|letter| !within(letter)).unwrap_or(rest.len()));
        let (between, left) = after.split_at(after.find(within).unwrap_or(after.len()));
        words.push((word, between));
        rest = left;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_and_what_is_between_make_up_the_text() {
        assert_eq!(words("a-1, (b)"), [("a-1", ", ("), ("b", ")")]);
        assert_eq!(words(" x"), [("", " "), ("x", "")]);
        assert_eq!(words("ä"), [("", "ä")]);
        assert_eq!(words(""), []);
    }
}
