//! What is kept of branches for lists is what their rows give, after every write.

use super::*;
use master::store::{FailedBy, Kind, Narrow, Trouble};
use protocol::api::Refusal;
use std::collections::BTreeSet;

stories! {
    what_lists_know_is_never_behind
    a_resumed_queue_waits_for_nobody
}

/// The same each time for the same number.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (most as u64)).unwrap()
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { Some(&all[self.below(all.len())]) }
    }
}

fn standing(code: &str, who: &str) -> Standing {
    let next = Next { who: who.to_owned(), what: "does it".to_owned() };
    Standing { code: code.to_owned(), says: "so it is".to_owned(), next }
}

impl World {
    /// Something that may be written, or not.
    async fn anything(&self, chance: &mut Chance, ann: &mut TokenId) -> String {
        let store = &self.store;
        let branches = store.branches(self.project.id, 99).await.unwrap();
        let tip = commit(500);
        let what = chance.below(24);
        let Some(branch) = chance.of(&branches).filter(|_| what > 1).cloned() else {
            let n = branches.len();
            let name = format!("b{n}");
            let url = format!("https://ann.example/{}", chance.below(8));
            let token = (chance.below(2) == 0).then_some(*ann);
            let new = NewBranch { token, trusted: token.is_some(), ..self.new_branch(&url, Some(&name)) };
            store.publish(&new).await.unwrap();
            return format!("{what} {url}");
        };
        let revision = store.newest_revision(branch.id).await.unwrap();
        let candidate = match &revision {
            Some(revision) => store.candidate_of(revision.id).await.unwrap(),
            None => None,
        };
        let trouble = Trouble {
            code: chance.of(&["not-found", "timeout"]).unwrap().to_string(),
            text: "it is so".to_owned(),
            hint: chance.of(&["", "asks somebody"]).unwrap().to_string().into(),
        };
        let queue = store.queue(self.project.id).await.unwrap();
        let open = store.open_builds().await.unwrap();
        match (what, &revision, &candidate) {
            (2..=4, ..) => {
                let number = store.last_revision(branch.id).await.unwrap() + 1;
                let refusal = Refusal { code: "too-large".to_owned(), text: "it is".to_owned(), hint: "".into() };
                let new = NewRevision {
                    number,
                    commit: commit(number),
                    subject: "Do it".to_owned(),
                    title: format!("Do {number}"),
                    author: "Ann".to_owned(),
                    commits: 1,
                    refusal: (chance.below(5) == 0).then_some(refusal),
                };
                store.add_revision(self.claim, &branch, &new).await.unwrap();
            }
            (5..=7, Some(revision), _) => {
                let made = made_as(&tip, commit(1000 + revision.number));
                let new = match chance.below(4) {
                    0 => conflict(&tip),
                    1 => NewCandidate {
                        outcome: CandidateOutcome::Refused(Refusal {
                            code: chance.of(&["already-landed", "fragment"]).unwrap().to_string(),
                            text: "no".to_owned(),
                            hint: "".into(),
                        }),
                        ..made
                    },
                    _ => NewCandidate {
                        tree: Some(commit(2000 + revision.number)),
                        changes_recipe: chance.below(4) == 0,
                        title: Some("Called otherwise".to_owned()),
                        ..made
                    },
                };
                store.add_candidate(self.claim, &branch, revision, &new).await.unwrap();
            }
            (8..=9, Some(revision), Some(candidate)) if candidate.is_made() => {
                let mut request = self.request(candidate, chance.of(&["linux", "asan"]).unwrap(), false);
                request.builder.slaves = vec![chance.of(&["x", "y"]).unwrap().to_string()];
                if chance.below(2) == 0 {
                    store.ask_for_builds(self.claim, &[request], Some(revision.id)).await.unwrap();
                } else {
                    store.ask_again(&[request], "mia").await.unwrap();
                }
            }
            (10..=13, ..) => {
                let Some(build) = chance.of(&open) else { return String::new() };
                let of = build.reference();
                match (build.state, chance.below(5)) {
                    (_, 0) => drop(store.cancel_build(build, "mia").await.unwrap()),
                    (BuildRowState::Waiting, _) => {
                        let slaves = store.slaves().await.unwrap();
                        store.give_out(build.id, slaves[0].id).await.unwrap();
                    }
                    (_, 1) => drop(store.take_back(of).await.unwrap()),
                    (_, 2) => {
                        let end = Finished { result: BuildResult::Retry, says: "lost".to_owned() };
                        store.give_up(of, &end).await.unwrap();
                    }
                    _ => {
                        let results = [BuildResult::Success, BuildResult::Failure, BuildResult::Warnings];
                        let result = *chance.of(&results).unwrap();
                        let what = [
                            Happened::StepStarted { step: 1, name: "test".to_owned() },
                            Happened::StepFinished {
                                step: 1,
                                result,
                                exit_code: Some(1),
                                log_len: 0,
                                reason: None,
                                lacks: (chance.below(2) == 0).then(|| "cmake".to_owned()),
                                ran_ms: 1,
                                links: Vec::new(),
                                summary: String::new(),
                                tests: None,
                                artifacts: None,
                            },
                            Happened::BuildFinished { result, reason: "so it was".to_owned(), handed_back: false },
                        ];
                        let reports = (build.next_report..).zip(what);
                        let reports: Vec<Report> =
                            reports.map(|(number, what)| Report { of, number, at: UnixMs(0), what }).collect();
                        store.reports(build.slave.unwrap(), &reports).await.unwrap();
                    }
                }
            }
            (14..=15, Some(revision), _) => drop(accept(store, &branch, revision, "mia").await),
            (16..=17, ..) => {
                let Some(entry) = chance.of(&queue) else { return String::new() };
                let candidate = store.candidate_of(entry.revision).await.unwrap();
                match chance.below(5) {
                    0 => drop(store.eject(self.claim, entry, None, &standing("ejected-failure", "Ann")).await.unwrap()),
                    1 => drop(store.retire(self.claim, entry, &tip, &standing("in-mainline", "nobody")).await.unwrap()),
                    2 => {
                        let line = candidate.as_ref().and_then(|it| Member::of(entry.id, it));
                        let id = candidate.as_ref().map(|it| it.id);
                        store.set_standing(self.claim, entry, id, &standing("testing", "bb")).await.unwrap();
                        if let Some(line) = line {
                            let begun = store.begin_landing(self.claim, &tip, &[line], |_, _| true).await.unwrap();
                            if let master::store::Begun::Yes(landing) = begun {
                                if chance.below(3) == 0 {
                                    let by = FailedBy::Refused;
                                    store.landing_failed(self.claim, &landing, by, "no").await.unwrap();
                                } else {
                                    store.landed(&landing).await.unwrap();
                                }
                                // Elsewhere it would be seen that mainline went on.
                                let back = store.set_tip(self.claim, Some(&landing.to), &tip, "");
                                back.await.unwrap();
                            }
                        }
                    }
                    _ => {
                        let code = chance.of(&["paused", "missing", "behind", "push-refused"]).unwrap();
                        let who = chance.of(&["a maintainer", "bb", "Ann"]).unwrap();
                        store.set_standing(self.claim, entry, None, &standing(code, who)).await.unwrap();
                    }
                }
            }
            (18, ..) => {
                let paused = chance.below(2) == 0;
                if paused {
                    store.pause_queue(self.project.id, "mia", "").await.unwrap();
                } else {
                    store.resume_queue(self.project.id, "mia").await.unwrap();
                }
            }
            (19, ..) => {
                let (state, why) = (BranchState::Withdrawn, "withdrawn by ann");
                store.end_branch(&branch, state, why, "ann").await.unwrap();
            }
            (20, ..) => {
                let trouble = (chance.below(3) > 0).then_some(&trouble);
                store.looked(self.claim, &branch, trouble, UnixMs(9)).await.unwrap();
            }
            (21, Some(revision), _) => {
                let lost = (chance.below(2) == 0).then_some(&trouble);
                store.set_lost(self.claim, &branch, revision, lost).await.unwrap();
            }
            (22, _, candidate) => match (chance.below(3), candidate) {
                (0, Some(candidate)) => store.discard_candidate(self.claim, candidate.id).await.unwrap(),
                (1, _) => {
                    store.revoke_token(*ann).await.unwrap();
                    let hash = format!("ann {}", chance.below(1_000_000));
                    *ann = store.add_token(TokenKind::Publisher, "Ann", true, &hash).await.unwrap().id;
                }
                _ => {
                    let bugs = ["7".to_owned()];
                    store.describe_branch(&branch, "Say it otherwise", &bugs, "mia").await.unwrap();
                }
            },
            _ => {
                for entry in store.landed_entries(self.project.id, false).await.unwrap() {
                    let out = (chance.below(2) == 0).then_some("eve");
                    store.set_taken_out(self.claim, &entry, out).await.unwrap();
                }
            }
        }
        format!("{what} {}", branch.name)
    }
}

async fn what_lists_know_is_never_behind(place: Place) {
    let world = place.open().await;
    world.slave().await;
    let mut ann = world.store.add_token(TokenKind::Publisher, "Ann", true, "ann").await.unwrap().id;
    world.store.add_token(TokenKind::Maintainer, "mia", false, "mia").await.unwrap();
    world.store.set_tip(world.claim, None, &commit(500), "").await.unwrap();
    world.store.follow_mainline(world.claim, None, &commit(500), &[]).await.unwrap();
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let (mut done, mut shapes) = (Vec::new(), BTreeSet::new());
    for _ in 0..400 {
        done.push(world.anything(&mut chance, &mut ann).await);
        assert_eq!(world.store.behind_their_rows().await.unwrap(), [], "after {done:#?}");
        for kind in [Kind::Live, Kind::Ended] {
            let counted = world.store.shapes(world.project.id, kind, &Narrow::default()).await.unwrap();
            let all: u64 = counted.iter().map(|it| it.branches).sum();
            assert_eq!(all, world.store.count_listed(world.project.id, kind, &Narrow::default()).await.unwrap());
            shapes.extend(counted.iter().map(|it| format!("{:?}", it.shape)));
        }
    }
    assert!(shapes.len() > 20, "much comes about: {shapes:#?}");
}

async fn a_resumed_queue_waits_for_nobody(place: Place) {
    let world = place.open().await;
    let branch = world.branch().await;
    let revision = world.revision(&branch, 1).await;
    let entry = accept(&world.store, &branch, &revision, "mia").await.unwrap();
    world.store.pause_queue(world.project.id, "mia", "").await.unwrap();
    world.store.set_standing(world.claim, &entry, None, &standing("paused", "a maintainer")).await.unwrap();
    let maintainers = async || {
        let counted = world.store.shapes(world.project.id, Kind::Live, &Narrow::default()).await.unwrap();
        counted.iter().filter(|it| format!("{:?}", it.shape).contains("Maintainer")).count()
    };
    assert_eq!(maintainers().await, 1);
    world.store.resume_queue(world.project.id, "mia").await.unwrap();
    assert_eq!(maintainers().await, 0);
}
