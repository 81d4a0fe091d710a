//! Single figures, as tracer's bench `cost` tells them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::plan::Section;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a line of the bench is no figure: {0}")]
    Line(String),
}

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub section: Section,
    /// Of what: an address family, a number of sockets, a program.
    pub case: String,
    /// Who was running.
    pub arm: String,
    /// Which repetition; figures of the same one belong together.
    pub round: u64,
    /// What was measured, with its unit.
    pub quantity: String,
    pub value: f64,
}

/// All figures of one run.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    all: Vec<Sample>,
    lines: String,
}

impl Samples {
    /// Takes in what a part of the bench printed.
    pub fn read(&mut self, section: Section, output: &str) -> Result<(), Error> {
        for line in output.lines().filter(|line| !line.is_empty()) {
            let sample = parse(section, line).ok_or_else(|| Error::Line(line.to_owned()))?;
            let Sample { section, case, arm, round, quantity, value } = &sample;
            let object = json!({
                "section": section.name(), "case": case, "arm": arm, "round": round, "quantity": quantity, "value": value
            });
            self.lines.push_str(&format!("{object}\n"));
            self.all.push(sample);
        }
        Ok(())
    }

    /// One JSON object per figure.
    pub fn lines(&self) -> &str {
        &self.lines
    }

    /// The figures of one kind, by round.
    pub fn of(&self, section: Section, case: &str, arm: &str, quantity: &str) -> BTreeMap<u64, f64> {
        let wanted = |sample: &&Sample| {
            (sample.section, sample.case.as_str(), sample.arm.as_str(), sample.quantity.as_str())
                == (section, case, arm, quantity)
        };
        self.all.iter().filter(wanted).map(|sample| (sample.round, sample.value)).collect()
    }

    /// As [`Samples::of`], without the rounds.
    pub fn values(&self, section: Section, case: &str, arm: &str, quantity: &str) -> Vec<f64> {
        self.of(section, case, arm, quantity).into_values().collect()
    }

    /// Quotients of two arms, round by round: what slows down a round slows down both.
    pub fn ratios(
        &self,
        section: Section,
        case: &str,
        [above, below]: [&str; 2],
        quantity: &str,
    ) -> Vec<f64> {
        let below = self.of(section, case, below, quantity);
        let above = self.of(section, case, above, quantity);
        above.into_iter().filter_map(|(round, value)| Some(value / below.get(&round)?)).collect()
    }

    /// The cases that have this quantity, in the order of their first figure.
    pub fn cases(&self, section: Section, quantity: &str) -> Vec<String> {
        let mut cases = Vec::new();
        for sample in
            self.all.iter().filter(|sample| sample.section == section && sample.quantity == quantity)
        {
            if !cases.contains(&sample.case) {
                cases.push(sample.case.clone());
            }
        }
        cases
    }
}

fn parse(section: Section, line: &str) -> Option<Sample> {
    let line: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| Some(line.get(key)?.as_str()?.to_owned());
    Some(Sample {
        section,
        case: text("case")?,
        arm: text("arm")?,
        round: line.get("round")?.as_u64()?,
        quantity: text("quantity")?,
        value: line.get("value")?.as_f64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_round() {
        let mut samples = Samples::default();
        let line = |arm, round, value| {
            format!(r#"{{"case":"ipv4","arm":"{arm}","round":{round},"quantity":"rate","value":{value}}}"#)
        };
        let lines = [
            line("with", 1, 90.0),
            line("without", 1, 100.0),
            line("without", 2, 50.0),
            line("with", 2, 48.0),
        ];
        samples.read(Section::Churn, &lines.join("\n")).unwrap();
        // A round without its partner says nothing.
        samples.read(Section::Churn, &line("with", 3, 7.0)).unwrap();
        assert_eq!(samples.ratios(Section::Churn, "ipv4", ["with", "without"], "rate"), [0.9, 0.96]);
        assert_eq!(samples.cases(Section::Churn, "rate"), ["ipv4"]);
        assert_eq!(samples.lines().lines().count(), 5);
    }

    #[test]
    fn what_is_no_figure_is_an_error() {
        let error = Samples::default().read(Section::Churn, "Finished").unwrap_err();
        assert_eq!(error.to_string(), "a line of the bench is no figure: Finished");
    }
}
