//! How many branches were registered lately and are live, for whoever may stand behind them.

use super::row::Columns as _;
use super::{NewBranch, Result, now};
use gate::registrations::{HOUR_MS, Most, Of, Record, TooMany, judge};
use protocol::TokenId;
use sqlx::{AnyConnection, AssertSqlSafe};
use url::Url;

/// Where a registration comes from, and what it counts for.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The address, for those who show no token.
    pub address: String,
    /// Whom it counts for, each with the most that it may.
    pub limits: Vec<(Of, Most)>,
}

/// The host and port of a source; empty for a folder of the master's own machine.
pub(super) fn host(url: &str) -> String {
    let Some(url) = Url::parse(url).ok().filter(|url| url.scheme() != "file") else { return String::new() };
    let port = url.port_or_known_default().or(match url.scheme() {
        "ssh" => Some(22),
        "git" => Some(9418),
        _ => None,
    });
    match (url.host_str(), port) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        _ => String::new(),
    }
}

/// Whether one more registration is taken.
pub(super) async fn allowed(
    connection: &mut AnyConnection,
    new: &NewBranch,
    origin: &Origin,
) -> Result<Result<(), TooMany>> {
    let mut records = Vec::with_capacity(origin.limits.len());
    for (of, most) in &origin.limits {
        records.push(record(connection, new, origin, *of, *most).await?);
    }
    Ok(judge(now(), &records))
}

/// Whether the bearer of a token, who has just got branches, has not too many now.
pub(super) async fn has_room(
    connection: &mut AnyConnection,
    token: TokenId,
    origin: &Origin,
) -> Result<Result<(), TooMany>> {
    let Some((of, most)) = origin.limits.iter().find(|(of, _)| *of == Of::Publisher) else { return Ok(Ok(())) };
    let row = sqlx::query("SELECT COUNT(*) AS live FROM branch WHERE state = 'live' AND token_id = $1").bind(token.0);
    let live = row.fetch_one(connection).await?.count("live")?;
    Ok(if live > most.live { Err(TooMany::Live { of: *of, most: most.live }) } else { Ok(()) })
}

async fn record(
    connection: &mut AnyConnection,
    new: &NewBranch,
    origin: &Origin,
    of: Of,
    most: Most,
) -> Result<Record> {
    let whose = match of {
        Of::Address => "token_id IS NULL AND address = $1",
        Of::Host => "token_id IS NULL AND host = $1",
        Of::Publisher => "token_id = $1",
    };
    let live = format!("SELECT COUNT(*) AS live FROM branch WHERE state = 'live' AND {whose}");
    let registered = format!(
        "SELECT at_ms FROM registration WHERE {whose} AND at_ms > $2 AND at_ms <= $4 ORDER BY at_ms DESC, id DESC LIMIT $3"
    );
    let (live, registered) = (sqlx::query(AssertSqlSafe(live)), sqlx::query(AssertSqlSafe(registered)));
    let (live, registered) = match of {
        Of::Address => (live.bind(&origin.address), registered.bind(&origin.address)),
        Of::Host => (live.bind(host(&new.url)), registered.bind(host(&new.url))),
        Of::Publisher => {
            let token = new.token.map_or(0, |token| token.0);
            (live.bind(token), registered.bind(token))
        }
    };
    let live = live.fetch_one(&mut *connection).await?;
    // What was registered before a clock was set back counts no more.
    let now = now().0;
    let registered = registered.bind(now - HOUR_MS).bind(i64::from(most.hour.max(1))).bind(now);
    let rows = registered.fetch_all(connection).await?;
    Ok(Record {
        of,
        most,
        registered: rows.iter().map(|row| row.num("at_ms")).collect::<Result<_>>()?,
        live: live.count("live")?,
    })
}

/// Counts a registration, and forgets those that count no more.
pub(super) async fn count(connection: &mut AnyConnection, new: &NewBranch, origin: &Origin) -> Result<()> {
    sqlx::query("DELETE FROM registration WHERE at_ms <= $1").bind(now().0 - HOUR_MS).execute(&mut *connection).await?;
    sqlx::query("INSERT INTO registration (at_ms, token_id, address, host) VALUES ($1, $2, $3, $4)")
        .bind(now().0)
        .bind(new.token.map(|token| token.0))
        .bind(&origin.address)
        .bind(host(&new.url))
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn hosts_are_told_apart_by_port() {
        assert_eq!(host("https://git.example.org/a.git"), "git.example.org:443");
        assert_eq!(host("http://127.0.0.1:8001/a.git"), "127.0.0.1:8001");
        assert_eq!(host("git://git.example.org/a.git"), "git.example.org:9418");
        assert_eq!(host("ssh://git@git.example.org/a.git"), "git.example.org:22");
        assert_eq!(host("http://[2001:db8::1]/a.git"), "[2001:db8::1]:80");
        assert_eq!(host("/srv/a.git"), "");
        assert_eq!(host("file:///srv/a.git"), "");
    }
}
