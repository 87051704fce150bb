//! Files that a step's recipe keeps. They travel as one file, one after the other in the order of their list, so that any of
//! them is a range of it. Their names are a stranger's words: all is bounded, and checked again by the master and by whoever
//! writes them to a disk.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Files of one step.
pub const MAX_FILES: usize = 1000;
/// Bytes of a path, and of one name in it.
pub const MAX_PATH: usize = 400;
/// See [`MAX_PATH`]: most file systems take no longer ones.
const MAX_NAME: usize = 255;
/// What was left out or not found, at most, and bytes of each.
pub const MAX_NOTES: usize = 10;
/// See [`MAX_NOTES`].
pub const MAX_NOTE: usize = 500;

/// What a step keeps.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Artifacts {
    /// The files, by path, each once; at most [`MAX_FILES`].
    pub files: Vec<Artifact>,
    /// What was left out or not found, for people; at most [`MAX_NOTES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A file that is kept.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its path from the work folder, parted by `/`; see [`why_no_path`].
    pub path: String,
    /// Its length.
    pub bytes: u64,
}

impl Artifacts {
    /// The bytes of all files together.
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.bytes))
    }

    /// Where a file is among all bytes; none when there is no file of this path.
    pub fn range_of(&self, path: &str) -> Option<Range<u64>> {
        let mut begin = 0_u64;
        for file in &self.files {
            let end = begin.saturating_add(file.bytes);
            if file.path == path {
                return Some(begin..end);
            }
            begin = end;
        }
        None
    }

    /// Why it can't be one that a slave made which may keep so many bytes, if so.
    ///
    /// # Errors
    /// Says what is wrong, for people.
    pub fn check(&self, most_bytes: u64) -> Result<(), String> {
        if self.files.len() > MAX_FILES {
            return Err(format!("{} files, where {MAX_FILES} are allowed", self.files.len()));
        }
        if self.bytes() > most_bytes {
            return Err(format!("{} bytes, where {most_bytes} are allowed", self.bytes()));
        }
        if let Some(why) = self.files.iter().find_map(|file| why_no_path(&file.path)) {
            return Err(format!("a path of a file {why}"));
        }
        if self.files.windows(2).any(|two| two[0].path >= two[1].path) {
            return Err("the files are not in order".to_owned());
        }
        let is_file = |path: &str| self.files.binary_search_by(|file| file.path.as_str().cmp(path)).is_ok();
        let folders_of = |path: &str| path.match_indices('/').any(|(at, _)| is_file(&path[..at]));
        if let Some(file) = self.files.iter().find(|file| folders_of(&file.path)) {
            return Err(format!("what `{}` is in is a file", file.path));
        }
        if self.notes.len() > MAX_NOTES || self.notes.iter().any(|note| note.len() > MAX_NOTE) {
            return Err(format!("more than {MAX_NOTES} notes of {MAX_NOTE} bytes"));
        }
        Ok(())
    }
}

/// Why a text is no path of a kept file, if so: what it names would not be below the folder that it is written into, or not by
/// this name, on every system.
pub fn why_no_path(path: &str) -> Option<&'static str> {
    if path.len() > MAX_PATH {
        return Some("is too long");
    }
    if path.chars().any(|c| c.is_control() || c == '\\') {
        return Some("has a control character or a backslash");
    }
    // Whoever goes into a folder with it has git do what it says.
    if path.split('/').any(|name| name.eq_ignore_ascii_case(".git")) {
        return Some("has a `.git`");
    }
    let odd = |name: &str| name.is_empty() || name == "." || name == ".." || name.len() > MAX_NAME;
    path.split('/').any(odd).then_some("has an empty name, `.`, `..` or one that is too long")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn artifacts(files: &[(&str, u64)]) -> Artifacts {
        let file = |(path, bytes): &(&str, u64)| Artifact { path: (*path).to_owned(), bytes: *bytes };
        Artifacts { files: files.iter().map(file).collect(), notes: Vec::new() }
    }

    #[test]
    fn a_file_is_a_range_of_all() {
        let all = artifacts(&[("a", 3), ("b/c", 0), ("d", 5)]);
        assert_eq!((all.bytes(), all.check(8)), (8, Ok(())));
        assert_eq!(all.range_of("a"), Some(0..3));
        assert_eq!(all.range_of("b/c"), Some(3..3));
        assert_eq!(all.range_of("d"), Some(3..8));
        assert_eq!(all.range_of("b"), None);
    }

    #[test]
    fn what_no_honest_slave_says_is_told() {
        let many: Vec<(String, u64)> = (0..=MAX_FILES).map(|n| (format!("{n:04}"), 0)).collect();
        let many: Vec<(&str, u64)> = many.iter().map(|(path, bytes)| (path.as_str(), *bytes)).collect();
        for (all, what) in [
            (artifacts(&many), "1001 files"),
            (artifacts(&[("a", 8), ("b", 1)]), "9 bytes"),
            (artifacts(&[("a", u64::MAX), ("b", u64::MAX)]), "bytes"),
            (artifacts(&[("b", 1), ("a", 1)]), "not in order"),
            (artifacts(&[("a", 1), ("a", 1)]), "not in order"),
            (artifacts(&[("a", 1), ("a.b", 1), ("a/b", 1)]), "is a file"),
            (Artifacts { notes: vec!["x".repeat(501)], ..Artifacts::default() }, "notes"),
        ] {
            assert!(all.check(8).unwrap_err().contains(what), "{what}");
        }
        for path in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "a/./b",
            "a\nb",
            "a\\b",
            "\u{85}",
            ".git/config",
            "a/.GIT",
        ] {
            assert!(artifacts(&[(path, 1)]).check(8).is_err(), "{path:?}");
        }
        assert!(why_no_path(&"n".repeat(256)).is_some() && why_no_path(&"n/".repeat(300)).is_some());
        assert_eq!(why_no_path("doc/Ünïcode name.html"), None);
    }
}
