//! A basedir compared with itself: rows, refs, objects and logs. What is wrong is told, and what can be is mended; then all
//! is compared once more, and each thing is told as it is by then.

mod mirror;

use crate::assemble::assemble;
use crate::basedir::{Basedir, BasedirError};
use crate::config::Config;
use crate::error::StartError;
use crate::reconcile;
use crate::sole;
use crate::state::Shared;
use crate::store::{Store, now};
use mirror::OfProject;
use protocol::wire::StepFile;
use protocol::{BuildId, ProjectName};
use serde::Serialize;
use std::path::Path;
use tokio_util::sync::CancellationToken;
use tracker::git::Git;

/// Steps whose files are looked at together.
const KEPT_AT_ONCE: u32 = 500;
/// What a build that ended since then kept may be on its way from the slave: a day.
const ON_THEIR_WAY_MS: i64 = 24 * 60 * 60 * 1000;

/// How something stands that was not as it should be.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is as it should be now.
    Mended,
    /// It is not, and nothing says that it is lost: a running master gets it, or this check without `--dry-run`.
    Pending,
    /// Nobody gets it back by themselves: a person does.
    Lost,
}

/// Something that was not as it should be.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The project, where it is one's.
    pub project: Option<ProjectName>,
    /// What it is: `store`, `row`, `mirror`, `object`, `ref`, `commit`, `candidate`, `log`.
    pub kind: &'static str,
    /// What was wrong.
    pub what: String,
    /// How it stands.
    pub state: State,
    /// Who does what next; nothing when it is mended.
    pub next: String,
}

/// What came of looking.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// Whether a master ran meanwhile, so that nothing was changed.
    pub running: bool,
    /// How many commits rows name.
    pub commits: usize,
    /// How many logs.
    pub logs: usize,
    /// All that was found.
    pub findings: Vec<Finding>,
}

impl Inspection {
    /// How the worst stands of what was found; as if mended when there is nothing.
    pub fn state(&self) -> State {
        self.findings.iter().map(|finding| finding.state).max().unwrap_or(State::Mended)
    }
}

/// Looks at everything below a basedir; with `mend`, and when no master runs on it, mends what can be mended.
///
/// # Errors
/// When settings or store can't be used, or git is too old.
pub async fn inspect(root: &Path, mend: bool) -> Result<Inspection, StartError> {
    let basedir = Basedir::new(root);
    let lock = match basedir.lock() {
        Ok(lock) => Some(lock),
        Err(BasedirError::Locked(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let mend = mend && lock.is_some();
    let mut config = Config::read(basedir.root())?;
    let mut all = Inspection { running: lock.is_none(), commits: 0, logs: 0, findings: Vec::new() };
    config.projects.retain(|project| {
        let is_there = basedir.mirrors().join(format!("{}.git", project.name)).join("HEAD").exists();
        if !is_there {
            all.findings.push(Finding {
                project: Some(project.name.clone()),
                kind: "mirror",
                what: "its mirror is not there".to_owned(),
                state: if mend { State::Mended } else { State::Pending },
                next: next(mend, "the master makes it anew at its start"),
            });
        }
        // An empty one would be made of it.
        is_there || mend
    });
    let embedded = config.store.as_deref().is_none_or(|url| url.starts_with("sqlite:"));
    let store_url = Store::url(config.store.as_deref(), basedir.root());
    let mut store = Store::open(&store_url).await?;
    let me = sole::me(basedir.root(), &store_url)?;
    if mend && let Some(lock) = &lock {
        sole::take(&store, &me, lock, &CancellationToken::new()).await?;
        store = store.for_master(me.owner.as_str().into());
    }
    if embedded {
        let words = store.unsound().await?;
        all.findings.extend(words.into_iter().map(|what| Finding {
            project: None,
            kind: "store",
            what,
            state: State::Lost,
            next: "an admin restores a backup".to_owned(),
        }));
    }
    let rows = store.unreadable().await?;
    all.findings.extend(rows.into_iter().map(|row| Finding {
        project: None,
        kind: "row",
        what: format!("row {} of table {} is left out of all lists: {}", row.id, row.table, row.why),
        state: State::Lost,
        next: "an admin restores a backup, or mends the row by the database's own tools".to_owned(),
    }));
    let git = Git::find(config.git.as_deref())?;
    let url = config.url.clone().unwrap_or_default();
    let shared = assemble(config, basedir, git, store, url, CancellationToken::new(), me).await?;
    let done = look(&shared, mend, &mut all).await;
    if mend {
        shared.store.give_back(&shared.me.owner).await?;
    }
    shared.store.close().await;
    done.map(|()| all)
}

async fn look(shared: &Shared, mend: bool, all: &mut Inspection) -> Result<(), StartError> {
    if mend {
        // What is found lost is recorded, as by a master.
        reconcile::claim_all(shared).await.map_err(|error| StartError::Other(error.to_string()))?;
    }
    for project in &shared.projects {
        let of = OfProject { shared, project, mend };
        let found = of.look(all).await;
        found.map_err(|error| StartError::Other(format!("project {}: {error}", project.name)))?;
    }
    for claim in shared.projects.iter().filter_map(|project| project.claim()) {
        shared.store.release_project(claim).await?;
    }
    logs(shared, all).await?;
    kept(shared, mend, all).await
}

fn next(mended: bool, what: &str) -> String {
    if mended { String::new() } else { what.to_owned() }
}

/// The files that steps keep are as long as their rows say, or they are said to be gone: after a restore nobody has them, and they
/// would be on their way for ever.
async fn kept(shared: &Shared, mend: bool, all: &mut Inspection) -> Result<(), StartError> {
    let mut after = (BuildId(0), 0);
    loop {
        let some = shared.store.aging_artifacts(after, KEPT_AT_ONCE).await?;
        let Some(last) = some.last() else { return Ok(()) };
        after = (last.build, last.step);
        for it in some {
            let there = shared.logs.len(it.build, StepFile::Artifacts(it.step)).unwrap_or(0);
            if there >= it.bytes || now().0 - it.ended.0 < ON_THEIR_WAY_MS {
                continue;
            }
            if mend {
                shared.store.let_artifacts_go(it.build, it.step).await?;
                shared
                    .logs
                    .delete_artifacts(it.build, it.step)
                    .map_err(|error| StartError::Other(error.to_string()))?;
            }
            all.findings.push(Finding {
                project: None,
                kind: "artifacts",
                what: format!("what step {} of build #{} kept has {there} of {} bytes", it.step, it.build, it.bytes),
                state: if mend { State::Mended } else { State::Pending },
                next: next(mend, "this check says of it that it is gone, when no master runs; then build it again"),
            });
        }
    }
}

/// Logs are as long as their rows say, or longer.
async fn logs(shared: &Shared, all: &mut Inspection) -> Result<(), StartError> {
    let mut above = BuildId(0);
    while let Some(some) = shared.store.log_lengths(above).await? {
        above = some.last;
        all.logs += some.logs.len();
        for (build, step, length) in some.logs {
            let there = shared.logs.len(build, StepFile::Log(step)).unwrap_or(0);
            if there < length {
                all.findings.push(Finding {
                    project: None,
                    kind: "log",
                    what: format!(
                        "the log of build #{build}, step {step}, has {there} bytes, and its row says {length}"
                    ),
                    state: State::Lost,
                    next: "an admin restores it from a backup; the build's result stays as it is".to_owned(),
                });
            }
        }
    }
    Ok(())
}
