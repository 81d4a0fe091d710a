//! The OpenMetrics 1.0 text format; the `prometheus` crate itself writes only the older text format.

use std::fmt::Write;

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

/// The content type of what [`encode`] writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Units that a family's name may end in.
const UNITS: [&str; 2] = ["seconds", "bytes"];

/// Writes all families in the OpenMetrics text format, the final `# EOF` included.
#[must_use]
pub fn encode(families: &[MetricFamily]) -> String {
    // About what one series takes.
    let series: usize = families.iter().map(|family| family.get_metric().len()).sum();
    let mut out = String::with_capacity(256 * series);
    for family in families {
        encode_family(&mut out, family);
    }
    out.push_str("# EOF\n");
    out
}

fn encode_family(out: &mut String, family: &MetricFamily) {
    let kind = family.get_field_type();
    let name = match kind {
        // The family of a counter is named without the suffix that its samples carry.
        MetricType::COUNTER => family.name().strip_suffix("_total").unwrap_or(family.name()),
        _ => family.name(),
    };
    put(out, format_args!("# HELP {name} {}\n", Escaped(family.help())));
    put(out, format_args!("# TYPE {name} {}\n", type_name(kind)));
    if let Some(unit) =
        UNITS.iter().find(|unit| name.strip_suffix(**unit).is_some_and(|rest| rest.ends_with('_')))
    {
        put(out, format_args!("# UNIT {name} {unit}\n"));
    }
    for metric in family.get_metric() {
        encode_metric(out, name, kind, metric);
    }
}

fn type_name(kind: MetricType) -> &'static str {
    match kind {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        MetricType::SUMMARY => "summary",
        MetricType::UNTYPED => "unknown",
    }
}

fn encode_metric(out: &mut String, name: &str, kind: MetricType, metric: &Metric) {
    let labels = metric.get_label();
    match kind {
        MetricType::COUNTER => sample(out, name, "_total", labels, None, metric.get_counter().get_value()),
        MetricType::GAUGE => sample(out, name, "", labels, None, metric.get_gauge().get_value()),
        MetricType::HISTOGRAM => {
            let histogram = metric.get_histogram();
            let finite = histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite());
            for bucket in finite {
                let bound = ("le", Float(bucket.upper_bound()));
                integer(out, name, "_bucket", labels, Some(bound), bucket.cumulative_count());
            }
            let all = ("le", Float(f64::INFINITY));
            integer(out, name, "_bucket", labels, Some(all), histogram.get_sample_count());
            integer(out, name, "_count", labels, None, histogram.get_sample_count());
            sample(out, name, "_sum", labels, None, histogram.get_sample_sum());
        }
        MetricType::SUMMARY => {
            let summary = metric.get_summary();
            for quantile in summary.get_quantile() {
                let of = ("quantile", Float(quantile.quantile()));
                sample(out, name, "", labels, Some(of), quantile.value());
            }
            integer(out, name, "_count", labels, None, summary.sample_count());
            sample(out, name, "_sum", labels, None, summary.sample_sum());
        }
        // The crate has no way to make one.
        MetricType::UNTYPED => {}
    }
}

fn sample(
    out: &mut String,
    name: &str,
    suffix: &str,
    labels: &[LabelPair],
    more: Option<(&str, Float)>,
    value: f64,
) {
    series(out, name, suffix, labels, more);
    put(out, format_args!(" {}\n", Number(value)));
}

fn integer(
    out: &mut String,
    name: &str,
    suffix: &str,
    labels: &[LabelPair],
    more: Option<(&str, Float)>,
    value: u64,
) {
    series(out, name, suffix, labels, more);
    put(out, format_args!(" {value}\n"));
}

fn series(out: &mut String, name: &str, suffix: &str, labels: &[LabelPair], more: Option<(&str, Float)>) {
    put(out, format_args!("{name}{suffix}"));
    let mut separator = '{';
    for label in labels {
        put(out, format_args!("{separator}{}=\"{}\"", label.name(), Escaped(label.value())));
        separator = ',';
    }
    if let Some((label, value)) = more {
        put(out, format_args!("{separator}{label}=\"{value}\""));
        separator = ',';
    }
    if separator == ',' {
        out.push('}');
    }
}

/// Writing into a string cannot fail.
fn put(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(arguments);
}

/// A label's value or a help text: backslash, quotation mark and line feed are escaped.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['\\', '"', '\n']) {
            let (clean, special) = rest.split_at(at);
            f.write_str(clean)?;
            f.write_str(match special.as_bytes()[0] {
                b'\\' => "\\\\",
                b'"' => "\\\"",
                _ => "\\n",
            })?;
            rest = &special[1..];
        }
        f.write_str(rest)
    }
}

/// A sample's value: integers without a fraction.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            value if value.is_infinite() || value.is_nan() => Float(value).fmt(f),
            value => write!(f, "{value}"),
        }
    }
}

/// A float in the canonical form that `le` and `quantile` ask for: always with a fraction or an exponent.
struct Float(f64);

impl std::fmt::Display for Float {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.0;
        if value.is_nan() {
            return f.write_str("NaN");
        }
        if value.is_infinite() {
            return f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        if value == 0.0 || (1e-4..1e15).contains(&value.abs()) {
            return write!(f, "{value:?}");
        }
        // Two digits at least, as in C and Go: 5e-05.
        let scientific = format!("{value:e}");
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        write!(f, "{mantissa}e{sign}{digits:0>2}")
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Counter, Gauge, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

    use super::{Float, encode};

    fn families(fill: impl FnOnce(&Registry) -> Result<(), prometheus::Error>) -> String {
        let registry = Registry::new();
        fill(&registry).expect("distinct names");
        encode(&registry.gather())
    }

    #[test]
    fn nothing_is_only_an_end() {
        assert_eq!(encode(&[]), "# EOF\n");
    }

    #[test]
    fn a_counter_drops_its_suffix_but_for_its_samples() {
        let text = families(|registry| {
            let events = IntCounterVec::new(Opts::new("events_total", "Events."), &["hook", "outcome"])?;
            registry.register(Box::new(events.clone()))?;
            events.with_label_values(&["state", "delivered"]).inc_by(17);
            let run = Counter::new("run_seconds_total", "Time, in seconds.")?;
            registry.register(Box::new(run.clone()))?;
            run.inc_by(0.25);
            Ok(())
        });
        assert_eq!(
            text,
            "# HELP events Events.\n\
             # TYPE events counter\n\
             events_total{hook=\"state\",outcome=\"delivered\"} 17\n\
             # HELP run_seconds Time, in seconds.\n\
             # TYPE run_seconds counter\n\
             # UNIT run_seconds seconds\n\
             run_seconds_total 0.25\n\
             # EOF\n"
        );
    }

    #[test]
    fn a_histogram_has_buckets_a_count_and_a_sum() {
        let text = families(|registry| {
            let options =
                HistogramOpts::new("wait_seconds", "Waiting, in seconds.").buckets(vec![0.000_05, 0.5, 60.0]);
            let wait = HistogramVec::new(options, &["state"])?;
            registry.register(Box::new(wait.clone()))?;
            let established = wait.with_label_values(&["established"]);
            [0.25, 0.5, 3.0, 100.0].into_iter().for_each(|seconds| established.observe(seconds));
            Ok(())
        });
        assert_eq!(
            text,
            "# HELP wait_seconds Waiting, in seconds.\n\
             # TYPE wait_seconds histogram\n\
             # UNIT wait_seconds seconds\n\
             wait_seconds_bucket{state=\"established\",le=\"5e-05\"} 0\n\
             wait_seconds_bucket{state=\"established\",le=\"0.5\"} 2\n\
             wait_seconds_bucket{state=\"established\",le=\"60.0\"} 3\n\
             wait_seconds_bucket{state=\"established\",le=\"+Inf\"} 4\n\
             wait_seconds_count{state=\"established\"} 4\n\
             wait_seconds_sum{state=\"established\"} 103.75\n\
             # EOF\n"
        );
    }

    #[test]
    fn labels_and_help_are_escaped() {
        let text = families(|registry| {
            let gauge =
                Gauge::with_opts(Opts::new("odd", "A \\ and\na \"b\".").const_label("path", "C:\\a\n\"b\""))?;
            registry.register(Box::new(gauge.clone()))?;
            gauge.set(-1.5);
            Ok(())
        });
        assert_eq!(
            text,
            "# HELP odd A \\\\ and\\na \\\"b\\\".\n# TYPE odd gauge\nodd{path=\"C:\\\\a\\n\\\"b\\\"\"} -1.5\n# EOF\n"
        );
    }

    #[test]
    fn floats_are_canonical() {
        for (value, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (0.000_1, "0.0001"),
            (0.000_05, "5e-05"),
            (0.000_025, "2.5e-05"),
            (86_400.0, "86400.0"),
            (1e20, "1e+20"),
            (-2.5, "-2.5"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(Float(value).to_string(), text);
        }
    }
}
