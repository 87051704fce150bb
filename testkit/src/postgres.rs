//! A real PostgreSQL from the system's binaries, thrown away afterwards.
//!
//! `cargo xtask test` starts one cluster for its whole run and names it in [`ENV`]; a test run by itself starts its
//! own, one for each test process. Either listens on a unix socket in a temporary folder and nowhere else, does not
//! sync to disk, and ends with the process that started it, also when that is killed.

use crate::process::{Watched, is_root, on_path};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

/// The environment variable that names a cluster to use, as [`Cluster::url`] gives it.
pub const ENV: &str = "BB_TEST_POSTGRES";

/// Why there is no PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not installed.
    #[error(
        "there is no PostgreSQL here (initdb and postgres, in /usr/lib/postgresql/*/bin or on PATH)\n\
         hint: `cargo xtask test` installs it when root; else install the package postgresql"
    )]
    NotInstalled,
    /// It did not start.
    #[error("PostgreSQL did not start: {0}")]
    NotStarted(String),
    /// A statement failed, or a program that works on a whole database.
    #[error("PostgreSQL, {database}: {said}")]
    Statement {
        /// The database's URL.
        database: String,
        /// What psql said.
        said: String,
    },
}

/// A running cluster.
pub struct Cluster {
    socket: PathBuf,
    _server: Watched,
}

impl Cluster {
    /// Makes a cluster and starts it.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start.
    pub fn start() -> Result<Cluster, Error> {
        let binaries = find_binaries().ok_or(Error::NotInstalled)?;
        let failed = |what: &str, error: &std::io::Error| Error::NotStarted(format!("{what}: {error}"));
        // A socket's path has at most 107 bytes, so the folder stands in /tmp whatever TMPDIR says.
        let folder = tempfile::Builder::new()
            .prefix("bb-postgres-")
            .tempdir_in("/tmp")
            .map_err(|error| failed("a folder in /tmp", &error))?;
        let account = Account::for_server();
        if let Some(account) = &account {
            std::os::unix::fs::chown(folder.path(), Some(account.uid), Some(account.gid))
                .map_err(|error| failed("giving it the folder", &error))?;
        }
        // From here on the script removes the folder.
        let folder = folder.keep();
        let mut server = Watched::start(&script(account.as_ref()), [folder.as_path(), binaries.as_path()])
            .map_err(|error| failed("sh", &error))?;
        match server.line().as_deref() {
            Some("ready") => Ok(Cluster { socket: folder, _server: server }),
            first => {
                let rest = std::iter::from_fn(|| server.line());
                let said: Vec<String> = first.map(str::to_owned).into_iter().chain(rest).collect();
                Err(Error::NotStarted(said.join("\n")))
            }
        }
    }

    /// The URL of its administrative database.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres:///postgres?host={}&user=postgres", self.socket.display())
    }
}

/// The script that makes, starts, and at the end of its input stops and removes the cluster in `$1`.
fn script(account: Option<&Account>) -> String {
    let as_account = account.map_or_else(String::new, |Account { uid, gid }| {
        format!("setpriv --reuid={uid} --regid={gid} --clear-groups -- env HOME=\"$1\"")
    });
    format!(
        r#"cd /
trap 'rm -rf -- "$1"' EXIT
log() {{ cat "$1"/initdb.log "$1"/server.log 2>/dev/null || true; exit 1; }}
{as_account} "$2"/initdb --no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C \
    --pgdata="$1"/data >"$1"/initdb.log 2>&1 </dev/null || log "$1"
cat >>"$1"/data/postgresql.conf <<END
listen_addresses = ''
unix_socket_directories = '$1'
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 300
shared_buffers = 32MB
END
{as_account} "$2"/pg_ctl --wait --timeout=60 --pgdata="$1"/data --log="$1"/server.log start >/dev/null 2>&1 </dev/null || log "$1"
trap '{as_account} "$2"/pg_ctl --wait --mode=immediate --pgdata="$1"/data stop >/dev/null 2>&1 || true; rm -rf -- "$1"' EXIT
echo ready
cat >/dev/null
"#
    )
}

/// An account that is not root's: PostgreSQL refuses to run as root.
struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    fn for_server() -> Option<Account> {
        if !is_root() {
            return None;
        }
        let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let find = |name: &str| {
            accounts.lines().find_map(|line| {
                let mut fields = line.split(':');
                (fields.next()? == name).then_some(())?;
                let uid = fields.nth(1)?.parse().ok()?;
                Some(Account { uid, gid: fields.next()?.parse().ok()? })
            })
        };
        find("postgres").or_else(|| find("nobody")).or(Some(Account { uid: 65534, gid: 65534 }))
    }
}

/// The folder of `initdb`, `pg_ctl`, `postgres` and `psql`: the newest of /usr/lib/postgresql, else one on PATH.
#[must_use]
pub fn find_binaries() -> Option<PathBuf> {
    let complete = |folder: &PathBuf| ["initdb", "pg_ctl", "postgres", "psql"].iter().all(|p| folder.join(p).is_file());
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| complete(folder))
        .max_by_key(|(version, _)| *version)
        .map(|(_, folder)| folder);
    newest.or_else(|| {
        let file = on_path("initdb")?.canonicalize().ok()?;
        file.parent().map(Path::to_path_buf).filter(complete)
    })
}

/// An empty database of its own, by its URL; it goes away with the cluster.
///
/// # Panics
/// When there is no PostgreSQL: the test that needs one fails and says how to get it.
#[must_use]
pub fn fresh_database() -> String {
    try_fresh_database().unwrap_or_else(|error| panic!("this test needs PostgreSQL: {error}"))
}

fn try_fresh_database() -> Result<String, Error> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let admin = admin_url()?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    let name = format!("bb_{}_{now}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    execute(&admin, &format!("CREATE DATABASE {name} TEMPLATE template0"))?;
    Ok(admin.replacen(":///postgres?", &format!(":///{name}?"), 1))
}

/// Runs `statement` in the database at `url`.
///
/// # Errors
/// When psql is not installed or the statement fails.
pub fn execute(url: &str, statement: &str) -> Result<String, Error> {
    let psql = find_binaries().ok_or(Error::NotInstalled)?.join("psql");
    let out = Command::new(psql)
        .args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
            "--command",
            statement,
        ])
        .arg(url)
        .output()
        .map_err(|error| Error::Statement { database: url.to_owned(), said: error.to_string() })?;
    if out.status.success() {
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    } else {
        Err(Error::Statement { database: url.to_owned(), said: String::from_utf8_lossy(&out.stderr).into_owned() })
    }
}

/// Writes all of the database at `url` into a file, as an administrator does before a backup.
///
/// # Errors
/// When pg_dump is not installed or fails.
pub fn dump(url: &str, file: &Path) -> Result<(), Error> {
    run("pg_dump", url, &["--format=custom", "--file", &file.to_string_lossy(), url])
}

/// Reads what [`dump`] wrote into the empty database at `url`.
///
/// # Errors
/// When pg_restore is not installed or fails.
pub fn restore(url: &str, file: &Path) -> Result<(), Error> {
    run("pg_restore", url, &["--no-owner", "--exit-on-error", "--dbname", url, &file.to_string_lossy()])
}

fn run(program: &str, url: &str, args: &[&str]) -> Result<(), Error> {
    let program = find_binaries().ok_or(Error::NotInstalled)?.join(program);
    let said = |said: String| Error::Statement { database: url.to_owned(), said };
    let out = Command::new(program).args(args).output().map_err(|error| said(error.to_string()))?;
    if out.status.success() { Ok(()) } else { Err(said(String::from_utf8_lossy(&out.stderr).into_owned())) }
}

/// The cluster that was named to this process, or one that it starts and keeps to its end.
fn admin_url() -> Result<String, Error> {
    static OWN: OnceLock<Result<Cluster, Error>> = OnceLock::new();
    if let Ok(url) = std::env::var(ENV) {
        return Ok(url);
    }
    match OWN.get_or_init(Cluster::start) {
        Ok(cluster) => Ok(cluster.url()),
        Err(Error::NotInstalled) => Err(Error::NotInstalled),
        Err(error) => Err(Error::NotStarted(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::{Cluster, execute, fresh_database};

    #[test]
    fn every_database_is_new_and_takes_statements() {
        let (one, other) = (fresh_database(), fresh_database());
        assert_ne!(one, other);
        for url in [&one, &other] {
            execute(url, "CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (1)").unwrap();
        }
        assert_eq!(execute(&one, "SELECT count(*) FROM t").unwrap().trim(), "1");
    }

    #[test]
    fn nothing_is_left_of_a_cluster() {
        let cluster = Cluster::start().unwrap();
        let folder = cluster.socket.clone();
        assert!(folder.join("data/postmaster.pid").exists());
        drop(cluster);
        assert!(!folder.exists());
    }
}
