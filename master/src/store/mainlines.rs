//! Where mainline was: each commit that a project's tip came to be, and what landed by that.

use super::row::{Columns as _, or_left_out};
use super::writer::Turn;
use super::{Reader, Result};
use protocol::{CommitId, ProjectId, UnixMs};
use sqlx::any::AnyRow;

/// How many of them are kept of a project.
const KEPT: i64 = 1000;

/// Mainline came to a commit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MainlineAt {
    /// Its number: greater ones came later.
    pub id: i64,
    /// The commit.
    pub commit: CommitId,
    /// The landing that brought it there; none where somebody else pushed, or that was not known then.
    pub landing: Option<i64>,
    /// The entries that landed by it, the lowest of the line first.
    pub entries: Vec<i64>,
    /// When it was seen there.
    pub at: UnixMs,
}

/// Records that a project's tip is at another commit now, in the transaction that has it so, and lets go of what is long ago.
pub(super) async fn came_to(
    turn: &mut Turn,
    project: ProjectId,
    commit: &CommitId,
    landing: Option<i64>,
    at: UnixMs,
) -> Result<()> {
    sqlx::query("INSERT INTO mainline_at (project_id, commit_id, landing_id, at_ms) VALUES ($1, $2, $3, $4)")
        .bind(project.0)
        .bind(commit.as_str())
        .bind(landing)
        .bind(at.0)
        .execute(&mut **turn)
        .await?;
    sqlx::query(
        "DELETE FROM mainline_at WHERE project_id = $1 AND id <= (
             SELECT id FROM mainline_at WHERE project_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
    )
    .bind(project.0)
    .bind(KEPT)
    .execute(&mut **turn)
    .await?;
    Ok(())
}

/// Without the entries.
pub(super) fn read(row: &AnyRow) -> Result<MainlineAt> {
    Ok(MainlineAt {
        id: row.num("id")?,
        commit: row.parsed("commit_id")?,
        landing: row.num_or_none("landing_id")?,
        entries: Vec::new(),
        at: row.num("at_ms")?,
    })
}

/// What rows say that each have one of the entries, those of one place one after the other. How mainline came from before a place
/// that can't be read to after it is not known: those before it are left out, too.
fn gather(rows: &[AnyRow]) -> Result<Vec<MainlineAt>> {
    let mut all: Vec<MainlineAt> = Vec::new();
    for row in rows {
        let Some(mut it) = or_left_out("mainline_at", row, read(row))? else {
            all.clear();
            continue;
        };
        let entry = or_left_out("mainline_at", row, row.num_or_none::<i64>("member_id"))?.flatten();
        match all.last_mut().filter(|last| last.id == it.id) {
            Some(last) => last.entries.extend(entry),
            None => {
                it.entries.extend(entry);
                all.push(it);
            }
        }
    }
    Ok(all)
}

impl Reader {
    /// Where mainline came to since the place with this number, oldest first: all that is kept, of 0.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mainline_moves(&self, project: ProjectId, since: i64) -> Result<Vec<MainlineAt>> {
        let rows = sqlx::query(
            "SELECT it.*, e.entry_id AS member_id FROM mainline_at it
             LEFT JOIN landing_entry e ON e.landing_id = it.landing_id
             WHERE it.project_id = $1 AND it.id > $2 ORDER BY it.id, e.place",
        );
        gather(&rows.bind(project.0).bind(since).fetch_all(&mut *self.read().await?).await?)
    }

    /// Where mainline came to last; none before it was ever seen.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mainline_now(&self, project: ProjectId) -> Result<Option<MainlineAt>> {
        let rows = sqlx::query(
            "SELECT it.*, e.entry_id AS member_id FROM mainline_at it
             LEFT JOIN landing_entry e ON e.landing_id = it.landing_id
             WHERE it.id = (SELECT MAX(id) FROM mainline_at WHERE project_id = $1) ORDER BY e.place",
        );
        Ok(gather(&rows.bind(project.0).fetch_all(&mut *self.read().await?).await?)?.pop())
    }
}
