//! The parts of a master, put together and at rest.

use crate::basedir::Basedir;
use crate::config::Config;
use crate::error::StartError;
use crate::project::Guarded;
use crate::state::Shared;
use crate::store::{Master, Store};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tracker::git::Git;
use tracker::mirror::Mirror;
use tracker::source::{Scheme, SourcePolicy};
use tracker::watch::{PollLimits, Poller};

/// All of them.
pub(crate) async fn assemble(
    config: Config,
    basedir: Basedir,
    git: Git,
    store: Store,
    url: String,
    shutdown: CancellationToken,
    me: Master,
) -> Result<Shared, StartError> {
    let policy = policy(&config)?;
    let poller = Poller::new(git.clone(), policy.clone(), PollLimits::default())
        .map_err(|e| StartError::Other(format!("no client for HTTP: {e}")))?;
    let mut projects = Vec::with_capacity(config.projects.len());
    for project in &config.projects {
        let row = store.ensure_project(&project.name, &project.repository, &project.mainline).await?;
        let path = basedir.mirrors().join(format!("{}.git", project.name));
        let mirror = Mirror::open_or_create(git.clone(), &path)
            .await
            .map_err(|source| StartError::Mirror { project: project.name.clone(), source })?;
        projects.push(Arc::new(Guarded::new(row.id, project.clone(), basedir.root(), mirror)));
    }
    Ok(Shared::new(config, basedir, store, poller, policy, projects, url, shutdown, me))
}

fn policy(config: &Config) -> Result<SourcePolicy, StartError> {
    let schemes = config.sources.schemes.iter().map(|s| s.parse::<Scheme>().map_err(|_| StartError::Scheme(s.clone())));
    Ok(SourcePolicy {
        schemes: schemes.collect::<Result<_, _>>()?,
        allow_local: config.sources.allow_local.clone(),
        allow_private: config.sources.allow_private.clone(),
    })
}
