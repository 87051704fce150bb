//! Who acts in a history.

use super::stage::{Stage, ended_as};
use crate::support::slave::FakeSlave;
use futures_util::future::BoxFuture;
use master::stepping::Loop;
use protocol::{BuildResult, ProjectId};
use reqwest::Method;
use serde_json::{Value, json};

/// What an actor does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Actor {
    /// Mia accepts the first revision.
    Accept,
    /// Mia accepts the same revision as Max did.
    AcceptAgain,
    /// Mia accepts whatever is newest.
    AcceptNewest,
    Withdraw,
    /// `other`, with which it is tested together, is withdrawn.
    WithdrawOther,
    /// `other` is published again with another title, and accepted in these words.
    OtherInOtherWords,
    /// The branch is published again, as it is.
    PublishAgain,
    /// The branch is published again with another title.
    Describe,
    /// The author pushes something else, and it is looked at.
    ForcePush,
    Pause,
    /// Max's token is revoked: he accepted.
    Revoke,
    Cancel,
    Rebuild,
    /// Somebody pushes to mainline past bb, and it is seen.
    Outside,
    /// Somebody merges the branch into mainline by hand, and it is seen.
    ByHand,
    /// Somebody takes everything out of mainline again that came since the history began, and it is seen.
    Rewind,
    /// The slave comes back and reports that its build passed.
    Report,
    /// The slave comes back and reports that its build failed: by chance.
    Fail,
    /// The master is killed and started again.
    Restart,
    Land,
    Candidates,
    Builds,
    Schedule,
    SeeMainline,
    Upkeep,
    /// Rows and mirror are compared.
    Mend,
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Said {
    /// The master answered.
    Answer(u16, Value),
    /// A turn, or a report that was acknowledged.
    Done,
    /// A turn failed.
    Failed(String),
    /// It was killed, or never heard an answer.
    Unknown,
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answer(status, body) => write!(f, "{status} {} {}", body["code"], body["detail"]),
            Self::Done => write!(f, "done"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Unknown => write!(f, "killed, or without an answer"),
        }
    }
}

impl Actor {
    /// Its word in a history's name.
    pub fn word(self) -> String {
        let mut word = String::new();
        for c in format!("{self:?}").chars() {
            if c.is_uppercase() && !word.is_empty() {
                word.push('-');
            }
            word.push(c.to_ascii_lowercase());
        }
        word
    }

    /// Begins; nothing of it is done before it is polled.
    pub fn begin(self, stage: &Stage) -> BoxFuture<'static, Said> {
        let branch = "/api/v1/projects/heron/branches";
        match self {
            Self::Accept | Self::AcceptAgain => {
                post(stage, &format!("{branch}/feature/accept"), &json!({"commit": stage.first, "words": stage.words}))
            }
            Self::AcceptNewest => post(
                stage,
                &format!("{branch}/feature/accept"),
                &json!({"commit": stage.world.author.resolve("feature"), "words": stage.words}),
            ),
            Self::Withdraw => post(stage, &format!("{branch}/feature/withdraw"), &json!({})),
            Self::WithdrawOther => post(stage, &format!("{branch}/other/withdraw"), &json!({})),
            Self::OtherInOtherWords => {
                let body =
                    json!({"url": stage.world.author.url(), "branch": "other", "name": "other", "title": "Otherwise"});
                let published = post(stage, branch, &body);
                let request = |method, path: &str| stage.world.request(method, path).bearer_auth(&stage.world.token);
                let read = request(Method::GET, &format!("{branch}/other"));
                let accept = request(Method::POST, &format!("{branch}/other/accept"));
                Box::pin(async move {
                    if let Said::Unknown = published.await {
                        return Said::Unknown;
                    }
                    let Said::Answer(_, read) = answer(read).await else { return Said::Unknown };
                    let summary = &read["summary"];
                    answer(accept.json(&json!({"commit": summary["commit"], "words": summary["words"]}))).await
                })
            }
            Self::PublishAgain => post(stage, branch, &publication(stage, None)),
            Self::Describe => post(stage, branch, &publication(stage, Some("Another title"))),
            Self::Pause => post(stage, "/api/v1/projects/heron/queue/pause", &json!({})),
            Self::Cancel => post(stage, "/api/v1/builds/1/cancel", &json!({})),
            Self::Rebuild => post(stage, &format!("{branch}/feature/rebuild"), &json!({})),
            Self::Revoke => {
                let path = format!("/api/v1/tokens/{}", stage.max);
                answer(stage.world.request(Method::DELETE, &path).bearer_auth(&stage.world.token))
            }
            Self::ForcePush => {
                let look = post(stage, branch, &publication(stage, None));
                let (author, turn) = (stage.author(), stage.world.master().turn(Loop::Watch));
                Box::pin(async move {
                    author.branch("feature", "origin/main");
                    author.commit(&[("feature", "another text\n")], "Add feature otherwise");
                    look.await;
                    done(turn.await)
                })
            }
            Self::Outside => {
                let (author, turn) = (stage.author(), stage.world.master().turn(Loop::Mainline));
                Box::pin(async move {
                    author.git(&["fetch", "--quiet", "origin"]);
                    author.branch("outside", "origin/main");
                    author.commit(&[("outside", "x\n")], "Push past bb");
                    // Somebody else may have been faster: then nothing came of it.
                    let _ = author.try_git(&["push", "--quiet", "origin", "outside:main"]);
                    done(turn.await)
                })
            }
            Self::ByHand => {
                let (author, turn) = (stage.author(), stage.world.master().turn(Loop::Mainline));
                Box::pin(async move {
                    let _ = author.try_git(&["push", "--quiet", "origin", "feature:main"]);
                    done(turn.await)
                })
            }
            Self::Rewind => {
                let (author, turn) = (stage.author(), stage.world.master().turn(Loop::Mainline));
                let to = format!("+{}:main", stage.begin);
                Box::pin(async move {
                    author.git(&["push", "--quiet", "origin", &to]);
                    done(turn.await)
                })
            }
            Self::Report | Self::Fail => {
                let result = if self == Self::Fail { BuildResult::Failure } else { BuildResult::Success };
                let (url, token, seat) = (stage.world.at("/api/v1/slave"), stage.oak.clone(), stage.slave.clone());
                let store = stage.world.store().clone();
                Box::pin(async move {
                    let running = store.open_builds().await.unwrap_or_default();
                    let mine: Vec<_> = running.into_iter().filter(|b| b.slave.is_some()).collect();
                    let of: Vec<_> = mine.iter().map(|b| b.reference()).collect();
                    let Ok((mut slave, have)) = FakeSlave::connect_at(&url, &token, "oak", &of).await else {
                        return Said::Unknown;
                    };
                    let known = have.first().map(|have| (have.of, have.next_report));
                    let said = match known {
                        Some((of, next)) => ended_as(&mut slave, of, next, result).await,
                        None => Said::Unknown,
                    };
                    *seat.lock().await = Some(slave);
                    said
                })
            }
            Self::Restart => Box::pin(async { Said::Done }),
            Self::Land => turn(stage, Loop::Queue),
            Self::Candidates => turn(stage, Loop::Candidates),
            Self::Builds => turn(stage, Loop::Builds),
            Self::Schedule => turn(stage, Loop::Schedule),
            Self::SeeMainline => turn(stage, Loop::Mainline),
            Self::Upkeep => turn(stage, Loop::Upkeep),
            Self::Mend => turn(stage, Loop::Mend),
        }
    }
}

fn publication(stage: &Stage, title: Option<&str>) -> Value {
    json!({"url": stage.world.author.url(), "branch": "feature", "name": "feature", "title": title})
}

fn post(stage: &Stage, path: &str, body: &Value) -> BoxFuture<'static, Said> {
    answer(stage.world.request(Method::POST, path).bearer_auth(&stage.world.token).json(body))
}

fn answer(request: reqwest::RequestBuilder) -> BoxFuture<'static, Said> {
    Box::pin(async move {
        let Ok(answer) = request.send().await else { return Said::Unknown };
        let status = answer.status().as_u16();
        Said::Answer(status, answer.json().await.unwrap_or_default())
    })
}

fn turn(stage: &Stage, which: Loop) -> BoxFuture<'static, Said> {
    let turn = stage.world.master().turn(which);
    Box::pin(async move { done(turn.await) })
}

fn done<E: std::fmt::Display>(turn: Result<(), E>) -> Said {
    match turn {
        Ok(()) => Said::Done,
        Err(error) => Said::Failed(error.to_string()),
    }
}

/// The project of all histories.
pub const HERON: ProjectId = ProjectId(1);
