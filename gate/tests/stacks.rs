//! What the queue of stacks does in situations that are written down by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use Run::{Failed, Nothing, Passed, Running};
use gate::queue::{EntryId, StackId};
use gate::stacks::{
    Accepted, Action, By, Candidate, Decision, Evidence, Experience, Judge, Line, Mainline, MainlineId, Move, Policy,
    Purpose, Run, Situation, Stack, Why, decide,
};
use protocol::UnixMs;

/// Mainline, which passed, and these entries; one slot; builds never fail by chance.
fn queue(entries: &[i64]) -> Situation {
    let mut queue = Situation {
        now: UnixMs(1_000_000),
        mainline: Mainline { at: MainlineId(10), moves: vec![], began_by_queue: true },
        entries: entries.iter().map(|id| entry(*id)).collect(),
        stacks: vec![],
        conflicts: vec![],
        landing: None,
        free: 1,
        mean_ms: 60_000,
        experience: Experience::default(),
        policy: Policy { chance: Some(0.0), ..Policy::default() },
    };
    queue.mainline.moves.clear();
    queue
}

fn entry(id: i64) -> Accepted {
    let (priority, since) = (0, UnixMs(900_000));
    Accepted { id: EntryId(id), priority, since, needs: vec![], risk: 1.0, conflicts: false }
}

fn ids(entries: &[i64]) -> Vec<EntryId> {
    entries.iter().map(|id| EntryId(*id)).collect()
}

/// A stack on a commit of mainline, with the runs of its one builder.
fn stack(id: i64, on: i64, entries: &[i64], runs: &[Run]) -> Stack {
    let judge = Judge { builder: "linux".to_owned(), runs: runs.to_vec() };
    let line = Line { on: MainlineId(on), entries: ids(entries) };
    Stack { id: StackId(id), line, candidate: Candidate::Made(vec![judge]), begun: UnixMs(1_000_000) }
}

/// Mainline moved: the queue landed these.
fn landed(queue: &mut Situation, entries: &[i64]) {
    moved(queue, By::Landing(ids(entries)));
    queue.entries.retain(|one| !entries.contains(&one.id.0));
}

fn moved(queue: &mut Situation, by: By) {
    queue.mainline.moves.push(Move { from: queue.mainline.at, by });
    queue.mainline.at.0 += 1;
}

/// The entries of what is started.
fn started(decision: &Decision) -> Vec<Vec<i64>> {
    let line = |action: &Action| match action {
        Action::Start { line, .. } => Some(line.entries.iter().map(|entry| entry.0).collect()),
        _ => None,
    };
    decision.actions.iter().filter_map(line).collect()
}

fn landings(decision: &Decision) -> Vec<(i64, Vec<i64>)> {
    let land = |action: &Action| match action {
        Action::Land { stack, entries } => Some((stack.0, entries.iter().map(|entry| entry.0).collect())),
        _ => None,
    };
    decision.actions.iter().filter_map(land).collect()
}

fn ejected(decision: &Decision) -> Vec<i64> {
    let eject = |action: &Action| if let Action::Eject { entry, .. } = action { Some(entry.0) } else { None };
    decision.actions.iter().filter_map(eject).collect()
}

fn again(decision: &Decision) -> Vec<i64> {
    let again = |action: &Action| if let Action::Again { stack, .. } = action { Some(stack.0) } else { None };
    decision.actions.iter().filter_map(again).collect()
}

fn cancelled(decision: &Decision) -> Vec<i64> {
    let cancel = |action: &Action| if let Action::Cancel { stack } = action { Some(stack.0) } else { None };
    decision.actions.iter().filter_map(cancel).collect()
}

fn why(decision: &Decision, id: i64) -> Why {
    decision.standings.iter().find(|one| one.entry == EntryId(id)).expect("it stands").why.clone()
}

#[test]
fn an_empty_queue_has_nothing_to_do() {
    assert_eq!(decide(&queue(&[])).actions, vec![]);
}

#[test]
fn a_few_that_nothing_is_known_of_are_built_together() {
    let decision = decide(&queue(&[1, 2, 3]));
    assert_eq!(started(&decision), [[1, 2, 3]]);
    assert!(
        decision
            .actions
            .iter()
            .any(|one| matches!(one, Action::Start { purpose: Purpose::Fresh { fresh: 3, good: 0 }, .. }))
    );
    assert_eq!(why(&decision, 2), Why::Unknown);
}

#[test]
fn what_runs_is_not_started_again() {
    let mut queue = queue(&[1, 2, 3]);
    queue.stacks = vec![stack(1, 10, &[1, 2, 3], &[Running])];
    assert_eq!(decide(&queue).actions, vec![]);
    queue.stacks[0].candidate = Candidate::Asked;
    assert_eq!(decide(&queue).actions, vec![]);
}

#[test]
fn a_greater_priority_goes_first_and_needs_before_what_needs_them() {
    let mut queue = queue(&[1, 2, 3]);
    queue.policy.most = 2;
    queue.entries[2].priority = 1;
    queue.entries[2].needs = ids(&[2]);
    assert_eq!(started(&decide(&queue)), [[2, 3]]);
}

#[test]
fn a_stack_that_passed_lands_whole() {
    let mut queue = queue(&[1, 2, 3]);
    queue.stacks = vec![stack(1, 10, &[1], &[Passed]), stack(2, 10, &[1, 2], &[Passed]), stack(3, 10, &[3], &[Failed])];
    let decision = decide(&queue);
    assert_eq!(landings(&decision), [(2, vec![1, 2])]);
    assert_eq!((why(&decision, 1), why(&decision, 2)), (Why::Landing, Why::Landing));
}

#[test]
fn what_was_built_on_a_lower_part_lands_on_top_of_it() {
    let mut queue = queue(&[1, 2, 3]);
    queue.stacks = vec![stack(1, 10, &[1, 2, 3], &[Passed])];
    landed(&mut queue, &[1, 2]);
    assert_eq!(landings(&decide(&queue)), [(1, vec![3])]);
}

#[test]
fn what_was_built_on_another_mainline_does_not_land() {
    let mut others_pushed = queue(&[1, 2]);
    others_pushed.stacks = vec![stack(1, 10, &[1, 2], &[Passed])];
    moved(&mut others_pushed, By::Others);
    let decision = decide(&others_pushed);
    assert_eq!(landings(&decision), vec![]);
    assert_eq!(started(&decision), [[1, 2]], "built anew on the mainline of now, as known good");
    let mut another_line = queue(&[1, 2, 3]);
    another_line.stacks = vec![stack(1, 10, &[1, 2], &[Passed])];
    landed(&mut another_line, &[3]);
    assert_eq!(landings(&decide(&another_line)), vec![]);
}

#[test]
fn every_builder_must_have_passed() {
    let mut queue = queue(&[1]);
    queue.stacks = vec![stack(1, 10, &[1], &[Passed])];
    let Candidate::Made(judges) = &mut queue.stacks[0].candidate else { panic!() };
    judges.push(Judge { builder: "asan".to_owned(), runs: vec![Running] });
    assert_eq!(decide(&queue).actions, vec![]);
    queue.stacks[0].candidate = Candidate::Made(vec![]);
    assert_eq!(landings(&decide(&queue)), vec![], "what nobody judges does not land");
}

#[test]
fn a_landing_is_begun_once_and_builds_go_on_above_it() {
    let mut queue = queue(&[1, 2, 3]);
    queue.stacks = vec![stack(1, 10, &[1], &[Passed])];
    queue.landing = Some(StackId(1));
    let decision = decide(&queue);
    assert_eq!(landings(&decision), vec![]);
    assert_eq!(started(&decision), [[1, 2, 3]]);
}

#[test]
fn one_that_failed_alone_is_ejected_by_that() {
    let mut queue = queue(&[1, 2]);
    queue.stacks = vec![stack(1, 10, &[1], &[Failed])];
    let decision = decide(&queue);
    assert_eq!(ejected(&decision), [1]);
    let Some(Action::Eject {
        evidence: Evidence::Failed { stack, builder, with, times, doubt, passed_before }, ..
    }) = decision.actions.first()
    else {
        panic!("{decision:?}")
    };
    assert_eq!((stack.0, builder.as_str(), with.len(), *times, *doubt), (1, "linux", 0, 1, 0.0));
    assert!(!passed_before);
}

#[test]
fn nobody_is_ejected_while_others_of_the_stack_wait() {
    let mut queue = queue(&[1, 2]);
    // It is 2: 1 passed alone on an older mainline.
    queue.stacks = vec![stack(1, 9, &[1], &[Passed]), stack(2, 10, &[1, 2], &[Failed])];
    queue.mainline.moves = vec![Move { from: MainlineId(9), by: By::Others }];
    queue.stacks.push(stack(3, 10, &[], &[Passed]));
    let decision = decide(&queue);
    assert_eq!((ejected(&decision), why(&decision, 2)), (vec![], Why::Convicted));
    assert_eq!(started(&decision), [[1]], "1 lands first");
    queue.stacks.push(stack(4, 10, &[1], &[Passed]));
    landed(&mut queue, &[1]);
    assert_eq!(ejected(&decide(&queue)), [2]);
}

#[test]
fn of_a_pair_that_fails_together_the_later_to_land_goes() {
    let mut queue = queue(&[1, 2]);
    queue.stacks = vec![stack(1, 10, &[1, 2], &[Failed]), stack(2, 10, &[1], &[Passed]), stack(3, 10, &[2], &[Passed])];
    let decision = decide(&queue);
    assert_eq!((landings(&decision), ejected(&decision)), (vec![(2, vec![1])], vec![]));
    landed(&mut queue, &[1]);
    let decision = decide(&queue);
    assert_eq!(ejected(&decision), [2]);
    assert!(matches!(
        &decision.actions[0],
        Action::Eject { evidence: Evidence::Failed { passed_before: true, with, .. }, .. } if *with == ids(&[1])
    ));
}

#[test]
fn a_build_without_a_result_says_nothing_and_is_asked_for_again() {
    let mut queue = queue(&[1]);
    queue.stacks = vec![stack(1, 10, &[1], &[Nothing])];
    let decision = decide(&queue);
    assert_eq!((ejected(&decision), again(&decision), started(&decision)), (vec![], vec![1], vec![]));
}

#[test]
fn one_that_left_takes_what_it_was_part_of_along() {
    let mut queue = queue(&[1, 2]);
    queue.stacks = vec![stack(1, 10, &[1, 2, 3], &[Failed]), stack(2, 10, &[1, 3], &[Running])];
    let decision = decide(&queue);
    assert_eq!((ejected(&decision), cancelled(&decision)), (vec![], vec![2]));
    assert_eq!(why(&decision, 1), Why::Unknown);
}

#[test]
fn what_failed_perhaps_by_chance_is_built_again_until_it_is_certain() {
    let mut queue = queue(&[1]);
    queue.policy.chance = Some(0.01);
    queue.stacks = vec![stack(1, 10, &[1], &[Failed])];
    let decision = decide(&queue);
    assert_eq!((ejected(&decision), again(&decision)), (vec![], vec![1]));
    assert_eq!(why(&decision, 1), Why::Suspect { of: 1, times: 1 });
    queue.stacks = vec![stack(1, 10, &[1], &[Failed, Passed])];
    assert_eq!(landings(&decide(&queue)), [(1, vec![1])], "it passed as that very commit");
    queue.stacks = vec![stack(1, 10, &[1], &[Failed, Failed, Failed])];
    assert_eq!(ejected(&decide(&queue)), [1]);
    queue.policy.sure = 0.999_999_9;
    assert!(ejected(&decide(&queue)).is_empty());
}

#[test]
fn halves_of_what_failed_are_built_and_the_good_ride_along() {
    let mut queue = queue(&[1, 2, 3, 4, 5]);
    // A green that can't land any more, because others pushed: 5 is good.
    queue.stacks = vec![stack(1, 9, &[5], &[Passed]), stack(2, 10, &[1, 2, 3, 4], &[Failed])];
    queue.mainline.moves = vec![Move { from: MainlineId(9), by: By::Others }];
    queue.experience = Experience { good: 490.0, bad: 10.0, ..Experience::default() };
    let decision = decide(&queue);
    assert_eq!(started(&decision), [[5, 1, 2]]);
    let purpose = Purpose::Suspects { some: 2, of: 4, good: 1 };
    assert!(decision.actions.iter().any(|one| matches!(one, Action::Start { purpose: p, .. } if *p == purpose)));
    assert_eq!(purpose.words(), "half of 4 suspects, with 1 known good");
    assert_eq!((why(&decision, 5), why(&decision, 4)), (Why::Good, Why::Suspect { of: 4, times: 1 }));
}

#[test]
fn a_build_that_fails_in_any_case_is_cancelled() {
    let mut queue = queue(&[1, 2, 3]);
    queue.free = 0;
    queue.stacks = vec![stack(1, 10, &[1, 2], &[Failed]), stack(2, 10, &[1, 2, 3], &[Running])];
    assert_eq!(cancelled(&decide(&queue)), [2]);
}

#[test]
fn mainline_itself_is_built_before_somebody_is_ejected_by_it() {
    let mut queue = queue(&[1, 2]);
    queue.mainline.began_by_queue = false;
    queue.stacks = vec![stack(1, 10, &[1], &[Failed])];
    let decision = decide(&queue);
    assert_eq!((ejected(&decision), started(&decision)), (vec![], vec![Vec::<i64>::new()]));
    queue.stacks.push(stack(2, 10, &[], &[Failed]));
    let decision = decide(&queue);
    assert_eq!(decision.actions, vec![], "it stops");
    assert_eq!((why(&decision, 1), why(&decision, 2)), (Why::MainlineFails, Why::MainlineFails));
    queue.stacks[1] = stack(2, 10, &[], &[Passed]);
    assert_eq!(ejected(&decide(&queue)), [1]);
}

#[test]
fn what_failed_on_a_broken_mainline_convicts_nobody_after_it_is_mended() {
    let mut queue = queue(&[1]);
    queue.mainline.began_by_queue = false;
    queue.stacks = vec![stack(1, 10, &[1], &[Failed]), stack(2, 10, &[], &[Failed])];
    moved(&mut queue, By::Others);
    queue.stacks.push(stack(3, 11, &[], &[Passed]));
    let decision = decide(&queue);
    assert_eq!((ejected(&decision), why(&decision, 1)), (vec![], Why::Unknown));
}

#[test]
fn those_that_conflict_are_in_no_stack_together() {
    let mut queue = queue(&[1, 2, 3]);
    queue.conflicts = vec![(EntryId(1), EntryId(2))];
    let decision = decide(&queue);
    assert_eq!(started(&decision), [[1, 3]]);
    assert_eq!(why(&decision, 2), Why::Conflict { with: EntryId(1) });
    queue.entries[1].conflicts = true;
    let decision = decide(&queue);
    assert_eq!(ejected(&decision), [2]);
    assert!(decision.actions.contains(&Action::Eject { entry: EntryId(2), evidence: Evidence::Conflict }));
}

#[test]
fn who_needs_what_left_or_itself_is_held() {
    let mut queue = queue(&[1, 2, 3, 4, 5]);
    queue.entries[0].needs = ids(&[9]);
    queue.entries[1].needs = ids(&[1]);
    queue.entries[2].needs = ids(&[4]);
    queue.entries[3].needs = ids(&[3]);
    let decision = decide(&queue);
    assert_eq!(started(&decision), [[5]]);
    assert_eq!(why(&decision, 1), Why::Needs { entry: EntryId(9) });
    assert_eq!(why(&decision, 2), Why::Needs { entry: EntryId(1) });
    assert_eq!(why(&decision, 3), Why::Circle { with: ids(&[4]) });
    assert_eq!(why(&decision, 4), Why::Circle { with: ids(&[3]) });
}

#[test]
fn an_ejection_holds_who_needs_it() {
    let mut queue = queue(&[1, 2, 3]);
    queue.entries[1].needs = ids(&[1]);
    queue.stacks = vec![stack(1, 10, &[1], &[Failed])];
    let decision = decide(&queue);
    assert_eq!(ejected(&decision), [1]);
    assert_eq!((why(&decision, 2), started(&decision)), (Why::Needs { entry: EntryId(1) }, vec![vec![3]]));
}

#[test]
fn a_project_that_wants_every_commit_tested_gets_stacks_of_one() {
    let mut queue = queue(&[1, 2, 3]);
    queue.policy.most = 1;
    queue.free = 3;
    assert!(started(&decide(&queue)).iter().all(|line| line.len() == 1));
}

#[test]
fn a_branch_that_likely_fails_is_built_with_fewer_others() {
    let fresh: Vec<i64> = (1..=60).collect();
    let mut queue = queue(&fresh);
    let ordinary = started(&decide(&queue))[0].len();
    queue.entries.iter_mut().for_each(|one| one.risk = 4.0);
    let risky = started(&decide(&queue))[0].len();
    assert!(risky * 2 < ordinary, "{risky} and {ordinary}");
    queue.entries.iter_mut().for_each(|one| one.risk = f64::NAN);
    assert_eq!(started(&decide(&queue))[0].len(), ordinary, "what is no number is ordinary");
}

#[test]
fn the_work_of_an_answer_is_bounded() {
    let many: Vec<i64> = (1..=1000).collect();
    let mut queue = queue(&many);
    queue.free = 32;
    let decision = decide(&queue);
    assert!(!decision.actions.is_empty() && decision.actions.len() <= 32);
    // Each slot weighs the members that fit, once on mainline and once on what runs.
    assert!(decision.steps < 32 * 2 * 1000, "{}", decision.steps);
}

#[test]
fn a_stack_in_which_one_stands_twice_is_none() {
    let mut queue = queue(&[1]);
    queue.stacks.push(stack(5, 0, &[1, 1], &[Run::Passed]));
    queue.landing = Some(StackId(5));
    assert_eq!(decide(&queue).standings.len(), 1);
    queue.landing = None;
    assert_eq!(landings(&decide(&queue)), []);
}
