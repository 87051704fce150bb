//! Events: the audit trail, the timeline and the event stream; only ever appended.

use super::changes::Topic;
use super::row::{Columns as _, readable};
use super::writer::Turn;
use super::{Reader, Result, Store, now};
use protocol::api::Look;
use protocol::{BranchId, BuildId, EventId, ProjectId, UnixMs};
use sqlx::any::AnyRow;

/// Something that happened, to be recorded in the transaction that makes it true.
#[derive(Clone, Debug)]
pub struct Happening {
    /// The project.
    pub project: Option<ProjectId>,
    /// The branch.
    pub branch: Option<BranchId>,
    /// The build.
    pub build: Option<BuildId>,
    /// The stable word for it.
    pub kind: &'static str,
    /// Its look.
    pub look: Look,
    /// What happened.
    pub text: String,
    /// Who did it.
    pub actor: String,
}

impl Happening {
    /// Something that bb did to a branch.
    pub fn of_branch(project: ProjectId, branch: BranchId, kind: &'static str, look: Look, text: String) -> Self {
        Self { project: Some(project), branch: Some(branch), build: None, kind, look, text, actor: "bb".to_owned() }
    }

    /// The same, done by `actor`.
    pub fn by(mut self, actor: &str) -> Self {
        actor.clone_into(&mut self.actor);
        self
    }

    /// The same, about a build.
    pub fn build(mut self, build: BuildId) -> Self {
        self.build = Some(build);
        self
    }
}

/// An event as stored.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Its number.
    pub id: EventId,
    /// When.
    pub at: UnixMs,
    /// The project.
    pub project: Option<ProjectId>,
    /// The branch.
    pub branch: Option<BranchId>,
    /// The build.
    pub build: Option<BuildId>,
    /// The stable word.
    pub kind: String,
    /// Its look.
    pub look: Look,
    /// What happened.
    pub text: String,
    /// Who did it.
    pub actor: String,
}

pub(super) fn read(row: &AnyRow) -> Result<StoredEvent> {
    Ok(StoredEvent {
        id: row.num("id")?,
        at: row.num("at_ms")?,
        project: row.num_or_none("project_id")?,
        branch: row.num_or_none("branch_id")?,
        build: row.num_or_none("build_id")?,
        kind: row.text("kind")?,
        look: row.json("look")?,
        text: row.text("text")?,
        actor: row.text("actor")?,
    })
}

/// Appends an event within a transaction.
pub(super) async fn record(turn: &mut Turn, happening: &Happening) -> Result<()> {
    let branch = happening.branch.map_or(0, |branch| branch.0);
    match happening.project {
        Some(project) => turn.changed(project, Topic::Event, branch),
        None => turn.changed_for_all(Topic::Event, branch),
    }
    sqlx::query(
        "INSERT INTO event (at_ms, project_id, branch_id, build_id, kind, look, text, actor)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(now().0)
    .bind(happening.project.map(|p| p.0))
    .bind(happening.branch.map(|b| b.0))
    .bind(happening.build.map(|b| b.0))
    .bind(happening.kind)
    .bind(super::row::to_json(&happening.look)?)
    .bind(&happening.text)
    .bind(&happening.actor)
    .execute(&mut **turn)
    .await?;
    Ok(())
}

impl Store {
    /// Appends an event on its own.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record(&self, happening: &Happening) -> Result<()> {
        self.write
            .turn(async |turn| {
                record(turn, happening).await?;
                turn.keep();
                Ok(())
            })
            .await
    }
}

impl Reader {
    /// Events after a number, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events_after(&self, after: EventId, limit: u32) -> Result<Vec<StoredEvent>> {
        let rows = sqlx::query("SELECT * FROM event WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(after.0)
            .bind(i64::from(limit))
            .fetch_all(&mut *self.read().await?)
            .await?;
        readable("event", &rows, read)
    }

    /// The number of the newest event; 0 before the first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_event(&self) -> Result<EventId> {
        let row =
            sqlx::query("SELECT COALESCE(MAX(id), 0) AS id FROM event").fetch_one(&mut *self.read().await?).await?;
        row.num("id")
    }

    /// A branch's newest events, newest first, with those of builds of stacks that it is in.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn timeline(&self, branch: BranchId, limit: u32) -> Result<Vec<StoredEvent>> {
        let sql = "SELECT * FROM event WHERE id IN (
                 SELECT id FROM (SELECT id FROM event WHERE branch_id = $1 ORDER BY id DESC LIMIT $2) AS own
                 UNION SELECT id FROM (
                     SELECT e.id FROM queue_entry q JOIN stack_entry m ON m.entry_id = q.id
                     JOIN build b ON b.of_stack = m.stack_id AND b.of_stack <> 0
                     JOIN event e ON e.build_id = b.id AND e.build_id IS NOT NULL
                     WHERE q.branch_id = $1 ORDER BY e.id DESC LIMIT $2) AS others)
             ORDER BY id DESC LIMIT $2";
        let rows = sqlx::query(sql).bind(branch.0).bind(i64::from(limit)).fetch_all(&mut *self.read().await?).await?;
        readable("event", &rows, read)
    }
}
