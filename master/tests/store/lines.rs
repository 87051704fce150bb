//! Lines of several entries that land by one push, and where mainline was.

use super::*;
use master::auth::may_still_accept;
use master::store::{Begun, Counts, FailedBy, Landing, MainlineAt, NewInLine};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

stories! {
    a_line_lands_whole_each_as_its_own_commit
    a_line_rests_on_all_of_each_of_it
    nobody_of_a_line_that_is_pushed_is_decided_upon
    of_a_line_that_never_came_what_somebody_pushed_has_landed
    what_of_one_can_t_be_read_keeps_no_other_of_its_line_from_landing
    a_refused_line_is_nobody_s_own_refusal
    a_stacked_candidate_counts_only_when_mainline_is_what_it_stands_on
    a_line_that_is_pushed_is_kept
    mainline_is_remembered_where_it_was_and_not_for_ever
    an_older_store_s_landings_are_lines_of_one
}

/// The one that lands as `number` of a line.
struct One {
    branch: Branch,
    entry: Entry,
    candidate: Candidate,
}

impl World {
    async fn stacked(&self, branch: &Branch, revision: &Revision, new: &NewCandidate<'_>) -> Candidate {
        let line = [NewInLine { branch, revision, new }];
        self.store.add_stacked_candidates(self.claim, &line).await.unwrap().pop().unwrap()
    }

    /// A line of so many, accepted by olga, ready to land on mainline's 500: the first as 1001, the second on that as 1002.
    async fn line(&self, many: u32) -> Vec<One> {
        self.store.set_tip(self.claim, None, &commit(500), "").await.unwrap();
        let token = self.store.add_token(TokenKind::Maintainer, "olga", false, "hash of olga").await.unwrap();
        let mut line: Vec<One> = Vec::new();
        for number in 1..=many {
            let (url, name) = (format!("https://ann.example/{number}.git"), format!("work-{number}"));
            let Published::New(branch) = self.publish(&url, Some(&name)).await else { panic!("{name} is there") };
            let revision = self.revision(&branch, number).await;
            let candidate = match line.last() {
                None => self.candidate(&branch, &revision).await,
                Some(below) => {
                    let below = below.candidate.made_commit().unwrap();
                    let new = made_as(below, commit(1000 + number));
                    self.stacked(&branch, &revision, &new).await
                }
            };
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
                panic!("{name} can't be accepted")
            };
            line.push(One { branch, entry: *entry, candidate });
        }
        line
    }

    async fn begins_line(&self, members: &[Member]) -> Option<Landing> {
        match self.store.begin_landing(self.claim, &commit(500), members, may_still_accept).await.unwrap() {
            Begun::Yes(landing) => Some(landing),
            Begun::Not => None,
        }
    }

    async fn standing_of(&self, one: &One) -> (String, Option<CommitId>, BranchState) {
        let entry = self.store.entry(one.entry.id).await.unwrap();
        (entry.standing.code, entry.landed, self.store.branch_by_id(one.branch.id).await.unwrap().state)
    }

    async fn texts(&self, kind: &str) -> Vec<String> {
        let events = self.store.events_after(EventId(0), 1000).await.unwrap();
        events.into_iter().filter(|event| event.kind == kind).map(|event| event.text).collect()
    }

    async fn moves(&self) -> Vec<(CommitId, Option<i64>, Vec<i64>)> {
        let moves = self.store.mainline_moves(self.project.id, 0).await.unwrap();
        moves.into_iter().map(|it| (it.commit, it.landing, it.entries)).collect()
    }
}

fn members(line: &[One]) -> Vec<Member> {
    line.iter().map(|one| Member::of(one.entry.id, &one.candidate).unwrap()).collect()
}

fn entries(line: &[One]) -> Vec<i64> {
    line.iter().map(|one| one.entry.id).collect()
}

async fn a_line_lands_whole_each_as_its_own_commit(place: Place) {
    let world = place.open().await;
    let line = world.line(3).await;
    for one in &line {
        world.store.ask_again(&[world.request(&one.candidate, "linux", true)], "mia").await.unwrap();
    }
    let landing = world.begins_line(&members(&line)).await.unwrap();
    assert!(world.begins_line(&members(&line)).await.is_none(), "one at a time");
    let open = world.store.open_landing(world.project.id).await.unwrap().unwrap();
    assert_eq!((open.id, &open.members, &open.to), (landing.id, &members(&line), &commit(1003)));
    assert!(world.store.may_land_on(&open, may_still_accept).await.unwrap());
    let queue = world.store.queue(world.project.id).await.unwrap();
    assert_eq!(
        queue.iter().map(|entry| entry.standing.says.as_str()).collect::<Vec<_>>(),
        [
            "its tested commit is being pushed with work-2 and work-3",
            "its tested commit is being pushed with work-1 and work-3",
            "its tested commit is being pushed with work-1 and work-2",
        ]
    );
    world.store.landed(&open).await.unwrap();
    world.store.landed(&landing).await.unwrap();
    world.store.landing_failed(world.claim, &landing, FailedBy::Overtaken, "too late").await.unwrap();

    for (number, one) in (1001..).zip(&line) {
        let (code, landed, state) = world.standing_of(one).await;
        assert_eq!((code.as_str(), landed, state), ("landed", Some(commit(number)), BranchState::Landed));
    }
    assert!(world.store.queue(world.project.id).await.unwrap().is_empty());
    assert!(world.store.open_builds().await.unwrap().is_empty());
    assert!(world.store.open_landing(world.project.id).await.unwrap().is_none());
    assert!(world.store.unlanded(world.project.id).await.unwrap().is_empty());
    assert_eq!(world.store.project_by_id(world.project.id).await.unwrap().tip, Some(commit(1003)));
    assert_eq!(
        world.texts("landed").await,
        [
            format!("Landed on mainline as {} with work-2 and work-3", commit(1001).short()),
            format!("Landed on mainline as {} with work-1 and work-3", commit(1002).short()),
            format!("Landed on mainline as {} with work-1 and work-2", commit(1003).short()),
        ]
    );
    let moves = [(commit(500), None, Vec::new()), (commit(1003), Some(landing.id), entries(&line))];
    assert_eq!(world.moves().await, moves);
}

/// Whatever of what one of them rests on is not so any more: none is pushed.
async fn a_line_rests_on_all_of_each_of_it(place: Place) {
    let _ = place.open().await;
    let nine = "0000000000000000000000000000000000000009";
    for change in [
        "UPDATE project SET paused = 1".to_owned(),
        format!("UPDATE project SET tip = '{nine}'"),
        "UPDATE branch SET state = 'withdrawn' WHERE name = 'work-2'".to_owned(),
        "UPDATE queue_entry SET state = 'ejected' WHERE branch_id = (SELECT id FROM branch WHERE name = 'work-3')".to_owned(),
        "UPDATE queue_entry SET terms_hash = 'other words' WHERE branch_id = (SELECT id FROM branch WHERE name = 'work-1')".to_owned(),
        "UPDATE queue_entry SET token_id = NULL WHERE branch_id = (SELECT id FROM branch WHERE name = 'work-2')".to_owned(),
        "UPDATE token SET revoked_ms = 1 WHERE name = 'olga'".to_owned(),
        format!("UPDATE candidate SET mainline = '{nine}' WHERE commit_id LIKE '%3ea'"),
        format!("UPDATE candidate SET commit_id = '{nine}' WHERE commit_id LIKE '%3eb'"),
        "UPDATE candidate SET terms_hash = 'discarded 2' WHERE commit_id LIKE '%3ea'".to_owned(),
        String::new(),
    ] {
        let place = place.another();
        let world = place.open().await;
        let line = world.line(3).await;
        if !change.is_empty() {
            let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
            let done = sqlx::query(AssertSqlSafe(change.as_str())).execute(&pool).await.unwrap();
            assert!(done.rows_affected() > 0, "{change}");
            pool.close().await;
        }
        assert_eq!(world.begins_line(&members(&line)).await.is_some(), change.is_empty(), "{change}");
        if !change.is_empty() {
            assert!(world.store.open_landing(world.project.id).await.unwrap().is_none(), "{change}");
        }
    }
    // Nor is what is no line.
    let place = place.another();
    let world = place.open().await;
    let all = members(&world.line(3).await);
    let [one, two, three] = &all[..] else { panic!("{all:?}") };
    let other = Member { commit: commit(7), ..three.clone() };
    let nobody = Member { candidate: None, ..two.clone() };
    for wrong in [
        vec![],
        vec![two],
        vec![one, three],
        vec![two, one],
        vec![one, one],
        vec![one, two, &other],
        vec![one, &nobody],
    ] {
        let wrong: Vec<Member> = wrong.into_iter().cloned().collect();
        assert!(world.begins_line(&wrong).await.is_none(), "{wrong:?}");
    }
    assert!(world.begins_line(&all[..1]).await.is_none(), "alone it is to be the queue's own candidate");
    assert!(world.begins_line(&all[..2]).await.is_some(), "the lower part is a line of its own");
}

async fn nobody_of_a_line_that_is_pushed_is_decided_upon(place: Place) {
    let world = place.open().await;
    let line = world.line(3).await;
    let landing = world.begins_line(&members(&line)).await.unwrap();
    for (number, one) in (11..).zip(&line) {
        let entry = world.store.entry(one.entry.id).await.unwrap();
        let standing = Standing { code: "ejected-conflict".to_owned(), ..entry.standing.clone() };
        assert!(!world.store.eject(world.claim, &entry, None, &standing).await.unwrap());
        assert!(!world.store.retire(world.claim, &entry, &commit(500), &standing).await.unwrap());
        let ended = world.store.end_branch(&one.branch, BranchState::Withdrawn, "withdrawn", "ann").await.unwrap();
        assert!(matches!(ended, BranchEnd::BeingPushed(_)), "{number}");
        let newer = world.revision(&one.branch, number).await;
        assert!(accept(&world.store, &one.branch, &newer, "olga").await.is_none());
        let again = world.publish(&one.branch.url, None).await;
        assert!(matches!(again, Published::BeingPushed(_)), "{again:?}");
        world.store.set_standing(world.claim, &entry, None, &standing).await.unwrap();
        assert_eq!(world.store.entry(entry.id).await.unwrap().standing.code, "landing");
        assert!(world.store.unlanded_of(one.branch.id).await.unwrap());
    }
    assert!(world.store.pause_queue(world.project.id, "mia", "").await.unwrap(), "recorded: nothing else lands");
    world.store.landing_failed(world.claim, &landing, FailedBy::Overtaken, "it seemed").await.unwrap();
    let ended = world.store.end_branch(&line[1].branch, BranchState::Withdrawn, "withdrawn", "ann").await.unwrap();
    assert!(matches!(ended, BranchEnd::Now), "everything is possible again");
    // It came after all.
    world.store.landed(&world.store.unlanded(world.project.id).await.unwrap()[0]).await.unwrap();
    for one in &line {
        assert_eq!(world.standing_of(one).await.2, BranchState::Landed);
    }
}

async fn of_a_line_that_never_came_what_somebody_pushed_has_landed(place: Place) {
    let world = place.open().await;
    let line = world.line(3).await;
    let landing = world.begins_line(&members(&line)).await.unwrap();
    let came = |commits: &[u32]| commits.iter().map(|it| commit(*it)).collect();
    assert_eq!(landing.landed_by(&came(&[])), 0);
    assert_eq!(landing.landed_by(&came(&[500, 9])), 0);
    assert_eq!(landing.landed_by(&came(&[1002])), 2, "it stands on what is below it");
    assert_eq!(landing.landed_by(&came(&[1003])), 3);
    for _ in 0..2 {
        world.store.lower_landed(&landing, &landing.members[..1]).await.unwrap();
    }
    assert_eq!(world.texts("landed").await, [format!("Landed on mainline as {}", commit(1001).short())]);
    assert!(world.store.open_landing(world.project.id).await.unwrap().is_some(), "how it ended is not said");
    world.store.landing_failed(world.claim, &landing, FailedBy::Overtaken, "mainline moved").await.unwrap();
    let (landed, waits) = (world.standing_of(&line[0]).await, world.standing_of(&line[1]).await);
    assert_eq!((landed.0.as_str(), landed.1, landed.2), ("landed", Some(commit(1001)), BranchState::Landed));
    assert_eq!((waits.0.as_str(), waits.1, waits.2), ("landing", None, BranchState::Live));
    assert_eq!(world.moves().await.len(), 1, "where mainline is, whoever looks at it says");
    let entries = landing.members.iter().map(|member| member.entry);
    let by = world.store.landed_by(entries.clone()).await.unwrap();
    assert!(by.is_empty(), "what somebody else has pushed was not tested as that: {by:?}");

    // The others may come later.
    let unlanded = world.store.unlanded(world.project.id).await.unwrap();
    assert_eq!(unlanded.iter().map(|it| it.members.len()).collect::<Vec<_>>(), [3]);
    world.store.landed(&unlanded[0]).await.unwrap();
    assert_eq!(world.standing_of(&line[2]).await.1, Some(commit(1003)));
    let by = world.store.landed_by(entries).await.unwrap().remove(&landing.members[1].entry).unwrap();
    let with: Vec<&str> = by.with.iter().map(|name| name.as_str()).collect();
    assert_eq!((by.tested, by.candidate, with), (commit(1003), landing.members[2].candidate, vec!["work-1", "work-3"]));
    assert_eq!(world.texts("landed").await.len(), 3);
    assert!(world.store.unlanded(world.project.id).await.unwrap().is_empty());
}

async fn what_of_one_can_t_be_read_keeps_no_other_of_its_line_from_landing(place: Place) {
    let _ = place.open().await;
    let of_second = "WHERE branch_id = (SELECT id FROM branch WHERE name = 'work-2')";
    for (spoil, lands) in [
        (format!("UPDATE queue_entry SET commit_id = 'HEAD', terms = '{{' {of_second}"), true),
        ("UPDATE branch SET bugs = 'no JSON' WHERE name = 'work-2'".to_owned(), true),
        ("UPDATE branch SET name = '../..' WHERE name = 'work-2'".to_owned(), true),
        ("UPDATE landing_entry SET commit_id = 'HEAD' WHERE place = 2".to_owned(), false),
    ] {
        let place = place.another();
        let world = place.open().await;
        let line = world.line(3).await;
        let landing = world.begins_line(&members(&line)).await.unwrap();
        let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
        sqlx::query(AssertSqlSafe(spoil.as_str())).execute(&pool).await.unwrap();
        let open = world.store.open_landing(world.project.id).await;
        assert_eq!(open.is_ok(), lands, "{spoil}: what is pushed is pushed whole");
        world.store.landing_failed(world.claim, &landing, FailedBy::Overtaken, "it seemed").await.unwrap();
        let pushed = world.store.unlanded(world.project.id).await.unwrap();
        assert_eq!((pushed.len(), pushed[0].members.len()), (1, if lands { 3 } else { 2 }), "{spoil}");
        world.store.landed(&pushed[0]).await.unwrap();
        let all = sqlx::query("SELECT state FROM branch ORDER BY id").fetch_all(&pool).await.unwrap();
        let all: Vec<String> = all.iter().map(|row| sqlx::Row::get(row, "state")).collect();
        assert_eq!(all, ["landed", if lands { "landed" } else { "live" }, "landed"], "{spoil}");
        pool.close().await;
    }
    // The deep check names it.
    let place = place.another();
    let world = place.open().await;
    let landing = world.begins_line(&members(&world.line(2).await)).await.unwrap();
    let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
    for sql in ["UPDATE landing_entry SET commit_id = 'HEAD' WHERE place = 2", "UPDATE mainline_at SET commit_id = 'x'"]
    {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    let told = world.store.unreadable().await.unwrap();
    let told: Vec<_> = told.iter().map(|it| (it.table, it.id)).collect();
    assert_eq!(told, [("landing_entry", landing.id), ("mainline_at", 1)]);
    sqlx::query("DELETE FROM landing_entry").execute(&pool).await.unwrap();
    assert!(world.store.open_landing(world.project.id).await.is_err(), "a landing of nobody is not no landing");
    world.store.unreadable_landing_failed(world.claim, "it can't be read").await.unwrap();
    assert!(world.store.open_landing(world.project.id).await.unwrap().is_none());
}

async fn a_refused_line_is_nobody_s_own_refusal(place: Place) {
    let world = place.open().await;
    let line = world.line(2).await;
    let failures =
        async |one: &One, as_commit: u32| world.store.failures(one.entry.id, &commit(as_commit)).await.unwrap();
    for by in [FailedBy::Refused, FailedBy::Check, FailedBy::Overtaken] {
        let landing = world.begins_line(&members(&line)).await.unwrap();
        world.store.landing_failed(world.claim, &landing, by, "no").await.unwrap();
    }
    for one in &line {
        let pushed = failures(one, 1002).await;
        assert_eq!((pushed.refused, pushed.refused_said.as_str(), pushed.checks), (1, "no", 0));
        assert_eq!(failures(one, 1001).await, Default::default());
    }
    let alone = &line[0];
    let standing = Standing { code: "testing".to_owned(), ..alone.entry.standing.clone() };
    let entry = world.store.entry(alone.entry.id).await.unwrap();
    world.store.set_standing(world.claim, &entry, Some(alone.candidate.id), &standing).await.unwrap();
    for by in [FailedBy::Refused, FailedBy::Check] {
        let landing = world.begins_line(&members(&line[..1])).await.unwrap();
        world.store.landing_failed(world.claim, &landing, by, "not alone").await.unwrap();
    }
    let own = failures(alone, 1001).await;
    assert_eq!((own.refused, own.refused_said.as_str(), own.checks), (1, "not alone", 1));
    assert_eq!(failures(&line[1], 1002).await.checks, 0);
}

async fn a_stacked_candidate_counts_only_when_mainline_is_what_it_stands_on(place: Place) {
    let world = place.open().await;
    let line = world.line(2).await;
    let (one, two) = (&line[0], &line[1]);
    let told = async || world.store.timeline(two.branch.id, 100).await.unwrap().len();
    let (revision, before) = (two.candidate.revision, told().await);
    assert!(world.store.candidate_of(revision).await.unwrap().is_none());
    let of = world.store.newest_revision(two.branch.id).await.unwrap().unwrap();
    // Made twice, it is the first.
    let again = made_as(&two.candidate.mainline, commit(4711));
    let again = world.stacked(&two.branch, &of, &again).await;
    assert_eq!((again.id, again.made_commit()), (two.candidate.id, Some(&commit(1002))));
    let stale = Claim { fence: Fence(world.claim.fence.0 - 1), ..world.claim };
    let nine = commit(9);
    let other = made_as(&nine, commit(10));
    let line = [NewInLine { branch: &two.branch, revision: &of, new: &other }];
    let none = world.store.add_stacked_candidates(stale, &line).await;
    assert!(matches!(none, Err(StoreError::ClaimLost)));
    assert_eq!(told().await, before);

    // The lower one landed: on that mainline it is the branch's own.
    let tip = one.candidate.made_commit().unwrap();
    let own = made_as(tip, commit(1002));
    world.store.add_candidate(world.claim, &two.branch, &of, &own).await.unwrap();
    let counts = world.store.candidate_of(revision).await.unwrap().unwrap();
    assert_eq!((counts.id, told().await), (two.candidate.id, before + 1));
    world.store.add_candidate(world.claim, &two.branch, &of, &own).await.unwrap();
    assert_eq!(told().await, before + 1);
    // What is stacked says nothing of whether the next is news.
    let below = commit(8);
    let refused = conflict(&below);
    world.stacked(&two.branch, &of, &refused).await;
    world.store.add_candidate(world.claim, &two.branch, &of, &made_as(&commit(501), commit(1012))).await.unwrap();
    assert_eq!(told().await, before + 1);
}

/// What a line that is pushed names must be in the mirror.
async fn a_line_that_is_pushed_is_kept(place: Place) {
    let url = place.url.clone();
    let world = place.open().await;
    let line = world.line(3).await;
    let ids = |them: &[One]| them.iter().map(|one| one.candidate.id).collect::<Vec<_>>();
    let wanted = async || {
        let wanted = world.store.wanted_candidates(world.project.id).await.unwrap();
        let mut ids: Vec<CandidateId> = wanted.into_iter().map(|(.., candidate)| candidate.id).collect();
        ids.sort_unstable();
        ids
    };
    let outdated = async || {
        let branches = line.iter().map(|one| one.branch.id);
        world.store.outdated_candidates(branches).await.unwrap().len()
    };
    assert_eq!((wanted().await, outdated().await), (ids(&line[..1]), 0), "they may be on their way into a stack");
    let pool = sqlx::AnyPool::connect(&url).await.unwrap();
    sqlx::query("UPDATE candidate SET made_ms = made_ms - 7200000").execute(&pool).await.unwrap();
    pool.close().await;
    assert_eq!((wanted().await, outdated().await), (ids(&line[..1]), 2));
    let landing = world.begins_line(&members(&line)).await.unwrap();
    assert_eq!((wanted().await, outdated().await), (ids(&line), 0));
    world.store.landing_failed(world.claim, &landing, FailedBy::Overtaken, "it seemed").await.unwrap();
    assert_eq!((wanted().await, outdated().await), (ids(&line[..1]), 2));
}

async fn mainline_is_remembered_where_it_was_and_not_for_ever(place: Place) {
    let world = place.open().await;
    let (store, project, claim) = (&world.store, world.project.id, world.claim);
    assert_eq!(store.mainline_now(project).await.unwrap(), None);
    let line = world.line(2).await;
    let first = store.mainline_now(project).await.unwrap().unwrap();
    assert_eq!((&first.commit, first.landing, &first.entries), (&commit(500), None, &Vec::new()));
    // The same again, or its recipe's place, is no move; nor is what a landing has overtaken.
    store.set_tip(claim, Some(&commit(500)), &commit(500), "elsewhere").await.unwrap();
    store.set_tip(claim, Some(&commit(7)), &commit(8), "").await.unwrap();
    assert_eq!(store.mainline_now(project).await.unwrap(), Some(first.clone()));
    let landing = world.begins_line(&members(&line)).await.unwrap();
    store.landed(&landing).await.unwrap();
    let second = store.mainline_now(project).await.unwrap().unwrap();
    assert_eq!((second.landing, &second.entries), (Some(landing.id), &entries(&line)));
    store.set_tip(claim, Some(&commit(1002)), &commit(9), "").await.unwrap();
    let since: Vec<MainlineAt> = store.mainline_moves(project, first.id).await.unwrap();
    assert_eq!(since.iter().map(|it| &it.commit).collect::<Vec<_>>(), [&commit(1002), &commit(9)]);
    assert_eq!(since[0], second);

    // Seen there before the landing was recorded: it is no second move.
    let other = store.ensure_project(&"other".parse().unwrap(), "/srv/other.git", "main").await.unwrap();
    let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
    let sql = format!("UPDATE landing SET state = 'intent', from_commit = '{}' WHERE id = {}", commit(1), landing.id);
    sqlx::query(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    store.landed(&landing).await.unwrap();
    assert_eq!(world.moves().await.len(), 3);

    let many = format!(
        "INSERT INTO mainline_at (project_id, commit_id, at_ms)
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
         SELECT {}, '{}', 1 FROM n UNION ALL SELECT {}, '{}', 1 FROM n",
        project.0,
        commit(10),
        other.id.0,
        commit(11)
    );
    sqlx::query(AssertSqlSafe(many)).execute(&pool).await.unwrap();
    pool.close().await;
    store.set_tip(claim, Some(&commit(9)), &commit(12), "").await.unwrap();
    let kept = store.mainline_moves(project, 0).await.unwrap();
    assert_eq!((kept.len(), &kept[999].commit), (1000, &commit(12)));
    assert_eq!(store.mainline_moves(other.id, 0).await.unwrap().len(), 1200, "each project's own");
}

async fn an_older_store_s_landings_are_lines_of_one(place: Place) {
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
        (3, "what must be one is one also for several writers at once", include_str!("../../src/store/schema_3.sql")),
        (4, "nothing that is compared has an end", include_str!("../../src/store/schema_4.sql")),
        (5, "lists look at no more than they show", include_str!("../../src/store/schema_5.sql")),
        (
            6,
            "builds are listed in their order; words on availability say who, why, since and until",
            include_str!("../../src/store/schema_6.sql"),
        ),
        (7, "what tests say; which logs are still to be packed", include_str!("../../src/store/schema_7.sql")),
        (8, "files that steps keep", include_str!("../../src/store/schema_8.sql")),
    ];
    let older = older.map(|(version, what, sql)| {
        let sql = AssertSqlSafe(sql.replace("{ID}", id)).into_sql_str();
        Migration::new(version, what.into(), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(older.to_vec()).run(&pool).await.unwrap();
    let (tip, made, other) = (commit(1), commit(2), commit(3));
    let fill = [
        format!("INSERT INTO project (name, url, mainline, tip, tip_seen_ms, made_ms) VALUES ('heron', '/srv/heron.git', 'main', '{tip}', 77, 5)"),
        "INSERT INTO project (name, url, mainline, made_ms) VALUES ('crane', '/srv/crane.git', 'main', 5)".to_owned(),
        "INSERT INTO branch (project_id, name, url, source_ref, title, bugs, publisher, trusted, state, next_look_ms, published_ms, changed_ms) VALUES (1, 'a', 'a', 'a', '', '[]', 'ann', 1, 'live', 0, 0, 0)".to_owned(),
        format!("INSERT INTO revision (branch_id, number, commit_id, subject, author, commits, seen_ms) VALUES (1, 1, '{}', '', '', 1, 0)", commit(9)),
        format!("INSERT INTO candidate (project_id, branch_id, revision_id, mainline, terms_hash, outcome, commit_id, tree_id, request, detail, changes_recipe, recipe_trouble, made_ms) VALUES (1, 1, 1, '{tip}', '', 'made', '{made}', '{made}', '{{}}', '{{}}', 0, 'null', 0)"),
        format!("INSERT INTO queue_entry (project_id, branch_id, revision_id, commit_id, accepted_by, accepted_ms, state, code, says, next_who, next_what) VALUES (1, 1, 1, '{}', 'mia', 0, 'queued', '', '', '', '')", commit(9)),
        format!("INSERT INTO landing (project_id, entry_id, from_commit, to_commit, state, begun_ms) VALUES (1, 1, '{tip}', '{other}', 'refused', 1)"),
        format!("INSERT INTO landing (project_id, entry_id, from_commit, to_commit, state, begun_ms) VALUES (1, 1, '{tip}', '{made}', 'intent', 1)"),
    ];
    for statement in fill {
        sqlx::query(AssertSqlSafe(statement)).execute(&pool).await.unwrap();
    }
    pool.close().await;
    let world = place.open().await;
    let open = world.store.open_landing(world.project.id).await.unwrap().unwrap();
    let one = Member { entry: 1, candidate: Some(CandidateId(1)), commit: made.clone() };
    assert_eq!((open.id, &open.members), (2, &vec![one]));
    let lost = world.store.unlanded(world.project.id).await.unwrap().pop().unwrap();
    assert_eq!(lost.members, [Member { entry: 1, candidate: None, commit: other.clone() }]);
    assert_eq!(world.store.failures(1, &other).await.unwrap().refused, 1);
    let now = world.store.mainline_now(world.project.id).await.unwrap().unwrap();
    assert_eq!((now.commit, now.at, now.landing), (tip, UnixMs(77), None));
    world.store.landed(&open).await.unwrap();
    assert_eq!(world.store.entry(1).await.unwrap().landed, Some(made));
    assert_eq!(world.moves().await.len(), 2);
}
