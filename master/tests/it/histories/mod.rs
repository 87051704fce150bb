//! What happens at once, in every order: two or three actors, each from one write, push or answer to the next, from a small
//! state of a real master with real repositories. After each history what must always hold is looked at from outside.
//!
//! A history is written as the order of its actors' segments, `land+withdraw:aababb`. `HISTORY=land+withdraw:aababb` plays
//! that one again; `HISTORIES=all` plays all orders of each set, `HISTORIES=NUMBER` so many of each (with `cargo test`, which
//! waits as long as that takes), and without it those with the fewest changes from one actor to another are played.

mod actors;
mod checks;
mod play;
mod stage;

use actors::Actor::{self, *};
use play::explore;
use stage::{From, On};

/// Histories of each set that are played where nobody asked for more.
const FEW: usize = 7;

async fn all(from: From, sets: &[&[Actor]]) {
    // `HISTORIES_ON=postgres` plays all of them there.
    let on = match std::env::var("HISTORIES_ON").as_deref() {
        Ok("postgres") => On::Postgres,
        _ => On::Sqlite,
    };
    all_on(on, from, sets).await;
}

async fn all_on(on: On, from: From, sets: &[&[Actor]]) {
    let mut stage = Box::pin(stage::Stage::prepare(from, on)).await;
    let mut bad = Vec::new();
    for set in sets {
        bad.extend(Box::pin(explore(&mut stage, set, FEW)).await);
    }
    assert!(bad.is_empty(), "{} histories broke what must hold:\n{}", bad.len(), bad.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn landing_while_people_say_something() {
    all(
        From::Accepted,
        &[
            &[Land, Withdraw],
            &[Land, Pause],
            &[Land, Revoke],
            &[Land, ForcePush],
            &[Land, Describe],
            &[Land, AcceptAgain],
            &[Land, Cancel],
            &[Land, Rebuild],
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn landing_while_the_world_moves() {
    all(
        From::Accepted,
        &[
            &[Land, Restart],
            &[Land, Outside],
            &[Land, Candidates],
            &[Land, Upkeep],
            &[Land, Builds],
            &[Land, SeeMainline],
        ],
    )
    .await;
}

/// Who may push to mainline is not only bb: what came there by hand, and what was taken out of it again.
#[tokio::test(flavor = "multi_thread")]
async fn landing_while_people_push_to_mainline() {
    all(
        From::Accepted,
        &[
            &[Land, ByHand],
            &[Land, Rewind],
            &[Land, Rewind, Restart],
            &[Land, ByHand, Restart],
            &[Land, ByHand, Rewind],
            &[Land, Rewind, Withdraw],
            &[Land, ByHand, Withdraw],
            &[Land, Outside, Rewind],
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accepting_while_something_else_happens() {
    all(
        From::Ready,
        &[
            &[Accept, Withdraw],
            &[Accept, ForcePush],
            &[Accept, Revoke],
            &[Accept, Pause],
            &[Accept, Describe],
            &[Accept, Outside],
            &[Accept, ByHand],
            &[Accept, Restart],
            &[Accept, AcceptAgain],
            &[Accept, Candidates],
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reporting_while_others_decide_about_the_build() {
    all(
        From::Away,
        &[
            &[Report, Schedule],
            &[Report, Cancel],
            &[Report, Withdraw],
            &[Report, ForcePush],
            &[Report, Restart],
            &[Report, Accept],
            &[Report, Outside],
            &[Schedule, Cancel],
            &[Schedule, Withdraw],
            &[Schedule, ForcePush],
            &[Schedule, Restart],
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_at_once() {
    all(
        From::Accepted,
        &[
            &[Land, ForcePush, AcceptNewest],
            &[Land, Withdraw, Restart],
            &[Land, Outside, Restart],
            &[Land, Pause, Restart],
            &[Land, Withdraw, PublishAgain],
            &[Land, Outside, Withdraw],
            &[Land, Revoke, Restart],
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn making_candidates_while_something_else_happens() {
    all(
        From::Published,
        &[
            &[Candidates, ForcePush],
            &[Candidates, Outside],
            &[Candidates, ByHand],
            &[Candidates, Upkeep],
            &[Candidates, Withdraw],
            &[Candidates, Accept],
            &[Candidates, Restart],
            &[Candidates, Builds],
            &[ForcePush, Withdraw],
            &[ForcePush, Upkeep],
            &[ForcePush, Restart],
        ],
    )
    .await;
}

/// What ended goes on: it is published again, accepted again, asked for again.
#[tokio::test(flavor = "multi_thread")]
async fn what_ended_begins_again() {
    let landing: &[&[Actor]] = &[
        &[Land, Rewind, PublishAgain],
        &[Land, Revoke, AcceptAgain],
        &[Land, ForcePush, Restart],
        &[Withdraw, PublishAgain, ForcePush],
    ];
    all(From::Accepted, landing).await;
    all(From::Away, &[&[Report, Cancel, Rebuild], &[Report, Withdraw, PublishAgain]]).await;
}

/// Rows and mirror are compared, and what is missing is brought back, while others write both.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_mirror_is_mended() {
    all(From::Accepted, &[&[Land, Mend], &[Land, ByHand, Mend]]).await;
    all(From::Published, &[&[Candidates, Mend], &[Upkeep, Mend], &[ForcePush, Mend]]).await;
}

/// A stack of two passed.
#[tokio::test(flavor = "multi_thread")]
async fn a_stack_lands_while_something_else_happens() {
    all(
        From::Stacked,
        &[
            &[Land, Withdraw],
            &[Land, WithdrawOther],
            &[Land, OtherInOtherWords],
            &[Land, Pause],
            &[Land, Revoke],
            &[Land, ForcePush],
            &[Land, AcceptAgain],
            &[Land, Rebuild],
            &[Land, Restart],
            &[Land, Outside],
            &[Land, Candidates],
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_lands_while_people_push_to_mainline() {
    all(
        From::Stacked,
        &[
            &[Land, ByHand],
            &[Land, Rewind],
            &[Land, Outside, Restart],
            &[Land, Withdraw, Restart],
            &[Land, Withdraw, PublishAgain],
            &[Land, OtherInOtherWords, Restart],
            &[Land, ForcePush, AcceptNewest],
            &[Land, Mend],
            &[Land, Upkeep],
        ],
    )
    .await;
}

/// It is reported that a stack of two passed, or that it failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_reported_while_something_else_happens() {
    all(
        From::StackedAway,
        &[
            &[Report, Land],
            &[Fail, Land],
            &[Report, Withdraw],
            &[Report, WithdrawOther],
            &[Fail, WithdrawOther],
            &[Report, OtherInOtherWords],
            &[Fail, OtherInOtherWords, Land],
            &[Report, Cancel],
            &[Report, Schedule],
            &[Report, ForcePush],
            &[Fail, Restart],
            &[Report, Outside],
        ],
    )
    .await;
}

/// The same stories on the other database: those in which two write about the same rows.
#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql() {
    let landing: &[&[Actor]] = &[&[Land, Withdraw], &[Land, Pause], &[Land, Restart], &[Land, Outside, Withdraw]];
    all_on(On::Postgres, From::Accepted, landing).await;
    let accepting: &[&[Actor]] = &[&[Accept, Withdraw], &[Accept, AcceptAgain], &[Accept, Revoke]];
    all_on(On::Postgres, From::Ready, accepting).await;
    let reporting: &[&[Actor]] = &[&[Report, Cancel], &[Report, Schedule], &[Schedule, Withdraw]];
    all_on(On::Postgres, From::Away, reporting).await;
    let stacked: &[&[Actor]] = &[&[Land, Withdraw], &[Land, OtherInOtherWords], &[Land, Restart]];
    all_on(On::Postgres, From::Stacked, stacked).await;
    let making: &[&[Actor]] = &[&[Candidates, ForcePush], &[Candidates, Upkeep]];
    all_on(On::Postgres, From::Published, making).await;
}
