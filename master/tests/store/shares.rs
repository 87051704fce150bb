//! Who may stand behind a branch: what is due is shared, registrations are counted, rights follow whoever has shown a
//! repository; and a head that returns is the revision that it was.

use super::*;
use gate::registrations::{HOUR_MS, Most, Of, TooMany};
use master::store::{Claimer, NewBranch, Origin, Taken, TokenRow, Trouble};

stories! {
    what_is_due_is_shared_among_publishers_and_hosts
    registrations_are_counted_also_by_the_next_master
    what_is_live_already_is_no_registration
    a_head_that_returns_is_the_revision_that_it_was
    revisions_are_listed_page_by_page
    who_has_shown_a_repository_has_the_rights_over_its_branches
    a_name_without_a_revision_can_be_taken_once
}

impl World {
    async fn person(&self, name: &str) -> TokenRow {
        self.store.add_token(TokenKind::Publisher, name, false, &format!("hash of {name}")).await.unwrap()
    }

    fn of(&self, token: &TokenRow, url: &str, source_ref: &str) -> NewBranch {
        NewBranch {
            source_ref: source_ref.to_owned(),
            publisher: token.name.clone(),
            token: Some(token.id),
            trusted: false,
            ..self.new_branch(url, None)
        }
    }

    async fn due(&self, each: u32) -> Vec<Branch> {
        let due = self.store.due_looks(self.project.id, UnixMs(i64::MAX), each).await.unwrap();
        due.into_iter().map(|it| it.branch).collect()
    }
}

async fn what_is_due_is_shared_among_publishers_and_hosts(place: Place) {
    let world = place.open().await;
    let (eve, ann) = (world.person("eve").await, world.person("ann").await);
    for n in 0..30 {
        world.store.publish(&world.of(&eve, "https://evil.example/r.git", &format!("evil-{n}"))).await.unwrap();
    }
    for n in 0..3 {
        world.store.publish(&world.of(&eve, "https://other.example:8443/r.git", &format!("other-{n}"))).await.unwrap();
    }
    world.store.publish(&world.of(&ann, "https://good.example/r.git", "good")).await.unwrap();
    let due = world.due(4).await;
    let hosts: Vec<&str> = due.iter().map(|b| b.host.as_str()).collect();
    assert_eq!(hosts.iter().filter(|host| **host == "good.example:443").count(), 1, "{hosts:?}");
    assert!(hosts[..2].contains(&"good.example:443"), "each publisher's first before anybody's second: {hosts:?}");
    assert_eq!(hosts.iter().filter(|host| **host == "evil.example:443").count(), 2, "hosts take turns: {hosts:?}");
    assert_eq!(hosts.iter().filter(|host| **host == "other.example:8443").count(), 2, "{hosts:?}");

    // What was accepted is first, and always there.
    let last = world.store.branch(world.project.id, &"evil-29".parse().unwrap()).await.unwrap().unwrap();
    let revision = world.revision(&last, 1).await;
    let accepted = accept(&world.store, &last, &revision, "mia").await;
    assert!(accepted.is_some());
    let due = world.store.due_looks(world.project.id, UnixMs(i64::MAX), 1).await.unwrap();
    assert!(due[0].accepted && due[0].branch.id == last.id);
    assert!(due[1..].iter().all(|it| !it.accepted));

    // What was asked for goes before what is only due; asking is over with the look.
    let asked = world.of(&eve, "https://evil.example/r.git", "evil-20");
    world.store.publish(&asked).await.unwrap();
    let at_host = |due: Vec<Branch>| {
        due.into_iter().filter(|b| b.host == "evil.example:443" && b.id != last.id).collect::<Vec<_>>()
    };
    let first = at_host(world.due(4).await).remove(0);
    assert!(first.look_asked && first.source_ref == "evil-20", "{}", first.source_ref);
    world.store.looked(world.claim, &first, None, UnixMs(first.next_look.0 + 1)).await.unwrap();
    assert!(!world.store.branch_by_id(first.id).await.unwrap().look_asked);

    let next = world.store.next_look(world.project.id, UnixMs(0)).await.unwrap();
    assert_eq!(next, world.due(100).await.iter().map(|b| b.next_look).min());
    assert_eq!(world.store.next_look(world.project.id, UnixMs(i64::MAX)).await.unwrap(), None);
}

fn limits(of: Of, hour: u32, live: u32) -> Vec<(Of, Most)> {
    vec![(of, Most { hour, live })]
}

fn anonymous(address: &str, of: Of, hour: u32, live: u32) -> Origin {
    Origin { address: address.to_owned(), limits: limits(of, hour, live) }
}

async fn registrations_are_counted_also_by_the_next_master(place: Place) {
    let mut world = place.open().await;
    let from = |n: u32| format!("https://ann.example/r{n}.git");
    let here = anonymous("192.0.2.1", Of::Address, 2, 9);
    for n in 0..2 {
        let done = world.store.register(&world.new_branch(&from(n), None), &here).await.unwrap();
        assert!(matches!(done, Published::New(_)), "{done:?}");
    }
    for _ in 0..2 {
        match world.store.register(&world.new_branch(&from(2), None), &here).await.unwrap() {
            Published::TooMany(TooMany::Often { of: Of::Address, most: 2, after_ms }) => {
                assert!((1..=HOUR_MS).contains(&after_ms), "{after_ms}");
            }
            other => panic!("{other:?}"),
        }
        world.store.close().await;
        world = place.open().await;
    }
    let elsewhere = anonymous("192.0.2.2", Of::Address, 2, 9);
    assert!(matches!(world.store.register(&world.new_branch(&from(2), None), &elsewhere).await, Ok(Published::New(_))));
    // All three are of one host.
    let of_host = anonymous("192.0.2.3", Of::Host, 9, 3);
    let full = world.store.register(&world.new_branch(&from(3), None), &of_host).await.unwrap();
    assert!(matches!(full, Published::TooMany(TooMany::Live { of: Of::Host, most: 3 })), "{full:?}");
    let other = world.store.register(&world.new_branch("https://ben.example/r.git", None), &of_host).await.unwrap();
    assert!(matches!(other, Published::New(_)), "{other:?}");

    // One that ends is live no more, and coming back is a registration like any other.
    let ann = world.person("ann").await;
    let mine = Origin { address: String::new(), limits: limits(Of::Publisher, 3, 1) };
    let new = world.of(&ann, "https://ann.example/own.git", "own");
    let Published::New(own) = world.store.register(&new, &mine).await.unwrap() else { panic!() };
    let second = world.of(&ann, "https://ann.example/own.git", "second");
    let full = world.store.register(&second, &mine).await.unwrap();
    assert!(matches!(full, Published::TooMany(TooMany::Live { of: Of::Publisher, .. })), "{full:?}");
    for _ in 0..2 {
        world.store.end_branch(&own, BranchState::Withdrawn, "withdrawn by ann", "ann").await.unwrap();
        let back = world.store.register(&new, &mine).await.unwrap();
        assert!(matches!(back, Published::Again(_)), "{back:?}");
    }
    world.store.end_branch(&own, BranchState::Withdrawn, "withdrawn by ann", "ann").await.unwrap();
    let often = world.store.register(&new, &mine).await.unwrap();
    assert!(matches!(often, Published::TooMany(TooMany::Often { of: Of::Publisher, most: 3, .. })), "{often:?}");
}

async fn what_is_live_already_is_no_registration(place: Place) {
    let world = place.open().await;
    let here = anonymous("192.0.2.1", Of::Address, 1, 1);
    let new = world.new_branch("https://ann.example/r.git", None);
    assert!(matches!(world.store.register(&new, &here).await.unwrap(), Published::New(_)));
    for _ in 0..5 {
        assert!(matches!(world.store.register(&new, &here).await.unwrap(), Published::Already(_)));
    }
}

async fn a_head_that_returns_is_the_revision_that_it_was(place: Place) {
    let world = place.open().await;
    let (branch, first, candidate, build) = world.waiting().await;
    let second = world.revision(&branch, 2).await;
    let newest = async || world.store.newest_revision(branch.id).await.unwrap().unwrap();
    assert_eq!(newest().await.id, second.id);
    assert_eq!(world.build(build.id).await.result(), Some(BuildResult::Cancelled));
    let of_second = world.candidate(&branch, &second).await;
    let asked = world
        .store
        .ask_for_builds(world.claim, &[world.request(&of_second, "linux", false)], Some(second.id))
        .await
        .unwrap();

    let found = world.store.revision_at(branch.id, &first.commit).await.unwrap().unwrap();
    assert_eq!(found.id, first.id);
    let moved = Branch { moves_until: UnixMs(77), ..world.store.branch_by_id(branch.id).await.unwrap() };
    assert!(world.store.head_again(world.claim, &moved, &found).await.unwrap());
    let now = newest().await;
    assert_eq!((now.id, now.number), (first.id, 1));
    let row = world.store.branch_by_id(branch.id).await.unwrap();
    assert_eq!((row.head, row.moves_until), (Some(1), UnixMs(77)));
    assert_eq!(world.build(asked[0]).await.result(), Some(BuildResult::Cancelled), "what only r2 wanted");
    assert!(!now.builds_asked, "what was cancelled of it is wanted again");
    let wanted = world.store.candidates_without_builds(world.project.id, &candidate.mainline).await.unwrap();
    assert_eq!(wanted.iter().map(|c| c.id).collect::<Vec<_>>(), [candidate.id]);
    assert!(!world.store.head_again(world.claim, &moved, &found).await.unwrap(), "it is there already");

    // The next new one has a number of its own.
    assert_eq!(world.store.last_revision(branch.id).await.unwrap(), 2);
    let third = world.revision(&branch, 3).await;
    assert_eq!(newest().await.id, third.id);
}

async fn revisions_are_listed_page_by_page(place: Place) {
    let world = place.open().await;
    let branch = world.branch().await;
    for number in 1..=7 {
        world.revision(&branch, number).await;
    }
    let numbers = async |before| {
        let page = world.store.revision_page(branch.id, before, 3).await.unwrap();
        page.into_iter().map(|r| r.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(None).await, [7, 6, 5]);
    assert_eq!(numbers(Some(5)).await, [4, 3, 2]);
    assert_eq!(numbers(Some(2)).await, [1]);
    assert_eq!(numbers(Some(1)).await, [0; 0]);
    let second = world.store.revision_at(branch.id, &commit(2)).await.unwrap().unwrap();
    assert!(world.store.head_again(world.claim, &branch, &second).await.unwrap());
    assert_eq!(numbers(None).await, [2, 7, 6], "the one that the head is at is first");
    assert_eq!(numbers(Some(6)).await, [5, 4, 3]);
}

async fn who_has_shown_a_repository_has_the_rights_over_its_branches(place: Place) {
    let world = place.open().await;
    let (eve, ann) = (world.person("eve").await, world.person("ann").await);
    let url = "https://ann.example/r.git";
    let mut branches = Vec::new();
    for name in ["one", "two"] {
        let Published::New(it) = world.store.publish(&world.of(&eve, url, name)).await.unwrap() else { panic!() };
        branches.push(it);
    }
    let other = world.of(&eve, "https://ann.example/other.git", "three");
    let Published::New(other) = world.store.publish(&other).await.unwrap() else { panic!() };
    let claimer = Claimer { name: "ann".to_owned(), token: ann.id, trusted: false };
    assert_eq!(world.store.claim_repository(&branches[0], &claimer).await.unwrap(), 2);
    for branch in &branches {
        let now = world.store.branch_by_id(branch.id).await.unwrap();
        assert_eq!((now.publisher.as_str(), now.token), ("ann", Some(ann.id)));
        let last = world.store.timeline(branch.id, 1).await.unwrap().remove(0);
        assert_eq!((last.kind.as_str(), last.actor.as_str()), ("claimed", "ann"));
    }
    assert_eq!(world.store.branch_by_id(other.id).await.unwrap().token, Some(eve.id), "another repository");
    assert_eq!(world.store.claim_repository(&branches[0], &claimer).await.unwrap(), 0);
}

async fn a_name_without_a_revision_can_be_taken_once(place: Place) {
    let world = place.open().await;
    let (eve, ann) = (world.person("eve").await, world.person("ann").await);
    let squatted = world.of(&eve, "https://nowhere.example/r.git", "fix");
    let Published::New(squatted) = world.store.publish(&squatted).await.unwrap() else { panic!() };
    let own = world.of(&ann, "https://ann.example/r.git", "fix");
    let early = world.store.take_name(&squatted, &own).await.unwrap();
    assert!(matches!(early, Taken::Fetched), "it was not looked at yet: {early:?}");
    let nowhere = Trouble { code: "unreachable".to_owned(), text: "nobody answers".to_owned(), hint: String::new() };
    world.store.looked(world.claim, &squatted, Some(&nowhere), UnixMs(1)).await.unwrap();
    let Taken::Now(taken) = world.store.take_name(&squatted, &own).await.unwrap() else { panic!() };
    assert_eq!((taken.name.as_str(), taken.token), ("fix", Some(ann.id)));
    let before = world.store.branch_by_id(squatted.id).await.unwrap();
    assert_eq!((before.name.as_str(), before.state), ("fix-2", BranchState::Retired));
    let again = world.store.take_name(&taken, &own).await.unwrap();
    assert!(matches!(again, Taken::Published(_)), "{again:?}");
    world.revision(&taken, 1).await;
    let eves = world.of(&eve, "https://eve.example/r.git", "fix");
    let kept = world.store.take_name(&taken, &eves).await.unwrap();
    assert!(matches!(kept, Taken::Fetched), "{kept:?}");
}
