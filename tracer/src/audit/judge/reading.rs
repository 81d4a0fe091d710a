//! The readings of a trace: what the running kernel may do, depending on what nobody outside sees.

use model::{
    Flags, Profile, Segment, Seq,
    oracle::{Kind, Observation},
};

use super::{
    departure::allowed,
    oracle::{Judgement, judge},
    profile::{orphaned, running},
};
use crate::audit::conditions::Conditions;

/// A reading and the word on it.
#[derive(Debug)]
pub struct Reading {
    /// The word.
    pub judgement: Judgement,
    /// The profile.
    pub profile: Profile,
    /// The trace as it was read.
    pub trace: Vec<Observation>,
    /// Text was taken whose ACK lies out of range.
    pub fast_path: bool,
}

/// The first reading that explains the trace; the plain one where none does.
#[must_use]
pub fn explain(trace: &[Observation], conditions: &Conditions) -> Reading {
    let plain = running(conditions);
    let read = |trace: Vec<Observation>, profile, fast_path| {
        let judgement = judge(&trace, &profile, allowed(&trace, conditions));
        Reading { judgement, profile, trace, fast_path }
    };
    let first = read(trace.to_vec(), plain, false);
    if first.judgement.violation.is_none() {
        return first;
    }
    let profiles = profiles(trace, &plain, conditions);
    let slow = profiles.iter().skip(1).map(|profile| (trace.to_vec(), *profile, false));
    let fast = fast_paths(trace);
    let fast =
        fast.iter().flat_map(|trace| profiles.iter().map(move |profile| (trace.clone(), *profile, true)));
    slow.chain(fast)
        .map(|(trace, profile, fast_path)| read(trace, profile, fast_path))
        .find(|reading| reading.judgement.violation.is_none())
        .unwrap_or(first)
}

/// So many segments of one trace may have crossed others.
const CROSSINGS: usize = 3;

/// How long before it was seen a segment may have been made, microseconds: what comes in while a timer sends it has its
/// time from the device, and waits for the socket.
const MADE_BEFORE: u64 = 1_000;

/// The same; and where a segment does not fit that left just after another came, it may have been made before that.
#[must_use]
pub fn explain_crossed(trace: &[Observation], conditions: &Conditions) -> Reading {
    let first = explain(trace, conditions);
    let mut place = first.judgement.violation.as_ref().map(|(at, ..)| *at);
    let mut trace = trace.to_vec();
    for _ in 0..CROSSINGS {
        let Some(crossed) = place.and_then(|place| crossed(&trace, place)) else { break };
        let reading = explain(&crossed, conditions);
        let Some((at, ..)) = reading.judgement.violation else { return reading };
        (place, trace) = (Some(at), crossed);
    }
    first
}

/// The trace with the segment at this place before the last one that came before it.
fn crossed(trace: &[Observation], place: usize) -> Option<Vec<Observation>> {
    let sent = trace.get(place).filter(|sent| matches!(sent.kind, Kind::Sent(_)))?;
    let before = trace.get(..place)?;
    let came = before.iter().rposition(|one| matches!(one.kind, Kind::Received(_)))?;
    let at = before.get(came).map(|one| one.at).filter(|at| sent.at.saturating_sub(*at) <= MADE_BEFORE)?;
    let mut crossed = trace.to_vec();
    crossed.remove(place);
    crossed.insert(came, Observation { at, kind: sent.kind });
    Some(crossed)
}

/// A connection whose user has gone gives up earlier; an orphan whose last ACK came with an old FIN, or while close() was
/// at work, stays a whole socket; text in order may take the fast path; of two segments that contradict each other about
/// where the stream ends either may count, as the room in their buffers will have it.
fn profiles(trace: &[Observation], plain: &Profile, conditions: &Conditions) -> Vec<Profile> {
    let mut profiles = vec![*plain];
    let mut either = |turn: &dyn Fn(&mut Profile)| {
        let mut turned = profiles.clone();
        turned.iter_mut().for_each(turn);
        profiles.extend(turned);
    };
    either(&|profile| *profile = orphaned(profile, conditions));
    either(&|profile| profile.orphan_minisockets = false);
    either(&|profile| profile.predicted_window = true);
    if contradicts_itself(trace) {
        either(&|profile| profile.held_text_joins = true);
    }
    profiles
}

/// The peer has sent text with the number of its FIN, or behind it.
fn contradicts_itself(trace: &[Observation]) -> bool {
    let received = || {
        trace.iter().filter_map(|observation| match observation.kind {
            Kind::Received(segment) if !segment.has(Flags::SYN) && !segment.has(Flags::RST) => Some(segment),
            _ => None,
        })
    };
    received().filter(|segment| segment.has(Flags::FIN)).any(|fin| {
        let number = fin.end() - 1;
        received().any(|segment| segment.len > 0 && (segment.seq + segment.len).gt(number))
    })
}

/// More segments than this are not looked at.
const OLD_ACKS: usize = 4;

/// The trace as the fast path would have it (`tcp_rcv_established`): text with an old ACK is taken as if the ACK were the
/// last one. Whether a segment takes that path depends on the memory that the socket has set aside.
fn fast_paths(trace: &[Observation]) -> Vec<Vec<Observation>> {
    let mut old = old_acks(trace);
    old.truncate(OLD_ACKS);
    let subsets = 1..1_usize << old.len();
    subsets
        .map(|subset| {
            let mut trace = trace.to_vec();
            for (place, una) in
                old.iter().enumerate().filter(|(n, _)| subset >> n & 1 == 1).map(|(_, one)| *one)
            {
                if let Some(Observation { kind: Kind::Received(segment), .. }) = trace.get_mut(place) {
                    segment.ack = una;
                }
            }
            trace
        })
        .collect()
}

/// Where text arrives with an ACK below SND.UNA, and one that would do.
fn old_acks(trace: &[Observation]) -> Vec<(usize, Seq)> {
    let (mut iss, mut una, mut nxt) = (Seq(0), Seq(0), Seq(0));
    let mut old = Vec::new();
    for (place, observation) in trace.iter().enumerate() {
        match observation.kind {
            Kind::Sent(segment) if segment.has(Flags::SYN) => {
                (iss, una, nxt) = (segment.seq, segment.seq, segment.end());
            }
            Kind::Sent(segment) if !segment.has(Flags::RST) => nxt = nxt.max(segment.end()),
            Kind::Received(segment) if segment.has(Flags::ACK) => {
                // On a connection a SYN is challenged, whatever it acknowledges.
                let counts = una == iss || !segment.has(Flags::SYN);
                if counts && segment.ack.gt(una) && segment.ack.le(nxt) {
                    una = segment.ack;
                } else if is_plain_text(&segment) && segment.ack.lt(una) {
                    // Below the beginning even the beginning is better.
                    old.push((place, if segment.ack.le(iss) { iss + 1 } else { una }));
                }
            }
            _ => {}
        }
    }
    old
}

fn is_plain_text(segment: &Segment) -> bool {
    segment.len > 0 && segment.flags.without(Flags::PSH) == Flags::ACK
}

#[cfg(test)]
mod tests {
    use model::{
        Flags, Segment,
        oracle::{Kind, Observation},
    };

    use super::{contradicts_itself, crossed, fast_paths};

    fn trace(kinds: &[Kind]) -> Vec<Observation> {
        kinds.iter().map(|kind| Observation { at: 0, kind: *kind }).collect()
    }

    fn received(flags: Flags, seq: u32, ack: u32, len: u32) -> Kind {
        Kind::Received(Segment::new(flags, seq, ack).text(len))
    }

    #[test]
    fn text_with_an_old_ack_may_have_taken_the_fast_path_each_for_itself() {
        let trace = trace(&[
            Kind::Sent(Segment::new(Flags::SYN, 100, 0)),
            received(Flags::SYN_ACK, 500, 101, 0),
            received(Flags::ACK, 501, 50, 10),
            received(Flags::ACK, 511, 101, 10),
            received(Flags::ACK | Flags::PSH, 521, 50, 10),
            received(Flags::FIN_ACK, 531, 50, 10),
        ]);
        let acks = |trace: &[Observation]| -> Vec<u32> {
            let one = |observation: &Observation| match observation.kind {
                Kind::Received(segment) => Some(segment.ack.0),
                _ => None,
            };
            trace.iter().filter_map(one).collect()
        };
        let variants: Vec<Vec<u32>> = fast_paths(&trace).iter().map(|trace| acks(trace)).collect();
        assert_eq!(
            variants,
            [[101, 101, 101, 50, 50], [101, 50, 101, 101, 50], [101, 101, 101, 101, 50]],
            "never the FIN, which is no fast path's"
        );
    }

    #[test]
    fn a_segment_may_have_been_made_just_before_another_came() {
        let came = Observation { at: 200_000, kind: received(Flags::ACK, 501, 101, 10) };
        let left = |at| Observation { at, kind: Kind::Sent(Segment::new(Flags::ACK, 101, 501).text(1)) };
        assert_eq!(crossed(&[came, left(200_040)], 1), Some(vec![left(200_000), came]));
        assert_eq!(crossed(&[came, left(202_000)], 1), None);
        assert_eq!(crossed(&[left(200_000), came], 1), None, "what came is no segment of the kernel's");
    }

    #[test]
    fn a_peer_contradicts_itself_with_text_behind_its_fin() {
        let fin = received(Flags::FIN_ACK, 600, 1, 0);
        assert!(contradicts_itself(&trace(&[fin, received(Flags::ACK, 595, 1, 10)])));
        assert!(!contradicts_itself(&trace(&[fin, received(Flags::ACK, 590, 1, 10)])));
    }
}
