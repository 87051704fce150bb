//! What maintainers say of a queue, whole or of one place of it: paused, held, moved, taken out. Each with who said it, why and
//! since when.

use super::changes::Topic;
use super::entries::{self, Standing};
use super::events::{self, Happening};
use super::row::{Columns as _, to_json};
use super::writer::Turn;
use super::{Branch, Entry, Landing, Result, Store, landings, now};
use gate::code::Code;
use protocol::ProjectId;
use protocol::api::{ByHand, Look};

/// What came of steering one place.
#[derive(Clone, Debug)]
pub enum Steered {
    /// It is so now, or was before.
    Now,
    /// The branch is not in the queue.
    NotQueued,
    /// A commit of the branch is being pushed to mainline.
    BeingPushed(Landing),
}

impl Store {
    /// Pauses a project's queue, or says anew who did and why; false when that was said before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pause_queue(&self, id: ProjectId, actor: &str, reason: &str) -> Result<bool> {
        self.write
            .turn(async |turn| {
                let said = sqlx::query("SELECT paused, pause FROM project WHERE id = $1").bind(id.0);
                let said = said.fetch_one(&mut **turn).await?;
                let before: Option<ByHand> = said.json_or_none("pause")?;
                let same = |it: &ByHand| it.by == actor && it.reason == reason;
                if said.flag("paused")? && (before.as_ref().is_some_and(same) || before.is_some() && reason.is_empty())
                {
                    return Ok(false);
                }
                let word = ByHand { by: actor.to_owned(), reason: reason.to_owned(), since_ms: now() };
                sqlx::query("UPDATE project SET paused = 1, pause = $2 WHERE id = $1")
                    .bind(id.0)
                    .bind(to_json(&word)?)
                    .execute(&mut **turn)
                    .await?;
                record(turn, id, "paused", with_reason("Queue paused", reason), actor).await?;
                Ok(true)
            })
            .await
    }

    /// Resumes a project's queue; false when it was not paused.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resume_queue(&self, id: ProjectId, actor: &str) -> Result<bool> {
        self.write
            .turn(async |turn| {
                let done = sqlx::query("UPDATE project SET paused = 0, pause = NULL WHERE id = $1 AND paused = 1");
                if done.bind(id.0).execute(&mut **turn).await?.rows_affected() == 0 {
                    return Ok(false);
                }
                // Nobody should read that it is paused until the queue was looked at again.
                let resumed = sqlx::query(
                    "UPDATE queue_entry SET code = 'accepted', says = 'accepted', next_who = 'bb',
                         next_what = 'tests it as it would land'
                     WHERE project_id = $1 AND state = 'queued' AND code = 'paused' RETURNING branch_id",
                );
                for row in resumed.bind(id.0).fetch_all(&mut **turn).await? {
                    turn.changed(id, Topic::Queue, row.num::<i64>("branch_id")?);
                }
                record(turn, id, "resumed", "Queue resumed".to_owned(), actor).await?;
                Ok(true)
            })
            .await
    }

    /// Holds a branch's place in the queue, so that it is neither tested nor landed, or lets it go on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hold(&self, branch: &Branch, hold: Option<&str>, actor: &str) -> Result<Steered> {
        self.steer(branch, async |turn, entry| {
            if entry.hold.is_none() && hold.is_none() {
                return Ok(());
            }
            let word = hold.map(|reason| ByHand { by: actor.to_owned(), reason: reason.to_owned(), since_ms: now() });
            let json = word.as_ref().map(to_json).transpose()?;
            sqlx::query("UPDATE queue_entry SET hold = $2 WHERE id = $1")
                .bind(entry.id)
                .bind(json)
                .execute(&mut **turn)
                .await?;
            // Nobody should read what is not so any more until the queue was looked at again.
            let (kind, text) = match hold {
                Some(reason) => {
                    let says = with_reason(&format!("held by {actor}"), reason);
                    entries::stands(turn, entry.id, Code::OnHold.as_str(), &says, "a maintainer", "releases it")
                        .await?;
                    ("held", with_reason("Held in the queue", reason))
                }
                None => {
                    let (code, says) = (Code::Accepted.as_str(), "accepted");
                    entries::stands(turn, entry.id, code, says, "bb", "tests it as it would land").await?;
                    ("released", "Goes on in the queue".to_owned())
                }
            };
            let it = Happening::of_branch(branch.project, branch.id, kind, Look::Waiting, text).by(actor);
            events::record(turn, &it).await
        })
        .await
    }

    /// Puts a branch's place before all others, to be tested alone, or back where it was.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn expedite(&self, branch: &Branch, reason: Option<&str>, actor: &str) -> Result<Steered> {
        self.steer(branch, async |turn, entry| {
            if entry.expedite.is_none() && reason.is_none() {
                return Ok(());
            }
            let word = reason.map(|reason| ByHand { by: actor.to_owned(), reason: reason.to_owned(), since_ms: now() });
            sqlx::query("UPDATE queue_entry SET expedite = $2, expedited = $3 WHERE id = $1")
                .bind(entry.id)
                .bind(word.as_ref().map(to_json).transpose()?)
                .bind(i64::from(word.is_some()))
                .execute(&mut **turn)
                .await?;
            let text = match reason {
                Some(reason) => with_reason("Goes before all others, tested alone", reason),
                None => "Goes at its own place again".to_owned(),
            };
            let it = Happening::of_branch(branch.project, branch.id, "expedited", Look::Waiting, text).by(actor);
            events::record(turn, &it).await
        })
        .await
    }

    /// Moves a branch's place in the queue: greater goes first, 0 is usual.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_priority(&self, branch: &Branch, priority: i32, actor: &str) -> Result<Steered> {
        self.steer(branch, async |turn, entry| {
            if entry.priority == i64::from(priority) {
                return Ok(());
            }
            sqlx::query("UPDATE queue_entry SET priority = $2 WHERE id = $1")
                .bind(entry.id)
                .bind(i64::from(priority))
                .execute(&mut **turn)
                .await?;
            let text = format!("Moved in the queue: priority {priority}");
            let it = Happening::of_branch(branch.project, branch.id, "moved", Look::Waiting, text).by(actor);
            events::record(turn, &it).await
        })
        .await
    }

    /// Takes a branch out of the queue.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_out(&self, branch: &Branch, standing: &Standing, actor: &str) -> Result<Steered> {
        self.steer(branch, async |turn, entry| {
            entries::end(turn, entry.id, &standing.code, &standing.says, &standing.next).await?;
            if let Some(candidate) = entry.candidate {
                super::builds::cancel_queue_of(turn, candidate, "the branch has left the queue").await?;
            }
            sqlx::query("UPDATE branch SET changed_ms = $2 WHERE id = $1")
                .bind(branch.id.0)
                .bind(now().0)
                .execute(&mut **turn)
                .await?;
            turn.changed(branch.project, Topic::Branch, branch.id);
            let text = format!("Left the queue: {}", standing.says);
            let it = Happening::of_branch(branch.project, branch.id, "ejected", Look::Failed, text).by(actor);
            events::record(turn, &it).await
        })
        .await
    }

    /// Changes a branch's place in the queue, unless it is being pushed.
    async fn steer(
        &self,
        branch: &Branch,
        change: impl AsyncFnOnce(&mut Turn, &Entry) -> Result<()>,
    ) -> Result<Steered> {
        self.write
            .turn(async |turn| {
                if let Some(landing) = landings::open_of(turn, branch.id).await? {
                    return Ok(Steered::BeingPushed(landing));
                }
                let row = sqlx::query("SELECT * FROM queue_entry WHERE branch_id = $1 AND state = 'queued'");
                let row = row.bind(branch.id.0).fetch_optional(&mut **turn).await?;
                let Some(entry) = row.as_ref().map(entries::read).transpose()? else { return Ok(Steered::NotQueued) };
                change(turn, &entry).await?;
                turn.keep();
                turn.changed(branch.project, Topic::Queue, branch.id);
                Ok(Steered::Now)
            })
            .await
    }
}

fn with_reason(text: &str, reason: &str) -> String {
    if reason.is_empty() { text.to_owned() } else { format!("{text}: {reason}") }
}

/// Records what was said of the whole queue.
async fn record(turn: &mut Turn, id: ProjectId, kind: &'static str, text: String, actor: &str) -> Result<()> {
    let (project, look, actor) = (Some(id), Look::Waiting, actor.to_owned());
    let it = Happening { project, branch: None, build: None, kind, look, text, actor };
    events::record(turn, &it).await?;
    turn.keep();
    turn.changed(id, Topic::Queue, 0);
    Ok(())
}
