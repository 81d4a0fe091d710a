//! The lives of timewait minisockets, from the timer's events alone.

use model::linux::{LinuxState::*, ResetReason};
use tracer::{
    event::{Family, TimerAction},
    step::{StepKind, TimewaitEnd, TimewaitPath},
    tracker::Hooks,
};
use tracer_ebpf::{Caller, Hook};

use crate::{
    host::{Host, MICROSECOND, MILLISECOND, Minisocket, SECOND, Socket},
    watch::{Told, Watch},
};

fn established(host: &mut Host) -> Socket {
    let mut client = host.client(Family::Ipv4, 40_000, 80);
    host.established(&mut client);
    host.wait(MILLISECOND);
    client
}

fn in_time_wait(host: &mut Host) -> (Socket, Minisocket) {
    let mut client = established(host);
    host.shutdown(&mut client);
    host.fin_acknowledged(&mut client);
    host.wait(MILLISECOND);
    host.fin_received(&mut client);
    let timewait = host.time_wait(&mut client, TimeWait);
    (client, timewait)
}

fn path(watch: &Watch) -> Option<TimewaitPath> {
    watch
        .told
        .iter()
        .find_map(|told| match told.kind {
            StepKind::TimewaitBegun { path, .. } => Some(path),
            _ => None,
        })
        .expect("a minisocket")
}

#[test]
fn time_wait_runs_out() {
    let mut host = Host::new();
    let (_, timewait) = in_time_wait(&mut host);
    let born = timewait.born + MICROSECOND;
    host.wait(60 * SECOND);
    host.expire(&timewait);
    let watch = Watch::of(&host.events);
    assert_eq!(path(&watch), Some(TimewaitPath::FinWait2));
    assert_eq!(watch.ends(), [(TimeWait, TimewaitEnd::Expired, Some(host.now - born))]);
    assert_eq!(watch.told.last().unwrap().verdict.unwrap().name(), "time-wait-60s");
    watch.books_balance();
}

#[test]
fn a_minute_that_is_too_short_is_a_violation() {
    let mut host = Host::new();
    let (_, timewait) = in_time_wait(&mut host);
    host.wait(30 * SECOND);
    host.expire(&timewait);
    assert_eq!(Watch::of(&host.events).violations().len(), 1);
}

#[test]
fn fin_and_acknowledgment_in_one_segment_come_from_fin_wait_1() {
    for orphan in [true, false] {
        let mut host = Host::new();
        let mut client = established(&mut host);
        if orphan {
            host.close(&mut client);
        } else {
            host.shutdown(&mut client);
        }
        host.fin_acknowledged(&mut client);
        host.fin_received(&mut client);
        host.time_wait(&mut client, TimeWait);
        assert_eq!(path(&Watch::of(&host.events)), Some(TimewaitPath::FinWait1), "orphan: {orphan}");
    }
}

#[test]
fn both_closing_at_once_come_from_closing() {
    let mut host = Host::new();
    let mut client = established(&mut host);
    host.close(&mut client);
    host.fin_received(&mut client);
    client.evidence.una = client.evidence.write_seq;
    host.time_wait(&mut client, TimeWait);
    assert_eq!(path(&Watch::of(&host.events)), Some(TimewaitPath::Closing));
}

#[test]
fn an_orphan_waits_for_a_fin_that_comes() {
    let mut host = Host::new();
    let mut client = established(&mut host);
    host.close(&mut client);
    host.fin_acknowledged(&mut client);
    let mut timewait = host.time_wait(&mut client, FinWait2);
    let mut watch = Watch::of(&host.events);
    assert_eq!((watch.fin_wait2_minisockets(), watch.sockets(TimeWait)), (1, 0));
    // The FIN restarts the timer, which shows when the new deadline lies in another bucket of the wheel.
    host.events.clear();
    host.wait(10 * SECOND);
    timewait.substate = TimeWait;
    host.timewait_timer(&timewait, TimerAction::Cancelled);
    host.timewait_timer(&timewait, TimerAction::Started);
    watch.see(&host.events);
    assert_eq!((watch.fin_wait2_minisockets(), watch.sockets(TimeWait)), (0, 1));
    assert_eq!(watch.count(|kind| *kind == StepKind::TimewaitConverted), 1);
    assert_eq!(watch.count(|kind| *kind == StepKind::TimewaitRestarted), 0, "2 MSL start for the first time");
    host.events.clear();
    host.wait(60 * SECOND);
    host.expire(&timewait);
    watch.see(&host.events);
    assert_eq!(watch.ends().len(), 1);
    assert_eq!(watch.ends()[0].0, TimeWait);
    watch.books_balance();
}

#[test]
fn the_fin_that_moved_no_timer_is_noticed_at_the_end() {
    let mut host = Host::new();
    let mut client = established(&mut host);
    host.close(&mut client);
    host.fin_acknowledged(&mut client);
    let mut timewait = host.time_wait(&mut client, FinWait2);
    host.wait(60 * SECOND);
    timewait.substate = TimeWait;
    host.expire(&timewait);
    let watch = Watch::of(&host.events);
    let kinds: Vec<_> = watch.told.iter().rev().take(2).map(|told| told.kind).collect();
    assert!(matches!(
        kinds[0],
        StepKind::TimewaitEnded { substate: TimeWait, cause: TimewaitEnd::Expired, .. }
    ));
    assert_eq!(kinds[1], StepKind::TimewaitConverted);
    watch.books_balance();
}

#[test]
fn a_listing_notices_that_fin_earlier() {
    let mut host = Host::new();
    let mut client = established(&mut host);
    host.close(&mut client);
    host.fin_acknowledged(&mut client);
    let timewait = host.time_wait(&mut client, FinWait2);
    host.wait(SECOND);
    host.exists(timewait.id, timewait.flow, TimeWait, true);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.told.last().unwrap().kind, StepKind::TimewaitConverted);
    assert_eq!((watch.fin_wait2_minisockets(), watch.sockets(TimeWait)), (0, 1));
    watch.books_balance();
}

/// An orphan in FIN_WAIT2.
fn orphan(host: &mut Host) -> Minisocket {
    let mut client = established(host);
    host.close(&mut client);
    host.fin_acknowledged(&mut client);
    host.time_wait(&mut client, FinWait2)
}

#[test]
fn a_sweep_finds_the_fin_that_moved_no_timer() {
    let mut host = Host::new();
    let mut timewait = orphan(&mut host);
    host.wait(SECOND);
    host.swept(&timewait, host.now);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.told.last().unwrap().kind, StepKind::TimewaitConverted);
    assert_eq!((watch.fin_wait2_minisockets(), watch.sockets(TimeWait)), (0, 1));
    watch.books_balance();

    // Another FIN later moves the timer, and the end comes once.
    timewait.substate = TimeWait;
    host.wait(5 * SECOND);
    host.timewait_timer(&timewait, TimerAction::Cancelled);
    host.timewait_timer(&timewait, TimerAction::Started);
    host.wait(60 * SECOND);
    host.expire(&timewait);
    let watch = Watch::of(&host.events);
    let told = |kind| watch.told.iter().filter(|told| told.kind == kind).count();
    assert_eq!((told(StepKind::TimewaitConverted), told(StepKind::TimewaitRestarted)), (1, 1));
    assert_eq!(watch.ends().len(), 1);
}

#[test]
fn a_sweep_that_comes_late_changes_nothing() {
    // After the timer has told.
    let mut host = Host::new();
    let mut timewait = orphan(&mut host);
    host.wait(SECOND);
    let swept_at = host.now;
    timewait.substate = TimeWait;
    host.timewait_timer(&timewait, TimerAction::Cancelled);
    host.timewait_timer(&timewait, TimerAction::Started);
    host.swept(&timewait, swept_at);
    let watch = Watch::of(&host.events);
    let converted = watch.told.iter().filter(|told| told.kind == StepKind::TimewaitConverted).count();
    assert_eq!((converted, watch.sockets(TimeWait)), (1, 1));

    // After the end.
    let swept_at = host.now;
    host.wait(60 * SECOND);
    host.expire(&timewait);
    host.swept(&timewait, swept_at);
    let watch = Watch::of(&host.events);
    assert_eq!((watch.fin_wait2_minisockets(), watch.sockets(TimeWait)), (0, 0));
    assert_eq!(watch.ends().len(), 1);
    watch.books_balance();
}

#[test]
fn a_sweep_of_one_says_nothing_of_the_next_in_the_same_memory() {
    let mut host = Host::new();
    let first = orphan(&mut host);
    let swept_at = host.now;
    host.expire(&first);
    let mut second = orphan(&mut host);
    second.id.address = first.id.address;
    if let Some(born) = host.events.iter_mut().rfind(|event| event.hook == Hook::TimerStart) {
        born.socket = second.id;
    }
    host.swept(&first, swept_at);
    // Without cookies, only the time tells.
    host.swept(&second, swept_at);
    let watch = Watch::of(&host.events);
    assert_eq!((watch.fin_wait2_minisockets(), watch.sockets(TimeWait)), (1, 0));
}

#[test]
fn a_sweep_does_not_come_between_the_end_of_a_timer_and_what_it_means() {
    let mut host = Host::new();
    let (_, timewait) = in_time_wait(&mut host);
    let other = orphan(&mut host);
    host.wait(60 * SECOND);
    host.timewait_timer(&timewait, TimerAction::Cancelled);
    host.swept(&other, host.now);
    host.timewait_timer(&timewait, TimerAction::Expired);
    assert_eq!(Watch::of(&host.events).ends()[0].1, TimewaitEnd::Expired);
}

#[test]
fn an_orphan_whose_peer_never_closes_was_never_in_time_wait() {
    let mut host = Host::new();
    let mut client = established(&mut host);
    host.close(&mut client);
    host.fin_acknowledged(&mut client);
    let timewait = host.time_wait(&mut client, FinWait2);
    host.wait(2 * SECOND);
    host.expire(&timewait);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.ends()[0].0, FinWait2);
    assert_eq!(watch.ends()[0].1, TimewaitEnd::Expired);
    watch.books_balance();
}

#[test]
fn a_retransmitted_fin_starts_two_msl_over() {
    let mut host = Host::new();
    let (_, timewait) = in_time_wait(&mut host);
    host.wait(3 * SECOND);
    host.timewait_timer(&timewait, TimerAction::Cancelled);
    host.timewait_timer(&timewait, TimerAction::Started);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.count(|kind| *kind == StepKind::TimewaitRestarted), 1);
    assert_eq!(watch.ends(), []);
    assert_eq!(watch.sockets(TimeWait), 1);
}

#[test]
fn an_early_end_has_no_known_cause() {
    let mut host = Host::new();
    let (_, timewait) = in_time_wait(&mut host);
    host.wait(SECOND);
    host.timewait_timer(&timewait, TimerAction::Cancelled);
    let ended = host.now;
    let mut watch = Watch::of(&host.events);
    watch.flush(ended + MILLISECOND);
    assert_eq!(watch.ends(), [], "its expiry may still be on the way");
    watch.flush(ended + 10 * MILLISECOND);
    let lived = ended - timewait.born - MICROSECOND;
    assert_eq!(watch.ends(), [(TimeWait, TimewaitEnd::Unknown, Some(lived))]);
    watch.books_balance();
}

#[test]
fn who_stopped_the_timer_says_why_it_ended() {
    for (caller, cause, verdict) in [
        (Caller::TimewaitSegment, TimewaitEnd::Reset, "T1"),
        (Caller::Receive, TimewaitEnd::ReusedBySyn, "T2"),
        (Caller::Connect, TimewaitEnd::ReusedByConnect, "time-wait-reuse"),
        (Caller::Abort, TimewaitEnd::Destroyed, "T1"),
        (Caller::Purge, TimewaitEnd::Purged, "time-wait-purged"),
    ] {
        let mut host = Host::new();
        let (_, timewait) = in_time_wait(&mut host);
        host.wait(SECOND);
        host.timewait_stopped_by(&timewait, TimerAction::Cancelled, caller);
        host.client(Family::Ipv4, 50_000, 443);
        let watch = Watch::of(&host.events);
        assert_eq!(watch.ends()[0].1, cause);
        let ended = |told: &&Told| matches!(told.kind, StepKind::TimewaitEnded { .. });
        let told = watch.told.iter().find(ended).unwrap();
        assert_eq!(told.verdict.unwrap().name(), verdict, "{caller:?}");
        watch.books_balance();
    }
}

#[test]
fn a_segment_that_starts_two_msl_over_stops_the_timer_in_the_same_name() {
    let mut host = Host::new();
    let (_, timewait) = in_time_wait(&mut host);
    host.wait(3 * SECOND);
    host.timewait_stopped_by(&timewait, TimerAction::Cancelled, Caller::TimewaitSegment);
    host.timewait_timer(&timewait, TimerAction::Started);
    let watch = Watch::of(&host.events);
    assert_eq!((watch.ends().len(), watch.sockets(TimeWait)), (0, 1));
}

#[test]
fn what_comes_for_an_orphan_that_nobody_reads_is_answered_by_a_reset() {
    let mut host = Host::new();
    let timewait = orphan(&mut host);
    host.wait(SECOND);
    host.timewait_stopped_by(&timewait, TimerAction::Cancelled, Caller::Receive);
    host.client(Family::Ipv4, 50_000, 443);
    let watch = Watch::of(&host.events);
    assert_eq!((watch.ends()[0].0, watch.ends()[0].1), (FinWait2, TimewaitEnd::Reset));
    assert!(watch.inconclusive().is_empty());
}

/// An orphan goes from FIN_WAIT2 to CLOSE, and no minisocket takes its place.
fn orphan_without_a_minisocket(host: &mut Host) -> Socket {
    let mut client = established(host);
    host.close(&mut client);
    host.fin_acknowledged(&mut client);
    host.goes(&mut client, Close);
    host.destroy(&client);
    client
}

#[test]
fn no_room_for_an_orphans_minisocket_shows_when_no_reset_follows() {
    let mut host = Host::new();
    let gone = orphan_without_a_minisocket(&mut host);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.lines(gone.id.cookie).len(), 4, "its last step waits for what comes next");
    host.client(Family::Ipv4, 50_000, 443);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.inconclusive(), []);
    assert_eq!(watch.count(|kind| *kind == StepKind::TimewaitSkipped), 1);
    assert_eq!(watch.lines(gone.id.cookie).len(), 5);
    // Or nothing comes.
    host.events.pop();
    let mut watch = Watch::of(&host.events);
    watch.flush(host.now + 10 * MILLISECOND);
    assert_eq!(watch.count(|kind| *kind == StepKind::TimewaitSkipped), 1);
}

#[test]
fn late_data_for_an_orphan_is_told_by_the_reset_that_follows() {
    for reason in [ResetReason::AbortOnData, ResetReason::Unknown] {
        let mut host = Host::new();
        let gone = orphan_without_a_minisocket(&mut host);
        host.reset_sent(&gone, reason);
        let watch = Watch::of(&host.events);
        assert_eq!(watch.inconclusive(), []);
        assert_eq!(watch.count(|kind| *kind == StepKind::TimewaitSkipped), 0, "{reason:?}");
        assert_eq!(watch.lines(gone.id.cookie).len(), 5);
    }
}

#[test]
fn where_resets_were_lost_nothing_is_concluded_from_none() {
    let mut host = Host::new();
    let gone = orphan_without_a_minisocket(&mut host);
    let mut watch = Watch::of(&host.events);
    watch.tracker.lost(Hook::SendReset, host.now + SECOND);
    watch.flush(host.now + 10 * MILLISECOND);
    assert_eq!(watch.count(|kind| *kind == StepKind::TimewaitSkipped), 0);
    assert_eq!(watch.inconclusive().len(), 1);
    assert_eq!(watch.lines(gone.id.cookie).len(), 5);
}

#[test]
fn a_reader_that_is_late_draws_no_early_conclusion() {
    let mut host = Host::new();
    let (_, timewait) = in_time_wait(&mut host);
    host.wait(60 * SECOND);
    host.expire(&timewait);
    let expired = host.events.pop().unwrap();
    let mut watch = Watch::of(&host.events);
    // The batch ends between the two records, seconds after they were made.
    watch.tracker.flush(host.now + 5 * SECOND, &mut |step| panic!("{step:?}"));
    watch.see(&[expired]);
    assert_eq!(watch.ends()[0].1, TimewaitEnd::Expired);
    watch.books_balance();
}

#[test]
fn another_cpu_does_not_end_it() {
    let mut host = Host::new();
    let (_, timewait) = in_time_wait(&mut host);
    host.wait(60 * SECOND);
    host.timewait_timer(&timewait, TimerAction::Cancelled);
    host.cpu = 1;
    host.client(Family::Ipv4, 40_001, 80);
    host.cpu = 0;
    host.timewait_timer(&timewait, TimerAction::Expired);
    assert_eq!(Watch::of(&host.events).ends()[0].1, TimewaitEnd::Expired);
}

/// A minisocket is taken by our own connect, and its memory is the next minisocket's, whose timer starts on `cpu`
/// before anything else happens where the first one ended.
fn memory_used_again(cpu: u16) {
    let mut host = Host::new();
    let (_, first) = in_time_wait(&mut host);
    let mut other = host.client(Family::Ipv4, 40_001, 80);
    host.established(&mut other);
    host.close(&mut other);
    host.fin_acknowledged(&mut other);
    host.wait(2 * SECOND);
    host.client(Family::Ipv4, 40_000, 80);
    host.timewait_timer(&first, TimerAction::Cancelled);
    host.cpu = cpu;
    let mut second = host.minisocket(&other, TimeWait);
    second.id.address = first.id.address;
    host.timewait_timer(&second, TimerAction::Started);
    host.goes(&mut other, Close);
    host.cpu = 0;
    host.client(Family::Ipv4, 40_002, 443);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.ends().iter().map(|end| end.1).collect::<Vec<_>>(), [TimewaitEnd::ReusedByConnect]);
    assert_eq!(watch.sockets(TimeWait), 1, "the second one lives");
    watch.books_balance();
}

#[test]
fn the_end_of_one_is_not_the_end_of_the_next_in_the_same_memory() {
    memory_used_again(0);
    memory_used_again(1);
}

#[test]
fn our_own_connect_takes_the_ends() {
    let mut host = Host::new();
    let (_, timewait) = in_time_wait(&mut host);
    host.wait(2 * SECOND);
    let mut next = host.client(Family::Ipv4, 40_000, 80);
    host.timewait_timer(&timewait, TimerAction::Cancelled);
    host.established(&mut next);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.ends()[0].1, TimewaitEnd::ReusedByConnect);
    watch.books_balance();
    // A connect to somebody else does not.
    let mut host = Host::new();
    let (_, timewait) = in_time_wait(&mut host);
    host.client(Family::Ipv4, 40_000, 443);
    host.timewait_timer(&timewait, TimerAction::Cancelled);
    host.client(Family::Ipv4, 40_001, 443);
    assert_eq!(Watch::of(&host.events).ends()[0].1, TimewaitEnd::Unknown);
}

#[test]
fn the_peers_syn_takes_the_ends() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let request = host.request(&listener, 40_000);
    let mut server = host.accept(&listener, &request);
    host.shutdown(&mut server);
    host.fin_acknowledged(&mut server);
    host.fin_received(&mut server);
    let timewait = host.time_wait(&mut server, TimeWait);
    host.wait(2 * SECOND);
    host.timewait_timer(&timewait, TimerAction::Cancelled);
    host.request(&listener, 40_000);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.ends()[0].1, TimewaitEnd::ReusedBySyn);
    assert_eq!(watch.sockets(NewSynRecv), 1);
    watch.books_balance();
}

#[test]
fn an_address_is_used_again_after_a_lost_end() {
    let mut host = Host::new();
    let (_, first) = in_time_wait(&mut host);
    let (mut client, _) = in_time_wait(&mut host);
    client.id.cookie += 50;
    let mut second = host.minisocket(&client, TimeWait);
    second.id.address = first.id.address;
    host.timewait_timer(&second, TimerAction::Started);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.ends().len(), 1);
    assert_eq!(watch.ends()[0].1, TimewaitEnd::Unknown);
    assert_eq!(watch.sockets(TimeWait), 2);
    watch.books_balance();
}

#[test]
fn what_ends_has_begun_even_if_nobody_saw_it() {
    let mut host = Host::new();
    let (_, timewait) = in_time_wait(&mut host);
    host.events.clear();
    host.wait(60 * SECOND);
    host.expire(&timewait);
    let watch = Watch::of(&host.events);
    assert_eq!(path(&watch), None);
    assert_eq!(watch.ends(), [(TimeWait, TimewaitEnd::Expired, None)]);
    watch.books_balance();
}

#[test]
fn a_listed_minisocket_ends_without_a_duration() {
    let mut host = Host::new();
    let (_, timewait) = in_time_wait(&mut host);
    host.events.clear();
    host.exists(timewait.id, timewait.flow, TimeWait, true);
    let listing = host.events.pop().unwrap();
    host.expire(&timewait);
    let mut watch = Watch::new();
    watch.adopt(&[listing]);
    assert_eq!(watch.sockets(TimeWait), 1);
    watch.see(&host.events);
    assert_eq!(watch.ends(), [(TimeWait, TimewaitEnd::Expired, None)]);
    assert!(watch.tracker.is_empty());
}

#[test]
fn a_listing_that_overtakes_the_birth_does_not_count_it_twice() {
    let mut host = Host::new();
    let (_, timewait) = in_time_wait(&mut host);
    host.wait(SECOND);
    let stream = std::mem::take(&mut host.events);
    host.exists(timewait.id, timewait.flow, TimeWait, true);
    let mut watch = Watch::new();
    watch.adopt(&host.events).see(&stream);
    assert_eq!(watch.sockets(TimeWait), 1);
    assert_eq!(watch.count(|kind| matches!(kind, StepKind::TimewaitBegun { .. })), 1);
    host.events.clear();
    host.wait(60 * SECOND);
    host.expire(&timewait);
    watch.see(&host.events);
    assert!(watch.ends()[0].2.is_some());
    watch.books_balance();
}

/// Before Linux 5.12.
#[test]
fn without_cookies_a_socket_and_its_minisocket_are_joined_by_their_ends() {
    for (room, skipped) in [(true, 0), (false, 1)] {
        let mut host = Host::new();
        let mut client = established(&mut host);
        host.close(&mut client);
        host.fin_acknowledged(&mut client);
        host.fin_received(&mut client);
        if room {
            let timewait = host.time_wait(&mut client, TimeWait);
            host.wait(60 * SECOND);
            host.expire(&timewait);
        } else {
            host.goes(&mut client, Close);
        }
        host.events.iter_mut().for_each(|event| event.socket.cookie = 0);
        let watch = Watch::of(&host.events);
        assert_eq!(watch.count(|kind| *kind == StepKind::TimewaitSkipped), skipped);
        assert_eq!(watch.ends().len(), 1 - skipped);
        watch.books_balance();
    }
}

#[test]
fn time_wait_that_the_kernel_skips_is_said() {
    let mut host = Host::new();
    let mut client = established(&mut host);
    host.close(&mut client);
    host.fin_acknowledged(&mut client);
    host.fin_received(&mut client);
    host.goes(&mut client, Close);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.lines(client.id.cookie).last().unwrap(), "fin_wait2>close time-wait-overflow");
    assert_eq!(watch.count(|kind| *kind == StepKind::TimewaitSkipped), 1);
    // Where the timer cannot be seen, or its record may be lost, nothing is claimed.
    let mut blind = Watch::with(Default::default(), Hooks::all().without(Hook::TimerStart));
    assert_eq!(blind.see(&host.events).count(|kind| *kind == StepKind::TimewaitSkipped), 0);
    let mut lossy = Watch::new();
    lossy.tracker.lost(Hook::TimerStart, host.now);
    assert_eq!(lossy.see(&host.events).count(|kind| *kind == StepKind::TimewaitSkipped), 0);
    assert!(!lossy.lines(client.id.cookie).contains(&"fin_wait2>close time-wait-overflow".into()));
}
