//! What the mirror has to hold by the rows, and what is recorded when it does not.

use super::*;
use master::store::{Begun, Round, Trouble};
use protocol::BuildId;
use protocol::api::Refusal;

stories! {
    what_is_lost_is_told_once_and_forgotten_when_it_is_back
    a_refused_revision_that_is_looked_at_again_is_admitted_under_its_number
    what_rows_want_of_the_mirror_is_listed
    a_move_of_mainline_meets_whom_it_concerns_and_once
    a_round_comes_past_every_branch_that_ended_and_begins_anew
    a_discarded_candidate_counts_nowhere
}

async fn what_is_lost_is_told_once_and_forgotten_when_it_is_back(place: Place) {
    let world = place.open().await;
    let (branch, ..) = world.waiting().await;
    let store = &world.store;
    let revision = async || store.newest_revision(branch.id).await.unwrap().unwrap();
    let told = async || {
        let timeline = store.timeline(branch.id, 100).await.unwrap();
        timeline.iter().filter(|event| event.kind == "missing").count()
    };
    let trouble = |text: &str| Trouble { code: "commit-lost".to_owned(), text: text.to_owned(), hint: "push".into() };
    for text in ["nobody has it", "nobody has it", "it is still gone"] {
        store.set_lost(world.claim, &branch, &revision().await, Some(&trouble(text))).await.unwrap();
        assert_eq!(revision().await.lost.unwrap().text, text);
        assert_eq!(told().await, 1, "the same is no news");
    }
    store.set_lost(world.claim, &branch, &revision().await, None).await.unwrap();
    assert_eq!((revision().await.lost, told().await), (None, 2));
    store.set_lost(world.claim, &branch, &revision().await, None).await.unwrap();
    assert_eq!(told().await, 2);
    let before = store.branch_by_id(branch.id).await.unwrap();
    store.look_now(branch.id).await.unwrap();
    assert!(store.branch_by_id(branch.id).await.unwrap().next_look <= before.next_look);
}

async fn a_refused_revision_that_is_looked_at_again_is_admitted_under_its_number(place: Place) {
    let world = place.open().await;
    let branch = world.branch().await;
    let refusal = Refusal { code: "too-large".to_owned(), text: "large".to_owned(), hint: "".into() };
    let mut new = NewRevision {
        number: 1,
        commit: commit(1),
        subject: String::new(),
        title: String::new(),
        author: String::new(),
        commits: 0,
        refusal: Some(refusal),
    };
    let refused = world.store.add_revision(world.claim, &branch, &new).await.unwrap().unwrap();
    (new.refusal, new.subject) = (None, "Say hello".to_owned());
    world.store.readmitted(world.claim, &branch, &refused, &new).await.unwrap();
    let admitted = world.store.newest_revision(branch.id).await.unwrap().unwrap();
    assert_eq!((admitted.id, admitted.number, admitted.refusal), (refused.id, 1, None));
    assert_eq!(admitted.subject, "Say hello");
    // What is admitted is not taken back.
    new.subject = "Other".to_owned();
    world.store.readmitted(world.claim, &branch, &refused, &new).await.unwrap();
    assert_eq!(world.store.newest_revision(branch.id).await.unwrap().unwrap().subject, "Say hello");
}

async fn what_rows_want_of_the_mirror_is_listed(place: Place) {
    let world = place.open().await;
    let (branch, revision, candidate, _) = world.waiting().await;
    let branches = world.store.branches(world.project.id, 0).await.unwrap();
    let kept = world.store.admitted_of(branches).await.unwrap();
    assert_eq!(kept.iter().map(|(b, all)| (b.id, all.len())).collect::<Vec<_>>(), [(branch.id, 1)]);
    let wanted = world.store.wanted_candidates(world.project.id).await.unwrap();
    let wanted: Vec<_> = wanted.iter().map(|(b, r, c)| (b.id, r.id, c.id)).collect();
    assert_eq!(wanted, [(branch.id, revision.id, candidate.id)]);
    assert!(world.store.log_lengths(BuildId(0)).await.unwrap().is_none_or(|it| it.logs.is_empty()));
}

async fn a_round_comes_past_every_branch_that_ended_and_begins_anew(place: Place) {
    let world = place.open().await;
    let mut all = Vec::new();
    for n in 0..7 {
        let Published::New(branch) = world.publish(&format!("https://ann.example/{n}.git"), None).await else {
            panic!()
        };
        if n != 3 {
            world.store.end_branch(&branch, BranchState::Withdrawn, "withdrawn", "ann").await.unwrap();
            all.push(branch.id);
        }
    }
    for round in [Round::Upkeep, Round::Mend] {
        let mut seen = Vec::new();
        for _ in 0..6 {
            let next = world.store.next_ended(world.claim, round, 4).await.unwrap();
            assert_eq!(world.store.next_ended(world.claim, round, 4).await.unwrap().len(), next.len(), "not yet past");
            seen.extend(next.iter().map(|branch| branch.id));
            world.store.went_round(world.claim, round, &next, 4).await.unwrap();
        }
        assert_eq!(seen, [all.as_slice(); 3].concat());
    }
}

/// Neither is it landed, nor built, nor shown, nor kept.
async fn a_discarded_candidate_counts_nowhere(place: Place) {
    let world = place.open().await;
    let (branch, revision, candidate, build) = world.waiting().await;
    let (store, claim, project) = (&world.store, world.claim, world.project.id);
    store.set_tip(claim, None, &candidate.mainline, "").await.unwrap();
    let entry = accept(store, &branch, &revision, "olga").await.unwrap();
    let standing = Standing { code: "testing".to_owned(), ..entry.standing.clone() };
    store.set_standing(claim, &entry, Some(candidate.id), &standing).await.unwrap();
    store.discard_candidate(claim, candidate.id).await.unwrap();
    store.discard_candidate(claim, candidate.id).await.unwrap();

    assert_eq!(world.build(build.id).await.state, BuildRowState::Finished(BuildResult::Cancelled));
    assert_eq!(store.entry(entry.id).await.unwrap().candidate, None);
    assert!(store.candidate(revision.id, &candidate.mainline, TERMS).await.unwrap().is_none());
    assert!(store.candidate_of(revision.id).await.unwrap().is_none());
    assert!(store.wanted_candidates(project).await.unwrap().is_empty());
    assert!(store.unasked(project, &candidate.mainline, None, None).await.unwrap().is_empty());
    // Also where a turn that began before still names it.
    store.set_standing(claim, &store.entry(entry.id).await.unwrap(), Some(candidate.id), &standing).await.unwrap();
    let line = [Member::of(entry.id, &candidate).unwrap()];
    let begun = store.begin_landing(claim, &candidate.mainline, &line, |_, _| true).await.unwrap();
    assert!(matches!(begun, Begun::Not));
    let next = store.revisions_without_candidate(project, &candidate.mainline, None, 9).await.unwrap();
    assert_eq!(next.iter().map(|it| it.revision.id).collect::<Vec<_>>(), [revision.id], "another is made");
    // And that is built, whatever was asked for before.
    let anew = world.candidate(&branch, &revision).await;
    assert_ne!(anew.id, candidate.id);
    let asked = store.unasked(project, &candidate.mainline, None, None).await.unwrap();
    assert_eq!(asked.iter().map(|it| it.candidate).collect::<Vec<_>>(), [anew.id]);
}

async fn a_move_of_mainline_meets_whom_it_concerns_and_once(place: Place) {
    let world = place.open().await;
    let (store, project, claim) = (&world.store, world.project.id, world.claim);
    let other = match world.publish("https://bob.example/r.git", Some("other")).await {
        Published::New(branch) => branch,
        other => panic!("{other:?}"),
    };
    let branch = world.branch().await;
    let (first, second) = (world.revision(&branch, 1).await, world.revision(&other, 2).await);
    let wanted = async |tip: u32| {
        let wanted = store.revisions_without_candidate(project, &commit(tip), None, 10).await.unwrap();
        wanted.iter().map(|it| it.revision.id).collect::<Vec<_>>()
    };
    assert_eq!(wanted(500).await, [first.id, second.id]);
    // What they touch: 7 and 101; 7 and 102.
    let made = [world.candidate(&branch, &first).await.id, world.candidate(&other, &second).await.id];
    assert!(wanted(500).await.is_empty());
    store.set_tip(claim, None, &commit(501), "").await.unwrap();
    let standing = async |of: &Revision| store.standing_candidate(of.id).await.unwrap().map(|it| it.id);
    assert_eq!(standing(&first).await, None, "nobody was told yet what moved");
    assert_eq!(store.candidate_of(first.id).await.unwrap().map(|it| it.id), Some(made[0]));

    let moves = async |from: u32, to: u32, moved: &[i64]| {
        store.follow_mainline(claim, Some(&commit(from)), &commit(to), moved).await.unwrap()
    };
    let many: Vec<i64> = (1000..3000).chain([102]).collect();
    assert_eq!(moves(500, 501, &many).await, 1);
    assert_eq!((standing(&first).await, standing(&second).await), (Some(made[0]), None));
    assert_eq!(store.candidate_of(second.id).await.unwrap().map(|it| it.id), Some(made[1]), "it counts until then");
    assert_eq!(wanted(501).await, [second.id]);
    assert_eq!(moves(500, 501, &[7]).await, 0, "that was told");
    assert_eq!(moves(501, 502, &[102]).await, 0, "it is wanted already");
    assert_eq!(wanted(502).await, [second.id]);

    // One made on a mainline that has moved meanwhile is to be made again.
    store.add_candidate(claim, &other, &second, &conflict(&commit(501))).await.unwrap();
    assert_eq!(wanted(502).await, [second.id]);
    store.add_candidate(claim, &other, &second, &conflict(&commit(502))).await.unwrap();
    assert!(wanted(502).await.is_empty());

    // Whose branch has ended is not wanted before it comes back.
    store.end_branch(&branch, BranchState::Withdrawn, "withdrawn", "ann").await.unwrap();
    assert_eq!(moves(502, 503, &[7]).await, 1);
    assert!(wanted(503).await.is_empty());
    assert!(matches!(world.publish("https://ann.example/r.git", None).await, Published::Again(_)));
    assert_eq!(wanted(503).await, [first.id]);
}
