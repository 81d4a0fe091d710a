//! The transmission control block: everything a connection remembers (RFC 9293, section 3.3.1).

use crate::event::{Origin, Remote, Timer};
use crate::reassembly::Reassembly;
use crate::seq::Seq;
use crate::state::State;

/// The parameters of an OPEN; a listening TCB hands them to the connection it becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// The MSS we announce: what we can receive less 20 octets (MUST-67).
    pub mss: u16,
    /// The MSS to assume of a peer that announces none: 536, or 1220 over IPv6 (MUST-15).
    pub default_mss: u16,
    /// Octets of text the receive buffer holds.
    pub receive_buffer: u32,
    /// Octets of text that may wait or be unacknowledged.
    pub send_buffer: u32,
    /// The window shift count we offer (RFC 7323), at most 14.
    pub window_scale: Option<u8>,
    /// Whether we offer timestamps (RFC 7323).
    pub timestamps: bool,
    /// Whether we offer SACK.
    pub sack: bool,
    /// Nagle's algorithm (SHLD-7); off for MUST-17.
    pub nagle: bool,
    /// Idle time before the first keep-alive probe, in microseconds; off by default (MUST-25).
    pub keep_alive: Option<u64>,
    /// User timeout, in microseconds.
    pub user_timeout: Option<u64>,
    /// An active OPEN waits with its SYN for the first SEND, which then rides on it (RFC 7413).
    pub fast_open: bool,
    /// Security compartment.
    pub compartment: u8,
}

impl Config {
    /// Unscaled 65,535-octet window, MSS 1460, no options beyond MSS, Nagle on.
    pub const DEFAULT: Self = Self {
        mss: 1460,
        default_mss: 536,
        receive_buffer: 65_535,
        send_buffer: 65_535,
        window_scale: None,
        timestamps: false,
        sack: false,
        nagle: true,
        keep_alive: None,
        user_timeout: None,
        fast_open: false,
        compartment: 0,
    };
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Our own FIN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fin {
    /// The user has not called CLOSE.
    #[default]
    None,
    /// CLOSE was called; the FIN goes out behind the last text.
    Wanted,
    /// Sent: it has the number SND.NXT - 1.
    Sent,
}

/// Send sequence space and what waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SendSpace {
    /// ISS.
    pub iss: Seq,
    /// SND.UNA. What lies from here to `nxt` is the retransmission queue.
    pub una: Seq,
    /// SND.NXT: the highest number sent, plus one. A retransmission does not move it back.
    pub nxt: Seq,
    /// SND.WND, scaled.
    pub wnd: u32,
    /// SND.WL1.
    pub wl1: Seq,
    /// SND.WL2.
    pub wl2: Seq,
    /// MAX.SND.WND (RFC 5961, section 5).
    pub max_wnd: u32,
    /// SND.UP, while urgent data is unacknowledged: the number after it (MUST-62).
    pub up: Option<Seq>,
    /// Octets accepted from the user and not yet sent.
    pub queued: u32,
    /// How many of those lie before the last PUSH.
    pub pushed: u32,
    /// Our FIN.
    pub fin: Fin,
}

/// Receive sequence space and what waits for the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ReceiveSpace {
    /// IRS.
    pub irs: Seq,
    /// RCV.NXT.
    pub nxt: Seq,
    /// RCV.WND: RCV.NXT plus this is the right edge, which never moves left (SHLD-14).
    pub wnd: u32,
    /// RCV.UP while it is ahead of the user.
    pub up: Option<Seq>,
    /// Octets received in order and not yet read.
    pub readable: u32,
    /// Those octets end in a PUSH.
    pub push: bool,
    /// Octets that waiting RECEIVE calls ask for.
    pub wanted: u32,
    /// The user will read no more (MAY-1).
    pub reader_gone: bool,
    /// FINs of the peer that nobody has read up to.
    pub unread_fins: UnreadFins,
    /// Text and FIN out of order.
    pub held: Reassembly,
    /// Octets received since the last ACK: two full segments must not wait (SHLD-19).
    pub unacked: u32,
    /// Last.ACK.sent (RFC 7323, section 4.3).
    pub last_ack: Seq,
}

impl ReceiveSpace {
    /// The user has not read all: a second FIN makes a number of the stream of the first one.
    #[must_use]
    pub const fn is_unread(&self) -> bool {
        self.readable > 0 || self.unread_fins.count > 1
    }
}

/// FINs of the peer that a RECEIVE has not met yet. Linux keeps them among the text (`sk_receive_queue`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct UnreadFins {
    /// How many: more than one of a peer that contradicts itself.
    pub count: u8,
    /// The first one is in one buffer with the text before it: who has read all of that has met it.
    pub with_text: bool,
}

impl UnreadFins {
    /// A RECEIVE comes upon the first one.
    pub fn meet(&mut self) {
        *self = Self { count: self.count.saturating_sub(1), with_text: false };
    }
}

/// What the two SYNs agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Agreed {
    /// The peer's MSS option, or the default (MUST-15).
    pub peer_mss: u16,
    /// Shift counts (for SND.WND, for RCV.WND), when both sides offered.
    pub scale: Option<(u8, u8)>,
    /// The peer offered no shift, and the other one is ours all the same.
    pub scale_is_unasked: bool,
    /// Timestamps on every segment.
    pub timestamps: Option<Recent>,
    /// SACK.
    pub sack: bool,
}

/// TS.Recent and when it was set, in microseconds: after 24 days it is no longer valid (RFC 7323, section 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recent {
    /// TS.Recent.
    pub value: u32,
    /// When.
    pub since: u64,
}

/// Round-trip time, retransmission timeout and counters of unanswered attempts (RFC 6298). Microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rtt {
    /// SRTT; none before the first measurement.
    pub srtt: Option<u64>,
    /// RTTVAR.
    pub rttvar: u64,
    /// RTO, with backoff.
    pub rto: u64,
    /// The segment being timed: the number whose ACK ends the measurement, and when it was sent.
    pub timing: Option<(Seq, u64)>,
    /// Retransmissions of the head of the queue so far.
    pub retransmits: u8,
    /// When the head of the queue was first retransmitted.
    pub since: u64,
    /// SND.NXT when the timer expired: what was sent before that is taken for lost, too, until acknowledged.
    pub recover: Option<Seq>,
    /// The SYN timed out: data starts with three seconds (RFC 6298, 5.7).
    pub syn_lost: bool,
    /// Zero-window probes since the window closed.
    pub probes: u8,
    /// Keep-alive probes without answer.
    pub keep_alive_probes: u8,
}

/// A set of timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TimerSet(u8);

impl TimerSet {
    /// True when the timer is in the set.
    #[must_use]
    pub const fn has(self, timer: Timer) -> bool {
        self.0 & (1 << timer as u8) != 0
    }

    /// The same set with this timer.
    #[must_use]
    pub const fn with(self, timer: Timer) -> Self {
        Self(self.0 | (1 << timer as u8))
    }

    /// The same set without this timer.
    #[must_use]
    pub const fn without(self, timer: Timer) -> Self {
        Self(self.0 & !(1 << timer as u8))
    }

    /// The timers in the set.
    pub fn iter(self) -> impl Iterator<Item = Timer> {
        Timer::ALL.into_iter().filter(move |timer| self.has(*timer))
    }
}

/// What TIME-WAIT knew, kept while a SYN that reopened it is unproven (MAY-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Former {
    /// SND.NXT of the former incarnation.
    pub snd_nxt: Seq,
    /// RCV.NXT of the former incarnation.
    pub rcv_nxt: Seq,
    /// RCV.WND of the former incarnation.
    pub rcv_wnd: u32,
    /// What the former incarnation agreed on.
    pub agreed: Agreed,
}

/// Challenge ACKs sent in the current period (RFC 5961, section 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Throttle {
    /// When the period began, in microseconds.
    pub since: u64,
    /// How many since.
    pub count: u32,
}

/// A connection's memory. `CLOSED` is a TCB too, with nothing in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tcb {
    /// The state.
    pub state: State,
    /// How it was opened (MUST-11).
    pub origin: Origin,
    /// The other end.
    pub remote: Remote,
    /// The other end as the passive OPEN named it: what a return to LISTEN restores.
    pub listen_remote: Remote,
    /// Parameters.
    pub config: Config,
    /// Send side.
    pub snd: SendSpace,
    /// Receive side.
    pub rcv: ReceiveSpace,
    /// Options agreed.
    pub agreed: Agreed,
    /// Timing.
    pub rtt: Rtt,
    /// Timers running.
    pub timers: TimerSet,
    /// Challenge ACKs.
    pub challenges: Throttle,
    /// CLOSE has been answered.
    pub close_answered: bool,
    /// The incarnation before this one, while it may have to come back.
    pub former: Option<Former>,
}

impl Tcb {
    /// No connection.
    #[must_use]
    pub fn closed() -> Self {
        Self {
            state: State::Closed,
            origin: Origin::Passive,
            remote: Remote::Unspecified,
            listen_remote: Remote::Unspecified,
            config: Config::DEFAULT,
            snd: SendSpace::default(),
            rcv: ReceiveSpace::default(),
            agreed: Agreed::default(),
            rtt: Rtt {
                srtt: None,
                rttvar: 0,
                rto: 0,
                timing: None,
                retransmits: 0,
                since: 0,
                recover: None,
                syn_lost: false,
                probes: 0,
                keep_alive_probes: 0,
            },
            timers: TimerSet::default(),
            challenges: Throttle::default(),
            close_answered: false,
            former: None,
        }
    }

    /// A passive OPEN's TCB.
    #[must_use]
    pub fn listening(config: Config, remote: Remote) -> Self {
        Self { state: State::Listen, config, remote, listen_remote: remote, ..Self::closed() }
    }

    /// True when our FIN has been sent and acknowledged.
    #[must_use]
    pub fn fin_acked(&self) -> bool {
        self.snd.fin == Fin::Sent && self.snd.una == self.snd.nxt
    }

    /// True when something sent is not acknowledged: the retransmission queue is not empty.
    #[must_use]
    pub fn in_flight(&self) -> bool {
        self.snd.una != self.snd.nxt
    }

    /// True while our SYN is not acknowledged.
    #[must_use]
    pub fn syn_unacked(&self) -> bool {
        self.snd.una == self.snd.iss && !matches!(self.state, State::Closed | State::Listen)
    }

    /// The largest text we send: the smaller of both MSS values less the octets of agreed options (MUST-16); at least 1.
    #[must_use]
    pub fn effective_mss(&self) -> u32 {
        let options = if self.agreed.timestamps.is_some() { 12 } else { 0 };
        u32::from(self.agreed.peer_mss.min(self.config.mss)).saturating_sub(options).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, Tcb};
    use crate::event::Remote;

    #[test]
    fn a_listener_remembers_whom_it_waits_for() {
        for remote in [Remote::Unspecified, Remote::Specified] {
            let tcb = Tcb::listening(Config::DEFAULT, remote);
            assert_eq!((tcb.remote, tcb.listen_remote), (remote, remote));
        }
    }
}
