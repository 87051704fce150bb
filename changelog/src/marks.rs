//! Lines by which formats are told apart.

/// `## [Unreleased]`, `## [1.2.0] - 2024-05-01`, `## v1.2.0 - 2024-05-01`.
pub(crate) fn is_keep_heading(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"## ") else { return false };
    let rest = rest.strip_prefix(b"[").unwrap_or(rest);
    let rest = rest.strip_prefix(b"v").unwrap_or(rest);
    rest.first().is_some_and(u8::is_ascii_digit) || rest.to_ascii_lowercase().starts_with(b"unreleased")
}

/// `name (version) dist; urgency=…`.
pub(crate) fn is_debian_head(line: &[u8]) -> bool {
    let Some(open) = memchr::memmem::find(line, b" (") else { return false };
    let is_name = open > 0 && line[..open].iter().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b));
    is_name && memchr::memmem::find(&line[open..], b"; urgency=").is_some()
}

/// The line below which towncrier writes.
pub(crate) fn is_towncrier_start(line: &[u8]) -> bool {
    memchr::memmem::find(line, b"towncrier release notes start").is_some()
}

/// `* Noteworthy changes in release 1.2 (…)`, `Changes in 1.2:`, `* Installation Changes in 1.2`.
pub(crate) fn is_news_heading(line: &[u8]) -> bool {
    line.starts_with(b"* Noteworthy changes in ")
        || line.starts_with(b"* Changes in ")
        || line.starts_with(b"Changes in ")
        || line.starts_with(b"Changes since ")
        || line.starts_with(b"* Major changes in ")
        || line.starts_with(b"News in ")
        || line.starts_with(b"* ") && memchr::memmem::find(&line[..line.len().min(60)], b" Changes in ").is_some()
}
