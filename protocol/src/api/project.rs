//! Projects: the line of a listing.

use super::ByHand;
use crate::{CommitId, ProjectName, UnixMs};
use serde::{Deserialize, Serialize};

/// A project, one line.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Its name.
    pub name: ProjectName,
    /// Where the official repository is.
    pub url: String,
    /// Its mainline branch.
    pub mainline: String,
    /// The commit that mainline was last seen at.
    pub tip: Option<CommitId>,
    /// When it was seen to get there.
    pub tip_seen_ms: Option<UnixMs>,
    /// What is wrong with mainline, if anything: not reachable, or its recipe has an error.
    pub trouble: Option<String>,
    /// What of its recipe deserves a look, a line each: `.bb.toml:7:1: …`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Whether the queue is paused.
    pub paused: bool,
    /// Who paused it, and why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pause: Option<ByHand>,
    /// That nothing lands now by the calendar, if it is so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub frozen: Option<Frozen>,
    /// Where the recipe comes from: `.bb.toml`, `the master's configuration`, `guessed from Makefile`.
    pub recipe_from: String,
    /// Live branches.
    pub live: u32,
    /// Branches in the queue.
    pub queued: u32,
    /// Its page.
    pub page: String,
}

/// A stretch of a project's calendar in which nothing lands; testing goes on.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Frozen {
    /// When it ends; none: never by itself.
    pub until_ms: Option<UnixMs>,
    /// Branches of this priority and above land all the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub except: Option<i32>,
    /// Why; may be empty.
    pub reason: String,
    /// All of it, for people: `mainline is frozen until Mon 2026-11-30 08:00 (UTC): the release is cut`.
    pub says: String,
}

/// How many live branches wait for whom.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Turns {
    /// bb's turn.
    pub bb: u32,
    /// A maintainer's or an admin's.
    pub maintainer: u32,
    /// The author's.
    pub author: u32,
}
