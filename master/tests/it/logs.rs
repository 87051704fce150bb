//! Reading logs.

use crate::support::World;
use crate::support::slave::{FakeSlave, ended, finished};
use protocol::BuildResult;
use protocol::wire::ToSlave;

#[tokio::test(flavor = "multi_thread")]
async fn any_place_in_a_log_can_be_asked_for() {
    let world = World::start().await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    world.publish("feature").await;
    let of = oak.given().await.of;
    oak.begins(of).await;
    oak.chunk(of, 1, 0, b"0123456789").await;
    assert_eq!(oak.answer().await, ToSlave::LogAcknowledged { of, step: 1, next: 10 });
    oak.report(of, 1, finished(1, 10)).await;
    oak.report(of, 2, ended(BuildResult::Success)).await;
    world.verdict("feature", "ready").await;
    let path = format!("/api/v1/builds/{}/steps/1/log", of.build);
    let cases = [
        ("", "0123456789"),
        ("?from=4", "456789"),
        ("?from=4&limit=2", "45"),
        ("?limit=0", ""),
        ("?from=10", ""),
        ("?from=11&follow=1", ""),
        ("?from=9223372036854775807", ""),
        ("?from=-3", "789"),
        ("?from=-9223372036854775808", "0123456789"),
        ("?limit=18446744073709551615&follow=1", "0123456789"),
    ];
    for (query, expected) in cases {
        let answer = world.get(&format!("{path}{query}")).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, expected), "{query}");
    }
    for query in ["?from=x", "?from=9223372036854775808", "?limit=-1"] {
        let answer = world.get(&format!("{path}{query}")).await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, "query"), "{query}");
    }
    let none = world.get(&format!("/api/v1/builds/{}/steps/4000000000/log", of.build)).await;
    assert_eq!((none.status, none.problem().as_str()), (404, "no-such-step"));
}
