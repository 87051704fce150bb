//! Looks at published branches when they are due, and admits what is new.

use super::each::look_after;
use super::{Again, StepError, TICK, afterwards};
use crate::project::Guarded;
use crate::state::Shared;
use crate::store::{Branch, BranchState, Interest, NewRevision, Revision, Topic, Trouble, now};
use gate::looks::{self, Look, Pace, Standing};
use protocol::{CommitId, Hint, UnixMs};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{self, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tracker::Explain;
use tracker::mirror::{Admission, AdmissionError, AdmissionLimits, FetchBudget, Mirror, Named, Relation};
use tracker::source::{BranchRef, RawRefName, SourceUrl, UncheckedUrl};
use tracker::watch::Head;

/// What a look may take beyond its budget, for what is done here: the admission into the mirror.
const GRACE: Duration = Duration::from_secs(30);
/// The code of a branch that moves more often than it may.
const TOO_OFTEN: &str = "moves-too-often";
/// A look that failed by bb's own fault is not taken again before this.
const PAUSE: Duration = Duration::from_secs(2);

/// The loop of one project: begins the looks that are due, and is woken by their ends too. A look outlasts a turn, so a
/// source that doesn't answer holds up nobody else's.
pub(super) async fn run(shared: Arc<Shared>, project: Arc<Guarded>) {
    let changes = shared.store.listen(Interest::of(project.id, [Topic::Branch, Topic::Mainline, Topic::Queue]));
    let mut looks = Looks::default();
    loop {
        changes.heard();
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

/// The looks that are due, to their ends; those that found no place at once after them.
pub(super) async fn turn(shared: &Arc<Shared>, project: &Arc<Guarded>) -> Result<Again, StepError> {
    let mut looks = Looks::default();
    let mut rounds = 0;
    loop {
        let again = begin(shared, project, &mut looks).await?;
        // What fails by the master's own fault stays due.
        if looks.of.is_empty() || rounds == 100 {
            return Ok(again);
        }
        while !looks.of.is_empty() {
            looks.ended().await;
        }
        rounds += 1;
    }
}

/// The looks under way.
#[derive(Default)]
struct Looks {
    tasks: JoinSet<()>,
    of: HashMap<task::Id, Look>,
}

impl Looks {
    fn begin(&mut self, shared: &Arc<Shared>, project: &Arc<Guarded>, branch: Branch, as_seen: Look) {
        let (shared, project) = (shared.clone(), project.clone());
        let task = self.tasks.spawn(async move {
            if let Err(error) = look(&shared, &project, &branch).await {
                tracing::warn!(branch = %branch.name, %error, "a look failed by the master's own fault");
                look_after(&project, &error);
                sleep(PAUSE).await;
            }
        });
        self.of.insert(task.id(), as_seen);
    }

    /// Waits until one ends, and forgets it.
    async fn ended(&mut self) {
        if let Some(ended) = self.tasks.join_next_with_id().await {
            let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
            self.of.remove(&id);
        }
    }
}

/// A branch's look, as places are given.
fn as_seen(branch: &Branch, accepted: bool) -> Look {
    let well = branch.looked.is_some() && branch.look_failures == 0;
    Look {
        branch: branch.id,
        standing: match (accepted, well) {
            (true, _) => Standing::Accepted,
            (false, true) => Standing::Steady,
            (false, false) => Standing::Doubtful,
        },
        asked: branch.look_asked,
        publisher: branch.who(),
        host: Some(branch.host.clone()).filter(|host| !host.is_empty()),
        due: branch.next_look,
    }
}

async fn begin(shared: &Arc<Shared>, project: &Arc<Guarded>, looks: &mut Looks) -> Result<Again, StepError> {
    let size = shared.config.sources.size();
    if project.claim().is_none() || looks.of.len() >= size.all {
        return Ok(Again::AtTick);
    }
    // Checks leave out what mainline has, which is known only once it is here. Its first look wakes this loop.
    if shared.store.project_by_id(project.id).await?.tip.is_none() {
        return Ok(Again::AtTick);
    }
    let now = now();
    // Those under way are still due: beside them, enough of each publisher's to fill every place.
    let each = u32::try_from(size.all + size.each).unwrap_or(u32::MAX);
    let mut due = shared.store.due_looks(project.id, now, each).await?;
    due.retain(|it| looks.of.values().all(|under_way| under_way.branch != it.branch.id));
    let waiting: Vec<Look> = due.iter().map(|it| as_seen(&it.branch, it.accepted)).collect();
    let under_way: Vec<Look> = looks.of.values().cloned().collect();
    for chosen in looks::begin(size, &under_way, &waiting) {
        if let Some(at) = due.iter().position(|it| it.branch.id == chosen) {
            let it = due.swap_remove(at);
            let as_seen = as_seen(&it.branch, it.accepted);
            looks.begin(shared, project, it.branch, as_seen);
        }
    }
    let next = shared.store.next_look(project.id, now).await?;
    Ok(next
        .map_or(Again::AtTick, |next| Again::After(Duration::from_millis(u64::try_from(next.0 - now.0).unwrap_or(0)))))
}

/// One look at a branch's source. Whatever is wrong with it is recorded; an error is only bb's own.
async fn look(shared: &Shared, project: &Guarded, branch: &Branch) -> Result<(), StepError> {
    let Some(claim) = project.claim() else { return Ok(()) };
    if branch.state == BranchState::Landed {
        let head = match source_of(shared, branch) {
            Ok((source, reference)) => shared.poller.head(&source, &reference).await.ok(),
            Err(_) => None,
        };
        return afterwards::look_at_landed(shared, project, claim, branch, head).await;
    }
    let asked = branch.look_asked || project.planned_looks.is_other(branch.id, branch.next_look);
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

/// `asked`: somebody wants it now, so that what was given up is tried again, too.
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
    let newest = shared.store.newest_revision(branch.id).await?;
    let before = match newest {
        Some(newest) if newest.commit == commit && !(asked && newest.refusal.is_some()) => {
            return Ok(lost.map_or(Ok(()), Err));
        }
        // Limits may be others by now, and so may be bb.
        Some(newest) if newest.commit == commit => Before::Refused(newest),
        Some(_) | None => match shared.store.revision_at(branch.id, &commit).await? {
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
    let admission = admission(shared, branch, source, reference, commit, uses);
    Ok(admit(shared, project, branch, admission, before).await?.and(lost.map_or(Ok(()), Err)))
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
    let number = match &before {
        Before::None => shared.store.last_revision(branch.id).await? + 1,
        Before::Refused(before) | Before::Returned(before) => before.number,
    };
    let moves_until = shared.config.sources.pace().moved(branch.moves_until, now());
    let moved = Branch { moves_until, ..branch.clone() };
    if let Before::Returned(before) = &before
        && before.refusal.is_some()
    {
        let Some(claim) = project.claim() else { return Ok(Ok(())) };
        shared.store.head_again(claim, &moved, before).await?;
        return Ok(Ok(()));
    }
    shared.points().at("watch.fetch").await;
    let Some(commit) = admission.expected.clone() else { return Ok(Ok(())) };
    let mut new = NewRevision {
        number,
        commit,
        subject: String::new(),
        title: String::new(),
        author: String::new(),
        commits: 0,
        refusal: None,
    };
    match project.mirror.admit(&shared.poller, &Admission { revision: number, ..admission }).await {
        Ok(admitted) => {
            new.commit = admitted;
            describe(shared, project, &mut new).await?;
        }
        // Whatever happened on the way may not happen again: it is tried again, ever more seldom.
        Err(AdmissionError::Passing(error)) => return Ok(Err(Trouble::of(&error))),
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
