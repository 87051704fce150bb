//! What must hold after a history, looked at from outside.

use super::history::History;
use super::made::Kind;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use testkit::world::PROJECT;

impl History<'_> {
    /// Checks everything; what does not hold is a violation.
    pub(super) fn check(&mut self) {
        let builds = self.builds();
        self.builds_have_ended(&builds);
        self.logs_are_whole(&builds);
        self.mainline_is_green(&builds);
        self.only_the_bad_are_ejected();
        self.entries_are_folded_once();
        self.acknowledged_is_there(&builds);
        self.repositories_are_sound();
        self.a_restart_changes_nothing();
    }

    /// All builds by number.
    fn builds(&mut self) -> BTreeMap<u64, Value> {
        let mut found = BTreeMap::new();
        for number in 1.. {
            match self.ask("GET", &format!("/builds/{number}"), &Value::Null) {
                Some((200, build)) => {
                    found.insert(number, build);
                }
                // A transaction that failed may have used a number up.
                _ if (number..number + 8)
                    .all(|n| !matches!(self.ask("GET", &format!("/builds/{n}"), &Value::Null), Some((200, _)))) =>
                {
                    break;
                }
                _ => {}
            }
        }
        found
    }

    fn builds_have_ended(&mut self, builds: &BTreeMap<u64, Value>) {
        for (number, build) in builds {
            if build["summary"]["state"]["state"] != "finished" {
                self.violation(format!("build {number} is {} though nothing is left to do", build["summary"]["state"]));
            }
        }
        if let Some((200, slaves)) = self.ask("GET", "/slaves", &Value::Null) {
            for slave in slaves.as_array().into_iter().flatten() {
                if slave["builds"].as_array().is_some_and(|held| !held.is_empty()) {
                    self.violation(format!("slave {} still holds {}", slave["name"], slave["builds"]));
                }
            }
        }
    }

    /// A log is what was printed: no line is missing, doubled or another run's.
    fn logs_are_whole(&mut self, builds: &BTreeMap<u64, Value>) {
        for (number, build) in builds {
            let steps = build["steps"].as_array().cloned().unwrap_or_default();
            for step in steps.iter().filter(|step| step["number"] == 1) {
                let path = format!("/api/v1/builds/{number}/steps/1/log");
                let log = self.world.client().get(&path).body;
                let lines: Vec<&str> = log.lines().filter(|line| line.starts_with("line ")).collect();
                let right = lines.iter().zip(1..).all(|(line, n)| *line == format!("line {n}"));
                let ended =
                    matches!(step["result"].as_str(), Some("success" | "failure")) && step["exit_code"].is_i64();
                if !right || ended && lines.len() != 300 || ended && step["log_len"].as_u64() != Some(log.len() as u64)
                {
                    let told = format!("{} lines, {} bytes of {}", lines.len(), log.len(), step["log_len"]);
                    self.violation(format!("the log of build {number} is not what was printed: {told}"));
                }
                let said = log.lines().next().and_then(|line| line.strip_prefix("COMMIT "));
                if ended && said != build["summary"]["commit"].as_str() {
                    self.violation(format!("build {number} built {said:?}, not {}", build["summary"]["commit"]));
                }
            }
        }
    }

    /// The commits that bb pushed: each with the published commit that it merges.
    pub(super) fn landed(&self) -> Vec<(String, String)> {
        let range = format!("{}..main", self.start);
        let chain = self.world.mainline().git(&["log", "--first-parent", "--format=%H %P", &range]);
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let merges = chain.lines().map(words).filter(|commit| !self.acknowledged.outside.contains(&commit[0]));
        merges.map(|commit| (commit[0].clone(), commit.get(2).cloned().unwrap_or_default())).collect()
    }

    /// Of each commit that bb pushed, the commit that mainline moved to by that push: the top of its line, or itself.
    fn tops(&self) -> BTreeMap<String, String> {
        let moves = self.world.mainline().git(&["reflog", "show", "--format=%H", "main"]);
        let moves: BTreeSet<&str> = moves.lines().collect();
        let chain = self.world.mainline().git(&["log", "--first-parent", "--format=%H", "main"]);
        let mut top = String::new();
        let mut tops = BTreeMap::new();
        for commit in chain.lines() {
            if moves.contains(commit) {
                commit.clone_into(&mut top);
            }
            tops.insert(commit.to_owned(), top.clone());
        }
        tops
    }

    /// How many landed by one push with others.
    pub(super) fn landed_with_others(&self) -> usize {
        let (tops, landed) = (self.tops(), self.landed());
        let mut of_top: BTreeMap<&String, usize> = BTreeMap::new();
        for top in landed.iter().filter_map(|(commit, _)| tops.get(commit)) {
            *of_top.entry(top).or_default() += 1;
        }
        of_top.values().filter(|many| **many > 1).sum()
    }

    /// Nobody is sent away for a failure that is not his: of all that fails, only what is bad is at fault.
    fn only_the_bad_are_ejected(&mut self) {
        for at in 0..self.made.len() {
            let (name, kind) = (self.made[at].name.clone(), self.made[at].kind);
            let branch = self.branch(&name).unwrap_or_default();
            let places = branch["queue"].as_array().cloned().unwrap_or_default();
            for place in places.iter().filter(|place| place["code"] == "ejected-failure" && kind != Kind::Bad) {
                self.violation(format!("{name} is not bad and was ejected: {}", place["says"]));
            }
        }
    }

    /// Mainline moved only to accepted commits that were built green as such, and nobody's push was lost. Of a line of several
    /// that is the top, with which the others came.
    fn mainline_is_green(&mut self, builds: &BTreeMap<u64, Value>) {
        let (landed, tops) = (self.landed(), self.tops());
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for (commit, merged) in &landed {
            let Some(at) = self.made.iter().position(|made| made.commits.contains(merged)) else {
                self.violation(format!("{commit} is on mainline and merges nothing that was published"));
                continue;
            };
            let (name, kind) = (self.made[at].name.clone(), self.made[at].kind);
            *times.entry(name.clone()).or_default() += 1;
            if matches!(kind, Kind::Bad | Kind::Withdrawn) {
                self.violation(format!("{name} landed"));
            }
            let pair = (name.clone(), merged.clone());
            if !self.acknowledged.accepted.contains(&pair) && !self.acknowledged.perhaps_accepted.contains(&pair) {
                self.violation(format!("{name} landed, and nobody accepted {merged}"));
            }
            // What somebody else pushed is no top of ours: whatever it stands on was pushed before.
            let top = tops.get(commit).filter(|top| !self.acknowledged.outside.contains(top)).unwrap_or(commit);
            let green = builds.values().any(|build| {
                build["summary"]["commit"] == top.as_str() && build["summary"]["state"]["result"] == "success"
            });
            if !green {
                self.violation(format!("{top}, which landed {name} as {commit}, has no green build"));
            }
        }
        for (name, times) in times.iter().filter(|(_, times)| **times > 1) {
            let moving = self.made.iter().any(|made| made.name == **name && made.kind == Kind::Moving);
            // Published again after it landed, a later revision of a branch lands too.
            if !moving {
                self.violation(format!("{name} landed {times} times"));
            }
        }
        let chain = self.world.mainline().git(&["log", "--first-parent", "--format=%H", "main"]);
        let lost: Vec<String> =
            self.acknowledged.outside.iter().filter(|commit| !chain.contains(commit.as_str())).cloned().collect();
        for commit in lost {
            self.violation(format!("{commit}, pushed by somebody else, is gone from mainline"));
        }
        for at in 0..self.made.len() {
            let name = self.made[at].name.clone();
            let (code, has) = (self.code(&name), times.contains_key(&name));
            if (code == "landed") != has && self.made[at].kind != Kind::Moving {
                self.violation(format!("{name} is called {code} and is {}on mainline", if has { "" } else { "not " }));
            }
            if self.made[at].kind == Kind::Good && !has {
                self.violation(format!("{name} is good and did not land: {code}"));
            }
        }
    }

    fn code(&mut self, name: &str) -> String {
        let branch = self.branch(name).unwrap_or_default();
        branch["summary"]["verdict"]["code"].as_str().unwrap_or("not readable").to_owned()
    }

    fn entries_are_folded_once(&mut self) {
        let mainline = self.world.mainline();
        let (text, files) = (mainline.show("main", "ChangeLog"), mainline.files("main"));
        for (commit, merged) in self.landed() {
            let entry = self.made.iter().find_map(|made| {
                let revision = made.commits.iter().position(|commit| *commit == merged)? + 1;
                Some(format!("ENTRY-{}-r{revision}.", made.name))
            });
            if let Some(entry) = entry
                && text.matches(&entry).count() != 1
            {
                self.violation(format!(
                    "{entry} of {commit} stands {} times in ChangeLog",
                    text.matches(&entry).count()
                ));
            }
        }
        if files.iter().any(|file| file == "repo.ChangeLog") {
            self.violation("a fragment is left on mainline");
        }
    }

    fn acknowledged_is_there(&mut self, builds: &BTreeMap<u64, Value>) {
        for name in std::mem::take(&mut self.acknowledged.published) {
            if self.branch(&name).is_none() {
                self.violation(format!("{name} was published and is gone"));
            }
        }
        for name in std::mem::take(&mut self.acknowledged.withdrawn) {
            let code = self.code(&name);
            if code != "withdrawn" {
                self.violation(format!("{name} was withdrawn and is {code}"));
            }
        }
        for (name, commit) in std::mem::take(&mut self.acknowledged.accepted) {
            let branch = self.branch(&name).unwrap_or_default();
            let places = branch["queue"].as_array().cloned().unwrap_or_default();
            if !places.iter().any(|place| place["commit"] == commit.as_str()) {
                self.violation(format!("the acceptance of {commit} of {name} is gone"));
            }
        }
        for (name, secret) in std::mem::take(&mut self.acknowledged.tokens) {
            let who = self.world.client().with_token(&secret).get("/api/v1/whoami");
            if !who.body.contains(&name) {
                self.violation(format!("the token of {name} is not known any more: {}", who.body));
            }
        }
        let tokens = self.ask("GET", "/tokens", &Value::Null).map_or(Value::Null, |(_, tokens)| tokens);
        let names: BTreeSet<&str> =
            tokens.as_array().into_iter().flatten().filter_map(|token| token["name"].as_str()).collect();
        for name in std::mem::take(&mut self.acknowledged.by_crowd) {
            if !names.contains(name.as_str()) {
                self.violation(format!("the token {name} was made for one of a crowd and is gone"));
            }
        }
        for number in std::mem::take(&mut self.acknowledged.builds) {
            if !builds.contains_key(&number) {
                self.violation(format!("build {number} was asked for and is gone"));
            }
        }
    }

    fn repositories_are_sound(&mut self) {
        let mirror = self.world.basedir().join(format!("mirrors/{PROJECT}.git"));
        for path in [mirror, self.world.mainline().path().to_owned()] {
            let said = testkit::git::Repo::at(&path).try_git(&["fsck", "--full", "--no-dangling", "--no-progress"]);
            if let Err(said) = said {
                self.violation(format!("git fsck of {} says: {said}", path.display()));
            }
        }
    }

    /// How everything stands, in one text.
    fn state(&mut self) -> String {
        let mut text = String::new();
        for at in 0..self.made.len() {
            let name = self.made[at].name.clone();
            let branch = self.branch(&name).unwrap_or_default();
            let of = |list: &Value, keys: &[&str]| {
                let rows = list.as_array().into_iter().flatten();
                rows.map(|row| keys.iter().map(|key| format!("{} ", row[key])).collect::<String>()).collect::<Vec<_>>()
            };
            let verdict = &branch["summary"]["verdict"]["code"];
            let revisions = of(&branch["revisions"], &["number", "commit"]);
            let places = of(&branch["queue"], &["code", "commit", "accepted_ms", "landed"]);
            text.push_str(&format!("{name} {verdict} {revisions:?} {places:?}\n"));
        }
        for (number, build) in self.builds() {
            text.push_str(&format!(
                "build {number} {} {}\n",
                build["summary"]["state"], build["summary"]["finished_ms"]
            ));
        }
        text
    }

    fn a_restart_changes_nothing(&mut self) {
        let before = self.state();
        if self.found_any() {
            self.tell_last_words();
        }
        self.restart_master("one more kill");
        let after = self.state();
        if before != after {
            let changed: Vec<_> = before.lines().zip(after.lines()).filter(|(a, b)| a != b).collect();
            self.violation(format!("a restart changed what is recorded: {changed:?}"));
        }
    }
}
