//! What the mirror has to hold by the rows, and what is recorded when it does not.

use super::*;
use master::store::Trouble;
use protocol::api::Refusal;

stories! {
    what_is_lost_is_told_once_and_forgotten_when_it_is_back
    a_refused_revision_that_is_looked_at_again_is_admitted_under_its_number
    what_rows_want_of_the_mirror_is_listed
}

async fn what_is_lost_is_told_once_and_forgotten_when_it_is_back(place: Place) {
    let world = place.open().await;
    let (branch, ..) = world.waiting().await;
    let store = &world.store;
    let revision = async || store.newest_revision(branch.id).await.unwrap().unwrap();
    let told = async || {
        let timeline = store.timeline(branch.id, 100).await.unwrap();
        timeline.iter().filter(|event| event.kind == "missing").count()
    };
    let trouble =
        |text: &str| Trouble { code: "commit-lost".to_owned(), text: text.to_owned(), hint: "push".to_owned() };
    for text in ["nobody has it", "nobody has it", "it is still gone"] {
        store.set_lost(world.claim, &branch, &revision().await, Some(&trouble(text))).await.unwrap();
        assert_eq!(revision().await.lost.unwrap().text, text);
        assert_eq!(told().await, 1, "the same is no news");
    }
    store.set_lost(world.claim, &branch, &revision().await, None).await.unwrap();
    assert_eq!((revision().await.lost, told().await), (None, 2));
    store.set_lost(world.claim, &branch, &revision().await, None).await.unwrap();
    assert_eq!(told().await, 2);
    let before = store.branch_by_id(branch.id).await.unwrap();
    store.look_now(branch.id).await.unwrap();
    assert!(store.branch_by_id(branch.id).await.unwrap().next_look <= before.next_look);
}

async fn a_refused_revision_that_is_looked_at_again_is_admitted_under_its_number(place: Place) {
    let world = place.open().await;
    let branch = world.branch().await;
    let refusal = Refusal { code: "too-large".to_owned(), text: "large".to_owned(), hint: String::new() };
    let mut new = NewRevision {
        number: 1,
        commit: commit(1),
        subject: String::new(),
        author: String::new(),
        commits: 0,
        refusal: Some(refusal),
    };
    let refused = world.store.add_revision(world.claim, &branch, &new).await.unwrap().unwrap();
    (new.refusal, new.subject) = (None, "Say hello".to_owned());
    world.store.readmitted(world.claim, &branch, &refused, &new).await.unwrap();
    let admitted = world.store.newest_revision(branch.id).await.unwrap().unwrap();
    assert_eq!((admitted.id, admitted.number, admitted.refusal), (refused.id, 1, None));
    assert_eq!(admitted.subject, "Say hello");
    // What is admitted is not taken back.
    new.subject = "Other".to_owned();
    world.store.readmitted(world.claim, &branch, &refused, &new).await.unwrap();
    assert_eq!(world.store.newest_revision(branch.id).await.unwrap().unwrap().subject, "Say hello");
}

async fn what_rows_want_of_the_mirror_is_listed(place: Place) {
    let world = place.open().await;
    let (branch, revision, candidate, _) = world.waiting().await;
    let kept = world.store.kept_revisions(world.project.id).await.unwrap();
    assert_eq!(kept.iter().map(|(b, all)| (b.id, all.len())).collect::<Vec<_>>(), [(branch.id, 1)]);
    let wanted = world.store.wanted_candidates(world.project.id).await.unwrap();
    let wanted: Vec<_> = wanted.iter().map(|(b, r, c)| (b.id, r.id, c.id)).collect();
    assert_eq!(wanted, [(branch.id, revision.id, candidate.id)]);
    assert!(world.store.log_lengths().await.unwrap().is_empty());
}
