//! Looks at published branches when they are due: whose turn it is, how many at once, and who goes along with whom.

use super::each::look_after;
use super::look::{look, look_together};
use super::{Again, StepError, TICK};
use crate::project::Guarded;
use crate::state::Shared;
use crate::store::{Branch, BranchState, DueLook, Interest, Topic, now};
use gate::looks::{self, Look, Standing};
use protocol::{BranchId, UnixMs};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{self, JoinSet};
use tokio::time::{sleep, timeout};

/// A look that failed by bb's own fault is not taken again before this.
const PAUSE: Duration = Duration::from_secs(2);
/// Branches of one repository that are looked at together, by one question and one fetch.
const TOGETHER: usize = 64;

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
    of: HashMap<task::Id, UnderWay>,
}

/// A look under way.
struct UnderWay {
    /// Whose place it has.
    place: Look,
    /// All that it looks at.
    branches: Vec<BranchId>,
}

impl Looks {
    /// Begins a look at a branch, or at several of one repository.
    fn begin(&mut self, shared: &Arc<Shared>, project: &Arc<Guarded>, branches: Vec<Branch>, place: Look) {
        let (shared, project) = (shared.clone(), project.clone());
        let ids = branches.iter().map(|branch| branch.id).collect();
        let task = self.tasks.spawn(async move {
            let looked = match &branches[..] {
                [branch] => look(&shared, &project, branch).await,
                branches => look_together(&shared, &project, branches).await,
            };
            if let Err(error) = looked {
                let names: Vec<&str> = branches.iter().map(|branch| branch.name.as_str()).collect();
                tracing::warn!(branches = names.join(" "), %error, "a look failed by the master's own fault");
                look_after(&project, &error);
                sleep(PAUSE).await;
            }
        });
        self.of.insert(task.id(), UnderWay { place, branches: ids });
    }

    fn has(&self, branch: BranchId) -> bool {
        self.of.values().any(|it| it.branches.contains(&branch))
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
    let now = now();
    let in_a_while = |next: Option<UnixMs>| {
        next.map_or(Again::AtTick, |next| {
            Again::After(Duration::from_millis(u64::try_from(next.0 - now.0).unwrap_or(0)))
        })
    };
    // Mostly nobody is due, and whoever wakes this loop says so of others.
    let first = shared.store.next_look(project.id, UnixMs(-1)).await?;
    if first.is_none_or(|first| first > now) {
        return Ok(in_a_while(first));
    }
    // Those under way are still due: beside them, enough of each publisher's to fill every place.
    let each = u32::try_from(size.all + size.publisher + TOGETHER).unwrap_or(u32::MAX);
    let mut due = shared.store.due_looks(project.id, now, each).await?;
    due.retain(|it| !looks.has(it.branch.id));
    let waiting: Vec<Look> = due.iter().map(|it| as_seen(&it.branch, it.accepted)).collect();
    let under_way: Vec<Look> = looks.of.values().map(|it| it.place.clone()).collect();
    for chosen in looks::begin(size, &under_way, &waiting) {
        // It may have gone along with one before.
        let Some(at) = due.iter().position(|it| it.branch.id == chosen) else { continue };
        let it = due.remove(at);
        let place = as_seen(&it.branch, it.accepted);
        let mut branches = vec![it.branch];
        branches.extend(going_along(project, &branches[0], &mut due));
        looks.begin(shared, project, branches, place);
    }
    Ok(in_a_while(shared.store.next_look(project.id, now).await?))
}

/// Those that are due and can be looked at by the same question and fetch as a branch: of the same repository and publisher.
fn going_along(project: &Guarded, lead: &Branch, due: &mut Vec<DueLook>) -> Vec<Branch> {
    let can = |branch: &Branch| branch.state == BranchState::Live && !project.goes_alone(branch.id);
    if !can(lead) {
        return Vec::new();
    }
    let goes = |it: &mut DueLook| it.branch.url == lead.url && it.branch.who() == lead.who() && can(&it.branch);
    let mut along: Vec<Branch> = Vec::new();
    due.retain_mut(|it| {
        let goes = along.len() + 1 < TOGETHER && goes(it);
        if goes {
            along.push(it.branch.clone());
        }
        !goes
    });
    along
}
