//! The metrics as their reader sees them: a real Prometheus scrapes the agent, promtool judges the text.

use std::{thread::sleep, time::Duration};

use crate::support::{
    agent::Agent,
    books::Moment,
    load::{Ending, Family, Load},
    namespace::Namespace,
    prometheus::{Prometheus, SCRAPE_INTERVAL, promtool_check},
    turn,
    wait::until,
};

#[test]
fn prometheus_scrapes_the_agent_and_its_queries_give_the_same_numbers() {
    let Some(_turn) = turn(&["prometheus"]) else { return };
    let namespace = Namespace::new();
    let mut agent = Agent::start();
    let mut prometheus = Prometheus::start(agent.address);
    until(Duration::from_secs(20), || match prometheus.query("up") {
        Ok(up) if up > 0.0 => Ok(()),
        answer => Err(format!("up: {answer:?}")),
    });

    for (family, ending) in [(Family::Ipv4, Ending::Client), (Family::Ipv6, Ending::Server)] {
        let start = Moment::quiet(&mut agent);
        Load { connections: 500, lanes: 2, family, ending, exchanges: 1 }.run(&namespace);
        let end = Moment::quiet(&mut agent);
        end.since(&start).assert_healthy();
        for (expression, name, labels) in [
            ("sum(tcptracer_transitions_total)", "tcptracer_transitions_total", &[][..]),
            (
                "sum(tcptracer_transitions_total{from=\"close\",to=\"syn_sent\"})",
                "tcptracer_transitions_total",
                &[("from", "close"), ("to", "syn_sent")],
            ),
            (
                "sum(tcptracer_handshake_duration_seconds_count{role=\"client\"})",
                "tcptracer_handshake_duration_seconds_count",
                &[("role", "client")],
            ),
            ("sum(tcptracer_time_wait_sockets)", "tcptracer_time_wait_sockets", &[]),
        ] {
            agree(&mut prometheus, &mut agent, expression, name, labels);
        }
    }

    let samples = prometheus.query("scrape_samples_scraped").unwrap();
    let series = agent.metrics().len();
    assert!(
        (samples - f64::from(u32::try_from(series).unwrap())).abs() < 0.5,
        "{samples} samples of {series} series"
    );
    assert!(series < 1000, "{series} series");
    // All series are there from the first scrape, so that a rate is never missing the first step.
    let rate = "sum(increase(tcptracer_handshakes_total{role=\"server\",result=\"established\"}[1m]))";
    assert!(prometheus.query(rate).unwrap() > 500.0);
    let quantile =
        "histogram_quantile(0.99, sum by (le) (rate(tcptracer_handshake_duration_seconds_bucket[1m])))";
    let seconds = prometheus.query(quantile).unwrap();
    assert!(seconds > 0.0 && seconds < 1.0, "99 % of the loopback's handshakes within {seconds} s");
}

/// Prometheus gives the agent's number. Others on the host may use TCP meanwhile, so the agent is read before Prometheus'
/// last scrape and after it: where nobody does, only that one number lies between.
fn agree(
    prometheus: &mut Prometheus,
    agent: &mut Agent,
    expression: &str,
    name: &str,
    labels: &[(&str, &str)],
) {
    until(Duration::from_secs(20), || {
        let before = agent.metrics().sum(name, labels);
        sleep(2 * SCRAPE_INTERVAL);
        let value = prometheus.query(expression)?;
        let after = agent.metrics().sum(name, labels);
        if before.min(after) <= value && value <= before.max(after) {
            return Ok(());
        }
        Err(format!("{expression} gives {value}, the agent said {before} before and {after} after"))
    });
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let Some(_turn) = turn(&["promtool"]) else { return };
    let namespace = Namespace::new();
    let mut agent = Agent::start();
    for _ in 0..2 {
        let scrape = agent.get("/metrics", "text/plain");
        assert!(scrape.header("content-type").starts_with("text/plain"), "{}", scrape.header("content-type"));
        assert_eq!(promtool_check(&scrape.text()), (Some(0), String::new()));
        // Once more with figures in every series that a load moves.
        Load { connections: 50, lanes: 1, family: Family::Ipv4, ending: Ending::Client, exchanges: 1 }
            .run(&namespace);
    }
    assert!(agent.get("/metrics", "application/openmetrics-text;version=1.0.0").text().ends_with("# EOF\n"));
    assert!(agent.get("/", "text/html").text().contains("/metrics"));
    agent.get("/healthz", "*/*");
}
