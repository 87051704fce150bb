//! Builds as the queue's decision sees them.

use super::StepError;
use crate::state::Shared;
use crate::store::{self, BuildRowState, Candidate};
use gate::queue::{BuildOf, BuildStatus};
use protocol::{BuildId, BuildResult, CommitId};
use recipe::Recipe;
use std::collections::HashMap;

/// The latest build of each builder, numbered by how many there were. What another recipe's builder of the same name said,
/// such as mainline's before the branch was accepted, counts for nothing.
pub(super) async fn builds_of(
    shared: &Shared,
    candidate: &Candidate,
    commit: &CommitId,
    recipe: &Recipe,
) -> Result<Vec<BuildOf>, StepError> {
    // A build that was cancelled before the queue wanted it is none of its tries, nor one that was handed back: another was
    // asked for at once.
    let no_try = |b: &store::Build| b.handed_back || !b.for_queue && b.result() == Some(BuildResult::Cancelled);
    let judges = |b: &store::Build| b.commit == *commit && recipe.builders.contains(&b.builder) && !no_try(b);
    let builds = shared.store.builds_of_candidate(candidate.id).await?.only(judges);
    let latest: Vec<&store::Build> = builds.latest_of_each().collect();
    let failed = failed(latest.iter().copied());
    let decided_by = shared.store.deciding_steps(failed).await?;
    let mut latest = builds_as_seen(shared, &latest, &decided_by);
    for build in &mut latest {
        build.attempt = u32::try_from(builds.all_of(&build.builder).count()).unwrap_or(u32::MAX);
    }
    Ok(latest)
}

/// Those that failed, of which the step that decided it is told.
pub(super) fn failed<'b>(builds: impl Iterator<Item = &'b store::Build>) -> Vec<BuildId> {
    builds.filter(|build| build.result() == Some(BuildResult::Failure)).map(|build| build.id).collect()
}

/// Builds as the queue's decision sees them, in the order in which they are given; each as a first try. Of those that failed,
/// `decided_by` has the step that decided it.
pub(super) fn builds_as_seen(
    shared: &Shared,
    builds: &[&store::Build],
    decided_by: &HashMap<BuildId, store::Step>,
) -> Vec<BuildOf> {
    let as_seen = |build: &&store::Build| {
        let status = match build.state {
            BuildRowState::Waiting => BuildStatus::Waiting,
            BuildRowState::Running => BuildStatus::Running,
            BuildRowState::Finished(result) => {
                let lacks = decided_by.get(&build.id).and_then(|step| step.lacks.clone());
                BuildStatus::Finished { result, says: build.says.clone(), lacks }
            }
        };
        BuildOf {
            builder: build.builder.name.clone(),
            commit: build.commit.clone(),
            attempt: 1,
            for_queue: build.for_queue,
            status,
            wait: shared.wait_of(build.id),
        }
    };
    builds.iter().map(as_seen).collect()
}
