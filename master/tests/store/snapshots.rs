//! Several reads of one moment.

use crate::{Place, World};
use master::store::{Branch, Published};

stories! {
    a_snapshot_says_one_thing_whatever_is_written_meanwhile
    a_snapshot_that_is_gone_leaves_nothing_behind
}

async fn branch(it: &World, name: &str) -> Branch {
    match it.publish(&format!("https://ann.example/{name}.git"), Some(name)).await {
        Published::New(branch) => branch,
        other => panic!("{other:?}"),
    }
}

async fn a_snapshot_says_one_thing_whatever_is_written_meanwhile(place: Place) {
    let it = place.open().await;
    branch(&it, "before").await;
    let snapshot = it.store.snapshot().await.unwrap();
    assert_eq!(snapshot.branches(it.project.id, 0).await.unwrap().len(), 1);
    let after = branch(&it, "after").await;
    it.store.pause_queue(it.project.id, "mia", "").await.unwrap();
    // Each by a statement of its own, the first of that table among them.
    assert_eq!(snapshot.branches(it.project.id, 0).await.unwrap().len(), 1);
    assert!(snapshot.branch_by_id(after.id).await.is_err());
    assert!(!snapshot.project_by_id(it.project.id).await.unwrap().paused);
    let (events, now) = (snapshot.newest_event().await.unwrap(), it.store.newest_event().await.unwrap());
    assert_eq!(now.0 - events.0, 2);
    // A snapshot of a snapshot is the same moment.
    assert!(!snapshot.snapshot().await.unwrap().project_by_id(it.project.id).await.unwrap().paused);
    assert!(it.store.project_by_id(it.project.id).await.unwrap().paused);
}

async fn a_snapshot_that_is_gone_leaves_nothing_behind(place: Place) {
    let it = place.open().await;
    // More than there are connections: each goes back to the others, and the next one is of another moment.
    for n in 1..40 {
        let snapshot = it.store.snapshot().await.unwrap();
        let name = format!("branch-{n}");
        branch(&it, &name).await;
        assert_eq!(snapshot.branches(it.project.id, 0).await.unwrap().len(), n, "its first statement came after");
        if n % 2 == 0 {
            drop(snapshot);
        } else {
            // Also when somebody is dropped while reading.
            let reads = snapshot.branches(it.project.id, 0);
            tokio::select! {
                biased;
                _ = reads => {}
                () = std::future::ready(()) => {}
            }
        }
        assert_eq!(it.store.branches(it.project.id, 0).await.unwrap().len(), n);
    }
    it.store.prove_writable().await.unwrap();
}
