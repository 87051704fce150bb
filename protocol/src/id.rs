//! Identifiers: numbers that the store gave out, and git's object names.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! number {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<i64> for $name {
            fn from(number: i64) -> Self {
                Self(number)
            }
        }

        impl From<$name> for i64 {
            fn from(number: $name) -> i64 {
                number.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

number! {
    /// A project's number.
    ProjectId;
    /// A published branch's number.
    BranchId;
    /// A revision's number in the store (not its `rN`).
    RevisionId;
    /// A candidate's number.
    CandidateId;
    /// A build's number, as shown: `#5133`.
    BuildId;
    /// A slave's number.
    SlaveId;
    /// An event's number; later events have greater ones.
    EventId;
    /// A token's number.
    TokenId;
    /// A fencing number: work given out again has a greater one, and reports under a smaller one are refused.
    Fence;
    /// Milliseconds since 1970-01-01 00:00 UTC.
    UnixMs;
}

/// The name of a git commit: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(String);

/// The text is no full name of a git object.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not a commit id: 40 or 64 hexadecimal digits are expected")]
pub struct NoCommitId(pub String);

impl CommitId {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first ten digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

impl TryFrom<String> for CommitId {
    type Error = NoCommitId;
    fn try_from(text: String) -> Result<Self, NoCommitId> {
        let whole = matches!(text.len(), 40 | 64);
        if whole && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text))
        } else {
            Err(NoCommitId(text.chars().take(80).collect()))
        }
    }
}

impl std::str::FromStr for CommitId {
    type Err = NoCommitId;
    fn from_str(text: &str) -> Result<Self, NoCommitId> {
        Self::try_from(text.to_owned())
    }
}

impl From<CommitId> for String {
    fn from(id: CommitId) -> Self {
        id.0
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
