//! Listings: every branch that ended is on one page, and found by what is said of it.

use super::*;
use master::store::{After, Kind, Narrow, Sought};

stories! {
    branches_that_ended_are_all_on_some_page
    a_search_is_over_all_and_counts_them
}

impl World {
    async fn ends(&self, name: &str, title: &str, author: &str) -> Branch {
        let new =
            NewBranch { title: title.to_owned(), ..self.new_branch(&format!("https://x.example/{name}"), Some(name)) };
        let Published::New(branch) = self.store.publish(&new).await.unwrap() else { panic!("{name} is new") };
        let revision = NewRevision {
            number: 1,
            commit: commit(1),
            subject: "Begin".to_owned(),
            title: "Begin".to_owned(),
            author: author.to_owned(),
            commits: 1,
            refusal: None,
        };
        self.store.add_revision(self.claim, &branch, &revision).await.unwrap();
        self.store.end_branch(&branch, BranchState::Withdrawn, "withdrawn by ann", "ann").await.unwrap();
        branch
    }

    /// All names that pages of `limit` give, one after the other.
    async fn pages(&self, narrow: &Narrow, limit: usize) -> Vec<String> {
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.listed(self.project.id, Kind::Ended, narrow, after, limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { return names };
            after = Some(After { changed: last.changed, id: last.id });
            names.extend(page.iter().map(|b| b.name.to_string()));
        }
    }
}

async fn branches_that_ended_are_all_on_some_page(place: Place) {
    let world = place.open().await;
    let mut expected = Vec::new();
    for n in 0..25 {
        let name = format!("b{n}");
        world.ends(&name, "", "Ann").await;
        expected.push(name);
    }
    world.branch().await;
    expected.sort();
    for limit in [1, 7, 25, 100] {
        let mut names = world.pages(&Narrow::default(), limit).await;
        names.sort();
        assert_eq!(names, expected, "by {limit}");
    }
    assert_eq!(world.store.count_listed(world.project.id, Kind::Ended, &Narrow::default()).await.unwrap(), 25);
    let newest = world.pages(&Narrow::default(), 100).await;
    world.ends("later", "", "Ann").await;
    assert_eq!(world.pages(&Narrow::default(), 100).await[1..], newest, "last changed first");
}

async fn a_search_is_over_all_and_counts_them(place: Place) {
    let world = place.open().await;
    for n in 0..20 {
        world.ends(&format!("old-{n}"), &format!("Title {n}"), "Ann").await;
    }
    world.ends("spool_fix", "Ändere 50 % der Größe", "Bob").await;
    world.ends("spool-fix", "", "Cat").await;
    let count = async |text: &str| {
        let narrow = Narrow { sought: Sought::new(text), ..Narrow::default() };
        let names = world.pages(&narrow, 3).await;
        let counted = world.store.count_listed(world.project.id, Kind::Ended, &narrow).await.unwrap();
        assert_eq!(counted, names.len() as u64, "{text}: {names:?}");
        names.len()
    };
    for (text, expected) in [
        ("OLD-1", 11),
        ("title 7", 1),
        ("ann", 22), // the publisher's name, too
        ("bob", 1),
        ("spool_", 1),
        ("spool%", 0),
        ("50 %", 1),
        ("ÄNDERE", 1),
        ("größe", 1),
        ("412", 22),
        ("\"412\"", 0),
        ("withdrawn", 22),
        ("landed", 0),
        ("begin", 1),
        ("feature", 22),
        ("nothing of this", 0),
        ("'; DROP TABLE branch; --", 0),
        ("  ", 22),
    ] {
        assert_eq!(count(text).await, expected, "{text}");
    }
}
