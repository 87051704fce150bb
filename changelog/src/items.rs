//! What an entry's text says: items, each with the files and functions that it names. Text that fits no rule stays text.

use std::ops::Range;

use crate::lines::{blank_head, is_blank, is_space, lines, trim, trim_end, without_escaped};

/// One item of an entry: a `*` with what follows it, or a paragraph without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// The files it names; none for a paragraph.
    pub files: Vec<Vec<u8>>,
    /// The functions (or sections, or macros) it names, of all its files.
    pub functions: Vec<Vec<u8>>,
    /// Its lines, as written.
    pub lines: &'a [u8],
    /// Where in the entry's body they start.
    pub offset: usize,
    /// Where in `lines` the words follow that are about the files.
    words: usize,
}

impl Item<'_> {
    /// What it says of its files, in one line; of a paragraph all of it.
    pub fn words(&self) -> Vec<u8> {
        let text = &self.lines[self.words..];
        lines(text).map(|l| trim(trim_end(l))).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(&b' ')
    }
}

/// The items of an entry's body, one after the other: an entry can have a million.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    body: &'a [u8],
    at: usize,
}

/// The items of an entry's body.
pub(crate) fn items(body: &[u8]) -> Items<'_> {
    Items { body, at: 0 }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let start = self.at + blank_head(&self.body[self.at..]);
        let (mut at, mut end) = (start, start);
        let mut blank_above = false;
        for line in lines(&self.body[start..]) {
            let next = at + line.len();
            if is_blank(line) {
                blank_above = true;
            } else {
                let text = trim(line);
                if at > start && (is_star(text) || (blank_above && !text.starts_with(b"("))) {
                    break;
                }
                end = next;
                blank_above = false;
            }
            at = next;
        }
        self.at = at;
        (start < end).then(|| item(&self.body[start..end], start))
    }
}

fn is_star(text: &[u8]) -> bool {
    text.first() == Some(&b'*') && text.get(1).is_none_or(|&b| is_space(b))
}

fn item(text: &[u8], offset: usize) -> Item<'_> {
    let mut item = Item { files: Vec::new(), functions: Vec::new(), lines: text, offset, words: 0 };
    let star = text.iter().position(|&b| !is_space(b)).unwrap_or(0);
    if !is_star(&text[star..]) {
        return item;
    }
    item.words = star + 1;
    let shown = without_escaped(text);
    let text = Text { text, shown: &shown };
    let Some((files, mut at)) = files_at(text, star + 1) else { return item };
    item.files = files;
    item.words = at;
    // `a.c (f), b.c (g): words`: files and functions take turns, up to the colon.
    loop {
        match functions_at(text, at, &mut item.functions) {
            Some(Ended::Colon(after)) => {
                (at, item.words) = (after, after);
                break;
            }
            Some(Ended::Comma(after)) => {
                let Some((more, next)) = files_at(text, after) else { break };
                item.files.extend(more);
                (at, item.words) = (next, next);
            }
            None if text.shown.get(at) == Some(&b':') => {
                at += 1;
                item.words = at;
                break;
            }
            None => break,
        }
    }
    // Further lines that start with a list of functions. A text full of open brackets has none, and is not searched to its end each time.
    let mut failures = 0;
    for (line_start, line) in offsets(text.shown, at) {
        let first = line_start + line.iter().position(|&b| !is_space(b)).unwrap_or(0);
        if text.shown.get(first) != Some(&b'(') {
            continue;
        }
        let mut more = Vec::new();
        match functions_at(text, first, &mut more) {
            Some(Ended::Colon(_)) => item.functions.append(&mut more),
            _ => failures += 1,
        }
        if failures == MOST_FAILURES {
            break;
        }
    }
    item
}

/// An item's text, and the same with what is not to be read hidden.
#[derive(Clone, Copy)]
struct Text<'a, 's> {
    text: &'a [u8],
    shown: &'s [u8],
}

/// The lines that start after `from`, each with its offset.
fn offsets(text: &[u8], from: usize) -> impl Iterator<Item = (usize, &[u8])> {
    let start = memchr::memchr(b'\n', &text[from..]).map_or(text.len(), |n| from + n + 1);
    let mut at = start;
    lines(&text[start..]).map(move |line| {
        let this = at;
        at += line.len();
        (this, line)
    })
}

/// The files named from `at` on, and where they end; `None` if what stands there names none.
fn files_at(text: Text<'_, '_>, at: usize) -> Option<(Vec<Vec<u8>>, usize)> {
    let Text { text, shown } = text;
    let (mut files, mut word) = (Vec::new(), at..at);
    let mut braces = 0usize;
    let mut i = at;
    let mut ended = false;
    while i < shown.len() {
        let b = shown[i];
        match b {
            b'{' => braces += 1,
            b'}' => braces = braces.saturating_sub(1),
            b'(' | b'[' | b'<' if braces == 0 => {
                ended = true;
                break;
            }
            b':' if braces == 0 && shown.get(i + 1).is_none_or(|&n| n == b'\n' || is_space(n)) => {
                ended = true;
                break;
            }
            b',' if braces == 0 && shown.get(i + 1).is_none_or(|&n| n == b'\n' || is_space(n)) => {
                push_file(&mut files, text, shown, word)?;
                i += 1;
                word = i..i;
                continue;
            }
            b'\n' => {
                let goes_on = trim(&shown[word.clone()]).is_empty() || list_goes_on(&shown[i + 1..]);
                if !goes_on {
                    break;
                }
                push_file(&mut files, text, shown, word)?;
                i += 1;
                word = i..i;
                continue;
            }
            _ => {}
        }
        i += 1;
        word.end = i;
        if word.len() > LONGEST_FILE {
            return None;
        }
    }
    push_file(&mut files, text, shown, word)?;
    // `* Release 1.2` is no file; `* configure` is.
    (!files.is_empty() && (ended || files.iter().all(|f| !f.contains(&b' ')))).then_some((files, i))
}

/// Longer than any name of a file, with what stands in its braces.
const LONGEST_FILE: usize = 1000;

/// Whether the next line carries on a list of files: words without a blank, then a colon or a bracket.
fn list_goes_on(rest: &[u8]) -> bool {
    let line = trim(trim_end(lines(rest).next().unwrap_or_default()));
    if matches!(line.first(), None | Some(b'*' | b'(' | b'-' | b'+')) {
        return false;
    }
    let Some(end) = line.iter().position(|b| b":([<".contains(b)) else { return false };
    let names = trim_end(&line[..end]);
    let is_name = |n: &[u8]| !n.is_empty() && !n.iter().any(|&b| is_space(b));
    names.split(|&b| b == b',').map(trim).all(is_name) && names.iter().any(|b| b"./_".contains(b))
}

fn push_file(files: &mut Vec<Vec<u8>>, text: &[u8], shown: &[u8], word: Range<usize>) -> Option<()> {
    let end = word.start + trim_end(&shown[word.clone()]).len();
    let start = end - trim(&shown[word.start..end]).len();
    // A blank outside of braces makes it a sentence.
    let mut depth = 0usize;
    for &b in &shown[start..end] {
        match b {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ if is_space(b) && depth == 0 => return None,
            _ => {}
        }
    }
    if start < end {
        files.push(text[start..end].to_vec());
    }
    Some(())
}

/// What ended a list of functions, and the place after it.
enum Ended {
    Colon(usize),
    Comma(usize),
}

/// Reads `(a, b) [C] <case x>` groups, over lines too, up to the colon or comma. `None`, and nothing read, if neither comes.
fn functions_at(text: Text<'_, '_>, at: usize, functions: &mut Vec<Vec<u8>>) -> Option<Ended> {
    let Text { text, shown } = text;
    let mut i = at;
    let mut found = Vec::new();
    loop {
        while shown.get(i).is_some_and(|&b| b == b'\n' || is_space(b)) {
            i += 1;
        }
        match shown.get(i) {
            Some(b'(') => {
                let end = closing(shown, i)?;
                found.extend(split_functions(&text[i + 1..end], &shown[i + 1..end]));
                i = end + 1;
            }
            Some(b'[') => i = i + memchr::memchr(b']', &shown[i..])? + 1,
            Some(b'<') => i = i + memchr::memchr(b'>', &shown[i..])? + 1,
            Some(b':') if i > at => {
                functions.append(&mut found);
                return Some(Ended::Colon(i + 1));
            }
            Some(b',') if i > at => {
                functions.append(&mut found);
                return Some(Ended::Comma(i + 1));
            }
            _ => return None,
        }
    }
}

/// The bracket that closes the one at `open`; brackets nest.
fn closing(text: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (i, b) in text[open..].iter().enumerate().take(LONGEST_LIST) {
        match b {
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return Some(open + i);
                }
            }
            _ => {}
        }
    }
    None
}

/// How many brackets of an item may turn out to be text.
const MOST_FAILURES: usize = 50;

/// Longer than any list of functions; it keeps a huge file of brackets linear.
const LONGEST_LIST: usize = 4_000;

fn split_functions(list: &[u8], shown: &[u8]) -> Vec<Vec<u8>> {
    // `g_{locale,filename}_to_utf8` is one word; half a brace is a letter.
    let count = |wanted| shown.iter().filter(|&&b| b == wanted).count();
    let (braces, square) = (count(b'{') == count(b'}'), count(b'[') == count(b']'));
    let (mut all, mut start, mut depth) = (Vec::new(), 0, 0usize);
    for (at, &b) in shown.iter().enumerate() {
        match b {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'{' if braces => depth += 1,
            b'}' if braces => depth = depth.saturating_sub(1),
            b'[' if square => depth += 1,
            b']' if square => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                push_function(&mut all, &list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    push_function(&mut all, &list[start..]);
    all
}

fn push_function(all: &mut Vec<Vec<u8>>, word: &[u8]) {
    let words: Vec<&[u8]> = word.split(|&b| b == b'\n' || is_space(b)).filter(|w| !w.is_empty()).collect();
    let name = words.join(&b' ');
    if !name.is_empty() {
        all.push(name);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<(String, String, String)> {
        let join = |v: &[Vec<u8>]| String::from_utf8_lossy(&v.join(&b'|')).into_owned();
        items(text.as_bytes())
            .map(|i| (join(&i.files), join(&i.functions), String::from_utf8_lossy(&i.words()).into_owned()))
            .collect()
    }

    #[test]
    fn files_and_functions_are_found() {
        let cases: &[(&str, &str, &str, &str)] = &[
            ("\t* org.el (org-info): Use 'info'.\n", "org.el", "org-info", "Use 'info'."),
            ("        * configure: Regenerate.\n", "configure", "", "Regenerate."),
            ("\t* Makefile.am, configure.ac: x\n", "Makefile.am|configure.ac", "", "x"),
            ("\t* a.c, b.c,\n\tc.c: x\n", "a.c|b.c|c.c", "", "x"),
            ("\t* a.c\n\tb.c: x\n", "a.c|b.c", "", "x"),
            ("\t* gas/lo16.{s,d}: x\n", "gas/lo16.{s,d}", "", "x"),
            ("\t* ld-{n32.s, n32.d}: x\n", "ld-{n32.s, n32.d}", "", "x"),
            ("\t* configure.in : Remove y.\n", "configure.in", "", "Remove y."),
            ("\t* a.c (f): x\n\t(g): Likewise.\n", "a.c", "f|g", "x (g): Likewise."),
            (
                "\t* t.c (output_branch, output_jump,\n\toutput_far): x\n",
                "t.c",
                "output_branch|output_jump|output_far",
                "x",
            ),
            ("\t* t.c (a, b)\n\t(c): x\n", "t.c", "a|b|c", "x"),
            ("\t* t.c ((setf foo), operator()): x\n", "t.c", "(setf foo)|operator()", "x"),
            ("\t* t.c (p) [TE_SOLARIS]: x\n", "t.c", "p", "x"),
            ("\t* t.c (f) <case M>: x\n", "t.c", "f", "x"),
            ("\t* t.c [!HAVE_X]: x\n", "t.c", "", "x"),
            (
                "\t* d.texi (How They Specify Sources):\n\tadd notes\n",
                "d.texi",
                "How They Specify Sources",
                "add notes",
            ),
            ("\t* a.c (f), b.c (g): x\n", "a.c|b.c", "f|g", "x"),
            ("\t* a.c (f),\n\tb.c: x\n", "a.c|b.c", "f", "x"),
            ("\t* a.c:\n", "a.c", "", ""),
            ("\t* a.c (f_{x, y}_z, g[a, b]): x\n", "a.c", "f_{x, y}_z|g[a, b]", "x"),
            ("\t* a.c (operator[], f{): x\n", "a.c", "operator[]|f{", "x"),
            ("\t* a.c (\u{1b}$B:(,({\u{1b}(B, g): x\n", "a.c", "\u{1b}$B:(,({\u{1b}(B|g", "x"),
            ("\t* \u{1b}$B75,(J,\u{1b}(B (f): x\n", "\u{1b}$B75,(J,\u{1b}(B", "f", "x"),
            ("\t* a.c: x (not a\n\t(function) here).\n", "a.c", "", "x (not a (function) here)."),
            ("\t* Release 1.2\n", "", "", "Release 1.2"),
            ("\t* Fix the crash: it was bad.\n", "", "", "Fix the crash: it was bad."),
            ("\tPR gas/25274\n", "", "", "PR gas/25274"),
            ("\t* a.c (unclosed: x\n", "a.c", "", "(unclosed: x"),
        ];
        for (text, files, functions, words) in cases {
            let want = vec![((*files).to_owned(), (*functions).to_owned(), (*words).to_owned())];
            assert_eq!(read(text), want, "{text}");
        }
    }

    #[test]
    fn items_and_paragraphs_are_told_apart() {
        let text = "\tPR x/1\n\t* a.c: A.\n\t- sub\n\n\tMore words.\n\t* b.c: B.\n\n\t(g): C.\n";
        let names: Vec<_> = read(text).into_iter().map(|(f, g, _)| (f, g)).collect();
        let want = [("", ""), ("a.c", ""), ("", ""), ("b.c", "g")].map(|(f, g)| (f.to_owned(), g.to_owned()));
        assert_eq!(names, want);
    }

    proptest! {
        #[test]
        fn any_text_has_items_that_cover_it(text in "[a-c*:(){},\\[\\]<> \t\n]{0,80}") {
            let all: Vec<_> = items(text.as_bytes()).collect();
            let covered: usize = all.iter().map(|i| i.lines.iter().filter(|b| !b.is_ascii_whitespace()).count()).sum();
            prop_assert_eq!(covered, text.bytes().filter(|b| !b.is_ascii_whitespace()).count());
            for item in &all {
                let _ = item.words();
            }
        }
    }
}
