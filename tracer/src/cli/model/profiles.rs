//! The profiles, switch by switch.

use model::contradiction::{CONTRADICTIONS, Decision};
use model::profile::{
    AfterReset, BadAck, LastAckEntry, Limits, Profile, R2, SecondListen, SynExtras, SynInSynReceived,
    TimeWaitAck,
};

use super::super::nearest::{nearest, plain};
use super::table::{Column, Table};

/// The profiles with a name, where stories can borrow them.
static PROFILES: [Profile; Profile::ALL.len()] = Profile::ALL;

/// A switch of a profile, or a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// The field's name.
    pub name: &'static str,
    /// How it stands in one profile.
    pub value: String,
    /// What it decides.
    pub meaning: &'static str,
}

impl Switch {
    /// The contradiction of the RFC that it settles.
    pub fn contradiction(&self) -> Option<u8> {
        let settles = |decision: &Decision| match decision {
            Decision::Switch(names, _) => names.split(", ").any(|name| name == self.name),
            Decision::Always(_) => false,
        };
        CONTRADICTIONS.iter().find(|entry| settles(&entry.decision)).map(|entry| entry.number)
    }
}

/// The profile with this name, or the names nearest to it.
pub fn find(name: &str) -> Result<&'static Profile, Vec<&'static str>> {
    let found = PROFILES.iter().find(|profile| plain(profile.name) == plain(name));
    found.ok_or_else(|| nearest(PROFILES.iter().map(|profile| profile.name), name))
}

/// The names, for messages.
pub fn names() -> Vec<&'static str> {
    PROFILES.iter().map(|profile| profile.name).collect()
}

/// Switches down, profiles across.
pub fn table() -> Table {
    let mut columns = vec![Column::new("Switch")];
    columns.extend(PROFILES.iter().map(|profile| Column::wrapped(profile.name, 16)));
    columns.extend([Column::hidden("Contradiction"), Column::hidden("Meaning")]);
    let profiles: Vec<_> = PROFILES.iter().map(switches).collect();
    let [first, ..] = profiles.as_slice() else { return Table::new(columns, Vec::new()) };
    let row = |(at, switch): (usize, &Switch)| {
        let mut row = vec![switch.name.into()];
        row.extend(profiles.iter().map(|of| of.get(at).map(|switch| switch.value.clone()).into()));
        row.extend([switch.contradiction().into(), switch.meaning.into()]);
        row
    };
    Table::new(columns, first.iter().enumerate().map(row).collect())
}

/// How a profile differs from the named one that it was made from: `rfc1337 yes`.
pub fn differences(profile: &Profile) -> Vec<String> {
    let Ok(base) = find(profile.name) else { return Vec::new() };
    let changed = switches(profile).into_iter().zip(switches(base)).filter(|(now, then)| now != then);
    changed.map(|(now, _)| format!("{} {}", now.name, now.value)).collect()
}

/// Every field of a structure with its value and its meaning; a field that is forgotten does not compile.
macro_rules! switches {
    ($structure:ident, $value:expr, besides $($besides:ident)*; $($field:ident $meaning:literal;)*) => {{
        let $structure { $($besides: _,)* $($field),* } = $value;
        vec![$(Switch { name: stringify!($field), value: $field.show(), meaning: $meaning }),*]
    }};
}

/// The switches of a profile in the order of its fields, its limits last.
pub fn switches(profile: &Profile) -> Vec<Switch> {
    let mut all = switches!(Profile, *profile, besides name limits;
        rfc5961_rst "A reset counts at RCV.NXT only; elsewhere in the window it draws a challenge ACK.";
        rfc5961_syn "A SYN on a connection draws a challenge ACK instead of a reset.";
        rfc5961_ack "ACKs older than SND.UNA-MAX.SND.WND are refused (MAY-12).";
        rfc6191 "A newer SYN reopens a connection in TIME-WAIT.";
        rfc1337 "A reset does not end TIME-WAIT.";
        rfc7323 "Timestamps protect against wrapped sequence numbers.";
        fast_open "Fast Open: data on the SYN is delivered at once (RFC 7413).";
        syn_cookies "SYN cookies (RFC 4987).";
        security "Security compartments are compared; appendix A.1.2 lets others ignore them.";
        half_duplex_close "CLOSE also ends reading: unread or late text resets the connection (SHLD-3).";
        figure_7 "The crossing SYN,ACK of a simultaneous open counts, as in figure 7.";
        after_reset "Where ABORT leaves the one who calls it.";
        syn_in_syn_received "What a SYN in the window does to a passively opened half-open connection.";
        duplicate_syn_draws_syn_ack "The same SYN again is answered by the SYN,ACK again instead of an ACK.";
        bad_ack "What answers an unacceptable ACK in SYN-RECEIVED.";
        fin_again_restarts "The peer's FIN again, outside the window, restarts 2MSL.";
        time_wait_ack "What TIME-WAIT takes for the peer's FIN in the fifth check.";
        last_ack_entry "When CLOSE in CLOSE-WAIT with text to send enters LAST-ACK.";
        window_from_syn_ack "The SYN,ACK sets the send window on the way to ESTABLISHED.";
        ack_at_zero_window "At a closed window ACK counts, and not RST and URG alone.";
        user_timeout_resets "The user timeout sends a reset.";
        keep_alive_resets "Keep-alives that give up send a reset (the RFC is silent).";
        syn_extras "What becomes of text and FIN on a SYN.";
        second_listen "What a second passive OPEN on a listening TCB does.";
        partial_ack_in_last_ack "In LAST-ACK the ACK of text before the FIN counts.";
        reads_after_close "Text that came with the FIN can still be read in CLOSING, LAST-ACK and TIME-WAIT.";
        reopen_falls_back "A reopened TIME-WAIT comes back when its SYN proves old (MAY-2, second condition).";
        reopen_gap "How far the ISS of a reopened TIME-WAIT lies beyond the old SND.NXT, at least.";
        reset_before_fin "A reset one before RCV.NXT counts after the peer's FIN (Linux: tcp_reset_check).";
        half_open_requests "A passively opened half-open connection is a request with checks of its own (Linux).";
        handshake_by_old_ack "An ACK of ISS completes a simultaneous open (Linux).";
        old_ack_refused "Once either side has closed a segment with an old ACK is challenged and dropped (older Linux).";
        unsent_ack_unanswered "On an open connection an ACK of what was never sent draws no ACK (older Linux).";
        half_open_reset_in_window "A reset anywhere in the window ends a half-open request (older Linux).";
        closed_window_ignored "A segment with the number of the last window does not close it (older Linux).";
        text_at_edge_counts "ACK and window of text at the right edge count whatever waits to be read (older Linux).";
        fin_beyond_edge "The ACK of a segment counts whose FIN has no room (Linux, most releases).";
        loose_edges "What touches the window's edges is acceptable (Linux).";
        ack_floor_by_acked "The range of acceptable ACKs begins with what was acknowledged at all (Linux).";
        timestamps_optional "A segment without agreed timestamps is taken all the same (Linux).";
        ackless_unanswered "A segment with none of SYN, ACK and RST is dropped before its number is looked at (Linux).";
        text_after_fin_resets "Text behind the peer's FIN resets (Linux).";
        second_fin_unanswered "Another FIN behind the peer's FIN draws no ACK (Linux).";
        second_fin_counts "Another FIN of a segment that begins before RCV.NXT moves RCV.NXT on (Linux).";
        reset_at_edge "The reset of ABORT has the number at the right edge of a window taken back (Linux).";
        time_wait_without_user "A CLOSE in TIME-WAIT with unread text resets nothing (Linux).";
        time_wait_unchallenged "In TIME-WAIT neither an inexact reset nor an ACK out of range is challenged (Linux).";
        reset_behind_held "A reset right behind the last text held counts where SACK is agreed (Linux).";
        orphan_minisockets "An orphan in FIN-WAIT-2 is a minisocket with checks of its own (Linux).";
        late_fin_resets "A FIN out of order resets an orphan, as late text does (Linux).";
        window_by_progress "A window counts with an ACK of something new, and not where it only shrinks (Linux).";
        predicted_window "Text in order that brings nothing else renews SND.WL1 (Linux, at times).";
        fin_ends_stream "Text held behind a FIN in order is dropped (Linux).";
        held_text_joins "Text held right behind a held FIN lies before it (Linux, at times).";
        empty_at_edge "A segment without text at the right edge of the window is taken (Linux: tcp_sequence).";
        fin_wait_2 "How long an orphan stays in FIN-WAIT-2; the RFC waits for ever.";
        hard_icmp_aborts "Hard ICMP errors abort synchronized connections (SHLD-26).";
        soft_icmp_aborts_opening "Soft ICMP errors abort connections that are being opened (against MUST-56).";
    );
    all.extend(switches!(Limits, profile.limits, besides;
        time_wait "Time in TIME-WAIT: twice the MSL (MUST-13).";
        rto_initial "Retransmission timeout before any measurement (RFC 6298, 2.1).";
        rto_min "The smallest retransmission timeout (RFC 6298, 2.4).";
        rto_max "The largest retransmission timeout (RFC 6298, 2.5).";
        linear_syns "Retransmissions of a SYN before its timeout begins to double (RFC 6298, 5.5).";
        granularity "The clock granularity G (RFC 6298, 2).";
        r1 "R1: retransmissions until the lower layer is told (SHLD-10).";
        r2 "R2: when retransmission of data gives up (SHLD-11).";
        r2_syn "R2 for SYN (MUST-23).";
        r2_syn_ack "R2 for SYN,ACK.";
        delayed_ack "How long an ACK may wait (MUST-40).";
        sws_override "When the sender's silly-window avoidance gives way.";
        keep_alive_interval "Between keep-alive probes.";
        keep_alive_probes "Unanswered keep-alive probes that end the connection (MUST-29).";
        challenges "Challenge ACKs per period (RFC 5961, section 7).";
    ));
    all
}

/// A value for eyes.
trait Show {
    fn show(&self) -> String;
}

macro_rules! show_by_name {
    ($($kind:ty),*) => {$(
        impl Show for $kind {
            fn show(&self) -> String {
                kebab(&format!("{self:?}"))
            }
        }
    )*};
}

show_by_name!(AfterReset, SynInSynReceived, BadAck, LastAckEntry, SynExtras, SecondListen, TimeWaitAck);

impl Show for bool {
    fn show(&self) -> String {
        if *self { "yes" } else { "no" }.to_owned()
    }
}

impl Show for u8 {
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Show for u32 {
    fn show(&self) -> String {
        self.to_string()
    }
}

/// Times are in microseconds.
impl Show for u64 {
    fn show(&self) -> String {
        match *self {
            time if time > 0 && time < 1_000_000 && time % 1_000 == 0 => format!("{} ms", time / 1_000),
            time if time % 1_000_000 == 0 => format!("{} s", time / 1_000_000),
            time => format!("{time} us"),
        }
    }
}

impl Show for Option<u64> {
    fn show(&self) -> String {
        self.map_or_else(|| "for ever".to_owned(), |time| time.show())
    }
}

impl Show for R2 {
    fn show(&self) -> String {
        match self {
            Self::Count(count) => format!("{count} times"),
            Self::After(time) => format!("after {}", time.show()),
        }
    }
}

impl Show for Option<(u32, u64)> {
    fn show(&self) -> String {
        self.map_or_else(|| "unlimited".to_owned(), |(count, period)| format!("{count} in {}", period.show()))
    }
}

/// `ReturnToListen` as `return-to-listen`.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{differences, find, kebab, names, switches};

    #[test]
    fn the_switches_of_contradictions_are_all_there() {
        let intent = find("rfc9293-intent").unwrap();
        let settled: Vec<_> = switches(intent).iter().filter_map(super::Switch::contradiction).collect();
        for number in [2, 4, 5, 6, 7, 9, 12, 13, 15, 16, 17, 19, 21, 22] {
            assert!(settled.contains(&number), "{number} in {settled:?}");
        }
    }

    #[test]
    fn a_named_profile_differs_from_itself_in_nothing_and_a_variation_says_in_what() {
        for name in names() {
            assert!(differences(find(name).unwrap()).is_empty(), "{name}");
        }
        let mut guarded = *find("linux").unwrap();
        guarded.rfc1337 = true;
        guarded.limits.time_wait = 500_000;
        assert_eq!(differences(&guarded), ["rfc1337 yes", "time_wait 500 ms"]);
    }

    #[test]
    fn a_mistyped_profile_gets_a_hint() {
        assert_eq!(find("LINUX").unwrap().name, "linux");
        assert_eq!(find("linux-6").unwrap_err()[0], "linux-6.8");
        assert_eq!(kebab("ReturnToListen"), "return-to-listen");
    }
}
