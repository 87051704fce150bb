//! The store: everything that matters, durable, in SQLite or PostgreSQL by one URL.
//!
//! Only this module speaks SQL, one file for each aggregate, and one text of it for both databases. A function here is
//! one transaction: when it returns, what it wrote is durable. It decides nothing that `gate` decides; it only refuses
//! what would break an invariant (a report under an old fencing number, a second place in the queue).
//!
//! Writes take turns ([`writer`] says why), so that what a function reads in its transaction holds until its end. What
//! its caller had read before may not: a statement names the state that it expects, and only what really changed a row
//! records an event and wakes. What a project's owner alone may write takes its [`Claim`].
//!
//! Every write says what it changed, and wakes who listens for that ([`Store::listen`]): that is how reconcilers and event streams learn of
//! it at once. They also look by themselves now and then, so a lost wake-up costs time only.

mod afterwards;
mod artifacts;
mod asks;
mod branches;
mod build_lists;
mod builds;
mod candidates;
mod changes;
mod claim;
mod copy;
mod entries;
mod epochs;
mod events;
mod facts;
mod fill;
mod kept;
mod landed;
mod landings;
mod latest;
mod lists;
mod looks;
mod mainlines;
mod masters;
mod moves;
mod needs;
mod owners;
mod pending;
mod progress;
mod projects;
mod publishing;
mod queue;
mod reader;
mod registrations;
mod reports;
mod review;
mod revisions;
mod row;
mod shapes;
mod slaves;
mod stacked;
mod stacks;
mod steering;
mod steps;
mod together;
mod tokens;
mod touched;
mod writer;

pub use afterwards::NEVER;
pub use artifacts::{Aging, ArtifactLength, StepArtifacts};
pub use asks::Within;
pub use branches::{Branch, BranchState, NewBranch, Trouble};
pub use build_lists::{ListedBuild, ListedBuilds, Which};
pub use builds::{Build, BuildRequest, BuildRowState, Finished, OpenBuild};
pub(crate) use builds::{needs_of, request_of};
pub use candidates::{Candidate, NewCandidate, NewInLine, Wanted};
pub use changes::{Change, Heard, Interest, Listener, Topic, Topics};
pub use claim::Claim;
pub use entries::{Entry, EntryState, Shown, Standing, TakenOut, Terms};
pub use events::{Happening, StoredEvent};
pub(crate) use facts::{IN_MAINLINE, Rows, author, build_as_told, landed, outcome, own, title};
pub use fill::Fill;
pub use landed::LandedBy;
pub use landings::{Begun, FailedBy, Failures, Landing, Member};
pub use latest::Builds;
pub use lists::{After, Counted, Kind, Narrow, Sought};
pub use looks::DueLook;
pub use mainlines::MainlineAt;
pub use masters::Master;
pub use needs::Need;
pub use owners::{Claimed, Claimer, Kept, Taken};
pub use pending::Unasked;
pub use progress::Round;
pub use projects::Project;
pub use publishing::{BranchEnd, Published};
pub use queue::{Acceptance, Accepted, Counts};
pub use reader::Reader;
pub use registrations::Origin;
pub use reports::Recorded;
pub use review::{MOST_COMMENTS, Said, Say, StoredThread, StoredVote, Threads};
pub use revisions::{NewRevision, Revision};
pub use slaves::SlaveRow;
pub use stacked::StackOf;
pub use stacks::{StackRow, Stacks, Told};
pub use steering::Steered;
pub use steps::{Step, Unpacked};
pub use tokens::{Revoked, TokenKind, TokenRow};

use crate::points::Points;
use protocol::{TokenId, UnixMs};
use sqlx::any::AnyConnectOptions;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyPool, AssertSqlSafe, SqlSafeStr as _};
use std::ops::Deref;
use std::path::Path;
use std::str::FromStr as _;
use std::time::{SystemTime, UNIX_EPOCH};
use writer::Writer;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database itself failed.
    #[error("the store failed: {0}")]
    Database(#[from] sqlx::Error),
    /// What was written could not be made durable; others had written in the same transaction.
    #[error("the store failed: {0}")]
    NotCommitted(std::sync::Arc<sqlx::Error>),
    /// It was written by a newer bb.
    #[error("the store at {url} was written by a newer bb (its schema has version {version}, this bb knows {known})")]
    Newer {
        /// Where it is, without secrets.
        url: String,
        /// The version found.
        version: i64,
        /// The newest version that this bb knows.
        known: i64,
    },
    /// The schema could not be brought up to date.
    #[error("the schema of the store at {url} can't be brought up to date: {source}")]
    Migration {
        /// Where it is, without secrets.
        url: String,
        /// What failed.
        source: MigrateError,
    },
    /// The URL is for no database that bb knows.
    #[error("`{0}` is no store: use sqlite:PATH or postgres://USER@HOST/DATABASE")]
    Url(String),
    /// Another master works on this store by now.
    #[error("another master works on this store now: nothing was written")]
    Followed,
    /// What was to be written is guarded by a claim that is another's by now.
    #[error("another master looks after the project now: nothing was written")]
    ClaimLost,
    /// The token of whoever it was to be written for was revoked meanwhile.
    #[error("the token was revoked: nothing was written")]
    Revoked,
    /// A stored value is not what this bb wrote.
    #[error("the store holds a value that can't be read, in column {column}: {what}")]
    Corrupt {
        /// The column.
        column: String,
        /// What is wrong.
        what: String,
    },
}

/// The store's result.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The open store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    write: Writer,
    read: Reader,
}

/// Now, by the wall clock.
pub fn now() -> UnixMs {
    let ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
    UnixMs(i64::try_from(ms).unwrap_or(i64::MAX))
}

/// The schema's versions, oldest first. A version that was released is never changed.
const SCHEMA: [(i64, &str, &str); 15] = [
    (1, "the beginning", include_str!("schema.sql")),
    (2, "a row that is written to prove that rows can be", include_str!("schema_2.sql")),
    (3, "what must be one is one also for several writers at once", include_str!("schema_3.sql")),
    (4, "nothing that is compared has an end", include_str!("schema_4.sql")),
    (5, "lists look at no more than they show", include_str!("schema_5.sql")),
    (
        6,
        "builds are listed in their order; words on availability say who, why, since and until",
        include_str!("schema_6.sql"),
    ),
    (7, "what tests say; which logs are still to be packed", include_str!("schema_7.sql")),
    (8, "files that steps keep", include_str!("schema_8.sql")),
    (9, "lines of several entries land by one push; where mainline was", include_str!("schema_9.sql")),
    (12, "stacks of the queue", include_str!("schema_12.sql")),
    (13, "stacks that were built stay", include_str!("schema_13.sql")),
    (14, "who paused, and who holds", include_str!("schema_14.sql")),
    (15, "what must land before a place of the queue", include_str!("schema_15.sql")),
    (17, "acceptances that wait until it is green; places before all others", include_str!("schema_17.sql")),
    (19, "what people say of revisions", include_str!("schema_19.sql")),
];

impl Store {
    /// The URL of the embedded store in a master's basedir.
    pub fn sqlite_url(basedir: &Path) -> String {
        format!("sqlite:{}", basedir.join("bb.sqlite").display())
    }

    /// The URL of a master's store: the one that its settings name, else the embedded one's.
    pub(crate) fn url(set: Option<&str>, basedir: &Path) -> String {
        set.map_or_else(|| Self::sqlite_url(basedir), ToOwned::to_owned)
    }

    /// Opens the store, making it or bringing its schema up to date where that is needed.
    ///
    /// # Errors
    /// When the URL is for no known database, it can't be reached, or a newer bb wrote it.
    pub async fn open(url: &str) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let shown = tracker::source::url_without_secrets(url);
        let (write, read) = if let Some(path) = url.strip_prefix("sqlite:") {
            private(Path::new(path)).map_err(sqlx::Error::Io)?;
            let options = AnyConnectOptions::from_str(&format!("sqlite:{path}?mode=rwc"))?;
            (
                Writer::sqlite(options.clone(), shapes::before_commit).await?,
                Reader::sqlite(writer::sqlite_readers(options)),
            )
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = AnyConnectOptions::from_str(url)?;
            (
                Writer::postgres(options.clone(), shapes::before_commit).await?,
                Reader::postgres(writer::postgres_readers(options)),
            )
        } else {
            return Err(StoreError::Url(shown));
        };
        migrate(write.pool(), url.starts_with("sqlite:"), &shown).await?;
        let store = Self { write, read };
        store.keep_shapes().await?;
        Ok(store)
    }

    /// The same store, as somebody writes to it who showed a token: what was allowed by that is done only while it counts,
    /// asked in the transaction that does it.
    pub fn by(&self, token: Option<TokenId>) -> Self {
        let mut store = self.clone();
        store.write.set_by(token);
        store
    }

    /// The same store, whose writes begin at these places.
    pub(crate) fn with_points(mut self, points: Points) -> Self {
        self.read.set_points(points.clone());
        self.write.set_points(points);
        self
    }

    /// Where a test can stop whoever comes there.
    pub(crate) fn points(&self) -> &Points {
        self.write.points()
    }

    /// Somebody who is woken by what is written, as far as that is of interest.
    pub fn listen(&self, interest: Interest) -> Listener {
        self.write.changes().listen(interest)
    }

    /// How many commits were made since the store was opened: what writes cost, whatever the clock says.
    pub fn commits(&self) -> u64 {
        self.write.commits()
    }

    /// Wakes those who wait for this, of which no row tells.
    pub(crate) fn say(&self, change: Change) {
        self.write.changes().say(&[change]);
    }

    /// Closes all connections, after what is being written.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

/// Whoever may write may read.
impl Deref for Store {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.read
    }
}

/// Makes the database's file for its owner alone; SQLite makes the files beside it alike.
fn private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map(drop)
}

async fn migrate(pool: &AnyPool, sqlite: bool, shown: &str) -> Result<()> {
    let id =
        if sqlite { "INTEGER PRIMARY KEY AUTOINCREMENT" } else { "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY" };
    let migrations = SCHEMA.map(|(version, what, sql)| {
        let sql = AssertSqlSafe(sql.replace("{ID}", id)).into_sql_str();
        Migration::new(version, what.into(), MigrationType::Simple, sql, false)
    });
    let known = SCHEMA[SCHEMA.len() - 1].0;
    Migrator::with_migrations(migrations.to_vec()).run(pool).await.map_err(|source| match source {
        MigrateError::VersionMissing(version) if version > known => {
            StoreError::Newer { url: shown.to_owned(), version, known }
        }
        source => StoreError::Migration { url: shown.to_owned(), source },
    })
}
