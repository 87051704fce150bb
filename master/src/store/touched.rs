//! Whom a move of mainline concerns: what candidates touch is kept as rows, and found by an index.
//!
//! What a candidate touches is met once: its rows go, and it is to be made again. So nothing is looked for twice, and what
//! ended long ago is not met for ever.

use super::changes::Topic;
use super::row::Columns as _;
use super::writer::Turn;
use super::{Claim, Result, Store};
use protocol::{BranchId, CandidateId, CommitId, ProjectId, RevisionId};
use std::collections::BTreeSet;

/// Numbers that one statement names.
const AT_ONCE: usize = 400;

/// A list of numbers as SQL has it. They are numbers, so nothing in them can be anything else.
fn list(numbers: &[i64]) -> String {
    let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
    texts.join(",")
}

/// Keeps what a revision's new candidate touches, in place of what the one before did.
pub(super) async fn keep(turn: &mut Turn, project: ProjectId, revision: RevisionId, numbers: &[i64]) -> Result<()> {
    forget(turn, revision).await?;
    for some in numbers.chunks(AT_ONCE) {
        let rows: Vec<String> = some.iter().map(|number| format!("({project},{number},{revision})")).collect();
        let sql = format!("INSERT INTO touched (project_id, number, revision_id) VALUES {}", rows.join(","));
        sqlx::query(sqlx::AssertSqlSafe(sql)).persistent(false).execute(&mut **turn).await?;
    }
    Ok(())
}

/// Lets go of what a revision's candidate touches.
pub(super) async fn forget(turn: &mut Turn, revision: RevisionId) -> Result<()> {
    sqlx::query("DELETE FROM touched WHERE revision_id = $1").bind(revision.0).execute(&mut **turn).await?;
    Ok(())
}

/// A branch's head is another revision than before, or the branch is live again: of what it is at now a candidate is wanted,
/// unless the one that it has stands; of the others none is any more.
pub(super) async fn head_is_set(turn: &mut Turn, branch: BranchId) -> Result<()> {
    let sql =
        format!("UPDATE revision SET remake = {WANTED} WHERE branch_id = $1 AND remake <> 0 AND remake <> {WANTED}");
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(branch.0).execute(&mut **turn).await?;
    Ok(())
}

/// Of the head of a branch that is live another candidate is wanted, whatever the one that it has is like.
pub(super) async fn head_is_new(turn: &mut Turn, head: RevisionId) -> Result<()> {
    let sql = format!("UPDATE revision SET remake = {WANTED} WHERE id = $1");
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(head.0).execute(&mut **turn).await?;
    forget(turn, head).await
}

/// A candidate counts no more: another is to be made, if its revision is wanted.
pub(super) async fn candidate_is_gone(turn: &mut Turn, candidate: CandidateId) -> Result<()> {
    let sql = format!(
        "UPDATE revision SET candidate_id = NULL, remake = {WANTED} WHERE candidate_id = $1
         AND id = (SELECT revision_id FROM candidate WHERE id = $1) RETURNING id"
    );
    let of = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(candidate.0).fetch_optional(&mut **turn).await?;
    match of {
        Some(row) => forget(turn, row.num("id")?).await,
        None => Ok(()),
    }
}

impl Store {
    /// Tells candidates what moved on mainline, since `before` until `tip`, by the numbers of what moved: those that touch any of
    /// it are to be made again. How many those are; nothing happens when others have told it meanwhile.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn follow_mainline(
        &self,
        claim: Claim,
        before: Option<&CommitId>,
        tip: &CommitId,
        moved: &[i64],
    ) -> Result<usize> {
        let project = claim.project;
        self.write
            .turn_under(claim, async |turn| {
                let query =
                    sqlx::query("UPDATE project SET followed = $2 WHERE id = $1 AND COALESCE(followed, '') = $3");
                let query = query.bind(project.0).bind(tip.as_str()).bind(before.map_or("", CommitId::as_str));
                if query.execute(&mut **turn).await?.rows_affected() == 0 {
                    return Ok(0);
                }
                let met = met(turn, project, moved).await?;
                for some in met.chunks(AT_ONCE) {
                    let ids = list(some);
                    let sql = format!("DELETE FROM touched WHERE revision_id IN ({ids})");
                    sqlx::query(sqlx::AssertSqlSafe(sql)).persistent(false).execute(&mut **turn).await?;
                    let sql = format!("UPDATE revision SET remake = {WANTED} WHERE id IN ({ids})");
                    sqlx::query(sqlx::AssertSqlSafe(sql)).persistent(false).execute(&mut **turn).await?;
                }
                // Nobody wants those any more that were to be made when their branch ended.
                let sql = format!("UPDATE revision SET remake = {WANTED} WHERE remake = 1 AND {WANTED} = 2");
                sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut **turn).await?;
                turn.keep();
                turn.changed(project, Topic::Mainline, 0);
                Ok(met.len())
            })
            .await
    }
}

/// What `remake` is of a revision whose candidate does not stand.
const WANTED: &str = "(CASE WHEN EXISTS (SELECT 1 FROM branch b WHERE b.id = revision.branch_id AND b.state = 'live'
    AND b.head = revision.number) THEN 1 ELSE 2 END)";

/// The revisions whose candidates touch any of this.
async fn met(turn: &mut Turn, project: ProjectId, moved: &[i64]) -> Result<Vec<i64>> {
    let mut met = BTreeSet::new();
    for some in moved.chunks(AT_ONCE) {
        let sql =
            format!("SELECT DISTINCT revision_id FROM touched WHERE project_id = $1 AND number IN ({})", list(some));
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).persistent(false).bind(project.0);
        for row in query.fetch_all(&mut **turn).await? {
            met.insert(row.num("revision_id")?);
        }
    }
    Ok(met.into_iter().collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn whom_a_move_concerns_is_found_by_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Store::sqlite_url(folder.path())).await.unwrap();
        for (sql, index) in [
            (
                "SELECT DISTINCT revision_id FROM touched WHERE project_id = 1 AND number IN (1,2,3)",
                "sqlite_autoindex_touched",
            ),
            ("DELETE FROM touched WHERE revision_id IN (1,2)", "touched_revision"),
            ("SELECT * FROM revision r JOIN branch b ON b.id = r.branch_id WHERE r.remake = 1", "revision_remake"),
        ] {
            let plan = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
                .fetch_all(&mut *store.read().await.unwrap())
                .await;
            let plan: Vec<String> = plan.unwrap().iter().map(|row| row.text("detail").unwrap()).collect();
            assert!(plan.iter().any(|line| line.contains(index)), "{sql}: {plan:#?}");
        }
    }
}
