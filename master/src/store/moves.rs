//! Builds that wait go along with mainline: to the candidate and the recipe of now.

use super::asks::{has_passed, is_newest, open_build, turn_into};
use super::builds::{BuildRequest, BuildRowState, cancel_where, insert, read};
use super::row::readable;
use super::{Build, Claim, Reader, Result, Store};
use protocol::{BranchId, ProjectId, RevisionId};

impl Build {
    /// Whether it is what a request asks for, to the letter.
    pub(crate) fn is_as_asked(&self, request: &BuildRequest) -> bool {
        self.candidate == request.candidate
            && self.builder == request.builder
            && self.position == request.position
            && self.isolation == request.isolation
    }
}

impl Reader {
    /// A project's builds that wait, of those that only branches want: of these branches, or of all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting_for_branches(&self, project: ProjectId, branches: Option<&[BranchId]>) -> Result<Vec<Build>> {
        let of = branches.map_or_else(String::new, |branches| {
            let ids: Vec<String> = branches.iter().map(BranchId::to_string).collect();
            format!("AND branch_id IN ({})", ids.join(","))
        });
        let sql = format!(
            "SELECT * FROM build WHERE state <> 'finished' AND state = 'waiting' AND project_id = $1 AND for_queue = 0 {of}
             ORDER BY id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .persistent(false)
            .bind(project.0)
            .fetch_all(&mut *self.read().await?)
            .await?;
        readable("build", &rows, read)
    }
}

impl Store {
    /// Makes a revision's waiting builds those that are requested now, under a claim; each keeps its number and its place.
    /// One whose builder is not requested any more, or whose work another build does, is cancelled, and one that never was
    /// asked for is. What the queue wants stays as it is, and so does all of a revision that is not the newest of a live
    /// branch any more.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn move_waiting(&self, claim: Claim, revision: RevisionId, requests: &[BuildRequest]) -> Result<()> {
        self.write
            .turn_under(claim, async |turn| {
                if !is_newest(turn, revision).await? {
                    return Ok(());
                }
                let rows = sqlx::query("SELECT * FROM build WHERE revision_id = $1 AND of_stack = 0 ORDER BY id")
                    .bind(revision.0)
                    .fetch_all(&mut **turn)
                    .await?;
                let builds: Vec<Build> = rows.iter().map(read).collect::<Result<_>>()?;
                for build in builds.iter().filter(|b| b.state == BuildRowState::Waiting && !b.for_queue) {
                    let Some(it) = requests.iter().find(|it| it.builder.name == build.builder.name) else {
                        let why = "mainline's recipe has no such builder any more";
                        cancel_where(turn, "id = $1", build.id.0, why).await?;
                        continue;
                    };
                    if build.is_as_asked(it) {
                        continue;
                    }
                    // Asked of the rows as they are by now: a build before this one may have become the same.
                    let other = open_build(turn, it).await?.is_some_and(|open| open.id != build.id);
                    if other || has_passed(turn, it).await? {
                        let why = "another build does the same";
                        cancel_where(turn, "id = $1", build.id.0, why).await?;
                    } else {
                        turn_into(turn, build, it).await?;
                    }
                }
                for it in requests.iter().filter(|it| builds.iter().all(|b| b.builder.name != it.builder.name)) {
                    insert(turn, it, 1).await?;
                }
                turn.keep();
                Ok(())
            })
            .await
    }
}
