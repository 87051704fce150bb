//! What git says when it can't get to a repository, read for what it means. Its words are English: `LC_ALL` is ours.

use super::PollError;
use crate::git::RunError;
use crate::git::told::bare;
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
    let line_with = |words: &[&str]| stderr.lines().find(|line| words.iter().any(|word| line.contains(word)));
    let said = |words: &[&str]| line_with(words).is_some();
    let url = || url.to_owned();
    // The line that tells it: git's last ones are advice. Some of it may be the other side's.
    let why = |line: &str| shortened(bare(line), 300);
    if said(&[
        "could not read Username",
        "could not read Password",
        "Authentication failed",
        "error: 401",
        "error: 403",
        "Permission denied (",
        "Too many authentication failures",
    ]) {
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
    let away = [
        "Operation too slow",
        "timed out",
        "Timeout was reached",
        "Could not resolve",
        "Failed to connect",
        "Couldn't connect",
        "unable to connect",
        "Connection refused",
        "Connection reset",
        "Network is unreachable",
        "No route to host",
        "error: 5",
        "the remote end hung up",
        "early EOF",
        "SSL",
        "certificate",
    ];
    if let Some(line) = line_with(&away) {
        return Some(PollError::Unreachable { url: url(), why: why(line) });
    }
    if said(&[
        "does not appear to be a git repository",
        "not found",
        "error: 404",
        "access denied or repository not exported",
    ]) {
        return Some(PollError::NotFound { url: url() });
    }
    let strange =
        ["protocol error", "bad line length", "invalid advertisement", "not valid: is this a git repository?"];
    line_with(&strange).map(|line| PollError::NotARepository { url: url(), why: why(line) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn of_several_lines_the_one_that_tells_why_is_said() {
        let advice = "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n";
        for (line, why) in [
            (
                "ssh: connect to host x port 22: Connection refused",
                "ssh: connect to host x port 22: Connection refused",
            ),
            (
                "fatal: unable to access 'https://x/': Could not resolve host: x",
                "unable to access 'https://x/': Could not resolve host: x",
            ),
        ] {
            let told = understood("ssh://x/r", &format!("{line}\r\n{advice}")).unwrap().to_string();
            assert_eq!(told, format!("ssh://x/r can't be reached: {why}"));
        }
        let told =
            understood("git://x/r", "fatal: protocol error: bad line length character: HTTP\nhint: more\n").unwrap();
        assert_eq!(
            told.to_string(),
            "git://x/r answers, but not as a git repository does: protocol error: bad line length character: HTTP"
        );
    }
}
