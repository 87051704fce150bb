//! What a branch's page shows of what is in the mirror, made at once.

use super::commits;
use super::cost::{Cost, Meter};
use super::diff::diff;
use super::hunks::text_diff;
use super::limits::DiffLimits;
use crate::blocking::Waiting;
use crate::candidate::{self, CandidateRequest};
use crate::mirror::{Kept, Mirror, MirrorError, Relation, kept_at, relation, tree_of};
use git2::Repository;
use protocol::CommitId;
use protocol::api::{Commit, Diff, DiffFile};

/// Of what a view is made: the same gives the same for ever.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct View {
    /// Mainline's commit that the revision is shown against.
    pub base: CommitId,
    /// The revision.
    pub revision: CommitId,
    /// How many commits it is known to have that mainline lacks.
    pub commits: u32,
    /// The candidate made of both, whose change is shown; where there is none, the revision's own.
    pub candidate: Option<CommitId>,
    /// What the newest candidate was made by, whose message is shown.
    pub request: Option<CandidateRequest>,
    /// Between which commits the recipe's change is shown.
    pub recipe: Option<(CommitId, CommitId)>,
}

/// What there is to be seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The newest commits that the revision has and mainline lacks, newest first.
    pub commits: Vec<Commit>,
    /// The change.
    pub diff: Diff,
    /// The message of the candidate's commit.
    pub message: Option<String>,
    /// How the recipe changes.
    pub recipe: Option<DiffFile>,
    /// What was read for the change.
    pub cost: Cost,
}

/// Commits that are told.
const COMMITS: usize = 250;
/// Beyond so many, they are not looked through.
const MANY_COMMITS: u32 = 20_000;
/// The largest recipe that is compared, in bytes.
const MAX_RECIPE: u64 = 256 << 10;

impl Mirror {
    /// Makes a view. It stops when nobody waits for it any more, and has `held` until it has stopped: a place, say, that somebody else
    /// can have only then.
    ///
    /// # Errors
    /// When one of the commits is not in the mirror.
    pub async fn view<H: Send + 'static>(&self, view: &View, limits: DiffLimits, held: H) -> Result<Seen, MirrorError> {
        let view = view.clone();
        let waiting = Waiting::new();
        let wanted = waiting.wanted();
        self.with_repository(move |repository| {
            let _held = held;
            let mut seen = Seen {
                commits: told_commits(repository, &view)?,
                message: view.request.as_ref().and_then(|request| candidate::message(repository, request).ok()),
                recipe: recipe_diff(repository, &view, limits)?,
                ..Seen::default()
            };
            let Some((old, new)) = sides(repository, &view)? else { return Ok(seen) };
            let trees = (tree_of(repository, &old)?.id(), tree_of(repository, &new)?.id());
            let mut meter = Meter::new(repository, limits.cost, wanted);
            let diff = diff(&mut meter, trees, limits)?;
            seen.diff = Diff { old: Some(old), new: Some(new), ..diff };
            seen.cost = meter.cost();
            Ok(seen)
        })
        .await
    }
}

fn told_commits(repository: &Repository, view: &View) -> Result<Vec<Commit>, MirrorError> {
    if view.commits > MANY_COMMITS {
        return commits::newest(repository, &view.revision, COMMITS);
    }
    commits::between(repository, &view.base, &view.revision, COMMITS).map(|commits| commits.newest)
}

/// The commits whose difference is the branch's change.
fn sides(repository: &Repository, view: &View) -> Result<Option<(CommitId, CommitId)>, MirrorError> {
    if let Some(candidate) = &view.candidate {
        return Ok(Some((view.base.clone(), candidate.clone())));
    }
    Ok(match relation(repository, &view.base, &view.revision)? {
        Relation::Ahead { merge_base, .. } => Some((merge_base, view.revision.clone())),
        Relation::Unrelated | Relation::Same | Relation::Behind => None,
    })
}

fn recipe_diff(repository: &Repository, view: &View, limits: DiffLimits) -> Result<Option<DiffFile>, MirrorError> {
    let Some((old, new)) = &view.recipe else { return Ok(None) };
    let read = |commit: &CommitId| {
        let kept = kept_at(&tree_of(repository, commit)?, recipe::FILE_NAME)?.filter(|kept| kept.is_file());
        let bytes = kept.map(|kept: Kept| kept.bytes(repository, MAX_RECIPE)).transpose()?;
        Ok::<_, MirrorError>(match bytes {
            Some(None) => None,
            found => Some(found.flatten().unwrap_or_default()),
        })
    };
    // One that is too large is in the diff, as any other file is.
    let (Some(old), Some(new)) = (read(old)?, read(new)?) else { return Ok(None) };
    text_diff(recipe::FILE_NAME, &old, &new, limits).map(Some)
}
