//! Headers of entries: who, when, and what was noted after the address. Borrows; never changes a byte.

use crate::date::HeaderDate;
use crate::lines::{is_blank, is_space, lines, trim, trim_end, without_escaped};

/// The header of an entry: its lines, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The date of the first line; it orders the entry.
    pub date: HeaderDate,
    /// The first date as it is written, with its time and zone.
    pub date_text: &'a [u8],
    /// All authors of all header lines, in order.
    pub authors: Vec<Author<'a>>,
    /// What follows the last address of the first line, such as `(tiny change)`.
    pub note: Option<&'a [u8]>,
}

/// One author, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Author<'a> {
    /// The name; empty if only an address is given.
    pub name: &'a [u8],
    /// The address with its brackets: `<a@b>`, `(a@b)`, `<a at b>`.
    pub address: Option<&'a [u8]>,
}

impl<'a> Author<'a> {
    /// The address without its brackets.
    pub fn bare_address(&self) -> Option<&'a [u8]> {
        self.address.map(|a| trim(&a[1..a.len() - 1]))
    }
}

impl<'a> Header<'a> {
    /// Reads the header lines of an entry; `None` if the first of them does not start with a date.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let first = lines(text).next()?;
        let date = HeaderDate::at_start_of(first)?;
        let (mut authors, note) = authors_of(&first[date.len..]);
        for line in lines(text).skip(1) {
            let from = HeaderDate::at_start_of(line).map_or(0, |d| d.len);
            authors.extend(authors_of(&line[from..]).0);
        }
        Some(Self { date, date_text: &first[..date.len], authors, note })
    }
}

/// How many bytes the header lines at the start of `text` take; 0 if there are none. A further dated line directly below
/// is a second header of the same entry; an indented line that ends in an address is a further author.
pub(crate) fn header_len(text: &[u8]) -> usize {
    let mut len = 0;
    for line in lines(text) {
        let is_header = HeaderDate::at_start_of(line).is_some();
        if !is_header && (len == 0 || !is_author_line(line)) {
            break;
        }
        len += line.len();
    }
    len
}

fn is_author_line(line: &[u8]) -> bool {
    if !line.first().is_some_and(|&b| is_space(b)) || is_blank(line) {
        return false;
    }
    let text = trim(line);
    if matches!(text[0], b'*' | b'(' | b'-' | b'+' | b'[') {
        return false;
    }
    let shown = without_escaped(text);
    match last_shown_address(&shown) {
        Some((start, end)) => end == shown.len() && !shown[..start].contains(&b':'),
        None => false,
    }
}

/// The bytes that make two headers the same: every line without the blanks at its end.
pub(crate) fn same_header(a: &[u8], b: &[u8]) -> bool {
    lines(a).map(trim_end).eq(lines(b).map(trim_end))
}

/// Authors and note of what follows a date.
fn authors_of(text: &[u8]) -> (Vec<Author<'_>>, Option<&[u8]>) {
    let shown = without_escaped(text);
    let mut rest = Part { text, shown: &shown }.trimmed();
    if rest.shown.starts_with(b":") {
        rest = rest.from(1).trimmed();
    }
    let mut authors = Vec::new();
    while let Some((start, end)) = first_shown_address(rest.shown) {
        let name = rest.up_to(start).trimmed().without_joiner();
        authors.push(Author { name: name.text, address: Some(&rest.text[start..end]) });
        rest = rest.from(end).trimmed();
    }
    if rest.text.is_empty() {
        return (authors, None);
    }
    if !authors.is_empty() {
        let name = rest.without_joiner();
        if name.text.len() == rest.text.len() {
            return (authors, Some(rest.text));
        }
        rest = name;
    }
    let (name, note) = rest.without_note();
    if !name.is_empty() {
        authors.push(Author { name, address: None });
    }
    (authors, note)
}

/// A part of a header, and the same part with what is not to be read hidden.
#[derive(Clone, Copy)]
struct Part<'a, 's> {
    text: &'a [u8],
    shown: &'s [u8],
}

impl<'a> Part<'a, '_> {
    fn from(self, at: usize) -> Self {
        Self { text: &self.text[at..], shown: &self.shown[at..] }
    }

    fn up_to(self, at: usize) -> Self {
        Self { text: &self.text[..at], shown: &self.shown[..at] }
    }

    fn trimmed(self) -> Self {
        let part = self.up_to(trim_end(self.shown).len());
        part.from(part.shown.len() - trim(part.shown).len())
    }

    /// Drops what joins two authors on one line from the front of the second.
    fn without_joiner(mut self) -> Self {
        const JOINERS: [&[u8]; 5] = [b",", b"/", b"&", b";", b"and"];
        while let Some(joiner) = JOINERS.into_iter().find(|j| self.shown.starts_with(j)) {
            let rest = self.from(joiner.len());
            if joiner == b"and" && rest.shown.first().is_some_and(|&b| !is_space(b)) {
                break;
            }
            self = rest.trimmed();
        }
        self
    }

    /// `A B (tiny change)` without an address: name and note.
    fn without_note(self) -> (&'a [u8], Option<&'a [u8]>) {
        match (self.shown.last(), memchr::memrchr(b'(', self.shown)) {
            (Some(b')'), Some(at)) => (trim_end(&self.text[..at]), Some(&self.text[at..])),
            _ => (self.text, None),
        }
    }
}

/// The first `<…>`, or `(…)` that has an `@` or ` at ` in it.
pub(crate) fn first_address(text: &[u8]) -> Option<(usize, usize)> {
    first_shown_address(&without_escaped(text))
}

/// The same in a text that [`without_escaped`] has been through.
pub(crate) fn first_shown_address(text: &[u8]) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(start) = memchr::memchr2(b'<', b'(', &text[from..]).map(|at| at + from) {
        if let Some(end) = address_end(text, start) {
            return Some((start, end));
        }
        from = start + 1;
    }
    None
}

fn last_shown_address(text: &[u8]) -> Option<(usize, usize)> {
    let start = memchr::memrchr2(b'<', b'(', text)?;
    address_end(text, start).map(|end| (start, end))
}

/// Longer than any address is; it keeps a line of 50 MB of brackets linear.
const LONGEST_ADDRESS: usize = 400;

fn address_end(text: &[u8], start: usize) -> Option<usize> {
    let close = if text[start] == b'<' { b'>' } else { b')' };
    let near = &text[start..text.len().min(start + LONGEST_ADDRESS)];
    let end = start + memchr::memchr(close, near)? + 1;
    let inside = &text[start + 1..end - 1];
    let is_address = match text[start] {
        // An address that never closes ends where the next begins.
        b'<' => !inside.is_empty() && !inside.contains(&b'<'),
        _ => inside.contains(&b'@') || inside.windows(4).any(|w| w == b" at "),
    };
    is_address.then_some(end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn read(text: &str) -> (Vec<(String, Option<String>)>, Option<String>) {
        let text = text.as_bytes();
        let h = Header::parse(&text[..header_len(text)]).unwrap();
        let s = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        (h.authors.iter().map(|a| (s(a.name), a.address.map(s))).collect(), h.note.map(s))
    }

    fn author(name: &str, address: &str) -> (String, Option<String>) {
        (name.to_owned(), (!address.is_empty()).then(|| address.to_owned()))
    }

    #[test]
    fn authors_and_notes_are_read_as_written() {
        type Case = (&'static str, &'static [(&'static str, &'static str)], Option<&'static str>);
        let cases: &[Case] = &[
            ("2007-01-22  A B  <a@b>\n", &[("A B", "<a@b>")], None),
            ("2007-01-22  A B  <a@b>  (tiny change)\n", &[("A B", "<a@b>")], Some("(tiny change)")),
            ("2007-01-22  A B (a@b)\n", &[("A B", "(a@b)")], None),
            ("2007-01-22  A B  (rich at rtl.cygnus.com)\n", &[("A B", "(rich at rtl.cygnus.com)")], None),
            ("2007-01-22  A B  <newren gmail com>\n", &[("A B", "<newren gmail com>")], None),
            ("2020-05-29: Zed\n", &[("Zed", "")], None),
            ("2022-08-25\n", &[], None),
            ("2003-06-03    <k@g>\n", &[("", "<k@g>")], None),
            ("2001-06-08  A, Jr., O  <a@r>, J S  <j@o>\n", &[("A, Jr., O", "<a@r>"), ("J S", "<j@o>")], None),
            ("2014-10-18  E H  <e@e> / K I  <k@k>\n", &[("E H", "<e@e>"), ("K I", "<k@k>")], None),
            ("2014-10-18  E H  <e@e> and K I\n", &[("E H", "<e@e>"), ("K I", "")], None),
            ("2014-10-18  P R (tiny change)\n", &[("P R", "")], Some("(tiny change)")),
            ("2014-10-18  E H  <e@e> and\n\tK I  <k@k>\n", &[("E H", "<e@e>"), ("K I", "<k@k>")], None),
            ("2014-10-18  And Y  <a@y>, andy  <b@y>\n", &[("And Y", "<a@y>"), ("andy", "<b@y>")], None),
            ("2014-10-18  half <a@b, E H  <e@e>\n", &[("half <a@b, E H", "<e@e>")], None),
            ("1998-12-01  M (\u{1b}$BB<(@\u{1b}(B) <m@s>\n", &[("M (\u{1b}$BB<(@\u{1b}(B)", "<m@s>")], None),
            ("1998-12-01  m@s (\u{1b}$B@>, (\u{1b}(B / K)\n", &[("m@s", "")], Some("(\u{1b}$B@>, (\u{1b}(B / K)")),
            ("2014-10-18  half <a@b\n", &[("half <a@b", "")], None),
        ];
        for (text, authors, note) in cases {
            let want: Vec<_> = authors.iter().map(|(n, a)| author(n, a)).collect();
            assert_eq!(read(text), (want, note.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn lines_directly_below_can_be_authors_or_second_headers() {
        let two = "2016-11-28  R P  <r@h>\n\t    A P  <a@a>\n\t* x.c: y\n";
        assert_eq!(header_len(two.as_bytes()), "2016-11-28  R P  <r@h>\n\t    A P  <a@a>\n".len());
        assert_eq!(read(two).0, vec![author("R P", "<r@h>"), author("A P", "<a@a>")]);
        let dates = "2001-11-10  K E  <k@s>\n2003-01-12  B H  <b@c>\n\n\t* x: y\n";
        assert_eq!(read(dates).0.len(), 2);
        let item = "2001-11-10  K E  <k@s>\n\t* x: by A <a@b>\n";
        assert_eq!(read(item).0.len(), 1);
    }

    #[test]
    fn a_note_makes_another_header() {
        assert!(same_header(b"2001-11-10  K E  <k@s> \r\n", b"2001-11-10  K E  <k@s>"));
        assert!(!same_header(b"2001-11-10  K E  <k@s>  (tiny change)\n", b"2001-11-10  K E  <k@s>\n"));
    }
}
