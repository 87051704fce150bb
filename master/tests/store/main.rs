//! The store on both databases: every story is told on SQLite and on a real PostgreSQL, by the same code.
#![allow(clippy::unwrap_used, clippy::panic)]

use master::store::{
    Acceptance, Accepted, Branch, BranchEnd, BranchState, Build, BuildRequest, BuildRowState, Candidate, Claim, Counts,
    Entry, Finished, Member, NewBranch, NewCandidate, NewRevision, Project, Published, Recorded, Revision, Revoked,
    SlaveRow, Standing, Store, StoreError, Terms, TokenKind,
};
use protocol::api::{CandidateOutcome, Next};
use protocol::wire::{Availability, BuildRef, Happened, Hello, Isolation, Report, VERSION, Voice, Word};
use protocol::{BuildResult, CandidateId, CommitId, EventId, Fence, TokenId, UnixMs};
use recipe::{Builder, OnFailure, Run, Step, When};

/// Tells each story on both databases; after each, what is kept for lists is what the rows give.
macro_rules! stories {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let folder = tempfile::tempdir().unwrap();
                let url = crate::Store::sqlite_url(folder.path());
                super::$name(crate::Place { url: url.clone() }).await;
                crate::nothing_is_behind(&url).await;
            })*
        }
        mod postgresql {
            $(#[tokio::test]
            async fn $name() {
                let url = testkit::postgres::fresh_database();
                super::$name(crate::Place { url: url.clone() }).await;
                crate::nothing_is_behind(&url).await;
            })*
        }
    };
}

mod build_lists;
mod conditions;
mod epochs;
mod kept;
mod landing;
mod lines;
mod lists;
mod races;
mod reports;
mod shapes;
mod shares;
mod snapshots;
mod unreadable;

stories! {
    a_source_is_one_branch
    names_are_never_taken_over
    what_was_written_is_there_after_opening_again
    a_newer_store_is_refused
    one_master_at_a_time_claims_a_project
    a_stale_claim_writes_nothing
    a_commit_that_fails_is_a_write_that_failed
    a_build_is_asked_for_once
    a_build_is_given_out_once
    reports_count_once_and_in_order
    a_build_that_is_handed_back_is_not_tried_once_less
    an_interrupted_build_is_run_again_three_times_at_most
    a_build_given_up_takes_no_more_reports
    a_new_revision_cancels_what_only_the_branch_wanted
    a_branch_that_ends_leaves_the_queue_and_its_builds_stop
    an_acceptance_is_one_place_and_binds_to_its_revision
    tokens_and_sessions_end_when_revoked
    a_slave_is_the_same_when_it_comes_back
}

async fn nothing_is_behind(url: &str) {
    match Store::open(url).await {
        Ok(store) => {
            assert_eq!(store.behind_their_rows().await.unwrap(), []);
            store.close().await;
        }
        Err(StoreError::Newer { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Where a story's store is.
struct Place {
    url: String,
}

impl Place {
    async fn open(&self) -> World {
        let store = Store::open(&self.url).await.unwrap();
        let project = store.ensure_project(&"heron".parse().unwrap(), "/srv/heron.git", "main").await.unwrap();
        let claim = store.claim_project(project.id, "me", 60_000).await.unwrap().unwrap();
        World { store, project, claim }
    }
}

struct World {
    store: Store,
    project: Project,
    claim: Claim,
}

/// The hash of the terms that candidates are made by here.
const TERMS: &str = "as of 2026-11-24";

/// Accepts as somebody who may; none when it is not accepted.
async fn accept(store: &Store, branch: &Branch, revision: &Revision, actor: &str) -> Option<Entry> {
    let terms = Terms { json: "{}".to_owned(), hash: TERMS.to_owned() };
    let it = Acceptance { branch, revision, actor, token: None, terms, needs: None, counts: Counts::AtOnce };
    match store.accept(&it, |_, _| true, |_| false).await.unwrap() {
        Accepted::Entry(entry) => Some(*entry),
        Accepted::Ended | Accepted::Outdated | Accepted::BeingPushed(_) | Accepted::Circle(_) => None,
    }
}

fn commit(n: u32) -> CommitId {
    format!("{n:040x}").parse().unwrap()
}

fn builder(name: &str) -> Builder {
    let step = Step {
        name: "test".to_owned(),
        run: Run::Shell("make check".to_owned()),
        timeout_s: None,
        when: When::OnSuccess,
        on_failure: OnFailure::Fail,
        env: Default::default(),
        junit: Vec::new(),
        artifacts: Vec::new(),
    };
    Builder {
        name: name.to_owned(),
        slaves: Vec::new(),
        locks: Vec::new(),
        required: true,
        history: recipe::History::Full,
        steps: vec![step],
    }
}

fn conflict<'a>(mainline: &'a CommitId) -> NewCandidate<'a> {
    NewCandidate {
        mainline,
        terms_hash: TERMS,
        outcome: CandidateOutcome::Conflict { files: Vec::new() },
        tree: None,
        request: "{}".to_owned(),
        changes_recipe: false,
        recipe_trouble: None,
        title: None,
        touched: Vec::new(),
    }
}

fn made_as(mainline: &CommitId, made: CommitId) -> NewCandidate<'_> {
    let outcome = CandidateOutcome::Made {
        commit: made.clone(),
        changelogs: Vec::new(),
        fragments: Vec::new(),
        coming: Vec::new(),
        kept: Vec::new(),
        exempt: None,
        notes: Vec::new(),
    };
    NewCandidate { outcome, tree: Some(made), ..conflict(mainline) }
}

impl World {
    fn new_branch(&self, url: &str, name: Option<&str>) -> NewBranch {
        NewBranch {
            project: self.project.id,
            name: name.map(|n| n.parse().unwrap()),
            url: url.to_owned(),
            source_ref: "feature".to_owned(),
            title: String::new(),
            bugs: vec!["412".to_owned()],
            publisher: "ann".to_owned(),
            token: None,
            trusted: true,
        }
    }

    async fn publish(&self, url: &str, name: Option<&str>) -> Published {
        self.store.publish(&self.new_branch(url, name)).await.unwrap()
    }

    async fn branch(&self) -> Branch {
        match self.publish("https://ann.example/r.git", None).await {
            Published::New(branch) => branch,
            other => panic!("{other:?}"),
        }
    }

    async fn revision(&self, branch: &Branch, number: u32) -> Revision {
        let (subject, author) = ("Do it".to_owned(), "Ann".to_owned());
        let title = subject.clone();
        let new = NewRevision { number, commit: commit(number), subject, title, author, commits: 1, refusal: None };
        self.store.add_revision(self.claim, branch, &new).await.unwrap().unwrap()
    }

    async fn candidate(&self, branch: &Branch, revision: &Revision) -> Candidate {
        let (tip, made) = (commit(500), commit(1000 + revision.number));
        let touched = vec![7, i64::from(revision.number) + 100];
        let new = NewCandidate { tree: Some(commit(2000 + revision.number)), touched, ..made_as(&tip, made) };
        let followed = self.store.project_by_id(self.project.id).await.unwrap().followed;
        self.store.follow_mainline(self.claim, followed.as_ref(), &tip, &[]).await.unwrap();
        self.store.add_candidate(self.claim, branch, revision, &new).await.unwrap();
        self.store.candidate(revision.id, &tip, TERMS).await.unwrap().unwrap()
    }

    fn request(&self, candidate: &Candidate, name: &str, for_queue: bool) -> BuildRequest {
        let (Some(made), Some(tree)) = (candidate.made_commit(), &candidate.tree) else { panic!("{candidate:?}") };
        BuildRequest {
            project: self.project.id,
            branch: candidate.branch,
            revision: candidate.revision,
            candidate: candidate.id,
            commit: made.clone(),
            tree: tree.clone(),
            builder: builder(name),
            position: 0,
            for_queue,
            of_stack: None,
            isolation: Isolation::None,
        }
    }

    /// A branch, its first revision, its candidate, and a build that waits.
    async fn waiting(&self) -> (Branch, Revision, Candidate, Build) {
        let branch = self.branch().await;
        let revision = self.revision(&branch, 1).await;
        let candidate = self.candidate(&branch, &revision).await;
        let requests = [self.request(&candidate, "linux", false)];
        let asked = self.store.ask_for_builds(self.claim, &requests, Some(revision.id)).await.unwrap();
        let build = self.build(asked[0]).await;
        (branch, revision, candidate, build)
    }

    async fn build(&self, id: protocol::BuildId) -> Build {
        self.store.build(id).await.unwrap().unwrap()
    }

    async fn slave(&self) -> SlaveRow {
        let token = self.store.add_token(TokenKind::Slave, "oak", false, "hash-of-oak").await.unwrap();
        self.store.slave_connected(token.id, &hello()).await.unwrap().unwrap()
    }
}

/// An admin's word.
fn admins(says: Availability) -> Word {
    Word { says, voice: Voice::Admin, who: "mia".to_owned(), ..Word::nobody(UnixMs(1)) }
}

fn hello() -> Hello {
    Hello {
        version: VERSION,
        bb: "0.1.0".to_owned(),
        name: "oak".parse().unwrap(),
        labels: vec!["linux".to_owned()],
        slots: 2,
        isolation: Isolation::Bubblewrap,
        isolation_notes: Vec::new(),
        availability: Availability::Eager,
        word: None,
        machine: "a machine".to_owned(),
        builds: Vec::new(),
    }
}

fn started(of: BuildRef, number: u32) -> Report {
    Report { of, number, at: UnixMs(0), what: Happened::StepStarted { step: 0, name: "fetch".to_owned() } }
}

fn finished(of: BuildRef, number: u32, result: BuildResult) -> Report {
    let (reason, handed_back) = ("so it was".to_owned(), false);
    Report { of, number, at: UnixMs(0), what: Happened::BuildFinished { result, reason, handed_back } }
}

async fn a_source_is_one_branch(place: Place) {
    let world = place.open().await;
    let branch = world.branch().await;
    assert_eq!(branch.name.as_str(), "feature");
    let again = world.publish("https://ann.example/r.git", None).await;
    assert!(matches!(again, Published::Already(same) if same.id == branch.id));
    let end = || world.store.end_branch(&branch, BranchState::Withdrawn, "withdrawn by ann", "ann");
    assert!(matches!(end().await.unwrap(), BranchEnd::Now));
    assert!(matches!(end().await.unwrap(), BranchEnd::Before));
    let back = world.publish("https://ann.example/r.git", None).await;
    assert!(matches!(back, Published::Again(same) if same.id == branch.id && same.state == BranchState::Live));
}

async fn names_are_never_taken_over(place: Place) {
    let world = place.open().await;
    let branch = world.branch().await;
    let other = world.publish("https://bob.example/r.git", None).await;
    assert!(matches!(other, Published::New(other) if other.name.as_str() == "feature-2"));
    let taken = world.publish("https://eve.example/r.git", Some("feature")).await;
    assert!(matches!(taken, Published::NameTaken(held) if held.id == branch.id));
    // The name stays its branch's, also after that has ended.
    world.store.end_branch(&branch, BranchState::Landed, "landed", "bb").await.unwrap();
    let taken = world.publish("https://eve.example/r.git", Some("feature")).await;
    assert!(matches!(taken, Published::NameTaken(_)));
}

async fn what_was_written_is_there_after_opening_again(place: Place) {
    let world = place.open().await;
    let (branch, revision, candidate, build) = world.waiting().await;
    world.store.close().await;

    let world = place.open().await;
    let kept = world.store.branch(world.project.id, &branch.name).await.unwrap().unwrap();
    assert_eq!((kept.id, kept.bugs, kept.publisher), (branch.id, vec!["412".to_owned()], "ann".to_owned()));
    assert_eq!(world.store.newest_revision(branch.id).await.unwrap().unwrap().commit, revision.commit);
    assert_eq!(world.store.candidate_by_id(candidate.id).await.unwrap().outcome, candidate.outcome);
    let open = world.store.open_builds().await.unwrap();
    assert_eq!((open.len(), open[0].id, &open[0].builder), (1, build.id, &build.builder));
    let events = world.store.events_after(EventId(0), 100).await.unwrap();
    let kinds: Vec<String> = events.into_iter().map(|e| e.kind).collect();
    assert_eq!(kinds, ["published", "revision", "candidate"]);
}

async fn a_newer_store_is_refused(place: Place) {
    place.open().await.store.close().await;
    let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
    let newest = sqlx::query("SELECT MAX(version) AS newest FROM _sqlx_migrations").fetch_one(&pool).await.unwrap();
    let newest: i64 = sqlx::Row::get(&newest, "newest");
    let change = format!("UPDATE _sqlx_migrations SET version = 1000 WHERE version = {newest}");
    sqlx::query(sqlx::AssertSqlSafe(change)).execute(&pool).await.unwrap();
    pool.close().await;
    let refused = Store::open(&place.url).await;
    assert!(matches!(refused, Err(StoreError::Newer { version: 1000, known, .. }) if known == newest));
}

async fn one_master_at_a_time_claims_a_project(place: Place) {
    let World { store, project, claim } = place.open().await;
    let claims = async |owner, for_ms| store.claim_project(project.id, owner, for_ms).await.unwrap();
    assert_eq!(claims("other", 60_000).await, None);
    assert_eq!(claims("me", -1).await, Some(claim), "the same owner keeps its fencing number");
    let taken = claims("other", 60_000).await.unwrap();
    assert!(taken.fence > claim.fence, "an expired claim is taken over under a greater number");
    store.release_project(taken).await.unwrap();
    assert!(claims("me", 60_000).await.unwrap().fence > taken.fence);
}

async fn a_stale_claim_writes_nothing(place: Place) {
    let world = place.open().await;
    let branch = world.branch().await;
    let revision = world.revision(&branch, 1).await;
    let stale = Claim { project: world.project.id, fence: Fence(world.claim.fence.0 - 1) };
    assert!(matches!(world.store.set_tip(stale, None, &commit(9), "").await, Err(StoreError::ClaimLost)));
    assert!(world.store.project_by_id(world.project.id).await.unwrap().tip.is_none());
    world.store.add_candidate(stale, &branch, &revision, &conflict(&commit(500))).await.unwrap();
    assert!(world.store.candidate_of(revision.id).await.unwrap().is_none());
}

async fn a_commit_that_fails_is_a_write_that_failed(place: Place) {
    let world = place.open().await;
    let World { store, project, claim } = &world;
    // What must be so when a transaction ends, and is not.
    let late: &[&'static str] = if place.url.starts_with("sqlite:") {
        &[
            "CREATE TABLE late (x BIGINT REFERENCES project (id) DEFERRABLE INITIALLY DEFERRED)",
            "CREATE TRIGGER late_landing AFTER INSERT ON landing BEGIN INSERT INTO late VALUES (4711); END",
            "CREATE TRIGGER late_event AFTER INSERT ON event BEGIN INSERT INTO late VALUES (4711); END",
        ]
    } else {
        &[
            "ALTER TABLE landing ADD FOREIGN KEY (from_commit) REFERENCES token (hash) DEFERRABLE INITIALLY DEFERRED",
            "ALTER TABLE event ADD FOREIGN KEY (actor) REFERENCES token (hash) DEFERRABLE INITIALLY DEFERRED",
        ]
    };
    let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
    for statement in late {
        sqlx::query(*statement).execute(&pool).await.unwrap();
    }
    // An entry to land, without any event.
    let fill = [
        "INSERT INTO branch (project_id, name, url, source_ref, title, bugs, publisher, trusted, state, next_look_ms, published_ms, changed_ms) VALUES (1, 'a', 'a', 'a', '', '[]', 'ann', 1, 'live', 0, 0, 0)",
        "INSERT INTO revision (branch_id, number, commit_id, subject, author, commits, seen_ms) VALUES (1, 1, 'a', '', '', 1, 0)",
        "UPDATE project SET tip = '0000000000000000000000000000000000000001'",
        "INSERT INTO candidate (project_id, branch_id, revision_id, mainline, terms_hash, outcome, commit_id, tree_id, request, detail, changes_recipe, recipe_trouble, made_ms) VALUES (1, 1, 1, '0000000000000000000000000000000000000001', '', 'made', '0000000000000000000000000000000000000002', '0000000000000000000000000000000000000002', '{}', '{}', 0, 'null', 0)",
        "INSERT INTO queue_entry (project_id, branch_id, revision_id, commit_id, accepted_by, accepted_ms, state, code, says, next_who, next_what, candidate_id) VALUES (1, 1, 1, '0000000000000000000000000000000000000003', 'mia', 0, 'queued', '', '', '', '', 1)",
    ];
    for statement in fill {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    pool.close().await;
    for _ in 0..3 {
        let line = [Member { entry: 1, candidate: Some(CandidateId(1)), commit: commit(2) }];
        assert!(store.begin_landing(*claim, &commit(1), &line, |_, _| true).await.is_err());
        assert!(store.open_landing(project.id).await.unwrap().is_none());
        assert!(world.store.publish(&world.new_branch("/srv/b.git", None)).await.is_err());
        let kept = store.tokens().await.unwrap().len();
        store.add_token(TokenKind::Slave, "oak", false, &format!("hash-{kept}")).await.unwrap();
    }
    store.close().await;
    let store = Store::open(&place.url).await.unwrap();
    assert_eq!(store.tokens().await.unwrap().len(), 3, "what was answered between them stays");
    assert!(store.open_landing(project.id).await.unwrap().is_none());
    assert_eq!(store.branches(project.id, 0).await.unwrap().len(), 1);
}

async fn a_build_is_asked_for_once(place: Place) {
    let world = place.open().await;
    let (branch, revision, candidate, build) = world.waiting().await;
    accept(&world.store, &branch, &revision, "olga").await.unwrap();
    let both = [world.request(&candidate, "linux", true), world.request(&candidate, "asan", true)];
    let asked = world.store.ask_for_builds(world.claim, &both, None).await.unwrap();
    assert_eq!(asked.len(), 1, "the builder that has a build waiting is not asked twice");
    assert!(world.build(build.id).await.for_queue, "the queue takes over what waits");
    assert!(world.store.newest_revision(branch.id).await.unwrap().unwrap().builds_asked);
}

async fn a_build_is_given_out_once(place: Place) {
    let world = place.open().await;
    let (.., build) = world.waiting().await;
    let slave = world.slave().await;
    assert!(world.store.served().await.unwrap().is_empty());
    let given = world.store.give_out(build.id, slave.id).await.unwrap().unwrap();
    assert_eq!(given.state, BuildRowState::Running);
    // It needs none, and runs in what the slave has.
    assert_eq!((build.isolation, build.ran_in, given.ran_in), (Isolation::None, None, Some(Isolation::Bubblewrap)));
    let served = world.store.served().await.unwrap();
    assert_eq!(served.into_values().collect::<Vec<_>>(), [given.started.unwrap()]);
    assert!(world.store.give_out(build.id, slave.id).await.unwrap().is_none());
    assert!(world.store.take_back(given.reference()).await.unwrap());
    assert_eq!(world.build(build.id).await.ran_in, None);
    let again = world.store.give_out(build.id, slave.id).await.unwrap().unwrap();
    assert!(again.fence > given.fence);
    // Taking back under an old number does nothing.
    assert!(!world.store.take_back(given.reference()).await.unwrap());
    assert_eq!(world.build(build.id).await.state, BuildRowState::Running);
}

async fn reports_count_once_and_in_order(place: Place) {
    let world = place.open().await;
    let (.., build) = world.waiting().await;
    let slave = world.slave().await;
    let of = world.store.give_out(build.id, slave.id).await.unwrap().unwrap().reference();
    let report = async |r: Report| world.store.report(slave.id, &r).await.unwrap();
    assert_eq!(report(started(of, 1)).await, Recorded::Gap(0));
    assert_eq!(report(started(of, 0)).await, Recorded::Next(1));
    assert_eq!(report(started(of, 0)).await, Recorded::Next(1), "once more is once");
    let old = BuildRef { fence: Fence(of.fence.0 - 1), ..of };
    assert_eq!(report(started(old, 1)).await, Recorded::Stale);
    assert_eq!(report(finished(of, 1, BuildResult::Success)).await, Recorded::Ended(2));
    assert_eq!(report(finished(of, 1, BuildResult::Failure)).await, Recorded::Ended(2), "the first word stands");
    assert_eq!(report(finished(of, 2, BuildResult::Failure)).await, Recorded::Stale);
    assert_eq!(world.build(build.id).await.result(), Some(BuildResult::Success));
    assert_eq!(world.store.steps(build.id).await.unwrap().len(), 1);
    let events = world.store.events_after(EventId(0), 100).await.unwrap();
    assert_eq!(events.iter().filter(|e| e.kind == "build-finished").count(), 1, "an end is recorded once");
}

/// What its slave's owner took away was no attempt; yet a slave that hands back always is not given it for ever.
async fn a_build_that_is_handed_back_is_not_tried_once_less(place: Place) {
    let world = place.open().await;
    let (.., mut build) = world.waiting().await;
    let slave = world.slave().await;
    let mut seen = Vec::new();
    while build.result().is_none() {
        let of = world.store.give_out(build.id, slave.id).await.unwrap().unwrap().reference();
        let mut report = finished(of, 0, BuildResult::Retry);
        if let Happened::BuildFinished { handed_back, .. } = &mut report.what {
            *handed_back = true;
        }
        world.store.report(slave.id, &report).await.unwrap();
        let ended = world.build(build.id).await;
        seen.push((ended.attempt, ended.handed_back));
        build = match ended.retried_as {
            Some(again) => world.build(again).await,
            None => ended,
        };
    }
    let first = seen.iter().take_while(|(attempt, _)| *attempt == 1).count();
    assert_eq!((first, seen.len()), (21, 23), "{seen:?}");
    assert!(seen.iter().take(20).all(|(_, handed_back)| *handed_back));
    assert!(build.says.contains("tried 3 times"), "{}", build.says);
}

async fn an_interrupted_build_is_run_again_three_times_at_most(place: Place) {
    let world = place.open().await;
    let (.., mut build) = world.waiting().await;
    let slave = world.slave().await;
    for attempt in 1..=3 {
        assert_eq!(build.attempt, attempt);
        let of = world.store.give_out(build.id, slave.id).await.unwrap().unwrap().reference();
        world.store.report(slave.id, &finished(of, 0, BuildResult::Retry)).await.unwrap();
        let ended = world.build(build.id).await;
        if attempt < 3 {
            assert_eq!(ended.result(), Some(BuildResult::Retry));
            build = world.build(ended.retried_as.unwrap()).await;
        } else {
            assert_eq!(ended.result(), Some(BuildResult::Exception));
            assert!(ended.says.contains("tried 3 times"), "{}", ended.says);
        }
    }
    assert!(world.store.open_builds().await.unwrap().is_empty());
}

async fn a_build_given_up_takes_no_more_reports(place: Place) {
    let world = place.open().await;
    let (.., build) = world.waiting().await;
    let slave = world.slave().await;
    let of = world.store.give_out(build.id, slave.id).await.unwrap().unwrap().reference();
    let lost = Finished { result: BuildResult::Retry, says: "slave oak was away".to_owned() };
    assert!(world.store.give_up(of, &lost).await.unwrap());
    assert!(!world.store.give_up(of, &lost).await.unwrap(), "once");
    let late = world.store.report(slave.id, &finished(of, 0, BuildResult::Success)).await.unwrap();
    assert_eq!(late, Recorded::Stale);
    assert_eq!(world.build(build.id).await.result(), Some(BuildResult::Retry));
    assert_eq!(world.store.open_builds().await.unwrap().len(), 1, "one build runs it again");
}

async fn a_new_revision_cancels_what_only_the_branch_wanted(place: Place) {
    let world = place.open().await;
    let (branch, revision, candidate, build) = world.waiting().await;
    accept(&world.store, &branch, &revision, "olga").await.unwrap();
    let queued = [world.request(&candidate, "asan", true)];
    let wanted = world.store.ask_for_builds(world.claim, &queued, None).await.unwrap()[0];
    world.revision(&branch, 2).await;
    assert_eq!(world.build(build.id).await.result(), Some(BuildResult::Cancelled));
    assert_eq!(world.build(wanted).await.state, BuildRowState::Waiting);
}

async fn a_branch_that_ends_leaves_the_queue_and_its_builds_stop(place: Place) {
    let world = place.open().await;
    let (branch, revision, _, build) = world.waiting().await;
    let slave = world.slave().await;
    world.store.give_out(build.id, slave.id).await.unwrap();
    accept(&world.store, &branch, &revision, "olga").await.unwrap();
    world.store.end_branch(&branch, BranchState::Withdrawn, "withdrawn by ann", "ann").await.unwrap();
    assert!(world.store.queue(world.project.id).await.unwrap().is_empty());
    let left = world.store.left_queue(world.project.id, 10).await.unwrap();
    assert_eq!(left[0].standing.code, "withdrawn");
    assert_eq!(world.build(build.id).await.cancel.as_deref(), Some("the branch has ended"));
    let late = accept(&world.store, &branch, &revision, "olga").await;
    assert!(late.is_none(), "an ended branch takes no acceptance");
}

async fn an_acceptance_is_one_place_and_binds_to_its_revision(place: Place) {
    let world = place.open().await;
    let branch = world.branch().await;
    let first = world.revision(&branch, 1).await;
    let entry = accept(&world.store, &branch, &first, "olga").await.unwrap();
    let same = accept(&world.store, &branch, &first, "marta").await.unwrap();
    assert_eq!((same.id, same.accepted_by.as_str()), (entry.id, "olga"));
    let second = world.revision(&branch, 2).await;
    let queue = async || world.store.queue(world.project.id).await.unwrap();
    assert_eq!(queue().await[0].commit, first.commit, "a new revision is not accepted");
    let newer = accept(&world.store, &branch, &second, "olga").await.unwrap();
    assert_eq!((queue().await.len(), queue().await[0].id), (1, newer.id));
    let next = Next { who: "Ann".to_owned(), what: "mends it".to_owned() };
    let standing = Standing { code: "ejected-failure".to_owned(), says: "linux failed".to_owned(), next };
    assert!(
        !world.store.eject(world.claim, &newer, Some(&commit(9)), &standing).await.unwrap(),
        "mainline is elsewhere"
    );
    assert!(world.store.eject(world.claim, &newer, None, &standing).await.unwrap());
    assert!(!world.store.eject(world.claim, &newer, None, &standing).await.unwrap(), "once");
    assert!(queue().await.is_empty());
    assert_eq!(world.store.entries_of(branch.id).await.unwrap()[0].standing, standing, "the reason stays readable");
}

async fn tokens_and_sessions_end_when_revoked(place: Place) {
    let World { store, .. } = place.open().await;
    let token = store.add_token(TokenKind::Maintainer, "olga", true, "hash").await.unwrap();
    assert_eq!(store.token_by_hash("hash").await.unwrap().unwrap().name, "olga");
    assert!(store.token_by_hash("other").await.unwrap().is_none());
    store.begin_session("session-hash", token.id).await.unwrap();
    let session = async |oldest| store.session("session-hash", UnixMs(oldest), UnixMs(0)).await.unwrap();
    assert!(session(0).await.is_some());
    assert!(session(i64::MAX).await.is_none(), "too old");
    assert!(matches!(store.revoke_token(token.id).await.unwrap(), Revoked::LastMaintainer));
    assert!(session(0).await.is_some(), "nothing was done");
    store.add_token(TokenKind::Publisher, "ann", true, "publisher").await.unwrap();
    assert!(matches!(store.revoke_token(token.id).await.unwrap(), Revoked::LastMaintainer));
    store.add_token(TokenKind::Maintainer, "mia", true, "another").await.unwrap();
    assert!(matches!(store.revoke_token(token.id).await.unwrap(), Revoked::Now(row) if row.revoked.is_some()));
    assert!(matches!(store.revoke_token(token.id).await.unwrap(), Revoked::Before(_)));
    assert!(matches!(store.revoke_token(protocol::TokenId(4711)).await.unwrap(), Revoked::NotThere));
    assert!(store.token_by_hash("hash").await.unwrap().is_none());
    assert!(session(0).await.is_none());
}

async fn a_slave_is_the_same_when_it_comes_back(place: Place) {
    let world = place.open().await;
    let slave = world.slave().await;
    world.store.slave_admin(&slave.name, &admins(Availability::Unavailable)).await.unwrap().unwrap();
    world.store.slave_gone(&slave).await.unwrap();
    assert!(!world.store.slaves().await.unwrap()[0].connected);
    let token = world.store.add_token(TokenKind::Slave, "oak", false, "another").await.unwrap();
    let back = world.store.slave_connected(token.id, &hello()).await.unwrap().unwrap();
    assert_eq!((back.id, back.admin), (slave.id, Availability::Unavailable), "the admin's word holds");
}
