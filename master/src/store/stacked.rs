//! Who was built together: stacks as they are shown, whether they are over or not.

use super::row::Columns as _;
use super::writer::Turn;
use super::{Reader, Result};
use protocol::api::listed;
use protocol::{BranchName, CommitId, UnixMs};
use sqlx::any::AnyRow;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

/// A stack as it is shown, whether it is over or not.
#[derive(Clone, Debug)]
pub struct StackOf {
    /// Its number.
    pub id: i64,
    /// What it is tested for, in words.
    pub purpose: String,
    /// When it was made.
    pub begun: UnixMs,
    /// Whether nobody of it waits any more.
    pub over: bool,
    /// Mainline's commit that it stands on.
    pub on: CommitId,
    /// Its entries, first merged first; none: it is that commit of mainline itself.
    pub members: Vec<StackMember>,
}

/// An entry of a stack.
#[derive(Clone, Debug)]
pub struct StackMember {
    /// The entry.
    pub entry: i64,
    /// Its branch.
    pub branch: BranchName,
    /// What it would land as.
    pub commit: CommitId,
}

impl Reader {
    /// Stacks by number, as they are shown.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stacks_by_id(&self, ids: impl IntoIterator<Item = i64>) -> Result<HashMap<i64, StackOf>> {
        let sql = |ids: &str| {
            format!(
                "SELECT s.id, s.purpose, s.begun_ms, s.over_ms, m.place, m.entry_id, b.name, c.commit_id, c.mainline
                 FROM stack s JOIN stack_entry m ON m.stack_id = s.id JOIN candidate c ON c.id = m.candidate_id
                 JOIN queue_entry q ON q.id = m.entry_id JOIN branch b ON b.id = q.branch_id
                 WHERE s.id IN ({ids}) ORDER BY s.id, m.place"
            )
        };
        let read = |row: &AnyRow| {
            Ok(StackOf {
                id: row.num("id")?,
                purpose: row.text("purpose")?,
                begun: row.num("begun_ms")?,
                over: row.num_or_none::<i64>("over_ms")?.is_some(),
                on: row.parsed("mainline")?,
                // Mainline itself is built on somebody's behalf who is no part of it.
                members: if row.num::<i64>("place")? == 0 {
                    Vec::new()
                } else {
                    let (entry, branch) = (row.num("entry_id")?, row.parsed("name")?);
                    vec![StackMember { entry, branch, commit: row.parsed("commit_id")? }]
                },
            })
        };
        let mut stacks: HashMap<i64, StackOf> = HashMap::new();
        for one in self.rows_of(ids, sql, "stack", read).await? {
            match stacks.entry(one.id) {
                // What the lowest stands on, the whole stands on.
                Slot::Occupied(mut stack) => stack.get_mut().members.extend(one.members),
                Slot::Vacant(none) => drop(none.insert(one)),
            }
        }
        Ok(stacks)
    }

    /// Of these entries that left, the stack whose top is what each is shown with: its number; none of one tested by itself.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stacks_left_by(&self, entries: impl IntoIterator<Item = i64>) -> Result<HashMap<i64, i64>> {
        let sql = |ids: &str| {
            format!(
                "SELECT q.id, MAX(s.id) AS stack_id FROM queue_entry q JOIN stack s ON s.candidate_id = q.candidate_id
                 JOIN stack_entry m ON m.stack_id = s.id AND m.entry_id = q.id WHERE q.id IN ({ids}) GROUP BY q.id"
            )
        };
        let read = |row: &AnyRow| Ok((row.num("id")?, row.num("stack_id")?));
        Ok(self.rows_of(entries, sql, "stack", read).await?.into_iter().collect())
    }
}

/// ` on first, second and third together`, to stand after what a build of a stack did; nothing for one of none. A name that can't
/// be read is left out.
pub(super) async fn together(turn: &mut Turn, stack: Option<i64>) -> Result<String> {
    let Some(stack) = stack else { return Ok(String::new()) };
    let rows = sqlx::query(
        "SELECT b.name, m.place FROM stack_entry m JOIN queue_entry q ON q.id = m.entry_id JOIN branch b ON b.id = q.branch_id
         WHERE m.stack_id = $1 ORDER BY m.place",
    );
    let rows = rows.bind(stack).fetch_all(&mut **turn).await?;
    if rows.iter().any(|row| row.num::<i64>("place").is_ok_and(|place| place == 0)) {
        return Ok(" on mainline itself".to_owned());
    }
    let names: Vec<BranchName> = rows.iter().filter_map(|row| row.parsed("name").ok()).collect();
    Ok(if names.len() < 2 { String::new() } else { format!(" on {} together", listed(&names)) })
}
