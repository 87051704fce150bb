//! Something that is wrong, as the part that found it says it.

/// See the module.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Trouble {
    /// That part's stable word.
    pub code: String,
    /// What is wrong, without a full stop.
    pub text: String,
    /// What to do; may be empty.
    pub hint: String,
}
