//! From a basedir to a running master, and its orderly end.

use crate::assemble::assemble;
use crate::basedir::{Basedir, Lock};
use crate::config::Config;
use crate::error::StartError;
use crate::pages::Pages;
use crate::points::Points;
use crate::project::recipes;
use crate::read::{Moment, ReadError};
use crate::state::Shared;
use crate::store::{Interest, Store, TokenKind, Topic};
use crate::{actions, http, read, reconcile, sole};
use protocol::api::Project;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracker::git::Git;
use tracker::mirror::MirrorError;

/// Makes a basedir: settings, store, and the first maintainer's token, which is returned and stands, readable by its
/// owner only, in `secrets/maintainer.token`.
///
/// # Errors
/// When there is a master already, the settings are not as expected, or something can't be written.
pub async fn create(root: &Path, settings: &str, maintainer: &str) -> Result<String, StartError> {
    let basedir = Basedir::new(root);
    let config = Config::parse(settings, &basedir.config())?;
    basedir.create()?;
    let url = Store::url(config.store.as_deref(), basedir.root());
    let store = Store::open(&url).await?;
    if let Some(other) = sole::at_work(&store, &url).await? {
        return Err(StartError::SecondMaster(other.says));
    }
    let made = actions::make_token(&store, TokenKind::Maintainer, maintainer, true).await;
    let (_, secret) = made.map_err(|refused| StartError::Other(refused.0.detail))?;
    store.close().await;
    basedir.write_secret(&basedir.maintainer_token(), &format!("{secret}\n"))?;
    // Written last: a folder with settings is a whole basedir.
    basedir.write_config(settings)?;
    Ok(secret)
}

/// A master that runs.
#[derive(Debug)]
pub struct Running {
    pub(crate) shared: Arc<Shared>,
    address: SocketAddr,
    git: Git,
    tasks: JoinSet<()>,
    _lock: Lock,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL under which others reach it.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Its store.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// The git that it uses.
    pub fn git(&self) -> &Git {
        &self.git
    }

    async fn projects(&self) -> Result<Vec<Project>, StartError> {
        let other = |error: ReadError| StartError::Other(error.to_string());
        let at = Moment::now(&self.shared).await.map_err(other)?;
        read::projects(&at).await.map_err(other)
    }

    /// What is wrong with the guarded mainlines at the moment, for people. From the store and this process alone: whoever
    /// watches his own master doesn't go through its door.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn troubles(&self) -> Result<Vec<String>, StartError> {
        let projects = self.projects().await?;
        Ok(projects.into_iter().filter_map(|project| project.trouble).collect())
    }

    /// What deserves a look of the recipes of the guarded mainlines, a line each.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn recipe_warnings(&self) -> Result<Vec<String>, StartError> {
        let projects = self.projects().await?;
        Ok(projects.into_iter().flat_map(|project| project.warnings).collect())
    }

    /// Waits until the first project's mainline was looked at; if its recipe was guessed, from what, and the `.bb.toml`
    /// that makes it explicit. None also when mainline can't be read at the moment, which [`Running::troubles`] tells.
    ///
    /// # Errors
    /// When the store or the mirror fails.
    pub async fn guessed_recipe(&self) -> Result<Option<(String, String)>, StartError> {
        let Some(project) = self.shared.projects.first() else { return Ok(None) };
        let changes = self.shared.store.listen(Interest::of(project.id, [Topic::Mainline]));
        loop {
            changes.heard();
            let row = self.shared.store.project_by_id(project.id).await?;
            if row.trouble.is_some() {
                return Ok(None);
            }
            if let Some(tip) = row.tip {
                let failed = |e: MirrorError| StartError::Mirror { project: project.name.clone(), source: e };
                if project.mirror.recipe_at(&tip).await.map_err(failed)?.is_some() {
                    return Ok(None);
                }
                return Ok(recipes::guess(project, &tip).await.map_err(failed)?.map(|g| (g.why, g.toml)));
            }
            tokio::select! {
                () = changes.changed() => {}
                () = self.shared.shutdown.cancelled() => return Ok(None),
            }
        }
    }

    /// Makes a token, as `bb up` does for its own slave.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn make_token(&self, kind: TokenKind, name: &str) -> Result<String, StartError> {
        let made = actions::make_token(&self.shared.store, kind, name, false).await;
        made.map(|(_, secret)| secret).map_err(|refused| StartError::Other(refused.0.detail))
    }

    /// Waits until the master is told to end, then ends it.
    pub async fn wait(self) {
        self.shared.shutdown.cancelled().await;
        self.stop().await;
    }

    /// Ends it: nothing new is begun, answers under way are given, the store is closed. Builds go on at the slaves.
    pub async fn stop(mut self) {
        self.shared.shutdown.cancel();
        while self.tasks.join_next().await.is_some() {}
        for project in &self.shared.projects {
            if let Some(claim) = project.claim() {
                let _ = self.shared.store.release_project(claim).await;
            }
        }
        let _ = self.shared.store.give_back(&self.shared.me.owner).await;
        let _ = std::fs::remove_file(self.shared.basedir.address());
        self.shared.store.close().await;
    }
}

/// Starts a master on its basedir. `listen` goes before what its settings say.
///
/// # Errors
/// When another master runs there, the settings or the store can't be used, git is too old, or the port is taken.
pub async fn start(
    root: &Path,
    listen: Option<SocketAddr>,
    shutdown: CancellationToken,
) -> Result<Running, StartError> {
    start_with(root, listen, shutdown, Points::default(), true).await
}

pub(crate) async fn start_with(
    root: &Path,
    listen: Option<SocketAddr>,
    shutdown: CancellationToken,
    points: Points,
    loops: bool,
) -> Result<Running, StartError> {
    let basedir = Basedir::new(root);
    let lock = basedir.lock()?;
    let mut config = Config::read(basedir.root())?;
    if let Some(listen) = listen {
        config.listen = listen;
    }
    let git = Git::find(config.git.as_deref())?;
    let store_url = Store::url(config.store.as_deref(), basedir.root());
    let store = Store::open(&store_url).await?.with_points(points);
    let me = sole::me(basedir.root(), &store_url)?;
    sole::take(&store, &me, &lock, &shutdown).await?;
    let store = store.for_master(me.owner.as_str().into());
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|source| StartError::Listen { address: config.listen, source })?;
    let address = listener.local_addr().map_err(|source| StartError::Listen { address: config.listen, source })?;
    let url =
        config.url.as_deref().map_or_else(|| format!("http://{address}"), |url| url.trim_end_matches('/').to_owned());

    let pages = Pages::new(config.templates.as_deref()).map_err(|e| StartError::Pages(e.to_string()))?;
    let shared = Arc::new(assemble(config, basedir, git.clone(), store, url, shutdown, me).await?);
    shared.store.no_slave_connected().await?;
    reconcile::claim_all(&shared).await.map_err(|e| StartError::Other(e.to_string()))?;
    let mut tasks = JoinSet::new();
    if loops {
        reconcile::start(&shared, &mut tasks);
    }
    tasks.spawn(http::serve(listener, shared.clone(), pages));
    shared.basedir.write_address(&format!("http://{address}"))?;
    tracing::info!(url = shared.url, projects = shared.projects.len(), "the master is up");
    Ok(Running { shared, address, git, tasks, _lock: lock })
}
