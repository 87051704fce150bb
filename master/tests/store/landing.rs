//! What a landing and an acceptance rest on, asked again at the moment that counts.

use super::*;
use master::auth::may_still_accept;
use master::store::{Begun, Counts, FailedBy, Landing, TokenRow};
use std::sync::atomic::{AtomicU32, Ordering};

stories! {
    a_landing_is_recorded_once
    a_landing_rests_on_all_that_was_decided
    what_is_being_pushed_is_not_decided_upon
    an_acceptance_binds_words_and_asks_for_the_right_again
    a_branch_is_trusted_by_the_token_of_now
    what_is_expedited_is_first_until_it_is_put_back
}

impl Place {
    /// Another store of the same kind.
    pub(crate) fn another(&self) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let url = match self.url.strip_prefix("sqlite:") {
            Some(path) => format!("sqlite:{path}-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
            None => testkit::postgres::fresh_database(),
        };
        Self { url }
    }
}

async fn a_landing_is_recorded_once(place: Place) {
    let world = place.open().await;
    let (entry, branch) = world.about_to_land().await;
    let landing = world.begins(&entry).await.unwrap();
    assert!(world.begins(&entry).await.is_none(), "one at a time");
    world.store.landed(&landing).await.unwrap();
    world.store.landed(&landing).await.unwrap();
    world.store.landing_failed(world.claim, &landing, FailedBy::Overtaken, "too late").await.unwrap();
    assert!(world.store.open_landing(world.project.id).await.unwrap().is_none());
    assert_eq!(world.store.entry(entry.id).await.unwrap().landed, Some(landing.to.clone()));
    assert_eq!(world.store.branch_by_id(branch.id).await.unwrap().state, BranchState::Landed);
    assert_eq!(world.store.project_by_id(world.project.id).await.unwrap().tip, Some(landing.to));
    let events = world.store.events_after(EventId(0), 100).await.unwrap();
    assert_eq!(events.iter().filter(|e| e.kind == "landed").count(), 1);
}

impl World {
    /// An entry whose candidate could land at once.
    async fn about_to_land(&self) -> (Entry, Branch) {
        let branch = self.branch().await;
        let revision = self.revision(&branch, 1).await;
        let candidate = self.candidate(&branch, &revision).await;
        self.store.set_tip(self.claim, None, &candidate.mainline, "").await.unwrap();
        let token = self.store.add_token(TokenKind::Maintainer, "olga", false, "hash of olga").await.unwrap();
        self.store.add_token(TokenKind::Maintainer, "mia", false, "hash of mia").await.unwrap();
        let terms = Terms { json: "{}".to_owned(), hash: TERMS.to_owned() };
        let it = Acceptance {
            branch: &branch,
            revision: &revision,
            actor: "olga",
            token: Some(token.id),
            terms,
            needs: None,
            counts: Counts::AtOnce,
        };
        let Accepted::Entry(entry) = self.store.accept(&it, may_still_accept, |_| false).await.unwrap() else {
            panic!()
        };
        let next = Next { who: "bb".to_owned(), what: "lands it".to_owned() };
        let standing = Standing { code: "testing".to_owned(), says: "tested".to_owned(), next };
        self.store.set_standing(self.claim, &entry, Some(candidate.id), &standing).await.unwrap();
        (self.store.entry(entry.id).await.unwrap(), branch)
    }

    async fn begins(&self, entry: &Entry) -> Option<Landing> {
        let candidate = self.store.candidate(entry.revision, &commit(500), TERMS).await.unwrap();
        let line = [Member { entry: entry.id, candidate: candidate.map(|it| it.id), commit: commit(1001) }];
        match self.store.begin_landing(self.claim, &commit(500), &line, may_still_accept).await.unwrap() {
            Begun::Yes(landing) => Some(landing),
            Begun::Not => None,
        }
    }
}

/// Whatever of what a landing rests on is not so any more: it is not begun.
async fn a_landing_rests_on_all_that_was_decided(place: Place) {
    let _ = place.open().await;
    for change in [
        "UPDATE project SET paused = 1",
        "UPDATE project SET tip = '0000000000000000000000000000000000000009'",
        "UPDATE branch SET state = 'withdrawn'",
        "UPDATE queue_entry SET state = 'ejected'",
        "UPDATE queue_entry SET candidate_id = NULL",
        "UPDATE queue_entry SET terms_hash = 'other words'",
        "UPDATE candidate SET commit_id = '0000000000000000000000000000000000000009'",
        "UPDATE token SET revoked_ms = 1 WHERE name = 'olga'",
        "UPDATE token SET kind = 'publisher' WHERE name = 'olga'",
        "UPDATE queue_entry SET token_id = NULL",
        "UPDATE queue_entry SET when_green = 1",
        "",
    ] {
        let place = place.another();
        let world = place.open().await;
        let (entry, _) = world.about_to_land().await;
        if !change.is_empty() {
            let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
            sqlx::query(change).execute(&pool).await.unwrap();
            pool.close().await;
        }
        assert_eq!(world.begins(&entry).await.is_some(), change.is_empty(), "{change}");
    }
}

/// While a commit of a branch is on its way to mainline, nobody is told anything that may turn out otherwise.
async fn what_is_being_pushed_is_not_decided_upon(place: Place) {
    let world = place.open().await;
    let (entry, branch) = world.about_to_land().await;
    let landing = world.begins(&entry).await.unwrap();
    let standing = Standing { code: "ejected-conflict".to_owned(), ..entry.standing.clone() };
    assert!(!world.store.eject(world.claim, &entry, None, &standing).await.unwrap());
    assert!(!world.store.retire(world.claim, &entry, &commit(500), &standing).await.unwrap());
    let ended = world.store.end_branch(&branch, BranchState::Withdrawn, "withdrawn", "ann").await.unwrap();
    assert!(matches!(ended, BranchEnd::BeingPushed(_)));
    let second = world.revision(&branch, 2).await;
    assert!(accept(&world.store, &branch, &second, "olga").await.is_none());
    assert!(matches!(world.publish("https://ann.example/r.git", None).await, Published::BeingPushed(_)));
    assert!(world.store.pause_queue(world.project.id, "mia", "").await.unwrap(), "recorded: nothing else lands");
    world.store.set_standing(world.claim, &entry, None, &standing).await.unwrap();
    let stands = world.store.entry(entry.id).await.unwrap();
    assert_eq!((stands.standing.code.as_str(), stands.candidate), ("landing", entry.candidate));

    // It failed: everything is possible again; and found on mainline later on it has landed after all, once.
    world.store.landing_failed(world.claim, &landing, FailedBy::Overtaken, "it seemed").await.unwrap();
    let newer = accept(&world.store, &branch, &second, "olga").await.unwrap();
    assert_eq!(world.store.entry(entry.id).await.unwrap().standing.code, "replaced");
    assert!(world.store.unlanded_of(branch.id).await.unwrap());
    assert_eq!(world.store.unlanded(world.project.id).await.unwrap()[0].to, landing.to);
    world.store.landed(&landing).await.unwrap();
    assert_eq!(world.store.entry(newer.id).await.unwrap().standing.code, "replaced", "none of its places is left");
    assert!(world.store.queue(world.project.id).await.unwrap().is_empty());
    assert!(world.store.unlanded(world.project.id).await.unwrap().is_empty());
    assert_eq!(world.store.branch_by_id(branch.id).await.unwrap().state, BranchState::Landed);
}

/// An acceptance is bound to its words and its day, and to whoever may accept when it matters.
async fn an_acceptance_binds_words_and_asks_for_the_right_again(place: Place) {
    let world = place.open().await;
    let (entry, branch) = world.about_to_land().await;
    world.store.describe_branch(&branch, "Another title", &[], "ann").await.unwrap();
    assert_eq!(world.store.entry(entry.id).await.unwrap().terms, entry.terms);
    let revision = world.store.newest_revision(branch.id).await.unwrap().unwrap();
    let again = |terms: &str, token| {
        let terms = Terms { json: terms.to_owned(), hash: terms.to_owned() };
        (terms, token)
    };
    let mia = world.store.token_by_hash("hash of mia").await.unwrap().unwrap();
    let accepts = async |(terms, token): (Terms, _)| {
        let it = Acceptance {
            branch: &branch,
            revision: &revision,
            actor: "mia",
            token,
            terms,
            needs: None,
            counts: Counts::AtOnce,
        };
        let Accepted::Entry(entry) = world.store.accept(&it, may_still_accept, |_| false).await.unwrap() else {
            panic!()
        };
        *entry
    };
    let same = accepts((entry.terms.clone(), Some(mia.id))).await;
    assert_eq!((same.id, same.accepted_by.as_str()), (entry.id, "olga"), "one acceptance");
    // Of another day: what the first one bound stays.
    let other_day = Terms { json: "{\"day\": 2}".to_owned(), hash: "of another day".to_owned() };
    let it = Acceptance {
        branch: &branch,
        revision: &revision,
        actor: "mia",
        token: Some(mia.id),
        terms: other_day,
        needs: None,
        counts: Counts::AtOnce,
    };
    let in_same_words = |held: &Terms| held.hash == TERMS;
    let Accepted::Entry(again_now) = world.store.accept(&it, may_still_accept, in_same_words).await.unwrap() else {
        panic!()
    };
    assert_eq!((again_now.id, &again_now.terms, again_now.accepted_by.as_str()), (entry.id, &entry.terms, "olga"));
    let nobody = |_: Option<&TokenRow>, _: &Branch| false;
    let Accepted::Entry(taken_over) = world.store.accept(&it, nobody, in_same_words).await.unwrap() else { panic!() };
    assert_eq!((&taken_over.terms, taken_over.accepted_by.as_str()), (&entry.terms, "mia"));
    let other = accepts(again("other words", Some(mia.id))).await;
    assert_eq!((other.id, other.accepted_by.as_str(), other.terms.hash.as_str()), (entry.id, "mia", "other words"));
    world.store.revoke_token(mia.id).await.unwrap();
    let olga = world.store.token_by_hash("hash of olga").await.unwrap().unwrap();
    let it = again("other words", Some(olga.id));
    let anew = accepts(it).await;
    assert_eq!((anew.id, anew.token), (entry.id, Some(olga.id)), "whoever may takes it over");
}

/// A publisher is trusted for as long as the token is.
async fn a_branch_is_trusted_by_the_token_of_now(place: Place) {
    let world = place.open().await;
    world.store.add_token(TokenKind::Maintainer, "mia", false, "hash of mia").await.unwrap();
    let token = world.store.add_token(TokenKind::Publisher, "ann", true, "hash of ann").await.unwrap();
    let new = NewBranch { token: Some(token.id), ..world.new_branch("https://ann.example/r.git", None) };
    let Published::New(branch) = world.store.publish(&new).await.unwrap() else { panic!() };
    assert!(branch.trusted);
    world.store.revoke_token(token.id).await.unwrap();
    let readings = [
        world.store.branch_by_id(branch.id).await.unwrap(),
        world.store.branch(world.project.id, &branch.name).await.unwrap().unwrap(),
        world.store.branches(world.project.id, 9).await.unwrap().remove(0),
        world.store.due_looks(world.project.id, UnixMs(i64::MAX), 9).await.unwrap().remove(0).branch,
    ];
    assert!(readings.iter().all(|branch| !branch.trusted), "{readings:?}");
}

async fn what_is_expedited_is_first_until_it_is_put_back(place: Place) {
    let world = place.open().await;
    let mut entries = Vec::new();
    for (number, name) in [(1, "first"), (2, "second"), (3, "third")] {
        let url = format!("https://ann.example/{name}.git");
        let Published::New(branch) = world.publish(&url, Some(name)).await else { panic!() };
        let revision = world.revision(&branch, number).await;
        entries.push((accept(&world.store, &branch, &revision, "olga").await.unwrap().id, branch));
    }
    let order = async || {
        let queued = world.store.queue(world.project.id).await.unwrap();
        let ids: Vec<i64> = queued.iter().map(|entry| entry.id).collect();
        let places = world.store.places_in_queue(world.project.id, ids.iter().copied()).await.unwrap();
        assert!((1..).zip(&ids).all(|(place, id)| places[id] == place), "{ids:?} {places:?}");
        let place = |id: &i64| entries.iter().position(|(entry, _)| entry == id).unwrap();
        ids.iter().map(place).collect::<Vec<_>>()
    };
    world.store.set_priority(&entries[1].1, 9, "olga").await.unwrap();
    assert_eq!(order().await, [1, 0, 2]);
    world.store.expedite(&entries[2].1, Some("the site is down"), "olga").await.unwrap();
    assert_eq!(order().await, [2, 1, 0]);
    let word = world.store.entry(entries[2].0).await.unwrap().expedite.unwrap();
    assert_eq!((word.by.as_str(), word.reason.as_str()), ("olga", "the site is down"));
    world.store.expedite(&entries[2].1, None, "olga").await.unwrap();
    assert_eq!(order().await, [1, 0, 2]);
    assert!(world.store.entry(entries[2].0).await.unwrap().expedite.is_none());
}
