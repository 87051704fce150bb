//! What there is in a history: its branches, and what was acknowledged to people.

/// A branch that an author made before the history begins.
pub(super) struct Made {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Its revisions' commits, oldest first.
    pub(super) commits: Vec<String>,
    /// How many of them are pushed.
    pub(super) pushed: usize,
}

/// What becomes of a branch when all goes well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// It lands.
    Good,
    /// It gets a second revision, which lands.
    Moving,
    /// Its test fails.
    Bad,
    /// It changes the same line as another: one of the two lands, or both when an author would mend it.
    Conflict,
    /// Its author takes it back.
    Withdrawn,
}

impl Kind {
    pub(super) const ALL: [Kind; 10] = [
        Kind::Good,
        Kind::Moving,
        Kind::Bad,
        Kind::Conflict,
        Kind::Conflict,
        Kind::Withdrawn,
        Kind::Good,
        Kind::Good,
        Kind::Good,
        Kind::Good,
    ];
}

/// What was acknowledged: it must hold afterwards.
#[derive(Default)]
pub(super) struct Acknowledged {
    pub(super) published: Vec<String>,
    pub(super) withdrawn: Vec<String>,
    /// Branch and commit.
    pub(super) accepted: Vec<(String, String)>,
    /// The same, when no answer came: it may have been accepted.
    pub(super) perhaps_accepted: Vec<(String, String)>,
    /// Name and secret.
    pub(super) tokens: Vec<(String, String)>,
    /// Names of tokens of which a crowd was told.
    pub(super) by_crowd: Vec<String>,
    pub(super) builds: Vec<u64>,
    /// Commits that somebody else pushed to mainline.
    pub(super) outside: Vec<String>,
    /// Whether the queue was last told to pause.
    pub(super) paused: Option<bool>,
}

impl Acknowledged {
    pub(super) fn count(&self) -> usize {
        self.published.len()
            + self.withdrawn.len()
            + self.accepted.len()
            + self.tokens.len()
            + self.by_crowd.len()
            + self.builds.len()
            + self.outside.len()
    }
}

/// The names of the slaves.
pub(super) const SLAVES: [&str; 2] = ["oak", "elm"];
