//! One look: where a branch is at its source, or several of one repository are; what is new there is admitted and recorded.

use super::{StepError, afterwards, mainline};
use crate::project::Guarded;
use crate::state::Shared;
use crate::store::{Branch, BranchState, NewRevision, Revision, Trouble, now};
use gate::looks::Pace;
use protocol::{CommitId, Hint, UnixMs};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tracker::Explain;
use tracker::mirror::{Admission, AdmissionError, AdmissionLimits, FetchBudget, Mirror, Named, Passing, Relation};
use tracker::source::{BranchRef, RawRefName, SourceUrl, UncheckedUrl};
use tracker::watch::Head;

/// What a look may take beyond its budget, for what is done here: the admission into the mirror.
const GRACE: Duration = Duration::from_secs(30);
/// The code of a branch that moves more often than it may.
const TOO_OFTEN: &str = "moves-too-often";

/// One look at several branches of one repository. Only what is well with all of them is done here: else each is looked at by
/// itself, at once, and what is wrong is recorded of that one.
pub(super) async fn look_together(shared: &Shared, project: &Guarded, branches: &[Branch]) -> Result<(), StepError> {
    let uses = Uses::begin(shared, project, &branches[0]);
    let done = timeout(whole(shared) + GRACE, found_together(shared, project, branches, &uses)).await;
    if let Ok(Ok(true)) = done {
        let looked = branches.iter().map(|branch| looked(shared, project, branch, Ok(())));
        return futures_util::future::try_join_all(looked).await.map(drop);
    }
    for branch in branches {
        project.go_alone(branch.id);
    }
    match done {
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// Whether all of them are looked at and, where they moved, admitted.
async fn found_together(
    shared: &Shared,
    project: &Guarded,
    branches: &[Branch],
    uses: &Uses,
) -> Result<bool, StepError> {
    let sources: Vec<_> = branches.iter().filter_map(|branch| source_of(shared, branch).ok()).collect();
    let Some((source, _)) = sources.first().filter(|_| sources.len() == branches.len()) else { return Ok(false) };
    let references: Vec<BranchRef> = sources.iter().map(|(_, reference)| reference.clone()).collect();
    let Ok(heads) = shared.poller.heads(source, &references).await else { return Ok(false) };
    let (mut admissions, mut moved) = (Vec::new(), Vec::new());
    for ((branch, from), head) in branches.iter().zip(&sources).zip(heads) {
        let Head::At(commit) = head else { return Ok(false) };
        let asked = is_asked(project, branch);
        if bring_back(shared, project, branch, Ok(from), asked, uses).await?.is_some() {
            return Ok(false);
        }
        let (source, reference) = from.clone();
        let admission = admission(shared, branch, source, reference, commit, uses);
        match before(shared, branch, asked, &admission).await? {
            Ok(None) => {}
            // What comes for the first time; all else has a story of its own.
            Ok(Some((Before::None, number))) => {
                admissions.push(Admission { revision: number, ..admission });
                moved.push(branch);
            }
            Ok(Some(_)) | Err(_) => return Ok(false),
        }
    }
    shared.points().at("watch.fetch").await;
    let commits = match project.mirror.admit_together(&shared.poller, &admissions).await {
        Ok(commits) => commits,
        Err(error) => {
            tracing::debug!(url = branches[0].url, %error, "each branch is looked at by itself");
            return Ok(false);
        }
    };
    let recorded = moved
        .iter()
        .zip(&admissions)
        .zip(commits)
        .map(|((branch, admission), commit)| record(shared, project, branch, Before::None, Ok(commit), admission));
    let recorded = futures_util::future::try_join_all(recorded).await?;
    Ok(recorded.iter().all(Result::is_ok))
}

/// One look at a branch's source. Whatever is wrong with it is recorded; an error is only bb's own.
pub(super) async fn look(shared: &Shared, project: &Guarded, branch: &Branch) -> Result<(), StepError> {
    let Some(claim) = project.claim() else { return Ok(()) };
    if branch.state == BranchState::Landed {
        let head = match source_of(shared, branch) {
            Ok((source, reference)) => shared.poller.head(&source, &reference).await.ok(),
            Err(_) => None,
        };
        return afterwards::look_at_landed(shared, project, claim, branch, head).await;
    }
    let asked = is_asked(project, branch);
    // All of a look together, however many answers it takes: the first question, the way there, the fetch.
    let whole = whole(shared);
    let uses = Uses::begin(shared, project, branch);
    let found = match timeout(whole + GRACE, found(shared, project, branch, asked, &uses)).await {
        Ok(found) => found?,
        Err(_) => Err(Trouble {
            code: "look-timed-out".to_owned(),
            text: format!("looking at {} and fetching from it took longer than {} s", branch.url, whole.as_secs()),
            hint: Hint::by_bb(
                "tries again, ever more seldom; the author publishes from a faster server if that goes on",
            ),
        }),
    };
    if let Err(trouble) = &found {
        tracing::info!(branch = %branch.name, code = trouble.code, text = trouble.text, "look failed");
    }
    if found.is_ok() {
        project.goes_along_again(branch.id);
    }
    looked(shared, project, branch, found).await
}

/// Whether somebody wants it now, or it is the first since the master's start: what was given up is tried again, too.
fn is_asked(project: &Guarded, branch: &Branch) -> bool {
    branch.look_asked || project.planned_looks.is_other(branch.id, branch.next_look)
}

/// Records what a look found, and plans the next.
async fn looked(
    shared: &Shared,
    project: &Guarded,
    branch: &Branch,
    found: Result<(), Trouble>,
) -> Result<(), StepError> {
    let Some(claim) = project.claim() else { return Ok(()) };
    let again = shared.config.sources.pace().wait_ms(branch.moves_until, now());
    let next = match again.filter(|_| matches!(&found, Err(trouble) if trouble.code == TOO_OFTEN)) {
        Some(wait_ms) => UnixMs(now().0 + wait_ms),
        None => next_look(shared, branch, found.is_err()),
    };
    project.planned_looks.set(branch.id, next);
    shared.store.looked(claim, branch, found.err().as_ref(), next).await?;
    Ok(())
}

/// What a look may use, however many fetches it makes.
struct Uses {
    until: Instant,
    bytes: FetchBudget,
}

impl Uses {
    fn begin(shared: &Shared, project: &Guarded, branch: &Branch) -> Self {
        let bytes = project.fetches.of(&branch.url, shared.config.sources.fetch_bytes);
        Self { until: Instant::now() + whole(shared), bytes }
    }
}

/// How long a look may take.
fn whole(shared: &Shared) -> Duration {
    Duration::from_secs(shared.config.sources.fetch_s)
}

fn too_often(pace: Pace, wait_ms: i64) -> Trouble {
    let text = format!(
        "the branch moves more often than it may: {} times at once, and then once in {} s; it is looked at again in {} s",
        pace.burst,
        pace.interval_ms / 1000,
        wait_ms.div_euclid(1000) + 1,
    );
    let hint = Hint::by_bb(
        "takes what is there then as the next revision; an admin allows more with revisions_at_once and revisions_s under [sources]",
    );
    Trouble { code: TOO_OFTEN.to_owned(), text, hint }
}

/// `asked`: what was given up is tried again, too.
async fn found(
    shared: &Shared,
    project: &Guarded,
    branch: &Branch,
    asked: bool,
    uses: &Uses,
) -> Result<Result<(), Trouble>, StepError> {
    let from = source_of(shared, branch);
    let lost = bring_back(shared, project, branch, from.as_ref(), asked, uses).await?;
    let (source, reference) = match from {
        Ok(both) => both,
        Err(refused) => return Ok(Err(refused)),
    };
    let commit = match shared.poller.head(&source, &reference).await {
        Ok(Head::At(commit)) => commit,
        Ok(Head::Absent) => {
            return Ok(Err(Trouble {
                code: "no-such-branch".to_owned(),
                text: format!("the repository {} has no branch `{}`", source.as_str(), reference.display()),
                hint: Hint::new("push the branch there, or publish it under the name that it has"),
            }));
        }
        Err(error) => return Ok(Err(Trouble::of(&error))),
    };
    let admission = admission(shared, branch, source, reference, commit, uses);
    let done = match before(shared, branch, asked, &admission).await? {
        Ok(None) => Ok(()),
        Ok(Some((before, number))) => {
            admit(shared, project, branch, Admission { revision: number, ..admission }, before).await?
        }
        Err(trouble) => return Ok(Err(trouble)),
    };
    Ok(done.and(lost.map_or(Ok(()), Err)))
}

/// What there was of a branch before the commit that it is at now, and that revision's number; none when there is nothing
/// new, trouble when it may not be looked at yet.
async fn before(
    shared: &Shared,
    branch: &Branch,
    asked: bool,
    admission: &Admission,
) -> Result<Result<Option<(Before, u32)>, Trouble>, StepError> {
    let Some(commit) = &admission.expected else { return Ok(Ok(None)) };
    let before = match shared.store.newest_revision(branch.id).await? {
        Some(newest) if newest.commit == *commit && !(asked && newest.refusal.is_some()) => return Ok(Ok(None)),
        // Limits may be others by now, and so may be bb.
        Some(newest) if newest.commit == *commit => Before::Refused(newest),
        Some(_) | None => match shared.store.revision_at(branch.id, commit).await? {
            Some(before) => Before::Returned(before),
            None => Before::None,
        },
    };
    let pace = shared.config.sources.pace();
    if !matches!(before, Before::Refused(_))
        && let Some(wait_ms) = pace.wait_ms(branch.moves_until, now())
    {
        return Ok(Err(too_often(pace, wait_ms)));
    }
    let number = match &before {
        Before::None => shared.store.last_revision(branch.id).await? + 1,
        Before::Refused(before) | Before::Returned(before) => before.number,
    };
    Ok(Ok(Some((before, number))))
}

/// Where a branch is published. Checked again each time: the admin may have changed what is allowed.
fn source_of(shared: &Shared, branch: &Branch) -> Result<(SourceUrl, BranchRef), Trouble> {
    let source = SourceUrl::check(&UncheckedUrl::new(&branch.url), &shared.policy).map_err(|e| Trouble::of(&e))?;
    let reference = BranchRef::check(&RawRefName::new(&branch.source_ref)).map_err(|e| Trouble::of(&e))?;
    Ok((source, reference))
}

/// What there was of a branch before.
enum Before {
    /// Nothing of this commit.
    None,
    /// The newest revision is at the same commit, and was refused.
    Refused(Revision),
    /// An older one is: the head went back to it.
    Returned(Revision),
}

/// What is to be fetched, as the branch's next revision; its number is filled in by whoever knows it.
fn admission(
    shared: &Shared,
    branch: &Branch,
    source: SourceUrl,
    reference: BranchRef,
    commit: CommitId,
    uses: &Uses,
) -> Admission {
    let limits = AdmissionLimits {
        wall: uses.until.saturating_duration_since(Instant::now()).max(Duration::from_secs(1)),
        pack_bytes: shared.config.sources.fetch_bytes,
        look: Some(uses.bytes.clone()),
        ..AdmissionLimits::default()
    };
    let (name, expected) = (branch.name.clone(), Some(commit));
    Admission { source, branch: reference, expected, name, revision: 1, limits }
}

async fn admit(
    shared: &Shared,
    project: &Guarded,
    branch: &Branch,
    admission: Admission,
    before: Before,
) -> Result<Result<(), Trouble>, StepError> {
    if let Before::Returned(before) = &before
        && before.refusal.is_some()
    {
        let Some(claim) = project.claim() else { return Ok(Ok(())) };
        shared.store.head_again(claim, &moved(shared, branch), before).await?;
        return Ok(Ok(()));
    }
    let Some(claim) = project.claim() else { return Ok(Ok(())) };
    let known = shared.store.project_by_id(project.id).await?.tip;
    shared.points().at("watch.fetch").await;
    let mut admitted = project.mirror.admit(&shared.poller, &admission).await;
    if let Err(AdmissionError::Refused(refused)) = &admitted {
        // What mainline has is nothing against a branch, and it may have more by now than was known.
        match mainline::look(shared, project, claim).await {
            Ok(tip) if known.as_ref() != Some(&tip) => {
                admitted = project.mirror.admit(&shared.poller, &admission).await;
            }
            Ok(_) => {}
            // A refusal stays for ever: it is recorded when it is certain.
            Err(StepError::Official(_)) => return Ok(Err(Trouble::of(refused))),
            Err(error) => return Err(error),
        }
    }
    record(shared, project, branch, before, admitted, &admission).await
}

/// A branch that moved now.
fn moved(shared: &Shared, branch: &Branch) -> Branch {
    let moves_until = shared.config.sources.pace().moved(branch.moves_until, now());
    Branch { moves_until, ..branch.clone() }
}

/// Records what came of an admission.
async fn record(
    shared: &Shared,
    project: &Guarded,
    branch: &Branch,
    before: Before,
    admitted: Result<CommitId, AdmissionError>,
    admission: &Admission,
) -> Result<Result<(), Trouble>, StepError> {
    let Some(commit) = admission.expected.clone() else { return Ok(Ok(())) };
    let (number, moved) = (admission.revision, moved(shared, branch));
    let mut new = NewRevision {
        number,
        commit,
        subject: String::new(),
        title: String::new(),
        author: String::new(),
        commits: 0,
        refusal: None,
    };
    match admitted {
        Ok(admitted) => {
            new.commit = admitted;
            describe(shared, project, &mut new).await?;
        }
        // Whatever happened on the way may not happen again: it is tried again, ever more seldom.
        Err(AdmissionError::Passing(error)) => {
            missed(project, &error);
            return Ok(Err(Trouble::of(&error)));
        }
        // What the commit itself is, stays: it is recorded, and not fetched again.
        Err(AdmissionError::Refused(error)) => new.refusal = Some(error.refusal()),
    }
    if let (Before::Returned(_), Some(refusal)) = (&before, &new.refusal) {
        // Limits are others by now; what it was stays recorded.
        let (code, text, hint) = (refusal.code.clone(), refusal.text.clone(), refusal.hint.clone());
        return Ok(Err(Trouble { code, text, hint }));
    }
    let Some(claim) = project.claim() else { return Ok(Ok(())) };
    match before {
        Before::Refused(newest) => shared.store.readmitted(claim, branch, &newest, &new).await?,
        // That one counts again, with its results.
        Before::Returned(before) => {
            shared.store.head_again(claim, &moved, &before).await?;
        }
        Before::None => {
            shared.store.add_revision(claim, &moved, &new).await?;
        }
    }
    Ok(Ok(()))
}

/// Has the mirror looked after where it was at fault.
fn missed(project: &Guarded, error: &Passing) {
    if matches!(error, Passing::Mirror(_)) {
        project.look_after_mirror();
    }
}

/// Brings back what was admitted and is not in the mirror any more. All revisions are looked at when somebody asked, as
/// `mend` does for what it finds missing; else only the newest, if it was lost for now. What can't be brought back is recorded
/// with the revision; it does not keep a newer one from being fetched. Gives what was in the way, if it may pass.
async fn bring_back(
    shared: &Shared,
    project: &Guarded,
    branch: &Branch,
    from: Result<&(SourceUrl, BranchRef), &Trouble>,
    asked: bool,
    uses: &Uses,
) -> Result<Option<Trouble>, StepError> {
    let mut passing = None;
    let gone = |r: &Revision| r.lost.as_ref().is_some_and(|lost| lost.code == GONE);
    let all = if asked {
        shared.store.revisions(branch.id).await?
    } else {
        let newest = shared.store.newest_revision(branch.id).await?;
        newest.into_iter().filter(|r| r.lost.is_some() && !gone(r)).collect()
    };
    for revision in all.iter().filter(|r| r.refusal.is_none()) {
        let held = Mirror::revision_ref(&branch.name, revision.number);
        let named = Named { reference: held, commit: revision.commit.clone() };
        if project.mirror.missing(vec![named]).await?.is_empty() {
            set_lost(shared, project, branch, revision, None).await?;
            continue;
        }
        let (source, reference) = match from {
            Ok(both) => both.clone(),
            Err(trouble) => {
                set_lost(shared, project, branch, revision, Some(trouble)).await?;
                continue;
            }
        };
        let again = admission(shared, branch, source, reference, revision.commit.clone(), uses);
        match project.mirror.readmit(&shared.poller, &Admission { revision: revision.number, ..again }).await {
            Ok(()) => {
                tracing::info!(branch = %branch.name, commit = revision.commit.short(), "a lost commit is there again");
                set_lost(shared, project, branch, revision, None).await?;
                project.look_after_mirror();
            }
            Err(error) => {
                tracing::warn!(branch = %branch.name, commit = revision.commit.short(), %error, "a commit stays lost");
                if let AdmissionError::Passing(error) = &error {
                    missed(project, error);
                }
                let error = Trouble::of(&error);
                set_lost(shared, project, branch, revision, Some(&error)).await?;
                passing = passing.or((error.code != GONE).then_some(error));
            }
        }
    }
    Ok(passing)
}

async fn set_lost(
    shared: &Shared,
    project: &Guarded,
    branch: &Branch,
    revision: &Revision,
    lost: Option<&Trouble>,
) -> Result<(), StepError> {
    match project.claim() {
        Some(claim) => Ok(shared.store.set_lost(claim, branch, revision, lost).await?),
        None => Ok(()),
    }
}

/// Brings back what is missing of a branch, outside of any look.
pub(crate) async fn bring_branch_back(shared: &Shared, project: &Guarded, branch: &Branch) -> Result<(), StepError> {
    let uses = Uses::begin(shared, project, branch);
    bring_back(shared, project, branch, source_of(shared, branch).as_ref(), true, &uses).await.map(drop)
}

/// The tracker's word for a commit that its source does not have any more either.
pub(crate) const GONE: &str = "commit-lost";

/// Fills in what people read of a revision.
async fn describe(shared: &Shared, project: &Guarded, new: &mut NewRevision) -> Result<(), StepError> {
    let head = project.mirror.commit(&new.commit).await?;
    new.subject = head.subject;
    new.author = head.author;
    if let Some(tip) = shared.store.project_by_id(project.id).await?.tip {
        new.title = project.mirror.title(&tip, &new.commit).await?;
        if let Relation::Ahead { commits, .. } = project.mirror.relation(&tip, &new.commit).await? {
            new.commits = commits;
        }
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

/// Later than any look is ever planned for: twice the longest pause, and what a branch that moves too often waits.
pub(super) fn latest_look(shared: &Shared) -> UnixMs {
    let times = shared.config.times;
    let longest = times.poll_s.max(times.poll_quiet_s).saturating_mul(2000).saturating_add(60_000);
    let longest = i64::try_from(longest).unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
    UnixMs(now().0.saturating_add(longest).saturating_add(shared.config.sources.pace().interval_ms))
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
