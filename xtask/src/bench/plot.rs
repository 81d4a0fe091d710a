//! The figures as one SVG picture of four panels. Plain SVG: nothing to install, and a browser or a forge shows it.

use std::fmt::Write;

use super::{
    plan::Section,
    sample::Samples,
    summary::{BYTES_PER_SOCKET, CHURN, Spread, Unit},
};

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 260.0;
/// Room around a panel's axes: left for labels, right, above for the title, below.
const LEFT: f64 = 76.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 40.0;

const OURS: &str = "#1f77b4";
const OTHERS: &str = "#b0611f";

/// A bar with its spread.
struct Bar {
    label: String,
    spread: Spread,
    color: &'static str,
}

/// A line through points; the first number is the place, the second the height.
struct Line {
    label: String,
    points: Vec<(f64, Spread)>,
    color: &'static str,
}

/// The picture. Panels without a figure stay out.
pub fn draw(samples: &Samples) -> String {
    let panels: Vec<_> =
        [churn(samples), programs(samples), memory(samples), scrape(samples)].into_iter().flatten().collect();
    let rows = panels.len().div_ceil(2).max(1);
    let (width, height) = (2.0 * WIDTH, HEIGHT * whole(rows));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (number, panel) in panels.iter().enumerate() {
        let (x, y) = (whole(number % 2) * WIDTH, whole(number / 2) * HEIGHT);
        let _ = write!(svg, "<g transform=\"translate({x} {y})\">\n{panel}</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn churn(samples: &Samples) -> Option<String> {
    let mut bars = Vec::new();
    for (case, family) in [("ipv4", "IPv4"), ("ipv6", "IPv6")] {
        for (arm, color) in [("agent", OURS), ("tcpstates", OTHERS), ("bpftrace", OTHERS)] {
            let without = format!("without {arm}");
            let ratios = samples.ratios(Section::Churn, case, [arm, &without], "connections_per_second");
            let name = if arm == "agent" { "tcp-tracer" } else { arm };
            let spread = Spread::of(ratios);
            bars.extend(spread.map(|spread| Bar { label: format!("{name} {family}"), spread, color }));
        }
    }
    bar_panel("Connections per second that remain", &bars, Unit::Percent, Some(CHURN))
}

fn programs(samples: &Samples) -> Option<String> {
    let often = |program: &String| {
        let runs = samples.values(Section::Programs, program, "agent", "runs_per_connection");
        Spread::of(runs).is_some_and(|runs| runs.median >= 0.5)
    };
    let bars: Vec<_> = samples
        .cases(Section::Programs, "ns_per_run")
        .into_iter()
        .filter(often)
        .filter_map(|program| {
            let spread = Spread::of(samples.values(Section::Programs, &program, "agent", "ns_per_run"))?;
            Some(Bar { label: program, spread, color: OURS })
        })
        .collect();
    bar_panel("Time of one run of each BPF program", &bars, Unit::Nanoseconds, None)
}

fn memory(samples: &Samples) -> Option<String> {
    let cases = samples.cases(Section::Memory, "bytes_per_socket");
    let line = |kind: &str, color| {
        let points = cases.iter().filter_map(|case| {
            let count: f64 = case.strip_prefix(kind)?.trim().parse().ok()?;
            Some((count, Spread::of(samples.values(Section::Memory, case, "agent", "bytes_per_socket"))?))
        });
        Line { label: kind.to_owned(), points: points.collect(), color }
    };
    let lines = [line("established", OURS), line("time_wait", OTHERS)];
    line_panel("Memory for each socket, by their number", &lines, Unit::Bytes, Some(BYTES_PER_SOCKET))
}

fn scrape(samples: &Samples) -> Option<String> {
    let cases = samples.cases(Section::Scrape, "scrape_seconds");
    let line = |arm: &str, label: &str, color| {
        let points = cases.iter().filter_map(|case| {
            let count: f64 = case.parse().ok()?;
            Some((count, Spread::of(samples.values(Section::Scrape, case, arm, "scrape_seconds"))?))
        });
        Line { label: label.to_owned(), points: points.collect(), color }
    };
    let lines = [line("agent", "tcp-tracer", OURS), line("node_exporter", "node_exporter tcpstat", OTHERS)];
    line_panel("Time of a scrape, by sockets in TIME_WAIT", &lines, Unit::Milliseconds, None)
}

/// Bars that lie, one below the other: their names are long.
fn bar_panel(title: &str, bars: &[Bar], unit: Unit, goal: Option<f64>) -> Option<String> {
    /// Names of programs and tools.
    const NAMES: f64 = 50.0;
    let most = highest(bars.iter().map(|bar| bar.spread.high))?.max(goal.unwrap_or(0.0));
    let left = LEFT + NAMES;
    let place = |value: f64| left + value / most * (WIDTH - left - RIGHT - 60.0);
    let step = (HEIGHT - TOP - 16.0) / whole(bars.len());
    let mut panel = heading(title);
    for (number, bar) in bars.iter().enumerate() {
        let Bar { label, spread, color } = bar;
        let (y, thick) = (TOP + whole(number) * step, (step * 0.7).min(22.0));
        let (middle, text) = (y + thick / 2.0, y + thick / 2.0 + 4.0);
        let (end, low, high) = (place(spread.median), place(spread.low), place(spread.high));
        let value = unit.write(spread.median);
        let after = high + 5.0;
        let _ = write!(
            panel,
            "<text x=\"{:.1}\" y=\"{text:.1}\" text-anchor=\"end\">{label}</text>\n\
             <rect x=\"{left:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{thick:.1}\" fill=\"{color}\"/>\n\
             <line x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" stroke=\"#222\"/>\n\
             <text x=\"{after:.1}\" y=\"{text:.1}\">{value}</text>\n",
            left - 6.0,
            end - left
        );
    }
    if let Some(goal) = goal {
        let (x, bottom) = (place(goal), HEIGHT - 16.0);
        let _ = write!(
            panel,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\" stroke=\"#c22\" stroke-dasharray=\"4 3\"/>\n\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#c22\">goal {}</text>\n",
            TOP - 4.0,
            HEIGHT - 4.0,
            unit.write(goal)
        );
    }
    Some(panel)
}

/// Lines over a number of sockets.
fn line_panel(title: &str, lines: &[Line], unit: Unit, goal: Option<f64>) -> Option<String> {
    let all = || lines.iter().flat_map(|line| &line.points);
    let (farthest, most) = (
        highest(all().map(|(at, _)| *at))?,
        highest(all().map(|(_, spread)| spread.median))?.max(goal.unwrap_or(0.0)),
    );
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let x = |at: f64| LEFT + at / farthest * (right - LEFT);
    let y = |value: f64| bottom - value / most * (bottom - TOP - 18.0);
    let mut panel = heading(title);
    let _ = write!(
        panel,
        "<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#888\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">sockets</text>\n",
        f64::midpoint(LEFT, right),
        HEIGHT - 8.0
    );
    for quarter in [0.25, 0.5, 0.75, 1.0] {
        let (at, value) = (farthest * quarter, most * quarter);
        let _ = write!(
            panel,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{:.0}k</text>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
            x(at),
            bottom + 14.0,
            at / 1e3,
            LEFT - 5.0,
            y(value) + 4.0,
            unit.write(value)
        );
    }
    for (number, Line { label, points, color }) in lines.iter().enumerate() {
        if points.is_empty() {
            continue;
        }
        let path: Vec<_> =
            points.iter().map(|(at, spread)| format!("{:.1},{:.1}", x(*at), y(spread.median))).collect();
        let legend = LEFT + 10.0 + whole(number) * 150.0;
        let _ = write!(
            panel,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>\n\
             <text x=\"{legend:.1}\" y=\"{:.1}\" fill=\"{color}\">{label}</text>\n",
            path.join(" "),
            TOP + 8.0
        );
    }
    if let Some(goal) = goal {
        let y = y(goal);
        let _ = write!(
            panel,
            "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#c22\" stroke-dasharray=\"4 3\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#c22\">goal</text>\n",
            right,
            y + 12.0
        );
    }
    Some(panel)
}

fn heading(title: &str) -> String {
    format!(
        "<text x=\"{:.1}\" y=\"20\" text-anchor=\"middle\" font-size=\"13\" font-weight=\"bold\">{title}</text>\n",
        WIDTH / 2.0
    )
}

/// The end of an axis; `None`: there is nothing to draw.
fn highest(values: impl Iterator<Item = f64>) -> Option<f64> {
    let highest = values.fold(0.0, f64::max);
    (highest > 0.0).then_some(highest)
}

#[expect(clippy::cast_precision_loss, reason = "a handful of panels and bars")]
fn whole(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_panel_with_figures_is_drawn() {
        let mut samples = Samples::default();
        assert!(!draw(&samples).contains("<g"), "nothing measured, nothing drawn");
        let line = |case: &str, arm: &str, quantity: &str, value: f64| {
            format!(r#"{{"case":"{case}","arm":"{arm}","round":1,"quantity":"{quantity}","value":{value}}}"#)
        };
        for (section, lines) in [
            (
                Section::Churn,
                vec![
                    line("ipv4", "agent", "connections_per_second", 95.0),
                    line("ipv4", "without agent", "connections_per_second", 100.0),
                ],
            ),
            (
                Section::Scrape,
                vec![
                    line("0", "agent", "scrape_seconds", 0.001),
                    line("300000", "agent", "scrape_seconds", 0.001),
                    line("300000", "node_exporter", "scrape_seconds", 0.2),
                ],
            ),
        ] {
            samples.read(section, &lines.join("\n")).unwrap();
        }
        let svg = draw(&samples);
        assert_eq!(svg.matches("<g ").count(), 2);
        for text in ["tcp-tracer IPv4", "95.0 %", "goal 95.0 %", "node_exporter tcpstat", "300k"] {
            assert!(svg.contains(text), "{text} is missing");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
