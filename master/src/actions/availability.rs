//! An admin's word on a slave.

use super::allow;
use crate::auth::{Action, Actor};
use crate::refused::{Done, Refused};
use crate::slaves::admins_word;
use crate::state::Shared;
use crate::store::{Finished, now};
use protocol::api::SetAvailability;
use protocol::wire::{Availability, MAX_WORD, Voice, Word};
use protocol::{BuildResult, SlaveName};

/// Says whether a slave may take builds, and, if it is asked for, hands what runs there to others.
pub(crate) async fn set_availability(
    shared: &Shared,
    actor: &Actor,
    name: &SlaveName,
    asked: &SetAvailability,
) -> Done<()> {
    allow(actor, Action::ManageSlaves, "steering slaves")?;
    let (says, since, until) = (asked.availability, now(), asked.until_ms);
    let refuse = |why: &str, hint: &str| Err(Refused::new(422, "bad-availability", why.to_owned(), hint.to_owned()));
    if asked.now && says != Availability::Unavailable {
        return refuse("running builds go to other slaves only from one that is unavailable", "leave `now` out");
    }
    if until.is_some_and(|until| until <= since) {
        return refuse("the time until which it is to hold is over", "name a time to come");
    }
    let reason: String = asked.reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WORD).collect();
    let word = Word {
        says,
        voice: Voice::Admin,
        who: actor.name().to_owned(),
        reason: reason.trim().to_owned(),
        since,
        until,
    };
    let store = shared.store.by(actor.token());
    let Some(slave) = store.slave_admin(name, &word).await? else {
        return Err(Refused::new(
            404,
            "no-such-slave",
            format!("no slave {name} has ever connected"),
            "`bb slaves` lists them",
        ));
    };
    shared.sessions.tell(slave.id, admins_word(&slave));
    if asked.now {
        for build in store.running_on(Some(&[slave.id])).await? {
            let says = format!("taken from slave {name}, which was made unavailable ({})", word.because());
            // The scheduler has the slave forget what is not its any more.
            store.give_up(build.reference(), &Finished { result: BuildResult::Retry, says }).await?;
        }
    }
    Ok(())
}
