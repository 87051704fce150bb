//! Candidates: the commit that would land, made in the mirror without a work tree.
//!
//! The merge is git's own, the fold is `changelog`'s, trees and commit are written by libgit2. The same request gives
//! the same commit id at any time and on any machine with the same git, so that a candidate can be made again to see
//! that nothing else was tested.

mod fold;
mod merge;
mod message;

pub use message::Message;

use crate::Explain;
use crate::git::RunError;
use crate::mirror::{Mirror, MirrorError, Relation, commit_id, find_commit, kept_at};
use fold::{Folding, NotFolded};
use merge::MergedTree;
use protocol::api::{ConflictFile, Refusal};
use protocol::{BranchName, CommitId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which candidate to make. Kept as JSON beside the candidate, it can be made again.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct CandidateRequest {
    /// The branch's name.
    pub branch: BranchName,
    /// The revision's number.
    pub revision: u32,
    /// The commit to stand on: mainline's tip, or the candidate before in the queue.
    pub mainline: CommitId,
    /// The revision's commit.
    pub commit: CommitId,
    /// The day that its ChangeLog entries get.
    pub date: jiff::civil::Date,
    /// The path of the ChangeLog, from the recipe.
    pub changelog: String,
    /// File names that are fragments beside `changelog-fragments/*`, from the recipe.
    pub fragments: Vec<String>,
    /// What the commit's message says.
    pub message: Message,
    /// Author and committer of the merge.
    pub committer: Identity,
    /// When it is committed, in seconds since 1970 UTC.
    pub when: i64,
}

/// Who a commit is by.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The name.
    pub name: String,
    /// The mail address.
    pub email: String,
}

/// What came of making a candidate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CandidateOutcome {
    /// It can be built.
    Made(Made),
    /// The revision conflicts with mainline in these files, of which at most [`MAX_CONFLICTS`] are told.
    Conflict {
        /// The files, with git's message and the marked parts.
        files: Vec<ConflictFile>,
        /// Files that are not told.
        left_out: usize,
    },
    /// It can't be made for another reason, which the author can mend.
    Refused(Refusal),
}

/// Files in conflict that are told.
pub const MAX_CONFLICTS: usize = 100;

/// A candidate that was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Made {
    /// The commit.
    pub commit: CommitId,
    /// Its tree, for knowing that the same was built before.
    pub tree: String,
    /// ChangeLog before and after, if it changes.
    pub changelog: Option<ChangelogChange>,
    /// The fragments that were folded.
    pub fragments: Vec<String>,
    /// What is worth saying.
    pub notes: Vec<String>,
    /// Whether the recipe differs from mainline's.
    pub changes_recipe: bool,
}

/// How ChangeLog changes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChangelogChange {
    /// On mainline; empty when there was none.
    pub before: Vec<u8>,
    /// In the candidate.
    pub after: Vec<u8>,
}

/// Nothing could be said of the candidate, by bb's own fault.
#[derive(Debug, thiserror::Error)]
#[error("the candidate of {branch} r{revision} could not be made: {source}")]
pub struct CandidateError {
    branch: BranchName,
    revision: u32,
    source: MirrorError,
}

impl Explain for CandidateError {
    fn code(&self) -> &'static str {
        self.source.code()
    }

    fn hint(&self) -> String {
        self.source.hint()
    }
}

impl Mirror {
    /// Makes a candidate, or says why there is none. No ref is set: see [`Mirror::set_candidate`].
    ///
    /// # Errors
    /// Only when git or the mirror fails.
    pub async fn candidate(&self, request: &CandidateRequest) -> Result<CandidateOutcome, CandidateError> {
        self.make(request).await.map_err(|source| CandidateError {
            branch: request.branch.clone(),
            revision: request.revision,
            source,
        })
    }

    async fn make(&self, request: &CandidateRequest) -> Result<CandidateOutcome, MirrorError> {
        let CandidateRequest { mainline, commit, .. } = request;
        let base = match self.relation(mainline, commit).await? {
            Relation::Ahead { merge_base, .. } => merge_base,
            other => return Ok(CandidateOutcome::Refused(not_ahead(request, &other))),
        };
        let merged = match merge::merge_tree(self.git(), self.path(), mainline, commit).await {
            Err(MirrorError::Run(RunError::TimedOut { after, .. })) => {
                return Ok(CandidateOutcome::Refused(too_slow(request, after)));
            }
            merged => merged?,
        };
        let request = request.clone();
        self.with_repository(move |repository| finish(repository, &request, &base, &merged)).await
    }
}

/// A merge can be made to take for ever, by many files that were moved and changed.
fn too_slow(request: &CandidateRequest, after: Duration) -> Refusal {
    let (branch, revision) = (&request.branch, request.revision);
    Refusal {
        code: "merge-too-slow".to_owned(),
        text: format!("merging {branch} r{revision} took longer than {} s", after.as_secs()),
        hint: "merge mainline into the branch, or move fewer files in one branch".to_owned(),
    }
}

/// Why a revision that is not ahead of mainline has no candidate.
fn not_ahead(request: &CandidateRequest, relation: &Relation) -> Refusal {
    let CandidateRequest { branch, revision, mainline, .. } = request;
    let (code, text, hint) = match relation {
        Relation::Unrelated => (
            "unrelated-history",
            format!("{branch} r{revision} has no commit in common with mainline"),
            "base the branch on a clone of the official repository",
        ),
        Relation::Same => (
            "equal-to-mainline",
            format!("{branch} r{revision} is mainline's own commit {}", mainline.short()),
            "commit something to the branch, then push it",
        ),
        Relation::Behind | Relation::Ahead { .. } => (
            "already-landed",
            format!("mainline contains {branch} r{revision} already"),
            "nothing: the branch has served its purpose; a new commit on it makes a new revision",
        ),
    };
    Refusal { code: code.to_owned(), text, hint: hint.to_owned() }
}

/// The part after the merge: the fold, the tree, the commit.
fn finish(
    repository: &git2::Repository,
    request: &CandidateRequest,
    base: &CommitId,
    merged: &MergedTree,
) -> Result<CandidateOutcome, MirrorError> {
    let failed = |source| MirrorError::Objects { what: format!("making the candidate of {}", request.branch), source };
    let folding = match Folding::of(repository, request, base)? {
        Ok(folding) => folding,
        Err(NotFolded::Refused(refusal)) => return Ok(CandidateOutcome::Refused(refusal)),
        Err(NotFolded::Conflict(file)) => {
            let mut files = merged.conflicts(repository, &[&request.changelog])?;
            files.0.insert(0, file);
            return Ok(CandidateOutcome::Conflict { files: files.0, left_out: files.1 });
        }
    };
    let (files, left_out) = merged.conflicts(repository, &folding.settles())?;
    if !files.is_empty() {
        return Ok(CandidateOutcome::Conflict { files, left_out });
    }
    let tree = folding.apply(repository, merged.tree)?;
    let mainline = find_commit(repository, &request.mainline)?;
    if tree == mainline.tree_id() {
        let (branch, revision) = (&request.branch, request.revision);
        return Ok(CandidateOutcome::Refused(Refusal {
            code: "no-changes".to_owned(),
            text: format!("merging {branch} r{revision} would change nothing"),
            hint: "commit something to the branch, or withdraw it".to_owned(),
        }));
    }
    let revision = find_commit(repository, &request.commit)?;
    let tree = repository.find_tree(tree).map_err(failed)?;
    let time = git2::Time::new(request.when, 0);
    let (name, email) = (message::one_line(&request.committer.name), message::one_line(&request.committer.email));
    let who = git2::Signature::new(&name, &email, &time).map_err(failed)?;
    let text = request.message.text(&request.branch, request.revision);
    let commit = repository.commit(None, &who, &who, &text, &tree, &[&mainline, &revision]).map_err(failed)?;
    let recipe = |tree: &git2::Tree<'_>| kept_at(tree, recipe::FILE_NAME);
    let changes_recipe = recipe(&tree)? != recipe(&mainline.tree().map_err(failed)?)?;
    Ok(CandidateOutcome::Made(Made {
        commit: commit_id(commit)?,
        tree: tree.id().to_string(),
        fragments: folding.fragments(),
        notes: folding.notes,
        changelog: folding.change,
        changes_recipe,
    }))
}

/// The tree that a request must give, made anew: for the check before a landing.
pub(crate) async fn expected_commit(
    mirror: &Mirror,
    request: &CandidateRequest,
) -> Result<Option<CommitId>, MirrorError> {
    match mirror.make(request).await? {
        CandidateOutcome::Made(made) => Ok(Some(made.commit)),
        CandidateOutcome::Conflict { .. } | CandidateOutcome::Refused(_) => Ok(None),
    }
}
