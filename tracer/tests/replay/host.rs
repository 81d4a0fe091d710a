//! A pretended kernel: conversations become the events that our hooks record of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use model::linux::{Evidence, LinuxState, LinuxState::*, Owner, ResetReason, SocketError, Transition};
use tracer::event::{Event, Family, Flow, RequestEnd, SocketId, Task, TimerAction, What};
use tracer_ebpf::{Caller, Hook};

pub const MICROSECOND: u64 = 1_000;
pub const MILLISECOND: u64 = 1_000_000;
pub const SECOND: u64 = 1_000_000_000;

/// Where the events come from: a clock that goes on by itself, a CPU, and numbers for sockets.
pub struct Host {
    pub now: u64,
    pub cpu: u16,
    pub events: Vec<Event>,
    next: u64,
}

/// A full socket on that host.
#[derive(Clone)]
pub struct Socket {
    pub id: SocketId,
    pub flow: Flow,
    pub state: LinuxState,
    pub evidence: Evidence,
    pub task: Task,
}

/// A timewait minisocket or a request.
#[derive(Clone)]
pub struct Minisocket {
    pub id: SocketId,
    pub flow: Flow,
    pub substate: LinuxState,
    pub born: u64,
}

pub fn task(pid: u32) -> Task {
    let mut comm = [0; 16];
    comm[..4].copy_from_slice(b"test");
    Task { pid, tid: pid, comm }
}

pub fn flow(family: Family, local: u16, remote: u16) -> Flow {
    let ip = match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    Flow { family, local: SocketAddr::new(ip, local), remote: SocketAddr::new(ip, remote) }
}

impl Host {
    pub fn new() -> Self {
        Self { now: 1_000 * SECOND, cpu: 0, events: Vec::new(), next: 1 }
    }

    pub fn wait(&mut self, nanoseconds: u64) {
        self.now += nanoseconds;
    }

    fn id(&mut self) -> SocketId {
        self.next += 1;
        SocketId { cookie: self.next, address: 0xffff_8880_0000_0000 + self.next * 4096, netns: 7 }
    }

    pub fn fresh(&mut self, family: Family, local: u16, remote: u16) -> Socket {
        let id = self.id();
        let evidence = Evidence {
            owner: Some(Owner::User),
            linger_zero: true,
            has_user_socket: Some(true),
            fast_open: Some(false),
            ..Evidence::default()
        };
        Socket { id, flow: flow(family, local, remote), state: Close, evidence, task: task(100) }
    }

    pub fn record(&mut self, hook: Hook, id: SocketId, flow: Flow, task: Option<Task>, what: What) {
        self.now += MICROSECOND;
        let (time, cpu) = (self.now, self.cpu);
        self.events.push(Event { time, hook, copy: 0, cpu, socket: id, flow, task, what });
    }

    /// A transition, with the socket's fields as they are.
    pub fn goes(&mut self, socket: &mut Socket, to: LinuxState) {
        let transition = Transition { from: socket.state, to };
        let task = (socket.evidence.owner == Some(Owner::User)).then_some(socket.task);
        let what = What::Transition { transition, evidence: socket.evidence, srtt: 50 };
        self.record(Hook::State, socket.id, socket.flow, task, what);
        socket.state = to;
    }

    pub fn destroy(&mut self, socket: &Socket) {
        let what = What::Destroyed { state: socket.state };
        self.record(Hook::Destroy, socket.id, socket.flow, None, what);
    }

    pub fn listen(&mut self, family: Family, port: u16) -> Socket {
        let mut listener = self.fresh(family, port, 0);
        self.goes(&mut listener, Listen);
        listener
    }

    pub fn stop_listening(&mut self, listener: &mut Socket) {
        listener.evidence.send_shutdown = true;
        listener.evidence.receive_shutdown = true;
        self.goes(listener, Close);
        self.destroy(listener);
    }

    /// CLOSE > SYN_SENT: the port is chosen only after it, if it was not bound.
    pub fn connect(&mut self, socket: &mut Socket) {
        let local = socket.flow.local.port();
        socket.evidence = Evidence {
            owner: Some(Owner::User),
            linger_zero: true,
            has_user_socket: Some(true),
            fast_open: Some(false),
            ..Evidence::default()
        };
        socket.flow.local.set_port(0);
        self.goes(socket, SynSent);
        socket.flow.local.set_port(local);
        socket.evidence.una = 1_000;
        socket.evidence.nxt = 1_001;
        socket.evidence.write_seq = 1_001;
    }

    pub fn client(&mut self, family: Family, local: u16, remote: u16) -> Socket {
        let mut client = self.fresh(family, local, remote);
        self.connect(&mut client);
        client
    }

    /// SYN_SENT > ESTABLISHED by the network.
    pub fn established(&mut self, client: &mut Socket) {
        client.evidence.owner = Some(Owner::Softirq);
        client.evidence.una = 1_001;
        client.evidence.rcv_nxt = 5_001;
        client.evidence.copied_seq = 5_001;
        self.goes(client, Established);
    }

    /// The SYN comes: a request with its timer.
    pub fn request(&mut self, listener: &Socket, peer: u16) -> Minisocket {
        let mut id = self.id();
        id.cookie = 0;
        let mut flow = listener.flow;
        flow.remote = SocketAddr::new(listener.flow.local.ip(), peer);
        let request = Minisocket { id, flow, substate: NewSynRecv, born: self.now };
        // The first SYN+ACK is yet to be made.
        self.request_at(&request, TimerAction::Started, 0);
        request
    }

    pub fn request_timer(&mut self, request: &Minisocket, action: TimerAction) {
        self.request_at(request, action, request.born / MICROSECOND + 2);
    }

    fn request_at(&mut self, request: &Minisocket, action: TimerAction, synack_time: u64) {
        let end = RequestEnd::default();
        let what = What::Request { action, retransmits: 0, synack_time, end };
        self.record(timer_hook(action), request.id, request.flow, None, what);
    }

    /// The request's timer stops or expires for good.
    pub fn request_ends(&mut self, request: &Minisocket, action: TimerAction, end: RequestEnd) {
        let synack_time = request.born / MICROSECOND + 2;
        let what = What::Request { action, retransmits: 0, synack_time, end };
        self.record(timer_hook(action), request.id, request.flow, None, what);
    }

    /// The listener answers a segment with an RST.
    pub fn refuses(&mut self, listener: &Socket, answers_syn: bool) {
        let what = What::ResetSent { reason: ResetReason::Other, number: 9, active: false, answers_syn };
        self.record(Hook::SendReset, listener.id, listener.flow, None, what);
    }

    /// The handshake's last ACK: a child, the end of the request, ESTABLISHED.
    pub fn accept(&mut self, listener: &Socket, request: &Minisocket) -> Socket {
        let mut child = self.clone_child(listener, request.flow);
        self.request_timer(request, TimerAction::Cancelled);
        self.child_established(&mut child);
        child
    }

    pub fn clone_child(&mut self, listener: &Socket, flow: Flow) -> Socket {
        let id = self.id();
        let mut child = Socket { id, flow, task: task(200), ..listener.clone() };
        child.evidence.owner = Some(Owner::Softirq);
        child.evidence.has_user_socket = Some(false);
        child.state = Listen;
        self.goes(&mut child, SynRecv);
        child.evidence.fast_open = Some(false);
        child.evidence.una = 5_001;
        child.evidence.nxt = 5_001;
        child.evidence.write_seq = 5_001;
        child.evidence.rcv_nxt = 1_001;
        child.evidence.copied_seq = 1_001;
        child
    }

    /// The same where listeners may take Fast Open: whether it was that is not known yet.
    pub fn clone_child_or_fast_open(&mut self, listener: &Socket, flow: Flow) -> Socket {
        let mut listener = listener.clone();
        listener.evidence.fast_open = None;
        self.clone_child(&listener, flow)
    }

    pub fn child_established(&mut self, child: &mut Socket) {
        child.evidence.owner = Some(Owner::Softirq);
        self.goes(child, Established);
        child.evidence.has_user_socket = Some(true);
    }

    /// close() by the user: FIN_WAIT1 or LAST_ACK, with the FIN not yet counted in the event.
    pub fn close(&mut self, socket: &mut Socket) {
        socket.evidence.owner = Some(Owner::User);
        socket.evidence.send_shutdown = true;
        socket.evidence.receive_shutdown = true;
        self.goes(socket, if socket.state == CloseWait { LastAck } else { FinWait1 });
        socket.evidence.dead = true;
        socket.evidence.has_user_socket = Some(false);
        socket.evidence.nxt += 1;
        socket.evidence.write_seq += 1;
    }

    /// shutdown(SHUT_WR): as close(), but the user stays.
    pub fn shutdown(&mut self, socket: &mut Socket) {
        self.close(socket);
        socket.evidence.dead = false;
        socket.evidence.has_user_socket = Some(true);
        socket.evidence.receive_shutdown = false;
    }

    pub fn softirq(&mut self, socket: &mut Socket) {
        socket.evidence.owner = Some(Owner::Softirq);
    }

    pub fn fin_acknowledged(&mut self, socket: &mut Socket) {
        self.softirq(socket);
        socket.evidence.una = socket.evidence.write_seq;
        match socket.state {
            LastAck => {
                self.goes(socket, Close);
                self.destroy(socket);
            }
            _ => self.goes(socket, FinWait2),
        }
    }

    /// The peer's FIN is consumed.
    pub fn fin_received(&mut self, socket: &mut Socket) {
        self.softirq(socket);
        socket.evidence.rcv_nxt += 1;
        socket.evidence.receive_shutdown = true;
        socket.evidence.done = true;
        match socket.state {
            Established => self.goes(socket, CloseWait),
            FinWait1 => self.goes(socket, Closing),
            _ => {}
        }
    }

    /// A minisocket takes over: its timer starts, then the socket shows CLOSE.
    pub fn time_wait(&mut self, socket: &mut Socket, substate: LinuxState) -> Minisocket {
        let timewait = self.minisocket(socket, substate);
        self.timewait_timer(&timewait, TimerAction::Started);
        self.goes(socket, Close);
        if socket.evidence.dead {
            self.destroy(socket);
        }
        timewait
    }

    pub fn minisocket(&mut self, socket: &Socket, substate: LinuxState) -> Minisocket {
        let address = self.id().address;
        let id = SocketId { address, ..socket.id };
        Minisocket { id, flow: socket.flow, substate, born: self.now }
    }

    pub fn timewait_timer(&mut self, timewait: &Minisocket, action: TimerAction) {
        self.timewait_stopped_by(timewait, action, Caller::Unknown);
    }

    pub fn timewait_stopped_by(&mut self, timewait: &Minisocket, action: TimerAction, caller: Caller) {
        let expires = self.now / MILLISECOND;
        let what = What::Timewait { action, substate: timewait.substate, expires, caller };
        self.record(timer_hook(action), timewait.id, timewait.flow, None, what);
    }

    /// A sweep comes by, at this time, and finds the peer's FIN.
    pub fn swept(&mut self, timewait: &Minisocket, time: u64) {
        self.record(Hook::Snapshot, timewait.id, timewait.flow, None, What::Swept);
        if let Some(event) = self.events.last_mut() {
            event.time = time;
        }
    }

    /// The usual end after a minute.
    pub fn expire(&mut self, timewait: &Minisocket) {
        self.timewait_timer(timewait, TimerAction::Cancelled);
        self.timewait_timer(timewait, TimerAction::Expired);
    }

    pub fn reset_received(&mut self, socket: &mut Socket) {
        self.softirq(socket);
        let what = What::ResetReceived { state: socket.state };
        self.record(Hook::ReceiveReset, socket.id, socket.flow, None, what);
        socket.evidence.error = match socket.state {
            SynSent => SocketError::Refused,
            CloseWait => SocketError::BrokenPipe,
            _ => SocketError::Reset,
        };
        self.goes(socket, Close);
    }

    pub fn reset_sent(&mut self, socket: &Socket, reason: ResetReason) {
        let what = What::ResetSent { reason, number: 1, active: true, answers_syn: false };
        self.record(Hook::SendReset, socket.id, socket.flow, None, what);
    }

    pub fn exists(&mut self, id: SocketId, flow: Flow, state: LinuxState, minisocket: bool) {
        self.record(
            Hook::Snapshot,
            id,
            flow,
            Some(task(1)),
            What::Exists { state, minisocket, from: self.now },
        );
    }
}

fn timer_hook(action: TimerAction) -> Hook {
    match action {
        TimerAction::Started => Hook::TimerStart,
        TimerAction::Cancelled => Hook::TimerCancel,
        TimerAction::Expired => Hook::TimerExpire,
    }
}

/// A whole life of both ends, the client closing first; TIME_WAIT runs out.
pub fn healthy(host: &mut Host, family: Family, listener: &Socket, port: u16, speed: u64) {
    let mut client = host.client(family, port, listener.flow.local.port());
    let request = host.request(listener, port);
    host.wait(speed);
    host.established(&mut client);
    let mut server = host.accept(listener, &request);
    host.wait(speed);
    host.close(&mut client);
    host.fin_received(&mut server);
    host.fin_acknowledged(&mut client);
    let mut timewait = host.time_wait(&mut client, FinWait2);
    host.wait(speed);
    host.close(&mut server);
    timewait.substate = TimeWait;
    host.fin_acknowledged(&mut server);
    host.wait(60 * SECOND);
    host.expire(&timewait);
}
