//! Published branches: the registry.

use super::events::{self, Happening};
use super::row::{Columns as _, to_json};
use super::{Claim, Result, Store, now};
use protocol::api::Look;
use protocol::{BranchId, BranchName, ProjectId, TokenId, UnixMs};
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
    /// Whether the publisher is trusted.
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
    /// What was wrong at the last look.
    pub trouble: Option<Trouble>,
    /// When it was published, last.
    pub published: UnixMs,
    /// When it last changed.
    pub changed: UnixMs,
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
        trusted: row.flag("trusted")?,
        state: row.parsed("state")?,
        state_text: row.text("state_text")?,
        looked: row.num_or_none("looked_ms")?,
        next_look: row.num("next_look_ms")?,
        look_failures: row.count("look_failures")?,
        trouble,
        published: row.num("published_ms")?,
        changed: row.num("changed_ms")?,
    })
}

impl Store {
    /// Publishes a branch. The same source twice is one branch; one that had ended comes back under its name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn publish(&self, new: &NewBranch) -> Result<Published> {
        let mut transaction = self.write.begin().await?;
        let before = sqlx::query(
            "SELECT * FROM branch WHERE project_id = $1 AND url = $2 AND source_ref = $3 ORDER BY id DESC LIMIT 1",
        )
        .bind(new.project.0)
        .bind(&new.url)
        .bind(&new.source_ref)
        .fetch_optional(&mut *transaction)
        .await?;
        let before = before.as_ref().map(read).transpose()?;
        if let Some(live) = before.as_ref().filter(|b| b.state == BranchState::Live) {
            // Publishing again is also a way to say "look now". It always is another time than before: by that, a look
            // under way sees at its end that another one was asked for.
            sqlx::query(
                "UPDATE branch SET next_look_ms = CASE WHEN next_look_ms > $2 THEN $2 ELSE next_look_ms - 1 END WHERE id = $1",
            )
            .bind(live.id.0)
            .bind(now().0)
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            self.wake();
            return Ok(Published::Already(live.clone()));
        }
        let again = before.filter(|b| new.name.as_ref().is_none_or(|name| *name == b.name));
        let (sql, name, revived) = match again {
            Some(old) => (
                "UPDATE branch SET state = 'live', state_text = '', title = $5, bugs = $6, publisher = $7, token_id = $8,
                 trusted = $9, next_look_ms = $10, published_ms = $10, changed_ms = $10, look_failures = 0,
                 trouble_code = NULL WHERE project_id = $1 AND name = $2 AND url = $3 AND source_ref = $4 RETURNING *",
                old.name,
                true,
            ),
            None => {
                let name = match &new.name {
                    Some(name) => {
                        if let Some(other) = by_name(&mut transaction, new.project, name).await? {
                            return Ok(Published::NameTaken(other));
                        }
                        name.clone()
                    }
                    None => free_name(&mut transaction, new.project, &new.source_ref).await?,
                };
                (
                    "INSERT INTO branch (project_id, name, url, source_ref, title, bugs, publisher, token_id, trusted,
                     state, next_look_ms, published_ms, changed_ms)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'live', $10, $10, $10) RETURNING *",
                    name,
                    false,
                )
            }
        };
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
            .fetch_one(&mut *transaction)
            .await?;
        let branch = read(&row)?;
        if revived {
            // What was cancelled because the branch had ended is wanted again.
            sqlx::query(
                "UPDATE revision SET builds_asked = 0
                 WHERE branch_id = $1 AND number = (SELECT MAX(number) FROM revision WHERE branch_id = $1)
                 AND EXISTS (SELECT 1 FROM build WHERE revision_id = revision.id AND (result = 'cancelled' OR cancel IS NOT NULL))",
            )
            .bind(branch.id.0)
            .execute(&mut *transaction)
            .await?;
        }
        let text = format!("Published by {}", new.publisher);
        let it = Happening::of_branch(new.project, branch.id, "published", Look::Waiting, text).by(&new.publisher);
        events::record(&mut transaction, &it).await?;
        transaction.commit().await?;
        self.wake();
        Ok(if revived { Published::Again(branch) } else { Published::New(branch) })
    }

    /// Gives a live branch another title and other references to bugs; what is empty stays as it was.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn describe_branch(&self, branch: &Branch, title: &str, bugs: &[String]) -> Result<Branch> {
        let (title, bugs) =
            (if title.is_empty() { &branch.title } else { title }, if bugs.is_empty() { &branch.bugs } else { bugs });
        let query = sqlx::query("UPDATE branch SET title = $2, bugs = $3, changed_ms = $4 WHERE id = $1 RETURNING *")
            .bind(branch.id.0)
            .bind(title)
            .bind(to_json(&bugs)?)
            .bind(now().0);
        let row = self.write.fetch_one(query).await?;
        self.wake();
        read(&row)
    }

    /// A branch by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn branch(&self, project: ProjectId, name: &BranchName) -> Result<Option<Branch>> {
        let row = sqlx::query("SELECT * FROM branch WHERE project_id = $1 AND name = $2")
            .bind(project.0)
            .bind(name.as_str())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// A branch by number.
    ///
    /// # Errors
    /// When the database fails, or there is no such branch.
    pub async fn branch_by_id(&self, id: BranchId) -> Result<Branch> {
        read(&sqlx::query("SELECT * FROM branch WHERE id = $1").bind(id.0).fetch_one(&self.read).await?)
    }

    /// Branches of a project: the live ones, and the last `ended` of the others; last changed first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn branches(&self, project: ProjectId, ended: u32) -> Result<Vec<Branch>> {
        let live = sqlx::query(
            "SELECT * FROM branch WHERE project_id = $1 AND state = 'live' ORDER BY changed_ms DESC, id DESC",
        )
        .bind(project.0)
        .fetch_all(&self.read)
        .await?;
        let ended = sqlx::query(
            "SELECT * FROM branch WHERE project_id = $1 AND state <> 'live' ORDER BY changed_ms DESC, id DESC LIMIT $2",
        )
        .bind(project.0)
        .bind(i64::from(ended))
        .fetch_all(&self.read)
        .await?;
        live.iter().chain(&ended).map(read).collect()
    }

    /// How many branches of a project are live, and how many are in its queue.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn branch_counts(&self, project: ProjectId) -> Result<(u32, u32)> {
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM branch WHERE project_id = $1 AND state = 'live') AS live,
             (SELECT COUNT(*) FROM queue_entry WHERE project_id = $1 AND state = 'queued') AS queued",
        )
        .bind(project.0)
        .fetch_one(&self.read)
        .await?;
        Ok((row.count("live")?, row.count("queued")?))
    }

    /// A project's live branches by their next look, the one that is due first before the others.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_looks(&self, project: ProjectId, limit: u32) -> Result<Vec<Branch>> {
        let rows = sqlx::query(
            "SELECT * FROM branch WHERE project_id = $1 AND state = 'live' ORDER BY next_look_ms, id LIMIT $2",
        )
        .bind(project.0)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(read).collect()
    }

    /// Records a look at a live branch's source, under a claim: what was wrong, if anything, and when to look next. `branch`
    /// is as it was when the look began: if another look was asked for since, that is still due.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn looked(&self, claim: Claim, branch: &Branch, trouble: Option<&Trouble>, next: UnixMs) -> Result<()> {
        let mut transaction = self.write.begin_under(claim).await?;
        let before = sqlx::query("SELECT trouble_code, next_look_ms FROM branch WHERE id = $1 AND state = 'live'")
            .bind(branch.id.0)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(before) = before else { return Ok(()) };
        let troubled = before.text_or_none("trouble_code")?;
        let due = before.num::<UnixMs>("next_look_ms")? != branch.next_look;
        sqlx::query(
            "UPDATE branch SET looked_ms = $2, next_look_ms = CASE WHEN next_look_ms = $7 THEN $3 ELSE next_look_ms END,
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
        .execute(&mut *transaction)
        .await?;
        let news = trouble.filter(|t| troubled.as_ref() != Some(&t.code));
        if let Some(trouble) = news {
            let text = trouble.text.clone();
            let it = Happening::of_branch(branch.project, branch.id, "source-trouble", Look::Exception, text);
            events::record(&mut transaction, &it).await?;
        }
        transaction.commit().await?;
        // A look that found nothing is no news: nobody is woken by it.
        if due || news.is_some() || troubled.is_some() {
            self.wake();
        }
        Ok(())
    }

    /// Ends a live branch; it leaves the queue too, and its builds are to be cancelled. False when it is not live.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_branch(&self, branch: &Branch, state: BranchState, why: &str, actor: &str) -> Result<bool> {
        let mut transaction = self.write.begin().await?;
        let done = sqlx::query(
            "UPDATE branch SET state = $2, state_text = $3, changed_ms = $4 WHERE id = $1 AND state = 'live'",
        )
        .bind(branch.id.0)
        .bind(state.as_str())
        .bind(why)
        .bind(now().0)
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(
            "UPDATE queue_entry SET state = 'ejected', code = $2, says = $3, next_who = 'nobody', next_what = '', left_ms = $4
             WHERE branch_id = $1 AND state = 'queued'",
        )
        .bind(branch.id.0)
        .bind(state.as_str())
        .bind(why)
        .bind(now().0)
        .execute(&mut *transaction)
        .await?;
        let it =
            Happening::of_branch(branch.project, branch.id, state.as_str(), Look::Retired, why.to_owned()).by(actor);
        events::record(&mut transaction, &it).await?;
        super::builds::cancel_all_of(&mut transaction, branch.id, "the branch has ended").await?;
        transaction.commit().await?;
        self.wake();
        Ok(true)
    }
}

async fn by_name(
    connection: &mut sqlx::AnyConnection,
    project: ProjectId,
    name: &BranchName,
) -> Result<Option<Branch>> {
    let row = sqlx::query("SELECT * FROM branch WHERE project_id = $1 AND name = $2")
        .bind(project.0)
        .bind(name.as_str())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}

/// A name that no branch has, after its source's: the next one, found in few steps however many have been given out.
async fn free_name(connection: &mut sqlx::AnyConnection, project: ProjectId, from: &str) -> Result<BranchName> {
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
