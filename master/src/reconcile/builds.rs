//! Asks for builds of new revisions, by mainline's recipe: a branch can't choose how it is built before it is accepted.
//! Those that still wait when mainline or its recipe moves on go along.

use super::each::each;
use super::step::Turn;
use super::{Again, StepError};
use crate::project::{Guarded, RecipeInUse, RecipeState, requests};
use crate::state::Shared;
use crate::store::{Build, Candidate, Change, Claim, Heard, Topic, Unasked};
use gate::pending::{Most, Pending};
use protocol::{BranchId, RevisionId};
use std::collections::BTreeMap;

/// `heard` is what changed since the last turn: whose builds that wait may have to go along.
pub(super) async fn step(shared: &Shared, project: &Guarded, heard: &Heard) -> Result<Turn, StepError> {
    let Some(claim) = project.claim() else { return Ok(Turn::Owes(Again::AtTick)) };
    // What ended or began makes room for those that were held, and for nothing else.
    if matches!(heard, Heard::Rows(rows) if rows.iter().all(|it| it.topic == Topic::Build)) && !project.holds_builds() {
        return Ok(Turn::Did(Again::AtTick));
    }
    let row = shared.store.project_by_id(project.id).await?;
    let (Some(tip), RecipeState::Fine(in_use)) = (row.tip, project.recipe()) else {
        return Ok(Turn::Owes(Again::AtTick));
    };
    // While mainline moves on, its recipe is read before the tip is recorded, and candidates are told of it afterwards.
    if in_use.commit != tip || row.followed.as_ref() != Some(&tip) {
        return Ok(Turn::Owes(Again::AtTick));
    }
    let recipe = &in_use.recipe;
    let mut asking = Asking::begin(shared, project, claim, &in_use).await?;
    let again = asking.ask(None, None).await?;
    Ok(match heard {
        Heard::Rows(rows) if project.asked_by().as_ref() == Some(recipe) => {
            let of_branch = |it: &&Change| matches!(it.topic, Topic::Candidate | Topic::Revision | Topic::Branch);
            let branches: Vec<BranchId> = rows.iter().filter(of_branch).map(|it| BranchId(it.id)).collect();
            // Those made again since the recipe got another builder, and those that were held.
            let made = (!project.holds_builds()).then_some(&branches[..]);
            let again = again.or(asking.ask_new_builders(made).await?);
            asking.end();
            if branches.is_empty() {
                return Ok(Turn::Did(again));
            }
            went_along(again, go_along(shared, project, claim, &in_use, Some(&branches)).await?)
        }
        Heard::Rows(_) | Heard::Nothing | Heard::All => {
            let again = again.or(asking.ask_new_builders(None).await?);
            asking.end();
            let went = go_along(shared, project, claim, &in_use, None).await?;
            project.set_asked_by(recipe);
            went_along(again, went)
        }
    })
}

/// Who asks reads again in each turn for whom nothing was asked. Whose builds go along does not: what was left alone there is
/// told again.
fn went_along(asked: Again, went: Again) -> Turn {
    match went {
        Again::AtTick => Turn::Did(asked),
        Again::After(_) | Again::Now => Turn::Owes(asked.or(went)),
    }
}

/// One turn's asking: of strangers' builds no more than may wait, first come, first served.
struct Asking<'a> {
    shared: &'a Shared,
    project: &'a Guarded,
    claim: Claim,
    in_use: &'a RecipeInUse,
    most: Most,
    pending: Pending,
}

impl<'a> Asking<'a> {
    async fn begin(
        shared: &'a Shared,
        project: &'a Guarded,
        claim: Claim,
        in_use: &'a RecipeInUse,
    ) -> Result<Self, StepError> {
        let most = shared.config.registrations.pending();
        let pending = shared.store.pending(most).await?;
        Ok(Self { shared, project, claim, in_use, most, pending })
    }

    /// Asks for the builds of new revisions; or for those by a builder that mainline's recipe has got since. Of these branches, or
    /// of all.
    async fn ask(&mut self, new_builder: Option<&str>, of: Option<&[BranchId]>) -> Result<Again, StepError> {
        let (store, project, recipe) = (&self.shared.store, self.project, &self.in_use.recipe);
        let all = gate::builders::builders_for(recipe).len();
        let builds = u32::try_from(new_builder.map_or(all, |_| 1)).unwrap_or(u32::MAX);
        let mut unasked = store.unasked(project.id, &self.in_use.commit, new_builder, of).await?;
        unasked.retain(|it| it.branch.stranger().is_none_or(|who| self.pending.ask(&who, builds).is_ok()));
        let (claim, most) = (self.claim, Some(self.most));
        let ask = |it: Unasked| async move {
            let candidate = store.candidate_by_id(it.candidate).await?;
            let wanted = |name: &str| new_builder.is_none_or(|new| new == name);
            let requests = requests(project, &it.branch, &candidate, recipe, false, wanted);
            let new_revision = new_builder.is_none().then_some(candidate.revision);
            // Should others have asked meanwhile, it stays for the next turn.
            let _ = store.ask_within(claim, &requests, new_revision, most).await?;
            Ok(())
        };
        let name = if new_builder.is_none() { "builds" } else { "builds-of-new-builder" };
        each(project, name, unasked, |it| it.candidate.0, ask).await
    }

    /// A builder that mainline's recipe has got since is asked too, for these branches, or for all.
    async fn ask_new_builders(&mut self, of: Option<&[BranchId]>) -> Result<Again, StepError> {
        let mut again = Again::AtTick;
        if of.is_some_and(<[BranchId]>::is_empty) {
            return Ok(again);
        }
        for builder in gate::builders::builders_for(&self.in_use.recipe) {
            again = again.or(self.ask(Some(&builder.name), of).await?);
        }
        Ok(again)
    }

    /// Whose builds wait for room is told on their pages.
    fn end(self) {
        if self.project.set_held(self.pending) {
            self.shared.store.say(Change::of(self.project.id, Topic::Build, 0));
        }
    }
}

/// Builds that wait are of the candidate and the recipe of now: those of these branches, or all.
async fn go_along(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    in_use: &RecipeInUse,
    branches: Option<&[BranchId]>,
) -> Result<Again, StepError> {
    let store = &shared.store;
    let mut of_revision: BTreeMap<RevisionId, Vec<Build>> = BTreeMap::new();
    for build in store.waiting_for_branches(project.id, branches).await? {
        of_revision.entry(build.revision).or_default().push(build);
    }
    let go_along = |(revision, waiting): (RevisionId, Vec<Build>)| async move {
        let of_now = store.standing_candidate(revision).await?.filter(Candidate::is_made);
        let Some(candidate) = of_now else { return Ok(()) };
        let branch = store.branch_by_id(candidate.branch).await?;
        let requests = requests(project, &branch, &candidate, &in_use.recipe, false, |_| true);
        if waiting.iter().any(|build| requests.iter().all(|request| !build.is_as_asked(request))) {
            store.move_waiting(claim, revision, &requests).await?;
        }
        Ok(())
    };
    let of_revision: Vec<_> = of_revision.into_iter().collect();
    each(project, "builds-that-wait", of_revision, |(revision, _)| revision.0, go_along).await
}
