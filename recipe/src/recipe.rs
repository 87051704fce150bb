//! A recipe: what it holds.

use crate::builder::Builder;
use crate::freeze::Freeze;
use crate::project::Project;
use serde::{Deserialize, Serialize};

/// A whole, checked recipe: at least one builder, each with at least one step, names unique.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// What the recipe says of the project's ChangeLogs.
    pub project: Project,
    /// How accepted branches are tested before they land.
    #[serde(default)]
    pub queue: Queue,
    /// The builders, in the order in which every page shows them.
    pub builders: Vec<Builder>,
}

/// How accepted branches are tested before they land.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// Whether each commit that lands is built by itself: no branch is tested together with others.
    pub every_commit: bool,
    /// When nothing lands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<Freeze>,
}
