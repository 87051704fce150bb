//! An answer's body that holds what it needs until it has been sent.

use axum::body::{Body, HttpBody};
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::Sleep;

/// An answer's body, and what is let go of when it has been sent, or will not be.
#[derive(Debug)]
pub struct Held<T> {
    body: Body,
    /// When it is cut, however well it goes: its reader can ask again.
    ends: Option<Pin<Box<Sleep>>>,
    _held: T,
}

impl<T> Held<T> {
    /// One that is cut when `ends` is over.
    pub fn until(body: Body, ends: Option<Pin<Box<Sleep>>>, held: T) -> Self {
        Self { body, ends, _held: held }
    }

    /// One that takes as long as it takes.
    pub fn new(body: Body, held: T) -> Self {
        Self { body, ends: None, _held: held }
    }
}

impl<T: Unpin> HttpBody for Held<T> {
    type Data = axum::body::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.ends.as_mut().is_some_and(|ends| ends.as_mut().poll(context).is_ready()) {
            return Poll::Ready(Some(Err(axum::Error::new("the stream was open for as long as one may be"))));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
