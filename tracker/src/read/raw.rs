//! A file's bytes as they are, and as a hex look.

use crate::mirror::{Mirror, MirrorError, kept_at_bytes, tree_of};
use protocol::CommitId;
use std::fmt::Write as _;

/// What stands at a path of a commit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Raw {
    /// Nothing, a folder or a submodule.
    NotThere,
    /// A file that has so many bytes: more than were asked for.
    TooLarge(u64),
    /// A file's bytes, or a link's target.
    Bytes(Vec<u8>),
}

impl Mirror {
    /// The bytes of a file in a commit, if there are no more than `limit`. `held` is let go when they are read.
    ///
    /// # Errors
    /// When the commit is not in the mirror.
    pub async fn raw<H: Send + 'static>(
        &self,
        commit: &CommitId,
        path: &[u8],
        limit: u64,
        held: H,
    ) -> Result<Raw, MirrorError> {
        let (commit, path) = (commit.clone(), path.to_owned());
        self.with_repository(move |repository| {
            let _held = held;
            let kept = kept_at_bytes(&tree_of(repository, &commit)?, &path)?;
            let Some(kept) = kept.filter(|kept| kept.is_file() || kept.is_link()) else { return Ok(Raw::NotThere) };
            Ok(match kept.bytes(repository, limit)? {
                Some(bytes) => Raw::Bytes(bytes),
                None => Raw::TooLarge(kept.size(repository)?),
            })
        })
        .await
    }
}

/// Bytes of a line of a hex look.
const LINE: usize = 16;

/// Bytes as numbers and, where they are ASCII, as characters beside them. The first one is at `from` of the whole.
///
/// ```
/// assert_eq!(
///     tracker::read::hex(b"\x7fELF <script>&\n\0", 16),
///     "00000010  7f 45 4c 46 20 3c 73 63  72 69 70 74 3e 26 0a 00  |.ELF <script>&..|\n"
/// );
/// assert_eq!(tracker::read::hex(b"a", 0), "00000000  61                                                |a|\n");
/// ```
pub fn hex(bytes: &[u8], from: u64) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(LINE) * 80);
    for (at, line) in (from..).step_by(LINE).zip(bytes.chunks(LINE)) {
        let _ = write!(out, "{at:08x} ");
        for place in 0..LINE {
            let gap = if place % 8 == 0 { " " } else { "" };
            let _ = match line.get(place) {
                Some(byte) => write!(out, "{gap}{byte:02x} "),
                None => write!(out, "{gap}   "),
            };
        }
        let shown = line.iter().map(|&b| if b.is_ascii_graphic() || b == b' ' { char::from(b) } else { '.' });
        let _ = writeln!(out, " |{}|", shown.collect::<String>());
    }
    out
}
