//! A slave's connection, before it is one.

use super::face::Face;
use super::who;
use crate::auth::{Action, Actor, can};
use crate::refused::Refused;
use crate::slaves;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::Response;
use protocol::wire::{MAX_CHUNK, MAX_TEXT};

/// `GET /api/v1/slave`: becomes one by WebSocket.
pub(super) async fn connect(
    State(face): State<Face>,
    headers: axum::http::HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refused> {
    let shared = &face.shared;
    let token = who::bearer(shared, &headers).await?;
    let allowed = token.clone().map(Actor::from).is_some_and(|actor| can(&actor, Action::BeSlave));
    let Some(token) = token.filter(|_| allowed) else {
        return Err(Refused::new(
            401,
            "token-needed",
            "a slave's token is needed here",
            "a maintainer makes one with `bb token new slave NAME`",
        ));
    };
    let upgrade = upgrade.map_err(|e| {
        Refused::new(
            e.status().as_u16(),
            "no-websocket",
            e.body_text(),
            "slaves speak here, by WebSocket: see `bb slave`",
        )
    })?;
    let place = face.doors.enter_slave(token.id)?;
    let parts = shared.slave_parts();
    let upgrade =
        upgrade.max_message_size(MAX_TEXT.max(MAX_CHUNK + 1024)).max_frame_size(MAX_TEXT.max(MAX_CHUNK + 1024));
    Ok(upgrade.on_upgrade(async move |socket| {
        slaves::serve(socket, token, parts).await;
        drop(place);
    }))
}
