//! Listings of builds: newest first, each on one page, whatever comes meanwhile.

use super::*;
use master::store::{BuildRowState, Which};
use protocol::BuildId;

stories! {
    every_build_is_on_one_page_newest_first
    builds_are_told_apart_by_all_that_is_asked
    what_was_said_before_a_build_is_the_branchs_and_the_builders_own
}

impl World {
    /// Builds of a new branch by these builders.
    async fn builds_of(&self, name: &str, builders: &[&str]) -> (Branch, Vec<BuildId>) {
        let published = self.publish(&format!("https://x.example/{name}"), Some(name)).await;
        let Published::New(branch) = published else { panic!("{published:?}") };
        let revision = self.revision(&branch, 1).await;
        let candidate = self.candidate(&branch, &revision).await;
        let mut ids = Vec::new();
        for builder in builders {
            let requests = [self.request(&candidate, builder, false)];
            ids.extend(self.store.ask_for_builds(self.claim, &requests, None).await.unwrap());
        }
        (branch, ids)
    }

    async fn listed_ids(&self, which: &Which) -> Vec<BuildId> {
        let page = self.store.listed_builds(self.project.id, which, 100).await.unwrap();
        assert_eq!(page.next, None);
        page.builds.iter().map(|build| build.id).collect()
    }
}

async fn every_build_is_on_one_page_newest_first(place: Place) {
    let world = place.open().await;
    let (_, mut ids) = world.builds_of("many", &["a", "b", "c", "d", "e", "f", "g"]).await;
    ids.reverse();
    for limit in [1, 3, 7, 50] {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let which = Which { before, ..Which::default() };
            let page = world.store.listed_builds(world.project.id, &which, limit).await.unwrap();
            assert!(page.builds.len() <= limit);
            seen.extend(page.builds.iter().map(|build| build.id));
            if seen.len() == limit {
                // What comes meanwhile moves nothing.
                world.builds_of(&format!("meanwhile-{limit}"), &["z"]).await;
            }
            match page.next {
                Some(next) => before = Some(next),
                None => break,
            }
        }
        seen.retain(|id| ids.contains(id));
        assert_eq!(seen, ids, "by {limit}");
    }
}

async fn builds_are_told_apart_by_all_that_is_asked(place: Place) {
    let world = place.open().await;
    let slave = world.slave().await;
    let (one, first) = world.builds_of("one", &["linux", "asan", "docs"]).await;
    let (two, second) = world.builds_of("two", &["linux"]).await;
    for (id, result) in [(first[0], BuildResult::Success), (second[0], BuildResult::Failure)] {
        let given = world.store.give_out(id, slave.id).await.unwrap().unwrap();
        let report = finished(given.reference(), 0, result);
        world.store.report(slave.id, &report).await.unwrap();
    }
    world.store.give_out(first[1], slave.id).await.unwrap().unwrap();
    let all = Which::default();
    let of = |is| Which { is: Some(is), ..all.clone() };
    let finished = |result| of(BuildRowState::Finished(result));
    let linux = Which { builder: Some("linux".to_owned()), ..all.clone() };
    let of_one = Which { branch: Some(one.id), ..all.clone() };
    let of_oak = Which { slave: Some(slave.id), ..all.clone() };
    for (which, expected) in [
        (all.clone(), vec![second[0], first[2], first[1], first[0]]),
        (of_one.clone(), vec![first[2], first[1], first[0]]),
        (linux.clone(), vec![second[0], first[0]]),
        (of_oak.clone(), vec![second[0], first[1], first[0]]),
        (of(BuildRowState::Waiting), vec![first[2]]),
        (of(BuildRowState::Running), vec![first[1]]),
        (finished(BuildResult::Failure), vec![second[0]]),
        (finished(BuildResult::Cancelled), vec![]),
        (Which { branch: Some(two.id), ..linux.clone() }, vec![second[0]]),
        (Which { branch: Some(two.id), ..finished(BuildResult::Success) }, vec![]),
        (Which { slave: Some(slave.id), ..linux.clone() }, vec![second[0], first[0]]),
        (Which { builder: Some("linux".to_owned()), ..finished(BuildResult::Success) }, vec![first[0]]),
        (Which { before: Some(first[2]), ..of_oak }, vec![first[1], first[0]]),
        (Which { builder: Some("nobody's".to_owned()), ..all.clone() }, vec![]),
    ] {
        assert_eq!(world.listed_ids(&which).await, expected, "{which:?}");
    }
    let page = world.store.listed_builds(world.project.id, &linux, 1).await.unwrap();
    let line = &page.builds[0];
    assert_eq!((line.branch.as_str(), line.revision, line.builder.as_str()), ("two", 1, "linux"));
    assert_eq!(line.slave.as_ref().map(|name| name.as_str()), Some("oak"));
    assert_eq!(page.next, Some(second[0]));
}

async fn what_was_said_before_a_build_is_the_branchs_and_the_builders_own(place: Place) {
    let world = place.open().await;
    let slave = world.slave().await;
    world.builds_of("other", &["linux"]).await;
    let (one, _) = world.builds_of("one", &["asan"]).await;
    let mut before = Vec::new();
    for (number, result) in
        [(1, BuildResult::Success), (2, BuildResult::Failure), (3, BuildResult::Exception), (4, BuildResult::Success)]
    {
        let revision = world.revision(&one, number + 1).await;
        let candidate = world.candidate(&one, &revision).await;
        let request = [world.request(&candidate, "linux", false)];
        let id = world.store.ask_for_builds(world.claim, &request, None).await.unwrap()[0];
        let waiting = world.store.build(id).await.unwrap().unwrap();
        let while_it_waits = world.store.result_before(&waiting).await.unwrap();
        let given = world.store.give_out(id, slave.id).await.unwrap().unwrap();
        world.store.report(slave.id, &finished(given.reference(), 0, result)).await.unwrap();
        let ended = world.store.build(id).await.unwrap().unwrap();
        assert_eq!(world.store.result_before(&ended).await.unwrap(), while_it_waits, "it stays what it was");
        before.push(while_it_waits);
    }
    assert_eq!(before, [None, Some(BuildResult::Success), Some(BuildResult::Failure), Some(BuildResult::Failure)]);
}
