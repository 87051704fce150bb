//! Who may stand behind a branch: what is due is shared, registrations are counted, rights follow whoever has shown a
//! repository; and a head that returns is the revision that it was.

use super::*;
use gate::pending::{Crowded, Most, Of, Pending};
use gate::registrations::{self, HOUR_MS, Of as Counted, TooMany};
use master::store::{Claimed, Claimer, Kept, NewBranch, Origin, Taken, TokenRow, Trouble};

stories! {
    what_is_due_is_shared_among_publishers_and_hosts
    registrations_are_counted_also_by_the_next_master
    what_is_live_already_is_no_registration
    a_head_that_returns_is_the_revision_that_it_was
    revisions_are_listed_page_by_page
    who_has_shown_a_repository_has_the_rights_over_what_nobody_stands_behind
    what_was_published_with_a_token_is_not_taken_by_whoever_may_push_there_too
    a_name_is_free_when_its_branch_has_ended_and_nothing_was_fetched
    builds_of_strangers_wait_unasked_beyond_what_may_wait
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

    // Nobody is looked at before mainline was.
    assert_eq!(world.store.next_look(world.project.id, UnixMs(0)).await.unwrap(), None);
    world.store.set_tip(world.claim, None, &commit(500), "").await.unwrap();
    let next = world.store.next_look(world.project.id, UnixMs(0)).await.unwrap();
    assert_eq!(next, world.due(100).await.iter().map(|b| b.next_look).min());
    assert_eq!(world.store.next_look(world.project.id, UnixMs(i64::MAX)).await.unwrap(), None);
}

fn limits(of: Counted, hour: u32, live: u32) -> Vec<(Counted, registrations::Most)> {
    vec![(of, registrations::Most { hour, live })]
}

fn anonymous(address: &str, of: Counted, hour: u32, live: u32) -> Origin {
    Origin { address: address.to_owned(), limits: limits(of, hour, live) }
}

async fn registrations_are_counted_also_by_the_next_master(place: Place) {
    let mut world = place.open().await;
    let from = |n: u32| format!("https://ann.example/r{n}.git");
    let here = anonymous("192.0.2.1", Counted::Address, 2, 9);
    for n in 0..2 {
        let done = world.store.register(&world.new_branch(&from(n), None), &here).await.unwrap();
        assert!(matches!(done, Published::New(_)), "{done:?}");
    }
    for _ in 0..2 {
        match world.store.register(&world.new_branch(&from(2), None), &here).await.unwrap() {
            Published::TooMany(TooMany::Often { of: Counted::Address, most: 2, after_ms }) => {
                assert!((1..=HOUR_MS).contains(&after_ms), "{after_ms}");
            }
            other => panic!("{other:?}"),
        }
        world.store.close().await;
        world = place.open().await;
    }
    let elsewhere = anonymous("192.0.2.2", Counted::Address, 2, 9);
    assert!(matches!(world.store.register(&world.new_branch(&from(2), None), &elsewhere).await, Ok(Published::New(_))));
    // All three are of one host.
    let of_host = anonymous("192.0.2.3", Counted::Host, 9, 3);
    let full = world.store.register(&world.new_branch(&from(3), None), &of_host).await.unwrap();
    assert!(matches!(full, Published::TooMany(TooMany::Live { of: Counted::Host, most: 3 })), "{full:?}");
    let other = world.store.register(&world.new_branch("https://ben.example/r.git", None), &of_host).await.unwrap();
    assert!(matches!(other, Published::New(_)), "{other:?}");

    // One that ends is live no more, and coming back is a registration like any other.
    let ann = world.person("ann").await;
    let mine = Origin { address: String::new(), limits: limits(Counted::Publisher, 3, 1) };
    let new = world.of(&ann, "https://ann.example/own.git", "own");
    let Published::New(own) = world.store.register(&new, &mine).await.unwrap() else { panic!() };
    let second = world.of(&ann, "https://ann.example/own.git", "second");
    let full = world.store.register(&second, &mine).await.unwrap();
    assert!(matches!(full, Published::TooMany(TooMany::Live { of: Counted::Publisher, .. })), "{full:?}");
    for _ in 0..2 {
        world.store.end_branch(&own, BranchState::Withdrawn, "withdrawn by ann", "ann").await.unwrap();
        let back = world.store.register(&new, &mine).await.unwrap();
        assert!(matches!(back, Published::Again(_)), "{back:?}");
    }
    world.store.end_branch(&own, BranchState::Withdrawn, "withdrawn by ann", "ann").await.unwrap();
    let often = world.store.register(&new, &mine).await.unwrap();
    assert!(matches!(often, Published::TooMany(TooMany::Often { of: Counted::Publisher, most: 3, .. })), "{often:?}");
}

async fn what_is_live_already_is_no_registration(place: Place) {
    let world = place.open().await;
    let here = anonymous("192.0.2.1", Counted::Address, 1, 1);
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
    let wanted = world.store.unasked(world.project.id, &candidate.mainline, None, None).await.unwrap();
    assert_eq!(wanted.iter().map(|it| it.candidate).collect::<Vec<_>>(), [candidate.id]);
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

async fn who_has_shown_a_repository_has_the_rights_over_what_nobody_stands_behind(place: Place) {
    let world = place.open().await;
    let (eve, ann) = (world.person("eve").await, world.person("ann").await);
    let url = "https://ann.example/r.git";
    let mut branches = Vec::new();
    for name in ["one", "two"] {
        let nobodys = NewBranch { source_ref: name.to_owned(), ..world.new_branch(url, None) };
        let Published::New(it) = world.store.publish(&nobodys).await.unwrap() else { panic!() };
        branches.push(it);
    }
    let other = world.new_branch("https://ann.example/other.git", None);
    let Published::New(other) = world.store.publish(&other).await.unwrap() else { panic!() };
    let claimer = Claimer { name: "ann".to_owned(), token: ann.id, trusted: false };
    let few = Origin { address: String::new(), limits: limits(Counted::Publisher, 9, 1) };
    let claims =
        async |branch: &Branch, origin: &Origin| world.store.claim_repository(branch, &claimer, origin).await.unwrap();
    let full = claims(&branches[0], &few).await;
    assert!(matches!(full, Claimed::TooMany(TooMany::Live { of: Counted::Publisher, most: 1 })), "{full:?}");
    assert_eq!(world.store.branch_by_id(branches[0].id).await.unwrap().token, None);
    assert_eq!(world.store.kept_from(&branches[0], ann.id).await.unwrap(), None);
    let got = claims(&branches[0], &Origin::default()).await;
    assert!(matches!(got, Claimed::Now(2)), "{got:?}");
    for branch in &branches {
        let now = world.store.branch_by_id(branch.id).await.unwrap();
        assert_eq!((now.publisher.as_str(), now.token), ("ann", Some(ann.id)));
        let last = world.store.timeline(branch.id, 1).await.unwrap().remove(0);
        assert_eq!((last.kind.as_str(), last.actor.as_str()), ("claimed", "ann"));
    }
    assert_eq!(world.store.branch_by_id(other.id).await.unwrap().token, None, "another repository");
    let again = claims(&branches[0], &Origin::default()).await;
    assert!(matches!(again, Claimed::Now(0)), "{again:?}");

    // Eve can show it, too.
    let eves = Claimer { name: "eve".to_owned(), token: eve.id, trusted: true };
    let kept = world.store.claim_repository(&branches[0], &eves, &Origin::default()).await.unwrap();
    assert!(matches!(kept, Claimed::Kept(Kept::Published)), "{kept:?}");
    assert_eq!(world.store.branch_by_id(branches[0].id).await.unwrap().publisher, "ann");
}

async fn what_was_published_with_a_token_is_not_taken_by_whoever_may_push_there_too(place: Place) {
    let world = place.open().await;
    let (eve, ann) = (world.person("eve").await, world.person("ann").await);
    let claimer = |of: &TokenRow| Claimer { name: of.name.clone(), token: of.id, trusted: false };
    let eve_takes = async |branch: &Branch| {
        let early = world.store.kept_from(branch, eve.id).await.unwrap();
        let done = world.store.claim_repository(branch, &claimer(&eve), &Origin::default()).await.unwrap();
        let is_kept = match &done {
            Claimed::Kept(why) => Some(*why),
            _ => None,
        };
        assert_eq!(early, is_kept, "what is said before is what is done: {done:?}");
        is_kept.is_none()
    };
    let of_ann = async |url: &str| {
        let Published::New(it) = world.store.publish(&world.of(&ann, url, "work")).await.unwrap() else { panic!() };
        it
    };
    let fails = async |branch: &Branch| {
        let gone = Trouble { code: "no-such-branch".to_owned(), text: "none".to_owned(), hint: "".into() };
        let branch = world.store.branch_by_id(branch.id).await.unwrap();
        world.store.looked(world.claim, &branch, Some(&gone), UnixMs(branch.next_look.0 + 1)).await.unwrap();
    };
    // Not looked at yet; looked at; fetched, and failing only lately.
    let shared = of_ann("https://shared.example/r.git").await;
    assert!(!eve_takes(&shared).await);
    world.revision(&shared, 1).await;
    assert!(!eve_takes(&shared).await);
    fails(&shared).await;
    assert!(!eve_takes(&shared).await);
    // Nothing ever came of it, and she never showed the repository; or she did.
    let never = of_ann("https://never.example/r.git").await;
    let shown = of_ann("https://shown.example/r.git").await;
    let own = world.store.claim_repository(&shown, &claimer(&ann), &Origin::default()).await.unwrap();
    assert!(matches!(own, Claimed::Now(0)), "{own:?}");
    fails(&never).await;
    fails(&shown).await;
    assert!(eve_takes(&never).await && !eve_takes(&shown).await);
    // What is accepted stays whose it is also when nobody stands behind it any more; what ended is a record.
    let revision = world.store.newest_revision(shared.id).await.unwrap().unwrap();
    assert!(accept(&world.store, &shared, &revision, "mia").await.is_some());
    world.store.revoke_token(ann.id).await.unwrap();
    assert!(!eve_takes(&shared).await);
    assert_eq!(world.store.kept_from(&shared, eve.id).await.unwrap(), Some(Kept::Accepted));
    assert!(eve_takes(&shown).await, "her token counts no more");
    world.store.end_branch(&shared, BranchState::Withdrawn, "withdrawn by ann", "ann").await.unwrap();
    assert!(!eve_takes(&shared).await);
    assert_eq!(world.store.branch_by_id(shared.id).await.unwrap().publisher, "ann");
}

async fn a_name_is_free_when_its_branch_has_ended_and_nothing_was_fetched(place: Place) {
    let world = place.open().await;
    let (eve, ann) = (world.person("eve").await, world.person("ann").await);
    let squatted = world.of(&eve, "https://nowhere.example/r.git", "fix");
    let Published::New(squatted) = world.store.publish(&squatted).await.unwrap() else { panic!() };
    let own = world.of(&ann, "https://ann.example/r.git", "fix");
    let take = async |from: &Branch, new: &NewBranch| {
        world
            .store
            .take_name(from, new, &Origin { address: String::new(), limits: limits(Counted::Publisher, 1, 9) })
            .await
    };
    let nowhere = Trouble { code: "unreachable".to_owned(), text: "nobody answers".to_owned(), hint: "".into() };
    world.store.looked(world.claim, &squatted, Some(&nowhere), UnixMs(1)).await.unwrap();
    let early = take(&squatted, &own).await.unwrap();
    assert!(matches!(early, Taken::Live), "its source only fails at the moment: {early:?}");
    world.store.end_branch(&squatted, BranchState::Withdrawn, "withdrawn by mia", "mia").await.unwrap();
    let Taken::Now(taken) = take(&squatted, &own).await.unwrap() else { panic!() };
    assert_eq!((taken.name.as_str(), taken.token), ("fix", Some(ann.id)));
    let before = world.store.branch_by_id(squatted.id).await.unwrap();
    assert_eq!((before.name.as_str(), before.state), ("fix-2", BranchState::Withdrawn));
    let again = take(&taken, &own).await.unwrap();
    assert!(matches!(again, Taken::Published(_)), "{again:?}");
    let eves = world.of(&eve, "https://eve.example/r.git", "fix");
    let live = take(&squatted, &eves).await.unwrap();
    assert!(matches!(live, Taken::Live), "by now the name is another's: {live:?}");
    world.revision(&taken, 1).await;
    world.store.end_branch(&taken, BranchState::Withdrawn, "withdrawn by ann", "ann").await.unwrap();
    let kept = take(&taken, &eves).await.unwrap();
    assert!(matches!(kept, Taken::Fetched), "{kept:?}");
    // It is a registration like any other.
    let second = NewBranch { name: Some("more".parse().unwrap()), ..world.of(&eve, "https://e.example/r.git", "more") };
    let Published::New(second) = world.store.publish(&second).await.unwrap() else { panic!() };
    world.store.end_branch(&second, BranchState::Withdrawn, "withdrawn by eve", "eve").await.unwrap();
    let more = world.of(&ann, "https://ann.example/r.git", "more");
    let often = take(&second, &more).await.unwrap();
    assert!(matches!(often, Taken::TooMany(TooMany::Often { of: Counted::Publisher, most: 1, .. })), "{often:?}");
    assert_eq!(world.store.branch_by_id(second.id).await.unwrap().name.as_str(), "more", "nothing of it was done");
}

async fn builds_of_strangers_wait_unasked_beyond_what_may_wait(place: Place) {
    let world = place.open().await;
    let (eve, ann) = (world.person("eve").await, world.person("ann").await);
    let most = Most { publisher: 3, host: 4 };
    let candidate = async |of: &TokenRow, url: &str, name: &str| {
        let Published::New(branch) = world.store.publish(&world.of(of, url, name)).await.unwrap() else { panic!() };
        let revision = world.revision(&branch, 1).await;
        world.candidate(&branch, &revision).await
    };
    let ask = async |candidate: &Candidate, builders: &[&str]| {
        let requests: Vec<_> = builders.iter().map(|name| world.request(candidate, name, false)).collect();
        let asked = world.store.ask_within(world.claim, &requests, Some(candidate.revision), Some(most)).await.unwrap();
        asked.map(|builds| builds.len()).map_err(|crowded| (crowded.of, crowded.most))
    };
    let one = candidate(&eve, "https://here.example/r.git", "one").await;
    let two = candidate(&eve, "https://here.example/r.git", "two").await;
    let hers = candidate(&ann, "https://here.example/r.git", "hers").await;
    let elsewhere = candidate(&ann, "https://there.example/r.git", "elsewhere").await;
    let names = ["linux", "asan"];
    assert_eq!(ask(&one, &names).await, Ok(2));
    assert_eq!(ask(&one, &names).await, Ok(0), "what is there needs no room");
    assert_eq!(ask(&two, &names).await, Err((Of::Publisher, 3)));
    assert_eq!(ask(&hers, &names).await, Ok(2));
    let third = candidate(&ann, "https://here.example/r.git", "third").await;
    assert_eq!(ask(&third, &["linux"]).await, Err((Of::Host, 4)));
    assert_eq!(ask(&elsewhere, &["linux"]).await, Ok(1));
    let unasked = async |builder| {
        let unasked = world.store.unasked(world.project.id, &two.mainline, builder, None).await.unwrap();
        unasked.into_iter().map(|it| it.candidate).collect::<Vec<_>>()
    };
    assert_eq!(unasked(None).await, [two.id, third.id], "nothing is lost");
    assert_eq!(unasked(Some("asan")).await, [elsewhere.id]);
    let pending = world.store.pending(most).await.unwrap();
    let now = |pending: &Pending, branch: &Branch| pending.clone().ask(&branch.stranger().unwrap(), 1).is_ok();
    let of_two = world.store.branch_by_id(two.branch).await.unwrap();
    assert!(!now(&pending, &of_two), "the host is full");
    // A person's word is bounded alike, where it is a stranger's.
    let request = [world.request(&two, "linux", false)];
    let refused = world.store.ask_again_within(&request, "eve", Some(most)).await.unwrap();
    assert!(matches!(refused, Err(Crowded { of: Of::Host, .. })), "{refused:?}");
    // What the queue wants counts for nobody, and is asked for whatever waits.
    let revision = world.store.newest_revision(third.branch).await.unwrap().unwrap();
    let branch = world.store.branch_by_id(third.branch).await.unwrap();
    assert!(accept(&world.store, &branch, &revision, "mia").await.is_some());
    let of_queue = [world.request(&third, "linux", true)];
    assert_eq!(world.store.ask_for_builds(world.claim, &of_queue, None).await.unwrap().len(), 1);
    // Room again, when hers have ended.
    let hers = world.store.branch_by_id(hers.branch).await.unwrap();
    world.store.end_branch(&hers, BranchState::Withdrawn, "withdrawn by ann", "ann").await.unwrap();
    assert!(now(&world.store.pending(most).await.unwrap(), &of_two));
    assert_eq!(ask(&two, &["linux"]).await, Ok(1));
}
