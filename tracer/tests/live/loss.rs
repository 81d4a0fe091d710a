//! What the agent could not see: it says so, accuses nobody, and its books are right again afterwards.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    agent::Agent,
    books::{self, Moment},
    load::{Ending, Family, Held, Load},
    namespace::Namespace,
    turn,
    wait::until,
};

#[test]
fn after_a_loss_the_books_are_right_again_and_nobody_was_accused() {
    const HELD: usize = 50;
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    let gone = Held::open(&namespace, Family::Ipv4, HELD);
    let left = Held::open(&namespace, Family::Ipv6, HELD);
    let mut agent = Agent::start_with(&["--ring-bytes", "65536"]);
    let start = Moment::quiet(&mut agent);
    let pid = Pid::from_raw(i32::try_from(agent.pid()).unwrap()).unwrap();

    // While it sleeps, sockets are born and die, far more than the ring holds.
    kill_process(pid, Signal::STOP).unwrap();
    let load =
        Load { connections: 2_000, lanes: 1, family: Family::Ipv4, ending: Ending::Client, exchanges: 1 };
    load.run(&namespace);
    drop(gone);
    kill_process(pid, Signal::CONT).unwrap();

    until(Duration::from_secs(10), || match agent.log().contains("had ended unseen") {
        true => Ok(()),
        false => Err(format!("no listing after the loss:\n{}", agent.log())),
    });
    // So small a ring may overflow once more; the next listing comes ten seconds after the first one.
    until(Duration::from_secs(30), || books::agree_by_state(&mut agent));
    let end = Moment::quiet(&mut agent);
    let change = end.since(&start);
    assert!(change.ours("tcptracer_events_total", &[("outcome", "ring_full")]) > 10_000);
    assert_eq!(change.verdicts("violation"), 0);

    // Whoever lives on is known again: one uncertain step each, and then certainty.
    drop(left);
    until(Duration::from_secs(10), || books::agree_by_state(&mut agent));
    assert_eq!(Moment::quiet(&mut agent).since(&start).verdicts("violation"), 0);
}
