//! What listings need of many rows: read together, so that a page asks as often for a thousand branches as for one.

use super::row::{Columns as _, or_left_out, readable};
use super::{Branch, Build, Builds, Candidate, Entry, Reader, Result, Revision, Step, TokenRow};
use super::{branches, builds, candidates, entries, revisions, steps, tokens};
use protocol::{
    BranchId, BranchName, BuildId, CandidateId, CommitId, ProjectId, RevisionId, SlaveId, SlaveName, TokenId,
};
use sqlx::any::AnyRow;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Rows named in one statement.
const AT_ONCE: usize = 500;
/// Places of a branch that are told.
const PLACES: u32 = 50;

/// Builds in lists by what they belong to, each list as it was read. Of a list in which one can't be read there is nothing: an
/// older build must not count as the latest for want of it.
fn whole_lists<K: Copy + Eq + Hash>(rows: Vec<(K, Option<Build>)>) -> HashMap<K, Builds> {
    let mut lists: HashMap<K, Option<Vec<Build>>> = HashMap::new();
    for (of, build) in rows {
        let list = lists.entry(of).or_insert_with(|| Some(Vec::new()));
        *list = list.take().zip(build).map(|(mut list, build)| {
            list.push(build);
            list
        });
    }
    lists.into_iter().filter_map(|(of, list)| Some((of, Builds::of(list?)))).collect()
}

/// A build with the number of what it belongs to.
fn build_of<K: From<i64>>(row: &AnyRow, column: &str) -> Result<(K, Option<Build>)> {
    Ok((row.num(column)?, or_left_out("build", row, builds::read(row))?))
}

/// In lists by what they belong to, in the order in which they were read.
fn by<K: Eq + Hash, V>(rows: Vec<V>, key: impl Fn(&V) -> K) -> HashMap<K, Vec<V>> {
    let mut lists: HashMap<K, Vec<V>> = HashMap::new();
    for row in rows {
        lists.entry(key(&row)).or_default().push(row);
    }
    lists
}

impl Reader {
    /// Rows that belong to these ids. `sql` is given the list of them.
    pub(super) async fn rows_of<T>(
        &self,
        ids: impl IntoIterator<Item = impl Into<i64>>,
        sql: impl Fn(&str) -> String,
        table: &'static str,
        read: impl Fn(&AnyRow) -> Result<T>,
    ) -> Result<Vec<T>> {
        let ids: BTreeSet<i64> = ids.into_iter().map(Into::into).collect();
        let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
        let mut found = Vec::with_capacity(ids.len());
        for some in ids.chunks(AT_ONCE) {
            let query = sqlx::query(sqlx::AssertSqlSafe(sql(&some.join(",")))).persistent(false);
            let rows = query.fetch_all(&mut *self.read().await?).await?;
            found.extend(readable(table, &rows, &read)?);
        }
        Ok(found)
    }

    /// Branches by number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn branches_by_id(&self, ids: impl IntoIterator<Item = BranchId>) -> Result<HashMap<BranchId, Branch>> {
        let sql = |ids: &str| branches::whole_sql(&format!("WHERE branch.id IN ({ids})"));
        let rows = self.rows_of(ids, sql, "branch", branches::read).await?;
        Ok(rows.into_iter().map(|branch| (branch.id, branch)).collect())
    }

    /// Branches of a project by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn branches_named(
        &self,
        project: ProjectId,
        names: impl IntoIterator<Item = &BranchName>,
    ) -> Result<Vec<Branch>> {
        let names: BTreeSet<&BranchName> = names.into_iter().collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let places: Vec<String> = (2..names.len() + 2).map(|place| format!("${place}")).collect();
        let sql = format!("WHERE branch.project_id = $1 AND branch.name IN ({})", places.join(","));
        let query = sqlx::query(sqlx::AssertSqlSafe(branches::whole_sql(&sql))).persistent(false).bind(project.0);
        let query = names.into_iter().fold(query, |query, name| query.bind(name.to_string()));
        query.fetch_all(&mut *self.read().await?).await?.iter().map(branches::read).collect()
    }

    /// Names of slaves.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn slave_names(&self, slaves: impl IntoIterator<Item = SlaveId>) -> Result<HashMap<SlaveId, SlaveName>> {
        let sql = |ids: &str| format!("SELECT id, name FROM slave WHERE id IN ({ids})");
        let rows = self.rows_of(slaves, sql, "slave", |row| Ok((row.num("id")?, row.parsed("name")?))).await?;
        Ok(rows.into_iter().collect())
    }

    /// The number of the slave of this name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn slave_id(&self, name: &SlaveName) -> Result<Option<SlaveId>> {
        let query = sqlx::query("SELECT id FROM slave WHERE name = $1").bind(name.to_string());
        query.fetch_optional(&mut *self.read().await?).await?.map(|row| row.num("id")).transpose()
    }

    /// Revisions by number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revisions_by_id(
        &self,
        ids: impl IntoIterator<Item = RevisionId>,
    ) -> Result<HashMap<RevisionId, Revision>> {
        let sql = |ids: &str| format!("SELECT * FROM revision WHERE id IN ({ids})");
        let rows = self.rows_of(ids, sql, "revision", revisions::read).await?;
        Ok(rows.into_iter().map(|revision| (revision.id, revision)).collect())
    }

    /// All revisions of branches, newest first, but the one that a branch's head is at before its others.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revisions_of(
        &self,
        branches: impl IntoIterator<Item = BranchId>,
    ) -> Result<HashMap<BranchId, Vec<Revision>>> {
        let sql = |ids: &str| {
            format!(
                "SELECT r.* FROM revision r JOIN branch b ON b.id = r.branch_id WHERE b.id IN ({ids})
                 ORDER BY r.branch_id, CASE WHEN r.number = b.head THEN 0 ELSE 1 END, r.number DESC"
            )
        };
        Ok(by(self.rows_of(branches, sql, "revision", revisions::read).await?, |revision| revision.branch))
    }

    /// Tokens by number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tokens_by_id(&self, ids: impl IntoIterator<Item = TokenId>) -> Result<HashMap<TokenId, TokenRow>> {
        let sql = |ids: &str| format!("SELECT * FROM token WHERE id IN ({ids})");
        let rows = self.rows_of(ids, sql, "token", tokens::read).await?;
        Ok(rows.into_iter().map(|token| (token.id, token)).collect())
    }

    /// The revisions that the heads of these branches are at.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_revisions(
        &self,
        branches: impl IntoIterator<Item = BranchId>,
    ) -> Result<HashMap<BranchId, Revision>> {
        let sql = |ids: &str| {
            format!(
                "SELECT r.* FROM revision r JOIN branch b ON b.id = r.branch_id AND r.number = b.head WHERE b.id IN ({ids})"
            )
        };
        let rows = self.rows_of(branches, sql, "revision", revisions::read).await?;
        Ok(rows.into_iter().map(|revision| (revision.branch, revision)).collect())
    }

    /// The candidates that count of these revisions, each as [`Reader::candidate_of`] has it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn candidates_of(
        &self,
        revisions: impl IntoIterator<Item = RevisionId>,
    ) -> Result<HashMap<RevisionId, Candidate>> {
        let sql = |ids: &str| {
            format!("SELECT c.* FROM revision r JOIN candidate c ON c.id = r.candidate_id WHERE r.id IN ({ids})")
        };
        let rows = self.rows_of(revisions, sql, "candidate", candidates::read).await?;
        Ok(rows.into_iter().map(|candidate| (candidate.revision, candidate)).collect())
    }

    /// Of these revisions, the latest build of each builder, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn latest_builds(
        &self,
        revisions: impl IntoIterator<Item = RevisionId>,
    ) -> Result<HashMap<RevisionId, Builds>> {
        let sql = |ids: &str| {
            format!(
                "SELECT * FROM build WHERE id IN (
                     SELECT MAX(id) FROM build WHERE revision_id IN ({ids}) AND of_stack = 0 GROUP BY revision_id, builder)
                 ORDER BY id DESC"
            )
        };
        Ok(whole_lists(self.rows_of(revisions, sql, "build", |row| build_of(row, "revision_id")).await?))
    }

    /// Of these candidates, the latest build of each builder, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn latest_builds_on(
        &self,
        candidates: impl IntoIterator<Item = CandidateId>,
    ) -> Result<HashMap<CandidateId, Builds>> {
        let sql = |ids: &str| {
            format!(
                "SELECT * FROM build WHERE id IN (
                     SELECT MAX(id) FROM build WHERE candidate_id IN ({ids}) GROUP BY candidate_id, builder)
                 ORDER BY id DESC"
            )
        };
        Ok(whole_lists(self.rows_of(candidates, sql, "build", |row| build_of(row, "candidate_id")).await?))
    }

    /// The places that each of these branches has or had in the queue, the newest first; at most 50 of each.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn places_of(
        &self,
        branches: impl IntoIterator<Item = BranchId>,
    ) -> Result<HashMap<BranchId, Vec<Entry>>> {
        let sql = |ids: &str| {
            format!(
                "SELECT * FROM queue_entry WHERE id IN (SELECT id FROM (
                     SELECT id, ROW_NUMBER() OVER (PARTITION BY branch_id ORDER BY id DESC) AS nth
                     FROM queue_entry WHERE branch_id IN ({ids})) AS ranked WHERE nth <= {PLACES})
                 ORDER BY id DESC"
            )
        };
        Ok(by(self.rows_of(branches, sql, "queue_entry", entries::read).await?, |entry| entry.branch))
    }

    /// Of these builds that ended, the first step that ended as the whole did.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deciding_steps(&self, builds: impl IntoIterator<Item = BuildId>) -> Result<HashMap<BuildId, Step>> {
        let sql = |ids: &str| {
            format!(
                "SELECT step.* FROM step JOIN (
                     SELECT s.build_id, MIN(s.number) AS number FROM step s JOIN build b ON b.id = s.build_id
                     WHERE s.build_id IN ({ids}) AND s.result = b.result GROUP BY s.build_id) AS first
                 ON first.build_id = step.build_id AND first.number = step.number"
            )
        };
        let rows = self.rows_of(builds, sql, "step", steps::read).await?;
        Ok(rows.into_iter().map(|step| (step.build, step)).collect())
    }

    /// Whether a commit is shown on a branch's pages: one of its revisions that was admitted, one of its candidates, or a
    /// commit of mainline that these stand on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_shown(&self, branch: BranchId, commit: &CommitId) -> Result<bool> {
        let row = sqlx::query(
            "SELECT CASE WHEN EXISTS (SELECT 1 FROM revision
                                      WHERE branch_id = $1 AND commit_id = $2 AND refusal_code IS NULL)
                           OR EXISTS (SELECT 1 FROM candidate
                                      WHERE branch_id = $1 AND (commit_id = $2 OR mainline = $2))
                    THEN 1 ELSE 0 END AS shown",
        )
        .bind(branch.0)
        .bind(commit.as_str())
        .fetch_one(&mut *self.read().await?)
        .await?;
        row.flag("shown")
    }
}
