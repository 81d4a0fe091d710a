//! No header, no TCB, no profile and no time make the machine panic: every combination of a few extremes, and a million
//! draws in which every field is an extreme. Overflow checks are on in the profile that tests are built with.

use model::event::IcmpError;
use model::profile::{
    AfterReset, BadAck, LastAckEntry, Limits, R2, SecondListen, SynExtras, SynInSynReceived, TimeWaitAck,
};
use model::reassembly::Reassembly;
use model::segment::{FastOpen, Options, Timestamps};
use model::tcb::{Agreed, Fin, Former, ReceiveSpace, Recent, Rtt, SendSpace, Throttle, TimerSet, UnreadFins};
use model::{
    Call, CallError, Choices, Config, Effects, Event, Flags, Origin, Profile, Remote, Segment, Seq, State,
    Tcb, Timer, step,
};

/// One step of anything. What has to hold even of nonsense: the effects fit, and no reset answers a reset.
fn take(tcb: &Tcb, now: u64, event: &Event, profile: &Profile, choices: &Choices, out: &mut Effects) {
    let mut after = *tcb;
    step(&mut after, now, event, profile, choices, out);
    assert!(!out.overflowed(), "{event:?}\n{tcb:?}");
    if let Event::Arrives(segment) = event
        && segment.has(Flags::RST)
    {
        assert!(out.segments().all(|sent| !sent.has(Flags::RST)), "{segment}\n{tcb:?}");
    }
}

#[test]
fn every_header_in_every_state_at_the_edges_of_the_numbers() {
    const EDGES: [u32; 5] = [0, 1, 1 << 31, (1 << 31) + 1, u32::MAX];
    let mut out = Effects::new();
    let mut taken = 0_u32;
    for state in State::ALL {
        for (window, room) in [(0, 0), (0, u32::MAX), (1, 1), (u32::MAX, 0), (u32::MAX, u32::MAX)] {
            for fin in [Fin::None, Fin::Wanted, Fin::Sent] {
                let mut tcb = Tcb { state, ..Tcb::closed() };
                (tcb.snd.una, tcb.snd.nxt, tcb.snd.wnd, tcb.snd.fin) = (Seq(u32::MAX), Seq(1), window, fin);
                (tcb.rcv.nxt, tcb.rcv.wnd, tcb.snd.queued) = (Seq(u32::MAX), room, window);
                for flags in 0..=u8::MAX >> 2 {
                    for (seq, ack) in EDGES.into_iter().flat_map(|seq| EDGES.map(|ack| (seq, ack))) {
                        for len in [0, 1, u32::MAX] {
                            let segment = Segment::new(Flags(flags), seq, ack).text(len);
                            let event = Event::Arrives(segment);
                            for profile in [&Profile::ALL[0], &Profile::ALL[1]] {
                                take(&tcb, u64::MAX, &event, profile, &Choices::default(), &mut out);
                                taken += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    assert_eq!(taken, 11 * 5 * 3 * 64 * 25 * 3 * 2);
}

/// Draws (SplitMix64), of numbers mostly extremes.
struct Draw(u64);

impl Draw {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        let index = usize::try_from(self.bits() >> 1).unwrap_or_default() % list.len();
        list[index]
    }

    fn flag(&mut self) -> bool {
        self.bits() & 1 == 1
    }

    fn time(&mut self) -> u64 {
        let any = self.bits();
        self.of(&[0, 1, 1_000_000, u64::MAX - 1, u64::MAX, any])
    }

    #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
    fn size(&mut self) -> u32 {
        let any = self.bits() as u32;
        self.of(&[0, 1, 2, 536, 65_535, 1 << 30, 1 << 31, u32::MAX - 1, u32::MAX, any])
    }

    #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
    fn small(&mut self) -> u16 {
        self.size() as u16
    }

    #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
    fn octet(&mut self) -> u8 {
        self.size() as u8
    }

    fn seq(&mut self) -> Seq {
        Seq(self.size())
    }

    fn maybe<T>(&mut self, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| draw(self))
    }

    fn remote(&mut self) -> Remote {
        self.of(&[Remote::Unspecified, Remote::Specified, Remote::Forbidden])
    }

    fn origin(&mut self) -> Origin {
        self.of(&[Origin::Active, Origin::Passive])
    }

    fn admission(&mut self) -> Result<(), CallError> {
        self.of(&[Ok(()), Ok(()), Err(CallError::NoAccess), Err(CallError::InsufficientResources)])
    }

    fn fast_open(&mut self) -> Option<FastOpen> {
        self.of(&[None, Some(FastOpen::Request), Some(FastOpen::Cookie(7))])
    }

    fn config(&mut self) -> Config {
        Config {
            mss: self.small(),
            default_mss: self.small(),
            receive_buffer: self.size(),
            send_buffer: self.size(),
            window_scale: self.maybe(Self::octet),
            timestamps: self.flag(),
            sack: self.flag(),
            nagle: self.flag(),
            keep_alive: self.maybe(Self::time),
            user_timeout: self.maybe(Self::time),
            fast_open: self.flag(),
            compartment: self.octet(),
        }
    }

    fn agreed(&mut self) -> Agreed {
        Agreed {
            peer_mss: self.small(),
            scale: self.maybe(|draw| (draw.octet(), draw.octet())),
            scale_is_unasked: self.flag(),
            timestamps: self.maybe(|draw| Recent { value: draw.size(), since: draw.time() }),
            sack: self.flag(),
        }
    }

    fn send_space(&mut self) -> SendSpace {
        SendSpace {
            iss: self.seq(),
            una: self.seq(),
            nxt: self.seq(),
            wnd: self.size(),
            wl1: self.seq(),
            wl2: self.seq(),
            max_wnd: self.size(),
            up: self.maybe(Self::seq),
            queued: self.size(),
            pushed: self.size(),
            fin: self.of(&[Fin::None, Fin::Wanted, Fin::Sent]),
        }
    }

    fn receive_space(&mut self) -> ReceiveSpace {
        let mut held = Reassembly::default();
        for _ in 0..self.octet() % 12 {
            held.insert(self.seq(), self.size(), self.flag(), self.flag());
        }
        ReceiveSpace {
            irs: self.seq(),
            nxt: self.seq(),
            wnd: self.size(),
            up: self.maybe(Self::seq),
            readable: self.size(),
            push: self.flag(),
            wanted: self.size(),
            reader_gone: self.flag(),
            unread_fins: UnreadFins { count: self.octet(), with_text: self.flag() },
            held,
            unacked: self.size(),
            last_ack: self.seq(),
        }
    }

    fn rtt(&mut self) -> Rtt {
        Rtt {
            srtt: self.maybe(Self::time),
            rttvar: self.time(),
            rto: self.time(),
            timing: self.maybe(|draw| (draw.seq(), draw.time())),
            retransmits: self.octet(),
            since: self.time(),
            recover: self.maybe(Self::seq),
            syn_lost: self.flag(),
            probes: self.octet(),
            keep_alive_probes: self.octet(),
        }
    }

    /// Nothing is left to a default: a new field has to be drawn, too.
    fn tcb(&mut self) -> Tcb {
        let mut timers = TimerSet::default();
        for timer in Timer::ALL {
            timers = if self.flag() { timers.with(timer) } else { timers };
        }
        Tcb {
            state: self.of(&State::ALL),
            origin: self.origin(),
            remote: self.remote(),
            listen_remote: self.remote(),
            config: self.config(),
            snd: self.send_space(),
            rcv: self.receive_space(),
            agreed: self.agreed(),
            rtt: self.rtt(),
            timers,
            challenges: Throttle { since: self.time(), count: self.size() },
            close_answered: self.flag(),
            former: self.maybe(|draw| Former {
                snd_nxt: draw.seq(),
                rcv_nxt: draw.seq(),
                rcv_wnd: draw.size(),
                agreed: draw.agreed(),
            }),
        }
    }

    fn segment(&mut self) -> Segment {
        Segment {
            seq: self.seq(),
            ack: self.seq(),
            flags: Flags(self.octet()),
            window: self.small(),
            urgent: self.small(),
            len: self.size(),
            options: Options {
                mss: self.maybe(Self::small),
                window_scale: self.maybe(Self::octet),
                sack_permitted: self.flag(),
                timestamps: self.maybe(|draw| Timestamps { value: draw.size(), echo: draw.size() }),
                fast_open: self.fast_open(),
            },
            compartment: self.octet(),
        }
    }

    fn call(&mut self) -> Call {
        let (origin, remote, config, admission) =
            (self.origin(), self.remote(), self.config(), self.admission());
        let (len, push, urgent, reader_gone) = (self.size(), self.flag(), self.flag(), self.flag());
        self.of(&[
            Call::Open { origin, remote, config, admission },
            Call::Send { len, push, urgent, remote, admission },
            Call::Receive { len, admission },
            Call::Close { reader_gone },
            Call::Abort,
            Call::Status,
        ])
    }

    fn event(&mut self) -> Event {
        let (segment, call, timer) = (self.segment(), self.call(), self.of(&Timer::ALL));
        let icmp = self.of(&[IcmpError::SourceQuench, IcmpError::Soft, IcmpError::Hard]);
        let arrives = Event::Arrives(segment);
        self.of(&[
            arrives,
            arrives,
            Event::Call(call),
            Event::Expires(timer),
            Event::Icmp(icmp),
            Event::Transmit,
        ])
    }

    fn r2(&mut self) -> R2 {
        let (count, time) = (self.octet(), self.time());
        self.of(&[R2::Count(count), R2::After(time)])
    }

    fn profile(&mut self) -> Profile {
        Profile {
            name: "drawn",
            rfc5961_rst: self.flag(),
            rfc5961_syn: self.flag(),
            rfc5961_ack: self.flag(),
            rfc6191: self.flag(),
            rfc1337: self.flag(),
            rfc7323: self.flag(),
            fast_open: self.flag(),
            syn_cookies: self.flag(),
            security: self.flag(),
            half_duplex_close: self.flag(),
            figure_7: self.flag(),
            after_reset: self.of(&[AfterReset::Closed, AfterReset::TimeWait]),
            syn_in_syn_received: self.of(&[
                SynInSynReceived::ReturnToListen,
                SynInSynReceived::Challenge,
                SynInSynReceived::ResetAndForget,
            ]),
            duplicate_syn_draws_syn_ack: self.flag(),
            bad_ack: self.of(&[BadAck::Reset, BadAck::Ack]),
            fin_again_restarts: self.flag(),
            time_wait_ack: self.of(&[TimeWaitAck::Fin, TimeWaitAck::Anything]),
            last_ack_entry: self.of(&[LastAckEntry::WhenFinLeaves, LastAckEntry::AtOnce]),
            window_from_syn_ack: self.flag(),
            ack_at_zero_window: self.flag(),
            user_timeout_resets: self.flag(),
            syn_extras: self.of(&[SynExtras::Queue, SynExtras::Ignore]),
            second_listen: self.of(&[SecondListen::Refuse, SecondListen::AnotherTcb]),
            partial_ack_in_last_ack: self.flag(),
            reads_after_close: self.flag(),
            reopen_falls_back: self.flag(),
            reopen_gap: self.size(),
            reset_before_fin: self.flag(),
            empty_at_edge: self.flag(),
            fin_wait_2: self.maybe(Self::time),
            hard_icmp_aborts: self.flag(),
            soft_icmp_aborts_opening: self.flag(),
            keep_alive_resets: self.flag(),
            half_open_requests: self.flag(),
            handshake_by_old_ack: self.flag(),
            old_ack_refused: self.flag(),
            unsent_ack_unanswered: self.flag(),
            half_open_reset_in_window: self.flag(),
            closed_window_ignored: self.flag(),
            text_at_edge_counts: self.flag(),
            fin_beyond_edge: self.flag(),
            loose_edges: self.flag(),
            ack_floor_by_acked: self.flag(),
            timestamps_optional: self.flag(),
            ackless_unanswered: self.flag(),
            text_after_fin_resets: self.flag(),
            second_fin_unanswered: self.flag(),
            second_fin_counts: self.flag(),
            reset_at_edge: self.flag(),
            time_wait_without_user: self.flag(),
            time_wait_unchallenged: self.flag(),
            reset_behind_held: self.flag(),
            orphan_minisockets: self.flag(),
            late_fin_resets: self.flag(),
            window_by_progress: self.flag(),
            predicted_window: self.flag(),
            fin_ends_stream: self.flag(),
            held_text_joins: self.flag(),
            limits: Limits {
                time_wait: self.time(),
                rto_initial: self.time(),
                rto_min: self.time(),
                rto_max: self.time(),
                granularity: self.time(),
                r1: self.octet(),
                r2: self.r2(),
                r2_syn: self.r2(),
                r2_syn_ack: self.r2(),
                delayed_ack: self.time(),
                sws_override: self.time(),
                keep_alive_interval: self.time(),
                keep_alive_probes: self.octet(),
                linear_syns: self.octet(),
                challenges: self.maybe(|draw| (draw.size(), draw.time())),
            },
        }
    }

    fn choices(&mut self) -> Choices {
        Choices {
            iss: self.seq(),
            delay_ack: self.flag(),
            ack_out_of_order: self.flag(),
            hold_out_of_order: self.flag(),
            text_on_syn: self.flag(),
            congestion_window: self.size(),
            burst: self.octet(),
            valid_cookie: self.maybe(Self::small),
            valid_fast_open: self.flag(),
            fast_open: self.fast_open(),
            listener: self.flag(),
        }
    }
}

#[test]
fn any_tcb_any_event_any_profile_any_time() {
    let mut draw = Draw(0);
    let mut out = Effects::new();
    // TOTALITY_DRAWS=n: so many draws instead of a million.
    let draws = std::env::var("TOTALITY_DRAWS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    for _ in 0..draws {
        let (tcb, event, profile, choices) = (draw.tcb(), draw.event(), draw.profile(), draw.choices());
        let now = draw.time();
        take(&tcb, now, &event, &profile, &choices, &mut out);
    }
}
