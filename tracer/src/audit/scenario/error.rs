//! What is wrong with a scenario's text.

/// Where and what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct ParseError {
    /// The file.
    pub file: String,
    /// From 1; 0 for the file as a whole.
    pub line: u32,
    /// What was expected.
    pub what: Wrong,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what it means")]
pub enum Wrong {
    #[error("the header `{0}:` is missing")]
    MissingHeader(&'static str),
    #[error("`{0}` is no header; expected title, rfc, families, sysctl, takes, or unjudged")]
    Header(String),
    #[error("no step: a scenario without steps proves nothing")]
    NoSteps,
    #[error(
        "`{0}` is no step; expected establish, user, peer, kernel, state, silence, or, icmp, wait, mark, or sysctl"
    )]
    Verb(String),
    #[error("expected {expected} after `{after}`")]
    Incomplete { after: String, expected: &'static str },
    #[error("`{found}` is no {expected}")]
    Value { found: String, expected: &'static str },
    #[error("`{found}` is unknown here; expected one of: {known}")]
    Word { found: String, known: String },
    #[error(
        "`{0}` is neither a requirement of RFC 9293 (MUST-13) nor a known deviation (`tcp-tracer explain --list`)"
    )]
    Tag(String),
    #[error("`or` follows only what is waited for: kernel, state or silence")]
    StrayOr,
    #[error("an alternative has to name its deviation, as in [time-wait-60s]")]
    NamelessOr,
    #[error("deviations stand behind `or`, not here: the first line is what the RFC asks for")]
    DeviationFirst,
    #[error("no mark of the name `{0}` was set before")]
    Mark(String),
    #[error("an IP header takes at most 40 octets of options, a TCP header as well, and in fours")]
    Options,
}
