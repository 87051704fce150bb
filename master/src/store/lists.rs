//! Listings of branches: pages by keyset, searches over all of them, and how many there are. Only reads, and no more rows than are
//! shown: what all of them are counted and narrowed by is in an index ([`super::shapes`] keeps it).

use super::branches::{read, whole};
use super::row::{Columns as _, readable};
use super::shapes::Kept;
use super::{Branch, Reader, Result};
use gate::verdict::Shape;
use protocol::{BranchId, ProjectId, UnixMs};
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe};

/// Where a page of a listing begins: after this branch, in the order of last change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct After {
    /// When that branch last changed.
    pub changed: UnixMs,
    /// Its number.
    pub id: BranchId,
}

/// Which branches of a project.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Those that are live.
    Live,
    /// Those that ended.
    Ended,
}

impl Kind {
    const fn sql(self) -> &'static str {
        match self {
            Self::Live => "branch.state = 'live'",
            Self::Ended => "branch.state <> 'live'",
        }
    }
}

/// A text that branches are searched for, in whatever case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sought(String);

impl Sought {
    /// None when there is nothing to be looked for.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        (!text.is_empty()).then_some(Self(text))
    }

    /// Whether a text has it.
    pub fn is_in(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.0)
    }
}

/// What the branches of a listing have in common.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Narrow {
    /// This text in name, title, source, publisher, author or bugs; in the state of those that ended.
    pub sought: Option<Sought>,
    /// Those of these shapes have it in their state.
    pub said: Vec<i64>,
    /// This publisher or author, in whatever case.
    pub owner: Option<String>,
    /// This reference to a bug, to the letter.
    pub bug: Option<String>,
    /// One of these shapes.
    pub shapes: Option<Vec<i64>>,
}

/// A text as a pattern of LIKE has it.
fn literal(text: &str) -> String {
    text.chars().flat_map(|c| ['\\'].into_iter().filter(move |_| "\\%_".contains(c)).chain([c])).collect()
}

/// Numbers as SQL has them; of none there is a number that nothing has.
fn list(numbers: &[i64]) -> String {
    if numbers.is_empty() { "-1".to_owned() } else { numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(",") }
}

impl Narrow {
    /// As conditions, and the texts that take the places in them from `$first` on.
    fn sql(&self, first: usize) -> (String, Vec<String>) {
        let (mut sql, mut texts) = (String::new(), Vec::new());
        let mut like = |pattern: String| {
            texts.push(pattern);
            format!("LIKE ${} ESCAPE '\\'", first + texts.len() - 1)
        };
        if let Some(Sought(text)) = &self.sought {
            let found = like(format!("%{}%", literal(text)));
            sql.push_str(&format!(" AND (branch.found_by {found} OR branch.shape IN ({}))", list(&self.said)));
        }
        if let Some(owner) = &self.owner {
            let is_owner = like(format!("%\n{}\n%", literal(&owner.to_lowercase())));
            sql.push_str(&format!(" AND branch.owners {is_owner}"));
        }
        if let Some(bug) = &self.bug {
            // A list of texts as JSON: nothing in a text looks like the beginning of one.
            let bug = literal(&serde_json::Value::from(bug.as_str()).to_string());
            let (first, later) = (like(format!("[{bug}%")), like(format!("%,{bug}%")));
            sql.push_str(&format!(" AND (branch.bugs {first} OR branch.bugs {later})"));
        }
        if let Some(shapes) = &self.shapes {
            // A sum, which no index is in the order of: the order of a listing is that of the last change.
            sql.push_str(&format!(" AND branch.shape + 0 IN ({})", list(shapes)));
        }
        (sql, texts)
    }
}

/// A statement that may be another one each time.
fn ask(sql: String, texts: Vec<String>, numbers: &[i64]) -> Query<'static, Any, AnyArguments> {
    let query =
        numbers.iter().fold(sqlx::query(AssertSqlSafe(sql)).persistent(false), |query, number| query.bind(*number));
    texts.into_iter().fold(query, Query::bind)
}

/// How many branches have a shape.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Counted {
    /// Its number.
    pub number: i64,
    /// The shape.
    pub shape: Shape,
    /// How many.
    pub branches: u64,
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl Reader {
    /// The shapes that branches of a project have, and how many have each.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn shapes(&self, project: ProjectId, kind: Kind, narrow: &Narrow) -> Result<Vec<Counted>> {
        let (with, texts) = narrow.sql(2);
        let sql = format!(
            "SELECT shape.id, shape.facts, them.n FROM (
                 SELECT branch.shape AS of, COUNT(*) AS n FROM branch WHERE branch.project_id = $1 AND {} {with}
                 GROUP BY branch.shape) AS them JOIN shape ON shape.id = them.of",
            kind.sql()
        );
        let rows = ask(sql, texts, &[project.0]).fetch_all(&mut *self.read().await?).await?;
        let counted = |row| {
            let row: &sqlx::any::AnyRow = row;
            Ok(Counted { number: row.num("id")?, shape: row.json("facts")?, branches: count(row.num("n")?) })
        };
        rows.iter().map(counted).collect()
    }

    /// Branches of a project, last changed first: at most `limit` of those after a place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn listed(
        &self,
        project: ProjectId,
        kind: Kind,
        narrow: &Narrow,
        after: Option<After>,
        limit: usize,
    ) -> Result<Vec<Branch>> {
        let mut after = after.unwrap_or(After { changed: UnixMs(i64::MAX), id: BranchId(i64::MAX) });
        let (with, texts) = narrow.sql(5);
        let sql = super::branches::whole_sql(&format!(
            "WHERE branch.project_id = $1 AND {} AND branch.changed_ms <= $2 AND (branch.changed_ms < $2 OR branch.id < $3) {with}
             ORDER BY branch.changed_ms DESC, branch.id DESC LIMIT $4",
            kind.sql()
        ));
        let mut branches = Vec::new();
        loop {
            let wanted = limit.saturating_sub(branches.len());
            let numbers = [project.0, after.changed.0, after.id.0, i64::try_from(wanted).unwrap_or(i64::MAX)];
            let rows = ask(sql.clone(), texts.clone(), &numbers).fetch_all(&mut *self.read().await?).await?;
            branches.extend(readable("branch", &rows, read)?);
            // One that can't be read has its place taken by the next.
            match rows.last() {
                Some(last) if rows.len() == wanted && branches.len() < limit => {
                    after = After { changed: last.num("changed_ms")?, id: last.num("id")? };
                }
                _ => return Ok(branches),
            }
        }
    }

    /// How many branches of a project there are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_listed(&self, project: ProjectId, kind: Kind, narrow: &Narrow) -> Result<u64> {
        let (with, texts) = narrow.sql(2);
        let sql = format!("SELECT COUNT(*) AS n FROM branch WHERE branch.project_id = $1 AND {} {with}", kind.sql());
        let row = ask(sql, texts, &[project.0]).fetch_one(&mut *self.read().await?).await?;
        Ok(count(row.num("n")?))
    }

    /// The live branches of a project that have one of these shapes, those that have not changed for longest first; at most
    /// `limit`. They are found along an index in that order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting_longest(&self, project: ProjectId, shapes: &[i64], limit: usize) -> Result<Vec<Branch>> {
        if shapes.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let sql = super::branches::whole_sql(&format!(
            "WHERE branch.project_id = $1 AND branch.state = 'live' AND branch.shape + 0 IN ({})
             ORDER BY branch.changed_ms, branch.id LIMIT $2",
            list(shapes)
        ));
        let numbers = [project.0, i64::try_from(limit).unwrap_or(i64::MAX)];
        let rows = ask(sql, Vec::new(), &numbers).fetch_all(&mut *self.read().await?).await?;
        readable("branch", &rows, read)
    }

    /// Branches of a project of which mainline does not hold any more what had landed, those that have not changed for longest
    /// first, at most `limit`; and how many there are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn taken_out(&self, project: ProjectId, limit: usize) -> Result<(Vec<Branch>, u64)> {
        let shape = Kept::of_taken_out()?.number;
        let n =
            sqlx::query("SELECT COUNT(*) AS n FROM branch WHERE project_id = $1 AND state <> 'live' AND shape = $2");
        let n = n.bind(project.0).bind(shape).fetch_one(&mut *self.read().await?).await?.num("n")?;
        if n == 0 {
            return Ok((Vec::new(), 0));
        }
        let rows = whole(
            "WHERE branch.project_id = $1 AND branch.state <> 'live' AND branch.shape = $2
             ORDER BY branch.changed_ms, branch.id LIMIT $3",
        );
        let rows = rows.bind(project.0).bind(shape).bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = rows.fetch_all(&mut *self.read().await?).await?;
        Ok((readable("branch", &rows, read)?, count(n)))
    }
}
