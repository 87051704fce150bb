//! What people say of revisions: votes, and threads of comments. What was said stays with its revision.

use super::events::{self, Happening};
use super::row::{Columns as _, readable, to_json};
use super::writer::Turn;
use super::{Branch, Reader, Result, Revision, Store, TokenRow, now, tokens};
use protocol::api::{Comment, Look, Place};
use protocol::{BranchId, TokenId, UnixMs};
use sqlx::any::AnyRow;
use std::collections::HashMap;

/// The most comments of one thread.
pub const MOST_COMMENTS: u32 = 100;
/// The most votes on older revisions that are read.
const OLDER_VOTES: i64 = 100;

/// What somebody says, all of it or nothing.
#[derive(Clone, Copy, Debug)]
pub struct Say<'a> {
    /// Of which branch.
    pub branch: &'a Branch,
    /// Of its newest revision.
    pub revision: Option<&'a Revision>,
    /// With which token.
    pub token: TokenId,
    /// Whose name that is.
    pub name: &'a str,
    /// A vote.
    pub vote: Option<i8>,
    /// A comment.
    pub comment: Option<&'a str>,
    /// The lines that it is about.
    pub on: Option<&'a Place>,
    /// The thread that it answers.
    pub reply: Option<i64>,
    /// A thread that is resolved by this, or is open again.
    pub resolved: Option<(i64, bool)>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Said {
    /// It is said.
    Now,
    /// There is a newer revision.
    Outdated,
    /// The branch has no such thread.
    NoThread,
    /// The thread has as many comments as may be.
    Full,
}

/// A vote as stored.
#[derive(Clone, Debug)]
pub struct StoredVote {
    /// The number of the revision.
    pub revision: u32,
    /// -1, 0 or 1.
    pub value: i8,
    /// Whose.
    pub by: String,
    /// When.
    pub at: UnixMs,
    /// The token that it was cast with, as that is now.
    pub token: TokenRow,
}

/// A thread as stored.
#[derive(Clone, Debug)]
pub struct StoredThread {
    /// Its number.
    pub id: i64,
    /// The number of its revision.
    pub revision: u32,
    /// Who began it.
    pub token: TokenId,
    /// The lines that it is about.
    pub on: Option<Place>,
    /// Who resolved it, and when.
    pub resolved: Option<(String, UnixMs)>,
    /// Its comments, oldest first.
    pub comments: Vec<Comment>,
}

/// How many threads there are of a branch.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Threads {
    /// Those that are open.
    pub open: u32,
    /// All.
    pub all: u32,
}

impl Store {
    /// Says something of a branch.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn review(&self, it: &Say<'_>) -> Result<Said> {
        self.write
            .turn(async |turn| {
                if let Some(revision) = it.revision
                    && !is_newest(turn, it.branch.id, revision).await?
                {
                    return Ok(Said::Outdated);
                }
                // Looked at before anything is written: a part alone is never said.
                for thread in it.reply.into_iter().chain(it.resolved.map(|(thread, _)| thread)) {
                    let row = sqlx::query("SELECT comments FROM thread WHERE id = $1 AND branch_id = $2")
                        .bind(thread)
                        .bind(it.branch.id.0)
                        .fetch_optional(&mut **turn)
                        .await?;
                    let Some(row) = row else { return Ok(Said::NoThread) };
                    if it.reply == Some(thread) && row.count("comments")? >= MOST_COMMENTS {
                        return Ok(Said::Full);
                    }
                }
                if let (Some(value), Some(revision)) = (it.vote, it.revision) {
                    vote(turn, it, value, revision).await?;
                }
                if let Some(text) = it.comment {
                    comment(turn, it, text).await?;
                }
                if let Some((thread, resolved)) = it.resolved {
                    resolve(turn, it, thread, resolved).await?;
                }
                Ok(Said::Now)
            })
            .await
    }
}

async fn is_newest(turn: &mut Turn, branch: BranchId, revision: &Revision) -> Result<bool> {
    let row = sqlx::query("SELECT MAX(number) AS number FROM revision WHERE branch_id = $1").bind(branch.0);
    Ok(row.fetch_one(&mut **turn).await?.count_or_none("number")? == Some(revision.number))
}

async fn tell(turn: &mut Turn, it: &Say<'_>, kind: &'static str, look: Look, text: String) -> Result<()> {
    let happening = Happening::of_branch(it.branch.project, it.branch.id, kind, look, text).by(it.name);
    events::record(turn, &happening).await
}

async fn vote(turn: &mut Turn, it: &Say<'_>, value: i8, revision: &Revision) -> Result<()> {
    let before = sqlx::query("SELECT value, token_id FROM vote WHERE revision_id = $1 AND by_name = $2")
        .bind(revision.id.0)
        .bind(it.name)
        .fetch_optional(&mut **turn)
        .await?;
    if let Some(before) = before
        && before.num::<i64>("value")? == i64::from(value)
        && before.num::<TokenId>("token_id")? == it.token
    {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO vote (branch_id, revision_id, token_id, by_name, value, cast_ms) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (revision_id, by_name) DO UPDATE SET value = $5, token_id = $3, cast_ms = $6",
    )
    .bind(it.branch.id.0)
    .bind(revision.id.0)
    .bind(it.token.0)
    .bind(it.name)
    .bind(i64::from(value))
    .bind(now().0)
    .execute(&mut **turn)
    .await?;
    let (look, said) = match value {
        1 => (Look::Passed, "+1"),
        -1 => (Look::Failed, "-1"),
        _ => (Look::Waiting, "0"),
    };
    tell(turn, it, "voted", look, format!("Voted {said} on r{}", revision.number)).await
}

async fn comment(turn: &mut Turn, it: &Say<'_>, text: &str) -> Result<()> {
    let (thread, said) = match (it.reply, it.revision) {
        (Some(thread), _) => (thread, format!("Answered in thread {thread}")),
        (None, Some(revision)) => {
            let query = sqlx::query(
                "INSERT INTO thread (branch_id, revision_id, token_id, place) VALUES ($1, $2, $3, $4) RETURNING id",
            );
            let query = query.bind(it.branch.id.0).bind(revision.id.0).bind(it.token.0);
            let row = query.bind(it.on.map(to_json).transpose()?).fetch_one(&mut **turn).await?;
            (row.num("id")?, format!("Commented on r{}", revision.number))
        }
        (None, None) => return Ok(()),
    };
    sqlx::query("INSERT INTO comment (thread_id, by_name, text, said_ms) VALUES ($1, $2, $3, $4)")
        .bind(thread)
        .bind(it.name)
        .bind(text)
        .bind(now().0)
        .execute(&mut **turn)
        .await?;
    sqlx::query("UPDATE thread SET comments = comments + 1 WHERE id = $1").bind(thread).execute(&mut **turn).await?;
    tell(turn, it, "commented", Look::Waiting, said).await
}

async fn resolve(turn: &mut Turn, it: &Say<'_>, thread: i64, resolved: bool) -> Result<()> {
    let query = if resolved {
        "UPDATE thread SET resolved_by = $2, resolved_ms = $3 WHERE id = $1 AND resolved_ms IS NULL"
    } else {
        "UPDATE thread SET resolved_by = NULL, resolved_ms = NULL WHERE id = $1 AND resolved_ms IS NOT NULL"
    };
    let mut query = sqlx::query(query).bind(thread);
    if resolved {
        query = query.bind(it.name).bind(now().0);
    }
    if query.execute(&mut **turn).await?.rows_affected() == 0 {
        return Ok(());
    }
    let (look, said) =
        if resolved { (Look::Passed, "Resolved thread") } else { (Look::Waiting, "Opened again thread") };
    tell(turn, it, "resolved", look, format!("{said} {thread}")).await
}

impl Reader {
    /// The votes on a branch's newest revision, and the newest on older ones; newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn votes(&self, branch: BranchId, newest: u32) -> Result<Vec<StoredVote>> {
        const OF: &str = "SELECT v.id AS vote_id, v.value, v.by_name, v.cast_ms, r.number, t.* FROM vote v
            JOIN revision r ON r.id = v.revision_id JOIN token t ON t.id = v.token_id WHERE v.branch_id = $1";
        let mut votes = Vec::new();
        for (which, most) in [("=", i64::from(u32::MAX)), ("<>", OLDER_VOTES)] {
            let query = format!("{OF} AND r.number {which} $2 ORDER BY v.cast_ms DESC, v.id DESC LIMIT $3");
            let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(branch.0).bind(i64::from(newest)).bind(most);
            let rows = query.fetch_all(&mut *self.read().await?).await?;
            votes.extend(readable("vote", &rows, read_vote)?);
        }
        Ok(votes)
    }

    /// How many threads there are of a branch.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_threads(&self, branch: BranchId) -> Result<Threads> {
        let query =
            "SELECT COUNT(*) AS known, COUNT(*) - COUNT(resolved_ms) AS unresolved FROM thread WHERE branch_id = $1";
        let row = sqlx::query(query).bind(branch.0).fetch_one(&mut *self.read().await?).await?;
        Ok(Threads { open: row.count("unresolved")?, all: row.count("known")? })
    }

    /// One thread of a branch, without its comments.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn thread(&self, branch: BranchId, id: i64) -> Result<Option<StoredThread>> {
        let query = "SELECT t.*, r.number FROM thread t JOIN revision r ON r.id = t.revision_id
            WHERE t.branch_id = $1 AND t.id = $2";
        let row = sqlx::query(query).bind(branch.0).bind(id).fetch_optional(&mut *self.read().await?).await?;
        row.as_ref().map(read_thread).transpose()
    }

    /// A branch's threads before a number, newest first, so many of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn threads(&self, branch: BranchId, before: Option<i64>, limit: u32) -> Result<Vec<StoredThread>> {
        let query = "SELECT t.*, r.number FROM thread t JOIN revision r ON r.id = t.revision_id
            WHERE t.branch_id = $1 AND t.id < $2 ORDER BY t.id DESC LIMIT $3";
        let query = sqlx::query(query).bind(branch.0).bind(before.unwrap_or(i64::MAX)).bind(i64::from(limit));
        let rows = query.fetch_all(&mut *self.read().await?).await?;
        let mut threads = readable("thread", &rows, read_thread)?;
        let (Some(last), Some(first)) = (threads.first(), threads.last()) else { return Ok(threads) };
        let query = "SELECT c.* FROM comment c JOIN thread t ON t.id = c.thread_id
            WHERE t.branch_id = $1 AND t.id >= $2 AND t.id <= $3 ORDER BY c.id";
        let query = sqlx::query(query).bind(branch.0).bind(first.id).bind(last.id);
        let rows = query.fetch_all(&mut *self.read().await?).await?;
        let mut said: HashMap<i64, Vec<Comment>> = HashMap::new();
        for (thread, comment) in readable("comment", &rows, read_comment)? {
            said.entry(thread).or_default().push(comment);
        }
        for thread in &mut threads {
            thread.comments = said.remove(&thread.id).unwrap_or_default();
        }
        Ok(threads)
    }
}

fn read_vote(row: &AnyRow) -> Result<StoredVote> {
    Ok(StoredVote {
        revision: row.count("number")?,
        value: i8::try_from(row.num::<i64>("value")?.signum()).unwrap_or_default(),
        by: row.text("by_name")?,
        at: row.num("cast_ms")?,
        token: tokens::read(row)?,
    })
}

fn read_thread(row: &AnyRow) -> Result<StoredThread> {
    let by = row.text_or_none("resolved_by")?;
    Ok(StoredThread {
        id: row.num("id")?,
        revision: row.count("number")?,
        token: row.num("token_id")?,
        on: row.json_or_none("place")?,
        resolved: by.zip(row.num_or_none("resolved_ms")?),
        comments: Vec::new(),
    })
}

fn read_comment(row: &AnyRow) -> Result<(i64, Comment)> {
    let comment =
        Comment { id: row.num("id")?, by: row.text("by_name")?, at_ms: row.num("said_ms")?, text: row.text("text")? };
    Ok((row.num("thread_id")?, comment))
}
