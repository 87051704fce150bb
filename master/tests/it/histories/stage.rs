//! The state from which histories are played: made once, copied back for each.

use super::actors::{HERON, Said};
use crate::support::World;
use crate::support::slave::{FakeSlave, ended};
use master::stepping::Loop;
use master::store::{BuildRowState, TokenKind};
use protocol::wire::{BuildRef, ToSlave};
use protocol::{BuildResult, TokenId};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use testkit::git::Repo;
use tokio::sync::Mutex;

/// What has happened before a history begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum From {
    /// `feature` was published and looked at; it has no candidate.
    Published,
    /// It passed.
    Ready,
    /// Max accepted it; the queue has not looked yet.
    Accepted,
    /// It is being built by a slave that is away, longer than the lease; another slave is here.
    Away,
    /// Max accepted it, and Mia `other`: both are tested together, and that passed; the queue has not looked yet.
    Stacked,
    /// The same while it is being built by a slave that is away, longer than the lease; another slave is here.
    StackedAway,
}

impl From {
    /// Whether a slave that is away is building.
    fn is_away(self) -> bool {
        matches!(self, Self::Away | Self::StackedAway)
    }

    /// Whether there are two branches, tested together.
    pub fn is_stacked(self) -> bool {
        matches!(self, Self::Stacked | Self::StackedAway)
    }
}

/// Where histories are played.
pub struct Stage {
    pub world: World,
    pub from: From,
    /// The first revision.
    pub first: String,
    /// Where mainline is at first.
    pub begin: String,
    /// The words that the branch would land in, as they are read before a history begins.
    pub words: Value,
    /// The token of Max, a maintainer beside Mia.
    pub max: TokenId,
    /// The secret of slave oak.
    pub oak: String,
    pub elm: String,
    /// Slave oak, while it is connected.
    pub slave: Arc<Mutex<Option<FakeSlave>>>,
    other: Option<FakeSlave>,
    saved: tempfile::TempDir,
    database: Option<Database>,
}

/// Where the store is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum On {
    Sqlite,
    Postgres,
}

/// A database that is copied as the folders are.
struct Database {
    url: String,
}

impl Database {
    fn make() -> Self {
        Self { url: testkit::postgres::fresh_database() }
    }

    fn name(&self) -> &str {
        self.url.split(['/', '?']).nth(3).unwrap()
    }

    fn execute(&self, statement: &str) {
        let admin = self.url.replace(&format!("/{}?", self.name()), "/postgres?");
        testkit::postgres::execute(&admin, statement).unwrap();
    }

    fn save(&self) {
        // A copied basedir does not tell that the master which it names is gone, and the next one would wait for that.
        testkit::postgres::execute(&self.url, "UPDATE master SET owner = ''").unwrap();
        let name = self.name();
        self.execute(&format!("CREATE DATABASE {name}_saved TEMPLATE {name}"));
    }

    fn back(&self) {
        let name = self.name();
        self.execute(&format!("DROP DATABASE {name} WITH (FORCE)"));
        self.execute(&format!("CREATE DATABASE {name} TEMPLATE {name}_saved"));
    }
}

impl Stage {
    /// Plays what comes before all histories, and keeps a copy.
    pub async fn prepare(from: From, on: On) -> Self {
        let database = match on {
            On::Sqlite => None,
            On::Postgres => Some(tokio::task::spawn_blocking(Database::make).await.unwrap()),
        };
        let settings = database.as_ref().map_or(String::new(), |it| format!("store = {:?}\n", it.url));
        let world = World::stepped_as(&settings).await;
        world.official.git(&["config", "core.logAllRefUpdates", "always"]);
        let token_of_max = world.token(TokenKind::Maintainer, "max").await;
        let (oak, elm) = (world.token(TokenKind::Slave, "oak").await, world.token(TokenKind::Slave, "elm").await);
        let slave = Arc::new(Mutex::new(None));
        let max_id = world.store().tokens().await.unwrap().into_iter().find(|t| t.name == "max").unwrap().id;
        world.publish("feature").await;
        let (first, begin) = (world.author.resolve("feature"), world.official.head());
        let saved = testkit::quick_folder();
        let (words, max, other) = (Value::Null, max_id, None);
        let mut stage = Self { world, from, first, begin, words, max, oak, elm, slave, other, saved, database };
        stage.world.turn(Loop::Mainline).await;
        stage.world.turn(Loop::Watch).await;
        if from.is_stacked() {
            stage.stack(&token_of_max).await;
        } else if from != From::Published {
            stage.world.turn(Loop::Candidates).await;
            stage.world.turn(Loop::Builds).await;
            let (mut slave, _) = FakeSlave::connect(&stage.world, &stage.oak, "oak", &[]).await;
            stage.world.turn(Loop::Schedule).await;
            let of = slave.given().await.of;
            match from {
                it if it.is_away() => slave.begins(of).await,
                _ => slave.ends(of, 0, BuildResult::Success).await,
            }
        }
        if from == From::Accepted {
            let path = "/api/v1/projects/heron/branches/feature/accept";
            let answer = stage.world.post_as(&token_of_max, path, &stage.world.as_read("feature").await).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        stage.world.kill_master().await;
        copy(stage.world.folder(), stage.saved.path());
        stage.database.iter().for_each(Database::save);
        stage
    }

    /// Two branches are accepted, and tested together.
    async fn stack(&mut self, max: &str) {
        self.world.publish("other").await;
        self.world.turn(Loop::Watch).await;
        self.world.turn(Loop::Candidates).await;
        let path = "/api/v1/projects/heron/branches/feature/accept";
        let answer = self.world.post_as(max, path, &self.world.as_read("feature").await).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        self.world.accept("other").await;
        self.world.turn(Loop::Queue).await;
        let (mut slave, _) = FakeSlave::connect(&self.world, &self.oak, "oak", &[]).await;
        self.world.turn(Loop::Schedule).await;
        let of = slave.given().await.of;
        if self.from.is_away() {
            slave.begins(of).await;
        } else {
            slave.ends(of, 0, BuildResult::Success).await;
        }
        let stacks = self.world.store().stacks(HERON).await.unwrap();
        assert_eq!(stacks.iter().map(|it| it.members.len()).collect::<Vec<_>>(), [2]);
    }

    /// The branches there are.
    pub fn branches(&self) -> &'static [&'static str] {
        if self.from.is_stacked() { &["feature", "other"] } else { &["feature"] }
    }

    /// Everything as it was, and a master.
    pub async fn begin(&mut self) {
        *self.slave.lock().await = None;
        self.other = None;
        if self.world.runs() {
            self.world.kill_master().await;
        }
        for entry in std::fs::read_dir(self.world.folder()).unwrap() {
            std::fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
        copy(self.saved.path(), self.world.folder());
        self.database.iter().for_each(Database::back);
        self.start().await;
    }

    /// Kills the master and starts it again.
    pub async fn restart(&mut self) {
        self.world.kill_master().await;
        *self.slave.lock().await = None;
        self.other = None;
        self.start().await;
    }

    async fn start(&mut self) {
        self.world.start_master().await;
        self.words = self.world.as_read("feature").await["words"].take();
        self.slaves().await;
    }

    /// The slave that is there from the beginning.
    async fn slaves(&mut self) {
        match self.from {
            it if it.is_away() => self.other = Some(FakeSlave::connect(&self.world, &self.elm, "elm", &[]).await.0),
            _ => *self.slave.lock().await = Some(FakeSlave::connect(&self.world, &self.oak, "oak", &[]).await.0),
        }
    }

    /// The author's repository, for others than this stage.
    pub fn author(&self) -> Repo {
        Repo::at(self.world.author.path())
    }

    /// Takes turns until nothing changes any more; slaves pass everything that they are given. Gives what went wrong at last.
    pub async fn settle(&mut self) -> Vec<String> {
        let mut before = String::new();
        let mut errors = Vec::new();
        for _ in 0..40 {
            errors.clear();
            for which in [
                Loop::Claims,
                Loop::Mend,
                Loop::Mainline,
                Loop::Watch,
                Loop::Candidates,
                Loop::Builds,
                Loop::Schedule,
                Loop::Queue,
            ] {
                if let Err(error) = self.world.master().turn(which).await {
                    errors.push(format!("{which:?}: {error}"));
                }
            }
            self.serve().await;
            let now = self.digest().await;
            if now == before {
                return errors;
            }
            before = now;
        }
        errors.push(format!("it does not come to rest: {before}"));
        errors
    }

    /// Slaves do what they were given.
    async fn serve(&mut self) {
        let rows = self.world.store().slaves().await.unwrap();
        let mut oak = self.slave.lock().await;
        for build in self.world.store().open_builds().await.unwrap() {
            let (BuildRowState::Running, Some(id)) = (build.state, build.slave) else { continue };
            let name = rows.iter().find(|s| s.id == id).unwrap().name.to_string();
            let (seat, token) = if name == "oak" { (&mut *oak, &self.oak) } else { (&mut self.other, &self.elm) };
            let of = build.reference();
            let said = match seat {
                Some(slave) => ended_and_answered(slave, of, build.next_report).await,
                None => Said::Unknown,
            };
            // Whoever was away, or was sent away, comes back with what it has.
            if matches!(said, Said::Unknown) {
                *seat = Some(FakeSlave::connect(&self.world, token, &name, &[of]).await.0);
            }
        }
        if oak.is_none() {
            *oak = Some(FakeSlave::connect(&self.world, &self.oak, "oak", &[]).await.0);
        }
    }

    /// What counts of the state: two that are alike mean that nothing more happens.
    async fn digest(&self) -> String {
        let store = self.world.store();
        let project = store.project_by_id(HERON).await.unwrap();
        let queue: Vec<_> =
            store.queue(HERON).await.unwrap().into_iter().map(|e| (e.id, e.standing.code, e.candidate)).collect();
        let builds: Vec<_> =
            store.open_builds().await.unwrap().into_iter().map(|b| (b.id, b.state, b.fence, b.next_report)).collect();
        let landing = store.open_landing(HERON).await.unwrap().map(|l| l.id);
        let mut branches = Vec::new();
        for name in self.branches() {
            let branch = self.world.branch_row(name).await;
            let newest = store.newest_revision(branch.id).await.unwrap();
            let candidate = match &newest {
                Some(revision) => store.candidate_of(revision.id).await.unwrap().map(|c| c.id),
                None => None,
            };
            branches.push((branch.state, newest.map(|r| r.number), candidate));
        }
        let stacks = store.stacks(HERON).await.unwrap().len();
        format!("{:?} {queue:?} {builds:?} {landing:?} {branches:?} {stacks}", project.tip)
    }
}

/// Says that a build passed, and waits for the answer; unknown when none came.
pub async fn ended_and_answered(slave: &mut FakeSlave, of: BuildRef, number: u32) -> Said {
    ended_as(slave, of, number, BuildResult::Success).await
}

/// The same with another result.
pub async fn ended_as(slave: &mut FakeSlave, of: BuildRef, number: u32, result: BuildResult) -> Said {
    slave.report(of, number, ended(result)).await;
    loop {
        match slave.next().await {
            Some(ToSlave::ReportsAcknowledged { of: it, .. }) if it == of => return Said::Done,
            Some(ToSlave::Forget { of: it }) if it == of => return Said::Failed("it is not wanted".to_owned()),
            Some(_) => {}
            None => return Said::Unknown,
        }
    }
}

/// Copies a folder. Objects of git are never changed, so they are linked.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_file() {
            let object = entry.path().components().any(|c| c.as_os_str() == "objects");
            if !object || std::fs::hard_link(entry.path(), &target).is_err() {
                std::fs::copy(entry.path(), &target).unwrap();
            }
        }
    }
}
