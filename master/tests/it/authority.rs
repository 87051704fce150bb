//! `can`, as a table: every actor against every action.

use crate::support::World;
use master::auth::{Action, Actor, can};
use master::store::TokenKind;
use protocol::TokenId;

fn bearer(token: TokenId, kind: TokenKind) -> Actor {
    Actor::Bearer { token, kind, name: "x".to_owned(), trusted: true }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_actor_may_do_what_the_table_says_and_nothing_else() {
    let world = World::start().await;
    world.publish("feature").await;
    let branch = world.branch_row("feature").await;
    let owner = branch.token.expect("it was published with a token");
    let other = TokenId(owner.0 + 1);
    let actors = [
        ("anybody", Actor::Anonymous),
        ("its publisher", bearer(owner, TokenKind::Publisher)),
        ("another publisher", bearer(other, TokenKind::Publisher)),
        ("a maintainer", bearer(other, TokenKind::Maintainer)),
        ("a slave", bearer(other, TokenKind::Slave)),
        ("a slave of the publisher's token", bearer(owner, TokenKind::Slave)),
    ];
    // One column an actor, in that order.
    let table = [
        ("publish, open", Action::Publish { open: true }, "yyyynn"),
        ("publish, users", Action::Publish { open: false }, "nyyynn"),
        ("withdraw", Action::Withdraw(&branch), "nynynn"),
        ("rebuild", Action::Rebuild(&branch), "nynynn"),
        ("accept", Action::Accept(&branch), "nnnynn"),
        ("review", Action::Review, "nyyynn"),
        ("resolve", Action::Resolve { branch: &branch, began: TokenId(99) }, "nynynn"),
        ("resolve what he began", Action::Resolve { branch: &branch, began: other }, "nyyynn"),
        ("steer the queue", Action::SteerQueue, "nnnynn"),
        ("manage tokens", Action::ManageTokens, "nnnynn"),
        ("manage slaves", Action::ManageSlaves, "nnnynn"),
        ("be a slave", Action::BeSlave, "nnnnyy"),
    ];
    for (what, action, row) in table {
        for ((who, actor), expected) in actors.iter().zip(row.chars()) {
            assert_eq!(can(actor, action), expected == 'y', "{who}: {what}");
        }
    }
    // What nobody in particular published belongs to nobody in particular.
    let nobodys = master::store::Branch { token: None, ..branch };
    assert!(!can(&bearer(other, TokenKind::Publisher), Action::Withdraw(&nobodys)));
    assert!(!can(&Actor::Anonymous, Action::Withdraw(&nobodys)));
}
