//! The values of filters. Each is parsed once into what a comparison needs.

use std::{fmt, net::IpAddr, str::FromStr};

use model::{State, linux::LinuxState};

use crate::event::Task;

/// Why a text is no value of a filter. Clap says which text it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Neither a port nor a range.
    #[error("a port is a number up to 65535, or a range of them, for example 443 or 8000-8100")]
    Port,
    /// A range that holds nothing.
    #[error("the range ends before it begins; write it as {last}-{first}")]
    EmptyRange {
        /// As typed.
        first: u16,
        /// As typed.
        last: u16,
    },
    /// Not an address.
    #[error(
        "expected an IP address or a network, for example 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32; names are not looked up"
    )]
    Address,
    /// The part behind the slash.
    #[error("a network of this family has 0 to {longest} bits behind the slash, for example {example}")]
    PrefixLength {
        /// 32 or 128.
        longest: u8,
        /// What would be right.
        example: &'static str,
    },
    /// No state is called that.
    #[error(
        "the states are {}; also as ss or RFC 9293 spell them, for example fin-wait-1 or SYN-RECEIVED",
        state_names()
    )]
    State,
    /// An empty command name fits nothing.
    #[error("expected a command name as in /proc/PID/comm, for example nginx")]
    CommandName,
}

fn state_names() -> String {
    LinuxState::ALL.map(LinuxState::name).join(" ")
}

/// One port, or all from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// True when the port is in it.
    #[must_use]
    pub const fn contains(&self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
    }
}

impl FromStr for PortRange {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let port = |text: &str| text.parse::<u16>().map_err(|_| Invalid::Port);
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (port(first)?, port(last)?);
        if first > last { Err(Invalid::EmptyRange { first, last }) } else { Ok(Self { first, last }) }
    }
}

/// All addresses that share their first bits. An IPv4 address that is mapped into IPv6 counts as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// True when the address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && first_bits(address, self.bits) == self.address
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl FromStr for Network {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| Invalid::Address)?;
        let (longest, example) = match address {
            IpAddr::V4(_) => (32, "10.0.0.0/8"),
            IpAddr::V6(_) => (128, "2001:db8::/32"),
        };
        let bits = match bits {
            None => longest,
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|bits| *bits <= longest)
                .ok_or(Invalid::PrefixLength { longest, example })?,
        };
        // ::ffff:0:0/96 is the whole of IPv4; with fewer bits the network is one of IPv6.
        let (address, bits) = match (address.to_canonical(), bits.checked_sub(96)) {
            (inner @ IpAddr::V4(_), Some(inner_bits)) if address.is_ipv6() => (inner, inner_bits),
            _ => (address, bits),
        };
        Ok(Self { address: first_bits(address, bits), bits })
    }
}

fn first_bits(address: IpAddr, bits: u8) -> IpAddr {
    let bits = u32::from(bits);
    match address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & mask).into())
        }
    }
}

/// The states that one name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct States(&'static [LinuxState]);

impl States {
    /// True when the name stands for this state.
    #[must_use]
    pub fn contains(self, state: LinuxState) -> bool {
        self.0.contains(&state)
    }
}

impl FromStr for States {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let plain = |name: &str| -> String {
            name.chars()
                .filter(char::is_ascii_alphanumeric)
                .map(|letter| letter.to_ascii_lowercase())
                .collect()
        };
        let typed = plain(text);
        let typed = typed.strip_prefix("tcp").unwrap_or(&typed);
        let wanted = match typed {
            // As ss calls them.
            "estab" => LinuxState::Established,
            "listening" => LinuxState::Listen,
            "unconn" => LinuxState::Close,
            _ => LinuxState::ALL
                .into_iter()
                .find(|state| plain(state.name()) == typed)
                .or_else(|| {
                    let rfc = State::ALL.into_iter().find(|state| plain(state.name()) == typed)?;
                    LinuxState::ALL.into_iter().find(|state| state.rfc() == rfc)
                })
                .ok_or(Invalid::State)?,
        };
        // A full socket in SYN_RECV and a half-open request are both SYN-RECEIVED, for ss as for the RFC.
        const SYN_RECEIVED: &[LinuxState] = &[LinuxState::SynRecv, LinuxState::NewSynRecv];
        if wanted == LinuxState::SynRecv {
            return Ok(Self(SYN_RECEIVED));
        }
        let place = LinuxState::ALL.iter().position(|state| *state == wanted);
        place.map(|place| Self(std::slice::from_ref(&ALL[place]))).ok_or(Invalid::State)
    }
}

static ALL: [LinuxState; LinuxState::ALL.len()] = LinuxState::ALL;

/// A command name as the kernel keeps it: 15 bytes and NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandName([u8; 16]);

impl CommandName {
    /// True when the task is called so.
    #[must_use]
    pub fn is(&self, task: &Task) -> bool {
        let named = |comm: &[u8; 16]| comm.iter().position(|byte| *byte == 0).unwrap_or(comm.len());
        self.0[..named(&self.0)] == task.comm[..named(&task.comm)]
    }
}

impl FromStr for CommandName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Err(Invalid::CommandName);
        }
        let mut name = [0; 16];
        for (place, byte) in name[..15].iter_mut().zip(text.bytes()) {
            *place = byte;
        }
        Ok(Self(name))
    }
}

#[cfg(test)]
mod tests {
    use model::{State, linux::LinuxState};

    use super::{Invalid, Network, PortRange, States};

    #[test]
    fn every_spelling_of_every_state() {
        for state in LinuxState::ALL {
            assert!(state.name().parse::<States>().unwrap().contains(state), "{state}");
        }
        for rfc in State::ALL {
            let states: States = rfc.name().parse().unwrap();
            for linux in LinuxState::ALL {
                assert_eq!(states.contains(linux), linux.rfc() == rfc, "{rfc} {linux}");
            }
        }
        for (ss, state) in [("ESTAB", LinuxState::Established), ("UNCONN", LinuxState::Close)] {
            assert!(ss.parse::<States>().unwrap().contains(state));
        }
        assert_eq!("".parse::<States>(), Err(Invalid::State));
    }

    #[test]
    fn ports_and_ranges() {
        let range: PortRange = "8000-8100".parse().unwrap();
        let inside = [7999, 8000, 8100, 8101].map(|port| range.contains(port));
        assert_eq!(inside, [false, true, true, false]);
        assert_eq!("".parse::<PortRange>(), Err(Invalid::Port));
        assert_eq!("1-2-3".parse::<PortRange>(), Err(Invalid::Port));
        assert_eq!("2-1".parse::<PortRange>(), Err(Invalid::EmptyRange { first: 2, last: 1 }));
    }

    #[test]
    fn a_network_begins_at_its_first_address() {
        let network = |text: &str| text.parse::<Network>().unwrap();
        assert_eq!(network("10.1.2.3/8"), network("10.0.0.0/8"));
        assert_eq!(network("::ffff:10.1.2.3/104"), network("10.0.0.0/8"));
        assert!(network("2001:db8::/32").contains("2001:db8:1::1".parse().unwrap()));
        assert!(!network("2001:db8::/32").contains("2001:db9::".parse().unwrap()));
        assert!(network("::/0").contains("fe80::1".parse().unwrap()));
        assert!(network("0.0.0.0/0").contains("::ffff:8.8.8.8".parse().unwrap()));
        assert!("10.0.0.0/".parse::<Network>().is_err() && "10.0.0.0/-1".parse::<Network>().is_err());
    }
}
