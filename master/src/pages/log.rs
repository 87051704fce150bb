//! A step's log as HTML lines: colours as classes, every other terminal code left out, everything escaped.
//!
//! Bounded whatever is printed: a line is cut, and nothing in the bytes can become markup.

use crate::logs::Line;
use crate::read::LINE;
use anstyle_parse::{DefaultCharAccumulator, Params, Parser, Perform};
use std::fmt::Write as _;
use tracker::text::is_hidden;

/// The lines of a log of step `step`, that of number `hit` marked.
pub(crate) fn render(step: u32, lines: &[Line], hit: Option<u64>) -> String {
    let mut live = LiveLog::new(step, 1);
    for line in lines {
        live.next_line = line.number;
        live.hit = hit == Some(line.number);
        live.take(&line.bytes);
        live.seen = live.line.len().saturating_add(usize::try_from(line.cut).unwrap_or(usize::MAX));
        live.end_line();
    }
    live.out
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
    /// The next line is the one that is marked.
    hit: bool,
    out: String,
}

impl LiveLog {
    /// The log of a step from the line of this number on.
    pub(crate) fn new(step: u32, next_line: u64) -> Self {
        Self {
            step,
            next_line,
            line: Vec::new(),
            seen: 0,
            returned: false,
            style: Style::default(),
            hit: false,
            out: String::new(),
        }
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
        let hit = if self.hit { " class=\"hit\"" } else { "" };
        // An id such as L2-17: step 2, line 17. Its address says for the master, too, which line it is.
        let _ = write!(
            self.out,
            "<span id=\"L{step}-{number}\"{hit}><a href=\"?at={step}-{number}#L{step}-{number}\">{number}</a>"
        );
        let mut line = Shown { style: self.style, ..Shown::default() };
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

/// A line that is being made.
#[derive(Debug, Default)]
struct Shown {
    html: String,
    /// What the codes say.
    style: Style,
    /// What is open in `html`.
    open: Style,
}

impl Shown {
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

impl Perform for Shown {
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
