//! A visit to a page: who comes, to which path; and errors as pages.

use super::face::Face;
use super::who::Who;
use crate::actions;
use crate::auth::{self, Action, Actor, can};
use crate::config::PublishPolicy;
use crate::pages::{Context, Notice, Pages, PagesError, Reader};
use crate::project::Guarded;
use crate::read::{self, Moment};
use crate::refused::{Done, Refused};
use crate::state::Shared;
use crate::store::{Build, now};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use protocol::api::{EventMark, Problem};
use protocol::{BuildId, ProjectName};
use std::sync::Arc;

/// Who comes, and where to.
pub(super) struct Visit {
    pub(super) shared: Arc<Shared>,
    pub(super) pages: Arc<Pages>,
    pub(super) who: Who,
    pub(super) headers: HeaderMap,
    path: String,
    /// Where the event stream was before anything was read for the page.
    since: Option<EventMark>,
}

impl FromRequestParts<Face> for Visit {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, face: &Face) -> Result<Self, Refused> {
        let who = Who::from_request_parts(parts, face).await?;
        let event = face.shared.store.newest_event().await?;
        let since = Some(EventMark { event, epoch: face.shared.me.epoch().to_owned() });
        Ok(Self { since, ..Self::by(face, who, parts) })
    }
}

impl Visit {
    fn by(face: &Face, who: Who, parts: &Parts) -> Self {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let (shared, pages) = (face.shared.clone(), face.pages.clone());
        Self { shared, pages, who, headers: parts.headers.clone(), path, since: None }
    }

    /// What a page is made for. Where there is one project only, everything is of it.
    pub(super) fn context(&self, project: Option<&ProjectName>) -> Context {
        let only = match self.shared.projects.as_slice() {
            [only] => Some(&only.name),
            _ => None,
        };
        Context {
            project: project.or(only).cloned(),
            reader: match &self.who.actor {
                Actor::Anonymous => Reader::Anonymous,
                Actor::Bearer { kind, name, .. } => {
                    Reader::Known { name: name.clone(), role: kind.as_str().to_owned() }
                }
            },
            csrf: self.who.csrf(),
            path: self.path.clone(),
            url: self.shared.url.clone(),
            now: now(),
            since: self.since.clone(),
            notices: project.map_or_else(Vec::new, |project| self.stranded(project)),
        }
    }

    /// Builds that wait for slaves of which the last has left.
    fn stranded(&self, project: &ProjectName) -> Vec<Notice> {
        let Some(project) = self.shared.guarded_by_name(project) else { return Vec::new() };
        let notice = |text: String| Notice { look: "warnings", text: format!("{text}.") };
        self.shared.stranded(project.id).iter().map(|it| notice(it.text())).collect()
    }

    /// The same with what is said on every page of a project.
    pub(super) async fn context_with_notices(&self, project: &Guarded) -> Done<Context> {
        self.context_at(&Moment::now(&self.shared).await?, project).await
    }

    /// The same of the moment that the page is of.
    pub(super) async fn context_at(&self, at: &Moment<'_>, project: &Guarded) -> Done<Context> {
        let line = read::project_line(at, project).await?;
        let mut context = self.context(Some(&project.name));
        if let Some(trouble) = line.trouble {
            context.notices.push(Notice { look: "exception", text: format!("Nothing can land: {trouble}") });
        }
        if line.paused {
            let text = "The queue is paused: nothing lands until a maintainer resumes it.".to_owned();
            context.notices.push(Notice { look: "waiting", text });
        }
        if let Some(frozen) = line.frozen {
            context.notices.push(Notice { look: "waiting", text: format!("{}.", crate::pages::capital(&frozen.says)) });
        }
        Ok(context)
    }
}

impl From<PagesError> for Refused {
    fn from(error: PagesError) -> Self {
        tracing::error!(%error, "a page can't be made");
        Self::new(500, "page", error.to_string(), "an admin mends the template, or takes the user's own away")
    }
}

/// A path on this master that a browser may be sent to; the top for any other text.
pub(super) fn local(next: &str) -> String {
    let inner = |c: char| c.is_ascii_graphic() && c != '\\';
    if next.starts_with('/') && !next.starts_with("//") && next.chars().all(inner) {
        next.to_owned()
    } else {
        "/".to_owned()
    }
}

/// Makes a page of each problem that a handler answers with.
pub(super) async fn errors_as_pages(State(face): State<Face>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let mut kept = parts.clone();
    let mut response = next.run(Request::from_parts(parts, body)).await;
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) => error_page(&face, &mut kept, problem).await,
        None => response,
    }
}

/// A problem as a page, with a word by which an admin finds it in the log.
pub(super) async fn error_page(face: &Face, parts: &mut Parts, problem: Problem) -> Response {
    let request = auth::random_secret().map_or_else(|_| "unknown".to_owned(), |secret| secret[..10].to_owned());
    let asked = format!("{} {}", parts.method, parts.uri.path());
    tracing::info!(request, asked, status = problem.status, code = problem.code, detail = problem.detail, "refused");
    // Whoever can't be told is shown the page as a reader.
    let who = match Who::from_request_parts(parts, face).await {
        Ok(who) => who,
        Err(_) => Who { actor: Actor::Anonymous, session: None },
    };
    let visit = Visit::by(face, who, parts);
    let named = parts.uri.path().strip_prefix("/p/").and_then(|rest| rest.split('/').next());
    let project = named.and_then(|name| name.parse().ok()).filter(|name| face.shared.guarded_by_name(name).is_some());
    let mut context = visit.context(project.as_ref());
    if parts.method != axum::http::Method::GET {
        // Signing in can't lead back to a form that was sent.
        context.path = context.path.rsplit_once('/').map_or_else(String::new, |(page, _)| page.to_owned());
    }
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match face.pages.error(&context, &problem, &asked, &request) {
        Ok(html) => {
            let mut answer = (status, Html(html)).into_response();
            if let Some(seconds) = problem.retry_after_s {
                answer.headers_mut().insert(axum::http::header::RETRY_AFTER, seconds.into());
            }
            answer
        }
        Err(error) => {
            tracing::error!(%error, "an error's page can't be made");
            (status, format!("{}: {}\n", problem.title, problem.detail)).into_response()
        }
    }
}

/// A build of this project; another project's is not here.
pub(super) async fn build_in(shared: &Shared, project: &Guarded, id: BuildId) -> Done<Build> {
    let build = actions::build(&shared.store, id).await?;
    if build.project == project.id {
        return Ok(build);
    }
    let detail = format!("project {} has no build #{id}", project.name);
    Err(Refused::new(404, "no-such-build", detail, "a branch's page lists its builds"))
}

/// Whether whoever comes may publish branches of a project.
pub(super) fn may_publish(visit: &Visit, project: &Guarded) -> bool {
    can(&visit.who.actor, Action::Publish { open: project.config.publish == PublishPolicy::Open })
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn signing_in_leads_to_this_master_only() {
        assert_eq!(local("/p/heron?q=a#x"), "/p/heron?q=a#x");
        for evil in
            ["", "//evil.example", "/\\evil.example", "https://evil.example", "javascript:x", "/a\r\nb", "/\t/x"]
        {
            assert_eq!(local(evil), "/", "{evil:?}");
        }
    }
}
