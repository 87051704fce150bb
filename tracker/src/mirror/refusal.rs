//! Why a revision was not admitted: by what the commit itself is, for ever; or by what happened on the way, for now.
//!
//! Only a [`CommitRefused`] is ever recorded as a revision's refusal. An error that nobody thought of can't become one:
//! it has to be a [`Passing`].

use super::MirrorError;
use crate::Explain;
use crate::watch::PollError;
use protocol::{CommitId, Hint};
use std::time::Duration;

/// A revision was not admitted.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// By what the commit is: the same commit is never admitted, whoever sends it.
    #[error(transparent)]
    Refused(#[from] CommitRefused),
    /// By the way to it: the same commit may be admitted at the next try.
    #[error(transparent)]
    Passing(#[from] Passing),
}

/// A property of the commit, of all that it needs, or of its size, that keeps it out.
#[derive(Debug, thiserror::Error)]
pub enum CommitRefused {
    /// It is larger than allowed.
    #[error("{what} of the branch `{branch}`: {} are allowed{}", allowed, found_words(*found))]
    TooLarge {
        /// The branch.
        branch: String,
        /// Which limit: `the size in bytes`.
        what: &'static str,
        /// How much there was, where that is known.
        found: Option<u64>,
        /// How much is allowed.
        allowed: u64,
    },
    /// An object is not as git wants it.
    #[error("git's check refuses an object of the branch `{branch}`: {what}")]
    Fsck {
        /// The branch.
        branch: String,
        /// The object and what is wrong with it, in git's words.
        what: String,
    },
    /// A path that is dangerous or can't be checked out everywhere.
    #[error("the branch `{branch}` has {what}")]
    Tree {
        /// The branch.
        branch: String,
        /// What, with its path.
        what: String,
    },
    /// The branch does not point to a commit.
    #[error("the branch `{branch}` of {url} does not point to a commit")]
    NotACommit {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
    },
}

/// Something on the way to the commit went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Passing {
    /// The repository answers and has no such branch.
    #[error("the repository {url} has no branch `{branch}`")]
    NoBranch {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
    },
    /// The repository can't be reached, or is none.
    #[error(transparent)]
    Source(#[from] PollError),
    /// It took too long to fetch.
    #[error("fetching `{branch}` from {url} took longer than {} s", after.as_secs())]
    TimedOut {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
        /// The limit.
        after: Duration,
    },
    /// Other fetches of the same look took the bytes that it may bring.
    #[error("what is fetched from {url} in one look was more than {allowed} bytes before `{branch}` was whole")]
    Spent {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
        /// The limit.
        allowed: u64,
    },
    /// What came is not whole, or not what was asked for.
    #[error("what {url} sent of `{branch}` is not whole: {why}")]
    Broken {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
        /// In git's words.
        why: String,
    },
    /// The source answers, and a commit that was admitted from it is not there any more.
    #[error(
        "the commit {commit} is lost: the mirror does not have it any more, and {url}, where `{branch}` came from, does not either"
    )]
    Gone {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
        /// The commit.
        commit: CommitId,
    },
    /// It moved since it was seen.
    #[error("the branch `{branch}` moved to {now} while it was fetched")]
    Moved {
        /// The branch.
        branch: String,
        /// Where it is now.
        now: CommitId,
    },
    /// bb's own disk or git is at fault.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
}

fn found_words(found: Option<u64>) -> String {
    found.map_or_else(|| ", and there is more".to_owned(), |found| format!(", and there are {found}"))
}

impl From<PollError> for AdmissionError {
    fn from(error: PollError) -> Self {
        Self::Passing(error.into())
    }
}

impl From<MirrorError> for AdmissionError {
    fn from(error: MirrorError) -> Self {
        Self::Passing(error.into())
    }
}

impl Explain for AdmissionError {
    fn code(&self) -> &'static str {
        match self {
            Self::Refused(error) => error.code(),
            Self::Passing(error) => error.code(),
        }
    }

    fn hint(&self) -> Hint {
        match self {
            Self::Refused(error) => error.hint(),
            Self::Passing(error) => error.hint(),
        }
    }
}

impl Explain for CommitRefused {
    fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::Fsck { .. } => "fsck-refused",
            Self::Tree { .. } => "tree-refused",
            Self::NotACommit { .. } => "not-a-commit",
        }
    }

    fn hint(&self) -> Hint {
        let what = match self {
            Self::TooLarge { .. } => {
                "take large files out of all commits of the branch (git rebase -i), or an admin raises the limit"
            }
            Self::Fsck { .. } => "make the commit anew with a current git: `git fsck` names the object",
            Self::Tree { .. } => "rename or remove it in a new commit",
            Self::NotACommit { .. } => "push a commit to the branch",
        };
        Hint::new(what)
    }
}

impl Explain for Passing {
    fn code(&self) -> &'static str {
        match self {
            Self::NoBranch { .. } => "no-such-branch",
            Self::Source(error) => error.code(),
            Self::TimedOut { .. } => "fetch-timed-out",
            Self::Spent { .. } => "fetch-spent",
            Self::Broken { .. } => "fetch-broken",
            Self::Gone { .. } => "commit-lost",
            Self::Moved { .. } => "moved",
            Self::Mirror(error) => error.code(),
        }
    }

    fn hint(&self) -> Hint {
        match self {
            Self::NoBranch { .. } => Hint::new("push the branch there, or publish it by the name that it has"),
            Self::Source(error) => error.hint(),
            Self::TimedOut { .. } => {
                Hint::by_bb("tries again; the author publishes from a faster server if that goes on")
            }
            Self::Spent { .. } => {
                Hint::by_bb("fetches it in another look; an admin allows more with fetch_bytes under [sources]")
            }
            Self::Broken { .. } => Hint::by_bb(
                "fetches it again; if that goes on, `git fsck` in the repository there, and a fresh clone, tell more",
            ),
            Self::Gone { .. } => Hint::new(
                "push the commit to the branch again, or publish a newer one; or an admin restores the mirror from a backup",
            ),
            Self::Moved { .. } => Hint::by_bb("fetches the new revision instead"),
            Self::Mirror(error) => error.hint(),
        }
    }
}
