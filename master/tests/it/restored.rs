//! After a restore from a backup numbers go back: who follows the events is told, and misses none of those that come.

use crate::queue::stepped;
use crate::support::World;
use master::store::{Happening, Store};
use protocol::ProjectId;
use protocol::api::{EventMark, Look};

/// The first events of a stream, each with its place.
async fn stream(world: &World, since: &str, last_event_id: Option<&str>, count: usize) -> Vec<(EventMark, String)> {
    let request = world.request(reqwest::Method::GET, &format!("/api/v1/events{since}"));
    let request = last_event_id.iter().fold(request, |request, id| request.header("last-event-id", *id));
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut text = String::new();
    while text.matches("\n\n").count() < count {
        text += &String::from_utf8_lossy(&answer.chunk().await.unwrap().expect("it goes on"));
    }
    let field = |event: &str, name: &str| {
        let line = event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {event}"));
        line.trim().to_owned()
    };
    let events = text.split("\n\n").take(count);
    events.map(|event| (field(event, "id:").parse().unwrap(), field(event, "event:"))).collect()
}

async fn happens(world: &World, kind: &'static str) {
    let it = Happening {
        project: Some(ProjectId(1)),
        branch: None,
        build: None,
        kind,
        look: Look::Waiting,
        text: String::new(),
        actor: "mia".to_owned(),
    };
    world.store().record(&it).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_the_events_is_told_that_the_store_went_back_and_misses_none_of_those_after_it() {
    let (mut world, oak) = stepped().await;
    happens(&world, "kept").await;
    let backup = world.folder().join("backup.sqlite");
    world.store().copy_to(&backup).await.unwrap();
    let (seen_before, _) = stream(&world, "?since=0", None, 1).await.remove(0);
    for _ in 0..3 {
        happens(&world, "lost").await;
    }
    let seen = stream(&world, "?since=0", None, 4).await.remove(3).0.to_string();

    drop(oak);
    world.kill_master().await;
    let store = world.basedir().join("bb.sqlite");
    for name in ["bb.sqlite", "bb.sqlite-wal", "bb.sqlite-shm"] {
        let _ = std::fs::remove_file(world.basedir().join(name));
    }
    std::fs::copy(&backup, &store).unwrap();
    drop(Store::open(&Store::sqlite_url(&world.basedir())).await.unwrap());
    world.start_master().await;
    let newest = world.store().newest_event().await.unwrap();
    // It comes past what was seen before, number by number.
    for _ in 0..5 {
        happens(&world, "new").await;
    }
    for (since, header) in
        [("", Some(seen.as_str())), (&*format!("?since={seen}"), None), ("?since=1", None), ("", Some("x"))]
    {
        let told = stream(&world, since, header, 1).await.remove(0);
        assert_eq!(told.1, "reset", "{since} {header:?}");
        assert_eq!(told.0.event, world.store().newest_event().await.unwrap());
        // From there it goes on as ever.
        happens(&world, "after").await;
        assert_eq!(stream(&world, "", Some(&told.0.to_string()), 1).await.remove(0).1, "after");
    }
    // What was seen before the backup is of this history, too, and nothing after it is missed.
    let all = stream(&world, "", Some(&seen_before.to_string()), 5).await;
    assert_eq!(all[0].0.event.0, newest.0 + 1);
    assert!(all.iter().all(|(_, kind)| kind == "new"), "{all:?}");
    assert_eq!(stream(&world, "?since=0", None, 1).await.remove(0).1, "kept");
}
