//! From single figures to rows of a table: medians, ratios, goals.

use super::{peers::Peers, plan::Section, sample::Samples};

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub section: Section,
    /// What was measured.
    pub what: String,
    /// What came out, or why nothing did.
    pub outcome: Result<Spread, String>,
    pub unit: Unit,
    pub goal: Option<Goal>,
}

/// The middle of several figures, and how far they are apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
    /// How many there were.
    pub count: usize,
}

/// How a figure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A share or a quotient, in percent.
    Percent,
    /// A small share, in percent with three digits.
    FinePercent,
    /// So many times as much.
    Times,
    PerSecond,
    BytesPerSecond,
    Number,
    Nanoseconds,
    /// Seconds, written as milliseconds.
    Milliseconds,
    Bytes,
    /// Bytes, written as MiB.
    Mebibytes,
}

/// What the median should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    pub fn is_met(self, spread: &Spread) -> bool {
        match self {
            Self::AtLeast(least) => spread.median >= least,
            Self::AtMost(most) => spread.median <= most,
        }
    }
}

impl Spread {
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self { low, median, high, count: values.len() })
    }
}

/// Bytes of the promise: memory for each socket.
pub const BYTES_PER_SOCKET: f64 = 200.0;
/// Share of the connections per second that must remain.
pub const CHURN: f64 = 0.95;
/// Sockets from which on the memory for each says something.
const MANY: u64 = 100_000;

const FAMILIES: [(&str, &str); 2] = [("ipv4", "IPv4"), ("ipv6", "IPv6")];

/// The table.
pub fn rows(sections: &[Section], samples: &Samples, peers: &Peers) -> Vec<Row> {
    let mut table = Table { samples, peers, rows: Vec::new() };
    for section in sections {
        match section {
            Section::Churn => table.churn(),
            Section::Programs => table.programs(),
            Section::Bystander => table.bystander(),
            Section::Replay => table.replay(),
            Section::Memory => table.memory(),
            Section::Alone => table.alone(),
            Section::Scrape => table.scrape(),
        }
    }
    table.rows
}

struct Table<'a> {
    samples: &'a Samples,
    peers: &'a Peers,
    rows: Vec<Row>,
}

impl Table<'_> {
    fn row(&mut self, section: Section, what: String, values: Vec<f64>, unit: Unit, goal: Option<Goal>) {
        let outcome = Spread::of(values).ok_or_else(|| "no figure: see what the bench said".to_owned());
        self.rows.push(Row { section, what, outcome, unit, goal });
    }

    fn churn(&mut self) {
        const HERE: Section = Section::Churn;
        const RATE: &str = "connections_per_second";
        let samples = self.samples;
        for (case, family) in FAMILIES {
            let bare = samples.values(HERE, case, "without agent", RATE);
            self.row(
                HERE,
                format!("{family}: connections per second without anything"),
                bare,
                Unit::PerSecond,
                None,
            );
            for (arm, name) in [("agent", "tcp-tracer"), ("tcpstates", "tcpstates"), ("bpftrace", "bpftrace")]
            {
                let what = format!("{family}: connections per second that remain with {name}");
                if let Some(obstacle) = self.peers.obstacle(arm) {
                    let outcome = Err(format!("cannot be had here: {obstacle}"));
                    self.rows.push(Row { section: HERE, what, outcome, unit: Unit::Percent, goal: None });
                    continue;
                }
                let is_ours = arm == "agent";
                let without = format!("without {arm}");
                let ratios = samples.ratios(HERE, case, [arm, &without], RATE);
                self.row(HERE, what, ratios, Unit::Percent, is_ours.then_some(Goal::AtLeast(CHURN)));
                let lost = samples.values(HERE, case, arm, "lost_events");
                let what = format!("{family}: events that {name} lost, by its own count");
                self.row(HERE, what, lost, Unit::Number, is_ours.then_some(Goal::AtMost(0.0)));
                let seen = samples.values(HERE, case, arm, "transitions_per_connection");
                self.row(
                    HERE,
                    format!("{family}: transitions that {name} saw of each connection"),
                    seen,
                    Unit::Number,
                    None,
                );
            }
        }
        for (case, family) in FAMILIES {
            let ratios =
                samples.ratios(HERE, case, ["agent", "without agent"], "processor_us_per_connection");
            let what = format!(
                "{family}: processor time of client, server and agent, against client and server alone"
            );
            self.row(HERE, what, ratios, Unit::Percent, None);
        }
        for (quantity, what, unit) in [
            ("core_share", "share of one processor that the agent took meanwhile", Unit::Percent),
            (
                "processor_ns_per_transition",
                "the agent's processor time for each transition",
                Unit::Nanoseconds,
            ),
        ] {
            let both = FAMILIES.iter().flat_map(|(case, _)| samples.values(HERE, case, "agent", quantity));
            self.row(HERE, what.to_owned(), both.collect(), unit, None);
        }
    }

    fn programs(&mut self) {
        const HERE: Section = Section::Programs;
        let samples = self.samples;
        for (quantity, what) in
            [("ns_per_transition", "each transition"), ("ns_per_connection", "each connection")]
        {
            let all = samples.values(HERE, "all", "agent", quantity);
            self.row(HERE, format!("all programs together, for {what}"), all, Unit::Nanoseconds, None);
        }
        for program in samples.cases(HERE, "ns_per_run") {
            let runs = Spread::of(samples.values(HERE, &program, "agent", "runs_per_connection"));
            let runs = runs.map_or(0.0, |runs| runs.median);
            // What hardly ever runs costs nothing.
            if runs >= 0.5 {
                let each = samples.values(HERE, &program, "agent", "ns_per_run");
                self.row(
                    HERE,
                    format!("{program}, {runs:.1} runs for each connection"),
                    each,
                    Unit::Nanoseconds,
                    None,
                );
            }
        }
    }

    fn bystander(&mut self) {
        const HERE: Section = Section::Bystander;
        let samples = self.samples;
        for (case, quantity, unit) in [
            ("bulk transfer", "bytes_per_second", Unit::BytesPerSecond),
            ("request/response", "exchanges_per_second", Unit::PerSecond),
        ] {
            let bare = samples.values(HERE, case, "without agent", quantity);
            self.row(HERE, format!("{case} without the agent"), bare, unit, None);
            let ratios = samples.ratios(HERE, case, ["agent", "without agent"], quantity);
            self.row(
                HERE,
                format!("{case} that remains with the agent"),
                ratios,
                Unit::Percent,
                Some(Goal::AtLeast(0.99)),
            );
            let shares = samples.values(HERE, case, "agent", "share_of_programs");
            let what = format!("{case}: share of all processor time that the agent's programs take");
            self.row(HERE, what, shares, Unit::FinePercent, Some(Goal::AtMost(0.01)));
        }
    }

    fn replay(&mut self) {
        const HERE: Section = Section::Replay;
        for case in self.samples.cases(HERE, "transitions_per_core_second") {
            let rate = self.samples.values(HERE, &case, "agent", "transitions_per_core_second");
            let what = format!("transitions per second of one core, {case} connections at once");
            self.row(HERE, what, rate, Unit::PerSecond, Some(Goal::AtLeast(2e6)));
        }
    }

    fn memory(&mut self) {
        const HERE: Section = Section::Memory;
        for case in self.samples.cases(HERE, "bytes_per_socket") {
            let Some((kind, count)) = case.split_once(' ') else { continue };
            let count = count.parse::<u64>().unwrap_or(0);
            if count < MANY {
                continue;
            }
            let bytes = self.samples.values(HERE, &case, "agent", "bytes_per_socket");
            let what = format!("for each of {count} sockets in {kind}");
            self.row(HERE, what, bytes, Unit::Bytes, Some(Goal::AtMost(BYTES_PER_SOCKET)));
        }
    }

    fn alone(&mut self) {
        const HERE: Section = Section::Alone;
        for (quantity, what, unit, goal) in [
            (
                "start_seconds",
                "time from its start until it serves and misses nothing",
                Unit::Milliseconds,
                None,
            ),
            (
                "idle_core_share",
                "share of one processor without traffic",
                Unit::FinePercent,
                Some(Goal::AtMost(0.001)),
            ),
            (
                "idle_events_per_second",
                "events per second meanwhile, of others on this host",
                Unit::Number,
                None,
            ),
            ("resident_bytes", "resident memory, ring and program included", Unit::Mebibytes, None),
        ] {
            let values = self.samples.values(HERE, "", "agent", quantity);
            self.row(HERE, what.to_owned(), values, unit, goal);
        }
    }

    fn scrape(&mut self) {
        const HERE: Section = Section::Scrape;
        let samples = self.samples;
        let at = |case: &str, arm| Spread::of(samples.values(HERE, case, arm, "scrape_seconds"));
        let cases = samples.cases(HERE, "scrape_seconds");
        for case in &cases {
            for (arm, name) in [("agent", "tcp-tracer"), ("node_exporter", "node_exporter's tcpstat")] {
                let what = format!("{name}, {case} sockets in TIME_WAIT");
                if let Some(obstacle) = self.peers.obstacle("node-exporter").filter(|_| arm != "agent") {
                    let outcome = Err(format!("cannot be had here: {obstacle}"));
                    self.rows.push(Row {
                        section: HERE,
                        what,
                        outcome,
                        unit: Unit::Milliseconds,
                        goal: None,
                    });
                } else {
                    let values = samples.values(HERE, case, arm, "scrape_seconds");
                    self.row(HERE, what, values, Unit::Milliseconds, None);
                }
            }
        }
        for (arm, name) in [("agent", "tcp-tracer"), ("node_exporter", "node_exporter's tcpstat")] {
            if let (Some(first), Some(last)) = (cases.first(), cases.last())
                && let (Some(few), Some(many)) = (at(first, arm), at(last, arm))
            {
                let what = format!("{name}: {last} sockets against {first}");
                self.row(HERE, what, vec![many.median / few.median], Unit::Times, None);
            }
        }
        for case in samples.cases(HERE, "grown_bytes").into_iter().filter(|case| case != "0") {
            let grown = samples.values(HERE, &case, "agent", "grown_bytes");
            self.row(HERE, format!("the agent's heap grew by, {case} sockets"), grown, Unit::Mebibytes, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let spread = Spread::of(vec![4.0, 1.0, 2.0, 9.0]).unwrap();
        assert_eq!(spread, Spread { low: 1.0, median: 3.0, high: 9.0, count: 4 });
        assert_eq!(Spread::of(vec![7.0]).unwrap().median, 7.0);
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn a_goal_is_about_the_median() {
        let spread = Spread { low: 0.90, median: 0.96, high: 1.02, count: 5 };
        assert!(Goal::AtLeast(0.95).is_met(&spread));
        assert!(!Goal::AtMost(0.95).is_met(&spread));
    }

    #[test]
    fn what_was_not_measured_is_said() {
        let rows = rows(&[Section::Alone], &Samples::default(), &Peers::none());
        assert_eq!(rows.len(), 4);
        assert!(rows.iter().all(|row| row.outcome.is_err()));
    }
}
