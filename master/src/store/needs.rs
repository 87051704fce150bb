//! What must land before, or with, a place of the queue: branches that whoever accepted it named. There is no circle among them.

use super::row::Columns as _;
use super::writer::Turn;
use super::{BranchState, Reader, Result};
use protocol::{BranchId, BranchName, ProjectId};
use std::collections::{HashMap, HashSet, VecDeque};

/// A branch that a place of the queue needs and that is not in mainline.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Need {
    /// The place that needs it.
    pub entry: i64,
    /// The branch.
    pub branch: BranchName,
    /// Its own place in the queue, if it has one.
    pub place: Option<i64>,
}

/// Says what a place needs, in place of what was said before. Where that would close a circle nothing is said: the branches of
/// the circle, from the one that is needed to the one that needs it.
pub(super) async fn say(
    turn: &mut Turn,
    entry: i64,
    branch: BranchId,
    needs: &[BranchId],
) -> Result<Result<(), Vec<BranchName>>> {
    if let Some(circle) = circle(turn, branch, needs).await? {
        return Ok(Err(circle));
    }
    sqlx::query("DELETE FROM need WHERE entry_id = $1").bind(entry).execute(&mut **turn).await?;
    for need in needs.iter().collect::<HashSet<_>>() {
        sqlx::query("INSERT INTO need (entry_id, branch_id) VALUES ($1, $2)")
            .bind(entry)
            .bind(need.0)
            .execute(&mut **turn)
            .await?;
    }
    Ok(Ok(()))
}

/// The way from what a branch is to need back to itself, by what the places of the queue need now.
async fn circle(turn: &mut Turn, branch: BranchId, needs: &[BranchId]) -> Result<Option<Vec<BranchName>>> {
    let mut from: HashMap<BranchId, Option<BranchId>> = needs.iter().map(|need| (*need, None)).collect();
    let mut next: VecDeque<BranchId> = needs.iter().copied().collect();
    while let Some(at) = next.pop_front() {
        if at == branch {
            let mut way = vec![at];
            while let Some(before) = way.last().and_then(|last| from.get(last).copied().flatten()) {
                way.push(before);
            }
            way.reverse();
            let mut names = Vec::with_capacity(way.len());
            for id in way {
                let row = sqlx::query("SELECT name FROM branch WHERE id = $1").bind(id.0);
                names.push(row.fetch_one(&mut **turn).await?.parsed("name")?);
            }
            return Ok(Some(names));
        }
        let rows = sqlx::query(
            "SELECT n.branch_id FROM need n JOIN queue_entry q ON q.id = n.entry_id
             WHERE q.branch_id = $1 AND q.state = 'queued'",
        );
        for row in rows.bind(at.0).fetch_all(&mut **turn).await? {
            let needed: BranchId = row.num("branch_id")?;
            if let std::collections::hash_map::Entry::Vacant(free) = from.entry(needed) {
                free.insert(Some(at));
                next.push_back(needed);
            }
        }
    }
    Ok(None)
}

impl Reader {
    /// What places of a project's queue need that is not in mainline yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn needs(&self, project: ProjectId) -> Result<Vec<Need>> {
        let rows = sqlx::query(
            "SELECT n.entry_id, b.name, b.state, b.state_text, (SELECT MAX(own.id) FROM queue_entry own
                 WHERE own.branch_id = b.id AND own.state = 'queued') AS place
             FROM queue_entry q JOIN need n ON n.entry_id = q.id JOIN branch b ON b.id = n.branch_id
             WHERE q.project_id = $1 AND q.state = 'queued' ORDER BY n.entry_id, b.name",
        );
        let rows = rows.bind(project.0).fetch_all(&mut *self.read().await?).await?;
        let mut needs = Vec::new();
        for row in &rows {
            let state: BranchState = row.parsed("state")?;
            let is_there = state == BranchState::Landed
                || state == BranchState::Retired && row.text("state_text")? == "in-mainline";
            if !is_there {
                let need =
                    Need { entry: row.num("entry_id")?, branch: row.parsed("name")?, place: row.num_or_none("place")? };
                needs.push(need);
            }
        }
        Ok(needs)
    }
}
