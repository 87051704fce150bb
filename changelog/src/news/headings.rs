//! Headings of Markdown, reStructuredText and plain text: where they stand and what they say. Samples in code, comments and HTML are none.

use std::ops::Range;

use crate::lines::{is_blank, lines, trim, trim_end};
use crate::marks::is_news_heading;

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
    fn hide(&mut self, start: usize, line: &[u8]) {
        match self.hidden.last_mut() {
            Some(last) if last.end == start => last.end += line.len(),
            _ => self.hidden.push(start..start + line.len()),
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
        Markup::Markdown => markdown(text),
        Markup::Rst => rst(text),
    }
}

/// Lines with where they start.
fn placed(text: &[u8]) -> Vec<(usize, &[u8])> {
    let mut at = 0;
    lines(text)
        .map(|line| {
            let start = at;
            at += line.len();
            (start, line)
        })
        .collect()
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

/// What a Markdown file is in the middle of.
enum Within {
    Text,
    Fence { with: u8, count: usize },
    Html { end: HtmlEnd },
}

#[derive(Clone, Copy)]
enum HtmlEnd {
    Blank,
    Text(&'static [u8]),
}

fn markdown(text: &[u8]) -> Scanned {
    let all = placed(text);
    let mut found = Scanned::default();
    let mut within = Within::Text;
    // The paragraph's first line, while one goes on.
    let mut paragraph: Option<usize> = None;
    // How far the text of the list's item is indented.
    let mut item: Option<usize> = None;
    let mut open_ends = OpenEnds::default();
    let mut n = front_matter(&all);
    for (start, line) in &all[..n] {
        found.hide(*start, line);
    }
    while n < all.len() {
        let (start, line) = all[n];
        let (indent, shown) = (indent_of(line), trim(line));
        match &within {
            Within::Fence { with, count } => {
                found.hide(start, line);
                let marks = shown.iter().take_while(|b| *b == with).count();
                if marks >= *count && marks == shown.len() {
                    within = Within::Text;
                }
                n += 1;
                continue;
            }
            Within::Html { end } => {
                found.hide(start, line);
                if html_ends(*end, line) {
                    within = Within::Text;
                }
                n += 1;
                continue;
            }
            Within::Text => {}
        }
        if is_blank(line) {
            paragraph = None;
            n += 1;
            continue;
        }
        let in_item = item.is_some_and(|width| indent >= width);
        if !in_item && (paragraph.is_none() || indent == 0) {
            item = None;
        }
        if indent >= 4 && !in_item && paragraph.is_none() {
            found.hide(start, line);
            n += 1;
            continue;
        }
        if let Some((with, count)) = fence(shown)
            && (indent < 4 || in_item)
        {
            paragraph = None;
            if open_ends.fence_closes(&all[n + 1..], with, count) {
                found.hide(start, line);
                within = Within::Fence { with, count };
            }
            n += 1;
            continue;
        }
        if !in_item && indent < 4 {
            if let Some(end) = html_block(shown, paragraph.is_some()) {
                paragraph = None;
                found.hide(start, line);
                if !html_ends_at_once(end, shown) && open_ends.html_has_end(end, &all[n + 1..]) {
                    within = Within::Html { end };
                }
                n += 1;
                continue;
            }
            if let Some(level) = hashes(shown) {
                found.headings.push(Heading {
                    lines: start..start + line.len(),
                    title: hash_title(start, line, level),
                    level,
                    form: Form::Hashes,
                });
                paragraph = None;
                n += 1;
                continue;
            }
            if is_news_heading(line) {
                found.headings.push(Heading {
                    lines: start..start + line.len(),
                    title: inner(start, line),
                    level: 1,
                    form: Form::Line,
                });
                paragraph = None;
                n += 1;
                continue;
            }
            let below = all.get(n + 1).map(|(_, line)| *line).unwrap_or_default();
            if paragraph.is_none()
                && is_text(line)
                && !is_rule(shown)
                && let Some(with) = underline(below, b"=-")
                && indent_of(below) < 4
            {
                let (last, below) = all[n + 1];
                found.headings.push(Heading {
                    lines: start..last + below.len(),
                    title: inner(start, line),
                    level: if with == b'=' { 1 } else { 2 },
                    form: Form::Lined { with, over: false },
                });
                n += 2;
                continue;
            }
        }
        // A heading of several lines counts for none, but a line below it is no rule, and ends it.
        let is_underline = underline(line, b"=-").is_some() && paragraph.is_some_and(|first| is_text(all[first].1));
        if (is_rule(shown) || is_underline && !in_item) && (indent < 4 || in_item) {
            if !is_underline && !in_item {
                found.rules.push(start);
            }
            paragraph = None;
            n += 1;
            continue;
        }
        if let Some(prefix) = bullet(line)
            && (indent < 4 || in_item)
        {
            item = Some(prefix);
        }
        paragraph.get_or_insert(n);
        n += 1;
    }
    found
}

/// Whether a paragraph that starts so is neither a list's nor a quotation's.
fn is_text(line: &[u8]) -> bool {
    bullet(line).is_none() && !trim(line).starts_with(b">")
}

/// How many lines a front matter between `---` has.
fn front_matter(all: &[(usize, &[u8])]) -> usize {
    if all.first().is_none_or(|(_, line)| trim_end(line) != b"---") {
        return 0;
    }
    let end = all.iter().skip(1).position(|(_, line)| matches!(trim_end(line), b"---" | b"..."));
    end.map_or(0, |end| end + 2)
}

/// The character and length of a line that opens a fence.
fn fence(shown: &[u8]) -> Option<(u8, usize)> {
    let with = *shown.first().filter(|b| matches!(b, b'`' | b'~'))?;
    let count = shown.iter().take_while(|b| **b == with).count();
    (count >= 3 && (with == b'~' || !shown[count..].contains(&b'`'))).then_some((with, count))
}

/// What was looked for down to the file's end and is not there: it need not be looked for again.
#[derive(Default)]
struct OpenEnds {
    fences: Vec<(u8, usize)>,
    html: Vec<&'static [u8]>,
}

impl OpenEnds {
    /// Whether a fence is closed further down; one that is not is text, or it would hide all that follows.
    fn fence_closes(&mut self, rest: &[(usize, &[u8])], with: u8, count: usize) -> bool {
        if self.fences.iter().any(|(open, least)| *open == with && count >= *least) {
            return false;
        }
        let is_end = |shown: &[u8]| shown.len() >= count && shown.iter().all(|b| *b == with);
        let closes = rest.iter().any(|(_, line)| is_end(trim(line)));
        if !closes {
            self.fences.push((with, count));
        }
        closes
    }

    /// A comment that nothing ends is text, or it would hide all that follows.
    fn html_has_end(&mut self, end: HtmlEnd, rest: &[(usize, &[u8])]) -> bool {
        let HtmlEnd::Text(text) = end else { return true };
        if self.html.contains(&text) {
            return false;
        }
        let ends = rest.iter().any(|(_, line)| html_ends(end, line));
        if !ends {
            self.html.push(text);
        }
        ends
    }
}

fn hashes(shown: &[u8]) -> Option<usize> {
    let count = shown.iter().take_while(|b| **b == b'#').count();
    let is_heading = (1..=6).contains(&count) && shown.get(count).is_none_or(|b| matches!(b, b' ' | b'\t'));
    is_heading.then_some(count)
}

/// A heading's text, without the `#` that may stand at its end too.
fn hash_title(start: usize, line: &[u8], level: usize) -> Range<usize> {
    let all = inner(start, line);
    let shown = trim(line);
    let text = &shown[level..];
    let bare = text.iter().rposition(|b| *b != b'#').map_or(0, |at| at + 1);
    let closed = bare < text.len() && (bare == 0 || matches!(text[bare - 1], b' ' | b'\t'));
    let text = if closed { &text[..bare] } else { text };
    let inner_text = trim(text);
    let from = all.start + level + (trim_end(text).len() - inner_text.len());
    from..from + inner_text.len()
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

/// HTML that hides what stands in it, and by what it ends. A tag within a line of text hides nothing.
fn html_block(shown: &[u8], in_paragraph: bool) -> Option<HtmlEnd> {
    const BLOCKS: [&str; 32] = [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "center",
        "details",
        "dialog",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figure",
        "footer",
        "form",
        "header",
        "html",
        "iframe",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "th",
        "tr",
        "ul",
    ];
    let rest = shown.strip_prefix(b"<")?;
    if rest.starts_with(b"!--") {
        return Some(HtmlEnd::Text(b"-->"));
    }
    if rest.starts_with(b"?") {
        return Some(HtmlEnd::Text(b"?>"));
    }
    if rest.starts_with(b"![CDATA[") {
        return Some(HtmlEnd::Text(b"]]>"));
    }
    let name = rest.strip_prefix(b"/").unwrap_or(rest);
    let name: Vec<u8> = name.iter().take_while(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect();
    let opaque: Option<&'static [u8]> = match name.as_slice() {
        b"pre" => Some(b"</pre>"),
        b"script" => Some(b"</script>"),
        b"style" => Some(b"</style>"),
        b"textarea" => Some(b"</textarea>"),
        _ => None,
    };
    if let Some(end) = opaque.filter(|_| !rest.starts_with(b"/")) {
        return Some(HtmlEnd::Text(end));
    }
    if BLOCKS.iter().any(|block| block.as_bytes() == name) {
        return Some(HtmlEnd::Blank);
    }
    // Any other tag that stands alone on its line, unless text goes on.
    let is_alone = !name.is_empty() && memchr::memchr(b'>', rest) == Some(rest.len() - 1);
    (is_alone && !in_paragraph).then_some(HtmlEnd::Blank)
}

fn html_ends(end: HtmlEnd, line: &[u8]) -> bool {
    match end {
        HtmlEnd::Blank => is_blank(line),
        HtmlEnd::Text(text) => memchr::memmem::find(&line.to_ascii_lowercase(), text).is_some(),
    }
}

fn html_ends_at_once(end: HtmlEnd, shown: &[u8]) -> bool {
    match end {
        HtmlEnd::Blank => false,
        // The `<!--` may not be taken for half of the `-->`.
        HtmlEnd::Text(text) => memchr::memmem::find(&shown[2..].to_ascii_lowercase(), text).is_some(),
    }
}

/// What reStructuredText allows for lines below headings.
const LINE_MARKS: &[u8] = b"=-~^\"'`#*+.:_";

fn rst(text: &[u8]) -> Scanned {
    let all = placed(text);
    let mut found = Scanned::default();
    let mut styles: Vec<(u8, bool)> = Vec::new();
    let mut level_of = |with: u8, over: bool| match styles.iter().position(|s| *s == (with, over)) {
        Some(at) => at + 1,
        None => {
            styles.push((with, over));
            styles.len()
        }
    };
    let line_at = |n: usize| all.get(n).map(|(_, line)| *line).unwrap_or_default();
    let mut free = true;
    let mut n = 0;
    while n < all.len() {
        let (start, line) = all[n];
        if is_blank(line) {
            free = true;
            n += 1;
            continue;
        }
        let (title, below) = (line_at(n + 1), line_at(n + 2));
        if free
            && let Some(with) = underline(line, LINE_MARKS)
            && !is_blank(title)
            && underline(title, LINE_MARKS).is_none()
            && underline(below, LINE_MARKS) == Some(with)
            && trim_end(below).len() == trim_end(line).len()
        {
            let (last, below) = all[n + 2];
            let level = level_of(with, true);
            let form = Form::Lined { with, over: true };
            found.headings.push(Heading {
                lines: start..last + below.len(),
                title: inner(all[n + 1].0, title),
                level,
                form,
            });
            n += 3;
            continue;
        }
        let starts_text = !matches!(line[0], b' ' | b'\t') && !line.starts_with(b".. ") && bullet(line).is_none();
        if free
            && starts_text
            && underline(line, LINE_MARKS).is_none()
            && let Some(with) = underline(title, LINE_MARKS)
            && trim_end(title).len() >= width(trim_end(line)).min(4)
        {
            let (last, below) = all[n + 1];
            let level = level_of(with, false);
            let form = Form::Lined { with, over: false };
            found.headings.push(Heading { lines: start..last + below.len(), title: inner(start, line), level, form });
            n += 2;
            continue;
        }
        if is_news_heading(line) {
            let title = inner(start, line);
            found.headings.push(Heading { lines: start..start + line.len(), title, level: 1, form: Form::Line });
            free = true;
            n += 1;
            continue;
        }
        if free && is_rule(trim_end(line)) {
            found.rules.push(start);
        }
        // A target or comment may stand right above a heading.
        free = line.starts_with(b".. ");
        n += 1;
    }
    found
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
