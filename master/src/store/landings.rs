//! Landings: an intent before each push; `landed` is its outcome after it. The rows hold every commit that an entry was ever pushed as,
//! so that what mainline contains in the end is known for ours however its push was thought to have ended.

use super::changes::Topic;
use super::entries;
use super::row::{Columns as _, or_left_out};
use super::{Branch, BranchState, Candidate, Claim, Entry, Reader, Result, Store, StoreError, TokenRow, now};
use protocol::{BranchId, BranchName, CandidateId, CommitId, ProjectId, UnixMs};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use std::collections::HashSet;

/// A landing as stored: a line of entries that one push brings to mainline.
#[derive(Clone, Debug)]
pub struct Landing {
    /// Its number.
    pub id: i64,
    /// The project.
    pub project: ProjectId,
    /// The line, the lowest first: each one's commit stands on the one before it, the first on `from`.
    pub members: Vec<Member>,
    /// What mainline is expected to be.
    pub from: CommitId,
    /// What it is to become: the commit of the last.
    pub to: CommitId,
    /// When it was begun.
    pub begun: UnixMs,
    /// When it ended.
    pub ended: Option<UnixMs>,
}

/// An entry in the line of a landing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// The queue's entry.
    pub entry: i64,
    /// The candidate that it lands as; none where that is not known any more.
    pub candidate: Option<CandidateId>,
    /// The commit that it lands as.
    pub commit: CommitId,
}

impl Member {
    /// An entry that is to land as a candidate; none when that has no commit.
    pub fn of(entry: i64, candidate: &Candidate) -> Option<Self> {
        let commit = candidate.made_commit()?.clone();
        Some(Self { entry, candidate: Some(candidate.id), commit })
    }
}

impl Landing {
    /// The top entry's number, in a line of one the only one's.
    pub fn top(&self) -> Option<i64> {
        self.members.last().map(|member| member.entry)
    }

    /// Whether it is the landing of one entry alone.
    pub fn is_of_one(&self) -> bool {
        self.members.len() == 1
    }

    /// What of it mainline has that holds these commits: how many members, from the lowest.
    pub fn landed_by(&self, came: &HashSet<CommitId>) -> usize {
        if came.contains(&self.to) {
            return self.members.len();
        }
        self.members.iter().rposition(|member| came.contains(&member.commit)).map_or(0, |last| last + 1)
    }
}

/// What came of beginning a landing.
#[derive(Clone, Debug)]
pub enum Begun {
    /// The intent is durable: it may be pushed.
    Yes(Landing),
    /// Something of what it rests on is not so any more: the entry, its candidate, its branch, the acceptor's right, the
    /// queue's pause or mainline. The next decision sees it.
    Not,
}

/// How a landing ended that did not come true, as far as is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailedBy {
    /// Mainline has moved, or nothing came of it.
    Overtaken,
    /// The official repository refused it.
    Refused,
    /// bb's own check before the push.
    Check,
}

impl FailedBy {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Overtaken => "failed",
            Self::Refused => "refused",
            Self::Check => "mischecked",
        }
    }
}

/// How the pushes of one entry failed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Failures {
    /// How often the official repository refused this commit.
    pub refused: u32,
    /// When it did so last.
    pub refused_at: Option<UnixMs>,
    /// What it said then.
    pub refused_said: String,
    /// How often bb's own check refused one of the entry's candidates.
    pub checks: u32,
}

/// The landing's own row, without its line.
pub(super) fn read(row: &AnyRow) -> Result<Landing> {
    Ok(Landing {
        id: row.num("id")?,
        project: row.num("project_id")?,
        members: Vec::new(),
        from: row.parsed("from_commit")?,
        to: row.parsed("to_commit")?,
        begun: row.num("begun_ms")?,
        ended: row.num_or_none("ended_ms")?,
    })
}

/// A row of the line.
pub(super) fn read_member(row: &AnyRow) -> Result<Member> {
    Ok(Member {
        entry: row.num("entry_id")?,
        candidate: row.num_or_none("candidate_id")?,
        commit: row.parsed("commit_id")?,
    })
}

/// Landings with their lines: a row for each member, those of one landing one after the other.
macro_rules! lines {
    ($rest:literal) => {
        concat!(
            "SELECT landing.*, e.place, e.entry_id AS member_id, e.candidate_id, e.commit_id AS member_commit
             FROM landing LEFT JOIN landing_entry e ON e.landing_id = landing.id ",
            $rest,
            " ORDER BY landing.id DESC, e.place"
        )
    };
}

fn read_of_line(row: &AnyRow) -> Result<Member> {
    Ok(Member {
        entry: row.num("member_id")?,
        candidate: row.num_or_none("candidate_id")?,
        commit: row.parsed("member_commit")?,
    })
}

/// The one landing of these rows, all of it; none when there is no row.
fn whole(rows: &[AnyRow]) -> Result<Option<Landing>> {
    let Some(first) = rows.first() else { return Ok(None) };
    let mut landing = read(first)?;
    for (place, row) in (1_i64..).zip(rows) {
        if row.num_or_none::<i64>("place")? != Some(place) {
            return Err(torn(&landing, "a place of its line is empty"));
        }
        landing.members.push(read_of_line(row)?);
    }
    if landing.members.last().is_none_or(|top| top.commit != landing.to) {
        return Err(torn(&landing, "its line does not end in what is pushed"));
    }
    Ok(Some(landing))
}

fn torn(landing: &Landing, what: &str) -> StoreError {
    StoreError::Corrupt { column: "landing_entry".to_owned(), what: format!("landing {}: {what}", landing.id) }
}

/// The landing of a branch that is under way.
pub(super) async fn open_of(connection: &mut AnyConnection, branch: BranchId) -> Result<Option<Landing>> {
    let rows = sqlx::query(lines!(
        "WHERE landing.state = 'intent' AND landing.id IN (SELECT it.landing_id FROM landing_entry it
             JOIN queue_entry q ON q.id = it.entry_id WHERE q.branch_id = $1)"
    ));
    whole(&rows.bind(branch.0).fetch_all(connection).await?)
}

impl Store {
    /// Records the intent to push a line, if everything that it rests on is so at this moment: each entry in the queue with
    /// this very candidate made by its terms, the lowest on this very mainline and each other on the one below, each branch
    /// live, nothing paused, no other landing under way, and whoever accepted them may do so still, as `may` says of the token
    /// and the branch. An entry alone lands as the candidate that it has in the queue.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn begin_landing(
        &self,
        claim: Claim,
        from: &CommitId,
        members: &[Member],
        may: impl Fn(Option<&TokenRow>, &Branch) -> bool + Send,
    ) -> Result<Begun> {
        let Some(top) = members.last() else { return Ok(Begun::Not) };
        self.write
            .turn_under(claim, async |turn| {
                let line = may_go_on(turn, claim.project, from, members, may).await.map_err(|(_, error)| error)?;
                let Some(line) = line else { return Ok(Begun::Not) };
                let row = sqlx::query(
                    "INSERT INTO landing (project_id, entry_id, from_commit, to_commit, state,
                        begun_ms)
             SELECT $1, $2, $3, $4, 'intent', $5
             WHERE NOT EXISTS (SELECT 1 FROM landing WHERE project_id = $1
                 AND state = 'intent') RETURNING *",
                )
                .bind(claim.project.0)
                .bind(top.entry)
                .bind(from.as_str())
                .bind(top.commit.as_str())
                .bind(now().0)
                .fetch_optional(&mut **turn)
                .await?;
                let Some(row) = row else { return Ok(Begun::Not) };
                let landing = Landing { members: members.to_vec(), ..read(&row)? };
                for (place, member) in (1_i64..).zip(members) {
                    sqlx::query(
                        "INSERT INTO landing_entry (landing_id, place, entry_id, candidate_id, commit_id)
                         VALUES ($1, $2, $3, $4, $5)",
                    )
                    .bind(landing.id)
                    .bind(place)
                    .bind(member.entry)
                    .bind(member.candidate.map(|it| it.0))
                    .bind(member.commit.as_str())
                    .execute(&mut **turn)
                    .await?;
                }
                let names: Vec<&BranchName> = line.iter().map(|(_, branch)| &branch.name).collect();
                for (place, (entry, branch)) in line.iter().enumerate() {
                    let says = format!("its tested commit is being pushed{}", with_others(&names, place));
                    entries::stands(turn, *entry, "landing", &says, "bb", "pushes it").await?;
                    turn.changed(claim.project, Topic::Queue, branch.id);
                }
                turn.keep();
                Ok(Begun::Yes(landing))
            })
            .await
    }
}

/// With whom the one at a place of a line lands, in words after others; nothing where it is alone.
pub(super) fn with_others(names: &[&BranchName], place: usize) -> String {
    /// So many are named.
    const NAMED: usize = 4;
    let others = names.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, name)| name.as_str());
    let mut others: Vec<String> = others.map(ToOwned::to_owned).collect();
    if others.len() > NAMED {
        let more = others.split_off(NAMED - 1).len();
        others.push(format!("{more} others"));
    }
    match others.split_last() {
        None => String::new(),
        Some((last, [])) => format!(" with {last}"),
        Some((last, before)) => format!(" with {} and {last}", before.join(", ")),
    }
}

impl Reader {
    /// Whether an open landing would be begun now: what a master does that finds one which another had begun.
    ///
    /// # Errors
    /// When the database fails; with the entry of which something could not be read.
    pub async fn may_land_on(
        &self,
        landing: &Landing,
        may: impl Fn(Option<&TokenRow>, &Branch) -> bool + Send,
    ) -> Result<bool, (i64, StoreError)> {
        let mut connection = self.read().await.map_err(|error| (0, error))?;
        let line = may_go_on(&mut connection, landing.project, &landing.from, &landing.members, may).await?;
        Ok(line.is_some())
    }

    /// The landing whose outcome is not recorded yet.
    ///
    /// # Errors
    /// When the database fails, or not all of it can be read.
    pub async fn open_landing(&self, project: ProjectId) -> Result<Option<Landing>> {
        let rows = sqlx::query(lines!("WHERE landing.project_id = $1 AND landing.state = 'intent'"));
        whole(&rows.bind(project.0).fetch_all(&mut *self.read().await?).await?)
    }

    /// All pushes of a project's entries of which not all are recorded as landed, newest first: mainline may contain them
    /// all the same. What can't be read of a line hides nothing else of it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unlanded(&self, project: ProjectId) -> Result<Vec<Landing>> {
        let rows = sqlx::query(lines!(
            "WHERE landing.project_id = $1 AND landing.state <> 'landed' AND EXISTS (
                 SELECT 1 FROM landing_entry it JOIN queue_entry q ON q.id = it.entry_id
                 WHERE it.landing_id = landing.id AND q.state <> 'landed')"
        ));
        let rows = rows.bind(project.0).fetch_all(&mut *self.read().await?).await?;
        let mut all: Vec<Landing> = Vec::new();
        for row in &rows {
            let Some(landing) = or_left_out("landing", row, read(row))? else { continue };
            let member = or_left_out("landing_entry", row, read_of_line(row))?;
            match all.last_mut().filter(|last| last.id == landing.id) {
                Some(last) => last.members.extend(member),
                None => all.push(Landing { members: member.into_iter().collect(), ..landing }),
            }
        }
        Ok(all)
    }

    /// Whether anything of a branch was ever pushed that is not recorded as landed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unlanded_of(&self, branch: BranchId) -> Result<bool> {
        let row = sqlx::query(
            "SELECT 1 AS holds FROM queue_entry JOIN landing_entry ON landing_entry.entry_id = queue_entry.id
             JOIN landing ON landing.id = landing_entry.landing_id
             WHERE queue_entry.branch_id = $1 AND landing.state <> 'landed'
                 AND queue_entry.state <> 'landed' LIMIT 1",
        )
        .bind(branch.0)
        .fetch_optional(&mut *self.read().await?)
        .await?;
        Ok(row.is_some())
    }

    /// The commits of which a push was refused or that bb's own check refused, of all pushes of those that are in a project's queue.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refused_pushes(&self, project: ProjectId) -> Result<HashSet<CommitId>> {
        let rows = sqlx::query(
            "SELECT DISTINCT landing.to_commit FROM queue_entry q JOIN landing_entry e ON e.entry_id = q.id
             JOIN landing ON landing.id = e.landing_id
             WHERE q.project_id = $1 AND q.state = 'queued' AND landing.state IN ('refused', 'mischecked')",
        );
        let rows = rows.bind(project.0).fetch_all(&mut *self.read().await?).await?;
        let commits = rows.iter().map(|row| or_left_out("landing", row, row.parsed("to_commit")));
        commits.filter_map(Result::transpose).collect()
    }

    /// How the pushes of an entry failed: those of this commit, refused by the official repository; and bb's own check, where
    /// the entry was to land alone, so that no other can have been at fault.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn failures(&self, entry: i64, commit: &CommitId) -> Result<Failures> {
        let rows = sqlx::query(
            "SELECT landing.*, (SELECT COUNT(*) FROM landing_entry it WHERE it.landing_id = landing.id) AS members
             FROM landing_entry e JOIN landing ON landing.id = e.landing_id
             WHERE e.entry_id = $1 AND landing.state IN ('refused', 'mischecked') ORDER BY landing.id",
        )
        .bind(entry)
        .fetch_all(&mut *self.read().await?)
        .await?;
        let mut failures = Failures::default();
        for row in &rows {
            let landing = read(row)?;
            if row.text("state")? == FailedBy::Check.as_str() {
                failures.checks += u32::from(row.num::<i64>("members")? == 1);
            } else if landing.to == *commit {
                failures.refused += 1;
                failures.refused_at = landing.ended;
                failures.refused_said = row.text("says")?;
            }
        }
        Ok(failures)
    }
}

/// The line that a landing pushes, each entry's number with its branch, if all that it rests on is so, but for the claim.
/// Where something can't be read, the entry that it is of is told.
async fn may_go_on(
    connection: &mut AnyConnection,
    project: ProjectId,
    from: &CommitId,
    members: &[Member],
    may: impl Fn(Option<&TokenRow>, &Branch) -> bool + Send,
) -> Result<Option<Vec<(i64, Branch)>>, (i64, StoreError)> {
    let mut line: Vec<(i64, Branch)> = Vec::with_capacity(members.len());
    let mut below = from;
    for member in members {
        let one = member_may_go_on(connection, project, [from, below], member).await;
        let Some((entry, branch, token)) = one.map_err(|error| (member.entry, error))? else { return Ok(None) };
        // In a line of several each has been tested as part of it, whatever is being made for it alone.
        let is_as_tested = members.len() > 1 || entry.candidate == member.candidate;
        let twice = line.iter().any(|(other, _)| *other == entry.id);
        if !is_as_tested || twice || branch.state != BranchState::Live || !may(token.as_ref(), &branch) {
            return Ok(None);
        }
        line.push((entry.id, branch));
        below = &member.commit;
    }
    Ok(Some(line))
}

/// The entry of a line with its branch and the token that it was accepted with, if it is in the queue and its candidate is made
/// by its terms, on the commit below, while mainline is where the line begins; `on` is the one and the other.
async fn member_may_go_on(
    connection: &mut AnyConnection,
    project: ProjectId,
    on: [&CommitId; 2],
    member: &Member,
) -> Result<Option<(Entry, Branch, Option<TokenRow>)>> {
    let [from, below] = on;
    let row = sqlx::query(
        "SELECT q.* FROM queue_entry q JOIN project p ON p.id = q.project_id
         JOIN candidate c ON c.id = $3 AND c.revision_id = q.revision_id
         WHERE q.id = $1 AND q.project_id = $2 AND q.state = 'queued' AND q.hold IS NULL AND q.when_green = 0 AND p.paused = 0
             AND p.tip = $4
         AND c.mainline = $5 AND c.commit_id = $6 AND c.terms_hash = q.terms_hash",
    )
    .bind(member.entry)
    .bind(project.0)
    .bind(member.candidate.map(|it| it.0))
    .bind(from.as_str())
    .bind(below.as_str())
    .bind(member.commit.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(entry) = row.as_ref().map(entries::read).transpose()? else { return Ok(None) };
    let branch = super::branches::by_id(&mut *connection, entry.branch).await?;
    let token = entries::acceptor(connection, &entry).await?;
    Ok(Some((entry, branch, token)))
}
