//! Text to [`Script`].

mod calls;
mod segments;

use std::time::Duration;

use model::{linux::Deviation, requirement::Requirement};

use calls::user;
use segments::{forgery, pattern};

use super::{
    error::{ParseError, Wrong},
    script::{Action, Alternative, Awaited, Icmp, Script, Setting, Step, Window},
    words::{duration, state, unknown},
};
use crate::audit::report::model::Family;

/// Reads a file of scenarios: each begins with a line `scenario: NAME` and is called `GROUP/NAME`. A file without such
/// a line is one scenario, called as the group.
///
/// # Errors
///
/// [`ParseError`]: file, line, and what was expected there.
pub fn parse_file(group: &str, file: &str, source: &str) -> Result<Vec<Script>, ParseError> {
    let mut scripts = Vec::new();
    // What stands above the first scenario are remarks about all.
    let mut name: Option<&str> = None;
    let mut text = String::new();
    let mut first = 1;
    let finish = |name: Option<&str>, text: &str, first: u32| match name {
        Some(name) => parse(&format!("{group}/{name}"), file, text, first).map(Some),
        None => Ok(None),
    };
    for (line, content) in (1..).zip(source.lines()) {
        if let Some(next) = content.strip_prefix("scenario: ") {
            scripts.extend(finish(name, &text, first)?);
            (name, first) = (Some(next.trim()), line + 1);
            text.clear();
        } else {
            text.push_str(content);
            text.push('\n');
        }
    }
    if name.is_none() {
        return Ok(vec![parse(group, file, source, 1)?]);
    }
    scripts.extend(finish(name, &text, first)?);
    Ok(scripts)
}

/// Reads one scenario. Its lines count from 1, those of messages from `first`.
fn parse(id: &str, file: &str, source: &str, first: u32) -> Result<Script, ParseError> {
    let mut reader = Reader {
        script: Script {
            id: id.to_owned(),
            title: String::new(),
            clause: String::new(),
            families: vec![Family::Ipv4, Family::Ipv6],
            sysctls: Vec::new(),
            takes: Duration::from_secs(2),
            unjudged: None,
            connections: vec!["main".to_owned()],
            steps: Vec::new(),
            source: source.trim_end().to_owned(),
        },
        marks: Vec::new(),
    };
    let wrong = |line, what| ParseError { file: file.to_owned(), line, what };
    for (line, text) in (1..).zip(source.lines()) {
        // A remark ends the line.
        let text = text.split_once(" #").map_or(text, |(text, _)| text).trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        reader.line(line, text).map_err(|what| wrong(first + line - 1, what))?;
    }
    let Reader { script, .. } = reader;
    let missing = if script.title.is_empty() {
        Some(Wrong::MissingHeader("title"))
    } else if script.clause.is_empty() {
        Some(Wrong::MissingHeader("rfc"))
    } else if script.steps.is_empty() {
        Some(Wrong::NoSteps)
    } else {
        None
    };
    missing.map_or(Ok(script), |what| Err(wrong(first, what)))
}

struct Reader {
    script: Script,
    marks: Vec<String>,
}

impl Reader {
    fn line(&mut self, line: u32, text: &str) -> Result<(), Wrong> {
        if let Some((name, rest)) = text.split_once(": ")
            && !name.contains(' ')
        {
            return self.header(name, rest.trim());
        }
        let (text, tags) = tags(text)?;
        let mut words = text.split_whitespace();
        let verb = words.next().unwrap_or_default();
        let (verb, connection) = verb.split_once('@').unwrap_or((verb, "main"));
        let connection = self.connection(connection);
        let words: Vec<&str> = words.collect();
        let (decides, deviations): (Vec<_>, Vec<_>) =
            tags.into_iter().partition(|tag| matches!(tag, Tag::Requirement(_)));
        let decides: Vec<_> = decides
            .into_iter()
            .filter_map(|tag| match tag {
                Tag::Requirement(requirement) => Some(requirement),
                Tag::Deviation(_) => None,
            })
            .collect();
        let deviation = deviations.into_iter().find_map(|tag| match tag {
            Tag::Deviation(deviation) => Some(deviation),
            Tag::Requirement(_) => None,
        });
        if verb == "or" {
            let deviation = deviation.ok_or(Wrong::NamelessOr)?;
            let (verb, words) =
                words.split_first().ok_or_else(|| incomplete("or", "kernel, state or silence"))?;
            let (what, window) = self.awaited(verb, words)?;
            let alternative = Alternative { line, what, window, deviation: Some(deviation) };
            let Some(Step { action: Action::Expect(alternatives), .. }) = self.script.steps.last_mut() else {
                return Err(Wrong::StrayOr);
            };
            alternatives.push(alternative);
            return Ok(());
        }
        if deviation.is_some() {
            return Err(Wrong::DeviationFirst);
        }
        if verb == "establish" {
            return self.establish(line, connection, &words, &decides);
        }
        let action = match verb {
            "kernel" | "state" | "silence" => {
                let (what, window) = self.awaited(verb, &words)?;
                Action::Expect(vec![Alternative { line, what, window, deviation: None }])
            }
            "user" => user(&words)?,
            "peer" => Action::Peer(Box::new(forgery(&words)?)),
            "icmp" => Action::Icmp(find(one(verb, &words)?, Icmp::ALL.iter().map(|(a, b)| (*a, *b)))?),
            "wait" => Action::Wait(duration(one(verb, &words)?)?),
            "mark" => {
                let name = one(verb, &words)?.to_owned();
                self.marks.push(name.clone());
                Action::Mark(name)
            }
            "sysctl" => {
                let (name, value) = words
                    .split_first()
                    .and_then(|(first, rest)| {
                        let (name, value) = first.split_once('=')?;
                        Some((name, [&[value], rest].concat().join(" ")))
                    })
                    .ok_or_else(|| incomplete(verb, "NAME=VALUE"))?;
                Action::Sysctl(name.to_owned(), value)
            }
            "network" => match words[..] {
                ["ends"] => Action::NetworkEnds,
                _ => return Err(incomplete(verb, "ends")),
            },
            _ => return Err(Wrong::Verb(verb.to_owned())),
        };
        self.script.steps.push(Step { line, connection, action, decides });
        Ok(())
    }

    /// The three-way handshake, in one line; the rest of the line is about the peer's SYN.
    fn establish(
        &mut self,
        line: u32,
        connection: usize,
        words: &[&str],
        decides: &[&'static Requirement],
    ) -> Result<(), Wrong> {
        let Some((role, options)) = words.split_first() else {
            return Err(incomplete("establish", "client or server"));
        };
        let options = options.join(" ");
        let mss = if options.contains("mss=") { "" } else { "mss=1460 " };
        // The window that the peer offers stands on its ACK as well.
        let ours: &[String] = &match *role {
            "client" => [
                "user connect".to_owned(),
                "kernel SYN".to_owned(),
                format!("peer SYN,ACK {mss}{options}"),
                "kernel ACK".to_owned(),
                "state ESTABLISHED".to_owned(),
            ]
            .to_vec(),
            "server" => [
                "user listen".to_owned(),
                format!("peer SYN {mss}{options}"),
                "kernel SYN,ACK".to_owned(),
                "peer ACK".to_owned(),
                "state ESTABLISHED".to_owned(),
                "user accept".to_owned(),
            ]
            .to_vec(),
            _ => return Err(unknown(role, ["client", "server"].into_iter())),
        };
        for text in ours {
            self.line(line, text)?;
        }
        let count = self.script.steps.len().saturating_sub(ours.len());
        for step in self.script.steps.iter_mut().skip(count) {
            step.connection = connection;
        }
        if let Some(last) = self.script.steps.last_mut() {
            last.decides.extend(decides);
        }
        Ok(())
    }

    fn connection(&mut self, name: &str) -> usize {
        let connections = &mut self.script.connections;
        connections.iter().position(|known| known == name).unwrap_or_else(|| {
            connections.push(name.to_owned());
            connections.len() - 1
        })
    }

    fn header(&mut self, name: &str, rest: &str) -> Result<(), Wrong> {
        let script = &mut self.script;
        match name {
            "title" => rest.clone_into(&mut script.title),
            "rfc" => rest.clone_into(&mut script.clause),
            "takes" => script.takes = duration(rest)?,
            "unjudged" => script.unjudged = Some(rest.to_owned()),
            "families" => {
                let known = [(Family::Ipv4, "ipv4"), (Family::Ipv6, "ipv6")];
                script.families = rest
                    .split_whitespace()
                    .map(|word| find(word, known.into_iter()))
                    .collect::<Result<_, _>>()?;
            }
            "sysctl" => {
                let (name, value) = rest.split_once('=').ok_or_else(|| incomplete(name, "NAME=VALUE"))?;
                let (value, needed) = match value.strip_suffix(" if there") {
                    Some(value) => (value, false),
                    None => (value, true),
                };
                let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
                script.sysctls.push(Setting { name, value, needed });
            }
            _ => return Err(Wrong::Header(name.to_owned())),
        }
        Ok(())
    }

    fn awaited(&self, verb: &str, words: &[&str]) -> Result<(Awaited, Window), Wrong> {
        let mut window = Window::SOON;
        let mut words = words;
        if let Some(at) = words.iter().position(|word| *word == "after") {
            let (before, after) = words.split_at(at);
            window = self.window(one("after", after.get(1..).unwrap_or(&[]))?)?;
            words = before;
        }
        let what = match verb {
            "kernel" => Awaited::Segment(Box::new(pattern(words)?)),
            "state" => Awaited::State(state(one(verb, words)?)?),
            "silence" => Awaited::Silence(duration(one(verb, words)?)?),
            _ => return Err(unknown(verb, ["kernel", "state", "silence"].into_iter())),
        };
        Ok((what, window))
    }

    fn window(&self, text: &str) -> Result<Window, Wrong> {
        let (mark, span) = match text.split_once('+') {
            Some((mark, span)) => (Some(mark), span),
            None => (None, text),
        };
        if let Some(mark) = mark
            && !self.marks.iter().any(|known| known == mark)
        {
            return Err(Wrong::Mark(mark.to_owned()));
        }
        let (from, to) = span.split_once("..").ok_or_else(|| Wrong::Value {
            found: span.to_owned(),
            expected: "span of time, as in 900ms..1100ms",
        })?;
        Ok(Window { mark: mark.map(str::to_owned), from: duration(from)?, to: duration(to)? })
    }
}

enum Tag {
    Requirement(&'static Requirement),
    Deviation(&'static Deviation),
}

/// What stands in brackets at the end of a line.
fn tags(text: &str) -> Result<(&str, Vec<Tag>), Wrong> {
    let Some((text, rest)) = text.split_once('[') else { return Ok((text, Vec::new())) };
    let inside = rest.strip_suffix(']').ok_or_else(|| incomplete("[", "] at the end of the line"))?;
    let tags = inside.split_whitespace().map(|tag| {
        Requirement::from_id(tag)
            .map(Tag::Requirement)
            .or_else(|| Deviation::by_name(tag).map(Tag::Deviation))
            .ok_or_else(|| Wrong::Tag(tag.to_owned()))
    });
    Ok((text.trim(), tags.collect::<Result<_, _>>()?))
}

fn incomplete(after: &str, expected: &'static str) -> Wrong {
    Wrong::Incomplete { after: after.to_owned(), expected }
}

fn one<'a>(verb: &str, words: &[&'a str]) -> Result<&'a str, Wrong> {
    match words {
        [word] => Ok(word),
        _ => Err(incomplete(verb, "exactly one word")),
    }
}

fn find<'a, T>(word: &str, known: impl Iterator<Item = (T, &'a str)> + Clone) -> Result<T, Wrong> {
    let names = known.clone().map(|(_, name)| name);
    known
        .into_iter()
        .find(|(_, name)| *name == word)
        .map(|(item, _)| item)
        .ok_or_else(|| unknown(word, names))
}

#[cfg(test)]
mod tests {
    use super::{Script, parse_file};

    fn parse(id: &str, file: &str, text: &str) -> Result<Script, super::ParseError> {
        parse_file(id, file, text).map(|mut scripts| scripts.remove(0))
    }

    const HEAD: &str = "title: t\nrfc: 3\n";

    fn error(steps: &str) -> String {
        parse("id", "file", &format!("{HEAD}{steps}")).unwrap_err().to_string()
    }

    #[test]
    fn an_error_says_where_and_what_was_expected() {
        for (steps, message) in [
            ("peer SIN", "file:3: `SIN` is no set of control bits"),
            ("user open", "file:3: `open` is unknown here; expected one of: listen, connect"),
            ("\nkernel ACK sec=1", "file:4: `sec=1` is unknown here; expected one of: seq="),
            ("state OPEN", "file:3: `OPEN` is no state of RFC 9293"),
            ("kernel ACK after 1s", "file:3: `1s` is no span of time"),
            ("kernel ACK after x+1s..2s", "file:3: no mark of the name `x`"),
            ("kernel ACK [MUST-999]", "file:3: `MUST-999` is neither"),
            ("or silence 1s [time-wait-60s]", "file:3: `or` follows only"),
            ("silence 1s\nor silence 1s", "file:4: an alternative has to name its deviation"),
            ("silence 1s [time-wait-60s]", "file:3: deviations stand behind `or`"),
            ("wait 5", "file:3: `5` is no time"),
            ("peer SYN options=01:02", "file:3: an IP header takes"),
            ("", "file:1: no step"),
        ] {
            let found = error(steps);
            assert!(found.starts_with(message), "{steps:?}: {found}");
        }
        assert_eq!(
            parse("id", "f", "wait 1s").unwrap_err().to_string(),
            "f:1: the header `title:` is missing"
        );
    }

    #[test]
    fn a_scenario_is_read() {
        let text = "title: t # remark\nrfc: 3.4\nfamilies: ipv6\nsysctl: net.ipv4.tcp_sack=0\ntakes: 1.5s\n\
                    user connect\nkernel@b SYN seq=0 mss=536..1460 [MUST-14]\nmark m\n\
                    state CLOSED after m+1s..2s\nor silence 1s [time-wait-60s]\n";
        let script = parse("id", "file", text).unwrap();
        assert_eq!((script.title.as_str(), script.steps.len()), ("t", 4));
        assert_eq!(script.connections, ["main", "b"]);
        assert_eq!(script.steps[1].decides[0].id, "MUST-14");
        assert_eq!((script.steps[1].line, script.steps[1].connection), (7, 1));
    }
}
