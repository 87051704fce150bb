//! What folding takes beside the text, and what came of it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::complaint::Complaint;
use crate::format::{Format, FormatError};
use crate::towncrier::Towncrier;

/// Which date a folded entry gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatePolicy {
    /// The day of the merge.
    #[default]
    Merge,
    /// The author's own.
    Author,
}

/// How a folded entry's lines are indented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IndentPolicy {
    /// As the author did.
    #[default]
    Keep,
    /// As the ChangeLog's newest entries are; nothing is re-wrapped.
    Adopt,
}

/// What a fold is told besides the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FoldOptions<'a> {
    /// Which date the entries get.
    pub date: DatePolicy,
    /// How they are indented.
    pub indent: IndentPolicy,
    /// The ChangeLog at the branch's merge base, if it is known: what was there then is never taken for a copy of an entry.
    pub base: Option<&'a [u8]>,
    /// The ChangeLog's format, if the project says it; else its path and content show.
    pub format: Option<Format>,
    /// Where an issue is found, `{}` standing for its number.
    pub issue_url: Option<&'a str>,
    /// How towncrier would write it, if the project has settings of it.
    pub towncrier: Option<&'a Towncrier>,
}

/// What a fold gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The ChangeLog with the entries in it.
    pub changelog: Vec<u8>,
    /// Where in `changelog` the new entries stand.
    pub added: Range<usize>,
    /// How many entries were added.
    pub entries: usize,
    /// How many of them (or of those left out) the branch had written into the ChangeLog itself.
    pub lifted: usize,
    /// Entries that the ChangeLog had already.
    pub left_out: Vec<LeftOut>,
    /// The paths of the fragments, to be deleted.
    pub removed: Vec<Vec<u8>>,
    /// What else a person should know.
    pub notes: Vec<Note>,
}

impl Folded {
    /// Whether neither a fragment nor what the branch wrote into the ChangeLog itself tells of anything.
    pub fn tells_nothing(&self) -> bool {
        self.entries == 0 && self.left_out.is_empty()
    }
}

/// An entry that was not added because the ChangeLog has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The fragment's path.
    pub path: Arc<str>,
    /// The line of the entry in it, from 1.
    pub line: usize,
    /// The entry's header.
    pub header: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: left out, the ChangeLog has it already: {}", self.path, self.line, self.header)
    }
}

/// Something that is no error, but is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Note {
    /// A fragment's local variables or copyright notice were not folded.
    TrailerDropped {
        /// The fragment's path.
        path: String,
    },
    /// A version was released since the branch was begun; its news went under Unreleased all the same.
    ReleasedMeanwhile {
        /// The version's heading.
        version: String,
    },
    /// A release of a ChangeLog that has no headings for versions.
    NoVersionHeadings {
        /// The ChangeLog's path.
        path: String,
    },
    /// A header's date does not exist; the entry got the merge's.
    NoSuchDate {
        /// The fragment's path.
        path: Arc<str>,
        /// The date as written.
        date: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReleasedMeanwhile { version } => {
                write!(f, "{version} was released since the branch was begun; its news is under Unreleased")
            }
            Self::NoVersionHeadings { path } => {
                write!(f, "{path}: a GNU ChangeLog has no headings for versions: its entries say the day alone")
            }
            Self::TrailerDropped { path } => write!(f, "{path}: what follows the last entry was not folded"),
            Self::NoSuchDate { path, date } => {
                write!(f, "{path}: the date `{date}` does not exist; the merge's was taken")
            }
        }
    }
}

/// Why a fold was not done. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FoldError {
    /// Fragments that cannot be folded, each with its place.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Fragments(Vec<Complaint>),
    /// The branch and mainline changed the same old text of the ChangeLog differently.
    #[error("{path}: {conflicts} old {} changed differently on both sides", if *.conflicts == 1 { "entry was" } else { "entries were" })]
    Conflict {
        /// The ChangeLog's path.
        path: String,
        /// How many conflicts there are.
        conflicts: usize,
        /// The old text as merged, with conflict markers; nothing is folded in it.
        bytes: Vec<u8>,
    },
    /// The ChangeLog's format is not known.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// It is not clear which section takes what is not released yet.
    #[error("{path}: {}", told(headings, *more, *why))]
    Unclear {
        /// The ChangeLog's path.
        path: String,
        /// The first headings that it hangs on, each with its line.
        headings: Vec<(usize, String)>,
        /// How many more there are.
        more: usize,
        /// What is wrong with them.
        why: Unclear,
    },
    /// Nothing that could be released.
    #[error("{path}: there is nothing to release: no fragment, and nothing in a section of what is not released yet")]
    NothingToRelease {
        /// The ChangeLog's path.
        path: String,
    },
    /// The version is there.
    #[error("{path}: {version} stands in line {line} already")]
    IsReleased {
        /// The ChangeLog's path.
        path: String,
        /// The version.
        version: String,
        /// Its heading's line.
        line: usize,
    },
    /// A Debian changelog without any stanza: package and version are not known.
    #[error("the Debian changelog has no stanza yet that would name the package")]
    NoStanza,
    /// The branch deletes the ChangeLog.
    #[error("{path}: the branch deletes the ChangeLog")]
    Deleted {
        /// The ChangeLog's path.
        path: String,
    },
}

/// The headings in question and what is wrong with them.
fn told(headings: &[(usize, String)], more: usize, why: Unclear) -> String {
    let mut each: Vec<String> = headings.iter().map(|(line, title)| format!("line {line} (`{title}`)")).collect();
    if more > 0 {
        each.push(format!("{more} more"));
    }
    let all = each.join(" and ");
    match why {
        Unclear::Several => format!("{all} each name what is not released yet"),
        Unclear::BelowReleases => format!("{all} names what is not released yet, below versions that are"),
        Unclear::NoDay => format!("{all} names a version without a date, while all others have one: is it released?"),
        Unclear::OtherWords => {
            format!("{all} says more than a version, as no other does, and no date: is it released?")
        }
        Unclear::InTheMaking => {
            format!("{all} is named as what is still being made, and has no date: is it released?")
        }
        Unclear::OldestFirst => format!("the newest version stands last, in {all}, and is released"),
        Unclear::LooksLikeOne => format!("{all} names a version, and is no heading in this file's markup"),
        Unclear::NoHeading => format!("{all} stands below no heading: which version is it of?"),
        Unclear::NoVersion => format!("{all} names no version, and may be the newest release"),
    }
}

impl FoldError {
    /// What to do about it; of several complaints, what to do about the first.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Fragments(complaints) => complaints.first().map_or("", |c| c.problem.hint()),
            Self::Conflict { .. } => {
                "merge mainline into the branch and resolve the old entry there; new entries never conflict"
            }
            Self::Format(FormatError::Two { .. }) => {
                "say which it is: `format = \"gnu\"` (or another) in [changelog] of .bb.toml"
            }
            Self::Format(FormatError::None { .. }) => "say its format in [changelog] of .bb.toml, or name another file",
            Self::Unclear { why, .. } => match why {
                Unclear::Several => "leave one of them, above all versions that are released",
                Unclear::BelowReleases => "move it above the newest release, or delete it",
                Unclear::NoDay | Unclear::OtherWords | Unclear::InTheMaking => {
                    "write `(unreleased)` behind it, or its date; or put a heading `Unreleased` above it"
                }
                Unclear::LooksLikeOne => "make it a heading, as `## 1.2.0` is in Markdown",
                Unclear::NoHeading | Unclear::OldestFirst | Unclear::NoVersion => {
                    "put a heading `Unreleased` where the news shall go"
                }
            },
            Self::NothingToRelease { .. } => {
                "release what brings fragments, or write the section by hand; `--empty` makes a version of which nothing is said"
            }
            Self::IsReleased { .. } => "name the version that comes next",
            Self::NoStanza => "write the first stanza by hand, for instance with `dch --create`",
            Self::Deleted { .. } => {
                "bring the file back in the branch; if it is to go, delete it on mainline and from `changelog` in .bb.toml"
            }
        }
    }
}

/// Why it is not clear where news goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unclear {
    /// Several sections are not released.
    Several,
    /// The only one that is not released stands below ones that are.
    BelowReleases,
    /// The newest has no day, all others have one.
    NoDay,
    /// The newest has words of its own, as no other has, and no day.
    OtherWords,
    /// The newest has a name as versions have before they are released, such as `2.x`, and no day.
    InTheMaking,
    /// The newest version stands last.
    OldestFirst,
    /// A section that names no version stands where the newest would.
    NoVersion,
    /// A line names a version as headings do, and is none.
    LooksLikeOne,
    /// News stands below no heading at all.
    NoHeading,
}

impl Unclear {
    /// How many headings are named: how many there are, whoever wrote the file chose.
    pub(crate) const NAMED: usize = 6;
}
