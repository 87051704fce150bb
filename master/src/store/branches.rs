//! Published branches: the registry.

use super::row::{Columns as _, readable};
use super::{Reader, Result, TokenKind};
use gate::pending::Stranger;
use protocol::{BranchId, BranchName, CommitId, Hint, ProjectId, TokenId, UnixMs};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

/// Where a branch is in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BranchState {
    /// Watched, built, and may land.
    Live,
    /// Merged by bb.
    Landed,
    /// Withdrawn by its publisher or a maintainer.
    Withdrawn,
    /// Gone, expired, or found in mainline already.
    Retired,
}

impl BranchState {
    const ALL: [Self; 4] = [Self::Live, Self::Landed, Self::Withdrawn, Self::Retired];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Landed => "landed",
            Self::Withdrawn => "withdrawn",
            Self::Retired => "retired",
        }
    }
}

impl std::str::FromStr for BranchState {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|s| s.as_str() == word).ok_or_else(|| format!("`{word}` is no state of a branch"))
    }
}

/// What went wrong at the last look at a branch's source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// The stable word.
    pub code: String,
    /// What was wrong.
    pub text: String,
    /// What to do.
    pub hint: Hint,
}

impl Trouble {
    /// What the tracker says was wrong.
    pub fn of(error: &impl tracker::Explain) -> Self {
        Self { code: error.code().to_owned(), text: error.to_string(), hint: error.hint() }
    }
}

/// A branch as stored.
#[derive(Clone, Debug)]
pub struct Branch {
    /// Its number.
    pub id: BranchId,
    /// Its project.
    pub project: ProjectId,
    /// Its name.
    pub name: BranchName,
    /// The checked source URL.
    pub url: String,
    /// The checked branch there.
    pub source_ref: String,
    /// As published; may be empty.
    pub title: String,
    /// References to bugs.
    pub bugs: Vec<String>,
    /// Who published it.
    pub publisher: String,
    /// With which token, if any.
    pub token: Option<TokenId>,
    /// Whether the publisher is trusted now; who was when it was published, and is not any more, is not.
    pub trusted: bool,
    /// Where it is in its life.
    pub state: BranchState,
    /// Why, for those that ended.
    pub state_text: String,
    /// The last look.
    pub looked: Option<UnixMs>,
    /// The next look.
    pub next_look: UnixMs,
    /// Looks that failed, since the last that did not.
    pub look_failures: u32,
    /// Where its source is since it landed, if that is neither its newest revision nor in mainline.
    pub newer_head: Option<CommitId>,
    /// What was wrong at the last look.
    pub trouble: Option<Trouble>,
    /// When it was published, last.
    pub published: UnixMs,
    /// When it last changed.
    pub changed: UnixMs,
    /// The host and port of its source; empty for a folder of the master's own machine.
    pub host: String,
    /// The address that it was published from by one who showed no token.
    pub address: String,
    /// Whether somebody asked for a look that has not begun.
    pub look_asked: bool,
    /// The number of the revision that its head is at.
    pub head: Option<u32>,
    /// Until when its moves count.
    pub moves_until: UnixMs,
}

/// A branch to be published; all of it is checked.
#[derive(Clone, Debug)]
pub struct NewBranch {
    /// The project.
    pub project: ProjectId,
    /// The name asked for; made from `source_ref` when none was.
    pub name: Option<BranchName>,
    /// The source URL.
    pub url: String,
    /// The branch there.
    pub source_ref: String,
    /// What it is.
    pub title: String,
    /// References to bugs.
    pub bugs: Vec<String>,
    /// Who publishes.
    pub publisher: String,
    /// With which token.
    pub token: Option<TokenId>,
    /// Whether the publisher is trusted.
    pub trusted: bool,
}

/// What is read of the token that a branch was published with, as that is now: whether it is trusted is asked each time.
pub(super) const TOKEN_OF_NOW: &str = "token.kind AS token_kind, token.trusted AS token_trusted,
        token.revoked_ms AS token_revoked_ms";

impl Branch {
    /// Who published it, as one who can't be many: the token, or the address.
    pub fn who(&self) -> String {
        self.token.map_or_else(|| self.address.clone(), |token| format!("token {token}"))
    }

    /// Who stands behind it, if they are not trusted.
    pub fn stranger(&self) -> Option<Stranger> {
        (!self.trusted).then(|| Stranger { publisher: self.who(), host: self.host.clone() })
    }
}

/// A query for whole branches.
pub(super) fn whole(rest: &str) -> sqlx::query::Query<'static, sqlx::Any, sqlx::any::AnyArguments> {
    sqlx::query(sqlx::AssertSqlSafe(whole_sql(rest)))
}

/// Its text.
pub(super) fn whole_sql(rest: &str) -> String {
    format!(
        "SELECT branch.*, {TOKEN_OF_NOW}
            FROM branch LEFT JOIN token ON token.id = branch.token_id {rest}"
    )
}

/// Whether a branch's publisher is trusted now: it was when it was published, and its token still lets it be.
pub(super) fn is_trusted(row: &AnyRow) -> Result<bool> {
    let Some(kind) = row.parsed_or_none::<TokenKind>("token_kind")? else { return Ok(false) };
    let revoked = row.num_or_none::<i64>("token_revoked_ms")?.is_some();
    Ok(row.flag("trusted")? && !revoked && kind.is_trusted(row.flag("token_trusted")?))
}

pub(super) fn read(row: &AnyRow) -> Result<Branch> {
    let trouble = match row.text_or_none("trouble_code")? {
        None => None,
        Some(code) => Some(Trouble {
            code,
            text: row.text_or_none("trouble_text")?.unwrap_or_default(),
            hint: row.text_or_none("trouble_hint")?.unwrap_or_default().into(),
        }),
    };
    Ok(Branch {
        id: row.num("id")?,
        project: row.num("project_id")?,
        name: row.parsed("name")?,
        url: row.text("url")?,
        source_ref: row.text("source_ref")?,
        title: row.text("title")?,
        bugs: row.json("bugs")?,
        publisher: row.text("publisher")?,
        token: row.num_or_none("token_id")?,
        trusted: is_trusted(row)?,
        state: row.parsed("state")?,
        state_text: row.text("state_text")?,
        looked: row.num_or_none("looked_ms")?,
        next_look: row.num("next_look_ms")?,
        look_failures: row.count("look_failures")?,
        newer_head: Some(row.text("newer_head")?).filter(|id| !id.is_empty()).and_then(|id| id.parse().ok()),
        trouble,
        published: row.num("published_ms")?,
        changed: row.num("changed_ms")?,
        host: row.text("host")?,
        address: row.text("address")?,
        look_asked: row.flag("look_asked")?,
        head: row.count_or_none("head")?,
        moves_until: row.num("moves_until_ms")?,
    })
}

impl Reader {
    /// A branch by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn branch(&self, project: ProjectId, name: &BranchName) -> Result<Option<Branch>> {
        by_name(&mut *self.read().await?, project, name).await
    }

    /// A branch by number.
    ///
    /// # Errors
    /// When the database fails, or there is no such branch.
    pub async fn branch_by_id(&self, id: BranchId) -> Result<Branch> {
        by_id(&mut *self.read().await?, id).await
    }

    /// Branches of a project: the live ones, and the last `ended` of the others; last changed first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn branches(&self, project: ProjectId, ended: u32) -> Result<Vec<Branch>> {
        // In one statement: nobody is in both parts, or in none, whatever ends meanwhile.
        let rows = whole(
            "WHERE branch.project_id = $1 AND (branch.state = 'live' OR branch.id IN (
                 SELECT id FROM branch WHERE project_id = $1 AND state <> 'live'
                     ORDER BY changed_ms DESC, id DESC LIMIT $2))
             ORDER BY CASE WHEN branch.state = 'live' THEN 0 ELSE 1 END,
                 branch.changed_ms DESC, branch.id DESC",
        )
        .bind(project.0)
        .bind(i64::from(ended))
        .fetch_all(&mut *self.read().await?)
        .await?;
        readable("branch", &rows, read)
    }

    /// How many branches of a project are live, and how many are in its queue.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn branch_counts(&self, project: ProjectId) -> Result<(u32, u32)> {
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM branch WHERE project_id = $1 AND state = 'live') AS live,
             (SELECT COUNT(*) FROM queue_entry WHERE project_id = $1
             AND state = 'queued') AS queued",
        )
        .bind(project.0)
        .fetch_one(&mut *self.read().await?)
        .await?;
        Ok((row.count("live")?, row.count("queued")?))
    }
}

/// A branch by number.
pub(super) async fn by_id(connection: &mut AnyConnection, id: BranchId) -> Result<Branch> {
    read(&whole("WHERE branch.id = $1").bind(id.0).fetch_one(connection).await?)
}

pub(super) async fn by_name(
    connection: &mut AnyConnection,
    project: ProjectId,
    name: &BranchName,
) -> Result<Option<Branch>> {
    let row = whole("WHERE branch.project_id = $1 AND branch.name = $2")
        .bind(project.0)
        .bind(name.as_str())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}
