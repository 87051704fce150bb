//! Builds and their steps.

use super::{Look, Next, StackLine, listed};
use crate::tested::TestReport;
use crate::wire::Isolation;
use crate::{BranchName, BuildId, BuildResult, CommitId, ProjectName, SlaveName, UnixMs};
use serde::{Deserialize, Serialize};

/// A build, one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BuildSummary {
    /// Its number.
    pub id: BuildId,
    /// The builder.
    pub builder: String,
    /// Its project.
    pub project: ProjectName,
    /// The branch it is for; of a stack of several, the one on top.
    pub branch: BranchName,
    /// Of a stack of several the branches below that one, first merged first. What the build says it says of all of them
    /// together, and of none of them alone.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub with: Vec<BranchName>,
    /// The stack's number, if it is of several.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stack: Option<i64>,
    /// The revision's number.
    pub revision: u32,
    /// Whether the queue asked for it.
    pub for_queue: bool,
    /// The candidate's commit.
    pub commit: CommitId,
    /// Where it is: waiting, running, or ended.
    pub state: BuildState,
    /// Its look.
    pub look: Look,
    /// The word: `passed`, `failed`, `waiting`, `running`.
    pub word: String,
    /// One line: why it waits, the step that runs, what failed.
    pub says: String,
    /// The slave.
    pub slave: Option<SlaveName>,
    /// When it was asked for.
    pub requested_ms: UnixMs,
    /// When it was given out.
    pub started_ms: Option<UnixMs>,
    /// When its end was recorded.
    pub finished_ms: Option<UnixMs>,
    /// Its page.
    pub page: String,
}

impl BuildSummary {
    /// The branches that it is of, first merged first: one, or those of a stack.
    pub fn branches(&self) -> impl Iterator<Item = &BranchName> {
        self.with.iter().chain([&self.branch])
    }

    /// Where it is of several: ` on first, second and third together`, to stand after what it did; else nothing.
    pub fn together(&self) -> String {
        if self.with.is_empty() { String::new() } else { format!(" on {} together", listed(self.branches())) }
    }
}

/// A page of a listing of builds: `GET /projects/NAME/builds`. Newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BuildPage {
    /// The builds of this page; there may be none of what is rare though older ones are.
    pub builds: Vec<BuildSummary>,
    /// What to send as `before` for the next page; none on the last.
    pub next: Option<BuildId>,
}

/// Where a build is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", content = "result", rename_all = "kebab-case")]
pub enum BuildState {
    /// Nobody has it yet.
    Waiting,
    /// A slave has it.
    Running,
    /// It ended so.
    Finished(BuildResult),
}

/// A build, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BuildDetail {
    /// The line.
    pub summary: BuildSummary,
    /// What it is of, where that is several branches.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<StackLine>,
    /// Which try of this builder on this candidate it is, from 1.
    pub attempt: u32,
    /// The isolation it needs at least.
    pub isolation: Isolation,
    /// What it ran in, or runs in; none before it began, and where that was not kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ran_in: Option<Isolation>,
    /// The steps that began, and those still to come.
    pub steps: Vec<StepDetail>,
    /// Lines for a shell that do the same at home.
    pub reproduce: Vec<String>,
    /// The builds of the same builder before this one, newest first; at most 5.
    pub lately: Vec<BuildSummary>,
    /// The build that runs this one again, if it was interrupted.
    pub retried_as: Option<BuildId>,
    /// Who does what next, if it waits, runs, or its end is what holds up the branch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<Next>,
}

/// A step of a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepDetail {
    /// Its number; 0 is bb's own `fetch`.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// What it runs; empty for bb's own.
    pub command: String,
    /// Its look.
    pub look: Look,
    /// The word.
    pub word: String,
    /// How it ended.
    pub result: Option<BuildResult>,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// Why it ended so, when the code doesn't say; or its summary.
    pub says: String,
    /// How long it ran, in milliseconds.
    pub ran_ms: Option<i64>,
    /// Bytes of its log that the master has.
    pub log_len: u64,
    /// Links it published: name and URL.
    pub links: Vec<(String, String)>,
    /// What its tests gave, where its recipe names JUnit files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<TestReport>,
    /// The files that it keeps, where its recipe names some and the step has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<StepArtifacts>,
}

/// The files that a step keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepArtifacts {
    /// The files, by path. Where all files of a build are very many, not all are listed; the archive has them.
    pub files: Vec<KeptFile>,
    /// How many there are.
    pub count: usize,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Where all of them are had at once, as a tar archive: a path of this master.
    pub archive: String,
    /// What was left out or not found, for people.
    pub notes: Vec<String>,
    /// Whether they are here, still on their way, or deleted.
    pub state: ArtifactsState,
    /// Until when they are kept; none while the build runs, and where that is for ever.
    pub until_ms: Option<UnixMs>,
}

/// A file that a step keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptFile {
    /// Its path from the work folder.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Where it is had: a path of this master.
    pub page: String,
}

/// Where the files that a step keeps are.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactsState {
    /// They can be had.
    Here,
    /// Some are still at the slave.
    Coming,
    /// They were kept for as long as they are.
    Gone,
}
