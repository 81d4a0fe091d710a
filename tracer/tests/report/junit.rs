//! junit.xml: well-formed, its counts are right, and nothing is lost on the way.

use std::collections::BTreeMap;

use model::requirement::REQUIREMENTS;
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use crate::{fixture::NASTY, support::text};

fn attributes(tag: &BytesStart<'_>) -> BTreeMap<String, String> {
    let each = tag.attributes().map(|attribute| {
        let attribute = attribute.unwrap();
        let key = attribute.key.as_ref().to_owned();
        let value = attribute.value.into_owned();
        (key, quick_xml::escape::unescape(&value).unwrap().into_owned())
    });
    each.collect()
}

/// Every element with its attributes, in order.
fn elements(xml: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut reader = Reader::from_str(xml);
    let mut elements = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) | Event::Empty(tag) => {
                let name = tag.name().as_ref().to_owned();
                elements.push((name, attributes(&tag)));
            }
            Event::Eof => return elements,
            _ => {}
        }
    }
}

#[test]
fn every_suite_counts_its_cases() {
    let elements = elements(&text("junit-counts", "junit.xml"));
    let count = |name: &str| elements.iter().filter(|(element, _)| element == name).count().to_string();
    let (root, totals) = &elements[0];
    assert_eq!(root, "testsuites");
    for (attribute, element) in
        [("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")]
    {
        assert_eq!(totals[attribute], count(element), "{attribute}");
        let suites = elements.iter().filter(|(element, _)| element == "testsuite");
        let sum: usize = suites.map(|(_, suite)| suite[attribute].parse::<usize>().unwrap()).sum();
        assert_eq!(totals[attribute], sum.to_string(), "{attribute}");
    }
}

#[test]
fn every_requirement_and_run_is_a_case() {
    let elements = elements(&text("junit-cases", "junit.xml"));
    let case = |class: &str, name: &str| {
        elements.iter().any(|(_, case)| {
            case.get("classname").is_some_and(|known| known == class) && case["name"] == name
        })
    };
    for requirement in &REQUIREMENTS {
        let class = format!("RFC 9293.{}", requirement.clause.replace('.', "_"));
        assert!(case(&class, requirement.id), "{class} {}", requirement.id);
    }
    assert!(case("open.ipv4", "open/client") && case("open.ipv6", "open/client"));
    assert!(case("matrix.ipv6", "ESTABLISHED") && case("random.ipv6", "seed 42"));
}

#[test]
fn a_deviation_passes_and_what_did_not_run_is_skipped() {
    let xml = text("junit-ends", "junit.xml");
    let elements = elements(&xml);
    let after = |name: &str| {
        let at = elements.iter().position(|(_, case)| case.get("name").is_some_and(|known| known == name));
        elements[at.unwrap() + 1].clone()
    };
    assert_eq!(after("MUST-13").0, "system-out");
    assert_eq!(
        after("MUST-20"),
        ("skipped".into(), [("message".into(), "not run: Left out by --quick.".into())].into())
    );
    let (kind, failure) = after("open/refused");
    assert_eq!((&*kind, &*failure["message"]), ("failure", NASTY));
}
