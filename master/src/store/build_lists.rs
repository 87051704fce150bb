//! Listings of builds: newest first, by pages. Only reads, and no more rows than are shown, whatever was ever built.

use super::row::{Columns as _, or_left_out, readable};
use super::{Build, BuildRowState, Reader, Result, builds};
use protocol::{BranchId, BranchName, BuildId, BuildResult, CommitId, ProjectId, SlaveId, SlaveName, UnixMs};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe};

/// Builds that are looked through for one page: where few of them are what is asked for, the page is short, and says where the
/// next begins.
const LOOKED: i64 = 2_000;

/// What is shown of them; the steps of a builder, which may be long, are not.
const COLUMNS: &str =
    "b.id, b.branch_id, b.revision_id, b.builder, b.for_queue, b.of_stack, b.commit_id, b.state, b.result, b.says, b.slave_id,
    b.requested_ms, b.started_ms, b.finished_ms";

/// Which builds of a project.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Which {
    /// Of this branch.
    pub branch: Option<BranchId>,
    /// By the builder of this name.
    pub builder: Option<String>,
    /// Last given to this slave.
    pub slave: Option<SlaveId>,
    /// In this state.
    pub is: Option<BuildRowState>,
    /// Older than this one.
    pub before: Option<BuildId>,
}

/// A build as listings have it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedBuild {
    /// Its number.
    pub id: BuildId,
    /// Its branch.
    pub branch: BranchName,
    /// Its revision's number.
    pub revision: u32,
    /// The builder's name.
    pub builder: String,
    /// Whether the queue asked for it.
    pub for_queue: bool,
    /// The stack of several that it is of.
    pub of_stack: Option<i64>,
    /// The candidate's commit.
    pub commit: CommitId,
    /// Where it is.
    pub state: BuildRowState,
    /// One line for people.
    pub says: String,
    /// The slave it was last given to.
    pub slave: Option<SlaveName>,
    /// When it was asked for, given out, and ended.
    pub requested: UnixMs,
    /// See above.
    pub started: Option<UnixMs>,
    /// See above.
    pub finished: Option<UnixMs>,
}

/// A page of builds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListedBuilds {
    /// The builds.
    pub builds: Vec<ListedBuild>,
    /// Before which the next page begins; none on the last.
    pub next: Option<BuildId>,
}

/// A value in a statement.
enum Value<'v> {
    Number(i64),
    Text(&'v str),
}

/// Conditions, and the values that take the places in them.
struct Conditions<'v> {
    /// By what an index finds them.
    found: Vec<String>,
    /// What else must be so of those.
    checked: Vec<String>,
    values: Vec<Value<'v>>,
}

impl<'v> Conditions<'v> {
    fn place(&mut self, value: Value<'v>) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn of(project: ProjectId, which: &'v Which) -> Self {
        let mut all = Self { found: Vec::new(), checked: Vec::new(), values: Vec::new() };
        let before = all.place(Value::Number(which.before.map_or(i64::MAX, |id| id.0)));
        let of_project = format!("b.project_id = {}", all.place(Value::Number(project.0)));
        let mut conditions = Vec::new();
        if let Some(is) = which.is {
            conditions.push(match is {
                // These are few, whatever was built: an index has them alone.
                BuildRowState::Waiting => "b.state <> 'finished' AND b.state = 'waiting'".to_owned(),
                BuildRowState::Running => "b.state <> 'finished' AND b.state = 'running'".to_owned(),
                BuildRowState::Finished(result) => format!("b.result = {}", all.place(Value::Text(result.as_str()))),
            });
        }
        if let Some(branch) = which.branch {
            conditions.insert(0, format!("b.branch_id = {}", all.place(Value::Number(branch.0))));
        }
        if let Some(slave) = which.slave {
            conditions.push(format!("b.slave_id = {}", all.place(Value::Number(slave.0))));
        }
        if let Some(builder) = &which.builder {
            conditions.push(format!("b.builder = {}", all.place(Value::Text(builder))));
        }
        let mut conditions = conditions.into_iter();
        all.found.extend(conditions.next());
        all.found.push(of_project);
        all.found.push(format!("b.id < {before}"));
        all.checked.extend(conditions.map(|condition| condition.replace("b.", "looked.")));
        all
    }

    fn ask(&self, sql: String) -> Query<'v, Any, AnyArguments> {
        self.values.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, value| match value {
            Value::Number(number) => query.bind(*number),
            Value::Text(text) => query.bind((*text).to_owned()),
        })
    }
}

impl Reader {
    /// Builds of a project, newest first; at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn listed_builds(&self, project: ProjectId, which: &Which, limit: usize) -> Result<ListedBuilds> {
        let conditions = Conditions::of(project, which);
        let wanted = limit.saturating_add(1);
        let (checked, through) = match &conditions.checked[..] {
            [] => (String::new(), i64::try_from(wanted).unwrap_or(i64::MAX)),
            all => (format!("WHERE {}", all.join(" AND ")), LOOKED),
        };
        let found = format!(
            "SELECT {COLUMNS} FROM build b WHERE {} ORDER BY b.id DESC LIMIT {through}",
            conditions.found.join(" AND ")
        );
        let sql = format!(
            "SELECT looked.*, branch.name AS branch_name, r.number AS revision, slave.name AS slave_name
             FROM ({found}) looked JOIN branch ON branch.id = looked.branch_id
             JOIN revision r ON r.id = looked.revision_id LEFT JOIN slave ON slave.id = looked.slave_id
             {checked} ORDER BY looked.id DESC LIMIT {wanted}"
        );
        let mut connection = self.read().await?;
        let rows = conditions.ask(sql).fetch_all(&mut *connection).await?;
        let mut page = ListedBuilds::default();
        for row in rows.iter().take(limit) {
            page.builds.extend(or_left_out("build", row, read(row))?);
        }
        if rows.len() > limit {
            page.next = rows.get(limit.saturating_sub(1)).map(|row| row.num("id")).transpose()?;
        } else if !checked.is_empty() {
            let sql = format!("SELECT COUNT(*) AS n, MIN(looked.id) AS last FROM ({found}) looked");
            let row = conditions.ask(sql).fetch_one(&mut *connection).await?;
            if row.num::<i64>("n")? == LOOKED {
                page.next = row.num_or_none("last")?;
            }
        }
        Ok(page)
    }

    /// Builds of a builder before another, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn builds_before(&self, build: &Build, limit: u32) -> Result<Vec<Build>> {
        let rows = sqlx::query(
            "SELECT * FROM build WHERE project_id = $1 AND builder = $2 AND id < $3
                ORDER BY id DESC LIMIT $4",
        )
        .bind(build.project.0)
        .bind(&build.builder.name)
        .bind(build.id.0)
        .bind(i64::from(limit))
        .fetch_all(&mut *self.read().await?)
        .await?;
        readable("build", &rows, builds::read)
    }

    /// What the last build by the same builder said of the same branch before this one began, of those that say something of
    /// what they built; none if there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn result_before(&self, build: &Build) -> Result<Option<BuildResult>> {
        let row = sqlx::query(
            "SELECT result FROM build WHERE branch_id = $1 AND builder = $2 AND id < $3 AND of_stack = 0
                AND result IN ('success', 'warnings', 'failure') AND finished_ms <= $4 ORDER BY id DESC LIMIT 1",
        )
        .bind(build.branch.0)
        .bind(&build.builder.name)
        .bind(build.id.0)
        .bind(build.started.map_or(i64::MAX, |at| at.0))
        .fetch_optional(&mut *self.read().await?)
        .await?;
        row.map_or(Ok(None), |row| row.parsed_or_none("result"))
    }

    /// Builds by number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn builds_by_id(&self, ids: impl IntoIterator<Item = BuildId>) -> Result<Vec<Build>> {
        let sql = |ids: &str| format!("SELECT * FROM build WHERE id IN ({ids})");
        self.rows_of(ids, sql, "build", builds::read).await
    }
}

fn read(row: &AnyRow) -> Result<ListedBuild> {
    Ok(ListedBuild {
        id: row.num("id")?,
        branch: row.parsed("branch_name")?,
        revision: row.count("revision")?,
        builder: row.text("builder")?,
        for_queue: row.flag("for_queue")?,
        of_stack: Some(row.num("of_stack")?).filter(|stack| *stack != 0),
        commit: row.parsed("commit_id")?,
        state: builds::state(row)?,
        says: row.text("says")?,
        slave: row.parsed_or_none("slave_name")?,
        requested: row.num("requested_ms")?,
        started: row.num_or_none("started_ms")?,
        finished: row.num_or_none("finished_ms")?,
    })
}
