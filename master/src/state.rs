//! What the parts of one running master share. Nothing here matters after a restart: it is made anew from the store.

use crate::basedir::Basedir;
use crate::config::Config;
use crate::door::Door;
use crate::logs::Logs;
use crate::points::Points;
use crate::project::{Guarded, lock, room};
use crate::slaves::{Parts, Sessions};
use crate::store::{Change, Master, Store, Topic};
use gate::code::Code;
use gate::schedule::{Line, Stranded, Wait};
use protocol::{BuildId, ProjectId, ProjectName};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;
use tracker::source::SourcePolicy;
use tracker::watch::Poller;

/// Claims looked at, at once.
const CLAIMS: usize = 8;

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
    pub(crate) projects: Vec<Arc<Guarded>>,
    /// The URL under which others reach this master, without a slash at its end.
    pub(crate) url: String,
    pub(crate) shutdown: CancellationToken,
    /// This master as it names itself on its store.
    pub(crate) me: Master,
    /// Looks at repositories that somebody claims.
    pub(crate) claims: Door,
    /// Views of mirrors, for pages.
    pub(crate) reading: Door,
    waits: Mutex<HashMap<BuildId, Wait>>,
    stuck: Mutex<BTreeMap<String, Wait>>,
    /// Who stands in each lock's line, by the last plan.
    lines: Mutex<Vec<Line>>,
    kept: Mutex<HashSet<BuildId>>,
    stranded: Mutex<Vec<Stranded>>,
    /// Of which projects and labels it was told that every slave is away; a master that starts tells it again.
    told: Mutex<BTreeSet<(ProjectId, Vec<String>)>>,
}

impl Shared {
    #[expect(clippy::too_many_arguments, reason = "the parts of a master")]
    pub(crate) fn new(
        config: Config,
        basedir: Basedir,
        store: Store,
        poller: Poller,
        policy: SourcePolicy,
        projects: Vec<Arc<Guarded>>,
        url: String,
        shutdown: CancellationToken,
        me: Master,
    ) -> Self {
        let logs = Logs::new(basedir.logs());
        let sessions = Sessions::new();
        let (waits, stuck, kept) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self {
            config,
            basedir,
            store,
            logs,
            sessions,
            poller,
            policy,
            projects,
            url,
            shutdown,
            me,
            claims: Door::new(CLAIMS, 0),
            reading: room(),
            waits,
            lines: Mutex::default(),
            stuck,
            kept,
            stranded: Mutex::default(),
            told: Mutex::default(),
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

    /// Why builds can't be given to anybody until a person does something, by what they need of a slave.
    pub(crate) fn stuck(&self) -> BTreeMap<String, Wait> {
        lock(&self.stuck).clone()
    }

    /// The same for those that need this.
    pub(crate) fn stuck_for(&self, needs: &str) -> Option<Wait> {
        lock(&self.stuck).get(needs).cloned()
    }

    /// Whoever says why builds wait is woken when that is another reason now. `needs` says what a build needs of a slave.
    pub(crate) fn set_waits(&self, waits: HashMap<BuildId, Wait>, needs: impl Fn(BuildId) -> Option<String>) {
        let stuck = waits.iter().filter(|(_, wait)| !wait.passes_by_itself());
        *lock(&self.stuck) = stuck.filter_map(|(id, wait)| Some((needs(*id)?, wait.clone()))).collect();
        let kinds = |all: &HashMap<BuildId, Wait>| -> BTreeMap<BuildId, Code> {
            all.iter().map(|(id, wait)| (*id, wait.kind())).collect()
        };
        let mut known = lock(&self.waits);
        let is_news = kinds(&known) != kinds(&waits);
        *known = waits;
        drop(known);
        if is_news {
            self.store.say(Change::of_all(Topic::Build, 0));
        }
    }

    /// The locks' lines. Nobody is woken: whatever changes them is a change of rows, or of why builds wait.
    pub(crate) fn set_lines(&self, lines: Vec<Line>) {
        *lock(&self.lines) = lines;
    }

    /// Who stands in a lock's line, the first first, by the last plan.
    pub(crate) fn line_of(&self, name: &str) -> Vec<BuildId> {
        lock(&self.lines).iter().find(|line| line.lock == name).map(|line| line.builds.clone()).unwrap_or_default()
    }

    /// Builds of a project whose every slave has left, by the last plan.
    pub(crate) fn stranded(&self, project: ProjectId) -> Vec<Stranded> {
        lock(&self.stranded).iter().filter(|it| it.project == project).cloned().collect()
    }

    /// Whether it was told of these.
    pub(crate) fn was_told(&self, it: &Stranded) -> bool {
        lock(&self.told).contains(&(it.project, it.labels.clone()))
    }

    pub(crate) fn tell(&self, it: &Stranded) {
        lock(&self.told).insert((it.project, it.labels.clone()));
    }

    /// Of those that are stranded no more it is told again when they are the next time.
    pub(crate) fn keep_told(&self, all: &[Stranded]) {
        lock(&self.told)
            .retain(|(project, labels)| all.iter().any(|it| it.project == *project && it.labels == *labels));
    }

    pub(crate) fn set_stranded(&self, stranded: Vec<Stranded>) {
        *lock(&self.stranded) = stranded;
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
            limits: self.config.limits.into(),
            silence: self.config.times.silence(),
            shutdown: self.shutdown.clone(),
        }
    }
}
