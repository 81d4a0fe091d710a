//! What the peer does: segments and ICMP errors, forged as the scenario says.

use model::Flags;

use super::{PlayError, Player};
use crate::audit::{
    account::{Ports, now},
    play::log::{Logged, Recorded},
    scenario::{Forgery, Icmp},
    world::{self, Addresses, Forged, addresses},
};

impl Player<'_> {
    pub(super) fn forge(&mut self, place: usize, forgery: &Forgery) -> Result<(), PlayError> {
        self.pump()?;
        let (kernel, peer) = addresses(self.family);
        // Milliseconds, as the kernel's own clock counts them.
        let clock = u32::try_from((now() - self.began) / 1_000_000 + 100_000).unwrap_or(0);
        let Some(connection) = self.connections.get_mut(place) else { return Ok(()) };
        let Ports { kernel: here, peer: there } = connection.ports;
        let segment = connection.forge(forgery, clock);
        let made = Addresses {
            source: (forgery.from.unwrap_or(peer), there),
            destination: (forgery.to.unwrap_or(kernel), here),
        };
        let forged = Forged {
            checksum: forgery.bad_checksum.into(),
            options: forgery.raw_options.clone(),
            ip_options: forgery.ip_options.clone(),
            traffic_class: forgery.traffic_class,
            ecn_bits: forgery.ecn_bits,
        };
        let packet = world::build((&made, &segment, &forged));
        self.mischief = if forgery.bad_checksum {
            Some("bad checksum")
        } else if forgery.from.is_some() || forgery.to.is_some() {
            Some("forged address")
        } else {
            None
        };
        if forgery.lost {
            let parsed = world::parse(&packet);
            if let Ok(parsed) = parsed {
                let what = Recorded::Segment {
                    parsed: Box::new(parsed),
                    from_kernel: false,
                    mischief: Some("lost"),
                    arrives: false,
                    bytes: packet,
                };
                self.log.push(Logged { time: now(), wall: 0, connection: place, line: self.line, what });
            }
        } else {
            self.reference = now();
            let mut ends_an_orphan = segment.has(Flags::FIN) && self.user.socket(place).is_err();
            for _ in 0..if forgery.twice { 2 } else { 1 } {
                self.world.inject(&packet)?;
                if ends_an_orphan {
                    ends_an_orphan = !self.account.fin_for_orphan(Ports { kernel: here, peer: there });
                }
            }
        }
        self.pump()?;
        self.mischief = None;
        Ok(())
    }

    pub(super) fn icmp(&mut self, place: usize, icmp: Icmp) -> Result<(), PlayError> {
        self.pump()?;
        let (kernel, peer) = addresses(self.family);
        let (kind, code) = icmp.number(self.family);
        let Some(connection) = self.connections.get(place) else { return Ok(()) };
        let made = Addresses { source: (peer, 0), destination: (kernel, 0) };
        let packet = world::icmp(kind, code, &connection.last_packet, &made);
        let message = Icmp::ALL.iter().find(|(known, _)| *known == icmp).map_or("", |(_, name)| name);
        self.reference = now();
        let what = Recorded::Icmp { message, class: icmp.class(), bytes: packet.clone() };
        self.log.push(Logged { time: self.reference, wall: 0, connection: place, line: self.line, what });
        self.world.inject(&packet)?;
        self.pump()
    }
}
