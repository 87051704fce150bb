//! What is kept with each branch for lists: its [`Shape`], and all that it can be found by.
//!
//! Each transaction that changes anything of a branch ends by keeping these anew, so that they never are behind the rows that they
//! are made of: which branches those are, it has said already for those who are woken by it. What concerns a whole project, or
//! all that wait for the same slaves, is no part of them, and changes none.

use super::branches::{self, TOKEN_OF_NOW};
use super::builds::needs_of;
use super::changes::{Change, Topic};
use super::facts::{self, Rows};
use super::row::{Columns as _, to_json};
use super::writer::Turn;
use super::{Branch, Entry, Reader, Result, Revision, Store, StoreError, entries, revisions};
use gate::verdict::{self, Facts, Shape};
use protocol::BranchId;
use protocol::api::{CandidateOutcome, Refusal};
use sha2::{Digest as _, Sha256};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use std::collections::{BTreeSet, HashMap};
use std::pin::Pin;

/// Branches that are kept anew in one turn, where all are.
const AT_ONCE: i64 = 200;
/// Places in the queue among which the one that landed is looked for.
const PLACES: i64 = 50;

/// Keeps anew what is kept of the branches that these changes are of.
pub(super) fn before_commit<'c>(
    connection: &'c mut AnyConnection,
    changes: &'c [Change],
) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'c>> {
    Box::pin(async move {
        for branch in concerned(connection, changes).await? {
            keep(connection, BranchId(branch)).await?;
        }
        Ok(())
    })
}

/// Of which branches these changes are.
async fn concerned(connection: &mut AnyConnection, changes: &[Change]) -> Result<BTreeSet<i64>> {
    let mut branches = BTreeSet::new();
    for change in changes {
        match change.topic {
            Topic::Branch | Topic::Revision | Topic::Candidate | Topic::Queue | Topic::Standing | Topic::Kept
                if change.id != 0 =>
            {
                branches.insert(change.id);
            }
            // Whoever is not trusted any more needs other slaves.
            Topic::Token => {
                let sql = "SELECT DISTINCT b.branch_id FROM build b JOIN branch ON branch.id = b.branch_id
                    WHERE b.state <> 'finished' AND branch.token_id = $1";
                for row in sqlx::query(sql).bind(change.id).fetch_all(&mut *connection).await? {
                    branches.insert(row.num("branch_id")?);
                }
            }
            _ => {}
        }
    }
    Ok(branches)
}

/// Keeps anew what is kept of a branch, if that is other than before.
async fn keep(connection: &mut AnyConnection, id: BranchId) -> Result<()> {
    let read = match read(connection, id).await {
        Ok(Some(read)) => read,
        Ok(None) => return Ok(()),
        // One that can't be read stops nobody who writes anything else, and is counted all the same.
        Err(error @ StoreError::Corrupt { .. }) => {
            tracing::error!(branch = id.0, %error, "what lists say of a branch can't be kept");
            let shape = Kept::of(&Shape::unknown())?;
            add(connection, &shape).await?;
            let sql = "UPDATE branch SET shape = $2 WHERE id = $1 AND shape IS NULL";
            sqlx::query(sql).bind(id.0).bind(shape.number).execute(connection).await?;
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let (shape, found_by, owners) = (read.shape()?, read.found_by(), read.owners());
    if read.before == (Some(shape.number), found_by.clone(), owners.clone()) {
        return Ok(());
    }
    let set = async |connection: &mut AnyConnection| -> Result<bool> {
        let sql = "UPDATE branch SET shape = $2, found_by = $3, owners = $4
            WHERE id = $1 AND EXISTS (SELECT 1 FROM shape WHERE id = $2)";
        let query = sqlx::query(sql).bind(id.0).bind(shape.number).bind(&found_by).bind(&owners);
        Ok(query.execute(connection).await?.rows_affected() > 0)
    };
    // There are few shapes, and nearly always it is there.
    if !set(connection).await? {
        add(connection, &shape).await?;
        set(connection).await?;
    }
    Ok(())
}

async fn add(connection: &mut AnyConnection, shape: &Kept) -> Result<()> {
    let query = sqlx::query("INSERT INTO shape (id, facts) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING");
    query.bind(shape.number).bind(&shape.text).execute(connection).await?;
    Ok(())
}

/// A shape as it is kept.
pub(super) struct Kept {
    pub(super) number: i64,
    text: String,
}

impl Kept {
    pub(super) fn of(shape: &Shape) -> Result<Self> {
        let text = to_json(shape)?;
        let hash = Sha256::digest(text.as_bytes());
        let number = hash.iter().take(8).fold(0i64, |number, byte| (number << 8) | i64::from(*byte));
        Ok(Self { number: number & i64::MAX, text })
    }

    /// That of all branches that landed and that a push took out of mainline.
    pub(super) fn of_taken_out() -> Result<Self> {
        Self::of(&Shape::taken_out())
    }
}

/// What a branch's shape is made of.
struct Read {
    branch: Branch,
    newest: Option<Revision>,
    facts: Facts,
    needs: HashMap<String, String>,
    title: String,
    /// What is kept of it.
    before: (Option<i64>, String, String),
}

async fn read(connection: &mut AnyConnection, id: BranchId) -> Result<Option<Read>> {
    let sql = format!(
        "SELECT branch.*, {TOKEN_OF_NOW}, {}, c.outcome AS outcome,
             CASE WHEN c.outcome IN ('refused', 'mainline-trouble') THEN c.detail END AS detail,
             COALESCE(c.changes_recipe, 0) AS changes_recipe, c.recipe_trouble AS recipe_trouble,
             (SELECT MAX(q.id) FROM queue_entry q WHERE q.branch_id = branch.id) AS last_entry
         FROM branch LEFT JOIN token ON token.id = branch.token_id
         LEFT JOIN revision r ON r.branch_id = branch.id AND r.number = branch.head
         LEFT JOIN candidate c ON c.id = r.candidate_id WHERE branch.id = $1",
        revisions::PREFIXED
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *connection).await?;
    let Some(row) = row else { return Ok(None) };
    let branch = branches::read(&row)?;
    let newest = row.num_or_none::<i64>("r_id")?.map(|_| revisions::read_prefixed(&row)).transpose()?;
    let live = branch.state == super::BranchState::Live;
    let places = "SELECT q.*, r.number AS accepted, r.subject AS of_subject, r.title AS of_title
         FROM queue_entry q JOIN revision r ON r.id = q.revision_id WHERE q.branch_id = $1 ORDER BY q.id DESC LIMIT $2";
    let rows = match row.num_or_none::<i64>("last_entry")? {
        Some(_) => {
            let query = sqlx::query(places).bind(id.0).bind(if live { 1 } else { PLACES });
            query.fetch_all(&mut *connection).await?
        }
        None => Vec::new(),
    };
    let entries: Vec<Entry> = rows.iter().map(entries::read).collect::<Result<_>>()?;
    let (mut builders, mut needs) = (Vec::new(), HashMap::new());
    if let Some(revision) = newest.as_ref().filter(|_| live) {
        for row in latest(connection, revision.id.0).await? {
            let (builder, waits_for) = builder(&row, branch.trusted)?;
            if let Some(needed) = waits_for {
                needs.insert(builder.name.clone(), needed);
            }
            builders.push(builder);
        }
    }
    let recipe_trouble = row.json_or_none::<Option<Refusal>>("recipe_trouble")?.flatten();
    let landed = facts::landed(&entries).zip(newest.clone());
    let landed = match landed {
        Some((entry, newest)) => match entries.iter().position(|it| it.id == entry.id) {
            Some(at) => Some(Revision { title: revisions::title_of(&rows[at], "of_")?, ..newest }),
            None => None,
        },
        None => None,
    };
    let title = facts::title(&branch, newest.as_ref(), landed.as_ref());
    let facts = facts::own(Rows {
        branch: &branch,
        newest: newest.as_ref(),
        candidate: candidate(&row)?,
        changes_recipe: row.flag("changes_recipe")?,
        recipe_trouble: recipe_trouble.as_ref(),
        builders,
        entries: &entries,
        accepted: rows.first().map_or(Ok(0), |row| row.count("accepted"))?,
        place: 0,
    });
    let before = (row.num_or_none("shape")?, row.text("found_by")?, row.text("owners")?);
    Ok(Some(Read { branch, newest, facts, needs, title, before }))
}

/// What came of making the candidate, without what of it can be long.
fn candidate(row: &AnyRow) -> Result<verdict::Candidate> {
    Ok(match row.text_or_none("outcome")?.as_deref() {
        None => verdict::Candidate::NotMade,
        Some("made") => verdict::Candidate::Made,
        Some("conflict") => verdict::Candidate::Conflict(Vec::new()),
        Some(_) => facts::outcome(row.json_or_none::<CandidateOutcome>("detail")?.as_ref()),
    })
}

/// The latest build of each builder of a revision, in the recipe's order.
async fn latest(connection: &mut AnyConnection, revision: i64) -> Result<Vec<AnyRow>> {
    let sql = "SELECT b.builder, b.required, b.state, b.result, b.isolation,
             CASE WHEN b.state = 'waiting' THEN b.spec END AS spec,
             (SELECT s.lacks FROM step s WHERE s.build_id = b.id AND s.result = b.result ORDER BY s.number LIMIT 1) AS lacks
         FROM build b WHERE b.id IN (SELECT MAX(id) FROM build WHERE revision_id = $1 AND of_stack = 0 GROUP BY builder)
         ORDER BY b.position, b.builder";
    Ok(sqlx::query(sql).bind(revision).fetch_all(connection).await?)
}

/// A builder with its latest build, and what that needs of a slave, if it waits.
fn builder(row: &AnyRow, trusted: bool) -> Result<(verdict::Builder, Option<String>)> {
    let mut needs = None;
    let build = match row.text("state")?.as_str() {
        "waiting" => {
            if let Some(spec) = row.json_or_none::<recipe::Builder>("spec")? {
                needs = Some(needs_of(&spec, row.json("isolation")?, trusted));
            }
            verdict::Build::Waiting(None)
        }
        "running" => verdict::Build::Running { step: None },
        _ => verdict::Build::Finished {
            result: row.parsed_or_none("result")?.unwrap_or(protocol::BuildResult::Exception),
            step: None,
            says: String::new(),
            lacks: row.text_or_none("lacks")?,
        },
    };
    let (name, required) = (row.text("builder")?, row.flag("required")?);
    Ok((verdict::Builder { name, required, build, page: None }, needs))
}

impl Read {
    fn shape(&self) -> Result<Kept> {
        Kept::of(&Shape::of(&self.facts, |builder| self.needs.get(builder).cloned().unwrap_or_default()))
    }

    fn author(&self) -> &str {
        self.newest.as_ref().map_or("", |revision| revision.author.as_str())
    }

    /// A line each, in small letters.
    fn found_by(&self) -> String {
        let branch = &self.branch;
        let state = if branch.state == super::BranchState::Live { "" } else { branch.state.as_str() };
        let texts = [branch.name.as_str(), &self.title, &branch.publisher, self.author(), &branch.source_ref, state];
        let texts = texts.into_iter().chain(branch.bugs.iter().map(String::as_str)).filter(|text| !text.is_empty());
        texts.map(str::to_lowercase).collect::<Vec<_>>().join("\n")
    }

    fn owners(&self) -> String {
        format!("\n{}\n{}\n", self.branch.publisher.to_lowercase(), self.author().to_lowercase())
    }
}

impl Reader {
    /// The branches of which what is kept for lists is not what their rows give. There are none, whatever was written.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn behind_their_rows(&self) -> Result<Vec<BranchId>> {
        let mut connection = self.read().await?;
        let mut behind = Vec::new();
        for row in sqlx::query("SELECT id FROM branch ORDER BY id + 0").fetch_all(&mut *connection).await? {
            let id = row.num("id")?;
            let read = match read(&mut connection, id).await {
                Ok(Some(read)) => read,
                // What can't be read gives nothing to compare with.
                Ok(None) | Err(StoreError::Corrupt { .. }) => continue,
                Err(error) => return Err(error),
            };
            if read.before != (Some(read.shape()?.number), read.found_by(), read.owners()) {
                behind.push(id);
            }
        }
        Ok(behind)
    }
}

impl Store {
    /// Keeps what is kept of branches for lists, of those of which an earlier version kept nothing.
    pub(super) async fn keep_shapes(&self) -> Result<()> {
        loop {
            let sql = "SELECT id FROM branch WHERE shape IS NULL ORDER BY id LIMIT $1";
            let rows = sqlx::query(sql).bind(AT_ONCE).fetch_all(&mut *self.read.read().await?).await?;
            if rows.is_empty() {
                return Ok(());
            }
            self.write
                .turn_for_anybody(async |turn: &mut Turn| {
                    for row in &rows {
                        keep(turn, row.num("id")?).await?;
                    }
                    turn.keep();
                    Ok(())
                })
                .await?;
        }
    }
}
