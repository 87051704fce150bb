//! Makes candidates: for every live branch's newest revision, and every accepted one, on the mainline of now.

use super::{Again, StepError};
use crate::names;
use crate::recipes;
use crate::state::{Guarded, RecipeState, Shared};
use crate::store::{Branch, Made, NewCandidate, Outcome, Revision, now};
use jiff::{Timestamp, tz::TimeZone};
use protocol::CommitId;
use protocol::api::{CandidateOutcome, Refusal};
use tracker::candidate::{self, CandidateRequest, Identity, Message};
use tracker::read::{DiffLimits, text_diff};

/// Candidates made in one turn. Few: what was accepted meanwhile goes first in the next.
const TURN: u32 = 8;

/// The day that entries folded now are dated, in UTC.
pub(super) fn today() -> String {
    Timestamp::now().to_zoned_datetime(TimeZone::UTC).date().to_string()
}

pub(super) async fn step(shared: &Shared, project: &Guarded) -> Result<Again, StepError> {
    let Some(claim) = project.claim() else { return Ok(Again::AtTick) };
    let Some(tip) = shared.store.project_by_id(project.id).await?.tip else { return Ok(Again::AtTick) };
    let day = today();
    let wanted = shared.store.revisions_without_candidate(project.id, &tip, &day, TURN).await?;
    let more = wanted.len() == TURN as usize;
    for (branch, revision) in wanted {
        let request = request(shared, project, &branch, &revision, &tip, &day)?;
        let text = serde_json::to_string(&request)?;
        let made = project.mirror.candidate(&request).await?;
        let (outcome, detail, changes_recipe) = record(made)?;
        let mut recipe_trouble = None;
        if let Outcome::Made(made) = &outcome {
            if changes_recipe
                && let RecipeState::Broken(it) = recipes::of_candidate(shared, project, &made.commit).await?
            {
                recipe_trouble = Some(Refusal { code: it.code, text: it.text, hint: it.hint });
            }
            let newest = shared.store.newest_revision(branch.id).await?.is_some_and(|r| r.id == revision.id);
            let (name, commit) = (&branch.name, &made.commit);
            project.mirror.keep_candidate(name, revision.number, commit).await?;
            if newest {
                project.mirror.set_candidate(name, commit).await?;
            }
        }
        let new =
            NewCandidate { mainline: &tip, day: &day, outcome, request: text, detail, changes_recipe, recipe_trouble };
        shared.store.add_candidate(claim, &branch, &revision, &new).await?;
        // On an older mainline no candidate is wanted any more, and the queue waits for the newer ones.
        if shared.store.project_by_id(project.id).await?.tip.as_ref() != Some(&tip) {
            return Ok(Again::Now);
        }
    }
    Ok(if more { Again::Now } else { Again::AtTick })
}

fn request(
    shared: &Shared,
    project: &Guarded,
    branch: &Branch,
    revision: &Revision,
    tip: &CommitId,
    day: &str,
) -> Result<CandidateRequest, StepError> {
    let of_recipe = match project.recipe() {
        RecipeState::Fine(it) => it.recipe.project.clone(),
        RecipeState::Unknown | RecipeState::Missing | RecipeState::Broken(_) => recipe::Project::default(),
    };
    let page = names::branch_page(&project.name, &branch.name);
    Ok(CandidateRequest {
        branch: branch.name.clone(),
        revision: revision.number,
        mainline: tip.clone(),
        commit: revision.commit.clone(),
        date: day.parse::<jiff::civil::Date>()?,
        project: of_recipe,
        message: Message {
            title: branch.title.clone(),
            bugs: branch.bugs.clone(),
            page: Some(format!("{}{page}", shared.url)),
            trailers: Vec::new(),
        },
        committer: Identity {
            name: shared.config.committer.name.clone(),
            email: shared.config.committer.email.clone(),
        },
        when: now().0 / 1000,
    })
}

/// What the store keeps of a candidate.
fn record(made: candidate::CandidateOutcome) -> Result<(Outcome, CandidateOutcome, bool), StepError> {
    Ok(match made {
        candidate::CandidateOutcome::Made(made) => {
            let tree = made.tree.parse()?;
            let changelogs = made.changelogs.iter().map(|change| {
                let path = tracker::text::shown(change.path.as_bytes());
                text_diff(&path, &change.before, &change.after, DiffLimits::default())
            });
            let detail = CandidateOutcome::Made {
                commit: made.commit.clone(),
                changelogs: changelogs.collect::<Result<_, _>>()?,
                fragments: made.fragments,
                notes: made.notes,
            };
            (Outcome::Made(Made { commit: made.commit, tree }), detail, made.changes_recipe)
        }
        candidate::CandidateOutcome::Conflict { files, .. } => {
            (Outcome::Conflict, CandidateOutcome::Conflict { files }, false)
        }
        candidate::CandidateOutcome::Refused(refusal) => (Outcome::Refused, CandidateOutcome::Refused(refusal), false),
    })
}
