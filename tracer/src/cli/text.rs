//! Text for people: wrapped to the terminal, coloured where that is wanted.

use std::io::{self, IsTerminal, Write};

use anstyle::Style;

/// Columns of the terminal behind standard output; `None` when it is no terminal, or one that does not say.
pub fn terminal_width() -> Option<usize> {
    let out = io::stdout();
    if !out.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&out).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// The width of pages for people: the terminal's, but never wider than is good to read.
pub fn page_width() -> usize {
    terminal_width().unwrap_or(100).clamp(60, 100)
}

/// True when standard output may be coloured: a terminal, and the user does not forbid it (NO_COLOR, TERM=dumb).
pub fn color() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// `text` in `style`, if colours are wanted.
pub fn styled(color: bool, style: Style, text: &str) -> String {
    if color { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// Appends `text` in lines of at most `width` columns. The first line goes on where `out` ends, `indent` columns from
/// the left; the next ones start there. A word that is too long stays whole.
pub fn wrap(out: &mut String, text: &str, indent: usize, width: usize) {
    let mut column = indent;
    for (index, word) in text.split_ascii_whitespace().enumerate() {
        let letters = word.chars().count();
        if index > 0 && column + 1 + letters > width {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if index > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += letters;
    }
    out.push('\n');
}

/// Bytes for a person.
pub fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", units[unit])
}

/// Prints. A reader that has gone away has read enough.
///
/// # Errors
///
/// What writing to standard output gives.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::{size, wrap};

    #[test]
    fn lines_break_between_words() {
        let mut text = "  id: ".to_owned();
        wrap(&mut text, "one two three  four-is-far-too-long five", 6, 15);
        assert_eq!(text, "  id: one two\n      three\n      four-is-far-too-long\n      five\n");
    }

    #[test]
    fn sizes_for_a_person() {
        let sizes = [512, 2048, 3 << 20, 5 << 30].map(size);
        assert_eq!(sizes, ["512 bytes", "2.0 KiB", "3.0 MiB", "5.0 GiB"]);
    }
}
