//! What people do, whichever face they use: checked, allowed or refused with words, and recorded.
//!
//! Pages and API call the same functions, so that neither can do what the other may not.

mod availability;
mod claim;
mod registrations;
mod review;
pub(crate) mod steering;

pub(crate) use availability::set_availability;
pub(crate) use claim::claim;
pub(crate) use review::review;

use crate::auth::{self, Action, Actor, Caller, can};
use crate::config::PublishPolicy;
use crate::project::{Guarded, RecipeState, recipes, requests};
use crate::read::{self, Moment, ReadError};
use crate::reconcile::look_at_mainline;
use crate::refused::{Done, Refused};
use crate::state::Shared;
use crate::store::{
    self, Acceptance, Accepted, Branch, BranchEnd, BranchState, Build, BuildRequest, Candidate, Counts, NewBranch,
    Published, Reader, Revision, Revoked, TokenKind, TokenRow, request_of,
};
use crate::terms::Terms;
use protocol::api;
use protocol::{BranchId, BranchName, BuildId, CommitId, RevisionId, SlaveName, TokenId};
use std::path::Path;
use std::time::Duration;
use tracker::source::{BranchRef, RawRefName, SourceUrl, UncheckedUrl};

/// The longest title and reference to a bug, in characters, and the most references.
const MAX_TITLE: usize = 200;
const MAX_BUG: usize = 200;
const MAX_BUGS: usize = 20;

/// Refuses what an actor may not do; one who showed nothing is told how to.
pub(crate) fn allow(actor: &Actor, action: Action<'_>, what: &str) -> Done<()> {
    if can(actor, action) {
        return Ok(());
    }
    Err(match actor {
        Actor::Anonymous => Refused::new(
            401,
            "token-needed",
            format!("{what} needs a token"),
            "give one by BB_TOKEN, --token-file or `bb login`; on the pages, sign in. A maintainer makes one with `bb token new`",
        ),
        Actor::Bearer { kind, name, .. } => Refused::new(
            403,
            "not-allowed",
            format!("{name}, with a {} token, may not do this: {what}", kind.as_str()),
            "ask a maintainer",
        ),
    })
}

/// A branch by name.
pub(crate) async fn branch(store: &Reader, project: &Guarded, name: &BranchName) -> Done<Branch> {
    store.branch(project.id, name).await?.ok_or_else(|| {
        Refused::new(
            404,
            "no-such-branch",
            format!("project {} has no branch {name}", project.name),
            "`bb branches --all` lists them",
        )
    })
}

/// A build by number.
pub(crate) async fn build(store: &Reader, id: BuildId) -> Done<Build> {
    store.build(id).await?.ok_or_else(|| {
        Refused::new(404, "no-such-build", format!("there is no build #{id}"), "a branch's page lists its builds")
    })
}

/// Publishes a branch. True when it was not live before.
pub(crate) async fn publish(
    shared: &Shared,
    project: &Guarded,
    actor: &Actor,
    caller: &Caller,
    asked: &api::Publish,
) -> Done<(Branch, bool)> {
    let open = project.config.publish == PublishPolicy::Open;
    allow(actor, Action::Publish { open }, "publishing")?;
    let url =
        SourceUrl::check(&UncheckedUrl::new(asked.url.trim()), &shared.policy).map_err(|e| Refused::explained(&e))?;
    let source = BranchRef::check(&RawRefName::new(asked.branch.trim())).map_err(|e| Refused::explained(&e))?;
    not_mainline(project, &url, &source)?;
    let name = match asked.name.as_deref().map(str::trim).filter(|n| !n.is_empty()) {
        Some(name) => Some(name.parse().map_err(|e: protocol::name::BadName| {
            Refused::new(422, "bad-name", e.to_string(), "choose another with --name")
        })?),
        None => None,
    };
    let new = NewBranch {
        project: project.id,
        name,
        url: url.as_str().to_owned(),
        source_ref: source.as_str().to_owned(),
        title: line(asked.title.as_deref().unwrap_or_default(), MAX_TITLE),
        bugs: asked.bugs.iter().map(|b| line(b, MAX_BUG)).filter(|b| !b.is_empty()).take(MAX_BUGS).collect(),
        publisher: actor.name().to_owned(),
        token: actor.token(),
        trusted: actor.is_trusted(),
    };
    let origin = registrations::origin(actor, caller, &shared.config.registrations);
    match shared.store.by(actor.token()).register(&new, &origin).await? {
        Published::TooMany(too_many) => Err(registrations::refused(too_many)),
        Published::New(branch) | Published::Again(branch) => Ok((branch, true)),
        Published::Already(branch) => {
            // Whoever may withdraw it may also say anew what it is; for anybody else it stays as it was.
            let says_more = !(new.title.is_empty() && new.bugs.is_empty());
            if says_more && can(actor, Action::Withdraw(&branch)) {
                return match shared
                    .store
                    .by(actor.token())
                    .describe_branch(&branch, &new.title, &new.bugs, actor.name())
                    .await?
                {
                    Some(branch) => Ok((branch, false)),
                    None => Err(ended(&self::branch(&shared.store, project, &branch.name).await?)),
                };
            }
            Ok((branch, false))
        }
        Published::BeingPushed(branch) => Err(being_pushed(&branch)),
        Published::NameTaken(other) => Err(Refused::new(
            409,
            "name-taken",
            format!("the name {} belongs to `{}` of {}", other.name, other.source_ref, other.url),
            "choose another with --name, or leave it to bb",
        )),
    }
}

/// Refuses what is the project's own mainline.
fn not_mainline(project: &Guarded, url: &SourceUrl, source: &BranchRef) -> Done<()> {
    let official = &project.config.repository;
    let whole = |text: &str| Path::new(text.strip_prefix("file://").unwrap_or(text)).canonicalize().ok();
    let same = url.as_str() == official || (whole(url.as_str()).is_some() && whole(url.as_str()) == whole(official));
    if !same || source.as_str() != project.config.mainline {
        return Ok(());
    }
    let detail = format!("`{}` of {} is mainline itself", source.display(), url.as_str());
    Err(Refused::new(422, "is-mainline", detail, "publish a feature branch, made from mainline"))
}

/// One line of text, without control characters, not too long.
fn line(text: &str, most: usize) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect()
}

/// Accepts a branch's newest revision, if it is still this commit, and still in these words.
pub(crate) async fn accept(
    shared: &Shared,
    project: &Guarded,
    actor: &Actor,
    name: &BranchName,
    asked: &api::Accept,
) -> Done<api::QueueEntry> {
    let commit = &asked.commit;
    let branch = branch(&shared.store, project, name).await?;
    allow(actor, Action::Accept(&branch), "accepting")?;
    let words = shown_words(project, name, asked)?;
    let newest = shared.store.newest_revision(branch.id).await?;
    let Some(revision) = newest.filter(|r| r.commit == *commit) else {
        return Err(outdated(name, commit));
    };
    if let Some(refusal) = &revision.refusal {
        let detail = format!("r{} of {name} was not admitted: {}", revision.number, refusal.text);
        return Err(Refused::new(409, "revision-refused", detail, refusal.hint.clone()));
    }
    if let Some(tip) = shared.store.project_by_id(project.id).await?.tip
        && let Some(candidate) = shared.store.standing_candidate(revision.id).await?
        && let Err(refused) = acceptable(&branch, &candidate)
        // What mainline was like when somebody last looked refuses nobody.
        && looked(shared, project).await.is_none_or(|now| now == tip)
    {
        return Err(refused);
    }
    let terms = shown_terms(shared, project, &branch, &revision, words).await?;
    let same = terms.words();
    let same = |kept: &store::Terms| Terms::of_kept(kept).is_ok_and(|it| it.is_some_and(|it| it.words() == same));
    let terms = terms.kept().map_err(ReadError::Terms)?;
    let needs = needs(shared, project, &branch, &revision, asked).await?;
    let (actor, token) = (actor.name(), actor.token());
    let needs = Some(&needs[..]).filter(|needs| !needs.is_empty());
    let counts = if asked.when_green { Counts::WhenGreen } else { Counts::AtOnce };
    let acceptance = Acceptance { branch: &branch, revision: &revision, actor, token, terms, needs, counts };
    match shared.store.by(token).accept(&acceptance, auth::may_still_accept, same).await? {
        Accepted::Entry(entry) => Ok(read::queue_entry(&Moment::now(shared).await?, project, &entry).await?),
        Accepted::Ended => Err(ended(&self::branch(&shared.store, project, name).await?)),
        Accepted::Outdated => Err(outdated(name, commit)),
        Accepted::Circle(way) => {
            let way: Vec<&str> = way.iter().map(BranchName::as_str).collect();
            let detail = format!("{name} would wait for itself: it needs {}", way.join(", which needs "));
            Err(Refused::new(409, "depends-circle", detail, "leave one of these out"))
        }
        Accepted::BeingPushed(_) => Err(being_pushed(&branch)),
    }
}

/// The most branches that one may depend on.
const MOST_NEEDS: usize = 32;

/// The branches that must land before one, or with it: those that are named, and those that its own commits name.
async fn needs(
    shared: &Shared,
    project: &Guarded,
    branch: &Branch,
    revision: &Revision,
    asked: &api::Accept,
) -> Done<Vec<BranchId>> {
    let mut names: Vec<(BranchName, &str)> = asked.depends_on.iter().map(|name| (name.clone(), "it")).collect();
    if let Some(tip) = shared.store.project_by_id(project.id).await?.tip {
        for said in project.mirror.trailers(&tip, &revision.commit, DEPENDS_ON).await.unwrap_or_default() {
            for name in said.split([',', ' ']).filter(|name| !name.is_empty()) {
                let name = name.parse().map_err(|_| {
                    let detail =
                        format!("a commit of it says `{DEPENDS_ON}: {}`, which is no branch's name", line(name, 64));
                    Refused::new(409, "depends-on-nobody", detail, "its author names a branch as bb does, or nobody")
                })?;
                names.push((name, "a commit of it"));
            }
        }
    }
    if names.len() > MOST_NEEDS {
        let detail = format!("it depends on {} branches; at most {MOST_NEEDS} can be waited for", names.len());
        return Err(Refused::new(422, "depends-on-many", detail, ""));
    }
    let mut needs = Vec::with_capacity(names.len());
    for (name, who) in names {
        let Some(needed) = shared.store.branch(project.id, &name).await? else {
            let detail = format!("{who} says that {} depends on {name}, and there is no such branch", branch.name);
            return Err(Refused::new(409, "depends-on-nobody", detail, "publish that one first, or leave it out"));
        };
        needs.push(needed.id);
    }
    Ok(needs)
}

/// The trailer of commits that names a branch which must land before.
const DEPENDS_ON: &str = "Depends-on";

/// The words that whoever accepts was shown: nobody binds what he has not read.
fn shown_words<'a>(project: &Guarded, name: &BranchName, asked: &'a api::Accept) -> Done<&'a str> {
    asked.words.as_deref().filter(|words| !words.is_empty()).ok_or_else(|| {
        let detail = format!("it is not said in which words {name} is accepted");
        let hint = format!(
            "send `words` as `summary.words` of GET /api/v1/projects/{}/branches/{name} gives them, where its title and bugs \
             are read; `bb accept` does",
            project.name
        );
        Refused::new(422, "words-missing", detail, hint)
    })
}

/// The terms that an acceptance binds: those whose words were shown, be they those that this commit was accepted by already,
/// with the day that they have, or those of now.
async fn shown_terms(
    shared: &Shared,
    project: &Guarded,
    branch: &Branch,
    revision: &Revision,
    shown: &str,
) -> Done<Terms> {
    let mut entries = shared.store.entries_of(branch.id).await?;
    entries.retain(|entry| entry.revision == revision.id);
    let (bound, now) = (Terms::queued(&entries), Terms::of_now(shared, project, branch));
    let terms = bound.into_iter().chain([now.clone()]).find(|it| it.words().were_shown(shown));
    terms.ok_or_else(|| {
        let changed = now.changed_since(shown);
        let detail = format!("{} would not land in the words that were read: {changed}", branch.name);
        let hint = format!("read it again (`bb show {}`), and accept it as it is now", branch.name);
        Refused::new(409, "words-changed", detail, hint)
    })
}

fn outdated(name: &BranchName, commit: &CommitId) -> Refused {
    let detail = format!("{commit} is not the newest revision of {name}");
    Refused::new(409, "revision-outdated", detail, "look at what is new, then accept that")
}

/// Seconds after which one whose builds found no room may ask again: nobody knows when a slave is free.
const PENDING_S: u64 = 60;

/// The longest that somebody waits for a look at mainline.
const LOOK: Duration = Duration::from_secs(10);

/// Where mainline is now; none when that can't be known in time.
async fn looked(shared: &Shared, project: &Guarded) -> Option<CommitId> {
    let claim = project.claim()?;
    let look = tokio::time::timeout(LOOK, look_at_mainline(shared, project, claim)).await;
    match look {
        Ok(Ok(tip)) => Some(tip),
        Ok(Err(error)) => {
            tracing::warn!(project = %project.name, %error, "mainline can't be looked at for an acceptance");
            None
        }
        Err(_) => None,
    }
}

/// Refuses what the queue would eject at once: a revision that has no candidate on the mainline of now.
fn acceptable(branch: &Branch, candidate: &Candidate) -> Done<()> {
    let (code, why, hint) = match &candidate.outcome {
        api::CandidateOutcome::Made { .. } => match &candidate.recipe_trouble {
            None => return Ok(()),
            Some(trouble) => (trouble.code.clone(), trouble.text.clone(), trouble.hint.to_string()),
        },
        api::CandidateOutcome::Conflict { files } => {
            let paths: Vec<&str> = files.iter().map(|f| f.path.as_str()).collect();
            let hint = "the author merges mainline into the branch; a rebase is not needed".to_owned();
            ("conflict".to_owned(), format!("it conflicts with mainline in {}", paths.join(", ")), hint)
        }
        api::CandidateOutcome::Refused(refusal) => {
            (refusal.code.clone(), refusal.text.clone(), refusal.hint.to_string())
        }
        // It waits in the queue until mainline is mended.
        api::CandidateOutcome::MainlineTrouble(_) => return Ok(()),
    };
    Err(Refused::new(409, &code, format!("{} can't land: {why}", branch.name), hint))
}

fn ended(branch: &Branch) -> Refused {
    let (how, hint) = match branch.state {
        BranchState::Landed => {
            (branch.state_text.clone(), "a newer revision lands when the branch is published again and accepted")
        }
        BranchState::Retired => (format!("retired, {}", branch.state_text), "publishing it again brings it back"),
        BranchState::Withdrawn | BranchState::Live => (branch.state_text.clone(), "publishing it again brings it back"),
    };
    Refused::new(409, "branch-ended", format!("{} has ended: {how}", branch.name), hint)
}

/// What can't be decided about a branch while its tested commit is on its way to mainline.
fn being_pushed(branch: &Branch) -> Refused {
    Refused::new(
        409,
        "being-pushed",
        format!("{} is being pushed to mainline right now", branch.name),
        "ask again when that is decided: its page says whether it landed",
    )
}

/// Withdraws a branch. What was pushed before may be on mainline though nobody knows it yet: that is looked at first.
pub(crate) async fn withdraw(shared: &Shared, project: &Guarded, actor: &Actor, name: &BranchName) -> Done<Branch> {
    let before = branch(&shared.store, project, name).await?;
    allow(actor, Action::Withdraw(&before), "withdrawing another's branch")?;
    let why = format!("withdrawn by {}", actor.name());
    if shared.store.unlanded_of(before.id).await? {
        looked(shared, project).await;
    }
    match shared.store.by(actor.token()).end_branch(&before, BranchState::Withdrawn, &why, actor.name()).await? {
        BranchEnd::Now => branch(&shared.store, project, name).await,
        BranchEnd::Before => Err(ended(&branch(&shared.store, project, name).await?)),
        BranchEnd::BeingPushed(_) => Err(being_pushed(&before)),
    }
}

/// Asks again for the builds of a branch's newest revision that have ended, and for those that mainline's recipe asks for
/// by now: of the newest candidate, on the mainline of now.
pub(crate) async fn rebuild(
    shared: &Shared,
    project: &Guarded,
    actor: &Actor,
    name: &BranchName,
) -> Done<Vec<BuildId>> {
    let branch = branch(&shared.store, project, name).await?;
    allow(actor, Action::Rebuild(&branch), "asking for builds")?;
    if branch.state != BranchState::Live {
        return Err(ended(&branch));
    }
    let Some(revision) = shared.store.newest_revision(branch.id).await? else {
        return Err(Refused::new(
            409,
            "no-revision",
            format!("{name} has no revision yet"),
            "wait until bb has fetched one",
        ));
    };
    let now = of_now(shared, project, &branch, revision.id).await?;
    let mut builds = shared.store.latest_builds([revision.id]).await?;
    let builds = builds.remove(&revision.id).unwrap_or_default();
    let mut wanted: Vec<BuildRequest> =
        builds.latest_of_each().filter(|old| old.result().is_some()).filter_map(|old| anew(old, &now)).collect();
    wanted.extend(now.into_iter().filter(|request| builds.latest_of(&request.builder.name).is_none()));
    let asked = ask_again(shared, actor, &wanted).await?;
    if asked.len() < wanted.len() {
        return Err(ended(&shared.store.branch_by_id(branch.id).await?));
    }
    Ok(asked.into_iter().map(|build| build.id).collect())
}

/// Asks again; a stranger for no more than may wait of his.
async fn ask_again(shared: &Shared, actor: &Actor, wanted: &[BuildRequest]) -> Done<Vec<Build>> {
    let most = (!actor.is_maintainer()).then(|| shared.config.registrations.pending());
    let asked = shared.store.by(actor.token()).ask_again_within(wanted, actor.name(), most).await?;
    asked.map_err(|crowded| {
        let hint = "ask again when some of those that wait have begun; a maintainer may ask at any time";
        Refused::new(429, "too-many-pending", crowded.text(), hint).retry_after(PENDING_S)
    })
}

/// What mainline's recipe asks for of a revision's candidate, if it is what would be made on the mainline of now.
async fn of_now(shared: &Shared, project: &Guarded, branch: &Branch, revision: RevisionId) -> Done<Vec<BuildRequest>> {
    let candidate = shared.store.standing_candidate(revision).await?;
    // By the recipe of the very commit that it stands on.
    let recipe = match &candidate {
        Some(candidate) => {
            recipes::at(project, &candidate.mainline).await.map_err(|e| ReadError::Mirror(e.to_string()))?
        }
        None => RecipeState::Unknown,
    };
    let (Some(candidate), RecipeState::Fine(in_use)) = (candidate, recipe) else {
        let detail = format!("{} has no candidate on the mainline of now yet", branch.name);
        return Err(Refused::new(409, "no-candidate", detail, "try again when its page shows one"));
    };
    if candidate.made_commit().is_none() {
        acceptable(branch, &candidate)?;
    }
    Ok(requests(project, branch, &candidate, &in_use.recipe, false, |_| true))
}

/// A build once more: what the queue asked for of the candidate of now as it was, all else as mainline's recipe has it by
/// now; none when that has no such builder any more.
fn anew(old: &Build, now: &[BuildRequest]) -> Option<BuildRequest> {
    let of_now = now.iter().any(|it| it.candidate == old.candidate);
    if of_now && old.for_queue {
        return Some(request_of(old));
    }
    now.iter().find(|it| it.builder.name == old.builder.name).cloned()
}

/// Asks for one build again; of the newest revision, by what is built now.
pub(crate) async fn build_again(shared: &Shared, actor: &Actor, old: &Build) -> Done<Build> {
    let branch = shared.store.branch_by_id(old.branch).await?;
    allow(actor, Action::Rebuild(&branch), "asking for a build")?;
    if branch.state != BranchState::Live {
        return Err(ended(&branch));
    }
    let newest = shared.store.newest_revision(branch.id).await?.is_some_and(|r| r.id == old.revision);
    let request = match shared.guarded(old.project).filter(|_| newest) {
        None => request_of(old),
        Some(project) => {
            let now = of_now(shared, project, &branch, old.revision).await?;
            anew(old, &now).ok_or_else(|| {
                let detail = format!("mainline's recipe has no builder {} any more", old.builder.name);
                Refused::new(409, "no-such-builder", detail, "ask for the branch's builds instead")
            })?
        }
    };
    let asked = ask_again(shared, actor, &[request]).await?;
    match asked.into_iter().next() {
        Some(build) => Ok(build),
        None => Err(ended(&shared.store.branch_by_id(old.branch).await?)),
    }
}

/// Cancels a build that waits or runs.
pub(crate) async fn cancel_build(shared: &Shared, actor: &Actor, build: &Build) -> Done<()> {
    let branch = shared.store.branch_by_id(build.branch).await?;
    allow(actor, Action::Rebuild(&branch), "cancelling a build")?;
    if !shared.store.by(actor.token()).cancel_build(build, actor.name()).await? {
        let detail = format!("build #{} has ended already", build.id);
        return Err(Refused::new(409, "build-ended", detail, ""));
    }
    Ok(())
}

/// Makes a token.
pub(crate) async fn new_token(shared: &Shared, actor: &Actor, asked: &api::NewToken) -> Done<api::MadeToken> {
    allow(actor, Action::ManageTokens, "making tokens")?;
    let kind: TokenKind = asked.kind.parse().map_err(|e: String| Refused::new(422, "token-kind", e, ""))?;
    let name = line(&asked.name, 64);
    if name.is_empty() {
        return Err(Refused::new(422, "token-name", "a token needs the name of whom it is for", ""));
    }
    if kind == TokenKind::Slave
        && let Err(error) = name.parse::<SlaveName>()
    {
        return Err(Refused::new(422, "bad-name", error.to_string(), ""));
    }
    let (row, secret) = make_token(&shared.store.by(actor.token()), kind, &name, asked.trusted).await?;
    Ok(api::MadeToken { token: token_line(row), secret })
}

/// Makes a token and stores its hash; the secret is returned, and nowhere else.
pub(crate) async fn make_token(
    store: &crate::store::Store,
    kind: TokenKind,
    name: &str,
    trusted: bool,
) -> Done<(TokenRow, String)> {
    let secret = auth::new_token(kind).map_err(|e| Refused::new(500, "no-randomness", e.to_string(), ""))?;
    let row = store.add_token(kind, name, trusted, &auth::hash(&secret)).await?;
    Ok((row, secret))
}

/// All tokens.
pub(crate) async fn tokens(shared: &Shared, actor: &Actor) -> Done<Vec<api::Token>> {
    allow(actor, Action::ManageTokens, "listing tokens")?;
    Ok(shared.store.tokens().await?.into_iter().map(token_line).collect())
}

/// Revokes a token.
pub(crate) async fn revoke_token(shared: &Shared, actor: &Actor, id: TokenId) -> Done<api::Token> {
    allow(actor, Action::ManageTokens, "revoking tokens")?;
    match shared.store.by(actor.token()).revoke_token(id).await? {
        Revoked::Now(row) | Revoked::Before(row) => {
            shared.sessions.revoke(id);
            Ok(token_line(row))
        }
        Revoked::NotThere => {
            Err(Refused::new(404, "no-such-token", format!("there is no token {id}"), "`bb token list` lists them"))
        }
        Revoked::LastMaintainer => Err(Refused::new(
            409,
            "last-maintainer",
            format!("token {id} is the last maintainer's: without it nobody could make another one"),
            "make another with `bb token new maintainer NAME`, and revoke this one with that",
        )),
    }
}

fn token_line(row: TokenRow) -> api::Token {
    api::Token {
        id: row.id.0,
        kind: row.kind.as_str().to_owned(),
        name: row.name,
        trusted: row.trusted || row.kind == TokenKind::Maintainer,
        made_ms: row.made,
        used_ms: row.used,
        revoked_ms: row.revoked,
    }
}
