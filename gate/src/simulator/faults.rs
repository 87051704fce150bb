//! What goes wrong.

/// What goes wrong, and how often. Rates are of a length of a build, chances of each time that it could happen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Chance that a build ends without a result.
    pub lost: f64,
    /// Chance that the master is killed before it carried out an action: that and all that follow are not done.
    pub crash: f64,
    /// Rate of pushes to mainline by others.
    pub pushes: f64,
    /// Chance that such a push breaks mainline, until the next.
    pub breaks: f64,
    /// Rate of acceptances that are taken back.
    pub taken_back: f64,
    /// Rate of branches that are force-pushed, and accepted again.
    pub force_pushed: f64,
    /// Chance that two branches conflict in their text.
    pub conflicts: f64,
    /// Chance that a branch needs one before it.
    pub needs: f64,
    /// Chance that a branch has another priority.
    pub priorities: f64,
}

impl Faults {
    /// A bad day: everything goes wrong now and then.
    pub const fn bad_day() -> Self {
        Self {
            lost: 0.05,
            crash: 0.03,
            pushes: 0.1,
            breaks: 0.3,
            taken_back: 0.05,
            force_pushed: 0.05,
            conflicts: 0.02,
            needs: 0.1,
            priorities: 0.1,
        }
    }
}
