//! Words for people: times, durations, sizes, counts and looks, as every page says them.

use protocol::api::{Look, WouldLand};
use protocol::{CommitId, UnixMs};
use serde::Serialize;

/// A time: how long ago in the text, the exact one in `datetime` and `title`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct When {
    iso: String,
    exact: String,
    ago: String,
}

impl When {
    /// `at`, as it is said at `now`.
    pub(super) fn new(at: UnixMs, now: UnixMs) -> Self {
        let stamp = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        Self {
            iso: stamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            exact: stamp.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            ago: relative(now.0.saturating_sub(at.0)),
        }
    }
}

impl When {
    /// For how long something waits at `now`, since `at`.
    pub(super) fn waiting(at: UnixMs, now: UnixMs) -> Self {
        Self { ago: span(now.0.saturating_sub(at.0).max(0) / 1000), ..Self::new(at, now) }
    }
}

fn relative(ms: i64) -> String {
    let seconds = ms / 1000;
    match seconds {
        ..=-5 => format!("in {}", span(seconds.saturating_neg())),
        -4..5 => "now".to_owned(),
        _ => format!("{} ago", span(seconds)),
    }
}

/// A length of time in its largest unit.
fn span(seconds: i64) -> String {
    let (n, unit) = match seconds {
        ..60 => (seconds, "s"),
        60..3600 => (seconds / 60, "min"),
        3600..86_400 => (seconds / 3600, "h"),
        86_400..172_800 => return "1 day".to_owned(),
        _ => (seconds / 86_400, "days"),
    };
    format!("{n} {unit}")
}

/// How long something ran: `0.42 s`, `8 s`, `4:51`, `1:02:09`.
pub(super) fn duration(ms: i64) -> String {
    let ms = ms.max(0);
    let s = ms / 1000;
    match s {
        0 => format!("0.{:02} s", ms / 10),
        1..10 => format!("{}.{} s", s, ms % 1000 / 100),
        10..60 => format!("{s} s"),
        60..3600 => format!("{}:{:02}", s / 60, s % 60),
        _ => format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60),
    }
}

/// The time between two moments, as [`duration`] says it.
pub(super) fn between(from: Option<UnixMs>, to: Option<UnixMs>) -> Option<String> {
    Some(duration(to?.0.saturating_sub(from?.0)))
}

/// A number of bytes: `96 kB`.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} bytes"),
        1000..1_000_000 => format!("{} kB", bytes / 1000),
        1_000_000..10_000_000 => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// `1 commit`, `5 commits`, `no commits`.
pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    match n {
        0 => format!("no {many}"),
        1 => format!("1 {one}"),
        n => format!("{n} {many}"),
    }
}

/// A number as people read it: `95,002`.
pub(super) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many branches: `none`, `1 branch`.
pub(super) fn of_branches(n: usize) -> String {
    if n == 0 { "none".to_owned() } else { count(n, "branch", "branches") }
}

/// A look's word: its class and the name of its glyph.
pub(super) const fn look(look: Look) -> &'static str {
    match look {
        Look::Passed => "passed",
        Look::Failed => "failed",
        Look::Warnings => "warnings",
        Look::Running => "running",
        Look::Waiting => "waiting",
        Look::Exception => "exception",
        Look::Skipped => "skipped",
        Look::Cancelled => "cancelled",
        Look::Conflict => "conflict",
        Look::Accepted => "accepted",
        Look::Landed => "landed",
        Look::Retired => "retired",
    }
}

/// The answer to whether it would land.
pub(super) const fn would(would: WouldLand) -> &'static str {
    match would {
        WouldLand::Yes => "yes",
        WouldLand::No => "no",
        WouldLand::NotYet => "not yet",
        WouldLand::NotKnownYet => "not known yet",
    }
}

/// A text with a capital first letter.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// A commit: whole, and short for reading.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Commit {
    full: String,
    short: String,
}

impl From<&CommitId> for Commit {
    fn from(id: &CommitId) -> Self {
        Self { full: id.as_str().to_owned(), short: id.short().to_owned() }
    }
}

/// A text that links where it safely can.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Link {
    text: String,
    href: Option<String>,
}

impl Link {
    /// `text`, linked to `target` if that is an http or https URL.
    pub(super) fn new(text: &str, target: &str) -> Self {
        Self { text: text.to_owned(), href: web(target) }
    }

    /// A reference to a bug: a link if it is a URL, of which only the end is shown.
    pub(super) fn bug(reference: &str) -> Self {
        let href = web(reference);
        let text = match &href {
            Some(url) => url.trim_end_matches('/').rsplit('/').next().filter(|t| !t.is_empty()).unwrap_or(reference),
            None => reference,
        };
        Self { text: text.to_owned(), href }
    }
}

/// The URL in its normal form, if a browser may be sent there.
fn web(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    let safe = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    safe.then(|| url.to_string())
}

/// A line of facts.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Fact {
    label: &'static str,
    text: String,
}

impl Fact {
    pub(super) fn new(label: &'static str, text: impl Into<String>) -> Self {
        Self { label, text: text.into() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_and_sizes_read_as_people_say_them() {
        assert_eq!(relative(3_000), "now");
        assert_eq!(relative(40_000), "40 s ago");
        assert_eq!(relative(-50_000), "in 50 s");
        assert_eq!(relative(90_000_000), "1 day ago");
        assert!(relative(i64::MIN).starts_with("in "), "no time is too far away to be said");
        assert_eq!(duration(42), "0.04 s");
        assert_eq!(duration(1_400), "1.4 s");
        assert_eq!(duration(291_000), "4:51");
        assert_eq!(duration(3_729_000), "1:02:09");
        assert_eq!(size(12), "12 bytes");
        assert_eq!(size(4_250_000), "4.2 MB");
        assert_eq!(count(1, "commit", "commits"), "1 commit");
        assert_eq!([1, 999, 1000, 95_002, 1_234_567].map(thousands), ["1", "999", "1,000", "95,002", "1,234,567"]);
        assert_eq!(When::new(UnixMs(0), UnixMs(0)).exact, "1970-01-01 00:00:00 UTC");
    }

    #[test]
    fn only_web_addresses_become_links() {
        for text in ["javascript:alert(1)", "data:text/html,x", "//evil.example", "HERON-412", "https://u:p@h.example/"]
        {
            assert_eq!(Link::new("x", text).href, None, "{text}");
        }
        let bug = Link::bug("https://bugs.example/412");
        assert_eq!((bug.text.as_str(), bug.href.as_deref()), ("412", Some("https://bugs.example/412")));
    }
}
