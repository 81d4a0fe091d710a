//! `peer` and `kernel`: segments that are forged, and what segments have to look like.

use super::{find, incomplete};
use crate::audit::scenario::{
    error::Wrong,
    script::{Cookie, Forgery, Pattern, Stamp},
    words::{flags, number, octets, range, unknown, value},
};

/// The words behind `peer`.
pub(super) fn forgery(words: &[&str]) -> Result<Forgery, Wrong> {
    let Some((bits, rest)) = words.split_first() else { return Err(incomplete("peer", "control bits")) };
    let (flags, ecn_bits) = flags(bits)?;
    let mut made = Forgery { flags, ecn_bits, ..Forgery::default() };
    for word in rest {
        let (key, given) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "seq" => made.seq = Some(number(given)?),
            "ack" => made.ack = Some(number(given)?),
            "len" => made.len = value(given, "number of octets")?,
            "win" => made.window = Some(value(given, "window")?),
            "urg" => made.urgent = value(given, "urgent pointer")?,
            "mss" => made.mss = Some(value(given, "MSS")?),
            "wscale" => made.window_scale = Some(value(given, "shift count")?),
            "sack" => made.sack_permitted = true,
            "ts" => {
                made.timestamps = match given {
                    "" => Stamp::Offer,
                    "none" => Stamp::Missing,
                    shift => Stamp::Shifted(value(shift, "shift of the timestamp")?),
                }
            }
            "tfo" => {
                let known = [(Cookie::Request, ""), (Cookie::Granted, "granted"), (Cookie::Wrong, "wrong")];
                made.fast_open = Some(find(given, known.into_iter())?);
            }
            "options" => made.raw_options = Some(fitting(octets(given)?)?),
            "ipopt" => made.ip_options = fitting(octets(given)?)?,
            "checksum" if given == "bad" => made.bad_checksum = true,
            "lost" => made.lost = true,
            "twice" => made.twice = true,
            "tos" => made.traffic_class = value(given, "traffic class")?,
            "from" => made.from = Some(value(given, "address")?),
            "to" => made.to = Some(value(given, "address")?),
            "iss" => made.new_iss = Some(value(given, "distance of the new ISS")?),
            _ => return Err(unknown(word, PEER_KEYS.into_iter())),
        }
    }
    Ok(made)
}

const PEER_KEYS: [&str; 19] = [
    "seq=",
    "ack=",
    "len=",
    "win=",
    "urg=",
    "mss=",
    "wscale=",
    "sack",
    "ts",
    "tfo",
    "options=",
    "ipopt=",
    "checksum=bad",
    "lost",
    "twice",
    "tos=",
    "from=",
    "to=",
    "iss=",
];

fn fitting(octets: Vec<u8>) -> Result<Vec<u8>, Wrong> {
    if octets.len() > 40 || !octets.len().is_multiple_of(4) { Err(Wrong::Options) } else { Ok(octets) }
}

/// The words behind `kernel`.
pub(super) fn pattern(words: &[&str]) -> Result<Pattern, Wrong> {
    let Some((bits, rest)) = words.split_first() else { return Err(incomplete("kernel", "control bits")) };
    let (flags, ecn_bits) = flags(bits)?;
    let mut made = Pattern { flags, ..Pattern::default() };
    if ecn_bits != 0 {
        made.ecn_bits = Some(ecn_bits);
    }
    for word in rest {
        let (key, given) = word.split_once('=').unwrap_or((word, ""));
        match (key, given) {
            ("seq", _) => made.seq = Some(number(given)?),
            ("ack", _) => made.ack = Some(number(given)?),
            ("len", _) => made.len = Some(range(given)?),
            ("win", _) => made.window = Some(range(given)?),
            ("urg", _) => made.urgent = Some(value(given, "urgent pointer")?),
            ("mss", "none") => made.mss = Some(None),
            ("mss", _) => made.mss = Some(Some(range(given)?)),
            ("wscale", _) => made.window_scale = Some(given != "none"),
            ("ts", _) => made.timestamps = Some(given != "none"),
            ("sackok", _) => made.sack_permitted = Some(given != "none"),
            ("tfo", _) => made.fast_open = Some(given != "none"),
            ("sack", "none") => made.sack = Some(None),
            ("sack", _) => {
                let (from, to) = given.split_once('-').ok_or_else(|| incomplete("sack=", "FROM-TO"))?;
                made.sack = Some(Some((value(from, "number")?, value(to, "number")?)));
            }
            ("issgap", _) => made.iss_gap = Some(range(given)?),
            ("nopsh", "") => made.not_pushed = true,
            ("noecn", "") => made.ecn_bits = Some(0),
            ("tos", _) => made.traffic_class = Some(value(given, "traffic class")?),
            ("ttl", _) => made.hops = Some(value(given, "number of hops")?),
            ("ipopt", _) => made.ip_options = Some(value(given, "number of octets")?),
            _ => return Err(unknown(word, KERNEL_KEYS.into_iter())),
        }
    }
    Ok(made)
}

const KERNEL_KEYS: [&str; 17] = [
    "seq=", "ack=", "len=", "win=", "urg=", "mss=", "wscale", "ts", "sackok", "tfo", "sack=", "nopsh",
    "noecn", "tos=", "ttl=", "ipopt=", "issgap=",
];
