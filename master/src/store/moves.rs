//! Builds that wait go along with mainline: to the candidate and the recipe of now.

use super::builds::{BuildRequest, BuildRowState, insert, read, spec_hash};
use super::events::{self, Happening};
use super::row::to_json;
use super::{Build, Result, Store, now};
use protocol::api::Look;
use protocol::{ProjectId, RevisionId};
use sqlx::AnyConnection;

impl Build {
    /// Whether it is what a request asks for, to the letter.
    pub(crate) fn is(&self, it: &BuildRequest) -> bool {
        self.candidate == it.candidate
            && self.builder == it.builder
            && self.position == it.position
            && self.isolation == it.isolation
    }
}

impl Store {
    /// A project's builds that wait, of those that only branches want.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting_for_branches(&self, project: ProjectId) -> Result<Vec<Build>> {
        let rows = sqlx::query(
            "SELECT * FROM build WHERE state <> 'finished' AND state = 'waiting' AND project_id = $1 AND for_queue = 0
             ORDER BY id",
        )
        .bind(project.0)
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(read).collect()
    }

    /// Makes a revision's waiting builds those that are requested now; each keeps its number and its place. One whose
    /// builder is not requested any more, or that the queue has asked for, is cancelled, and one that never was asked for
    /// is. What the queue wants stays as it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn move_waiting(&self, revision: RevisionId, requests: &[BuildRequest]) -> Result<()> {
        let mut transaction = self.write.begin().await?;
        let rows = sqlx::query("SELECT * FROM build WHERE revision_id = $1 ORDER BY id")
            .bind(revision.0)
            .fetch_all(&mut *transaction)
            .await?;
        let builds: Vec<Build> = rows.iter().map(read).collect::<Result<_>>()?;
        for build in builds.iter().filter(|b| b.state == BuildRowState::Waiting && !b.for_queue) {
            match requests.iter().find(|it| it.builder.name == build.builder.name) {
                None => end(&mut transaction, build, "mainline's recipe has no such builder any more").await?,
                Some(it) if build.is(it) => {}
                Some(it) if builds.iter().any(|other| other.id != build.id && stands_for(other, it)) => {
                    end(&mut transaction, build, "another build does the same").await?;
                }
                Some(it) => turn_into(&mut transaction, build, it).await?,
            }
        }
        for it in requests.iter().filter(|it| builds.iter().all(|b| b.builder.name != it.builder.name)) {
            insert(&mut transaction, it, 1).await?;
        }
        transaction.commit().await?;
        self.wake();
        Ok(())
    }

    /// Asks for builds for a person's sake, all or none, whatever was built before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ask_again(&self, requests: &[BuildRequest], actor: &str) -> Result<Vec<Build>> {
        let mut transaction = self.write.begin().await?;
        let mut asked = Vec::with_capacity(requests.len());
        for it in requests {
            let build = insert(&mut transaction, it, 1).await?;
            let text = format!("{actor} asked for {} again", it.builder.name);
            let it = Happening::of_branch(it.project, it.branch, "build-requested", Look::Waiting, text);
            events::record(&mut transaction, &it.by(actor).build(build.id)).await?;
            asked.push(build);
        }
        transaction.commit().await?;
        self.wake();
        Ok(asked)
    }
}

/// Whether a build, open or passed, says what another one of the request would.
fn stands_for(build: &Build, it: &BuildRequest) -> bool {
    let good = build.result().is_none_or(|result| result.passed());
    build.candidate == it.candidate && build.builder == it.builder && build.cancel.is_none() && good
}

async fn end(connection: &mut AnyConnection, build: &Build, why: &str) -> Result<()> {
    sqlx::query(
        "UPDATE build SET state = 'finished', result = 'cancelled', says = $2, finished_ms = $3
         WHERE id = $1 AND state = 'waiting'",
    )
    .bind(build.id.0)
    .bind(why)
    .bind(now().0)
    .execute(connection)
    .await?;
    Ok(())
}

async fn turn_into(connection: &mut AnyConnection, build: &Build, it: &BuildRequest) -> Result<()> {
    sqlx::query(
        "UPDATE build SET candidate_id = $2, commit_id = $3, tree_id = $4, position = $5, required = $6, spec = $7, spec_hash = $8,
         isolation = $9 WHERE id = $1 AND state = 'waiting'",
    )
    .bind(build.id.0)
    .bind(it.candidate.0)
    .bind(it.commit.as_str())
    .bind(it.tree.as_str())
    .bind(i64::from(it.position))
    .bind(i64::from(it.builder.required))
    .bind(to_json(&it.builder)?)
    .bind(spec_hash(&it.builder)?)
    .bind(to_json(&it.isolation)?)
    .execute(connection)
    .await?;
    Ok(())
}
