//! Reading what is admitted, for pages: commits and diffs, bounded, with everything hidden made visible.

mod changes;
mod commits;
mod diff;

pub use commits::{Commits, Who};
pub use diff::{DiffLimits, text_diff};
