//! The serial decision: the first entry in order, alone on mainline.

use super::{
    Action, BuildOf, BuildStatus, BuilderOf, Candidate, Decision, Entry, EntryId, Hindrance, Itself, Pause,
    PushRefused, QueueState, Stack, StackId, Standing,
};
use crate::code::Code;
use crate::trouble::next;
use crate::words::list;
use protocol::api::Next;
use protocol::{BuildResult, CommitId};
use std::cmp::Reverse;

/// Says what is missing for the queue to go on, and how every entry stands.
pub fn decide(state: &QueueState) -> Decision {
    let mut order = in_order(state);

    let landing = state.landing.as_ref().and_then(|l| state.stacks.iter().find(|s| s.id == l.stack));
    // What is being pushed is not disturbed; who can't land whatever happens leaves, wherever he stands.
    let pushed = |e: &Entry| state.landing.is_some() && landing.is_none_or(|s| s.entries.contains(&e.id));
    let mut decision = Decision::default();
    decision.actions.extend(order.iter().filter(|e| !pushed(e)).filter_map(|e| leaves(state, e)));
    order.retain(|e| pushed(e) || e.hindrance.is_none());

    let goes: Vec<&Entry> = order.iter().copied().filter(|e| !e.rests() && e.needs.is_empty()).collect();
    let first = first(state, &goes);
    let active = landing.or_else(|| first.and_then(|first| stack_of(state, first)));
    for stack in state.stacks.iter().filter(|s| active.is_none_or(|a| a.id != s.id) && !is_held(state, s)) {
        decision.actions.push(Action::Drop { stack: stack.id });
    }

    let mut head = match (landing, active, first) {
        (Some(stack), ..) => Head::stands(stack, Code::Landing, "its tested commit is being pushed", bb("pushes it")),
        // The stack is not known any more, but the push may still be under way.
        _ if state.landing.is_some() => Head::default(),
        (None, Some(stack), Some(entry)) => test(state, stack, entry),
        (None, _, Some(entry)) => Head {
            actions: vec![Action::Make { on: state.mainline.clone(), entries: vec![entry.id] }],
            standing: Some((
                vec![entry.id],
                None,
                Code::Making,
                "its candidate is being made".to_owned(),
                bb("makes it"),
            )),
            look_again: None,
        },
        (None, _, None) => Head::default(),
    };
    if state.official.stop().is_some() {
        head.actions.retain(|a| matches!(a, Action::Build { .. } | Action::Make { .. } | Action::TestMainline { .. }));
    }
    decision.actions.append(&mut head.actions);
    decision.look_again = head.look_again;
    decision.standings = standings(state, &order, &decision.actions, head.standing.as_ref());
    decision
}

/// All entries, in the queue's order.
pub(super) fn in_order(state: &QueueState) -> Vec<&Entry> {
    let mut order: Vec<&Entry> = state.entries.iter().collect();
    order.sort_by_key(|e| (!state.is_expedited(e), Reverse(e.priority), e.accepted_at, e.id));
    order
}

/// The entry whose turn it is: the first that is not held by mainline's own trouble or by what is missing, else the first.
pub(super) fn first<'a>(state: &QueueState, order: &[&'a Entry]) -> Option<&'a Entry> {
    let goes = |e: &&&Entry| stack_of(state, e).is_none_or(|s| !is_held(state, s));
    order.iter().find(goes).or(order.first()).copied()
}

/// The stack that the serial queue wants of an entry: it alone on the mainline of now.
fn stack_of<'a>(state: &'a QueueState, entry: &Entry) -> Option<&'a Stack> {
    let fits = |s: &&Stack| s.on == state.mainline && s.entries == [entry.id];
    state.stacks.iter().filter(fits).min_by_key(|s| s.id)
}

/// Whether a stack waits for mainline to be mended, or for what it is made of.
fn is_held(state: &QueueState, stack: &Stack) -> bool {
    stack.on == state.mainline
        && (stack.candidate.is_held()
            || (state.itself == Itself::Fails && stack.candidate.fails_by_mainline().is_some()))
}

/// What takes an entry out of the queue whose candidate does not matter any more.
pub(super) fn leaves(state: &QueueState, entry: &Entry) -> Option<Action> {
    let (code, says, next) = match entry.hindrance.as_ref()? {
        Hindrance::Ended { says } => {
            let says = with_detail("its branch is not live any more".to_owned(), says);
            (Code::Retired, says, who(author(state, entry.id), "publishes it again, if it is still to land"))
        }
        Hindrance::RightLost { by } => {
            let says = format!("{by}, who accepted it, may not accept any more");
            (Code::EjectedRightLost, says, who("a maintainer", "looks at it and accepts it again"))
        }
        Hindrance::Outdated { newer } => {
            let says = format!("r{newer} came before it was green, which it was accepted for");
            (Code::EjectedOutdated, says, who("a maintainer", format!("looks at r{newer} and accepts that")))
        }
        Hindrance::Unusable { text, hint } => {
            (Code::EjectedRefused, text.clone(), next(hint, author(state, entry.id), "mends it"))
        }
    };
    Some(Action::Eject { entry: entry.id, stack: None, code, says, next })
}

/// How an entry stands that waits for mainline to be mended, or for what it is made of.
fn held(state: &QueueState, entry: &Entry) -> Option<How> {
    let stack = stack_of(state, entry).filter(|s| is_held(state, s))?;
    let (code, says, next) = match &stack.candidate {
        Candidate::MainlineTrouble { text, hint } => {
            let says = format!("mainline itself is at fault: {text}");
            (Code::MainlineTrouble, says, next(hint, "a maintainer", "mends mainline"))
        }
        Candidate::Missing { text, hint } => {
            let says = format!("what it is made of is missing: {text}");
            (Code::Missing, says, next(hint, author(state, entry.id), "brings it back"))
        }
        Candidate::Unreadable { text } => {
            let next = who("an admin", "reads the master's log, and reports it to the makers of bb");
            (Code::Unreadable, format!("bb can't read what it keeps of it: {text}"), next)
        }
        made => match made.untried() {
            Some(BuilderOf { name, .. }) => {
                let says = format!(
                    "mainline itself is at fault: {name}, as its recipe has it, was skipped, and no result is never success"
                );
                let what = format!("makes {name} run, or optional, in .bb.toml of mainline");
                (Code::MainlineTrouble, says, who("a maintainer", what))
            }
            None => {
                let (name, says, lacks) = made.fails_by_mainline()?;
                let says = with_detail(format!("{name} failed, and mainline itself fails, too"), says);
                (Code::MainlineTrouble, says, mends_mainline(name, lacks))
            }
        },
    };
    Some((vec![entry.id], Some(stack.id), code, says, next))
}

pub(super) type How = (Vec<EntryId>, Option<StackId>, Code, String, Next);

/// What is decided of the entries at the head of the queue.
#[derive(Default)]
struct Head {
    actions: Vec<Action>,
    standing: Option<How>,
    look_again: Option<protocol::UnixMs>,
}

impl Head {
    fn stands(stack: &Stack, code: Code, says: impl Into<String>, next: Next) -> Self {
        let standing = Some((stack.entries.clone(), Some(stack.id), code, says.into(), next));
        Self { standing, ..Self::default() }
    }

    fn ejects(entry: EntryId, stack: &Stack, code: Code, says: String, next: Next) -> Self {
        let actions =
            vec![Action::Eject { entry, stack: Some(stack.id), code, says, next }, Action::Drop { stack: stack.id }];
        Self { actions, ..Self::default() }
    }
}

pub(super) fn bb(what: &str) -> Next {
    who("bb", what)
}

pub(super) fn who(who: &str, what: impl Into<String>) -> Next {
    Next { who: who.to_owned(), what: what.into() }
}

/// Who mends what is wrong with an entry.
pub(super) fn author(state: &QueueState, id: EntryId) -> &str {
    let entry = state.entries.iter().find(|e| e.id == id);
    entry.map(|e| e.author.as_str()).filter(|a| !a.is_empty()).unwrap_or("the author")
}

/// The next step of a stack on the mainline of now.
fn test(state: &QueueState, stack: &Stack, first: &Entry) -> Head {
    match &stack.candidate {
        Candidate::NotMade => Head::stands(stack, Code::Making, "its candidate is being made", bb("makes it")),
        Candidate::Conflict { entry, files } => {
            let says = if files.is_empty() {
                "it conflicts with mainline".to_owned()
            } else {
                format!("it conflicts with mainline in {}", list(files))
            };
            let next = who(author(state, *entry), "merges mainline; a rebase is not needed");
            Head::ejects(*entry, stack, Code::EjectedConflict, says, next)
        }
        // How each of them stands is said of all alike.
        _ if is_held(state, stack) => Head::default(),
        Candidate::MainlineTrouble { .. } | Candidate::Missing { .. } | Candidate::Unreadable { .. } => Head::default(),
        Candidate::InMainline { entry } => {
            let actions = vec![Action::Retire { entry: *entry }, Action::Drop { stack: stack.id }];
            Head { actions, ..Head::default() }
        }
        Candidate::Refused { entry, text, hint, .. } => {
            let next = next(hint, author(state, *entry), "mends it");
            Head::ejects(*entry, stack, Code::EjectedRefused, text.clone(), next)
        }
        Candidate::Made { commit, builders, builds } => judge(state, stack, first, commit, builders, builds),
    }
}

/// What a builder says of a candidate.
enum Word<'a> {
    Passed,
    Failed {
        says: &'a str,
        lacks: Option<&'a str>,
    },
    Skipped,
    /// A build is under way.
    Open(&'a BuildOf),
    /// No build was asked for, or the last ended without a result: this try is to be asked for.
    Ask(u32),
    /// It ended without a result too often.
    GaveUp {
        attempts: u32,
        last: BuildResult,
        says: &'a str,
    },
}

fn word<'a>(builder: &BuilderOf, commit: &CommitId, builds: &'a [BuildOf], retries: u32) -> Word<'a> {
    let Some(build) = builder.latest(commit, builds) else { return Word::Ask(1) };
    let (result, says, lacks) = match &build.status {
        BuildStatus::Waiting | BuildStatus::Running => return Word::Open(build),
        BuildStatus::Finished { result, says, lacks } => (*result, says.as_str(), lacks.as_deref()),
    };
    match result {
        BuildResult::Success | BuildResult::Warnings => Word::Passed,
        BuildResult::Failure => Word::Failed { says, lacks },
        BuildResult::Skipped => Word::Skipped,
        BuildResult::Exception | BuildResult::Retry | BuildResult::Cancelled => {
            if build.attempt > retries {
                Word::GaveUp { attempts: build.attempt, last: result, says }
            } else {
                Word::Ask(build.attempt.saturating_add(1))
            }
        }
    }
}

/// Judges a candidate by its builders.
fn judge(
    state: &QueueState,
    stack: &Stack,
    first: &Entry,
    commit: &CommitId,
    builders: &[BuilderOf],
    builds: &[BuildOf],
) -> Head {
    let eject = |code, says, next| Head::ejects(first.id, stack, code, says, next);
    if !builders.iter().any(|b| b.required) {
        let says = "its recipe requires no builder, and nothing lands untested".to_owned();
        // Were it mainline's recipe, that would be mainline's trouble.
        let what = "sets `required = true` for a builder in its .bb.toml, then a maintainer accepts it again";
        let next = who(author(state, first.id), what);
        return eject(Code::EjectedUntested, says, next);
    }
    let words: Vec<(&BuilderOf, Word<'_>)> =
        builders.iter().map(|b| (b, word(b, commit, builds, state.policy.retries))).collect();

    for (builder, word) in words.iter().filter(|(b, _)| b.required) {
        let name = &builder.name;
        match word {
            // Before anybody is sent away for what mainline's own builder says, it is known what it says of mainline.
            Word::Failed { .. }
                if builder.of_mainline && matches!(state.itself, Itself::Untested(_) | Itself::Tested) =>
            {
                return finds_out(state, stack, first, name);
            }
            Word::Failed { says, lacks: Some(program) } => {
                let says = with_detail(format!("{name} failed"), says) + doubt(state);
                return eject(Code::EjectedProgram, says, gives_program(program));
            }
            Word::Failed { says, lacks: None } => {
                let next = who(author(state, first.id), format!("makes {name} pass"));
                let says = with_detail(format!("{name} failed"), says) + doubt(state);
                return eject(Code::EjectedFailure, says, next);
            }
            // One that mainline has just so is no reason; what is wrong beside it is.
            Word::Skipped if builder.of_mainline => {}
            Word::Skipped => {
                let says = format!("{name}, as its own recipe has it, was skipped, and no result is never success");
                let what =
                    format!("makes {name} run, or optional, in its .bb.toml, then a maintainer accepts it again");
                return eject(Code::EjectedSkipped, says, who(author(state, first.id), what));
            }
            Word::GaveUp { attempts, last, says } => {
                let often = if *attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
                let text = format!("{name} ended {often} without a result, the last time with {last}");
                let next = who("an admin", "looks after the machine, then a maintainer accepts it again");
                return eject(Code::EjectedNoResult, with_detail(text, says), next);
            }
            Word::Passed | Word::Open(_) | Word::Ask(_) => {}
        }
    }

    let asked: Vec<Action> = words
        .iter()
        .filter_map(|(builder, word)| {
            let attempt = match *word {
                Word::Ask(attempt) => attempt,
                Word::Open(build) if build.status == BuildStatus::Waiting && !build.for_queue => build.attempt,
                _ => return None,
            };
            Some(Action::Build { stack: stack.id, commit: commit.clone(), builder: builder.name.clone(), attempt })
        })
        .collect();
    let left: Vec<&str> =
        words.iter().filter(|(b, w)| b.required && !matches!(w, Word::Passed)).map(|(b, _)| b.name.as_str()).collect();
    let stuck = words.iter().filter(|(b, _)| b.required).find_map(|(b, w)| match w {
        Word::Open(BuildOf { status: BuildStatus::Waiting, wait: Some(wait), .. }) if !wait.passes_by_itself() => {
            Some((b, wait))
        }
        _ => None,
    });
    let mut head = if left.is_empty() {
        land(state, stack, first, commit)
    } else if let Some((builder, wait)) = stuck {
        let says = format!("{} can't be built: {}", builder.name, wait.text());
        // A recipe of its own is its author's to mend.
        let next = if builder.of_mainline { wait.next() } else { wait.next_by_author(author(state, first.id)) };
        Head::stands(stack, Code::TestingStuck, says, next)
    } else {
        let running = words
            .iter()
            .any(|(b, w)| b.required && matches!(w, Word::Open(BuildOf { status: BuildStatus::Running, .. })));
        let verb = match (left.len(), running) {
            (1, true) => "is left",
            (_, true) => "are left",
            (1, false) => "waits for a slave",
            (_, false) => "wait for a slave",
        };
        let says = format!("{} {verb}", list(&left));
        Head::stands(stack, Code::Testing, says, bb(&format!("lands it when {} passed", list(&left))))
    };
    // Optional builders are asked for, too, but landing does not wait for them.
    head.actions.splice(0..0, asked);
    head
}

/// An entry failed of which it can be found out whether mainline fails in the same way.
fn finds_out(state: &QueueState, stack: &Stack, first: &Entry, builder: &str) -> Head {
    let says = format!("{builder} failed; whether mainline itself passes is being found out");
    let mut head = Head::stands(stack, Code::Testing, says, bb("builds mainline itself"));
    if let Itself::Untested(on) = state.itself {
        head.actions.push(Action::TestMainline { on, entry: first.id });
    }
    head
}

/// How sure it is that a failure is the entry's own fault, in words after others.
const fn doubt(state: &QueueState) -> &'static str {
    match state.itself {
        Itself::Passes => "",
        Itself::Fails => "; mainline itself fails, too, as it stands",
        Itself::Tested | Itself::Untested(_) | Itself::Unknowable => {
            "; whether mainline itself passes, as it stands, is not known"
        }
    }
}

/// Who mends what mainline itself fails by.
pub(super) fn mends_mainline(builder: &str, lacks: Option<&str>) -> Next {
    match lacks {
        Some(program) => who("an admin", format!("gives the slaves `{program}`, then has {builder} built again")),
        None => who("a maintainer", "mends mainline, or accepts a branch that does"),
    }
}

pub(super) fn gives_program(program: &str) -> Next {
    let what = format!(
        "gives the slaves `{program}`, or whoever wrote the recipe does without it; then a maintainer accepts it again"
    );
    who("an admin", what)
}

/// What the latest failure of a builder says, and the program that the slave lacks if that is why.
pub(super) fn latest_failure<'b>(
    commit: &CommitId,
    builder: &str,
    builds: &'b [BuildOf],
) -> (&'b str, Option<&'b str>) {
    let own = builds.iter().rev().filter(|b| b.builder == builder && b.commit == *commit);
    let failed = own.filter_map(|b| match &b.status {
        BuildStatus::Finished { result: BuildResult::Failure, says, lacks } => Some((says.as_str(), lacks.as_deref())),
        _ => None,
    });
    failed.into_iter().next().unwrap_or_default()
}

/// How one stands that would land if the queue were not paused.
pub(super) fn is_paused(state: &QueueState, entry: EntryId, place: u32) -> Standing {
    let says = state.paused.as_ref().map(paused).unwrap_or_default();
    Standing { entry, place, stack: None, code: Code::Paused, says, next: who("a maintainer", "resumes the queue") }
}

/// How one stands that would land if it were not for a freeze.
pub(super) fn is_frozen(state: &QueueState, entry: EntryId, place: u32) -> Option<Standing> {
    let frozen = state.frozen_for(state.entries.iter().find(|e| e.id == entry)?)?;
    Some(Standing { entry, place, stack: None, code: Code::Frozen, says: frozen.says(), next: frozen.next() })
}

fn paused(pause: &Pause) -> String {
    with_detail(format!("the queue is paused by {}", pause.by), &pause.reason)
}

/// All required builders passed.
fn land(state: &QueueState, stack: &Stack, first: &Entry, commit: &CommitId) -> Head {
    if let Some(pause) = &state.paused {
        return Head::stands(stack, Code::Paused, paused(pause), who("a maintainer", "resumes the queue"));
    }
    if let Some(frozen) = state.frozen_for(first) {
        let mut head = Head::stands(stack, Code::Frozen, frozen.says(), frozen.next());
        head.look_again = frozen.until;
        return head;
    }
    if stack.check_failed > state.policy.check_retries {
        let says = "made anew before the push it was another commit than the one that was tested".to_owned();
        let next = who("an admin", "reports it to the makers of bb; then a maintainer accepts it again");
        return Head::ejects(first.id, stack, Code::EjectedCheck, says, next);
    }
    if let Some(PushRefused { times, again_at, said }) = &stack.push_refused {
        let next = |then: &str| who("an admin", format!("mends what the official repository refuses; {then}"));
        if *times > state.policy.push_retries {
            let says = with_detail(format!("the official repository refused the push {times} times"), said);
            let next = next("then a maintainer accepts it again");
            return Head::ejects(first.id, stack, Code::EjectedPush, says, next);
        }
        if *again_at > state.now {
            let says = with_detail("the official repository refused the push".to_owned(), said);
            let mut head = Head::stands(stack, Code::PushRefused, says, next("bb tries again"));
            head.look_again = Some(*again_at);
            return head;
        }
    }
    let mut head = Head::stands(stack, Code::Landing, "it passed and is landed now", bb("pushes it"));
    head.actions.push(Action::Land {
        stack: stack.id,
        entries: stack.entries.clone(),
        commit: commit.clone(),
        on: stack.on.clone(),
    });
    head
}

pub(super) fn with_detail(text: String, detail: &str) -> String {
    if detail.is_empty() { text } else { format!("{text}: {detail}") }
}

/// One standing for every entry that does not leave: the head's own, that mainline holds it, or that others are before it.
fn standings(state: &QueueState, order: &[&Entry], actions: &[Action], head: Option<&How>) -> Vec<Standing> {
    let left = |id: EntryId| {
        let takes = |a: &Action| matches!(a, Action::Eject { entry, .. } | Action::Retire { entry } if *entry == id);
        actions.iter().any(takes)
    };
    let stay = order.iter().filter(|e| !left(e.id));
    (1..)
        .zip(stay)
        .map(|(place, entry)| {
            let own = head.filter(|(entries, ..)| entries.contains(&entry.id)).cloned();
            let standing = match own {
                Some((_, stack, code, says, next)) => Standing { entry: entry.id, place, stack, code, says, next },
                None => held_at(state, entry, place).unwrap_or_else(|| behind(entry.id, place, head)),
            };
            match state.official.instead(&standing.next) {
                Some(stop) => Standing { code: stop.queue, says: stop.says, next: stop.next, ..standing },
                None => standing,
            }
        })
        .collect()
}

/// How one stands that is held, by a person or for what is wrong elsewhere.
pub(super) fn held_at(state: &QueueState, entry: &Entry, place: u32) -> Option<Standing> {
    if let Some(hold) = &entry.hold {
        let says = with_detail(format!("held by {}", hold.by), &hold.reason);
        let next = who("a maintainer", "releases it");
        return Some(Standing { entry: entry.id, place, stack: None, code: Code::OnHold, says, next });
    }
    if let Some(green) = &entry.green {
        let (says, next) = green.words(author(state, entry.id));
        return Some(Standing { entry: entry.id, place, stack: None, code: Code::WhenGreen, says, next });
    }
    if let Some(standing) = waits_for(entry, place) {
        return Some(standing);
    }
    let (_, stack, code, says, next) = held(state, entry)?;
    Some(Standing { entry: entry.id, place, stack, code, says, next })
}

/// How one stands that needs what is not in mainline yet.
fn waits_for(entry: &Entry, place: u32) -> Option<Standing> {
    let missing: Vec<&str> = entry.needs.iter().filter(|n| n.entry.is_none()).map(|n| n.branch.as_str()).collect();
    let (says, next) = if let [first, ..] = missing[..] {
        let are = if missing.len() == 1 { "which is" } else { "which are" };
        let says = format!("it needs {}, {are} not in the queue", list(&missing));
        (says, who("a maintainer", format!("accepts {first}, or takes this one out and accepts it without that")))
    } else if entry.needs.is_empty() {
        return None;
    } else {
        let names = list(entry.needs.iter().map(|n| n.branch.as_str()));
        (format!("it needs {names}, which lands first or with it"), bb(&format!("lands it after {names}")))
    };
    Some(Standing { entry: entry.id, place, stack: None, code: Code::Needs, says, next })
}

/// One that waits for those before it; if these wait for a person, so does it.
pub(super) fn behind(entry: EntryId, place: u32, head: Option<&How>) -> Standing {
    let stopped = head.filter(|(.., next)| next.who != "bb");
    let (waits, next) = match stopped {
        Some((.., says, next)) => (says.lines().next().unwrap_or_default(), next.clone()),
        None if place <= 1 => ("", bb("tests it next")),
        None => ("", bb("tests it when those before it landed or left")),
    };
    Standing { entry, place, stack: None, code: Code::Behind, says: before(place, waits), next }
}

/// What stands between how many are before an entry, and what the one that is tested waits for.
const WAITS: &str = "; the one that is tested waits: ";

/// How many are before an entry at this place of the queue, from 1, and what the one that is tested waits for, if it is a person:
/// `2 branches are before it`.
pub fn before(place: u32, waits: &str) -> String {
    let many = match place {
        0 | 1 => "its turn is next".to_owned(),
        2 => "one branch is before it".to_owned(),
        _ => format!("{} branches are before it", place - 1),
    };
    if waits.is_empty() { many } else { format!("{many}{WAITS}{waits}") }
}

/// Of what [`before`] says, the part that is the same at all places.
pub fn waits(says: &str) -> &str {
    says.split_once(WAITS).map_or("", |(_, waits)| waits)
}
