//! A step's log as HTML lines: colours as classes, every other terminal code left out, everything escaped.
//!
//! Bounded whatever is printed: a line is cut, a window is at most [`WINDOW`] bytes and [`LINES`] lines, and nothing in
//! the bytes can become markup.

use anstyle_parse::{DefaultCharAccumulator, Params, Parser, Perform};
use std::collections::VecDeque;
use std::fmt::Write as _;
use tracker::text::is_hidden;

/// The most bytes of a log that a page shows, from its end.
pub(crate) const WINDOW: u64 = 512 << 10;
/// The most lines that a page shows of one step.
const LINES: usize = 5_000;
/// The most bytes of one line that are looked at.
const LINE: usize = 4_000;

/// A part of a log, to be shown.
#[derive(Debug, Default)]
pub(crate) struct LogHtml {
    /// The lines.
    pub(crate) html: String,
    /// Bytes that they are made of: up to the last line feed, or all of them when the log is whole.
    pub(crate) used: u64,
    /// The number of the line after the last.
    pub(crate) next_line: u64,
    /// Lines left out in front, because there are too many.
    pub(crate) lines_left_out: u64,
}

/// What is known of the end of the bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// More may come: a last line without its line feed is left for later.
    Open,
    /// Nothing more comes.
    Closed,
}

/// The lines of `bytes`, the end of the log of step `step`.
pub(crate) fn render(bytes: &[u8], step: u32, end: End) -> LogHtml {
    let mut live = LiveLog::new(step, 0);
    let mut kept: VecDeque<String> = VecDeque::new();
    let mut left_out = 0;
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let (lines, rest) = bytes.split_at(whole);
    let last = if end == End::Closed && !rest.is_empty() { Some(rest) } else { None };
    for line in lines.split_inclusive(|b| *b == b'\n').chain(last) {
        live.take(line);
        if !line.ends_with(b"\n") {
            live.end_line();
        }
        kept.push_back(std::mem::take(&mut live.out));
        if kept.len() > LINES {
            kept.pop_front();
            left_out += 1;
        }
    }
    let used = if last.is_some() { bytes.len() } else { whole };
    LogHtml { html: kept.into_iter().collect(), used: used as u64, next_line: live.next_line, lines_left_out: left_out }
}

/// A log as it grows: bytes in, whole HTML lines out.
#[derive(Debug)]
pub(crate) struct LiveLog {
    step: u32,
    next_line: u64,
    /// The line so far; not more than [`LINE`] bytes of it.
    line: Vec<u8>,
    /// How many bytes it has in truth.
    seen: usize,
    /// A carriage return came last.
    returned: bool,
    /// What the codes said last; it lasts over lines.
    style: Style,
    out: String,
}

impl LiveLog {
    /// The log of a step from byte `from` on. Lines are numbered from 1; a reader who has those before says so by
    /// [`LiveLog::numbered`].
    pub(crate) fn new(step: u32, _from: u64) -> Self {
        Self {
            step,
            next_line: 1,
            line: Vec::new(),
            seen: 0,
            returned: false,
            style: Style::default(),
            out: String::new(),
        }
    }

    /// The same, its next line having this number.
    #[must_use]
    pub(crate) fn numbered(mut self, next_line: u64) -> Self {
        self.next_line = next_line;
        self
    }

    /// Takes more bytes and gives the lines that they end. What follows the last line feed is kept for the next time.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.take(bytes);
        std::mem::take(&mut self.out)
    }

    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => self.end_line(),
                b'\r' => self.returned = true,
                _ => {
                    // What comes after a carriage return is the line drawn anew: only its last state is shown.
                    if std::mem::take(&mut self.returned) {
                        self.line.clear();
                        self.seen = 0;
                    }
                    self.seen = self.seen.saturating_add(1);
                    if self.line.len() < LINE {
                        self.line.push(*byte);
                    }
                }
            }
        }
    }

    fn end_line(&mut self) {
        let (step, number, cut) = (self.step, self.next_line, self.seen.saturating_sub(self.line.len()));
        // An id such as L2-17: step 2, line 17.
        let _ = write!(self.out, "<span id=\"L{step}-{number}\"><a href=\"#L{step}-{number}\">{number}</a>");
        let mut line = Line { style: self.style, ..Line::default() };
        // A parser for each line: a code that one left open ends with it, and can't swallow what follows.
        let mut parser = Parser::<DefaultCharAccumulator>::new();
        for byte in String::from_utf8_lossy(&self.line).bytes() {
            parser.advance(&mut line, byte);
        }
        line.close();
        self.out.push_str(&line.html);
        if cut > 0 {
            let _ = write!(self.out, "<span class=\"af\"> … {cut} more bytes in this line</span>");
        }
        self.out.push_str("</span>");
        // What the rest of a cut line said of colours is not known.
        self.style = if cut > 0 { Style::default() } else { line.style };
        self.line.clear();
        self.seen = 0;
        self.returned = false;
        self.next_line = self.next_line.saturating_add(1);
    }
}

/// How characters look: a colour and two weights.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Style {
    /// 1 to 6: the terminal's red to cyan; 0 is none.
    colour: u8,
    bold: bool,
    faint: bool,
}

/// The line that is being made.
#[derive(Debug, Default)]
struct Line {
    html: String,
    /// What the codes say.
    style: Style,
    /// What is open in `html`.
    open: Style,
}

impl Line {
    fn close(&mut self) {
        if self.open != Style::default() {
            self.html.push_str("</span>");
            self.open = Style::default();
        }
    }

    fn open(&mut self) {
        self.close();
        let style = self.style;
        if style == Style::default() {
            return;
        }
        let mut classes = Vec::with_capacity(3);
        if style.bold {
            classes.push("ab");
        }
        if style.faint {
            classes.push("af");
        }
        classes.extend(["a1", "a2", "a3", "a4", "a5", "a6"].get(usize::from(style.colour).wrapping_sub(1)));
        let _ = write!(self.html, "<span class=\"{}\">", classes.join(" "));
        self.open = style;
    }

    fn put(&mut self, c: char) {
        if self.open != self.style {
            self.open();
        }
        match c {
            '&' => self.html.push_str("&amp;"),
            '<' => self.html.push_str("&lt;"),
            '>' => self.html.push_str("&gt;"),
            '"' => self.html.push_str("&quot;"),
            '\'' => self.html.push_str("&#39;"),
            '\t' => self.html.push('\t'),
            '\0' => self.html.push('\u{fffd}'),
            c if is_hidden(c) => {
                let _ = write!(self.html, "&lt;U+{:04X}&gt;", u32::from(c));
            }
            c => self.html.push(c),
        }
    }

    fn colours(&mut self, params: &Params) {
        let mut codes = params.iter().flat_map(|group| group.iter().copied());
        while let Some(code) = codes.next() {
            match code {
                0 => self.style = Style::default(),
                1 => self.style.bold = true,
                2 => self.style.faint = true,
                22 => (self.style.bold, self.style.faint) = (false, false),
                30 | 37 | 39 | 97 => self.style.colour = 0,
                31..=36 => self.style.colour = low(code - 30),
                90 => self.style = Style { colour: 0, faint: true, ..self.style },
                91..=96 => self.style.colour = low(code - 90),
                38 | 48 => match codes.next() {
                    Some(5) => {
                        let index = codes.next().unwrap_or(0);
                        if code == 38 {
                            self.style.colour = if index < 16 { low(index % 8) % 7 } else { 0 };
                        }
                    }
                    Some(2) => drop(codes.by_ref().take(3).count()),
                    _ => {}
                },
                _ => {}
            }
        }
    }
}

/// A small number of a code.
fn low(code: u16) -> u8 {
    u8::try_from(code).unwrap_or(0)
}

impl Perform for Line {
    fn print(&mut self, c: char) {
        self.put(c);
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\t' => self.put('\t'),
            0 => self.put('\0'),
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: u8) {
        if action == b'm' && intermediates.is_empty() && !ignore {
            self.colours(params);
        }
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
