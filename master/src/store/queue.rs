//! The queue: accepted branches on their way to mainline, and what became of them.

use super::changes::Topic;
use super::entries::{self, Shown, acceptor, end, nobody, read, stands};
use super::events::{self, Happening};
use super::landings;
use super::needs;
use super::row::{Columns as _, or_left_out};
use super::writer::Turn;
use super::{Branch, BranchState, Claim, Entry, Landing, Result, Revision, Standing, Store, Terms, TokenRow, now};
use protocol::api::{Look, Next};
use protocol::{BranchId, BranchName, CommitId, RevisionId, TokenId};

/// An acceptance to be recorded.
#[derive(Clone, Debug)]
pub struct Acceptance<'a> {
    /// The branch.
    pub branch: &'a Branch,
    /// Its revision.
    pub revision: &'a Revision,
    /// Who accepts.
    pub actor: &'a str,
    /// With which token.
    pub token: Option<TokenId>,
    /// What else it binds.
    pub terms: Terms,
    /// The branches that must land before it, or with it; none leaves what was said before.
    pub needs: Option<&'a [BranchId]>,
}

/// What came of an acceptance.
#[derive(Clone, Debug)]
pub enum Accepted {
    /// It is in the queue.
    Entry(Box<Entry>),
    /// The branch is not live any more.
    Ended,
    /// The branch has a newer revision.
    Outdated,
    /// It would need itself, by way of these, from what it needs to itself.
    Circle(Vec<BranchName>),
    /// A commit of the branch is being pushed to mainline: whether it lands is not known yet.
    BeingPushed(Landing),
}

/// Entries whose standing one transaction records at most: others have to wait as long.
const STANDINGS: usize = 50;

impl Store {
    /// Accepts a revision: gives its branch a place in the queue. Accepting the same commit in the same words twice is one
    /// acceptance, and what the first one bound stays, be it made on another day: `same` says whether terms are in the
    /// words of this one. Whoever accepts after somebody who may not any more, as `may` says, takes that one's place; a
    /// place held by an older revision is given up for the new one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn accept(
        &self,
        acceptance: &Acceptance<'_>,
        may: impl Fn(Option<&TokenRow>, &Branch) -> bool + Send,
        same: impl Fn(&Terms) -> bool + Send,
    ) -> Result<Accepted> {
        let (branch, revision) = (acceptance.branch, acceptance.revision);
        self.write
            .turn(async |turn| {
                if let Some(landing) = landings::open_of(turn, branch.id).await? {
                    return Ok(Accepted::BeingPushed(landing));
                }
                let newest = sqlx::query(
                    "SELECT id FROM revision WHERE branch_id = $1
            ORDER BY number DESC LIMIT 1",
                );
                let newest = newest.bind(branch.id.0).fetch_optional(&mut **turn).await?;
                if newest.map(|row| row.num::<RevisionId>("id")).transpose()? != Some(revision.id) {
                    return Ok(Accepted::Outdated);
                }
                if super::branches::by_id(turn, branch.id).await?.state != BranchState::Live {
                    return Ok(Accepted::Ended);
                }
                let held = sqlx::query(
                    "SELECT * FROM queue_entry WHERE branch_id = $1
            AND state = 'queued'",
                );
                let held = held.bind(branch.id.0).fetch_optional(&mut **turn).await?;
                if let Some(held) = held.as_ref().map(read).transpose()? {
                    if held.revision == revision.id {
                        let same = held.terms == acceptance.terms || same(&held.terms);
                        let by = acceptor(turn, &held).await?;
                        if same && may(by.as_ref(), branch) {
                            if let Some(needs) = acceptance.needs {
                                if let Err(circle) = needs::say(turn, held.id, branch.id, needs).await? {
                                    return Ok(Accepted::Circle(circle));
                                }
                                turn.keep();
                                turn.changed(branch.project, Topic::Queue, branch.id);
                            }
                            return Ok(Accepted::Entry(Box::new(held)));
                        }
                        let terms = if same { &held.terms } else { &acceptance.terms };
                        if let Err(circle) = said(turn, held.id, acceptance).await? {
                            return Ok(Accepted::Circle(circle));
                        }
                        let entry = bind_anew(turn, held.id, acceptance, terms).await?;
                        turn.keep();
                        turn.changed(branch.project, Topic::Queue, branch.id);
                        return Ok(Accepted::Entry(Box::new(entry)));
                    }
                    let says = format!("r{} was accepted in its place", revision.number);
                    end(turn, held.id, "replaced", &says, &nobody()).await?;
                    if let Some(candidate) = held.candidate {
                        super::builds::cancel_queue_of(turn, candidate, &says).await?;
                    }
                }
                let row = sqlx::query(
                    "INSERT INTO queue_entry (project_id, branch_id, revision_id, commit_id,
                accepted_by, token_id, terms, terms_hash,
             accepted_ms, state, code, says, next_who, next_what)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'queued', 'accepted', 'accepted',
                 'bb', 'tests it as it would land')
             RETURNING *",
                )
                .bind(branch.project.0)
                .bind(branch.id.0)
                .bind(revision.id.0)
                .bind(revision.commit.as_str())
                .bind(acceptance.actor)
                .bind(acceptance.token.map(|token| token.0))
                .bind(&acceptance.terms.json)
                .bind(&acceptance.terms.hash)
                .bind(now().0)
                .fetch_one(&mut **turn)
                .await?;
                let entry = read(&row)?;
                if let Err(circle) = said(turn, entry.id, acceptance).await? {
                    return Ok(Accepted::Circle(circle));
                }
                record_acceptance(turn, acceptance).await?;
                turn.keep();
                turn.changed(branch.project, Topic::Queue, branch.id);
                Ok(Accepted::Entry(Box::new(entry)))
            })
            .await
    }

    /// Records how an entry in the queue stands; nobody is woken when it stood so before.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn set_standing(
        &self,
        claim: Claim,
        entry: &Entry,
        candidate: impl Into<Shown>,
        standing: &Standing,
    ) -> Result<()> {
        self.set_standings(claim, &[(entry, candidate.into(), standing.clone())]).await
    }

    /// The same of many at once.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn set_standings(&self, claim: Claim, all: &[(&Entry, Shown, Standing)]) -> Result<()> {
        let is_news = |(entry, candidate, standing): &&(&Entry, Shown, Standing)| {
            entry.standing != *standing || candidate.or(entry.candidate) != entry.candidate
        };
        let news: Vec<_> = all.iter().filter(is_news).collect();
        for some in news.chunks(STANDINGS) {
            self.write
                .turn_under(claim, async |turn| {
                    for (entry, candidate, standing) in some {
                        stands_now(turn, entry, *candidate, standing).await?;
                    }
                    Ok(())
                })
                .await?;
        }
        Ok(())
    }

    /// Sends an entry away, with the reason; it stays readable. What was found out on another mainline than that of now
    /// (`on`) sends nobody away, nor is one whose commit is being pushed. False when it stays.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn eject(&self, claim: Claim, entry: &Entry, on: Option<&CommitId>, standing: &Standing) -> Result<bool> {
        self.leave(claim, entry, on, standing, None).await
    }

    /// The same for one of which mainline has all: its branch is retired.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn retire(&self, claim: Claim, entry: &Entry, on: &CommitId, standing: &Standing) -> Result<bool> {
        self.leave(claim, entry, Some(on), standing, Some("in-mainline")).await
    }

    async fn leave(
        &self,
        claim: Claim,
        entry: &Entry,
        on: Option<&CommitId>,
        standing: &Standing,
        retired: Option<&str>,
    ) -> Result<bool> {
        self.write
            .turn_under(claim, async |turn| {
                if landings::open_of(turn, entry.branch).await?.is_some() {
                    return Ok(false);
                }
                let tip = sqlx::query(
                    "SELECT 1 AS holds FROM project WHERE id = $1
                    AND ($2 = '' OR tip = $2)",
                );
                let tip = tip.bind(entry.project.0).bind(on.map_or("", CommitId::as_str));
                let is_now = tip.fetch_optional(&mut **turn).await?.is_some();
                // Accepted anew, by somebody else or in other words, it is another acceptance than was decided upon.
                let same = sqlx::query(
                    "SELECT 1 AS holds FROM queue_entry WHERE id = $1 AND terms_hash = $2 AND COALESCE(token_id, 0) = $3",
                );
                let same = same.bind(entry.id).bind(&entry.terms.hash).bind(entry.token.map_or(0, |token| token.0));
                let is_same = same.fetch_optional(&mut **turn).await?.is_some();
                if !is_now || !is_same || !end(turn, entry.id, &standing.code, &standing.says, &standing.next).await? {
                    return Ok(false);
                }
                if let Some(candidate) = entry.candidate {
                    super::builds::cancel_queue_of(turn, candidate, "the branch has left the queue").await?;
                }
                // Of what bb landed itself before, that is what became of it.
                let landed = sqlx::query(
                    "SELECT landed FROM queue_entry WHERE branch_id = $1 AND commit_id = $2 AND landed IS NOT NULL
                     ORDER BY id DESC LIMIT 1",
                );
                let landed = landed.bind(entry.branch.0).bind(entry.commit.as_str()).fetch_optional(&mut **turn).await?;
                let landed = landed.map(|row| row.parsed::<CommitId>("landed")).transpose()?;
                let (state, why) = match (retired, &landed) {
                    (None, _) => ("", String::new()),
                    (Some(_), Some(commit)) => ("landed", format!("landed as {}", commit.short())),
                    (Some(why), None) => ("retired", why.to_owned()),
                };
                sqlx::query(
                    "UPDATE branch SET changed_ms = $2,
                        state = CASE WHEN $3 = '' THEN state ELSE $3 END,
             state_text = CASE WHEN $3 = '' THEN state_text ELSE $4 END WHERE id = $1",
                )
                .bind(entry.branch.0)
                .bind(now().0)
                .bind(state)
                .bind(&why)
                .execute(&mut **turn)
                .await?;
                let text = format!("Left the queue: {}", standing.says);
                let (kind, look) =
                    if retired.is_some() { ("retired", Look::Retired) } else { ("ejected", Look::Failed) };
                let it = Happening::of_branch(entry.project, entry.branch, kind, look, text);
                events::record(turn, &it).await?;
                if retired.is_some() {
                    super::builds::cancel_all_of(turn, entry.branch, "the branch has ended").await?;
                }
                turn.keep();
                turn.changed(entry.project, Topic::Queue, entry.branch);
                turn.changed(entry.project, Topic::Branch, entry.branch);
                Ok(true)
            })
            .await
    }
}

/// Records how one stands, if it is still what it was read as. One that can't be read keeps nothing from the others.
async fn stands_now(turn: &mut Turn, entry: &Entry, candidate: Shown, standing: &Standing) -> Result<()> {
    let row = sqlx::query("SELECT * FROM queue_entry WHERE id = $1 AND state = 'queued'").bind(entry.id);
    let Some(row) = row.fetch_optional(&mut **turn).await? else { return Ok(()) };
    let Some(now) = or_left_out("queue_entry", &row, read(&row))? else { return Ok(()) };
    // What is being pushed stands as it does, and accepted anew it is another acceptance.
    if landings::open_of(turn, now.branch).await?.is_some() || now.terms != entry.terms {
        return Ok(());
    }
    entries::show(turn, &now, candidate.or(now.candidate)).await?;
    let Next { who, what } = &standing.next;
    stands(turn, entry.id, &standing.code, &standing.says, who, what).await?;
    turn.keep();
    turn.changed(entry.project, Topic::Standing, entry.branch);
    Ok(())
}

/// Says what an acceptance needs, if it says so.
async fn said(turn: &mut Turn, entry: i64, acceptance: &Acceptance<'_>) -> Result<Result<(), Vec<BranchName>>> {
    match acceptance.needs {
        Some(needs) => needs::say(turn, entry, acceptance.branch.id, needs).await,
        None => Ok(Ok(())),
    }
}

/// The same place, accepted by somebody else or in other words.
async fn bind_anew(turn: &mut Turn, entry: i64, acceptance: &Acceptance<'_>, terms: &Terms) -> Result<Entry> {
    let row = sqlx::query(
        "UPDATE queue_entry SET accepted_by = $2, token_id = $3, terms = $4,
            terms_hash = $5 WHERE id = $1 RETURNING *",
    )
    .bind(entry)
    .bind(acceptance.actor)
    .bind(acceptance.token.map(|token| token.0))
    .bind(&terms.json)
    .bind(&terms.hash)
    .fetch_one(&mut **turn)
    .await?;
    record_acceptance(turn, acceptance).await?;
    read(&row)
}

async fn record_acceptance(turn: &mut Turn, acceptance: &Acceptance<'_>) -> Result<()> {
    sqlx::query("UPDATE branch SET changed_ms = $2 WHERE id = $1")
        .bind(acceptance.branch.id.0)
        .bind(now().0)
        .execute(&mut **turn)
        .await?;
    let text = format!(
        "{} accepted r{}, {}",
        acceptance.actor,
        acceptance.revision.number,
        acceptance.revision.commit.short()
    );
    let acceptance =
        Happening::of_branch(acceptance.branch.project, acceptance.branch.id, "accepted", Look::Accepted, text)
            .by(acceptance.actor);
    events::record(turn, &acceptance).await
}
