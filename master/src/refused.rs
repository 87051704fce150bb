//! The answer to what can't be done: in words, for whoever asked.

use crate::store::StoreError;
use protocol::api::Problem;
use tracker::Explain;

/// Why something was not done; the problem is for whoever asked.
#[derive(Clone, Debug)]
pub(crate) struct Refused(pub(crate) Box<Problem>);

impl Refused {
    pub(crate) fn new(status: u16, code: &str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        let title = match status {
            400 => "The request can't be understood",
            401 => "Who is asking is not known",
            403 => "Not allowed",
            404 => "Not here",
            405 => "Not by this method",
            413 => "Too much",
            415 | 426 => "Not in this form",
            409 => "Not possible as things stand",
            421 => "Not known by this name",
            422 => "Refused",
            429 => "Too often, or too many at once",
            503 => "Not able to at the moment",
            _ => "Something went wrong here",
        };
        // Whatever somebody sent may hold a password, wherever it belongs: nobody is told it, and no log.
        let hint = Some(tracker::source::without_secrets(&hint.into())).filter(|h| !h.is_empty());
        Self(Box::new(Problem {
            kind: "about:blank".to_owned(),
            title: title.to_owned(),
            status,
            detail: tracker::source::without_secrets(&detail.into()),
            code: code.to_owned(),
            hint,
            retry_after_s: None,
        }))
    }

    /// The same, which may be asked for again after so many seconds.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Refuses whoever's token was revoked after it was shown.
    pub(crate) fn revoked() -> Self {
        Self::new(401, "token-revoked", "the token was revoked", "ask a maintainer for another one")
    }

    /// What the tracker refuses, in its words.
    pub(crate) fn explained(error: &impl Explain) -> Self {
        Self::new(422, error.code(), error.to_string(), error.hint())
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Revoked) {
            return Self::revoked();
        }
        tracing::error!(%error, "the store failed");
        if error.is_disk_full() {
            return Self::new(
                503,
                "disk-full",
                "this was not stored: the disk of the master's store is full",
                "try again when an admin has made room; the master goes on by itself then",
            );
        }
        Self::new(
            503,
            "store",
            "the master's store does not answer",
            "try again in a moment; an admin finds more in the master's log",
        )
    }
}

/// What came of something that somebody asked for.
pub(crate) type Done<T> = Result<T, Refused>;
