//! Profiles: every switch of the machine as data.
//!
//! Where RFC 9293 leaves a choice, contradicts itself or is silent, a field here says what is done, and
//! [`crate::contradiction`] cites the clauses. Times are in microseconds.

use crate::state::State;

/// Where ABORT leaves its issuer (contradiction 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AfterReset {
    /// CLOSED: 3.10.5.
    Closed,
    /// TIME-WAIT: figure 5 note 3, and 3.5.2.
    TimeWait,
}

/// A SYN in the window of a passively opened half-open connection (contradiction 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SynInSynReceived {
    /// Back to LISTEN: 3.10.7.4, fourth.
    ReturnToListen,
    /// Challenge ACK: RFC 5961, section 4, carried over.
    Challenge,
    /// Reset, and the half-open connection is forgotten: `tcp_check_req`.
    ResetAndForget,
}

/// An unacceptable ACK in SYN-RECEIVED (contradiction 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadAck {
    /// Reset: 3.5.2 group 2 and 3.10.7.4, fifth, SYN-RECEIVED.
    Reset,
    /// ACK: RFC 5961, section 5, read as covering SYN-RECEIVED.
    Ack,
}

/// When CLOSE in CLOSE-WAIT with text to send enters LAST-ACK (contradiction 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LastAckEntry {
    /// With the FIN: 3.10.4.
    WhenFinLeaves,
    /// With the call, as FIN-WAIT-1 is entered: `tcp_close`.
    AtOnce,
}

/// Text and FIN on a SYN (contradiction 16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SynExtras {
    /// Kept for ESTABLISHED: 3.10.7.2, 3.10.7.3.
    Queue,
    /// A SYN+FIN is dropped, text is ignored: `tcp_rcv_state_process`.
    Ignore,
}

/// A second passive OPEN on a listening TCB (contradiction 19).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecondListen {
    /// Refused: "already exists".
    Refuse,
    /// The caller makes another TCB (MUST-41, MUST-42).
    AnotherTcb,
}

/// What TIME-WAIT takes for the peer's FIN in the fifth check (contradiction 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeWaitAck {
    /// A segment that carries FIN.
    Fin,
    /// Any segment with ACK: "the only thing that can arrive".
    Anything,
}

/// A switch with two readings knows the other one.
macro_rules! two_readings {
    ($($switch:ident: $one:ident or $other:ident;)*) => { $(
        impl $switch {
            /// The other reading.
            #[must_use]
            pub const fn other(self) -> Self {
                match self {
                    Self::$one => Self::$other,
                    Self::$other => Self::$one,
                }
            }
        }
    )* };
}

two_readings! {
    AfterReset: Closed or TimeWait;
    BadAck: Reset or Ack;
    LastAckEntry: WhenFinLeaves or AtOnce;
    SynExtras: Queue or Ignore;
    SecondListen: Refuse or AnotherTcb;
    TimeWaitAck: Fin or Anything;
}

/// When retransmission gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum R2 {
    /// After so many retransmissions.
    Count(u8),
    /// So long after the first retransmission, in microseconds.
    After(u64),
}

/// Timeouts and limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Time in TIME-WAIT, twice the MSL (MUST-13).
    pub time_wait: u64,
    /// RTO before any measurement (RFC 6298, 2.1).
    pub rto_initial: u64,
    /// Smallest RTO (RFC 6298, 2.4).
    pub rto_min: u64,
    /// Largest RTO (RFC 6298, 2.5).
    pub rto_max: u64,
    /// Retransmissions of a SYN before its timeout begins to double (RFC 6298, 5.5: none).
    pub linear_syns: u8,
    /// The clock granularity G (RFC 6298, 2).
    pub granularity: u64,
    /// R1, in retransmissions (SHLD-10).
    pub r1: u8,
    /// R2 for data (SHLD-11).
    pub r2: R2,
    /// R2 for SYN (MUST-23), those of [`linear_syns`](Self::linear_syns) included, which SYN-SENT alone knows.
    pub r2_syn: R2,
    /// R2 for the SYN+ACK of a passive open.
    pub r2_syn_ack: R2,
    /// How long an ACK may wait (MUST-40).
    pub delayed_ack: u64,
    /// The sender's override of silly-window avoidance, 0.1 to 1 s.
    pub sws_override: u64,
    /// Between keep-alive probes.
    pub keep_alive_interval: u64,
    /// Unanswered keep-alive probes that end the connection (MUST-29).
    pub keep_alive_probes: u8,
    /// Challenge ACKs per period (RFC 5961, section 7); none: unlimited.
    pub challenges: Option<(u32, u64)>,
}

impl Limits {
    /// The timeout after one more retransmission, which `retransmits` counts already.
    #[must_use]
    pub fn backed_off(&self, rto: u64, retransmits: u8, state: State) -> u64 {
        let linear = state == State::SynSent && retransmits <= self.linear_syns;
        rto.saturating_mul(if linear { 1 } else { 2 }).min(self.rto_max)
    }
}

/// The whole behaviour that is a matter of choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    /// Its name in reports.
    pub name: &'static str,
    /// `p5961rst`: a reset counts at RCV.NXT only.
    pub rfc5961_rst: bool,
    /// `p5961syn`: a SYN on a connection draws a challenge.
    pub rfc5961_syn: bool,
    /// `p5961ack`: ACKs have a lower bound (MAY-12).
    pub rfc5961_ack: bool,
    /// `p6191`: a newer SYN reopens TIME-WAIT.
    pub rfc6191: bool,
    /// `p1337`: a reset does not end TIME-WAIT.
    pub rfc1337: bool,
    /// `p7323`: timestamps protect against wrapped sequence numbers.
    pub rfc7323: bool,
    /// `ptfo`: Fast Open.
    pub fast_open: bool,
    /// `pcookie`: SYN cookies.
    pub syn_cookies: bool,
    /// `psec`: security compartments (contradiction 17: A.1.2 lets others ignore them).
    pub security: bool,
    /// `phalfdup`: CLOSE also ends reading, and unread or late text resets (SHLD-3).
    pub half_duplex_close: bool,
    /// `pfig7` (contradiction 4): the crossing SYN+ACK counts.
    pub figure_7: bool,
    /// Contradiction 2.
    pub after_reset: AfterReset,
    /// Contradiction 5.
    pub syn_in_syn_received: SynInSynReceived,
    /// Contradiction 5, the SYN at IRS again: answered by the SYN+ACK again instead of an ACK.
    pub duplicate_syn_draws_syn_ack: bool,
    /// Contradiction 6.
    pub bad_ack: BadAck,
    /// Contradiction 7: the peer's FIN again, outside the window, restarts 2MSL.
    pub fin_again_restarts: bool,
    /// Contradiction 7, the other half.
    pub time_wait_ack: TimeWaitAck,
    /// Contradiction 9.
    pub last_ack_entry: LastAckEntry,
    /// Contradiction 12: SYN+ACK sets the send window on the way to ESTABLISHED.
    pub window_from_syn_ack: bool,
    /// Contradiction 13: at a closed window ACK counts, as in 3.10.7.4, and not RST and URG alone, as in MUST-66.
    pub ack_at_zero_window: bool,
    /// Contradiction 15: the user timeout sends a reset.
    pub user_timeout_resets: bool,
    /// Keep-alives that give up send a reset (the RFC is silent).
    pub keep_alive_resets: bool,
    /// Contradiction 16.
    pub syn_extras: SynExtras,
    /// Contradiction 19.
    pub second_listen: SecondListen,
    /// Contradiction 21: in LAST-ACK the ACK of text before the FIN counts.
    pub partial_ack_in_last_ack: bool,
    /// Contradiction 22: text that came with the FIN can still be read in CLOSING, LAST-ACK and TIME-WAIT.
    pub reads_after_close: bool,
    /// A reopened TIME-WAIT comes back when its SYN proves old (MAY-2, second condition).
    pub reopen_falls_back: bool,
    /// How far the ISS of a reopened TIME-WAIT lies beyond the old SND.NXT, when the given one does not.
    pub reopen_gap: u32,
    /// A reset one before RCV.NXT counts after the peer's FIN (Linux: `tcp_reset_check`).
    pub reset_before_fin: bool,
    /// A segment without text at the very right edge is acceptable (Linux: `tcp_sequence`; table 6 of 3.10.7.4 refuses
    /// it, so two sides whose windows are full of lost text refuse each other's ACKs until a timeout).
    pub empty_at_edge: bool,
    /// A passively opened half-open connection is a request (Linux: `tcp_check_req`): its ACK is checked before the
    /// sequence number, the first SYN again counts by its flags alone, and text on it is not taken.
    pub half_open_requests: bool,
    /// In SYN-RECEIVED of an active open an ACK of ISS counts as the one of our SYN (Linux: `tcp_ack` calls it old, not
    /// wrong).
    pub handshake_by_old_ack: bool,
    /// Beyond ESTABLISHED what comes with an ACK below SND.UNA is challenged and dropped (older Linux:
    /// `tcp_rcv_state_process`; 3.10.7.4, fifth, lets a duplicate be ignored and goes on with the segment).
    pub old_ack_refused: bool,
    /// In ESTABLISHED an ACK of what was never sent draws no ACK (older Linux: `tcp_ack`).
    pub unsent_ack_unanswered: bool,
    /// A reset anywhere in the window ends a half-open request, unless its ACK is wrong (older Linux: `tcp_check_req`).
    pub half_open_reset_in_window: bool,
    /// A segment with the number of the one that set the window last does not close it (older Linux:
    /// `tcp_may_update_window`; with `window_by_progress`).
    pub closed_window_ignored: bool,
    /// What begins no later than the right edge has its ACK and window looked at, whatever waits to be read (older Linux:
    /// `tcp_sequence`; with `loose_edges`).
    pub text_at_edge_counts: bool,
    /// A FIN for which the window has no room is no reason to drop what came with it, whatever waits to be read (Linux:
    /// `tcp_sequence`, but not in every release; with `loose_edges`).
    pub fin_beyond_edge: bool,
    /// Acceptable is what ends after the last ACK sent and begins no later than the right edge; beyond the right edge only
    /// while nothing waits to be read, be it the peer's FIN alone (Linux: `tcp_sequence`).
    pub loose_edges: bool,
    /// The range of acceptable ACKs begins with what was acknowledged at all (Linux: `tcp_ack`).
    pub ack_floor_by_acked: bool,
    /// A segment without the timestamps that were agreed is taken all the same (Linux: `tcp_validate_incoming`; RFC 7323,
    /// 3.2, drops it).
    pub timestamps_optional: bool,
    /// A segment with none of SYN, ACK and RST is dropped before anything else, its number unlooked at (Linux:
    /// `tcp_rcv_established`, `tcp_rcv_state_process`; 3.10.7.4, first, acknowledges it where it is unacceptable).
    pub ackless_unanswered: bool,
    /// Text behind the number of the peer's FIN, in a segment that begins before it, resets (Linux:
    /// `tcp_rcv_state_process`).
    pub text_after_fin_resets: bool,
    /// Another FIN behind the peer's FIN draws no ACK (Linux: `tcp_rcv_state_process`).
    pub second_fin_unanswered: bool,
    /// Another FIN of a segment that begins before RCV.NXT moves RCV.NXT on (Linux: `tcp_data_queue`).
    pub second_fin_counts: bool,
    /// The reset of ABORT or CLOSE has the number at the right edge where the peer took its window back (Linux:
    /// `tcp_acceptable_seq`).
    pub reset_at_edge: bool,
    /// TIME-WAIT has forgotten its user: a CLOSE with unread text resets nothing (Linux: `tcp_time_wait`).
    pub time_wait_without_user: bool,
    /// In TIME-WAIT neither a reset that is not at RCV.NXT nor an ACK out of range draws a challenge (Linux:
    /// `tcp_timewait_state_process`).
    pub time_wait_unchallenged: bool,
    /// A reset right behind the last text held counts where SACK is agreed (Linux: `tcp_validate_incoming`).
    pub reset_behind_held: bool,
    /// An orphan in FIN-WAIT-2 is a minisocket (Linux: `tcp_timewait_state_process`): any reset in its window counts, ACKs
    /// are not looked at, and what is not the FIN in order is dropped or, beyond RCV.NXT, resets.
    pub orphan_minisockets: bool,
    /// Late for an orphan is whatever goes beyond RCV.NXT, a FIN out of order and text out of the window too (Linux:
    /// `tcp_rcv_state_process`).
    pub late_fin_resets: bool,
    /// A window counts that comes with an ACK of something new, begins later than the last one, or beginning there offers
    /// more or nothing (Linux: `tcp_may_update_window`; 3.10.7.4, fifth, goes by SEG.SEQ first and takes less as well).
    pub window_by_progress: bool,
    /// Text in order that brings nothing else makes its number the last window's (Linux: `tcp_rcv_established` on its fast
    /// path, and whether it takes that depends on the memory that the socket has set aside).
    pub predicted_window: bool,
    /// A FIN in order ends the stream, and what is held behind it is dropped (Linux: `tcp_data_queue`, `tcp_fin`).
    pub fin_ends_stream: bool,
    /// Held text becomes one with what it follows, and a FIN between them counts behind it (Linux: where the first one's
    /// buffer has room, `tcp_ooo_try_coalesce`).
    pub held_text_joins: bool,
    /// An orphan's stay in FIN-WAIT-2.
    pub fin_wait_2: Option<u64>,
    /// Hard ICMP errors abort synchronized connections (SHLD-26).
    pub hard_icmp_aborts: bool,
    /// Soft ICMP errors abort connections that are not synchronized (against MUST-56).
    pub soft_icmp_aborts_opening: bool,
    /// Timeouts and limits.
    pub limits: Limits,
}

const MS: u64 = 1_000;
const S: u64 = 1_000 * MS;

const RFC_LIMITS: Limits = Limits {
    time_wait: 240 * S,
    rto_initial: S,
    rto_min: S,
    rto_max: 60 * S,
    linear_syns: 0,
    granularity: MS,
    r1: 3,
    r2: R2::After(100 * S),
    r2_syn: R2::After(180 * S),
    r2_syn_ack: R2::After(180 * S),
    delayed_ack: 200 * MS,
    sws_override: 200 * MS,
    keep_alive_interval: 75 * S,
    keep_alive_probes: 9,
    challenges: Some((10, 5 * S)),
};

/// The text of 3.10 to the letter, recommendations (SHOULD) followed, options (MAY) not.
pub const RFC9293_LITERAL: Profile = Profile {
    name: "rfc9293-literal",
    rfc5961_rst: true,
    rfc5961_syn: true,
    rfc5961_ack: false,
    rfc6191: false,
    rfc1337: false,
    rfc7323: true,
    fast_open: false,
    syn_cookies: false,
    security: false,
    half_duplex_close: true,
    figure_7: false,
    after_reset: AfterReset::Closed,
    syn_in_syn_received: SynInSynReceived::ReturnToListen,
    duplicate_syn_draws_syn_ack: false,
    bad_ack: BadAck::Reset,
    fin_again_restarts: false,
    time_wait_ack: TimeWaitAck::Anything,
    last_ack_entry: LastAckEntry::WhenFinLeaves,
    window_from_syn_ack: false,
    ack_at_zero_window: true,
    user_timeout_resets: false,
    keep_alive_resets: false,
    syn_extras: SynExtras::Queue,
    second_listen: SecondListen::Refuse,
    partial_ack_in_last_ack: false,
    reads_after_close: false,
    reopen_falls_back: true,
    reopen_gap: 1,
    reset_before_fin: false,
    empty_at_edge: false,
    half_open_requests: false,
    handshake_by_old_ack: false,
    old_ack_refused: false,
    unsent_ack_unanswered: false,
    half_open_reset_in_window: false,
    closed_window_ignored: false,
    text_at_edge_counts: false,
    fin_beyond_edge: false,
    loose_edges: false,
    ack_floor_by_acked: false,
    timestamps_optional: false,
    ackless_unanswered: false,
    text_after_fin_resets: false,
    second_fin_unanswered: false,
    second_fin_counts: false,
    reset_at_edge: false,
    time_wait_without_user: false,
    time_wait_unchallenged: false,
    reset_behind_held: false,
    orphan_minisockets: false,
    late_fin_resets: false,
    window_by_progress: false,
    predicted_window: false,
    fin_ends_stream: false,
    held_text_joins: false,
    fin_wait_2: None,
    hard_icmp_aborts: true,
    soft_icmp_aborts_opening: false,
    limits: RFC_LIMITS,
};

/// What the RFC means: its figures work, its recommendations and the RFCs it points to are followed.
pub const RFC9293_INTENT: Profile = Profile {
    name: "rfc9293-intent",
    rfc5961_ack: true,
    rfc6191: true,
    figure_7: true,
    syn_in_syn_received: SynInSynReceived::Challenge,
    duplicate_syn_draws_syn_ack: true,
    fin_again_restarts: true,
    time_wait_ack: TimeWaitAck::Fin,
    window_from_syn_ack: true,
    partial_ack_in_last_ack: true,
    reads_after_close: true,
    ..RFC9293_LITERAL
};

/// Linux with default settings, 6.12 and later (the crossing SYN+ACK completes the handshake).
pub const LINUX: Profile = Profile {
    name: "linux",
    syn_in_syn_received: SynInSynReceived::ResetAndForget,
    last_ack_entry: LastAckEntry::AtOnce,
    syn_extras: SynExtras::Ignore,
    reopen_falls_back: false,
    reopen_gap: 65_537,
    reset_before_fin: true,
    empty_at_edge: true,
    fin_wait_2: Some(60 * S),
    hard_icmp_aborts: false,
    soft_icmp_aborts_opening: true,
    limits: Limits {
        time_wait: 60 * S,
        rto_initial: S,
        rto_min: 200 * MS,
        rto_max: 120 * S,
        linear_syns: 0,
        granularity: MS,
        r1: 3,
        r2: R2::Count(15),
        // tcp_syn_retries 6 and tcp_syn_linear_timeouts 4: ten retransmissions.
        r2_syn: R2::Count(10),
        r2_syn_ack: R2::Count(5),
        delayed_ack: 40 * MS,
        sws_override: 200 * MS,
        keep_alive_interval: 75 * S,
        keep_alive_probes: 9,
        challenges: None,
    },
    ..RFC9293_INTENT
};

/// Linux to the last segment that nobody sends: what an audit meets, which forges them, and the timing of its SYNs. Where
/// it departs from [`RFC9293_INTENT`] the departure has a name ([`crate::oracle::DEPARTURES`]).
pub const LINUX_IN_DETAIL: Profile = Profile {
    name: "linux-in-detail",
    keep_alive_resets: true,
    half_open_requests: true,
    handshake_by_old_ack: true,
    loose_edges: true,
    ack_floor_by_acked: true,
    timestamps_optional: true,
    ackless_unanswered: true,
    text_after_fin_resets: true,
    second_fin_unanswered: true,
    second_fin_counts: true,
    reset_at_edge: true,
    time_wait_without_user: true,
    time_wait_unchallenged: true,
    reset_behind_held: true,
    orphan_minisockets: true,
    late_fin_resets: true,
    window_by_progress: true,
    fin_ends_stream: true,
    limits: Limits { linear_syns: 4, ..LINUX.limits },
    ..LINUX
};

/// Linux before 6.12: the crossing SYN+ACK draws a challenge ACK, and that ends the handshake.
pub const LINUX_6_8: Profile = Profile { name: "linux-6.8", figure_7: false, ..LINUX };

impl Profile {
    /// The profiles that are compared side by side; [`LINUX_IN_DETAIL`] is one for auditors.
    pub const ALL: [Self; 4] = [RFC9293_LITERAL, RFC9293_INTENT, LINUX, LINUX_6_8];
}

#[cfg(test)]
mod tests {
    use super::{LINUX, LINUX_6_8, Limits, Profile, R2, RFC_LIMITS, RFC9293_INTENT, RFC9293_LITERAL};

    fn microseconds(limits: &Limits) -> [u64; 8] {
        [
            limits.time_wait,
            limits.rto_initial,
            limits.rto_min,
            limits.rto_max,
            limits.granularity,
            limits.delayed_ack,
            limits.sws_override,
            limits.keep_alive_interval,
        ]
    }

    #[test]
    fn the_limits_in_figures() {
        assert_eq!(
            microseconds(&RFC_LIMITS),
            [240_000_000, 1_000_000, 1_000_000, 60_000_000, 1_000, 200_000, 200_000, 75_000_000]
        );
        let Limits { r1, r2, r2_syn, r2_syn_ack, keep_alive_probes, challenges, .. } = RFC_LIMITS;
        assert_eq!((r1, keep_alive_probes, challenges), (3, 9, Some((10, 5_000_000))));
        // SHLD-11, MUST-23.
        assert_eq!([r2, r2_syn, r2_syn_ack], [100_000_000, 180_000_000, 180_000_000].map(R2::After));
        assert_eq!(
            microseconds(&LINUX.limits),
            [60_000_000, 1_000_000, 200_000, 120_000_000, 1_000, 40_000, 200_000, 75_000_000]
        );
        assert_eq!(LINUX.fin_wait_2, Some(60_000_000));
    }

    #[test]
    fn what_the_intent_changes_of_the_letter_and_linux_of_the_intent() {
        fn changed(one: &Profile, other: &Profile) -> [bool; 20] {
            [
                one.rfc5961_ack != other.rfc5961_ack,
                one.rfc6191 != other.rfc6191,
                one.figure_7 != other.figure_7,
                one.duplicate_syn_draws_syn_ack != other.duplicate_syn_draws_syn_ack,
                one.fin_again_restarts != other.fin_again_restarts,
                one.time_wait_ack != other.time_wait_ack,
                one.window_from_syn_ack != other.window_from_syn_ack,
                one.partial_ack_in_last_ack != other.partial_ack_in_last_ack,
                one.reads_after_close != other.reads_after_close,
                one.syn_in_syn_received != other.syn_in_syn_received,
                one.last_ack_entry != other.last_ack_entry,
                one.syn_extras != other.syn_extras,
                one.reopen_falls_back != other.reopen_falls_back,
                one.reopen_gap != other.reopen_gap,
                one.reset_before_fin != other.reset_before_fin,
                one.empty_at_edge != other.empty_at_edge,
                one.fin_wait_2 != other.fin_wait_2,
                one.hard_icmp_aborts != other.hard_icmp_aborts,
                one.soft_icmp_aborts_opening != other.soft_icmp_aborts_opening,
                one.limits != other.limits,
            ]
        }
        // SYN in SYN-RECEIVED has a reading of its own in each.
        let [intent, linux] =
            [(&RFC9293_LITERAL, &RFC9293_INTENT), (&RFC9293_INTENT, &LINUX)].map(|(a, b)| changed(a, b));
        assert_eq!(intent, core::array::from_fn(|place| place <= 9));
        assert_eq!(linux, core::array::from_fn(|place| place >= 9));
        assert_eq!(changed(&LINUX, &LINUX_6_8), core::array::from_fn(|place| place == 2));
        assert_eq!(
            Profile::ALL.map(|profile| profile.name),
            ["rfc9293-literal", "rfc9293-intent", "linux", "linux-6.8"]
        );
    }
}
