//! Branches: publishing and accepting, the line of a listing, and the whole page.

use super::{BuildSummary, Diff, DiffFile, Event, Mark, QueueEntry, ReviewTally, Turns, Verdict};
use crate::{BranchName, CommitId, Hint, ProjectName, UnixMs};
use serde::{Deserialize, Serialize};

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

/// What accepting takes: `POST …/branches/NAME/accept`. It binds to this commit and no other, in the words that were read.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// The newest revision's commit, whole.
    pub commit: CommitId,
    /// The branch's `words`, as they were when whoever accepts read it: if it would land in others by now, that is refused
    /// (409, `words-changed`), and so is an acceptance that names none (422, `words-missing`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub words: Option<String>,
    /// The branches that must land before it, or with it, beside those that its commits name by `Depends-on: NAME`. It waits
    /// until they did.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub depends_on: Vec<BranchName>,
    /// Whether it counts only once all required builders passed on the commit alone; a newer revision that comes before ends it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub when_green: bool,
}

/// A branch, one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BranchSummary {
    /// Its name.
    pub name: BranchName,
    /// Its project.
    pub project: ProjectName,
    /// What it is called: as published, else by its first own commit that is no merge, as its merge is.
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
    /// A short hash of the words that it would land in (its title, its bugs, how its message is made): an acceptance sends it
    /// back, so that it binds what was read.
    #[serde(default)]
    pub words: String,
    /// Whether its newest candidate has another recipe than mainline: accepting it accepts how it is built, too.
    #[serde(default)]
    pub changes_recipe: bool,
    /// When it was published.
    pub published_ms: UnixMs,
    /// When it last changed: a revision, a build's end, a decision.
    pub changed_ms: UnixMs,
    /// Its page.
    pub page: String,
}

/// A page of a listing of branches: `GET /projects/NAME/branches`. Live ones come first, each kind last changed first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BranchPage {
    /// The branches of this page.
    pub branches: Vec<BranchSummary>,
    /// What to send as `after` for the next page; none on the last.
    pub next: Option<String>,
    /// How many live branches the listing has, on all its pages.
    pub live: u64,
    /// How many that ended; they are on its pages only when they are asked for.
    pub ended: u64,
    /// How many of the live ones wait for whom.
    pub turns: Turns,
}

/// How much a branch changes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// Commits that mainline lacks.
    pub commits: u32,
    /// Files that change.
    pub files: u64,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
    /// Whether the change is so large that not all of it was counted.
    pub at_least: bool,
}

/// A branch that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The line.
    #[serde(flatten)]
    pub branch: BranchSummary,
    /// How much it changes; none when that was not counted, as for those far down the list.
    pub size: Option<Size>,
}

/// A branch, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BranchDetail {
    /// What reviewers said of it, in numbers.
    #[serde(default)]
    pub review: ReviewTally,
    /// The line.
    pub summary: BranchSummary,
    /// Watching: the last look, what it found, and the next look.
    pub watch: Watch,
    /// All revisions, newest first.
    pub revisions: Vec<Revision>,
    /// When there are more: those before this number are the older ones.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub older_revisions: Option<u32>,
    /// The candidate that counts, if one was tried.
    pub candidate: Option<Candidate>,
    /// Commits that the newest revision has and mainline lacks, newest first; at most 250.
    pub commits: Vec<Commit>,
    /// Builds by builder, one row each in the recipe's order; each row's builds newest revision first.
    pub builders: Vec<BuilderRow>,
    /// The diff of mainline to candidate (or, with conflicts, of the merge base to the revision).
    pub diff: Diff,
    /// Whether the revision changes the recipe, as in the line.
    pub changes_recipe: bool,
    /// How the newest candidate changes the recipe, if it does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recipe_diff: Option<DiffFile>,
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

/// A page of a branch's revisions, newest first.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Revisions {
    /// They.
    pub revisions: Vec<Revision>,
    /// When there are more: ask for those before this number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub older: Option<u32>,
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
    pub hint: Hint,
}

/// The commit that would land.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Mainline's commit that it stands on.
    pub mainline: CommitId,
    /// The revision's number.
    pub revision: u32,
    /// The message of its commit, also when there is none yet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
    /// What the recipe says of ChangeLogs: how it was folded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub folded_by: Option<recipe::Project>,
    /// What came of it.
    pub outcome: CandidateOutcome,
    /// When it was made.
    pub made_ms: UnixMs,
    /// Where mainline is by now, if that is elsewhere.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mainline_now: Option<CommitId>,
    /// Whether something that it touches has moved on the way there, so that it is being made again; until then it says what
    /// was so. What did not move makes no difference to it.
    #[serde(default)]
    pub again: bool,
}

/// What came of making a candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum CandidateOutcome {
    /// It can be built.
    Made {
        /// The commit.
        commit: CommitId,
        /// How each ChangeLog that changes will read.
        changelogs: Vec<DiffFile>,
        /// Where the entries come from: `repo.ChangeLog`.
        fragments: Vec<String>,
        /// How each ChangeLog will read at the release, where fragments stay until then and the candidate leaves it alone.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        coming: Vec<DiffFile>,
        /// The fragments that stay.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        kept: Vec<String>,
        /// Why the branch needs no entry, as a commit of it says, where one would be missed.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        exempt: Option<String>,
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
    /// It can't be made, and the fault is mainline's own.
    MainlineTrouble(Refusal),
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
