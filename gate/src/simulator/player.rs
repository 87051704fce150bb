//! The queue of [`crate::stacks::decide`] in a world: events, and rows that survive a crash.

use super::draws::Draws;
use super::official::Official;
use super::score::Score;
use super::watch::{Broken, Watch};
use super::world::World;
use crate::ids::{EntryId, StackId};
use crate::stacks::{
    Action, Candidate, Decision, Experience, Judge, Line, Mainline, Policy, Run, Situation, Stack, Why, decide,
};
use protocol::UnixMs;
use std::collections::{BTreeMap, HashMap};

/// The length of a build, in the queue's milliseconds.
pub(super) const LENGTH_MS: u64 = 1_000_000;
/// So many questions without time going by are too many.
const TURNS: usize = 200;
/// A history that takes so many builds for each branch will never end.
const TESTS: u64 = 400;
/// How long a push takes where things go wrong, in lengths of a build.
const PUSH: f64 = 0.02;
/// How long a person takes to look after an entry that is held.
pub(super) const PERSON: f64 = 2.0;

/// How the queue is played.
#[derive(Clone, Copy, Debug, Default)]
pub struct Game {
    /// The project's settings.
    pub policy: Policy,
    /// What was learned before.
    pub experience: Experience,
}

/// An acceptance.
pub(super) struct Entry {
    pub(super) branch: usize,
    pub(super) since: f64,
    pub(super) bad: bool,
}

/// A build that runs.
pub(super) struct Running {
    pub(super) stack: StackId,
    pub(super) judge: usize,
    pub(super) ends: f64,
    pub(super) result: Run,
}

/// When things happen that are not builds.
pub(super) struct Clock {
    pub(super) arrival: usize,
    pub(super) push: f64,
    pub(super) mend: f64,
    pub(super) taken_back: f64,
    pub(super) force_pushed: f64,
    pub(super) landed: f64,
}

pub(super) struct Player<'a> {
    pub(super) world: &'a World,
    pub(super) draws: Draws,
    pub(super) lengths: Draws,
    pub(super) time: f64,
    pub(super) situation: Situation,
    pub(super) official: Official,
    pub(super) watch: Watch,
    pub(super) accepted: Vec<Entry>,
    /// The newest acceptance of each branch.
    pub(super) newest: HashMap<usize, EntryId>,
    pub(super) running: Vec<Running>,
    /// Entries that are held, and when a person looks after them.
    pub(super) held: BTreeMap<EntryId, f64>,
    pub(super) clock: Clock,
    pub(super) score: Score,
    /// A promise that was broken while things happened.
    pub(super) broken: Option<String>,
    tell: &'a mut Tell<'a>,
}

/// Plays the queue in a world until everybody left.
pub fn play(world: &World, game: &Game) -> Result<Score, Broken> {
    play_told(world, game, &mut |_, _| {})
}

/// The same, and every question and answer is told.
pub fn play_told<'a>(world: &'a World, game: &Game, tell: &'a mut Tell<'a>) -> Result<Score, Broken> {
    let mut player = Player::new(world, game, tell);
    player.plays().map_err(|what| Broken { seed: world.seed, what })?;
    Ok(player.score)
}

/// Who is told.
type Tell<'a> = dyn FnMut(&Situation, &Decision) + 'a;

pub(super) type Promise = Result<(), String>;

impl<'a> Player<'a> {
    fn new(world: &'a World, game: &Game, tell: &'a mut Tell<'a>) -> Self {
        let official = Official::new();
        let mut draws = world.draws(21);
        let faults = &world.setting.faults;
        let clock = Clock {
            arrival: 0,
            push: draws.wait(faults.pushes),
            mend: f64::INFINITY,
            taken_back: draws.wait(faults.taken_back),
            force_pushed: draws.wait(faults.force_pushed),
            landed: f64::INFINITY,
        };
        let mut player = Self {
            world,
            draws,
            lengths: world.draws(22),
            time: 0.0,
            situation: Situation {
                now: UnixMs(0),
                mainline: Mainline { at: official.now(), moves: Vec::new(), began_by_queue: false },
                entries: Vec::new(),
                stacks: Vec::new(),
                conflicts: Vec::new(),
                landing: None,
                free: world.setting.slots,
                mean_ms: LENGTH_MS,
                experience: game.experience,
                policy: game.policy,
            },
            official,
            watch: Watch::default(),
            accepted: Vec::new(),
            newest: HashMap::new(),
            running: Vec::new(),
            held: BTreeMap::new(),
            clock,
            score: Score::default(),
            broken: None,
            tell,
        };
        player.mainline_passed();
        player
    }

    /// Mainline was built before the first was accepted.
    fn mainline_passed(&mut self) {
        let line = Line { on: self.official.now(), entries: Vec::new() };
        let content = self.official.content(&line);
        let judges = (0..self.world.setting.builders).map(|judge| {
            self.watch.ends(content, judge, Run::Passed);
            Judge { builder: name(judge), runs: vec![Run::Passed] }
        });
        let candidate = Candidate::Made(judges.collect());
        self.situation.stacks.push(Stack { id: StackId(0), line, candidate, begun: UnixMs(0) });
    }

    fn plays(&mut self) -> Promise {
        while self.happens() {
            self.broken.take().map_or(Ok(()), Err)?;
            self.turns()?;
            self.forget();
            let most = TESTS * (self.accepted.len() as u64).max(10);
            if self.score.tests > most {
                return Err(format!("{} builds, and still {} wait", self.score.tests, self.situation.entries.len()));
            }
        }
        if self.situation.entries.is_empty() {
            return Ok(());
        }
        Err(format!("{:?} are never decided", self.situation.entries))
    }

    /// Asks and carries out until nothing is left to do.
    fn turns(&mut self) -> Promise {
        for _ in 0..TURNS {
            let slots = u32::try_from(self.busy()).unwrap_or(u32::MAX);
            self.situation.free = self.world.setting.slots.saturating_sub(slots);
            self.situation.now = UnixMs((self.time * LENGTH_MS as f64) as i64);
            let decision = decide(&self.situation);
            (self.tell)(&self.situation, &decision);
            self.look_at(&decision)?;
            if decision.actions.is_empty() {
                return Ok(());
            }
            for action in decision.actions {
                if self.draws.happens(self.world.setting.faults.crash) {
                    self.crash();
                    break;
                }
                self.carry_out(action)?;
            }
        }
        Err("it always finds more to do".to_owned())
    }

    /// So many slots are taken.
    fn busy(&self) -> usize {
        self.situation.stacks.iter().filter(|stack| stack.runs()).count()
    }

    /// Each entry stands, or is ejected: one of both; and whoever is held is looked after.
    fn look_at(&mut self, decision: &Decision) -> Promise {
        let ejected = decision.actions.iter().filter(|action| matches!(action, Action::Eject { .. })).count();
        if decision.standings.len() + ejected != self.situation.entries.len() {
            let (all, said) = (self.situation.entries.len(), decision.standings.len());
            return Err(format!("of {all} entries {said} stand, and {ejected} are ejected"));
        }
        let is_held = |why: &Why| matches!(why, Why::Needs { .. } | Why::Circle { .. });
        for standing in decision.standings.iter().filter(|standing| is_held(&standing.why)) {
            self.held.entry(standing.entry).or_insert(self.time + PERSON);
        }
        Ok(())
    }

    /// The master is killed: some builds are found lost afterwards.
    fn crash(&mut self) {
        for one in &mut self.running {
            if self.draws.happens(0.2) {
                one.result = Run::Nothing;
            }
        }
    }

    fn carry_out(&mut self, action: Action) -> Promise {
        match action {
            Action::Land { stack, .. } => {
                self.situation.landing = Some(stack);
                if self.world.setting.faults == super::Faults::default() {
                    return self.lands(stack);
                }
                self.clock.landed = self.time + PUSH;
                Ok(())
            }
            Action::Eject { entry, evidence } => self.ejects(entry, &evidence),
            Action::Cancel { stack } => {
                self.running.retain(|one| one.stack != stack);
                if let Some(stack) = self.stack(stack) {
                    cancelled(stack);
                }
                Ok(())
            }
            Action::Start { line, .. } => self.starts(line),
            Action::Again { stack, .. } => {
                self.begin(stack);
                Ok(())
            }
        }
    }

    pub(super) fn stack(&mut self, id: StackId) -> Option<&mut Stack> {
        self.situation.stacks.iter_mut().find(|stack| stack.id == id)
    }

    fn starts(&mut self, line: Line) -> Promise {
        self.watch.starts(&self.official, &line)?;
        let id = StackId(self.situation.stacks.last().map_or(1, |stack| stack.id.0 + 1).max(1));
        let judges = (0..self.world.setting.builders).map(|judge| Judge { builder: name(judge), runs: Vec::new() });
        let candidate = Candidate::Made(judges.collect());
        self.situation.stacks.push(Stack { id, line, candidate, begun: UnixMs(0) });
        self.begin(id);
        Ok(())
    }

    /// Begins the builds of a stack that did not pass.
    fn begin(&mut self, id: StackId) {
        let now = self.situation.now;
        let Some(stack) = self.stack(id) else { return };
        stack.begun = now;
        let line = stack.line.clone();
        let Candidate::Made(judges) = &mut stack.candidate else { return };
        let mut begun = Vec::new();
        for (number, judge) in judges.iter_mut().enumerate() {
            if !judge.runs.contains(&Run::Passed) && !judge.runs.contains(&Run::Running) {
                judge.runs.push(Run::Running);
                begun.push(number);
            }
        }
        self.score.tests += 1;
        for judge in begun {
            let result = self.result(&line, judge);
            let ends = self.time + self.world.length(&mut self.lengths);
            self.running.push(Running { stack: id, judge, ends, result });
        }
    }

    /// How a build will end. What is bad is found by the first builder or by the second, by its number.
    fn result(&mut self, line: &Line, judge: usize) -> Run {
        if self.draws.happens(self.world.setting.faults.lost) {
            return Run::Nothing;
        }
        let judges = self.world.setting.builders;
        let mine = |entry: &&EntryId| self.entry(**entry).branch % judges == judge;
        let bad = line.entries.iter().filter(mine).any(|entry| self.entry(*entry).bad);
        let has = |branch: usize| {
            let in_line = line.entries.iter().any(|entry| self.entry(*entry).branch == branch);
            in_line || self.newest.get(&branch).is_some_and(|entry| self.official.holds(line.on, *entry))
        };
        let clashes = judge == 0 && self.world.clashes.iter().any(|(one, two)| has(*one) && has(*two));
        if bad || clashes || self.official.is_broken(line.on) || self.draws.happens(self.world.setting.flake) {
            Run::Failed
        } else {
            Run::Passed
        }
    }

    pub(super) fn entry(&self, id: EntryId) -> &Entry {
        &self.accepted[usize::try_from(id.0).unwrap_or_default()]
    }
}

/// The builds of a stack that ran end without a result.
fn cancelled(stack: &mut Stack) {
    let Candidate::Made(judges) = &mut stack.candidate else { return };
    for run in judges.iter_mut().flat_map(|judge| &mut judge.runs).filter(|run| **run == Run::Running) {
        *run = Run::Nothing;
    }
}

fn name(judge: usize) -> String {
    format!("builder-{judge}")
}
