//! What git says when it can't get to a repository, read for what it means. Its words are English: `LC_ALL` is ours.

use super::PollError;
use crate::git::RunError;
use crate::source::SourceUrl;
use crate::text::shortened;

/// What a failed run of `ls-remote` or `fetch` means.
pub(crate) fn from_run(url: &SourceUrl, error: RunError) -> PollError {
    let named = url.to_string();
    match error {
        RunError::TimedOut { after, .. } => PollError::NoAnswer { url: named, after },
        RunError::TooMuchOutput { limit, .. } => PollError::AnswerTooLong { url: named, limit },
        RunError::Failed { ref stderr, .. } => match understood(&named, stderr) {
            Some(understood) => understood,
            None => PollError::Git { url: named, source: error },
        },
        source => PollError::Git { url: named, source },
    }
}

/// What git's words mean, if they are known ones.
pub(crate) fn understood(url: &str, stderr: &str) -> Option<PollError> {
    let said = |words: &[&str]| words.iter().any(|word| stderr.contains(word));
    let url = || url.to_owned();
    // Some of it may be the other side's.
    let why = || shortened(stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim(), 300);
    if said(&[
        "could not read Username",
        "could not read Password",
        "Authentication failed",
        "error: 401",
        "error: 403",
    ]) || said(&["Permission denied (", "Too many authentication failures"])
    {
        return Some(PollError::NeedsPassword { url: url() });
    }
    if said(&["Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED"]) {
        return Some(PollError::HostKey { url: url() });
    }
    if said(&["dubious ownership", "unsafe repository"]) {
        return Some(PollError::OtherOwner { url: url() });
    }
    if said(&["unable to update url base from redirection", "redirects are not allowed", "error: 301", "error: 302"]) {
        return Some(PollError::RedirectRefused {
            url: url(),
            to: "another place".into(),
            why: "git met it while it fetched".into(),
        });
    }
    if said(&["Operation too slow", "timed out", "Timeout was reached"]) {
        return Some(PollError::Unreachable { url: url(), why: why() });
    }
    if said(&["Could not resolve", "Failed to connect", "Couldn't connect", "unable to connect", "Connection refused"])
        || said(&[
            "Connection reset",
            "Network is unreachable",
            "No route to host",
            "error: 5",
            "the remote end hung up",
        ])
        || said(&["early EOF", "SSL", "certificate"])
    {
        return Some(PollError::Unreachable { url: url(), why: why() });
    }
    if said(&[
        "does not appear to be a git repository",
        "not found",
        "error: 404",
        "access denied or repository not exported",
    ]) {
        return Some(PollError::NotFound { url: url() });
    }
    if said(&["protocol error", "bad line length", "invalid advertisement", "not valid: is this a git repository?"]) {
        return Some(PollError::NotARepository { url: url(), why: why() });
    }
    None
}
