//! Two masters and one store.

use crate::support::World;
use master::stepping::Loop;
use master::store::{Master, Store};
use master::{StartError, create, start};
use protocol::ProjectId;
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A world on PostgreSQL, and the store's URL.
async fn on_postgres() -> (World, String) {
    let url = tokio::task::spawn_blocking(testkit::postgres::fresh_database).await.unwrap();
    (World::start_as(&format!("store = {url:?}\n"), "").await, url)
}

/// The first says that it is alive more often than it does by itself, so that the second need not wait for that.
async fn refused(world: &World, root: &Path) -> StartError {
    let alive = async {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tick.tick().await;
            world.turn(Loop::Claims).await;
        }
    };
    tokio::select! {
        started = start(root, None, CancellationToken::new()) => match started {
            Err(error) => error,
            Ok(_) => panic!("a second master was started"),
        },
        () = alive => unreachable!(),
    }
}

/// Another basedir with the same settings.
fn another(world: &World) -> std::path::PathBuf {
    let root = world.folder().join("another");
    std::fs::create_dir_all(root.join("run")).unwrap();
    std::fs::copy(world.basedir().join("master.toml"), root.join("master.toml")).unwrap();
    root
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_master_is_refused_with_words_and_the_first_goes_on() {
    let (world, url) = on_postgres().await;
    let root = another(&world);
    let error = refused(&world, &root).await;
    assert!(matches!(error, StartError::SecondMaster(_)), "{error}");
    let said = error.to_string();
    assert!(said.contains(&world.basedir().display().to_string()) && said.contains("process"), "{said}");
    assert!(error.hint().contains("a store is for one master"), "{}", error.hint());
    // Nor is a second basedir made for it.
    let text = std::fs::read_to_string(root.join("master.toml")).unwrap();
    let tokens = world.store().tokens().await.unwrap().len();
    let error = create(&world.folder().join("third"), &text, "eve").await.unwrap_err();
    assert!(matches!(error, StartError::SecondMaster(_)), "{error}");
    assert_eq!(world.store().tokens().await.unwrap().len(), tokens);
    world.publish("feature").await;
    world.asked("feature").await;
    drop(url);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_followed_writes_nothing_and_ends() {
    let (world, url) = on_postgres().await;
    world.publish("feature").await;
    world.asked("feature").await;
    let other = Store::open(&url).await.unwrap();
    let me = Master {
        owner: "later@elsewhere".to_owned(),
        place: String::new(),
        says: "another".to_owned(),
        beat: 0,
        until_ms: 0,
    };
    let claim = world.store().claim_project(ProjectId(1), &world.basedir().display().to_string(), 1000).await;
    let claim = claim.unwrap().unwrap();
    assert!(other.take(&me, 30_000, |_| false).await.unwrap().is_some(), "the first is alive");
    assert_eq!(other.take(&me, 30_000, |_| true).await.unwrap(), None);
    assert!(world.store().pause_queue(ProjectId(1), "mia", "").await.is_err());
    let fence = other.claim_project(ProjectId(1), &world.basedir().display().to_string(), 1000).await.unwrap().unwrap();
    assert!(fence.fence > claim.fence, "the same path is not the same master");
    assert_eq!(world.post("/api/v1/projects/heron/queue/pause", &serde_json::json!({})).await.status, 503);
    assert!(!other.project_by_id(ProjectId(1)).await.unwrap().paused);
    other.give_back("later@elsewhere").await.unwrap();
    other.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_start_after_a_kill_on_the_same_basedir_need_not_wait() {
    let (mut world, _) = on_postgres().await;
    for _ in 0..2 {
        let before = world.store().master().await.unwrap().unwrap();
        world.kill_master().await;
        world.start_master().await;
        let now = world.store().master().await.unwrap().unwrap();
        assert_ne!(now.owner, before.owner, "each start has a name of its own");
    }
    // A basedir that was copied is another one, also while its lock's file says otherwise.
    let root = another(&world);
    std::fs::copy(world.basedir().join("run/lock"), root.join("run/lock")).unwrap();
    assert!(matches!(refused(&world, &root).await, StartError::SecondMaster(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_an_embedded_store_is_another_store() {
    let mut world = World::start().await;
    world.kill_master().await;
    let root = another(&world);
    for file in ["bb.sqlite", "bb.sqlite-wal"] {
        let _ = std::fs::copy(world.basedir().join(file), root.join(file));
    }
    world.start_master().await;
    let shutdown = CancellationToken::new();
    let second = start(&root, None, shutdown.clone()).await.unwrap();
    second.stop().await;
    // Two basedirs on one file are refused like two on one server.
    let third = world.folder().join("third");
    std::fs::create_dir_all(&third).unwrap();
    let text = std::fs::read_to_string(world.basedir().join("master.toml")).unwrap();
    let store = format!("store = \"{}\"\n", Store::sqlite_url(&world.basedir()));
    std::fs::write(third.join("master.toml"), format!("{store}{text}")).unwrap();
    assert!(matches!(refused(&world, &third).await, StartError::SecondMaster(_)));
}
