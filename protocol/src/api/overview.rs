//! The overview of a project.

use super::{BuildSummary, Project, QueueEntry, Slave, Turns, Waiting};
use crate::{BranchName, CommitId, UnixMs};
use serde::{Deserialize, Serialize};

/// The overview of a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    /// The project.
    pub project: Project,
    /// Live branches that wait for a person, those that a maintainer can accept first.
    pub needs_person: Vec<Waiting>,
    /// How many live branches go on by themselves, need a maintainer, need their author.
    pub turns: Turns,
    /// Builds running now.
    pub running: Vec<BuildSummary>,
    /// The queue, in order.
    pub queue: Vec<QueueEntry>,
    /// What landed last, newest first.
    pub landed: Vec<Landing>,
    /// All slaves.
    pub slaves: Vec<Slave>,
}

/// A landing.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Landing {
    /// The branch.
    pub branch: BranchName,
    /// What it is.
    pub title: String,
    /// The commit on mainline.
    pub commit: CommitId,
    /// When.
    pub landed_ms: UnixMs,
    /// The branch's page.
    pub page: String,
}
