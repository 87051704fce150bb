//! Builds that wait, of whose publishers and hosts; and candidates whose builds were not asked for yet.

use super::branches::{self, TOKEN_OF_NOW};
use super::row::{Columns as _, or_left_out, readable};
use super::{Branch, Reader, Result};
use gate::pending::{Most, Pending};
use protocol::{BranchId, CandidateId, CommitId, ProjectId};
use sqlx::AnyConnection;

/// A candidate whose builds, or one of them, were not asked for.
#[derive(Clone, Debug)]
pub struct Unasked {
    /// The candidate.
    pub candidate: CandidateId,
    /// Its branch.
    pub branch: Branch,
}

impl Reader {
    /// The builds of strangers that wait, those of the queue apart.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pending(&self, most: Most) -> Result<Pending> {
        pending(&mut *self.read().await?, most).await
    }

    /// Live branches whose head has a candidate that stands and for which no builds were asked yet; or, with the name of a
    /// builder, those for which builds were asked, but never any by this one. None while candidates were not told what moved up to
    /// `mainline`. Of these branches, or of all. In the order in which they came, however many they are: nobody is to be hidden by those who have to wait.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unasked(
        &self,
        project: ProjectId,
        mainline: &CommitId,
        builder: Option<&str>,
        of: Option<&[BranchId]>,
    ) -> Result<Vec<Unasked>> {
        let by = match builder {
            None => "r.builds_asked = 0 AND $3 = ''",
            Some(_) => {
                "r.builds_asked = 1
                AND NOT EXISTS (SELECT 1 FROM build WHERE revision_id = r.id AND builder = $3 AND of_stack = 0)"
            }
        };
        let of = of.map_or_else(String::new, |of| {
            let ids: Vec<String> = of.iter().map(BranchId::to_string).collect();
            format!("AND branch.id IN ({})", ids.join(","))
        });
        let sql = format!(
            "SELECT branch.*, {TOKEN_OF_NOW}, c.id AS candidate_id
             FROM branch JOIN revision r ON r.branch_id = branch.id AND r.number = branch.head
             JOIN candidate c ON c.id = r.candidate_id JOIN project p ON p.id = branch.project_id
             LEFT JOIN token ON token.id = branch.token_id
             WHERE branch.project_id = $1 AND branch.state = 'live' AND p.followed = $2
                 AND r.remake = 0 AND c.outcome = 'made' AND {by} {of}
             ORDER BY c.id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .persistent(false)
            .bind(project.0)
            .bind(mainline.as_str())
            .bind(builder.unwrap_or_default())
            .fetch_all(&mut *self.read().await?)
            .await?;
        readable("branch", &rows, |row| {
            Ok(Unasked { candidate: row.num("candidate_id")?, branch: branches::read(row)? })
        })
    }
}

/// The builds of strangers that wait, those of the queue apart.
pub(super) async fn pending(connection: &mut AnyConnection, most: Most) -> Result<Pending> {
    let sql = format!(
        "SELECT branch.*, {TOKEN_OF_NOW}, them.builds
         FROM (SELECT branch_id, COUNT(*) AS builds FROM build
               WHERE state <> 'finished' AND state = 'waiting' AND cancel IS NULL AND for_queue = 0
               GROUP BY branch_id) them
         JOIN branch ON branch.id = them.branch_id LEFT JOIN token ON token.id = branch.token_id"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(connection).await?;
    let mut pending = Pending::new(most);
    for row in &rows {
        let branch = or_left_out("branch", row, branches::read(row))?;
        if let Some(stranger) = branch.and_then(|branch| branch.stranger()) {
            pending.count(&stranger, row.count("builds")?);
        }
    }
    Ok(pending)
}
