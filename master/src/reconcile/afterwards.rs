//! What became of branches afterwards: those of which mainline has all, those that a rewrite of mainline took out again, and
//! those whose source moved on since they landed.

use super::StepError;
use crate::project::Guarded;
use crate::state::Shared;
use crate::store::{Branch, Candidate, Claim, NEVER, Project, Revision, now};
use protocol::api::{CandidateOutcome, Refusal};
use protocol::{CommitId, Hint, UnixMs};
use tracker::mirror::MirrorError;
use tracker::watch::Head;

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

/// Why a candidate that can't land is in mainline all the same: it has the patches of its commits, as after a cherry-pick, or
/// that of all of them together, as after a squash by hand. One that would change nothing for another reason stays: its
/// author may mean something else. One that conflicts was squashed and then changed further; it was compared when it began to.
pub(super) async fn same_patches(
    project: &Guarded,
    outcome: &CandidateOutcome,
    before: Option<&Candidate>,
    revision: &Revision,
    tip: &CommitId,
) -> Result<Option<Refusal>, StepError> {
    let hint = match outcome {
        CandidateOutcome::Refused(it) if it.code == "no-changes" => it.hint.clone(),
        CandidateOutcome::Conflict { .. } if before.is_some_and(|before| !conflicts(before)) => Hint::default(),
        _ => return Ok(None),
    };
    if !project.mirror.has_patches(tip, &revision.commit).await? {
        return Ok(None);
    }
    let text = format!("mainline has the changes of r{} already", revision.number);
    Ok(Some(Refusal { code: "same-patches".to_owned(), text, hint }))
}

fn conflicts(candidate: &Candidate) -> bool {
    matches!(candidate.outcome, CandidateOutcome::Conflict { .. })
}

/// Whether mainline only went on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Went {
    On,
    /// It was rewritten, or that it was not can't be seen.
    Elsewhere,
}

/// Compares all rows with a mainline that is at `tip` now, where that is not where they were compared last. In between it
/// may have been where the row says: a landing moves that on by itself. Whoever calls it writes down that it was done, when all
/// that follows from it is done, too.
pub(super) async fn compare(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    known: &Project,
    tip: &CommitId,
) -> Result<Went, StepError> {
    let mut before = known.compared.as_ref();
    let mut went = Went::On;
    for at in known.tip.iter().chain([tip]) {
        if before == Some(at) {
            continue;
        }
        before = match step(shared, project, claim, before, at).await {
            Ok(Went::On) => Some(at),
            Ok(Went::Elsewhere) => {
                went = Went::Elsewhere;
                Some(at)
            }
            // What the mirror has lost of where it was says nothing: all is compared with what it holds now.
            Err(StepError::Mirror(error)) if at != tip => {
                tracing::warn!(project = %project.name, %error, "where mainline was can't be compared");
                project.look_after_mirror();
                None
            }
            Err(error) => return Err(error),
        };
    }
    Ok(went)
}

/// Compares all rows with a mainline that went from `before`, where they were compared with it, to `tip`: what was ever pushed
/// from here, however that was thought to have ended, is landed if it came, and so is what of a line came alone; what landed is taken out if it went. However many
/// rows there are, the two histories are walked once.
async fn step(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    before: Option<&CommitId>,
    tip: &CommitId,
) -> Result<Went, StepError> {
    let pushed = shared.store.unlanded(project.id).await?;
    // Where mainline only went on, nothing of it can be gone.
    let went_on = match before {
        Some(before) => went_on(project, before, tip).await,
        None => false,
    };
    let landed = shared.store.landed_entries(project.id, went_on).await?;
    let members = pushed.iter().flat_map(|it| it.members.iter().map(|member| &member.commit).chain([&it.to]));
    let wanted = members.chain(landed.iter().filter_map(|it| it.landed.as_ref()));
    let moved = project.mirror.moved(before, tip, wanted.cloned().collect()).await?;
    for landing in &pushed {
        let lower = &landing.members[..landing.landed_by(&moved.came)];
        if moved.came.contains(&landing.to) {
            tracing::info!(project = %project.name, commit = landing.to.short(), "found on mainline: it landed");
            shared.store.landed(landing).await?;
        } else if let Some(top) = lower.last() {
            // Somebody else has pushed it: whoever stood on it has not landed.
            tracing::info!(project = %project.name, commit = top.commit.short(), "found on mainline: a part of a line landed");
            shared.store.lower_landed(landing, lower).await?;
        }
    }
    let mut tip_by = None;
    for (entry, commit) in landed.iter().filter_map(|it| Some((it, it.landed.as_ref()?))) {
        if entry.taken_out.is_some() && moved.came.contains(commit) {
            shared.store.set_taken_out(claim, entry, None).await?;
        } else if entry.taken_out.is_none() && moved.went.contains(commit) {
            let by = match &tip_by {
                Some(by) => by,
                None => tip_by.insert(by(shared, project, tip).await?),
            };
            shared.store.set_taken_out(claim, entry, Some(by)).await?;
        }
    }
    Ok(if went_on { Went::On } else { Went::Elsewhere })
}

/// Has branches that were retired because mainline had all of them be live again where a rewritten mainline has not. The rows
/// have followed it to `tip` before: a candidate on the mainline of before would have them retired once more.
pub(super) async fn bring_back(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    tip: &CommitId,
) -> Result<(), StepError> {
    for revision in shared.store.retired_in_mainline(project.id).await? {
        if !still_has(project, tip, &revision).await {
            let by = by(shared, project, tip).await?;
            shared.store.gone_from_mainline(claim, &revision, &by).await?;
        }
    }
    Ok(())
}

/// Whether mainline is known to have only gone on. What the mirror has lost of where it was shows nothing, and is no reason for
/// mainline to stand still: all that landed is looked for then.
async fn went_on(project: &Guarded, before: &CommitId, tip: &CommitId) -> bool {
    project.mirror.holds(tip, before).await.unwrap_or_else(|error| {
        tracing::warn!(project = %project.name, %error, "whether mainline only went on can't be seen");
        project.look_after_mirror();
        false
    })
}

/// Whether a mainline that was rewritten still has all of a revision, as commits or as patches. What can't be read shows nothing.
async fn still_has(project: &Guarded, tip: &CommitId, revision: &Revision) -> bool {
    let has = async {
        let holds = project.mirror.holds(tip, &revision.commit).await?;
        Ok::<_, MirrorError>(holds || project.mirror.has_patches(tip, &revision.commit).await?)
    };
    has.await.unwrap_or_else(|error| {
        tracing::warn!(project = %project.name, %error, "whether mainline still has r{} can't be seen", revision.number);
        project.look_after_mirror();
        true
    })
}

/// Who a commit of mainline is by, as far as it tells who pushed it: who committed it, or its author if bb committed it.
async fn by(shared: &Shared, project: &Guarded, tip: &CommitId) -> Result<String, StepError> {
    let who = project.mirror.who(tip).await?;
    let is_person = !who.committer.is_empty() && who.committer != shared.config.committer.name;
    Ok(if is_person { who.committer } else { who.author })
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
        Some(tip) => project.mirror.holds(tip, &at).await?,
        None => false,
    };
    let newer = (!known && !in_mainline).then_some(&at);
    Ok(shared.store.looked_at_landed(claim, branch, newer, soon).await?)
}
