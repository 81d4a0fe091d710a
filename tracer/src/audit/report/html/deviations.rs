//! The deviations that were seen, and what is known of them.

use maud::{Markup, html};

use super::{badge, link};
use crate::audit::report::{
    model::{Deviation, Report},
    place,
    words::several,
};

/// How many places a deviation names.
const SHOWN: usize = 10;

pub(super) fn section(report: &Report) -> Markup {
    html! {
        section #deviations {
            h2 { "Deviations" }
            @if report.deviations.is_empty() {
                p { "None was seen." }
            } @else {
                p.lead {
                    "Where Linux is known to do otherwise than the text of the RFC, on purpose and for good, and was seen to do so here. "
                    code { "tcp-tracer explain NAME" } " says the same in a terminal."
                }
                @for deviation in report.deviations.iter().filter(|one| !one.permitted) { (one(report, deviation)) }
                @for deviation in report.deviations.iter().filter(|one| one.permitted) { (one(report, deviation)) }
            }
        }
    }
}

fn one(report: &Report, deviation: &Deviation) -> Markup {
    let Deviation { name, clause, requirement, permitted, why, operator, function, seen_in } = deviation;
    let places = places(seen_in);
    let left = places.len().saturating_sub(SHOWN);
    let (class, standing) = if *permitted { ("pass", "permitted") } else { ("deviation", "departs") };
    html! {
        article class={ "card " (class) } id=(link::deviation(name)) {
            h3 {
                (name) " " (badge(class, standing))
                span.of {
                    (link::clause(clause))
                    @if let Some(id) = requirement { " · " a href={ "#" (link::requirement(id)) } { (id) } }
                }
            }
            p { (why) }
            dl {
                dt { "operator" } dd { (operator) }
                dt { "kernel" } dd { code { (function) } }
                dt { "seen in" }
                dd.places {
                    @for (place, families) in places.iter().take(SHOWN) {
                        span { (link::place(report, place)) @if !families.is_empty() { " " small { (families.join(", ")) } } }
                        " "
                    }
                    @if left > 0 { "and " (several(left as u64, "more place", "more places")) }
                }
            }
        }
    }
}

/// Places with the families in which it was seen there. A run as a whole says no more than a line of it.
fn places(seen_in: &[String]) -> Vec<(&str, Vec<&'static str>)> {
    let mut places: Vec<(&str, Vec<&'static str>)> = Vec::new();
    let mut keys: Vec<(&str, Option<u32>)> = Vec::new();
    for text in seen_in {
        let Some(place) = place::in_scenario(text) else {
            places.push((text, Vec::new()));
            keys.push((text, None));
            continue;
        };
        let known = seen_in.iter().filter_map(|other| place::in_scenario(other));
        let told = |other: place::InScenario<'_>| {
            (other.scenario, other.family) == (place.scenario, place.family) && other.line.is_some()
        };
        if place.line.is_none() && known.into_iter().any(told) {
            continue;
        }
        let key = (place.scenario, place.line);
        let family = place.family.label();
        match keys.iter().position(|known| *known == key).and_then(|at| places.get_mut(at)) {
            Some((_, families)) => families.push(family),
            None => {
                places.push((text, vec![family]));
                keys.push(key);
            }
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn families_share_a_place_and_lines_stand_for_their_runs() {
        let seen = ["a/b/ipv4", "a/b/ipv4:7", "a/b/ipv6:7", "a/c/ipv6", "matrix"].map(str::to_owned);
        let expected = [("a/b/ipv4:7", vec!["IPv4", "IPv6"]), ("a/c/ipv6", vec!["IPv6"]), ("matrix", vec![])];
        assert_eq!(places(&seen), expected);
    }
}
