//! What can't be seen, by Unicode's own tables: categories, and the characters that they are confused with.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};
use unicode_security::skeleton;

/// Letters and signs that have no ink, of which the tables of confusable characters say nothing.
const WITHOUT_INK: [char; 2] = ['\u{1d159}', '\u{16fe4}'];

/// Whether a character can't be seen, looks like a blank that it is not, or changes how others are seen.
///
/// ```
/// use tracker::text::is_hidden;
/// assert!(['\0', '\u{202e}', '\u{200b}', '\u{a0}', '\u{2800}'].into_iter().all(is_hidden));
/// assert!(!['a', ' ', '\u{e9}', '\u{4e2d}'].into_iter().any(is_hidden));
/// ```
pub fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let by_category = matches!(
        c.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::SpaceSeparator
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
            | GeneralCategory::Unassigned
    );
    by_category || looks_blank(c) || WITHOUT_INK.contains(&c)
}

/// Whether it is drawn as a blank, or not at all (of those that are to be ignored, the skeleton is empty).
fn looks_blank(c: char) -> bool {
    let mut buffer = [0; 4];
    skeleton(c.encode_utf8(&mut buffer)).all(|shape| shape == ' ')
}
