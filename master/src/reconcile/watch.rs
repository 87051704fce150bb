//! Looks at published branches when they are due, and admits what is new.

use super::{Again, StepError};
use crate::state::{Guarded, Shared};
use crate::store::{Branch, NewRevision, Revision, Trouble, now};
use futures_util::TryStreamExt as _;
use protocol::{CommitId, UnixMs};
use std::time::Duration;
use tracker::Explain;
use tracker::mirror::{Admission, AdmissionError, AdmissionLimits, Relation};
use tracker::source::{BranchRef, RawRefName, SourceUrl, UncheckedUrl};
use tracker::watch::Head;

/// Branches looked at in one turn, and at once.
const TURN: u32 = 32;
const AT_ONCE: usize = 8;

pub(super) async fn step(shared: &Shared, project: &Guarded) -> Result<Again, StepError> {
    if project.claim().is_none() {
        return Ok(Again::AtTick);
    }
    let due = shared.store.branches_due(project.id, TURN).await?;
    let more = due.len() == TURN as usize;
    futures_util::stream::iter(due.into_iter().map(Ok))
        .try_for_each_concurrent(AT_ONCE, |branch| async move { look(shared, project, &branch).await })
        .await?;
    if more {
        return Ok(Again::Now);
    }
    Ok(match shared.store.next_look(project.id).await? {
        Some(at) => Again::After(Duration::from_millis(u64::try_from(at.0 - now().0).unwrap_or(0).max(20))),
        None => Again::AtTick,
    })
}

/// One look at a branch's source. Whatever is wrong with it is recorded; an error is only bb's own.
async fn look(shared: &Shared, project: &Guarded, branch: &Branch) -> Result<(), StepError> {
    match found(shared, project, branch).await? {
        Ok(()) => shared.store.looked(branch, None, next_look(shared, branch, false)).await?,
        Err(trouble) => {
            tracing::info!(branch = %branch.name, code = trouble.code, text = trouble.text, "look failed");
            shared.store.looked(branch, Some(&trouble), next_look(shared, branch, true)).await?;
        }
    }
    Ok(())
}

fn trouble(error: &impl Explain) -> Trouble {
    Trouble { code: error.code().to_owned(), text: error.to_string(), hint: error.hint() }
}

async fn found(shared: &Shared, project: &Guarded, branch: &Branch) -> Result<Result<(), Trouble>, StepError> {
    // Checked again each time: the admin may have changed what is allowed.
    let source = match SourceUrl::check(&UncheckedUrl::new(&branch.url), &shared.policy) {
        Ok(source) => source,
        Err(refused) => return Ok(Err(trouble(&refused))),
    };
    let reference = match BranchRef::check(&RawRefName::new(&branch.source_ref)) {
        Ok(reference) => reference,
        Err(refused) => return Ok(Err(trouble(&refused))),
    };
    let commit = match shared.poller.head(&source, &reference).await {
        Ok(Head::At(commit)) => commit,
        Ok(Head::Absent) => {
            return Ok(Err(Trouble {
                code: "no-such-branch".to_owned(),
                text: format!("the repository {} has no branch `{}`", source.as_str(), reference.display()),
                hint: "push the branch there, or publish it under the name that it has".to_owned(),
            }));
        }
        Err(error) => return Ok(Err(trouble(&error))),
    };
    let newest = shared.store.newest_revision(branch.id).await?;
    if newest.as_ref().is_some_and(|r| r.commit == commit) {
        return Ok(Ok(()));
    }
    admit(shared, project, branch, source, reference, commit, newest.as_ref()).await
}

async fn admit(
    shared: &Shared,
    project: &Guarded,
    branch: &Branch,
    source: SourceUrl,
    reference: BranchRef,
    commit: CommitId,
    newest: Option<&Revision>,
) -> Result<Result<(), Trouble>, StepError> {
    let number = newest.map_or(0, |r| r.number) + 1;
    let limits = AdmissionLimits {
        wall: Duration::from_secs(shared.config.sources.fetch_s),
        pack_bytes: shared.config.sources.fetch_bytes,
        ..AdmissionLimits::default()
    };
    let admission = Admission {
        source,
        branch: reference,
        expected: Some(commit.clone()),
        name: branch.name.clone(),
        revision: number,
        limits,
    };
    let mut new =
        NewRevision { number, commit, subject: String::new(), author: String::new(), commits: 0, refusal: None };
    match project.mirror.admit(&shared.poller, &admission).await {
        Ok(admitted) => {
            new.commit = admitted;
            describe(shared, project, &mut new).await?;
        }
        Err(AdmissionError::Mirror(error)) => return Err(StepError::Tracker(error.to_string())),
        Err(error) if error.may_pass() => return Ok(Err(trouble(&error))),
        // What can't get better by itself is the revision's own fault: it is recorded, and not fetched again.
        Err(error) => new.refusal = Some(error.refusal()),
    }
    shared.store.add_revision(branch, &new).await?;
    Ok(Ok(()))
}

/// Fills in what people read of a revision.
async fn describe(shared: &Shared, project: &Guarded, new: &mut NewRevision) -> Result<(), StepError> {
    let failed = |e: &dyn std::error::Error| StepError::Tracker(e.to_string());
    let head = project.mirror.commit(&new.commit).await.map_err(|e| failed(&e))?;
    new.subject = head.subject;
    new.author = head.author;
    if let Some(tip) = shared.store.project_by_id(project.id).await?.tip
        && let Relation::Ahead { commits, .. } =
            project.mirror.relation(&tip, &new.commit).await.map_err(|e| failed(&e))?
    {
        new.commits = commits;
    }
    Ok(())
}

/// When to look next: often while a branch changes, seldom when it is quiet, ever more seldom while it can't be read.
fn next_look(shared: &Shared, branch: &Branch, failed: bool) -> UnixMs {
    let times = shared.config.times;
    let now = now();
    let quiet_s = u64::try_from((now.0 - branch.changed.0).max(0) / 1000).unwrap_or(0);
    let failures = if failed { branch.look_failures + 1 } else { 0 };
    let pause_s = pause(times.poll_s, times.poll_quiet_s, quiet_s, failures);
    // A tenth of jitter, from the branch's number and the time: enough that branches published together drift apart.
    let spread = u64::try_from((branch.id.0 * 7919 + now.0) % 100).unwrap_or(0);
    let pause_ms = pause_s * 1000 + pause_s * spread;
    UnixMs(now.0 + i64::try_from(pause_ms).unwrap_or(i64::MAX / 2))
}

/// Seconds until the next look.
fn pause(poll_s: u64, poll_quiet_s: u64, quiet_s: u64, failures: u32) -> u64 {
    let by_quiet = (quiet_s / 20).clamp(poll_s, poll_quiet_s.max(poll_s));
    let by_failures = poll_s.saturating_mul(1 << failures.min(16)).min(poll_quiet_s.max(poll_s));
    if failures == 0 { by_quiet } else { by_failures.max(by_quiet) }
}

#[cfg(test)]
mod tests {
    use super::pause;

    #[test]
    fn quiet_and_failing_branches_are_looked_at_less_often() {
        assert_eq!(pause(60, 3600, 0, 0), 60);
        assert_eq!(pause(60, 3600, 12_000, 0), 600);
        assert_eq!(pause(60, 3600, 10_000_000, 0), 3600);
        assert_eq!(pause(60, 3600, 0, 1), 120);
        assert_eq!(pause(60, 3600, 0, 40), 3600);
        assert_eq!(pause(60, 5, 0, 0), 60, "never more often than the admin said");
    }
}
