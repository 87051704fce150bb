//! Asking for builds. Of a candidate and a builder there is one open build, whoever asks, how often, and at once.

use super::branches::by_id;
use super::builds::{BuildRequest, cancel_where, insert, read, spec_hash};
use super::events::{self, Happening};
use super::pending::pending;
use super::row::to_json;
use super::writer::Turn;
use super::{Build, BuildRowState, Claim, Result, Store, stacked};
use gate::pending::{Crowded, Most};
use protocol::api::Look;
use protocol::{BranchId, BuildId, RevisionId};
use sqlx::AnyConnection;

/// What came of asking for a build.
enum Asked {
    /// It is new.
    New(Build),
    /// An open one is what was asked for by now, and was not to the letter before.
    Turned(Build),
    /// An open one is what was asked for.
    There(Build),
}

/// What came of asking within bounds: the answer, or that as many wait as may.
pub type Within<T> = Result<T, Crowded>;

impl Store {
    /// Asks for builds under a claim, all or none. A builder that has a build of the candidate which waits, runs or passed
    /// is not asked twice; one that waits is taken over by the queue. Nothing is asked for a branch that has ended, a
    /// revision that is not its newest any more or, by the queue, one that has left it. `new_revision` marks that the
    /// revision has been asked for, which is done once.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn ask_for_builds(
        &self,
        claim: Claim,
        requests: &[BuildRequest],
        new_revision: Option<RevisionId>,
    ) -> Result<Vec<BuildId>> {
        self.ask_within(claim, requests, new_revision, None).await.map(Within::unwrap_or_default)
    }

    /// The same, of a stranger's builds no more than may wait; those that find no room are not asked for, and stay to be.
    ///
    /// # Errors
    /// The same.
    pub async fn ask_within(
        &self,
        claim: Claim,
        requests: &[BuildRequest],
        new_revision: Option<RevisionId>,
        most: Option<Most>,
    ) -> Result<Within<Vec<BuildId>>> {
        self.write
            .turn_under(claim, async |turn| {
                for it in requests {
                    if !is_wanted(turn, it).await? {
                        return Ok(Ok(Vec::new()));
                    }
                }
                if let Err(crowded) = room(turn, requests, most, true).await? {
                    return Ok(Err(crowded));
                }
                if let Some(revision) = new_revision {
                    let query = sqlx::query(
                        "UPDATE revision SET builds_asked = 1
                        WHERE id = $1 AND builds_asked = 0",
                    );
                    if query.bind(revision.0).execute(&mut **turn).await?.rows_affected() == 0 {
                        return Ok(Ok(Vec::new()));
                    }
                }
                let mut asked = Vec::new();
                for it in requests {
                    if has_passed(turn, it).await? {
                        continue;
                    }
                    match ask(turn, it).await? {
                        Asked::New(build) => asked.push(build.id),
                        Asked::Turned(_) | Asked::There(_) => {}
                    }
                }
                turn.keep();
                Ok(Ok(asked))
            })
            .await
    }

    /// Asks for builds for a person's sake, all or none, whatever was built before. A build that is open is the one that
    /// was asked for; nothing is asked for a branch that has ended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ask_again(&self, requests: &[BuildRequest], actor: &str) -> Result<Vec<Build>> {
        self.ask_again_within(requests, actor, None).await.map(Within::unwrap_or_default)
    }

    /// The same, of a stranger's builds no more than may wait.
    ///
    /// # Errors
    /// The same.
    pub async fn ask_again_within(
        &self,
        requests: &[BuildRequest],
        actor: &str,
        most: Option<Most>,
    ) -> Result<Within<Vec<Build>>> {
        self.write
            .turn(async |turn| {
                if let Err(crowded) = room(turn, requests, most, false).await? {
                    return Ok(Err(crowded));
                }
                let mut builds = Vec::with_capacity(requests.len());
                for it in requests {
                    if !is_live(turn, it.branch).await? {
                        return Ok(Ok(Vec::new()));
                    }
                    let for_queue = it.for_queue && is_queued(turn, it.revision).await?;
                    let it = BuildRequest { for_queue, ..it.clone() };
                    let (build, new) = match ask(turn, &it).await? {
                        Asked::New(build) | Asked::Turned(build) => (build, true),
                        Asked::There(build) => (build, false),
                    };
                    if new {
                        let together = stacked::together(turn, it.of_stack).await?;
                        let text = format!("{actor} asked for {}{together} again", it.builder.name);
                        let it = Happening::of_branch(it.project, it.branch, "build-requested", Look::Waiting, text);
                        events::record(turn, &it.by(actor).build(build.id)).await?;
                    }
                    builds.push(build);
                }
                turn.keep();
                Ok(Ok(builds))
            })
            .await
    }
}

/// Whether there is room for what of these builds, of one branch, would be new: `passed` ones are none where they are not
/// asked for again.
async fn room(
    connection: &mut AnyConnection,
    requests: &[BuildRequest],
    most: Option<Most>,
    passed: bool,
) -> Result<Within<()>> {
    let (Some(most), Some(first)) = (most, requests.first()) else { return Ok(Ok(())) };
    let Some(stranger) = by_id(connection, first.branch).await?.stranger() else { return Ok(Ok(())) };
    let mut new = 0;
    for it in requests {
        let there = open_build(connection, it).await?.is_some() || (passed && has_passed(connection, it).await?);
        new += u32::from(!there);
    }
    Ok(pending(connection, most).await?.ask(&stranger, new))
}

async fn is_live(connection: &mut AnyConnection, branch: BranchId) -> Result<bool> {
    let query = sqlx::query(
        "SELECT id FROM branch WHERE id = $1
        AND state = 'live'",
    )
    .bind(branch.0);
    Ok(query.fetch_optional(connection).await?.is_some())
}

async fn is_queued(connection: &mut AnyConnection, revision: RevisionId) -> Result<bool> {
    let query = sqlx::query(
        "SELECT id FROM queue_entry WHERE revision_id = $1
        AND state = 'queued'",
    )
    .bind(revision.0);
    Ok(query.fetch_optional(connection).await?.is_some())
}

/// Whether a revision is the newest of a live branch.
pub(super) async fn is_newest(connection: &mut AnyConnection, revision: RevisionId) -> Result<bool> {
    let query = sqlx::query(
        "SELECT r.id FROM revision r JOIN branch b ON b.id = r.branch_id WHERE r.id = $1
            AND b.state = 'live'
         AND r.number = b.head",
    );
    Ok(query.bind(revision.0).fetch_optional(connection).await?.is_some())
}

/// Whether somebody still waits for what a reconciler asks for.
async fn is_wanted(connection: &mut AnyConnection, request: &BuildRequest) -> Result<bool> {
    if request.for_queue {
        is_queued(connection, request.revision).await
    } else {
        is_newest(connection, request.revision).await
    }
}

/// Whether the newest build says already what another one of the request would. An older one counts no more: verdicts go by
/// the newest, which may have been cancelled.
pub(super) async fn has_passed(connection: &mut AnyConnection, request: &BuildRequest) -> Result<bool> {
    let query = sqlx::query(
        "SELECT id FROM build WHERE cancel IS NULL AND state = 'finished'
            AND result IN ('success', 'warnings')
         AND id = (SELECT MAX(id) FROM build WHERE candidate_id = $1 AND builder = $2
             AND spec_hash = $3)",
    )
    .bind(request.candidate.0)
    .bind(&request.builder.name)
    .bind(spec_hash(&request.builder)?);
    Ok(query.fetch_optional(connection).await?.is_some())
}

/// The open build of a candidate by a builder.
pub(super) async fn open_build(connection: &mut AnyConnection, request: &BuildRequest) -> Result<Option<Build>> {
    let query = sqlx::query(
        "SELECT * FROM build WHERE candidate_id = $1 AND builder = $2
            AND state <> 'finished' AND cancel IS NULL",
    );
    let row = query.bind(request.candidate.0).bind(&request.builder.name).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// Asks for a build. An open one by another recipe's builder of the same name gives way, unless the queue wants it and does
/// not ask.
async fn ask(turn: &mut Turn, request: &BuildRequest) -> Result<Asked> {
    let Some(open) = open_build(turn, request).await? else { return Ok(Asked::New(insert(turn, request, 1).await?)) };
    if open.for_queue && !request.for_queue {
        return Ok(Asked::There(open));
    }
    let same = open.builder == request.builder && open.isolation >= request.isolation;
    match open.state {
        BuildRowState::Waiting if !open.is_as_asked(request) || open.for_queue != request.for_queue => {
            Ok(Asked::Turned(turn_into(turn, &open, request).await?))
        }
        BuildRowState::Running if same && open.for_queue != request.for_queue => {
            let query = sqlx::query(
                "UPDATE build SET for_queue = 1 WHERE id = $1
                RETURNING *",
            )
            .bind(open.id.0);
            turn.changed_build(open.project, open.branch, open.id);
            Ok(Asked::Turned(read(&query.fetch_one(&mut **turn).await?)?))
        }
        BuildRowState::Running if !same => {
            let why = "it is built by another recipe, or in other isolation";
            cancel_where(turn, "id = $1", open.id.0, why).await?;
            Ok(Asked::New(insert(turn, request, 1).await?))
        }
        _ => Ok(Asked::There(open)),
    }
}

/// Makes a build that waits, of the same revision and builder, one of the request; it keeps its number and its place.
pub(super) async fn turn_into(turn: &mut Turn, build: &Build, request: &BuildRequest) -> Result<Build> {
    let row = sqlx::query(
        "UPDATE build SET candidate_id = $2, commit_id = $3, tree_id = $4, position = $5,
            required = $6, spec = $7, spec_hash = $8,
         isolation = $9, for_queue = $10 WHERE id = $1 AND state = 'waiting' RETURNING *",
    )
    .bind(build.id.0)
    .bind(request.candidate.0)
    .bind(request.commit.as_str())
    .bind(request.tree.as_str())
    .bind(i64::from(request.position))
    .bind(i64::from(request.builder.required))
    .bind(to_json(&request.builder)?)
    .bind(spec_hash(&request.builder)?)
    .bind(to_json(&request.isolation)?)
    .bind(i64::from(request.for_queue))
    .fetch_one(&mut **turn)
    .await?;
    let build = read(&row)?;
    turn.changed_build(build.project, build.branch, build.id);
    Ok(build)
}
