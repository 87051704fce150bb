//! Which format a ChangeLog is written in: by its name and by what stands in it, never by the fragments.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A format of ChangeLogs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// The GNU ChangeLog: dated entries, newest first.
    Gnu,
    /// `CHANGELOG.md` as keepachangelog.com describes it.
    KeepAChangelog,
    /// `debian/changelog`.
    Debian,
    /// The news file of towncrier.
    Towncrier,
    /// A plain `NEWS`.
    News,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gnu => "gnu",
            Self::KeepAChangelog => "keep-a-changelog",
            Self::Debian => "debian",
            Self::Towncrier => "towncrier",
            Self::News => "news",
        })
    }
}

/// Why the format of a file is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It has the marks of two.
    #[error("{path} has the marks of two formats: {first} and {second}")]
    Two {
        /// The file.
        path: String,
        /// One of them.
        first: Format,
        /// The other.
        second: Format,
    },
    /// It has the marks of none.
    #[error("{path} is in no format that bb knows: no dated header, no version heading")]
    None {
        /// The file.
        path: String,
    },
}
