//! What slaves report of their builds: recorded once, in order, under the fencing number that the build has now.

use super::builds::{self, Build};
use super::changes::Topic;
use super::row::to_json;
use super::writer::Turn;
use super::{Result, Store};
use protocol::SlaveId;
use protocol::wire::{Happened, Report};
use sqlx::AssertSqlSafe;

/// What came of a slave's report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recorded {
    /// It is durable, or was before; this is the next number expected.
    Next(u32),
    /// It is durable and was the last: the build has ended.
    Ended(u32),
    /// The build is not this slave's any more.
    Stale,
    /// A report before it is missing; this one is expected.
    Gap(u32),
}

impl Store {
    /// Records a slave's report: once, in order, and only under the fencing number that the build has now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn report(&self, slave: SlaveId, report: &Report) -> Result<Recorded> {
        self.write.turn(async |turn| record(turn, slave, report).await).await
    }

    /// The same for several, all in one write, in their order; what came of each.
    ///
    /// # Errors
    /// When the database fails: then none of them is recorded.
    pub async fn reports(&self, slave: SlaveId, reports: &[Report]) -> Result<Vec<Recorded>> {
        self.write
            .turn(async |turn| {
                let mut recorded = Vec::with_capacity(reports.len());
                for report in reports {
                    recorded.push(record(turn, slave, report).await?);
                }
                Ok(recorded)
            })
            .await
    }
}

/// The build of a report, if that is under the number that the build has now.
const OF_SLAVE: &str = "WHERE id = $1 AND fence = $2 AND slave_id = $3";

async fn record(turn: &mut Turn, slave: SlaveId, report: &Report) -> Result<Recorded> {
    let take = format!(
        "UPDATE build SET next_report = next_report + 1 {OF_SLAVE} AND state = 'running' AND next_report = $4 RETURNING *"
    );
    let row = sqlx::query(AssertSqlSafe(take))
        .bind(report.of.build.0)
        .bind(report.of.fence.0)
        .bind(slave.0)
        .bind(i64::from(report.number))
        .fetch_optional(&mut **turn)
        .await?;
    if let Some(build) = row.as_ref().map(builds::read).transpose()? {
        apply(turn, &build, report).await?;
        turn.keep();
        turn.changed(build.project, Topic::Step, build.id);
        let ended = matches!(report.what, Happened::BuildFinished { .. });
        return Ok(if ended { Recorded::Ended(build.next_report) } else { Recorded::Next(build.next_report) });
    }
    let row = sqlx::query(AssertSqlSafe(format!("SELECT * FROM build {OF_SLAVE}")))
        .bind(report.of.build.0)
        .bind(report.of.fence.0)
        .bind(slave.0)
        .fetch_optional(&mut **turn)
        .await?;
    let Some(build) = row.as_ref().map(builds::read).transpose()? else { return Ok(Recorded::Stale) };
    let (next, ended) = (build.next_report, build.result().is_some());
    Ok(match report.number < next {
        true if ended => Recorded::Ended(next),
        true => Recorded::Next(next),
        false if ended => Recorded::Stale,
        false => Recorded::Gap(next),
    })
}

async fn apply(turn: &mut Turn, build: &Build, report: &Report) -> Result<()> {
    match &report.what {
        Happened::StepStarted { step, name } => {
            sqlx::query(
                "INSERT INTO step (build_id, number, name, started_ms) VALUES ($1, $2, $3, $4) ON CONFLICT (build_id, number) DO NOTHING",
            )
            .bind(build.id.0)
            .bind(i64::from(*step))
            .bind(name)
            .bind(report.at.0)
            .execute(&mut **turn)
            .await?;
            sqlx::query("UPDATE build SET says = $2 WHERE id = $1")
                .bind(build.id.0)
                .bind(format!("step {name}"))
                .execute(&mut **turn)
                .await?;
        }
        Happened::StepFinished { step, result, exit_code, log_len, reason, lacks, ran_ms, links, summary } => {
            let bounded = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
            sqlx::query(
                "UPDATE step SET result = $3, exit_code = $4, reason = $5, summary = $6, links = $7, log_len = $8, ran_ms = $9, lacks = $10
                 WHERE build_id = $1 AND number = $2",
            )
            .bind(build.id.0)
            .bind(i64::from(*step))
            .bind(result.as_str())
            .bind(exit_code.map(i64::from))
            .bind(reason.clone().unwrap_or_default())
            .bind(summary)
            .bind(to_json(links)?)
            .bind(bounded(*log_len))
            .bind(bounded(*ran_ms))
            .bind(lacks.as_deref())
            .execute(&mut **turn)
            .await?;
        }
        Happened::BuildFinished { result, reason } => builds::finish(turn, build, *result, reason).await?,
    }
    Ok(())
}
