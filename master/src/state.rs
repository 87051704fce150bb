//! What the parts of one running master share. Nothing here matters after a restart: it is made anew from the store.

use crate::basedir::Basedir;
use crate::config::{self, Config};
use crate::http::Doors;
use crate::logs::Logs;
use crate::pages::Pages;
use crate::read::{Diffs, Sizes};
use crate::reconcile::Troubles;
use crate::slaves::{Parts, Sessions};
use crate::stepping::Points;
use crate::store::{Claim, Master, Store};
use gate::code::Code;
use gate::schedule::Wait;
use gate::verdict::Trouble;
use protocol::{BranchId, BuildId, CommitId, ProjectId, ProjectName, UnixMs};
use recipe::Recipe;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, Notify};
use tokio_util::sync::CancellationToken;
use tracker::mirror::Mirror;
use tracker::source::SourcePolicy;
use tracker::watch::Poller;

/// A running master.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) basedir: Basedir,
    pub(crate) store: Store,
    pub(crate) logs: Logs,
    pub(crate) sessions: Sessions,
    pub(crate) poller: Poller,
    pub(crate) policy: SourcePolicy,
    pub(crate) pages: Pages,
    pub(crate) projects: Vec<Arc<Guarded>>,
    /// The URL under which others reach this master, without a slash at its end.
    pub(crate) url: String,
    pub(crate) shutdown: CancellationToken,
    /// This master as it names itself on its store.
    pub(crate) me: Master,
    pub(crate) doors: Doors,
    waits: Mutex<HashMap<BuildId, Wait>>,
    kept: Mutex<HashSet<BuildId>>,
}

/// A project that this master guards.
#[derive(Debug)]
pub(crate) struct Guarded {
    pub(crate) id: ProjectId,
    pub(crate) name: ProjectName,
    pub(crate) config: config::Project,
    pub(crate) mirror: Mirror,
    pub(crate) diffs: Diffs,
    pub(crate) sizes: Sizes,
    claim: Mutex<Option<Claim>>,
    recipe: Mutex<RecipeState>,
    pub(crate) planned_looks: PlannedLooks,
    /// What failed lately, so that it is not tried at every turn.
    pub(crate) troubles: Troubles,
    /// What trees of commits say; no other commit's.
    recipes: Mutex<HashMap<CommitId, RecipeState>>,
    /// Held by whoever looks at mainline, so that two fetches don't get in each other's way.
    looks: AsyncMutex<()>,
    /// Looks at mainline that failed, since the last that did not.
    pub(crate) failed_looks: AtomicU32,
    /// Wakes the look at mainline before it is due.
    mainline_due: Notify,
    /// Wakes the comparison of rows and mirror before it is due.
    mirror_due: Notify,
}

/// Mainline's recipe, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(crate) enum RecipeState {
    /// Mainline was not read yet.
    #[default]
    Unknown,
    /// There is none, and none could be guessed.
    Missing,
    /// It has an error.
    Broken(Trouble),
    /// It can be used.
    Fine(Arc<RecipeInUse>),
}

/// A recipe, and where it comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RecipeInUse {
    pub(crate) recipe: Recipe,
    /// For people: `.bb.toml`, `guessed from a Makefile with the target …`.
    pub(crate) from: String,
    /// What of it deserves a look, a line each.
    pub(crate) warnings: Vec<String>,
    /// The commit it was read at.
    pub(crate) commit: CommitId,
}

/// When each branch's next look was planned. One that is due at another time was asked for by somebody; so is the first
/// after a master's start.
#[derive(Debug, Default)]
pub(crate) struct PlannedLooks(Mutex<HashMap<BranchId, UnixMs>>);

impl PlannedLooks {
    pub(crate) fn is_other(&self, branch: BranchId, at: UnixMs) -> bool {
        lock(&self.0).get(&branch) != Some(&at)
    }

    pub(crate) fn set(&self, branch: BranchId, at: UnixMs) {
        lock(&self.0).insert(branch, at);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Guarded {
    pub(crate) fn new(id: ProjectId, config: config::Project, mirror: Mirror) -> Self {
        let name = config.name.clone();
        Self {
            id,
            name,
            config,
            mirror,
            diffs: Diffs::default(),
            sizes: Sizes::default(),
            claim: Mutex::default(),
            recipe: Mutex::default(),
            planned_looks: PlannedLooks::default(),
            troubles: Troubles::default(),
            recipes: Mutex::default(),
            looks: AsyncMutex::default(),
            failed_looks: AtomicU32::new(0),
            mainline_due: Notify::new(),
            mirror_due: Notify::new(),
        }
    }

    /// The claim, while this master holds it.
    pub(crate) fn claim(&self) -> Option<Claim> {
        *lock(&self.claim)
    }

    pub(crate) fn set_claim(&self, claim: Option<Claim>) {
        *lock(&self.claim) = claim;
    }

    pub(crate) fn recipe(&self) -> RecipeState {
        lock(&self.recipe).clone()
    }

    pub(crate) fn set_recipe(&self, state: RecipeState) {
        *lock(&self.recipe) = state;
    }

    /// Has mainline looked at now.
    pub(crate) fn look_at_mainline(&self) {
        self.mainline_due.notify_one();
    }

    /// Waits until somebody wants mainline looked at.
    pub(crate) async fn mainline_wanted(&self) {
        self.mainline_due.notified().await;
    }

    /// Has what rows name compared with what the mirror holds: something was not there.
    pub(crate) fn look_after_mirror(&self) {
        self.mirror_due.notify_one();
    }

    /// Waits until somebody missed something in the mirror.
    pub(crate) async fn mirror_wanted(&self) {
        self.mirror_due.notified().await;
    }

    /// What the tree of a commit says, if it was read before.
    pub(crate) fn known_recipe(&self, commit: &CommitId) -> Option<RecipeState> {
        lock(&self.recipes).get(commit).cloned()
    }

    pub(crate) fn know_recipe(&self, commit: &CommitId, state: &RecipeState) {
        let mut known = lock(&self.recipes);
        if known.len() >= RECIPES_KNOWN {
            known.clear();
        }
        known.insert(commit.clone(), state.clone());
    }

    /// Waits for one's turn to look at mainline.
    pub(crate) async fn turn_to_look(&self) -> AsyncMutexGuard<'_, ()> {
        self.looks.lock().await
    }
}

/// The most recipes that are remembered; then it is begun anew.
const RECIPES_KNOWN: usize = 128;

impl Shared {
    #[expect(clippy::too_many_arguments, reason = "the parts of a master")]
    pub(crate) fn new(
        config: Config,
        basedir: Basedir,
        store: Store,
        poller: Poller,
        policy: SourcePolicy,
        pages: Pages,
        projects: Vec<Arc<Guarded>>,
        url: String,
        shutdown: CancellationToken,
        me: Master,
    ) -> Self {
        let logs = Logs::new(basedir.logs());
        let sessions = Sessions::new();
        let (waits, kept) = (Mutex::default(), Mutex::default());
        let doors = Doors::new(&config, &url);
        Self {
            config,
            basedir,
            store,
            logs,
            sessions,
            poller,
            policy,
            pages,
            projects,
            url,
            shutdown,
            me,
            doors,
            waits,
            kept,
        }
    }

    /// Where a test can stop whoever comes there.
    pub(crate) fn points(&self) -> &Points {
        self.store.points()
    }

    pub(crate) fn guarded(&self, id: ProjectId) -> Option<&Arc<Guarded>> {
        self.projects.iter().find(|p| p.id == id)
    }

    pub(crate) fn guarded_by_name(&self, name: &ProjectName) -> Option<&Arc<Guarded>> {
        self.projects.iter().find(|p| p.name == *name)
    }

    /// Why a build waits, by the last plan.
    pub(crate) fn wait_of(&self, build: BuildId) -> Option<Wait> {
        lock(&self.waits).get(&build).cloned()
    }

    /// Whoever says why builds wait is woken when that is another reason now.
    pub(crate) fn set_waits(&self, waits: HashMap<BuildId, Wait>) {
        let kinds = |all: &HashMap<BuildId, Wait>| -> BTreeMap<BuildId, Code> {
            all.iter().map(|(id, wait)| (*id, wait.kind())).collect()
        };
        let mut known = lock(&self.waits);
        let is_news = kinds(&known) != kinds(&waits);
        *known = waits;
        drop(known);
        if is_news {
            self.store.wake();
        }
    }

    /// Whether a build is left to a slave that is away, by the last plan.
    pub(crate) fn is_kept(&self, build: BuildId) -> bool {
        lock(&self.kept).contains(&build)
    }

    pub(crate) fn set_kept(&self, kept: HashSet<BuildId>) {
        *lock(&self.kept) = kept;
    }

    pub(crate) fn slave_parts(&self) -> Parts {
        Parts {
            store: self.store.clone(),
            logs: self.logs.clone(),
            sessions: self.sessions.clone(),
            log_limit: self.config.limits.log_bytes,
            silence: self.config.times.silence(),
            shutdown: self.shutdown.clone(),
        }
    }
}
