//! What the API says, `/api/v1`: the JSON forms that the master answers with and the `bb` command reads.
//!
//! The pages are made of the same values, so that a page, the command and the API never disagree. Times are
//! milliseconds since 1970 UTC (`…_ms`), `page` is a path on the master, commit ids are whole.

use crate::wire::{Availability, Isolation};
use crate::{BranchName, BuildId, BuildResult, CommitId, EventId, ProjectName, SlaveName, UnixMs};
use serde::{Deserialize, Serialize};

/// A problem, as RFC 9457 (`application/problem+json`) has it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind it is; `about:blank` when the code says all.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong, and with what.
    pub detail: String,
    /// bb's own stable word for it, such as `url-scheme`.
    pub code: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
}

/// Whether a branch would land.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WouldLand {
    /// It has, or will without anybody doing anything.
    Yes,
    /// It would not.
    No,
    /// A person's turn.
    NotYet,
    /// bb's turn.
    NotKnownYet,
}

/// What a state looks like: the class and glyph of the pages.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is the word it is shown by")]
pub enum Look {
    Passed,
    Failed,
    Warnings,
    Running,
    Waiting,
    Exception,
    Skipped,
    Cancelled,
    Conflict,
    Accepted,
    Landed,
    Retired,
}

/// Where a branch stands: the state in words, whether it would land, why, and whose turn it is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The stable word for the reason, such as `builder-failed`, `conflict`, `queued`.
    pub code: String,
    /// The state in the words of the pages: `building`, `fails linux`, `ready`, `queue 2`, `landed`.
    pub state: String,
    /// Its look.
    pub look: Look,
    /// Whether it would land.
    pub would_land: WouldLand,
    /// Why, as the end of a sentence: `because linux failed at test`.
    pub because: String,
    /// Whose turn it is: `bb`, the author, `a maintainer`, an admin; and what they do.
    pub next: Next,
    /// What must be met before it lands, unmet first.
    pub needs: Vec<Need>,
}

/// Whose turn it is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Next {
    /// `bb`, `the author`, `a maintainer`, `an admin`, `nobody`, or a name.
    pub who: String,
    /// What they do: `mends the failing step test`.
    pub what: String,
}

/// One thing that must be met.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Need {
    /// How it stands.
    pub look: Look,
    /// What it is, a sentence.
    pub text: String,
    /// Where to look, a path or an anchor.
    pub page: Option<String>,
}

/// One builder's latest word on a branch.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// The builder.
    pub builder: String,
    /// Whether landing needs it.
    pub required: bool,
    /// Its look.
    pub look: Look,
    /// The word: `passed`, `failed`, `running`, `waiting`.
    pub word: String,
    /// The build, if one was asked for.
    pub build: Option<BuildId>,
}

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
    /// Whether the queue is paused.
    pub paused: bool,
    /// Where the recipe comes from: `.bb.toml`, `the master's configuration`, `guessed from Makefile`.
    pub recipe_from: String,
    /// Live branches.
    pub live: u32,
    /// Branches in the queue.
    pub queued: u32,
    /// Its page.
    pub page: String,
}

/// The overview of a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    /// The project.
    pub project: Project,
    /// Live branches that wait for a person, those that a maintainer can accept first.
    pub needs_person: Vec<BranchSummary>,
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

/// What publishing takes: `POST /projects/NAME/branches`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// The repository's URL.
    pub url: String,
    /// The branch in it.
    pub branch: String,
    /// The name to register it under; made from the branch when not given.
    #[serde(default)]
    pub name: Option<String>,
    /// What it is, one line.
    #[serde(default)]
    pub title: Option<String>,
    /// References to bugs.
    #[serde(default)]
    pub bugs: Vec<String>,
}

/// A branch, one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BranchSummary {
    /// Its name.
    pub name: BranchName,
    /// Its project.
    pub project: ProjectName,
    /// What it is: as published, else the first line of its newest commit.
    pub title: String,
    /// Where it is published; no secret is in it.
    pub url: String,
    /// The branch there.
    pub branch: String,
    /// Who published it.
    pub publisher: String,
    /// Whether the publisher is trusted, so that its builds may run without isolation.
    pub trusted: bool,
    /// References to bugs.
    pub bugs: Vec<String>,
    /// The newest revision's number; none before the first was admitted.
    pub revision: Option<u32>,
    /// Its commit.
    pub commit: Option<CommitId>,
    /// Who wrote that commit.
    pub author: Option<String>,
    /// Where it stands.
    pub verdict: Verdict,
    /// The builders' words, in the recipe's order.
    pub marks: Vec<Mark>,
    /// When it was published.
    pub published_ms: UnixMs,
    /// When it last changed: a revision, a build's end, a decision.
    pub changed_ms: UnixMs,
    /// Its page.
    pub page: String,
}

/// A branch, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BranchDetail {
    /// The line.
    pub summary: BranchSummary,
    /// Watching: the last look, what it found, and the next look.
    pub watch: Watch,
    /// All revisions, newest first.
    pub revisions: Vec<Revision>,
    /// The candidate for the mainline of now, if one could be tried.
    pub candidate: Option<Candidate>,
    /// Commits that the newest revision has and mainline lacks, newest first; at most 250.
    pub commits: Vec<Commit>,
    /// Builds by builder, one row each in the recipe's order; each row's builds newest revision first.
    pub builders: Vec<BuilderRow>,
    /// The diff of mainline to candidate (or, with conflicts, of the merge base to the revision).
    pub diff: Diff,
    /// Whether the revision changes the recipe.
    pub changes_recipe: bool,
    /// Places in the queue it has or had, newest first.
    pub queue: Vec<QueueEntry>,
    /// What happened, newest first; at most 200.
    pub timeline: Vec<Event>,
    /// The path to fetch from with plain git.
    pub git_path: String,
    /// Refs there: the newest revision, each revision, the candidate.
    pub refs: Vec<String>,
}

/// How a branch is watched.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// The last look.
    pub looked_ms: Option<UnixMs>,
    /// What was wrong then, and what to do.
    pub trouble: Option<String>,
    /// The next look; none when it is watched no more.
    pub next_ms: Option<UnixMs>,
}

/// A revision.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// Its number: 4 for r4.
    pub number: u32,
    /// The commit.
    pub commit: CommitId,
    /// When it was seen.
    pub seen_ms: UnixMs,
    /// Why it was not admitted, if it was not: a stable word and the words for people.
    pub refused: Option<Refusal>,
    /// The first line of its newest commit.
    pub subject: String,
    /// How many commits mainline lacked when it was admitted.
    pub commits: u32,
}

/// A refusal: what was wrong and what to do.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// The stable word, such as `too-large`.
    pub code: String,
    /// What was wrong.
    pub text: String,
    /// What to do.
    pub hint: String,
}

/// The commit that would land.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Mainline's commit that it stands on.
    pub mainline: CommitId,
    /// The revision's number.
    pub revision: u32,
    /// What came of it.
    pub outcome: CandidateOutcome,
    /// When it was made.
    pub made_ms: UnixMs,
}

/// What came of making a candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum CandidateOutcome {
    /// It can be built.
    Made {
        /// The commit.
        commit: CommitId,
        /// ChangeLog's change, as a diff of text, empty when there is none.
        changelog: Vec<DiffLine>,
        /// Where the entries come from: `repo.ChangeLog`.
        fragments: Vec<String>,
        /// What is worth saying: no fragment, an entry left out because it is there already.
        notes: Vec<String>,
    },
    /// The revision conflicts with mainline.
    Conflict {
        /// In these files.
        files: Vec<ConflictFile>,
    },
    /// It can't be made, for another reason.
    Refused(Refusal),
}

/// A file in conflict.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ConflictFile {
    /// Its path, escaped where it is not UTF-8.
    pub path: String,
    /// The merged text with git's markers, only the parts around them; empty for other conflicts than of content.
    pub hunks: String,
    /// What git says of it.
    pub message: String,
}

/// A commit.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// Its id.
    pub id: CommitId,
    /// The first line of its message.
    pub subject: String,
    /// The rest of its message.
    pub body: String,
    /// Its author's name.
    pub author: String,
    /// Its author's address.
    pub email: String,
    /// When its author wrote it, by their clock.
    pub authored_ms: UnixMs,
}

/// A builder and its builds for one branch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BuilderRow {
    /// The builder.
    pub builder: String,
    /// Whether landing needs it.
    pub required: bool,
    /// Its latest build for each revision that has one, newest revision first.
    pub builds: Vec<BuildSummary>,
    /// What the latest says: why it waits, what failed.
    pub says: String,
}

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
    /// The steps that began, and those still to come.
    pub steps: Vec<StepDetail>,
    /// Lines for a shell that do the same at home.
    pub reproduce: Vec<String>,
    /// The builds of the same builder before this one, newest first; at most 5.
    pub lately: Vec<BuildSummary>,
    /// The build that runs this one again, if it was interrupted.
    pub retried_as: Option<BuildId>,
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
}

/// What a step's log is asked for by, `GET /builds/N/steps/M/log?…`; the answer is the bytes as text.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct LogRange {
    /// The first byte wanted; from the end when negative.
    #[serde(default)]
    pub from: i64,
    /// At most so many bytes.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// The queue of a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// The project.
    pub project: Project,
    /// Those on their way, in order.
    pub entries: Vec<QueueEntry>,
    /// Those that left, newest first; at most 50.
    pub left: Vec<QueueEntry>,
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
    /// The commit that landed.
    pub landed: Option<CommitId>,
    /// When it left.
    pub left_ms: Option<UnixMs>,
    /// The branch's page.
    pub page: String,
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

/// What accepting takes: `POST …/branches/NAME/accept`. It binds to this commit and no other.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// The newest revision's commit, whole.
    pub commit: CommitId,
}

/// A slave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slave {
    /// Its name.
    pub name: SlaveName,
    /// Whether it is connected.
    pub connected: bool,
    /// Since when it is, or is not.
    pub since_ms: Option<UnixMs>,
    /// Its own word.
    pub said: Availability,
    /// Why.
    pub said_reason: String,
    /// The admin's word.
    pub admin: Availability,
    /// What it can do.
    pub labels: Vec<String>,
    /// Builds it runs at once.
    pub slots: u32,
    /// The isolation it proved.
    pub isolation: Isolation,
    /// What its self-test found.
    pub isolation_notes: Vec<String>,
    /// The machine.
    pub machine: String,
    /// Its bb.
    pub bb: String,
    /// What it runs.
    pub builds: Vec<BuildSummary>,
    /// Its look.
    pub look: Look,
    /// The word: `eager`, `reluctant`, `unavailable`, `offline`.
    pub word: String,
}

/// A lock: who holds it and who waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    /// Its name.
    pub name: String,
    /// Shares there are; on each slave, for a lock of that scope.
    pub shares: u32,
    /// `master` or `slave`.
    pub scope: String,
    /// Builds that hold shares: the build, how many.
    pub held: Vec<(BuildId, u32)>,
    /// Builds that wait for it, first come first.
    pub waiting: Vec<BuildId>,
}

/// Something that happened; the event stream, the timeline and the audit trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub id: EventId,
    /// When.
    pub at_ms: UnixMs,
    /// The project.
    pub project: Option<ProjectName>,
    /// The branch.
    pub branch: Option<BranchName>,
    /// The build.
    pub build: Option<BuildId>,
    /// The stable word: `published`, `revision`, `candidate`, `build-finished`, `accepted`, `landed`, …
    pub kind: String,
    /// Its look.
    pub look: Look,
    /// What happened, a sentence without its end.
    pub text: String,
    /// Who did it.
    pub actor: String,
}

/// A token as it is listed; the token itself is shown once, when made.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Its number.
    pub id: i64,
    /// `maintainer`, `publisher` or `slave`.
    pub kind: String,
    /// Whose it is: a person's or a slave's name.
    pub name: String,
    /// Whether branches published with it are trusted.
    pub trusted: bool,
    /// When it was made.
    pub made_ms: UnixMs,
    /// When it was last used.
    pub used_ms: Option<UnixMs>,
    /// When it was revoked.
    pub revoked_ms: Option<UnixMs>,
}

/// What making a token takes: `POST /tokens`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// `maintainer`, `publisher` or `slave`.
    pub kind: String,
    /// Whose it is.
    pub name: String,
    /// Whether branches published with it are trusted.
    #[serde(default)]
    pub trusted: bool,
}

/// A token just made.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct MadeToken {
    /// What is listed of it.
    pub token: Token,
    /// The secret; shown this once.
    pub secret: String,
}

/// A diff, cut where it would be too long to read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Diff {
    /// Files changed.
    pub files: Vec<DiffFile>,
    /// Lines added, in all files.
    pub added: u64,
    /// Lines removed, in all files.
    pub removed: u64,
    /// Files left out because the diff is too long.
    pub files_left_out: u64,
}

/// A file's part of a diff.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiffFile {
    /// The path now, escaped where it is not UTF-8.
    pub path: String,
    /// The path before, if it was renamed.
    pub old_path: Option<String>,
    /// What happened besides lines: `new file`, `deleted`, `mode 100644 to 100755`, `symbolic link to x`, `binary`, `submodule`.
    pub notes: Vec<String>,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
    /// The lines, hunk heads among them.
    pub lines: Vec<DiffLine>,
    /// Lines left out because the diff is too long.
    pub lines_left_out: u64,
}

/// A line of a diff.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct DiffLine {
    /// What it is.
    pub kind: DiffKind,
    /// Its number before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub old: Option<u32>,
    /// Its number now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub new: Option<u32>,
    /// Its text without the sign and the line's end; what is not UTF-8 replaced; hidden characters made visible.
    pub text: String,
}

/// What a line of a diff is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is the word it is shown by")]
pub enum DiffKind {
    Hunk,
    Context,
    Add,
    Delete,
}
