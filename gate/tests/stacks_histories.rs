//! What the queue of stacks promises, in drawn histories in which everything goes wrong, and in situations that no history
//! leads to. The promises are looked at by the simulator, after each step.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use gate::queue::{EntryId, StackId};
use gate::simulator::{Draws, Game, Setting, World, peers, play};
use gate::stacks::{
    Accepted, Action, By, Candidate, Colour, Experience, Judge, Line, Mainline, MainlineId, Move, Policy, Run,
    Situation, Stack, decide,
};
use proptest::prelude::*;
use protocol::UnixMs;
use std::collections::HashSet;

/// So many histories; `cargo xtask bench queue` plays more.
const HISTORIES: u64 = 2000;

#[test]
fn every_promise_holds_when_everything_goes_wrong() {
    for seed in 0..HISTORIES {
        let world = World::drawn(&Setting::bad_day(&mut Draws::new(seed).apart(99)), seed);
        let score = play(&world, &Game::default()).unwrap();
        assert!(score.tests_each() <= 60.0, "history {seed} takes {} builds a branch", score.tests_each());
    }
}

#[test]
fn nobody_good_is_ejected_where_nothing_fails_by_chance() {
    for seed in 0..HISTORIES / 4 {
        let setting = Setting { flake: 0.0, ..Setting::bad_day(&mut Draws::new(seed).apart(99)) };
        let score = play(&World::drawn(&setting, seed), &Game::default()).unwrap();
        assert_eq!(score.wronged(), 0, "history {seed}");
    }
}

#[test]
fn a_history_is_the_same_for_the_same_seed() {
    let played = || {
        let world = World::drawn(&Setting::bad_day(&mut Draws::new(5).apart(99)), 5);
        play(&world, &Game::default()).unwrap()
    };
    assert_eq!(played(), played());
}

#[test]
fn it_needs_fewer_builds_and_less_time_than_others() {
    let setting = Setting { branches: 60, bad: 0.1, slots: 4, ..Setting::default() };
    let (mut ours, mut zuul, mut bors) = ((0, 0.0), (0, 0.0), 0.0);
    for seed in 0..20 {
        let world = World::drawn(&setting, seed);
        let (we, they) = (play(&world, &Game::default()).unwrap(), peers::zuul(&world));
        ours = (ours.0 + we.tests, ours.1 + we.mean());
        zuul = (zuul.0 + they.tests, zuul.1 + they.mean());
        bors += peers::bors(&world).mean();
        assert_eq!(they.decided.len(), 60);
        assert!(peers::serial(&world).tests == 60 && they.wronged() == 0 && we.wronged() == 0);
    }
    assert!(ours.0 < zuul.0 && ours.1 < zuul.1 && ours.1 < bors, "{ours:?} {zuul:?} {bors}");
}

/// Any numbers, so few that they meet.
fn entries(most: usize) -> impl Strategy<Value = Vec<EntryId>> {
    prop::collection::vec((0_i64..12).prop_map(EntryId), 0..most)
}

fn runs() -> impl Strategy<Value = Vec<Run>> {
    prop::collection::vec(prop::sample::select(vec![Run::Passed, Run::Failed, Run::Running, Run::Nothing]), 0..4)
}

fn candidates() -> impl Strategy<Value = Candidate> {
    let judges = prop::collection::vec(runs().prop_map(|runs| Judge { builder: "linux".to_owned(), runs }), 0..3);
    prop_oneof![Just(Candidate::Asked), Just(Candidate::Unmade), judges.prop_map(Candidate::Made)]
}

prop_compose! {
    fn accepted()(id in 0_i64..12, priority in -1..2, needs in entries(3), risk in prop::num::f64::ANY, conflicts in prop::bool::weighted(0.1))
        -> Accepted {
        Accepted { id: EntryId(id), priority, since: UnixMs(0), needs, risk, conflicts }
    }
}

prop_compose! {
    fn stack()(on in 0_i64..5, entries in entries(6), candidate in candidates(), begun in 0_i64..100) -> Stack {
        Stack { id: StackId(0), line: Line { on: MainlineId(on), entries }, candidate, begun: UnixMs(begun) }
    }
}

prop_compose! {
    /// Rows as no master would write them.
    fn situation()(
        entries in prop::collection::vec(accepted(), 0..12),
        stacks in prop::collection::vec(stack(), 0..10),
        moves in prop::collection::vec(prop_oneof![Just(By::Others), entries(3).prop_map(By::Landing)], 0..4),
        conflicts in prop::collection::vec(((0_i64..12).prop_map(EntryId), (0_i64..12).prop_map(EntryId)), 0..4),
        landing in prop::option::of((0_i64..10).prop_map(StackId)),
        free in 0_u32..6,
        mean_ms in 0_u64..100,
        chance in prop::option::of(0.0..1.0),
        began_by_queue: bool,
    ) -> Situation {
        let mut entries = entries;
        let mut seen = HashSet::new();
        entries.retain(|one| seen.insert(one.id));
        let stacks = stacks.into_iter().zip(0..).map(|(stack, id)| Stack { id: StackId(id), ..stack }).collect();
        let at = MainlineId(moves.len() as i64);
        let moves = (0..).zip(moves).map(|(from, by)| Move { from: MainlineId(from), by }).collect();
        Situation {
            now: UnixMs(50), mainline: Mainline { at, moves, began_by_queue }, entries, stacks, conflicts, landing, free, mean_ms,
            experience: Experience::default(), policy: Policy { chance, ..Policy::default() },
        }
    }
}

proptest! {
    #[test]
    fn no_rows_make_it_land_what_did_not_pass(situation in situation()) {
        let decision = decide(&situation);
        let of = |id: &StackId| situation.stacks.iter().find(|stack| stack.id == *id).unwrap();
        let landed: HashSet<EntryId> = situation.mainline.moves.iter().flat_map(|one| match &one.by {
            By::Landing(entries) => entries.clone(),
            By::Others => Vec::new(),
        }).collect();
        for action in &decision.actions {
            match action {
                Action::Land { stack, entries } => {
                    prop_assert_eq!(of(stack).colour(), Colour::Green);
                    prop_assert!(of(stack).line.entries.ends_with(entries) && situation.landing.is_none());
                }
                Action::Eject { entry, evidence: gate::stacks::Evidence::Failed { stack, .. } } => {
                    let line = &of(stack).line.entries;
                    let red = matches!(of(stack).colour(), Colour::Red { .. });
                    prop_assert!(red && line.contains(entry));
                    prop_assert!(line.iter().all(|other| other == entry || landed.contains(other)));
                }
                Action::Cancel { stack } => prop_assert!(of(stack).runs()),
                Action::Again { stack, .. } => prop_assert!(!of(stack).runs()),
                Action::Start { line, .. } => {
                    prop_assert!(!situation.stacks.iter().any(|stack| stack.line == *line));
                }
                Action::Eject { .. } => {}
            }
        }
        let starts = |one: &&Action| matches!(one, Action::Start { .. } | Action::Again { .. });
        prop_assert!(decision.actions.iter().filter(starts).count() <= situation.free as usize);
        let all: HashSet<EntryId> = decision.standings.iter().map(|one| one.entry).collect();
        prop_assert_eq!(all.len(), decision.standings.len(), "each stands once");
        prop_assert_eq!(&decide(&situation), &decision, "the same question gets the same answer");
    }
}
