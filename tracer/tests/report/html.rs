//! report.html: well-formed, complete, escaped, and sufficient unto itself.

use std::collections::BTreeSet;

use model::requirement::REQUIREMENTS;
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use crate::support::text;

/// Elements of HTML without an end tag.
const VOID: [&str; 5] = ["br", "input", "link", "meta", "hr"];

/// What a browser would make of the page.
#[derive(Default)]
struct Page {
    ids: Vec<String>,
    links: Vec<String>,
    elements: Vec<String>,
    words: String,
}

fn parse(html: &str) -> Page {
    let mut reader = Reader::from_str(html);
    reader.config_mut().check_end_names = false;
    let mut page = Page::default();
    let mut open: Vec<String> = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) => {
                let name = tag.name().as_ref().to_owned();
                page.element(&name, &tag);
                if !VOID.contains(&&*name) {
                    open.push(name);
                }
            }
            Event::End(tag) => {
                let name = tag.name().as_ref().to_owned();
                assert_eq!(open.pop(), Some(name), "at octet {}", reader.buffer_position());
            }
            Event::Text(text) => page.words.push_str(&text),
            Event::GeneralRef(name) => match &*name {
                "lt" => page.words.push('<'),
                "gt" => page.words.push('>'),
                "amp" => page.words.push('&'),
                "quot" => page.words.push('"'),
                other => panic!("&{other};"),
            },
            Event::DocType(_) => {}
            Event::Eof => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(open.is_empty(), "{open:?}");
    page
}

impl Page {
    fn element(&mut self, name: &str, tag: &BytesStart<'_>) {
        self.elements.push(name.to_owned());
        // `checked` and `open` have no value.
        for attribute in tag.html_attributes() {
            let attribute = attribute.unwrap();
            let value = attribute.value.into_owned();
            match attribute.key.as_ref() {
                "id" => self.ids.push(value),
                "href" => self.links.push(value),
                "src" | "srcset" | "xlink:href" | "action" => panic!("{name} loads {value}"),
                key => assert!(!key.starts_with("on"), "{name} runs {value}"),
            }
        }
    }
}

#[test]
fn it_is_well_formed_and_every_anchor_is_there_once() {
    let page = parse(&text("html-anchors", "report.html"));
    let ids: BTreeSet<_> = page.ids.iter().collect();
    assert_eq!(ids.len(), page.ids.len());
    for link in &page.links {
        if let Some(target) = link.strip_prefix('#') {
            assert!(ids.contains(&target.to_owned()), "nothing has the id {target}");
        }
    }
}

#[test]
fn every_requirement_has_its_row_and_its_place_on_the_map() {
    let page = parse(&text("html-requirements", "report.html"));
    for requirement in &REQUIREMENTS {
        assert!(page.ids.iter().any(|id| id == requirement.id), "{}", requirement.id);
        let link = format!("#{}", requirement.id);
        assert!(page.links.contains(&link), "{link}");
        assert!(page.words.contains(requirement.sentence), "{}", requirement.sentence);
    }
    for heading in ["3.1", "Header Format", "3.8.6.2.1", "3.10.7.4"] {
        assert!(page.words.contains(heading), "{heading}");
    }
}

#[test]
fn nothing_is_loaded_and_nothing_runs() {
    let html = text("html-alone", "report.html");
    let page = parse(&html);
    for element in ["script", "iframe", "img", "object", "embed", "base"] {
        assert!(!page.elements.iter().any(|name| name == element), "{element}");
    }
    for link in &page.links {
        let fine = ["#", "https://www.rfc-editor.org/rfc/rfc9293#section-", "data:image/svg+xml,"];
        assert!(fine.iter().any(|start| link.starts_with(start)), "{link}");
    }
    assert!(!html.contains("url(") && !html.contains("@import"));
    assert!(html.contains("default-src 'none'"));
}

#[test]
fn whatever_stands_in_the_report_is_only_text() {
    let html = text("html-escaped", "report.html");
    let page = parse(&html);
    assert!(page.words.contains(crate::fixture::NASTY));
    assert!(page.words.contains("Linux 6.18.0-<b>"));
    assert!(!html.contains("<script") && !html.contains("<b>\""));
}

#[test]
fn the_verdict_comes_first_and_findings_lead_to_their_line() {
    let html = text("html-verdict", "report.html");
    let verdict = html.find("Conformance is not shown").unwrap();
    assert!(verdict < html.find("<h2>").unwrap());
    assert!(html.contains("<a href=\"#scenario-open-refused-2\">open/refused/ipv4:2</a>"));
    assert!(html.contains("<a href=\"#deviation-time-wait-60s\">time-wait-60s</a>: TIME-WAIT lasts 60 s"));
}

#[test]
fn a_ladder_is_drawn_once_for_families_that_went_alike() {
    let html = text("html-ladder", "report.html");
    assert!(html.contains("Ladder diagram: open/client over IPv4"));
    assert!(!html.contains("Ladder diagram: open/client over IPv6"));
    assert!(html.contains("IPv6 went as IPv4 did"));
    for part in ["SYN seq 0 win 65535", "CLOSED → SYN-SENT", "60.000 s of silence", "bad checksum", "lost"]
    {
        assert!(html.contains(part), "{part}");
    }
}

#[test]
fn the_matrix_has_a_panel_for_each_state_and_a_key() {
    let html = text("html-matrix", "report.html");
    let panels = html.matches("What comes of each segment in").count();
    // IPv6 differs in one cell of each.
    assert_eq!(panels, 4);
    assert!(html.contains("15 cells; 2 answer otherwise than over IPv4, in these states"));
    for part in [
        "right: no answer",
        "known deviation",
        "unexplained",
        "deviation: ACK, then LISTEN (syn-fin-dropped)",
    ] {
        assert!(html.contains(part), "{part}");
    }
}

#[test]
fn the_command_that_does_it_again_is_told() {
    let page = parse(&text("html-command", "report.html"));
    let command = "tcp-tracer audit --output-dir DIR --quick --only 'open' \
                   --scenario 'own.scenarios' --matrix --random 1000 --seed 7";
    assert!(page.words.contains(command));
}
