//! Ranges of bytes (RFC 9110, section 14): which are asked for, and how an answer says which it has.

use crate::refused::Refused;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use headers::{AcceptRanges, ContentLength, ContentRange, HeaderMapExt as _, Range};
use std::ops::Bound;

/// Which bytes of a text or file of `len` a range asks for.
#[derive(Debug)]
pub(super) enum Ranged {
    /// All, as for whoever asks for several ranges at once, or for what is no range: that may be answered so.
    Whole,
    Part {
        bytes: std::ops::Range<u64>,
        len: u64,
    },
    /// None that are there.
    Nowhere {
        len: u64,
    },
}

impl Ranged {
    /// An answer that says which bytes it has.
    pub(super) fn said_in(self, mut answer: Response) -> Response {
        answer.headers_mut().typed_insert(AcceptRanges::bytes());
        if let Self::Part { bytes, len } = self
            && let Ok(said) = ContentRange::bytes(bytes.clone(), len)
        {
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            answer.headers_mut().typed_insert(said);
            answer.headers_mut().typed_insert(ContentLength(bytes.end - bytes.start));
        }
        answer
    }
}

/// Which of `len` bytes are asked for.
pub(super) fn within(asked: &Range, len: u64) -> Ranged {
    let of = |len| asked.satisfiable_ranges(len).collect::<Vec<_>>();
    let [(Bound::Included(first), last)] = of(u64::MAX)[..] else { return Ranged::Whole };
    // What begins elsewhere in a text of another length is counted from its end.
    let from_end = of(u64::MAX - 1).first() != Some(&(Bound::Included(first), last));
    let bytes = match last {
        Bound::Included(last) if last < first => return Ranged::Whole,
        Bound::Included(last) => first..last.saturating_add(1).min(len),
        _ if from_end => len.saturating_sub(u64::MAX - first)..len,
        _ => first..len,
    };
    if bytes.is_empty() { Ranged::Nowhere { len } } else { Ranged::Part { bytes, len } }
}

/// The answer to who asks for none that `what` has.
pub(super) fn nowhere(what: &str, len: u64) -> Response {
    let detail = format!("the {what} has {len} bytes, and none of those are asked for");
    let refused = Refused::new(416, "range", detail, "ask for a range that begins before its end");
    let mut answer = refused.into_response();
    answer.headers_mut().typed_insert(ContentRange::unsatisfied_bytes(len));
    answer
}
