//! Everything that a verdict depends on, in the order in which it came, through decode, track and check. Pure: the same
//! inputs give the same findings, live or from a recording.

use tracer_ebpf::{Hook, Record};

use crate::{
    checker,
    decode::{self, Kernel, Malformed},
    ledger::Ledger,
    step::{Finding, Step},
    tracker::{Hooks, Limits, Listing, Tracker},
};

/// One input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A socket that was there before: a record of the first listing.
    Listed(&'a [u8]),
    /// A record of the ring, or of a sweep, as it came.
    Record(&'a [u8]),
    /// After a loss a listing is begun.
    Listing,
    /// A record of that listing.
    Shown(&'a [u8]),
    /// That listing shows this network namespace whole.
    Walked(u64),
    /// That listing was begun at this time (CLOCK_MONOTONIC, nanoseconds), and is complete.
    Complete(u64),
    /// Events that never came.
    Lost(Loss),
    /// Everything up to this time (CLOCK_MONOTONIC, nanoseconds) has been taken in.
    Flush(u64),
}

/// Events of one hook that were lost since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Whose.
    pub hook: Hook,
    /// When that was noticed, CLOCK_MONOTONIC nanoseconds.
    pub until: u64,
    /// For want of room in the ring.
    pub ring_full: u64,
    /// While every copy of the handler was interrupted.
    pub missed: u64,
}

/// Who is told. Nobody calls back.
pub trait Audience {
    /// One step of one connection, judged.
    fn finding(&mut self, finding: &Finding<'_>);
    /// A record that does not decode, and the hook that it names, if any.
    fn malformed(&mut self, reason: &Malformed, hook: Option<Hook>);
}

/// What is known of every connection, and of what the kernel should have counted.
#[derive(Debug)]
pub struct Judge {
    kernel: Kernel,
    tracker: Tracker,
    ledger: Ledger,
    latest: u64,
    /// What a listing after a loss has shown so far, and of which namespaces.
    listing: Listing,
    walked: Vec<u64>,
    missing: usize,
}

impl Judge {
    /// A judge that knows nothing yet. `visible`: the hooks that deliver.
    #[must_use]
    pub fn new(kernel: Kernel, limits: Limits, visible: Hooks) -> Self {
        Self {
            kernel,
            tracker: Tracker::new(limits, visible),
            ledger: Ledger::default(),
            latest: 0,
            listing: Listing::default(),
            walked: Vec::new(),
            missing: 0,
        }
    }

    /// Takes in one input, and tells what follows from it.
    pub fn take(&mut self, input: Input<'_>, audience: &mut impl Audience) {
        match input {
            Input::Listed(record) => self.listed(record, audience),
            Input::Record(record) | Input::Shown(record) => {
                let is_listing = matches!(input, Input::Shown(_));
                self.record(record, is_listing, audience);
            }
            Input::Listing => self.tracker.listing_begins(),
            Input::Walked(netns) => self.walked.push(netns),
            Input::Complete(from) => self.complete(from, audience),
            Input::Lost(Loss { hook, until, .. }) => self.tracker.lost(hook, until),
            Input::Flush(now) => {
                let Self { tracker, ledger, .. } = self;
                tracker.flush(now, &mut |step| conclude(&step, ledger, audience));
            }
        }
    }

    fn listed(&mut self, record: &[u8], audience: &mut impl Audience) {
        match decode::decode(record, &self.kernel) {
            Ok(event) => self.tracker.adopt(&event),
            Err(reason) => audience.malformed(&reason, Some(Hook::Snapshot)),
        }
    }

    fn record(&mut self, record: &[u8], is_listing: bool, audience: &mut impl Audience) {
        let Self { kernel, tracker, ledger, latest, listing, .. } = self;
        // Looked at where it is: an event is large to move.
        match &decode::decode(record, kernel) {
            Ok(event) => {
                // A sweep's records are older than what came meanwhile.
                if event.hook != Hook::Snapshot {
                    *latest = event.time;
                }
                if !is_listing || listing.show(event) {
                    tracker.observe(event, &mut |step| conclude(&step, ledger, audience));
                }
            }
            Err(reason) => {
                // Its event is lost: which one, the record cannot be trusted to say.
                let hook = decode::hook_of(record);
                for lost in hook.as_ref().map_or(&Hook::ALL[..], std::slice::from_ref) {
                    tracker.lost(*lost, latest.saturating_add(1));
                }
                audience.malformed(reason, hook);
            }
        }
    }

    /// What is tracked and was not shown has ended unseen.
    fn complete(&mut self, from: u64, audience: &mut impl Audience) {
        let mut listing = std::mem::take(&mut self.listing);
        listing.is_complete(from, &std::mem::take(&mut self.walked));
        let Self { tracker, ledger, .. } = self;
        let missing = tracker.missing(&listing);
        self.missing = missing.len();
        for event in missing.into_iter().chain(tracker.unheard(&mut listing)) {
            tracker.observe(&event, &mut |step| conclude(&step, ledger, audience));
        }
        tracker.listing_ends();
    }

    /// Every connection.
    #[must_use]
    pub const fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// Our side of the kernel's counters.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Both, for whoever compares them with the kernel's.
    pub const fn books(&mut self) -> (&mut Ledger, &mut Tracker) {
        (&mut self.ledger, &mut self.tracker)
    }

    /// How many tracked sockets the last listing after a loss did not show.
    #[must_use]
    pub const fn missing(&self) -> usize {
        self.missing
    }

    /// Time of the last event, CLOCK_MONOTONIC nanoseconds; 0 before the first.
    #[must_use]
    pub const fn latest(&self) -> u64 {
        self.latest
    }
}

/// Judges a step, counts it, and hands it on.
fn conclude(step: &Step<'_>, ledger: &mut Ledger, audience: &mut impl Audience) {
    let finding = checker::check(step);
    ledger.record(&finding);
    audience.finding(&finding);
}

/// Cuts records that stand back to back.
pub fn records(bytes: &[u8]) -> impl ExactSizeIterator<Item = &[u8]> {
    bytes.chunks_exact(Record::SIZE)
}

#[cfg(test)]
mod tests {
    use model::{Inconclusive, Verdict};
    use tracer_ebpf::{bits, uapi};

    use super::*;
    use crate::recording::layout;

    #[derive(Default)]
    struct Heard {
        verdicts: Vec<Verdict>,
        malformed: usize,
    }

    impl Audience for Heard {
        fn finding(&mut self, finding: &Finding<'_>) {
            self.verdicts.extend(finding.judgement.map(|judgement| judgement.verdict));
        }

        fn malformed(&mut self, _: &Malformed, _: Option<Hook>) {
            self.malformed += 1;
        }
    }

    #[test]
    fn a_record_that_cannot_be_read_is_a_loss() {
        let record = Record {
            family: uapi::AF_INET,
            cookie: 5,
            socket: 1 << 63,
            bits: bits::HAS_SOCKET,
            hook: Hook::State as u8,
            ..Record::EMPTY
        };
        let at = |time_ns, from, to| layout::bytes(&Record { time_ns, from, to, ..record });
        let mut judge = Judge::new(Kernel::default(), Limits::default(), Hooks::all());
        let mut heard = Heard::default();
        for bytes in [
            at(1_000, uapi::tcp_state::CLOSE, uapi::tcp_state::SYN_SENT),
            at(2_000, uapi::tcp_state::SYN_SENT, 99),
            at(3_000, uapi::tcp_state::ESTABLISHED, uapi::tcp_state::CLOSE_WAIT),
        ] {
            judge.take(Input::Record(&bytes), &mut heard);
        }
        assert_eq!(heard.malformed, 1);
        assert_eq!(heard.verdicts.last(), Some(&Verdict::Inconclusive(Inconclusive::LostEvent)));
    }
}
