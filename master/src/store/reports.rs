//! What slaves report of their builds: recorded once, in order, under the fencing number that the build has now.

use super::artifacts;
use super::builds::{self, Build};
use super::changes::Topic;
use super::row::to_json;
use super::writer::Turn;
use super::{Result, Store};
use protocol::wire::{BuildRef, Happened, Report};
use protocol::{SlaveId, UnixMs};
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
        self.write.turn(async |turn| record(turn, slave, report.of, &[report]).await).await
    }

    /// The same for several, all in one write and those of each build in their order; how each build stands then.
    ///
    /// # Errors
    /// When the database fails: then none of them is recorded.
    pub async fn reports(&self, slave: SlaveId, reports: &[Report]) -> Result<Vec<(BuildRef, Recorded)>> {
        let mut builds: Vec<(BuildRef, Vec<&Report>)> = Vec::new();
        for report in reports {
            match builds.iter_mut().find(|(of, _)| *of == report.of) {
                Some((_, group)) => group.push(report),
                None => builds.push((report.of, vec![report])),
            }
        }
        self.write
            .turn(async |turn| {
                let mut recorded = Vec::with_capacity(builds.len());
                for (of, group) in &builds {
                    recorded.push((*of, record(turn, slave, *of, group).await?));
                }
                Ok(recorded)
            })
            .await
    }
}

/// The build of a report, if that is under the number that the build has now.
const OF_SLAVE: &str = "WHERE id = $1 AND fence = $2 AND slave_id = $3";

/// Records what a slave reports of one build: all in one statement for each step where they follow one another, else one by one.
async fn record(turn: &mut Turn, slave: SlaveId, of: BuildRef, reports: &[&Report]) -> Result<Recorded> {
    if follow_one_another(reports)
        && let Some(recorded) = take(turn, slave, of, reports).await?
    {
        return Ok(recorded);
    }
    // Some of them were recorded before, or are not to be.
    let mut came = Recorded::Stale;
    for report in reports {
        came = match take(turn, slave, of, &[report]).await? {
            Some(recorded) => recorded,
            None => not_taken(turn, slave, report).await?,
        };
    }
    Ok(came)
}

/// Whether reports of one build can be taken together: nothing is missing between them, and its end comes last if at all.
fn follow_one_another(reports: &[&Report]) -> bool {
    reports.windows(2).all(|two| {
        two[0].number.checked_add(1) == Some(two[1].number) && !matches!(two[0].what, Happened::BuildFinished { .. })
    })
}

/// Takes reports that follow one another, if the first of them is the next that is expected of a running build.
async fn take(turn: &mut Turn, slave: SlaveId, of: BuildRef, reports: &[&Report]) -> Result<Option<Recorded>> {
    let Some(first) = reports.first() else { return Ok(None) };
    let begun = reports.iter().rev().find_map(|report| match &report.what {
        Happened::StepStarted { name, .. } => Some(format!("step {name}")),
        _ => None,
    });
    let sql = format!(
        "UPDATE build SET next_report = next_report + $5, says = COALESCE($6, says)
         {OF_SLAVE} AND state = 'running' AND next_report = $4 RETURNING *"
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(of.build.0)
        .bind(of.fence.0)
        .bind(slave.0)
        .bind(i64::from(first.number))
        .bind(i64::try_from(reports.len()).unwrap_or(i64::MAX))
        .bind(begun)
        .fetch_optional(&mut **turn)
        .await?;
    let Some(build) = row.as_ref().map(builds::read).transpose()? else { return Ok(None) };
    apply(turn, &build, reports).await?;
    turn.keep();
    turn.changed(build.project, Topic::Step, build.id);
    let ended = matches!(reports.last(), Some(Report { what: Happened::BuildFinished { .. }, .. }));
    Ok(Some(if ended { Recorded::Ended(build.next_report) } else { Recorded::Next(build.next_report) }))
}

/// How things stand with a report that was not taken.
async fn not_taken(turn: &mut Turn, slave: SlaveId, report: &Report) -> Result<Recorded> {
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

async fn apply(turn: &mut Turn, build: &Build, reports: &[&Report]) -> Result<()> {
    let mut rest = reports;
    while let Some((report, after)) = rest.split_first() {
        rest = after;
        match &report.what {
            Happened::StepStarted { step, name } => {
                // Most steps end before their start has travelled: then they are one row at once.
                let ended = match after.first().map(|next| &next.what) {
                    Some(what @ Happened::StepFinished { step: same, .. }) if same == step => Some(what),
                    _ => None,
                };
                rest = &after[usize::from(ended.is_some())..];
                step_row(turn, build, *step, Some((name, report.at)), ended).await?;
            }
            ended @ Happened::StepFinished { step, .. } => step_row(turn, build, *step, None, Some(ended)).await?,
            Happened::BuildFinished { result, reason, handed_back } => {
                builds::finish(turn, build, builds::End { result: *result, says: reason, handed_back: *handed_back })
                    .await?;
            }
        }
    }
    Ok(())
}

/// Writes that a step began, under its name and when, that it ended, or both.
async fn step_row(
    turn: &mut Turn,
    build: &Build,
    step: u32,
    began: Option<(&String, UnixMs)>,
    ended: Option<&Happened>,
) -> Result<()> {
    if let Some((name, at)) = began
        && ended.is_none()
    {
        let sql = "INSERT INTO step (build_id, number, name, started_ms) VALUES ($1, $2, $3, $4) ON CONFLICT (build_id, number) DO NOTHING";
        let query = sqlx::query(sql).bind(build.id.0).bind(i64::from(step)).bind(name).bind(at.0);
        return query.execute(&mut **turn).await.map(drop).map_err(Into::into);
    }
    let Some(Happened::StepFinished {
        result,
        exit_code,
        log_len,
        reason,
        lacks,
        ran_ms,
        links,
        summary,
        tests,
        artifacts: kept,
        ..
    }) = ended
    else {
        return Ok(());
    };
    if let Some(files) = kept {
        artifacts::keep(turn, build.id, step, files).await?;
    }
    let bounded = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let sql = match began {
        Some(_) => {
            "INSERT INTO step (build_id, number, result, exit_code, reason, summary, links, log_len, ran_ms, lacks, tests, name, started_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (build_id, number) DO UPDATE SET
                 result = excluded.result, exit_code = excluded.exit_code, reason = excluded.reason,
                 summary = excluded.summary, links = excluded.links, log_len = excluded.log_len,
                 ran_ms = excluded.ran_ms, lacks = excluded.lacks, tests = excluded.tests"
        }
        None => {
            "UPDATE step SET result = $3, exit_code = $4, reason = $5, summary = $6, links = $7, log_len = $8, ran_ms = $9, lacks = $10, tests = $11
             WHERE build_id = $1 AND number = $2"
        }
    };
    let query = sqlx::query(sql)
        .bind(build.id.0)
        .bind(i64::from(step))
        .bind(result.as_str())
        .bind(exit_code.map(i64::from))
        .bind(reason.clone().unwrap_or_default())
        .bind(summary)
        .bind(to_json(links)?)
        .bind(bounded(*log_len))
        .bind(bounded(*ran_ms))
        .bind(lacks.as_deref())
        .bind(tests.as_ref().map(to_json).transpose()?.unwrap_or_default());
    let query = match began {
        Some((name, at)) => query.bind(name).bind(at.0),
        None => query,
    };
    query.execute(&mut **turn).await.map(drop).map_err(Into::into)
}
