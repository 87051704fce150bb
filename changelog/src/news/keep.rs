//! A file that is written by version, merged by itself: what is new moves to what is not released.

use super::bullets::lift;
use super::headings::Markup;
use super::insert::{Kind, insert};
use super::layout::Layout;
use crate::detect::detect;
use crate::folded::FoldOptions;
use crate::format::Format;
use crate::lines::{LineEnd, is_blank, lines};
use crate::merge::{MergeOptions, Merged, merge_as_text};

/// Whether a file that git merges is one that is written by version.
pub(crate) fn is_keep(ours: &[u8]) -> bool {
    detect(b"", ours) == Ok(Format::KeepAChangelog)
}

/// Merges three versions: what theirs added under what is not released is added to ours, everything else is merged as text.
pub(crate) fn merge(base: &[u8], ours: &[u8], theirs: &[u8], options: &MergeOptions) -> Merged {
    let path = b"";
    let markup = Markup::of(path, ours);
    let of = |text| Layout::with_markup(markup, text, 0);
    let (lifted, rest) = lift(path, &of(base), &of(theirs));
    let same = |a: &[u8], b: &[u8]| lines(a).filter(|l| !is_blank(l)).eq(lines(b).filter(|l| !is_blank(l)));
    let merged = if same(base, &rest) {
        Merged { bytes: ours.to_vec(), conflicts: 0 }
    } else {
        merge_as_text(base, ours, &rest, &options.markers)
    };
    let end = LineEnd::of(ours);
    let fold = FoldOptions { base: Some(base), ..FoldOptions::default() };
    match insert(path, &of(&merged.bytes), &lifted, end, Kind::Keep, &fold) {
        Ok(placed) => Merged { bytes: placed.bytes, conflicts: merged.conflicts },
        // It is not clear where it would go: as text, then, and whoever merges sees.
        Err(_) => merge_as_text(base, ours, theirs, &options.markers),
    }
}
