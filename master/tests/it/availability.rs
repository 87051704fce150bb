//! Words on a slave's availability: its own and the admin's, who said them, why, since and until; and who is told when the last
//! slave of a label leaves.

use crate::support::World;
use crate::support::slave::{FakeSlave, hello};
use master::stepping::Loop;
use protocol::api::Slave;
use protocol::wire::Availability::{Eager, Unavailable};
use protocol::wire::{Hello, ToMaster, ToSlave, Voice, Word};
use protocol::{BuildId, UnixMs};
use serde_json::json;

fn now() -> UnixMs {
    UnixMs(jiff::Timestamp::now().as_millisecond())
}

/// A build of `feature` that waits.
async fn waiting() -> World {
    let world = World::stepped().await;
    world.turn(Loop::Mainline).await;
    world.publish("feature").await;
    for which in [Loop::Watch, Loop::Candidates, Loop::Builds] {
        world.turn(which).await;
    }
    world
}

async fn slaves(world: &World) -> Vec<Slave> {
    serde_json::from_value(world.get("/api/v1/slaves").await.json()).unwrap()
}

/// A person's word on the slave.
fn anns(says: protocol::wire::Availability) -> Word {
    let (who, reason) = ("ann".to_owned(), "a talk".to_owned());
    Word { says, voice: Voice::Person, who, reason, since: UnixMs(1_700_000_000_000), until: None }
}

fn say(word: &Word) -> ToMaster {
    ToMaster::Availability { said: word.says, reason: word.reason.clone(), word: Some(word.clone()) }
}

/// Waits until the master shows this word of the slave's.
async fn shown(world: &World, word: &Word) {
    world
        .until("the slave's word", async || {
            let found = slaves(world).await.remove(0).said_word;
            if found.as_ref() == Some(word) { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_come_together_are_one_write_and_the_last_counts() {
    let world = World::stepped().await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    let before = world.store().commits();
    for n in 0..500 {
        let says = if n % 2 == 0 { Unavailable } else { Eager };
        oak.feed(&say(&Word { reason: n.to_string(), ..anns(says) })).await;
    }
    let last = Word { reason: "the last".to_owned(), ..anns(Unavailable) };
    oak.say(&say(&last)).await;
    shown(&world, &last).await;
    let commits = world.store().commits() - before;
    assert!(commits < 200, "{commits} commits for 501 words that were there at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_words_are_kept_with_who_why_since_and_until() {
    let mut world = World::start().await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    let before = now();
    oak.say(&say(&anns(Unavailable))).await;
    shown(&world, &anns(Unavailable)).await;
    let until = now().0 + 3_600_000;
    let asked = json!({"availability": "reluctant", "reason": "a new\ndisk", "until_ms": until});
    assert_eq!(world.post("/api/v1/slaves/oak/availability", &asked).await.status, 200);
    let told = loop {
        match oak.next().await.unwrap() {
            ToSlave::Availability { word: Some(word), .. } if word.voice == Voice::Admin => break word,
            _ => {}
        }
    };
    assert_eq!((told.reason.as_str(), told.until), ("a new disk", Some(UnixMs(until))));
    assert!(told.since >= before && !told.who.is_empty());
    // Both are there after the master's end, while the slave is away.
    world.kill_master().await;
    world.start_master().await;
    let it = slaves(&world).await.remove(0);
    assert_eq!((it.said_word, it.admin_word), (Some(anns(Unavailable)), Some(told)));
    assert_eq!(it.word, "offline");
    let page = world.get("/slaves").await.text;
    assert!(page.contains("ann: a talk") && page.contains("a new disk"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_s_word_ends_by_itself() {
    let world = World::start().await;
    let (_oak, _) = FakeSlave::new(&world, "oak").await;
    let asked = json!({"availability": "unavailable", "until_ms": now().0 + 200});
    assert_eq!(world.post("/api/v1/slaves/oak/availability", &asked).await.status, 200);
    world
        .until("it has ended", async || {
            let it = slaves(&world).await.remove(0);
            if it.admin == Eager && it.admin_word.is_none() && it.word == "eager" { Ok(()) } else { Err(it.word) }
        })
        .await;
    for (asked, why) in [
        (json!({"availability": "unavailable", "until_ms": 5}), "is over"),
        (json!({"availability": "eager", "now": true}), "unavailable"),
    ] {
        let said = world.post("/api/v1/slaves/oak/availability", &asked).await;
        assert!(said.status == 422 && said.text.contains(why), "{}", said.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn now_takes_what_runs_there_and_gives_it_to_others_once() {
    let world = waiting().await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    world.turn(Loop::Schedule).await;
    let of = oak.given().await.of;
    oak.begins(of).await;
    let (mut elm, _) = FakeSlave::new(&world, "elm").await;
    let asked = json!({"availability": "unavailable", "reason": "new disk", "now": true});
    assert_eq!(world.post("/api/v1/slaves/oak/availability", &asked).await.status, 200);
    world.turn(Loop::Schedule).await;
    let again = elm.given().await.of;
    assert_ne!(again.build, of.build);
    // What the first slave still says of it counts no more, and it is told to forget it.
    while oak.next().await.unwrap() != (ToSlave::Forget { of }) {}
    let old = world.get(&format!("/api/v1/builds/{}", of.build)).await.text;
    assert!(old.contains("was made unavailable") && old.contains("new disk"), "{old}");
    elm.ends(again, 0, protocol::BuildResult::Success).await;
    assert!(world.store().build(BuildId(again.build.0 + 1)).await.unwrap().is_none(), "nothing runs a third time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_speaks_for_no_admin_and_not_of_times_to_come() {
    let world = World::start().await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    let word = Word { voice: Voice::Admin, reason: "x\0".repeat(500), since: UnixMs(i64::MAX), ..anns(Unavailable) };
    oak.say(&say(&word)).await;
    world
        .until("its word", async || {
            let it = slaves(&world).await.remove(0);
            if it.said == Unavailable { Ok(()) } else { Err(it.word) }
        })
        .await;
    let kept = slaves(&world).await.remove(0).said_word.unwrap();
    assert_eq!((kept.voice, kept.reason.chars().count()), (Voice::Nobody, 200));
    assert!(kept.since <= now() && !kept.reason.contains('\0'));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_last_slave_leaves_somebody_is_told_once() {
    let world = waiting().await;
    let token = world.token(master::store::TokenKind::Slave, "oak").await;
    let mut oak = FakeSlave::open(&world, &token).await.unwrap();
    let word = Some(anns(Unavailable));
    oak.say(&ToMaster::Hello(Hello { availability: Unavailable, word, ..hello("oak", &[]) })).await;
    assert!(matches!(oak.next().await, Some(ToSlave::Welcome { .. })));
    let told = async || {
        let events = world.store().events_after(protocol::EventId(0), 1000).await.unwrap();
        let told: Vec<String> = events.into_iter().filter(|it| it.kind == "slaves-away").map(|it| it.text).collect();
        told
    };
    for _ in 0..3 {
        world.turn(Loop::Schedule).await;
    }
    assert_eq!(told().await, ["One build waits for a slave: slave oak is unavailable"]);
    let page = world.get("/p/heron").await.text;
    assert!(page.contains("slave oak is unavailable."), "{page}");
    // It is back, takes the build, and the notice is gone.
    oak.say(&say(&anns(Eager))).await;
    shown(&world, &anns(Eager)).await;
    world.turn(Loop::Schedule).await;
    oak.given().await;
    world.turn(Loop::Schedule).await;
    assert!(!world.get("/p/heron").await.text.contains("slave oak is unavailable."));
    assert_eq!(told().await.len(), 1);
}
