//! Published branches: the registry.

use super::changes::Topic;
use super::events::{self, Happening};
use super::registrations::{self, Origin};
use super::row::{Columns as _, to_json};
use super::{Claim, Landing, Result, Store, TokenKind, landings, now};
use gate::registrations::TooMany;
use protocol::api::Look;
use protocol::{BranchId, BranchName, CommitId, ProjectId, TokenId, UnixMs};
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
    pub hint: String,
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

/// What came of publishing.
#[derive(Clone, Debug)]
pub enum Published {
    /// It is new.
    New(Branch),
    /// It was published before and is live.
    Already(Branch),
    /// It had ended and is live again.
    Again(Branch),
    /// Another branch has the name.
    NameTaken(Branch),
    /// There are too many registrations, or live branches, of whom it counts for.
    TooMany(TooMany),
    /// A commit of it is being pushed to mainline: whether it lands is not known yet.
    BeingPushed(Branch),
}

/// What came of ending a branch.
#[derive(Clone, Debug)]
pub enum BranchEnd {
    /// It has ended.
    Now,
    /// It had ended before.
    Before,
    /// A commit of it is being pushed to mainline: whether it lands is not known yet.
    BeingPushed(Landing),
}

/// What is read of the token that a branch was published with, as that is now: whether it is trusted is asked each time.
pub(super) const TOKEN_OF_NOW: &str = "token.kind AS token_kind, token.trusted AS token_trusted,
        token.revoked_ms AS token_revoked_ms";

/// A query for whole branches.
pub(super) fn whole(rest: &str) -> sqlx::query::Query<'static, sqlx::Any, sqlx::any::AnyArguments> {
    let sql = format!(
        "SELECT branch.*, {TOKEN_OF_NOW}
            FROM branch LEFT JOIN token ON token.id = branch.token_id {rest}"
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
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
            hint: row.text_or_none("trouble_hint")?.unwrap_or_default(),
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

/// The least time between two looks that nobody's token asked for.
const STRANGERS_LOOK_MS: i64 = 30_000;

impl Store {
    /// Publishes a branch. The same source twice is one branch; one that had ended comes back under its name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn publish(&self, new: &NewBranch) -> Result<Published> {
        self.register(new, &Origin::default()).await
    }

    /// The same for whoever has limits. What is live already is no registration.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn register(&self, new: &NewBranch, origin: &Origin) -> Result<Published> {
        self.write
            .turn(async |turn| {
                let before = whole(
                    "WHERE branch.project_id = $1 AND branch.url = $2
                AND branch.source_ref = $3 ORDER BY branch.id DESC LIMIT 1",
                )
                .bind(new.project.0)
                .bind(&new.url)
                .bind(&new.source_ref)
                .fetch_optional(&mut **turn)
                .await?;
                let before = before.as_ref().map(read).transpose()?;
                if let Some(live) = before.as_ref().filter(|b| b.state == BranchState::Live) {
                    if landings::open_of(turn, live.id).await?.is_some() {
                        return Ok(Published::BeingPushed(live.clone()));
                    }
                    // Publishing again is also a way to say "look now". It always is another time than before: by that, a look
                    // under way sees at its end that another one was asked for. A stranger's word does not have a host asked on and on.
                    sqlx::query(
                        "UPDATE branch SET look_asked = 1,
                    next_look_ms = CASE WHEN next_look_ms > $2 THEN $2 ELSE next_look_ms - 1 END
                 WHERE id = $1 AND ($3 = 1 OR looked_ms IS NULL OR looked_ms < $4)",
                    )
                    .bind(live.id.0)
                    .bind(now().0)
                    .bind(i64::from(new.token.is_some()))
                    .bind(now().0 - STRANGERS_LOOK_MS)
                    .execute(&mut **turn)
                    .await?;
                    turn.keep();
                    turn.changed(live.project, Topic::Branch, live.id);
                    return Ok(Published::Already(live.clone()));
                }
                let again = before.filter(|b| new.name.as_ref().is_none_or(|name| *name == b.name));
                let (sql, name, revived) = match again {
                    Some(old) => (
                        "UPDATE branch SET state = 'live', state_text = '', title = $5, bugs = $6,
                    publisher = $7, token_id = $8,
                 trusted = $9, next_look_ms = $10, published_ms = $10, changed_ms = $10,
                     host = $11, address = $12,
                 look_failures = 0, newer_head = '', trouble_code = NULL
                     WHERE project_id = $1 AND name = $2 AND url = $3
                         AND source_ref = $4 RETURNING id",
                        old.name,
                        true,
                    ),
                    None => {
                        let name = match &new.name {
                            Some(name) => {
                                if let Some(other) = by_name(turn, new.project, name).await? {
                                    return Ok(Published::NameTaken(other));
                                }
                                name.clone()
                            }
                            None => free_name(turn, new.project, &new.source_ref).await?,
                        };
                        (
                            "INSERT INTO branch (project_id, name, url, source_ref, title, bugs,
                        publisher, token_id, trusted,
                     state, next_look_ms, published_ms, changed_ms, host, address)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'live', $10, $10, $10, $11,
                         $12) RETURNING id",
                            name,
                            false,
                        )
                    }
                };
                if let Err(too_many) = registrations::allowed(turn, new, origin).await? {
                    return Ok(Published::TooMany(too_many));
                }
                registrations::count(turn, new, origin).await?;
                let row = sqlx::query(sql)
                    .bind(new.project.0)
                    .bind(name.as_str())
                    .bind(&new.url)
                    .bind(&new.source_ref)
                    .bind(&new.title)
                    .bind(to_json(&new.bugs)?)
                    .bind(&new.publisher)
                    .bind(new.token.map(|t| t.0))
                    .bind(i64::from(new.trusted))
                    .bind(now().0)
                    .bind(registrations::host(&new.url))
                    .bind(&origin.address)
                    .fetch_one(&mut **turn)
                    .await?;
                let branch = by_id(turn, row.num("id")?).await?;
                if revived {
                    // What was cancelled because the branch had ended is wanted again.
                    sqlx::query(
                        "UPDATE revision SET builds_asked = 0
                 WHERE branch_id = $1 AND number = (SELECT head FROM branch WHERE id = $1)
                 AND EXISTS (SELECT 1 FROM build WHERE revision_id = revision.id
                     AND (result = 'cancelled' OR cancel IS NOT NULL))",
                    )
                    .bind(branch.id.0)
                    .execute(&mut **turn)
                    .await?;
                }
                let text = format!("Published by {}", new.publisher);
                let it =
                    Happening::of_branch(new.project, branch.id, "published", Look::Waiting, text).by(&new.publisher);
                events::record(turn, &it).await?;
                turn.keep();
                turn.changed(branch.project, Topic::Branch, branch.id);
                Ok(if revived { Published::Again(branch) } else { Published::New(branch) })
            })
            .await
    }

    /// Gives a live branch another title and other references to bugs; what is empty stays as it was. What was accepted
    /// lands by the words that it was accepted by. None when it is not live any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn describe_branch(&self, branch: &Branch, title: &str, bugs: &[String]) -> Result<Option<Branch>> {
        self.write
            .turn(async |turn| {
                let done = sqlx::query(
                    "UPDATE branch SET title = CASE WHEN $2 = '' THEN title ELSE $2 END,
                bugs = CASE WHEN $3 = '[]' THEN bugs ELSE $3 END,
             changed_ms = $4 WHERE id = $1 AND state = 'live'",
                )
                .bind(branch.id.0)
                .bind(title)
                .bind(to_json(&bugs)?)
                .bind(now().0)
                .execute(&mut **turn)
                .await?;
                if done.rows_affected() == 0 {
                    return Ok(None);
                }
                let branch = by_id(turn, branch.id).await?;
                turn.keep();
                turn.changed(branch.project, Topic::Branch, branch.id);
                Ok(Some(branch))
            })
            .await
    }

    /// A branch by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn branch(&self, project: ProjectId, name: &BranchName) -> Result<Option<Branch>> {
        by_name(&mut *self.read.acquire().await?, project, name).await
    }

    /// A branch by number.
    ///
    /// # Errors
    /// When the database fails, or there is no such branch.
    pub async fn branch_by_id(&self, id: BranchId) -> Result<Branch> {
        by_id(&mut *self.read.acquire().await?, id).await
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
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(read).collect()
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
        .fetch_one(&self.read)
        .await?;
        Ok((row.count("live")?, row.count("queued")?))
    }

    /// Records a look at a live branch's source, under a claim: what was wrong, if anything, and when to look next. `branch`
    /// is as it was when the look began: if another look was asked for since, that is still due.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn looked(&self, claim: Claim, branch: &Branch, trouble: Option<&Trouble>, next: UnixMs) -> Result<()> {
        self.write
            .turn_under(claim, async |turn| {
                let before = sqlx::query(
                    "SELECT trouble_code, next_look_ms FROM branch
                        WHERE id = $1 AND state = 'live'",
                )
                .bind(branch.id.0)
                .fetch_optional(&mut **turn)
                .await?;
                let Some(before) = before else { return Ok(()) };
                let troubled = before.text_or_none("trouble_code")?;
                let due = before.num::<UnixMs>("next_look_ms")? != branch.next_look;
                sqlx::query(
                    "UPDATE branch SET looked_ms = $2,
                look_asked = CASE WHEN next_look_ms = $7 THEN 0 ELSE look_asked END,
             next_look_ms = CASE WHEN next_look_ms = $7 THEN $3 ELSE next_look_ms END,
             look_failures = CASE WHEN $4 IS NULL THEN 0 ELSE look_failures + 1 END,
             trouble_code = $4, trouble_text = $5, trouble_hint = $6 WHERE id = $1",
                )
                .bind(branch.id.0)
                .bind(now().0)
                .bind(next.0)
                .bind(trouble.map(|t| t.code.clone()))
                .bind(trouble.map(|t| t.text.clone()))
                .bind(trouble.map(|t| t.hint.clone()))
                .bind(branch.next_look.0)
                .execute(&mut **turn)
                .await?;
                let news = trouble.filter(|t| troubled.as_ref() != Some(&t.code));
                if let Some(trouble) = news {
                    let text = trouble.text.clone();
                    let it = Happening::of_branch(branch.project, branch.id, "source-trouble", Look::Exception, text);
                    events::record(turn, &it).await?;
                }
                turn.keep();
                // A look that found nothing is no news: nobody is woken by it.
                if due || news.is_some() || troubled.is_some() {
                    turn.changed(branch.project, Topic::Branch, branch.id);
                }
                Ok(())
            })
            .await
    }

    /// Ends a live branch, or one that landed and was taken out of mainline; it leaves the queue too, and its builds are to
    /// be cancelled.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_branch(&self, branch: &Branch, state: BranchState, why: &str, actor: &str) -> Result<BranchEnd> {
        self.write
            .turn(async |turn| {
                if let Some(landing) = landings::open_of(turn, branch.id).await? {
                    return Ok(BranchEnd::BeingPushed(landing));
                }
                let done = sqlx::query(
                    "UPDATE branch SET state = $2, state_text = $3, changed_ms = $4 WHERE id = $1
                AND (state = 'live'
             OR state = 'landed' AND EXISTS (SELECT 1 FROM queue_entry
                 WHERE taken_out_ms IS NOT NULL
                 AND id = (SELECT MAX(id) FROM queue_entry WHERE branch_id = $1
                     AND landed IS NOT NULL)))",
                )
                .bind(branch.id.0)
                .bind(state.as_str())
                .bind(why)
                .bind(now().0)
                .execute(&mut **turn)
                .await?;
                if done.rows_affected() == 0 {
                    return Ok(BranchEnd::Before);
                }
                sqlx::query(
                    "UPDATE queue_entry SET state = 'ejected', code = $2, says = $3,
                next_who = 'nobody', next_what = '', left_ms = $4
             WHERE branch_id = $1 AND state = 'queued'",
                )
                .bind(branch.id.0)
                .bind(state.as_str())
                .bind(why)
                .bind(now().0)
                .execute(&mut **turn)
                .await?;
                let it = Happening::of_branch(branch.project, branch.id, state.as_str(), Look::Retired, why.to_owned())
                    .by(actor);
                events::record(turn, &it).await?;
                super::builds::cancel_all_of(turn, branch.id, "the branch has ended").await?;
                turn.keep();
                turn.changed(branch.project, Topic::Branch, branch.id);
                turn.changed(branch.project, Topic::Queue, branch.id);
                Ok(BranchEnd::Now)
            })
            .await
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

/// A name that no branch has, after its source's: the next one, found in few steps however many have been given out.
async fn free_name(connection: &mut AnyConnection, project: ProjectId, from: &str) -> Result<BranchName> {
    let (mut taken, mut free) = (0, 1);
    while by_name(connection, project, &BranchName::suggest(from, free)).await?.is_some() {
        (taken, free) = (free, free.saturating_mul(2));
    }
    while free - taken > 1 {
        let between = taken + (free - taken) / 2;
        if by_name(connection, project, &BranchName::suggest(from, between)).await?.is_some() {
            taken = between;
        } else {
            free = between;
        }
    }
    Ok(BranchName::suggest(from, free))
}
