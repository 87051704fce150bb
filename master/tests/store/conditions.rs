//! What was read before a write may not be so any more when it is made: nothing is done then, and it is said.

use super::*;
use master::store::{Finished, Heard, Interest, Topics, Trouble};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

stories! {
    under_a_claim_that_is_anothers_nothing_is_written
    looking_now_said_during_a_look_is_not_lost
    a_look_at_a_branch_that_ended_is_not_recorded
    cancelling_what_has_ended_is_no_event
    a_build_cancelled_before_its_slave_began_it_has_ended
    an_interrupted_build_is_asked_for_again_while_one_open_build_is_allowed
    another_recipes_builder_gives_way_to_the_queues
    nothing_is_asked_for_what_nobody_waits_for
    an_older_connections_end_does_not_hide_the_newer_one
    a_revoked_token_counts_no_more
    what_changed_nothing_wakes_nobody
    a_candidate_being_made_is_not_outdated
    an_older_store_with_two_open_builds_is_mended
    names_are_given_out_one_after_the_other
}

async fn under_a_claim_that_is_anothers_nothing_is_written(place: Place) {
    let world = place.open().await;
    let (branch, revision, candidate, build) = world.waiting().await;
    let stale = world.claim;
    world.store.release_project(stale).await.unwrap();
    world.store.claim_project(world.project.id, "another", 60_000).await.unwrap().unwrap();
    let events = world.store.newest_event().await.unwrap();
    let store = &world.store;
    let requests = [world.request(&candidate, "asan", false)];
    let trouble = Trouble { code: "x".to_owned(), text: "x".to_owned(), hint: "x".into() };
    let new = NewRevision {
        number: 2,
        commit: commit(2),
        subject: String::new(),
        title: String::new(),
        author: String::new(),
        commits: 1,
        refusal: None,
    };
    let lost = |result: Result<(), StoreError>| assert!(matches!(result, Err(StoreError::ClaimLost)), "{result:?}");
    lost(store.set_tip(stale, None, &commit(9), "").await);
    lost(store.set_project_trouble(stale, Some(("x", "x"))).await);
    lost(store.add_revision(stale, &branch, &new).await.map(drop));
    lost(store.looked(stale, &branch, Some(&trouble), UnixMs(1)).await);
    lost(store.ask_for_builds(stale, &requests, Some(revision.id)).await.map(drop));
    lost(store.move_waiting(stale, revision.id, &requests).await);
    assert_eq!(store.newest_event().await.unwrap(), events);
    assert_eq!(store.newest_revision(branch.id).await.unwrap().unwrap().number, 1);
    assert_eq!(store.open_builds().await.unwrap().iter().map(|b| b.id).collect::<Vec<_>>(), [build.id]);
    let kept = store.branch_by_id(branch.id).await.unwrap();
    assert!(kept.trouble.is_none() && kept.looked.is_none());
}

async fn looking_now_said_during_a_look_is_not_lost(place: Place) {
    let world = place.open().await;
    world.branch().await;
    let due = async || world.store.due_looks(world.project.id, UnixMs(i64::MAX), 1).await.unwrap().remove(0).branch;
    let began = due().await;
    let later = UnixMs(began.next_look.0 + 3_600_000);
    // Also when it is said in the same millisecond.
    world.publish("https://ann.example/r.git", None).await;
    world.store.looked(world.claim, &began, None, later).await.unwrap();
    let again = due().await;
    assert!(again.next_look < later, "another look is due");
    assert!(again.looked.is_some());
    world.store.looked(world.claim, &again, None, later).await.unwrap();
    let quiet = due().await;
    assert_eq!(quiet.next_look, later);
    // Said while none is under way by nobody in particular, it would have the host asked on and on.
    world.publish("https://ann.example/r.git", None).await;
    assert_eq!(due().await.next_look, later);
    // By somebody, it is due at once.
    let ann = world.store.add_token(TokenKind::Publisher, "ann", false, "hash of ann").await.unwrap();
    let by_ann = NewBranch { token: Some(ann.id), ..world.new_branch("https://ann.example/r.git", None) };
    world.store.publish(&by_ann).await.unwrap();
    assert!(due().await.next_look < later);
}

async fn a_look_at_a_branch_that_ended_is_not_recorded(place: Place) {
    let world = place.open().await;
    let branch = world.branch().await;
    world.store.end_branch(&branch, BranchState::Withdrawn, "withdrawn", "ann").await.unwrap();
    let trouble = Trouble { code: "gone".to_owned(), text: "gone".to_owned(), hint: "".into() };
    world.store.looked(world.claim, &branch, Some(&trouble), UnixMs(1)).await.unwrap();
    let new = NewRevision {
        number: 1,
        commit: commit(1),
        subject: String::new(),
        title: String::new(),
        author: String::new(),
        commits: 1,
        refusal: None,
    };
    assert!(world.store.add_revision(world.claim, &branch, &new).await.unwrap().is_none());
    let events = world.store.events_after(EventId(0), 100).await.unwrap();
    assert_eq!(events.last().unwrap().kind, "withdrawn");
    assert!(world.store.branch_by_id(branch.id).await.unwrap().trouble.is_none());
}

async fn cancelling_what_has_ended_is_no_event(place: Place) {
    let world = place.open().await;
    let (.., build) = world.waiting().await;
    let slave = world.slave().await;
    let given = world.store.give_out(build.id, slave.id).await.unwrap().unwrap();
    world.store.report(slave.id, &finished(given.reference(), 0, BuildResult::Success)).await.unwrap();
    // As it was read while it ran.
    assert!(!world.store.cancel_build(&given, "mia").await.unwrap());
    let events = world.store.events_after(EventId(0), 100).await.unwrap();
    assert!(events.iter().all(|e| e.kind != "build-cancelled"));
    assert!(world.build(build.id).await.cancel.is_none());
}

async fn a_build_cancelled_before_its_slave_began_it_has_ended(place: Place) {
    let world = place.open().await;
    let (.., build) = world.waiting().await;
    let slave = world.slave().await;
    let given = world.store.give_out(build.id, slave.id).await.unwrap().unwrap();
    assert!(world.store.cancel_build(&given, "mia").await.unwrap());
    assert!(world.store.take_back(given.reference()).await.unwrap());
    assert_eq!(world.build(build.id).await.result(), Some(BuildResult::Cancelled));
    assert!(world.store.give_out(build.id, slave.id).await.unwrap().is_none());
}

async fn an_interrupted_build_is_asked_for_again_while_one_open_build_is_allowed(place: Place) {
    let world = place.open().await;
    let (_, _, candidate, build) = world.waiting().await;
    let slave = world.slave().await;
    let of = world.store.give_out(build.id, slave.id).await.unwrap().unwrap().reference();
    let lost = Finished { result: BuildResult::Retry, says: "oak was away".to_owned() };
    assert!(world.store.give_up(of, &lost).await.unwrap());
    let again = world.build(build.id).await.retried_as.unwrap();
    let same = world.store.ask_again(&[world.request(&candidate, "linux", false)], "mia").await.unwrap();
    assert_eq!(same[0].id, again, "the one that runs it again is the one that is asked for");
    // One that is to be cancelled is none that anybody waits for.
    let given = world.store.give_out(again, slave.id).await.unwrap().unwrap();
    assert!(world.store.cancel_build(&given, "mia").await.unwrap());
    let newer = world.store.ask_again(&[world.request(&candidate, "linux", false)], "mia").await.unwrap();
    assert_ne!(newer[0].id, again);
}

async fn another_recipes_builder_gives_way_to_the_queues(place: Place) {
    let world = place.open().await;
    let (branch, revision, candidate, waits) = world.waiting().await;
    let slave = world.slave().await;
    let asan = [world.request(&candidate, "asan", false)];
    let runs = world.store.ask_for_builds(world.claim, &asan, None).await.unwrap()[0];
    world.store.give_out(runs, slave.id).await.unwrap().unwrap();
    accept(&world.store, &branch, &revision, "mia").await.unwrap();
    // The candidate's own recipe has builders of these names that do something else.
    let own = ["linux", "asan"].map(|name| {
        let mut it = world.request(&candidate, name, true);
        it.builder.steps[0].run = Run::Shell("make own".to_owned());
        it
    });
    let asked = world.store.ask_for_builds(world.claim, &own, None).await.unwrap();
    let turned = world.build(waits.id).await;
    assert_eq!((turned.builder, turned.for_queue), (own[0].builder.clone(), true), "what waits is turned into it");
    assert!(world.build(runs).await.cancel.is_some(), "what runs is stopped");
    assert_eq!(world.build(asked[0]).await.builder, own[1].builder);
    // What the branch alone would have does not take the queue's place.
    let mainlines = ["linux", "asan"].map(|name| world.request(&candidate, name, false));
    assert!(world.store.ask_for_builds(world.claim, &mainlines, None).await.unwrap().is_empty());
    assert_eq!(world.build(waits.id).await.builder, own[0].builder);
}

async fn nothing_is_asked_for_what_nobody_waits_for(place: Place) {
    let world = place.open().await;
    let (branch, first, candidate, _) = world.waiting().await;
    let of_first = [world.request(&candidate, "asan", false)];
    let for_queue = [world.request(&candidate, "asan", true)];
    let ask = async |requests: &[BuildRequest]| world.store.ask_for_builds(world.claim, requests, None).await.unwrap();
    assert!(ask(&for_queue).await.is_empty(), "it is not in the queue");
    accept(&world.store, &branch, &first, "mia").await.unwrap();
    let second = world.revision(&branch, 2).await;
    assert!(ask(&of_first).await.is_empty(), "a newer revision has come");
    world.store.move_waiting(world.claim, first.id, &of_first).await.unwrap();
    assert!(world.store.open_builds().await.unwrap().is_empty());
    assert_eq!(ask(&for_queue).await.len(), 1, "the queue still waits for it");
    let of_second = [world.request(&world.candidate(&branch, &second).await, "asan", false)];
    world.store.end_branch(&branch, BranchState::Withdrawn, "withdrawn", "ann").await.unwrap();
    let new = world.store.ask_for_builds(world.claim, &of_second, Some(second.id)).await.unwrap();
    assert!(new.is_empty() && ask(&for_queue).await.is_empty(), "the branch has ended");
    assert!(world.store.ask_again(&of_second, "mia").await.unwrap().is_empty());
    assert!(world.store.open_builds().await.unwrap().is_empty());
    // What was not asked for then is asked for when it comes back.
    assert!(!world.store.revision_by_id(second.id).await.unwrap().builds_asked);
}

async fn an_older_connections_end_does_not_hide_the_newer_one(place: Place) {
    let world = place.open().await;
    let older = world.slave().await;
    let token = world.store.add_token(TokenKind::Slave, "oak", false, "another").await.unwrap();
    let newer = world.store.slave_connected(token.id, &hello()).await.unwrap().unwrap();
    world.store.slave_said(&newer, &Word { reason: "free".to_owned(), ..Word::nobody(UnixMs(5)) }).await.unwrap();
    world.store.slave_said(&older, &Word { says: Availability::Unavailable, ..Word::nobody(UnixMs(6)) }).await.unwrap();
    world.store.slave_gone(&older).await.unwrap();
    let slave = world.store.slaves().await.unwrap().remove(0);
    assert!(slave.connected);
    assert_eq!((slave.said, slave.said_reason.as_str()), (Availability::Eager, "free"));
    world.store.slave_gone(&newer).await.unwrap();
    assert!(!world.store.slaves().await.unwrap()[0].connected);
}

async fn a_revoked_token_counts_no_more(place: Place) {
    let world = place.open().await;
    let store = &world.store;
    let publisher = store.add_token(TokenKind::Publisher, "ann", true, "publisher").await.unwrap();
    let slave = store.add_token(TokenKind::Slave, "oak", false, "slave").await.unwrap();
    let new = world.new_branch("https://ann.example/r.git", None);
    for token in [publisher.id, slave.id] {
        assert!(store.token_counts(token).await.unwrap());
        assert!(matches!(store.revoke_token(token).await.unwrap(), Revoked::Now(_)));
        assert!(!store.token_counts(token).await.unwrap());
        assert!(!store.begin_session("session", token).await.unwrap());
    }
    assert!(matches!(store.by(Some(publisher.id)).publish(&new).await, Err(StoreError::Revoked)));
    assert!(store.slave_connected(slave.id, &hello()).await.unwrap().is_none());
    assert!(store.branches(world.project.id, 10).await.unwrap().is_empty());
    assert!(store.slaves().await.unwrap().is_empty());
}

async fn what_changed_nothing_wakes_nobody(place: Place) {
    let world = place.open().await;
    let (branch, revision, candidate, build) = world.waiting().await;
    let slave = world.slave().await;
    let given = world.store.give_out(build.id, slave.id).await.unwrap().unwrap();
    let requests = [world.request(&candidate, "linux", false)];
    world.store.set_tip(world.claim, None, &commit(9), "").await.unwrap();
    let looked = world.store.branch_by_id(branch.id).await.unwrap();
    let old = BuildRef { fence: Fence(given.fence.0 - 1), ..given.reference() };
    let lost = Finished { result: BuildResult::Retry, says: "away".to_owned() };
    let store = &world.store;
    let changes = store.listen(Interest { project: None, topics: Topics::ALL, id: None });
    store.set_tip(world.claim, Some(&commit(9)), &commit(9), "").await.unwrap();
    store.set_project_trouble(world.claim, None).await.unwrap();
    store.resume_queue(world.project.id, "mia").await.unwrap();
    store.looked(world.claim, &looked, None, UnixMs(looked.next_look.0 + 1000)).await.unwrap();
    store.give_out(build.id, slave.id).await.unwrap();
    store.take_back(old).await.unwrap();
    store.give_up(old, &lost).await.unwrap();
    store.report(slave.id, &started(old, 0)).await.unwrap();
    store.ask_for_builds(world.claim, &requests, Some(revision.id)).await.unwrap();
    store.ask_again(&requests, "mia").await.unwrap();
    store.move_waiting(world.claim, revision.id, &requests).await.unwrap();
    store.slave_said(&slave, &slave.said_word).await.unwrap();
    store.slave_admin(&"elm".parse().unwrap(), &admins(Availability::Eager)).await.unwrap();
    assert_eq!(changes.heard(), Heard::Nothing);
    store.slave_gone(&slave).await.unwrap();
    assert_ne!(changes.heard(), Heard::Nothing);
    store.slave_gone(&slave).await.unwrap();
    assert_eq!(changes.heard(), Heard::Nothing);
}

async fn a_candidate_being_made_is_not_outdated(place: Place) {
    let world = place.open().await;
    let branch = world.branch().await;
    let revision = world.revision(&branch, 1).await;
    let mut made = Vec::new();
    for n in 1..=3u32 {
        let (tip, commit) = (commit(500 + n), commit(1000 + n));
        let new = made_as(&tip, commit.clone());
        world.store.add_candidate(world.claim, &branch, &revision, &new).await.unwrap();
        made.push((commit, world.store.candidate(revision.id, &tip, TERMS).await.unwrap().unwrap()));
    }
    // The first was built, the third is the newest. One that has no row yet is in nobody's list.
    world.store.ask_again(&[world.request(&made[0].1, "linux", false)], "mia").await.unwrap();
    let outdated = world.store.outdated_candidates([branch.id]).await.unwrap();
    assert_eq!(outdated.into_iter().collect::<Vec<_>>(), [(branch.id, made[1].0.clone())]);
}

async fn an_older_store_with_two_open_builds_is_mended(place: Place) {
    let sqlite = place.url.starts_with("sqlite:");
    let id =
        if sqlite { "INTEGER PRIMARY KEY AUTOINCREMENT" } else { "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY" };
    if let Some(path) = place.url.strip_prefix("sqlite:") {
        std::fs::File::create(path).unwrap();
    }
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
    let older = [
        (1, "the beginning", include_str!("../../src/store/schema.sql")),
        (2, "a row that is written to prove that rows can be", include_str!("../../src/store/schema_2.sql")),
    ];
    let older = older.map(|(version, what, sql)| {
        let sql = AssertSqlSafe(sql.replace("{ID}", id)).into_sql_str();
        Migration::new(version, what.into(), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(older.to_vec()).run(&pool).await.unwrap();
    let spec = serde_json::to_string(&builder("linux")).unwrap();
    let (made, tree) = (commit(1), commit(2));
    let mut fill = vec![
        "INSERT INTO project (name, url, mainline, made_ms) VALUES ('heron', 'a', 'main', 0)".to_owned(),
        "INSERT INTO branch (project_id, name, url, source_ref, title, bugs, publisher, trusted, state, next_look_ms, published_ms, changed_ms) VALUES (1, 'a', 'a', 'a', '', '[]', 'ann', 1, 'live', 0, 0, 0)".to_owned(),
        "INSERT INTO revision (branch_id, number, commit_id, subject, author, commits, seen_ms) VALUES (1, 1, 'a', '', '', 1, 0)".to_owned(),
        "INSERT INTO candidate (project_id, branch_id, revision_id, mainline, day, outcome, request, detail, changes_recipe, recipe_trouble, made_ms) VALUES (1, 1, 1, 'a', 'a', 'refused', '{}', '{}', 0, 'null', 0)".to_owned(),
    ];
    for (builder, state, cancel) in [
        ("linux", "running", "NULL"),
        ("linux", "waiting", "NULL"),
        ("linux", "running", "NULL"),
        ("asan", "running", "'cancelled by mia'"),
        ("asan", "waiting", "NULL"),
        ("asan", "waiting", "NULL"),
        ("docs", "waiting", "'cancelled by mia'"),
    ] {
        fill.push(format!(
            "INSERT INTO build (project_id, branch_id, revision_id, candidate_id, commit_id, tree_id, builder, position, required, spec, spec_hash, for_queue, priority, isolation, attempt, state, cancel, requested_ms)
             VALUES (1, 1, 1, 1, '{made}', '{tree}', '{builder}', 0, 1, '{spec}', 'hash', 0, 0, '\"none\"', 1, '{state}', {cancel}, 5)"
        ));
    }
    for statement in fill {
        sqlx::query(AssertSqlSafe(statement)).execute(&pool).await.unwrap();
    }
    pool.close().await;

    let store = Store::open(&place.url).await.unwrap();
    let open = store.open_builds().await.unwrap();
    let open: Vec<_> = open.iter().map(|b| (b.id.0, b.state, b.cancel.as_deref())).collect();
    let (runs, waits) = (BuildRowState::Running, BuildRowState::Waiting);
    let same = Some("an older build does the same");
    assert_eq!(open, [(1, runs, None), (3, runs, same), (4, runs, Some("cancelled by mia")), (5, waits, None)]);
    for id in [2, 6, 7] {
        let ended = store.build(protocol::BuildId(id)).await.unwrap().unwrap();
        assert_eq!((ended.result(), ended.finished), (Some(BuildResult::Cancelled), Some(UnixMs(5))));
    }
}

async fn names_are_given_out_one_after_the_other(place: Place) {
    let world = place.open().await;
    world.publish("https://eve.example/r.git", Some("feature-7")).await;
    for n in 1..=20 {
        let Published::New(branch) = world.publish(&format!("https://ann.example/{n}.git"), None).await else {
            panic!()
        };
        let skipped = u32::from(n > 6);
        let name = if n == 1 { "feature".to_owned() } else { format!("feature-{}", n + skipped) };
        assert_eq!(branch.name.as_str(), name);
    }
}
