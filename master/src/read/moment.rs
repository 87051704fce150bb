//! One moment: all that a value is made of.

use super::ReadError;
use crate::project::{Guarded, lock};
use crate::state::Shared;
use crate::store::{self, Branch, Build, Reader, needs_of};
use crate::terms::Terms;
use gate::schedule::{Lock, Wait};
use protocol::wire::{Limits, StepFile};
use protocol::{BuildId, ProjectId, SlaveId, UnixMs};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex};

/// The rows as they stand at one moment, and the running parts beside them. Whoever makes a value is given this and nothing
/// else, so that no part of it is read a moment later: a page that says that a branch has landed does not say as well that
/// it is in the queue.
///
/// It has one of the store's few connections, so it is not kept while anything else is waited for.
pub(crate) struct Moment<'s> {
    pub(crate) store: Reader,
    shared: &'s Shared,
    projects: Mutex<HashMap<ProjectId, Arc<store::Project>>>,
}

impl<'s> Moment<'s> {
    /// This moment.
    pub(crate) async fn now(shared: &'s Shared) -> Result<Self, ReadError> {
        let store = shared.store.snapshot().await?;
        Ok(Self { store, shared, projects: Mutex::default() })
    }

    /// A project's row.
    pub(super) async fn project(&self, id: ProjectId) -> Result<Arc<store::Project>, ReadError> {
        if let Some(known) = lock(&self.projects).get(&id) {
            return Ok(known.clone());
        }
        let row = Arc::new(self.store.project_by_id(id).await?);
        lock(&self.projects).insert(id, row.clone());
        Ok(row)
    }

    pub(super) fn projects(&self) -> &'s [Arc<Guarded>] {
        &self.shared.projects
    }

    pub(super) fn guarded(&self, id: ProjectId) -> Option<&'s Arc<Guarded>> {
        self.shared.guarded(id)
    }

    /// Why a build waits. What does not pass by itself holds for all that need the same of a slave, as they need it now.
    pub(super) fn wait_of(&self, build: &Build, trusted: bool) -> Option<Wait> {
        let passes = self.shared.wait_of(build.id).filter(Wait::passes_by_itself);
        passes.or_else(|| self.shared.stuck_for(&needs_of(&build.builder, build.isolation, trusted)))
    }

    /// Who stands in a lock's line, the first first, by the last plan.
    pub(super) fn line_of(&self, lock: &str) -> Vec<BuildId> {
        self.shared.line_of(lock)
    }

    /// Why builds can't be given to anybody, by what they need of a slave.
    pub(super) fn stuck(&self) -> BTreeMap<String, Wait> {
        self.shared.stuck()
    }

    pub(super) fn is_kept(&self, build: BuildId) -> bool {
        self.shared.is_kept(build)
    }

    pub(super) fn is_connected(&self, slave: SlaveId) -> bool {
        self.shared.sessions.connected(slave)
    }

    pub(super) fn log_len(&self, build: BuildId, step: u32) -> io::Result<u64> {
        self.shared.logs.len(build, StepFile::Log(step))
    }

    pub(super) fn artifacts_len(&self, build: BuildId, step: u32) -> io::Result<u64> {
        self.shared.logs.len(build, StepFile::Artifacts(step))
    }

    /// Until when files are kept of a build that ended then; none when for ever.
    pub(super) fn artifacts_until(&self, ended: UnixMs) -> Option<UnixMs> {
        self.shared.config.keep.artifacts_until(ended.0).map(UnixMs)
    }

    pub(super) fn locks(&self) -> Vec<Lock> {
        self.shared.config.counted_locks()
    }

    /// How long a build waits for an eager slave before a reluctant one may take it, in milliseconds.
    pub(super) fn reluctant_after_ms(&self) -> i64 {
        let seconds = i64::try_from(self.shared.config.times.reluctant_after_s).unwrap_or(i64::MAX);
        seconds.saturating_mul(1000)
    }

    /// What builds are limited to.
    pub(super) fn limits(&self) -> Limits {
        self.shared.config.limits.into()
    }

    /// The URL under which others reach this master, without a slash at its end.
    pub(super) fn url(&self) -> &'s str {
        &self.shared.url
    }

    pub(super) fn terms_of(&self, project: &Guarded, branch: &Branch) -> Terms {
        Terms::of_now(self.shared, project, branch)
    }
}
