//! Which sockets, by what does not change in their lives.

use std::{fmt, net::SocketAddr};

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::{Network, PortRange, any};
use crate::{
    event::{Family, Flow, SocketId},
    kernel::netns::{self, FindError},
};

/// Filters as typed.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Filters")]
pub struct SocketArgs {
    /// Local or remote port: a number, a range such as 8000-8100, or a list of them
    #[arg(long = "port", value_name = "PORTS", value_delimiter = ',')]
    ports: Vec<PortRange>,
    /// Local port
    #[arg(long = "local-port", value_name = "PORTS", value_delimiter = ',')]
    local_ports: Vec<PortRange>,
    /// Remote port
    #[arg(long = "remote-port", value_name = "PORTS", value_delimiter = ',')]
    remote_ports: Vec<PortRange>,
    /// Local or remote address, or a network such as 10.0.0.0/8
    #[arg(long = "address", value_name = "IP[/BITS]", value_delimiter = ',')]
    networks: Vec<Network>,
    /// Address family of the socket
    #[arg(long, value_name = "FAMILY", value_parser = families())]
    family: Option<Family>,
    /// Network namespace: a name of `ip netns`, a path such as /proc/42/ns/net, or an inode number
    #[arg(long = "netns", value_name = "NAMESPACE")]
    namespaces: Vec<String>,
}

fn families() -> impl TypedValueParser<Value = Family> {
    // The first parser lets nothing else pass.
    PossibleValuesParser::new(Family::ALL.map(Family::name))
        .map(|name| if name == Family::Ipv6.name() { Family::Ipv6 } else { Family::Ipv4 })
}

/// The filters, ready for use.
#[derive(Clone, Debug, Default)]
pub struct Sockets {
    wanted: SocketArgs,
    /// What records carry of the namespaces in `wanted`.
    namespaces: Vec<u64>,
}

impl Sockets {
    /// Looks up what only the running kernel knows: the namespaces.
    ///
    /// # Errors
    ///
    /// [`FindError`] when a namespace does not exist, or the agent may not ask for its cookie.
    pub fn new(wanted: SocketArgs) -> Result<Self, FindError> {
        let namespaces =
            wanted.namespaces.iter().map(|typed| netns::find(typed)?.identity()).collect::<Result<_, _>>()?;
        Ok(Self { wanted, namespaces })
    }

    /// True when the user wants this socket, which has these ends.
    #[must_use]
    pub fn match_socket(&self, socket: &SocketId, flow: &Flow) -> bool {
        let SocketArgs { ports, local_ports, remote_ports, networks, family, namespaces: _ } = &self.wanted;
        let Flow { family: of_socket, local, remote } = flow;
        let either = |port: &PortRange| port.contains(local.port()) || port.contains(remote.port());
        let on = |network: &Network| {
            [local, remote].into_iter().map(SocketAddr::ip).any(|ip| network.contains(ip))
        };
        // A reset that belongs to no socket has no family.
        family.is_none_or(|wanted| wanted == *of_socket && socket.address != 0)
            && any(&self.namespaces, |wanted| *wanted == socket.netns)
            && any(ports, either)
            && any(local_ports, |port| port.contains(local.port()))
            && any(remote_ports, |port| port.contains(remote.port()))
            && any(networks, on)
    }

    /// True when every socket is wanted.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        let SocketArgs { ports, local_ports, remote_ports, networks, family, namespaces } = &self.wanted;
        ports.is_empty()
            && local_ports.is_empty()
            && remote_ports.is_empty()
            && networks.is_empty()
            && family.is_none()
            && namespaces.is_empty()
    }
}

/// As it would be typed.
impl fmt::Display for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SocketArgs { ports, local_ports, remote_ports, networks, family, namespaces } = &self.wanted;
        let mut separator = "";
        let mut write = |name: &str, value: &dyn fmt::Display| {
            write!(f, "{separator}--{name} {value}")?;
            separator = " ";
            Ok(())
        };
        for (name, ports) in [("port", ports), ("local-port", local_ports), ("remote-port", remote_ports)] {
            ports.iter().try_for_each(|port| write(name, port))?;
        }
        networks.iter().try_for_each(|network| write("address", network))?;
        family.iter().try_for_each(|family| write("family", &family.name()))?;
        namespaces.iter().try_for_each(|namespace| write("netns", namespace))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{SocketArgs, Sockets};

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        sockets: SocketArgs,
    }

    #[test]
    fn what_was_typed_can_be_read_again() {
        let typed = "--port 80 --port 8000-8100 --remote-port 443 --address 10.0.0.0/8 --address ::1/128 --family ipv4";
        let cli = Cli::try_parse_from(std::iter::once("test").chain(typed.split(' '))).unwrap();
        let sockets = Sockets::new(cli.sockets).unwrap();
        assert_eq!(sockets.to_string(), typed);
        assert!(!sockets.is_everything() && Sockets::default().is_everything());
    }
}
