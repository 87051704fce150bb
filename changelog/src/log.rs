//! The GNU ChangeLog as a file: preamble, entries, trailer. Lossless: whatever the bytes, the parts put together again are
//! the input. Linear, borrows, and keeps two words for each entry; what an entry says is read when it is asked for.

use crate::date::HeaderDate;
use crate::header::{Header, header_len};
use crate::items::{Items, items};
use crate::lines::{blank_tail, lines, mark_len, trim_end, without_blank_lines};

/// A parsed GNU ChangeLog.
#[derive(Clone, Debug)]
pub struct ChangeLog<'a> {
    bytes: &'a [u8],
    spans: Vec<Span>,
    trailer: usize,
    extent: Extent,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    header_end: usize,
}

/// Whether a trailer is looked for: the head of a larger file has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    Head,
}

impl<'a> ChangeLog<'a> {
    /// Parses any bytes at all. A line that fits no rule is text of the part it stands in.
    pub fn parse(bytes: &'a [u8]) -> Self {
        Self::parse_extent(bytes, Extent::Whole)
    }

    pub(crate) fn parse_extent(bytes: &'a [u8], extent: Extent) -> Self {
        let mut spans = Vec::new();
        let mut at = mark_len(bytes);
        while at < bytes.len() {
            let len = header_len_at(bytes, at);
            if len > 0 {
                spans.push(Span { start: at, header_end: at + len });
                at += len;
            } else {
                at = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n + 1);
            }
        }
        let trailer = match extent {
            Extent::Whole => trailer_start(bytes, spans.last().map_or(0, |s| s.header_end)),
            Extent::Head => bytes.len(),
        };
        Self { bytes, spans, trailer, extent }
    }

    /// What precedes the first header.
    pub fn preamble(&self) -> &'a [u8] {
        let end = self.spans.first().map_or(self.trailer, |s| s.start);
        &self.bytes[..end]
    }

    /// The entries, from the top of the file.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry<'a>> + DoubleEndedIterator + Clone + '_ {
        (0..self.spans.len()).map(|at| self.entry_at(at))
    }

    /// The entry number `index` from the top.
    pub fn entry(&self, index: usize) -> Option<Entry<'a>> {
        (index < self.spans.len()).then(|| self.entry_at(index))
    }

    /// Local variables, copyright, pointers to older files: what follows the last entry.
    pub fn trailer(&self) -> &'a [u8] {
        &self.bytes[self.trailer..]
    }

    /// The file that was parsed.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the file ends where this ends.
    pub(crate) fn is_whole(&self) -> bool {
        self.extent == Extent::Whole
    }

    /// Prints the file from its parts: always the bytes that were parsed.
    pub fn print(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len());
        out.extend_from_slice(self.preamble());
        for entry in self.entries() {
            out.extend_from_slice(entry.header_bytes());
            out.extend_from_slice(entry.body_bytes());
        }
        out.extend_from_slice(self.trailer());
        out
    }

    fn entry_at(&self, index: usize) -> Entry<'a> {
        let span = self.spans[index];
        let end = self.spans.get(index + 1).map_or(self.trailer, |next| next.start);
        Entry { bytes: &self.bytes[span.start..end], header_len: span.header_end - span.start, offset: span.start }
    }
}

/// One entry of a ChangeLog: header lines, body, and the blank lines below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    bytes: &'a [u8],
    header_len: usize,
    offset: usize,
}

impl<'a> Entry<'a> {
    /// The whole entry, blank lines below included.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where it starts in the file.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The header line or lines.
    pub fn header_bytes(&self) -> &'a [u8] {
        &self.bytes[..self.header_len]
    }

    /// Everything below the header lines.
    pub fn body_bytes(&self) -> &'a [u8] {
        &self.bytes[self.header_len..]
    }

    /// The body without the blank lines around it.
    pub fn text(&self) -> &'a [u8] {
        without_blank_lines(self.body_bytes())
    }

    /// What its body says, item by item.
    pub fn items(&self) -> Items<'a> {
        items(self.body_bytes())
    }

    /// The entry without the blank lines below it.
    pub fn content(&self) -> &'a [u8] {
        &self.bytes[..blank_tail(self.bytes)]
    }

    /// The blank lines below it.
    pub fn separator(&self) -> &'a [u8] {
        &self.bytes[blank_tail(self.bytes)..]
    }

    /// Its first `len` bytes; `None` if they are not even its header.
    pub(crate) fn up_to(&self, len: usize) -> Option<Self> {
        (len >= self.header_len).then(|| Self { bytes: &self.bytes[..len.min(self.bytes.len())], ..*self })
    }

    /// The date of its first header line.
    pub fn date(&self) -> HeaderDate {
        // An entry is only made where a date was read, so the fall-back is never seen.
        HeaderDate::at_start_of(self.bytes).unwrap_or(HeaderDate {
            day: None,
            time: None,
            style: crate::date::DateStyle::Iso,
            len: 0,
        })
    }

    /// The header, read.
    pub fn header(&self) -> Header<'a> {
        Header::parse(self.header_bytes()).unwrap_or(Header {
            date: self.date(),
            date_text: b"",
            authors: Vec::new(),
            note: None,
        })
    }
}

fn header_len_at(bytes: &[u8], at: usize) -> usize {
    // Most lines start with a blank or a tab: look no further.
    match bytes[at] {
        b'0'..=b'9' | b'M' | b'T' | b'W' | b'F' | b'S' => header_len(&bytes[at..]),
        _ => 0,
    }
}

/// The start of the first line at or after `from` that begins a trailer.
fn trailer_start(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    for line in lines(&bytes[from..]) {
        if starts_trailer(line) {
            return at;
        }
        at += line.len();
    }
    bytes.len()
}

fn starts_trailer(line: &[u8]) -> bool {
    match line.first() {
        Some(b'\x0c') => return true,
        None | Some(b' ' | b'\t' | b'\r' | b'\n') => return false,
        Some(_) => {}
    }
    let text = without_comment_mark(trim_end(line));
    const STARTS: [&[u8]; 9] = [
        b"local variables:",
        b"copyright (c)",
        b"copyright \xc2\xa9",
        b"copyright \xa9",
        b"for older changes",
        b"for earlier changes",
        b"for previous changes",
        b"older changes",
        b"see changelog",
    ];
    let starts = |start: &[u8]| text.len() >= start.len() && text[..start.len()].eq_ignore_ascii_case(start);
    STARTS.into_iter().any(starts) || (starts(b"copyright ") && text.get(10).is_some_and(u8::is_ascii_digit))
}

fn without_comment_mark(text: &[u8]) -> &[u8] {
    let text = text.strip_prefix(b"dnl ").unwrap_or(text);
    let start = text.iter().position(|b| !b";#/*%-.!<\" \t".contains(b)).unwrap_or(text.len());
    &text[start..]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn heads(text: &str) -> Vec<String> {
        ChangeLog::parse(text.as_bytes())
            .entries()
            .map(|e| String::from_utf8_lossy(trim_end(lines(e.bytes()).next().unwrap())).into_owned())
            .collect()
    }

    #[test]
    fn preamble_entries_and_trailer_are_told_apart() {
        let text = "-*- mode -*-\n\n2007-01-22  A  <a@b>\n\n\t* x: y\n\n2007-01-20  A  <a@b>\n\n\t* z: y\n\n\x0c\nLocal Variables:\nmode: change-log\nEnd:\n";
        let log = ChangeLog::parse(text.as_bytes());
        assert_eq!(log.preamble(), b"-*- mode -*-\n\n");
        assert_eq!(log.entries().len(), 2);
        assert_eq!(log.trailer(), b"\x0c\nLocal Variables:\nmode: change-log\nEnd:\n");
        let first = log.entry(0).unwrap();
        assert_eq!(first.header_bytes(), b"2007-01-22  A  <a@b>\n");
        assert_eq!(first.text(), b"\t* x: y\n");
        assert_eq!(first.separator(), b"\n");
    }

    #[test]
    fn what_looks_like_a_header_but_is_text() {
        let text = "2007-01-22  A  <a@b>\n\n\tRevert:\n\t2022-11-23  M P  <m@r>\n\n* Sun Jul 26 2015\n\nVersion 1.22.3 released\n=====\n";
        assert_eq!(heads(text), ["2007-01-22  A  <a@b>"]);
    }

    #[test]
    fn a_copyright_above_the_last_header_is_no_trailer() {
        let text = "2007-01-22  A  <a@b>\n\nCopyright (C) 2007 text\n\n2007-01-20  A  <a@b>\n\n\t* z: y\n";
        assert_eq!(ChangeLog::parse(text.as_bytes()).trailer(), b"");
        for mark in [
            ";; Local Variables:",
            "Copyright (C) 2020",
            "# Local Variables:",
            "For older changes see ChangeLog-2021",
            "\x0c",
        ] {
            let text = format!("2007-01-22  A  <a@b>\n\n\t* z: y\n\n{mark}\nmore\n");
            assert_eq!(ChangeLog::parse(text.as_bytes()).trailer(), format!("{mark}\nmore\n").as_bytes(), "{mark}");
        }
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(b"2007-01-22  A B  <a@b>\n".to_vec()),
            Just(b"Sun Jul 29 20:02:41 2007  A B  <a@b>\r\n".to_vec()),
            Just(b"\t    C D  <c@d>\n".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"\t\r\n".to_vec()),
            Just(b"\t* a.c (f): x\n".to_vec()),
            Just(b"\x0c\nLocal Variables:\n".to_vec()),
            Just(b"2007-01-22".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..12),
        ]
    }

    proptest! {
        #[test]
        fn print_gives_back_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert_eq!(ChangeLog::parse(&bytes).print(), bytes);
        }

        #[test]
        fn print_gives_back_anything_like_a_changelog(pieces in proptest::collection::vec(piece(), 0..40)) {
            let bytes = pieces.concat();
            let log = ChangeLog::parse(&bytes);
            prop_assert_eq!(log.print(), bytes.clone());
            for entry in log.entries() {
                let _ = (entry.header(), entry.text(), entry.content(), entry.separator());
                prop_assert!(entry.header_bytes().len() + entry.body_bytes().len() == entry.bytes().len());
            }
        }
    }
}
