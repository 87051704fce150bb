//! A small world around the queue that tests several at once: branches that fail, do not merge with each other, change how all is
//! built or are refused by the official repository; slaves that lose builds, people who push and take back, a master that is killed
//! between two actions. Whatever happens in it, what the queue promises holds, and everybody is decided in the end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use gate::code::Code;
use gate::queue::{
    Action, BuildOf, BuildStatus, BuilderOf, Candidate, Decision, Entry, EntryId, Frozen, Itself, Member, Policy,
    PushRefused, QueueState, Stack, StackId, Tested, Together, UntilGreen, decide_together,
};
use gate::schedule::Wait;
use gate::stacks::{self, By, Experience, Mainline, MainlineId, Move};
use protocol::{BranchId, BuildResult, CommitId, UnixMs};
use std::collections::{BTreeMap, BTreeSet, HashMap};

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

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What a branch is like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Temper {
    Good,
    Fails,
    /// It changes how all is built: it is tested alone.
    ChangesRecipe,
    /// The official repository takes no push with it.
    Unwelcome,
    /// Its builds are skipped.
    Skipped,
    /// Its builds never have a result.
    Lost,
    /// It mends what is wrong on mainline itself.
    Mends,
}

/// What is wrong on mainline itself, as if it were an entry's.
const BROKEN: EntryId = EntryId(0);

/// How hard the world is.
#[derive(Clone, Copy)]
struct Weather {
    pushes: u64,
    lost: u64,
    taken_back: u64,
    killed: u64,
    paused: u64,
}

const CALM: Weather = Weather { pushes: 0, lost: 0, taken_back: 0, killed: 0, paused: 0 };
const HARD: Weather = Weather { pushes: 3, lost: 8, taken_back: 2, killed: 5, paused: 3 };
const REQUIRED: [&str; 2] = ["linux", "asan"];

struct World {
    chance: Chance,
    weather: Weather,
    state: QueueState,
    together: Together,
    tempers: BTreeMap<EntryId, Temper>,
    /// Pairs that do not merge.
    apart: BTreeSet<(EntryId, EntryId)>,
    /// Of each commit, what it stands on and what was merged last.
    commits: HashMap<(CommitId, Option<EntryId>, u32), CommitId>,
    /// All that a commit has.
    content: HashMap<CommitId, BTreeSet<EntryId>>,
    builds: HashMap<CommitId, Vec<BuildOf>>,
    refused: BTreeMap<CommitId, u32>,
    /// Which entries have a candidate of their own on which mainline.
    made: BTreeSet<(EntryId, CommitId)>,
    number: u32,
    stacks: i64,
    asked: u64,
    landed: BTreeSet<EntryId>,
    ejected: BTreeMap<EntryId, Code>,
    gone: BTreeSet<EntryId>,
    /// Where mainline was and is, by number less one.
    places: Vec<CommitId>,
    /// After so many steps somebody mends mainline by hand.
    mended_after: Option<u32>,
    /// How often mainline itself was built.
    of_mainline: u32,
}

fn commit(n: u32) -> CommitId {
    format!("{n:040x}").parse().unwrap()
}

fn pair(one: EntryId, other: EntryId) -> (EntryId, EntryId) {
    (one.min(other), one.max(other))
}

impl World {
    fn new(seed: u64, weather: Weather, entries: i64, slots: u32) -> Self {
        let mut chance = Chance(seed);
        let mut tempers = BTreeMap::new();
        let mut apart = BTreeSet::new();
        let mut all = Vec::new();
        let mut members = Vec::new();
        for id in 1..=entries {
            let entry = EntryId(id);
            let temper = match chance.below(40) {
                0..=3 => Temper::Fails,
                4 => Temper::ChangesRecipe,
                5 => Temper::Unwelcome,
                6 => Temper::Skipped,
                7 => Temper::Lost,
                _ => Temper::Good,
            };
            tempers.insert(entry, temper);
            if id > 1 && chance.percent(15) {
                apart.insert(pair(entry, EntryId(1 + i64::try_from(chance.below(id as u64 - 1)).unwrap())));
            }
            all.push(Entry {
                id: entry,
                branch: BranchId(id),
                revision: commit(1_000_000 + u32::try_from(id).unwrap()),
                author: "Ines".to_owned(),
                expedited: weather.paused > 0 && chance.percent(10),
                priority: i32::from(chance.percent(10)),
                accepted_at: UnixMs(id),
                hold: None,
                green: chance.percent(if weather.paused > 0 { 30 } else { 0 }).then(|| UntilGreen::Open(vec![])),
                needs: vec![],
                hindrance: None,
            });
            members.push(Member { entry, name: format!("b{id}"), risk: 1.0 });
        }
        let state = QueueState {
            now: UnixMs(0),
            mainline: commit(0),
            itself: Itself::Passes,
            paused: None,
            frozen: vec![],
            official: Default::default(),
            landing: None,
            entries: all,
            stacks: vec![],
            capacity: slots,
            policy: Policy { retries: 2, push_retries: 2, check_retries: 1 },
        };
        let together = Together {
            mainline: Mainline { at: MainlineId(1), moves: vec![], began_by_queue: true },
            members,
            tested: vec![],
            conflicts: vec![],
            capacity: slots,
            mean_ms: 60_000,
            experience: Experience::default(),
            policy: stacks::Policy::default(),
        };
        Self {
            chance,
            weather,
            state,
            together,
            tempers,
            apart,
            commits: HashMap::new(),
            content: HashMap::from([(commit(0), BTreeSet::new())]),
            builds: HashMap::new(),
            refused: BTreeMap::new(),
            made: BTreeSet::new(),
            number: 0,
            stacks: 0,
            asked: 0,
            landed: BTreeSet::new(),
            ejected: BTreeMap::new(),
            gone: BTreeSet::new(),
            places: vec![commit(0)],
            mended_after: None,
            of_mainline: 0,
        }
    }

    /// Mainline is broken, and nobody has built it. All branches are good or fail.
    fn on_broken(seed: u64, entries: i64) -> Self {
        let mut world = Self::new(seed, CALM, entries, 4);
        world.apart.clear();
        for temper in world.tempers.values_mut().filter(|it| **it != Temper::Fails) {
            *temper = Temper::Good;
        }
        world.tempers.insert(BROKEN, Temper::Fails);
        world.content.insert(commit(0), BTreeSet::from([BROKEN]));
        world.together.mainline.began_by_queue = false;
        world
    }

    /// The commit of merging an entry onto another; none when they do not merge.
    fn merged(&mut self, below: &CommitId, entry: EntryId) -> Option<CommitId> {
        let has = self.content[below].clone();
        if has.iter().any(|other| self.apart.contains(&pair(*other, entry))) {
            return None;
        }
        if let Some(known) = self.commits.get(&(below.clone(), Some(entry), 0)) {
            return Some(known.clone());
        }
        self.number += 1;
        let new = commit(self.number);
        self.commits.insert((below.clone(), Some(entry), 0), new.clone());
        let mut content = has;
        content.insert(entry);
        if self.tempers[&entry] == Temper::Mends {
            content.remove(&BROKEN);
        }
        self.content.insert(new.clone(), content);
        Some(new)
    }

    fn builders() -> Vec<BuilderOf> {
        REQUIRED.iter().map(|name| BuilderOf { name: (*name).to_owned(), required: true, of_mainline: false }).collect()
    }

    /// The state as rows say it.
    fn read(&mut self) {
        let mainline = self.state.mainline.clone();
        self.state.stacks.clear();
        let ids: Vec<EntryId> = self.state.entries.iter().map(|entry| entry.id).collect();
        for id in ids {
            if !self.made.contains(&(id, mainline.clone())) {
                continue;
            }
            let candidate = match self.merged(&mainline, id) {
                None => Candidate::Conflict { entry: id, files: vec!["a.c".to_owned()] },
                Some(commit) => {
                    let mut latest: BTreeMap<String, BuildOf> = BTreeMap::new();
                    for build in self.builds.get(&commit).into_iter().flatten() {
                        let attempt = latest.get(&build.builder).map_or(0, |it| it.attempt) + 1;
                        latest.insert(build.builder.clone(), BuildOf { attempt, ..build.clone() });
                    }
                    Candidate::Made { commit, builders: Self::builders(), builds: latest.into_values().collect() }
                }
            };
            let refused = match &candidate {
                Candidate::Made { commit, .. } => self.refused.get(commit).copied(),
                _ => None,
            };
            let push_refused =
                refused.map(|times| PushRefused { times, again_at: self.state.now, said: "no".to_owned() });
            let (on, entries) = (mainline.clone(), vec![id]);
            self.state.stacks.push(Stack { id: StackId(id.0), on, entries, candidate, push_refused, check_failed: 0 });
        }
        for it in &mut self.together.tested {
            it.builds = self.builds.get(&it.commit).cloned().unwrap_or_default();
            it.refused = self.refused.contains_key(&it.commit);
        }
        let waits: BTreeSet<EntryId> = self.state.entries.iter().map(|entry| entry.id).collect();
        self.together.tested.retain(|it| it.entries.is_empty() || it.entries.iter().any(|id| waits.contains(id)));
        let tempers = &self.tempers;
        self.together.members.retain(|it| waits.contains(&it.entry) && tempers[&it.entry] != Temper::ChangesRecipe);
    }

    fn ask(&mut self, commit: &CommitId, builder: &str) {
        let all = self.builds.entry(commit.clone()).or_default();
        let own = || all.iter().filter(|b| b.builder == builder);
        let passed = own()
            .next_back()
            .is_some_and(|b| matches!(b.status, BuildStatus::Finished { result: BuildResult::Success, .. }));
        let open = own().any(|b| matches!(b.status, BuildStatus::Waiting | BuildStatus::Running));
        if passed || open {
            return;
        }
        self.asked += 1;
        all.push(BuildOf {
            builder: builder.to_owned(),
            commit: commit.clone(),
            attempt: 1,
            for_queue: true,
            status: BuildStatus::Running,
            wait: None,
        });
    }

    /// Something ends, somewhere.
    fn goes_on(&mut self) {
        self.state.now = UnixMs(self.state.now.0 + 1000);
        let mut commits: Vec<CommitId> = self.builds.keys().cloned().collect();
        commits.sort();
        for at in commits {
            let content = self.content[&at].clone();
            let has = |temper| content.iter().any(|id| self.tempers[id] == temper);
            let (fails, skipped, never) = (has(Temper::Fails), has(Temper::Skipped), has(Temper::Lost));
            for build in self.builds.get_mut(&at).unwrap() {
                if build.status != BuildStatus::Running || self.chance.percent(40) {
                    continue;
                }
                let result = if never || self.chance.percent(self.weather.lost) {
                    BuildResult::Exception
                } else if skipped && build.builder == "asan" {
                    BuildResult::Skipped
                } else if fails && build.builder == "linux" {
                    BuildResult::Failure
                } else {
                    BuildResult::Success
                };
                build.status = BuildStatus::Finished { result, says: String::new(), lacks: None };
            }
        }
        let mended = self.mended_after.is_some_and(|after| self.state.now.0 == i64::from(after) * 1000);
        if mended || self.chance.percent(self.weather.pushes) {
            self.number += 1;
            let (from, to) = (self.state.mainline.clone(), commit(self.number));
            let mut content = self.content[&from].clone();
            if mended {
                content.remove(&BROKEN);
            }
            self.content.insert(to.clone(), content);
            self.moves(to, By::Others);
        }
        if self.chance.percent(self.weather.taken_back) && self.state.entries.len() > 1 {
            let at = usize::try_from(self.chance.below(self.state.entries.len() as u64)).unwrap();
            let entry = self.state.entries.remove(at);
            self.gone.insert(entry.id);
        }
        if !self.state.frozen.is_empty() || self.chance.percent(self.weather.paused) {
            let except = self.chance.percent(50).then_some(1);
            let frozen = Frozen { until: None, until_says: String::new(), except, reason: String::new() };
            self.state.frozen = if self.state.frozen.is_empty() { vec![frozen] } else { vec![] };
        }
        for entry in &mut self.state.entries {
            entry.green = entry.green.take().filter(|_| self.chance.percent(80));
        }
        if self.state.paused.is_some() || self.chance.percent(self.weather.paused) {
            let pause = gate::queue::Pause { by: "Olga".to_owned(), reason: String::new() };
            self.state.paused = if self.state.paused.is_some() { None } else { Some(pause) };
        }
    }

    fn moves(&mut self, to: CommitId, by: By) {
        let from = self.together.mainline.at;
        self.together.mainline.moves.push(Move { from, by });
        self.together.mainline.at = MainlineId(from.0 + 1);
        self.places.push(to.clone());
        self.state.mainline = to;
    }

    fn passed(&self, commit: &CommitId) -> bool {
        REQUIRED.iter().all(|name| {
            let mut own = self.builds.get(commit).into_iter().flatten().filter(|b| b.builder == *name);
            own.next_back()
                .is_some_and(|b| matches!(b.status, BuildStatus::Finished { result: BuildResult::Success, .. }))
        })
    }

    fn carry_out(&mut self, action: &Action) {
        match action {
            Action::Make { on, entries } => _ = self.made.insert((entries[0], on.clone())),
            Action::Build { commit, builder, .. } => self.ask(&commit.clone(), builder),
            Action::Drop { .. } => {}
            Action::Test { entries, .. } => self.test(entries),
            Action::TestMainline { on, entry } => {
                assert!(self.state.entries.iter().any(|it| it.id == *entry));
                let (commit, builders) = (self.places[usize::try_from(on.0 - 1).unwrap()].clone(), Self::builders());
                self.stacks += 1;
                self.of_mainline += 1;
                let (id, begun, entries) = (StackId(-self.stacks), self.state.now, vec![]);
                let tested = Tested {
                    id,
                    on: *on,
                    entries,
                    commit: commit.clone(),
                    builders,
                    builds: vec![],
                    begun,
                    refused: false,
                };
                self.together.tested.push(tested);
                REQUIRED.iter().for_each(|name| self.ask(&commit, name));
            }
            Action::TestAgain { stack, builders } => {
                let commit = self.together.tested.iter().find(|it| it.id == *stack).unwrap().commit.clone();
                builders.iter().for_each(|builder| self.ask(&commit, builder));
            }
            Action::Cancel { stack } => {
                let commit = &self.together.tested.iter().find(|it| it.id == *stack).unwrap().commit;
                for build in self.builds.get_mut(commit).into_iter().flatten() {
                    if build.status == BuildStatus::Running {
                        let (result, says) = (BuildResult::Cancelled, String::new());
                        build.status = BuildStatus::Finished { result, says, lacks: None };
                    }
                }
            }
            Action::Retire { .. } => panic!("nobody is there already"),
            Action::Land { entries, commit, on, .. } => self.lands(entries, commit, on),
            Action::Eject { entry, code, .. } => self.ejects(*entry, *code),
        }
    }

    fn test(&mut self, entries: &[EntryId]) {
        let mut at = self.state.mainline.clone();
        for (place, id) in entries.iter().enumerate() {
            match self.merged(&at, *id) {
                Some(next) => at = next,
                None => {
                    let other = entries[..place].iter().find(|it| self.apart.contains(&pair(**it, *id)));
                    match other {
                        Some(other) => self.together.conflicts.push((*other, *id)),
                        // It does not merge with mainline: its own candidate says so, and it goes with nobody.
                        None => {
                            self.made.insert((*id, self.state.mainline.clone()));
                            self.together.members.retain(|it| it.entry != *id);
                        }
                    }
                    return;
                }
            }
        }
        self.stacks += 1;
        let id = StackId(-self.stacks);
        let (on, begun) = (self.together.mainline.at, self.state.now);
        let (entries, builders) = (entries.to_vec(), Self::builders());
        let tested = Tested { id, on, entries, commit: at.clone(), builders, builds: vec![], begun, refused: false };
        self.together.tested.push(tested);
        REQUIRED.iter().for_each(|name| self.ask(&at, name));
    }

    fn lands(&mut self, entries: &[EntryId], commit: &CommitId, on: &CommitId) {
        assert!(self.state.paused.is_none(), "nothing lands while the queue is paused");
        assert_eq!(*on, self.state.mainline, "it lands on mainline as it is");
        assert!(self.passed(commit), "{commit} did not pass by all that are required");
        let mut all = self.content[on].clone();
        all.extend(entries);
        if entries.iter().any(|id| self.tempers[id] == Temper::Mends) {
            all.remove(&BROKEN);
        }
        assert_eq!(all, self.content[commit], "all of the commit is mainline's or lands");
        for id in entries {
            let entry = self.state.entries.iter().find(|entry| entry.id == *id);
            let entry = entry.unwrap_or_else(|| panic!("{id:?} is not in the queue"));
            assert_eq!((self.state.frozen_for(entry), &entry.green), (None, &None), "{id:?} may not land yet");
        }
        let first = |it: &&Entry| it.expedited && it.green.is_none() && self.state.frozen_for(it).is_none();
        if let Some(one) = self.state.entries.iter().find(first) {
            assert_eq!(entries.len(), 1, "{:?} goes before all others, alone", one.id);
            assert!(self.state.entries.iter().filter(first).any(|it| it.id == entries[0]), "{:?} goes first", one.id);
        }
        if self.content[commit].iter().any(|id| self.tempers[id] == Temper::Unwelcome) {
            *self.refused.entry(commit.clone()).or_default() += 1;
            return;
        }
        self.landed.extend(entries);
        self.state.entries.retain(|entry| !entries.contains(&entry.id));
        self.moves(commit.clone(), By::Landing(entries.to_vec()));
    }

    fn ejects(&mut self, entry: EntryId, code: Code) {
        let temper = self.tempers[&entry];
        let deserved = match code {
            Code::EjectedFailure => temper == Temper::Fails,
            Code::EjectedConflict => {
                self.content[&self.state.mainline].iter().any(|other| self.apart.contains(&pair(*other, entry)))
            }
            Code::EjectedPush => temper == Temper::Unwelcome,
            Code::EjectedSkipped => temper == Temper::Skipped,
            Code::EjectedNoResult => temper == Temper::Lost || self.weather.lost > 0,
            _ => false,
        };
        assert!(deserved, "{entry:?}, which is {temper:?}, is sent away as {code}");
        self.state.entries.retain(|it| it.id != entry);
        self.ejected.insert(entry, code);
    }

    /// Plays until everybody is decided.
    fn play(&mut self) {
        let all = self.state.entries.len();
        for _ in 0..4000 {
            for _ in 0..100 {
                self.read();
                let decision = decide_together(&self.state, &self.together);
                self.holds(&decision);
                let before = (self.asked, self.state.clone(), self.together.clone(), self.builds.clone());
                for action in &decision.actions {
                    if self.chance.percent(self.weather.killed) {
                        break;
                    }
                    self.carry_out(action);
                    // What was decided of the rows of before is decided anew where they are others now.
                    if matches!(action, Action::Land { .. } | Action::Eject { .. }) {
                        break;
                    }
                }
                self.read();
                if before == (self.asked, self.state.clone(), self.together.clone(), self.builds.clone()) {
                    break;
                }
            }
            if self.state.entries.is_empty() {
                assert_eq!(self.landed.len() + self.ejected.len() + self.gone.len(), all);
                return;
            }
            self.goes_on();
        }
        panic!(
            "never decided: {:?}",
            self.state.entries.iter().map(|e| (e.id, self.tempers[&e.id])).collect::<Vec<_>>()
        );
    }

    /// Each entry stands or leaves, one of both.
    fn holds(&self, decision: &Decision) {
        let leaves = decision.actions.iter().filter_map(|action| match action {
            Action::Eject { entry, .. } | Action::Retire { entry } => Some(*entry),
            _ => None,
        });
        let mut all: Vec<EntryId> = decision.standings.iter().map(|it| it.entry).chain(leaves).collect();
        all.sort();
        let mut wanted: Vec<EntryId> = self.state.entries.iter().map(|it| it.id).collect();
        wanted.sort();
        assert_eq!(all, wanted);
    }
}

#[test]
fn in_a_calm_world_the_good_land_and_only_those_at_fault_leave() {
    for seed in 0..200 {
        let mut world = World::new(seed, CALM, 12, 4);
        world.play();
        let left: Vec<EntryId> =
            world.tempers.iter().filter(|(_, it)| **it == Temper::Good).map(|(id, _)| *id).collect();
        for id in left {
            let conflicts = world.ejected.get(&id) == Some(&Code::EjectedConflict);
            assert!(world.landed.contains(&id) || conflicts, "seed {seed}: {id:?} {:?}", world.ejected.get(&id));
        }
    }
}

#[test]
fn in_a_hard_world_everybody_is_decided_and_nothing_lands_untested() {
    for seed in 0..200 {
        World::new(1_000_000 + seed, HARD, 12, 3).play();
    }
}

#[test]
fn many_good_ones_take_few_builds() {
    let mut world = World::new(7, CALM, 60, 4);
    world.tempers.values_mut().for_each(|it| *it = Temper::Good);
    world.apart.clear();
    world.play();
    assert_eq!(world.landed.len(), 60);
    // Alone each would be built twice, by two builders.
    assert!(world.asked <= 30, "{} builds", world.asked);
}

/// Whoever fails on a mainline that fails by itself is not at fault: nobody leaves before it is mended, be it by hand.
#[test]
fn on_a_broken_mainline_nobody_leaves_until_it_is_mended() {
    for seed in 0..60 {
        let mut world = World::on_broken(seed, 6);
        world.mended_after = Some(200);
        world.play();
        for (id, temper) in world.tempers.iter().filter(|(id, _)| **id != BROKEN) {
            assert_eq!(world.landed.contains(id), *temper == Temper::Good, "seed {seed}: {id:?} {temper:?}");
        }
        assert!(world.asked < 100, "seed {seed}: {} builds", world.asked);
    }
}

/// One of the queue may be what mends it, wherever in the queue it is.
#[test]
fn a_broken_mainline_is_mended_by_a_branch_of_the_queue() {
    for seed in 0..60 {
        let mut world = World::on_broken(seed, 6);
        let mends = EntryId(1 + i64::try_from(seed % 6).unwrap());
        world.tempers.insert(mends, Temper::Mends);
        world.play();
        for (id, temper) in world.tempers.iter().filter(|(id, _)| **id != BROKEN) {
            assert_eq!(world.landed.contains(id), *temper != Temper::Fails, "seed {seed}: {id:?} {temper:?}");
        }
    }
}

/// Mainline is built only where somebody would be sent away by it, and once where it passes.
#[test]
fn a_mainline_that_nobody_built_is_built_before_anybody_is_sent_away() {
    for seed in 0..60 {
        let mut world = World::on_broken(seed, 6);
        world.content.insert(commit(0), BTreeSet::new());
        let bad = world.tempers.iter().any(|(id, temper)| *id != BROKEN && *temper == Temper::Fails);
        world.play();
        assert!(world.of_mainline <= u32::from(bad), "seed {seed}: {} times", world.of_mainline);
    }
}

/// What an entry is tested in can't begin: that is what is said of it, whatever else is known.
#[test]
fn who_waits_for_what_does_not_come_by_itself_is_told_so() {
    for failed_before in [false, true] {
        let mut world = World::new(1, CALM, 2, 4);
        let of = |id, entries: &[i64], top, status: BuildStatus, wait: Option<Wait>| Tested {
            id: StackId(id),
            on: MainlineId(1),
            entries: entries.iter().map(|id| EntryId(*id)).collect(),
            commit: commit(top),
            builders: vec![BuilderOf { name: "arm".to_owned(), required: true, of_mainline: true }],
            builds: vec![BuildOf {
                builder: "arm".to_owned(),
                commit: commit(top),
                attempt: 1,
                for_queue: true,
                status,
                wait,
            }],
            begun: UnixMs(0),
            refused: false,
        };
        let label = Wait::NoLabel { missing: vec!["arm64".to_owned()] };
        world.together.tested = vec![of(-4, &[1], 77, BuildStatus::Waiting, Some(label))];
        if failed_before {
            let failed = BuildStatus::Finished { result: BuildResult::Failure, says: String::new(), lacks: None };
            world.together.tested.push(of(-2, &[1, 2], 78, failed, None));
        }
        let decision = decide_together(&world.state, &world.together);
        let first = decision.standings.iter().find(|it| it.entry == EntryId(1)).unwrap();
        assert_eq!(first.code, Code::TestingStuck, "{first:?}");
        assert!(first.says.contains("arm64") && first.next.who != "bb", "{first:?}");
    }
}
