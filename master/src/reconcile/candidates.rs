//! Makes candidates, on the mainline of now: of every accepted revision, and of the head of every live branch that has none or
//! that touches what moved on mainline since. What one is made of is read from the tree that it stands on; what an acceptance
//! binds is as it was accepted.

use super::each::{is_everybodys, some_at_once, unready};
use super::follow::follow;
use super::{Again, StepError, afterwards};
use crate::project::{Guarded, RecipeState, recipes};
use crate::state::Shared;
use crate::store::{Candidate, Change, Claim, Entry, IN_MAINLINE, NewCandidate, NewInLine, Topic, Wanted, now};
use crate::terms::Terms;
use protocol::CommitId;
use protocol::api::{CandidateOutcome, Refusal};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};
use tracker::candidate::{self, CandidateRequest, ChangelogChange, Identity};
use tracker::mirror::{Mirror, Named};
use tracker::read::{DiffLimits, text_diff};

/// What this loop's troubles are remembered under.
pub(super) const NAME: &str = "candidates";
/// Candidates made in one turn. Few: what was accepted meanwhile goes first in the next.
const TURN: u32 = 8;
/// Candidates that are made at once.
const AT_ONCE: usize = 4;

/// What the store keeps of how a candidate was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeptRequest {
    #[serde(flatten)]
    pub(crate) request: CandidateRequest,
    /// What was read of ChangeLogs then, for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) project: Option<recipe::Project>,
}

pub(super) async fn step(shared: &Shared, project: &Guarded) -> Result<Again, StepError> {
    let Some(claim) = project.claim() else { return Ok(Again::AtTick) };
    let row = shared.store.project_by_id(project.id).await?;
    let Some(tip) = row.tip.clone() else { return Ok(Again::AtTick) };
    follow(shared, project, claim, &row, &tip).await?;
    // Those that failed lately are passed over, and are not to keep others from their turn.
    let limit = TURN + project.troubles.waiting(NAME);
    let wanted = shared
        .store
        .revisions_without_candidate(project.id, &tip, project.queue_wants().map(|entry| entry.0), limit)
        .await?;
    let more = wanted.len() == limit as usize;
    let none = wanted.is_empty();
    let otherwise = match recipes::otherwise(project, &tip).await? {
        Ok(otherwise) => otherwise,
        // It is mended without a change of mainline, so nothing is recorded.
        Err(trouble) => {
            tracing::warn!(project = %project.name, text = trouble.text, "the master's recipe can't be used");
            return Ok(Again::AtTick);
        }
    };
    let on = On { claim, tip: &tip, otherwise, moved: AtomicBool::new(false) };
    let make = |it: Wanted| async {
        let entry = it.entry.as_ref().map(|entry| entry.id);
        let done = make(shared, project, &on, it).await;
        if let Some(entry) = entry {
            told_to_queue(shared, project, entry, done.as_ref().err());
        }
        done
    };
    let again = some_at_once(AT_ONCE, project, NAME, wanted, |it| it.revision.id.0, make).await?;
    afterwards::contained(shared, project, claim, &tip).await?;
    if !none && project.mirror.is_crowded().await {
        project.join_packs();
    }
    Ok(if more || on.moved.into_inner() { Again::Now } else { again })
}

/// Has the queue know whether an entry's candidate could be made when it was tried last: others go by one of which it can't.
fn told_to_queue(shared: &Shared, project: &Guarded, entry: i64, error: Option<&StepError>) {
    match error {
        None => project.unready.fine((NAME, entry)),
        Some(error) if is_everybodys(error) => {}
        Some(error) => {
            project.unready.failed((NAME, entry), unready(error));
            shared.store.say(Change::of(project.id, Topic::Queue, 0));
        }
    }
}

/// What all candidates of one turn stand on.
struct On<'a> {
    claim: Claim,
    tip: &'a CommitId,
    otherwise: Option<recipe::Project>,
    /// Mainline moved on: no candidate is wanted on an older one, and the queue waits for the newer ones.
    moved: AtomicBool,
}

/// Makes one, and records it.
async fn make(shared: &Shared, project: &Guarded, on: &On<'_>, wanted: Wanted) -> Result<(), StepError> {
    if on.moved.load(Ordering::Relaxed) {
        return Ok(());
    }
    let bound = wanted.entry.as_ref().map(Terms::of_entry).transpose()?.flatten();
    let terms = bound.unwrap_or_else(|| Terms::of_now(shared, project, &wanted.branch));
    let hash = terms.kept()?.hash;
    // What stood on this commit in a line, before that was mainline, is made again as the commit that it is.
    let there = shared.store.candidate(wanted.revision.id, on.tip, &hash).await?;
    let when = match there.as_ref().and_then(Candidate::made_commit) {
        Some(commit) => project.mirror.made_at(commit).await.ok(),
        None => None,
    };
    let when = when.unwrap_or_else(|| now().0 / 1000);
    let request = request(shared, &wanted, on.tip, &terms, on.otherwise.clone(), when);
    let (made, touched) = project.mirror.candidate_and_touched(&request).await?;
    let mut kept = record(made)?;
    let before = shared.store.candidate_of(wanted.revision.id).await?;
    if let Some(refusal) =
        afterwards::same_patches(project, &kept.outcome, before.as_ref(), &wanted.revision, on.tip).await?
    {
        (kept.outcome, kept.tree) = (CandidateOutcome::Refused(refusal), None);
    }
    let recipe_trouble = recipe_trouble(project, &kept).await?;
    let text = serde_json::to_string(&KeptRequest { request, project: kept.folded_by })?;
    if let CandidateOutcome::Made { commit, .. } = &kept.outcome {
        let newest = shared.store.newest_revision(wanted.branch.id).await?.is_some_and(|r| r.id == wanted.revision.id);
        let name = &wanted.branch.name;
        let kept = Mirror::kept_candidate_ref(name, wanted.revision.number, commit);
        let shown = newest.then(|| Mirror::candidate_ref(name));
        project.mirror.keep(commit, [kept].into_iter().chain(shown).collect()).await?;
    } else if !matches!(&kept.outcome, CandidateOutcome::Refused(it) if IN_MAINLINE.contains(&it.code.as_str())) {
        // How it would be built is said of it all the same.
        kept.changes_recipe = project.mirror.brings_recipe(on.tip, &wanted.revision.commit).await?;
    }
    let new = NewCandidate {
        mainline: on.tip,
        terms_hash: &hash,
        outcome: kept.outcome,
        tree: kept.tree,
        request: text,
        changes_recipe: kept.changes_recipe,
        recipe_trouble,
        title: kept.title,
        touched: touched.numbers().collect(),
    };
    shared.store.add_candidate(on.claim, &wanted.branch, &wanted.revision, &new).await?;
    let moved = shared.store.project_by_id(project.id).await?.tip.as_ref() != Some(on.tip);
    on.moved.store(moved, Ordering::Relaxed);
    Ok(())
}

/// What is wrong with the recipe that a candidate brings.
async fn recipe_trouble(project: &Guarded, kept: &Kept) -> Result<Option<Refusal>, StepError> {
    let CandidateOutcome::Made { commit, .. } = &kept.outcome else { return Ok(None) };
    if !kept.changes_recipe {
        return Ok(None);
    }
    Ok(match recipes::at(project, commit).await? {
        RecipeState::Broken(it) => Some(Refusal { code: it.code, text: it.text, hint: it.hint }),
        RecipeState::Unknown | RecipeState::Missing | RecipeState::Fine(_) => None,
    })
}

/// A candidate of a line, on the commit of the one below it.
pub(super) enum InLine {
    /// It was made before.
    There(Box<Candidate>),
    /// It was made just now, and is written nowhere but into the mirror, where nothing holds it yet.
    New(Box<Draft>),
}

/// What is to be recorded of a candidate of a line.
pub(super) struct Draft {
    of: Wanted,
    below: CommitId,
    terms_hash: String,
    request: String,
    recipe_trouble: Option<Refusal>,
    kept: Kept,
}

impl InLine {
    /// Its commit, if it could be made and does not change how everything is built.
    pub(super) fn commit(&self) -> Option<&CommitId> {
        match self {
            Self::There(it) => it.made_commit().filter(|_| !it.changes_recipe),
            Self::New(it) => it.commit().filter(|_| !it.kept.changes_recipe),
        }
    }
}

impl Draft {
    fn commit(&self) -> Option<&CommitId> {
        match &self.kept.outcome {
            CandidateOutcome::Made { commit, .. } => Some(commit),
            _ => None,
        }
    }

    fn row(&self) -> NewCandidate<'_> {
        NewCandidate {
            mainline: &self.below,
            terms_hash: &self.terms_hash,
            outcome: self.kept.outcome.clone(),
            tree: self.kept.tree.clone(),
            request: self.request.clone(),
            changes_recipe: self.kept.changes_recipe,
            recipe_trouble: self.recipe_trouble.clone(),
            title: self.kept.title.clone(),
            touched: Vec::new(),
        }
    }
}

/// The candidate of an entry on a commit that is not mainline's: the one below it in a line. None for an entry that binds nothing
/// yet.
pub(super) async fn in_line(
    shared: &Shared,
    project: &Guarded,
    entry: &Entry,
    below: &CommitId,
) -> Result<Option<InLine>, StepError> {
    if let Some(there) = shared.store.candidate(entry.revision, below, &entry.terms.hash).await? {
        return Ok(Some(InLine::There(Box::new(there))));
    }
    let Some(terms) = Terms::of_entry(entry)? else { return Ok(None) };
    let of = Wanted {
        branch: shared.store.branch_by_id(entry.branch).await?,
        revision: shared.store.revision_by_id(entry.revision).await?,
        entry: None,
    };
    let otherwise = recipes::otherwise(project, below).await?.unwrap_or_default();
    let request = request(shared, &of, below, &terms, otherwise, now().0 / 1000);
    let kept = record(project.mirror.candidate(&request).await?)?;
    let recipe_trouble = recipe_trouble(project, &kept).await?;
    let request = serde_json::to_string(&KeptRequest { request, project: kept.folded_by.clone() })?;
    let terms_hash = entry.terms.hash.clone();
    Ok(Some(InLine::New(Box::new(Draft { of, below: below.clone(), terms_hash, request, recipe_trouble, kept }))))
}

/// The same, recorded.
pub(crate) async fn stacked(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    entry: &Entry,
    below: &CommitId,
) -> Result<Option<Candidate>, StepError> {
    let Some(made) = in_line(shared, project, entry, below).await? else { return Ok(None) };
    Ok(keep_line(shared, project, claim, vec![made]).await?.pop())
}

/// Records candidates of a line, in their order: by one pack and one transaction, however many they are.
pub(super) async fn keep_line(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    line: Vec<InLine>,
) -> Result<Vec<Candidate>, StepError> {
    let new = || line.iter().filter_map(|it| if let InLine::New(draft) = it { Some(draft) } else { None });
    let refs = new().filter_map(|draft| {
        let commit = draft.commit()?.clone();
        let reference = Mirror::kept_candidate_ref(&draft.of.branch.name, draft.of.revision.number, &commit);
        Some(Named { reference, commit })
    });
    project.mirror.keep_all(refs.collect()).await?;
    let rows: Vec<NewCandidate<'_>> = new().map(|draft| draft.row()).collect();
    let rows: Vec<NewInLine<'_>> = new()
        .zip(&rows)
        .map(|(draft, new)| NewInLine { branch: &draft.of.branch, revision: &draft.of.revision, new })
        .collect();
    let mut added = shared.store.add_stacked_candidates(claim, &rows).await?.into_iter();
    let kept = line.iter().filter_map(|it| match it {
        InLine::There(candidate) => Some(Candidate::clone(candidate)),
        InLine::New(_) => added.next(),
    });
    Ok(kept.collect())
}

pub(super) fn request(
    shared: &Shared,
    of: &Wanted,
    mainline: &CommitId,
    terms: &Terms,
    otherwise: Option<recipe::Project>,
    when: i64,
) -> CandidateRequest {
    CandidateRequest {
        branch: of.branch.name.clone(),
        revision: of.revision.number,
        mainline: mainline.clone(),
        commit: of.revision.commit.clone(),
        date: terms.day,
        otherwise,
        message: terms.message.clone(),
        committer: Identity {
            name: shared.config.committer.name.clone(),
            email: shared.config.committer.email.clone(),
        },
        when,
    }
}

/// What the store keeps of how a candidate came out.
struct Kept {
    outcome: CandidateOutcome,
    tree: Option<CommitId>,
    changes_recipe: bool,
    folded_by: Option<recipe::Project>,
    /// What the branch is called by its own commits.
    title: Option<String>,
}

/// What the store keeps of a candidate.
fn record(made: candidate::CandidateOutcome) -> Result<Kept, StepError> {
    let none = |outcome| Kept { outcome, tree: None, changes_recipe: false, folded_by: None, title: None };
    Ok(match made {
        candidate::CandidateOutcome::Made(made) => {
            let read = |changes: &[ChangelogChange]| {
                let diff = |change: &ChangelogChange| {
                    let path = tracker::text::shown(change.path.as_bytes());
                    text_diff(&path, &change.before, &change.after, DiffLimits::default())
                };
                changes.iter().map(diff).collect::<Result<Vec<_>, _>>()
            };
            let outcome = CandidateOutcome::Made {
                commit: made.commit,
                changelogs: read(&made.told.changelogs)?,
                fragments: made.told.fragments,
                coming: read(&made.told.coming)?,
                kept: made.told.kept,
                exempt: made.told.exempt,
                notes: made.told.notes,
            };
            let (tree, changes_recipe) = (Some(made.tree.parse()?), made.changes_recipe);
            Kept { outcome, tree, changes_recipe, folded_by: Some(made.folded_by), title: Some(made.title) }
        }
        candidate::CandidateOutcome::Conflict { files, .. } => none(CandidateOutcome::Conflict { files }),
        candidate::CandidateOutcome::Refused(refusal) => none(CandidateOutcome::Refused(refusal)),
        candidate::CandidateOutcome::MainlineTrouble(refusal) => none(CandidateOutcome::MainlineTrouble(refusal)),
    })
}
