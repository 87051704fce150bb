//! Whoever controls a repository can show it, and has the rights over what somebody else registered of it.
//!
//! What is to be shown is a branch whose name nobody can know but the bearer of one token, and which says nothing for another
//! repository or token: made of the stored hash of the token and the URL. So there is nothing to be kept between asking and
//! showing, and what somebody shows in public is of no use to others.

use super::{allow, branch};
use crate::auth::{self, Action, Actor};
use crate::door::{AGAIN_S, Key, Place};
use crate::project::Guarded;
use crate::read;
use crate::refused::{Done, Refused};
use crate::state::Shared;
use crate::store::{Branch, Claimer, NewBranch, Taken};
use gate::places::{Full, Rank};
use protocol::BranchName;
use protocol::api::{self, Claimed};
use tracker::source::{BranchRef, RawRefName, SourceUrl, UncheckedUrl};
use tracker::watch::Head;

/// Digits of the challenge: as many as make a guess hopeless, and no more than a line takes.
const DIGITS: usize = 32;

/// Claims a branch, or its name for a branch of one's own.
pub(crate) async fn claim(
    shared: &Shared,
    project: &Guarded,
    actor: &Actor,
    name: &BranchName,
    it: &api::Claim,
) -> Done<Claimed> {
    allow(actor, Action::Publish { open: false }, "claiming a branch")?;
    let Some(token) = actor.token() else {
        return Err(Refused::new(401, "token-needed", "claiming a branch needs a token", ""));
    };
    let before = branch(shared, project, name).await?;
    let url = it.url.as_deref().map(str::trim).filter(|url| !url.is_empty()).unwrap_or(&before.url);
    let source = SourceUrl::check(&UncheckedUrl::new(url), &shared.policy).map_err(|e| Refused::explained(&e))?;
    let own = source.as_str() == before.url;
    let wanted = match (own, &it.branch) {
        (true, _) => None,
        (false, Some(branch)) => {
            Some(BranchRef::check(&RawRefName::new(branch.trim())).map_err(|e| Refused::explained(&e))?)
        }
        (false, None) => {
            let detail = format!("{name} is registered with another repository than {}", source.as_str());
            let hint = "name the branch there, too, if you claim the name for that";
            return Err(Refused::new(422, "ref-empty", detail, hint));
        }
    };
    if !own && before.head.is_some() {
        let detail = format!("the name {name} belongs to a branch of {} that was fetched", before.url);
        let hint = "publish under another name; a name can be claimed only while bb has fetched nothing under it";
        return Err(Refused::new(409, "name-in-use", detail, hint));
    }
    let challenge = challenge(shared, &source, actor).await?;
    let shown = shows(shared, &source, &challenge, actor).await?;
    let claimed = match (&wanted, shown) {
        (_, false) => before,
        (None, true) => {
            let claimer = Claimer { name: actor.name().to_owned(), token, trusted: actor.is_trusted() };
            shared.store.by(actor.token()).claim_repository(&before, &claimer).await?;
            branch(shared, project, name).await?
        }
        (Some(wanted), true) => take_name(shared, project, actor, &before, &source, wanted).await?,
    };
    Ok(Claimed {
        proved: shown,
        repository: source.as_str().to_owned(),
        push: format!("git push {} HEAD:refs/heads/{challenge}", source.as_str()),
        challenge,
        branch: read::branch_summary(shared, project, claimed).await?,
    })
}

/// What the repository is to show to the bearer of this token.
async fn challenge(shared: &Shared, source: &SourceUrl, actor: &Actor) -> Done<String> {
    let hash = match actor.token() {
        Some(token) => shared.store.token_hash(token).await?,
        None => None,
    };
    let Some(hash) = hash else {
        return Err(Refused::new(401, "token-unknown", "the token was revoked", "ask a maintainer for another one"));
    };
    let digits = auth::hash(&format!("claim {hash} {}", source.as_str()));
    Ok(format!("bb-claim-{}", &digits[..DIGITS]))
}

/// Whether it shows that now.
async fn shows(shared: &Shared, source: &SourceUrl, challenge: &str, actor: &Actor) -> Done<bool> {
    let _place = place(shared, actor)?;
    let reference = BranchRef::check(&RawRefName::new(challenge))
        .map_err(|e| Refused::new(500, "internal", e.to_string(), "an admin finds more in the master's log"))?;
    match shared.poller.head(source, &reference).await {
        Ok(Head::At(_)) => Ok(true),
        Ok(Head::Absent) => Ok(false),
        Err(error) => Err(Refused::explained(&error)),
    }
}

/// A place for a look at the repository: one for each token.
fn place(shared: &Shared, actor: &Actor) -> Done<Place> {
    let token = actor.token().map_or(0, |token| token.0);
    shared.claims.enter(Rank::Ordinary, &[(Key::Token(token), 1)]).map_err(|full| {
        let (status, detail) = match full {
            Full::Share(_) => (429, "your claim before is looked at still"),
            Full::All => (503, "as many claims are looked at as may be at once"),
        };
        Refused::new(status, "too-many-claims", detail, "try again in a moment").retry_after(AGAIN_S)
    })
}

/// Gives a name under which nothing was ever fetched to the branch of whoever has shown a repository.
async fn take_name(
    shared: &Shared,
    project: &Guarded,
    actor: &Actor,
    before: &Branch,
    source: &SourceUrl,
    wanted: &BranchRef,
) -> Done<Branch> {
    let new = NewBranch {
        project: project.id,
        name: Some(before.name.clone()),
        url: source.as_str().to_owned(),
        source_ref: wanted.as_str().to_owned(),
        title: String::new(),
        bugs: Vec::new(),
        publisher: actor.name().to_owned(),
        token: actor.token(),
        trusted: actor.is_trusted(),
    };
    match shared.store.by(actor.token()).take_name(before, &new).await? {
        Taken::Now(branch) => Ok(branch),
        Taken::Fetched => Err(Refused::new(
            409,
            "name-in-use",
            format!("meanwhile, something was fetched under the name {}", before.name),
            "publish under another name",
        )),
        Taken::Published(other) => Err(Refused::new(
            409,
            "published-already",
            format!("`{}` of {} is published already, as {}", other.source_ref, other.url, other.name),
            format!("claim that: bb claim {}", other.name),
        )),
    }
}
