//! For tests and benchmarks alone: a store with years in it, filled in a minute.
//!
//! What is filled in are copies. A few branches, the seeds, made their way by the program itself, and all rows of theirs are
//! copied with what must be each branch's own put into its place: numbers, names, commits and times. So nothing here knows
//! how a row comes about.

use super::row::Columns as _;
use super::writer::Turn;
use super::{Result, Store, StoreError, now};
use sqlx::{AssertSqlSafe, Column as _, Row as _};
use std::collections::BTreeMap;

/// Branches that are filled in by one transaction.
const AT_ONCE: i64 = 1_000;
/// Revisions that are written down by one statement.
const LINES: usize = 500;
/// How long ago the oldest of them is.
const YEARS_MS: i64 = 2 * 365 * 86_400_000;
/// When those that are live are looked at: not while somebody measures.
const LATER_MS: i64 = 86_400_000;
/// Tables that give out numbers, and are filled.
const NUMBERED: [&str; 9] =
    ["branch", "revision", "candidate", "build", "queue_entry", "landing", "event", "slave", "token"];

/// What is to be filled in.
#[derive(Clone, Debug)]
pub struct Fill<'f> {
    /// The branches: lines as `testkit::history::grow` gives them.
    pub history: &'f str,
    /// About so many builds: each branch has a whole number of times those of its seed that have ended.
    pub builds: u64,
    /// So many more slaves, none of them connected.
    pub slaves: u64,
}

/// The first numbers of what is filled in, and by how much they grow.
struct Numbers {
    first: BTreeMap<&'static str, i64>,
    /// The numbers of the seeds, as SQL has a list.
    seeds: String,
    revisions: i64,
    builds: i64,
    events: i64,
    times: i64,
    slaves: i64,
}

fn unlike(what: &str) -> StoreError {
    StoreError::Corrupt { column: "history".to_owned(), what: what.to_owned() }
}

impl Store {
    /// Fills in copies of branches that are there, of which no master may be at work. Afterwards everything is as if all
    /// of them had been published, built, landed and withdrawn one after the other, but for their logs, which are empty.
    ///
    /// # Errors
    /// When the history has a line that is none, or names a seed that is not there; or the database fails.
    pub async fn fill(&self, fill: &Fill<'_>) -> Result<()> {
        let mut lines = fill.history.lines();
        let tip = lines.next().and_then(|line| line.strip_prefix("tip ")).ok_or_else(|| unlike("no tip"))?;
        let lines: Vec<&str> = lines.collect();
        let branches = self.write.turn_for_anybody(async |turn| write_down(turn, &lines).await).await?;
        let numbers = self.write.turn_for_anybody(async |turn| numbers(turn, fill, branches).await).await?;
        for from in (0..branches).step_by(usize::try_from(AT_ONCE).unwrap_or(1)) {
            let among = format!("f.n >= {from} AND f.n < {}", from + AT_ONCE);
            self.write
                .turn_for_anybody(async |turn| {
                    copies(turn, &numbers, &among).await?;
                    turn.keep();
                    Ok(())
                })
                .await?;
        }
        self.write
            .turn_for_anybody(async |turn| {
                let sql = "UPDATE project SET tip = $1, compared = $1, followed = $1, tip_seen_ms = $2
                    WHERE id = (SELECT MIN(project_id) FROM branch)";
                sqlx::query(sql).bind(tip).bind(now().0).execute(&mut **turn).await?;
                let sql = "INSERT INTO mainline_at (project_id, commit_id, at_ms)
                    SELECT id, tip, tip_seen_ms FROM project WHERE id = (SELECT MIN(project_id) FROM branch)";
                sqlx::query(sql).execute(&mut **turn).await?;
                sqlx::query("DROP TABLE filled").execute(&mut **turn).await?;
                if !is_sqlite(turn) {
                    for table in NUMBERED {
                        let sql = format!(
                            "SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT COALESCE(MAX(id), 1) FROM {table}))"
                        );
                        sqlx::query(AssertSqlSafe(sql)).execute(&mut **turn).await?;
                    }
                    // As the database does by itself some time after so much was written.
                    sqlx::query("ANALYZE").execute(&mut **turn).await?;
                }
                turn.keep();
                Ok(())
            })
            .await?;
        self.keep_shapes().await
    }
}

fn is_sqlite(turn: &Turn) -> bool {
    turn.backend_name() == "SQLite"
}

/// Writes the history into a table of its own; how many branches it has.
async fn write_down(turn: &mut Turn, lines: &[&str]) -> Result<i64> {
    let mut seeds: BTreeMap<&str, i64> = BTreeMap::new();
    sqlx::query(
        "CREATE TABLE filled (seed BIGINT NOT NULL, n BIGINT NOT NULL, name TEXT NOT NULL, number BIGINT NOT NULL,
             commit_id TEXT NOT NULL, candidate TEXT NOT NULL, tree TEXT NOT NULL, mainline TEXT NOT NULL,
             later BIGINT NOT NULL, PRIMARY KEY (n, number))",
    )
    .execute(&mut **turn)
    .await?;
    let (mut rows, mut branches) = (Vec::with_capacity(lines.len()), 0);
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let [seed, n, name, number, commit, candidate, tree, mainline] = words[..] else {
            return Err(unlike(line));
        };
        let number_of = |word: &str| word.parse::<i64>().map_err(|_| unlike(line));
        let (n, number) = (number_of(n)?, number_of(number)?);
        let seed = match seeds.get(seed) {
            Some(id) => *id,
            None => {
                let found = sqlx::query("SELECT MIN(id) AS id FROM branch WHERE name = $1").bind(seed);
                let found = found.fetch_one(&mut **turn).await?.num_or_none("id")?;
                *seeds.entry(seed).or_insert(found.ok_or_else(|| unlike(line))?)
            }
        };
        branches = branches.max(n + 1);
        rows.push((seed, n, number, [name, commit, candidate, tree, mainline]));
    }
    for rows in rows.chunks(LINES) {
        let places = |at: usize| (1..=8).map(|i| format!("${}", at * 8 + i)).collect::<Vec<_>>().join(", ");
        let values: Vec<String> = (0..rows.len()).map(|at| format!("({}, 0)", places(at))).collect();
        let sql = format!(
            "INSERT INTO filled (seed, n, number, name, commit_id, candidate, tree, mainline, later) VALUES {}",
            values.join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for (seed, n, number, texts) in rows {
            query = query.bind(*seed).bind(*n).bind(*number);
            query = texts.iter().fold(query, |query, text| query.bind((*text).to_owned()));
        }
        query.execute(&mut **turn).await?;
    }
    // Evenly over the years, the last of them a minute after its seed.
    let sql = "UPDATE filled SET later = (n + 1 - $1) * $2 + 60000";
    sqlx::query(sql).bind(branches).bind(YEARS_MS / branches.max(1)).execute(&mut **turn).await?;
    turn.keep();
    Ok(branches)
}

async fn numbers(turn: &mut Turn, fill: &Fill<'_>, branches: i64) -> Result<Numbers> {
    let mut first = BTreeMap::new();
    for table in NUMBERED {
        let sql = AssertSqlSafe(format!("SELECT COALESCE(MAX(id), 0) + 1 AS first FROM {table}"));
        first.insert(table, sqlx::query(sql).fetch_one(&mut **turn).await?.num("first")?);
    }
    let most = async |turn: &mut Turn, table: &str| -> Result<i64> {
        let sql = AssertSqlSafe(format!(
            "SELECT COALESCE(MAX(n), 0) AS most FROM (SELECT COUNT(*) AS n FROM {table}
             WHERE branch_id IN (SELECT DISTINCT seed FROM filled) GROUP BY branch_id) AS them"
        ));
        sqlx::query(sql).fetch_one(&mut **turn).await?.num("most")
    };
    let seeds = sqlx::query("SELECT DISTINCT seed FROM filled ORDER BY seed").fetch_all(&mut **turn).await?;
    let seeds = seeds.iter().map(|row| Ok(row.num::<i64>("seed")?.to_string())).collect::<Result<Vec<_>>>()?.join(", ");
    let builds = most(turn, "build").await?;
    let revisions = most(turn, "revision").await?;
    let events = most(turn, "event").await?;
    let times = i64::try_from(fill.builds).unwrap_or(i64::MAX) / (builds * branches).max(1);
    let slaves = i64::try_from(fill.slaves).unwrap_or(i64::MAX).min(branches);
    Ok(Numbers { first, seeds, revisions, builds, events, times: times.max(1), slaves })
}

impl Numbers {
    fn first(&self, table: &str) -> i64 {
        self.first.get(table).copied().unwrap_or_default()
    }

    fn revision(&self, table: &str) -> String {
        format!("{} + f.n * {} + f.number - 1", self.first(table), self.revisions)
    }

    fn branch(&self, table: &str) -> String {
        format!("{} + f.n", self.first(table))
    }

    /// The `k`th time of a build that has a place among its seed's.
    fn build(&self, k: i64, place: &str) -> String {
        format!("{} + (f.n * {} + {k}) * {} + {place}", self.first("build"), self.times, self.builds)
    }

    /// The same of an event.
    fn event(&self, k: i64, place: &str) -> String {
        format!("{} + (f.n * {} + {k}) * {} + {place}", self.first("event"), self.times, self.events)
    }

    /// The seeds' rows of a table, each with its place among those of its branch.
    fn placed(&self, table: &str) -> String {
        format!(
            "(SELECT them.*, ROW_NUMBER() OVER (PARTITION BY them.branch_id ORDER BY them.id) - 1 AS place
              FROM {table} them WHERE them.branch_id IN ({}))",
            self.seeds
        )
    }
}

/// A column, and what is to be in it.
type Set = (&'static str, String);

fn set(column: &'static str, sql: &str) -> Set {
    (column, sql.to_owned())
}

/// A time of the seed's, as much later as the branch is.
fn later(column: &'static str) -> Set {
    (column, format!("it.{column} + f.later"))
}

/// Copies rows `it` of a table, but for these columns.
async fn copy(turn: &mut Turn, table: &str, other: &[Set], from: &str) -> Result<()> {
    let any = sqlx::query(AssertSqlSafe(format!("SELECT * FROM {table} LIMIT 1")));
    let Some(row) = any.fetch_optional(&mut **turn).await? else { return Ok(()) };
    let columns: Vec<String> = row.columns().iter().map(|column| column.name().to_owned()).collect();
    let value = |column: &String| {
        let set = other.iter().find(|(name, _)| name == column).map(|(_, value)| value.clone());
        set.unwrap_or_else(|| format!("it.{column}"))
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    let numbers = if is_sqlite(turn) || !NUMBERED.contains(&table) { "" } else { "OVERRIDING SYSTEM VALUE" };
    let sql =
        format!("INSERT INTO {table} ({}) {numbers} SELECT {} FROM {from}", columns.join(", "), values.join(", "));
    sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(&mut **turn).await?;
    Ok(())
}

/// All that some branches have.
async fn copies(turn: &mut Turn, of: &Numbers, among: &str) -> Result<()> {
    slaves(turn, of, among).await?;
    let later_look = ("next_look_ms", format!("it.next_look_ms + {LATER_MS} + f.n"));
    let branch = [
        ("id", of.branch("branch")),
        set("name", "f.name"),
        set("source_ref", "f.name"),
        later_look,
        later("looked_ms"),
        later("published_ms"),
        later("changed_ms"),
        later("moves_until_ms"),
        set("shape", "NULL"),
        set("found_by", "''"),
        set("owners", "''"),
    ];
    let from = format!("filled f JOIN branch it ON it.id = f.seed WHERE f.number = it.head AND {among}");
    copy(turn, "branch", &branch, &from).await?;
    let in_branch = || ("branch_id", of.branch("branch"));
    let in_revision = || ("revision_id", of.revision("revision"));
    let candidate = of.revision("candidate");
    let candidate_id = || ("candidate_id", format!("CASE WHEN it.candidate_id IS NOT NULL THEN {candidate} END"));
    let id = ("id", of.revision("revision"));
    let revision = [id, in_branch(), set("commit_id", "f.commit_id"), candidate_id(), later("seen_ms")];
    let from = format!("filled f JOIN revision it ON it.branch_id = f.seed AND it.number = f.number WHERE {among}");
    copy(turn, "revision", &revision, &from).await?;
    let of_revision = |more: &str| {
        format!("filled f JOIN revision r ON r.branch_id = f.seed AND r.number = f.number {more} AND {among}")
    };
    let request =
        "REPLACE(REPLACE(REPLACE(it.request, it.mainline, f.mainline), r.commit_id, f.commit_id), b.name, f.name)";
    let row = [
        ("id", candidate.clone()),
        in_branch(),
        in_revision(),
        set("mainline", "f.mainline"),
        set("commit_id", "f.candidate"),
        set("tree_id", "f.tree"),
        set("request", request),
        set("detail", "REPLACE(it.detail, it.commit_id, f.candidate)"),
        later("made_ms"),
    ];
    let from = of_revision("JOIN branch b ON b.id = f.seed JOIN candidate it ON it.id = r.candidate_id WHERE 1 = 1");
    copy(turn, "candidate", &row, &from).await?;
    // What a seed touches that is its own is another number of each.
    let number = "CASE WHEN it.number BETWEEN -1000 AND 1000 THEN it.number ELSE it.number / 2 + f.n END";
    let from = of_revision("JOIN touched it ON it.revision_id = r.id WHERE 1 = 1");
    copy(turn, "touched", &[set("number", number), in_revision()], &from).await?;
    for k in 0..of.times {
        builds(turn, of, among, k).await?;
        events(turn, of, among, k).await?;
    }
    let entry = [
        ("id", of.branch("queue_entry")),
        in_branch(),
        in_revision(),
        set("commit_id", "f.commit_id"),
        candidate_id(),
        set("landed", "CASE WHEN it.landed IS NOT NULL THEN f.candidate END"),
        later("accepted_ms"),
        later("left_ms"),
    ];
    let newest = "(SELECT MAX(id) FROM queue_entry WHERE branch_id = f.seed)";
    let from = of_revision(&format!("JOIN queue_entry it ON it.revision_id = r.id WHERE it.id = {newest}"));
    copy(turn, "queue_entry", &entry, &from).await?;
    let landing = [
        ("id", of.branch("landing")),
        ("entry_id", of.branch("queue_entry")),
        set("from_commit", "f.mainline"),
        set("to_commit", "f.candidate"),
        later("begun_ms"),
        later("ended_ms"),
    ];
    // Whoever else was in the seed's line, a copy lands alone.
    let of_entry = |more: &str| {
        of_revision(&format!("JOIN queue_entry q ON q.revision_id = r.id JOIN {more} WHERE q.id = {newest}"))
    };
    let from = of_entry("landing_entry e ON e.entry_id = q.id JOIN landing it ON it.id = e.landing_id");
    copy(turn, "landing", &landing, &from).await?;
    let member = [
        ("landing_id", of.branch("landing")),
        set("place", "1"),
        ("entry_id", of.branch("queue_entry")),
        candidate_id(),
        set("commit_id", "f.candidate"),
    ];
    copy(turn, "landing_entry", &member, &of_entry("landing_entry it ON it.entry_id = q.id")).await
}

/// Slaves as the first is, each with a token of its own.
async fn slaves(turn: &mut Turn, of: &Numbers, among: &str) -> Result<()> {
    let name = || set("name", "'slave-' || f.n");
    let which =
        format!("WHERE s.id = (SELECT MIN(id) FROM slave) AND f.number = 1 AND f.n < {} AND {among}", of.slaves);
    let token = [("id", of.branch("token")), name(), set("hash", "it.hash || '-' || f.n")];
    let from = format!("filled f CROSS JOIN slave s JOIN token it ON it.id = s.token_id {which}");
    copy(turn, "token", &token, &from).await?;
    let slave = [
        ("id", of.branch("slave")),
        ("token_id", of.branch("token")),
        name(),
        set("connected", "0"),
        set("connection", "0"),
    ];
    copy(turn, "slave", &slave, &format!("filled f CROSS JOIN slave it {}", which.replace("s.id", "it.id"))).await
}

/// Builds with their steps, for the `k`th time. Only the last time has what is still open.
async fn builds(turn: &mut Turn, of: &Numbers, among: &str, k: i64) -> Result<()> {
    let which = |build: &str| {
        let ended = if k + 1 == of.times { String::new() } else { format!("AND {build}.state = 'finished'") };
        format!(
            "{} {build} JOIN revision r ON r.id = {build}.revision_id
             JOIN filled f ON f.seed = {build}.branch_id AND f.number = r.number {ended} AND {among}",
            of.placed("build")
        )
    };
    let id = of.build(k, "it.place");
    let slave = match of.slaves {
        0 => "it.slave_id".to_owned(),
        n => format!("CASE WHEN it.slave_id IS NOT NULL THEN {} + ({id}) % {n} END", of.first("slave")),
    };
    let build = [
        ("id", id),
        ("branch_id", of.branch("branch")),
        ("revision_id", of.revision("revision")),
        ("candidate_id", of.revision("candidate")),
        set("commit_id", "f.candidate"),
        set("tree_id", "f.tree"),
        ("slave_id", slave),
        set("retried_as", "NULL"),
        later("requested_ms"),
        later("started_ms"),
        later("finished_ms"),
    ];
    copy(turn, "build", &build, &which("it")).await?;
    let step = [
        ("build_id", of.build(k, "b.place")),
        set("log_len", "CASE WHEN it.log_len IS NOT NULL THEN 0 END"),
        later("started_ms"),
    ];
    copy(turn, "step", &step, &format!("{} JOIN step it ON it.build_id = b.id", which("b"))).await
}

/// Events, those of builds for the `k`th time.
async fn events(turn: &mut Turn, of: &Numbers, among: &str, k: i64) -> Result<()> {
    let is_last = k + 1 == of.times;
    let (id, branch) = (("id", of.event(k, "it.place")), ("branch_id", of.branch("branch")));
    let from = format!(
        "filled f JOIN {} it ON it.branch_id = f.seed JOIN {} b ON b.id = it.build_id
         WHERE f.number = 1 AND {among}",
        of.placed("event"),
        of.placed("build")
    );
    let ended = if is_last { "" } else { "AND b.state = 'finished'" };
    let of_build = [id.clone(), branch.clone(), ("build_id", of.build(k, "b.place")), later("at_ms")];
    copy(turn, "event", &of_build, &format!("{from} {ended}")).await?;
    // What happened before the first build ended, happened before all of them; all else after.
    let first = "COALESCE((SELECT MIN(e.id) FROM event e WHERE e.branch_id = f.seed AND e.build_id IS NOT NULL), 0)";
    let when = match (k == 0, is_last) {
        (true, true) => String::new(),
        (true, false) => format!("AND it.id < {first}"),
        (false, true) => format!("AND it.id >= {first}"),
        (false, false) => return Ok(()),
    };
    let mut text = "it.text".to_owned();
    for number in 1..=of.revisions {
        let was = format!(
            "COALESCE((SELECT SUBSTR(c.commit_id, 1, 10) FROM revision r JOIN candidate c ON c.id = r.candidate_id
              WHERE r.branch_id = f.seed AND r.number = {number}), '')"
        );
        let is = format!("(SELECT SUBSTR(g.candidate, 1, 10) FROM filled g WHERE g.n = f.n AND g.number = {number})");
        text = format!("REPLACE({text}, {was}, COALESCE({is}, ''))");
    }
    let from = format!(
        "filled f JOIN {} it ON it.branch_id = f.seed WHERE f.number = 1 AND it.build_id IS NULL AND {among} {when}",
        of.placed("event")
    );
    copy(turn, "event", &[id, branch, ("text", text), later("at_ms")], &from).await
}
