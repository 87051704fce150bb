//! How a build or a step ended.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a build or a step ended, best first.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BuildResult {
    /// It did what it should.
    Success,
    /// It passed, but something is worth a look.
    Warnings,
    /// It was not needed.
    Skipped,
    /// The candidate is at fault.
    Failure,
    /// bb or the machine is at fault.
    Exception,
    /// It was interrupted and is run again as another build.
    Retry,
    /// Somebody, or a newer revision, stopped it.
    Cancelled,
}

impl BuildResult {
    /// All of them, best first.
    pub const ALL: [Self; 7] =
        [Self::Success, Self::Warnings, Self::Skipped, Self::Failure, Self::Exception, Self::Retry, Self::Cancelled];

    /// The word for it in tables, messages and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Warnings => "warnings",
            Self::Skipped => "skipped",
            Self::Failure => "failure",
            Self::Exception => "exception",
            Self::Retry => "retry",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether a candidate with this result may land, as far as this builder goes. No result is never success.
    pub const fn passed(self) -> bool {
        matches!(self, Self::Success | Self::Warnings)
    }
}

impl fmt::Display for BuildResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is none of the results.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not a result")]
pub struct NoResult(pub String);

impl std::str::FromStr for BuildResult {
    type Err = NoResult;
    fn from_str(word: &str) -> Result<Self, NoResult> {
        Self::ALL.into_iter().find(|r| r.as_str() == word).ok_or_else(|| NoResult(word.chars().take(40).collect()))
    }
}
