//! Which findings a user wants to see: parsed once from the command line, then asked of every finding.

mod sockets;
mod value;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use model::{Verdict, linux::LinuxState};

pub use self::{
    sockets::{SocketArgs, Sockets},
    value::{CommandName, Invalid, Network, PortRange, States},
};
use crate::{
    event::{Task, What},
    kernel::netns::FindError,
    step::{Finding, Step, StepKind},
};

/// Filters as typed. Different filters must all fit; of several values for one filter, one must.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    #[command(flatten)]
    sockets: SocketArgs,
    /// State that is left or entered, as the metrics, ss or RFC 9293 spell it: time_wait, fin-wait-1, SYN-RECEIVED
    #[arg(long = "state", value_name = "STATES", value_delimiter = ',')]
    states: Vec<States>,
    /// Process that acted on the socket or owns it, as far as one is known
    #[arg(long = "pid", value_name = "PID", value_delimiter = ',')]
    pids: Vec<u32>,
    /// Command name of that process; the kernel keeps 15 bytes of it
    #[arg(long = "comm", value_name = "NAME")]
    commands: Vec<CommandName>,
    /// What the model says of the transition
    #[arg(long = "verdict", value_name = "VERDICT", value_delimiter = ',', value_parser = verdicts())]
    verdicts: Vec<&'static str>,
}

fn verdicts() -> impl TypedValueParser<Value = &'static str> {
    PossibleValuesParser::new(Verdict::CLASSES)
        .try_map(|typed| Verdict::CLASSES.into_iter().find(|class| *class == typed).ok_or("no verdict"))
}

/// A filter ready for use.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    wanted: FilterArgs,
    sockets: Sockets,
}

impl Filter {
    /// Looks up what only the running kernel knows: the namespaces.
    ///
    /// # Errors
    ///
    /// [`FindError`] when a namespace does not exist, or the agent may not ask for its cookie.
    pub fn new(wanted: FilterArgs) -> Result<Self, FindError> {
        let sockets = Sockets::new(wanted.sockets.clone())?;
        Ok(Self { wanted, sockets })
    }

    /// True when the user wants to see it.
    #[must_use]
    pub fn matches(&self, finding: &Finding<'_>) -> bool {
        let FilterArgs { sockets: _, states, pids, commands, verdicts } = &self.wanted;
        let step = finding.step;
        let tasks = [step.event.task, step.connection.and_then(|connection| connection.owner)];
        let task = |is: &dyn Fn(&Task) -> bool| tasks.iter().flatten().any(is);
        self.sockets.match_socket(&step.event.socket, &step.flow())
            && any(pids, |pid| task(&|task| task.pid == *pid))
            && any(commands, |name| task(&|task| name.is(task)))
            && any(states, |states| states_of(step).into_iter().flatten().any(|state| states.contains(state)))
            && any(verdicts, |class| {
                finding.judgement.as_ref().is_some_and(|judgement| judgement.verdict.class() == *class)
            })
    }
}

/// No value typed: everything fits.
fn any<T>(wanted: &[T], fits: impl FnMut(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(fits)
}

/// The states that a step is about.
fn states_of(step: &Step<'_>) -> [Option<LinuxState>; 2] {
    match step.kind {
        StepKind::Transition { transition, .. } => [Some(transition.from), Some(transition.to)],
        StepKind::TimewaitBegun { substate, .. } | StepKind::TimewaitEnded { substate, .. } => {
            [Some(substate), None]
        }
        StepKind::TimewaitConverted => [Some(LinuxState::FinWait2), Some(LinuxState::TimeWait)],
        StepKind::TimewaitRestarted | StepKind::TimewaitSkipped => [Some(LinuxState::TimeWait), None],
        StepKind::RequestBegun | StepKind::RequestEnded { .. } | StepKind::SynAckRetransmit => {
            [Some(LinuxState::NewSynRecv), None]
        }
        StepKind::SynRetransmit => [Some(LinuxState::SynSent), None],
        StepKind::Handshake { .. } | StepKind::Reset { .. } | StepKind::Destroyed | StepKind::Duplicate => {
            match step.event.what {
                What::Transition { transition, .. } => [Some(transition.from), Some(transition.to)],
                What::Destroyed { state } | What::ResetReceived { state } => [Some(state), None],
                What::Timewait { substate, .. } => [Some(substate), None],
                What::Request { .. } => [Some(LinuxState::NewSynRecv), None],
                _ => [None, None],
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use model::{Inconclusive, Verdict, linux::Code};

    use super::{Filter, FilterArgs};
    use crate::{fixture::Seen, step::StepKind};

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        filter: FilterArgs,
    }

    /// Does `typed` let `seen` pass?
    fn shows(typed: &str, seen: &Seen) -> bool {
        let cli = Cli::try_parse_from(std::iter::once("test").chain(typed.split_ascii_whitespace())).unwrap();
        let filter = Filter::new(cli.filter).unwrap();
        seen.with_finding(|finding| filter.matches(finding))
    }

    fn refusal(typed: &str) -> String {
        Cli::try_parse_from(std::iter::once("test").chain(typed.split_ascii_whitespace()))
            .unwrap_err()
            .to_string()
            .lines()
            .next()
            .unwrap()
            .to_owned()
    }

    fn web() -> Seen {
        Seen::transition("10.1.2.3:8080", "10.9.9.9:51000", "established", "close_wait")
    }

    #[test]
    fn without_a_filter_everything_passes() {
        assert!(shows("", &web()));
    }

    #[test]
    fn a_port_is_looked_for_at_both_ends() {
        assert!(shows("--port 8080", &web()));
        assert!(shows("--port 51000", &web()));
        assert!(shows("--port 80,8000-8100", &web()));
        assert!(shows("--port 80 --port 8080", &web()));
        assert!(!shows("--port 80,8081-51000,8000-8079 --local-port 1", &web()));
        assert!(!shows("--port 8079", &web()));
    }

    #[test]
    fn an_end_can_be_named() {
        assert!(shows("--local-port 8080", &web()) && !shows("--remote-port 8080", &web()));
        assert!(shows("--remote-port 51000 --local-port 8080", &web()));
        assert!(!shows("--remote-port 51000 --local-port 8081", &web()));
    }

    #[test]
    fn an_address_or_a_network() {
        assert!(shows("--address 10.9.9.9", &web()));
        assert!(shows("--address 10.1.0.0/16", &web()));
        assert!(shows("--address 0.0.0.0/0", &web()));
        assert!(!shows("--address 10.2.0.0/16", &web()));
        assert!(!shows("--address ::/0", &web()), "an IPv4 address is in no IPv6 network");
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address_in_it() {
        let mapped =
            Seen::transition("[::ffff:10.1.2.3]:8080", "[::ffff:10.9.9.9]:51000", "listen", "syn_recv");
        assert!(shows("--address 10.9.9.9", &mapped));
        assert!(shows("--address ::ffff:10.9.9.9", &mapped));
        assert!(shows("--address ::ffff:10.9.9.9", &web()));
        assert!(shows("--address ::ffff:10.0.0.0/104", &web()));
        assert!(shows("--family ipv6", &mapped) && !shows("--family ipv4", &mapped));
    }

    #[test]
    fn a_state_is_left_or_entered_however_it_is_spelled() {
        for spelled in ["close_wait", "close-wait", "CLOSE-WAIT", "CloseWait", "TCP_CLOSE_WAIT", "estab"] {
            assert!(shows(&format!("--state {spelled}"), &web()), "{spelled}");
        }
        assert!(shows("--state time_wait,established", &web()));
        assert!(!shows("--state time_wait,closed", &web()));
    }

    #[test]
    fn syn_received_is_a_request_or_a_child() {
        let child = Seen::transition("10.1.2.3:8080", "10.9.9.9:51000", "listen", "syn_recv");
        assert!(shows("--state SYN-RECEIVED", &child) && shows("--state syn-recv", &child));
        assert!(!shows("--state new_syn_recv", &child));
    }

    #[test]
    fn a_process_by_number_or_name() {
        let curl = web().task(42, "curl");
        assert!(shows("--pid 42", &curl) && shows("--pid 1,42", &curl) && !shows("--pid 43", &curl));
        assert!(shows("--comm curl", &curl) && !shows("--comm cur", &curl));
        assert!(!shows("--pid 42", &web()), "softirq is nobody's");
        let long = web().task(42, "a-rather-long-n");
        assert!(shows("--comm a-rather-long-name", &long), "the kernel keeps 15 bytes");
    }

    #[test]
    fn a_reset_of_no_socket_has_no_family() {
        let mut reset = web().into_step(StepKind::Reset { sent: true });
        reset.event.socket.address = 0;
        assert!(shows("", &reset));
        assert!(!shows("--family ipv4", &reset) && !shows("--family ipv6", &reset));
    }

    #[test]
    fn a_verdict() {
        let fine = web().verdict(Verdict::Conforming(Code::R3));
        let unknown = web().verdict(Verdict::Inconclusive(Inconclusive::Adopted));
        assert!(shows("--verdict conforming", &fine) && !shows("--verdict conforming", &unknown));
        assert!(shows("--verdict violation,inconclusive", &unknown));
        assert!(!shows("--verdict conforming", &web()), "not judged");
    }

    #[test]
    fn the_namespace_of_the_test_itself() {
        let own = crate::kernel::netns::find("/proc/self/ns/net").unwrap();
        let here = web().netns(own.identity().unwrap());
        assert!(shows("--netns /proc/self/ns/net", &here));
        assert!(shows(&format!("--netns {}", own.inode), &here));
        assert!(!shows("--netns /proc/self/ns/net", &web().netns(u64::MAX)));
    }

    #[test]
    fn a_namespace_that_is_not_there() {
        let cli = Cli::try_parse_from(["test", "--netns", "no-such-namespace"]).unwrap();
        let message = Filter::new(cli.filter).unwrap_err().to_string();
        assert!(message.contains("no-such-namespace") && message.contains("/run/netns"), "{message}");
    }

    #[test]
    fn what_is_no_filter_is_refused_with_what_would_be() {
        for (typed, expected) in [
            (
                "--port 70000",
                "error: invalid value '70000' for '--port <PORTS>': a port is a number up to 65535",
            ),
            (
                "--port http",
                "error: invalid value 'http' for '--port <PORTS>': a port is a number up to 65535",
            ),
            (
                "--port 90-80",
                "error: invalid value '90-80' for '--port <PORTS>': the range ends before it begins",
            ),
            (
                "--address example.org",
                "error: invalid value 'example.org' for '--address <IP[/BITS]>': expected",
            ),
            (
                "--address 10.0.0.0/33",
                "error: invalid value '10.0.0.0/33' for '--address <IP[/BITS]>': a network",
            ),
            (
                "--address fe80::/129",
                "error: invalid value 'fe80::/129' for '--address <IP[/BITS]>': a network",
            ),
            ("--state waiting", "error: invalid value 'waiting' for '--state <STATES>': the states are"),
            ("--family v4", "error: invalid value 'v4' for '--family <FAMILY>'"),
            ("--pid -1", "error: unexpected argument '-1' found"),
            ("--verdict good", "error: invalid value 'good' for '--verdict <VERDICT>'"),
        ] {
            let refusal = refusal(typed);
            assert!(refusal.starts_with(expected), "{typed}: {refusal}");
        }
    }
}
