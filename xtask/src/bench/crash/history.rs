//! One history: made ready, lived through, healed, brought to its end, checked.

use super::Found;
use super::crowd::Crowd;
use super::made::{Acknowledged, Kind, Made, SLAVES};
use serde_json::Value;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};
use testkit::git::Repo;
use testkit::world::{PROJECT, Plan, World};

/// Things that happen in a history, and how many of a hundred are faults.
const HAPPENINGS: usize = 40;
const FAULTS_OF_HUNDRED: u8 = 30;

/// When nothing has moved for so long after healing, what is undecided stays so.
const STANDSTILL: Duration = Duration::from_secs(240);

/// Each build says what it builds, then numbered lines. What it prints last tells that the log is whole.
const RECIPE: &str = r#"
[[builder]]
name = "linux"

[[builder.step]]
name = "test"
run = '''
echo "COMMIT $(git rev-parse HEAD 2>/dev/null || echo "$BB_COMMIT")"
n=0; while [ $n -lt 300 ]; do n=$((n+1)); echo "line $n"; done
sleep 0.$(( $$ % 4 ))
test ! -e bad.txt
echo "last 300"
'''
"#;

/// The store that a history is played on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Database {
    Sqlite,
    Postgres,
}

/// A history while it is played.
pub(super) struct History<'a> {
    pub(super) world: World,
    pub(super) rng: fastrand::Rng,
    pub(super) database: Database,
    pub(super) store_url: String,
    pub(super) made: Vec<Made>,
    pub(super) acknowledged: Acknowledged,
    pub(super) crowd: Crowd,
    pub(super) faults: usize,
    /// Mainline before anybody did anything.
    pub(super) start: String,
    pub(super) violations: Vec<String>,
    story: &'a mut Vec<String>,
    began: Instant,
}

impl<'a> History<'a> {
    /// Plays the history of a seed; `admin` is the URL of PostgreSQL.
    pub(super) fn play(bb: &Path, seed: u64, database: Database, admin: &str, story: &'a mut Vec<String>) -> Found {
        let mut history = Self::begin(bb, seed, database, admin, story);
        for _ in 0..HAPPENINGS {
            if history.rng.u8(..100) < FAULTS_OF_HUNDRED {
                history.fault();
            } else {
                history.somebody_acts();
            }
            let pause = history.rng.u64(..150);
            sleep(Duration::from_millis(pause));
        }
        history.settle();
        let acknowledged = history.acknowledged.count();
        history.check();
        Found {
            seed,
            database,
            faults: history.faults,
            acknowledged,
            landed: history.landed().len(),
            with_others: history.landed_with_others(),
            violations: history.violations,
            story: std::mem::take(history.story),
        }
    }

    fn begin(bb: &Path, seed: u64, database: Database, admin: &str, story: &'a mut Vec<String>) -> Self {
        let store_url = match database {
            Database::Sqlite => String::new(),
            Database::Postgres => fresh_database(admin, seed),
        };
        let plan = Plan {
            recipe: Some(RECIPE.to_owned()),
            store: Some(store_url.clone()).filter(|url| !url.is_empty()),
            lease_s: 3,
            ..Plan::default()
        };
        let world = World::without_master(bb, &plan);
        // Started so that disks can be full later.
        world.limit_files(Some(1 << 40));
        world.start_master();
        for slave in SLAVES {
            world.slave(slave);
        }
        let start = world.mainline().head();
        // Each push, also of a line of several, has an entry.
        world.mainline().git(&["config", "core.logAllRefUpdates", "always"]);
        let mut history = Self {
            made: Vec::new(),
            rng: fastrand::Rng::with_seed(seed),
            acknowledged: Acknowledged::default(),
            crowd: Crowd::default(),
            faults: 0,
            violations: Vec::new(),
            began: Instant::now(),
            world,
            database,
            store_url,
            start,
            story,
        };
        history.make_branches();
        history
    }

    fn make_branches(&mut self) {
        for (number, kind) in Kind::ALL.into_iter().enumerate() {
            let name = format!("{kind:?}-{number}").to_lowercase();
            let ann = self.world.author("ann");
            let mut commits = Vec::new();
            for revision in 1..=if kind == Kind::Moving { 3 } else { 1 } {
                let file = format!("{name}.txt");
                let text = format!("{name} {revision}\n");
                let fragment = format!("2026-01-02  Ann  <ann@example.org>\n\n\t* {file}: ENTRY-{name}-r{revision}.\n");
                let mut files = vec![(file.as_str(), text.as_str()), ("repo.ChangeLog", &fragment)];
                match kind {
                    Kind::Bad => files.push(("bad.txt", "x\n")),
                    Kind::Conflict => files.push(("greeting.txt", &text)),
                    Kind::Good | Kind::Moving | Kind::Withdrawn => {}
                }
                if revision > 1 {
                    // A rebase, as authors force-push them.
                    ann.repo().git(&["reset", "--quiet", "--hard", "origin/main"]);
                }
                commits.push(ann.writes(&name, &files));
            }
            let first = commits[0].clone();
            self.made.push(Made { name: name.clone(), kind, commits, pushed: 1 });
            self.point(&name, &first);
        }
    }

    /// The published branch is at this commit from now on.
    pub(super) fn point(&self, branch: &str, commit: &str) {
        let to = format!("+{commit}:refs/heads/{branch}");
        self.world.author("ann").repo().git(&["push", "--quiet", &self.author_url(), &to]);
    }

    /// Where the author publishes: a repository without a work tree.
    pub(super) fn author_url(&self) -> String {
        let path = self.world.folder().join("authors/published.git");
        let repo = if path.exists() { Repo::at(path) } else { Repo::init_bare(path) };
        repo.url().to_owned()
    }

    /// Somebody who pushes to mainline by himself.
    pub(super) fn outsider(&self) -> Repo {
        let path = self.world.folder().join("outsider");
        if path.exists() { Repo::at(path) } else { Repo::clone(self.world.mainline().url(), path) }
    }

    pub(super) fn tell(&mut self, what: impl AsRef<str>) {
        self.story.push(format!("{:7.2} {}", self.began.elapsed().as_secs_f64(), what.as_ref()));
    }

    pub(super) fn violation(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.tell(format!("VIOLATION {what}"));
        self.violations.push(what);
    }

    pub(super) fn found_any(&self) -> bool {
        !self.violations.is_empty()
    }

    /// What master and slaves said in the end: nothing else is left of them.
    pub(super) fn tell_last_words(&mut self) {
        const LINES: usize = 40;
        let said = [
            ("master", self.world.with_master(|it| it.printed())),
            (SLAVES[0], self.world.with_slave(SLAVES[0], |it| it.printed())),
            (SLAVES[1], self.world.with_slave(SLAVES[1], |it| it.printed())),
        ];
        for (who, said) in said {
            let lines: Vec<_> = said.lines().collect();
            for line in &lines[lines.len().saturating_sub(LINES)..] {
                self.tell(format!("{who}: {line}"));
            }
        }
    }

    /// Everything works again, people do what they want to do, until nothing is left to be decided.
    fn settle(&mut self) {
        self.crowd_has_gone();
        self.tell("all is healed");
        self.steer("resume", false);
        for at in 0..self.made.len() {
            let last = self.made[at].commits.len();
            self.made[at].pushed = last;
            let (name, commit) = (self.made[at].name.clone(), self.made[at].commits[last - 1].clone());
            self.point(&name, &commit);
            if !self.acknowledged.published.contains(&name) {
                self.publish(at);
            }
        }
        let (mut seen, mut moved) = (Vec::new(), Instant::now());
        loop {
            let (now, open) = self.look();
            if open.is_empty() {
                return;
            }
            if now != seen {
                (seen, moved) = (now, Instant::now());
            }
            if moved.elapsed() > STANDSTILL {
                for what in open {
                    self.violation(format!("undecided though all is well: {what}"));
                }
                return;
            }
            sleep(Duration::from_millis(300));
        }
    }

    /// How all branches stand, and which of them are not decided yet; the maintainer does what is his turn.
    fn look(&mut self) -> (Vec<String>, Vec<String>) {
        let (mut all, mut open) = (Vec::new(), Vec::new());
        for at in 0..self.made.len() {
            let name = self.made[at].name.clone();
            let Some(branch) = self.branch(&name) else {
                open.push(format!("{name} can't be read"));
                continue;
            };
            let verdict = &branch["summary"]["verdict"];
            let code = verdict["code"].as_str().unwrap_or_default().to_owned();
            let says = format!("{name} is {code} {}; next: {}", verdict["because"], verdict["next"]["who"]);
            if !self.is_decided(at, &code, &branch) {
                open.push(says.clone());
            }
            all.push(says);
        }
        if let Some((200, queue)) = self.ask("GET", &format!("/projects/{PROJECT}/queue"), &Value::Null) {
            let entries = queue["entries"].as_array().into_iter().flatten();
            open.extend(entries.map(|entry| format!("{} is in the queue: {}", entry["branch"], entry["says"])));
        }
        (all, open)
    }

    fn is_decided(&mut self, at: usize, code: &str, branch: &Value) -> bool {
        let kind = self.made[at].kind;
        let newest = branch["summary"]["commit"].as_str() == self.made[at].commits.last().map(String::as_str);
        match (code, kind) {
            ("landed", _) | ("withdrawn", Kind::Withdrawn) => true,
            ("conflict" | "ejected", Kind::Conflict) | ("builder-failed" | "ejected", Kind::Bad) => true,
            // An older revision landed before the newest was there; the rest of it conflicts with that.
            ("conflict", Kind::Moving) => true,
            (_, Kind::Withdrawn) => {
                let path = format!("/projects/{PROJECT}/branches/{}/withdraw", self.made[at].name);
                if let Some((200, _)) = self.ask("POST", &path, &Value::Null) {
                    let name = self.made[at].name.clone();
                    self.acknowledged.withdrawn.push(name);
                }
                false
            }
            ("ready" | "ejected", _) if newest => {
                self.accept(at);
                false
            }
            ("builder-exception" | "builder-cancelled" | "builder-failed", _) => {
                self.rebuild(at);
                false
            }
            _ => false,
        }
    }
}

/// A database of its own.
fn fresh_database(admin: &str, seed: u64) -> String {
    let name = format!("history_{}_{seed}", std::process::id());
    let made = testkit::postgres::execute(admin, &format!("CREATE DATABASE {name} TEMPLATE template0"));
    made.expect("PostgreSQL is there");
    admin.replacen(":///postgres?", &format!(":///{name}?"), 1)
}
