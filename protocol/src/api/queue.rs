//! The queue and its entries.

use super::{ByHand, Look, Mark, Next, Project, listed};
use crate::{BranchName, BuildId, CommitId, UnixMs};
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

/// Accepted branches merged one after the other, as a line of commits on mainline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StackLine {
    /// The stack's number.
    pub id: i64,
    /// What it is tested for: `half of 4 suspects, with 12 known good`.
    pub purpose: String,
    /// Mainline's commit that it stands on.
    pub on: CommitId,
    /// The branches, first merged first.
    pub branches: Vec<BranchName>,
    /// The commit that each of them would land as, in the same order.
    pub commits: Vec<CommitId>,
}

/// A stack whose last commit is being built for all of its branches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueStack {
    /// What it is of.
    #[serde(flatten)]
    pub line: StackLine,
    /// The commit that is built.
    pub commit: CommitId,
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

/// Whether a place goes before all others, tested alone.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Expedite {
    /// Why; a line.
    #[serde(default)]
    pub reason: String,
    /// Not any more.
    #[serde(default)]
    pub undo: bool,
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
    /// Who wants it tested alone before all others, and why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expedite: Option<ByHand>,
    /// Whether it was accepted for when it is green, and has not passed alone yet.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub when_green: bool,
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
    /// What decides about it: the commit that is built now, or that it landed by or failed in; none while nothing was built, and
    /// of one that somebody else has pushed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tested: Option<Tested>,
    /// When it left.
    pub left_ms: Option<UnixMs>,
    /// The branch's page.
    pub page: String,
}

/// A commit that decides about a branch in the queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tested {
    /// The stack that it is the top of; none where the branch was tested by itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stack: Option<i64>,
    /// What the stack is tested for.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub purpose: String,
    /// The commit.
    pub commit: CommitId,
    /// The other branches in it, first merged first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub with: Vec<BranchName>,
    /// Its builds, in the recipe's order: of what landed those that it needed, of what was thrown out those that did not pass.
    pub builds: Vec<TestedBuild>,
}

/// What a build of it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestedBuild {
    /// Its number.
    pub build: BuildId,
    /// The builder.
    pub builder: String,
    /// Its look.
    pub look: Look,
    /// The word: `passed`, `failed`, `running`.
    pub word: String,
    /// The step that decided how it ended, if it did not pass.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub step: Option<FailedStep>,
    /// Its page; at the line, where one is known.
    pub page: String,
}

/// A step that did not pass.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct FailedStep {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// The line of its log that tells of the first error, where one was found. Lists do not look for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<u64>,
}

impl TestedBuild {
    /// `linux failed at test, line 12 (build #9)`
    pub fn words(&self) -> String {
        let step = self.step.as_ref();
        let line = step.and_then(|step| step.line).map_or_else(String::new, |line| format!(", line {line}"));
        let at = step.map_or_else(String::new, |step| format!(" at {}{line}", step.name));
        format!("{} {}{at} (build #{})", self.builder, self.word, self.build)
    }
}

impl Tested {
    /// Whether a build of it is still to end.
    pub fn is_open(&self) -> bool {
        self.builds.iter().any(|build| matches!(build.look, Look::Waiting | Look::Running))
    }

    /// What was done with whom: `tested with first and second`.
    pub fn lead(&self) -> String {
        let with = if self.with.is_empty() { String::new() } else { format!(" with {}", listed(&self.with)) };
        format!("{}{with}", if self.is_open() { "being tested" } else { "tested" })
    }

    /// All of it, as part of a sentence.
    pub fn words(&self) -> String {
        let purpose = if self.purpose.is_empty() { String::new() } else { format!(" ({})", self.purpose) };
        let stack = self.stack.map_or_else(String::new, |stack| format!(" in stack {stack}{purpose}"));
        let builds: Vec<String> = self.builds.iter().map(TestedBuild::words).collect();
        let builds = if builds.is_empty() { String::new() } else { format!(": {}", builds.join(", ")) };
        format!("{} as {}{stack}{builds}", self.lead(), self.commit.short())
    }
}
