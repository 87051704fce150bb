//! Looks at published branches when they are due, and admits what is new.

use super::{Again, StepError, TICK};
use crate::state::{Guarded, Shared};
use crate::store::{Branch, NewRevision, Revision, Trouble, now};
use protocol::{BranchId, CommitId, UnixMs};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{self, JoinSet};
use tokio::time::{sleep, timeout};
use tracker::Explain;
use tracker::mirror::{Admission, AdmissionError, AdmissionLimits, Relation};
use tracker::source::{BranchRef, RawRefName, SourceUrl, UncheckedUrl};
use tracker::watch::Head;

/// Branches looked at, at once.
const AT_ONCE: u32 = 16;
/// A look that failed by bb's own fault is not taken again before this.
const PAUSE: Duration = Duration::from_secs(2);

/// The loop of one project: begins the looks that are due, and is woken by their ends too. A look outlasts a turn, so a
/// source that doesn't answer holds up nobody else's.
pub(super) async fn run(shared: Arc<Shared>, project: Arc<Guarded>) {
    let mut changes = shared.store.changes();
    let mut looks = Looks::default();
    loop {
        changes.borrow_and_update();
        let wait = match begin(&shared, &project, &mut looks).await {
            Ok(Again::AtTick) => TICK,
            Ok(Again::After(time)) => time.min(TICK),
            Ok(Again::Now) => Duration::ZERO,
            Err(error) => {
                tracing::warn!(reconciler = "watch", %error, "a turn failed");
                PAUSE
            }
        };
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            () = looks.ended(), if !looks.of.is_empty() => {}
            _ = timeout(wait, changes.changed()) => {}
        }
    }
}

/// The looks that are due, to their ends.
pub(super) async fn turn(shared: &Arc<Shared>, project: &Arc<Guarded>) -> Result<Again, StepError> {
    let mut looks = Looks::default();
    let again = begin(shared, project, &mut looks).await?;
    while !looks.of.is_empty() {
        looks.ended().await;
    }
    Ok(again)
}

/// The looks under way.
#[derive(Default)]
struct Looks {
    tasks: JoinSet<()>,
    of: HashMap<task::Id, BranchId>,
}

impl Looks {
    fn begin(&mut self, shared: &Arc<Shared>, project: &Arc<Guarded>, branch: Branch) {
        let (shared, project, id) = (shared.clone(), project.clone(), branch.id);
        let task = self.tasks.spawn(async move {
            if let Err(error) = look(&shared, &project, &branch).await {
                tracing::warn!(branch = %branch.name, %error, "a look failed by the master's own fault");
                sleep(PAUSE).await;
            }
        });
        self.of.insert(task.id(), id);
    }

    /// Waits until one ends, and forgets it.
    async fn ended(&mut self) {
        if let Some(ended) = self.tasks.join_next_with_id().await {
            let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
            self.of.remove(&id);
        }
    }

    fn is_full(&self) -> bool {
        self.of.len() >= AT_ONCE as usize
    }

    fn has(&self, branch: BranchId) -> bool {
        self.of.values().any(|of| *of == branch)
    }
}

async fn begin(shared: &Arc<Shared>, project: &Arc<Guarded>, looks: &mut Looks) -> Result<Again, StepError> {
    if project.claim().is_none() || looks.is_full() {
        return Ok(Again::AtTick);
    }
    // Those under way are among the first; there are fewer of them than are asked for.
    for branch in shared.store.next_looks(project.id, 2 * AT_ONCE).await? {
        if looks.has(branch.id) {
            continue;
        }
        let wait_ms = u64::try_from(branch.next_look.0 - now().0).unwrap_or(0);
        if wait_ms > 0 {
            return Ok(Again::After(Duration::from_millis(wait_ms)));
        }
        if looks.is_full() {
            break;
        }
        looks.begin(shared, project, branch);
    }
    Ok(Again::AtTick)
}

/// One look at a branch's source. Whatever is wrong with it is recorded; an error is only bb's own.
async fn look(shared: &Shared, project: &Guarded, branch: &Branch) -> Result<(), StepError> {
    let Some(claim) = project.claim() else { return Ok(()) };
    match found(shared, project, branch).await? {
        Ok(()) => shared.store.looked(claim, branch, None, next_look(shared, branch, false)).await?,
        Err(trouble) => {
            tracing::info!(branch = %branch.name, code = trouble.code, text = trouble.text, "look failed");
            shared.store.looked(claim, branch, Some(&trouble), next_look(shared, branch, true)).await?;
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
    shared.points().at("watch.fetch").await;
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
        Err(AdmissionError::Mirror(error)) => return Err(error.into()),
        Err(error) if error.may_pass() => return Ok(Err(trouble(&error))),
        // What can't get better by itself is the revision's own fault: it is recorded, and not fetched again.
        Err(error) => new.refusal = Some(error.refusal()),
    }
    let Some(claim) = project.claim() else { return Ok(Ok(())) };
    shared.store.add_revision(claim, branch, &new).await?;
    Ok(Ok(()))
}

/// Fills in what people read of a revision.
async fn describe(shared: &Shared, project: &Guarded, new: &mut NewRevision) -> Result<(), StepError> {
    let head = project.mirror.commit(&new.commit).await?;
    new.subject = head.subject;
    new.author = head.author;
    if let Some(tip) = shared.store.project_by_id(project.id).await?.tip
        && let Relation::Ahead { commits, .. } = project.mirror.relation(&tip, &new.commit).await?
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
