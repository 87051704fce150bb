//! Which votes count, and which lines can be spoken of.
//!
//! ```
//! use gate::review::{Cast, Of, tally};
//!
//! let of = Of { newest: 2, publisher: "ann", token: None };
//! let cast = |by, revision, value| Cast { by, token: protocol::TokenId(7), revision, value, may: true };
//! let votes = [cast("ann", 2, 1), cast("bob", 2, 1), cast("eve", 1, -1)];
//! assert_eq!(tally(&of, &votes), (1, 0));
//! ```

use protocol::TokenId;
use protocol::api::{Diff, DiffFile, DiffKind, DiffLine, Place, Side, VoteStanding};
use std::fmt;

/// The most lines that one comment may be about.
const MOST_LINES: u32 = 1000;

/// A vote as it was cast.
#[derive(Clone, Copy, Debug)]
pub struct Cast<'a> {
    /// Whose.
    pub by: &'a str,
    /// With which token.
    pub token: TokenId,
    /// On which revision.
    pub revision: u32,
    /// -1, 0 or 1.
    pub value: i8,
    /// Whether whoever cast it may still vote.
    pub may: bool,
}

/// What votes are on.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a> {
    /// The number of the newest revision.
    pub newest: u32,
    /// The branch's publisher.
    pub publisher: &'a str,
    /// The token that the branch belongs to.
    pub token: Option<TokenId>,
}

/// Whether a vote counts. Nobody is a reviewer of what is his own, whichever token he shows.
pub fn standing(of: &Of<'_>, cast: &Cast<'_>) -> VoteStanding {
    if of.token == Some(cast.token) || of.publisher == cast.by {
        VoteStanding::Own
    } else if !cast.may {
        VoteStanding::Revoked
    } else if cast.revision != of.newest {
        VoteStanding::Older
    } else {
        VoteStanding::Counts
    }
}

/// How many votes count for and against.
pub fn tally(of: &Of<'_>, votes: &[Cast<'_>]) -> (u32, u32) {
    let counting = votes.iter().filter(|cast| standing(of, cast) == VoteStanding::Counts);
    counting.fold((0, 0), |(up, down), cast| match cast.value.signum() {
        1 => (up + 1, down),
        -1 => (up, down + 1),
        _ => (up, down),
    })
}

/// Why lines can't be spoken of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Misplaced {
    /// It ends before it begins, or begins at no line.
    NoRange(u32, u32),
    /// There are too many.
    TooLong(u32),
    /// The diff does not have the file.
    NoFile(String),
    /// The diff does not have a line.
    NoLine {
        /// The file.
        path: String,
        /// Which side.
        side: Side,
        /// The line.
        line: u32,
    },
}

impl Misplaced {
    /// The stable word for it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoRange(..) => "no-range",
            Self::TooLong(_) => "range-too-long",
            Self::NoFile(_) => "not-in-diff",
            Self::NoLine { .. } => "line-not-in-diff",
        }
    }
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRange(from, to) => write!(f, "lines {from} to {to} are no range"),
            Self::TooLong(length) => {
                write!(f, "{length} lines are more than the {MOST_LINES} that a comment may be about")
            }
            Self::NoFile(path) => write!(f, "the diff has no file {path} on that side"),
            Self::NoLine { path, side, line } => {
                write!(f, "line {line} of {path} is not in the diff, on the {} side", side.as_str())
            }
        }
    }
}

fn path_of(file: &DiffFile, side: Side) -> &str {
    match side {
        Side::Old => file.old_path.as_deref().unwrap_or(&file.path),
        Side::New => &file.path,
    }
}

fn number_of(line: &DiffLine, side: Side) -> Option<u32> {
    match (side, line.kind) {
        (_, DiffKind::Hunk) => None,
        (Side::Old, _) => line.old,
        (Side::New, _) => line.new,
    }
}

/// Whether all lines of a range are in a diff; then how the first of them reads.
///
/// # Errors
/// When one is not.
pub fn line_at<'d>(diff: &'d Diff, place: &Place) -> Result<&'d str, Misplaced> {
    if place.from == 0 || place.to < place.from {
        return Err(Misplaced::NoRange(place.from, place.to));
    }
    let length = (place.to - place.from).saturating_add(1);
    if length > MOST_LINES {
        return Err(Misplaced::TooLong(length));
    }
    let file = diff.files.iter().find(|file| path_of(file, place.side) == place.path);
    let file = file.ok_or_else(|| Misplaced::NoFile(place.path.clone()))?;
    let mut next = place.from;
    let mut first = None;
    // They are in their order.
    for line in &file.lines {
        if number_of(line, place.side) == Some(next) {
            first.get_or_insert(line.text.as_str());
            if next == place.to {
                return Ok(first.unwrap_or_default());
            }
            next += 1;
        }
    }
    Err(Misplaced::NoLine { path: place.path.clone(), side: place.side, line: next })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 3] = ["ann", "bob", "eve"];

    fn cast() -> impl Strategy<Value = Cast<'static>> {
        (0..3usize, 1..5i64, 1..4u32, -1..=1i8, any::<bool>()).prop_map(|(by, token, revision, value, may)| Cast {
            by: NAMES[by],
            token: TokenId(token),
            revision,
            value,
            may,
        })
    }

    fn diff(numbers: &[u32]) -> Diff {
        let line = |n: &u32| DiffLine { kind: DiffKind::Add, old: None, new: Some(*n), text: format!("line {n}") };
        let file = DiffFile { path: "a".to_owned(), lines: numbers.iter().map(line).collect(), ..DiffFile::default() };
        Diff { files: vec![file], ..Diff::default() }
    }

    proptest! {
        #[test]
        fn only_others_who_may_count_on_the_newest(votes in prop::collection::vec(cast(), 0..12), newest in 1..4u32) {
            let of = Of { newest, publisher: "ann", token: Some(TokenId(1)) };
            let (up, down) = tally(&of, &votes);
            let good = |value: i8| votes.iter().filter(|it| {
                it.by != "ann" && it.token != TokenId(1) && it.may && it.revision == newest && it.value == value
            }).count();
            prop_assert_eq!((up as usize, down as usize), (good(1), good(-1)));
            for it in &votes {
                let counts = standing(&of, it) == VoteStanding::Counts;
                prop_assert_eq!(standing(&of, it).words().is_empty(), counts);
            }
        }

        #[test]
        fn a_range_is_in_the_diff_when_each_line_is(
            numbers in prop::collection::btree_set(1..20u32, 0..15), from in 0..22u32, to in 0..22u32,
        ) {
            let numbers: Vec<u32> = numbers.into_iter().collect();
            let place = Place { path: "a".to_owned(), side: Side::New, from, to, line: String::new() };
            let all = from > 0 && from <= to && (from..=to).all(|n| numbers.contains(&n));
            let diff = diff(&numbers);
            let found = line_at(&diff, &place);
            prop_assert_eq!(found.is_ok(), all);
            if let Ok(text) = found {
                prop_assert_eq!(text, format!("line {from}"));
            }
            let old_side = Place { side: Side::Old, ..place.clone() };
            let other_file = Place { path: "b".to_owned(), ..place };
            prop_assert!(line_at(&diff, &old_side).is_err());
            prop_assert!(line_at(&diff, &other_file).is_err());
        }
    }
}
