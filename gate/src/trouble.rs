//! Something that is wrong, as the part that found it says it.

use protocol::api::Next;
use protocol::{Acts, Hint};

/// See the module.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Trouble {
    /// That part's stable word.
    pub code: String,
    /// What is wrong, without a full stop.
    pub text: String,
    /// What to do, and who does it; may be empty.
    pub hint: Hint,
}

impl Trouble {
    /// Who does what about it: `whose` it is to do `what`, unless it says itself who acts.
    pub fn next(&self, whose: &str, what: &str) -> Next {
        next(&self.hint, whose, what)
    }
}

/// Who does what, as a hint says it; where it leaves that open, `whose` it is to do `what`.
pub(crate) fn next(hint: &Hint, whose: &str, what: &str) -> Next {
    let (who, what) = match hint.acts() {
        Acts::Concerned if hint.is_empty() => (whose, what.to_owned()),
        Acts::Concerned => (whose, format!("{what}: {}", hint.what())),
        Acts::Admin => ("an admin", hint.what().to_owned()),
        Acts::Bb => ("bb", hint.what().to_owned()),
    };
    Next { who: who.to_owned(), what }
}
