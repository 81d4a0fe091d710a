//! A scrape, read series by series.

use std::collections::BTreeMap;

/// Labels of a series.
pub type Labels = BTreeMap<String, String>;

/// Every series of one scrape.
#[derive(Clone, Debug, Default)]
pub struct Metrics(BTreeMap<(String, Labels), f64>);

impl Metrics {
    /// Reads the Prometheus text format.
    ///
    /// # Panics
    ///
    /// On a line that is none of it, and on a series that comes twice.
    pub fn parse(text: &str) -> Self {
        let mut series = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (key, value) = parse_line(line).unwrap_or_else(|| panic!("not a sample: {line}"));
            assert!(series.insert(key, value).is_none(), "comes twice: {line}");
        }
        Self(series)
    }

    /// The sum of all series of this name that have these labels.
    ///
    /// # Panics
    ///
    /// When there is none: every series has to be there from the first scrape.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found: Vec<_> = self.matching(name, labels).map(|(_, value)| value).collect();
        assert!(!found.is_empty(), "no series {name} with {labels:?}");
        found.iter().sum()
    }

    /// As [`Metrics::sum`], for whole numbers.
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> i64 {
        let sum = self.sum(name, labels);
        #[expect(clippy::cast_possible_truncation, reason = "a fraction is refused, counts stay below 2^53")]
        let count = sum as i64;
        assert!((sum - sum.round()).abs() < f64::EPSILON, "{name} with {labels:?} is no count: {sum}");
        count
    }

    /// Series of this name that have these labels.
    pub fn matching<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = (&'a Labels, f64)> {
        self.0
            .iter()
            .filter(move |((series, own), _)| {
                series == name
                    && labels.iter().all(|(label, value)| own.get(*label).is_some_and(|own| own == value))
            })
            .map(|((_, own), value)| (own, *value))
    }

    /// Number of series.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

fn parse_line(line: &str) -> Option<((String, Labels), f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = series.split_once('{') else {
        return Some(((series.to_owned(), Labels::new()), value));
    };
    let labels = labels.strip_suffix('}')?;
    // Closed sets of values: none has a comma or a quote.
    let labels = labels
        .split(',')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (label, value) = pair.split_once('=')?;
            Some((label.to_owned(), value.strip_prefix('"')?.strip_suffix('"')?.to_owned()))
        })
        .collect::<Option<_>>()?;
    Some(((name.to_owned(), labels), value))
}

#[test]
fn samples_are_summed_by_label() {
    let metrics = Metrics::parse(
        "# HELP a b\na{x=\"1\",y=\"2\"} 3\na{x=\"1\",y=\"3\"} 4\nb 1e3\nc_bucket{le=\"+Inf\"} 2\n",
    );
    assert_eq!(metrics.count("a", &[("x", "1")]), 7);
    assert_eq!(metrics.count("a", &[("y", "3")]), 4);
    assert_eq!(metrics.count("b", &[]), 1000);
    assert_eq!(metrics.count("c_bucket", &[("le", "+Inf")]), 2);
    assert_eq!(metrics.len(), 4);
}
