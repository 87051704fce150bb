//! Listings of branches: pages by keyset, searches over all of them, and how many there are. Only reads.

use super::branches::{TOKEN_OF_NOW, read};
use super::row::{Columns as _, or_left_out};
use super::{Branch, Reader, Result};
use protocol::{BranchId, ProjectId, UnixMs};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

/// Where a page of a listing begins: after this branch, in the order of last change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct After {
    /// When that branch last changed.
    pub changed: UnixMs,
    /// Its number.
    pub id: BranchId,
}

/// A text that branches are searched for, in whatever case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sought {
    /// In small letters.
    text: String,
    /// What the database itself looks for: the longest run in it of letters that every database makes small alike.
    run: String,
}

impl Sought {
    /// None when there is nothing to be looked for.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        let run = text
            .split(|c: char| !(c.is_ascii_alphanumeric() || " -.:/#@_".contains(c)))
            .max_by_key(|run| run.len())
            .unwrap_or_default()
            .to_owned();
        (!text.is_empty()).then_some(Self { text, run })
    }

    /// Whether a text has it.
    pub fn is_in(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.text)
    }

    /// What the database finds is all that there is, and not only the rows worth a closer look.
    fn exact(&self) -> bool {
        self.text == self.run
    }

    /// As a pattern of LIKE.
    fn pattern(&self) -> String {
        format!("%{}%", self.run.replace('_', "\\_"))
    }

    /// Whether a branch has it: in its name, title, source, publisher, bugs, state, or its newest revision's author.
    fn is_of(&self, branch: &Branch, author: &str, subject: &str) -> bool {
        let texts = [branch.name.as_str(), &branch.title, &branch.publisher, branch.state.as_str(), &branch.source_ref];
        // The newest commit's first line is the title of a branch that has no other.
        let subject = if branch.title.is_empty() { subject } else { "" };
        texts.into_iter().chain([author, subject]).any(|t| self.is_in(t)) || branch.bugs.iter().any(|b| self.is_in(b))
    }
}

/// Where in a row what is sought may be; `$P` is the pattern.
const FOUND: &str = "(LOWER(b.name) LIKE $P ESCAPE '\\' OR LOWER(b.title) LIKE $P ESCAPE '\\'
    OR LOWER(b.publisher) LIKE $P ESCAPE '\\' OR LOWER(b.source_ref) LIKE $P ESCAPE '\\'
    OR LOWER(b.bugs) LIKE $P ESCAPE '\\' OR b.state LIKE $P ESCAPE '\\' OR LOWER(r.author) LIKE $P ESCAPE '\\'
    OR (b.title = '' AND LOWER(r.subject) LIKE $P ESCAPE '\\'))";

/// Branches that ended, each with its newest revision.
const ENDED: &str = "FROM branch b LEFT JOIN token ON token.id = b.token_id LEFT JOIN revision r ON r.branch_id = b.id
    AND r.number = (SELECT MAX(number) FROM revision WHERE branch_id = b.id)
    WHERE b.project_id = $1 AND b.state <> 'live'";

/// Rows read in one statement.
const READ: usize = 500;

impl Reader {
    /// Branches of a project that ended, last changed first: at most `limit` of those after a place, with a text in them
    /// if one is given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ended_branches(
        &self,
        project: ProjectId,
        sought: Option<&Sought>,
        after: Option<After>,
        limit: usize,
    ) -> Result<Vec<Branch>> {
        let mut branches = Vec::new();
        let mut after = after;
        loop {
            let (found, last) = self.ended_rows(project, sought, after, limit.clamp(1, READ)).await?;
            branches.extend(found);
            branches.truncate(limit);
            if last.is_none() || branches.len() == limit {
                return Ok(branches);
            }
            after = last;
        }
    }

    /// How many branches of a project ended, with a text in them if one is given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_ended(&self, project: ProjectId, sought: Option<&Sought>) -> Result<u64> {
        let sql = match sought {
            None => "SELECT COUNT(*) AS n FROM branch b WHERE b.project_id = $1 AND b.state <> 'live'".to_owned(),
            Some(sought) if sought.exact() => format!("SELECT COUNT(*) AS n {ENDED} AND {}", FOUND.replace("$P", "$2")),
            Some(_) => {
                let (mut count, mut after) = (0, None);
                loop {
                    let (found, last) = self.ended_rows(project, sought, after, READ).await?;
                    count += found.len() as u64;
                    if last.is_none() {
                        return Ok(count);
                    }
                    after = last;
                }
            }
        };
        let query = sqlx::query(AssertSqlSafe(sql).into_sql_str()).bind(project.0);
        let query = match sought {
            Some(sought) => query.bind(sought.pattern()),
            None => query,
        };
        let n: i64 = query.fetch_one(&mut *self.read().await?).await?.num("n")?;
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// Those of the next `rows` rows that have what is sought, and where to go on; nowhere after the last.
    async fn ended_rows(
        &self,
        project: ProjectId,
        sought: Option<&Sought>,
        after: Option<After>,
        rows: usize,
    ) -> Result<(Vec<Branch>, Option<After>)> {
        let after = after.unwrap_or(After { changed: UnixMs(i64::MAX), id: BranchId(i64::MAX) });
        let with = sought.map_or_else(String::new, |_| format!("AND {}", FOUND.replace("$P", "$5")));
        let sql = format!(
            "SELECT b.*, {TOKEN_OF_NOW}, COALESCE(r.author, '') AS author, COALESCE(r.subject, '') AS subject {ENDED} {with}
             AND b.changed_ms <= $2 AND (b.changed_ms < $2 OR b.id < $3) ORDER BY b.changed_ms DESC, b.id DESC LIMIT $4"
        );
        let query = sqlx::query(AssertSqlSafe(sql).into_sql_str())
            .bind(project.0)
            .bind(after.changed.0)
            .bind(after.id.0)
            .bind(i64::try_from(rows).unwrap_or(i64::MAX));
        let query = match sought {
            Some(sought) => query.bind(sought.pattern()),
            None => query,
        };
        let read_rows = query.fetch_all(&mut *self.read().await?).await?;
        let mut branches = Vec::with_capacity(read_rows.len());
        let mut last = None;
        for row in &read_rows {
            last = Some(After { changed: row.num("changed_ms")?, id: row.num("id")? });
            let Some(branch) = or_left_out("branch", row, read(row))? else { continue };
            let wanted = match sought {
                Some(sought) => sought.is_of(&branch, &row.text("author")?, &row.text("subject")?),
                None => true,
            };
            branches.extend(wanted.then_some(branch));
        }
        Ok((branches, last.filter(|_| read_rows.len() == rows)))
    }
}
