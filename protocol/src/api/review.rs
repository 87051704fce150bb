//! What people say of a branch: votes and comments.

use crate::{BranchName, CommitId, UnixMs};
use serde::{Deserialize, Serialize};

/// What was said of a branch: all votes on its newest revision and the newest of older ones, and threads, a page of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// The branch.
    pub branch: BranchName,
    /// Its newest revision.
    pub revision: Option<u32>,
    /// That revision's commit: what is said now is said of it.
    pub commit: Option<CommitId>,
    /// What counts, in numbers.
    pub tally: ReviewTally,
    /// Votes, newest first.
    pub votes: Vec<Vote>,
    /// Threads, newest first.
    pub threads: Vec<Thread>,
    /// What to ask for as `before` to get older threads.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<i64>,
}

/// Votes that count, and threads.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct ReviewTally {
    /// Votes for the newest revision.
    pub up: u32,
    /// Votes against it.
    pub down: u32,
    /// Threads that are not resolved, of all revisions.
    pub open: u32,
    /// All threads.
    pub threads: u32,
}

/// Somebody's vote on a revision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vote {
    /// The revision.
    pub revision: u32,
    /// -1, 0 or 1.
    pub value: i8,
    /// Who.
    pub by: String,
    /// When.
    pub at_ms: UnixMs,
    /// Whether it counts.
    pub standing: VoteStanding,
}

/// Whether a vote counts, and why not.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VoteStanding {
    /// It counts.
    Counts,
    /// It is the publisher's own, on his own branch.
    Own,
    /// It is on an older revision.
    Older,
    /// The token that it was cast with was revoked since.
    Revoked,
}

impl VoteStanding {
    /// Why it does not count; empty when it does.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Counts => "",
            Self::Own => "the publisher's own: does not count",
            Self::Older => "on an older revision: does not count",
            Self::Revoked => "its token was revoked: does not count",
        }
    }
}

/// Comments that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    /// Its number.
    pub id: i64,
    /// The revision that it was begun on.
    pub revision: u32,
    /// The lines that it is about; none when it is about the whole.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub on: Option<Place>,
    /// Who resolved it; none while it is open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resolved_by: Option<String>,
    /// When that was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resolved_ms: Option<UnixMs>,
    /// What was said, oldest first.
    pub comments: Vec<Comment>,
}

/// One thing that was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comment {
    /// Its number.
    pub id: i64,
    /// Who.
    pub by: String,
    /// When.
    pub at_ms: UnixMs,
    /// Plain text.
    pub text: String,
}

/// Lines of one side of a revision's diff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file, as the diff names it on that side.
    pub path: String,
    /// Which side.
    #[serde(default)]
    pub side: Side,
    /// The first line.
    pub from: u32,
    /// The last line.
    pub to: u32,
    /// The first line as it read then; said by the master.
    #[serde(default)]
    pub line: String,
}

/// A side of a diff.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// As it was before.
    Old,
    /// As it is now.
    #[default]
    New,
}

impl Side {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

impl std::str::FromStr for Side {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "old" => Ok(Self::Old),
            "new" => Ok(Self::New),
            _ => Err("a side of a diff is `old` or `new`".to_owned()),
        }
    }
}

/// What somebody says of a branch: a vote, a comment, both, or that a thread is resolved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reviewing {
    /// The commit that was looked at; a vote and a new thread need it, and it must be the newest revision's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<CommitId>,
    /// -1, 0 or 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub vote: Option<i8>,
    /// Plain text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub comment: Option<String>,
    /// The lines that the comment is about; the whole when it is not given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub on: Option<Place>,
    /// The thread that the comment answers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reply: Option<i64>,
    /// The thread that is resolved by this.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resolve: Option<i64>,
    /// The thread that is open again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reopen: Option<i64>,
}
