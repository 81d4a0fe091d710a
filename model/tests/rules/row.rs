//! A row: stimulus, expected transition, verdict.

use std::fmt::Write as _;

use model::effect::Done;
use model::{CallError, Choices, Effect, Effects, Event, Profile, Rule, Signal, State, Tcb, step};

pub struct Row {
    rule: Rule,
    before: Tcb,
    event: Event,
    profile: Profile,
    choices: Choices,
    now: u64,
    next: State,
    sends: Vec<&'static str>,
    trail: Option<&'static str>,
    signals: Option<Vec<Signal>>,
    reply: Option<Result<Done, CallError>>,
    holds: Option<fn(&Tcb, &[Effect]) -> bool>,
}

/// The rule has to be taken when `event` meets `before`; the state has to stay and nothing be sent, unless said.
#[expect(clippy::panic, reason = "a row that names no rule is a mistake in the row")]
pub fn row(rule: &str, before: Tcb, event: Event) -> Row {
    Row {
        rule: Rule::from_id(rule).unwrap_or_else(|| panic!("no rule {rule}")),
        before,
        event,
        profile: model::profile::RFC9293_INTENT,
        choices: Choices { iss: model::Seq(1000), ..Choices::default() },
        now: 0,
        next: before.state,
        sends: Vec::new(),
        trail: None,
        signals: None,
        reply: None,
        holds: None,
    }
}

impl Row {
    pub fn next(mut self, state: State) -> Self {
        self.next = state;
        self
    }

    /// Segments, in the RFC's notation and in order.
    pub fn sends(mut self, segments: &[&'static str]) -> Self {
        self.sends = segments.to_vec();
        self
    }

    /// The whole trail.
    pub fn trail(mut self, trail: &'static str) -> Self {
        self.trail = Some(trail);
        self
    }

    pub fn signals(mut self, signals: &[Signal]) -> Self {
        self.signals = Some(signals.to_vec());
        self
    }

    pub fn reply(mut self, reply: Result<Done, CallError>) -> Self {
        self.reply = Some(reply);
        self
    }

    pub fn refused(self, error: CallError) -> Self {
        self.reply(Err(error))
    }

    /// What the TCB and the effects have to look like.
    pub fn holds(mut self, holds: fn(&Tcb, &[Effect]) -> bool) -> Self {
        self.holds = Some(holds);
        self
    }

    pub fn profile(mut self, change: impl FnOnce(&mut Profile)) -> Self {
        change(&mut self.profile);
        self
    }

    pub fn choose(mut self, change: impl FnOnce(&mut Choices)) -> Self {
        change(&mut self.choices);
        self
    }

    pub fn now(mut self, now: u64) -> Self {
        self.now = now;
        self
    }

    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// What is wrong, if anything.
    pub fn run(&self) -> Result<(), String> {
        let mut tcb = self.before;
        let mut out = Effects::new();
        let trail = step(&mut tcb, self.now, &self.event, &self.profile, &self.choices, &mut out);
        let mut wrong = String::new();
        let mut check = |what: &str, is: String, expected: String| {
            if is != expected {
                let _ = write!(wrong, "\n    {what}: {is}\n    expected: {expected}");
            }
        };
        check("state", tcb.state.to_string(), self.next.to_string());
        let sent: Vec<String> = out.segments().map(ToString::to_string).collect();
        check("sent", sent.join(" "), self.sends.join(" "));
        check("trail has the rule", trail.contains(self.rule).to_string(), "true".to_owned());
        if let Some(expected) = self.trail {
            check("trail", trail.to_string(), expected.to_owned());
        }
        if let Some(signals) = &self.signals {
            check("signals", format!("{:?}", out.signals().collect::<Vec<_>>()), format!("{signals:?}"));
        }
        if self.reply.is_some() {
            check("reply", format!("{:?}", out.reply()), format!("{:?}", self.reply));
        }
        if let Some(holds) = self.holds {
            check("TCB and effects as stated", holds(&tcb, &out).to_string(), "true".to_owned());
        }
        check("effects overflow", out.overflowed().to_string(), "false".to_owned());
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(format!(
                "{} ({}): {:?} in {} under {}\n    trail {trail}{wrong}",
                self.rule,
                self.rule.sentence(),
                self.event,
                self.before.state,
                self.profile.name
            ))
        }
    }
}
