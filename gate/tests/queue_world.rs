//! A small world around the queue: branches of every temper, a mainline that others push to, slaves that lose builds, a
//! master that is killed between two actions. Whatever happens in it, what the queue promises holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use gate::code::Of;
use gate::queue::{
    Action, BuildOf, BuildStatus, BuilderOf, Candidate, Decision, Entry, EntryId, Hindrance, Itself, Landing, Pause,
    Policy, PushRefused, QueueState, Stack, StackId, decide,
};
use proptest::prelude::*;
use protocol::{BranchId, BuildResult, CommitId, UnixMs};
use std::collections::{BTreeMap, BTreeSet};

/// Chance, from a seed (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    /// True in so many of a hundred cases.
    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What a branch is like.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Temper {
    Good,
    Conflicts,
    Refused,
    Fails,
    Skips,
    LosesItsSlave,
    RequiresNothing,
    NeverTaken,
    AlreadyThere,
    LosesItsRight,
}

const TEMPERS: [Temper; 10] = [
    Temper::Good,
    Temper::Conflicts,
    Temper::Refused,
    Temper::Fails,
    Temper::Skips,
    Temper::LosesItsSlave,
    Temper::RequiresNothing,
    Temper::NeverTaken,
    Temper::AlreadyThere,
    Temper::LosesItsRight,
];

/// How hard the world is on the queue.
#[derive(Clone, Copy)]
struct Weather {
    /// Of a hundred turns, those in which somebody else pushes to mainline.
    foreign_push: u64,
    /// Of a hundred such pushes, those that break what candidates are made by.
    breaks: u64,
    /// Of a hundred builds, those that end without a result.
    exception: u64,
    /// Of a hundred turns, those in which the queue is paused or resumed.
    pause: u64,
    /// Of a hundred turns, those in which an accepted branch is taken back.
    taken_back: u64,
    /// Of a hundred actions, those that are lost because the master was killed.
    killed: u64,
}

struct World {
    chance: Chance,
    weather: Weather,
    state: QueueState,
    /// Where the official repository really is; the state may lag behind.
    remote: CommitId,
    tempers: BTreeMap<EntryId, Temper>,
    next: u32,
    /// Which builders passed which commit, by what really happened.
    passed: BTreeSet<(CommitId, String)>,
    /// What each candidate's commit stands on.
    made_on: BTreeMap<CommitId, CommitId>,
    /// Commits of mainline on which nothing can be made.
    broken: BTreeSet<CommitId>,
    landed: Vec<EntryId>,
    ejected: Vec<EntryId>,
    taken_back: Vec<EntryId>,
}

const REQUIRED: [&str; 2] = ["linux", "asan"];

impl World {
    fn new(seed: u64, weather: Weather) -> Self {
        let state = QueueState {
            now: UnixMs(0),
            mainline: commit(0),
            itself: Itself::Passes,
            paused: None,
            frozen: vec![],
            official: Default::default(),
            landing: None,
            entries: vec![],
            stacks: vec![],
            capacity: 1,
            policy: Policy { retries: 2, push_retries: 2, check_retries: 1 },
        };
        Self {
            chance: Chance(seed),
            weather,
            state,
            remote: commit(0),
            tempers: BTreeMap::new(),
            next: 1,
            passed: BTreeSet::new(),
            made_on: BTreeMap::new(),
            broken: BTreeSet::new(),
            landed: vec![],
            ejected: vec![],
            taken_back: vec![],
        }
    }

    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn accept(&mut self, temper: Temper) {
        let id = EntryId(i64::from(self.number()));
        self.tempers.insert(id, temper);
        let priority = if self.chance.percent(20) { 1 } else { 0 };
        self.state.entries.push(Entry {
            id,
            branch: BranchId(id.0),
            revision: commit(1_000_000 + u32::try_from(id.0).unwrap()),
            author: "Ines".to_owned(),
            expedited: false,
            priority,
            accepted_at: self.state.now,
            hold: None,
            green: None,
            needs: vec![],
            hindrance: (temper == Temper::LosesItsRight).then(|| Hindrance::RightLost { by: "Olga".to_owned() }),
        });
    }

    /// One turn: the queue decides, some of it is carried out, and then something happens.
    fn turn(&mut self) {
        self.state.now.0 += 1;
        let decision = decide(&self.state);
        self.check(&decision);
        for action in decision.actions {
            if self.chance.percent(self.weather.killed) {
                break;
            }
            self.act(&action);
            // Whoever was killed after the deed and before the note of it does it once more.
            if self.chance.percent(self.weather.killed) {
                self.act(&action);
            }
        }
        self.something_happens();
    }

    /// What holds for every decision.
    fn check(&mut self, decision: &Decision) {
        assert_eq!(*decision, decide(&self.state), "the same question got another answer");
        let mut turned = self.state.clone();
        turned.entries.reverse();
        turned.stacks.reverse();
        let (mut one, mut other) = (decision.clone(), decide(&turned));
        one.actions.sort_by_key(|a| format!("{a:?}"));
        other.actions.sort_by_key(|a| format!("{a:?}"));
        assert_eq!(one, other, "the order of the question matters");

        let ejected: BTreeSet<EntryId> = decision
            .actions
            .iter()
            .filter_map(|a| match a {
                Action::Eject { entry, code, .. } => {
                    assert!(code.of() == Of::Queue && code.as_str().starts_with("ejected-"), "{code}");
                    let on = self.state.stacks.iter().find(|s| s.entries.contains(entry)).map(|s| &s.on);
                    let lost = self.tempers[entry] == Temper::LosesItsRight;
                    assert!(lost || on.is_some_and(|on| !self.broken.contains(on)), "ejected for mainline's fault");
                    Some(*entry)
                }
                Action::Retire { entry } => Some(*entry),
                _ => None,
            })
            .collect();
        let standing: Vec<EntryId> = decision.standings.iter().map(|s| s.entry).collect();
        let all: BTreeSet<EntryId> = self.state.entries.iter().map(|e| e.id).collect();
        let told: BTreeSet<EntryId> = standing.iter().copied().chain(ejected.iter().copied()).collect();
        assert_eq!(standing.len() + ejected.len(), all.len(), "every entry is told of once");
        assert_eq!(told, all);
        assert!(decision.standings.iter().zip(1..).all(|(s, place)| s.place == place && s.code.of() == Of::Queue));

        if let Some(landing) = &self.state.landing {
            let touched = |a: &Action| match a {
                Action::Land { .. } => true,
                Action::Drop { stack } => *stack == landing.stack,
                Action::Eject { entry, .. } => {
                    self.state.stacks.iter().any(|s| s.id == landing.stack && s.entries.contains(entry))
                }
                _ => false,
            };
            assert!(!decision.actions.iter().any(touched), "a landing under way was disturbed");
        }
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Test { .. } | Action::TestMainline { .. } | Action::TestAgain { .. } | Action::Cancel { .. } => {
                panic!("the serial queue tests nobody together with others")
            }
            Action::Drop { stack } => self.state.stacks.retain(|s| s.id != *stack),
            Action::Eject { entry, .. } | Action::Retire { entry } => {
                if self.state.entries.iter().any(|e| e.id == *entry) {
                    self.state.entries.retain(|e| e.id != *entry);
                    self.ejected.push(*entry);
                }
            }
            Action::Make { on, entries } => {
                assert_eq!(*on, self.state.mainline);
                assert!(entries.iter().all(|id| self.state.entries.iter().any(|e| e.id == *id)));
                let there = |s: &Stack| s.on == *on && s.entries == *entries;
                if !self.state.stacks.iter().any(there) {
                    let id = StackId(i64::from(self.number()));
                    let (on, entries) = (on.clone(), entries.clone());
                    let candidate = Candidate::NotMade;
                    self.state.stacks.push(Stack { id, on, entries, candidate, push_refused: None, check_failed: 0 });
                }
            }
            Action::Build { stack, commit, builder, attempt } => {
                let Some(stack) = self.state.stacks.iter_mut().find(|s| s.id == *stack) else { return };
                let Candidate::Made { commit: made, builds, .. } = &mut stack.candidate else { panic!("not made") };
                assert_eq!(made, commit, "a build of another commit");
                if !builds.iter().any(|b| b.builder == *builder && b.attempt == *attempt && b.commit == *commit) {
                    let (builder, commit) = (builder.clone(), commit.clone());
                    let status = BuildStatus::Waiting;
                    builds.push(BuildOf { builder, commit, attempt: *attempt, for_queue: true, status, wait: None });
                }
            }
            Action::Land { stack, entries, commit, on } => {
                assert!(self.state.paused.is_none(), "landed while paused");
                let there = self.state.stacks.iter().find(|s| s.id == *stack).expect("a stack that is known");
                assert_eq!((&there.entries, &there.on), (entries, on));
                assert_eq!(self.made_on[commit], *on, "landed elsewhere than it was made for");
                self.is_tested(commit);
                self.state.landing = Some(Landing { stack: *stack });
            }
        }
    }

    /// By what really happened, not by what the state says.
    fn is_tested(&self, commit: &CommitId) {
        for builder in REQUIRED {
            assert!(self.passed.contains(&(commit.clone(), builder.to_owned())), "{builder} did not pass {commit}");
        }
    }

    fn something_happens(&mut self) {
        if self.chance.percent(self.weather.foreign_push) {
            self.remote = commit(500_000 + self.next);
            self.next += 1;
            if self.chance.percent(self.weather.breaks) {
                self.broken.insert(self.remote.clone());
            }
        }
        if self.chance.percent(60) {
            self.state.mainline = self.remote.clone();
        }
        if self.chance.percent(self.weather.pause) {
            let pause = Pause { by: "Olga".to_owned(), reason: String::new() };
            self.state.paused = if self.state.paused.is_none() { Some(pause) } else { None };
        }
        if self.chance.percent(self.weather.taken_back) && !self.state.entries.is_empty() {
            let landing = self.state.landing.clone();
            let at = usize::try_from(self.chance.below(self.state.entries.len() as u64)).unwrap();
            let id = self.state.entries[at].id;
            let lands = |s: &Stack| landing.as_ref().is_some_and(|l| l.stack == s.id) && s.entries.contains(&id);
            if !self.state.stacks.iter().any(lands) {
                self.state.entries.remove(at);
                self.taken_back.push(id);
            }
        }
        self.landing_goes_on();
        for at in 0..self.state.stacks.len() {
            self.stack_goes_on(at);
        }
    }

    /// A begun landing comes to its end by compare-and-swap.
    fn landing_goes_on(&mut self) {
        let Some(Landing { stack }) = self.state.landing.clone() else { return };
        if self.chance.percent(30) {
            return;
        }
        self.state.landing = None;
        let at = self.state.stacks.iter().position(|s| s.id == stack).expect("nobody drops it");
        let Candidate::Made { commit, .. } = self.state.stacks[at].candidate.clone() else { panic!("not made") };
        if self.state.stacks[at].on != self.remote {
            return;
        }
        let entries = self.state.stacks[at].entries.clone();
        if entries.iter().any(|e| self.tempers[e] == Temper::NeverTaken) {
            let times = self.state.stacks[at].push_refused.as_ref().map_or(0, |p| p.times) + 1;
            let again_at = UnixMs(self.state.now.0 + 5);
            let said = "hook declined".to_owned();
            self.state.stacks[at].push_refused = Some(PushRefused { times, again_at, said });
            return;
        }
        self.is_tested(&commit);
        self.remote = commit.clone();
        self.state.mainline = commit;
        self.state.stacks.remove(at);
        for entry in entries {
            assert!(!self.landed.contains(&entry), "landed twice");
            assert!(!self.ejected.contains(&entry) && !self.taken_back.contains(&entry), "landed after it left");
            self.state.entries.retain(|e| e.id != entry);
            self.landed.push(entry);
        }
    }

    /// A candidate is made, a build starts or ends.
    fn stack_goes_on(&mut self, at: usize) {
        let entries = self.state.stacks[at].entries.clone();
        let temper = entries.iter().map(|e| self.tempers[e]).find(|t| *t != Temper::Good).unwrap_or(Temper::Good);
        let culprit = entries[0];
        match &self.state.stacks[at].candidate {
            Candidate::NotMade if self.broken.contains(&self.state.stacks[at].on) => {
                let (text, hint) = (String::new(), String::new());
                self.state.stacks[at].candidate = Candidate::MainlineTrouble { text, hint: hint.into() };
            }
            Candidate::NotMade if self.chance.percent(70) => {
                let made = self.make(temper, culprit);
                if let Candidate::Made { commit, .. } = &made {
                    self.made_on.insert(commit.clone(), self.state.stacks[at].on.clone());
                }
                self.state.stacks[at].candidate = made;
            }
            Candidate::Made { builds, .. } => {
                for nth in 0..builds.len() {
                    self.build_goes_on(at, nth, temper);
                }
            }
            _ => {}
        }
    }

    fn make(&mut self, temper: Temper, entry: EntryId) -> Candidate {
        match temper {
            Temper::Conflicts => Candidate::Conflict { entry, files: vec!["src/queue.c".to_owned()] },
            Temper::AlreadyThere => Candidate::InMainline { entry },
            Temper::Refused => {
                let text = || "no".to_owned();
                Candidate::Refused { entry, code: text(), text: text(), hint: text().into() }
            }
            _ => {
                let required = temper != Temper::RequiresNothing;
                let of = |name: &str, required| BuilderOf { name: name.to_owned(), required, of_mainline: false };
                let mut builders: Vec<BuilderOf> = REQUIRED.iter().map(|name| of(name, required)).collect();
                builders.push(of("docs", false));
                // A result that belongs to another commit is there already, and must count for nothing.
                let stray = self.chance.percent(30).then(|| BuildOf {
                    builder: "linux".to_owned(),
                    commit: commit(999_999),
                    attempt: 1,
                    for_queue: true,
                    status: BuildStatus::Finished { result: BuildResult::Success, says: String::new(), lacks: None },
                    wait: None,
                });
                let made = commit(self.number());
                Candidate::Made { commit: made, builders, builds: stray.into_iter().collect() }
            }
        }
    }

    fn build_goes_on(&mut self, at: usize, nth: usize, temper: Temper) {
        let (starts, ends) = (self.chance.percent(70), self.chance.percent(50));
        let lost = temper == Temper::LosesItsSlave || self.chance.percent(self.weather.exception);
        let how = self.chance.below(3);
        let fails_in = self.chance.below(2);
        let Candidate::Made { builds, .. } = &mut self.state.stacks[at].candidate else { return };
        let build = &mut builds[nth];
        match build.status {
            BuildStatus::Waiting if starts => build.status = BuildStatus::Running,
            BuildStatus::Running if ends => {
                let result = if lost {
                    [BuildResult::Exception, BuildResult::Retry, BuildResult::Cancelled][usize::try_from(how).unwrap()]
                } else {
                    match (temper, build.builder.as_str()) {
                        (Temper::Fails, "asan") => BuildResult::Failure,
                        (Temper::Skips, "linux") => BuildResult::Skipped,
                        (_, "docs") if fails_in == 0 => BuildResult::Failure,
                        _ if fails_in == 0 => BuildResult::Warnings,
                        _ => BuildResult::Success,
                    }
                };
                build.status = BuildStatus::Finished { result, says: String::new(), lacks: None };
                if result.passed() {
                    self.passed.insert((build.commit.clone(), build.builder.clone()));
                }
            }
            _ => {}
        }
    }
}

fn commit(n: u32) -> CommitId {
    format!("{n:040x}").parse().unwrap()
}

const STORM: Weather = Weather { foreign_push: 4, breaks: 30, exception: 15, pause: 5, taken_back: 1, killed: 20 };
const CALM: Weather = Weather { foreign_push: 0, breaks: 0, exception: 0, pause: 0, taken_back: 0, killed: 0 };

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn in_any_weather_only_the_tested_lands_and_at_last_everybody_has_an_end(seed: u64, branches in 1usize..25) {
        let mut world = World::new(seed, STORM);
        for _ in 0..branches {
            let temper = if world.chance.percent(50) { Temper::Good } else { TEMPERS[usize::try_from(world.chance.below(10)).unwrap()] };
            world.accept(temper);
            for _ in 0..world.chance.below(20) {
                world.turn();
            }
        }
        for _ in 0..100 {
            world.turn();
        }
        // Results keep coming and nobody interferes: then everybody comes to an end.
        world.weather = CALM;
        world.state.paused = None;
        world.broken.clear();
        world.remote = commit(800_000);
        // Whoever was held is made anew on the mended mainline.
        let mut turns = 0;
        while !world.state.entries.is_empty() {
            world.turn();
            turns += 1;
            prop_assert!(turns < 400 * branches, "still waiting: {:?}", decide(&world.state));
        }
        let ended = world.landed.len() + world.ejected.len() + world.taken_back.len();
        prop_assert_eq!(ended, branches);
        for entry in &world.landed {
            prop_assert_eq!(world.tempers[entry], Temper::Good);
        }
    }

    /// In calm weather all that are good land, in order, and nobody else.
    #[test]
    fn in_calm_weather_exactly_the_good_land(seed: u64, branches in 1usize..20) {
        let mut world = World::new(seed, CALM);
        for _ in 0..branches {
            let temper = TEMPERS[usize::try_from(world.chance.below(10)).unwrap()];
            world.accept(temper);
        }
        world.state.entries.iter_mut().for_each(|e| e.priority = 0);
        let good: Vec<EntryId> =
            world.state.entries.iter().map(|e| e.id).filter(|id| world.tempers[id] == Temper::Good).collect();
        for _ in 0..400 * branches {
            world.turn();
        }
        prop_assert_eq!(world.landed, good);
        prop_assert!(world.state.entries.is_empty() && world.state.stacks.is_empty());
    }

    /// However often mainline moves under it, and without a pause in which the queue could catch up, nothing untested lands.
    #[test]
    fn a_mainline_that_never_rests_gets_nothing_untested(seed: u64) {
        let mut world = World::new(seed, Weather { foreign_push: 30, ..STORM });
        for _ in 0..10 {
            world.accept(Temper::Good);
        }
        for _ in 0..600 {
            world.turn();
        }
    }
}
