//! A landing from its intent to its end: the push, what came of it, and what a master does that finds an intent which another
//! one has left.

use super::each::{is_everybodys, look_after, unready};
use super::{Again, StepError, candidates, mainline};
use crate::auth::may_still_accept;
use crate::project::{Guarded, recipes};
use crate::state::Shared;
use crate::store::{Branch, Candidate, Claim, Entry, FailedBy, Landing, Member, Wanted, now};
use crate::terms::Terms;
use gate::queue::{self, PushRefused};
use protocol::{BranchName, CommitId, UnixMs};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracker::land::{LandError, Step};

/// What entries that could not be pushed are remembered under.
pub(super) const NAME: &str = "landing";
/// How long after its begin an intent that can't be taken up again is waited for, though no process of its push lives here:
/// a hook of the official repository may run on when nobody listens any more.
const QUIET_MS: i64 = 60_000;
/// How long a push that another master has left is waited for while its processes live.
const LEFT_MS: i64 = 60 * 60_000;
/// Between two looks at it.
const LOOK: Duration = Duration::from_secs(1);

/// How the official repository refused a candidate, and how often bb's own check found another commit than was tested.
pub(super) async fn failures(
    shared: &Shared,
    entry: &Entry,
    candidate: &Candidate,
) -> Result<(Option<PushRefused>, u32), StepError> {
    let Some(commit) = candidate.made_commit() else { return Ok((None, 0)) };
    let pause_ms = |times| push_pause_ms(shared.config.times.poll_s, times);
    let failures = shared.store.failures(entry.id, commit).await?;
    let now = now();
    let refused = failures.refused_at.map(|at| PushRefused {
        times: failures.refused,
        // After a clock was set back it is tried at once, and not when that time comes again.
        again_at: UnixMs(at.0.min(now.0) + if at > now { 0 } else { pause_ms(failures.refused) }),
        said: failures.refused_said,
    });
    Ok((refused, failures.checks))
}

/// How long the official repository is left alone after it refused a push so many times: from 10 seconds on, doubled each
/// time, and less where the admin wants mainline looked at more often than every 5 seconds.
fn push_pause_ms(poll_s: u64, times: u32) -> i64 {
    i64::try_from(poll_s.clamp(1, 5)).unwrap_or(5) * 1000 * (1 << times.min(6))
}

/// Pushes what an open landing says, if it is what its parts give.
pub(super) async fn push(shared: &Shared, project: &Guarded, claim: Claim, landing: &Landing) -> Result<(), StepError> {
    match ready(shared, project, landing).await {
        Ok(ready) => send(shared, project, claim, landing, ready).await,
        Err(error) => not_ready(shared, project, claim, landing, error).await,
    }
}

/// What is pushed of an open landing.
#[derive(Default)]
struct Ready {
    branches: Vec<BranchName>,
    /// One for each member of its line.
    steps: Vec<Step>,
}

/// An entry of which something could not be read, and why.
struct Unready {
    entry: i64,
    error: StepError,
}

/// Reads what is pushed; none when an entry of the line has not its candidate any more. What it is checked by comes from what was
/// accepted, from the tree below and from the commit itself, not from what is kept of how it was made.
async fn ready(shared: &Shared, project: &Guarded, landing: &Landing) -> Result<Option<Ready>, Unready> {
    let mut ready = Ready::default();
    let mut below = &landing.from;
    for member in &landing.members {
        let made = member_step(shared, project, member, below).await;
        let Some((branch, step)) = made.map_err(|error| Unready { entry: member.entry, error })? else {
            return Ok(None);
        };
        ready.branches.push(branch.name);
        ready.steps.push(step);
        below = &member.commit;
    }
    Ok(Some(ready))
}

/// What a member of a line is checked by.
async fn member_step(
    shared: &Shared,
    project: &Guarded,
    member: &Member,
    below: &CommitId,
) -> Result<Option<(Branch, Step)>, StepError> {
    let entry = shared.store.entry(member.entry).await?;
    let Some(id) = member.candidate else { return Ok(None) };
    // One that was discarded meanwhile is not what the terms give any more.
    if shared.store.candidate_by_id(id).await?.terms_hash != entry.terms.hash {
        return Ok(None);
    }
    step(shared, project, &entry, below, &member.commit).await
}

/// What a push of this commit is checked by; none for an entry that binds nothing yet.
async fn step(
    shared: &Shared,
    project: &Guarded,
    entry: &Entry,
    from: &CommitId,
    to: &CommitId,
) -> Result<Option<(Branch, Step)>, StepError> {
    shared.points().at("landing.ready").await;
    let Some(terms) = Terms::of_entry(entry)? else { return Ok(None) };
    let of = Wanted {
        branch: shared.store.branch_by_id(entry.branch).await?,
        revision: shared.store.revision_by_id(entry.revision).await?,
        entry: None,
    };
    let otherwise = recipes::otherwise(project, from).await?.unwrap_or_default();
    // The second of its making, which nothing else tells.
    let when = project.mirror.made_at(to).await?;
    let request = candidates::request(shared, &of, from, &terms, otherwise, when);
    Ok(Some((of.branch, Step { request, commit: to.clone() })))
}

/// Why an entry that could not be pushed is still left alone, or can't be pushed yet. All that a push reads is read here
/// before the entry has its turn again: whoever is tested meanwhile is not to make way for what fails once more.
pub(super) async fn still_unready(
    shared: &Shared,
    project: &Guarded,
    entry: &Entry,
    tip: &CommitId,
) -> Result<Option<queue::Candidate>, StepError> {
    let key = (NAME, entry.id);
    let Some(why) = project.unready.last(key) else { return Ok(None) };
    if project.unready.rest(key).is_some() {
        return Ok(Some(why));
    }
    match rehearse(shared, project, entry, tip).await {
        Ok(()) => Ok(None),
        Err(error) if is_everybodys(&error) => Err(error),
        Err(error) => {
            look_after(project, &error);
            let why = unready(&error);
            project.unready.failed(key, why.clone());
            Ok(Some(why))
        }
    }
}

/// Everything of a push but the push. An entry without a candidate there has nothing to be pushed.
async fn rehearse(shared: &Shared, project: &Guarded, entry: &Entry, tip: &CommitId) -> Result<(), StepError> {
    let candidate = shared.store.candidate(entry.revision, tip, &entry.terms.hash).await?;
    let Some(commit) = candidate.as_ref().and_then(|it| it.made_commit()) else { return Ok(()) };
    let Some((_, step)) = step(shared, project, entry, tip, commit).await? else { return Ok(()) };
    match project.mirror.could_land(tip, &[step]).await {
        Err(LandError::Mirror(error)) => Err(error.into()),
        // What else is wrong with it, the push itself has recorded.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Ends an intent of which nothing can be pushed, because rows or mirror can't be read: the entry of which that is so is left alone
/// for a while, and others go by.
async fn not_ready(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    landing: &Landing,
    Unready { entry, error }: Unready,
) -> Result<(), StepError> {
    if is_everybodys(&error) {
        return Err(error);
    }
    tracing::warn!(project = %project.name, entry, %error, "what passed can't be pushed");
    look_after(project, &error);
    project.unready.failed((NAME, entry), unready(&error));
    Ok(shared.store.landing_failed(claim, landing, FailedBy::Overtaken, &error.to_string()).await?)
}

/// Whose commit of a line the mirror can't give: each is tried on the one below it. The top one's where none shows.
async fn whose(project: &Guarded, landing: &Landing, steps: &[Step]) -> i64 {
    let mut below = &landing.from;
    for (member, step) in landing.members.iter().zip(steps) {
        if let Err(LandError::Mirror(_)) = project.mirror.could_land(below, std::slice::from_ref(step)).await {
            return member.entry;
        }
        below = &member.commit;
    }
    landing.top().unwrap_or_default()
}

/// Pushes, and records what came of it.
async fn send(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    landing: &Landing,
    ready: Option<Ready>,
) -> Result<(), StepError> {
    let (url, branch_ref) = project.official().map_err(StepError::Settings)?;
    let Some(Ready { branches, steps }) = ready else {
        let says = "an entry has not its candidate any more";
        return Ok(shared.store.landing_failed(claim, landing, FailedBy::Overtaken, says).await?);
    };
    shared.points().at("queue.push").await;
    let pushed = project.mirror.land(&url, &branch_ref, &landing.from, &steps).await;
    shared.points().at("queue.pushed").await;
    let error = match pushed {
        Ok(_) => {
            shared.store.landed(landing).await?;
            for (member, branch) in landing.members.iter().zip(&branches) {
                tracing::info!(project = %project.name, %branch, commit = member.commit.short(), "landed");
                project.unready.fine((NAME, member.entry));
            }
            return mainline::pushed(shared, project, claim, &landing.from, &landing.to).await;
        }
        // Whether it landed is not known: the intent stays, and the remote's ref decides.
        Err(LandError::Unreachable(error)) => return Err(error.into()),
        Err(LandError::Mirror(error)) => {
            let entry = whose(project, landing, &steps).await;
            return not_ready(shared, project, claim, landing, Unready { entry, error: error.into() }).await;
        }
        Err(error) => error,
    };
    tracing::warn!(project = %project.name, %error, "landing failed");
    let by = match &error {
        LandError::Moved { .. } => FailedBy::Overtaken,
        LandError::Check { .. } => FailedBy::Check,
        LandError::Refused { .. } | LandError::Unreachable(_) | LandError::Mirror(_) => FailedBy::Refused,
    };
    shared.store.landing_failed(claim, landing, by, &error.to_string()).await?;
    // Of a longer line one candidate may be as it was tested and stand on another: they go on alone.
    if by == FailedBy::Check
        && let [Member { candidate: Some(candidate), .. }] = landing.members[..]
    {
        shared.store.discard_candidate(claim, candidate).await?;
    }
    // What came between is known before the next try is decided on, also that mainline is not there any more.
    match mainline::look(shared, project, claim).await {
        Ok(_) => Ok(()),
        Err(StepError::Official(error)) => {
            tracing::warn!(project = %project.name, %error, "mainline can't be read after a push");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Finds out what came of a landing whose outcome is not recorded, or takes it up again: a push that was begun elsewhere may
/// still be under way, so that nothing is said of it before mainline shows it or it can't come any more.
pub(super) async fn finish(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    landing: &Landing,
) -> Result<Again, StepError> {
    // One of a time that is still to come was begun before the clock was set back: nobody waits until then.
    let age = Some(now().0 - landing.begun.0).filter(|age| *age >= 0).unwrap_or(i64::MAX);
    if project.mirror.is_pushing().await && age < LEFT_MS {
        return Ok(Again::After(LOOK));
    }
    // Records it as landed if mainline has it.
    let tip = match mainline::look(shared, project, claim).await {
        Ok(tip) => tip,
        Err(StepError::Official(error)) => {
            tracing::warn!(project = %project.name, %error, "what came of a push can't be seen");
            return Ok(Again::After(mainline::pause(1, project.failed_looks.load(Ordering::Relaxed))));
        }
        Err(error) => return Err(error),
    };
    if shared.store.open_landing(project.id).await?.is_none_or(|open| open.id != landing.id) {
        return Ok(Again::Now);
    }
    if tip != landing.from {
        let says = format!("mainline moved to {}", tip.short());
        shared.store.landing_failed(claim, landing, FailedBy::Overtaken, &says).await?;
        return Ok(Again::Now);
    }
    let again = match shared.store.may_land_on(landing, may_still_accept).await {
        Ok(true) => ready(shared, project, landing).await.map(Some),
        Ok(false) => Ok(None),
        Err((entry, error)) => Err(Unready { entry, error: error.into() }),
    };
    match again {
        Ok(Some(ready)) => send(shared, project, claim, landing, ready).await?,
        Err(Unready { error, .. }) if is_everybodys(&error) => return Err(error),
        Ok(None) | Err(_) if age < QUIET_MS => {
            let left = Duration::from_millis(u64::try_from(QUIET_MS - age).unwrap_or(0));
            return Ok(Again::After(left.min(LOOK)));
        }
        Ok(None) => {
            shared.store.landing_failed(claim, landing, FailedBy::Overtaken, "interrupted before the push").await?;
        }
        Err(error) => not_ready(shared, project, claim, landing, error).await?,
    }
    Ok(Again::Now)
}
