//! Lines of bytes: split at LF only, never decoded, each with its own line end. Knows nothing of ChangeLogs.

use std::borrow::Cow;

use memchr::{memchr, memrchr};

/// How a file ends its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnd {
    Lf,
    CrLf,
}

impl LineEnd {
    /// What most lines of `sample` end in; LF if there are none.
    pub(crate) fn of(sample: &[u8]) -> Self {
        let (mut lf, mut crlf) = (0usize, 0usize);
        for line in lines(sample) {
            if line.ends_with(b"\r\n") {
                crlf += 1;
            } else if line.ends_with(b"\n") {
                lf += 1;
            }
        }
        if crlf > lf { Self::CrLf } else { Self::Lf }
    }

    /// What all lines of `bytes` end in, or `None` if they differ or there are none.
    pub(crate) fn uniform(bytes: &[u8]) -> Option<Self> {
        let mut found = None;
        for at in memchr::memchr_iter(b'\n', bytes) {
            let this = if at > 0 && bytes[at - 1] == b'\r' { Self::CrLf } else { Self::Lf };
            match found {
                None => found = Some(this),
                Some(before) if before != this => return None,
                Some(_) => {}
            }
        }
        found
    }

    pub(crate) fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }
}

/// How many bytes the mark takes that some editors put before all text.
pub(crate) fn mark_len(text: &[u8]) -> usize {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    if text.starts_with(MARK) { MARK.len() } else { 0 }
}

/// The lines of `bytes`, each with its LF (the last one perhaps without).
pub(crate) fn lines(bytes: &[u8]) -> Lines<'_> {
    Lines { rest: bytes }
}

#[derive(Clone)]
pub(crate) struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr(b'\n', self.rest).map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at(end);
        crate::steps::count(1);
        self.rest = rest;
        Some(line)
    }
}

/// Blank, tab, CR, form feed, vertical tab: what may stand in an empty looking line. A form feed ends no line.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\x0c' | b'\x0b')
}

/// Whether nothing but blanks stands in the line.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|&b| b == b'\n' || is_space(b))
}

/// The line without its line end and the blanks before that.
pub(crate) fn trim_end(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|&b| b != b'\n' && !is_space(b)).map_or(0, |at| at + 1);
    &line[..end]
}

/// The text without blanks at both ends.
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    let text = trim_end(text);
    let start = text.iter().position(|&b| !is_space(b)).unwrap_or(text.len());
    &text[start..]
}

/// The line without LF or CRLF.
pub(crate) fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Where the blank lines at the end of `text` begin: after the last line that has text, its line end included.
pub(crate) fn blank_tail(text: &[u8]) -> usize {
    let mut end = text.len();
    while end > 0 {
        let body = if text[end - 1] == b'\n' { end - 1 } else { end };
        let start = memrchr(b'\n', &text[..body]).map_or(0, |at| at + 1);
        if !is_blank(&text[start..end]) {
            break;
        }
        end = start;
    }
    end
}

/// Where the blank lines at the start of `text` end.
pub(crate) fn blank_head(text: &[u8]) -> usize {
    let mut at = 0;
    for line in lines(text) {
        if !is_blank(line) {
            break;
        }
        at += line.len();
    }
    at
}

/// The text without the blank lines at both ends.
pub(crate) fn without_blank_lines(text: &[u8]) -> &[u8] {
    let text = &text[..blank_tail(text)];
    &text[blank_head(text)..]
}

/// Makes the text end in so many blank lines at least, unless it is empty.
pub(crate) fn separate(out: &mut Vec<u8>, blank: usize, end: LineEnd) {
    if out.len() == mark_len(out) {
        return;
    }
    if !out.ends_with(b"\n") {
        out.extend_from_slice(end.as_bytes());
    }
    let there = lines(&out[blank_tail(out)..]).count();
    for _ in there..blank {
        out.extend_from_slice(end.as_bytes());
    }
}

/// Appends `text` with every line ended by `end`, also the last one.
pub(crate) fn push_with_line_ends(out: &mut Vec<u8>, text: &[u8], end: LineEnd) {
    for line in lines(text) {
        out.extend_from_slice(without_end(line));
        out.extend_from_slice(end.as_bytes());
    }
}

/// The text with what ISO-2022 escapes switch to (`ESC $ B … ESC ( B`), and the escapes, hidden: byte for byte a letter, so that none of it is taken for
/// a bracket or a comma. To find places only.
pub(crate) fn without_escaped(text: &[u8]) -> Cow<'_, [u8]> {
    const ESC: u8 = 0x1b;
    const HIDDEN: u8 = b'x';
    let Some(first) = memchr(ESC, text) else { return Cow::Borrowed(text) };
    let mut out = text.to_vec();
    let (mut at, mut hides) = (first, false);
    while at < out.len() {
        match text[at] {
            ESC => {
                let between = text[at + 1..].iter().take_while(|b| (0x20..0x30).contains(*b)).count();
                let end = (at + 1 + between + 1).min(out.len());
                match text[at + 1..end] {
                    [b'(', b'B' | b'J'] => hides = false,
                    [b'$' | b'(' | b',', ..] => hides = true,
                    // Of no effect on what follows, or nothing known.
                    _ => {}
                }
                // A line end in the middle of an escape is one all the same.
                let end = memchr(b'\n', &text[at..end]).map_or(end, |n| at + n);
                out[at..end].fill(HIDDEN);
                at = end;
            }
            b'\n' => {
                hides = false;
                at += 1;
            }
            b => {
                if hides && !is_space(b) {
                    out[at] = HIDDEN;
                }
                at += 1;
            }
        }
    }
    Cow::Owned(out)
}

/// The 1-based line that the byte at `offset` stands in.
pub(crate) fn line_number(bytes: &[u8], offset: usize) -> usize {
    1 + memchr::memchr_iter(b'\n', &bytes[..offset.min(bytes.len())]).count()
}

/// Says in which lines places stand, each no earlier than the one before: all of them together cost one look at the text.
pub(crate) struct LineCounter<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> LineCounter<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, line: 1 }
    }

    /// The 1-based line that the byte at `offset` stands in.
    pub(crate) fn line(&mut self, offset: usize) -> usize {
        let offset = offset.min(self.bytes.len());
        if offset < self.at {
            (self.at, self.line) = (0, 1);
        }
        self.line += memchr::memchr_iter(b'\n', &self.bytes[self.at..offset]).count();
        self.at = offset;
        self.line
    }
}

/// For messages: the bytes as text, U+FFFD where they are not UTF-8.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
