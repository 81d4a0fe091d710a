//! `tcp-tracer model`: the reference, to look things up.

mod diagram;
mod profiles;
mod story;
mod table;
mod tables;

use std::io;

use self::diagram::Language;
use self::table::{Output, Table};
use super::explain::{self, ExplainError};
use super::{nearest::suggestion, text};

pub use self::profiles::switches;
pub use self::tables::place;

/// Arguments of `model`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The eleven states, and where they lead.
    States(TableArgs),
    /// The edges of the state diagram: 28, and 2 that one segment takes by opening and closing at once.
    Edges {
        #[command(flatten)]
        table: TableArgs,
        /// The pairs of states that Linux announces instead, and what they stand for.
        #[arg(long)]
        linux: bool,
    },
    /// The rules of the machine, in the order of the checks.
    Rules(TableArgs),
    /// The requirements of RFC 9293, appendix B, and where a breach can be seen.
    Requirements(TableArgs),
    /// Where RFC 9293 contradicts itself or is silent, and what the model does about it.
    Contradictions(TableArgs),
    /// Where Linux departs from RFC 9293 segment by segment, and the kernel function that does it.
    Departures(TableArgs),
    /// The profiles, switch by switch.
    Profiles(TableArgs),
    /// Says what the id of a rule, an edge, a requirement or a switch means; the same as `tcp-tracer explain`.
    Explain(explain::Args),
    /// The state diagram for Graphviz.
    Dot(DiagramArgs),
    /// The state diagram for Mermaid.
    Mermaid(DiagramArgs),
    /// Draws a story: both ends' states, the segments between them, timers, what users are told. Without a name,
    /// lists the stories.
    Story {
        /// The story's name.
        name: Option<String>,
        /// Told under this profile instead of its own.
        #[arg(long, value_name = "PROFILE", requires = "name")]
        profile: Option<String>,
        /// With the rules that each event takes.
        #[arg(long, requires = "name")]
        rules: bool,
    },
    /// Lists the stories.
    Stories(TableArgs),
}

#[derive(Debug, clap::Args)]
struct TableArgs {
    /// Only the rows in which each of these words occurs, in whatever case.
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// A table for eyes, JSON for programs, Markdown for documents
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct DiagramArgs {
    /// What Linux announces of its sockets instead of what the RFC draws.
    #[arg(long)]
    linux: bool,
}

/// Why nothing was shown.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// No story has this name.
    #[error("there is no story {name:?}{}; `tcp-tracer model stories` lists all", suggestion(.nearest))]
    NoStory {
        /// As typed.
        name: String,
        /// Names that look like it.
        nearest: Vec<&'static str>,
    },
    /// No profile has this name.
    #[error("there is no profile {name:?}{}; there are {}", suggestion(.nearest), profiles::names().join(", "))]
    NoProfile {
        /// As typed.
        name: String,
        /// Names that look like it.
        nearest: Vec<&'static str>,
    },
    /// The words select nothing.
    #[error("no row has {}; without words all are shown", .words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" and "))]
    NoRow {
        /// As typed.
        words: Vec<String>,
    },
    /// No table has the id.
    #[error(transparent)]
    Explain(#[from] ExplainError),
    /// Standard output.
    #[error("cannot write to standard output: {0}")]
    Write(#[from] io::Error),
}

/// Prints what the user wants to look up.
///
/// # Errors
///
/// [`ModelError`] for names that nothing has, with those that look like them.
pub fn run(args: &Args) -> Result<(), ModelError> {
    let width = text::page_width();
    let page = match &args.what {
        What::States(args) => print(tables::states(), args, width)?,
        What::Edges { table, linux: false } => print(tables::edges(), table, width)?,
        What::Edges { table, linux: true } => print(tables::linux_edges(), table, width)?,
        What::Rules(args) => print(tables::rules(), args, width)?,
        What::Requirements(args) => print(tables::requirements(), args, width)?,
        What::Contradictions(args) => print(tables::contradictions(), args, width)?,
        What::Departures(args) => print(tables::departures(), args, width)?,
        What::Profiles(args) => print(profiles::table(), args, width)?,
        What::Explain(args) => return Ok(explain::run(args)?),
        What::Dot(args) => diagram(args, Language::Dot),
        What::Mermaid(args) => diagram(args, Language::Mermaid),
        What::Story { name: Some(name), profile, rules } => {
            story::draw(name, profile.as_deref(), *rules, width)? + "\n" + &story::legend(width)
        }
        What::Story { name: None, .. } => tables::stories().print(Output::Table, width),
        What::Stories(args) => print(tables::stories(), args, width)?,
    };
    Ok(text::print(&page)?)
}

fn print(table: Table, args: &TableArgs, width: usize) -> Result<String, ModelError> {
    let selected = table.containing(&args.words);
    if selected.is_empty() {
        return Err(ModelError::NoRow { words: args.words.clone() });
    }
    Ok(selected.print(args.output, width))
}

fn diagram(args: &DiagramArgs, language: Language) -> String {
    if args.linux { diagram::linux(language) } else { diagram::rfc(language) }
}
