//! User calls: RFC 9293, sections 3.10.1 to 3.10.6. A file per call; STATUS is here.

mod close;
mod open;
mod receive;
mod send;

use super::Step;
use crate::effect::{Done, Effect, Status};
use crate::event::{Call, CallError};
use crate::rule::Rule;
use crate::state::State;

impl Step<'_> {
    pub(super) fn call(&mut self, call: &Call) {
        let reply = match *call {
            Call::Open { origin, remote, config, admission } => self.open(origin, remote, config, admission),
            Call::Send { len, push, urgent, remote, admission } => {
                self.send_call(len, push, urgent, remote, admission)
            }
            Call::Receive { len, admission } => self.receive(len, admission),
            Call::Close { reader_gone } => self.close(reader_gone),
            Call::Abort => self.abort(),
            Call::Status => self.status(),
        };
        self.out.push(Effect::Reply(reply));
    }

    fn refuse(&mut self, rule: Rule, error: CallError) -> Result<Done, CallError> {
        self.take(rule);
        Err(error)
    }

    fn status(&mut self) -> Result<Done, CallError> {
        if self.tcb.state == State::Closed {
            return self.refuse(Rule::Stat1, CallError::DoesNotExist);
        }
        self.take(Rule::Stat2);
        let (snd, rcv) = (&self.tcb.snd, &self.tcb.rcv);
        Ok(Done::Status(Status {
            state: self.tcb.state,
            send: (snd.una, snd.nxt, snd.wnd),
            receive: (rcv.nxt, rcv.wnd),
            queued: (snd.queued, rcv.readable),
        }))
    }
}
