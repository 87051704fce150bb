//! The verdict, from what ends a branch to what it still lacks; the first reason found is the answer.

use super::{Build, Builder, Candidate, Facts, Life, Queue, Recipe, Source, TakenOut, ended_at, needs::needs, turn};
use crate::code::Code;
use crate::schedule::Wait;
use crate::words::list;
use protocol::BuildResult;
use protocol::api::{Look, Next, Verdict, WouldLand};

/// Judges a branch.
pub fn judge(facts: &Facts) -> Verdict {
    let answer = ended(facts)
        .or_else(|| queued(facts))
        .or_else(|| early(facts))
        .or_else(|| recipe(facts))
        .or_else(|| late(facts))
        .unwrap_or_else(|| built(facts));
    let answer = stopped(facts, answer);
    Verdict {
        code: answer.code.as_str().to_owned(),
        state: answer.state,
        look: answer.look,
        would_land: answer.would_land,
        because: answer.because,
        next: answer.next,
        needs: needs(facts),
    }
}

/// A verdict without its needs.
pub(super) struct Answer {
    pub(super) code: Code,
    pub(super) state: String,
    look: Look,
    pub(super) would_land: WouldLand,
    because: String,
    pub(super) next: Next,
}

impl Answer {
    pub(super) fn new(code: Code, state: impl Into<String>, look: Look, would_land: WouldLand) -> Self {
        let next = Next { who: "bb".to_owned(), what: String::new() };
        Self { code, state: state.into(), look, would_land, because: String::new(), next }
    }

    /// The reason, of which only the first line is kept: it ends a sentence.
    fn because(mut self, because: impl AsRef<str>) -> Self {
        self.because = because.as_ref().lines().next().unwrap_or_default().to_owned();
        self
    }

    pub(super) fn next(self, who: &str, what: impl Into<String>) -> Self {
        self.by(Next { who: who.to_owned(), what: what.into() })
    }

    /// As it is of this builder's build.
    fn turn(self, builder: &Builder, facts: &Facts) -> Self {
        match turn(&builder.name, &builder.build, facts.author()) {
            Some(next) => self.by(next),
            None => self,
        }
    }

    /// What only waits for bb is not known yet; whatever waits for a person is.
    fn by(mut self, next: Next) -> Self {
        if next.who == "bb" && self.would_land == WouldLand::NotYet {
            (self.would_land, self.look) = (WouldLand::NotKnownYet, Look::Waiting);
        }
        self.next = next;
        self
    }
}

impl Facts {
    fn author(&self) -> &str {
        if self.author.is_empty() { "the author" } else { &self.author }
    }
}

/// Where mainline stops everybody, nobody's turn is bb's, and nobody would land.
pub(super) fn stopped(facts: &Facts, answer: Answer) -> Answer {
    let goes = answer.next.who == "bb" || answer.would_land == WouldLand::Yes;
    let Some(stop) = facts.mainline.stop().filter(|_| facts.life == Life::Live && goes) else { return answer };
    // Who is in the queue keeps the place, and is told so.
    let (code, state, look) = match facts.queue {
        Queue::In { .. } => (Code::QueueHeld, answer.state, answer.look),
        Queue::None | Queue::Ejected { .. } => (stop.branch, "waiting".to_owned(), Look::Exception),
    };
    Answer::new(code, state, look, WouldLand::NotYet).because(format!("because {}", stop.says)).by(stop.next)
}

pub(super) fn ended(facts: &Facts) -> Option<Answer> {
    let retired = |code, because: &str| Answer::new(code, "retired", Look::Retired, WouldLand::No).because(because);
    let again = "publishes it again to bring it back";
    Some(match &facts.life {
        Life::Live => return None,
        Life::Landed { commit, taken_out: Some(TakenOut { day, tip_by }), .. } => {
            let whose = if tip_by.is_empty() { String::new() } else { format!(" whose tip is by {tip_by}") };
            Answer::new(Code::LandedTakenOut, "taken out", Look::Exception, WouldLand::No)
                .because(format!("because it landed as {commit} and was taken out by a push of {day}{whose}"))
                .next(facts.author(), "publishes it again, if it is still to land, else withdraws it")
        }
        Life::Landed { commit, newer: Some(newer), .. } => {
            Answer::new(Code::Landed, "landed", Look::Landed, WouldLand::Yes)
                .because(format!("because it is in mainline as {commit}; r{newer} has not landed"))
                .next(facts.author(), format!("publishes it again, if r{newer} is to land"))
        }
        Life::Landed { commit, .. } => Answer::new(Code::Landed, "landed", Look::Landed, WouldLand::Yes)
            .because(format!("because it is in mainline as {commit}"))
            .next("nobody", "has to do anything; the record stays"),
        Life::Withdrawn { by } => {
            let by = if by.is_empty() { String::new() } else { format!(" by {by}") };
            Answer::new(Code::Withdrawn, "withdrawn", Look::Retired, WouldLand::No)
                .because(format!("because it was withdrawn{by}"))
                .next(facts.author(), again)
        }
        Life::Gone => {
            retired(Code::RetiredGone, "because its source was gone for too long").next(facts.author(), again)
        }
        Life::Quiet => retired(Code::RetiredQuiet, "because nothing happened for too long").next(facts.author(), again),
        Life::InMainline => retired(Code::RetiredInMainline, "because mainline's history has all of it already")
            .next("nobody", "has to do anything; the record stays"),
    })
}

pub(super) fn queued(facts: &Facts) -> Option<Answer> {
    let Queue::In { place, code, says, next, .. } = &facts.queue else { return None };
    let state = format!("queue {place}");
    let held = |code, would_land| Answer::new(code, state.clone(), Look::Accepted, would_land);
    let answer = match code {
        Code::Paused | Code::OnHold | Code::Frozen => {
            held(Code::QueuePaused, WouldLand::NotYet).because(format!("because {says}"))
        }
        Code::Missing => held(Code::CommitMissing, WouldLand::NotYet).because(format!("because {says}")),
        Code::PushRefused | Code::OfficialAway | Code::OfficialWithout | Code::Unreadable => {
            held(Code::QueueHeld, WouldLand::NotYet).because(format!("because {says}"))
        }
        Code::Behind if next.who != "bb" => held(Code::QueueHeld, WouldLand::NotYet).because(format!("because {says}")),
        Code::TestingStuck => held(Code::Stuck, WouldLand::NotYet).because(format!("because {says}")),
        Code::MainlineTrouble => held(Code::MainlineBroken, WouldLand::NotYet).because(format!("because {says}")),
        Code::WhenGreen if next.who == "bb" => held(Code::Queued, WouldLand::NotYet).because(format!("because {says}")),
        Code::WhenGreen => held(Code::QueueHeld, WouldLand::NotYet).because(format!("because {says}")),
        Code::Accepted => held(Code::Queued, WouldLand::Yes).because("as soon as it passes in the queue"),
        Code::Landing => held(Code::Queued, WouldLand::Yes).because(format!("because {says}")),
        _ => held(Code::Queued, WouldLand::Yes).because(format!("as soon as it passes in the queue; {says}")),
    };
    Some(answer.by(next.clone()))
}

/// What is told of it before anybody asks how it is built.
pub(super) fn early(facts: &Facts) -> Option<Answer> {
    unfetched(facts).or_else(|| gone(facts))
}

/// What is told of it before its builds are.
pub(super) fn late(facts: &Facts) -> Option<Answer> {
    candidate(facts).or_else(|| ejected(facts))
}

fn unfetched(facts: &Facts) -> Option<Answer> {
    let Some(revision) = &facts.revision else {
        return Some(match &facts.source {
            Source::Fine => Answer::new(Code::NotFetched, "waiting", Look::Waiting, WouldLand::NotKnownYet)
                .because("because its first revision is not fetched yet")
                .next("bb", "fetches it"),
            Source::Trouble(trouble) | Source::Gone(trouble) => {
                Answer::new(Code::SourceTrouble, "waiting", Look::Exception, WouldLand::NotYet)
                    .because(format!("because its source can't be read: {}", trouble.text))
                    .by(trouble.next(facts.author(), "mends the source"))
            }
        });
    };
    if let Some(lost) = &revision.lost {
        return Some(
            Answer::new(Code::CommitMissing, "missing", Look::Exception, WouldLand::NotYet)
                .because(format!("because the commit of r{} is missing: {}", revision.number, lost.text))
                .by(lost.next(facts.author(), "brings it back")),
        );
    }
    let refused = revision.refused.as_ref()?;
    Some(
        Answer::new(Code::RevisionRefused, "refused", Look::Failed, WouldLand::No)
            .because(format!("because r{} was not admitted: {}", revision.number, refused.text))
            .by(refused.next(facts.author(), "mends it")),
    )
}

fn gone(facts: &Facts) -> Option<Answer> {
    let Source::Gone(trouble) = &facts.source else { return None };
    Some(
        Answer::new(Code::SourceGone, "source gone", Look::Retired, WouldLand::NotYet)
            .because(format!("because its source is gone: {}", trouble.text))
            .next(facts.author(), "publishes it again, or withdraws it"),
    )
}

pub(super) fn recipe(facts: &Facts) -> Option<Answer> {
    let broken = |code| Answer::new(code, "waiting", Look::Exception, WouldLand::NotYet);
    Some(match &facts.recipe {
        Recipe::Fine => return None,
        Recipe::Unknown => Answer::new(Code::NoCandidate, "waiting", Look::Waiting, WouldLand::NotKnownYet)
            .because("because mainline's recipe is not read yet")
            .next("bb", "reads it"),
        Recipe::Missing => broken(Code::NoRecipe)
            .because("because the project has no recipe, and none could be guessed")
            .next("a maintainer", "adds .bb.toml to mainline"),
        Recipe::Broken(trouble) => broken(Code::RecipeError)
            .because(format!("because the project's recipe has an error: {}", trouble.text))
            .by(trouble.next("a maintainer", "mends .bb.toml of mainline")),
        Recipe::BrokenInBranch(trouble) => Answer::new(Code::BranchRecipeError, "refused", Look::Failed, WouldLand::No)
            .because(format!("because its recipe has an error: {}", trouble.text))
            .by(trouble.next(facts.author(), "mends .bb.toml of the branch")),
    })
}

fn candidate(facts: &Facts) -> Option<Answer> {
    Some(match &facts.candidate {
        Candidate::Made => return None,
        Candidate::NotMade => Answer::new(Code::NoCandidate, "waiting", Look::Waiting, WouldLand::NotKnownYet)
            .because("because its candidate is not made yet")
            .next("bb", "makes the candidate"),
        Candidate::Conflict(files) => Answer::new(Code::Conflict, "conflict", Look::Conflict, WouldLand::No)
            .because(if files.is_empty() {
                "because it conflicts with mainline".to_owned()
            } else {
                format!("because it conflicts with mainline in {}", list(files))
            })
            .next(facts.author(), "merges mainline; a rebase is not needed"),
        Candidate::Superseded => Answer::new(Code::Superseded, "superseded", Look::Retired, WouldLand::No)
            .because("because nothing would change: mainline has it all")
            .next(facts.author(), "withdraws it, or pushes what is missing"),
        Candidate::MainlineTrouble(trouble) => {
            Answer::new(Code::MainlineBroken, "waiting", Look::Exception, WouldLand::NotYet)
                .because(format!("because mainline itself is at fault: {}", trouble.text))
                .by(trouble.next("a maintainer", "mends mainline"))
        }
        Candidate::Refused(trouble) => Answer::new(Code::CandidateRefused, "refused", Look::Failed, WouldLand::No)
            .because(format!("because no candidate can be made: {}", trouble.text))
            .by(trouble.next(facts.author(), "mends it")),
    })
}

/// Only while no newer revision is there: that one was not judged by the queue.
fn ejected(facts: &Facts) -> Option<Answer> {
    let Queue::Ejected { revision, says, next } = &facts.queue else { return None };
    if facts.revision.as_ref().is_some_and(|newest| newest.number != *revision) {
        return None;
    }
    Some(
        Answer::new(Code::Ejected, "ejected", Look::Failed, WouldLand::No)
            .because(format!("because it was ejected from the queue: {says}"))
            .by(next.clone()),
    )
}

pub(super) fn built(facts: &Facts) -> Answer {
    let required: Vec<&Builder> = facts.builders.iter().filter(|b| b.required).collect();
    if required.is_empty() {
        return Answer::new(Code::NoRequiredBuilder, "waiting", Look::Warnings, WouldLand::NotYet)
            .because("because no builder is required, and nothing lands untested")
            .next("a maintainer", "sets `required = true` for a builder in .bb.toml");
    }
    failed(facts, &required)
        .or_else(|| without_result(facts, &required))
        .or_else(|| open(&required))
        .unwrap_or_else(|| ready(facts, &required))
}

fn failed(facts: &Facts, required: &[&Builder]) -> Option<Answer> {
    let failures: Vec<&Builder> = ended_with(required, BuildResult::Failure).collect();
    let first = failures.first()?;
    let Build::Finished { step, says, lacks, .. } = &first.build else { return None };
    let mut because = format!("because {} failed{}", first.name, ended_at(step.as_deref(), says));
    if failures.len() > 1 {
        because.push_str(&format!("; so did {}", list(failures[1..].iter().map(|b| &b.name))));
    }
    let state = format!("fails {}", first.name);
    let answer = match lacks {
        Some(_) => Answer::new(Code::ProgramMissing, state, Look::Failed, WouldLand::NotYet),
        None => Answer::new(Code::BuilderFailed, state, Look::Failed, WouldLand::No),
    };
    Some(answer.because(because).turn(first, facts))
}

fn ended_with<'a>(builders: &[&'a Builder], wanted: BuildResult) -> impl Iterator<Item = &'a Builder> {
    builders.iter().copied().filter(move |b| matches!(&b.build, Build::Finished { result, .. } if *result == wanted))
}

/// Builds that ended and say nothing of the branch.
fn without_result(facts: &Facts, required: &[&Builder]) -> Option<Answer> {
    let first = |result| ended_with(required, result).next();
    if let Some(b) = first(BuildResult::Exception) {
        let Build::Finished { says, .. } = &b.build else { return None };
        let detail = if says.is_empty() { String::new() } else { format!(": {says}") };
        return Some(
            Answer::new(Code::BuilderException, "exception", Look::Exception, WouldLand::NotYet)
                .because(format!("because {} ended by the machine's or bb's fault{detail}", b.name))
                .turn(b, facts),
        );
    }
    if let Some(b) = first(BuildResult::Cancelled) {
        return Some(
            Answer::new(Code::BuilderCancelled, "waiting", Look::Cancelled, WouldLand::NotYet)
                .because(format!("because the build of {} was cancelled", b.name))
                .turn(b, facts),
        );
    }
    let b = first(BuildResult::Skipped)?;
    Some(
        Answer::new(Code::BuilderSkipped, "waiting", Look::Skipped, WouldLand::NotYet)
            .because(format!("because {} was skipped, and no result is never success", b.name))
            .turn(b, facts),
    )
}

/// Builds that are not at their end.
fn open(required: &[&Builder]) -> Option<Answer> {
    let is_open = |b: &&&Builder| !matches!(&b.build, Build::Finished { result, .. } if *result != BuildResult::Retry);
    let open: Vec<&Builder> = required.iter().filter(is_open).copied().collect();
    let first = open.first()?;
    let stuck = open.iter().find_map(|b| match &b.build {
        Build::Waiting(Some(wait)) if !wait.passes_by_itself() => Some((b, wait)),
        _ => None,
    });
    if let Some((b, wait)) = stuck {
        return Some(
            Answer::new(Code::Stuck, "waiting", Look::Waiting, WouldLand::NotYet)
                .because(format!("because {} can't be built: {}", b.name, wait.text()))
                .by(wait.next()),
        );
    }
    let of = required.len();
    let running: Vec<&&Builder> = open.iter().filter(|b| matches!(b.build, Build::Running { .. })).collect();
    if running.is_empty() {
        let why = open.iter().find_map(|b| match &b.build {
            Build::Waiting(Some(wait)) => Some((b, wait)),
            _ => None,
        });
        let held = open.iter().find_map(|b| match &b.build {
            Build::Held(crowded) => Some((b, crowded)),
            _ => None,
        });
        if let (None, Some((b, crowded))) = (why, held) {
            let next = crowded.next();
            return Some(
                Answer::new(Code::TooManyPending, "waiting", Look::Waiting, WouldLand::NotKnownYet)
                    .because(format!("because {} is not asked for yet: {}", b.name, crowded.text()))
                    .next(&next.who, next.what),
            );
        }
        let answer = Answer::new(Code::Waiting, "waiting", Look::Waiting, WouldLand::NotKnownYet);
        return Some(match why {
            Some((b, wait)) => {
                let state = match wait {
                    Wait::Lock { lock, .. } => format!("waiting for lock {lock}"),
                    _ => "waiting for a slave".to_owned(),
                };
                Answer { state, ..answer }.because(format!("because {} waits: {}", b.name, wait.text())).by(wait.next())
            }
            None => answer
                .because(format!("because {} {} not begun", list(open.iter().map(|b| &b.name)), has(open.len())))
                .next("bb", format!("starts {}", first.name)),
        });
    }
    let verb = if open.len() == 1 { "runs" } else { "run or wait" };
    let because = if of == 1 {
        format!("because {} still runs", first.name)
    } else {
        format!("because {} of {of} builders still {verb}", open.len())
    };
    Some(
        Answer::new(Code::Building, "building", Look::Running, WouldLand::NotKnownYet)
            .because(because)
            .next("bb", format!("builds {}", list(running.iter().map(|b| &b.name)))),
    )
}

fn has(n: usize) -> &'static str {
    if n == 1 { "has" } else { "have" }
}

fn ready(facts: &Facts, required: &[&Builder]) -> Answer {
    let warned = ended_with(required, BuildResult::Warnings).next().is_some();
    let look = if warned || facts.changes_recipe { Look::Warnings } else { Look::Passed };
    let what = match &facts.revision {
        Some(revision) => format!("accepts r{}", revision.number),
        None => "accepts it".to_owned(),
    };
    let answer = Answer::new(Code::Ready, "ready", look, WouldLand::Yes);
    if facts.changes_recipe {
        return answer
            .because("but it changes how it is built; as soon as it is accepted")
            .next("a maintainer", format!("reads its recipe and {what}"));
    }
    answer.because("as soon as it is accepted").next("a maintainer", what)
}
