//! What handlers take out of a request, and how a refusal is answered: what can't be understood is a problem like any other.

use super::face::Face;
use crate::project::Guarded;
use crate::read::{self, Listed};
use crate::refused::{Done, Refused};
use crate::store::{BuildRowState, Reader, Sought, Which};
use axum::Json;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use gate::code::{Code, Of};
use gate::verdict::Whose;
use protocol::api::{Problem, Side};
use protocol::{BranchName, BuildId, ProjectName, SlaveName};
use serde::Deserialize;
use std::sync::Arc;

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json::<&Problem>(&self.0)).into_response();
        let after = self.0.retry_after_s;
        // A page's router makes a page of it.
        response.extensions_mut().insert(*self.0);
        let kind = axum::http::HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(axum::http::header::CONTENT_TYPE, kind);
        if let Some(seconds) = after {
            response.headers_mut().insert(axum::http::header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

pub(super) async fn nothing() -> Refused {
    Refused::new(
        404,
        "no-such-path",
        "the API has nothing at this path",
        "is this bb of the same version as the master?",
    )
}

pub(super) async fn wrong_method() -> Refused {
    Refused::new(405, "method", "the path is right, the method is not", "GET reads, POST changes")
}

/// A project named in the path.
pub(super) struct InProject(pub(super) Arc<Guarded>);

impl FromRequestParts<Face> for InProject {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, face: &Face) -> Result<Self, Refused> {
        #[derive(Deserialize)]
        struct Named {
            project: String,
        }
        let Path(named) = Path::<Named>::from_request_parts(parts, face).await.map_err(|e| {
            // What follows the project in the path can be wrong, too.
            let elsewhere = matches!(&e, PathRejection::FailedToDeserializePathParams(e)
                if matches!(e.kind(), ErrorKind::InvalidUtf8InPathParam { key } if key != "project"));
            Refused::new(404, if elsewhere { "no-such-path" } else { "no-such-project" }, e.body_text(), "")
        })?;
        let project =
            named.project.parse::<ProjectName>().ok().and_then(|name| face.shared.guarded_by_name(&name).cloned());
        project.map(Self).ok_or_else(|| {
            let known: Vec<&str> = face.shared.projects.iter().map(|p| p.name.as_str()).collect();
            let shown: String = named.project.chars().take(80).collect();
            Refused::new(
                404,
                "no-such-project",
                format!("there is no project {shown}"),
                format!("there is {}", known.join(", ")),
            )
        })
    }
}

/// A typed part of the path; what can't be one is not here.
pub(super) struct Part<T>(pub(super) T);

impl<T: for<'de> Deserialize<'de> + Send> FromRequestParts<Face> for Part<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, face: &Face) -> Result<Self, Refused> {
        match Path::<T>::from_request_parts(parts, face).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(error) => Err(Refused::new(404, "no-such-path", error.body_text(), "")),
        }
    }
}

/// What the query asks for; what can't be understood is a problem like any other.
pub(super) struct Asked<T>(pub(super) T);

impl<T: for<'de> Deserialize<'de> + Send> FromRequestParts<Face> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, face: &Face) -> Result<Self, Refused> {
        // No text that is kept has a NUL, and not every database takes one to be looked for.
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            return Err(Refused::new(400, "query", "a NUL character is part of it", "nothing that is kept has one"));
        }
        match Query::<T>::from_request_parts(parts, face).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(error) => {
                Err(Refused::new(400, "query", error.body_text(), "see the API's description for what it takes"))
            }
        }
    }
}

/// A JSON body; what is wrong with it is a problem like any other.
pub(super) struct Body<T>(pub(super) T);

impl<T: for<'de> Deserialize<'de>> FromRequest<Face> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, face: &Face) -> Result<Self, Refused> {
        match Json::<T>::from_request(request, face).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(error) => Err(Refused::new(
                error.status().as_u16(),
                "body",
                error.body_text(),
                "send JSON, as the API's description has it",
            )),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct NamePart {
    pub(super) name: BranchName,
}

#[derive(Deserialize)]
pub(super) struct BuildPart {
    pub(super) id: BuildId,
}

#[derive(Deserialize)]
pub(super) struct SlavePart {
    pub(super) name: SlaveName,
}

/// What a listing of branches is asked for, by pages and API alike.
#[derive(Default, Deserialize)]
pub(super) struct BranchQuery {
    /// A text in them.
    #[serde(default)]
    pub(super) q: String,
    /// `live`, `all`, or the code of a verdict.
    #[serde(default)]
    pub(super) state: String,
    /// `bb`, `maintainer` or `author`: whose turn it is.
    #[serde(default)]
    pub(super) turn: String,
    /// A publisher or author.
    #[serde(default)]
    pub(super) owner: String,
    /// A reference to a bug.
    #[serde(default)]
    pub(super) bug: String,
    /// The place that the page before gave as `next`.
    #[serde(default)]
    pub(super) after: String,
    limit: Option<usize>,
}

/// The longest text that is sought, in characters.
const SOUGHT: usize = 200;

/// The code of a verdict by which branches are told apart in lists. Whose builds are not asked for yet is told of one by one.
fn told_apart(word: &str) -> Option<Code> {
    Code::named(word).filter(|code| code.of() == Of::Branch && *code != Code::TooManyPending)
}

impl BranchQuery {
    pub(super) fn listed(&self) -> Done<Listed> {
        let wrong = |detail: String, hint: &str| Refused::new(400, "query", detail, hint);
        let shown = |text: &str| text.chars().take(40).collect::<String>();
        let code = match self.state.as_str() {
            "" | "live" | "all" => None,
            state => Some(told_apart(state).ok_or_else(|| {
                let detail = format!("`state` is `live`, `all` or the code of a verdict, not `{}`", shown(state));
                wrong(detail, "leave it out for those that are live")
            })?),
        };
        let turn = match self.turn.as_str() {
            "" => None,
            turn => Some(Whose::ALL.into_iter().find(|whose| whose.as_str() == turn).ok_or_else(|| {
                let detail = format!("`turn` is `bb`, `maintainer` or `author`, not `{}`", shown(turn));
                wrong(detail, "leave it out for all of them")
            })?),
        };
        for (name, text) in [("owner", &self.owner), ("bug", &self.bug)] {
            if text.chars().count() > SOUGHT {
                return Err(wrong(format!("`{name}` has more than {SOUGHT} characters"), "nobody's is as long"));
            }
        }
        if self.limit.is_some_and(|n| n == 0 || n > read::MOST) {
            return Err(wrong(format!("`limit` is 1 to {}", read::MOST), "ask for more by `after`, page by page"));
        }
        if self.q.chars().count() > SOUGHT {
            return Err(wrong(format!("`q` has more than {SOUGHT} characters"), "a part of a name or title will do"));
        }
        let after = match self.after.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|detail| wrong(detail, "begin at the first page, without `after`"))?),
        };
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Ok(Listed {
            sought: Sought::new(&self.q),
            owner: given(&self.owner),
            bug: given(&self.bug),
            code,
            turn,
            ended: self.state == "all",
            after,
            limit: self.limit,
        })
    }
}

/// Which builds are wanted.
#[derive(Deserialize)]
pub(super) struct BuildQuery {
    /// Of this branch, by its name.
    #[serde(default)]
    pub(super) branch: String,
    /// By this builder.
    #[serde(default)]
    pub(super) builder: String,
    /// Last given to this slave, by its name.
    #[serde(default)]
    pub(super) slave: String,
    /// `waiting`, `running` or a result.
    #[serde(default)]
    pub(super) state: String,
    /// The number that the page before gave as `next`.
    pub(super) before: Option<BuildId>,
    pub(super) limit: Option<usize>,
}

impl BuildQuery {
    /// What it asks for in a project; none when no build can be all of it.
    pub(super) async fn which(&self, store: &Reader, project: &Guarded) -> Done<Option<Which>> {
        let wrong = |detail: String, hint: &str| Refused::new(400, "query", detail, hint);
        let shown = |text: &str| text.chars().take(40).collect::<String>();
        let is = match self.state.as_str() {
            "" => None,
            "waiting" => Some(BuildRowState::Waiting),
            "running" => Some(BuildRowState::Running),
            word => Some(BuildRowState::Finished(word.parse().map_err(|_| {
                let detail = format!("`state` is `waiting`, `running` or a result, not `{}`", shown(word));
                wrong(detail, "a result is success, warnings, failure, skipped, exception, retry or cancelled")
            })?)),
        };
        if self.limit.is_some_and(|n| n == 0 || n > read::MOST_BUILDS) {
            return Err(wrong(
                format!("`limit` is 1 to {}", read::MOST_BUILDS),
                "ask for more by `before`, page by page",
            ));
        }
        if self.builder.chars().count() > SOUGHT {
            return Err(wrong(format!("`builder` has more than {SOUGHT} characters"), "no builder's name is as long"));
        }
        let mut which = Which { is, before: self.before, ..Which::default() };
        if !self.branch.is_empty() {
            let Ok(name) = self.branch.parse::<BranchName>() else { return Ok(None) };
            let Some(branch) = store.branch(project.id, &name).await? else { return Ok(None) };
            which.branch = Some(branch.id);
        }
        if !self.slave.is_empty() {
            let Ok(name) = self.slave.parse::<SlaveName>() else { return Ok(None) };
            let Some(slave) = store.slave_id(&name).await? else { return Ok(None) };
            which.slave = Some(slave);
        }
        which.builder = Some(self.builder.clone()).filter(|name| !name.is_empty());
        Ok(Some(which))
    }
}

/// Which threads of a review are wanted.
#[derive(Deserialize)]
pub(super) struct ReviewQuery {
    /// Those before this number.
    pub(super) before: Option<i64>,
    /// The file that the form is about.
    #[serde(default)]
    pub(super) path: String,
    /// Which side of it.
    #[serde(default)]
    pub(super) side: Side,
    /// Which line.
    pub(super) line: Option<u32>,
}

/// Which revisions are wanted.
#[derive(Deserialize)]
pub(super) struct RevisionsQuery {
    /// Those before this number.
    pub(super) before: Option<u32>,
}
