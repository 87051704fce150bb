//! Whoever controls a repository can show it, and has the rights over what was registered of it by nobody who could lose
//! them. What is whose is decided by the store, in one place.
//!
//! What is to be shown is a branch whose name nobody can know but the bearer of one token, and which says nothing for another
//! repository or token: made of the stored hash of the token and the URL. So there is nothing to be kept between asking and
//! showing, and what somebody shows in public is of no use to others.

use super::{allow, branch, ended, not_mainline, registrations};
use crate::auth::{self, Action, Actor};
use crate::door::{AGAIN_S, Key, Place};
use crate::project::Guarded;
use crate::read::{self, Moment};
use crate::refused::{Done, Refused};
use crate::state::Shared;
use crate::store::{self, Branch, BranchState, Claimer, Kept, NewBranch, Taken};
use gate::places::{Full, Rank};
use protocol::BranchName;
use protocol::api::{self, Claimed};
use tracker::source::{BranchRef, RawRefName, SourceUrl, UncheckedUrl};
use tracker::text::shell_word;
use tracker::watch::Head;

/// Digits of the challenge: as many as make a guess hopeless, and no more than a line takes.
const DIGITS: usize = 32;

/// Claims a branch, or its name for a branch of one's own.
pub(crate) async fn claim(
    shared: &Shared,
    project: &Guarded,
    actor: &Actor,
    name: &BranchName,
    asked: &api::Claim,
) -> Done<Claimed> {
    allow(actor, Action::Publish { open: false }, "claiming a branch")?;
    let Some(token) = actor.token() else {
        return Err(Refused::new(401, "token-needed", "claiming a branch needs a token", ""));
    };
    let before = branch(&shared.store, project, name).await?;
    let url = asked.url.as_deref().map(str::trim).filter(|url| !url.is_empty()).unwrap_or(&before.url);
    let source = SourceUrl::check(&UncheckedUrl::new(url), &shared.policy).map_err(|e| Refused::explained(&e))?;
    let own = source.as_str() == before.url;
    let wanted = match (own, &asked.branch) {
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
    if let Some(wanted) = &wanted {
        not_mainline(project, &source, wanted)?;
        if before.state == BranchState::Live || before.head.is_some() {
            return Err(name_in_use(&before));
        }
    } else if let Some(why) = shared.store.kept_from(&before, token).await? {
        // Said before anybody goes to the trouble of showing something.
        return Err(kept(&before, why));
    }
    let challenge = challenge(shared, &source, actor).await?;
    let shown = shows(shared, &source, &challenge, actor).await?;
    let claimed = match (&wanted, shown) {
        (_, false) => before,
        (None, true) => {
            let claimer = Claimer { name: actor.name().to_owned(), token, trusted: actor.is_trusted() };
            let origin = registrations::of_bearer(actor, &shared.config.registrations);
            match shared.store.by(actor.token()).claim_repository(&before, &claimer, &origin).await? {
                store::Claimed::Now(_) => branch(&shared.store, project, name).await?,
                store::Claimed::Kept(why) => return Err(kept(&before, why)),
                store::Claimed::TooMany(too_many) => return Err(registrations::refused(too_many)),
            }
        }
        (Some(wanted), true) => take_name(shared, project, actor, &before, &source, wanted).await?,
    };
    Ok(Claimed {
        proved: shown,
        repository: source.as_str().to_owned(),
        push: format!("git push {} HEAD:refs/heads/{challenge}", shell_word(source.as_str())),
        challenge,
        branch: read::branch_summary(&Moment::now(shared).await?, project, claimed.id).await?,
    })
}

/// Why a branch stays whose it is.
fn kept(branch: &Branch, why: Kept) -> Refused {
    let Branch { name, publisher, .. } = branch;
    match why {
        Kept::Ended => ended(branch),
        Kept::Accepted => Refused::new(
            409,
            "branch-accepted",
            format!("{name} is accepted, and stays as it was accepted while it is in the queue"),
            "claim it again when it has left the queue",
        ),
        Kept::Published => Refused::new(
            409,
            "published-by-another",
            format!(
                "{name} was published by {publisher}, with a token that counts: whoever else may push there can't take it"
            ),
            format!("have {publisher} or a maintainer withdraw it, then publish it"),
        ),
    }
}

fn name_in_use(branch: &Branch) -> Refused {
    let Branch { name, publisher, .. } = branch;
    let detail = if branch.state == BranchState::Live {
        format!("the name {name} belongs to a branch that {publisher} published and that has not ended")
    } else {
        format!("the name {name} belongs to a branch that was fetched, and whose record stays")
    };
    let hint =
        "publish under another name; a name is free when its branch has ended and nothing was ever fetched under it";
    Refused::new(409, "name-in-use", detail, hint)
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

/// Gives the name of a branch that ended, and of which nothing was ever fetched, to the branch of whoever has shown a repository.
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
    let origin = registrations::of_bearer(actor, &shared.config.registrations);
    match shared.store.by(actor.token()).take_name(before, &new, &origin).await? {
        Taken::Now(branch) => Ok(branch),
        Taken::Live | Taken::Fetched => Err(name_in_use(before)),
        Taken::TooMany(too_many) => Err(registrations::refused(too_many)),
        Taken::Published(other) => Err(Refused::new(
            409,
            "published-already",
            format!("`{}` of {} is published already, as {}", other.source_ref, other.url, other.name),
            format!("claim that: bb claim {}", other.name),
        )),
    }
}
