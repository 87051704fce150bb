//! The pages' handlers.
use crate::actions::Refused;
use crate::state::Shared;
use axum::Router;
use std::sync::Arc;
pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
}
pub(super) async fn nothing() -> Refused {
    Refused::new(404, "no-such-page", "there is nothing at this path", "")
}
