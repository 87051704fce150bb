//! The decision for a queue that tests several branches at once: what [`crate::stacks`] says of those that can go together,
//! put beside what the serial queue says of all others.
//!
//! Whatever is unusual is the serial queue's: then the first is tested alone, which tells surely whose fault it is. It is so while
//! the first in order is expedited, changes how everything is built, has no candidate that could be made, or while a stack that could land was
//! refused by the official repository, was not what its parts give, was skipped, or ended too often without a result.

use super::decide::{self, author, bb, behind, in_order, latest_failure, who, with_detail};
use super::{Action, BuildOf, BuildStatus, BuilderOf, Decision, Entry, EntryId, Itself, QueueState, StackId, Standing};
use crate::code::Code;
use crate::stacks::{
    self, Accepted, Candidate, Evidence, Experience, Judge, Line, Mainline, MainlineId, Run, Situation, Why,
};
use crate::words::list;
use protocol::api::Next;
use protocol::{BuildResult, CommitId, UnixMs};
use std::collections::HashSet;

/// What is known beside [`QueueState`] when several are tested at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Together {
    /// Where mainline is, and how it came there.
    pub mainline: Mainline,
    /// Those that may be tested with others: they merge with mainline and do not change how it is built.
    pub members: Vec<Member>,
    /// The stacks that were made, in that order.
    pub tested: Vec<Tested>,
    /// Pairs of entries that can't be merged into one line.
    pub conflicts: Vec<(EntryId, EntryId)>,
    /// So many stacks could be built at once.
    pub capacity: u32,
    /// How long the builds of a stack take, as a mean, in milliseconds.
    pub mean_ms: u64,
    /// What was learned so far.
    pub experience: Experience,
    /// The project's settings.
    pub policy: stacks::Policy,
}

/// An entry that may be tested with others.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The entry.
    pub entry: EntryId,
    /// Its branch's name.
    pub name: String,
    /// How likely it fails beside an ordinary branch: 1 is ordinary.
    pub risk: f64,
}

/// A stack that was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tested {
    /// The stack.
    pub id: StackId,
    /// Mainline's commit that it stands on.
    pub on: MainlineId,
    /// The entries, first merged first; none: it is that commit of mainline itself.
    pub entries: Vec<EntryId>,
    /// Its top.
    pub commit: CommitId,
    /// The builders that judge it, from its own recipe.
    pub builders: Vec<BuilderOf>,
    /// All builds of its top by these, oldest first.
    pub builds: Vec<BuildOf>,
    /// When its builds were asked for last.
    pub begun: UnixMs,
    /// Whether its push was refused, or bb's own check found another commit than its parts give.
    pub refused: bool,
}

/// Says what is missing for the queue to go on, and how every entry stands, several being tested at once where they can.
pub fn decide_together(state: &QueueState, together: &Together) -> Decision {
    let state = &QueueState { itself: itself(state, together), ..state.clone() };
    if state.landing.is_some() {
        return serial(state, together);
    }
    let order = in_order(state);
    let stays: Vec<&Entry> = order.iter().copied().filter(|e| e.hindrance.is_none()).collect();
    let goes: Vec<&Entry> =
        stays.iter().copied().filter(|e| !e.rests() && e.needs.iter().all(|n| n.entry.is_some())).collect();
    let goes = state.let_by(goes);
    let members: Vec<(&Entry, &Member)> =
        goes.iter().filter_map(|e| Some((*e, together.members.iter().find(|m| m.entry == e.id)?))).collect();
    let free: Vec<&Entry> = goes.iter().copied().filter(|e| e.needs.is_empty()).collect();
    let first = decide::first(state, &free);
    let usual =
        first.is_some_and(|first| !state.is_expedited(first) && members.iter().any(|(entry, _)| entry.id == first.id));
    let waits: HashSet<EntryId> = goes.iter().map(|e| e.id).collect();
    if !usual || together.tested.iter().any(|it| is_unusual(state, together, it, &waits)) {
        return serial(state, together);
    }
    let decision = stacks::decide(&situation(state, together, &members));
    let mut out = Decision { together: true, ..Decision::default() };
    out.actions.extend(order.iter().filter_map(|e| decide::leaves(state, e)));
    let suspect = suspect(&decision).or_else(|| members.first().map(|(entry, _)| entry.id));
    out.actions.extend(decision.actions.iter().filter_map(|action| carried(state, together, action, suspect)));
    out.actions.extend(mends(together, &members, &decision));
    // The queue's builds go before others, also those that somebody else asked for.
    for it in together.tested.iter().filter(|it| decision.standings.iter().any(|s| s.stack == Some(it.id))) {
        let mine = |b: &&BuildOf| b.status == BuildStatus::Waiting && !b.for_queue;
        let builders: Vec<String> = it.builds.iter().filter(mine).map(|b| b.builder.clone()).collect();
        if !builders.is_empty() {
            out.actions.push(Action::TestAgain { stack: it.id, builders });
        }
    }
    if state.official.stop().is_some() {
        let goes_on = |a: &Action| {
            matches!(
                a,
                Action::Test { .. } | Action::TestMainline { .. } | Action::TestAgain { .. } | Action::Cancel { .. }
            )
        };
        out.actions.retain(goes_on);
    }
    out.standings = standings(state, together, &stays, &members, &decision, &out.actions);
    out.look_again = state.frozen.iter().filter_map(|frozen| frozen.until).min();
    out
}

/// What the serial queue says. Mainline is built once; what was lost of that is asked for again.
fn serial(state: &QueueState, together: &Together) -> Decision {
    let mut decision = decide::decide(state);
    for action in &mut decision.actions {
        if let (Action::TestMainline { .. }, Some(it)) = (&action, built_itself(together)) {
            *action = again(it);
        }
    }
    decision
}

/// Mainline as it stands, as it was built without any branch.
fn built_itself(together: &Together) -> Option<&Tested> {
    together.tested.iter().find(|it| it.entries.is_empty() && it.on == together.mainline.at)
}

/// Asks for those builds of a stack that neither passed nor are under way.
fn again(it: &Tested) -> Action {
    let left = |b: &&BuilderOf| {
        let runs = runs(it, b);
        !runs.contains(&Run::Passed) && !runs.contains(&Run::Running)
    };
    Action::TestAgain { stack: it.id, builders: required(it).filter(left).map(|b| b.name.clone()).collect() }
}

/// What is known of mainline itself.
fn itself(state: &QueueState, together: &Together) -> Itself {
    let at = together.mainline.at;
    let Some(it) = built_itself(together) else {
        return if state.itself == Itself::Unknowable { Itself::Untested(at) } else { state.itself };
    };
    if state.itself == Itself::Passes {
        return Itself::Passes;
    }
    let said: Vec<Vec<Run>> = required(it).map(|b| runs(it, b)).collect();
    if said.iter().any(|runs| runs.contains(&Run::Failed) && !runs.contains(&Run::Passed)) {
        Itself::Fails
    } else if !said.is_empty() && said.iter().all(|runs| runs.contains(&Run::Passed)) {
        Itself::Passes
    } else if required(it).any(|b| says_nothing(it, b, state.policy.retries)) || said.is_empty() {
        Itself::Unknowable
    } else if said.iter().any(|runs| runs.contains(&Run::Running)) {
        Itself::Tested
    } else {
        // What was lost is built again.
        Itself::Untested(at)
    }
}

/// The question as the stacks' engine takes it.
fn situation(state: &QueueState, together: &Together, members: &[(&Entry, &Member)]) -> Situation {
    let accepted = |(entry, member): &(&Entry, &Member)| Accepted {
        id: entry.id,
        priority: entry.priority,
        since: entry.accepted_at,
        needs: entry.needs.iter().filter_map(|need| need.entry).collect(),
        risk: member.risk,
        conflicts: false,
    };
    let stack = |it: &Tested| stacks::Stack {
        id: it.id,
        line: Line { on: it.on, entries: it.entries.clone() },
        candidate: Candidate::Made(
            required(it).map(|b| Judge { builder: b.name.clone(), runs: runs(it, b) }).collect(),
        ),
        begun: it.begun,
    };
    let all: Vec<stacks::Stack> = together.tested.iter().map(stack).collect();
    let running = all.iter().filter(|it| it.runs()).count();
    Situation {
        now: state.now,
        mainline: together.mainline.clone(),
        entries: members.iter().map(accepted).collect(),
        stacks: all,
        conflicts: together.conflicts.clone(),
        landing: None,
        free: together.capacity.saturating_sub(u32::try_from(running).unwrap_or(u32::MAX)),
        mean_ms: together.mean_ms,
        experience: together.experience,
        policy: together.policy,
    }
}

/// Who would be sent away if mainline itself passed, the first of them.
fn suspect(decision: &stacks::Decision) -> Option<EntryId> {
    decision.standings.iter().find(|it| it.why == Why::Convicted).map(|it| it.entry)
}

/// Whether mainline itself fails.
fn mainline_fails(decision: &stacks::Decision) -> bool {
    decision.standings.iter().any(|it| it.why == Why::MainlineFails)
}

/// While mainline itself fails: the first that was not tested alone on it yet. One that mends it passes.
fn mends(together: &Together, members: &[(&Entry, &Member)], decision: &stacks::Decision) -> Option<Action> {
    let now = |it: &&Tested| it.on == together.mainline.at;
    let alone = |id: EntryId| together.tested.iter().filter(now).any(|it| it.entries == [id]);
    let runs = together.tested.iter().any(|it| it.builds.iter().any(|b| run(&b.status) == Run::Running));
    if !mainline_fails(decision) || runs {
        return None;
    }
    let (entry, _) = members.iter().find(|(entry, _)| entry.needs.is_empty() && !alone(entry.id))?;
    Some(Action::Test { entries: vec![entry.id], purpose: stacks::Purpose::Fresh { fresh: 1, good: 0 } })
}

fn required(it: &Tested) -> impl Iterator<Item = &BuilderOf> {
    it.builders.iter().filter(|b| b.required)
}

/// What builds of a stack's top by a builder say, oldest first. What passed before the last failure says nothing: somebody asked
/// again, and it failed.
pub fn runs(it: &Tested, builder: &BuilderOf) -> Vec<Run> {
    let own = it.builds.iter().filter(|b| b.builder == builder.name && b.commit == it.commit);
    let mut runs: Vec<Run> = own.map(|b| run(&b.status)).collect();
    if let Some(failed) = runs.iter().rposition(|run| *run == Run::Failed)
        && !runs[failed..].contains(&Run::Passed)
    {
        runs.retain(|run| *run != Run::Passed);
    }
    runs
}

fn run(status: &BuildStatus) -> Run {
    match status {
        BuildStatus::Waiting | BuildStatus::Running => Run::Running,
        BuildStatus::Finished { result, .. } => match result {
            BuildResult::Success | BuildResult::Warnings => Run::Passed,
            BuildResult::Failure => Run::Failed,
            BuildResult::Skipped | BuildResult::Exception | BuildResult::Retry | BuildResult::Cancelled => Run::Nothing,
        },
    }
}

/// Whether a stack that may still land makes it the serial queue's turn.
fn is_unusual(state: &QueueState, together: &Together, it: &Tested, waits: &HashSet<EntryId>) -> bool {
    let landed = |entry: &EntryId| {
        let by = |one: &stacks::Move| matches!(&one.by, stacks::By::Landing(entries) if entries.contains(entry));
        together.mainline.moves.iter().any(by)
    };
    let is_live =
        it.entries.iter().any(|e| waits.contains(e)) && it.entries.iter().all(|e| waits.contains(e) || landed(e));
    // Whether mainline itself passes can't be found out: whoever is tested alone is judged by that.
    let is_mainline = it.entries.is_empty() && it.on == together.mainline.at;
    (is_live && it.refused)
        || ((is_live || is_mainline) && required(it).any(|b| says_nothing(it, b, state.policy.retries)))
}

/// Whether a builder was skipped, or ended too often without a result.
fn says_nothing(it: &Tested, builder: &BuilderOf, retries: u32) -> bool {
    let own = it.builds.iter().rev().filter(|b| b.builder == builder.name);
    let results = own.filter_map(|b| match &b.status {
        BuildStatus::Finished { result, .. } => Some(*result),
        BuildStatus::Waiting | BuildStatus::Running => None,
    });
    let mut lost = 0;
    for result in results {
        match result {
            BuildResult::Skipped => return true,
            BuildResult::Exception | BuildResult::Retry => lost += 1,
            BuildResult::Cancelled => {}
            BuildResult::Success | BuildResult::Warnings | BuildResult::Failure => break,
        }
    }
    lost > retries
}

/// An action of the engine as the queue's.
fn carried(
    state: &QueueState,
    together: &Together,
    action: &stacks::Action,
    suspect: Option<EntryId>,
) -> Option<Action> {
    let tested = |id: &StackId| together.tested.iter().find(|it| it.id == *id);
    Some(match action {
        stacks::Action::Land { .. } if state.paused.is_some() => return None,
        stacks::Action::Land { entries, .. } if entries.iter().any(|id| state.is_frozen(*id)) => return None,
        stacks::Action::Land { stack, entries } => {
            let (commit, on) = (tested(stack)?.commit.clone(), state.mainline.clone());
            Action::Land { stack: *stack, entries: entries.clone(), commit, on }
        }
        stacks::Action::Eject { entry, evidence: Evidence::Failed { stack, builder, with, .. } } => {
            failed(state, together, tested(stack)?, *entry, builder, with)
        }
        // The serial queue judges alone who does not merge with mainline.
        stacks::Action::Eject { evidence: Evidence::Conflict, .. } => return None,
        stacks::Action::Cancel { stack } => Action::Cancel { stack: tested(stack)?.id },
        stacks::Action::Start { line, purpose } if !line.entries.is_empty() => {
            Action::Test { entries: line.entries.clone(), purpose: *purpose }
        }
        stacks::Action::Start { line, .. } => Action::TestMainline { on: line.on, entry: suspect? },
        stacks::Action::Again { stack, .. } => again(tested(stack)?),
    })
}

/// Takes out who failed, all others of the stack being in mainline.
fn failed(
    state: &QueueState,
    together: &Together,
    it: &Tested,
    entry: EntryId,
    builder: &str,
    with: &[EntryId],
) -> Action {
    let (says, lacks) = latest_failure(&it.commit, builder, &it.builds);
    let mut text = with_detail(format!("{builder} failed"), says);
    let names: Vec<&str> = with.iter().filter_map(|id| name(together, *id)).collect();
    if !names.is_empty() {
        text = format!("{text}; it was tested on top of {}, which landed", list(names));
    }
    let (code, next) = match lacks {
        Some(program) => (Code::EjectedProgram, decide::gives_program(program)),
        None => (Code::EjectedFailure, who(author(state, entry), format!("makes {builder} pass"))),
    };
    Action::Eject { stack: Some(it.id), entry, code, says: text, next }
}

fn name(together: &Together, id: EntryId) -> Option<&str> {
    together.members.iter().find(|m| m.entry == id).map(|m| m.name.as_str())
}

/// One standing for every entry that does not leave, in the queue's order.
fn standings(
    state: &QueueState,
    together: &Together,
    stays: &[&Entry],
    members: &[(&Entry, &Member)],
    decision: &stacks::Decision,
    actions: &[Action],
) -> Vec<Standing> {
    let leaves = |id: EntryId| actions.iter().any(|a| matches!(a, Action::Eject { entry, .. } if *entry == id));
    (1..)
        .zip(stays.iter().filter(|e| !leaves(e.id)))
        .map(|(place, entry)| {
            let is_member = members.iter().any(|(e, _)| e.id == entry.id);
            let stands = decision.standings.iter().find(|s| s.entry == entry.id).filter(|_| is_member);
            let standing = match stands {
                Some(stacks::Standing { why: Why::MainlineFails, .. }) => on_broken(together, entry.id, place),
                Some(stands) => stand(state, together, entry.id, place, stands),
                None => decide::held_at(state, entry, place)
                    .or_else(|| decide::is_frozen(state, entry.id, place).filter(|_| !is_member))
                    .unwrap_or_else(|| behind(entry.id, place, None)),
            };
            match state.official.instead(&standing.next) {
                Some(stop) => Standing { code: stop.queue, says: stop.says, next: stop.next, ..standing },
                None => standing,
            }
        })
        .collect()
}

fn stand(state: &QueueState, together: &Together, entry: EntryId, place: u32, stands: &stacks::Standing) -> Standing {
    let tested = stands.stack.and_then(|id| together.tested.iter().find(|it| it.id == id));
    let says = |code, says: String, next| Standing { entry, place, stack: stands.stack, code, says, next };
    let named = |id: EntryId| name(together, id).unwrap_or("another").to_owned();
    let lands = |what: &str| bb(&format!("lands it {what}"));
    if let (Why::Landing | Why::Good, Some(frozen)) = (&stands.why, decide::is_frozen(state, entry, place)) {
        return frozen;
    }
    // Whatever is known of it: what it waits for does not come by itself.
    let itself = built_itself(together).filter(|_| stands.why == Why::Convicted);
    if let Some((code, text, next)) = tested.into_iter().chain(itself).find_map(stuck) {
        return says(code, text, next);
    }
    match (&stands.why, tested) {
        (Why::Landing | Why::Good, None) if state.paused.is_some() => decide::is_paused(state, entry, place),
        (Why::Landing, _) => says(Code::Landing, "it passed and is landed now".to_owned(), bb("pushes it")),
        (Why::Good, Some(it)) => testing(together, entry, place, it),
        (Why::Good, None) => {
            says(Code::Testing, "it passed, and lands with the next that pass together".to_owned(), lands("then"))
        }
        (Why::Suspect { of, .. }, _) if *of > 1 => {
            let text = format!("one of {of} that failed together; which of them is being found");
            says(Code::Testing, text, bb("finds who fails, and lands the others"))
        }
        (Why::Suspect { .. }, _) => {
            let text = "it failed, perhaps by chance, and is tested again".to_owned();
            says(Code::Testing, text, bb("tests it until that is sure"))
        }
        (Why::Convicted, _) if mainline_runs(together) => {
            let text = "it failed; whether mainline itself passes is being found out".to_owned();
            says(Code::Testing, text, bb("builds mainline itself"))
        }
        (Why::Convicted, _) => {
            let text = "it failed together with others that passed, which land first".to_owned();
            says(Code::Testing, text, bb("tests it on top of them"))
        }
        (Why::Conflict { with }, _) => {
            let text = format!("it does not merge with {}, which is before it", named(*with));
            says(
                Code::BehindConflict,
                text,
                bb(&format!("tests it when {} left, else it is the author's turn", named(*with))),
            )
        }
        (Why::Unknown, Some(it)) => testing(together, entry, place, it),
        (Why::Needs { .. } | Why::Circle { .. }, _) => {
            let of = state.entries.iter().find(|e| e.id == entry);
            of.and_then(|of| decide::held_at(state, of, place)).unwrap_or_else(|| behind(entry, place, None))
        }
        (Why::Unknown | Why::MainlineFails, _) => behind(entry, place, None),
    }
}

/// Whether a commit of mainline itself is being built.
fn mainline_runs(together: &Together) -> bool {
    let runs = |it: &Tested| it.entries.is_empty() && it.builds.iter().any(|b| run(&b.status) == Run::Running);
    together.tested.iter().any(runs)
}

/// Of one that waits while mainline itself fails.
fn on_broken(together: &Together, entry: EntryId, place: u32) -> Standing {
    let itself = built_itself(together);
    let failed = itself.and_then(|it| {
        let fails = required(it).find(|b| runs(it, b).contains(&Run::Failed))?;
        let (says, lacks) = latest_failure(&it.commit, &fails.name, &it.builds);
        Some((with_detail(format!("{} failed", fails.name), says), decide::mends_mainline(&fails.name, lacks)))
    });
    let (detail, next) = failed.unwrap_or_else(|| (String::new(), decide::mends_mainline("", None)));
    let says = with_detail("mainline itself fails, without any branch of the queue".to_owned(), &detail);
    Standing { entry, place, stack: itself.map(|it| it.id), code: Code::MainlineTrouble, says, next }
}

/// Why a stack's builds can't begin, if that does not pass by itself.
fn stuck(it: &Tested) -> Option<(Code, String, Next)> {
    let mut open = it.builds.iter().filter(|b| b.status == BuildStatus::Waiting);
    let (build, wait) = open.find_map(|b| Some((b, b.wait.as_ref().filter(|w| !w.passes_by_itself())?)))?;
    Some((Code::TestingStuck, format!("{} can't be built: {}", build.builder, wait.text()), wait.next()))
}

/// Of one whose stack is built. How far its builds are is not said: it would be news to all of a long stack each time.
fn testing(together: &Together, entry: EntryId, place: u32, it: &Tested) -> Standing {
    let by: Vec<&str> = required(it).map(|b| b.name.as_str()).collect();
    let others: Vec<&str> = it.entries.iter().filter(|id| **id != entry).filter_map(|id| name(together, *id)).collect();
    let with = if others.is_empty() { String::new() } else { format!(" together with {}", list(others)) };
    let says = format!("tested{with}, by {}", list(&by));
    let next = bb(&format!("lands it when {} passed", list(&by)));
    Standing { entry, place, stack: Some(it.id), code: Code::Testing, says, next }
}
