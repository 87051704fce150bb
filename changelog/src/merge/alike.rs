//! When two texts, or two entries, count as the same.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::lines::{is_space, lines, trim, trim_end, without_end};
use crate::log::Entry;

/// A hash that changes of indent, line ends and blank lines leave as it is.
pub(super) fn hash_without_blanks(text: &[u8], hasher: &RandomState) -> u64 {
    let mut h = hasher.build_hasher();
    for word in text.split(|&b| b == b'\n' || is_space(b)).filter(|w| !w.is_empty()) {
        h.write(word);
        h.write_u8(b' ');
    }
    h.finish()
}

/// The text's lines that have something to tell, without the blanks around them.
pub(super) fn line_hashes(text: &[u8], hasher: &RandomState) -> Vec<u64> {
    lines(text).map(|l| trim(trim_end(l))).filter(|l| l.len() > 3).map(|l| hasher.hash_one(l)).collect()
}

/// The same but for the blank lines below and the last line end.
pub(super) fn same(a: Entry<'_>, b: Entry<'_>) -> bool {
    without_end(a.content()) == without_end(b.content())
}
