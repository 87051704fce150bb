//! Headings of Markdown, reStructuredText and plain text: where they stand and what they say. Samples in code, comments and HTML are none.

mod markdown;
mod rst;

use std::ops::Range;

use crate::lines::{is_blank, lines, mark_len, trim, trim_end};

/// How a file marks its headings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Markup {
    /// `#`, or underlined with `=` and `-`.
    Markdown,
    /// Underlined with any punctuation, perhaps overlined too.
    Rst,
}

/// How one heading is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// That many `#`.
    Hashes,
    /// A line of this character below, and above too if `over`.
    Lined { with: u8, over: bool },
    /// A whole line of a plain NEWS, such as `Changes in 1.2:`.
    Line,
}

/// A heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heading {
    /// Its lines in the file, with the lines above and below that mark it.
    pub(crate) lines: Range<usize>,
    /// Its text in the file, without marks.
    pub(crate) title: Range<usize>,
    /// 1 for the highest.
    pub(crate) level: usize,
    pub(crate) form: Form,
}

impl Markup {
    /// By the file's name, else by what stands in it.
    pub(crate) fn of(path: &[u8], text: &[u8]) -> Self {
        let name = path.rsplit(|&b| b == b'/').next().unwrap_or_default().to_ascii_lowercase();
        if [&b".md"[..], b".markdown", b".mdown", b".mkd"].iter().any(|end| name.ends_with(end)) {
            return Self::Markdown;
        }
        if [&b".rst"[..], b".rest"].iter().any(|end| name.ends_with(end)) {
            return Self::Rst;
        }
        let has = |start: &[u8]| lines(text).any(|line| line.starts_with(start));
        if has(b".. ") && !has(b"## ") {
            return Self::Rst;
        }
        if has(b"# ") || has(b"## ") || has(b"<!--") {
            return Self::Markdown;
        }
        if scan(text, Self::Rst).headings.iter().any(|h| h.form != Form::Line) { Self::Rst } else { Self::Markdown }
    }
}

/// What a text is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// All headings, in their order.
    pub(crate) headings: Vec<Heading>,
    /// Lines that only show something, or are not shown: code, comments, HTML.
    hidden: Vec<Range<usize>>,
    /// Where lines between parts start: such a line marks no heading.
    rules: Vec<usize>,
}

impl Scanned {
    fn hide(&mut self, lines: Range<usize>) {
        match self.hidden.last_mut() {
            Some(last) if last.end == lines.start => last.end = lines.end,
            _ => self.hidden.push(lines),
        }
    }

    /// Whether the line that starts here is a sample's.
    pub(crate) fn hides(&self, start: usize) -> bool {
        let at = self.hidden.partition_point(|range| range.end <= start);
        self.hidden.get(at).is_some_and(|range| range.start <= start)
    }

    /// This place, or the end of the sample that it is within.
    pub(crate) fn below(&self, place: usize) -> usize {
        let at = self.hidden.partition_point(|range| range.end <= place);
        self.hidden.get(at).filter(|range| range.start < place).map_or(place, |range| range.end)
    }

    /// Whether the line that starts here parts what is above from what is below.
    pub(crate) fn is_rule(&self, start: usize) -> bool {
        self.rules.binary_search(&start).is_ok()
    }
}

/// Finds a text's headings.
pub(crate) fn scan(text: &[u8], markup: Markup) -> Scanned {
    match markup {
        Markup::Markdown => markdown::scan(text),
        Markup::Rst => rst::scan(text),
    }
}

/// A line that is not blank.
#[derive(Clone, Copy)]
struct Line<'a> {
    start: usize,
    text: &'a [u8],
    /// Whether a blank line stands above.
    is_first: bool,
}

impl Line<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// All lines but the blank ones, which there may be millions of.
fn placed(text: &[u8]) -> Vec<Line<'_>> {
    let (mut at, mut is_first) = (mark_len(text), true);
    let mut all = Vec::new();
    for line in lines(&text[at..]) {
        let start = at;
        at += line.len();
        let is_blank = is_blank(line);
        if !is_blank {
            all.push(Line { start, text: line, is_first });
        }
        is_first = is_blank;
    }
    all
}

/// Where the trimmed part of a line stands in the file.
fn inner(start: usize, line: &[u8]) -> Range<usize> {
    let shown = trim(line);
    let before = trim_end(line).len() - shown.len();
    start + before..start + before + shown.len()
}

fn indent_of(line: &[u8]) -> usize {
    let mut width = 0;
    for &b in line {
        match b {
            b' ' => width += 1,
            b'\t' => width = (width / 4 + 1) * 4,
            _ => break,
        }
    }
    width
}

/// A line of one of these characters alone, at least as long as people underline with.
pub(super) fn underline(line: &[u8], with: &[u8]) -> Option<u8> {
    let shown = trim_end(line);
    let first = *shown.first().filter(|b| with.contains(b))?;
    (shown.len() >= 2 && shown.iter().all(|b| *b == first)).then_some(first)
}

/// `---`, `***`, `* * *`: a line between parts.
pub(super) fn is_rule(shown: &[u8]) -> bool {
    let Some(first) = shown.first().filter(|b| b"-*_".contains(b)) else { return false };
    shown.iter().all(|b| b == first || *b == b' ') && shown.iter().filter(|b| *b == first).count() >= 3
}

/// How long a bullet and the blanks around it are.
pub(crate) fn bullet(line: &[u8]) -> Option<usize> {
    let indent = line.iter().take_while(|b| **b == b' ').count();
    let after = line.get(indent + 1..)?;
    if !matches!(line[indent], b'-' | b'*' | b'+') {
        return None;
    }
    let gap = after.iter().take_while(|b| **b == b' ').count();
    // Blanks beyond four are the text's own.
    (gap >= 1 && !is_rule(trim(line))).then_some(indent + 1 + if gap > 4 || is_blank(after) { 1 } else { gap })
}

/// How many characters a text has.
pub(super) fn width(text: &[u8]) -> usize {
    String::from_utf8_lossy(text).chars().count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn titles(text: &str, markup: Markup) -> Vec<(usize, String)> {
        let told = |h: &Heading| (h.level, String::from_utf8_lossy(&text.as_bytes()[h.title.clone()]).into_owned());
        scan(text.as_bytes(), markup).headings.iter().map(told).collect()
    }

    #[test]
    fn headings_of_markdown_are_found_however_they_are_marked() {
        let text =
            "# One #\n\nText\n====\n\nTwo\n---\n## Three\n### Four ###  \n  ## Five\n#six\n\n> ## no\n\n- item\n---\n";
        let want = [(1, "One"), (1, "Text"), (2, "Two"), (2, "Three"), (3, "Four"), (2, "Five")];
        assert_eq!(titles(text, Markup::Markdown), want.map(|(l, t)| (l, t.to_owned())));
    }

    #[test]
    fn samples_are_no_headings() {
        let hidden = [
            "<!--\n## X\n\n## Y\n-->\n",
            "<!-- a\nb -->\n",
            "```\n## X\n```\n",
            "````md\n```\n## X\n```\n## Y\n````\n",
            "~~~~\n## X\n~~~\n## Y\n~~~~\n",
            "`````\n````\n## X\n````\n`````\n",
            "    ## X\n",
            "\t## X\n",
            "<pre>\n## X\n\n## Y\n</pre>\n",
            "<div>\n## X\n</div>\n",
            "<details>\n## X\n\n</details>\n",
            "- item\n\n  ```\n  ## X\n  ```\n",
            "- item\n  ## X\n",
            "1. a\n\n       ## X\n",
            "---\ntitle: X\n---\n",
            "Table\nmore\n----\n",
            "a | b\n--- | ---\n",
        ];
        for text in hidden {
            assert_eq!(titles(text, Markup::Markdown), [], "{text}");
            let followed = format!("{text}\n## Real\n");
            assert_eq!(titles(&followed, Markup::Markdown), [(2, "Real".to_owned())], "{text}");
        }
        // What is never closed hides nothing.
        assert_eq!(titles("```\n## X\n", Markup::Markdown).len(), 1);
        assert_eq!(titles("<!--\n## X\n", Markup::Markdown).len(), 1);
    }

    #[test]
    fn headings_of_rst_have_the_levels_of_their_lines() {
        let text = "=====\nTitle\n=====\n\n.. _v2:\n\n2.0\n---\n\nFixed\n~~~~~\n\n- x\n\n::\n\n    3.0\n    ---\n\n1.0\n---\n\nwords\nmore\n----\n\nA      B\n=====  =====\n";
        let want = [(1, "Title"), (2, "2.0"), (3, "Fixed"), (2, "1.0")];
        assert_eq!(titles(text, Markup::Rst), want.map(|(l, t)| (l, t.to_owned())));
    }
}
