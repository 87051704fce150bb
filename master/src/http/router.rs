//! Which handler answers what, and what every answer says.

use super::face::Face;
use super::{admission, api, extract, git, health, packed, pages, who};
use crate::refused::Refused;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

/// The largest body of a request, in bytes.
const BODY: usize = 64 << 10;

/// What pages may load: nothing but what this master serves.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                   form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// All that the listener answers.
pub(super) fn router(face: &Face) -> Router {
    let header =
        |name: HeaderName, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    Router::new()
        .nest("/api/v1", api::router().layer(middleware::from_fn_with_state(face.shared.clone(), who::known)))
        .nest("/git", git::router())
        .route("/healthz", get(health::health).fallback(extract::wrong_method))
        .merge(pages::router(face))
        .fallback(pages::nothing)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(packed::layer())
        .layer(header(header::CONTENT_SECURITY_POLICY, CSP))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // Nothing is said to others; our own pages must be, because forms are known by their Origin.
        .layer(header(header::REFERRER_POLICY, "same-origin"))
        .layer(header(HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
        .layer(header(HeaderName::from_static("cross-origin-resource-policy"), "same-origin"))
        .layer(header(header::CACHE_CONTROL, "no-store"))
        .layer(middleware::from_fn_with_state(face.clone(), admission::admitted))
        .layer(middleware::from_fn_with_state(face.clone(), admission::known_host))
        .with_state(face.clone())
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Refused::new(500, "internal", "the master failed at this", "an admin finds more in its log").into_response()
}
