//! What all handlers are given: the master, its pages, and what stands before them.

use super::doors::Doors;
use super::health::Health;
use super::hosts::Hosts;
use crate::pages::Pages;
use crate::state::Shared;
use axum::extract::FromRef;
use std::sync::Arc;

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Face {
    pub(super) shared: Arc<Shared>,
    pub(super) pages: Arc<Pages>,
    pub(super) doors: Arc<Doors>,
    pub(super) hosts: Arc<Hosts>,
    health: Arc<Health>,
}

impl Face {
    pub(super) fn new(shared: Arc<Shared>, pages: Pages) -> Self {
        Self {
            doors: Arc::new(Doors::new(&shared.config.clients)),
            hosts: Arc::new(Hosts::new(&shared.config, &shared.url)),
            health: Arc::default(),
            pages: Arc::new(pages),
            shared,
        }
    }
}

impl FromRef<Face> for Arc<Shared> {
    fn from_ref(face: &Face) -> Self {
        face.shared.clone()
    }
}

impl FromRef<Face> for Arc<Health> {
    fn from_ref(face: &Face) -> Self {
        face.health.clone()
    }
}
