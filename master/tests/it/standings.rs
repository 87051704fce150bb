//! What lists say of all branches at once is what is said of each one, whatever happened.
//!
//! A life of a project is played by chance: people, slaves, loops, mainline and its official repository each do something, in any
//! order. After each step every listing, count and search is compared with the verdicts, each worked out of all its rows.
//! `STANDINGS=NUMBER` plays so many lives; each is known by its number.

use crate::support::World;
use crate::support::slave::{ended, finished, hello, started};
use master::stepping::Loop;
use master::store::{BuildRowState, SlaveRow, TokenKind};
use protocol::wire::{BuildRef, Happened, Isolation, Report};
use protocol::{BuildResult, ProjectId, UnixMs};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const BRANCHES: &str = "/api/v1/projects/heron/branches";

/// The same each time for the same number.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (most as u64)).unwrap()
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

struct Life {
    world: World,
    chance: Chance,
    slave: SlaveRow,
    /// The publisher's token, while it counts.
    ann: String,
    names: Vec<String>,
    /// What was done, for whoever reads why it failed.
    done: Vec<String>,
}

fn recipe(builders: &[(&str, bool, &str)]) -> String {
    let builder = |(name, required, label): &(&str, bool, &str)| {
        let labels = if label.is_empty() { String::new() } else { format!("slaves = [{label:?}]\n") };
        format!(
            "[[builder]]\nname = {name:?}\nrequired = {required}\n{labels}\n[[builder.step]]\nname = \"test\"\nrun = \"true\"\n\n"
        )
    };
    builders.iter().map(builder).collect()
}

impl Life {
    async fn begin(number: u64) -> Self {
        let world = World::stepped().await;
        let token = world.token(TokenKind::Slave, "oak").await;
        let id = world.store().tokens().await.unwrap().into_iter().find(|it| it.name == "oak").unwrap().id;
        drop(token);
        let slave = world.store().slave_connected(id, &hello("oak", &[])).await.unwrap().unwrap();
        let ann = world.token(TokenKind::Publisher, "Ann").await;
        world.turn(Loop::Mainline).await;
        let chance = Chance(0x9e37_79b9_7f4a_7c15 ^ (number + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
        Self { world, chance, slave, ann, names: Vec::new(), done: Vec::new() }
    }

    fn name(&mut self) -> Option<String> {
        let n = self.names.len();
        (n > 0).then(|| self.names[self.chance.below(n)].clone())
    }

    async fn publish(&mut self) {
        let name = format!("b{}", self.names.len());
        let world = &self.world;
        let start = if self.chance.below(3) == 0 { "origin/main~0" } else { "origin/main" };
        let _ = world.author.try_git(&["fetch", "--quiet", "origin"]);
        world.author.branch(&name, start);
        self.commit(&name);
        let token = if self.chance.below(2) == 0 { self.world.token.clone() } else { self.ann.clone() };
        let title = self.chance.of(&["", "Say more of it"]);
        let bugs = self.chance.of(&[&[][..], &["412"][..], &["412", "x\"77"][..]]);
        let body = json!({"url": self.world.author.url(), "branch": name, "name": name, "title": title, "bugs": bugs});
        if self.world.post_as(&token, BRANCHES, &body).await.status < 300 {
            self.names.push(name);
        }
    }

    fn commit(&mut self, name: &str) {
        let author = &self.world.author;
        let text = format!("{}\n", self.chance.below(1000));
        let own = recipe(&[("linux", true, ""), ("own", true, "")]);
        let (file, text) = match self.chance.below(8) {
            0 => ("README", text.as_str()),
            1 => (".bb.toml", own.as_str()),
            2 => (".bb.toml", "[[builder]]\nname = 7\n"),
            3 => ("repo.ChangeLog", text.as_str()),
            _ => (name, text.as_str()),
        };
        author.commit(&[(file, text)], &format!("Change {name}\n\nSo."));
    }

    async fn look_again(&mut self, name: &str) {
        let row = self.world.branch_row(name).await;
        let body = json!({"url": row.url, "branch": name, "name": name});
        self.world.post(BRANCHES, &body).await;
    }

    async fn mainline(&mut self) {
        let author = &self.world.author;
        let _ = author.try_git(&["fetch", "--quiet", "origin"]);
        author.branch("elsewhere", "origin/main");
        let text = format!("heron {}\n", self.chance.below(1000));
        let recipes = [
            recipe(&[("linux", true, "")]),
            recipe(&[("linux", true, ""), ("asan", true, "")]),
            recipe(&[("linux", false, ""), ("asan", true, "arm64")]),
            recipe(&[("linux", true, "arm64")]),
            "[[builder]]\n".to_owned(),
        ];
        if self.chance.below(2) == 0 {
            author.commit(&[("README", &text)], "Mainline goes on");
        } else {
            let n = self.chance.below(recipes.len());
            author.commit(&[(".bb.toml", &recipes[n]), ("README", &text)], "Build otherwise");
        }
        let _ = author.try_git(&["push", "--quiet", "origin", "elsewhere:main"]);
    }

    async fn build(&mut self) {
        let open = self.world.store().open_builds().await.unwrap();
        if open.is_empty() {
            return;
        }
        let build = open[self.chance.below(open.len())].clone();
        let store = self.world.store();
        match build.state {
            BuildRowState::Waiting => {
                store.give_out(build.id, self.slave.id).await.unwrap();
            }
            _ => {
                let of = BuildRef { build: build.id, fence: build.fence };
                let mut step = finished(1, 0);
                let results = [BuildResult::Success, BuildResult::Success, BuildResult::Success, BuildResult::Failure];
                let others = [BuildResult::Warnings, BuildResult::Exception, BuildResult::Skipped, BuildResult::Retry];
                let result = self.chance.of(&[results, others].concat());
                if let Happened::StepFinished { result: it, lacks, .. } = &mut step {
                    *it = result;
                    *lacks = (self.chance.below(2) == 0).then(|| "cmake".to_owned());
                }
                for (number, what) in (build.next_report..).zip([started(1), step, ended(result)]) {
                    let report = Report { of, number, at: UnixMs(1), what };
                    store.report(self.slave.id, &report).await.unwrap();
                    if self.chance.below(4) == 0 {
                        break;
                    }
                }
            }
        }
    }

    async fn step(&mut self) {
        let what = self.chance.below(24);
        let name = self.name();
        self.done.push(format!("{what} {}", name.as_deref().unwrap_or_default()));
        let heron = "/api/v1/projects/heron";
        match (what, name) {
            (0..=2, _) if self.names.len() < 14 => self.publish().await,
            (3..=4, Some(name)) => {
                if self.world.author.try_git(&["checkout", "--quiet", "--force", &name]).is_err() {
                    self.world.author.branch(&name, "origin/main");
                }
                self.commit(&name);
                self.look_again(&name).await;
            }
            (5, Some(name)) => {
                self.world.post(&format!("{BRANCHES}/{name}/withdraw"), &json!({})).await;
            }
            (6..=9, Some(name)) => {
                let read = self.world.as_read(&name).await;
                self.world.post(&format!("{BRANCHES}/{name}/accept"), &read).await;
            }
            (10, Some(name)) => {
                self.world.post(&format!("{BRANCHES}/{name}/rebuild"), &json!({})).await;
            }
            (11, _) => self.mainline().await,
            (12, _) => {
                let verb = self.chance.of(&["pause", "resume", "resume"]);
                self.world.post(&format!("{heron}/queue/{verb}"), &json!({})).await;
            }
            (13, _) => {
                // Away, or back.
                let (here, away) = (self.world.folder().join("official.git"), self.world.folder().join("away.git"));
                let (from, to) = if here.exists() { (here, away) } else { (away, here) };
                std::fs::rename(from, to).unwrap();
                self.world.turn(Loop::Mainline).await;
            }
            (14, _) => {
                let open = self.world.store().open_builds().await.unwrap();
                if let Some(build) = open.first() {
                    self.world.post(&format!("/api/v1/builds/{}/cancel", build.id), &json!({})).await;
                }
            }
            (15, Some(name)) => {
                // Its source is gone, mostly for good.
                self.world.author.git(&["checkout", "--quiet", "--force", "--detach"]);
                let _ = self.world.author.try_git(&["branch", "-D", &name]);
                self.look_again(&name).await;
            }
            (16, _) if self.chance.below(4) == 0 => {
                let tokens = self.world.store().tokens().await.unwrap();
                if let Some(token) = tokens.iter().find(|token| token.name == "Ann" && token.revoked.is_none()) {
                    self.world.store().revoke_token(token.id).await.unwrap();
                    self.ann = self.world.token(TokenKind::Publisher, "Ann").await;
                }
            }
            (17, _) => {
                let mut hello = hello("oak", &[]);
                hello.isolation = self.chance.of(&[Isolation::None, Isolation::Bubblewrap]);
                hello.labels = self.chance.of(&[&[][..], &["arm64"][..]]).iter().map(|it| (*it).to_owned()).collect();
                let token = self.world.store().tokens().await.unwrap().into_iter().find(|it| it.name == "oak").unwrap();
                self.slave = self.world.store().slave_connected(token.id, &hello).await.unwrap().unwrap();
                self.world.turn(Loop::Schedule).await;
            }
            (18..=20, _) => self.build().await,
            _ => {}
        }
        let loops =
            [Loop::Mainline, Loop::Watch, Loop::Candidates, Loop::Builds, Loop::Schedule, Loop::Queue, Loop::Mend];
        if self.chance.below(3) == 0 {
            let which = self.chance.of(&loops);
            self.done.push(format!("{which:?}"));
            let _ = self.world.master().turn(which).await;
        } else if self.chance.below(2) == 0 {
            self.done.push("all".to_owned());
            for which in &loops[..6] {
                let _ = self.world.master().turn(*which).await;
            }
        }
    }

    async fn list(&self, query: &[(&str, &str)]) -> Value {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let answer = self.world.get(&format!("{BRANCHES}?limit=200&{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// Compares all lists with the verdicts.
    async fn compare(&self, codes: &mut BTreeSet<String>) {
        let all = self.list(&[("state", "all")]).await;
        let all = all["branches"].as_array().unwrap();
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let is_live = |it: &&Value| it["published_ms"].is_number() && !ended_with(&it["verdict"]["code"]);
        let mut by_turn: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let mut by_code: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for it in all {
            let name = text(&it["name"]);
            let code = match it["verdict"]["code"].as_str().unwrap() {
                "too-many-pending" => "waiting",
                code => code,
            };
            codes.insert(code.to_owned());
            by_code.entry(code.to_owned()).or_default().insert(name.clone());
            if is_live(&it) {
                let turn = match it["verdict"]["next"]["who"].as_str().unwrap() {
                    "bb" | "nobody" => "bb",
                    "a maintainer" | "an admin" => "maintainer",
                    _ => "author",
                };
                by_turn.entry(turn).or_default().insert(name);
            }
        }
        let names = |page: &Value| -> BTreeSet<String> {
            page["branches"].as_array().unwrap().iter().map(|it| text(&it["name"])).collect()
        };
        let how = || self.done.join("\n");
        for turn in ["bb", "maintainer", "author"] {
            let page = self.list(&[("turn", turn)]).await;
            let expected = by_turn.remove(turn).unwrap_or_default();
            assert_eq!(names(&page), expected, "whose turn is {turn}\n{}\n{all:#?}", how());
            assert_eq!(page["turns"][turn], expected.len(), "{turn}\n{}", how());
            assert_eq!(page["live"], expected.len());
        }
        for code in ["ready", "waiting", "queued", "landed", "conflict"] {
            by_code.entry(code.to_owned()).or_default();
        }
        for (code, expected) in &by_code {
            let page = self.list(&[("state", code)]).await;
            assert_eq!(names(&page), *expected, "which are {code}\n{}\n{all:#?}", how());
            assert_eq!(page["live"].as_u64().unwrap() + page["ended"].as_u64().unwrap(), expected.len() as u64);
        }
        let Some(one) = all.first() else { return };
        let found = |field: &str, has: &dyn Fn(&Value) -> bool| {
            (text(&one[field]), all.iter().filter(|it| has(it)).map(|it| text(&it["name"])).collect::<BTreeSet<_>>())
        };
        let (title, same) = found("title", &|it| it["title"] == one["title"]);
        assert!(names(&self.list(&[("state", "all"), ("q", &title)]).await).is_superset(&same), "{title}\n{}", how());
        let (owner, same) = found("publisher", &|it| [&it["publisher"], &it["author"]].contains(&&one["publisher"]));
        assert_eq!(names(&self.list(&[("state", "all"), ("owner", &owner)]).await), same, "{owner}\n{}", how());
        for bug in ["412", "x\"77", "77", "41"] {
            let has = |it: &Value| it["bugs"].as_array().unwrap().iter().any(|one| one == bug);
            let same = all.iter().filter(|it| has(it)).map(|it| text(&it["name"])).collect::<BTreeSet<_>>();
            assert_eq!(names(&self.list(&[("state", "all"), ("bug", bug)]).await), same, "{bug}\n{}", how());
        }
        let state = text(&one["verdict"]["state"]);
        if is_live(&one) && !state.starts_with("queue ") && !state.starts_with("waiting ") {
            assert!(names(&self.list(&[("q", &state)]).await).contains(&text(&one["name"])), "{state}\n{}", how());
        }
        // The overview counts the same, and shows those whose turn is a maintainer's.
        let overview = self.world.get("/api/v1/projects/heron").await.json();
        let page = self.list(&[]).await;
        assert_eq!(overview["turns"], page["turns"], "{}", how());
        let out = by_code.get("landed-taken-out").map_or(0, BTreeSet::len);
        let needs = page["turns"]["maintainer"].as_u64().unwrap() + out as u64;
        assert_eq!(overview["needs_count"], needs, "{}", how());
        assert_eq!(overview["needs_person"].as_array().unwrap().len() as u64, needs, "{}", how());
    }
}

fn ended_with(code: &Value) -> bool {
    let code = code.as_str().unwrap();
    code.starts_with("landed") || code.starts_with("retired") || code == "withdrawn"
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_say_of_all_what_is_said_of_each() {
    let lives = std::env::var("STANDINGS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    let mut codes = BTreeSet::new();
    for number in 0..lives {
        let mut life = Life::begin(number).await;
        for _ in 0..70 {
            life.step().await;
            life.compare(&mut codes).await;
        }
        println!("life {number}: {codes:?}");
        assert_eq!(life.world.store().branches(ProjectId(1), 99).await.unwrap().len(), life.names.len());
    }
    assert!(codes.len() > 9, "much comes about: {codes:?}");
}
