//! What forms send. Each is a POST of our own page, and ends in a redirect to the page that shows what came of it.

use crate::actions::{self, steering};
use crate::auth;
use crate::auth::Caller;
use crate::http::extract::{BuildPart, InProject, NamePart, Part, SlavePart};
use crate::http::face::Face;
use crate::http::visit::{Visit, build_in, local, may_publish};
use crate::http::who::{COOKIE, own_form};
use crate::names;
use crate::pages::Filled;
use crate::project::Guarded;
use crate::refused::{Done, Refused};
use crate::store::TokenKind;
use axum::Form;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use protocol::CommitId;
use protocol::api::{Accept, Claim, Place, Publish, Reviewing, Side};
use protocol::wire::Availability;
use serde::Deserialize;

/// A form's fields; what is wrong with them is a problem like any other.
pub(super) struct Sent<T>(T);

impl<T: for<'de> Deserialize<'de>> FromRequest<Face> for Sent<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, face: &Face) -> Result<Self, Refused> {
        match Form::<T>::from_request(request, face).await {
            Ok(Form(value)) => Ok(Self(value)),
            Err(error) => {
                Err(Refused::new(error.status().as_u16(), "form", error.body_text(), "send the form from its page"))
            }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Csrf {
    #[serde(default)]
    csrf: String,
}

#[derive(Deserialize)]
pub(super) struct AcceptForm {
    #[serde(default)]
    csrf: String,
    commit: String,
    /// What stood on the page.
    words: String,
    /// Set by the button that accepts for when it is green.
    #[serde(default)]
    when_green: String,
    /// The page to go on with, if it is not the branch's own.
    #[serde(default)]
    next: String,
}

pub(super) async fn accept(
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    visit: Visit,
    Sent(it): Sent<AcceptForm>,
) -> Done<Redirect> {
    own_form(&visit.who, &visit.headers, &it.csrf)?;
    let commit = CommitId::try_from(it.commit)
        .map_err(|e| Refused::new(422, "commit", e.to_string(), "open the branch's page and accept it there"))?;
    let when_green = !it.when_green.is_empty();
    let accept = Accept { commit, words: Some(it.words), depends_on: Vec::new(), when_green };
    actions::accept(&visit.shared, &project, &visit.who.actor, &part.name, &accept).await?;
    let next = Some(it.next).filter(|next| !next.is_empty()).map(|next| local(&next));
    Ok(Redirect::to(&next.unwrap_or_else(|| names::branch_page(&project.name, &part.name))))
}

#[derive(Deserialize)]
pub(super) struct ReviewForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    commit: String,
    #[serde(default)]
    vote: String,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    side: Side,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    reply: Option<i64>,
    resolve: Option<i64>,
    reopen: Option<i64>,
}

impl ReviewForm {
    fn reviewing(self) -> Done<Reviewing> {
        let wrong = |code: &str, detail: String, hint: &str| Refused::new(422, code, detail, hint);
        let number = |text: &str| {
            let shown: String = text.chars().take(20).collect();
            text.trim().parse::<u32>().map_err(|_| {
                wrong("bad-line", format!("`{shown}` is not the number of a line"), "give the first and the last line")
            })
        };
        let commit = match self.commit.as_str() {
            "" => None,
            commit => Some(
                CommitId::try_from(commit.to_owned())
                    .map_err(|e| wrong("commit", e.to_string(), "open the branch's review and say it there"))?,
            ),
        };
        let vote = match self.vote.as_str() {
            "" => None,
            vote => Some(vote.parse().map_err(|_| wrong("bad-vote", "a vote is -1, 0 or +1".to_owned(), ""))?),
        };
        let on = match self.path.trim() {
            "" => None,
            path => {
                let from = number(&self.from)?;
                let to = if self.to.trim().is_empty() { from } else { number(&self.to)? };
                Some(Place { path: path.to_owned(), side: self.side, from, to, line: String::new() })
            }
        };
        let comment = Some(self.comment).filter(|text| !text.trim().is_empty());
        let (reply, resolve, reopen) = (self.reply.filter(|_| comment.is_some()), self.resolve, self.reopen);
        Ok(Reviewing { commit, vote, comment, on, reply, resolve, reopen })
    }
}

pub(super) async fn review(
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    visit: Visit,
    Sent(it): Sent<ReviewForm>,
) -> Done<Redirect> {
    own_form(&visit.who, &visit.headers, &it.csrf)?;
    actions::review(&visit.shared, &project, &visit.who.actor, &part.name, &it.reviewing()?).await?;
    Ok(Redirect::to(&names::review_page(&names::branch_page(&project.name, &part.name))))
}

pub(super) async fn withdraw(
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    visit: Visit,
    Sent(it): Sent<Csrf>,
) -> Done<Redirect> {
    own_form(&visit.who, &visit.headers, &it.csrf)?;
    actions::withdraw(&visit.shared, &project, &visit.who.actor, &part.name).await?;
    Ok(Redirect::to(&names::branch_page(&project.name, &part.name)))
}

pub(super) async fn claim(
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    visit: Visit,
    Sent(it): Sent<Csrf>,
) -> Done<Response> {
    own_form(&visit.who, &visit.headers, &it.csrf)?;
    let (page, claim) = (names::branch_page(&project.name, &part.name), Claim::default());
    let claimed = actions::claim(&visit.shared, &project, &visit.who.actor, &part.name, &claim).await;
    let context = visit.context_with_notices(&project).await?;
    match claimed {
        Ok(claimed) => Ok(Html(visit.pages.claim(&context, &part.name, &page, Some(&claimed), None)?).into_response()),
        Err(refused) if matches!(refused.0.status, 409 | 422 | 429) => {
            let html = visit.pages.claim(&context, &part.name, &page, None, Some(&refused.0))?;
            Ok((status(&refused), Html(html)).into_response())
        }
        Err(refused) => Err(refused),
    }
}

pub(super) async fn rebuild(
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    visit: Visit,
    Sent(it): Sent<Csrf>,
) -> Done<Redirect> {
    own_form(&visit.who, &visit.headers, &it.csrf)?;
    actions::rebuild(&visit.shared, &project, &visit.who.actor, &part.name).await?;
    Ok(Redirect::to(&names::branch_page(&project.name, &part.name)))
}

pub(super) async fn build_again(
    InProject(project): InProject,
    Part(part): Part<BuildPart>,
    visit: Visit,
    Sent(it): Sent<Csrf>,
) -> Done<Redirect> {
    own_form(&visit.who, &visit.headers, &it.csrf)?;
    let old = build_in(&visit.shared, &project, part.id).await?;
    let new = actions::build_again(&visit.shared, &visit.who.actor, &old).await?;
    Ok(Redirect::to(&names::build_page(&project.name, new.id)))
}

pub(super) async fn cancel(
    InProject(project): InProject,
    Part(part): Part<BuildPart>,
    visit: Visit,
    Sent(it): Sent<Csrf>,
) -> Done<Redirect> {
    own_form(&visit.who, &visit.headers, &it.csrf)?;
    let build = build_in(&visit.shared, &project, part.id).await?;
    actions::cancel_build(&visit.shared, &visit.who.actor, &build).await?;
    Ok(Redirect::to(&names::build_page(&project.name, part.id)))
}

#[derive(Deserialize)]
pub(super) struct ReasonForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    reason: String,
}

pub(super) async fn pause(InProject(project): InProject, visit: Visit, Sent(it): Sent<ReasonForm>) -> Done<Redirect> {
    own_form(&visit.who, &visit.headers, &it.csrf)?;
    steering::pause(&visit.shared, &project, &visit.who.actor, &it.reason).await?;
    Ok(to_queue(&project))
}

pub(super) async fn resume(InProject(project): InProject, visit: Visit, Sent(it): Sent<Csrf>) -> Done<Redirect> {
    own_form(&visit.who, &visit.headers, &it.csrf)?;
    steering::resume(&visit.shared, &project, &visit.who.actor).await?;
    Ok(to_queue(&project))
}

pub(super) async fn hold(
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    visit: Visit,
    Sent(it): Sent<ReasonForm>,
) -> Done<Redirect> {
    own_form(&visit.who, &visit.headers, &it.csrf)?;
    steering::hold(&visit.shared, &project, &visit.who.actor, &part.name, Some(&it.reason)).await?;
    Ok(to_queue(&project))
}

pub(super) async fn release(
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    visit: Visit,
    Sent(it): Sent<Csrf>,
) -> Done<Redirect> {
    own_form(&visit.who, &visit.headers, &it.csrf)?;
    steering::hold(&visit.shared, &project, &visit.who.actor, &part.name, None).await?;
    Ok(to_queue(&project))
}

#[derive(Deserialize)]
pub(super) struct ExpediteForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    reason: String,
    /// Set by the button that takes it back.
    #[serde(default)]
    undo: String,
}

pub(super) async fn expedite(
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    visit: Visit,
    Sent(it): Sent<ExpediteForm>,
) -> Done<Redirect> {
    own_form(&visit.who, &visit.headers, &it.csrf)?;
    let reason = it.undo.is_empty().then_some(it.reason.as_str());
    steering::expedite(&visit.shared, &project, &visit.who.actor, &part.name, reason).await?;
    Ok(to_queue(&project))
}

#[derive(Deserialize)]
pub(super) struct PriorityForm {
    #[serde(default)]
    csrf: String,
    priority: i32,
}

pub(super) async fn priority(
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    visit: Visit,
    Sent(it): Sent<PriorityForm>,
) -> Done<Redirect> {
    own_form(&visit.who, &visit.headers, &it.csrf)?;
    steering::set_priority(&visit.shared, &project, &visit.who.actor, &part.name, it.priority).await?;
    Ok(to_queue(&project))
}

pub(super) async fn eject(
    InProject(project): InProject,
    Part(part): Part<NamePart>,
    visit: Visit,
    Sent(it): Sent<ReasonForm>,
) -> Done<Redirect> {
    own_form(&visit.who, &visit.headers, &it.csrf)?;
    steering::take_out(&visit.shared, &project, &visit.who.actor, &part.name, &it.reason).await?;
    Ok(to_queue(&project))
}

fn to_queue(project: &Guarded) -> Redirect {
    Redirect::to(&format!("{}/queue", names::project_page(&project.name)))
}

#[derive(Deserialize)]
pub(super) struct AvailabilityForm {
    #[serde(default)]
    csrf: String,
    availability: Availability,
    #[serde(default)]
    reason: String,
    /// A box that is ticked.
    now: Option<String>,
}

pub(super) async fn availability(
    Part(part): Part<SlavePart>,
    visit: Visit,
    Sent(it): Sent<AvailabilityForm>,
) -> Done<Redirect> {
    own_form(&visit.who, &visit.headers, &it.csrf)?;
    let (availability, reason) = (it.availability, it.reason);
    // The box stands beside all words, and means something with one.
    let now = it.now.is_some() && availability == Availability::Unavailable;
    let it = protocol::api::SetAvailability { availability, reason, until_ms: None, now };
    actions::set_availability(&visit.shared, &visit.who.actor, &part.name, &it).await?;
    Ok(Redirect::to("/slaves"))
}

pub(super) async fn publish(
    InProject(project): InProject,
    visit: Visit,
    caller: Caller,
    Sent(filled): Sent<Filled>,
) -> Done<Response> {
    own_form(&visit.who, &visit.headers, &filled.csrf)?;
    let given = |text: &str| Some(text.trim().to_owned()).filter(|t| !t.is_empty());
    let it = Publish {
        url: filled.url.clone(),
        branch: filled.branch.clone(),
        name: given(&filled.name),
        title: given(&filled.title),
        bugs: filled.bugs.split([' ', ',', '\n']).filter_map(given).collect(),
    };
    match actions::publish(&visit.shared, &project, &visit.who.actor, &caller, &it).await {
        Ok((branch, _)) => Ok(Redirect::to(&names::branch_page(&project.name, &branch.name)).into_response()),
        Err(refused) if matches!(refused.0.status, 409 | 422 | 429) => {
            let context = visit.context_with_notices(&project).await?;
            let filled = filled.without_secrets();
            let html = visit.pages.publish(&context, may_publish(&visit, &project), &filled, Some(&refused.0))?;
            let mut answer = (status(&refused), Html(html)).into_response();
            if let Some(seconds) = refused.0.retry_after_s {
                answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            Ok(answer)
        }
        Err(refused) => Err(refused),
    }
}

fn status(refused: &Refused) -> StatusCode {
    StatusCode::from_u16(refused.0.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY)
}

#[derive(Deserialize)]
pub(super) struct LoginForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    next: String,
    token: String,
}

pub(super) async fn login(visit: Visit, Sent(it): Sent<LoginForm>) -> Done<Response> {
    own_form(&visit.who, &visit.headers, &it.csrf)?;
    let next = local(&it.next);
    let shared = &visit.shared;
    let refused = match shared.store.token_by_hash(&auth::hash(it.token.trim())).await? {
        Some(token) if token.kind != TokenKind::Slave => {
            let secret = auth::random_secret().map_err(|e| Refused::new(500, "no-randomness", e.to_string(), ""))?;
            // The session before, if there was one, ends: a cookie stands for one person.
            if let Some(old) = &visit.who.session {
                shared.store.end_session(&auth::hash(old)).await?;
            }
            if !shared.store.begin_session(&auth::hash(&secret), token.id).await? {
                return Err(Refused::revoked());
            }
            let cookie = [(header::SET_COOKIE, cookie(&secret, 7 * 24 * 3600, &shared.url))];
            return Ok((cookie, Redirect::to(&next)).into_response());
        }
        Some(_) => Refused::new(
            403,
            "slave-token",
            "this is a slave's token; it can't sign in",
            "use a maintainer's or a publisher's",
        ),
        None => Refused::new(
            401,
            "token-unknown",
            "the token is not known here, or was revoked",
            "a maintainer makes a new one with `bb token new`",
        ),
    };
    let html = visit.pages.login(&visit.context(None), &next, Some(&refused.0))?;
    Ok((status(&refused), Html(html)).into_response())
}

pub(super) async fn logout(visit: Visit, Sent(it): Sent<Csrf>) -> Done<Response> {
    own_form(&visit.who, &visit.headers, &it.csrf)?;
    if let Some(secret) = &visit.who.session {
        visit.shared.store.end_session(&auth::hash(secret)).await?;
    }
    Ok(([(header::SET_COOKIE, cookie("", 0, &visit.shared.url))], Redirect::to("/")).into_response())
}

/// The session's cookie; sent over TLS only where the master's URL says that there is any.
fn cookie(secret: &str, seconds: u32, url: &str) -> String {
    let secure = if url.starts_with("https://") { "; Secure" } else { "" };
    format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
}
