//! The pages' handlers: extract, authorise, call, render. What a form does is done by the functions that the API calls.

mod forms;

use super::api::{detail, listed_builds};
use super::extract::{
    self, Asked, BranchQuery, BuildPart, BuildQuery, InProject, NamePart, Part, ReviewQuery, RevisionsQuery,
};
use super::face::Face;
use super::visit::{self, Visit, build_in, may_publish};
use super::watch::{self, What};
use super::{artifacts, logs, raw};
use crate::actions;
use crate::auth::{Action, can};
use crate::pages::{self, AskedBuilds, Filled, LOCK_WAITERS, MayBranch, MayBuild, Narrowed, ShownSlaves};
use crate::read::{self, LineOf, Moment, Wanted};
use crate::refused::{Done, Refused};
use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{Uri, header};
use axum::middleware;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use std::collections::HashSet;

/// All pages; `face` is what makes a page of an error.
pub(super) fn router(face: &Face) -> Router<Face> {
    Router::new()
        .route("/", get(projects))
        .route("/p/{project}", get(overview))
        .route("/p/{project}/branches", get(branches))
        .route("/p/{project}/builds", get(builds))
        .route("/p/{project}/branches/{name}", get(branch))
        .route("/p/{project}/branches/{name}/accept", post(forms::accept))
        .route("/p/{project}/branches/{name}/withdraw", post(forms::withdraw))
        .route("/p/{project}/branches/{name}/hold", post(forms::hold))
        .route("/p/{project}/branches/{name}/release", post(forms::release))
        .route("/p/{project}/branches/{name}/expedite", post(forms::expedite))
        .route("/p/{project}/branches/{name}/priority", post(forms::priority))
        .route("/p/{project}/branches/{name}/eject", post(forms::eject))
        .route("/p/{project}/branches/{name}/rebuild", post(forms::rebuild))
        .route("/p/{project}/branches/{name}/claim", get(claim).post(forms::claim))
        .route("/p/{project}/branches/{name}/revisions", get(revisions))
        .route("/p/{project}/branches/{name}/review", get(review).post(forms::review))
        .route("/p/{project}/branches/{name}/raw/{commit}/{*path}", get(raw::raw))
        .route("/p/{project}/builds/{id}", get(build))
        .route("/p/{project}/builds/{id}/rebuild", post(forms::build_again))
        .route("/p/{project}/builds/{id}/cancel", post(forms::cancel))
        .route("/p/{project}/builds/{id}/steps/{step}/log", get(logs::step))
        .route("/p/{project}/builds/{id}/steps/{step}/artifacts.tar", get(artifacts::archive))
        .route("/p/{project}/builds/{id}/steps/{step}/artifacts/{*path}", get(artifacts::file))
        .route("/p/{project}/queue", get(queue))
        .route("/p/{project}/queue/pause", post(forms::pause))
        .route("/p/{project}/queue/resume", post(forms::resume))
        .route("/p/{project}/publish", get(publish).post(forms::publish))
        .route("/slaves", get(slaves))
        .route("/locks", get(locks))
        .route("/slaves/{name}/availability", post(forms::availability))
        .route("/login", get(login).post(forms::login))
        .route("/logout", post(forms::logout))
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(face.clone(), visit::errors_as_pages))
        .route("/static/{hash}/{file}", get(asset))
}

/// What is at no other path.
pub(super) async fn nothing(State(face): State<Face>, request: Request) -> Response {
    let path = request.uri().path();
    if path == "/api" || path.starts_with("/api/") {
        return extract::nothing().await.into_response();
    }
    let (mut parts, _) = request.into_parts();
    let refused = Refused::new(404, "no-such-page", "there is nothing at this path", "begin at the overview");
    visit::error_page(&face, &mut parts, *refused.0).await
}

async fn wrong_method() -> Refused {
    Refused::new(405, "method", "this path only takes what a form sends", "open the page and send the form from there")
}

async fn asset(State(face): State<Face>, uri: Uri) -> Response {
    let Some(asset) = face.pages.asset(uri.path()) else {
        return Refused::new(404, "no-such-file", "there is no such file, or it is another one by now", "")
            .into_response();
    };
    let headers = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, asset.bytes.to_vec()).into_response()
}

async fn projects(visit: Visit) -> Done<Response> {
    if let [only] = visit.shared.projects.as_slice() {
        return Ok(Redirect::to(&crate::names::project_page(&only.name)).into_response());
    }
    let shared = &visit.shared;
    let all = read::projects(&Moment::now(shared).await?).await?;
    let events = watch::stream_of(What::Projects, &watch::named(&all));
    Ok(Html(visit.pages.projects(&visit.context(None), &all, &events)?).into_response())
}

async fn overview(InProject(project): InProject, visit: Visit) -> Done<Html<String>> {
    let actor = &visit.who.actor;
    let it = read::overview(&visit.shared, &project, actor.rank()).await?;
    let mut may = HashSet::new();
    if actor.token().is_some() && it.needs_person.iter().any(|line| line.branch.verdict.code == "ready") {
        // Whose a branch is may be another's by now; what the button does is asked again.
        let names = it.needs_person.iter().map(|line| &line.branch.name);
        let shown = visit.shared.store.branches_named(project.id, names).await?;
        may.extend(shown.into_iter().filter(|row| can(actor, Action::Accept(row))).map(|row| row.name));
    }
    Ok(Html(visit.pages.overview(&visit.context(Some(&project.name)), &it, &may)?))
}

async fn branches(InProject(project): InProject, Asked(query): Asked<BranchQuery>, visit: Visit) -> Done<Html<String>> {
    let listed = query.listed()?;
    let narrowed = Narrowed {
        q: query.q.clone(),
        state: if query.state == "live" { String::new() } else { query.state.clone() },
        turn: query.turn.clone(),
        owner: listed.owner.clone().unwrap_or_default(),
        bug: listed.bug.clone().unwrap_or_default(),
        later: listed.after.is_some(),
    };
    let at = Moment::now(&visit.shared).await?;
    let all = read::branch_page(&at, &project, &listed).await?;
    let context = visit.context_at(&at, &project).await?;
    Ok(Html(visit.pages.branches(&context, &all, &narrowed)?))
}

async fn builds(InProject(project): InProject, Asked(query): Asked<BuildQuery>, visit: Visit) -> Done<Html<String>> {
    let at = Moment::now(&visit.shared).await?;
    let page = listed_builds(&at, &project, &query).await?;
    let context = visit.context_at(&at, &project).await?;
    let asked = AskedBuilds {
        branch: query.branch.clone(),
        builder: query.builder.clone(),
        slave: query.slave.clone(),
        state: query.state.clone(),
        later: query.before.is_some(),
    };
    Ok(Html(visit.pages.builds(&context, &page, &asked)?))
}

async fn branch(InProject(project): InProject, Part(part): Part<NamePart>, visit: Visit) -> Done<Html<String>> {
    let actor = &visit.who.actor;
    let (may, context, rows) = {
        let at = Moment::now(&visit.shared).await?;
        let row = actions::branch(&at.store, &project, &part.name).await?;
        let may = MayBranch {
            accept: can(actor, Action::Accept(&row)),
            withdraw: can(actor, Action::Withdraw(&row)),
            rebuild: can(actor, Action::Rebuild(&row)),
        };
        (may, visit.context_at(&at, &project).await?, read::branch_rows(&at, &project, row).await?)
    };
    let it = rows.seen(&visit.shared, &project, actor.rank()).await;
    Ok(Html(visit.pages.branch(&context, &it, may)?))
}

async fn claim(InProject(project): InProject, Part(part): Part<NamePart>, visit: Visit) -> Done<Html<String>> {
    let branch = actions::branch(&visit.shared.store, &project, &part.name).await?;
    let page = crate::names::branch_page(&project.name, &branch.name);
    let context = visit.context_with_notices(&project).await?;
    Ok(Html(visit.pages.claim(&context, &branch.name, &page, None, None)?))
}

async fn review(
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    Asked(query): Asked<ReviewQuery>,
    visit: Visit,
) -> Done<Html<String>> {
    let at = Moment::now(&visit.shared).await?;
    let branch = actions::branch(&at.store, &project, &part.name).await?;
    let it = read::review(&at, &branch, query.before).await?;
    let page = crate::names::branch_page(&project.name, &branch.name);
    let context = visit.context_at(&at, &project).await?;
    let may = can(&visit.who.actor, Action::Review);
    let about = pages::About { path: query.path, side: query.side, line: query.line };
    Ok(Html(visit.pages.review(&context, &page, &it, &about, may)?))
}

async fn revisions(
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    Asked(query): Asked<RevisionsQuery>,
    visit: Visit,
) -> Done<Html<String>> {
    let at = Moment::now(&visit.shared).await?;
    let branch = actions::branch(&at.store, &project, &part.name).await?;
    let it = read::revisions(&at, &branch, query.before).await?;
    let page = crate::names::branch_page(&project.name, &branch.name);
    let context = visit.context_at(&at, &project).await?;
    Ok(Html(visit.pages.revisions(&context, &branch.name, &page, &it)?))
}

/// Which part of a log is asked for: the lines around one, or those from one on.
#[derive(Deserialize)]
struct LogAsked {
    #[serde(default)]
    at: String,
    #[serde(default)]
    from: String,
}

impl LogAsked {
    fn wanted(&self) -> Done<Option<(u32, Wanted)>> {
        let of = |text: &str, wanted: fn(u64) -> Wanted| match text {
            "" => Ok(None),
            text => text.parse().map(|it: LineOf| Some((it.step, wanted(it.line)))),
        };
        let asked = of(&self.at, Wanted::Around).and_then(|at| Ok(at.or(of(&self.from, Wanted::From)?)));
        asked.map_err(|detail| Refused::new(400, "log-line", detail, "open the build's page and follow its links"))
    }
}

async fn build(
    InProject(project): InProject,
    Part(part): Part<BuildPart>,
    Asked(asked): Asked<LogAsked>,
    visit: Visit,
) -> Done<Html<String>> {
    let shared = &visit.shared;
    let row = build_in(shared, &project, part.id).await?;
    let branch = shared.store.branch_by_id(row.branch).await?;
    let live = branch.state == crate::store::BranchState::Live;
    let may = MayBuild { rebuild: live && can(&visit.who.actor, Action::Rebuild(&branch)) };
    let at = asked.wanted()?;
    let it = detail(shared, part.id).await?;
    let parts = pages::log_parts(&it, at);
    let (logs, id) = (shared.logs.clone(), part.id);
    let read = tokio::task::spawn_blocking(move || {
        let read = |(step, wanted, state)| read::log_part(&logs, id, step, wanted, state);
        parts.into_iter().map(read).collect::<std::io::Result<Vec<_>>>()
    });
    let parts = read.await.map_err(std::io::Error::other).flatten().map_err(read::ReadError::Log)?;
    let context = visit.context_with_notices(&project).await?;
    Ok(Html(visit.pages.build(&context, &it, &parts, at.map(|(step, _)| step), may)?))
}

async fn queue(InProject(project): InProject, visit: Visit) -> Done<Html<String>> {
    let it = read::queue(&Moment::now(&visit.shared).await?, &project).await?;
    let may = can(&visit.who.actor, Action::SteerQueue);
    Ok(Html(visit.pages.queue(&visit.context(Some(&project.name)), &it, may)?))
}

async fn publish(InProject(project): InProject, visit: Visit) -> Done<Html<String>> {
    let may = may_publish(&visit, &project);
    let context = visit.context_with_notices(&project).await?;
    Ok(Html(visit.pages.publish(&context, may, &Filled::default(), None)?))
}

#[derive(Default, Deserialize)]
struct FromSlave {
    #[serde(default)]
    from: String,
}

async fn slaves(Asked(it): Asked<FromSlave>, visit: Visit) -> Done<Html<String>> {
    let shared = &visit.shared;
    let at = Moment::now(shared).await?;
    let value = (read::slaves(&at).await?, read::locks(&at, LOCK_WAITERS).await?);
    let events = watch::stream_of(What::Slaves, &watch::named(&value));
    let (slaves, locks) = value;
    let may = can(&visit.who.actor, Action::ManageSlaves);
    let shown = ShownSlaves { slaves: &slaves, locks: &locks, from: &it.from };
    Ok(Html(visit.pages.slaves(&visit.context(None), &shown, may, &events)?))
}

async fn locks(visit: Visit) -> Done<Html<String>> {
    let at = Moment::now(&visit.shared).await?;
    let locks = read::locks(&at, read::MOST_WAITERS).await?;
    let events = watch::stream_of(What::Locks, &watch::named(&locks));
    Ok(Html(visit.pages.locks(&visit.context(None), &locks, &events)?))
}

#[derive(Default, Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

async fn login(Query(it): Query<Next>, visit: Visit) -> Done<Html<String>> {
    Ok(Html(visit.pages.login(&visit.context(None), &visit::local(&it.next), None)?))
}
