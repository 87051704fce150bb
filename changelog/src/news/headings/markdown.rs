//! Headings of Markdown.

use std::ops::Range;

use super::{Form, Heading, Line, Scanned, bullet, indent_of, inner, is_rule, placed, underline};
use crate::lines::{is_blank, lines, trim, trim_end};
use crate::marks::is_news_heading;

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

pub(super) fn scan(text: &[u8]) -> Scanned {
    let all = placed(text);
    let mut found = Scanned::default();
    let mut within = Within::Text;
    // The paragraph's first line, while one goes on.
    let mut paragraph: Option<usize> = None;
    // How far the text of the list's item is indented.
    let mut item: Option<usize> = None;
    let mut open_ends = OpenEnds::default();
    let mut n = front_matter(&all);
    if let Some(last) = all[..n].last() {
        found.hide(0..last.end());
    }
    while let Some(this) = all.get(n) {
        let (start, line) = (this.start, this.text);
        // What is hidden goes on over blank lines.
        let above = n.checked_sub(1).map_or(0, |n| all[n].end());
        if let (Within::Html { end: HtmlEnd::Blank }, true) = (&within, this.is_first) {
            found.hide(first_line(text, above));
            within = Within::Text;
        }
        let (indent, shown) = (indent_of(line), trim(line));
        match &within {
            Within::Fence { with, count } => {
                found.hide(above..this.end());
                let marks = shown.iter().take_while(|b| *b == with).count();
                if marks >= *count && marks == shown.len() {
                    within = Within::Text;
                }
                n += 1;
                continue;
            }
            Within::Html { end } => {
                found.hide(above..this.end());
                if html_ends(*end, line) {
                    within = Within::Text;
                }
                n += 1;
                continue;
            }
            Within::Text => {}
        }
        if this.is_first {
            paragraph = None;
        }
        let in_item = item.is_some_and(|width| indent >= width);
        if !in_item && (paragraph.is_none() || indent == 0) {
            item = None;
        }
        if indent >= 4 && !in_item && paragraph.is_none() {
            found.hide(start..this.end());
            n += 1;
            continue;
        }
        if let Some((with, count)) = fence(shown)
            && (indent < 4 || in_item)
        {
            paragraph = None;
            if open_ends.fence_closes(&all, n, with, count) {
                found.hide(start..this.end());
                within = Within::Fence { with, count };
            }
            n += 1;
            continue;
        }
        if !in_item && indent < 4 {
            if let Some(end) = html_block(shown, paragraph.is_some()) {
                paragraph = None;
                found.hide(start..this.end());
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
            let below = all.get(n + 1).filter(|below| !below.is_first);
            let below_line = below.map(|below| below.text).unwrap_or_default();
            if paragraph.is_none()
                && is_text(line)
                && !is_rule(shown)
                && let Some(with) = underline(below_line, b"=-")
                && indent_of(below_line) < 4
                && let Some(below) = below
            {
                found.headings.push(Heading {
                    lines: start..below.end(),
                    title: inner(start, line),
                    level: if with == b'=' { 1 } else { 2 },
                    form: Form::Lined { with, over: false },
                });
                n += 2;
                continue;
            }
        }
        // A heading of several lines counts for none, but a line below it is no rule, and ends it.
        let is_underline = underline(line, b"=-").is_some() && paragraph.is_some_and(|first| is_text(all[first].text));
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
    if let (Within::Html { end: HtmlEnd::Blank }, Some(last)) = (within, all.last()) {
        found.hide(first_line(text, last.end()));
    }
    found
}

/// The blank line that ends what is hidden, and is hidden with it.
fn first_line(text: &[u8], at: usize) -> Range<usize> {
    at..at + lines(&text[at..]).next().unwrap_or_default().len()
}

/// Whether a paragraph that starts so is neither a list's nor a quotation's.
fn is_text(line: &[u8]) -> bool {
    bullet(line).is_none() && !trim(line).starts_with(b">")
}

/// How many lines a front matter between `---` has.
fn front_matter(all: &[Line<'_>]) -> usize {
    if all.first().is_none_or(|line| line.start > 0 || trim_end(line.text) != b"---") {
        return 0;
    }
    let end = all.iter().skip(1).position(|line| matches!(trim_end(line.text), b"---" | b"..."));
    end.map_or(0, |end| end + 2)
}

/// The character and length of a line that opens a fence.
fn fence(shown: &[u8]) -> Option<(u8, usize)> {
    let with = *shown.first().filter(|b| matches!(b, b'`' | b'~'))?;
    let count = shown.iter().take_while(|b| **b == with).count();
    (count >= 3 && (with == b'~' || !shown[count..].contains(&b'`'))).then_some((with, count))
}

/// What of the rest of a file is looked for again and again.
#[derive(Default)]
struct OpenEnds {
    /// The lines that could close a fence, of backticks and of tildes.
    fences: Option<[Closers; 2]>,
    /// What was not found down to the file's end.
    html: Vec<&'static [u8]>,
}

/// The lines that could close a fence, from the last one up, those alone that are longer than all below: each with its length.
type Closers = Vec<(usize, usize)>;

impl OpenEnds {
    /// Whether a fence of this line is closed further down; one that is not is text, or it would hide all that follows.
    fn fence_closes(&mut self, all: &[Line<'_>], at: usize, with: u8, count: usize) -> bool {
        let [ticks, tildes] = self.fences.get_or_insert_with(|| [closers(all, b'`'), closers(all, b'~')]);
        let closers = if with == b'`' { ticks } else { tildes };
        // The lowest that is long enough.
        let lowest = closers.get(closers.partition_point(|(_, len)| *len < count));
        lowest.is_some_and(|(line, _)| *line > at)
    }

    /// A comment that nothing ends is text, or it would hide all that follows.
    fn html_has_end(&mut self, end: HtmlEnd, rest: &[Line<'_>]) -> bool {
        let HtmlEnd::Text(text) = end else { return true };
        if self.html.contains(&text) {
            return false;
        }
        let ends = rest.iter().any(|line| html_ends(end, line.text));
        if !ends {
            self.html.push(text);
        }
        ends
    }
}

fn closers(all: &[Line<'_>], with: u8) -> Closers {
    let mut found = Closers::new();
    for (n, line) in all.iter().enumerate().rev() {
        let shown = trim(line.text);
        if found.last().is_none_or(|(_, len)| shown.len() > *len) && shown.iter().all(|b| *b == with) {
            found.push((n, shown.len()));
        }
    }
    found
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
