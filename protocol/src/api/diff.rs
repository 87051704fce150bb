//! Diffs, cut where they would be too long to read.

use crate::CommitId;
use serde::{Deserialize, Serialize};

/// A diff, cut where it would be too long to read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Diff {
    /// The commit before; none where there is nothing to be compared.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub old: Option<CommitId>,
    /// The commit after.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub new: Option<CommitId>,
    /// Files changed.
    pub files: Vec<DiffFile>,
    /// Lines added, in all files.
    pub added: u64,
    /// Lines removed, in all files.
    pub removed: u64,
    /// Files left out because the diff is too long.
    pub files_left_out: u64,
    /// Whether there are more than those, because finding all of them would take too long.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub has_more: bool,
    /// Why there is none, when it can't be made now: a sentence.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trouble: Option<String>,
    /// Lines for a shell that show all of it, when something is left out here.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub whole: Vec<String>,
}

impl Diff {
    /// Whether something of it is not here: a file, a line, or the end of one.
    pub fn is_cut(&self) -> bool {
        self.files_left_out > 0 || self.has_more || self.trouble.is_some() || self.files.iter().any(DiffFile::is_cut)
    }
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
    /// Lines of which only the beginning is here, with `…` at its end.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub lines_cut: u64,
    /// Whether no line is here because the file was not compared; a note says why.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub not_compared: bool,
    /// Whether most of it is no text in any way.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub is_binary: bool,
    /// Where its bytes before are, below the path of their commit: its path, exact, encoded for an address. None where it was not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub old_at: Option<String>,
    /// The same for its bytes now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub new_at: Option<String>,
}

impl DiffFile {
    /// Whether something of it is not here.
    pub fn is_cut(&self) -> bool {
        self.lines_left_out > 0 || self.lines_cut > 0 || self.not_compared
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
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
