//! Why a master can't run.

use crate::basedir::BasedirError;
use crate::config::ConfigError;
use crate::store::StoreError;
use std::net::SocketAddr;
use tracker::git::GitNotUsable;
use tracker::mirror::MirrorError;

/// Why a master can't be made or started.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says itself")]
pub enum StartError {
    #[error(transparent)]
    Basedir(#[from] BasedirError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Git(#[from] GitNotUsable),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("nothing can listen at {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("the mirror of project {project}: {source}")]
    Mirror { project: protocol::ProjectName, source: MirrorError },
    #[error("`schemes` in master.toml: `{0}` is none that bb can fetch by")]
    Scheme(String),
    #[error("another master works on this store: {0}")]
    SecondMaster(String),
    #[error("the pages can't be made: {0}")]
    Pages(String),
    #[error("{0}")]
    Other(String),
}

impl StartError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Basedir(BasedirError::Exists(_)) => "run it with `bb master run`, or choose another folder".to_owned(),
            Self::Basedir(BasedirError::Missing(_)) => "make one with `bb master create BASEDIR`".to_owned(),
            Self::Basedir(BasedirError::Locked(_)) => "stop that one first; a basedir is for one master".to_owned(),
            Self::SecondMaster(_) => {
                "a store is for one master: stop that one first, or give this one a store of its own (`store` in master.toml)".to_owned()
            }
            Self::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
                "another program has this port: stop it, or choose another with --listen (127.0.0.1:0 takes any that is free)".to_owned()
            }
            Self::Git(error) => tracker::Explain::hint(error).into(),
            Self::Mirror { source, .. } => tracker::Explain::hint(source).into(),
            Self::Store(StoreError::Newer { .. }) => "run that bb, or restore a backup made before the upgrade".to_owned(),
            Self::Scheme(_) => "use https, http, git and ssh".to_owned(),
            _ => String::new(),
        }
    }
}
