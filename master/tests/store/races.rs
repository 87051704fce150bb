//! Many at once: 24 do something together, half of them through another master's store. Whatever the order, one of them
//! wins, what is to be one is one, and no one is told that the store failed.

use super::*;
use master::store::Happening;
use std::collections::{BTreeMap, BTreeSet};

stories! {
    publishing_at_once_is_one_branch
    names_made_at_once_are_different
    builds_asked_for_at_once_are_one
    people_who_ask_at_once_are_given_one_build
    a_report_and_giving_up_are_one_end
    cancelling_and_an_end_are_told_apart
    cancelling_giving_out_and_taking_back_leave_no_cancelled_build_waiting
    moving_and_giving_out_leave_one_open_build
    accepting_and_ending_leave_no_place
    accepting_at_once_is_one_place
    a_branch_ends_once_and_nothing_is_built_after
    claiming_at_once_is_one_owner
    pausing_at_once_is_one_event
    of_maintainers_who_revoke_one_another_one_stays
    of_two_who_revoke_each_other_the_first_does
    a_follower_sees_each_event_once
}

const MANY: usize = 24;
/// A race that is lost in one order only may be won by chance: it is run so often.
const ROUNDS: u32 = 4;

impl Place {
    /// What came of the same done by many at once.
    async fn at_once<T, W>(&self, act: impl Fn(Store, usize) -> W) -> Vec<T>
    where
        T: Send + 'static,
        W: Future<Output = T> + Send + 'static,
    {
        let stores = [Store::open(&self.url).await.unwrap(), Store::open(&self.url).await.unwrap()];
        let tasks: Vec<_> = (0..MANY).map(|i| tokio::spawn(act(stores[i % 2].clone(), i))).collect();
        let mut came = Vec::new();
        for task in tasks {
            came.push(task.await.unwrap());
        }
        for store in stores {
            store.close().await;
        }
        came
    }
}

impl World {
    async fn events(&self, kind: &str) -> usize {
        self.store.events_after(EventId(0), 10_000).await.unwrap().into_iter().filter(|e| e.kind == kind).count()
    }

    /// Checks that no builder has two open builds of a candidate.
    async fn one_open_build_each(&self) {
        let mut open = BTreeSet::new();
        for build in self.store.open_builds().await.unwrap().into_iter().filter(|b| b.cancel.is_none()) {
            assert!(open.insert((build.candidate, build.builder.name.clone())), "two open builds: {build:?}");
        }
    }

    /// The one live branch of a source.
    async fn live(&self, url: &str) -> Branch {
        let mut live = self.store.branches(self.project.id, 0).await.unwrap();
        live.retain(|b| b.url == url);
        assert_eq!(live.len(), 1, "{live:?}");
        live.remove(0)
    }

    /// A branch of its own, with a revision and a candidate.
    async fn nth(&self, n: u32) -> (Branch, Revision, Candidate) {
        let Published::New(branch) = self.publish(&format!("https://ann.example/{n}.git"), None).await else {
            panic!()
        };
        let revision = self.revision(&branch, 1).await;
        let candidate = self.candidate(&branch, &revision).await;
        (branch, revision, candidate)
    }
}

fn count<T>(came: &[T], wanted: impl Fn(&T) -> bool) -> usize {
    came.iter().filter(|it| wanted(it)).count()
}

async fn publishing_at_once_is_one_branch(place: Place) {
    let world = place.open().await;
    for n in 1..=ROUNDS {
        let new = world.new_branch(&format!("https://ann.example/{n}.git"), None);
        let publish = |store: Store, _| {
            let new = new.clone();
            async move { store.publish(&new).await.unwrap() }
        };
        let came = place.at_once(publish).await;
        assert_eq!(count(&came, |it| matches!(it, Published::New(_))), 1);
        assert_eq!(count(&came, |it| matches!(it, Published::Already(_))), MANY - 1);
        let branch = world.live(&new.url).await;
        assert_eq!(world.events("published").await, 2 * n as usize - 1);
        world.store.end_branch(&branch, BranchState::Withdrawn, "withdrawn", "ann").await.unwrap();
        // It comes back once too.
        let came = place.at_once(publish).await;
        assert_eq!(count(&came, |it| matches!(it, Published::Again(_))), 1);
        assert_eq!(count(&came, |it| matches!(it, Published::Already(_))), MANY - 1);
        assert_eq!(world.events("published").await, 2 * n as usize);
        assert_eq!(world.live(&new.url).await.id, branch.id);
    }
}

async fn names_made_at_once_are_different(place: Place) {
    let world = place.open().await;
    let publish = |store: Store, i| {
        let new = world.new_branch(&format!("https://author-{i}.example/r.git"), None);
        async move { store.publish(&new).await.unwrap() }
    };
    let came = place.at_once(publish).await;
    let mut names = BTreeSet::new();
    for it in came {
        let Published::New(branch) = it else { panic!("{it:?}") };
        names.insert(branch.name.to_string());
    }
    assert_eq!(names.len(), MANY);
    // A name that is asked for is given to one of them.
    let publish = |store: Store, i| {
        let new = world.new_branch(&format!("https://other-{i}.example/r.git"), Some("mine"));
        async move { store.publish(&new).await.unwrap() }
    };
    let came = place.at_once(publish).await;
    assert_eq!(count(&came, |it| matches!(it, Published::New(_))), 1);
    assert_eq!(count(&came, |it| matches!(it, Published::NameTaken(_))), MANY - 1);
}

async fn builds_asked_for_at_once_are_one(place: Place) {
    let world = place.open().await;
    for n in 1..=ROUNDS {
        let (branch, revision, candidate) = world.nth(n).await;
        let requests = [world.request(&candidate, "linux", false), world.request(&candidate, "asan", false)];
        let claim = world.claim;
        let ask = |new_revision| {
            let requests = requests.clone();
            move |store: Store, _| {
                let requests = requests.clone();
                async move { store.ask_for_builds(claim, &requests, new_revision).await.unwrap().len() }
            }
        };
        let came = place.at_once(ask(Some(revision.id))).await;
        assert_eq!((came.iter().sum::<usize>(), count(&came, |n| *n == 2)), (2, 1), "one asked for all of them");
        assert_eq!(place.at_once(ask(None)).await.iter().sum::<usize>(), 0);
        accept(&world.store, &branch, &revision, "mia").await.unwrap();
        let for_queue = requests.clone().map(|it| BuildRequest { for_queue: true, ..it });
        let take = |store: Store, _| {
            let for_queue = for_queue.clone();
            async move { store.ask_for_builds(claim, &for_queue, None).await.unwrap().len() }
        };
        assert_eq!(place.at_once(take).await.iter().sum::<usize>(), 0, "the queue takes them over");
        world.one_open_build_each().await;
    }
    assert!(world.store.open_builds().await.unwrap().iter().all(|b| b.for_queue));
}

async fn people_who_ask_at_once_are_given_one_build(place: Place) {
    let world = place.open().await;
    for n in 1..=ROUNDS {
        let (_, _, candidate) = world.nth(n).await;
        let request = world.request(&candidate, "linux", false);
        let ask = |store: Store, i| {
            let request = request.clone();
            async move { store.ask_again(&[request], &format!("person-{i}")).await.unwrap()[0].id }
        };
        let came = place.at_once(ask).await;
        assert!(came.iter().all(|id| *id == came[0]), "all are given the same build: {came:?}");
        assert_eq!(world.events("build-requested").await, n as usize, "one asked");
        world.one_open_build_each().await;
    }
}

async fn a_report_and_giving_up_are_one_end(place: Place) {
    let world = place.open().await;
    let slave = world.slave().await;
    for n in 1..=ROUNDS {
        let (_, revision, candidate) = world.nth(n).await;
        let requests = [world.request(&candidate, "linux", false)];
        let asked = world.store.ask_for_builds(world.claim, &requests, Some(revision.id)).await.unwrap();
        let of = world.store.give_out(asked[0], slave.id).await.unwrap().unwrap().reference();
        let id = slave.id;
        let end = |store: Store, i| async move {
            if i / 2 % 2 == 0 {
                let came = store.report(id, &finished(of, 0, BuildResult::Success)).await.unwrap();
                (matches!(came, Recorded::Ended(1)), false)
            } else {
                let end = Finished { result: BuildResult::Retry, says: "oak was away".to_owned() };
                (false, store.give_up(of, &end).await.unwrap())
            }
        };
        let came = place.at_once(end).await;
        let (reported, given_up) = (count(&came, |it| it.0), count(&came, |it| it.1));
        match world.build(of.build).await.result().unwrap() {
            BuildResult::Success => assert_eq!((reported, given_up), (MANY / 2, 0)),
            BuildResult::Retry => assert_eq!((reported, given_up), (0, 1)),
            other => panic!("{other:?}"),
        }
        assert_eq!(world.events("build-finished").await, n as usize, "one end");
        world.one_open_build_each().await;
    }
}

async fn cancelling_and_an_end_are_told_apart(place: Place) {
    let world = place.open().await;
    let slave = world.slave().await;
    for n in 1..=ROUNDS {
        let (_, revision, candidate) = world.nth(n).await;
        let requests = [world.request(&candidate, "linux", false)];
        let asked = world.store.ask_for_builds(world.claim, &requests, Some(revision.id)).await.unwrap();
        let build = world.store.give_out(asked[0], slave.id).await.unwrap().unwrap();
        let before = world.events("build-cancelled").await;
        let (id, given) = (slave.id, build.clone());
        let act = |store: Store, i| {
            let given = given.clone();
            async move {
                if i % 3 == 0 {
                    store.report(id, &finished(given.reference(), 0, BuildResult::Success)).await.unwrap();
                    return false;
                }
                store.cancel_build(&given, "mia").await.unwrap()
            }
        };
        let cancelled = count(&place.at_once(act).await, |it| *it);
        let told = world.events("build-cancelled").await - before;
        assert_eq!(told, usize::from(cancelled > 0), "{cancelled} were told that it is cancelled");
        let ended = world.build(build.id).await;
        assert_eq!(ended.cancel.is_some(), cancelled > 0);
        assert_eq!(ended.result(), Some(BuildResult::Success));
        assert!(!world.store.cancel_build(&build, "mia").await.unwrap(), "it has ended");
        assert_eq!(world.events("build-cancelled").await - before, told);
    }
}

async fn cancelling_giving_out_and_taking_back_leave_no_cancelled_build_waiting(place: Place) {
    let world = place.open().await;
    let slave = world.slave().await;
    for n in 1..=ROUNDS {
        let (_, revision, candidate) = world.nth(n).await;
        let requests = [world.request(&candidate, "linux", false)];
        let asked = world.store.ask_for_builds(world.claim, &requests, Some(revision.id)).await.unwrap();
        let (build, id) = (world.build(asked[0]).await, slave.id);
        let waiting = build.clone();
        let act = |store: Store, i| {
            let waiting = waiting.clone();
            async move {
                if i == MANY / 2 {
                    assert!(store.cancel_build(&waiting, "mia").await.unwrap(), "it has not ended");
                } else if let Some(given) = store.give_out(waiting.id, id).await.unwrap() {
                    store.take_back(given.reference()).await.unwrap();
                }
            }
        };
        place.at_once(act).await;
        assert_eq!(world.build(build.id).await.result(), Some(BuildResult::Cancelled));
        assert_eq!(world.events("build-cancelled").await, n as usize);
        assert!(world.store.open_builds().await.unwrap().is_empty());
    }
}

async fn moving_and_giving_out_leave_one_open_build(place: Place) {
    let world = place.open().await;
    let slave = world.slave().await;
    for n in 1..=ROUNDS {
        let (branch, revision, candidate) = world.nth(n).await;
        let requests = [world.request(&candidate, "linux", false), world.request(&candidate, "asan", false)];
        let asked = world.store.ask_for_builds(world.claim, &requests, Some(revision.id)).await.unwrap();
        let tip = commit(600 + n);
        let new = NewCandidate { tree: Some(commit(8000 + n)), ..made_as(&tip, commit(7000 + n)) };
        world.store.add_candidate(world.claim, &branch, &revision, &new).await.unwrap();
        let newer = world.store.candidate(revision.id, &tip, TERMS).await.unwrap().unwrap();
        let requests = ["linux", "asan", "new"].map(|name| world.request(&newer, name, false));
        let (claim, id) = (world.claim, slave.id);
        let act = |store: Store, i| {
            let (requests, asked) = (requests.clone(), asked.clone());
            async move {
                match i % 3 {
                    0 => store.move_waiting(claim, requests[0].revision, &requests).await.unwrap(),
                    1 => drop(store.give_out(asked[i / 3 % 2], id).await.unwrap()),
                    _ => drop(store.ask_again(&requests, "mia").await.unwrap()),
                }
            }
        };
        place.at_once(act).await;
        world.one_open_build_each().await;
        for name in ["linux", "asan", "new"] {
            let open = world.store.open_builds().await.unwrap();
            let open = open.iter().any(|b| b.candidate == newer.id && b.builder.name == name);
            assert!(open, "{name} is built on the mainline of now");
        }
    }
}

async fn accepting_and_ending_leave_no_place(place: Place) {
    let world = place.open().await;
    for n in 1..=ROUNDS {
        let (branch, revision, _) = world.nth(n).await;
        let act = |store: Store, i| {
            let (branch, revision) = (branch.clone(), revision.clone());
            async move {
                if i / 2 % 2 == 0 {
                    drop(accept(&store, &branch, &revision, "mia").await);
                    return false;
                }
                matches!(
                    store.end_branch(&branch, BranchState::Withdrawn, "withdrawn by ann", "ann").await.unwrap(),
                    BranchEnd::Now
                )
            }
        };
        assert_eq!(count(&place.at_once(act).await, |ended| *ended), 1);
        assert_eq!(world.events("withdrawn").await, n as usize);
        assert!(world.store.queue(world.project.id).await.unwrap().is_empty(), "what ended is not in the queue");
    }
}

async fn accepting_at_once_is_one_place(place: Place) {
    let world = place.open().await;
    for n in 1..=ROUNDS {
        let (branch, revision, _) = world.nth(n).await;
        let act = |store: Store, i| {
            let (branch, revision) = (branch.clone(), revision.clone());
            async move { accept(&store, &branch, &revision, &format!("person-{i}")).await.unwrap().id }
        };
        let came = place.at_once(act).await;
        assert!(came.iter().all(|id| *id == came[0]), "{came:?}");
        assert_eq!(world.events("accepted").await, n as usize);
    }
}

async fn a_branch_ends_once_and_nothing_is_built_after(place: Place) {
    let world = place.open().await;
    for n in 1..=ROUNDS {
        let (branch, revision, candidate) = world.nth(n).await;
        let requests = [world.request(&candidate, "linux", false), world.request(&candidate, "asan", false)];
        let claim = world.claim;
        let act = |store: Store, i| {
            let (branch, requests, revision) = (branch.clone(), requests.clone(), revision.id);
            async move {
                match i % 4 {
                    0 => drop(store.ask_for_builds(claim, &requests, Some(revision)).await.unwrap()),
                    1 => drop(store.ask_again(&requests, "mia").await.unwrap()),
                    2 => store.move_waiting(claim, revision, &requests).await.unwrap(),
                    _ => drop(store.end_branch(&branch, BranchState::Withdrawn, "withdrawn", "ann").await.unwrap()),
                }
            }
        };
        place.at_once(act).await;
        let open = world.store.open_builds().await.unwrap();
        assert!(open.is_empty(), "{open:?}");
        assert_eq!(world.events("withdrawn").await, n as usize);
    }
}

async fn claiming_at_once_is_one_owner(place: Place) {
    let world = place.open().await;
    let mut fence = world.claim.fence;
    for _ in 0..ROUNDS {
        let project = world.project.id;
        world.store.release_project(Claim { project, fence }).await.unwrap();
        let claim = |store: Store, i| async move {
            store.claim_project(project, &format!("master-{i}"), 60_000).await.unwrap()
        };
        let came: Vec<Claim> = place.at_once(claim).await.into_iter().flatten().collect();
        assert_eq!(came.len(), 1);
        assert!(came[0].fence > fence);
        fence = came[0].fence;
    }
}

async fn pausing_at_once_is_one_event(place: Place) {
    let world = place.open().await;
    for n in 1..=ROUNDS {
        let project = world.project.id;
        for (paused, kind) in [(true, "paused"), (false, "resumed")] {
            let pause = |store: Store, _| async move {
                let done = if paused {
                    store.pause_queue(project, "mia", "").await
                } else {
                    store.resume_queue(project, "mia").await
                };
                done.unwrap()
            };
            assert_eq!(count(&place.at_once(pause).await, |changed| *changed), 1);
            assert_eq!(world.events(kind).await, n as usize);
        }
    }
}

async fn of_maintainers_who_revoke_one_another_one_stays(place: Place) {
    let world = place.open().await;
    let mut all = Vec::new();
    for i in 0..MANY {
        let (name, hash) = (format!("person-{i}"), format!("hash-{i}"));
        all.push(world.store.add_token(TokenKind::Maintainer, &name, false, &hash).await.unwrap().id);
    }
    let revoke = |store: Store, i| {
        let next = all[(i + 1) % MANY];
        async move { store.revoke_token(next).await.unwrap() }
    };
    let came = place.at_once(revoke).await;
    assert_eq!(count(&came, |it| matches!(it, Revoked::LastMaintainer)), 1);
    assert_eq!(count(&came, |it| matches!(it, Revoked::Now(_))), MANY - 1);
}

async fn of_two_who_revoke_each_other_the_first_does(place: Place) {
    let world = place.open().await;
    let mut all = Vec::new();
    for i in 0..MANY {
        let (name, hash) = (format!("person-{i}"), format!("hash-{i}"));
        all.push(world.store.add_token(TokenKind::Maintainer, &name, false, &hash).await.unwrap().id);
    }
    let revoke = |store: Store, i: usize| {
        let (own, other) = (all[i], all[i ^ 1]);
        async move { store.by(Some(own)).revoke_token(other).await }
    };
    let came = place.at_once(revoke).await;
    for pair in came.chunks(2) {
        let refused = count(pair, |it| matches!(it, Err(StoreError::Revoked)));
        assert_eq!((count(pair, |it| matches!(it, Ok(Revoked::Now(_)))), refused), (1, 1), "{pair:?}");
    }
}

/// Events are read while they are written: what is read after number 8 must never have been a 7.
async fn a_follower_sees_each_event_once(place: Place) {
    const EACH: usize = 12;
    let world = place.open().await;
    let store = world.store.clone();
    let follower = tokio::spawn(async move {
        let (mut last, mut seen) = (EventId(0), BTreeMap::<String, usize>::new());
        while seen.len() < MANY * EACH {
            for event in store.events_after(last, 50).await.unwrap() {
                assert!(event.id.0 > last.0);
                last = event.id;
                *seen.entry(event.text).or_default() += 1;
            }
            // All are written, the last one was seen, and another one was not: it came out of order.
            let all = store.events_after(EventId(0), 10_000).await.unwrap().len();
            let missed = all == MANY * EACH && store.newest_event().await.unwrap() == last && seen.len() < all;
            assert!(!missed, "{} of {all} events were seen", seen.len());
        }
        seen
    });
    let project = world.project.id;
    let write = |store: Store, i| async move {
        for n in 0..EACH {
            let it = Happening {
                project: Some(project),
                branch: None,
                build: None,
                kind: "noted",
                look: protocol::api::Look::Waiting,
                text: format!("{i}-{n}"),
                actor: "mia".to_owned(),
            };
            store.record(&it).await.unwrap();
        }
    };
    place.at_once(write).await;
    assert!(follower.await.unwrap().values().all(|times| *times == 1));
}
