//! A row that can't be read, because a newer bb or a failing disk wrote it, is that row's trouble: what is beside it is read.

use super::*;
use protocol::BranchId;

stories! {
    a_row_that_cannot_be_read_hides_no_other
    an_older_build_does_not_count_for_want_of_the_latest
    what_is_done_for_all_is_done_for_all_that_can_be_read
}

impl World {
    /// A branch with all that belongs to one, in the queue and built once.
    async fn whole(&self, name: &str, number: u32) -> (Branch, Revision, Candidate, Build) {
        let url = format!("https://{name}.example/r.git");
        let Published::New(branch) = self.publish(&url, Some(name)).await else { panic!("{name} is there") };
        let revision = self.revision(&branch, number).await;
        let candidate = self.candidate(&branch, &revision).await;
        let requests = [self.request(&candidate, "linux", false)];
        let builds = self.store.ask_again(&requests, "mia").await.unwrap();
        accept(&self.store, &branch, &revision, "mia").await.unwrap();
        (branch, revision, candidate, builds.into_iter().next().unwrap())
    }

    /// Who is found of these two, by everything that gives many rows.
    async fn found(&self, branches: [BranchId; 2], revisions: [&Revision; 2]) -> Vec<BranchId> {
        let (store, project) = (&self.store, self.project.id);
        let ids = revisions.map(|revision| revision.id);
        let mut least: Option<Vec<BranchId>> = None;
        let mut only = |mut seen: Vec<BranchId>| {
            seen.sort_unstable();
            seen.dedup();
            if least.as_ref().is_none_or(|least| seen.len() < least.len()) {
                least = Some(seen);
            }
        };
        only(store.branches(project, 10).await.unwrap().iter().map(|it| it.id).collect());
        only(store.branches_by_id(branches).await.unwrap().into_keys().collect());
        only(store.due_looks(project, UnixMs(i64::MAX / 2), 5).await.unwrap().iter().map(|it| it.branch.id).collect());
        only(store.newest_revisions(branches).await.unwrap().into_keys().collect());
        only(store.revisions_by_id(ids).await.unwrap().values().map(|it| it.branch).collect());
        only(store.candidates_of(ids).await.unwrap().values().map(|it| it.branch).collect());
        only(store.wanted_candidates(project).await.unwrap().iter().map(|(it, _, _)| it.id).collect());
        only(store.open_builds().await.unwrap().iter().map(|it| it.branch).collect());
        only(store.open_builds_with_publishers().await.unwrap().iter().map(|it| it.build.branch).collect());
        let latest = store.latest_builds(ids).await.unwrap();
        only(latest.values().flat_map(|builds| builds.iter().map(|it| it.branch)).collect());
        only(store.queue(project).await.unwrap().iter().map(|it| it.branch).collect());
        only(store.places_of(branches).await.unwrap().into_keys().collect());
        least.unwrap()
    }
}

async fn a_row_that_cannot_be_read_hides_no_other(place: Place) {
    let world = place.open().await;
    let (sound, sound_revision, ..) = world.whole("sound", 1).await;
    let (spoilt, spoilt_revision, _, build) = world.whole("spoilt", 2).await;
    let (both, revisions) = ([sound.id, spoilt.id], [&sound_revision, &spoilt_revision]);
    assert_eq!(world.found(both, revisions).await, both);
    assert_eq!(world.store.unreadable().await.unwrap(), []);
    let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
    let entry = world.store.queue(world.project.id).await.unwrap()[1].id;
    let of = |id: i64| format!("id = {id}");
    let rows = [
        ("branch", "name", "'../../etc'", of(spoilt.id.0), spoilt.id.0),
        ("branch", "bugs", "'no JSON'", of(spoilt.id.0), spoilt.id.0),
        ("branch", "state", "'in two minds'", of(spoilt.id.0), spoilt.id.0),
        ("revision", "commit_id", "'HEAD'", of(spoilt_revision.id.0), spoilt_revision.id.0),
        ("candidate", "detail", "'{'", format!("revision_id = {}", spoilt_revision.id.0), 2),
        ("build", "spec", "'[]'", of(build.id.0), build.id.0),
        ("build", "position", "-1", of(build.id.0), build.id.0),
        ("build", "state", "'elsewhere'", of(build.id.0), build.id.0),
        ("queue_entry", "commit_id", "'--upload-pack=x'", of(entry), entry),
    ];
    for (table, column, value, of, id) in rows {
        let before = format!("SELECT CAST({column} AS TEXT) AS was FROM {table} WHERE {of}");
        let before = sqlx::query(sqlx::AssertSqlSafe(before)).fetch_one(&pool).await.unwrap();
        let before: String = sqlx::Row::get(&before, "was");
        let set = async |value: &str| {
            let sql = format!("UPDATE {table} SET {column} = {value} WHERE {of}");
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
        };
        set(value).await;
        assert_eq!(world.found(both, revisions).await, [sound.id], "{table}.{column}");
        let told = world.store.unreadable().await.unwrap();
        assert_eq!(told.iter().map(|it| (it.table, it.id)).collect::<Vec<_>>(), [(table, id)], "{column}: {told:?}");
        assert!(told[0].why.contains(column), "{told:?}");
        let number = !value.starts_with('\'');
        set(&if number { before } else { format!("'{}'", before.replace('\'', "''")) }).await;
        assert_eq!(world.found(both, revisions).await, both, "{table}.{column} is as it was");
    }
}

async fn an_older_build_does_not_count_for_want_of_the_latest(place: Place) {
    let world = place.open().await;
    let (_, revision, candidate, first) = world.whole("sound", 1).await;
    world.store.cancel_build(&first, "mia").await.unwrap();
    let second = world.store.ask_again(&[world.request(&candidate, "linux", false)], "mia").await.unwrap().remove(0);
    assert_ne!(first.id, second.id);
    let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
    let sql = format!("UPDATE build SET spec = '' WHERE id = {}", second.id.0);
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    assert!(world.store.latest_builds([revision.id]).await.unwrap().is_empty());
    assert!(world.store.latest_builds_on([candidate.id]).await.unwrap().is_empty());
    assert!(world.store.builds_of_candidate(candidate.id).await.is_err(), "who decides by it waits");
}

async fn what_is_done_for_all_is_done_for_all_that_can_be_read(place: Place) {
    let world = place.open().await;
    let (sound, revision, candidate, _) = world.whole("sound", 1).await;
    let (spoilt, ..) = world.whole("spoilt", 2).await;
    let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
    let run = async |sql: &str| {
        sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).execute(&pool).await.unwrap();
    };
    // What waits of strangers is counted, and more is asked for.
    run(&format!("UPDATE branch SET bugs = 'no JSON' WHERE id = {}", spoilt.id.0)).await;
    let most = gate::pending::Most { publisher: 9, host: 9 };
    let asked = [world.request(&candidate, "asan", false)];
    let asked = world.store.ask_within(world.claim, &asked, Some(revision.id), Some(most)).await.unwrap();
    assert_eq!(asked.map(|builds| builds.len()).map_err(|crowded| crowded.most), Ok(1));
    run(&format!("UPDATE branch SET bugs = '[]' WHERE id = {}", spoilt.id.0)).await;
    // What came to mainline is recorded, though another place of the branch can't be read.
    let entry = world.store.entries_of(spoilt.id).await.unwrap().remove(0);
    let tip = candidate.mainline.as_str();
    run(&format!(
        "INSERT INTO landing (project_id, entry_id, from_commit, to_commit, state, begun_ms) VALUES ({}, {}, '{tip}', '{}', 'failed', 1)",
        world.project.id.0, entry.id, entry.commit
    ))
    .await;
    run("INSERT INTO landing_entry (landing_id, place, entry_id, commit_id) SELECT id, 1, entry_id, to_commit FROM landing")
        .await;
    run("UPDATE queue_entry SET state = 'ejected'").await;
    let newest = world.store.newest_revision(spoilt.id).await.unwrap().unwrap();
    let second = accept(&world.store, &spoilt, &newest, "mia").await.unwrap();
    assert_ne!(second.id, entry.id);
    run(&format!("UPDATE queue_entry SET commit_id = 'HEAD' WHERE id = {}", second.id)).await;
    let pushed = world.store.unlanded(world.project.id).await.unwrap();
    let rows = [
        "branch SET bugs = 'no JSON' WHERE id",
        "revision SET commit_id = 'HEAD' WHERE branch_id",
        "candidate SET detail = '{' WHERE branch_id",
        "build SET spec = '[]' WHERE branch_id",
    ];
    for row in rows {
        run(&format!("UPDATE {row} = {}", spoilt.id.0)).await;
    }
    world.store.landed(&pushed[0]).await.unwrap();
    run(&format!("UPDATE branch SET bugs = '[]' WHERE id = {}", spoilt.id.0)).await;
    assert_eq!(world.store.branch_by_id(spoilt.id).await.unwrap().state, BranchState::Landed);
    assert!(world.store.queue(world.project.id).await.unwrap().is_empty());
    // What mainline has is found.
    for sql in [
        "UPDATE branch SET state = 'live', looked_ms = published_ms",
        "UPDATE revision SET commits = 1, remake = 0",
        "UPDATE candidate SET outcome = 'refused', detail = '{\"code\":\"already-landed\"}'",
        &format!("UPDATE project SET followed = '{tip}'"),
        &format!("UPDATE revision SET commit_id = 'HEAD' WHERE branch_id = {}", spoilt.id.0),
    ] {
        run(sql).await;
    }
    let found = world.store.contained(world.project.id, &candidate.mainline).await.unwrap();
    assert_eq!(found.iter().map(|(branch, _)| branch.id).collect::<Vec<_>>(), [sound.id]);
}
