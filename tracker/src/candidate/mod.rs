//! Candidates: the commit that would land, made in the mirror without a work tree.
//!
//! The merge is git's own, the fold is `changelog`'s, trees and commit are written by libgit2. The same request gives
//! the same commit id at any time and on any machine with the same git, so that a candidate can be made again to see
//! that nothing else was tested.

mod attributes;
mod differences;
mod faults;
mod fold;
mod merge;
mod message;
mod notes;
mod settings;
mod touched;

pub(crate) use fold::places_of;
pub use message::Message;
pub(crate) use message::OwnCommits;
pub(crate) use settings::settings;
pub use touched::{Moved, Touched};

use crate::Explain;
use crate::git::RunError;
use crate::mirror::{Mirror, MirrorError, Relation, commit_id, find_commit, kept_at, tree_of};
use crate::text::Budget;
use attributes::Attributes;
use fold::{Folding, NotFolded};
use merge::MergedTree;
use protocol::api::{ConflictFile, Refusal};
use protocol::{BranchName, CommitId, Hint};
use recipe::Project;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which candidate to make. Kept as JSON beside the candidate, it can be made again. How it is folded is not said here: that
/// is read from the tree that it stands on.
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
    /// What holds of ChangeLogs if the tree that it stands on has no recipe: the master's own word for the project.
    #[serde(default)]
    pub otherwise: Option<Project>,
    /// What the commit's message says.
    pub message: Message,
    /// Who commits the merge. Its author is who wrote the branch.
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
    /// It can't be made, and the fault is in the tree that it stands on: whoever looks after mainline mends it.
    MainlineTrouble(Refusal),
}

/// Files in conflict that are told.
pub const MAX_CONFLICTS: usize = 100;

/// Bytes of all that is told of conflicts.
const MAX_CONFLICT_BYTES: usize = 512 << 10;

/// A candidate that was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Made {
    /// The commit.
    pub commit: CommitId,
    /// Its tree, for knowing that the same was built before.
    pub tree: String,
    /// What there is to be told of its ChangeLogs.
    pub told: Told,
    /// What the branch is called by its own commits, as the message has it if nothing was said.
    pub title: String,
    /// Whether the recipe differs from mainline's.
    pub changes_recipe: bool,
    /// What was read of ChangeLogs, in the tree that it stands on.
    pub folded_by: Project,
}

/// What a candidate does to ChangeLogs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Told {
    /// The ChangeLogs that change.
    pub changelogs: Vec<ChangelogChange>,
    /// The fragments that were folded.
    pub fragments: Vec<String>,
    /// The ChangeLogs as they will read at the release, of projects that fold no sooner: the candidate leaves them alone.
    pub coming: Vec<ChangelogChange>,
    /// The fragments that stay until then.
    pub kept: Vec<String>,
    /// Why the branch needs no entry, where one would be missed.
    pub exempt: Option<String>,
    /// What is worth saying.
    pub notes: Vec<String>,
}

/// How a ChangeLog changes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChangelogChange {
    /// Its path.
    pub path: String,
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

impl CandidateError {
    fn of(request: &CandidateRequest, source: MirrorError) -> Self {
        Self { branch: request.branch.clone(), revision: request.revision, source }
    }
}

impl Explain for CandidateError {
    fn code(&self) -> &'static str {
        self.source.code()
    }

    fn hint(&self) -> Hint {
        self.source.hint()
    }
}

/// The message that a candidate's commit has, or would have.
pub(crate) fn message(repository: &git2::Repository, request: &CandidateRequest) -> Result<String, MirrorError> {
    Ok(request.message_with(OwnCommits::of(repository, &request.mainline, &request.commit)?.title))
}

impl Mirror {
    /// What a branch is called that nothing was said of: the first line of the first commit of its own that is no merge, as the
    /// message of its merge has it. Empty if it has none.
    ///
    /// # Errors
    /// When a commit is not there.
    pub async fn title(&self, mainline: &CommitId, revision: &CommitId) -> Result<String, MirrorError> {
        let (mainline, revision) = (mainline.clone(), revision.clone());
        let own = self.with_repository(move |repository| OwnCommits::of(repository, &mainline, &revision)).await?;
        Ok(own.title.as_deref().map(message::title).unwrap_or_default())
    }

    /// Makes a candidate, or says why there is none. No ref is set: see [`Mirror::set_candidate`].
    ///
    /// # Errors
    /// Only when git or the mirror fails.
    pub async fn candidate(&self, request: &CandidateRequest) -> Result<CandidateOutcome, CandidateError> {
        let made = self.make(request, None).await;
        made.map(|(outcome, _)| outcome).map_err(|source| CandidateError::of(request, source))
    }

    /// The same, and what it touches: while nothing of that moves on mainline, it would give the same again.
    ///
    /// # Errors
    /// Only when git or the mirror fails.
    pub async fn candidate_and_touched(
        &self,
        request: &CandidateRequest,
    ) -> Result<(CandidateOutcome, Touched), CandidateError> {
        let failed = |source| CandidateError::of(request, source);
        let (outcome, merged) = self.make(request, None).await.map_err(failed)?;
        let of = request.clone();
        let both = self.with_repository(move |repository| {
            let touched = Touched::of(repository, &of, &outcome, merged)?;
            Ok((outcome, touched))
        });
        both.await.map_err(failed)
    }

    /// Makes a candidate again that was made before: by what was read of ChangeLogs then, if that is known, whatever is
    /// read in the same tree now.
    ///
    /// # Errors
    /// Only when git or the mirror fails.
    pub async fn candidate_again(
        &self,
        request: &CandidateRequest,
        folded_by: Option<Project>,
    ) -> Result<CandidateOutcome, CandidateError> {
        let made = self.make(request, folded_by).await;
        made.map(|(outcome, _)| outcome).map_err(|source| CandidateError::of(request, source))
    }

    /// The message that a candidate's commit has, or would have if it could be made.
    ///
    /// # Errors
    /// When a commit that it speaks of is not there.
    pub async fn candidate_message(&self, request: &CandidateRequest) -> Result<String, MirrorError> {
        let request = request.clone();
        self.with_repository(move |repository| message(repository, &request)).await
    }

    /// What came of it, and the tree that git's merge gave, if it came to that.
    async fn make(
        &self,
        request: &CandidateRequest,
        folded_by: Option<Project>,
    ) -> Result<(CandidateOutcome, Option<git2::Oid>), MirrorError> {
        let read = match folded_by {
            Some(project) => Ok(project),
            None => self.settings_at(&request.mainline, request.otherwise.clone()).await?,
        };
        let project = match read {
            Ok(project) => project,
            Err(refusal) => return Ok((CandidateOutcome::MainlineTrouble(refusal), None)),
        };
        let (combined, merged) = self.merge_and_fold(&request.ingredients(project.clone())).await?;
        let outcome = match combined {
            Combined::Made(combined) => {
                let request = request.clone();
                self.with_repository(move |repository| commit(repository, &request, project, combined)).await?
            }
            Combined::Conflict { files, left_out } => CandidateOutcome::Conflict { files, left_out },
            Combined::Refused(refusal) => CandidateOutcome::Refused(refusal),
            Combined::MainlineTrouble(refusal) => CandidateOutcome::MainlineTrouble(refusal),
        };
        Ok((outcome, merged))
    }

    /// The settings by which a candidate on `commit` is folded.
    pub(crate) async fn settings_at(
        &self,
        commit: &CommitId,
        otherwise: Option<Project>,
    ) -> Result<Result<Project, Refusal>, MirrorError> {
        let commit = commit.clone();
        self.with_repository(move |repository| settings(repository, &commit, otherwise.as_ref())).await
    }

    /// Makes a candidate's tree, of which there is no commit yet.
    pub(crate) async fn combine(&self, of: &Ingredients) -> Result<Combined, MirrorError> {
        Ok(self.merge_and_fold(of).await?.0)
    }

    /// The same, and the tree that git's merge gave, if it came to that.
    async fn merge_and_fold(&self, of: &Ingredients) -> Result<(Combined, Option<git2::Oid>), MirrorError> {
        let base = match self.relation(&of.mainline, &of.commit).await? {
            Relation::Ahead { merge_base, .. } => merge_base,
            other => return Ok((Combined::Refused(not_ahead(of, &other)), None)),
        };
        let attributes = {
            let (git, mainline) = (self.git().clone(), of.mainline.clone());
            self.with_repository(move |repository| Attributes::of(&git, repository, &mainline)).await?
        };
        let merged = match merge::merge_tree(self.git(), self.path(), &attributes, &of.mainline, &of.commit).await {
            Err(MirrorError::Run(RunError::TimedOut { after, .. })) => {
                return Ok((Combined::Refused(too_slow(of, after)), None));
            }
            Err(MirrorError::Run(RunError::TooMuchOutput { limit, .. })) => {
                return Ok((Combined::Refused(too_many_conflicts(of, limit)), None));
            }
            merged => merged?,
        };
        let (of, tree) = (of.clone(), merged.tree);
        let combined = self.with_repository(move |repository| finish(repository, &of, &base, &merged)).await?;
        Ok((combined, Some(tree)))
    }
}

/// What decides a candidate's tree: all of a request but what stands in the commit alone.
#[derive(Clone, Debug)]
pub(crate) struct Ingredients {
    /// What people know the revision by, such as `hello r2`.
    pub(crate) label: String,
    /// The commit to stand on.
    pub(crate) mainline: CommitId,
    /// The revision's commit.
    pub(crate) commit: CommitId,
    /// The day that its ChangeLog entries get.
    pub(crate) date: jiff::civil::Date,
    /// What the recipe says of ChangeLogs.
    pub(crate) project: Project,
}

impl CandidateRequest {
    /// The message of the candidate's commit, if this is what the branch's own commits say.
    fn message_with(&self, title: Option<String>) -> String {
        self.message.or_title(title).text(self.branch.as_str(), Some(self.revision))
    }

    fn ingredients(&self, project: Project) -> Ingredients {
        Ingredients {
            label: format!("{} r{}", self.branch, self.revision),
            mainline: self.mainline.clone(),
            commit: self.commit.clone(),
            date: self.date,
            project,
        }
    }
}

/// What came of making a tree.
pub(crate) enum Combined {
    /// It is written.
    Made(CombinedTree),
    /// As [`CandidateOutcome::Conflict`].
    Conflict { files: Vec<ConflictFile>, left_out: usize },
    /// As [`CandidateOutcome::Refused`].
    Refused(Refusal),
    /// As [`CandidateOutcome::MainlineTrouble`].
    MainlineTrouble(Refusal),
}

fn refusal(code: &str, text: String, hint: &str) -> Refusal {
    Refusal { code: code.to_owned(), text, hint: Hint::new(hint) }
}

/// A candidate's tree.
pub(crate) struct CombinedTree {
    pub(crate) tree: git2::Oid,
    pub(crate) told: Told,
}

/// A merge can be made to take for ever, by many files that were moved and changed.
fn too_slow(of: &Ingredients, after: Duration) -> Refusal {
    Refusal {
        code: "merge-too-slow".to_owned(),
        text: format!("merging {} took longer than {} s", of.label, after.as_secs()),
        hint: Hint::new("merge mainline into the branch, or move fewer files in one branch"),
    }
}

/// What conflicts is told with every path, and paths may be made long and many.
fn too_many_conflicts(of: &Ingredients, limit: usize) -> Refusal {
    Refusal {
        code: "merge-too-many-conflicts".to_owned(),
        text: format!("merging {} conflicts in more files than can be told in {limit} bytes", of.label),
        hint: Hint::new("merge mainline into the branch"),
    }
}

/// Why a revision that is not ahead of mainline has no candidate.
fn not_ahead(of: &Ingredients, relation: &Relation) -> Refusal {
    let Ingredients { label, mainline, .. } = of;
    let (code, text, hint) = match relation {
        Relation::Unrelated => (
            "unrelated-history",
            format!("{label} has no commit in common with mainline"),
            "base the branch on a clone of the official repository",
        ),
        Relation::Same => (
            "equal-to-mainline",
            format!("{label} is mainline's own commit {}", mainline.short()),
            "commit something to the branch, then push it",
        ),
        Relation::Behind | Relation::Ahead { .. } => (
            "already-landed",
            format!("mainline contains {label} already"),
            "withdraw the branch, which has served its purpose, or push a new commit to it",
        ),
    };
    Refusal { code: code.to_owned(), text, hint: Hint::new(hint) }
}

/// The part after the merge: the fold and the tree. What can't be folded because of mainline's own fault is not the branch's.
fn finish(
    repository: &git2::Repository,
    of: &Ingredients,
    base: &CommitId,
    merged: &MergedTree,
) -> Result<Combined, MirrorError> {
    let combined = fold_and_write(repository, of, base, merged)?;
    if matches!(combined, Combined::Made(_)) {
        return Ok(combined);
    }
    let mainline = tree_of(repository, &of.mainline)?;
    let fault = settings::fault_of_mainline(repository, &mainline, &of.project, of.date)?;
    Ok(fault.map_or(combined, Combined::MainlineTrouble))
}

fn fold_and_write(
    repository: &git2::Repository,
    of: &Ingredients,
    base: &CommitId,
    merged: &MergedTree,
) -> Result<Combined, MirrorError> {
    let mut budget = Budget::of(MAX_CONFLICT_BYTES);
    let folding = match Folding::of(repository, of, base, &mut budget)? {
        Ok(folding) => folding,
        Err(NotFolded::Refused(refusal)) => return Ok(Combined::Refused(refusal)),
        Err(NotFolded::Conflict { mut files, settled }) => {
            let (more, left_out) = merged.conflicts(repository, &settled, &mut budget)?;
            files.extend(more);
            return Ok(Combined::Conflict { files, left_out });
        }
    };
    let (files, left_out) = merged.conflicts(repository, &folding.settles(), &mut budget)?;
    if !files.is_empty() {
        return Ok(Combined::Conflict { files, left_out });
    }
    let tree = folding.apply(repository, merged.tree)?;
    if tree == find_commit(repository, &of.mainline)?.tree_id() {
        return Ok(Combined::Refused(Refusal {
            code: "no-changes".to_owned(),
            text: format!("merging {} would change nothing", of.label),
            hint: Hint::new("commit something to the branch, or withdraw it"),
        }));
    }
    Ok(Combined::Made(CombinedTree { tree, told: folding.end() }))
}

/// The commit of a tree that was made.
fn commit(
    repository: &git2::Repository,
    request: &CandidateRequest,
    folded_by: Project,
    combined: CombinedTree,
) -> Result<CandidateOutcome, MirrorError> {
    let failed = |source| MirrorError::Objects { what: format!("making the candidate of {}", request.branch), source };
    let mainline = find_commit(repository, &request.mainline)?;
    let revision = find_commit(repository, &request.commit)?;
    let tree = repository.find_tree(combined.tree).map_err(failed)?;
    let time = git2::Time::new(request.when, 0);
    let signed = |who: &Identity| {
        let (name, email) = (message::one_line(&who.name), message::one_line(&who.email));
        git2::Signature::new(&name, &email, &time)
    };
    let committer = signed(&request.committer).map_err(failed)?;
    let own = OwnCommits::of(repository, &request.mainline, &request.commit)?;
    let title = own.title.as_deref().map(message::title).unwrap_or_default();
    let message = request.message_with(own.title);
    // A stranger's name may be one that git does not take.
    let author = own.author.as_ref().and_then(|who| signed(who).ok()).unwrap_or_else(|| committer.clone());
    let commit =
        repository.commit(None, &author, &committer, &message, &tree, &[&mainline, &revision]).map_err(failed)?;
    let recipe = |tree: &git2::Tree<'_>| kept_at(tree, recipe::FILE_NAME);
    let changes_recipe = recipe(&tree)? != recipe(&mainline.tree().map_err(failed)?)?;
    Ok(CandidateOutcome::Made(Made {
        commit: commit_id(commit)?,
        tree: tree.id().to_string(),
        told: combined.told,
        title,
        changes_recipe,
        folded_by,
    }))
}

/// The tree that a request must give, made anew: for the check before a landing.
pub(crate) async fn expected_commit(
    mirror: &Mirror,
    request: &CandidateRequest,
) -> Result<Option<CommitId>, MirrorError> {
    match mirror.make(request, None).await?.0 {
        CandidateOutcome::Made(made) => Ok(Some(made.commit)),
        CandidateOutcome::Conflict { .. } | CandidateOutcome::Refused(_) | CandidateOutcome::MainlineTrouble(_) => {
            Ok(None)
        }
    }
}
