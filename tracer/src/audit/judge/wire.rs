//! What every segment of the kernel has to keep to, in whatever scenario: some requirements are decided by all of them.

use std::collections::HashMap;

use model::{Flags, Seq, linux::DeviationId};

use crate::audit::{
    play::{Played, Recorded},
    world::Parsed,
};

/// A requirement that a segment breaks, with the segment's place in the log, what is wrong, and the known deviation.
pub type Broken = (&'static str, usize, String, Option<DeviationId>);

/// The requirements that are looked at here.
pub const WATCHED: [&str; 5] = ["MUST-2", "MUST-65", "MUST-68", "MUST-69", "SHLD-14"];

/// How many segments of the kernel were looked at, and what was wrong with them.
#[must_use]
pub fn inspect(played: &Played) -> (usize, Vec<Broken>) {
    let mut looked = 0;
    let mut broken = Vec::new();
    let mut edges: HashMap<usize, Edge> = HashMap::new();
    for (at, logged) in played.log.iter().enumerate() {
        let Recorded::Segment { parsed, from_kernel, .. } = &logged.what else { continue };
        let edge = edges.entry(logged.connection).or_default();
        if !from_kernel {
            if parsed.segment.has(Flags::SYN) {
                edge.peer_scales = parsed.segment.options.window_scale.is_some();
            }
            continue;
        }
        looked += 1;
        if !parsed.checksum_fits {
            broken.push(("MUST-2", at, "a wrong checksum".to_owned(), None));
        }
        if parsed.segment.options.mss.is_some() && !parsed.segment.has(Flags::SYN) {
            broken.push(("MUST-65", at, "MSS without SYN".to_owned(), None));
        }
        broken.extend(
            options(&parsed.raw_options).into_iter().map(|(id, what)| (id, at, what.to_owned(), None)),
        );
        if let Some((by, known)) = edge.shrinks(parsed) {
            broken.push(("SHLD-14", at, format!("the window's right edge moves left by {by}"), known));
        }
    }
    (looked, broken)
}

/// Whether options have lengths, and what follows EOL is zero.
fn options(octets: &[u8]) -> Option<(&'static str, &'static str)> {
    let mut rest = octets;
    while let Some((kind, tail)) = rest.split_first() {
        match kind {
            0 => return tail.iter().any(|octet| *octet != 0).then_some(("MUST-69", "octets after EOL")),
            1 => rest = tail,
            _ => {
                let length = tail.first().map_or(0, |length| usize::from(*length));
                match rest.get(length..) {
                    Some(next) if length >= 2 => rest = next,
                    _ => return Some(("MUST-68", "an option without a proper length")),
                }
            }
        }
    }
    None
}

/// The right edge of the window that the kernel offers on a connection.
#[derive(Debug, Default)]
struct Edge {
    peer_scales: bool,
    shift: u8,
    /// A SYN,ACK followed the kernel's own SYN.
    crossed: bool,
    opened: bool,
    right: Option<Seq>,
}

impl Edge {
    /// By how much the edge moves left, if it does. A scaled field tells it in steps.
    fn shrinks(&mut self, parsed: &Parsed) -> Option<(u32, Option<DeviationId>)> {
        let segment = &parsed.segment;
        if segment.flags == Flags::SYN {
            self.opened = true;
        }
        if !segment.has(Flags::ACK) || segment.has(Flags::RST) {
            return None;
        }
        let opening = segment.has(Flags::SYN);
        if opening {
            self.shift = segment.options.window_scale.unwrap_or(0).min(14);
            self.right = None;
            self.crossed = self.opened;
        }
        let shift = if opening || !self.peer_scales { 0 } else { self.shift };
        let right = segment.ack + (u32::from(segment.window) << shift);
        let before = self.right.replace(right)?;
        let step = 1_u32 << self.shift.max(shift);
        let scaled = segment.ack + (u32::from(segment.window) << self.shift);
        let forgot = self.crossed && !self.peer_scales && (!before.gt(scaled) || before - scaled < step);
        let known = forgot.then_some(DeviationId::CrossedSynScalesWindow);
        (before.gt(right) && before - right >= 1 << shift).then(|| (before - right, known))
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use model::{Flags, Segment};

    use super::{Edge, options};
    use crate::audit::world::{Addresses, Forged, Parsed, build, parse};

    fn told(flags: Flags, ack: u32, window: u16) -> Parsed {
        let end = |port| (IpAddr::from([192, 0, 2, 1]), port);
        let addresses = Addresses { source: end(1), destination: end(2) };
        let segment = Segment::new(flags, 100, ack).window(window);
        parse(&build((&addresses, &segment, &Forged::default()))).unwrap()
    }

    #[test]
    fn a_right_edge_that_moves_left_is_seen() {
        let mut edge = Edge::default();
        for (ack, window, shrinks) in [
            (1, 1_000, None),
            (501, 500, None),
            (501, 2_000, None),
            (601, 1_800, Some((100, None))),
            (601, 1_800, None),
        ] {
            assert_eq!(edge.shrinks(&told(Flags::ACK, ack, window)), shrinks, "{ack} {window}");
        }
        // A new connection's window has nothing to do with the last one's.
        assert_eq!(edge.shrinks(&told(Flags::SYN_ACK, 1, 500)), None);
    }

    #[test]
    fn options_have_lengths_and_end_in_zeros() {
        for fine in [&[][..], &[1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0], &[2, 4, 5, 180], &[0, 0, 0, 0]] {
            assert_eq!(options(fine), None, "{fine:?}");
        }
        assert_eq!(options(&[0, 1]).map(|(id, _)| id), Some("MUST-69"));
        assert_eq!(options(&[8]).map(|(id, _)| id), Some("MUST-68"));
        assert_eq!(options(&[8, 1, 0, 0]).map(|(id, _)| id), Some("MUST-68"));
        assert_eq!(options(&[8, 10, 0]).map(|(id, _)| id), Some("MUST-68"));
    }
}
