//! A store with years in it, as the benchmark `big` fills one, only smaller: it is what its seeds' rows and the mirror say.

use crate::queue::{passed, turns, verdict, withdraw};
use crate::support::World;
use crate::support::slave::FakeSlave;
use master::inspect::inspect;
use master::stepping::Loop;
use master::store::{Fill, Store};
use testkit::git::Repo;
use testkit::history::{Growth, Kind, grow};

async fn is_sound(settings: &str, url: Option<String>) {
    let mut world = World::stepped_as(settings).await;
    world.turn(Loop::Mainline).await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    passed(&world, &mut oak, "goes", &[("goes", "x\n")]).await;
    world.accept("goes").await;
    while verdict(&world, "goes").await != "landed" {
        turns(&world, &[Loop::Mainline, Loop::Candidates, Loop::Queue]).await;
    }
    passed(&world, &mut oak, "rests", &[("rests", "x\n")]).await;
    assert_eq!(withdraw(&world, "rests").await.status, 200);
    passed(&world, &mut oak, "ready", &[("ready", "x\n")]).await;
    world.publish("waits").await;
    turns(&world, &[Loop::Watch, Loop::Candidates, Loop::Builds]).await;
    world.kill_master().await;

    let kind = |seed, share, ended, landed| Kind { seed, share, ended, landed };
    let kinds = vec![
        kind("goes", 2, true, true),
        kind("rests", 1, true, false),
        kind("ready", 2, false, false),
        kind("waits", 1, false, false),
    ];
    let mirror = Repo::at(world.basedir().join("mirrors/heron.git"));
    let history = grow(&mirror, &world.official, &Growth { ended: 24, live: 12, revisions: 1, kinds });
    let store = Store::open(&url.unwrap_or_else(|| Store::sqlite_url(&world.basedir()))).await.unwrap();
    store.fill(&Fill { history: &history, builds: 120, slaves: 5 }).await.unwrap();
    assert_eq!(store.behind_their_rows().await.unwrap(), []);
    store.close().await;

    let found = inspect(&world.basedir(), false).await.unwrap();
    assert!(found.findings.is_empty(), "{:#?}", found.findings);
    // Mainline, each revision, and the newest candidate of each that is live; the seeds among them.
    assert_eq!(found.commits, 1 + (36 + 4) + (12 + 2));
    world.start_master().await;
    let page = world.get("/api/v1/projects/heron/branches").await.json();
    assert_eq!((page["live"].as_i64(), page["ended"].as_i64()), (Some(12 + 2), Some(24 + 2)), "{page}");
    let waiting = world.get("/api/v1/projects/heron/builds?state=waiting&limit=200").await.json();
    assert_eq!(waiting["builds"].as_array().unwrap().len(), 4 + 1);
    // Three times 36 builds, but for those of the four that wait, which have one each.
    let mut builds = 0;
    let mut before = String::new();
    loop {
        let page = world.get(&format!("/api/v1/projects/heron/builds?limit=200{before}")).await.json();
        builds += page["builds"].as_array().unwrap().len();
        let Some(next) = page["next"].as_i64() else { break };
        before = format!("&before={next}");
    }
    assert_eq!(builds, 4 + 3 * 32 + 4);
    // Nothing of it is to be done again, and what the master does by itself finds it as it is.
    turns(&world, &[Loop::Mainline, Loop::Candidates, Loop::Mend, Loop::Builds, Loop::Queue]).await;
    let ready = history.lines().find_map(|line| line.strip_prefix("ready ")).unwrap();
    let name = ready.split(' ').nth(1).unwrap();
    assert_eq!(verdict(&world, name).await, "ready");
    // It goes on from there.
    world.publish("next").await;
    turns(&world, &[Loop::Watch, Loop::Candidates, Loop::Builds]).await;
    let newest = world.get("/api/v1/projects/heron/builds").await.json()["builds"][0].take();
    assert_eq!((newest["branch"].as_str(), newest["word"].as_str()), (Some("next"), Some("waiting")), "{newest}");
    let found = inspect(&world.basedir(), false).await.unwrap();
    assert!(found.findings.is_empty(), "{:#?}", found.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filled_store_is_sound_on_sqlite() {
    is_sound("", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filled_store_is_sound_on_postgresql() {
    let url = testkit::postgres::fresh_database();
    is_sound(&format!("store = {url:?}"), Some(url)).await;
}
