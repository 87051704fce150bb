//! Who asks: a bearer's token, or a browser's session; and whether a browser's form is our own.

use super::face::Face;
use crate::auth::{self, Actor};
use crate::refused::Refused;
use crate::state::Shared;
use crate::store::{TokenRow, now};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use protocol::UnixMs;
use std::sync::Arc;

/// The cookie's name.
pub(super) const COOKIE: &str = "bb-session";
/// A session ends after this long without use, and after this long in any case.
const IDLE_MS: i64 = 12 * 3_600_000;
const WHOLE_MS: i64 = 7 * 24 * 3_600_000;

/// Whoever sent a request.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) actor: Actor,
    /// The session's secret, for those who came by a cookie.
    pub(crate) session: Option<String>,
}

/// Whoever shows a token with this request, once that was looked up. Of a cookie nothing is kept: it does not count for all.
#[derive(Clone, Debug)]
struct Shown(Who);

impl Who {
    /// Has the request say so, too, so that nobody looks it up again.
    pub(super) fn keep(&self, request: &mut Request) {
        if self.session.is_none() && self.actor.token().is_some() {
            request.extensions_mut().insert(Shown(self.clone()));
        }
    }

    /// The word that forms of this session carry, so that no other site can send them.
    pub(crate) fn csrf(&self) -> String {
        self.session.as_deref().map(|secret| auth::hash(&format!("csrf {secret}"))).unwrap_or_default()
    }
}

/// The token of `Authorization: Bearer`, or why there is none.
pub(super) async fn bearer(shared: &Shared, headers: &HeaderMap) -> Result<Option<TokenRow>, Refused> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let Some(secret) = text.strip_prefix("Bearer ").map(str::trim) else {
        return Err(Refused::new(401, "token-form", "the Authorization header is not of the form `Bearer TOKEN`", ""));
    };
    match shared.store.token_by_hash(&auth::hash(secret)).await? {
        Some(token) => Ok(Some(token)),
        None => Err(Refused::new(
            401,
            "token-unknown",
            "the token is not known here, or was revoked",
            "check BB_TOKEN or `bb login`; a maintainer makes a new one with `bb token new`",
        )),
    }
}

/// Before every request to the API. A token that is not known is refused also where none is needed: whoever shows one
/// should learn that it is no good. And what changes something needs a token: a browser's cookie counts for reading only,
/// because another site could make the browser send it.
pub(super) async fn known(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refused> {
    if request.extensions().get::<Shown>().is_none() {
        bearer(&shared, request.headers()).await?;
    }
    if !request.method().is_safe() {
        request.headers_mut().remove(header::COOKIE);
    }
    Ok(next.run(request).await)
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(header::COOKIE);
    all.iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value.to_owned())
}

impl FromRequestParts<Face> for Who {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, face: &Face) -> Result<Self, Refused> {
        match parts.extensions.get() {
            Some(Shown(who)) => Ok(who.clone()),
            None => Self::of(&face.shared, &parts.headers).await,
        }
    }
}

impl Who {
    /// Whoever sent these headers.
    pub(super) async fn of(shared: &Shared, headers: &HeaderMap) -> Result<Self, Refused> {
        // A bearer's token stands alone: cookies of the same request count for nothing.
        if let Some(token) = bearer(shared, headers).await? {
            return Ok(Self { actor: token.into(), session: None });
        }
        if let Some(secret) = cookie(headers) {
            let now = now().0;
            let (oldest, idle) = (UnixMs(now - WHOLE_MS), UnixMs(now - IDLE_MS));
            if let Some(token) = shared.store.session(&auth::hash(&secret), oldest, idle).await? {
                return Ok(Self { actor: token.into(), session: Some(secret) });
            }
        }
        Ok(Self { actor: Actor::Anonymous, session: None })
    }
}

/// Refuses a form that another site made a browser send.
pub(super) fn own_form(who: &Who, headers: &HeaderMap, csrf: &str) -> Result<(), Refused> {
    let foreign = || {
        Refused::new(
            403,
            "foreign-form",
            "this form was not sent from a page of this master",
            "open the page again and send it from there",
        )
    };
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    if text("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(foreign());
    }
    // Also of whoever is signed in: what a page hides may be guessed by how long it is when it is sent compressed.
    if let (Some(origin), Some(host)) = (text("origin"), text("host"))
        && origin.split_once("://").is_none_or(|(_, at)| at != host)
    {
        return Err(foreign());
    }
    let own = who.csrf();
    let same = subtle::ConstantTimeEq::ct_eq(own.as_bytes(), csrf.as_bytes());
    if who.session.is_none() || bool::from(same) { Ok(()) } else { Err(foreign()) }
}
