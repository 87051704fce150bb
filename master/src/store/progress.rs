//! Rounds over all rows of a kind, a few in each turn: how far they have come.

use super::row::{Columns as _, readable};
use super::{Branch, Claim, Reader, Result, Store, branches};

/// A round.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Round {
    /// Compares the refs of branches that ended with the mirror.
    Mend,
    /// Lets go of the candidates of branches that ended.
    Upkeep,
}

impl Round {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Mend => "mend",
            Self::Upkeep => "upkeep",
        }
    }
}

impl Reader {
    /// The next branches of a project that ended, at most `limit`, in a round over all of them; after the last it begins
    /// anew with the first. [`Store::went_round`] says that it has come past them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_ended(&self, claim: Claim, round: Round, limit: u32) -> Result<Vec<Branch>> {
        let place = sqlx::query("SELECT place FROM progress WHERE project_id = $1 AND round = $2")
            .bind(claim.project.0)
            .bind(round.as_str())
            .fetch_optional(&mut *self.read().await?)
            .await?;
        let place = place.map(|row| row.num::<i64>("place")).transpose()?.unwrap_or(0);
        let rows = branches::whole(
            "WHERE branch.project_id = $1 AND branch.state <> 'live' AND branch.id > $2 ORDER BY branch.id LIMIT $3",
        )
        .bind(claim.project.0)
        .bind(place)
        .bind(i64::from(limit))
        .fetch_all(&mut *self.read().await?)
        .await?;
        readable("branch", &rows, branches::read)
    }
}

impl Store {
    /// Records under a claim that a round has come past these branches, of at most `limit` that it asked for: where there
    /// were fewer it begins anew.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn went_round(&self, claim: Claim, round: Round, past: &[Branch], limit: u32) -> Result<()> {
        let last = past.last().filter(|_| past.len() >= limit as usize).map_or(0, |branch| branch.id.0);
        self.write
            .turn_under(claim, async |turn| {
                sqlx::query(
                    "INSERT INTO progress (project_id, round, place) VALUES ($1, $2, $3)
                     ON CONFLICT (project_id, round) DO UPDATE SET place = excluded.place",
                )
                .bind(claim.project.0)
                .bind(round.as_str())
                .bind(last)
                .execute(&mut **turn)
                .await?;
                turn.keep();
                Ok(())
            })
            .await
    }
}
