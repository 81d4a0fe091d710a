//! smoltcp's end: an interface over queues instead of a device, and one socket.

use std::collections::VecDeque;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use crate::{Random, octet, wire};

#[derive(Default)]
struct Queues {
    incoming: VecDeque<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
}

struct Rx(Vec<u8>);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

struct Tx<'a>(&'a mut Vec<Vec<u8>>);

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let mut packet = vec![0; len];
        let result = fill(&mut packet);
        self.0.push(packet);
        result
    }
}

impl Device for Queues {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Rx, Tx<'_>)> {
        let packet = self.incoming.pop_front()?;
        Some((Rx(packet), Tx(&mut self.outgoing)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        Some(Tx(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 1_500;
        capabilities
    }
}

pub struct Foreign {
    device: Queues,
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    pub submitted: u32,
    pub delivered: u32,
}

fn at(now: u64) -> Instant {
    Instant::from_micros(i64::try_from(now).unwrap_or(i64::MAX))
}

impl Foreign {
    pub fn new(random: &mut Random) -> Self {
        let mut device = Queues::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = random.any();
        let mut interface = Interface::new(config, &mut device, at(0));
        interface.update_ip_addrs(|addresses| {
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(wire::FOREIGN.0), 24));
        });
        let buffer = [700, 4_000, 100_000][usize::try_from(random.below(3)).unwrap_or(0)];
        let mut socket =
            tcp::Socket::new(tcp::SocketBuffer::new(vec![0; buffer]), tcp::SocketBuffer::new(vec![0; 4_000]));
        socket.set_nagle_enabled(random.percent(50));
        if random.percent(50) {
            socket.set_ack_delay(None);
        }
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(socket);
        Self { device, interface, sockets, handle, submitted: 0, delivered: 0 }
    }

    fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    pub fn listen(&mut self) {
        let _ = self.socket().listen(wire::FOREIGN.1);
    }

    pub fn connect(&mut self) {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.handle);
        let _ = socket.connect(self.interface.context(), wire::NATIVE, wire::FOREIGN.1);
        self.poll(0);
    }

    pub fn close(&mut self, now: u64) {
        self.socket().close();
        self.poll(now);
    }

    pub fn state(&self) -> tcp::State {
        self.sockets.get::<tcp::Socket<'_>>(self.handle).state()
    }

    pub fn is_open(&self) -> bool {
        matches!(self.state(), tcp::State::Established | tcp::State::CloseWait)
    }

    pub fn saw_fin(&self) -> bool {
        use tcp::State::{CloseWait, Closed, Closing, LastAck, TimeWait};
        matches!(self.state(), CloseWait | Closed | Closing | LastAck | TimeWait)
    }

    /// Something is unsent or unacknowledged, and nothing is planned.
    pub fn owes_without_timer(&mut self) -> bool {
        use tcp::State::{Closing, FinWait1, LastAck};
        let queued = self.socket().send_queue() > 0;
        let fin = matches!(self.state(), FinWait1 | Closing | LastAck);
        (queued || fin) && self.interface.poll_at(at(0), &self.sockets).is_none()
    }

    pub fn arrives(&mut self, packet: Vec<u8>) {
        self.device.incoming.push_back(packet);
    }

    fn poll(&mut self, now: u64) {
        while !self.device.incoming.is_empty() {
            self.interface.poll(at(now), &mut self.device, &mut self.sockets);
        }
        self.interface.poll(at(now), &mut self.device, &mut self.sockets);
    }

    /// Processes what arrived; the user sends what is left of its stream, and reads what there is.
    pub fn transfer(&mut self, now: u64, stream: u32) -> Result<(), String> {
        self.poll(now);
        let (submitted, delivered) = (self.submitted, self.delivered);
        let open = self.is_open();
        let socket = self.socket();
        if open && socket.can_send() && submitted < stream {
            let text: Vec<u8> = (submitted..stream).take(3_000).map(octet).collect();
            let taken = socket.send_slice(&text).map_err(|error| format!("smoltcp's send: {error:?}"))?;
            self.submitted += u32::try_from(taken).unwrap_or(0);
        }
        let socket = self.socket();
        let mut place = delivered;
        let mut wrong = false;
        while socket.can_recv() {
            let received = socket.recv(|text| {
                wrong |= text.iter().zip(place..).any(|(is, place)| *is != octet(place));
                (text.len(), text.len())
            });
            place += received.ok().and_then(|len| u32::try_from(len).ok()).unwrap_or(0);
        }
        self.delivered = place;
        self.poll(now);
        if wrong { Err(format!("the model's text is not its text before {place}")) } else { Ok(()) }
    }

    pub fn deadline(&mut self, now: u64) -> Option<u64> {
        self.interface
            .poll_at(at(now), &self.sockets)
            .and_then(|time| u64::try_from(time.total_micros()).ok())
    }

    pub fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.device.outgoing)
    }
}
