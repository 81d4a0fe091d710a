//! Which format a scraper gets, by its `Accept` header.

/// The two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics text 1.0.
    OpenMetrics,
}

impl Format {
    /// OpenMetrics for those who ask for its version 1.0.0 at least as much as for text; text for everybody else.
    #[must_use]
    pub fn of(accept: Option<&str>) -> Self {
        let mut best = (0.0, Self::Text);
        for (rank, format) in accept.unwrap_or_default().split(',').filter_map(read) {
            // Equal wishes: the newer format, whichever came first.
            if rank > best.0 || (rank >= best.0 && rank > 0.0 && format == Self::OpenMetrics) {
                best = (rank, format);
            }
        }
        best.1
    }
}

/// One media range: its weight and what it stands for. `None`: not one of ours.
fn read(range: &str) -> Option<(f64, Format)> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next()?.to_ascii_lowercase();
    let (mut weight, mut version) = (1.0, None);
    for (key, value) in parts.filter_map(|part| part.split_once('=')) {
        match key.trim().to_ascii_lowercase().as_str() {
            "q" => weight = value.trim().parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?,
            "version" => version = Some(value.trim().trim_matches('"')),
            _ => {}
        }
    }
    match (media.as_str(), version) {
        ("application/openmetrics-text", Some("1.0.0")) => Some((weight, Format::OpenMetrics)),
        ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => Some((weight, Format::Text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn open_metrics_only_for_those_who_ask_for_it() {
        // Prometheus 2.42's own header, and its 3.x successor.
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;\
                            q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;\
                            escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, expected) in [
            (None, Format::Text),
            (Some(""), Format::Text),
            (Some("*/*"), Format::Text),
            (Some("text/plain"), Format::Text),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), Format::Text),
            (Some(prometheus_2), Format::OpenMetrics),
            (Some(prometheus_3), Format::OpenMetrics),
            (Some("application/openmetrics-text; version=1.0.0; charset=utf-8"), Format::OpenMetrics),
            (Some("Application/OpenMetrics-Text; Version=\"1.0.0\""), Format::OpenMetrics),
            (Some("application/openmetrics-text; version=0.0.1"), Format::Text),
            (Some("application/openmetrics-text; version=2.0.0"), Format::Text),
            (Some("application/openmetrics-text; version=1.0.0; q=0.1, text/plain; q=0.9"), Format::Text),
            (Some("text/plain, application/openmetrics-text; version=1.0.0"), Format::OpenMetrics),
            (Some("application/openmetrics-text; version=1.0.0; q=0"), Format::Text),
            (Some("application/openmetrics-text; version=1.0.0; q=nonsense"), Format::Text),
        ] {
            assert_eq!(Format::of(accept), expected, "{accept:?}");
        }
    }
}
