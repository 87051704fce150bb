//! The API, `/api/v1`: extract, authorise, call, answer.

use super::extract::{
    Asked, Body, BranchQuery, BuildPart, BuildQuery, InProject, NamePart, Part, ReviewQuery, RevisionsQuery, SlavePart,
    nothing, wrong_method,
};
use super::face::Face;
use super::who::Who;
use super::{artifacts, events, logs, slave, watch};
use crate::actions::{self, steering};
use crate::auth::{Actor, Caller};
use crate::project::Guarded;
use crate::read::{self, Moment};
use crate::refused::{Done, Refused};
use crate::state::Shared;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use protocol::api::{self, BranchDetail, BranchPage, BranchSummary, BuildDetail, BuildPage, Overview, QueueEntry};
use protocol::wire::Assignment;
use protocol::{BuildId, TokenId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

type App = State<Arc<Shared>>;

pub(super) fn router() -> Router<Face> {
    Router::new()
        .route("/whoami", get(whoami))
        .route("/projects", get(projects))
        .route("/projects/{project}", get(overview))
        .route("/projects/{project}/branches", get(branches).post(publish))
        .route("/projects/{project}/branches/{name}", get(branch))
        .route("/projects/{project}/branches/{name}/accept", post(accept))
        .route("/projects/{project}/branches/{name}/withdraw", post(withdraw))
        .route("/projects/{project}/branches/{name}/hold", post(hold))
        .route("/projects/{project}/branches/{name}/release", post(release))
        .route("/projects/{project}/branches/{name}/priority", post(priority))
        .route("/projects/{project}/branches/{name}/eject", post(eject))
        .route("/projects/{project}/branches/{name}/rebuild", post(rebuild))
        .route("/projects/{project}/branches/{name}/claim", post(claim))
        .route("/projects/{project}/branches/{name}/revisions", get(revisions))
        .route("/projects/{project}/branches/{name}/review", get(reviewed).post(review))
        .route("/projects/{project}/builds", get(builds))
        .route("/projects/{project}/queue", get(queue))
        .route("/projects/{project}/queue/pause", post(pause))
        .route("/projects/{project}/queue/resume", post(resume))
        .route("/builds/{id}", get(build))
        .route("/builds/{id}/assignment", get(build_assignment))
        .route("/builds/{id}/slaves", get(build_slaves))
        .route("/builds/{id}/rebuild", post(build_again))
        .route("/builds/{id}/cancel", post(cancel))
        .route("/builds/{id}/log", get(logs::whole))
        .route("/builds/{id}/steps/{step}/log", get(logs::step))
        .route("/builds/{id}/steps/{step}/artifacts.tar", get(artifacts::archive))
        .route("/builds/{id}/steps/{step}/artifacts/{*path}", get(artifacts::file))
        .route("/builds/{id}/steps/{step}/log/events", get(logs::events))
        .route("/slaves", get(slaves))
        .route("/slaves/{name}/availability", post(availability))
        .route("/slave", get(slave::connect))
        .route("/locks", get(locks))
        .route("/tokens", get(tokens).post(new_token))
        .route("/tokens/{id}", delete(revoke_token))
        .route("/events", get(events::stream))
        .route("/watch", get(watch::stream))
        .fallback(nothing)
        .method_not_allowed_fallback(wrong_method)
}

#[derive(Serialize)]
struct WhoAmI {
    name: String,
    kind: String,
}

async fn whoami(who: Who) -> Json<WhoAmI> {
    let kind = match &who.actor {
        Actor::Anonymous => "reader".to_owned(),
        Actor::Bearer { kind, .. } => kind.as_str().to_owned(),
    };
    Json(WhoAmI { name: who.actor.name().to_owned(), kind })
}

async fn projects(State(shared): App) -> Done<Json<Vec<api::Project>>> {
    Ok(Json(read::projects(&Moment::now(&shared).await?).await?))
}

async fn overview(State(shared): App, InProject(project): InProject, who: Who) -> Done<Json<Overview>> {
    Ok(Json(read::overview(&shared, &project, who.actor.rank()).await?))
}

async fn branches(
    State(shared): App,
    InProject(project): InProject,
    Asked(query): Asked<BranchQuery>,
) -> Done<Json<BranchPage>> {
    Ok(Json(read::branch_page(&Moment::now(&shared).await?, &project, &query.listed()?).await?))
}

async fn builds(
    State(shared): App,
    InProject(project): InProject,
    Asked(query): Asked<BuildQuery>,
) -> Done<Json<BuildPage>> {
    Ok(Json(listed_builds(&Moment::now(&shared).await?, &project, &query).await?))
}

/// The builds that a query asks for.
pub(super) async fn listed_builds(at: &Moment<'_>, project: &Guarded, query: &BuildQuery) -> Done<BuildPage> {
    match query.which(&at.store, project).await? {
        Some(which) => Ok(read::build_page(at, project, &which, query.limit).await?),
        None => Ok(BuildPage { builds: Vec::new(), next: None }),
    }
}

async fn publish(
    State(shared): App,
    InProject(project): InProject,
    who: Who,
    caller: Caller,
    Body(it): Body<api::Publish>,
) -> Done<Response> {
    let (branch, new) = actions::publish(&shared, &project, &who.actor, &caller, &it).await?;
    let line = read::branch_summary(&Moment::now(&shared).await?, &project, branch.id).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let location = [(axum::http::header::LOCATION, line.page.clone())];
    Ok((status, location, Json(line)).into_response())
}

async fn branch(
    State(shared): App,
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    who: Who,
) -> Done<Json<BranchDetail>> {
    let rows = {
        let at = Moment::now(&shared).await?;
        let branch = actions::branch(&at.store, &project, &part.name).await?;
        read::branch_rows(&at, &project, branch).await?
    };
    Ok(Json(rows.seen(&shared, &project, who.actor.rank()).await))
}

async fn accept(
    State(shared): App,
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    who: Who,
    Body(it): Body<api::Accept>,
) -> Done<Json<QueueEntry>> {
    Ok(Json(actions::accept(&shared, &project, &who.actor, &part.name, &it).await?))
}

async fn withdraw(
    State(shared): App,
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    who: Who,
) -> Done<Json<BranchSummary>> {
    let branch = actions::withdraw(&shared, &project, &who.actor, &part.name).await?;
    Ok(Json(read::branch_summary(&Moment::now(&shared).await?, &project, branch.id).await?))
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

async fn revisions(
    State(shared): App,
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    Asked(query): Asked<RevisionsQuery>,
) -> Done<Json<api::Revisions>> {
    let at = Moment::now(&shared).await?;
    let branch = actions::branch(&at.store, &project, &part.name).await?;
    Ok(Json(read::revisions(&at, &branch, query.before).await?))
}

async fn reviewed(
    State(shared): App,
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    Asked(query): Asked<ReviewQuery>,
) -> Done<Json<api::Review>> {
    let at = Moment::now(&shared).await?;
    let branch = actions::branch(&at.store, &project, &part.name).await?;
    Ok(Json(read::review(&at, &branch, query.before).await?))
}

async fn review(
    State(shared): App,
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    who: Who,
    Body(it): Body<api::Reviewing>,
) -> Done<Json<api::Review>> {
    let branch = actions::review(&shared, &project, &who.actor, &part.name, &it).await?;
    Ok(Json(read::review(&Moment::now(&shared).await?, &branch, None).await?))
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
    Ok(Json(read::queue(&Moment::now(&shared).await?, &project).await?))
}

async fn pause(
    State(shared): App,
    InProject(project): InProject,
    who: Who,
    Body(it): Body<api::Reason>,
) -> Done<Json<api::Queue>> {
    steering::pause(&shared, &project, &who.actor, &it.reason).await?;
    Ok(Json(read::queue(&Moment::now(&shared).await?, &project).await?))
}

async fn resume(State(shared): App, InProject(project): InProject, who: Who) -> Done<Json<api::Queue>> {
    steering::resume(&shared, &project, &who.actor).await?;
    Ok(Json(read::queue(&Moment::now(&shared).await?, &project).await?))
}

async fn hold(
    State(shared): App,
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    who: Who,
    Body(it): Body<api::Reason>,
) -> Done<Json<api::Queue>> {
    steering::hold(&shared, &project, &who.actor, &part.name, Some(&it.reason)).await?;
    Ok(Json(read::queue(&Moment::now(&shared).await?, &project).await?))
}

async fn release(
    State(shared): App,
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    who: Who,
) -> Done<Json<api::Queue>> {
    steering::hold(&shared, &project, &who.actor, &part.name, None).await?;
    Ok(Json(read::queue(&Moment::now(&shared).await?, &project).await?))
}

async fn priority(
    State(shared): App,
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    who: Who,
    Body(it): Body<api::Priority>,
) -> Done<Json<api::Queue>> {
    steering::set_priority(&shared, &project, &who.actor, &part.name, it.priority).await?;
    Ok(Json(read::queue(&Moment::now(&shared).await?, &project).await?))
}

async fn eject(
    State(shared): App,
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    who: Who,
    Body(it): Body<api::Reason>,
) -> Done<Json<api::Queue>> {
    steering::take_out(&shared, &project, &who.actor, &part.name, &it.reason).await?;
    Ok(Json(read::queue(&Moment::now(&shared).await?, &project).await?))
}

pub(super) async fn detail(shared: &Shared, id: BuildId) -> Done<BuildDetail> {
    let at = Moment::now(shared).await?;
    if let Some(detail) = read::build_detail(&at, id).await? {
        return Ok(detail);
    }
    actions::build(&at.store, id).await?;
    Err(not_guarded(id))
}

fn not_guarded(id: BuildId) -> Refused {
    let detail = format!("build #{id} is of a project that is not guarded any more");
    Refused::new(404, "no-such-build", detail, "")
}

async fn build(State(shared): App, Part(part): Part<BuildPart>) -> Done<Json<BuildDetail>> {
    Ok(Json(detail(&shared, part.id).await?))
}

/// What a slave is given of a build: by it `bb reproduce` does the same at home.
async fn build_assignment(State(shared): App, Part(part): Part<BuildPart>) -> Done<Json<Assignment>> {
    let at = Moment::now(&shared).await?;
    let build = actions::build(&at.store, part.id).await?;
    read::assignment_of(&at, &build).await?.map(Json).ok_or_else(|| not_guarded(part.id))
}

/// Why each slave does not have a build, or which one does.
async fn build_slaves(State(shared): App, Part(part): Part<BuildPart>) -> Done<Json<Vec<api::SlaveOfBuild>>> {
    let at = Moment::now(&shared).await?;
    let build = actions::build(&at.store, part.id).await?;
    Ok(Json(read::slaves_of_build(&at, &build).await?))
}

async fn build_again(State(shared): App, Part(part): Part<BuildPart>, who: Who) -> Done<Json<BuildDetail>> {
    let old = actions::build(&shared.store, part.id).await?;
    let new = actions::build_again(&shared, &who.actor, &old).await?;
    Ok(Json(detail(&shared, new.id).await?))
}

async fn cancel(State(shared): App, Part(part): Part<BuildPart>, who: Who) -> Done<Json<BuildDetail>> {
    let build = actions::build(&shared.store, part.id).await?;
    actions::cancel_build(&shared, &who.actor, &build).await?;
    Ok(Json(detail(&shared, part.id).await?))
}

async fn slaves(State(shared): App) -> Done<Json<Vec<api::Slave>>> {
    Ok(Json(read::slaves(&Moment::now(&shared).await?).await?))
}

async fn availability(
    State(shared): App,
    Part(part): Part<SlavePart>,
    who: Who,
    Body(it): Body<api::SetAvailability>,
) -> Done<Json<Vec<api::Slave>>> {
    actions::set_availability(&shared, &who.actor, &part.name, &it).await?;
    Ok(Json(read::slaves(&Moment::now(&shared).await?).await?))
}

async fn locks(State(shared): App) -> Done<Json<Vec<api::Lock>>> {
    Ok(Json(read::locks(&Moment::now(&shared).await?, read::MOST_WAITERS).await?))
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
