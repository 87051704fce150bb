//! Carries out what `gate::queue` decides: builds for the queue, landings, ejections.

use super::{Again, StepError, builds, mainline};
use crate::recipes;
use crate::state::{Guarded, RecipeInUse, RecipeState, Shared};
use crate::store::{self, Branch, BranchState, BuildRowState, Candidate, Claim, Entry, Outcome, Standing, now};
use gate::queue::{
    self, Action, BuildOf, BuildStatus, BuilderOf, EntryId, Pause, Policy, PushRefused, QueueState, Stack, StackId,
};
use protocol::{BuildResult, CommitId, UnixMs, api};
use recipe::Recipe;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tracker::land::{LandError, Step};

/// Entries of which candidates are looked at: the serial queue wants the first, and the next soon after.
const LOOKAHEAD: usize = 4;

/// What one turn knows beside the queue's state.
struct Turn {
    claim: Claim,
    entries: HashMap<EntryId, (Entry, Branch)>,
    stacks: HashMap<StackId, (Candidate, Option<Arc<RecipeInUse>>)>,
}

pub(super) async fn step(shared: &Shared, project: &Guarded) -> Result<Again, StepError> {
    let Some(claim) = project.claim() else { return Ok(Again::AtTick) };
    if shared.store.open_landing(project.id).await?.is_some() {
        return finish_landing(shared, project).await;
    }
    let known = state(shared, project, claim).await?;
    let in_queue = |id| known.as_ref().is_some_and(|(_, turn)| turn.stacks.values().any(|(c, _)| c.id == id));
    project.keep_push_refused(in_queue);
    let Some((state, turn)) = known else { return Ok(Again::AtTick) };
    let decision = queue::decide(&state);
    for standing in &decision.standings {
        let Some((entry, _)) = turn.entries.get(&standing.entry) else { continue };
        let candidate = standing.stack.and_then(|s| turn.stacks.get(&s)).map(|(c, _)| c.id);
        let standing = Standing {
            code: standing.code.as_str().to_owned(),
            says: standing.says.clone(),
            next: standing.next.clone(),
        };
        shared.store.set_standing(entry, candidate, &standing).await?;
    }
    for action in &decision.actions {
        act(shared, project, &turn, action).await?;
    }
    Ok(match decision.look_again {
        Some(at) => Again::After(Duration::from_millis(u64::try_from(at.0 - now().0).unwrap_or(0).max(20))),
        None => Again::AtTick,
    })
}

/// Reads what the decision depends on; none when there is nothing to decide.
async fn state(shared: &Shared, project: &Guarded, claim: Claim) -> Result<Option<(QueueState, Turn)>, StepError> {
    let row = shared.store.project_by_id(project.id).await?;
    let Some(tip) = row.tip else { return Ok(None) };
    let entries = shared.store.queue(project.id).await?;
    if entries.is_empty() {
        return Ok(None);
    }
    let mut turn = Turn { claim, entries: HashMap::new(), stacks: HashMap::new() };
    let mut state = QueueState {
        now: now(),
        mainline: tip.clone(),
        paused: row.paused.then(|| Pause { by: "a maintainer".to_owned(), reason: String::new() }),
        landing: None,
        entries: Vec::new(),
        stacks: Vec::new(),
        capacity: 1,
        policy: Policy::default(),
    };
    let day = super::candidates::today();
    for (i, entry) in entries.into_iter().enumerate() {
        let id = EntryId(entry.id);
        let branch = shared.store.branch_by_id(entry.branch).await?;
        let revision = shared.store.revision_by_id(entry.revision).await?;
        let author = if revision.author.is_empty() { branch.publisher.clone() } else { revision.author };
        state.entries.push(queue::Entry {
            id,
            branch: entry.branch,
            revision: entry.commit.clone(),
            author,
            priority: i32::try_from(entry.priority).unwrap_or(0),
            accepted_at: entry.accepted,
        });
        if i < LOOKAHEAD
            && let Some(candidate) = shared.store.candidate(entry.revision, &tip, &day).await?
        {
            let (stack, recipe) = stack(shared, project, id, &candidate).await?;
            turn.stacks.insert(stack.id, (candidate, recipe));
            state.stacks.push(stack);
        }
        turn.entries.insert(id, (entry, branch));
    }
    Ok(Some((state, turn)))
}

/// A candidate as the queue's decision sees it: a stack of one entry.
async fn stack(
    shared: &Shared,
    project: &Guarded,
    entry: EntryId,
    candidate: &Candidate,
) -> Result<(Stack, Option<Arc<RecipeInUse>>), StepError> {
    let id = StackId(candidate.id.0);
    let mut recipe = None;
    let refused = |code: &str, text: &str, hint: &str| queue::Candidate::Refused {
        entry,
        code: code.to_owned(),
        text: text.to_owned(),
        hint: hint.to_owned(),
    };
    let outcome = match (&candidate.outcome, &candidate.detail) {
        (Outcome::Made(made), _) => {
            let own = recipes::of_candidate(shared, project, &made.commit).await;
            match own? {
                RecipeState::Fine(in_use) => {
                    let builders = gate::builders::builders_for(&in_use.recipe);
                    let builders =
                        builders.into_iter().map(|b| BuilderOf { name: b.name.clone(), required: b.required });
                    let builders: Vec<BuilderOf> = builders.collect();
                    let builds = builds_of(shared, candidate, &made.commit, &in_use.recipe).await?;
                    recipe = Some(in_use);
                    queue::Candidate::Made { commit: made.commit.clone(), builders, builds }
                }
                RecipeState::Broken(trouble) => refused(&trouble.code, &trouble.text, &trouble.hint),
                RecipeState::Missing | RecipeState::Unknown => {
                    refused("recipe-missing", "it has no recipe, and none could be guessed", "add a .bb.toml")
                }
            }
        }
        (_, api::CandidateOutcome::Conflict { files }) => {
            queue::Candidate::Conflict { entry, files: files.iter().map(|f| f.path.clone()).collect() }
        }
        (_, api::CandidateOutcome::Refused(refusal)) => refused(&refusal.code, &refusal.text, &refusal.hint),
        (_, api::CandidateOutcome::Made { .. }) => queue::Candidate::NotMade,
    };
    let push_refused = project.push_refused(candidate.id);
    let stack = Stack { id, on: candidate.mainline.clone(), entries: vec![entry], candidate: outcome, push_refused };
    Ok((stack, recipe))
}

/// The latest build of each builder, numbered by how many there were. What another recipe's builder of the same name said,
/// such as mainline's before the branch was accepted, counts for nothing.
async fn builds_of(
    shared: &Shared,
    candidate: &Candidate,
    commit: &CommitId,
    recipe: &Recipe,
) -> Result<Vec<BuildOf>, StepError> {
    let mut latest: Vec<BuildOf> = Vec::new();
    let mut oldest_first = shared.store.builds_of_candidate(candidate.id).await?;
    oldest_first.reverse();
    // A build that was cancelled before the queue wanted it is none of its tries.
    let never_ran = |b: &store::Build| !b.for_queue && b.result() == Some(BuildResult::Cancelled);
    let judges = |b: &store::Build| b.commit == *commit && recipe.builders.contains(&b.builder) && !never_ran(b);
    for build in oldest_first.into_iter().filter(judges) {
        let status = match build.state {
            BuildRowState::Waiting => BuildStatus::Waiting,
            BuildRowState::Running => BuildStatus::Running,
            BuildRowState::Finished(result) => BuildStatus::Finished { result, says: build.says },
        };
        match latest.iter_mut().find(|b| b.builder == build.builder.name) {
            Some(before) => {
                before.attempt += 1;
                before.for_queue = build.for_queue;
                before.status = status;
            }
            None => latest.push(BuildOf {
                builder: build.builder.name,
                commit: build.commit,
                attempt: 1,
                for_queue: build.for_queue,
                status,
            }),
        }
    }
    Ok(latest)
}

async fn act(shared: &Shared, project: &Guarded, turn: &Turn, action: &Action) -> Result<(), StepError> {
    match action {
        // The candidates' reconciler makes what the queue wants first, and was woken by the same change.
        Action::Make { .. } => {}
        // Its builds are cancelled where the entry gets another candidate or leaves.
        Action::Drop { .. } => {}
        Action::Build { stack, builder, .. } => {
            let Some((candidate, Some(recipe))) = turn.stacks.get(stack) else { return Ok(()) };
            let branch = shared.store.branch_by_id(candidate.branch).await?;
            let wanted = |name: &str| name == builder;
            let requests = builds::requests(project, &branch, candidate, &recipe.recipe, true, wanted);
            shared.store.ask_for_builds(turn.claim, &requests, None).await?;
        }
        Action::Eject { entry, code, says, next } => {
            let Some((entry, branch)) = turn.entries.get(entry) else { return Ok(()) };
            let standing = Standing { code: code.as_str().to_owned(), says: says.clone(), next: next.clone() };
            shared.store.eject(entry, branch, &standing, "bb").await?;
            // Accepted again, it is pushed again: the tries are counted anew.
            project.keep_push_refused(|_| false);
        }
        Action::Land { stack, entries, commit, on } => {
            let (Some((candidate, _)), Some(id)) = (turn.stacks.get(stack), entries.first()) else { return Ok(()) };
            let Some((entry, branch)) = turn.entries.get(id) else { return Ok(()) };
            if branch.state != BranchState::Live || candidate.made_commit() != Some(commit) {
                return Ok(());
            }
            if shared.store.begin_landing(turn.claim, entry.id, on, commit).await?.is_some() {
                push(shared, project, candidate).await?;
            }
        }
    }
    Ok(())
}

/// How long the official repository is left alone after it refused a push so many times: from 10 seconds on, doubled each
/// time, and less where the admin wants mainline looked at more often than every 5 seconds.
fn push_pause_ms(poll_s: u64, times: u32) -> i64 {
    i64::try_from(poll_s.clamp(1, 5)).unwrap_or(5) * 1000 * (1 << times.min(6))
}

/// Pushes what an open landing says.
async fn push(shared: &Shared, project: &Guarded, candidate: &Candidate) -> Result<(), StepError> {
    let Some(landing) = shared.store.open_landing(project.id).await? else { return Ok(()) };
    let (url, mainline) = mainline::official(project).map_err(StepError::Settings)?;
    let request = serde_json::from_str(&candidate.request)?;
    let step = Step { request, commit: landing.to.clone() };
    shared.points().at("queue.push").await;
    let pushed = project.mirror.land(&url, &mainline, &landing.from, &[step]).await;
    shared.points().at("queue.pushed").await;
    match pushed {
        Ok(_) => {
            let entry = shared.store.entry(landing.entry).await?;
            let branch = shared.store.branch_by_id(entry.branch).await?;
            shared.store.landed(&landing, &entry, &branch).await?;
            tracing::info!(project = %project.name, branch = %branch.name, commit = landing.to.short(), "landed");
            project.look_at_mainline();
        }
        // Whether it landed is not known: the intent stays, and the remote's ref decides.
        Err(LandError::Unreachable(error)) => return Err(error.into()),
        Err(error) => {
            tracing::warn!(project = %project.name, %error, "landing failed");
            if !matches!(error, LandError::Moved { .. }) {
                let times = project.push_refused(candidate.id).map_or(0, |r| r.times) + 1;
                let again_at = UnixMs(now().0 + push_pause_ms(shared.config.times.poll_s, times));
                project.set_push_refused(candidate.id, PushRefused { times, again_at, said: error.to_string() });
            }
            shared.store.landing_failed(&landing, &error.to_string()).await?;
            project.look_at_mainline();
        }
    }
    Ok(())
}

/// Decides by the remote's ref what came of a landing whose outcome is not recorded.
async fn finish_landing(shared: &Shared, project: &Guarded) -> Result<Again, StepError> {
    let Some(landing) = shared.store.open_landing(project.id).await? else { return Ok(Again::Now) };
    let (url, mainline) = mainline::official(project).map_err(StepError::Settings)?;
    let now = project.mirror.update_mainline(&url, &mainline).await?;
    let relation = project.mirror.relation(&now, &landing.to).await?;
    use tracker::mirror::Relation;
    if matches!(relation, Relation::Same | Relation::Behind) {
        let entry = shared.store.entry(landing.entry).await?;
        let branch = shared.store.branch_by_id(entry.branch).await?;
        shared.store.landed(&landing, &entry, &branch).await?;
    } else {
        shared.store.landing_failed(&landing, "interrupted before the push").await?;
    }
    Ok(Again::Now)
}
