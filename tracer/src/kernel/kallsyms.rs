//! Addresses of kernel functions, from `/proc/kallsyms`.

use std::io::{BufRead, BufReader};

/// Addresses of the named functions, in the same order; `None` where a name is not found or addresses are hidden.
///
/// # Errors
///
/// When `/proc/kallsyms` cannot be read.
pub fn addresses<const N: usize>(names: [&str; N]) -> std::io::Result<[Option<u64>; N]> {
    search(BufReader::new(std::fs::File::open("/proc/kallsyms")?), names)
}

fn search<const N: usize>(mut symbols: impl BufRead, names: [&str; N]) -> std::io::Result<[Option<u64>; N]> {
    let mut found = [None; N];
    let mut line = String::new();
    while found.contains(&None) {
        line.clear();
        if symbols.read_line(&mut line)? == 0 {
            break;
        }
        let mut words = line.split_ascii_whitespace();
        let (Some(address), Some(_kind), Some(symbol)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        if let Some(place) = names.iter().position(|name| *name == symbol) {
            // Zero: kernel.kptr_restrict or a missing CAP_SYSLOG hides the addresses.
            found[place] = u64::from_str_radix(address, 16).ok().filter(|address| *address != 0);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::search;

    const SYMBOLS: &str = "ffffffff81000000 T _text\nffffffff82006070 t tw_timer_handler\n\
                           ffffffffc0000000 t tw_timer_handler_x\t[module]\n0000000000000000 t reqsk_timer_handler\n";

    #[test]
    fn a_name_is_found_whole() -> std::io::Result<()> {
        let [tw] = search(SYMBOLS.as_bytes(), ["tw_timer_handler"])?;
        assert_eq!(tw, Some(0xffff_ffff_8200_6070));
        Ok(())
    }

    #[test]
    fn a_hidden_address_is_unknown() -> std::io::Result<()> {
        let [hidden, absent] = search(SYMBOLS.as_bytes(), ["reqsk_timer_handler", "no_such_function"])?;
        assert_eq!((hidden, absent), (None, None));
        Ok(())
    }
}
