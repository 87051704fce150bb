//! What is wrong with a file, where, and what to do about it.

use std::fmt;

use serde::Serialize;

use crate::lines::lossy;

/// Something wrong with a fragment, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{path}:{line}:{column}: {problem}")]
pub struct Complaint {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// The byte within the line, from 1.
    pub column: usize,
    /// The line itself, without its end.
    pub text: String,
    /// What is wrong.
    #[serde(flatten)]
    pub problem: Problem,
}

/// What can be wrong with a fragment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Problem {
    /// Nothing but blanks.
    #[error("the fragment is empty")]
    Empty,
    /// A NUL byte.
    #[error("the fragment is not text: it has a NUL byte")]
    Binary,
    /// Not UTF-8, while the ChangeLog is.
    #[error("the fragment is not UTF-8, but the ChangeLog is")]
    NotUtf8,
    /// Text, but no header anywhere.
    #[error("no header: an entry starts with a line `YYYY-MM-DD  Name  <address>`")]
    NoHeader,
    /// Text above the first header.
    #[error("text above the first header")]
    TextBeforeHeader,
    /// A header, and then nothing.
    #[error("nothing is said below this header")]
    NoText,
    /// An unresolved merge.
    #[error("conflict marker")]
    ConflictMarker,
    /// A typed fragment for a GNU ChangeLog whose author is not known.
    #[error("it is not known who wrote this fragment")]
    NoAuthor,
    /// A file is named that the branch does not change.
    #[error("the branch does not change {file}")]
    NotInDiff {
        /// As written.
        file: String,
    },
    /// An item that says nothing, and no item below it that would speak for it.
    #[error("nothing is said of this file")]
    NoWords,
    /// An address whose bracket does not close.
    #[error("half an address: the bracket is not closed")]
    HalfAddress,
    /// A file of the fragments' folder that is no fragment.
    #[error("this file is in the fragments' folder, but would not be folded")]
    Stray,
    /// Two fragments whose names differ in case only.
    #[error("{other} differs from this name in case only")]
    CaseClash {
        /// The other one.
        other: String,
    },
    /// The branch changes something, but says nothing of it.
    #[error("the branch has no fragment for {changelog}")]
    Missing {
        /// The ChangeLog.
        changelog: String,
    },
    /// It would not fold, for a reason that is none of the fragment's.
    #[error("{reason}")]
    WouldNotFold {
        /// Why.
        reason: String,
    },
    /// A date that does not exist or was left open, where the date counts.
    #[error("the date `{date}` does not exist")]
    NoSuchDate {
        /// As written.
        date: String,
    },
}

impl Problem {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "write what the branch changes (`bb changelog new` makes a draft), or delete the file",
            Self::Binary => "a fragment is plain text; was another file committed under this name?",
            Self::NotUtf8 => "save the file as UTF-8",
            Self::NoHeader | Self::TextBeforeHeader => {
                "start the file with a header, for instance `2024-03-05  Ann Author  <ann@example.org>`, then a blank line, then the items"
            }
            Self::NoText => {
                "write items below it, for instance `<tab>* src/main.c (main): Say hello.`, or delete the header"
            }
            Self::ConflictMarker => "resolve the conflict and commit the result",
            Self::NoAuthor => "commit the fragment, or write it as ChangeLog entries with a header",
            Self::NotInDiff { .. } => "name it as it stands in `git diff --stat`, or drop it",
            Self::NoWords => "say what changed, for instance `* src/main.c (main): Say hello.`",
            Self::HalfAddress => "close it: `Ann Author  <ann@example.org>`",
            Self::Stray => {
                "name it `NAME.ChangeLog` or `NAME.TYPE.md` with a known type (such as feature, bugfix, doc, removal, misc), or move it elsewhere"
            }
            Self::CaseClash { .. } => "rename one of them: some file systems take both for the same file",
            Self::Missing { .. } => {
                "run `bb changelog new`, or end a commit's message with `No-ChangeLog: REASON` if there is nothing to say"
            }
            Self::WouldNotFold { .. } => "see what it says, then run this again",
            Self::NoSuchDate { .. } => "write an existing date as YYYY-MM-DD",
        }
    }
}

impl Complaint {
    pub(crate) fn at(path: &[u8], bytes: &[u8], offset: usize, problem: Problem) -> Self {
        let offset = offset.min(bytes.len());
        let start = memchr::memrchr(b'\n', &bytes[..offset]).map_or(0, |at| at + 1);
        let end = memchr::memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |at| start + at);
        // A line of 50 MB is not quoted whole.
        let shown = &bytes[start..end.min(start + 400)];
        Self {
            path: lossy(path),
            line: crate::lines::line_number(bytes, start),
            column: offset - start + 1,
            text: lossy(crate::lines::without_end(shown)),
            problem,
        }
    }

    /// The line with a caret below the place, for a terminal.
    pub fn excerpt(&self) -> impl fmt::Display + '_ {
        Excerpt(self)
    }
}

struct Excerpt<'a>(&'a Complaint);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Complaint { line, column, text, .. } = self.0;
        let margin = line.to_string();
        // Control characters of a stranger's file never reach the terminal.
        let shown: String = text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect();
        let before: String =
            shown.chars().take(column.saturating_sub(1)).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        writeln!(f, "{margin} | {shown}")?;
        write!(f, "{:w$} | {before}^", "", w = margin.len())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_complaint_shows_its_place() {
        let c = Complaint::at(b"f", b"one\n\t* \x1bx\n", 6, Problem::Binary);
        assert_eq!(c.to_string(), "f:2:3: the fragment is not text: it has a NUL byte");
        assert_eq!(c.excerpt().to_string(), "2 | \t* \u{fffd}x\n  | \t ^");
    }
}
