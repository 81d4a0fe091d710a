//! The page at `/`: what this is, and where to go on.

use std::fmt::{self, Write};

use super::{Health, TelemetryPath};
use crate::sink::metrics::{REVISION, VERSION, running_kernel};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;\
                     color:#222;background:#fff}h1{font-size:1.6rem;margin-bottom:.2rem}\
                     table{border-collapse:collapse;margin-top:.5rem}th,td{text-align:left;\
                     padding:.25rem .9rem .25rem 0;border-bottom:1px solid #ddd;vertical-align:top}\
                     code{font-size:.95em}.no{color:#a40000}\
                     @media(prefers-color-scheme:dark){body{color:#ddd;background:#1b1b1b}a{color:#8ab4f8}\
                     th,td{border-color:#444}.no{color:#ff8a80}}";

/// The whole page; it refers to nothing outside of it.
pub(super) fn page(metrics: &TelemetryPath, health: &Health) -> String {
    let (release, machine) = running_kernel();
    let state = match health.check() {
        Ok(()) => "It is healthy.".to_owned(),
        Err(sick) => {
            format!("<strong class=\"no\">It is not healthy: {}.</strong>", Escaped(&sick.to_string()))
        }
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>tcp-tracer</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>tcp-tracer</h1>\n\
         <p>Follows every TCP state transition of this host's kernel, checks each one against RFC 9293, and counts.</p>\n\
         <p>Version {} (revision {}) on Linux {} ({}). {state}</p>\n\
         <ul>\n<li><a href=\"{metrics}\">{metrics}</a>: metrics for Prometheus</li>\n\
         <li><a href=\"/healthz\">/healthz</a>: 200 while the agent does its work</li>\n\
         <li><a href=\"/violations\">/violations</a>: the last violations of the RFC, as JSON</li>\n</ul>\n\
         <h2>Hooks</h2>\n{}</body>\n</html>\n",
        Escaped(VERSION),
        Escaped(REVISION),
        Escaped(&release),
        Escaped(&machine),
        hooks(health),
    )
}

fn hooks(health: &Health) -> String {
    let mut table =
        String::from("<table>\n<tr><th>Hook</th><th>Kind</th><th>Attached</th><th>Remark</th></tr>\n");
    for status in health.hook_table() {
        let attached = match status.copies {
            0 => "<span class=\"no\">no</span>".to_owned(),
            1 => "yes".to_owned(),
            copies => format!("yes, {copies} copies"),
        };
        // Writing into a string cannot fail.
        let _ = writeln!(
            table,
            "<tr><td><code>{}</code></td><td>{}</td><td>{attached}</td><td>{}</td></tr>",
            status.hook.name(),
            status.kind.name(),
            Escaped(status.problem.as_deref().unwrap_or_default()),
        );
    }
    table.push_str("</table>\n");
    table
}

/// Text in HTML.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '&' => f.write_str("&amp;"),
            '"' => f.write_str("&quot;"),
            other => f.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use tracer_ebpf::Hook;

    use super::page;
    use crate::{
        kernel::load::{HookStatus, Kind},
        web::{Health, TelemetryPath},
    };

    #[test]
    fn the_page_shows_each_hook_and_escapes_what_the_kernel_said() {
        let health = Health::default();
        health.hooks(&[
            HookStatus { hook: Hook::State, kind: Kind::TpBtf, copies: 2, problem: None },
            HookStatus {
                hook: Hook::SendReset,
                kind: Kind::TpBtf,
                copies: 0,
                problem: Some("no <tracepoint> & no \"hope\"".into()),
            },
        ]);
        health.beat();
        let html = page(&TelemetryPath::default(), &health);
        assert!(
            html.contains("<code>inet_sock_set_state</code></td><td>tp_btf</td><td>yes, 2 copies</td>"),
            "{html}"
        );
        assert!(html.contains("no &lt;tracepoint&gt; &amp; no &quot;hope&quot;"), "{html}");
        assert!(
            html.contains("<a href=\"/metrics\">/metrics</a>") && html.contains("It is healthy."),
            "{html}"
        );
        health.hooks(&[]);
        assert!(
            page(&TelemetryPath::default(), &health)
                .contains("It is not healthy: the hook inet_sock_set_state")
        );
    }
}
