//! What can be said against a fragment before it is folded, for authors and for CI.

use std::collections::HashMap;

use crate::complaint::{Complaint, Problem};
use crate::folded::DatePolicy;
use crate::fragment::{Encoding, Fragment, FragmentKind, complaints};
use crate::items::Item;
use crate::lines::{lines, lossy};
use crate::log::{ChangeLog, Entry};

/// What is wrong with a fragment by itself: what keeps it from being folded, whoever folds it. `date` says whether its dates count.
pub fn check_fragment(fragment: &Fragment<'_>, encoding: Encoding, date: DatePolicy) -> Vec<Complaint> {
    let mut found = complaints(fragment, encoding);
    if !found.is_empty() || fragment.kind != FragmentKind::Gnu {
        return found;
    }
    for entry in ChangeLog::parse(fragment.bytes).entries() {
        if found.len() >= MOST {
            break;
        }
        check_header(fragment.path, fragment.bytes, &entry, date, &mut found);
        check_items(fragment, &entry, &mut found);
    }
    found
}

/// The files that a fragment names and its branch does not change. `changed` are the paths that it changes, relative to the ChangeLog's scope.
pub fn not_in_diff(fragment: &Fragment<'_>, changed: &[&[u8]]) -> Vec<Complaint> {
    let mut found = Vec::new();
    if fragment.kind != FragmentKind::Gnu {
        return found;
    }
    for entry in ChangeLog::parse(fragment.bytes).entries() {
        let body = entry.offset() + entry.header_bytes().len();
        for item in entry.items() {
            for file in &item.files {
                let patterns = expand_braces(file);
                let is_changed = |p: &Vec<u8>| changed.iter().any(|path| names(p, path));
                if found.len() < MOST && !patterns.iter().all(is_changed) {
                    let place = memchr::memmem::find(item.lines, file.as_slice()).unwrap_or(0);
                    let problem = Problem::NotInDiff { file: lossy(file) };
                    found.push(Complaint::at(fragment.path, fragment.bytes, body + item.offset + place, problem));
                }
            }
            if found.len() >= MOST {
                return found;
            }
        }
    }
    found
}

/// More complaints about one file are not listed: somebody has to begin somewhere.
pub(crate) const MOST: usize = 200;

/// Names among these paths that differ in case only.
pub fn check_names(paths: &[&[u8]]) -> Vec<Complaint> {
    let mut seen: HashMap<Vec<u8>, &[u8]> = HashMap::new();
    let mut found = Vec::new();
    for path in paths {
        let folded = lossy(path).to_lowercase().into_bytes();
        match seen.get(&folded) {
            Some(other) => found.push(Complaint::at(path, b"", 0, Problem::CaseClash { other: lossy(other) })),
            None => {
                seen.insert(folded, path);
            }
        }
    }
    found
}

pub(crate) fn check_header(path: &[u8], bytes: &[u8], entry: &Entry<'_>, date: DatePolicy, found: &mut Vec<Complaint>) {
    let header = entry.header();
    // Where entries get the day of the merge, their own was never more than a place for it.
    if header.date.day.is_none() && date == DatePolicy::Author {
        let problem = Problem::NoSuchDate { date: lossy(header.date_text) };
        found.push(Complaint::at(path, bytes, entry.offset(), problem));
    }
    let first = lines(entry.header_bytes()).next().unwrap_or_default();
    if let Some(open) = memchr::memrchr(b'<', first).filter(|&open| memchr::memchr(b'>', &first[open..]).is_none()) {
        found.push(Complaint::at(path, bytes, entry.offset() + open, Problem::HalfAddress));
    }
}

fn check_items(fragment: &Fragment<'_>, entry: &Entry<'_>, found: &mut Vec<Complaint>) {
    let body = entry.offset() + entry.header_bytes().len();
    let speaks = |i: &Item<'_>| !i.words().is_empty();
    // An item without words is "as the next one that has some".
    let last = entry.items().filter(|i| !i.files.is_empty() && speaks(i)).map(|i| i.offset).last();
    for item in entry.items() {
        if found.len() >= MOST {
            return;
        }
        if !speaks(&item) && last.is_none_or(|last| last <= item.offset) {
            let star = item.lines.iter().position(|&b| b == b'*').unwrap_or(0);
            found.push(Complaint::at(fragment.path, fragment.bytes, body + item.offset + star, Problem::NoWords));
        }
    }
}

/// Whether a name of an item means this path: the path itself, its end from a slash on, or a pattern for either.
fn names(pattern: &[u8], path: &[u8]) -> bool {
    let ends = std::iter::once(0).chain(path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(n, _)| n + 1));
    let pattern = pattern.strip_suffix(b"/").map_or(pattern.to_vec(), |folder| [folder, b"/*"].concat());
    ends.map(|start| &path[start..]).any(|end| glob(&pattern, end))
}

/// `*` stands for anything, `?` for one byte.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(&b) if b == text[t] || b == b'?' => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after, from)) = star else { return false };
                star = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

/// `a.{s,d}` is `a.s` and `a.d`; several pairs multiply, up to a limit.
fn expand_braces(file: &[u8]) -> Vec<Vec<u8>> {
    const MOST: usize = 256;
    let mut todo = vec![file.to_vec()];
    let mut done = Vec::new();
    while let Some(one) = todo.pop() {
        let open = memchr::memchr(b'{', &one);
        let close = open.and_then(|open| memchr::memchr(b'}', &one[open..]).map(|n| (open, open + n)));
        match close {
            Some((open, close)) if todo.len() + done.len() < MOST => {
                for part in one[open + 1..close].split(|&b| b == b',') {
                    todo.push([&one[..open], crate::lines::trim(part), &one[close + 1..]].concat());
                }
            }
            _ => done.push(one),
        }
    }
    done
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::check_log::check_changelog;
    use crate::fold::fold;
    use crate::folded::{FoldError, FoldOptions};

    fn checked(text: &str, changed: &[&str]) -> Vec<String> {
        let changed: Vec<&[u8]> = changed.iter().map(|c| c.as_bytes()).collect();
        let fragment = Fragment::gnu(b"f", text.as_bytes());
        let own = check_fragment(&fragment, Encoding::Utf8, DatePolicy::Author);
        own.into_iter().chain(not_in_diff(&fragment, &changed)).map(|c| c.to_string()).collect()
    }

    #[test]
    fn named_files_must_be_changed() {
        let text = "2024-02-10  A  <a@x>\n\n\t* src/a.c (f), doc/*.3: X.\n\t* gas/x.{s,d}: Y.\n\t* main.c: Z.\n\t* lib/: All.\n";
        let all = ["src/a.c", "doc/b.3", "gas/x.s", "gas/x.d", "src/main.c", "lib/q"];
        assert_eq!(checked(text, &all), Vec::<String>::new());
        assert_eq!(checked(text, &all[1..]), ["f:3:4: the branch does not change src/a.c"]);
        assert_eq!(
            checked(text, &["src/a.c", "gas/x.s", "src/main.c", "lib/q"]),
            ["f:3:17: the branch does not change doc/*.3", "f:4:4: the branch does not change gas/x.{s,d}",]
        );
    }

    #[test]
    fn items_must_say_something() {
        assert_eq!(
            checked("2024-02-10  A  <a@x>\n\n\t* a.c:\n\t* b.c: Same.\n", &["a.c", "b.c"]),
            Vec::<String>::new()
        );
        assert_eq!(
            checked("2024-02-10  A  <a@x>\n\n\t* a.c: X.\n\t* b.c:\n", &["a.c", "b.c"]),
            ["f:4:2: nothing is said of this file"]
        );
    }

    #[test]
    fn a_great_many_items_are_checked_one_by_one() {
        let silent = "\t* a.c:\n".repeat(200_000);
        let found = checked(&format!("2024-02-10  A  <a@x>\n\n{silent}"), &["a.c"]);
        assert_eq!((found.len(), found[0].as_str()), (MOST, "f:3:2: nothing is said of this file"));
        let told = format!("2024-02-10  A  <a@x>\n\n{silent}\t* b.c: Same.\n");
        assert_eq!(checked(&told, &["a.c", "b.c"]), Vec::<String>::new());
    }

    #[test]
    fn headers_are_checked() {
        let text = "2024-02-30  A  <a@x>\n\n\t* a.c: X.\n\n2024-02-10  A  <a@x\n\n\t* a.c: X.\n";
        let want =
            ["f:1:1: the date `2024-02-30` does not exist", "f:5:16: half an address: the bracket is not closed"];
        assert_eq!(checked(text, &["a.c"]), want);
        let log = format!("<<<<<<< HEAD\n{text}");
        assert_eq!(check_changelog(b"ChangeLog", log.as_bytes(), &FoldOptions::default()).len(), 3);
    }

    #[test]
    fn a_date_that_is_replaced_is_no_fault() {
        let text = b"2024-01-??  A  <a@x>\n\n\t* a.c: X.\n";
        let fragment = Fragment::gnu(b"f", text);
        assert_eq!(check_fragment(&fragment, Encoding::Utf8, DatePolicy::Merge), []);
        assert_eq!(check_fragment(&fragment, Encoding::Utf8, DatePolicy::Author).len(), 1);
    }

    /// Whatever `check` says of a fragment by itself, the fold refuses, and nothing else: in each format.
    #[test]
    fn what_is_complained_of_is_not_folded_and_nothing_else() {
        let texts = [
            "2024-02-10  A  <a@x>\n\n\t* a.c: X.\n",
            "2024-02-10  A  <a@x>\n\n\t* a.c:\n",
            "2024-02-10  A  <a@x>\n\n\t* a.c: X.\n\n\t* b.c (f):\n",
            "2024-02-10  A  <a@x\n\n\t* a.c: X.\n",
            "2024-02-30  A  <a@x>\n\n\t* a.c: X.\n",
            "2024-02-10  A  <a@x>\n",
            "Words.\n",
            "",
        ];
        let files = [
            ("ChangeLog", "2024-01-01  B  <b@x>\n\n\t* b.c: Y.\n"),
            ("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n"),
            ("NEWS.rst", "News\n====\n\n.. towncrier release notes start\n"),
            ("NEWS", "* Noteworthy changes in release ?.? (????-??-??) [?]\n"),
            (
                "debian/changelog",
                "p (1.0) UNRELEASED; urgency=medium\n\n  * A.\n\n -- A <a@x>  Tue, 05 Mar 2024 10:00:00 +0100\n",
            ),
        ];
        for (path, before) in files {
            for (date, text) in [DatePolicy::Merge, DatePolicy::Author].iter().flat_map(|d| texts.map(|t| (*d, t))) {
                let fragment = Fragment::gnu(b"f", text.as_bytes());
                let options = FoldOptions { date, ..FoldOptions::default() };
                // Where entries have no dates there is none that counts.
                let counts = if path == "ChangeLog" { date } else { DatePolicy::Merge };
                let want = check_fragment(&fragment, Encoding::Utf8, counts);
                let on = jiff::civil::date(2024, 3, 5);
                let got = match fold(path.as_bytes(), Some(before.as_bytes()), &[fragment], on, &options) {
                    Ok(_) => Vec::new(),
                    Err(FoldError::Fragments(complaints)) => complaints,
                    Err(other) => panic!("{other}"),
                };
                assert_eq!(got, want, "{path} {date:?} {text:?}");
            }
        }
    }

    #[test]
    fn names_that_clash_on_some_file_systems_are_told() {
        let found = check_names(&[b"d/a.ChangeLog", b"d/A.ChangeLog", b"d/b.ChangeLog"]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].to_string(), "d/A.ChangeLog:1:1: d/a.ChangeLog differs from this name in case only");
    }
}
