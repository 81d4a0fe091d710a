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

/// The conversation of a seed. The first lines open the connection and stay when it is shrunk.
pub fn conversation(seed: u64) -> (Vec<String>, Vec<String>) {
    // Neighbouring seeds are to have nothing in common.
    let mut dice = Dice::new(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
    let options = dice.one_of(&["", " sack", " ts", " ts sack wscale=7", " win=3000", " win=0"]);
    let mss = dice.one_of(&["1460", "1000", "536"]);
    let opening: &[&str] = match dice.roll(8) {
        0 => &["user@ connect", "peer@ SYN mss=MSS", "peer@ ACK"],
        1..=3 => &["peer@ SYN mss=MSS OPTIONS", "peer@ ACK", "user@ accept -> any"],
        _ => &["user@ connect", "peer@ SYN,ACK mss=MSS OPTIONS"],
    };
    let opening = opening.iter().map(|line| line.replace("MSS", mss).replace("OPTIONS", options)).collect();
    let count = 3 + dice.roll(12);
    let body = (0..count).map(|_| step(&mut dice)).collect();
    (opening, body)
}

fn step(dice: &mut Dice) -> String {
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
    match dice.roll(32) {
        0..=4 => format!("user@ send {many} -> any"),
        5..=6 => format!("user@ recv {many} -> any"),
        7 => "user@ shutdown wr -> any".to_owned(),
        8 => "user@ close -> any".to_owned(),
        9..=14 => format!("peer@ ACK{ack}{win}{odd}"),
        15..=20 => format!("peer@ PSH,ACK len={len}{seq}{ack}{win}{odd}"),
        21..=22 => format!("peer@ FIN,ACK{seq}{ack}{odd}"),
        23 => format!("peer@ FIN,ACK len={len}{seq}{ack}"),
        24 => format!("peer@ RST{seq}"),
        25 => format!("peer@ RST,ACK{seq}{ack}"),
        26 => format!("peer@ SYN mss=1000{seq}"),
        27 => format!("peer@ SYN,ACK mss=1000{seq}{ack}"),
        28 => format!("peer@ none len={len}{seq}"),
        29 => format!("peer@ URG,ACK urg=1 len={len}{seq}"),
        30 => "wait 45ms".to_owned(),
        _ => "wait 2ms".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::conversation;
    use crate::audit::scenario::parse_file;

    #[test]
    fn conversations_are_scenarios_and_differ() {
        let mut seen = HashSet::new();
        for seed in 0..500 {
            let (opening, body) = conversation(seed);
            assert_eq!((&opening, &body), (&conversation(seed).0, &conversation(seed).1));
            let text = [opening, body].concat().join("\n").replace('@', "@c");
            parse_file("r", "r", &format!("title: r\nrfc: 3\n{text}"))
                .unwrap_or_else(|error| panic!("{error}"));
            seen.insert(text);
        }
        assert!(seen.len() > 480, "{}", seen.len());
    }
}
