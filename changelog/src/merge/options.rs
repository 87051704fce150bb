//! What merging takes beside the texts, and what came of it.

use serde::{Deserialize, Serialize};

/// Where entries go that both sides added at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Newest date first; of one day, theirs above ours.
    #[default]
    Date,
    /// Theirs above ours, whatever the dates.
    Arrival,
}

/// How conflicts are marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markers {
    /// How many `<`, `=` and `>` a marker has.
    pub size: usize,
    /// What follows the `<`s.
    pub ours: String,
    /// What follows the `>`s.
    pub theirs: String,
}

impl Default for Markers {
    fn default() -> Self {
        Self { size: 7, ours: "ours".to_owned(), theirs: "theirs".to_owned() }
    }
}

/// How to merge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergeOptions {
    /// Where added entries go.
    pub order: Order,
    /// How conflicts are marked.
    pub markers: Markers,
}

/// A merged ChangeLog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The file, with conflict markers where there are conflicts.
    pub bytes: Vec<u8>,
    /// How many conflicts are marked in it.
    pub conflicts: usize,
}
