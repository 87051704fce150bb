//! Builds and their steps.

use super::{Look, Next};
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
    /// The branch it is for.
    pub branch: BranchName,
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
}
