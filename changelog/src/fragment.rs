//! Fragments: which paths of a tree are one, and what is wrong with those that cannot be folded. Reads nothing itself.

use crate::complaint::{Complaint, Problem};
use crate::lines::{is_blank, lines, lossy, trim};
use crate::log::ChangeLog;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which files of a tree are fragments. Paths are relative to the tree that the ChangeLog's scope covers, with `/` between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FragmentRules {
    /// Paths of single fragment files, `repo.ChangeLog` by default.
    pub names: Vec<String>,
    /// The folder whose files are fragments, `changelog-fragments` by default; `None` for none.
    pub folder: Option<String>,
    /// The types of `NAME.TYPE.md`, as towncrier's users know them, each with the heading that its entries go under: `feature` and `Added`.
    pub types: BTreeMap<String, String>,
    /// Folders of fragments about a named part of the project, as towncrier's settings name them.
    #[serde(default)]
    pub sections: Vec<Section>,
    /// Names of files in the folders that are neither fragments nor strays, such as a template's.
    #[serde(default)]
    pub ignored: Vec<String>,
    /// Whether names are read as towncrier reads them: whatever stands before the type is an issue's.
    #[serde(default)]
    pub any_issue: bool,
}

/// A folder of fragments about a named part of the project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The part's name, a heading.
    pub name: String,
    /// Its folder, a path from the scope.
    pub folder: String,
}

impl Default for FragmentRules {
    fn default() -> Self {
        Self {
            names: vec!["repo.ChangeLog".to_owned()],
            folder: Some("changelog-fragments".to_owned()),
            types: default_types(),
            sections: Vec::new(),
            ignored: Vec::new(),
            any_issue: false,
        }
    }
}

fn default_types() -> BTreeMap<String, String> {
    [
        ("added", "Added"),
        ("feature", "Added"),
        ("changed", "Changed"),
        ("doc", "Changed"),
        ("misc", "Changed"),
        ("deprecated", "Deprecated"),
        ("removed", "Removed"),
        ("removal", "Removed"),
        ("fixed", "Fixed"),
        ("bugfix", "Fixed"),
        ("security", "Security"),
    ]
    .map(|(name, heading)| (name.to_owned(), heading.to_owned()))
    .into()
}

/// What a path is to the fold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// Not the fold's business.
    Other,
    /// A fragment, to be handed to the fold and then deleted.
    Fragment(FragmentKind),
    /// A file of the fragments' folder that stays there, such as its README.
    Kept,
    /// A file of the fragments' folder that would not be folded: to be complained about, never ignored.
    Stray,
}

/// How a fragment is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FragmentKind {
    /// GNU ChangeLog entries with headers.
    Gnu,
    /// Plain text; the file's name says the type.
    Typed {
        /// What stands before the type: an issue's number, or the branch's name.
        name: Vec<u8>,
        /// The heading of the type.
        heading: String,
        /// The part of the project that it is about, if it has one.
        section: Option<String>,
    },
}

impl FragmentRules {
    /// Every path that is a fragment or a folder of them.
    pub fn roots(&self) -> impl Iterator<Item = &String> {
        let sections = self.sections.iter().map(|s| &s.folder);
        // A section's folder mostly lies in the usual one.
        let outside = |folder: &&String| !self.folder.as_ref().is_some_and(|f| is_below(folder.as_bytes(), f));
        self.names.iter().chain(&self.folder).chain(sections.filter(outside))
    }

    /// The folders that fragments can lie in.
    pub fn folders(&self) -> impl Iterator<Item = &String> {
        self.folder.iter().chain(self.sections.iter().map(|s| &s.folder))
    }

    /// What the file at `path` is.
    pub fn classify(&self, path: &[u8]) -> PathKind {
        if self.names.iter().any(|n| n.as_bytes() == path) {
            return PathKind::Fragment(FragmentKind::Gnu);
        }
        let section = self.sections.iter().filter(|s| is_below(path, &s.folder)).max_by_key(|s| s.folder.len());
        let Some(folder) = section.map(|s| &s.folder).or(self.folder.as_ref()).filter(|f| is_below(path, f)) else {
            return PathKind::Other;
        };
        let name = &path[folder.len() + 1..];
        match self.kind_of(name, section.map(|s| s.name.clone())) {
            Some(kind) => PathKind::Fragment(kind),
            None if is_kept(name) || self.ignored.iter().any(|i| matches(i, name)) => PathKind::Kept,
            None => PathKind::Stray,
        }
    }

    fn kind_of(&self, name: &[u8], section: Option<String>) -> Option<FragmentKind> {
        let full = name;
        if name.contains(&b'/') || name.starts_with(b".") || name.iter().any(|&b| b < b' ' || b == b'\\') {
            return None;
        }
        if let Some(stem) = name.strip_suffix(b".ChangeLog") {
            return (!stem.is_empty()).then_some(FragmentKind::Gnu);
        }
        let stem = [&b".md"[..], b".rst", b".txt"].into_iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let mut parts: Vec<&[u8]> = stem.split(|&b| b == b'.').collect();
        // `123.bugfix.2.md`: the second fragment of this issue and type.
        if parts.len() > 2 && parts.last().is_some_and(|p| !p.is_empty() && p.iter().all(u8::is_ascii_digit)) {
            parts.pop();
        }
        let word = if parts.len() > 1 { parts.pop()? } else { return None };
        let heading = self.types.get(std::str::from_utf8(word).ok()?)?;
        let name = parts.join(&b'.');
        let is_ignored = self.ignored.iter().any(|i| !i.contains('*') && i.as_bytes() == full);
        (!name.is_empty() && !is_ignored).then(|| FragmentKind::Typed { name, heading: heading.clone(), section })
    }
}

fn is_below(path: &[u8], folder: &str) -> bool {
    path.strip_prefix(folder.as_bytes()).is_some_and(|rest| rest.len() > 1 && rest[0] == b'/')
}

/// Whether a name is what is to be ignored; `*` stands for anything.
fn matches(pattern: &str, name: &[u8]) -> bool {
    let mut parts = pattern.split('*').map(str::as_bytes);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = memchr::memmem::find(rest, part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

/// Files that are there for the folder's own sake: a word on how to, a template, what keeps it in git.
fn is_kept(name: &[u8]) -> bool {
    let lower = name.to_ascii_lowercase();
    let stem = lower.split(|b| *b == b'.').next().unwrap_or_default();
    let end = lower.rsplit(|b| *b == b'.').next().unwrap_or_default();
    let is_text = lower == stem || [&b"md"[..], b"rst", b"txt", b"markdown", b"adoc", b"org", b"html"].contains(&end);
    let words = [&b"readme"[..], b"template", b"_template", b"contributing", b"index", b"howto"];
    let is_words = is_text && words.contains(&stem) && lower.split(|b| *b == b'.').count() <= 2;
    let is_template = [&b"jinja"[..], b"jinja2", b"j2", b"tmpl", b"in", b"template"].contains(&end)
        || lower.starts_with(b"_template")
        || lower.starts_with(b"template.")
        || lower.starts_with(b".template");
    let is_dot = matches!(
        name,
        b".gitignore"
            | b".gitkeep"
            | b".keep"
            | b".gitattributes"
            | b".placeholder"
            | b".empty"
            | b".editorconfig"
            | b".changelog.template"
            | b".DS_Store"
            | b".directory"
    );
    (is_words || is_template || is_dot) && !name.contains(&b'/')
}

/// A fragment's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// Its path, as in the tree.
    pub path: &'a [u8],
    /// What it says.
    pub bytes: &'a [u8],
    /// How it is written.
    pub kind: FragmentKind,
    /// Whether whatever its name has before the type stands for an issue.
    pub any_issue: bool,
    /// Who wrote it and when, as the history says; only a typed fragment needs it, and only in a GNU ChangeLog.
    pub author: Option<FragmentAuthor>,
}

/// Who committed a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FragmentAuthor {
    /// The name.
    pub name: Vec<u8>,
    /// The mail address, without brackets.
    pub mail: Vec<u8>,
    /// The day of the commit.
    pub day: jiff::civil::Date,
}

impl<'a> Fragment<'a> {
    /// The issue that its name stands for.
    pub(crate) fn issue(&self, name: &[u8]) -> Option<String> {
        let last = name.rsplit(|b| *b == b'.').next().unwrap_or_default();
        match self.any_issue && !name.starts_with(b"+") {
            true => Some(lossy(trim(last))).filter(|issue| !issue.is_empty()),
            false => issue_of(name),
        }
    }

    /// A fragment of GNU ChangeLog entries.
    pub fn gnu(path: &'a [u8], bytes: &'a [u8]) -> Self {
        Self { path, bytes, kind: FragmentKind::Gnu, any_issue: false, author: None }
    }
}

/// Whether a fragment must be UTF-8: it must if the ChangeLog is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The ChangeLog is UTF-8 and stays so.
    Utf8,
    /// It is not, or not all of it: bytes are bytes.
    Bytes,
}

/// All that is wrong with one fragment; nothing if it can be folded.
pub(crate) fn complaints(fragment: &Fragment<'_>, encoding: Encoding) -> Vec<Complaint> {
    let (path, bytes) = (fragment.path, fragment.bytes);
    let at = |offset, problem| Complaint::at(path, bytes, offset, problem);
    if let Some(offset) = memchr::memchr(0, bytes) {
        return vec![at(offset, Problem::Binary)];
    }
    let Some(first) = bytes.iter().position(|&b| b != b'\n' && !crate::lines::is_space(b)) else {
        return vec![at(0, Problem::Empty)];
    };
    let mut found = Vec::new();
    if let (Encoding::Utf8, Err(e)) = (encoding, std::str::from_utf8(bytes)) {
        found.push(at(e.valid_up_to(), Problem::NotUtf8));
    }
    let mut offset = 0;
    for line in lines(bytes) {
        if is_conflict_marker(line) {
            found.push(at(offset, Problem::ConflictMarker));
            return found;
        }
        offset += line.len();
    }
    if matches!(fragment.kind, FragmentKind::Typed { .. }) {
        return found;
    }
    let log = ChangeLog::parse(bytes);
    if log.entries().len() == 0 {
        found.push(at(first, Problem::NoHeader));
        return found;
    }
    if let Some(offset) = text_in_preamble(log.preamble()) {
        found.push(at(offset, Problem::TextBeforeHeader));
    }
    for entry in log.entries().filter(|e| e.text().is_empty()).take(MOST_COMPLAINTS) {
        found.push(at(entry.offset(), Problem::NoText));
    }
    found
}

/// More complaints of one kind about one file help nobody.
pub(crate) const MOST_COMPLAINTS: usize = 20;

/// The first text of a preamble that is no mode line.
fn text_in_preamble(preamble: &[u8]) -> Option<usize> {
    let mut offset = 0;
    for line in lines(preamble) {
        let is_mode_line = memchr::memmem::find(line, b"-*-").is_some();
        if !is_blank(line) && !is_mode_line {
            return Some(offset);
        }
        offset += line.len();
    }
    None
}

/// A line that git writes around a conflict. A lone `=======` is none: people underline with it.
pub(crate) fn is_conflict_marker(line: &[u8]) -> bool {
    [&b"<<<<<<< "[..], b">>>>>>> ", b"||||||| "].iter().any(|m| line.starts_with(m))
}

/// The issue that a typed fragment's name stands for: `123` of `123.feature.md`; none for `+orphan` or a word.
pub fn issue_of(name: &[u8]) -> Option<String> {
    let name = trim(name);
    let digits = name.strip_prefix(b"#").unwrap_or(name);
    (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then(|| lossy(digits))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn paths_are_told_apart() {
        let rules = FragmentRules::default();
        let gnu = PathKind::Fragment(FragmentKind::Gnu);
        let typed = |name: &str, heading: &str| {
            PathKind::Fragment(FragmentKind::Typed {
                name: name.as_bytes().to_vec(),
                heading: heading.to_owned(),
                section: None,
            })
        };
        let cases = [
            ("repo.ChangeLog", gnu.clone()),
            ("sub/repo.ChangeLog", PathKind::Other),
            ("changelog-fragments/x.ChangeLog", gnu.clone()),
            ("changelog-fragments/a b é.ChangeLog", gnu),
            ("changelog-fragments/12.feature.md", typed("12", "Added")),
            ("changelog-fragments/12.bugfix.3.md", typed("12", "Fixed")),
            ("changelog-fragments/+x.removal.rst", typed("+x", "Removed")),
            ("changelog-fragments/12.bugfix", typed("12", "Fixed")),
            ("changelog-fragments/README.md", PathKind::Kept),
            ("changelog-fragments/.gitkeep", PathKind::Kept),
            ("changelog-fragments/12.unknown.md", PathKind::Stray),
            ("changelog-fragments/.ChangeLog", PathKind::Stray),
            ("changelog-fragments/x.changelog", PathKind::Stray),
            ("changelog-fragments/sub/x.ChangeLog", PathKind::Stray),
            ("changelog-fragments/../x.ChangeLog", PathKind::Stray),
            ("changelog-fragments/x\n.ChangeLog", PathKind::Stray),
            ("changelog-fragments2/x.ChangeLog", PathKind::Other),
            ("changelog-fragments", PathKind::Other),
        ];
        for (path, want) in cases {
            assert_eq!(rules.classify(path.as_bytes()), want, "{path}");
        }
    }

    fn found(bytes: &[u8]) -> Vec<(usize, usize, Problem)> {
        complaints(&Fragment::gnu(b"f", bytes), Encoding::Utf8)
            .into_iter()
            .map(|c| (c.line, c.column, c.problem))
            .collect()
    }

    #[test]
    fn each_bad_fragment_has_its_own_complaint() {
        assert_eq!(found(b""), [(1, 1, Problem::Empty)]);
        assert_eq!(found(b" \n\t\r\n"), [(1, 1, Problem::Empty)]);
        assert_eq!(found(b"2024-01-01  A\n\n\t* \0x: y\n"), [(3, 4, Problem::Binary)]);
        assert_eq!(found(b"2024-01-01  A\n\n\t* x: J\xf6rg\n"), [(3, 8, Problem::NotUtf8)]);
        assert_eq!(found(b"\n  Fix it.\n"), [(2, 3, Problem::NoHeader)]);
        assert_eq!(found(b"Fix it.\n2024-01-01  A\n\n\t* x: y\n"), [(1, 1, Problem::TextBeforeHeader)]);
        assert_eq!(found(b"2024-01-01  A\n\n2023-01-01  A\n\n\tx\n"), [(1, 1, Problem::NoText)]);
        assert_eq!(found(b"2024-01-01  A\n\n<<<<<<< HEAD\n\tx\n"), [(3, 1, Problem::ConflictMarker)]);
        assert_eq!(found(b"-*- change-log -*-\n\n2024-01-01  A\n\n\t* x: y\n"), []);
    }
}
