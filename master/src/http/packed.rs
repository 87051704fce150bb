//! What is sent compressed: text that is there whole. What grows while it is sent, as a followed log or a stream of events,
//! would be held back until enough of it came together.

use axum::body::HttpBody;
use axum::http::{Response, header};
use tower_http::compression::{CompressionLayer, CompressionLevel, Predicate};

/// What is smaller fits into a packet or two as it is.
const SMALLEST: u64 = 1 << 10;

/// Compresses answers for those who can read it.
pub(super) fn layer() -> CompressionLayer<WholeText> {
    CompressionLayer::new().gzip(true).quality(CompressionLevel::Fastest).compress_when(WholeText)
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct WholeText;

impl Predicate for WholeText {
    fn should_compress<B: HttpBody>(&self, answer: &Response<B>) -> bool {
        let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_text = ["text/html", "text/css", "text/javascript", "application/json", "application/problem+json"]
            .iter()
            .any(|text| kind.starts_with(text))
            || kind.starts_with("image/svg");
        is_text && answer.body().size_hint().exact().is_some_and(|size| size >= SMALLEST)
    }
}
