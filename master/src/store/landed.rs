//! How landings ended.

use super::changes::Topic;
use super::events::{self, Happening};
use super::landings::with_others;
use super::row::{Columns as _, or_left_out};
use super::writer::Turn;
use super::{BranchState, Claim, FailedBy, Landing, Member, Reader, Result, Store, entries, mainlines, now};
use protocol::api::Look;
use protocol::{BranchId, BranchName, CandidateId, CommitId, ProjectId, UnixMs};
use sqlx::any::AnyRow;
use std::collections::HashMap;

impl Store {
    /// Records that a landing came true, whatever was thought of it before: the entries of the line and their branches have
    /// landed, other entries of these branches are over, and mainline is there unless it is seen further on already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn landed(&self, landing: &Landing) -> Result<()> {
        self.write
            .turn(async |turn| {
                let at = now();
                members_landed(turn, landing.project, &landing.members, at).await?;
                sqlx::query(
                    "UPDATE landing SET state = 'landed', ended_ms = $2 WHERE id = $1
            AND state <> 'landed'",
                )
                .bind(landing.id)
                .bind(at.0)
                .execute(&mut **turn)
                .await?;
                let moved = sqlx::query("UPDATE project SET tip = $2, tip_seen_ms = $3 WHERE id = $1 AND tip = $4")
                    .bind(landing.project.0)
                    .bind(landing.to.as_str())
                    .bind(at.0)
                    .bind(landing.from.as_str())
                    .execute(&mut **turn)
                    .await?;
                if moved.rows_affected() > 0 {
                    mainlines::came_to(turn, landing.project, &landing.to, Some(landing.id), at).await?;
                }
                turn.keep();
                turn.changed(landing.project, Topic::Queue, 0);
                turn.changed(landing.project, Topic::Mainline, 0);
                Ok(())
            })
            .await
    }

    /// Records that of a landing's line only these lower ones came to mainline, which somebody else has pushed. How the landing
    /// ended is another question.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lower_landed(&self, landing: &Landing, lower: &[Member]) -> Result<()> {
        self.write
            .turn(async |turn| {
                members_landed(turn, landing.project, lower, now()).await?;
                turn.keep();
                turn.changed(landing.project, Topic::Queue, 0);
                Ok(())
            })
            .await
    }

    /// Records that a landing did not come true, as far as is known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn landing_failed(&self, claim: Claim, landing: &Landing, by: FailedBy, says: &str) -> Result<()> {
        self.write
            .turn_under(claim, async |turn| {
                sqlx::query(
                    "UPDATE landing SET state = $2, says = $3, ended_ms = $4 WHERE id = $1
                        AND state = 'intent'",
                )
                .bind(landing.id)
                .bind(by.as_str())
                .bind(says)
                .bind(now().0)
                .execute(&mut **turn)
                .await?;
                turn.keep();
                turn.changed(claim.project, Topic::Queue, 0);
                Ok(())
            })
            .await
    }

    /// Ends an open intent of which not even the row can be read, under a claim. What was to be pushed is not known; if it came,
    /// mainline has all of the branch, which is seen when it is looked at.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn unreadable_landing_failed(&self, claim: Claim, says: &str) -> Result<()> {
        self.write
            .turn_under(claim, async |turn| {
                sqlx::query(
                    "UPDATE landing SET state = 'failed', says = $2, ended_ms = $3
                     WHERE project_id = $1 AND state = 'intent'",
                )
                .bind(claim.project.0)
                .bind(says)
                .bind(now().0)
                .execute(&mut **turn)
                .await?;
                turn.keep();
                turn.changed(claim.project, Topic::Queue, 0);
                Ok(())
            })
            .await
    }
}

/// By which push an entry landed.
#[derive(Clone, Debug)]
pub struct LandedBy {
    /// The commit that was tested and pushed: the top of the line.
    pub tested: CommitId,
    /// The candidate that it was, where that is known.
    pub candidate: Option<CandidateId>,
    /// The others that landed by it, the lowest first.
    pub with: Vec<BranchName>,
}

impl Reader {
    /// Of these entries, by which push of bb's each landed; none of those that somebody else has pushed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn landed_by(&self, entries: impl IntoIterator<Item = i64>) -> Result<HashMap<i64, LandedBy>> {
        let sql = |ids: &str| {
            format!(
                "SELECT mine.entry_id AS of_id, l.to_commit, e.entry_id, e.candidate_id, b.name
                 FROM landing_entry mine JOIN queue_entry own ON own.id = mine.entry_id AND own.landed = mine.commit_id
                 JOIN landing l ON l.id = mine.landing_id AND l.state = 'landed'
                 JOIN landing_entry e ON e.landing_id = l.id
                 JOIN queue_entry q ON q.id = e.entry_id JOIN branch b ON b.id = q.branch_id
                 WHERE mine.entry_id IN ({ids}) ORDER BY mine.entry_id, l.id, e.place"
            )
        };
        let read = |row: &AnyRow| {
            let is_itself = row.num::<i64>("of_id")? == row.num::<i64>("entry_id")?;
            Ok((
                row.num("of_id")?,
                LandedBy {
                    tested: row.parsed("to_commit")?,
                    candidate: row.num_or_none("candidate_id")?,
                    with: if is_itself { Vec::new() } else { vec![row.parsed("name")?] },
                },
            ))
        };
        let mut all: HashMap<i64, LandedBy> = HashMap::new();
        for (entry, one) in self.rows_of(entries, sql, "landing_entry", read).await? {
            let before = all.remove(&entry).filter(|before| before.tested == one.tested);
            let mut with = before.map(|before| before.with).unwrap_or_default();
            with.extend(one.with);
            // The last is the top.
            all.insert(entry, LandedBy { with, ..one });
        }
        Ok(all)
    }
}

/// Has those landed that mainline has, each as its own commit. What of one can't be read stops none of the others.
async fn members_landed(turn: &mut Turn, project: ProjectId, members: &[Member], at: UnixMs) -> Result<()> {
    let mut found = HashMap::new();
    for member in members {
        // No more of its row than is needed: what else can't be read does not unmake what mainline has.
        let row = sqlx::query(
            "SELECT q.id, q.branch_id, b.name FROM queue_entry q JOIN branch b ON b.id = q.branch_id WHERE q.id = $1",
        );
        let row = row.bind(member.entry).fetch_optional(&mut **turn).await?;
        let Some(row) = row else { continue };
        let name = row.parsed::<BranchName>("name").ok();
        if let Some(branch) = or_left_out("queue_entry", &row, row.num::<BranchId>("branch_id"))? {
            found.insert(member.entry, (branch, name));
        }
    }
    let named = |member: &Member| found.get(&member.entry).and_then(|(_, name)| name.as_ref());
    let names: Vec<&BranchName> = members.iter().filter_map(named).collect();
    for member in members {
        let Some((branch, name)) = found.get(&member.entry) else { continue };
        let place = name.as_ref().and_then(|name| names.iter().position(|it| *it == name)).unwrap_or(names.len());
        let with = with_others(&names, place);
        let says = format!("landed as {}{with}", member.commit.short());
        let done = sqlx::query(
            "UPDATE queue_entry SET state = 'landed', code = 'landed', says = $2,
                next_who = 'nobody', next_what = '', landed = $3, left_ms = $4
             WHERE id = $1 AND state <> 'landed'",
        )
        .bind(member.entry)
        .bind(&says)
        .bind(member.commit.as_str())
        .bind(at.0)
        .execute(&mut **turn)
        .await?;
        if done.rows_affected() == 0 {
            continue;
        }
        entries::end_others(turn, *branch, member.entry, "another place of its branch landed").await?;
        sqlx::query(
            "UPDATE branch SET state = $2, state_text = $3, changed_ms = $4
                WHERE id = $1",
        )
        .bind(branch.0)
        .bind(BranchState::Landed.as_str())
        .bind(&says)
        .bind(at.0)
        .execute(&mut **turn)
        .await?;
        let text = format!("Landed on mainline as {}{with}", member.commit.short());
        let it = Happening::of_branch(project, *branch, "landed", Look::Landed, text);
        events::record(turn, &it).await?;
        super::builds::cancel_all_of(turn, *branch, "the branch has landed").await?;
        turn.changed(project, Topic::Queue, *branch);
        turn.changed(project, Topic::Branch, *branch);
    }
    Ok(())
}
