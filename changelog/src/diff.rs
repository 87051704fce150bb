//! How a ChangeLog changes, line by line, for people to read.

use similar::{ChangeTag, TextDiff};

use crate::lines::{lines, lossy};

/// A line of a difference.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", content = "text", rename_all = "kebab-case")]
pub enum DiffLine {
    /// Where a stretch begins: `@@ -1,3 +1,9 @@`.
    Place(String),
    /// In both.
    Kept(String),
    /// Only before.
    Removed(String),
    /// Only afterwards.
    Added(String),
}

/// The lines that differ, with `context` lines around them. What both begin and end with is not looked at, so that a new entry in a huge file
/// costs next to nothing.
pub fn diff(before: &[u8], after: &[u8], context: usize) -> Vec<DiffLine> {
    let (old, new): (Vec<&[u8]>, Vec<&[u8]>) = (lines(before).collect(), lines(after).collect());
    let top = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let bottom = old[top..].iter().rev().zip(new[top..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (from, below) = (top.saturating_sub(context), bottom.saturating_sub(context));
    let (old, new) = (&old[from..old.len() - below], &new[from..new.len() - below]);
    let compared = TextDiff::from_slices(old, new);
    let mut out = Vec::new();
    for group in compared.grouped_ops(context) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let (o, n) = (first.old_range().start..last.old_range().end, first.new_range().start..last.new_range().end);
        out.push(DiffLine::Place(format!(
            "@@ -{},{} +{},{} @@",
            from + o.start + 1,
            o.len(),
            from + n.start + 1,
            n.len()
        )));
        for op in &group {
            for change in compared.iter_changes(op) {
                let text = lossy(crate::lines::without_end(change.value()));
                out.push(match change.tag() {
                    ChangeTag::Equal => DiffLine::Kept(text),
                    ChangeTag::Delete => DiffLine::Removed(text),
                    ChangeTag::Insert => DiffLine::Added(text),
                });
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_new_entry_is_shown_with_what_is_below() {
        let before = "c\nd\ne\nf\n";
        let got = diff(before.as_bytes(), format!("a\nb\n{before}").as_bytes(), 2);
        let s = str::to_owned;
        use DiffLine::{Added, Kept, Place};
        assert_eq!(got, [Place(s("@@ -1,2 +1,4 @@")), Added(s("a")), Added(s("b")), Kept(s("c")), Kept(s("d"))]);
        assert_eq!(diff(b"a\n", b"a\n", 3), []);
    }
}
