//! The facts that a verdict is judged by.

use super::{Moment, ReadError};
use crate::names;
use crate::project::{Guarded, RecipeState, recipes};
use crate::reconcile::mainline_of;
use crate::store::{self, Branch, Build, Builds, Candidate, Entry, EntryState, Reader, Revision, Rows, Step};
use crate::terms::Terms;
use gate::verdict::{self, Facts, Surroundings};
use protocol::{BranchId, BuildId, BuildResult, CommitId, RevisionId};
use std::collections::HashMap;

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
    project: Surroundings,
    newest: HashMap<BranchId, Revision>,
    candidates: HashMap<RevisionId, Candidate>,
    builds: HashMap<RevisionId, Builds>,
    deciding: Deciding,
    entries: HashMap<BranchId, Vec<Entry>>,
    /// The revisions that the entries are of.
    accepted: Revisions,
    places: HashMap<i64, u32>,
}

impl Around {
    async fn of(at: &Moment<'_>, project: &Guarded, branches: &[Branch]) -> Result<Self, ReadError> {
        let store = &at.store;
        let ids = || branches.iter().map(|branch| branch.id);
        let newest = store.newest_revisions(ids()).await?;
        let builds = store.latest_builds(newest.values().map(|revision| revision.id)).await?;
        let entries = store.places_of(ids()).await?;
        let queued = entries.values().flatten().filter(|entry| entry.state == EntryState::Queued).map(|entry| entry.id);
        Ok(Self {
            project: surroundings(at, project).await?,
            candidates: store.candidates_of(newest.values().map(|revision| revision.id)).await?,
            deciding: Deciding::of(store, builds.values().flat_map(Builds::iter)).await?,
            accepted: store.revisions_by_id(entries.values().flatten().map(|entry| entry.revision)).await?,
            places: store.places_in_queue(project.id, queued).await?,
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
        let accepted = entries.first().and_then(|entry| self.accepted.get(&entry.revision));
        let own = store::own(Rows {
            branch: &branch,
            newest: newest.as_ref(),
            candidate: store::outcome(candidate.as_ref().map(|candidate| &candidate.outcome)),
            changes_recipe: candidate.as_ref().is_some_and(|c| c.changes_recipe),
            recipe_trouble: candidate.as_ref().and_then(|c| c.recipe_trouble.as_ref()),
            builders: self.builders(at, project, &builds, branch.trusted),
            entries: &entries,
            accepted: accepted.map_or(0, |revision| revision.number),
            place: entries.first().and_then(|entry| self.places.get(&entry.id)).copied().unwrap_or(1),
        });
        let facts = Facts {
            recipe_warnings: own_warnings(project, candidate.as_ref()).await,
            ..self.project.around(own, held)
        };
        let landed = store::landed(&entries).and_then(|entry| self.accepted.get(&entry.revision));
        let title = store::title(&branch, newest.as_ref(), landed);
        let terms = at.terms_of(project, &branch);
        Known { branch, newest, candidate, builds, entries, facts, title, terms }
    }

    /// The builders that have a build, in the recipe's order, each with its latest.
    fn builders(&self, at: &Moment<'_>, project: &Guarded, builds: &Builds, trusted: bool) -> Vec<verdict::Builder> {
        let mut latest: Vec<&Build> = builds.latest_of_each().collect();
        latest.sort_by_key(|build| (build.position, &build.builder.name));
        let builder = |build: &Build| verdict::Builder {
            name: build.builder.name.clone(),
            required: build.required,
            build: state(at, build, trusted, &self.deciding),
            page: Some(names::build_page(&project.name, build.id)),
        };
        latest.into_iter().map(builder).collect()
    }
}

/// What of a project the verdicts of all its branches depend on.
pub(super) async fn surroundings(at: &Moment<'_>, project: &Guarded) -> Result<Surroundings, ReadError> {
    let row = at.project(project.id).await?;
    let (recipe, builders) = match of_mainline(project, row.tip.as_ref()).await {
        RecipeState::Unknown => (verdict::Recipe::Unknown, Vec::new()),
        RecipeState::Missing => (verdict::Recipe::Missing, Vec::new()),
        RecipeState::Broken(trouble) => (verdict::Recipe::Broken(trouble), Vec::new()),
        RecipeState::Fine(it) => {
            let all = gate::builders::builders_for(&it.recipe).into_iter();
            (verdict::Recipe::Fine, all.map(|b| (b.name.clone(), b.required)).collect())
        }
    };
    Ok(Surroundings { mainline: mainline_of(&row), recipe, builders, stuck: at.stuck() })
}

/// Revisions by number.
type Revisions = HashMap<RevisionId, Revision>;

/// The recipe of the mainline that is shown, and of no other that was read meanwhile.
async fn of_mainline(project: &Guarded, tip: Option<&CommitId>) -> RecipeState {
    let latest = project.recipe();
    match (&latest, tip) {
        (RecipeState::Fine(it), Some(tip)) if it.commit != *tip => recipe_at(project, tip).await,
        // The official repository was not read since the start, and the mirror has what it was at last.
        (RecipeState::Unknown, Some(tip)) => recipe_at(project, tip).await,
        _ => latest,
    }
}

async fn recipe_at(project: &Guarded, tip: &CommitId) -> RecipeState {
    recipes::at(project, tip).await.unwrap_or(RecipeState::Unknown)
}

/// What deserves a look of the recipe that a branch brings, where it is another than mainline's.
async fn own_warnings(project: &Guarded, candidate: Option<&Candidate>) -> Vec<String> {
    let Some(made) = candidate.filter(|c| c.changes_recipe).and_then(|c| c.made_commit()) else { return Vec::new() };
    match recipes::at(project, made).await {
        Ok(RecipeState::Fine(it)) => it.warnings.clone(),
        Ok(RecipeState::Unknown | RecipeState::Missing | RecipeState::Broken(_)) | Err(_) => Vec::new(),
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

impl Deciding {
    pub(super) fn step_of(&self, build: BuildId) -> Option<&Step> {
        self.0.get(&build)
    }
}

/// Where a build is, as verdicts have it.
pub(super) fn state(at: &Moment<'_>, build: &Build, trusted: bool, deciding: &Deciding) -> verdict::Build {
    let step = deciding.0.get(&build.id).map(|step| (step.name.clone(), step.lacks.clone()));
    match store::build_as_told(build, step) {
        verdict::Build::Waiting(_) => verdict::Build::Waiting(at.wait_of(build, trusted)),
        state => state,
    }
}
