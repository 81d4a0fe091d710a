//! Random conversations, as lines of a scenario with `@` for the connection's name.

/// A small generator of random numbers (SplitMix64): the same seed gives the same conversation on every host.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.next() % sides.max(1)
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let place = usize::try_from(self.roll(u64::try_from(choices.len()).unwrap_or(1))).unwrap_or(0);
        choices.get(place).copied().unwrap_or_default()
    }
}

/// A line of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    /// What user or peer does, `@` standing for the connection's name.
    Step(&'static str, String),
    /// A pause, milliseconds.
    Wait(u64),
}

impl Line {
    /// The line on the connection of this name.
    pub fn on(&self, connection: &str) -> String {
        match self {
            Self::Step(verb, rest) => format!("{verb}@{connection} {rest}\n"),
            Self::Wait(span) => format!("wait {span}ms\n"),
        }
    }
}

/// An urgent octet is one of the stream: otherwise reading skips it, which the model is not told.
const INLINE: (&str, &str) = ("user", "set oobinline=1 -> any");

/// A conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conversation {
    /// What opens the connection, and stays when the rest is shrunk.
    pub opening: Vec<Line>,
    /// What follows.
    pub body: Vec<Line>,
}

impl Conversation {
    /// The conversation of a seed.
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds are to have nothing in common.
        let mut dice = Dice::new(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let options = dice.one_of(&["", " sack", " ts", " ts sack wscale=7", " win=3000", " win=0"]);
        let mss = dice.one_of(&["1460", "1000", "536"]);
        let opening: &[(&'static str, &str)] = match dice.roll(8) {
            0 => &[("user", "connect"), INLINE, ("peer", "SYN mss=MSS"), ("peer", "ACK")],
            1..=3 => &[("peer", "SYN mss=MSS OPTIONS"), ("peer", "ACK"), ("user", "accept -> any"), INLINE],
            _ => &[("user", "connect"), INLINE, ("peer", "SYN,ACK mss=MSS OPTIONS")],
        };
        let filled = |text: &str| text.replace("MSS", mss).replace(" OPTIONS", options);
        let opening = opening.iter().map(|(verb, text)| Line::Step(verb, filled(text))).collect();
        let count = 3 + dice.roll(12);
        let body = (0..count).map(|_| step(&mut dice)).collect();
        Self { opening, body }
    }

    /// All lines.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.opening.iter().chain(&self.body)
    }
}

/// Many conversations as one text, each on a connection of its name. Where one waits the others go on, so that all
/// wait together.
pub fn together(conversations: &[(String, Conversation)]) -> String {
    let mut text = String::new();
    let mut speakers: Vec<_> =
        conversations.iter().map(|(name, conversation)| (0, name, conversation.lines())).collect();
    let mut now = 0;
    loop {
        speakers.retain_mut(|(due, name, lines)| {
            while *due <= now {
                match lines.next() {
                    None => return false,
                    Some(Line::Wait(span)) => *due += span,
                    Some(line) => text.push_str(&line.on(name)),
                }
            }
            true
        });
        let Some(next) = speakers.iter().map(|(due, ..)| *due).min() else { return text };
        text.push_str(&Line::Wait(next - now).on(""));
        now = next;
    }
}

fn step(dice: &mut Dice) -> Line {
    let len = dice.one_of(&["1", "10", "100", "536", "1000"]);
    let many = dice.one_of(&["1", "10", "700", "2500"]);
    let seq = dice.one_of(&[
        "",
        "",
        "",
        " seq=-1",
        " seq=+1",
        " seq=+100",
        " seq=1",
        " seq=edge",
        " seq=edge-1",
        " seq=-5000",
    ]);
    let ack = dice.one_of(&["", "", "", "", " ack=-1", " ack=-500", " ack=+1", " ack=1", " ack=-200000"]);
    let win = dice.one_of(&["", "", "", " win=0", " win=100", " win=2000", " win=65535"]);
    let odd = dice.one_of(&["", "", "", "", " lost", " twice", " checksum=bad"]);
    let user = |call: String| Line::Step("user", call);
    let peer = |segment: String| Line::Step("peer", segment);
    match dice.roll(32) {
        0..=4 => user(format!("send {many} -> any")),
        5..=6 => user(format!("recv {many} -> any")),
        7 => user("shutdown wr -> any".to_owned()),
        8 => user("close -> any".to_owned()),
        9..=14 => peer(format!("ACK{ack}{win}{odd}")),
        15..=20 => peer(format!("PSH,ACK len={len}{seq}{ack}{win}{odd}")),
        21..=22 => peer(format!("FIN,ACK{seq}{ack}{odd}")),
        23 => peer(format!("FIN,ACK len={len}{seq}{ack}")),
        24 => peer(format!("RST{seq}")),
        25 => peer(format!("RST,ACK{seq}{ack}")),
        26 => peer(format!("SYN mss=1000{seq}")),
        27 => peer(format!("SYN,ACK mss=1000{seq}{ack}")),
        28 => peer(format!("none len={len}{seq}")),
        29 => peer(format!("URG,ACK urg=1 len={len}{seq}")),
        30 => Line::Wait(45),
        _ => Line::Wait(2),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Conversation, Line, together};
    use crate::audit::scenario::parse_file;

    #[test]
    fn conversations_are_scenarios_and_differ() {
        let mut seen = HashSet::new();
        for seed in 0..500 {
            let conversation = Conversation::new(seed);
            assert_eq!(conversation, Conversation::new(seed));
            let text = together(&[("c".to_owned(), conversation.clone())]);
            parse_file("r", "r", &format!("title: r\nrfc: 3\n{text}"))
                .unwrap_or_else(|error| panic!("{error}"));
            seen.insert(conversation);
        }
        assert!(seen.len() > 480, "{}", seen.len());
    }

    #[test]
    fn while_one_waits_the_others_go_on() {
        let say = |text: &str| Line::Step("peer", text.to_owned());
        let conversation = |opening, body| Conversation { opening, body };
        let text = together(&[
            ("a".to_owned(), conversation(vec![say("1")], vec![Line::Wait(45), say("4"), Line::Wait(1)])),
            (
                "b".to_owned(),
                conversation(vec![say("2")], vec![Line::Wait(2), say("3"), Line::Wait(45), say("5")]),
            ),
        ]);
        let waits =
            "peer@a 1\npeer@b 2\nwait 2ms\npeer@b 3\nwait 43ms\npeer@a 4\nwait 1ms\nwait 1ms\npeer@b 5\n";
        assert_eq!(text, waits);
    }
}
