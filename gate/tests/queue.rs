//! What the queue does next, as stories.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use gate::code::Code;
use gate::mainline::Mainline;
use gate::queue::{
    Action, BuildOf, BuildStatus, BuilderOf, Candidate, Entry, EntryId, Hindrance, Itself, Landing, Pause, Policy,
    PushRefused, QueueState, Stack, StackId, decide,
};
use gate::schedule::Wait;
use gate::stacks::MainlineId;
use gate::verdict::Trouble;
use protocol::{BranchId, BuildResult, CommitId, Hint, UnixMs};

fn commit(n: u32) -> CommitId {
    format!("{n:040x}").parse().unwrap()
}

fn entry(id: i64, author: &str) -> Entry {
    Entry {
        id: EntryId(id),
        branch: BranchId(id),
        revision: commit(1000),
        author: author.to_owned(),
        expedited: false,
        priority: 0,
        accepted_at: UnixMs(id),
        hold: None,
        green: None,
        needs: vec![],
        hindrance: None,
    }
}

/// Mainline at commit 1, and Tomas', Ines' and Priya's branches accepted in this order.
fn three() -> QueueState {
    QueueState {
        now: UnixMs(100),
        mainline: commit(1),
        itself: Itself::Passes,
        paused: None,
        frozen: vec![],
        official: Mainline::Fine,
        landing: None,
        entries: vec![entry(1, "Tomas"), entry(2, "Ines"), entry(3, "Priya")],
        stacks: vec![],
        capacity: 2,
        policy: Policy::default(),
    }
}

fn stack(id: i64, entry: i64, on: u32, candidate: Candidate) -> Stack {
    Stack {
        id: StackId(id),
        on: commit(on),
        entries: vec![EntryId(entry)],
        candidate,
        push_refused: None,
        check_failed: 0,
    }
}

fn builder(name: &str, required: bool) -> BuilderOf {
    BuilderOf { name: name.to_owned(), required, of_mainline: false }
}

fn build(builder: &str, status: BuildStatus) -> BuildOf {
    BuildOf { builder: builder.to_owned(), commit: commit(11), attempt: 1, for_queue: true, status, wait: None }
}

fn ended(result: BuildResult, says: &str) -> BuildStatus {
    BuildStatus::Finished { result, says: says.to_owned(), lacks: None }
}

/// Candidate 11, judged by linux and asan, and by docs, which is optional.
fn made(builds: Vec<BuildOf>) -> Candidate {
    let builders = vec![builder("linux", true), builder("asan", true), builder("docs", false)];
    Candidate::Made { commit: commit(11), builders, builds }
}

/// With the first entry's candidate in this state.
fn first(candidate: Candidate) -> QueueState {
    QueueState { stacks: vec![stack(5, 1, 1, candidate)], ..three() }
}

fn passed() -> QueueState {
    first(made(vec![
        build("linux", ended(BuildResult::Success, "")),
        build("asan", ended(BuildResult::Warnings, "")),
        build("docs", ended(BuildResult::Success, "")),
    ]))
}

/// The decision, a line for each action and each standing.
/// The table of codes names whoever is next here.
fn see_who_is_named(code: Code, who: &str) {
    let role = if ["Tomas", "Ines", "Priya"].contains(&who) { "the author" } else { who };
    assert!(code.next().contains(role), "{code}: {} says nothing of {role}", code.next());
}

fn told(state: &QueueState) -> String {
    let decision = decide(state);
    let mut lines: Vec<String> = vec![];
    for action in &decision.actions {
        lines.push(match action {
            Action::Drop { stack } => format!("drop S{}", stack.0),
            Action::Retire { entry } => format!("retire {}", entry.0),
            Action::Eject { entry, code, says, next, .. } => {
                see_who_is_named(*code, &next.who);
                format!("eject {} {code}: {says}. Next: {} {}.", entry.0, next.who, next.what)
            }
            Action::Make { on, entries } => {
                format!("make {:?} on {}", entries.iter().map(|e| e.0).collect::<Vec<_>>(), n(on))
            }
            Action::Build { stack, commit, builder, attempt } => {
                format!("build {} of S{} by {builder}, try {attempt}", n(commit), stack.0)
            }
            Action::Land { stack, commit, on, .. } => format!("land {} of S{} on {}", n(commit), stack.0, n(on)),
            Action::Test { .. } | Action::TestMainline { .. } | Action::TestAgain { .. } | Action::Cancel { .. } => {
                panic!("the serial queue does not")
            }
        });
    }
    for s in &decision.standings {
        see_who_is_named(s.code, &s.next.who);
        lines.push(format!("{}. {} {}: {}. Next: {} {}.", s.place, s.entry.0, s.code, s.says, s.next.who, s.next.what));
    }
    lines.extend(decision.look_again.map(|at| format!("look again at {}", at.0)));
    lines.join("\n")
}

fn n(commit: &CommitId) -> u32 {
    u32::from_str_radix(&commit.as_str()[32..], 16).unwrap()
}

#[test]
fn the_way_of_an_entry_that_lands() {
    let waits = || vec![build("linux", BuildStatus::Waiting), build("asan", BuildStatus::Waiting)];
    let docs = || build("docs", BuildStatus::Waiting);
    let steps = [
        ("accepted", three()),
        ("being made", first(Candidate::NotMade)),
        ("made", first(made(vec![]))),
        ("asked for", first(made([waits(), vec![docs()]].concat()))),
        (
            "one runs",
            first(made(vec![build("linux", BuildStatus::Running), build("asan", BuildStatus::Waiting), docs()])),
        ),
        (
            "one is left",
            first(made(vec![
                build("linux", ended(BuildResult::Success, "")),
                build("asan", BuildStatus::Running),
                docs(),
            ])),
        ),
        ("passed, and docs still waits", {
            let linux = build("linux", ended(BuildResult::Success, ""));
            first(made(vec![linux, build("asan", ended(BuildResult::Warnings, "")), docs()]))
        }),
        ("pushed", QueueState { landing: Some(Landing { stack: StackId(5) }), ..passed() }),
    ];
    let story = steps.iter().map(|(when, state)| format!("# {when}\n{}", told(state)));
    insta::assert_snapshot!(story.collect::<Vec<_>>().join("\n\n"));
}

#[test]
fn who_is_ejected_and_why() {
    let with = |result, says: &str| {
        first(made(vec![build("linux", ended(result, says)), build("asan", BuildStatus::Running)]))
    };
    let third = BuildOf { attempt: 3, ..build("asan", ended(BuildResult::Exception, "slave birch was lost")) };
    let conflict = |files: &[&str]| {
        let files = files.iter().map(|f| (*f).to_owned()).collect();
        first(Candidate::Conflict { entry: EntryId(1), files })
    };
    let mut unnamed = with(BuildResult::Failure, "");
    unnamed.entries[0].author.clear();
    let refused = first(Candidate::Refused {
        entry: EntryId(1),
        code: "fragment".to_owned(),
        text: "repo.ChangeLog, line 3: an entry starts with a date".to_owned(),
        hint: "begin it with a header".into(),
    });
    let optional_only = Candidate::Made { commit: commit(11), builders: vec![builder("docs", false)], builds: vec![] };
    let no_builder = Candidate::Made { commit: commit(11), builders: vec![], builds: vec![] };
    let push = |times| {
        let mut state = passed();
        let said = "hook declined: no landings on Fridays".to_owned();
        state.stacks[0].push_refused = Some(PushRefused { times, again_at: UnixMs(0), said });
        state
    };
    let steps = [
        ("a failure", with(BuildResult::Failure, "step test: exit code 2")),
        ("a failure of nobody knows whom", unnamed),
        ("a skipped builder", with(BuildResult::Skipped, "")),
        ("the third exception", first(made(vec![third]))),
        ("a conflict", conflict(&["src/queue.c", "src/pool.h"])),
        ("a conflict of names", conflict(&[])),
        ("a refusal", refused),
        ("only optional builders", first(optional_only)),
        ("no builder", first(no_builder)),
        ("the fifth refused push", push(5)),
    ];
    let story = steps.iter().map(|(when, state)| format!("# {when}\n{}", told(state)));
    insta::assert_snapshot!(story.collect::<Vec<_>>().join("\n\n"));
}

#[test]
fn what_makes_the_queue_wait() {
    let paused = |by: &str, reason: &str| Some(Pause { by: by.to_owned(), reason: reason.to_owned() });
    let again = |result| {
        let failed = BuildOf { attempt: 2, ..build("linux", ended(result, "")) };
        first(made(vec![
            build("linux", ended(BuildResult::Exception, "")),
            failed,
            build("asan", BuildStatus::Running),
        ]))
    };
    let mut held = passed();
    held.stacks[0].push_refused =
        Some(PushRefused { times: 2, again_at: UnixMs(500), said: "permission denied".to_owned() });
    let mut tried_again = held.clone();
    tried_again.now = UnixMs(500);
    let steps = [
        ("paused", QueueState { paused: paused("Olga", "the server's disk is changed"), ..passed() }),
        ("paused without a word, builds go on", QueueState { paused: paused("Olga", ""), ..first(made(vec![])) }),
        ("an exception", again(BuildResult::Exception)),
        ("an interrupted build", again(BuildResult::Retry)),
        ("a cancelled build", again(BuildResult::Cancelled)),
        ("a refused push", held),
        ("its time to be tried again", tried_again),
        (
            "a landing whose stack is not known any more",
            QueueState { landing: Some(Landing { stack: StackId(99) }), ..three() },
        ),
        ("nothing accepted", QueueState { entries: vec![], ..three() }),
    ];
    let story = steps.iter().map(|(when, state)| format!("# {when}\n{}", told(state)));
    insta::assert_snapshot!(story.collect::<Vec<_>>().join("\n\n"));
}

/// Whoever waits behind one that waits for a person waits for that person.
#[test]
fn nobody_waits_for_bb_behind_one_that_waits_for_a_person() {
    let waits = |of_mainline: bool| {
        let wait = Some(gate::schedule::Wait::NoLabel { missing: vec!["mars".to_owned()] });
        let mut state = first(made(vec![BuildOf { wait, ..build("linux", BuildStatus::Waiting) }]));
        let Candidate::Made { builders, .. } = &mut state.stacks[0].candidate else { panic!() };
        for builder in builders {
            builder.of_mainline = of_mainline;
        }
        told(&state)
    };
    let paused = Some(Pause { by: "Olga".to_owned(), reason: String::new() });
    let steps = [
        ("a label that mainline's recipe wants", waits(true)),
        ("a label that the branch's own recipe wants", waits(false)),
        ("paused", told(&QueueState { paused, ..passed() })),
    ];
    insta::assert_snapshot!(steps.map(|(when, told)| format!("# {when}\n{told}")).join("\n\n"));
}

#[test]
fn mainline_moved_so_the_candidate_is_made_again() {
    let moved = QueueState { mainline: commit(2), ..passed() };
    insta::assert_snapshot!(told(&moved), @r"
    drop S5
    make [1] on 2
    1. 1 making: its candidate is being made. Next: bb makes it.
    2. 2 behind: one branch is before it. Next: bb tests it when those before it landed or left.
    3. 3 behind: 2 branches are before it. Next: bb tests it when those before it landed or left.
    ");
}

#[test]
fn priority_goes_before_time_and_a_stack_of_another_is_dropped() {
    let mut state = passed();
    state.entries[2].priority = 1;
    let decision = decide(&state);
    assert_eq!(decision.actions[0], Action::Drop { stack: StackId(5) });
    assert_eq!(decision.actions[1], Action::Make { on: commit(1), entries: vec![EntryId(3)] });
    assert_eq!(decision.standings.iter().map(|s| s.entry.0).collect::<Vec<_>>(), [3, 1, 2]);
}

#[test]
fn a_landing_that_was_begun_is_not_disturbed() {
    let landing = Some(Landing { stack: StackId(5) });
    let mut state = QueueState { landing, mainline: commit(7), paused: None, ..passed() };
    state.entries[2].priority = 9;
    assert_eq!(decide(&state).actions, []);
    assert_eq!(decide(&state).standings[1].code, Code::Landing);
}

#[test]
fn an_entry_that_was_taken_back_leaves_its_stack_to_be_dropped() {
    let mut state = passed();
    state.entries.remove(0);
    assert_eq!(decide(&state).actions[0], Action::Drop { stack: StackId(5) });
}

#[test]
fn a_result_of_another_commit_counts_for_nothing() {
    let other = |name: &str| BuildOf { commit: commit(10), ..build(name, ended(BuildResult::Success, "")) };
    let state = first(made(vec![other("linux"), other("asan"), other("docs")]));
    let asked = decide(&state).actions;
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|a| matches!(a, Action::Build { attempt: 1, .. })), "{asked:?}");
}

#[test]
fn a_result_of_a_builder_that_is_not_asked_does_not_stand_for_one_that_is() {
    let renamed = build("linux-old", ended(BuildResult::Success, ""));
    let state =
        first(made(vec![renamed, build("asan", ended(BuildResult::Success, "")), build("docs", BuildStatus::Running)]));
    let asked = decide(&state).actions;
    assert_eq!(
        asked,
        [Action::Build { stack: StackId(5), commit: commit(11), builder: "linux".to_owned(), attempt: 1 }]
    );
}

#[test]
fn a_build_that_waits_for_the_branch_is_taken_over() {
    let waits = BuildOf { for_queue: false, attempt: 2, ..build("linux", BuildStatus::Waiting) };
    let runs = BuildOf { for_queue: false, ..build("asan", BuildStatus::Running) };
    let state = first(made(vec![waits, runs, build("docs", BuildStatus::Waiting)]));
    let asked = decide(&state).actions;
    assert_eq!(
        asked,
        [Action::Build { stack: StackId(5), commit: commit(11), builder: "linux".to_owned(), attempt: 2 }]
    );
}

#[test]
fn an_optional_builder_convicts_nobody() {
    let mut state = passed();
    if let Candidate::Made { builds, .. } = &mut state.stacks[0].candidate {
        builds[2].status = ended(BuildResult::Failure, "");
    }
    assert!(matches!(decide(&state).actions[..], [Action::Land { .. }]));
}

fn mainline_trouble() -> Candidate {
    let text = "ChangeLog is not a plain file".to_owned();
    Candidate::MainlineTrouble { text, hint: "make it a file".into() }
}

/// Of a required builder that mainline's recipe has just so, and that was skipped.
fn untried() -> Candidate {
    let builders = vec![BuilderOf { of_mainline: true, ..builder("linux", true) }, builder("asan", true)];
    Candidate::Made { commit: commit(11), builders, builds: vec![build("linux", ended(BuildResult::Skipped, ""))] }
}

/// Whatever of the entries waits for mainline, nobody is ejected for it, and who does not need what is broken goes by.
#[test]
fn what_is_wrong_on_mainline_ejects_nobody() {
    for (others, trouble) in (0..4u32).flat_map(|others| [(others, mainline_trouble()), (others, untried())]) {
        let mut state = first(trouble.clone());
        for (nth, entry) in [2, 3].into_iter().enumerate() {
            if others & (1 << nth) != 0 {
                state.stacks.push(stack(entry + 5, entry, 1, trouble.clone()));
            }
        }
        let decision = decide(&state);
        let ejects = |a: &Action| matches!(a, Action::Eject { .. } | Action::Retire { .. });
        assert!(!decision.actions.iter().any(ejects), "{:?}", decision.actions);
        for standing in &decision.standings {
            let is_held = state.stacks.iter().any(|s| s.entries == [standing.entry]);
            assert_eq!(is_held, standing.code == Code::MainlineTrouble, "{standing:?}");
            assert!(!is_held || standing.next.who == "a maintainer", "{standing:?}");
        }
        let free = [2, 3].into_iter().find(|e| state.stacks.iter().all(|s| s.entries != [EntryId(*e)]));
        let made: Vec<_> = decision
            .actions
            .iter()
            .filter_map(|a| match a {
                Action::Make { entries, .. } => Some(entries[0].0),
                _ => None,
            })
            .collect();
        assert_eq!(made, free.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn what_the_branch_did_itself_ejects_it_whatever_mainline_s_recipe_skips() {
    let with = |failed: BuildOf| match untried() {
        Candidate::Made { commit, builders, mut builds } => {
            builds.push(failed);
            Candidate::Made { commit, builders, builds }
        }
        other => other,
    };
    for (result, code) in [
        (BuildResult::Failure, Code::EjectedFailure),
        // `asan` is not mainline's.
        (BuildResult::Skipped, Code::EjectedSkipped),
    ] {
        let decision = decide(&first(with(build("asan", ended(result, "")))));
        assert!(
            matches!(&decision.actions[..], [Action::Eject { code: it, next, .. }, ..] if *it == code && next.who == "Tomas"),
            "{:?}",
            decision.actions
        );
    }
    // A build that was asked for again, or of another commit, is another word.
    for later in [
        BuildOf { attempt: 2, ..build("linux", BuildStatus::Waiting) },
        BuildOf { attempt: 2, ..build("linux", ended(BuildResult::Success, "")) },
    ] {
        assert!(!with(later.clone()).is_held(), "{later:?}");
    }
    assert!(with(BuildOf { commit: commit(12), attempt: 2, ..build("linux", BuildStatus::Running) }).is_held());
}

#[test]
fn who_waits_for_what_is_missing_is_told_so_and_stops_nobody() {
    let missing = Candidate::Missing { text: "nobody has it".to_owned(), hint: "push it again".into() };
    let decision = decide(&first(missing));
    assert!(!decision.actions.iter().any(|a| matches!(a, Action::Eject { .. })), "{:?}", decision.actions);
    assert!(matches!(&decision.actions[..], [Action::Make { entries, .. }] if entries[0] == EntryId(2)));
    let waits = &decision.standings[0];
    assert_eq!((waits.entry, waits.code), (EntryId(1), Code::Missing));
    assert!(waits.next.what.contains("push it again") && waits.next.who != "bb", "{waits:?}");
}

#[test]
fn what_bb_itself_can_t_read_is_an_admin_s_turn_and_stops_nobody() {
    let decision = decide(&first(Candidate::Unreadable { text: "the store holds nonsense".to_owned() }));
    assert!(matches!(&decision.actions[..], [Action::Make { entries, .. }] if entries[0] == EntryId(2)));
    let waits = &decision.standings[0];
    assert_eq!((waits.entry, waits.code, waits.next.who.as_str()), (EntryId(1), Code::Unreadable, "an admin"));
    assert!(waits.says.contains("nonsense"), "{waits:?}");
}

#[test]
fn mended_mainline_lets_them_land_without_another_acceptance() {
    let state = QueueState { mainline: commit(2), ..first(mainline_trouble()) };
    insta::assert_snapshot!(told(&state), @r"
    drop S5
    make [1] on 2
    1. 1 making: its candidate is being made. Next: bb makes it.
    2. 2 behind: one branch is before it. Next: bb tests it when those before it landed or left.
    3. 3 behind: 2 branches are before it. Next: bb tests it when those before it landed or left.
    ");
}

/// Who can't land whatever happens leaves with a code and somebody who is next, wherever he stands and whatever his
/// candidate is like, and never stops those behind; only what is being pushed is left alone.
#[test]
fn nobody_who_can_t_land_stops_the_queue() {
    let hindrances = [
        Hindrance::Ended { says: "withdrawn by Ines".to_owned() },
        Hindrance::RightLost { by: "olga".to_owned() },
        Hindrance::Unusable { text: "nobody has its commit any more".to_owned(), hint: "publish it again".into() },
    ];
    for hindrance in hindrances {
        for at in 0..3 {
            for base in [three(), first(Candidate::NotMade), passed(), first(mainline_trouble())] {
                let mut state = base.clone();
                state.entries[at].hindrance = Some(hindrance.clone());
                let gone = state.entries[at].id;
                let decision = decide(&state);
                let ejected = decision.actions.iter().find_map(|a| match a {
                    Action::Eject { entry, stack: None, code, next, .. } if *entry == gone => {
                        Some((*code, next.clone()))
                    }
                    _ => None,
                });
                let (code, next) = ejected.expect("it leaves");
                assert!(code.of() == gate::code::Of::Queue && !next.who.is_empty() && next.who != "bb");
                let ways = |a: &Action| matches!(a, Action::Land { entries, .. } | Action::Make { entries, .. } if entries.contains(&gone));
                assert!(!decision.actions.iter().any(ways), "{:?}", decision.actions);
                assert_eq!(decision.standings.len(), 2);
                // It is being pushed: nobody touches it.
                state.landing = Some(Landing { stack: StackId(5) });
                state.stacks = vec![stack(5, gone.0, 1, made(vec![]))];
                assert!(!decide(&state).actions.iter().any(|a| matches!(a, Action::Eject { .. })));
            }
        }
    }
}

#[test]
fn what_mainline_has_already_is_nobody_s_fault() {
    let state = first(Candidate::InMainline { entry: EntryId(1) });
    assert_eq!(decide(&state).actions, [Action::Retire { entry: EntryId(1) }, Action::Drop { stack: StackId(5) }]);
}

fn troubled() -> [Mainline; 2] {
    let it = |text: &str| Trouble { code: "x".to_owned(), text: text.to_owned(), hint: Hint::default() };
    [Mainline::Away(it("no answer")), Mainline::Gone(it("it has no branch `main`"))]
}

#[test]
fn an_official_repository_that_is_away_is_the_admin_s_turn_and_builds_go_on() {
    let [away, gone] = troubled();
    insta::assert_snapshot!(told(&QueueState { official: away.clone(), ..passed() }), @r"
    1. 1 official-away: the official repository can't be read: no answer. Next: an admin sees to the official repository; bb tries again, ever more seldom.
    2. 2 official-away: the official repository can't be read: no answer. Next: an admin sees to the official repository; bb tries again, ever more seldom.
    3. 3 official-away: the official repository can't be read: no answer. Next: an admin sees to the official repository; bb tries again, ever more seldom.
    ");
    let standings = decide(&QueueState { official: gone, ..passed() }).standings;
    assert!(standings.iter().all(|s| s.code == Code::OfficialWithout && s.next.who == "an admin"));
    assert_eq!(
        decide(&QueueState { official: away, ..first(made(vec![])) }).actions.len(),
        3,
        "its builds are asked for"
    );
}

#[test]
fn nobody_s_turn_is_bb_s_while_mainline_can_t_be_read_and_nothing_is_pushed_or_ejected() {
    let failed = made(vec![build("linux", ended(BuildResult::Failure, ""))]);
    let states = [
        three(),
        passed(),
        first(Candidate::NotMade),
        first(made(vec![])),
        first(failed),
        first(Candidate::Conflict { entry: EntryId(1), files: vec![] }),
        first(Candidate::InMainline { entry: EntryId(1) }),
        QueueState { landing: Some(Landing { stack: StackId(5) }), ..passed() },
    ];
    for official in troubled() {
        for state in &states {
            let decision = decide(&QueueState { official: official.clone(), ..state.clone() });
            assert!(decision.standings.iter().all(|s| s.next.who != "bb"), "{decision:?}");
            assert_eq!(decision.standings.len(), 3);
            let harmless = |a: &Action| matches!(a, Action::Build { .. } | Action::Make { .. } | Action::Drop { .. });
            assert!(decision.actions.iter().all(harmless), "{decision:?}");
        }
    }
}

#[test]
fn a_build_that_no_slave_can_take_is_not_bb_s_turn() {
    for wait in [Wait::NoSlave, Wait::NoLabel { missing: vec!["mips".to_owned()] }] {
        let waits = BuildOf { wait: Some(wait.clone()), ..build("linux", BuildStatus::Waiting) };
        let decision = decide(&first(made(vec![waits, build("asan", BuildStatus::Running)])));
        let first = &decision.standings[0];
        assert_eq!((first.code, &first.next), (Code::TestingStuck, &wait.next_by_author("Tomas")));
        assert_eq!(first.says, format!("linux can't be built: {}", wait.text()));
        assert_ne!(first.next.who, "bb");
        assert!(decision.standings[1..].iter().all(|s| s.code == Code::Behind && s.next == first.next), "{decision:?}");
    }
}

#[test]
fn a_candidate_that_is_not_what_its_parts_give_is_made_anew_once() {
    let with = |times| {
        let mut state = passed();
        state.stacks[0].check_failed = times;
        decide(&state).actions
    };
    assert!(matches!(with(1)[..], [Action::Land { .. }]));
    assert!(matches!(with(2)[..], [Action::Eject { code: Code::EjectedCheck, .. }, Action::Drop { .. }]));
}

/// A state in which the first entry's builder failed: one that mainline has just so, or one of its own.
fn failed(of_mainline: bool, itself: Itself) -> QueueState {
    let finished = BuildStatus::Finished { result: BuildResult::Failure, says: "exit code 1".to_owned(), lacks: None };
    let mut state = QueueState { itself, ..passed() };
    for stack in &mut state.stacks {
        if let Candidate::Made { builders, builds, .. } = &mut stack.candidate {
            builders.iter_mut().for_each(|builder| builder.of_mainline = of_mainline);
            builds.iter_mut().for_each(|build| build.status = finished.clone());
        }
    }
    state
}

/// Nobody is sent away for what mainline's own builder says before it is known what it says of mainline.
#[test]
fn a_failure_convicts_nobody_while_mainline_can_be_asked() {
    let ejected = |of_mainline, itself| match &decide(&failed(of_mainline, itself)).actions[..] {
        [Action::Eject { entry: EntryId(1), says, .. }, ..] => Some(says.split_once(" failed").unwrap().1.to_owned()),
        [Action::TestMainline { on: MainlineId(7), entry: EntryId(1) }] => None,
        [] => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(ejected(true, Itself::Passes).unwrap(), ": exit code 1");
    let doubt = ": exit code 1; whether mainline itself passes, as it stands, is not known";
    assert_eq!(ejected(true, Itself::Unknowable).unwrap(), doubt);
    assert_eq!(ejected(true, Itself::Untested(MainlineId(7))), None);
    assert_eq!(ejected(true, Itself::Tested), None);
    let asks = decide(&failed(true, Itself::Untested(MainlineId(7)))).actions;
    assert!(asks.contains(&Action::TestMainline { on: MainlineId(7), entry: EntryId(1) }), "{asks:?}");
    assert_eq!(decide(&failed(true, Itself::Tested)).standings[0].next.what, "builds mainline itself");
    // What mainline has no such builder for is its own, whatever mainline is like.
    for itself in [Itself::Untested(MainlineId(7)), Itself::Tested, Itself::Unknowable] {
        assert_eq!(ejected(false, itself).unwrap(), doubt);
    }
    assert_eq!(ejected(false, Itself::Fails).unwrap(), ": exit code 1; mainline itself fails, too, as it stands");
}

#[test]
fn who_fails_as_mainline_does_waits_for_it_to_be_mended_and_others_go_by() {
    let decision = decide(&failed(true, Itself::Fails));
    let leaves = |a: &Action| matches!(a, Action::Eject { .. } | Action::Land { .. });
    assert!(!decision.actions.iter().any(leaves), "{:?}", decision.actions);
    let first = decision.standings.iter().find(|s| s.entry == EntryId(1)).unwrap();
    assert_eq!((first.code, first.next.who.as_str()), (Code::MainlineTrouble, "a maintainer"));
    assert_eq!(first.says, "linux failed, and mainline itself fails, too: exit code 1");
    let made = |a: &Action| matches!(a, Action::Make { entries, .. } if *entries == [EntryId(2)]);
    assert!(decision.actions.iter().any(made), "the next may be who mends it: {:?}", decision.actions);
}
