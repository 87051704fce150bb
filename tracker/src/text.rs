//! How bytes from git and from strangers are shown: the one way, so that none forgets it.
//!
//! What is not UTF-8 becomes U+FFFD; what can't be seen, looks like a blank, is taken for another letter or sign, or is drawn over
//! others as no language does it becomes `<U+202E>`: see [`seen`]. Escaping for HTML is the pages' own.
//!
//! Everything has a length before it is made, in what is shown and not in what was given: an escape has eight times the bytes
//! of what it stands for. Whatever is made of many parts gets a [`Budget`] and hands it down.

mod combining;
mod hidden;
mod look_alikes;

pub use hidden::is_hidden;
use look_alikes::marked;
use std::borrow::Cow;
use std::iter::Peekable;
use std::str::CharIndices;
use std::vec::IntoIter;

/// Most characters of a name, path or other text of one line.
const MAX_LINE: usize = 4096;
/// Most characters of a text of several lines.
const MAX_LINES: usize = 64 << 10;

/// The text of `bytes`, one line: hidden characters made visible, tabs kept; cut at 4096 characters.
pub fn shown(bytes: &[u8]) -> String {
    cut(bytes, Kind::Line, MAX_LINE).0
}

/// The text of `bytes` that may have several lines: as [`shown`], but line feeds are kept and a CR before one is not
/// said; cut at 64 Ki characters.
pub fn shown_lines(bytes: &[u8]) -> String {
    cut(bytes, Kind::Lines, MAX_LINES).0
}

/// As [`shown`], cut to at most `max` characters of what is shown, with `…` where something was left out.
pub fn shortened(text: &str, max: usize) -> String {
    cut(text.as_bytes(), Kind::Line, max).0
}

/// As [`shortened`], but what only looks like another character stays as it was written: for what is kept and not shown,
/// such as a commit's message. Whoever shows it marks it.
pub fn as_written(text: &str, max: usize) -> String {
    cut(text.as_bytes(), Kind::Written, max).0
}

/// The whole text as [`shown_lines`] shows it, however long it is.
pub fn whole(text: &str) -> Cow<'_, str> {
    if text.is_ascii() && !text.bytes().any(|b| b.is_ascii_control() && !matches!(b, b'\n' | b'\t')) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for (c, as_it_is) in seen(text) {
        if as_it_is { out.push(c) } else { out.push_str(&written_out(c)) }
    }
    Cow::Owned(out)
}

/// Each character of a text, and whether it may be shown as it is: the one place where that is decided. Those that may not
/// are to be [written out](written_out). Tabs and line feeds may.
///
/// ```
/// use tracker::text::{seen, written_out};
/// let marked: Vec<String> = seen("p\u{430}y\u{200b}").filter(|(_, as_it_is)| !as_it_is).map(|(c, _)| written_out(c)).collect();
/// assert_eq!(marked, ["<U+0430>", "<U+200B>"]);
/// ```
pub fn seen(text: &str) -> impl Iterator<Item = (char, bool)> {
    Seen { characters: text.char_indices(), marks: marked(text).into_iter().peekable() }
}

struct Seen<'t> {
    characters: CharIndices<'t>,
    marks: Peekable<IntoIter<usize>>,
}

impl Iterator for Seen<'_> {
    type Item = (char, bool);

    fn next(&mut self) -> Option<(char, bool)> {
        let (at, c) = self.characters.next()?;
        let is_marked = self.marks.next_if_eq(&at).is_some();
        Some((c, matches!(c, '\t' | '\n') || !(is_marked || is_hidden(c))))
    }
}

/// A character that is not shown as it is: `<U+202E>`.
pub fn written_out(c: char) -> String {
    format!("<U+{:04X}>", u32::from(c))
}

/// The last `max` bytes of what a program said, as text of several lines.
pub(crate) fn tail(bytes: &[u8], max: usize) -> String {
    let from = bytes.len().saturating_sub(max);
    let text = shown_lines(&bytes[from..]);
    let text = text.trim();
    let mut start = text.len().saturating_sub(max);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    if from == 0 && start == 0 { text.to_owned() } else { format!("…{}", &text[start..]) }
}

/// A word of a command that people are told to run, as a shell takes it back whole: in quotes if it needs them. What a stranger
/// named is a word of it, and never a part of the command.
///
/// ```
/// use tracker::text::shell_word;
///
/// assert_eq!(shell_word("https://example.org/r.git"), "https://example.org/r.git");
/// assert_eq!(shell_word("https://example.org/$(id)"), "'https://example.org/$(id)'");
/// ```
pub fn shell_word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// How many bytes a page's list, diff or message may still get. Whoever makes a part of it takes that from here.
///
/// ```
/// let mut budget = tracker::text::Budget::of(200);
/// assert_eq!(budget.line(b"a\0b", 100), "a<U+0000>b");
/// let rest = budget.line(&[b'x'; 1000], 1000);
/// assert!(rest.len() < 200 && rest.ends_with('…') && budget.is_spent());
/// assert_eq!(budget.line(b"more", 100), "…");
/// ```
#[derive(Debug)]
pub struct Budget {
    left: usize,
}

/// What a part costs beside its text.
const PART: usize = 32;

impl Budget {
    /// So many bytes.
    pub fn of(bytes: usize) -> Self {
        Self { left: bytes }
    }

    /// Whether nothing more can be had: what comes now is left out, and counted.
    pub fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// Text of one line, as [`shown`] and of at most `max` characters.
    pub fn line(&mut self, bytes: &[u8], max: usize) -> String {
        self.take(bytes, Kind::Line, max).0
    }

    /// The same, and whether it is cut.
    pub fn line_of(&mut self, bytes: &[u8], max: usize) -> (String, bool) {
        self.take(bytes, Kind::Line, max)
    }

    /// A part of what is left, of at most `most` bytes. What it does not need is to be given back.
    pub fn part(&mut self, most: usize) -> Self {
        let left = most.min(self.left);
        self.left -= left;
        Self { left }
    }

    /// Takes back what is left of a part.
    #[expect(clippy::needless_pass_by_value, reason = "it is used up")]
    pub fn give_back(&mut self, part: Self) {
        self.left += part.left;
    }

    /// Takes so many bytes, if there are as many; none otherwise.
    pub fn take_bytes(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    /// Text of several lines, as [`shown_lines`] and of at most `max` characters.
    pub fn lines(&mut self, bytes: &[u8], max: usize) -> String {
        self.take(bytes, Kind::Lines, max).0
    }

    fn take(&mut self, bytes: &[u8], kind: Kind, max: usize) -> (String, bool) {
        // A character may have four bytes, so the last part may take a little more.
        let left = self.left.saturating_sub(PART);
        let (text, is_cut) = cut(bytes, kind, max.min(left));
        self.left = if is_cut && left < max { 0 } else { left.saturating_sub(text.len()) };
        (text, is_cut)
    }
}

/// How a text is to be shown.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Line,
    Lines,
    /// One line, and look-alikes as they are.
    Written,
}

/// At most `max` characters of the text, and `…` if there is more, and whether there is. No more of the bytes is looked
/// at than can be shown.
fn cut(bytes: &[u8], kind: Kind, max: usize) -> (String, bool) {
    let front = &bytes[..bytes.len().min(max.saturating_mul(4).saturating_add(8))];
    let mut text = String::from_utf8_lossy(front);
    if kind == Kind::Lines && text.contains("\r\n") {
        text = text.replace("\r\n", "\n").into();
    }
    let mut out = String::with_capacity(text.len().min(max));
    let mut count = 0;
    let mut is_cut = front.len() < bytes.len();
    for (c, as_it_is) in seen(&text) {
        let as_it_is = as_it_is || (kind == Kind::Written && !is_hidden(c));
        let is_plain = as_it_is && (kind == Kind::Lines || c != '\n');
        let width = if is_plain { 1 } else { escape_width(c) };
        if count + width > max {
            is_cut = true;
            break;
        }
        count += width;
        if is_plain { out.push(c) } else { out.push_str(&written_out(c)) }
    }
    if is_cut {
        out.push('…');
    }
    (out, is_cut)
}

fn escape_width(c: char) -> usize {
    match u32::from(c) {
        0..=0xFFFF => 8,
        0x1_0000..=0xF_FFFF => 9,
        _ => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_can_not_be_seen_is_said() {
        assert_eq!(
            shown("a\u{202e}b\u{200b}\0\r\x1b[31m".as_bytes()),
            "a<U+202E>b<U+200B><U+0000><U+000D><U+001B>[31m"
        );
        assert_eq!(shown(b"\xff\tx\ny"), "\u{fffd}\tx<U+000A>y");
        assert_eq!(shown_lines(b"a\r\nb\rc"), "a\nb<U+000D>c");
        assert_eq!(shortened("abcdef", 3), "abc…");
        assert_eq!(shown("Übel, שלום, 日本".as_bytes()), "Übel, שלום, 日本");
        assert_eq!(as_written("‘x y’ \u{202e}\n\u{430}b\t", 80), "‘x y’ <U+202E><U+000A>\u{430}b\t");
        assert_eq!(whole("‘x y’\n"), "<U+2018>x y<U+2019>\n");
    }

    #[test]
    fn blanks_that_are_none_are_said_and_all_else_that_hides() {
        let kinds = [
            ("no-break blanks", "\u{a0}\u{202f}\u{2007}"),
            ("blanks of other widths", "\u{1680}\u{2000}\u{2003}\u{2009}\u{200a}\u{205f}\u{3000}"),
            ("letters without ink", "\u{2800}\u{115f}\u{1160}\u{3164}\u{ffa0}\u{1d159}\u{16fe4}"),
            ("no width", "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{180e}\u{34f}\u{17b4}"),
            ("direction", "\u{200e}\u{200f}\u{61c}\u{202a}\u{202e}\u{2066}\u{2069}"),
            ("tags and variations", "\u{e0001}\u{e0041}\u{e007f}\u{fe00}\u{fe0f}\u{e0100}\u{180b}"),
            ("hyphens and ends of lines", "\u{ad}\u{2028}\u{2029}\u{85}"),
            ("invisible operators", "\u{2061}\u{2062}\u{2063}\u{2064}"),
        ];
        for (kind, characters) in kinds {
            for c in characters.chars() {
                let text = format!("a{c}b");
                assert_eq!(shown(text.as_bytes()), format!("a<U+{:04X}>b", u32::from(c)), "{kind}");
            }
        }
    }

    #[test]
    fn escapes_count_for_what_they_are() {
        assert_eq!(shortened(&"\u{1}".repeat(100), 20), "<U+0001><U+0001>…");
        assert_eq!(shown(&[1; 10_000]).chars().count(), MAX_LINE + 1);
        assert!(tail(&[1; 10_000], 4096).len() <= 4096 + 3);
        let mut budget = Budget::of(1000);
        let all: usize = (0..100).map(|_| budget.line(&[1; 500], 400).len()).sum();
        assert!(all <= 1000 + 100 * 3 && budget.is_spent(), "{all}");
        let mut budget = Budget::of(1000);
        (0..40).for_each(|_| _ = budget.line(b"", 10));
        assert!(budget.is_spent(), "nothing costs something too");
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left(bytes: Vec<u8>) {
            prop_assert!(!shown(&bytes).chars().any(|c| c != '\t' && is_hidden(c)));
            prop_assert!(!tail(&bytes, 20).chars().any(|c| !matches!(c, '\t' | '\n') && is_hidden(c)));
        }

        #[test]
        fn no_text_is_longer_than_it_may_be(text: String, max in 0usize..60) {
            prop_assert!(shortened(&text, max).chars().count() <= max + 1);
        }
    }
}
