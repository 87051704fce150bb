//! What lets a test take the master's turns one at a time, and stop whoever comes to a named place: so that every order
//! of what happens at once can be played.

pub use crate::points::{Held, Points, Stops};
pub use crate::reconcile::Loop;

use crate::error::StartError;
use crate::project::Guarded;
use crate::reconcile;
use crate::running::{Running, start_with};
use crate::store::Candidate;
use futures_util::FutureExt as _;
use protocol::CommitId;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Starts a master whose places are these stops'. Unless `loops` says so, no loop of it runs of itself: it listens, and
/// everything else is done by [`Running::turn`].
///
/// # Errors
/// As for [`crate::start`].
pub async fn start(
    root: &Path,
    listen: Option<SocketAddr>,
    shutdown: CancellationToken,
    stops: &Arc<Stops>,
    loops: bool,
) -> Result<Running, StartError> {
    start_with(root, listen, shutdown, stops.points(), loops).await
}

impl Running {
    /// One turn of a loop, for each project that it works for; what is dropped before its end was killed there.
    pub fn turn(&self, which: Loop) -> impl Future<Output = Result<(), StartError>> + Send + 'static {
        let shared = self.shared.clone();
        async move { reconcile::turn(&shared, which).await.map_err(|e| StartError::Other(e.to_string())) }
    }

    /// The candidate of an entry of the queue on a commit that is not mainline's: the one below it in a line.
    ///
    /// # Errors
    /// When it can't be made.
    pub async fn stacked(&self, entry: i64, below: &CommitId) -> Result<Option<Candidate>, StartError> {
        let made = async {
            let entry = self.shared.store.entry(entry).await?;
            let project = self.shared.projects.iter().find(|project| project.id == entry.project);
            match project.and_then(|project| Some((project, project.claim()?))) {
                Some((project, claim)) => reconcile::stacked(&self.shared, project, claim, &entry, below).await,
                None => Ok(None),
            }
        };
        made.await.map_err(|e: reconcile::StepError| StartError::Other(e.to_string()))
    }

    /// Whether somebody missed something in a project's mirror since this was asked: the turn of [`Loop::Mend`] would come.
    pub fn mirror_is_wanted(&self) -> bool {
        let wanted = |project: &Guarded| project.mirror_wanted().now_or_never().is_some();
        self.shared.projects.iter().filter(|project| wanted(project)).count() > 0
    }
}
