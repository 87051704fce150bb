//! The facts that a verdict is judged by.

use super::{Moment, ReadError};
use crate::names;
use crate::project::{Guarded, RecipeState, recipes};
use crate::reconcile::{IN_MAINLINE, mainline_of};
use crate::store::{
    self, Branch, BranchState, Build, BuildRowState, Builds, Candidate, Entry, EntryState, Reader, Revision, Step,
};
use crate::terms::Terms;
use gate::code::Code;
use gate::pending::Crowded;
use gate::verdict::{self, Facts, Life, Source, Trouble};
use protocol::api::{self, Refusal};
use protocol::{BranchId, BuildId, BuildResult, CommitId, RevisionId, UnixMs};
use std::collections::HashMap;
use std::sync::Arc;

/// A branch and everything that its listing needs, read once.
pub(super) struct Known {
    pub(super) branch: Branch,
    pub(super) newest: Option<Revision>,
    pub(super) candidate: Option<Candidate>,
    /// The newest revision's latest build of each builder, newest first.
    pub(super) builds: Builds,
    pub(super) entries: Vec<Entry>,
    pub(super) facts: Facts,
    /// What it is: as published, else what its newest commit says; of one that landed, as it landed.
    pub(super) title: String,
    /// What it would be accepted by now.
    pub(super) terms: Terms,
}

/// Words of the tracker for a source that is not there.
const GONE: [&str; 2] = ["no-such-branch", "not-found"];

/// One branch.
pub(super) async fn know(at: &Moment<'_>, project: &Guarded, branch: Branch) -> Result<Known, ReadError> {
    let mut around = Around::of(at, project, std::slice::from_ref(&branch)).await?;
    Ok(around.known(at, project, branch).await)
}

/// Branches of a project, in their order.
pub(super) async fn know_all(
    at: &Moment<'_>,
    project: &Guarded,
    branches: Vec<Branch>,
) -> Result<Vec<Known>, ReadError> {
    let mut around = Around::of(at, project, &branches).await?;
    let mut all = Vec::with_capacity(branches.len());
    for branch in branches {
        all.push(around.known(at, project, branch).await);
    }
    Ok(all)
}

/// All that is read of some branches of a project. However many they are, each table is asked once for all of them.
struct Around {
    row: Arc<store::Project>,
    of_mainline: RecipeState,
    newest: HashMap<BranchId, Revision>,
    candidates: HashMap<RevisionId, Candidate>,
    builds: HashMap<RevisionId, Builds>,
    deciding: Deciding,
    entries: HashMap<BranchId, Vec<Entry>>,
    /// The revisions that the entries are of.
    accepted: Revisions,
    queue: Arc<Vec<Entry>>,
}

impl Around {
    async fn of(at: &Moment<'_>, project: &Guarded, branches: &[Branch]) -> Result<Self, ReadError> {
        let store = &at.store;
        let row = at.project(project.id).await?;
        let ids = || branches.iter().map(|branch| branch.id);
        let newest = store.newest_revisions(ids()).await?;
        let builds = store.latest_builds(newest.values().map(|revision| revision.id)).await?;
        let entries = store.places_of(ids()).await?;
        let is_queued = entries.values().flatten().any(|entry| entry.state == EntryState::Queued);
        Ok(Self {
            of_mainline: of_mainline(project, row.tip.as_ref()).await,
            candidates: store.candidates_of(newest.values().map(|revision| revision.id)).await?,
            deciding: Deciding::of(store, builds.values().flat_map(Builds::iter)).await?,
            accepted: store.revisions_by_id(entries.values().flatten().map(|entry| entry.revision)).await?,
            queue: if is_queued { at.queue(project.id).await? } else { Arc::default() },
            row,
            newest,
            builds,
            entries,
        })
    }

    async fn known(&mut self, at: &Moment<'_>, project: &Guarded, branch: Branch) -> Known {
        let newest = self.newest.remove(&branch.id);
        let candidate = newest.as_ref().and_then(|revision| self.candidates.remove(&revision.id));
        let builds = newest.as_ref().and_then(|revision| self.builds.remove(&revision.id)).unwrap_or_default();
        let entries = self.entries.remove(&branch.id).unwrap_or_default();
        let held = branch.stranger().and_then(|who| project.held(&who));
        let facts = Facts {
            author: author(&branch, newest.as_ref()),
            life: life(&branch, newest.as_ref(), &entries),
            source: source(&branch, newest.is_some()),
            mainline: mainline_of(&self.row),
            revision: newest.as_ref().map(|r| verdict::Revision {
                number: r.number,
                refused: r.refusal.clone().map(trouble),
                lost: lost(r),
            }),
            recipe: recipe(&self.of_mainline, candidate.as_ref()),
            candidate: outcome(candidate.as_ref()),
            changes_recipe: candidate.as_ref().is_some_and(|c| c.changes_recipe),
            recipe_warnings: own_warnings(project, candidate.as_ref()).await,
            builders: self.builders(at, project, &builds, held),
            queue: place(&branch, &entries, &self.accepted, &self.queue),
        };
        let title = title(&branch, newest.as_ref(), &entries, &self.accepted);
        let terms = at.terms_of(project, &branch);
        Known { branch, newest, candidate, builds, entries, facts, title, terms }
    }

    /// The builders in the recipe's order, each with its latest build; then those that the recipe does not name any more.
    fn builders(
        &self,
        at: &Moment<'_>,
        project: &Guarded,
        builds: &Builds,
        held: Option<Crowded>,
    ) -> Vec<verdict::Builder> {
        let mut named: Vec<(String, bool)> = match &self.of_mainline {
            RecipeState::Fine(it) => {
                gate::builders::builders_for(&it.recipe).into_iter().map(|b| (b.name.clone(), b.required)).collect()
            }
            _ => Vec::new(),
        };
        let is_other = |b: &&Build| named.iter().all(|(name, _)| *name != b.builder.name);
        let mut others: Vec<&Build> = builds.latest_of_each().filter(is_other).collect();
        others.sort_by_key(|b| (b.position, b.builder.name.clone()));
        // A branch whose own recipe names other builders shows them, too: the queue uses them once it is accepted.
        named.extend(others.iter().map(|b| (b.builder.name.clone(), b.required)));
        let builder = |(name, required): (String, bool)| {
            let latest = builds.latest_of(&name);
            let build = match latest {
                Some(build) => state(at, build, &self.deciding),
                None => held.map_or(verdict::Build::NotAsked, verdict::Build::Held),
            };
            let page = latest.map(|b| names::build_page(&project.name, b.id));
            verdict::Builder { name, required, build, page }
        };
        named.into_iter().map(builder).collect()
    }
}

/// Revisions by number.
type Revisions = HashMap<RevisionId, Revision>;

fn title(branch: &Branch, newest: Option<&Revision>, entries: &[Entry], revisions: &Revisions) -> String {
    let landed = entries.iter().find(|entry| branch.state == BranchState::Landed && entry.landed.is_some());
    let of = landed.and_then(|entry| revisions.get(&entry.revision)).or(newest);
    let subject = of.map(|revision| revision.subject.clone()).unwrap_or_default();
    Some(branch.title.clone()).filter(|title| !title.is_empty()).unwrap_or(subject)
}

/// The recipe of the mainline that is shown, and of no other that was read meanwhile.
async fn of_mainline(project: &Guarded, tip: Option<&CommitId>) -> RecipeState {
    let latest = project.recipe();
    match (&latest, tip) {
        (RecipeState::Fine(it), Some(tip)) if it.commit != *tip => {
            recipes::at(project, tip).await.unwrap_or(RecipeState::Unknown)
        }
        _ => latest,
    }
}

/// What deserves a look of the recipe that a branch brings, where it is another than mainline's.
async fn own_warnings(project: &Guarded, candidate: Option<&Candidate>) -> Vec<String> {
    let Some(made) = candidate.filter(|c| c.changes_recipe).and_then(|c| c.made_commit()) else { return Vec::new() };
    match recipes::at(project, made).await {
        Ok(RecipeState::Fine(it)) => it.warnings.clone(),
        Ok(RecipeState::Unknown | RecipeState::Missing | RecipeState::Broken(_)) | Err(_) => Vec::new(),
    }
}

pub(super) fn author(branch: &Branch, newest: Option<&Revision>) -> String {
    newest.map(|r| r.author.clone()).filter(|a| !a.is_empty()).unwrap_or_else(|| branch.publisher.clone())
}

/// A day for people: `2026-11-26`.
fn day(at: UnixMs) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(at.0).ok()?;
    Some(at.to_zoned_datetime(jiff::tz::TimeZone::UTC).date().to_string())
}

fn life(branch: &Branch, newest: Option<&Revision>, entries: &[Entry]) -> Life {
    match branch.state {
        BranchState::Live => Life::Live,
        BranchState::Landed => {
            let number = newest.map(|r| r.number);
            let entry = entries.iter().find(|e| e.landed.is_some());
            let commit = entry.and_then(|e| e.landed.as_ref()).map_or("", CommitId::short).to_owned();
            let newest = newest.filter(|r| entry.is_some_and(|e| e.commit != r.commit)).map(|r| r.number);
            let newer = match (&branch.newer_head, newest) {
                (_, Some(number)) => Some(number),
                (Some(_), None) => Some(number.map_or(1, |n| n + 1)),
                (None, None) => None,
            };
            let out = entry.and_then(|e| e.taken_out.clone());
            let out = out.and_then(|it| Some(verdict::TakenOut { day: day(it.at)?, tip_by: it.tip_by }));
            Life::Landed { commit, newer, taken_out: out }
        }
        BranchState::Withdrawn => {
            Life::Withdrawn { by: branch.state_text.strip_prefix("withdrawn by ").unwrap_or_default().to_owned() }
        }
        BranchState::Retired => match branch.state_text.as_str() {
            "in-mainline" => Life::InMainline,
            "quiet" => Life::Quiet,
            _ => Life::Gone,
        },
    }
}

fn source(branch: &Branch, fetched: bool) -> Source {
    let Some(store::Trouble { code, text, hint }) = branch.trouble.clone() else { return Source::Fine };
    let gone = fetched && GONE.contains(&code.as_str());
    let trouble = Trouble { code, text, hint };
    if gone { Source::Gone(trouble) } else { Source::Trouble(trouble) }
}

fn lost(revision: &Revision) -> Option<Trouble> {
    let store::Trouble { code, text, hint } = revision.lost.clone()?;
    Some(Trouble { code, text, hint })
}

fn trouble(refusal: Refusal) -> Trouble {
    Trouble { code: refusal.code, text: refusal.text, hint: refusal.hint }
}

fn recipe(state: &RecipeState, candidate: Option<&Candidate>) -> verdict::Recipe {
    match state {
        RecipeState::Unknown | RecipeState::Fine(_) if candidate.is_some_and(|c| c.recipe_trouble.is_some()) => {
            let own = candidate.and_then(|c| c.recipe_trouble.clone()).map(trouble);
            verdict::Recipe::BrokenInBranch(own.unwrap_or_default())
        }
        RecipeState::Unknown | RecipeState::Fine(_) => verdict::Recipe::Fine,
        RecipeState::Missing => verdict::Recipe::Missing,
        RecipeState::Broken(trouble) => verdict::Recipe::Broken(trouble.clone()),
    }
}

/// The candidate that counts. One on an older mainline says the same of that of now, unless something has moved that it touches:
/// then it says what was so, until the next is made.
fn outcome(candidate: Option<&Candidate>) -> verdict::Candidate {
    let Some(candidate) = candidate else { return verdict::Candidate::NotMade };
    match &candidate.outcome {
        api::CandidateOutcome::Made { .. } => verdict::Candidate::Made,
        api::CandidateOutcome::Conflict { files } => {
            verdict::Candidate::Conflict(files.iter().map(|f| f.path.clone()).collect())
        }
        api::CandidateOutcome::Refused(refusal) if IN_MAINLINE.contains(&refusal.code.as_str()) => {
            verdict::Candidate::Superseded
        }
        api::CandidateOutcome::Refused(refusal) => verdict::Candidate::Refused(trouble(refusal.clone())),
        api::CandidateOutcome::MainlineTrouble(refusal) => {
            verdict::Candidate::MainlineTrouble(trouble(refusal.clone()))
        }
    }
}

/// Of builds that ended, the steps that decided how.
#[derive(Default)]
pub(super) struct Deciding(HashMap<BuildId, Step>);

impl Deciding {
    pub(super) async fn of<'b>(store: &Reader, builds: impl Iterator<Item = &'b Build>) -> Result<Self, ReadError> {
        let ended = |build: &&Build| {
            let result = build.result();
            matches!(result, Some(BuildResult::Failure | BuildResult::Exception | BuildResult::Warnings))
        };
        Ok(Self(store.deciding_steps(builds.filter(ended).map(|build| build.id)).await?))
    }
}

/// Where a build is, as verdicts have it.
pub(super) fn state(at: &Moment<'_>, build: &Build, deciding: &Deciding) -> verdict::Build {
    match build.state {
        BuildRowState::Waiting => verdict::Build::Waiting(at.wait_of(build.id)),
        BuildRowState::Running => {
            verdict::Build::Running { step: build.says.strip_prefix("step ").map(ToOwned::to_owned) }
        }
        BuildRowState::Finished(result) => {
            let step = deciding.0.get(&build.id);
            let (step, lacks) = step.map_or((None, None), |step| (Some(step.name.clone()), step.lacks.clone()));
            verdict::Build::Finished { result, step, says: build.says.clone(), lacks }
        }
    }
}

fn place(branch: &Branch, entries: &[Entry], revisions: &Revisions, queue: &[Entry]) -> verdict::Queue {
    // What left before the branch was published again says nothing of it now.
    let counts = |entry: &&Entry| entry.left.is_none_or(|left| left > branch.published);
    let Some(entry) = entries.first().filter(counts) else { return verdict::Queue::None };
    let revision = revisions.get(&entry.revision).map_or(0, |revision| revision.number);
    let says = entry.standing.says.clone();
    let next = entry.standing.next.clone();
    match entry.state {
        EntryState::Landed => verdict::Queue::None,
        EntryState::Ejected => verdict::Queue::Ejected { revision, says, next },
        EntryState::Queued => {
            let before = queue.iter().position(|e| e.id == entry.id).unwrap_or(0);
            let place = u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1);
            let code = Code::ALL.iter().copied().find(|c| c.as_str() == entry.standing.code).unwrap_or(Code::Making);
            verdict::Queue::In { place, revision, code, says, next }
        }
    }
}
