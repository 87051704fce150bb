//! Files of a work folder that patterns match. Each folder is opened from within the one above it, without following a
//! link, so that what a build put there leads nowhere else.

use glob::{MatchOptions, Pattern};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};
use std::fs::File;
use std::path::Path;

/// Files that are found, entries of folders that are looked at, and how deep.
pub(super) const MAX_FILES: usize = protocol::artifacts::MAX_FILES;
const MAX_ENTRIES: usize = 500_000;
const MAX_DEPTH: usize = 64;

const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Paths from the work folder, in order.
    pub(super) paths: Vec<String>,
    /// What is worth saying.
    pub(super) notes: Vec<String>,
    work: Option<OwnedFd>,
}

impl Found {
    /// Opens one of them, if it is still a plain file that no link leads to.
    pub(super) fn open(&self, path: &str) -> Option<File> {
        let (folders, name) = path.rsplit_once('/').map_or((None, path), |(folders, name)| (Some(folders), name));
        let mut folder = self.work.as_ref()?.try_clone().ok()?;
        for name in folders.into_iter().flat_map(|folders| folders.split('/')) {
            folder = open(&folder, name, OFlags::DIRECTORY)?;
        }
        // A pipe would be waited for.
        let file = File::from(open(&folder, name, OFlags::NONBLOCK)?);
        file.metadata().is_ok_and(|of| of.is_file()).then_some(file)
    }
}

/// Finds plain files by patterns of paths from the work folder.
pub(super) fn find(work: &Path, patterns: &[String]) -> Found {
    let mut search = Search {
        patterns: Vec::new(),
        found: Found::default(),
        left: MAX_ENTRIES,
        full: false,
        deep: false,
        nameless: false,
        unread: None,
    };
    for text in patterns {
        match (Pattern::new(text), text.split('/').map(Pattern::new).collect::<Result<Vec<_>, _>>()) {
            (Ok(whole), Ok(parts)) => search.patterns.push(Wanted { text, whole, parts, met: false }),
            (Err(error), _) | (_, Err(error)) => search.found.notes.push(format!("`{text}` is no pattern: {error}")),
        }
    }
    match openat(CWD, work, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(folder) => {
            search.folder(&folder, &mut Vec::new());
            search.found.work = Some(folder);
        }
        Err(error) => search.found.notes.push(format!("the work folder can't be read: {error}")),
    }
    let Search { patterns, mut found, full, deep, nameless, unread, .. } = search;
    if full {
        found
            .notes
            .push(format!("not all are taken: more than {MAX_FILES} files match, or there are too many to look at"));
    }
    if deep {
        found.notes.push(format!("what is in more than {MAX_DEPTH} folders is left out"));
    }
    if nameless {
        found.notes.push("what has a name that is no text is left out".to_owned());
    }
    found.notes.extend(unread.map(|folder| format!("{folder} can't be looked into")));
    found.notes.extend(patterns.iter().filter(|it| !it.met).map(|it| format!("no file matches `{}`", it.text)));
    found.paths.sort_unstable();
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
    /// Whether there are folders in too many others.
    deep: bool,
    /// Whether something that may be meant has a name that is no text.
    nameless: bool,
    /// The first folder that can't be read.
    unread: Option<String>,
}

impl Search<'_> {
    fn folder(&mut self, folder: &OwnedFd, path: &mut Vec<String>) {
        let Ok(entries) = Dir::read_from(folder) else { return self.cannot_read(path) };
        for entry in entries {
            let Ok(entry) = entry else { return self.cannot_read(path) };
            if [&b"."[..], b".."].contains(&entry.file_name().to_bytes()) {
                continue;
            }
            if self.full || self.left == 0 {
                self.full = true;
                return;
            }
            self.left -= 1;
            // What is no text can't be named by a pattern.
            let Ok(name) = entry.file_name().to_str() else {
                path.push(entry.file_name().to_string_lossy().into_owned());
                self.nameless |= self.may_be_meant(path);
                path.pop();
                continue;
            };
            // What git keeps for itself is no part of the work.
            if name.eq_ignore_ascii_case(".git") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => kind(folder, name),
                known => known,
            };
            path.push(name.to_owned());
            match kind {
                FileType::Directory => self.below(folder, path),
                FileType::RegularFile => self.file(path),
                _ => {}
            }
            path.pop();
        }
    }

    fn below(&mut self, folder: &OwnedFd, path: &mut Vec<String>) {
        if !self.patterns.iter().any(|wanted| wanted.may_be_below(path)) {
            return;
        }
        if path.len() > MAX_DEPTH {
            self.deep = true;
            return;
        }
        match path.last().and_then(|name| open(folder, name, OFlags::DIRECTORY)) {
            Some(opened) => self.folder(&opened, path),
            None => self.cannot_read(path),
        }
    }

    fn cannot_read(&mut self, path: &[String]) {
        // It is told to people: no text of a stranger's that can steer a terminal.
        self.unread.get_or_insert_with(|| format!("`{}`", path.join("/").escape_debug()));
    }

    fn may_be_meant(&self, path: &[String]) -> bool {
        let whole = path.join("/");
        let meant = |it: &Wanted<'_>| it.whole.matches_with(&whole, OPTIONS) || it.may_be_below(path);
        self.patterns.iter().any(meant)
    }

    fn file(&mut self, path: &[String]) {
        let whole = path.join("/");
        let mut matches = false;
        for wanted in self.patterns.iter_mut().filter(|wanted| wanted.whole.matches_with(&whole, OPTIONS)) {
            (wanted.met, matches) = (true, true);
        }
        if matches && self.found.paths.len() >= MAX_FILES {
            self.full = true;
        } else if matches {
            self.found.paths.push(whole);
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
        assert_eq!((found.paths.len(), found.notes.len()), (MAX_FILES, 1));
        for n in MAX_FILES..MAX_FILES + 5 {
            std::fs::remove_file(work.path().join(format!("{n}.xml"))).unwrap();
        }
        for n in 0..5 {
            std::fs::write(work.path().join(format!("{n}.txt")), "").unwrap();
        }
        let found = find(work.path(), &["*.xml".to_owned()]);
        assert_eq!((found.paths.len(), found.notes), (MAX_FILES, vec![]), "all of them are taken");
    }

    #[test]
    fn what_is_left_out_for_its_name_is_said_if_it_may_be_meant() {
        use std::os::unix::ffi::OsStrExt as _;
        let work = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(work.path().join("doc/sub/.git")).unwrap();
        for name in [&b"doc/\xff.html"[..], b"doc/sub/.git/config", b"doc/a.html"] {
            std::fs::write(work.path().join(std::ffi::OsStr::from_bytes(name)), "x").unwrap();
        }
        let said = |pattern: &str| {
            let found = find(work.path(), &[pattern.to_owned()]);
            (found.paths.join(" "), found.notes.join(" "))
        };
        let (deep, pattern) = (work.path().join("deep").join("d/".repeat(MAX_DEPTH + 5)), ["deep/**".to_owned()]);
        std::fs::create_dir_all(&deep).unwrap();
        for path in [deep.join("leaf"), work.path().join("deep/x"), work.path().join("deep/y")] {
            std::fs::write(path, "x").unwrap();
        }
        let found = find(work.path(), &pattern);
        assert_eq!((found.paths.join(" "), found.notes.len()), ("deep/x deep/y".to_owned(), 1), "the others are taken");
        let left_out = "what has a name that is no text is left out";
        assert_eq!(said("doc/**"), ("doc/a.html".to_owned(), left_out.to_owned()));
        assert_eq!(said("doc/*.html"), ("doc/a.html".to_owned(), left_out.to_owned()));
        assert_eq!(said("doc/a.*"), ("doc/a.html".to_owned(), String::new()));
    }
}
