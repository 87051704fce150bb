//! Steering the queue: paused and resumed as a whole; held, moved or taken out by one.

use super::{Done, allow, being_pushed, branch, line};
use crate::auth::{Action, Actor};
use crate::project::Guarded;
use crate::refused::Refused;
use crate::state::Shared;
use crate::store::{Branch, Standing, Steered};
use gate::code::Code;
use protocol::BranchName;
use protocol::api::Next;

/// The longest reason, in characters.
const REASON: usize = 200;

/// Pauses a project's queue, for a reason.
pub(crate) async fn pause(shared: &Shared, project: &Guarded, actor: &Actor, reason: &str) -> Done<()> {
    allow(actor, Action::SteerQueue, "steering the queue")?;
    shared.store.by(actor.token()).pause_queue(project.id, actor.name(), &line(reason, REASON)).await?;
    Ok(())
}

/// Resumes it.
pub(crate) async fn resume(shared: &Shared, project: &Guarded, actor: &Actor) -> Done<()> {
    allow(actor, Action::SteerQueue, "steering the queue")?;
    shared.store.by(actor.token()).resume_queue(project.id, actor.name()).await?;
    Ok(())
}

/// Holds a branch's place, so that it is neither tested nor landed, and others go by; `None` lets it go on.
pub(crate) async fn hold(
    shared: &Shared,
    project: &Guarded,
    actor: &Actor,
    name: &BranchName,
    reason: Option<&str>,
) -> Done<()> {
    allow(actor, Action::SteerQueue, "steering the queue")?;
    let branch = branch(&shared.store, project, name).await?;
    let reason = reason.map(|reason| line(reason, REASON));
    steered(&branch, &shared.store.by(actor.token()).hold(&branch, reason.as_deref(), actor.name()).await?)
}

/// Puts a branch before all others: it is tested alone, and lands first; `None` puts it back.
pub(crate) async fn expedite(
    shared: &Shared,
    project: &Guarded,
    actor: &Actor,
    name: &BranchName,
    reason: Option<&str>,
) -> Done<()> {
    allow(actor, Action::SteerQueue, "steering the queue")?;
    let branch = branch(&shared.store, project, name).await?;
    let reason = reason.map(|reason| line(reason, REASON));
    steered(&branch, &shared.store.by(actor.token()).expedite(&branch, reason.as_deref(), actor.name()).await?)
}

/// Moves a branch's place: greater goes first, 0 is usual.
pub(crate) async fn set_priority(
    shared: &Shared,
    project: &Guarded,
    actor: &Actor,
    name: &BranchName,
    priority: i32,
) -> Done<()> {
    allow(actor, Action::SteerQueue, "steering the queue")?;
    let branch = branch(&shared.store, project, name).await?;
    steered(&branch, &shared.store.by(actor.token()).set_priority(&branch, priority, actor.name()).await?)
}

/// Takes a branch out of the queue.
pub(crate) async fn take_out(
    shared: &Shared,
    project: &Guarded,
    actor: &Actor,
    name: &BranchName,
    reason: &str,
) -> Done<()> {
    allow(actor, Action::SteerQueue, "steering the queue")?;
    let branch = branch(&shared.store, project, name).await?;
    let reason = line(reason, REASON);
    let by = format!("taken out by {}", actor.name());
    let standing = Standing {
        code: Code::EjectedByHand.as_str().to_owned(),
        says: if reason.is_empty() { by } else { format!("{by}: {reason}") },
        next: Next { who: "a maintainer".to_owned(), what: "accepts it again, if it is still to land".to_owned() },
    };
    steered(&branch, &shared.store.by(actor.token()).take_out(&branch, &standing, actor.name()).await?)
}

fn steered(branch: &Branch, done: &Steered) -> Done<()> {
    match done {
        Steered::Now => Ok(()),
        Steered::NotQueued => {
            let detail = format!("{} is not in the queue", branch.name);
            Err(Refused::new(409, "not-queued", detail, "`bb queue` lists those that are"))
        }
        Steered::BeingPushed(_) => Err(being_pushed(branch)),
    }
}
