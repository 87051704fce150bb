//! Votes and comments on a branch.

use super::{allow, branch};
use crate::auth::{Action, Actor};
use crate::project::Guarded;
use crate::read::{self, Moment};
use crate::refused::{Done, Refused};
use crate::state::Shared;
use crate::store::{Branch, BranchState, MOST_COMMENTS, Revision, Said, Say};
use protocol::BranchName;
use protocol::api::{Place, Reviewing};

/// The longest comment, in characters.
const MAX_COMMENT: usize = 8000;
/// The longest line that is kept with a comment on it, in characters.
const MAX_LINE: usize = 200;

/// Says something of a branch's newest revision.
pub(crate) async fn review(
    shared: &Shared,
    project: &Guarded,
    actor: &Actor,
    name: &BranchName,
    asked: &Reviewing,
) -> Done<Branch> {
    let branch = branch(&shared.store, project, name).await?;
    allow(actor, Action::Review, "reviewing")?;
    // Whoever may review has shown a token.
    let Some(token) = actor.token() else { return Err(Refused::revoked()) };
    let comment = asked.comment.as_deref().map(plain).transpose()?.filter(|text| !text.is_empty());
    let resolved = asked.resolve.map(|id| (id, true)).or(asked.reopen.map(|id| (id, false)));
    whole(&branch, asked, comment.is_some())?;
    if let Some((id, _)) = resolved {
        let thread = shared.store.thread(branch.id, id).await?.ok_or_else(|| no_thread(name, id))?;
        allow(actor, Action::Resolve { branch: &branch, began: thread.token }, "resolving another's thread")?;
    }
    let begins = comment.is_some() && asked.reply.is_none();
    let revision = if asked.vote.is_some() || begins { Some(looked_at(shared, &branch, asked).await?) } else { None };
    let on = match &asked.on {
        Some(place) => Some(placed(shared, project, actor, &branch, place).await?),
        None => None,
    };
    let say = Say {
        branch: &branch,
        revision: revision.as_ref(),
        token,
        name: actor.name(),
        vote: asked.vote,
        comment: comment.as_deref(),
        on: on.as_ref(),
        reply: asked.reply,
        resolved,
    };
    match shared.store.by(actor.token()).review(&say).await? {
        Said::Now => Ok(branch),
        Said::Outdated => Err(outdated(name)),
        Said::NoThread => Err(no_thread(name, asked.reply.or(asked.resolve).or(asked.reopen).unwrap_or_default())),
        Said::Full => Err(Refused::new(
            409,
            "thread-full",
            format!("the thread has {MOST_COMMENTS} comments, which is the most"),
            "resolve it and begin another one",
        )),
    }
}

/// Refuses what says nothing, or two things that don't go together.
fn whole(branch: &Branch, asked: &Reviewing, has_text: bool) -> Done<()> {
    let wrong = |code: &str, detail: &str, hint: &str| Err(Refused::new(422, code, detail, hint));
    if asked.vote.is_some_and(|vote| !(-1..=1).contains(&vote)) {
        return wrong("bad-vote", "a vote is -1, 0 or +1", "");
    }
    if asked.resolve.is_some() && asked.reopen.is_some() {
        return wrong("resolve-and-reopen", "a thread is resolved or opened again, not both", "say one of them");
    }
    if asked.on.is_some() && (asked.reply.is_some() || !has_text) {
        let hint = "leave the lines out, or say something of them";
        return wrong("lines-without-comment", "lines belong to a comment that begins a thread", hint);
    }
    if asked.reply.is_some() && !has_text {
        return wrong("empty-comment", "an answer needs a text", "say something");
    }
    let says = asked.vote.is_some() || has_text || asked.resolve.is_some() || asked.reopen.is_some();
    if !says {
        return wrong("nothing-said", "there is neither a vote nor a comment", "give one of them");
    }
    if asked.vote.is_some() && branch.state != BranchState::Live {
        return Err(super::ended(branch));
    }
    Ok(())
}

/// The text as it is kept: line ends as everywhere, no characters that steer a screen.
fn plain(text: &str) -> Done<String> {
    if text.chars().nth(MAX_COMMENT).is_some() {
        let detail = format!("the comment has more than {MAX_COMMENT} characters");
        return Err(Refused::new(422, "comment-too-long", detail, "say it in fewer, or in several comments"));
    }
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let kept = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
    Ok(text.trim_end().trim_start_matches('\n').chars().map(kept).collect())
}

/// The newest revision, if it is the one that was looked at.
async fn looked_at(shared: &Shared, branch: &Branch, asked: &Reviewing) -> Done<Revision> {
    let Some(commit) = &asked.commit else {
        let hint = "send the `commit` of GET …/review, which was looked at; `bb review` does";
        return Err(Refused::new(422, "commit-missing", "it is not said of which commit this is said", hint));
    };
    let newest = shared.store.newest_revision(branch.id).await?;
    newest.filter(|revision| revision.commit == *commit).ok_or_else(|| outdated(&branch.name))
}

/// Lines of the diff that is shown, with how the first of them reads.
async fn placed(shared: &Shared, project: &Guarded, actor: &Actor, branch: &Branch, place: &Place) -> Done<Place> {
    let rows = read::branch_rows(&Moment::now(shared).await?, project, branch.clone()).await?;
    let diff = rows.seen(shared, project, actor.rank()).await.diff;
    let line = gate::review::line_at(&diff, place).map_err(|misplaced| {
        let hint = "the branch's page shows the diff with its lines; leave the lines out to comment on the whole";
        Refused::new(422, misplaced.code(), misplaced.to_string(), hint)
    })?;
    Ok(Place { line: line.chars().take(MAX_LINE).collect(), ..place.clone() })
}

fn outdated(name: &BranchName) -> Refused {
    let detail = format!("{name} has another newest revision than the one that was looked at");
    Refused::new(409, "revision-outdated", detail, "look at what is new, then say it of that")
}

fn no_thread(name: &BranchName, id: i64) -> Refused {
    Refused::new(404, "no-such-thread", format!("{name} has no thread {id}"), "`bb review` lists them")
}
