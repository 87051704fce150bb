//! The overview of a project.

use super::{BuildSummary, Project, QueueEntry, Slave, Turns, Waiting};
use crate::{BranchName, CommitId, UnixMs};
use serde::{Deserialize, Serialize};

/// The overview of a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    /// The project.
    pub project: Project,
    /// Branches that wait for a maintainer, those that can be accepted first; no more than one looks through at once.
    pub needs_person: Vec<Waiting>,
    /// How many there are.
    #[serde(default)]
    pub needs_count: u32,
    /// How many live branches go on by themselves, need a maintainer, need their author.
    pub turns: Turns,
    /// Builds running now, the first of them.
    pub running: Vec<BuildSummary>,
    /// How many there are.
    #[serde(default)]
    pub running_count: u32,
    /// The first of the queue, in order; how many are in it says the project's line.
    pub queue: Vec<QueueEntry>,
    /// What landed last, newest first.
    pub landed: Vec<Landing>,
    /// Slaves; where there are many, some of them, those first that take no builds.
    pub slaves: Vec<Slave>,
    /// How many there are.
    #[serde(default)]
    pub slaves_count: u32,
    /// How many of all take builds.
    #[serde(default)]
    pub slaves_able: u32,
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
