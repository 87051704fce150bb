//! The API, `/api/v1`: extract, authorise, call, answer.

use super::who::Who;
use super::{events, logs, watch};
use crate::actions;
use crate::auth::Caller;
use crate::project::Guarded;
use crate::read::{self, Listed};
use crate::refused::{Done, Refused};
use crate::state::Shared;
use crate::store::Sought;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use protocol::api::{self, BranchDetail, BranchPage, BranchSummary, BuildDetail, Overview, Problem, QueueEntry};
use protocol::wire::Availability;
use protocol::{BranchName, BuildId, ProjectName, SlaveName, TokenId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

type App = State<Arc<Shared>>;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/whoami", get(whoami))
        .route("/projects", get(projects))
        .route("/projects/{project}", get(overview))
        .route("/projects/{project}/branches", get(branches).post(publish))
        .route("/projects/{project}/branches/{name}", get(branch))
        .route("/projects/{project}/branches/{name}/accept", post(accept))
        .route("/projects/{project}/branches/{name}/withdraw", post(withdraw))
        .route("/projects/{project}/branches/{name}/rebuild", post(rebuild))
        .route("/projects/{project}/branches/{name}/claim", post(claim))
        .route("/projects/{project}/branches/{name}/revisions", get(revisions))
        .route("/projects/{project}/queue", get(queue))
        .route("/projects/{project}/queue/pause", post(pause))
        .route("/projects/{project}/queue/resume", post(resume))
        .route("/builds/{id}", get(build))
        .route("/builds/{id}/rebuild", post(build_again))
        .route("/builds/{id}/cancel", post(cancel))
        .route("/builds/{id}/log", get(logs::whole))
        .route("/builds/{id}/steps/{step}/log", get(logs::step))
        .route("/builds/{id}/steps/{step}/log/events", get(logs::events))
        .route("/slaves", get(slaves))
        .route("/slaves/{name}/availability", post(availability))
        .route("/slave", get(super::slave))
        .route("/locks", get(locks))
        .route("/tokens", get(tokens).post(new_token))
        .route("/tokens/{id}", delete(revoke_token))
        .route("/events", get(events::stream))
        .route("/watch", get(watch::stream))
        .fallback(nothing)
        .method_not_allowed_fallback(wrong_method)
}

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

impl FromRequestParts<Arc<Shared>> for InProject {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, shared: &Arc<Shared>) -> Result<Self, Refused> {
        #[derive(Deserialize)]
        struct Named {
            project: String,
        }
        let Path(named) = Path::<Named>::from_request_parts(parts, shared).await.map_err(|e| {
            // What follows the project in the path can be wrong, too.
            let elsewhere = matches!(&e, PathRejection::FailedToDeserializePathParams(e)
                if matches!(e.kind(), ErrorKind::InvalidUtf8InPathParam { key } if key != "project"));
            Refused::new(404, if elsewhere { "no-such-path" } else { "no-such-project" }, e.body_text(), "")
        })?;
        let project = named.project.parse::<ProjectName>().ok().and_then(|name| shared.guarded_by_name(&name).cloned());
        project.map(Self).ok_or_else(|| {
            let known: Vec<&str> = shared.projects.iter().map(|p| p.name.as_str()).collect();
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

impl<T: for<'de> Deserialize<'de> + Send> FromRequestParts<Arc<Shared>> for Part<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, shared: &Arc<Shared>) -> Result<Self, Refused> {
        match Path::<T>::from_request_parts(parts, shared).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(error) => Err(Refused::new(404, "no-such-path", error.body_text(), "")),
        }
    }
}

/// What the query asks for; what can't be understood is a problem like any other.
pub(super) struct Asked<T>(pub(super) T);

impl<T: for<'de> Deserialize<'de> + Send> FromRequestParts<Arc<Shared>> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, shared: &Arc<Shared>) -> Result<Self, Refused> {
        match Query::<T>::from_request_parts(parts, shared).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(error) => {
                Err(Refused::new(400, "query", error.body_text(), "see the API's description for what it takes"))
            }
        }
    }
}

/// A JSON body; what is wrong with it is a problem like any other.
struct Body<T>(T);

impl<T: for<'de> Deserialize<'de>> FromRequest<Arc<Shared>> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Refused> {
        match Json::<T>::from_request(request, shared).await {
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

#[derive(Serialize)]
struct WhoAmI {
    name: String,
    kind: String,
}

async fn whoami(who: Who) -> Json<WhoAmI> {
    let kind = match &who.actor {
        crate::auth::Actor::Anonymous => "reader".to_owned(),
        crate::auth::Actor::Bearer { kind, .. } => kind.as_str().to_owned(),
    };
    Json(WhoAmI { name: who.actor.name().to_owned(), kind })
}

async fn projects(State(shared): App) -> Done<Json<Vec<api::Project>>> {
    Ok(Json(read::projects(&shared).await?))
}

async fn overview(State(shared): App, InProject(project): InProject) -> Done<Json<Overview>> {
    Ok(Json(read::overview(&shared, &project).await?))
}

/// What a listing of branches is asked for, by pages and API alike.
#[derive(Default, Deserialize)]
pub(super) struct BranchQuery {
    /// A text in them.
    #[serde(default)]
    pub(super) q: String,
    /// `live` or `all`.
    #[serde(default)]
    pub(super) state: String,
    /// The place that the page before gave as `next`.
    #[serde(default)]
    pub(super) after: String,
    limit: Option<usize>,
}

/// The longest text that is sought, in characters.
const SOUGHT: usize = 200;

impl BranchQuery {
    pub(super) fn listed(&self) -> Done<Listed> {
        let wrong = |detail: String, hint: &str| Refused::new(400, "query", detail, hint);
        if !matches!(self.state.as_str(), "" | "live" | "all") {
            let shown: String = self.state.chars().take(40).collect();
            let detail = format!("`state` is `live` or `all`, not `{shown}`");
            return Err(wrong(detail, "leave it out for those that are live"));
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
        Ok(Listed { sought: Sought::new(&self.q), ended: self.state == "all", after, limit: self.limit })
    }
}

async fn branches(
    State(shared): App,
    InProject(project): InProject,
    Asked(query): Asked<BranchQuery>,
) -> Done<Json<BranchPage>> {
    Ok(Json(read::branch_page(&shared, &project, &query.listed()?).await?))
}

async fn publish(
    State(shared): App,
    InProject(project): InProject,
    who: Who,
    caller: Caller,
    Body(it): Body<api::Publish>,
) -> Done<Response> {
    let (branch, new) = actions::publish(&shared, &project, &who.actor, &caller, &it).await?;
    let line = read::branch_summary(&shared, &project, branch).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let location = [(axum::http::header::LOCATION, line.page.clone())];
    Ok((status, location, Json(line)).into_response())
}

async fn branch(
    State(shared): App,
    InProject(project): InProject,
    Part(part): Part<NamePart>,
) -> Done<Json<BranchDetail>> {
    let branch = actions::branch(&shared, &project, &part.name).await?;
    Ok(Json(read::branch_detail(&shared, &project, branch).await?))
}

async fn accept(
    State(shared): App,
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    who: Who,
    Body(it): Body<api::Accept>,
) -> Done<Json<QueueEntry>> {
    Ok(Json(actions::accept(&shared, &project, &who.actor, &part.name, &it.commit).await?))
}

async fn withdraw(
    State(shared): App,
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    who: Who,
) -> Done<Json<BranchSummary>> {
    let branch = actions::withdraw(&shared, &project, &who.actor, &part.name).await?;
    Ok(Json(read::branch_summary(&shared, &project, branch).await?))
}

async fn claim(
    State(shared): App,
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    who: Who,
    Body(it): Body<api::Claim>,
) -> Done<Json<api::Claimed>> {
    Ok(Json(actions::claim(&shared, &project, &who.actor, &part.name, &it).await?))
}

/// Which revisions are wanted.
#[derive(Deserialize)]
pub(super) struct RevisionsQuery {
    /// Those before this number.
    pub(super) before: Option<u32>,
}

async fn revisions(
    State(shared): App,
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    Asked(query): Asked<RevisionsQuery>,
) -> Done<Json<api::Revisions>> {
    let branch = actions::branch(&shared, &project, &part.name).await?;
    Ok(Json(read::revisions(&shared, &branch, query.before).await?))
}

async fn rebuild(
    State(shared): App,
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    who: Who,
) -> Done<Json<Vec<BuildId>>> {
    Ok(Json(actions::rebuild(&shared, &project, &who.actor, &part.name).await?))
}

async fn queue(State(shared): App, InProject(project): InProject) -> Done<Json<api::Queue>> {
    Ok(Json(read::queue(&shared, &project).await?))
}

async fn pause(State(shared): App, InProject(project): InProject, who: Who) -> Done<Json<api::Queue>> {
    actions::set_paused(&shared, &project, &who.actor, true).await?;
    Ok(Json(read::queue(&shared, &project).await?))
}

async fn resume(State(shared): App, InProject(project): InProject, who: Who) -> Done<Json<api::Queue>> {
    actions::set_paused(&shared, &project, &who.actor, false).await?;
    Ok(Json(read::queue(&shared, &project).await?))
}

#[derive(Deserialize)]
struct BuildPart {
    id: BuildId,
}

pub(super) async fn detail(shared: &Shared, id: BuildId) -> Done<BuildDetail> {
    let build = actions::build(shared, id).await?;
    read::build_detail(shared, &build).await?.ok_or_else(|| {
        Refused::new(404, "no-such-build", format!("build #{id} is of a project that is not guarded any more"), "")
    })
}

async fn build(State(shared): App, Part(part): Part<BuildPart>) -> Done<Json<BuildDetail>> {
    Ok(Json(detail(&shared, part.id).await?))
}

async fn build_again(State(shared): App, Part(part): Part<BuildPart>, who: Who) -> Done<Json<BuildDetail>> {
    let old = actions::build(&shared, part.id).await?;
    let new = actions::build_again(&shared, &who.actor, &old).await?;
    Ok(Json(detail(&shared, new.id).await?))
}

async fn cancel(State(shared): App, Part(part): Part<BuildPart>, who: Who) -> Done<Json<BuildDetail>> {
    let build = actions::build(&shared, part.id).await?;
    actions::cancel_build(&shared, &who.actor, &build).await?;
    Ok(Json(detail(&shared, part.id).await?))
}

async fn slaves(State(shared): App) -> Done<Json<Vec<api::Slave>>> {
    Ok(Json(read::slaves(&shared).await?))
}

#[derive(Deserialize)]
pub(super) struct SlavePart {
    pub(super) name: SlaveName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAvailability {
    availability: Availability,
}

async fn availability(
    State(shared): App,
    Part(part): Part<SlavePart>,
    who: Who,
    Body(it): Body<NewAvailability>,
) -> Done<Json<Vec<api::Slave>>> {
    actions::set_availability(&shared, &who.actor, &part.name, it.availability).await?;
    Ok(Json(read::slaves(&shared).await?))
}

async fn locks(State(shared): App) -> Done<Json<Vec<api::Lock>>> {
    Ok(Json(read::locks(&shared).await?))
}

async fn tokens(State(shared): App, who: Who) -> Done<Json<Vec<api::Token>>> {
    Ok(Json(actions::tokens(&shared, &who.actor).await?))
}

async fn new_token(State(shared): App, who: Who, Body(it): Body<api::NewToken>) -> Done<Response> {
    let made = actions::new_token(&shared, &who.actor, &it).await?;
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

#[derive(Deserialize)]
struct TokenPart {
    id: TokenId,
}

async fn revoke_token(State(shared): App, Part(part): Part<TokenPart>, who: Who) -> Done<Json<api::Token>> {
    Ok(Json(actions::revoke_token(&shared, &who.actor, part.id).await?))
}
