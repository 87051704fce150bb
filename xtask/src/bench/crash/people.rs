//! What authors and the maintainer do in a history, and what they were answered.

use super::history::History;
use super::made::Kind;
use serde_json::{Value, json};
use testkit::world::PROJECT;

impl History<'_> {
    /// An answer below the project, if there was one: status and body.
    pub(super) fn ask(&mut self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let path = format!("/api/v1{path}");
        let client = self.world.client();
        let answer = if method == "GET" { client.try_get(&path) } else { client.try_send(method, &path, body) };
        let answer = answer.ok()?;
        if answer.status >= 500 && answer.status != 503 {
            self.violation(format!("{method} {path} was answered with {}: {}", answer.status, answer.body));
        }
        Some((answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null)))
    }

    /// A branch as the API has it.
    pub(super) fn branch(&mut self, name: &str) -> Option<Value> {
        let (status, body) = self.ask("GET", &format!("/projects/{PROJECT}/branches/{name}"), &Value::Null)?;
        (status == 200).then_some(body)
    }

    /// Somebody does something.
    pub(super) fn somebody_acts(&mut self) {
        let at = self.rng.usize(..self.made.len());
        match self.rng.u8(..25) {
            0..=5 => self.publish(at),
            6..=11 => self.accept(at),
            12 | 13 => self.move_on(at),
            14 => self.withdraw(at),
            15 => self.rebuild(at),
            16 => self.new_token(),
            17 => self.steer("pause", true),
            18 => self.steer("resume", false),
            19..=21 => self.crowd_comes(),
            22 | 23 => (0..self.made.len()).for_each(|at| self.accept(at)),
            _ => self.push_from_outside(),
        }
    }

    pub(super) fn publish(&mut self, at: usize) {
        let (name, url) = (self.made[at].name.clone(), self.author_url());
        let body = json!({"url": url, "branch": name, "name": name});
        let answer = self.ask("POST", &format!("/projects/{PROJECT}/branches"), &body);
        self.tell(format!("publish {name}: {}", status(answer.as_ref())));
        if matches!(answer, Some((200 | 201, _))) {
            // What was withdrawn is live again.
            self.acknowledged.withdrawn.retain(|other| *other != name);
            self.acknowledged.published.push(name);
        }
    }

    /// Accepts what is there, green or not, as hasty maintainers do.
    pub(super) fn accept(&mut self, at: usize) {
        let name = self.made[at].name.clone();
        if self.made[at].kind == Kind::Withdrawn {
            return;
        }
        let Some(branch) = self.branch(&name) else { return };
        let Some(commit) = branch["summary"]["commit"].as_str().map(str::to_owned) else { return };
        let path = format!("/projects/{PROJECT}/branches/{name}/accept");
        let answer = self.ask("POST", &path, &json!({"commit": commit, "words": branch["summary"]["words"]}));
        self.tell(format!("accept {name}: {}", status(answer.as_ref())));
        match answer {
            Some((200, body)) => {
                if body["commit"] != commit.as_str() {
                    self.violation(format!("the acceptance of {name} binds to {}, not to {commit}", body["commit"]));
                }
                self.acknowledged.accepted.push((name, commit));
            }
            Some((400..=499, _)) => {}
            _ => self.acknowledged.perhaps_accepted.push((name, commit)),
        }
    }

    fn move_on(&mut self, at: usize) {
        let made = &mut self.made[at];
        if let Some(commit) = made.commits.get(made.pushed) {
            made.pushed += 1;
            let (name, commit) = (made.name.clone(), commit.clone());
            self.point(&name, &commit);
            self.tell(format!("{name} moves on to {commit}"));
        }
    }

    fn withdraw(&mut self, at: usize) {
        if self.made[at].kind != Kind::Withdrawn {
            return;
        }
        let name = self.made[at].name.clone();
        let answer = self.ask("POST", &format!("/projects/{PROJECT}/branches/{name}/withdraw"), &Value::Null);
        self.tell(format!("withdraw {name}: {}", status(answer.as_ref())));
        if matches!(answer, Some((200, _))) {
            self.acknowledged.withdrawn.push(name);
        }
    }

    pub(super) fn rebuild(&mut self, at: usize) {
        let name = self.made[at].name.clone();
        let answer = self.ask("POST", &format!("/projects/{PROJECT}/branches/{name}/rebuild"), &Value::Null);
        self.tell(format!("rebuild {name}: {}", status(answer.as_ref())));
        if let Some((200, builds)) = answer {
            self.acknowledged.builds.extend(builds.as_array().into_iter().flatten().filter_map(Value::as_u64));
        }
    }

    fn new_token(&mut self) {
        let name = format!("publisher-{}", self.rng.u32(..));
        let answer = self.ask("POST", "/tokens", &json!({"kind": "publisher", "name": name}));
        self.tell(format!("new token {name}: {}", status(answer.as_ref())));
        if let Some((201, body)) = answer
            && let Some(secret) = body["secret"].as_str()
        {
            self.acknowledged.tokens.push((name, secret.to_owned()));
        }
    }

    pub(super) fn steer(&mut self, word: &str, paused: bool) {
        let answer = self.ask("POST", &format!("/projects/{PROJECT}/queue/{word}"), &json!({}));
        self.tell(format!("{word}: {}", status(answer.as_ref())));
        self.acknowledged.paused = matches!(answer, Some((200, _))).then_some(paused);
    }

    fn crowd_comes(&mut self) {
        self.crowd_has_gone();
        self.tell("a crowd comes");
        let (url, token) = (self.world.url(), self.world.token());
        self.crowd.comes(&url, &token, &mut self.rng);
    }

    /// Waits until the crowd has its answers.
    pub(super) fn crowd_has_gone(&mut self) {
        let told = self.crowd.has_gone();
        self.acknowledged.by_crowd.extend(told);
    }

    /// Somebody pushes to mainline by himself.
    fn push_from_outside(&mut self) {
        let repo = self.outsider();
        let number = self.rng.u32(..);
        let pushed = repo.try_git(&["fetch", "--quiet", "origin"]).and_then(|_| {
            repo.try_git(&["reset", "--quiet", "--hard", "origin/main"])?;
            let commit = repo.commit(&[(&format!("outside-{number}.txt"), "text\n")], "From outside");
            repo.try_git(&["push", "--quiet", "origin", "HEAD:main"]).map(|_| commit)
        });
        self.tell(format!("a push from outside: {}", if pushed.is_ok() { "done" } else { "refused" }));
        self.acknowledged.outside.extend(pushed);
    }
}

fn status(answer: Option<&(u16, Value)>) -> String {
    match answer {
        Some((status, body)) => match body["code"].as_str() {
            Some(code) => format!("{status} {code}"),
            None => status.to_string(),
        },
        None => "no answer".to_owned(),
    }
}
