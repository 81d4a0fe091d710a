//! `junit.xml`, for CI systems: suites of requirements, scenarios, the matrix and random conversations.

use std::io;

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};

use super::{
    model::{Finding, Matrix, Outcome, Random, Report, Requirement, RequirementVerdict, Scenario},
    words::{Counts, counted, span},
};

/// A test case.
struct Case {
    class: String,
    name: String,
    /// Microseconds.
    time: Option<u64>,
    end: End,
    /// Said of it in any case.
    output: String,
}

/// How a test case ended, as JUnit knows it.
enum End {
    Passed,
    Skipped(String),
    Failed { expected: String, seen: String },
    Error(String),
}

/// A number of cases under one name.
struct Suite {
    name: String,
    cases: Vec<Case>,
}

impl Suite {
    fn count(&self, which: impl Fn(&End) -> bool) -> usize {
        self.cases.iter().filter(|case| which(&case.end)).count()
    }
}

/// The document. A known deviation passes and says so; what was not observed or not run is skipped.
pub(super) fn document(report: &Report) -> io::Result<Vec<u8>> {
    let mut suites = vec![Suite {
        name: "requirements of RFC 9293".to_owned(),
        cases: report.requirements.iter().map(requirement).collect(),
    }];
    for scenario in &report.scenarios {
        let name = format!("scenarios: {}", scenario.group);
        if suites.last().is_none_or(|suite| suite.name != name) {
            suites.push(Suite { name, cases: Vec::new() });
        }
        if let Some(suite) = suites.last_mut() {
            suite.cases.push(run(scenario));
        }
    }
    suites.extend(report.matrix.as_ref().map(|matrix| cells(matrix, report)));
    suites.extend(report.random.as_ref().map(|random| conversations(report, random)));
    if !report.findings.is_empty() {
        let cases = report.findings.iter().map(finding).collect();
        suites.push(Suite { name: "findings".to_owned(), cases });
    }
    write(report, &suites)
}

fn requirement(requirement: &Requirement) -> Case {
    let Requirement { id, clause, sentence, verdict, reason, evidence } = requirement;
    let why = || format!("{verdict}: {reason}");
    let end = match verdict {
        RequirementVerdict::Pass | RequirementVerdict::Deviation => End::Passed,
        RequirementVerdict::Fail => End::Failed { expected: sentence.clone(), seen: reason.clone() },
        RequirementVerdict::NotRun
        | RequirementVerdict::NotObservable
        | RequirementVerdict::NotApplicable => End::Skipped(why()),
    };
    let steps = evidence
        .iter()
        .map(|step| format!("\n{}/{}:{} {}", step.scenario, step.family, step.line, step.seen));
    let output = format!("{sentence}\n{}{}", why(), steps.collect::<String>());
    Case {
        class: format!("RFC 9293.{}", clause.replace('.', "_")),
        name: id.clone(),
        time: None,
        end,
        output,
    }
}

fn run(scenario: &Scenario) -> Case {
    let Scenario { id, title, family, outcome, problem, deviations, duration, .. } = scenario;
    let (expected, seen) = match problem {
        Some(problem) => {
            let line = problem.line.map(|line| format!("line {line}: ")).unwrap_or_default();
            (format!("{line}{}", problem.expected), problem.seen.clone())
        }
        None => (String::new(), outcome.to_string()),
    };
    let end = match outcome {
        Outcome::Pass | Outcome::Deviation => End::Passed,
        Outcome::Inconclusive => End::Skipped(format!("inconclusive: {seen}")),
        Outcome::Fail => End::Failed { expected, seen },
        Outcome::Error => End::Error(seen),
    };
    let deviations = if deviations.is_empty() {
        String::new()
    } else {
        format!("\ndeviations: {}", deviations.join(", "))
    };
    let output = format!("{title}\n{outcome}{deviations}");
    Case {
        class: format!("{}.{family}", scenario.group),
        name: id.clone(),
        time: Some(*duration),
        end,
        output,
    }
}

/// A case for each state and family.
fn cells(matrix: &Matrix, report: &Report) -> Suite {
    let mut cases = Vec::new();
    for grid in &matrix.grids {
        for (at, state) in matrix.states.iter().enumerate() {
            let mut counts = Counts::default();
            let mut wrong = None;
            for (index, cell) in grid.cells.iter().enumerate() {
                let place = matrix.place(index);
                let Some(answer) = matrix.answer(*cell).filter(|_| place.state == at) else { continue };
                *counts.cells.entry(answer.outcome).or_default() += 1;
                if answer.outcome >= Outcome::Fail && wrong.is_none() {
                    wrong = Some((place, answer));
                }
            }
            let output = counted(&counts.cells);
            let end = match wrong {
                Some((place, answer)) => End::Failed {
                    expected: format!("{}: {}", matrix.name(place), answer.note),
                    seen: format!("sent {}, then {} ({output})", answer.sent, answer.state),
                },
                None if counts.cells.is_empty() => End::Skipped("no cell of this state ran".to_owned()),
                None => End::Passed,
            };
            let class = format!("matrix.{}", grid.family);
            cases.push(Case { class, name: state.clone(), time: None, end, output });
        }
    }
    Suite { name: format!("matrix on Linux {}", report.kernel.release), cases }
}

fn conversations(report: &Report, random: &Random) -> Suite {
    let Random { seed, conversations, observations, inconclusive, .. } = random;
    let mut cases: Vec<_> = random
        .differences
        .iter()
        .map(|difference| Case {
            class: format!("random.{}", difference.family),
            name: format!("seed {}", difference.seed),
            time: None,
            end: End::Failed {
                expected: difference.problem.expected.clone(),
                seen: difference.problem.seen.clone(),
            },
            output: difference.source.clone(),
        })
        .collect();
    let output = format!(
        "{conversations} conversations from seed {seed}: {observations} observations, {inconclusive} inconclusive"
    );
    let alike = conversations.saturating_sub(report.unexplained_conversations() as u64);
    let end = if alike == 0 { End::Skipped("there are none".to_owned()) } else { End::Passed };
    cases.push(Case {
        class: "random".to_owned(),
        name: "conversations that are explained".to_owned(),
        time: None,
        end,
        output,
    });
    Suite { name: "random conversations".to_owned(), cases }
}

fn finding(finding: &Finding) -> Case {
    let Finding { place, expected, seen, rules } = finding;
    let end = End::Failed { expected: expected.clone(), seen: seen.clone() };
    Case {
        class: "findings".to_owned(),
        name: place.clone(),
        time: None,
        end,
        output: format!("rules: {rules}"),
    }
}

fn write(report: &Report, suites: &[Suite]) -> io::Result<Vec<u8>> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let mut root = BytesStart::new("testsuites");
    attribute(&mut root, "name", &format!("RFC 9293 on Linux {}", report.kernel.release));
    attribute(&mut root, "time", &seconds(report.duration_ms * 1_000));
    totals(&mut root, suites);
    xml.write_event(Event::Start(root))?;
    for suite in suites {
        let mut start = BytesStart::new("testsuite");
        attribute(&mut start, "name", &suite.name);
        attribute(&mut start, "timestamp", &report.started);
        totals(&mut start, std::slice::from_ref(suite));
        let time = suite.cases.iter().filter_map(|case| case.time).sum();
        attribute(&mut start, "time", &seconds(time));
        xml.write_event(Event::Start(start))?;
        for case in &suite.cases {
            write_case(&mut xml, case)?;
        }
        xml.write_event(Event::End(BytesEnd::new("testsuite")))?;
    }
    xml.write_event(Event::End(BytesEnd::new("testsuites")))?;
    let mut bytes = xml.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

fn totals(start: &mut BytesStart<'_>, suites: &[Suite]) {
    let count = |which: fn(&End) -> bool| suites.iter().map(|suite| suite.count(which)).sum::<usize>();
    for (name, count) in [
        ("tests", count(|_| true)),
        ("failures", count(|end| matches!(end, End::Failed { .. }))),
        ("errors", count(|end| matches!(end, End::Error(_)))),
        ("skipped", count(|end| matches!(end, End::Skipped(_)))),
    ] {
        attribute(start, name, &count.to_string());
    }
}

fn write_case(xml: &mut Writer<Vec<u8>>, case: &Case) -> io::Result<()> {
    let Case { class, name, time, end, output } = case;
    let mut start = BytesStart::new("testcase");
    attribute(&mut start, "classname", class);
    attribute(&mut start, "name", name);
    attribute(&mut start, "time", &seconds(time.unwrap_or(0)));
    xml.write_event(Event::Start(start))?;
    match end {
        End::Passed => {}
        End::Skipped(why) => element(xml, "skipped", why, "")?,
        End::Failed { expected, seen } => {
            element(xml, "failure", seen, &format!("expected: {expected}\nseen: {seen}"))?;
        }
        End::Error(why) => element(xml, "error", why, why)?,
    }
    let took = time.map(|time| format!("\ntook {}", span(time))).unwrap_or_default();
    element(xml, "system-out", "", &format!("{output}{took}"))?;
    xml.write_event(Event::End(BytesEnd::new("testcase")))
}

/// An element with a `message`, where there is one, and a text.
fn element(xml: &mut Writer<Vec<u8>>, name: &str, message: &str, text: &str) -> io::Result<()> {
    let mut start = BytesStart::new(name);
    if !message.is_empty() {
        attribute(&mut start, "message", message);
    }
    if text.is_empty() {
        return xml.write_event(Event::Empty(start));
    }
    xml.write_event(Event::Start(start))?;
    xml.write_event(Event::Text(BytesText::new(&allowed(text))))?;
    xml.write_event(Event::End(BytesEnd::new(name)))
}

fn attribute(start: &mut BytesStart<'_>, name: &str, value: &str) {
    // A line break in an attribute would be read back as a blank.
    start.push_attribute((name, allowed(value).replace('\n', " ").as_str()));
}

/// The text without what XML has no way to say.
fn allowed(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => letter,
            _ => '\u{fffd}',
        })
        .collect()
}

/// Microseconds as JUnit's seconds.
fn seconds(microseconds: u64) -> String {
    format!("{}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000)
}
