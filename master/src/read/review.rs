//! What was said of a branch.

use super::{Moment, ReadError};
use crate::auth::{Action, Actor, can};
use crate::store::{Branch, StoredVote};
use gate::review::{Cast, Of, standing, tally};
use protocol::api::{Review, ReviewTally, Thread, Vote};

/// Threads that are shown at once.
const THREADS: u32 = 25;

/// What was said of a branch, with the threads before a number.
pub(crate) async fn review(at: &Moment<'_>, branch: &Branch, before: Option<i64>) -> Result<Review, ReadError> {
    let newest = at.store.newest_revision(branch.id).await?;
    let number = newest.as_ref().map_or(0, |revision| revision.number);
    let votes = at.store.votes(branch.id, number).await?;
    let count = at.store.count_threads(branch.id).await?;
    let mut threads = at.store.threads(branch.id, before, THREADS + 1).await?;
    let more = threads.len() > THREADS as usize;
    threads.truncate(THREADS as usize);
    let of = Of { newest: number, publisher: &branch.publisher, token: branch.token };
    let (up, down) = tally(&of, &votes.iter().map(cast).collect::<Vec<_>>());
    Ok(Review {
        branch: branch.name.clone(),
        revision: newest.as_ref().map(|revision| revision.number),
        commit: newest.map(|revision| revision.commit),
        tally: ReviewTally { up, down, open: count.open, threads: count.all },
        votes: votes.iter().map(|vote| line(&of, vote)).collect(),
        next: threads.last().filter(|_| more).map(|thread| thread.id),
        threads: threads
            .into_iter()
            .map(|it| Thread {
                id: it.id,
                revision: it.revision,
                on: it.on,
                resolved_ms: it.resolved.as_ref().map(|(_, at)| *at),
                resolved_by: it.resolved.map(|(by, _)| by),
                comments: it.comments,
            })
            .collect(),
    })
}

/// What counts of it, in numbers.
pub(super) async fn review_tally(
    at: &Moment<'_>,
    branch: &Branch,
    newest: Option<u32>,
) -> Result<ReviewTally, ReadError> {
    let number = newest.unwrap_or_default();
    let votes = at.store.votes(branch.id, number).await?;
    let count = at.store.count_threads(branch.id).await?;
    let of = Of { newest: number, publisher: &branch.publisher, token: branch.token };
    let (up, down) = tally(&of, &votes.iter().map(cast).collect::<Vec<_>>());
    Ok(ReviewTally { up, down, open: count.open, threads: count.all })
}

/// A vote, with whether whoever cast it may do so still, by the token as it is now.
fn cast(vote: &StoredVote) -> Cast<'_> {
    let may = vote.token.revoked.is_none() && can(&Actor::from(vote.token.clone()), Action::Review);
    Cast { by: &vote.by, token: vote.token.id, revision: vote.revision, value: vote.value, may }
}

fn line(of: &Of<'_>, vote: &StoredVote) -> Vote {
    Vote {
        revision: vote.revision,
        value: vote.value,
        by: vote.by.clone(),
        at_ms: vote.at,
        standing: standing(of, &cast(vote)),
    }
}
