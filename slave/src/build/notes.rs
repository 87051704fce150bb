//! What a step publishes by appending lines to `$BB_LINKS` and `$BB_SUMMARY`: a build's own words, so all is bounded.

use crate::work::Slot;
use protocol::wire::{MAX_LINK, MAX_LINKS, MAX_SUMMARY};
use rustix::fs::{Mode, OFlags, open};
use std::fs::{File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub(super) const LINKS: &str = "links";
pub(super) const SUMMARY: &str = "summary";
/// The file that says that the sandbox came up.
pub(super) const STARTED: &str = "started";
/// The variable that names it; a step never sees it.
pub(super) const STARTED_VARIABLE: &str = "BB_STARTED";

/// What a step published.
#[derive(Debug, Default)]
pub(super) struct Noted {
    pub(super) started: bool,
    pub(super) links: Vec<(String, String)>,
    pub(super) summary: String,
}

/// Makes the files empty for the next step.
pub(crate) async fn begin(slot: &Slot) -> io::Result<()> {
    let (folder, user) = (slot.notes(), slot.user().map(u32::from));
    run(move || {
        for name in [LINKS, SUMMARY, STARTED] {
            crate::work::remove_all(&folder.join(name))?;
        }
        for name in [LINKS, SUMMARY] {
            let path = folder.join(name);
            File::create_new(&path)?;
            std::fs::set_permissions(&path, Permissions::from_mode(0o644))?;
            std::os::unix::fs::lchown(&path, user, user)?;
        }
        Ok(())
    })
    .await
}

/// Reads what is there. Only to be called when nothing of the step runs any more.
pub(super) async fn read(slot: &Slot) -> Noted {
    let folder = slot.notes();
    let read = run(move || {
        let text = |name: &str, max: usize| String::from_utf8_lossy(&head(&folder.join(name), max)).into_owned();
        Ok(Noted {
            started: std::fs::symlink_metadata(folder.join(STARTED)).is_ok(),
            links: links(&text(LINKS, MAX_LINKS * MAX_LINK * 2)),
            summary: cut(text(SUMMARY, MAX_SUMMARY).trim_end(), MAX_SUMMARY),
        })
    });
    read.await.unwrap_or_default()
}

async fn run<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// The first bytes of a plain file. A link, a pipe or anything else that a build put there reads as nothing.
fn head(path: &Path, max: usize) -> Vec<u8> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = open(path, flags, Mode::empty()).map(File::from) else { return Vec::new() };
    let mut bytes = Vec::new();
    if file.metadata().is_ok_and(|data| data.is_file()) {
        let _ = file.take(max as u64).read_to_end(&mut bytes);
    }
    bytes
}

/// Links from lines `NAME URL`, where the URL is the last word and `http` or `https`. Other lines are left out.
fn links(text: &str) -> Vec<(String, String)> {
    let link = |line: &str| {
        let (name, url) = line.trim().rsplit_once(char::is_whitespace).unwrap_or(("", line.trim()));
        let fine =
            ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) && url.chars().count() <= MAX_LINK;
        let name = if name.trim().is_empty() { url } else { name.trim() };
        fine.then(|| (cut(name, MAX_LINK), url.to_owned()))
    };
    text.lines().filter_map(link).take(MAX_LINKS).collect()
}

fn cut(text: &str, max: usize) -> String {
    let end = (0..=max.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn links_are_names_and_web_addresses() {
        let text =
            "Coverage report https://example.org/c\nhttp://example.org/bare\njavascript:alert(1)\nx file:///etc\n\n";
        let expected =
            [("Coverage report", "https://example.org/c"), ("http://example.org/bare", "http://example.org/bare")];
        assert_eq!(links(text), expected.map(|(name, url)| (name.to_owned(), url.to_owned())));
    }

    #[test]
    fn a_link_to_a_secret_reads_as_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink("secret", folder.path().join("links")).unwrap();
        assert!(head(&folder.path().join("links"), 10).is_empty());
        assert!(head(folder.path(), 10).is_empty());
        assert_eq!(head(&folder.path().join("secret"), 10), b"x");
    }

    proptest! {
        #[test]
        fn whatever_is_written_stays_small(text: String) {
            let found = links(&text);
            prop_assert!(found.len() <= MAX_LINKS);
            prop_assert!(cut(&text, 7).len() <= 7);
        }
    }
}
