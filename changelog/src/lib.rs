//! Parses, folds, merges and prints ChangeLogs and fragments.
//!
//! A branch of a project does not touch the project's ChangeLog: it brings its entries as a *fragment*, a file of its own, and
//! whoever merges the branch *folds* the fragment into the ChangeLog, dated by the merge. So ChangeLog never conflicts, and reads as if one careful
//! person had written it.
//!
//! Everything here is a plain function from bytes to bytes. This crate never opens a file, runs a program or asks for the time, never
//! decodes what it keeps, and never panics on what it is given.
//!
//! ```
//! use changelog::{FoldOptions, Fragment, fold};
//!
//! let before = b"2024-02-01  Bob  <bob@example.org>\n\n\t* NEWS: Start.\n";
//! let fragment = Fragment::gnu(b"repo.ChangeLog", b"2024-02-20  Ann  <ann@example.org>\n\n\t* main.c (main): Say hello.\n");
//! let folded = fold(b"ChangeLog", Some(before), &[fragment], jiff::civil::date(2024, 3, 5), &FoldOptions::default())?;
//! assert_eq!(
//!     String::from_utf8_lossy(&folded.changelog),
//!     "2024-03-05  Ann  <ann@example.org>\n\n\t* main.c (main): Say hello.\n\n2024-02-01  Bob  <bob@example.org>\n\n\t* NEWS: Start.\n"
//! );
//! # Ok::<(), changelog::FoldError>(())
//! ```

mod check;
mod check_log;
mod complaint;
mod date;
mod detect;
mod draft;
mod exempt;
mod fold;
mod folded;
mod format;
mod fragment;
mod header;
mod items;
mod known;
mod lines;
mod log;
mod marks;
mod merge;
mod news;
mod own;
mod place;
mod steps;
mod style;
mod towncrier;

pub use check::{check_fragment, check_names, not_in_diff};
pub use check_log::{check_changelog, would_not_fold};
pub use complaint::{Complaint, Problem};
pub use date::{DateStyle, HeaderDate};
pub use detect::detect;
pub use draft::{Change, Draft};
pub use exempt::exemption;
pub use fold::{BranchChangeLog, fold, fold_branch};
pub use folded::{DatePolicy, FoldError, FoldOptions, Folded, IndentPolicy, LeftOut, Note, Unclear};
pub use format::{Format, FormatError};
pub use fragment::{Encoding, Fragment, FragmentAuthor, FragmentKind, FragmentRules, PathKind, Section, issue_of};
pub use header::{Author, Header};
pub use items::{Item, Items};
pub use log::{ChangeLog, Entry};
pub use merge::{Markers, MergeOptions, Merged, Order, entry_start, merge, merge_as_text, merge_heads};
pub use news::{Nothing, Release, VersionSection, release, versions};
pub use own::{Whose, whose};
pub use place::{FoldAt, Place, has_work, place_of, taker_of};
#[cfg(debug_assertions)]
#[doc(hidden)]
pub use steps::taken as steps_taken;
pub use towncrier::Towncrier;
