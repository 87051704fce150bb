//! Where a candidate's files come from.

use crate::config::Token;
use crate::work::make_folder;
use protocol::ProjectName;
use protocol::wire::Assignment;
use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tracker::checkout::{CheckoutError, CheckoutLimits, Place, WorkMirror};
use tracker::git::Git;

/// A future that owns or borrows what it needs.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Puts a candidate's files into a work folder: git in earnest, files in a test.
pub trait Source: Send + Sync + 'static {
    /// Fills the place, whose folders are there and empty, with the files of the assignment's commit, which the master has
    /// at `url`. The token is for there,
    /// for a master that knows this slave. When the future is dropped, everything that it started ends.
    ///
    /// The text is for the log of step 0.
    ///
    /// # Errors
    /// When the files can't be had; nothing in the place is used then.
    fn checkout<'a>(
        &'a self,
        url: &'a str,
        token: Option<&'a Token>,
        assignment: &'a Assignment,
        place: &'a Place,
    ) -> Boxed<'a, Result<String, NoSource>>;
}

/// A candidate's files can't be had.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoSource(pub String);

/// Candidates by git from the master, through one kept mirror for each project below BASEDIR/mirrors: only what is new
/// travels.
#[derive(Debug)]
pub struct GitSource {
    git: Git,
    folder: PathBuf,
    /// Two builds of one project don't fetch at once; there would be nothing to win.
    fetching: std::sync::Mutex<HashMap<ProjectName, Arc<Mutex<()>>>>,
}

/// Pauses before asking a master again that was not there, in seconds.
const PAUSES_S: [u64; 6] = [1, 2, 4, 8, 16, 30];

impl GitSource {
    /// Mirrors are kept below `basedir`.
    pub fn new(git: Git, basedir: &Path) -> Self {
        // git runs in other folders, from where a relative path would lead elsewhere.
        let whole = std::fs::canonicalize(basedir).or_else(|_| std::path::absolute(basedir));
        let basedir = whole.unwrap_or_else(|_| basedir.to_owned());
        Self { git, folder: basedir.join("mirrors"), fetching: std::sync::Mutex::default() }
    }

    async fn get(
        &self,
        url: &str,
        token: Option<&Token>,
        assignment: &Assignment,
        place: &Place,
    ) -> Result<(), CheckoutError> {
        let Assignment { project, git_ref, commit, builder, .. } = assignment;
        let limits = CheckoutLimits::default();
        let turn = {
            let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(fetching.entry(project.clone()).or_default())
        };
        let turn = turn.lock().await;
        // Not for the eyes of builds of other projects.
        let io = |source| CheckoutError::Io { what: format!("making {}", self.folder.display()), source };
        make_folder(&self.folder, 0o700).map_err(io)?;
        let path = self.folder.join(format!("{project}.git"));
        let mirror = WorkMirror::open_or_create(self.git.clone(), &path).await?;
        let mirror = match token {
            Some(token) => mirror.showing(token.expose()),
            None => mirror,
        };
        let mut pauses = PAUSES_S.into_iter();
        while let Err(error) = mirror.fetch(url, git_ref, commit, limits).await {
            match (&error, pauses.next()) {
                (CheckoutError::Unreachable { .. }, Some(seconds)) => {
                    tracing::warn!("{error}; trying again in {seconds} s");
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                }
                _ => return Err(error),
            }
        }
        drop(turn);
        mirror.checkout(commit, place, builder.history, limits).await
    }
}

impl Source for GitSource {
    fn checkout<'a>(
        &'a self,
        url: &'a str,
        token: Option<&'a Token>,
        assignment: &'a Assignment,
        place: &'a Place,
    ) -> Boxed<'a, Result<String, NoSource>> {
        Box::pin(async move {
            self.get(url, token, assignment, place).await.map_err(|error| {
                let hint = tracker::Explain::hint(&error);
                NoSource(format!("{error}\n{hint}"))
            })?;
            Ok(format!("commit {} of {} from {url}\n", assignment.commit, assignment.git_ref))
        })
    }
}
