//! A store that went back, because it was restored from a backup, gives out numbers again: nobody takes the new for the old.

use super::*;
use master::store::{Happening, Master};
use protocol::api::{EventMark, Look};

stories! {
    a_place_in_the_events_is_one_of_its_history_or_is_told
    a_build_that_has_the_number_of_another_has_no_fencing_number_of_its
}

fn master(word: &str) -> Master {
    let owner = format!("{word}@host");
    Master { owner, place: String::new(), says: String::new(), beat: 0, until_ms: 0 }
}

impl World {
    /// A master's start.
    async fn starts(&self, word: &str) {
        assert_eq!(self.store.take(&master(word), 1000, |_| true).await.unwrap(), None);
    }

    async fn happens(&self, times: usize) {
        for _ in 0..times {
            let it = Happening {
                project: Some(self.project.id),
                branch: None,
                build: None,
                kind: "noted",
                look: Look::Waiting,
                text: String::new(),
                actor: "mia".to_owned(),
            };
            self.store.record(&it).await.unwrap();
        }
    }

    async fn resumes(&self, event: i64, word: &str) -> bool {
        let mark = EventMark { event: EventId(event), epoch: word.to_owned() };
        let found = self.store.resume(&mark).await.unwrap();
        assert!(found.is_none_or(|after| after == mark.event));
        found.is_some()
    }
}

async fn a_place_in_the_events_is_one_of_its_history_or_is_told(place: Place) {
    let world = place.open().await;
    world.starts("first").await;
    world.happens(3).await;
    // Here the backup ends of which this store was restored: others have seen numbers 4 to 9 meanwhile, of which it knows
    // nothing, also of another start.
    world.starts("restored").await;
    for (event, word, known) in [
        (0, "", true),
        (0, "nobody", true),
        (2, "first", true),
        (3, "first", true),
        (4, "first", false),
        (9, "first", false),
        (3, "lost", false),
        (3, "restored", true),
        (4, "restored", false),
        (2, "", false),
    ] {
        assert_eq!(world.resumes(event, word).await, known, "{event}-{word}");
    }
    // However far it comes by itself.
    world.happens(20).await;
    world.starts("again").await;
    for (event, word, known) in [(9, "first", false), (9, "lost", false), (9, "restored", true), (23, "again", true)] {
        assert_eq!(world.resumes(event, word).await, known, "{event}-{word}");
    }
}

async fn a_build_that_has_the_number_of_another_has_no_fencing_number_of_its(place: Place) {
    let mut given = Vec::new();
    for word in ["first", "restored"] {
        let place = place.another();
        let mut world = place.open().await;
        world.starts(word).await;
        world.claim = world.store.claim_project(world.project.id, "me", 60_000).await.unwrap().unwrap();
        let (.., build) = world.waiting().await;
        let slave = world.slave().await;
        given.push(world.store.give_out(build.id, slave.id).await.unwrap().unwrap().reference());
    }
    assert_eq!(given[0].build, given[1].build);
    assert!(given[0].fence.0.abs_diff(given[1].fence.0) > 1000, "{given:?}");
    assert!(given.iter().all(|of| of.fence.0 < 1 << 52), "every reader of JSON knows it: {given:?}");
}
