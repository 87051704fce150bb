//! What became of branches afterwards: those of which mainline has all, those that a rewrite of mainline took out again, and
//! those whose source moved on since they landed.

use super::StepError;
use crate::project::Guarded;
use crate::state::Shared;
use crate::store::{Branch, Claim, NEVER, Revision, now};
use protocol::api::{CandidateOutcome, Refusal};
use protocol::{CommitId, UnixMs};
use tracker::mirror::{MirrorError, Relation};
use tracker::watch::Head;

/// Landed branches that are compared with a mainline that was rewritten.
const LANDED: u32 = 1000;

/// Ends live branches whose commits mainline contains, whoever put them there.
pub(super) async fn contained(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    tip: &CommitId,
) -> Result<(), StepError> {
    for (branch, revision) in shared.store.contained(project.id, tip).await? {
        if shared.store.found_in_mainline(claim, &branch, &revision, tip).await? {
            tracing::info!(project = %project.name, branch = %branch.name, "mainline has all of it");
        }
    }
    Ok(())
}

/// What came of a candidate that would change nothing, told by whether mainline has the patches of its commits, as after a
/// cherry-pick. One that changes nothing for another reason stays: its author may mean something else.
pub(super) async fn or_same_patches(
    project: &Guarded,
    outcome: CandidateOutcome,
    revision: &Revision,
    tip: &CommitId,
) -> Result<CandidateOutcome, StepError> {
    match outcome {
        CandidateOutcome::Refused(it)
            if it.code == "no-changes" && project.mirror.has_patches(tip, &revision.commit).await? =>
        {
            let text = format!("mainline has the patches of r{} already", revision.number);
            Ok(CandidateOutcome::Refused(Refusal { code: "same-patches".to_owned(), text, ..it }))
        }
        other => Ok(other),
    }
}

/// Compares what landed with a mainline that moved: only where the new tip does not descend from the old one, or where
/// something is known to be taken out, can anything be other than before.
pub(super) async fn compare(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    before: Option<&CommitId>,
    tip: &CommitId,
) -> Result<(), StepError> {
    let Some(before) = before else { return Ok(()) };
    let rewritten = !is_in(project, before, tip).await?;
    for entry in shared.store.landed_entries(project.id, !rewritten, LANDED).await? {
        let Some(landed) = &entry.landed else { continue };
        let out = !is_in(project, landed, tip).await?;
        shared.store.set_taken_out(claim, &entry, out).await?;
    }
    Ok(())
}

/// Whether mainline holds a commit.
async fn is_in(project: &Guarded, commit: &CommitId, tip: &CommitId) -> Result<bool, StepError> {
    match project.mirror.relation(tip, commit).await {
        Ok(Relation::Same | Relation::Behind) => Ok(true),
        Ok(Relation::Ahead { .. } | Relation::Unrelated) | Err(MirrorError::NoCommit { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Looks whether the source of a landed branch has moved on. Nothing is fetched: that is done when it is published again. A
/// branch that is not there any more has served its purpose.
pub(super) async fn look_at_landed(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    branch: &Branch,
    head: Option<Head>,
) -> Result<(), StepError> {
    let quiet_ms = i64::try_from(shared.config.times.poll_quiet_s).unwrap_or(0).saturating_mul(1000);
    let soon = UnixMs(now().0.saturating_add(quiet_ms.max(1000)));
    let known = branch.newer_head.as_ref();
    let at = match head {
        None => return Ok(shared.store.looked_at_landed(claim, branch, known, soon).await?),
        Some(Head::Absent) => return Ok(shared.store.looked_at_landed(claim, branch, known, NEVER).await?),
        Some(Head::At(at)) => at,
    };
    let known = shared.store.newest_revision(branch.id).await?.is_some_and(|revision| revision.commit == at);
    let tip = shared.store.project_by_id(project.id).await?.tip;
    let in_mainline = match &tip {
        Some(tip) => is_in(project, &at, tip).await?,
        None => false,
    };
    let newer = (!known && !in_mainline).then_some(&at);
    Ok(shared.store.looked_at_landed(claim, branch, newer, soon).await?)
}
