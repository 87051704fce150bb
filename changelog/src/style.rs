//! The house style of a ChangeLog: how its newest entries write date, blanks and line ends, so that a fold writes the same.

use jiff::civil::Date;

use crate::date::{self, DateStyle, HeaderDate};
use crate::header::{first_address, first_shown_address};
use crate::lines::{LineEnd, is_space, lines, trim_end, without_end, without_escaped};
use crate::log::ChangeLog;

/// How many entries from the top are asked.
const NEWEST: usize = 5;

/// How headers and line ends of a ChangeLog are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) date: DateStyle,
    /// What stands between date and name: two blanks, one, a tab, a colon and a blank.
    after_date: Vec<u8>,
    /// What stands between name and address.
    before_address: Vec<u8>,
    pub(crate) line_end: LineEnd,
    /// What an item's first line starts with.
    pub(crate) indent: Vec<u8>,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            date: DateStyle::Iso,
            after_date: b"  ".to_vec(),
            before_address: b"  ".to_vec(),
            line_end: LineEnd::Lf,
            indent: b"\t".to_vec(),
        }
    }
}

impl Style {
    /// The style of the newest entries: what most of them have; the upper one's when they are even.
    pub(crate) fn of(log: &ChangeLog<'_>) -> Self {
        let mut style = Self::default();
        let newest: Vec<_> = log.entries().take(NEWEST).collect();
        let firsts: Vec<&[u8]> = newest.iter().filter_map(|e| lines(e.bytes()).next()).collect();
        let dates: Vec<_> = firsts.iter().filter_map(|l| HeaderDate::at_start_of(l).map(|d| (d, *l))).collect();
        if let Some((date, gap)) = most(dates.iter().map(|(d, l)| (d.style, gap_after(l, d.len)))) {
            style.date = date;
            if !gap.is_empty() {
                style.after_date = gap.to_vec();
            }
        }
        if let Some(gap) = most(dates.iter().filter_map(|(d, l)| gap_before_address(&l[d.len..]))) {
            style.before_address = gap.to_vec();
        }
        let items = newest.iter().filter_map(|e| lines(e.text()).find_map(item_indent));
        if let Some(indent) = most(items) {
            style.indent = indent.to_vec();
        }
        // With no entry yet, the preamble or trailer shows the line ends.
        let sample = match (newest.first(), newest.last()) {
            (Some(first), Some(last)) => &log.bytes()[first.offset()..last.offset() + last.bytes().len()],
            _ => log.bytes(),
        };
        style.line_end = LineEnd::of(sample);
        style
    }

    /// The header lines of an entry, dated `day` (or as they were, if `None`) and written in this style. Names, addresses, joiners, notes
    /// and further author lines stay as they are.
    pub(crate) fn header(&self, text: &[u8], day: Option<Date>) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 16);
        for line in lines(text) {
            match HeaderDate::at_start_of(line) {
                None => out.extend_from_slice(trim_end(line)),
                Some(date) => {
                    match day.or(date.day) {
                        Some(day) => out.extend_from_slice(date::write(day, date.time, self.date).as_bytes()),
                        None => out.extend_from_slice(&line[..date.len]),
                    }
                    self.push_authors(&mut out, &line[date.len..]);
                }
            }
            out.extend_from_slice(self.line_end.as_bytes());
        }
        out
    }

    /// Appends the text with each line's own first level of indent (a tab, or up to eight blanks) replaced by this style's.
    pub(crate) fn push_indented(&self, out: &mut Vec<u8>, text: &[u8]) {
        for line in lines(text) {
            let line = without_end(line);
            let rest = match line.strip_prefix(b"\t") {
                Some(rest) => rest,
                None => &line[line.iter().take(8).take_while(|&&b| b == b' ').count()..],
            };
            if rest.len() < line.len() && !rest.is_empty() {
                out.extend_from_slice(&self.indent);
            }
            out.extend_from_slice(rest);
            out.extend_from_slice(self.line_end.as_bytes());
        }
    }

    fn push_authors(&self, out: &mut Vec<u8>, text: &[u8]) {
        let text = trim_end(text);
        let start = text.iter().position(|&b| b != b':' && !is_space(b)).unwrap_or(text.len());
        let mut rest = &text[start..];
        if rest.is_empty() {
            return;
        }
        out.extend_from_slice(&self.after_date);
        let shown = without_escaped(rest);
        let mut shown: &[u8] = &shown;
        while let Some((start, end)) = first_shown_address(shown) {
            let name = trim_end(&rest[..start]);
            out.extend_from_slice(name);
            if !name.is_empty() {
                out.extend_from_slice(&self.before_address);
            }
            out.extend_from_slice(&rest[start..end]);
            (rest, shown) = (&rest[end..], &shown[end..]);
        }
        out.extend_from_slice(rest);
    }
}

fn gap_after(line: &[u8], from: usize) -> &[u8] {
    let rest = trim_end(&line[from..]);
    let len = rest.iter().position(|&b| b != b':' && !is_space(b)).unwrap_or(0);
    &rest[..len]
}

fn gap_before_address(text: &[u8]) -> Option<&[u8]> {
    let (start, _) = first_address(text)?;
    let name = trim_end(&text[..start]);
    (!name.is_empty() && name.len() < start).then(|| &text[name.len()..start])
}

fn item_indent(line: &[u8]) -> Option<&[u8]> {
    let len = line.iter().position(|&b| !is_space(b))?;
    (len > 0 && line[len] == b'*').then(|| &line[..len])
}

/// The value that comes most often; the first of those that are even.
fn most<T: PartialEq + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut seen: Vec<(T, usize)> = Vec::new();
    for value in values {
        match seen.iter_mut().find(|(v, _)| *v == value) {
            Some((_, n)) => *n += 1,
            None => seen.push((value, 1)),
        }
    }
    let best = seen.iter().map(|(_, n)| *n).max()?;
    seen.into_iter().find(|(_, n)| *n == best).map(|(v, _)| v)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn rendered(log: &str, header: &str) -> String {
        let style = Style::of(&ChangeLog::parse(log.as_bytes()));
        String::from_utf8(style.header(header.as_bytes(), Some(Date::constant(2024, 3, 5)))).unwrap()
    }

    #[test]
    fn headers_follow_the_newest_entries() {
        let fragment = "2024-01-01 Ann B <ann@b>  (tiny change)\n\t    Co A <co@a>\n";
        let cases = [
            ("", "2024-03-05  Ann B  <ann@b>  (tiny change)\n\t    Co A <co@a>\n"),
            (
                "Sun Jul 29 20:02:41 2007  B W  <w@l>\n\n\t* x: y\n",
                "Tue Mar  5 00:00:00 2024  Ann B  <ann@b>  (tiny change)\n\t    Co A <co@a>\n",
            ),
            ("2020-05-29: Zed\n\t* x: y\n", "2024-03-05: Ann B  <ann@b>  (tiny change)\n\t    Co A <co@a>\n"),
            (
                "2020-05-29 Z <z@z>\r\n\r\n\t* x: y\r\n",
                "2024-03-05 Ann B <ann@b>  (tiny change)\r\n\t    Co A <co@a>\r\n",
            ),
            ("11 Feb 1998  Z  <z@z>\n\n\t* x: y\n", "5 Mar 2024  Ann B  <ann@b>  (tiny change)\n\t    Co A <co@a>\n"),
        ];
        for (log, want) in cases {
            assert_eq!(rendered(log, fragment), want, "{log}");
        }
    }
}
