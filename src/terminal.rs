//! A stranger's output on a user's terminal: text and colours, and nothing that could steer the terminal.

use anstyle_parse::{DefaultCharAccumulator, Params, Parser, Perform};
use std::fmt::Write as _;

/// Bytes in, as they come and wherever they are cut; text out that only looks.
///
/// Colours and weights stay. All other escape sequences (clipboard, links, titles, clearing, moving) are left out, and
/// other control characters and such as turn the writing direction are shown as U+FFFD. A carriage return begins a new
/// line, so that nothing that was printed is drawn over.
#[derive(Default)]
pub(crate) struct Harmless {
    parser: Parser<DefaultCharAccumulator>,
    text: Text,
    /// The beginning of a character whose rest is still to come.
    cut: Vec<u8>,
}

impl Harmless {
    /// The same with colours, or without.
    pub(crate) fn new(coloured: bool) -> Self {
        Self { text: Text { coloured, ..Text::default() }, ..Self::default() }
    }

    /// What `bytes` add.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        let mut all = std::mem::take(&mut self.cut);
        all.extend_from_slice(bytes);
        let mut rest = all.as_slice();
        while !rest.is_empty() {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    self.characters(text);
                    break;
                }
                Err(error) => {
                    let (good, bad) = rest.split_at(error.valid_up_to());
                    self.characters(std::str::from_utf8(good).unwrap_or_default());
                    let Some(length) = error.error_len() else {
                        self.cut = bad.to_vec();
                        break;
                    };
                    self.characters("\u{fffd}");
                    rest = &bad[length..];
                }
            }
        }
        std::mem::take(&mut self.text.out)
    }

    /// What is still to be said when nothing more comes: the terminal's own colours again.
    pub(crate) fn end(&mut self) -> String {
        let cut = if std::mem::take(&mut self.cut).is_empty() { "" } else { "\u{fffd}" };
        let reset = if std::mem::take(&mut self.text.styled) { "\x1b[0m" } else { "" };
        format!("{cut}{reset}")
    }

    fn characters(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\n' => {
                    // A code that is left open ends with its line, and can't swallow what follows.
                    self.parser = Parser::default();
                    self.text.returned = false;
                    self.text.out.push('\n');
                }
                c => {
                    let mut bytes = [0; 4];
                    for &byte in c.encode_utf8(&mut bytes).as_bytes() {
                        self.parser.advance(&mut self.text, byte);
                    }
                }
            }
        }
    }
}

/// Whether a character steers a terminal, or changes how others are read.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

#[derive(Default)]
struct Text {
    out: String,
    coloured: bool,
    /// Colours other than the terminal's own are set.
    styled: bool,
    /// A carriage return came last.
    returned: bool,
}

impl Text {
    fn put(&mut self, c: char) {
        if std::mem::take(&mut self.returned) {
            self.out.push('\n');
        }
        self.out.push(if c != '\t' && steers(c) { '\u{fffd}' } else { c });
    }
}

impl Perform for Text {
    fn print(&mut self, c: char) {
        self.put(c);
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\r' => self.returned = true,
            _ => self.put(char::from(byte)),
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: u8) {
        if !self.coloured || action != b'm' || !intermediates.is_empty() || ignore {
            return;
        }
        let codes = looks(params);
        if !codes.is_empty() {
            self.styled = codes != "0";
            let _ = write!(self.out, "\x1b[{codes}m");
        }
    }
}

/// Those of the codes that set colours and weights, none of which hides text: no "conceal".
fn looks(params: &Params) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut groups = params.iter();
    while let Some(group) = groups.next() {
        let mut words: Vec<u16> = group.to_vec();
        let whole = match words.first() {
            // Another notation puts what belongs to these into groups of their own: 38;5;N and 38;2;R;G;B.
            Some(38 | 48 | 58) if words.len() == 1 => {
                let mut next = |words: &mut Vec<u16>| words.extend(groups.next().and_then(|group| group.first()));
                next(&mut words);
                let more = match words.get(1) {
                    Some(5) => 1,
                    Some(2) => 3,
                    _ => 0,
                };
                (0..more).for_each(|_| next(&mut words));
                more > 0 && words.len() == more + 2
            }
            Some(38 | 48 | 58) => true,
            Some(0..=4 | 7 | 9 | 22..=24 | 27 | 29..=37 | 39..=47 | 49 | 59 | 90..=97 | 100..=107) => words.len() <= 2,
            _ => false,
        };
        if whole {
            let separator = if group.len() > 1 { ":" } else { ";" };
            out.push(words.iter().map(u16::to_string).collect::<Vec<_>>().join(separator));
        }
    }
    out.join(";")
}

#[cfg(test)]
mod tests {
    use super::Harmless;

    fn shown(bytes: &[u8]) -> String {
        let mut log = Harmless::new(true);
        let text = log.push(bytes);
        text + &log.end()
    }

    #[test]
    fn colours_stay_and_are_taken_back_at_the_end() {
        for text in ["\x1b[31mred\x1b[0m", "\x1b[1;38;5;208mx\x1b[0m", "\x1b[38;2;1;2;3mx\x1b[0m", "\x1b[4:3mx\x1b[0m"]
        {
            assert_eq!(shown(text.as_bytes()), text);
        }
        assert_eq!(shown(b"\x1b[31mred\n"), "\x1b[31mred\n\x1b[0m");
        assert_eq!(shown(b"\x1b[mx"), "\x1b[0mx");
        assert_eq!(Harmless::new(false).push(b"\x1b[31mred\x1b[0m"), "red");
    }

    #[test]
    fn nothing_steers_the_terminal() {
        for (bytes, text) in [
            (&b"a\x1b]52;c;c2VjcmV0\x07b"[..], "ab"),
            (b"a\x1b]52;c;c2VjcmV0\x1b\\b", "ab"),
            (b"\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\", "here"),
            (b"\x1b]0;title\x07x", "x"),
            (b"a\x1b[2J\x1b[Hb\x1b[1Ac\x1bcd", "abcd"),
            (b"\x1b[?1049hx\x1b[6n\x1b[>4;2my", "xy"),
            (b"\x1bP+q544e\x1b\\x\x1b_apc\x1b\\y\x1b^pm\x1b\\z", "xyz"),
            (b"\x1b[8mhidden\x1b[5mblinking", "hiddenblinking"),
            (b"a\x07\x08\x00\x7fb", "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}b"),
            ("a\u{9b}2Jb\u{202e}c\u{2066}d".as_bytes(), "a\u{fffd}2Jb\u{fffd}c\u{fffd}d"),
            (b"a\x9b2Jb", "a\u{fffd}2Jb"),
        ] {
            assert_eq!(shown(bytes), text, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_code_left_open_ends_with_its_line() {
        assert_eq!(shown(b"a\x1b]52;c;xyz\nb\x1b[3\nc"), "a\nb\nc");
    }

    #[test]
    fn a_carriage_return_draws_over_nothing() {
        assert_eq!(shown(b"10%\r20%\rdone\r\nnext\r"), "10%\n20%\ndone\nnext");
    }

    #[test]
    fn it_does_not_matter_where_the_bytes_are_cut() {
        let bytes = "é\x1b[31m→\x1b[0m\x1b]52;c;x\x07😀\r\n\u{202e}".as_bytes();
        let whole = shown(bytes);
        for at in 0..=bytes.len() {
            let mut log = Harmless::new(true);
            let text = log.push(&bytes[..at]) + &log.push(&bytes[at..]);
            assert_eq!(text + &log.end(), whole, "cut at {at}");
        }
        assert_eq!(shown(b"a\xe2\x82"), "a\u{fffd}");
    }
}
