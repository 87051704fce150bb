//! Diffs, cut where they would be too long to read.

use serde::{Deserialize, Serialize};

/// A diff, cut where it would be too long to read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Diff {
    /// Files changed.
    pub files: Vec<DiffFile>,
    /// Lines added, in all files.
    pub added: u64,
    /// Lines removed, in all files.
    pub removed: u64,
    /// Files left out because the diff is too long.
    pub files_left_out: u64,
}

/// A file's part of a diff.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DiffFile {
    /// The path now, escaped where it is not UTF-8.
    pub path: String,
    /// The path before, if it was renamed.
    pub old_path: Option<String>,
    /// What happened besides lines: `new file`, `deleted`, `mode 100644 to 100755`, `symbolic link to x`, `binary`, `submodule`.
    pub notes: Vec<String>,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
    /// The lines, hunk heads among them.
    pub lines: Vec<DiffLine>,
    /// Lines left out because the diff is too long.
    pub lines_left_out: u64,
}

/// A line of a diff.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct DiffLine {
    /// What it is.
    pub kind: DiffKind,
    /// Its number before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub old: Option<u32>,
    /// Its number now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub new: Option<u32>,
    /// Its text without the sign and the line's end; what is not UTF-8 replaced; hidden characters made visible.
    pub text: String,
}

/// What a line of a diff is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is the word it is shown by")]
pub enum DiffKind {
    Hunk,
    Context,
    Add,
    Delete,
}
