//! The queue and its entries.

use super::{ByHand, Look, Mark, Next, Project};
use crate::{BranchName, CommitId, UnixMs};
use serde::{Deserialize, Serialize};

/// The queue of a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// The project.
    pub project: Project,
    /// The first 40 of those on their way, in order; how many there are says the project's line.
    pub entries: Vec<QueueEntry>,
    /// Those that left, newest first; at most 20.
    pub left: Vec<QueueEntry>,
    /// The stacks that are being built now, in the order in which they were made.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub stacks: Vec<QueueStack>,
}

/// Accepted branches merged one after the other, whose last commit is being built for all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueStack {
    /// Its number.
    pub id: i64,
    /// What it is tested for: `half of 4 suspects, with 12 known good`.
    pub purpose: String,
    /// The commit that is built.
    pub commit: CommitId,
    /// The branches, first merged first.
    pub branches: Vec<BranchName>,
    /// The builders' words on it.
    pub marks: Vec<Mark>,
    /// When its builds were asked for.
    pub since_ms: UnixMs,
}

/// Why somebody steers the queue.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// For people; a line.
    #[serde(default)]
    pub reason: String,
}

/// A place's priority.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Priority {
    /// Greater goes first; 0 is usual.
    pub priority: i32,
}

/// A branch's place in the queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueEntry {
    /// The branch.
    pub branch: BranchName,
    /// What it is.
    pub title: String,
    /// The accepted revision's number.
    pub revision: u32,
    /// The accepted commit.
    pub commit: CommitId,
    /// Who accepted it.
    pub accepted_by: String,
    /// When.
    pub accepted_ms: UnixMs,
    /// Its place, from 1; none when it has left.
    pub place: Option<u32>,
    /// A maintainer's word; greater goes first, 0 is usual.
    #[serde(default)]
    pub priority: i64,
    /// Who holds it, and why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hold: Option<ByHand>,
    /// The stable word for how it stands: `waiting`, `building`, `landing`, `landed`, `ejected-conflict`, …
    pub code: String,
    /// Its look.
    pub look: Look,
    /// How it stands, for people.
    pub says: String,
    /// Whose turn it is.
    pub next: Next,
    /// The builders' words on the queue's candidate.
    pub marks: Vec<Mark>,
    /// Whether it changes the recipe: it is built by its own, which was accepted with it.
    #[serde(default)]
    pub changes_recipe: bool,
    /// The commit that landed.
    pub landed: Option<CommitId>,
    /// When it left.
    pub left_ms: Option<UnixMs>,
    /// The branch's page.
    pub page: String,
}
