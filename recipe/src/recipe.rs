//! A recipe: what it holds.

use crate::builder::Builder;
use crate::project::Project;
use serde::{Deserialize, Serialize};

/// A whole, checked recipe: at least one builder, each with at least one step, names unique.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// What the recipe says of the project's ChangeLogs.
    pub project: Project,
    /// The builders, in the order in which every page shows them.
    pub builders: Vec<Builder>,
}
