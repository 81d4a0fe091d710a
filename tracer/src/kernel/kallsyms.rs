//! Addresses of kernel functions, from `/proc/kallsyms`.

use std::{
    io::{BufRead, BufReader},
    ops::Range,
};

/// Addresses of the named functions, in the same order; `None` where a name is not found or addresses are hidden.
///
/// # Errors
///
/// When `/proc/kallsyms` cannot be read.
pub fn addresses<const N: usize>(names: [&str; N]) -> std::io::Result<[Option<u64>; N]> {
    Ok(functions(names)?.map(|function| function.map(|function| function.start)))
}

/// As [`addresses`], each function to its end: the next higher symbol. Those of modules are listed in no order.
///
/// # Errors
///
/// When `/proc/kallsyms` cannot be read.
pub fn functions<const N: usize>(names: [&str; N]) -> std::io::Result<[Option<Range<u64>>; N]> {
    search(BufReader::new(std::fs::File::open("/proc/kallsyms")?), names)
}

fn search<const N: usize>(
    mut symbols: impl BufRead,
    names: [&str; N],
) -> std::io::Result<[Option<Range<u64>>; N]> {
    let mut starts = [None; N];
    let mut addresses = Vec::new();
    let mut line = String::new();
    loop {
        line.clear();
        if symbols.read_line(&mut line)? == 0 {
            break;
        }
        let mut words = line.split_ascii_whitespace();
        let (Some(address), Some(_kind), Some(symbol)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        // Zero: kernel.kptr_restrict or a missing CAP_SYSLOG hides the addresses.
        let Some(address) = u64::from_str_radix(address, 16).ok().filter(|address| *address != 0) else {
            continue;
        };
        addresses.push(address);
        if let Some(place) = names.iter().position(|name| *name == symbol) {
            starts[place] = Some(address);
        }
    }
    let end = |start: u64| addresses.iter().copied().filter(|address| *address > start).min();
    Ok(starts.map(|start| start.map(|start| start..end(start).unwrap_or(start))))
}

#[cfg(test)]
mod tests {
    use super::search;

    const SYMBOLS: &str = "ffffffffc0000100 t later\t[module]\nffffffff81000000 T _text\nffffffff82006070 t tw_timer_handler\n\
                           ffffffff82006070 t alias\nffffffff820060d0 T inet_twsk_purge\n\
                           ffffffffc0000000 t tcp_v6_rcv\t[ipv6]\n0000000000000000 t reqsk_timer_handler\n";

    #[test]
    fn a_name_is_found_whole_and_ends_where_the_next_one_begins() -> std::io::Result<()> {
        let names = ["tw_timer_handler", "inet_twsk_purge", "tcp_v6_rcv"];
        let [tw, purge, module] = search(SYMBOLS.as_bytes(), names)?;
        assert_eq!(tw, Some(0xffff_ffff_8200_6070..0xffff_ffff_8200_60d0));
        assert_eq!(purge, Some(0xffff_ffff_8200_60d0..0xffff_ffff_c000_0000));
        assert_eq!(module, Some(0xffff_ffff_c000_0000..0xffff_ffff_c000_0100));
        Ok(())
    }

    #[test]
    fn a_hidden_address_is_unknown() -> std::io::Result<()> {
        let [hidden, absent] = search(SYMBOLS.as_bytes(), ["reqsk_timer_handler", "no_such_function"])?;
        assert_eq!((hidden, absent), (None, None));
        Ok(())
    }
}
