//! What can be wrong with the mirror itself: never the author's fault.

use crate::Explain;
use crate::git::{RunError, without_places};
use protocol::{CommitId, Hint};

/// The mirror can't do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// A commit is not there.
    #[error("the commit {commit} is not in the mirror")]
    NoCommit {
        /// Which.
        commit: CommitId,
    },
    /// An object is not there that others need: nothing is known of what it would have said.
    #[error("{what} failed, because an object is missing in the mirror: {}", without_places(source.message()))]
    Missing {
        /// What was tried.
        what: String,
        /// What libgit2 says.
        source: git2::Error,
    },
    /// Its objects or refs can't be read or written.
    #[error("{what} failed: {}", without_places(source.message()))]
    Objects {
        /// What was tried.
        what: String,
        /// What libgit2 says.
        source: git2::Error,
    },
    /// Files can't be read or written.
    #[error("{what} failed: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// A run of git failed.
    #[error(transparent)]
    Run(RunError),
    /// git's answer is not in the form that is known.
    #[error("the answer of {what} could not be read")]
    Answer {
        /// What was run.
        what: &'static str,
    },
}

impl MirrorError {
    /// What libgit2 says of objects, as this: one that is missing is told from all else.
    pub(crate) fn of_objects(what: String, source: git2::Error) -> Self {
        let is_missing = source.class() == git2::ErrorClass::Odb && source.message().contains("not found");
        if is_missing || source.code() == git2::ErrorCode::NotFound {
            Self::Missing { what, source }
        } else {
            Self::Objects { what, source }
        }
    }
}

impl From<RunError> for MirrorError {
    fn from(error: RunError) -> Self {
        Self::Run(error.of_own_sides())
    }
}

impl Explain for MirrorError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoCommit { .. } => "mirror-no-commit",
            Self::Missing { .. } => "mirror-missing",
            Self::Objects { .. } => "mirror-objects",
            Self::Io { .. } => "mirror-io",
            Self::Run(error) => error.code(),
            Self::Answer { .. } => "git-answer",
        }
    }

    fn hint(&self) -> Hint {
        match self {
            Self::NoCommit { .. } | Self::Missing { .. } => {
                Hint::by_bb("fetches it again; if its source is gone, the author publishes the branch again")
            }
            Self::Objects { .. } | Self::Io { .. } => {
                Hint::by_admin("looks at the disk; a damaged mirror can be deleted, it is made anew from the sources")
            }
            Self::Run(error) => error.hint(),
            Self::Answer { .. } => Hint::by_admin("reports the version of git to the makers of bb"),
        }
    }
}
