//! A version as a ChangeLog has it.

use jiff::civil::Date;
use serde::Serialize;
use std::ops::Range;

/// A version and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionSection {
    /// The line of its heading, from 1.
    pub line: usize,
    /// Where it starts, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Its heading, as written.
    pub heading: String,
    /// The version, as written; none where the heading names what comes next.
    pub version: Option<String>,
    /// The day of its release.
    pub date: Option<Date>,
    /// Whether it is released.
    pub released: bool,
    /// What stands below the heading.
    #[serde(skip)]
    pub body: Range<usize>,
}
