//! Which format a ChangeLog is written in.

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
    /// towncrier's news file.
    Towncrier,
    /// A plain `NEWS`.
    News,
}
