//! Headings of reStructuredText, and of plain text that is written like it.

use super::{Form, Heading, Line, Scanned, bullet, inner, is_rule, placed, underline, width};
use crate::lines::{is_blank, trim_end};
use crate::marks::is_news_heading;

/// What reStructuredText allows for lines below headings.
const LINE_MARKS: &[u8] = b"=-~^\"'`#*+.:_";

pub(super) fn scan(text: &[u8]) -> Scanned {
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
    // A line right below the one before.
    let next = |n: usize| all.get(n).filter(|line| !line.is_first);
    let mut free = true;
    let mut n = 0;
    while let Some(this) = all.get(n) {
        let (start, line) = (this.start, this.text);
        free |= this.is_first;
        let second = next(n + 1);
        let third = second.and(next(n + 2));
        let (title, below) = (text_of(second), text_of(third));
        if free
            && let Some(with) = underline(line, LINE_MARKS)
            && !is_blank(title)
            && underline(title, LINE_MARKS).is_none()
            && underline(below, LINE_MARKS) == Some(with)
            && trim_end(below).len() == trim_end(line).len()
            && let (Some(second), Some(third)) = (second, third)
        {
            let level = level_of(with, true);
            let form = Form::Lined { with, over: true };
            found.headings.push(Heading { lines: start..third.end(), title: inner(second.start, title), level, form });
            n += 3;
            continue;
        }
        let starts_text = !matches!(line[0], b' ' | b'\t') && !line.starts_with(b".. ") && bullet(line).is_none();
        if free
            && starts_text
            && underline(line, LINE_MARKS).is_none()
            && let Some(with) = underline(title, LINE_MARKS)
            && trim_end(title).len() >= width(trim_end(line)).min(4)
            && let Some(second) = second
        {
            let level = level_of(with, false);
            let form = Form::Lined { with, over: false };
            found.headings.push(Heading { lines: start..second.end(), title: inner(start, line), level, form });
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

fn text_of<'a>(line: Option<&Line<'a>>) -> &'a [u8] {
    line.map(|line| line.text).unwrap_or_default()
}
