//! Every stable code of this crate, once, with its meaning: why a build waits, how an entry of the queue stands, and
//! where a branch stands. A code is kebab-case and never changes its meaning; the words beside it may be improved.

use std::fmt;

/// What a code is said of.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Of {
    /// A branch: the verdict on its page, in listings and by `bb show`.
    Branch,
    /// A branch's place in the queue.
    Queue,
    /// A build that waits.
    Build,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $of:ident $word:literal, $next:literal;)*) => {
        /// A stable code.
        #[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
        pub enum Code {$(
            $(#[doc = $doc])+
            $name,
        )*}

        impl Code {
            /// All codes, in the order in which the documentation lists them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as data has it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The code of a word.
            pub fn named(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == word)
            }

            /// What it is said of.
            pub const fn of(self) -> Of {
                match self { $(Self::$name => Of::$of,)* }
            }

            /// What it means, in a sentence or two.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)* }
            }

            /// Who does what next.
            pub const fn next(self) -> &'static str {
                match self { $(Self::$name => $next,)* }
            }
        }
    };
}

codes! {
    /// The accepted commit is in mainline, exactly as it was tested.
    Landed = Branch "landed", "nobody: the record stays; a revision that came later lands only if the author publishes the branch again";
    /// It landed, and a push has rewritten mainline since, which does not hold it any more.
    LandedTakenOut = Branch "landed-taken-out", "the author publishes it again, if it is still to land, else withdraws it";
    /// Its publisher took it back.
    Withdrawn = Branch "withdrawn", "the author publishes it again to bring it back";
    /// Its source was gone for longer than the project waits (coming: no branch is retired so yet).
    RetiredGone = Branch "retired-gone", "the author publishes it again to bring it back";
    /// No revision and no comment for longer than the project waits (coming: no branch is retired so yet).
    RetiredQuiet = Branch "retired-quiet", "the author publishes it again to bring it back";
    /// Mainline's history has all of it already, by ancestry or by the same patches; also what mainline took back since, which lands again by new commits alone.
    RetiredInMainline = Branch "retired-in-mainline", "nobody: there is nothing left to land";
    /// It is accepted and on its way to mainline.
    Queued = Branch "queued", "bb tests and lands it";
    /// It is in the queue, and the queue is paused or frozen, or a maintainer holds it there.
    QueuePaused = Branch "queue-paused", "a maintainer resumes the queue, or releases it; bb, when a freeze ends";
    /// It is in the queue, and the official repository can't be read or does not take the push, bb can't read what it
    /// keeps of it, or the branch that is tested before it waits for a person.
    QueueHeld = Branch "queue-held", "as the reason says: an admin or another person sees to what it names";
    /// The revision that was accepted left the queue without landing.
    Ejected = Branch "ejected", "as the reason says: the author, a maintainer or an admin";
    /// It is published, and its first revision is not fetched yet.
    NotFetched = Branch "not-fetched", "bb fetches it";
    /// Its source can't be read, and no revision was ever fetched.
    SourceTrouble = Branch "source-trouble", "as the reason says: the author mends the source or publishes another URL, an admin lets bb read it, or bb asks again";
    /// It had revisions, and its branch or repository is not there any more.
    SourceGone = Branch "source-gone", "the author publishes it again or withdraws it";
    /// The newest revision was fetched but not admitted.
    RevisionRefused = Branch "revision-refused", "the author pushes a revision without what was refused";
    /// Its newest revision was admitted, and the mirror lost its commit; bb did not find it where it came from either, so far.
    CommitMissing = Branch "commit-missing", "as the reason says: the author pushes the commit again or publishes the branch again, an admin looks at the disk, or bb fetches it again; bb goes on by itself then";
    /// The project has no recipe, and none could be guessed.
    NoRecipe = Branch "no-recipe", "a maintainer adds .bb.toml to mainline";
    /// The project's recipe, mainline's or the master's own for it, has an error, so that nothing can be built.
    RecipeError = Branch "recipe-error", "a maintainer mends .bb.toml of mainline, or an admin the recipe that master.toml names";
    /// The recipe that the branch brings has an error.
    BranchRecipeError = Branch "branch-recipe-error", "the author mends .bb.toml of the branch";
    /// The candidate for the mainline of now is not made yet, or mainline's recipe is not read yet.
    NoCandidate = Branch "no-candidate", "bb makes it";
    /// The official repository can't be read, so bb does not know where mainline is, and nothing can land.
    MainlineAway = Branch "mainline-away", "an admin sees to the official repository; bb tries again, ever more seldom";
    /// The official repository has no branch of mainline's name any more, so nothing can land.
    MainlineGone = Branch "mainline-gone", "an admin names mainline's branch in master.toml, or brings it back";
    /// It does not merge with mainline.
    Conflict = Branch "conflict", "the author merges mainline; a rebase is not needed";
    /// Something on mainline itself is broken, its ChangeLog, say, so that no candidate can be made or judged.
    MainlineBroken = Branch "mainline-broken", "a maintainer mends mainline, or an admin gives the slaves what it lacks; bb goes on by itself then";
    /// It merges, but no candidate can be made, for another reason: its fragment is malformed, say.
    CandidateRefused = Branch "candidate-refused", "the author mends what was refused";
    /// Merging it would change nothing any more.
    Superseded = Branch "superseded", "the author withdraws it, or pushes what is missing";
    /// The recipe requires no builder, and nothing lands untested.
    NoRequiredBuilder = Branch "no-required-builder", "a maintainer sets `required = true` for a builder in .bb.toml";
    /// A required builder failed.
    BuilderFailed = Branch "builder-failed", "the author makes it pass";
    /// A required builder failed because the slave has no program of that name.
    ProgramMissing = Branch "program-missing", "an admin gives the slaves the program, or whoever wrote the recipe does without it; then a maintainer or its publisher asks for the build again";
    /// A required builder ended by bb's or the machine's fault.
    BuilderException = Branch "builder-exception", "an admin looks after the machine, then a maintainer or its publisher asks for the build again";
    /// A build of a required builder was cancelled, and no other was asked for.
    BuilderCancelled = Branch "builder-cancelled", "a maintainer or its publisher asks for the build again";
    /// A required builder was skipped, and no result is never success.
    BuilderSkipped = Branch "builder-skipped", "a maintainer makes the builder run, or optional, in .bb.toml, then asks for the build again";
    /// Required builders run.
    Building = Branch "building", "bb builds";
    /// Builds of required builders wait for a slave or a lock.
    Waiting = Branch "waiting", "bb starts them";
    /// Its builds are not asked for yet: as many of its publisher's, or its host's, wait as may of those that are not trusted.
    TooManyPending = Branch "too-many-pending", "bb asks for them when some of those that wait have begun";
    /// A build of a required builder waits for something that does not come by itself.
    Stuck = Branch "stuck", "an admin adds what is missing, or a maintainer mends the recipe";
    /// All required builders passed; it lands as soon as it is accepted. With the look of warnings and "but it changes how it is
    /// built" when its `.bb.toml` is other than mainline's, by which it was built so far.
    Ready = Branch "ready", "a maintainer accepts it";

    /// It was accepted just now, and the queue has not looked at it yet.
    Accepted = Queue "accepted", "bb tests it as it would land";
    /// Others are before it.
    Behind = Queue "behind", "bb, when those before it landed or left; or as the reason says: the author, a maintainer or an admin, where the one that is tested waits for that person";
    /// It does not merge with one that is before it, and it merges with mainline: nothing is wrong with it yet.
    BehindConflict = Queue "conflict-in-front", "bb, when the one before it left without landing; if that lands, the author merges mainline";
    /// Its candidate on the mainline of now is being made.
    Making = Queue "making", "bb makes the candidate";
    /// Its candidate is built.
    Testing = Queue "testing", "bb builds";
    /// A build of its candidate waits for something that does not come by itself.
    TestingStuck = Queue "testing-stuck", "an admin adds what is missing, or whoever wrote the recipe mends it";
    /// Its candidate passed, and the queue is paused.
    Paused = Queue "paused", "a maintainer resumes the queue";
    /// Its candidate passed, and mainline is frozen by the project's calendar; testing goes on.
    Frozen = Queue "frozen", "bb lands it when the freeze ends; a maintainer or an admin, where it never ends";
    /// It was accepted for when it is green, and has not passed alone yet: the queue does not test it so far, and others go by.
    WhenGreen = Queue "when-green", "bb, when its required builders passed; the author or whoever the reason names, when one did not";
    /// It needs another branch that is not in mainline yet.
    Needs = Queue "needs", "bb, when that one landed, or lands with it; a maintainer, if that one is not in the queue";
    /// A maintainer holds it: it is neither tested nor landed, and others go by.
    OnHold = Queue "on-hold", "a maintainer releases it";
    /// Its tested commit is being pushed to the official repository.
    Landing = Queue "landing", "bb pushes";
    /// Its candidate passed, and the official repository did not take the push; it is tried again.
    PushRefused = Queue "push-refused", "an admin mends what the official repository refuses; bb tries again";
    /// Something on mainline itself is broken, its recipe or its ChangeLog, or its recipe has a required builder that was skipped:
    /// nobody is ejected for it.
    MainlineTrouble = Queue "mainline-trouble", "a maintainer mends mainline, or an admin gives the slaves what it lacks; bb goes on by itself then";
    /// What it is made of is not in the mirror any more, or can't be read there; others go by.
    Missing = Queue "missing", "as the reason says: bb fetches it again, the author pushes or publishes it again, or an admin looks at the disk";
    /// What bb keeps of it can't be read, by bb's own fault; others go by.
    Unreadable = Queue "unreadable", "an admin reads the master's log, and reports it to the makers of bb";
    /// The official repository can't be read, so nothing can land.
    OfficialAway = Queue "official-away", "an admin sees to the official repository; bb tries again";
    /// The official repository has no branch of mainline's name any more, so nothing can land.
    OfficialWithout = Queue "official-without-mainline", "an admin names mainline's branch in master.toml, or brings it back";
    /// Its candidate did not merge.
    EjectedConflict = Queue "ejected-conflict", "the author merges mainline, then a maintainer accepts it again";
    /// Its candidate could not be made, for another reason than a conflict.
    EjectedRefused = Queue "ejected-refused", "the author mends what was refused, then a maintainer accepts it again";
    /// A required builder failed on its candidate.
    EjectedFailure = Queue "ejected-failure", "the author makes it pass, then a maintainer accepts it again";
    /// A required builder failed on its candidate because the slave has no program of that name.
    EjectedProgram = Queue "ejected-program-missing", "an admin gives the slaves the program, or whoever wrote the recipe does without it; then a maintainer accepts it again";
    /// A required builder ended without a result too often.
    EjectedNoResult = Queue "ejected-no-result", "an admin looks after the machine, then a maintainer accepts it again";
    /// A required builder was skipped as the branch's own recipe has it, and no result is never success.
    EjectedSkipped = Queue "ejected-skipped", "the author makes the builder run, or optional, in .bb.toml, then a maintainer accepts it again";
    /// The recipe that the branch brings requires no builder, and nothing lands untested.
    EjectedUntested = Queue "ejected-untested", "the author sets `required = true` for a builder in .bb.toml, then a maintainer accepts it again";
    /// The official repository refused its tested commit too often.
    EjectedPush = Queue "ejected-push", "an admin mends what the official repository refuses, then a maintainer accepts it again";
    /// Its commit was not what its own parts give when bb made it anew before the push, twice.
    EjectedCheck = Queue "ejected-check", "an admin reports it to the makers of bb, then a maintainer accepts it again";
    /// Whoever accepted it may not accept any more.
    EjectedRightLost = Queue "ejected-right-lost", "a maintainer accepts it again";
    /// It was accepted for when it is green, and a newer revision came before it was.
    EjectedOutdated = Queue "ejected-outdated", "a maintainer looks at the newer revision and accepts that";
    /// A maintainer took it out.
    EjectedByHand = Queue "ejected-by-hand", "a maintainer accepts it again, if it is still to land";
    /// A newer revision of its branch was accepted, or landed, in its place.
    Replaced = Queue "replaced", "nobody: the newer one goes its own way";
    /// Mainline's history has all of it already: its branch is retired.
    InMainline = Queue "in-mainline", "nobody: there is nothing left to land";
    /// Its branch was retired while it was in the queue.
    Retired = Queue "retired", "nobody, or the author publishes it again";

    /// It asks for a lock that the admin did not define.
    UnknownLock = Build "unknown-lock", "an admin defines the lock, or a maintainer mends the recipe";
    /// It asks for more shares than the lock has.
    LockTooSmall = Build "lock-too-small", "an admin gives the lock more shares, or a maintainer mends the recipe";
    /// The master has no slave.
    NoSlave = Build "no-slave", "an admin adds one with `bb slave create`";
    /// No slave has a label that it asks for.
    NoLabel = Build "no-label", "an admin adds a slave with that label, or a maintainer mends the recipe";
    /// Each label is on some slave, but no slave has all of them.
    NoSlaveWithAllLabels = Build "no-slave-with-all-labels", "an admin gives one slave all of them, or a maintainer mends the recipe";
    /// No slave with its labels proved the isolation that a stranger's code needs.
    NoIsolation = Build "no-isolation", "an admin installs it on a slave, or trusts the publisher";
    /// Every slave that could run it is offline or unavailable.
    SlavesAway = Build "slaves-away", "bb starts it when one of them is back; an admin looks after one that stays away";
    /// Every slave that could run it has its slots taken.
    SlavesFull = Build "slaves-full", "bb starts it in the first free slot";
    /// A slave is free, but a lock is held, or others stand before it in the lock's line.
    LockHeld = Build "lock-held", "bb starts it when the lock is free";
    /// Only a reluctant slave is free; it takes the build when that has waited long enough.
    ReluctantSoon = Build "reluctant-soon", "bb starts it there, or sooner on an eager slave";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_kebab_case_and_unique() {
        let words: BTreeSet<&str> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        for word in words {
            assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && !word.starts_with('-'), "{word}");
        }
    }

    #[test]
    fn every_code_says_what_it_means_and_what_is_next() {
        for code in Code::ALL {
            assert!(code.meaning().ends_with('.') && !code.next().is_empty(), "{code}");
        }
    }
}
