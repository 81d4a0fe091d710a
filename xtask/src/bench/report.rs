//! The table, for a terminal, for docs/ and for a spreadsheet.

use std::fmt::Write;

use super::{
    machine::Machine,
    plan::Section,
    summary::{Goal, Row, Spread, Unit},
};

/// One run of the bench.
#[derive(Clone, Debug)]
pub struct Report {
    pub machine: Machine,
    /// The command that was typed.
    pub command: String,
    pub rows: Vec<Row>,
}

/// A row's cells as text: what, median, from and to, figures, goal.
type Cells = [String; 5];

const HEAD: [&str; 5] = ["", "median", "lowest to highest", "times", "goal"];

impl Report {
    /// For a terminal.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}\n", self.command, self.machine.sentence());
        let width = self.rows.iter().map(|row| row.what.chars().count()).max().unwrap_or(0);
        for (section, rows) in self.by_section() {
            let _ = write!(text, "\n{}\n", heading(section));
            for row in rows {
                let [what, median, spread, count, goal] = cells(row);
                let line = format!("  {what:<width$}  {median:>12}  {spread:>26}  {count:>3}  {goal}");
                let _ = writeln!(text, "{}", line.trim_end());
            }
        }
        text
    }

    /// For docs/cost.md.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "# What it costs\n\n<!-- Written by `{}`; do not edit. -->\n\nMade by `{}`: {}.\n\n\
             Each figure was taken several times, in turn with what it is compared to (A B, B A, ...); a ratio is that of two \
             neighbours. Loads run over loopback in private network namespaces, so that client, server, agent and peers share the \
             machine's processors: the hardest case. Machines differ; ratios differ less.\n\n\
             ![Plots of the figures below](cost.svg)\n",
            self.command,
            self.command,
            self.machine.sentence()
        );
        for (section, rows) in self.by_section() {
            let _ = write!(text, "\n## {}\n\n{}\n\n", heading(section), explanation(section));
            let _ = write!(text, "| {} |\n|---|---:|---:|---:|---|\n", HEAD.join(" | "));
            for row in rows {
                let _ = writeln!(text, "| {} |", cells(row).join(" | "));
            }
        }
        text
    }

    /// Plain numbers, in the base unit.
    pub fn csv(&self) -> String {
        let mut text = "part,figure,unit,median,lowest,highest,times,goal,met,obstacle\n".to_owned();
        for row in &self.rows {
            let (numbers, obstacle) = match &row.outcome {
                Ok(Spread { low, median, high, count }) => (format!("{median},{low},{high},{count}"), ""),
                Err(obstacle) => (",,,0".to_owned(), obstacle.as_str()),
            };
            let goal = match row.goal {
                Some(Goal::AtLeast(least)) => format!(">={least}"),
                Some(Goal::AtMost(most)) => format!("<={most}"),
                None => String::new(),
            };
            let met = match (row.goal, &row.outcome) {
                (Some(goal), Ok(spread)) => {
                    if goal.is_met(spread) {
                        "yes"
                    } else {
                        "no"
                    }
                }
                _ => "",
            };
            let _ = writeln!(
                text,
                "{},{},{},{numbers},{goal},{met},{}",
                row.section.name(),
                quoted(&row.what),
                row.unit.base(),
                quoted(obstacle)
            );
        }
        text
    }

    fn by_section(&self) -> Vec<(Section, Vec<&Row>)> {
        let mut sections: Vec<(Section, Vec<&Row>)> = Vec::new();
        for row in &self.rows {
            match sections.last_mut() {
                Some((section, rows)) if *section == row.section => rows.push(row),
                _ => sections.push((row.section, vec![row])),
            }
        }
        sections
    }
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

const fn heading(section: Section) -> &'static str {
    match section {
        Section::Churn => "Connections at saturation",
        Section::Programs => "Time in the kernel",
        Section::Bystander => "Traffic that opens and closes nothing",
        Section::Replay => "The agent's own code",
        Section::Memory => "Memory for each socket",
        Section::Alone => "An agent with nothing to do",
        Section::Scrape => "Time of a scrape",
    }
}

const fn explanation(section: Section) -> &'static str {
    match section {
        Section::Churn => {
            "As many connections as the machine can open and close, with nothing sent on them. Nobody has a higher rate of \
             transitions; a server that does any work at all for a request has far fewer. tcpstates is libbpf-tools'; the bpftrace \
             script prints the same facts."
        }
        Section::Programs => {
            "By `bpf_stats`: the kernel's own clock around each program, which adds its two clock reads to each run. `_0` is the \
             copy that does the work, `_1` the one that stands by for nested events."
        }
        Section::Bystander => {
            "One connection that moves data as fast as it can, and two that exchange single bytes: what they meet of the agent are \
             the tracepoints of timers."
        }
        Section::Replay => {
            "Records of whole connections through decode, tracker, checker, ledger and metrics, by processor time."
        }
        Section::Memory => {
            "Growth of the resident memory as the tracker fills, in a process of its own for each kind."
        }
        Section::Alone => "A fresh agent each time; by the scheduler's clock.",
        Section::Scrape => {
            "One HTTP request over an open connection. node_exporter has nothing but its tcpstat collector on, and runs in the \
             namespace of the sockets, for it sees no other."
        }
    }
}

fn cells(row: &Row) -> Cells {
    let spread = match &row.outcome {
        Err(obstacle) => {
            return [row.what.clone(), obstacle.clone(), String::new(), String::new(), String::new()];
        }
        Ok(spread) => spread,
    };
    let written = |value| row.unit.write(value);
    let range = if spread.count > 1 {
        format!("{} to {}", written(spread.low), written(spread.high))
    } else {
        String::new()
    };
    let goal = row.goal.map(|goal| {
        let (bound, limit) = match goal {
            Goal::AtLeast(least) => ("at least", least),
            Goal::AtMost(most) => ("at most", most),
        };
        let met = if goal.is_met(spread) { "met" } else { "not met" };
        format!("{bound} {}: {met}", written(limit))
    });
    [row.what.clone(), written(spread.median), range, spread.count.to_string(), goal.unwrap_or_default()]
}

impl Unit {
    pub fn write(self, value: f64) -> String {
        match self {
            Self::Percent => format!("{:.1} %", value * 100.0),
            Self::FinePercent => format!("{:.3} %", value * 100.0),
            Self::Times => format!("x {value:.1}"),
            Self::PerSecond => scaled(value, "/s"),
            Self::BytesPerSecond => scaled(value, "B/s"),
            Self::Number if value.fract() == 0.0 => format!("{value:.0}"),
            Self::Number => format!("{value:.2}"),
            Self::Nanoseconds => format!("{value:.0} ns"),
            Self::Milliseconds => format!("{:.2} ms", value * 1e3),
            Self::Bytes => format!("{value:.0} B"),
            Self::Mebibytes => format!("{:.1} MiB", value / f64::from(1 << 20)),
        }
    }

    /// Of the plain number.
    const fn base(self) -> &'static str {
        match self {
            Self::Percent | Self::FinePercent | Self::Times => "1",
            Self::PerSecond => "1/s",
            Self::BytesPerSecond => "B/s",
            Self::Number => "",
            Self::Nanoseconds => "ns",
            Self::Milliseconds => "s",
            Self::Bytes | Self::Mebibytes => "B",
        }
    }
}

fn scaled(value: f64, unit: &str) -> String {
    let (scale, prefix) = match value {
        1e9.. => (1e9, "G"),
        1e6.. => (1e6, "M"),
        1e3.. => (1e3, "k"),
        _ => (1.0, ""),
    };
    format!("{:.2} {prefix}{unit}", value / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let spread = Spread { low: 0.91, median: 0.962, high: 1.01, count: 5 };
        let row = |what: &str, outcome, goal| Row {
            section: Section::Churn,
            what: what.to_owned(),
            outcome,
            unit: Unit::Percent,
            goal,
        };
        Report {
            machine: Machine {
                processor: "Some CPU".into(),
                processors: 2,
                memory_gib: 24,
                kernel: "6.18".into(),
                date: "2026-01-31".into(),
                load: "0.02".into(),
            },
            command: "cargo xtask bench --quick".into(),
            rows: vec![
                row("with us, IPv4", Ok(spread), Some(Goal::AtLeast(0.95))),
                row("with tcpstates", Err("cannot be had here: no apt-get".into()), None),
            ],
        }
    }

    #[test]
    fn a_row_says_median_spread_and_goal() {
        let text = report().text();
        let line = text.lines().find(|line| line.contains("with us")).unwrap();
        let words: Vec<_> = line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
        assert_eq!(words, ["with us, IPv4", "96.2 %", "91.0 % to 101.0 %", "5", "at least 95.0 %: met"]);
        assert!(
            text.contains("Linux 6.18, 2 processors (Some CPU), 24 GiB; load average before it began: 0.02")
        );
    }

    #[test]
    fn a_tool_that_cannot_be_had_is_in_every_table() {
        let report = report();
        for table in [report.text(), report.markdown(), report.csv()] {
            assert!(table.contains("cannot be had here: no apt-get"), "{table}");
        }
    }

    #[test]
    fn a_spreadsheet_gets_plain_numbers() {
        let csv = report().csv();
        assert_eq!(csv.lines().nth(1), Some("churn,\"with us, IPv4\",1,0.962,0.91,1.01,5,>=0.95,yes,"));
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(Unit::PerSecond.write(2_345_678.0), "2.35 M/s");
        assert_eq!(Unit::BytesPerSecond.write(3.2e9), "3.20 GB/s");
        assert_eq!(Unit::FinePercent.write(0.000_45), "0.045 %");
        assert_eq!(Unit::Milliseconds.write(0.003_21), "3.21 ms");
        assert_eq!(Unit::Mebibytes.write(1_048_576.0), "1.0 MiB");
        assert_eq!((Unit::Number.write(17.0), Unit::Number.write(9.98)), ("17".into(), "9.98".into()));
    }
}
