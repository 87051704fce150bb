//! Locks of builders, as slaves, the API and the page see them: who holds, who waits, since when, and what frees what.

use crate::support::World;
use crate::support::slave::FakeSlave;
use master::stepping::Loop;
use protocol::BuildResult;
use protocol::wire::ToSlave;
use serde_json::{Value, json};

/// Builds of as many branches that wait, each for one share of lock `vm`, of which there are so many.
async fn waiting(shares: u32, names: &[&str]) -> World {
    let world = World::stepped_as(&format!("[[lock]]\nname = \"vm\"\nshares = {shares}\n")).await;
    let recipe =
        "[[builder]]\nname = \"linux\"\nlocks = [\"vm\"]\n\n[[builder.step]]\nname = \"test\"\nrun = \"true\"\n";
    world.author.commit(&[(".bb.toml", recipe)], "Ask for a lock");
    world.author.git(&["push", "--quiet", "origin", "HEAD:main"]);
    world.turn(Loop::Mainline).await;
    for name in names {
        world.publish(name).await;
        for which in [Loop::Watch, Loop::Candidates, Loop::Builds] {
            world.turn(which).await;
        }
    }
    world
}

/// The lock as the API has it: shares taken, the holders' slaves, and who waits with its place.
async fn vm(world: &World) -> (u64, Vec<String>, Vec<(String, u64)>) {
    let lock = world.get("/api/v1/locks").await.json()[0].clone();
    assert_eq!(lock["name"], "vm");
    let all = |of: &str| lock[of].as_array().unwrap().clone();
    let branch = |it: &Value| it["build"]["branch"].as_str().unwrap().to_owned();
    for it in all("held").iter().chain(&all("waiting")) {
        assert!(it["since_ms"].as_i64().unwrap() > 0 && it["shares"] == 1, "{it}");
    }
    let slave = |it: &Value| it["build"]["slave"].as_str().unwrap().to_owned();
    let held = all("held").iter().map(|it| format!("{} on {}", branch(it), slave(it))).collect();
    let waiting = all("waiting").iter().map(|it| (branch(it), it["place"].as_u64().unwrap_or(0))).collect();
    (lock["taken"].as_u64().unwrap(), held, waiting)
}

fn line(names: &[&str]) -> Vec<(String, u64)> {
    names.iter().map(|name| (*name).to_owned()).zip(1..).collect()
}

async fn gone(world: &World, name: &str) {
    world
        .until(&format!("{name} is gone"), async || {
            let slaves = world.store().slaves().await.unwrap();
            if slaves.iter().any(|s| s.name.as_str() == name && s.connected) { Err(String::new()) } else { Ok(()) }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_waiter_that_held_nothing_frees_nothing() {
    let world = waiting(1, &["one", "two", "three"]).await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    let (mut elm, _) = FakeSlave::new(&world, "elm").await;
    world.turn(Loop::Schedule).await;
    let taken = vm(&world).await;
    assert_eq!((taken.0, taken.1.len(), taken.2), (1, 1, line(&["two", "three"])));
    // Waiting for a lock is a state of its own, with who holds it.
    let verdict = &world.branch("two").await["summary"]["verdict"];
    assert_eq!(verdict["state"], "waiting for lock vm", "{verdict}");
    let waits = world.get("/api/v1/builds/2").await.json()["summary"]["says"].to_string();
    assert!(waits.contains("lock `vm` is held by #1"), "{waits}");
    let page = world.get("/locks").await;
    assert_eq!(page.status, 200);
    for part in ["id=\"lock-vm\"", "1 of 1 shares taken", "holds it", "place 1 in its line", "place 2 in its line"] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }

    assert_eq!(world.post("/api/v1/builds/2/cancel", &json!({})).await.status, 200);
    world.turn(Loop::Schedule).await;
    let (taken, held, waits) = vm(&world).await;
    assert_eq!((taken, held.len(), waits), (1, 1, line(&["three"])), "{held:?}");

    // What held it ends: the next has it, on the other slave if the first has not had its turn.
    let (first, second) = if held[0].ends_with("oak") { (&mut oak, &mut elm) } else { (&mut elm, &mut oak) };
    let of = first.given().await.of;
    first.ends(of, 0, BuildResult::Success).await;
    world.turn(Loop::Schedule).await;
    assert_eq!(vm(&world).await.1.len(), 1);
    assert_eq!(vm(&world).await.2, line(&[]));
    let given = tokio::select! { it = first.given() => it, it = second.given() => it };
    assert!(given.git_ref.contains("/three/"), "{}", given.git_ref);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_the_admin_made_smaller_than_what_is_held_is_given_to_nobody_until_enough_is_back() {
    let mut world = waiting(2, &["one", "two", "three"]).await;
    let (mut oak, oak_token) = FakeSlave::new(&world, "oak").await;
    let (mut elm, elm_token) = FakeSlave::new(&world, "elm").await;
    let ash_token = world.token(master::store::TokenKind::Slave, "ash").await;
    world.turn(Loop::Schedule).await;
    let (of_oak, of_elm) = (oak.given().await.of, elm.given().await.of);
    world.kill_master().await;
    let settings = world.basedir().join("master.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace("shares = 2", "shares = 1")).unwrap();
    world.start_master().await;
    let (mut oak, _) = FakeSlave::connect(&world, &oak_token, "oak", &[of_oak]).await;
    let (mut elm, _) = FakeSlave::connect(&world, &elm_token, "elm", &[of_elm]).await;
    let (mut ash, _) = FakeSlave::connect(&world, &ash_token, "ash", &[]).await;
    world.turn(Loop::Schedule).await;
    let (taken, held, waits) = vm(&world).await;
    assert_eq!((taken, held.len(), waits), (2, 2, line(&["three"])));
    assert!(world.get("/locks").await.text.contains("More are held than there are by now"));

    oak.ends(of_oak, 0, BuildResult::Success).await;
    world.turn(Loop::Schedule).await;
    assert_eq!(vm(&world).await.2, line(&["three"]), "the one share that there is, is held");
    elm.ends(of_elm, 0, BuildResult::Success).await;
    world.turn(Loop::Schedule).await;
    let (taken, held, waits) = vm(&world).await;
    assert_eq!((taken, held.len(), waits.len()), (1, 1, 0));
    let given = tokio::select! { it = oak.given() => it, it = elm.given() => it, it = ash.given() => it };
    assert!(given.git_ref.contains("/three/"), "{}", given.git_ref);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_slave_s_locks_are_freed_when_its_lease_ends() {
    let world = waiting(1, &["one", "two"]).await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    world.turn(Loop::Schedule).await;
    let of = oak.given().await.of;
    oak.begins(of).await;
    let (mut elm, _) = FakeSlave::new(&world, "elm").await;
    world.turn(Loop::Schedule).await;
    assert_eq!(vm(&world).await, (1, vec!["one on oak".to_owned()], line(&["two"])));
    drop(oak);
    gone(&world, "oak").await;
    // The lease of this world is over at once. Its build runs again, and stands in the line where it came first.
    world.turn(Loop::Schedule).await;
    world.turn(Loop::Schedule).await;
    let (taken, held, waits) = vm(&world).await;
    assert_eq!((taken, held.len(), waits.len()), (1, 1, 1), "{held:?} {waits:?}");
    assert!(held[0].ends_with("on elm"), "{held:?}");
    loop {
        match elm.next().await.unwrap() {
            ToSlave::Start(it) => break assert_ne!(it.of, of),
            _ => continue,
        }
    }
}
