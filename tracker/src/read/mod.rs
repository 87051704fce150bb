//! Reading what is admitted, for pages: commits and diffs, bounded, with everything hidden made visible; and the bytes as
//! they are.

mod changes;
mod commits;
mod cost;
mod diff;
mod hunks;
mod limits;
mod raw;
mod renames;
mod view;

pub(crate) use changes::in_order;
pub use commits::{Commits, Who};
pub use cost::{Cost, CostLimits};
pub use diff::Compared;
pub use hunks::text_diff;
pub use limits::DiffLimits;
pub use raw::{Raw, hex};
pub use view::{Seen, View};
