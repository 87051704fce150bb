//! A project that this master guards: its settings, its mirror, its claim, and what is remembered of it.

use super::troubles::Troubles;
use super::views::Views;
use crate::config;
use crate::store::Claim;
use gate::pending::{Crowded, Pending, Stranger};
use gate::queue::EntryId;
use gate::verdict::Trouble;
use protocol::{BranchId, CommitId, ProjectId, ProjectName, UnixMs};
use recipe::Recipe;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, Notify};
use tracker::mirror::{FetchBudgets, Mirror, OfficialUrl};
use tracker::source::{BranchRef, RawRefName};

/// The shortest time between two looks at all of mainline's history.
const WHOLE_LOOK: Duration = Duration::from_secs(60 * 60);
/// The most recipes that are remembered; then it is begun anew.
const RECIPES_KNOWN: usize = 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Guarded {
    pub(crate) id: ProjectId,
    pub(crate) name: ProjectName,
    pub(crate) config: config::Project,
    /// The file of the master's own recipe for it.
    pub(super) own_recipe: Option<PathBuf>,
    pub(crate) mirror: Mirror,
    pub(crate) views: Views,
    claim: Mutex<Option<Claim>>,
    recipe: Mutex<RecipeState>,
    asked_by: Mutex<Option<Recipe>>,
    /// Whose builds are not asked for yet, because as many wait as may; by the last turn that asked.
    held: Mutex<Option<Pending>>,
    /// Whether nobody was in the queue, nor on the way to mainline, when it was last looked at.
    queue_is_empty: AtomicBool,
    /// The entry that the queue wants a candidate of, by its last decision.
    queue_wants: Mutex<Option<EntryId>>,
    /// Branches that are looked at by themselves, because something was wrong when they were looked at together with others.
    alone: Mutex<HashSet<BranchId>>,
    pub(crate) planned_looks: PlannedLooks,
    /// How much looks at one source that go on at once may fetch together.
    pub(crate) fetches: FetchBudgets,
    /// What failed lately, so that it is not tried at every turn.
    pub(crate) troubles: Troubles,
    /// Entries of the queue that could not be pushed though they passed, by bb's own fault, as the queue's decision takes it.
    pub(crate) unready: Troubles<gate::queue::Candidate>,
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
    /// Wakes the upkeep of the mirror before it is due.
    crowded: Notify,
    /// Whether somebody missed something in the mirror since all of mainline was last looked at, and when that was.
    missed: Mutex<(bool, Option<Instant>)>,
}

/// Mainline's recipe, as far as it is known.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
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

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Guarded {
    /// `root` is the folder that the settings' paths begin at.
    pub(crate) fn new(id: ProjectId, config: config::Project, root: &Path, mirror: Mirror) -> Self {
        let name = config.name.clone();
        let own_recipe = config.recipe.as_ref().map(|file| root.join(file));
        Self {
            id,
            name,
            config,
            own_recipe,
            mirror,
            views: Views::default(),
            claim: Mutex::default(),
            recipe: Mutex::default(),
            asked_by: Mutex::default(),
            held: Mutex::default(),
            queue_is_empty: AtomicBool::new(false),
            queue_wants: Mutex::default(),
            planned_looks: PlannedLooks::default(),
            alone: Mutex::default(),
            fetches: FetchBudgets::default(),
            troubles: Troubles::default(),
            unready: Troubles::default(),
            recipes: Mutex::default(),
            looks: AsyncMutex::default(),
            failed_looks: AtomicU32::new(0),
            mainline_due: Notify::new(),
            mirror_due: Notify::new(),
            crowded: Notify::new(),
            missed: Mutex::default(),
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

    /// The recipe by which all builds were last asked for.
    pub(crate) fn asked_by(&self) -> Option<Recipe> {
        lock(&self.asked_by).clone()
    }

    pub(crate) fn set_asked_by(&self, recipe: &Recipe) {
        *lock(&self.asked_by) = Some(recipe.clone());
    }

    /// Why builds of a stranger's that were not asked for wait, if they do.
    pub(crate) fn held(&self, who: &Stranger) -> Option<Crowded> {
        lock(&self.held).as_ref().and_then(|pending| pending.held(who))
    }

    /// Whether anybody's builds are not asked for yet for want of room.
    pub(crate) fn holds_builds(&self) -> bool {
        lock(&self.held).as_ref().is_some_and(Pending::holds_any)
    }

    /// Whether a branch is looked at by itself.
    pub(crate) fn goes_alone(&self, branch: BranchId) -> bool {
        lock(&self.alone).contains(&branch)
    }

    pub(crate) fn go_alone(&self, branch: BranchId) {
        lock(&self.alone).insert(branch);
    }

    /// All was well with it, so that it may be looked at together with others.
    pub(crate) fn goes_along_again(&self, branch: BranchId) {
        lock(&self.alone).remove(&branch);
    }

    /// Whether nobody was in the queue when it was last looked at: who comes in is told of as the queue's.
    pub(crate) fn queue_is_empty(&self) -> bool {
        self.queue_is_empty.load(Ordering::SeqCst)
    }

    pub(crate) fn set_queue_is_empty(&self, is: bool) {
        self.queue_is_empty.store(is, Ordering::SeqCst);
    }

    /// The entry that the queue wants a candidate of.
    pub(crate) fn queue_wants(&self) -> Option<EntryId> {
        *lock(&self.queue_wants)
    }

    /// Says whether it is another one than before.
    pub(crate) fn set_queue_wants(&self, entry: Option<EntryId>) -> bool {
        std::mem::replace(&mut *lock(&self.queue_wants), entry) != entry
    }

    /// Says whether others are held than before, or for other reasons.
    pub(crate) fn set_held(&self, pending: Pending) -> bool {
        let mut held = lock(&self.held);
        let is_news = match &*held {
            Some(before) => !before.holds_as(&pending),
            None => pending.holds_any(),
        };
        *held = Some(pending);
        is_news
    }

    /// Says whether it is another one than before.
    pub(crate) fn set_recipe(&self, state: RecipeState) -> bool {
        let mut recipe = lock(&self.recipe);
        let is_news = *recipe != state;
        *recipe = state;
        is_news
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
        lock(&self.missed).0 = true;
        self.mirror_due.notify_one();
    }

    /// Whether all of mainline's history is to be looked at: somebody missed something since the last time, which is a while
    /// ago, for it may take minutes.
    pub(crate) fn takes_whole_look(&self) -> bool {
        let mut missed = lock(&self.missed);
        let rested = missed.1.is_none_or(|last| last.elapsed() >= WHOLE_LOOK);
        let takes = missed.0 && rested;
        if takes {
            *missed = (false, Some(Instant::now()));
        }
        takes
    }

    /// The whole look could not be taken: it is still to be.
    pub(crate) fn owes_whole_look(&self) {
        *lock(&self.missed) = (true, None);
    }

    /// Whoever held the mirror lets go of it: a look that could not be taken is due.
    pub(crate) fn mirror_is_free(&self) {
        if *lock(&self.missed) == (true, None) {
            self.mirror_due.notify_one();
        }
    }

    /// Waits until somebody missed something in the mirror.
    pub(crate) async fn mirror_wanted(&self) {
        self.mirror_due.notified().await;
    }

    /// Has the mirror's packs joined.
    pub(crate) fn join_packs(&self) {
        self.crowded.notify_one();
    }

    /// Waits until somebody found the mirror crowded.
    pub(crate) async fn mirror_crowded(&self) {
        self.crowded.notified().await;
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
    /// The official repository and its mainline branch, as the tracker takes them; else what is wrong in the settings.
    pub(crate) fn official(&self) -> Result<(OfficialUrl, BranchRef), String> {
        let url = OfficialUrl::new(&self.config.repository).map_err(|e| format!("`repository` in master.toml: {e}"))?;
        let branch = BranchRef::check(&RawRefName::new(&self.config.mainline))
            .map_err(|e| format!("`mainline` in master.toml: {e}"))?;
        Ok((url, branch))
    }
}
