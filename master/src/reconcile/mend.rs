//! Compares what rows name with what the mirror holds, at the master's start, now and then, and when somebody could not
//! read it. What is missing is brought back: refs from the rows, candidates by making them again, revisions by a look at
//! their branch, which fetches them again.

use super::candidates::KeptRequest;
use super::each::each;
use super::look::latest_look;
use super::{Again, StepError};
use crate::project::Guarded;
use crate::state::Shared;
use crate::store::{Branch, BranchState, Candidate, Revision, Round};
use protocol::CommitId;
use std::time::Duration;
use tracker::candidate::CandidateOutcome;
use tracker::mirror::{Mirror, Named};

/// How often, when nothing was found missing by others.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// Branches that ended, compared in one turn beside all that are live.
const ENDED: u32 = 200;
/// Branches, or candidates, that are compared by one question as long as nothing is wrong with any of them.
const TOGETHER: usize = 500;
/// How soon again when the mirror could not be looked through because somebody holds it.
const HELD: Duration = Duration::from_secs(60);
/// How soon again when mainline itself is not there yet: nothing can be brought back before it.
const SOON: Duration = Duration::from_millis(500);

pub(super) async fn step(shared: &Shared, project: &Guarded) -> Result<Again, StepError> {
    Ok(compare(shared, project).await?.map_or(Again::After(SOON), |again| again.or(Again::After(EVERY))))
}

/// One comparison; none when it can't be made yet.
pub(super) async fn compare(shared: &Shared, project: &Guarded) -> Result<Option<Again>, StepError> {
    let Some(claim) = project.claim() else { return Ok(None) };
    let Some(tip) = shared.store.project_by_id(project.id).await?.tip else { return Ok(None) };
    shared.store.look_not_later_than(claim, latest_look(shared)).await?;
    project.mirror.make_again_if_gone().await?;
    // Before anything else is asked of it: none of its refs can be read else.
    if project.mirror.mend_packed_refs().await? {
        project.look_at_mainline();
    }
    let whole_look = project.takes_whole_look();
    if whole_look && !is_mainline_whole(project, &tip).await? {
        tracing::warn!(project = %project.name, "something of mainline's history is missing in the mirror");
        project.mirror.distrust_mainline().await?;
        project.look_at_mainline();
    }
    if project.mirror.lacks(&tip).await?.is_some() {
        project.look_at_mainline();
        return Ok(None);
    }
    project.mirror.forget_dead_refs().await?;
    let mut branches = shared.store.branches(project.id, 0).await?;
    let ended = shared.store.next_ended(claim, Round::Mend, ENDED).await?;
    branches.extend(ended.iter().cloned());
    let mut kept = shared.store.admitted_of(branches).await?;
    let mut again = Again::AtTick;
    while !kept.is_empty() {
        let some: Vec<_> = kept.drain(..TOGETHER.min(kept.len())).collect();
        let all = some.iter().flat_map(|(branch, all)| named(branch, all)).collect();
        let items: Vec<i64> = some.iter().map(|(branch, _)| branch.id.0).collect();
        if is_whole(project, "mend", all, &items).await {
            continue;
        }
        let each_by_itself = each(
            project,
            "mend",
            some,
            |(branch, _)| branch.id.0,
            |(branch, all)| async move {
                let missing = project.mirror.missing(named(&branch, &all)).await?;
                // What ended has its record; only of what may still land the objects must come back. What was found lost before
                // is looked for by the looks of its branch.
                let is_news = all.iter().any(|r| r.lost.is_none() && missing.iter().any(|it| it.commit == r.commit));
                if branch.state == BranchState::Live && is_news {
                    tracing::warn!(branch = %branch.name, missing = missing.len(), "commits are missing in the mirror");
                    shared.store.look_now(branch.id).await?;
                }
                Ok(())
            },
        );
        again = again.or(each_by_itself.await?);
    }
    shared.store.went_round(claim, Round::Mend, &ended, ENDED).await?;
    let mut wanted = shared.store.wanted_candidates(project.id).await?;
    while !wanted.is_empty() {
        let some: Vec<_> = wanted.drain(..TOGETHER.min(wanted.len())).collect();
        let all = some.iter().filter_map(|(branch, revision, it)| candidate_ref(branch, revision, it)).collect();
        let items: Vec<i64> = some.iter().map(|(.., it)| it.id.0).collect();
        if is_whole(project, "mend-candidate", all, &items).await {
            continue;
        }
        let each_by_itself = each(
            project,
            "mend-candidate",
            some,
            |(.., it)| it.id.0,
            |(branch, revision, candidate)| async move {
                mend_candidate(shared, project, &branch, &revision, &candidate).await
            },
        );
        again = again.or(each_by_itself.await?);
    }
    // Last, because it reads everything: git never writes an object that seems to be there.
    if whole_look {
        match project.mirror.puts_aside().await? {
            Some(false) => {}
            Some(true) => {
                project.mirror.distrust_mainline().await?;
                project.look_at_mainline();
                return Ok(Some(Again::Now));
            }
            // Upkeep or a backup is at work, which is so when upkeep has this done.
            None => {
                project.owes_whole_look();
                again = again.or(Again::After(HELD));
            }
        }
    }
    Ok(Some(again))
}

/// Whether all of these are whole and held by their refs, asked at once. Where something is wrong with one of them, or with the
/// question, each is to be looked at by itself, so that its trouble is its own.
async fn is_whole(project: &Guarded, reconciler: &'static str, all: Vec<Named>, items: &[i64]) -> bool {
    let is_whole = project.mirror.missing(all).await.is_ok_and(|missing| missing.is_empty());
    if is_whole {
        items.iter().for_each(|item| project.troubles.fine((reconciler, *item)));
    }
    is_whole
}

/// Whether all of mainline is in the mirror: where it was fetched last, which its row says only after it could be read.
async fn is_mainline_whole(project: &Guarded, tip: &CommitId) -> Result<bool, StepError> {
    let fetched = match project.official() {
        Ok((_, branch)) => project.mirror.ref_at(&branch.full()).await?,
        Err(_) => None,
    };
    Ok(project.mirror.is_whole(fetched.as_ref().unwrap_or(tip)).await?)
}

/// The refs of a branch's revisions, and of its newest as its head.
pub(crate) fn named(branch: &Branch, all: &[Revision]) -> Vec<Named> {
    let one = |revision: &Revision| Named {
        reference: Mirror::revision_ref(&branch.name, revision.number),
        commit: revision.commit.clone(),
    };
    let head = all.first().map(|r| Named { reference: Mirror::head_ref(&branch.name), commit: r.commit.clone() });
    all.iter().map(one).chain(head).collect()
}

/// The ref that is to hold a candidate.
fn candidate_ref(branch: &Branch, revision: &Revision, candidate: &Candidate) -> Option<Named> {
    let commit = candidate.made_commit()?;
    let reference = Mirror::kept_candidate_ref(&branch.name, revision.number, commit);
    Some(Named { reference, commit: commit.clone() })
}

/// A candidate that is not whole is made again, by all that its row names and nothing of now: that gives the same commit.
pub(crate) async fn mend_candidate(
    shared: &Shared,
    project: &Guarded,
    branch: &Branch,
    revision: &Revision,
    candidate: &Candidate,
) -> Result<(), StepError> {
    let Some(named) = candidate_ref(branch, revision, candidate) else { return Ok(()) };
    let commit = &named.commit.clone();
    if project.mirror.missing(vec![named]).await?.is_empty() {
        return Ok(());
    }
    if project.mirror.lacks(&revision.commit).await?.is_some() {
        // Its turn comes when the revision is back.
        return Ok(());
    }
    let again = match serde_json::from_str::<KeptRequest>(&candidate.request) {
        Ok(kept) => Some(project.mirror.candidate_again(&kept.request, kept.project).await?),
        Err(_) => None,
    };
    match again {
        Some(CandidateOutcome::Made(made)) if made.commit == *commit => {
            tracing::info!(branch = %branch.name, commit = commit.short(), "a lost candidate was made again");
            Ok(project.mirror.keep_candidate(&branch.name, revision.number, commit).await?)
        }
        // Another git, or another bb, makes another one of it, or its row does not say of what it is made: so what was made
        // before is no use any more.
        _ => {
            tracing::warn!(branch = %branch.name, commit = commit.short(), "a lost candidate can't be made again: another is made");
            match project.claim() {
                Some(claim) => Ok(shared.store.discard_candidate(claim, candidate.id).await?),
                None => Ok(()),
            }
        }
    }
}
