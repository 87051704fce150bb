//! What a project's queue does next. Pure: [`decide`] reads the whole state and says which actions are missing; the
//! reconciler carries them out, writes down that it did, and asks again.
//!
//! The state speaks of **stacks**: one or more entries merged in order onto one commit of mainline, with one candidate
//! and its builds. [`decide`] is serial: one stack of one entry, the first in order. [`decide_together`] tests several at once,
//! each of several entries, and lands all of one by one push, as [`crate::stacks`] says; what is unusual it leaves to the serial
//! queue.
//!
//! What always holds, whatever the world does between two questions:
//!
//! - only a commit is landed that every required builder built, as that very commit, and passed; a candidate for which no
//!   builder is required never lands;
//! - it is landed only on the commit of mainline that its candidate was made for; when mainline moved, it is made again;
//! - nothing is landed while another landing is under way or the queue is paused, nor in a freeze what that does not let by; builds
//!   go on meanwhile;
//! - one that was accepted for when it is green is neither made nor built by the queue until it passed alone;
//! - every action is asked for again until the state says that it was done; doing one twice must do no harm;
//! - each entry gets either an [`Action::Eject`] or [`Action::Retire`], or one [`Standing`], never two of them;
//! - what is wrong on mainline itself ejects nobody: whoever needs it waits, and others go by;
//! - while mainline can't be read nothing is pushed and nobody is sent away for what it was like, and no turn is bb's.

mod decide;
mod freeze;
mod green;
mod together;

use crate::code::Code;
pub use crate::ids::{EntryId, StackId};
use crate::mainline::Mainline;
use crate::schedule::Wait;
use crate::stacks::{MainlineId, Purpose};
pub use decide::{before, decide, waits};
pub use freeze::{Frozen, freezes_now, last_to_end, troubles};
pub use green::{Judged, UntilGreen};
use protocol::api::Next;
use protocol::{BranchId, BuildResult, CommitId, Hint, UnixMs};
pub use together::{Member, Tested, Together, decide_together, runs};

/// Everything that the queue's next step depends on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueueState {
    /// The time now.
    pub now: UnixMs,
    /// The commit that mainline was last seen at.
    pub mainline: CommitId,
    /// What is known of mainline as it stands, by itself.
    pub itself: Itself,
    /// Set while nothing may land.
    pub paused: Option<Pause>,
    /// The freezes of the calendar that are on at this time: nothing lands, but what each of them lets by.
    pub frozen: Vec<Frozen>,
    /// What the last look at mainline said.
    pub official: Mainline,
    /// The landing that was begun and whose end is not known yet.
    pub landing: Option<Landing>,
    /// Accepted and neither landed nor ejected nor taken back, in any order.
    pub entries: Vec<Entry>,
    /// Those not dropped, in any order.
    pub stacks: Vec<Stack>,
    /// Builds that could start at once. The serial queue asks for one stack whatever this says.
    pub capacity: u32,
    /// The project's settings.
    pub policy: Policy,
}

impl QueueState {
    /// The freeze that keeps an entry from landing, if one does: of several the one that ends last.
    pub fn frozen_for(&self, entry: &Entry) -> Option<&Frozen> {
        freeze::last_to_end(&self.frozen, entry.priority)
    }

    /// Whether it goes before all others: one that could not land for a freeze does not.
    pub(crate) fn is_expedited(&self, entry: &Entry) -> bool {
        entry.expedited && self.frozen_for(entry).is_none()
    }

    /// Whether a freeze keeps the entry of this place from landing; also of one that is not known.
    fn is_frozen(&self, id: EntryId) -> bool {
        !self.frozen.is_empty()
            && self.entries.iter().find(|e| e.id == id).is_none_or(|entry| self.frozen_for(entry).is_some())
    }

    /// Of those that go, whom the queue tests: in a freeze that lets some of them by these alone, so that they land without waiting
    /// for those with whom they would have been tested; else all.
    fn let_by<'a>(&self, goes: Vec<&'a Entry>) -> Vec<&'a Entry> {
        if self.frozen.is_empty() {
            return goes;
        }
        let mut by: Vec<&Entry> = goes.iter().copied().filter(|e| self.frozen_for(e).is_none()).collect();
        loop {
            let ids: std::collections::HashSet<EntryId> = by.iter().map(|e| e.id).collect();
            let before = by.len();
            by.retain(|e| e.needs.iter().all(|need| need.entry.is_some_and(|id| ids.contains(&id))));
            if by.len() == before {
                break;
            }
        }
        if by.is_empty() { goes } else { by }
    }
}

/// What the builds of mainline itself, without any branch of the queue, say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Itself {
    /// It passes: the queue landed it, or it was built.
    Passes,
    /// It fails: what fails of a branch says nothing of that branch.
    Fails,
    /// It is being built.
    Tested,
    /// It was not built yet; it can be, by this name.
    Untested(MainlineId),
    /// It can't be known: its recipe can't be used, or its builds end without a result.
    Unknowable,
}

/// What a project sets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Policy {
    /// How often a builder that ended without a result (exception, retry, cancelled) is asked again for one stack.
    pub retries: u32,
    /// How often a push that the official repository refused is tried again for one stack.
    pub push_retries: u32,
    /// How often a candidate that bb's own check did not find as it should be is made anew for one entry.
    pub check_retries: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { retries: 2, push_retries: 4, check_retries: 1 }
    }
}

/// Who paused the queue, or holds one place of it, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pause {
    /// The person.
    pub by: String,
    /// The reason; may be empty.
    pub reason: String,
}

/// An accepted branch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Its place.
    pub id: EntryId,
    /// The branch.
    pub branch: BranchId,
    /// The commit that was accepted; the entry is about no other.
    pub revision: CommitId,
    /// Who mends what is wrong with it, for people: `Ines`.
    pub author: String,
    /// Whether a maintainer wants it tested alone before all others, and landed before them.
    pub expedited: bool,
    /// A maintainer's word; greater goes first, 0 is usual.
    pub priority: i32,
    /// When it was accepted; the earlier goes first.
    pub accepted_at: UnixMs,
    /// Who holds it, so that it is neither tested nor landed.
    pub hold: Option<Pause>,
    /// What its acceptance waits for, if that is to count only once its commit passed alone, and it has not yet.
    pub green: Option<UntilGreen>,
    /// What must land before it, or with it, and is not in mainline yet.
    pub needs: Vec<Need>,
    /// Why it can't land whatever its candidate is like, if it can't.
    pub hindrance: Option<Hindrance>,
}

impl Entry {
    /// Whether a person's word, or what its acceptance waits for, keeps it from being tested.
    pub fn rests(&self) -> bool {
        self.hold.is_some() || self.green.is_some()
    }
}

/// A branch that must land before an entry, or with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Need {
    /// Its name.
    pub branch: String,
    /// Its place in the queue; none when it has none: it is not accepted, or has left.
    pub entry: Option<EntryId>,
}

/// Why an entry can't land, and leaves the queue wherever in it it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Hindrance {
    /// Its branch has ended.
    Ended {
        /// How, in words: `withdrawn by Ines`.
        says: String,
    },
    /// Whoever accepted it may not accept any more.
    RightLost {
        /// The person.
        by: String,
    },
    /// It was accepted for when it is green, and a newer revision came before it was.
    Outdated {
        /// The newer one's number.
        newer: u32,
    },
    /// The revision can't be used any more.
    Unusable {
        /// What is wrong.
        text: String,
        /// What to do.
        hint: Hint,
    },
}

/// Entries merged in order onto a commit of mainline.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stack {
    /// The stack.
    pub id: StackId,
    /// Mainline's commit that it stands on.
    pub on: CommitId,
    /// The entries, first merged first; never empty.
    pub entries: Vec<EntryId>,
    /// What came of making its candidate.
    pub candidate: Candidate,
    /// Set when the official repository refused to take the candidate for another reason than that mainline moved.
    pub push_refused: Option<PushRefused>,
    /// How often bb's own check before the push found the candidate to be another commit than its parts give.
    pub check_failed: u32,
}

/// What came of making a stack's candidate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Candidate {
    /// It was asked for.
    NotMade,
    /// It can be built.
    Made {
        /// What would land.
        commit: CommitId,
        /// The builders that judge it, from [`crate::builders::builders_for`] on the candidate's own recipe.
        builders: Vec<BuilderOf>,
        /// For each builder the latest build that was asked for by this stack or whose result it may use.
        builds: Vec<BuildOf>,
    },
    /// An entry does not merge.
    Conflict {
        /// The first that doesn't.
        entry: EntryId,
        /// In these files.
        files: Vec<String>,
    },
    /// What it is made of can't be read: the entry waits until it can, and others go by.
    Missing {
        /// What is wrong.
        text: String,
        /// What to do.
        hint: Hint,
    },
    /// What bb keeps of it can't be read, by bb's own fault: the entry waits, and others go by.
    Unreadable {
        /// What is wrong.
        text: String,
    },
    /// It can't be made or judged, and the fault is mainline's own: the queue waits until that is mended.
    MainlineTrouble {
        /// What is wrong.
        text: String,
        /// What to do.
        hint: Hint,
    },
    /// Mainline has all of it.
    InMainline {
        /// The entry.
        entry: EntryId,
    },
    /// It can't be made for another reason: a fragment or the recipe has an error.
    Refused {
        /// The entry at fault.
        entry: EntryId,
        /// The stable word of whoever refused.
        code: String,
        /// What was wrong.
        text: String,
        /// What to do.
        hint: Hint,
    },
}

impl Candidate {
    /// Whether its entry waits for something that is no fault of its own, and others go by.
    pub fn is_held(&self) -> bool {
        matches!(self, Self::MainlineTrouble { .. } | Self::Missing { .. } | Self::Unreadable { .. })
            || self.untried().is_some()
    }

    /// The required builder that failed, what it says, and the program that the slave lacks if that is why; if all that is said
    /// against it is said by builders that mainline has just so: where mainline itself fails, that says nothing of the entry.
    pub fn fails_by_mainline(&self) -> Option<(&str, &str, Option<&str>)> {
        let Self::Made { commit, builders, builds } = self else { return None };
        let mut failed = None;
        for builder in builders.iter().filter(|builder| builder.required) {
            let latest = builder.latest(commit, builds).map(|b| &b.status);
            let Some(BuildStatus::Finished { result, says, lacks }) = latest else { continue };
            match result {
                BuildResult::Failure | BuildResult::Skipped if !builder.of_mainline => return None,
                BuildResult::Failure => {
                    failed = failed.or(Some((builder.name.as_str(), says.as_str(), lacks.as_deref())));
                }
                _ => {}
            }
        }
        failed
    }

    /// The required builder of mainline's recipe by which nothing of it was tried, if there is one, and nothing else is
    /// said against it: a builder that mainline has just so says nothing of a branch when it is skipped.
    pub fn untried(&self) -> Option<&BuilderOf> {
        let Self::Made { commit, builders, builds } = self else { return None };
        let mut untried = None;
        for builder in builders.iter().filter(|builder| builder.required) {
            let Some(BuildStatus::Finished { result, .. }) = builder.latest(commit, builds).map(|b| &b.status) else {
                continue;
            };
            match result {
                BuildResult::Failure => return None,
                BuildResult::Skipped if !builder.of_mainline => return None,
                BuildResult::Skipped => untried = untried.or(Some(builder)),
                _ => {}
            }
        }
        untried
    }
}

/// A builder that judges a candidate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BuilderOf {
    /// Its name.
    pub name: String,
    /// Whether landing needs it.
    pub required: bool,
    /// Whether mainline's recipe has it just so: what is wrong with it is no fault of the branch.
    pub of_mainline: bool,
}

impl BuilderOf {
    /// Its latest build of this commit. Whatever else may stand in the store, only a build of this very commit counts.
    fn latest<'b>(&self, commit: &CommitId, builds: &'b [BuildOf]) -> Option<&'b BuildOf> {
        builds.iter().filter(|b| b.builder == self.name && b.commit == *commit).max_by_key(|b| b.attempt)
    }
}

/// A build of a candidate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BuildOf {
    /// The builder's name.
    pub builder: String,
    /// The commit that was or will be built. A build of another commit than the candidate's counts for nothing.
    pub commit: CommitId,
    /// Which try of this builder for this stack it is, from 1.
    pub attempt: u32,
    /// Whether the queue asked for it, so that it goes before others. One that waits and was asked for by somebody else is
    /// asked for again under the same number, to be taken over.
    pub for_queue: bool,
    /// Where it is.
    pub status: BuildStatus,
    /// Why nobody has it, as far as is known.
    pub wait: Option<Wait>,
}

/// Where a build is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BuildStatus {
    /// Nobody has it.
    Waiting,
    /// A slave has it.
    Running,
    /// It ended.
    Finished {
        /// How.
        result: BuildResult,
        /// What failed, for people: `step test: exit code 1`; may be empty.
        says: String,
        /// The program that the slave lacks, if that is the reason.
        lacks: Option<String>,
    },
}

/// A push that the official repository refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PushRefused {
    /// How often.
    pub times: u32,
    /// When it may be tried again.
    pub again_at: UnixMs,
    /// What was said.
    pub said: String,
}

/// A landing that was begun: the intent is written down, and the push may or may not have happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Landing {
    /// The stack.
    pub stack: StackId,
}

/// What the queue does next.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Decision {
    /// What is missing, in the order in which to do it.
    pub actions: Vec<Action>,
    /// How each entry that is not ejected stands, in the queue's order.
    pub standings: Vec<Standing>,
    /// When the passing of time alone will change the decision.
    pub look_again: Option<UnixMs>,
    /// Whether several are tested together: what an entry was tested by before goes on until [`Action::Cancel`].
    pub together: bool,
}

/// Something to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// This stack is of no use any more: mainline moved, an entry left, or the order changed. Cancel its builds.
    Drop {
        /// The stack.
        stack: StackId,
    },
    /// Take the entry out of the queue: nothing is left of it to land. Its branch is retired.
    Retire {
        /// The entry.
        entry: EntryId,
    },
    /// Take the entry out of the queue.
    Eject {
        /// The stack whose candidate is the reason; an outcome on an older mainline than that of now ejects nobody.
        stack: Option<StackId>,
        /// The entry.
        entry: EntryId,
        /// Why, as a stable code.
        code: Code,
        /// Why, in words.
        says: String,
        /// Who does what next.
        next: Next,
    },
    /// Make a stack and its candidate.
    Make {
        /// On this commit of mainline.
        on: CommitId,
        /// Of these entries, in this order.
        entries: Vec<EntryId>,
    },
    /// Ask for a build; one of that number that waits already is taken over by the queue.
    Build {
        /// For this stack.
        stack: StackId,
        /// Of this commit, its candidate.
        commit: CommitId,
        /// By this builder.
        builder: String,
        /// As this try, from 1.
        attempt: u32,
    },
    /// Make a stack of these entries, in this order, on the mainline of now, and ask for its builds by all that are required.
    Test {
        /// The entries.
        entries: Vec<EntryId>,
        /// What for.
        purpose: Purpose,
    },
    /// Have mainline itself built, at this commit of it: somebody would be sent away if it passes.
    TestMainline {
        /// The commit.
        on: MainlineId,
        /// On whose behalf.
        entry: EntryId,
    },
    /// Ask for builds of a stack that is there: a failure was by chance, perhaps, there was no result, or somebody else asked and
    /// the queue takes them over.
    TestAgain {
        /// The stack.
        stack: StackId,
        /// By these builders.
        builders: Vec<String>,
    },
    /// Cancel the builds of a stack: nobody needs to know how they end.
    Cancel {
        /// The stack.
        stack: StackId,
    },
    /// Land: write down the intent, then push by compare-and-swap from `on` to `commit`.
    Land {
        /// The stack.
        stack: StackId,
        /// Its entries, all of which land by this push.
        entries: Vec<EntryId>,
        /// The tested commit.
        commit: CommitId,
        /// Where mainline must still be.
        on: CommitId,
    },
}

/// How an entry stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standing {
    /// The entry.
    pub entry: EntryId,
    /// Its place, from 1.
    pub place: u32,
    /// The stack in which it is tested, if it is.
    pub stack: Option<StackId>,
    /// How it stands, as a stable code.
    pub code: Code,
    /// How it stands, in words.
    pub says: String,
    /// Who does what next.
    pub next: Next,
}
