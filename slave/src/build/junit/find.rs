//! Files of a work folder that patterns match. Each folder is opened from within the one above it, without following a
//! link, so that what a build put there leads nowhere else.

use glob::{MatchOptions, Pattern};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};
use std::fs::File;
use std::path::Path;

/// Files that are read, entries of folders that are looked at, and how deep.
const MAX_FILES: usize = 1000;
const MAX_ENTRIES: usize = 500_000;
const MAX_DEPTH: usize = 64;

const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Path from the work folder, and the open file; by path.
    pub(super) files: Vec<(String, File)>,
    /// What is worth saying.
    pub(super) notes: Vec<String>,
}

/// Finds plain files by patterns of paths from the work folder.
pub(super) fn find(work: &Path, patterns: &[String]) -> Found {
    let mut search = Search { patterns: Vec::new(), found: Found::default(), left: MAX_ENTRIES, full: false };
    for text in patterns {
        match (Pattern::new(text), text.split('/').map(Pattern::new).collect::<Result<Vec<_>, _>>()) {
            (Ok(whole), Ok(parts)) => search.patterns.push(Wanted { text, whole, parts, met: false }),
            (Err(error), _) | (_, Err(error)) => search.found.notes.push(format!("`{text}` is no pattern: {error}")),
        }
    }
    match openat(CWD, work, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(folder) => search.folder(&folder, &mut Vec::new()),
        Err(error) => search.found.notes.push(format!("the work folder can't be read: {error}")),
    }
    let Search { patterns, mut found, full, .. } = search;
    if full {
        found
            .notes
            .push(format!("not all is read: more than {MAX_FILES} files match, or there are too many to look at"));
    }
    found.notes.extend(patterns.iter().filter(|it| !it.met).map(|it| format!("no file matches `{}`", it.text)));
    found.files.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

struct Wanted<'a> {
    text: &'a str,
    whole: Pattern,
    /// For each part of the path one.
    parts: Vec<Pattern>,
    met: bool,
}

impl Wanted<'_> {
    /// Whether something that it matches may be in this folder or below it.
    fn may_be_below(&self, folder: &[String]) -> bool {
        let any = self.parts.iter().position(|part| part.as_str() == "**").unwrap_or(self.parts.len());
        let fixed = &self.parts[..any];
        let fits = folder.iter().zip(fixed).all(|(name, part)| part.matches_with(name, OPTIONS));
        fits && (folder.len() < self.parts.len() || any < self.parts.len())
    }
}

struct Search<'a> {
    patterns: Vec<Wanted<'a>>,
    found: Found,
    left: usize,
    full: bool,
}

impl Search<'_> {
    fn folder(&mut self, folder: &OwnedFd, path: &mut Vec<String>) {
        let Ok(entries) = Dir::read_from(folder) else { return };
        for entry in entries.flatten() {
            // What is no text can't be named by a pattern.
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name == "." || name == ".." {
                continue;
            }
            self.left = self.left.saturating_sub(1);
            if self.left == 0 || self.found.files.len() >= MAX_FILES {
                self.full = true;
                return;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => kind(folder, name),
                known => known,
            };
            path.push(name.to_owned());
            match kind {
                FileType::Directory => self.below(folder, path),
                FileType::RegularFile => self.file(folder, path),
                _ => {}
            }
            path.pop();
        }
    }

    fn below(&mut self, folder: &OwnedFd, path: &mut Vec<String>) {
        if path.len() > MAX_DEPTH || !self.patterns.iter().any(|wanted| wanted.may_be_below(path)) {
            return;
        }
        if let Some(opened) = path.last().and_then(|name| open(folder, name, OFlags::DIRECTORY)) {
            self.folder(&opened, path);
        }
    }

    fn file(&mut self, folder: &OwnedFd, path: &[String]) {
        let whole = path.join("/");
        let mut matches = false;
        for wanted in self.patterns.iter_mut().filter(|wanted| wanted.whole.matches_with(&whole, OPTIONS)) {
            (wanted.met, matches) = (true, true);
        }
        let opened = path.last().filter(|_| matches).and_then(|name| open(folder, name, OFlags::NONBLOCK));
        // What was a plain file may be another thing by now.
        if let Some(file) = opened.map(File::from).filter(|file| file.metadata().is_ok_and(|of| of.is_file())) {
            self.found.files.push((whole, file));
        }
    }
}

fn open(folder: &OwnedFd, name: &str, how: OFlags) -> Option<OwnedFd> {
    openat(folder, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | how, Mode::empty()).ok()
}

fn kind(folder: impl AsFd, name: &str) -> FileType {
    let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    found.map_or(FileType::Unknown, |of| FileType::from_raw_mode(of.st_mode))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_folders_that_may_have_it_are_looked_into() {
        let below = |pattern: &str, folder: &str| {
            let parts = pattern.split('/').map(|part| Pattern::new(part).unwrap()).collect();
            let wanted = Wanted { text: pattern, whole: Pattern::new(pattern).unwrap(), parts, met: false };
            wanted.may_be_below(&folder.split('/').map(str::to_owned).collect::<Vec<_>>())
        };
        assert!(below("target/*.xml", "target"));
        assert!(!below("target/*.xml", "target/deep"));
        assert!(!below("target/*.xml", "src"));
        assert!(below("t*/**/*.xml", "target/a/b/c"));
        assert!(!below("t*/**/*.xml", "src/a"));
        assert!(below("**/x.xml", "a/b"));
        assert!(!below("x.xml", "a"));
    }

    #[test]
    fn a_folder_of_more_than_can_be_looked_at_has_an_end() {
        let work = tempfile::tempdir().unwrap();
        for n in 0..MAX_FILES + 5 {
            std::fs::write(work.path().join(format!("{n}.xml")), "").unwrap();
        }
        let found = find(work.path(), &["*.xml".to_owned()]);
        assert_eq!((found.files.len(), found.notes.len()), (MAX_FILES, 1));
    }
}
