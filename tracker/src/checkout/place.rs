//! Where a build finds what is checked out for it.

use std::path::PathBuf;

/// The folders of one build; their paths are absolute.
#[derive(Clone, Debug)]
pub struct Place {
    /// For the files, and a `.git` beside them.
    pub files: PathBuf,
    /// For the way to the mirror's objects: made anew, and nothing in it can be written by a build.
    pub objects: PathBuf,
    /// Where the build itself finds those, when it has a view of its own.
    pub objects_seen: PathBuf,
    /// How it is let in there.
    pub reach: Reach,
}

/// How builds reach the mirror's objects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// By a link to them: builds run as the slave's own user, and what keeps them from writing is the sandbox.
    Link,
    /// By links to each file, which stay the slave's own: builds run as a user that can't enter the mirror.
    Files,
}
