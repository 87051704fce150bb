//! What a branch's page says first, letter by letter, for every way that a branch can stand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use gate::code::{Code, Of};
use gate::mainline::Mainline;
use gate::pending::{self, Crowded};
use gate::schedule::Wait;
use gate::verdict::{
    Build, Builder, Candidate, Facts, Life, Queue, Recipe, Revision, Shape, Source, Surroundings, TakenOut, Trouble,
    Whose, judge,
};
use proptest::prelude::*;
use protocol::api::{Look, Next, Verdict, WouldLand};
use protocol::wire::Isolation;
use protocol::{BuildId, BuildResult, Hint};
use std::collections::BTreeSet;

fn trouble(text: &str, hint: &str) -> Trouble {
    Trouble { code: "x".to_owned(), text: text.to_owned(), hint: hint.into() }
}

fn by_admin(text: &str, what: &str) -> Trouble {
    Trouble { hint: Hint::by_admin(what), ..trouble(text, "") }
}

fn by_bb(text: &str, what: &str) -> Trouble {
    Trouble { hint: Hint::by_bb(what), ..trouble(text, "") }
}

fn builder(name: &str, build: Build) -> Builder {
    Builder { name: name.to_owned(), required: true, build, page: Some(format!("/heron/builds/{name}")) }
}

fn ended(result: BuildResult, step: &str, says: &str) -> Build {
    let step = (!step.is_empty()).then(|| step.to_owned());
    Build::Finished { result, step, says: says.to_owned(), lacks: None }
}

fn passed() -> Build {
    ended(BuildResult::Success, "", "")
}

fn running(step: &str) -> Build {
    Build::Running { step: Some(step.to_owned()) }
}

/// Ines' branch at r4, green on linux, asan and the optional docs.
fn green() -> Facts {
    let docs = Builder { required: false, ..builder("docs", passed()) };
    Facts {
        author: "Ines".to_owned(),
        life: Life::Live,
        source: Source::Fine,
        mainline: Mainline::Fine,
        revision: Some(Revision { number: 4, refused: None, lost: None }),
        recipe: Recipe::Fine,
        candidate: Candidate::Made,
        changes_recipe: false,
        recipe_warnings: vec![],
        builders: vec![builder("linux", passed()), builder("asan", passed()), docs],
        queue: Queue::None,
    }
}

/// The same with other builds by linux and asan.
fn built(linux: Build, asan: Build) -> Facts {
    let mut facts = green();
    facts.builders[0].build = linux;
    facts.builders[1].build = asan;
    facts
}

fn queued(place: u32, revision: u32, code: Code, says: &str, who: &str, what: &str) -> Facts {
    let next = Next { who: who.to_owned(), what: what.to_owned() };
    Facts { queue: Queue::In { place, revision, code, says: says.to_owned(), next }, ..green() }
}

fn ejected(revision: u32) -> Queue {
    let next = Next { who: "Ines".to_owned(), what: "mends asan".to_owned() };
    Queue::Ejected { revision, says: "asan failed: exit code 1".to_owned(), next }
}

fn unfetched(source: Source) -> Facts {
    Facts { source, revision: None, candidate: Candidate::NotMade, builders: vec![], ..green() }
}

fn lock_wait() -> Wait {
    Wait::Lock { lock: "vm".to_owned(), held_by: vec![BuildId(5120)], behind: vec![], behind_more: 0 }
}

fn all() -> Vec<(&'static str, Facts)> {
    use BuildResult::{Cancelled, Exception, Failure, Retry, Skipped, Warnings};
    let life = |life| Facts { life, ..green() };
    let landed = |newer, taken_out: Option<&str>| {
        let taken_out = taken_out.map(|by| TakenOut { day: "2026-11-26".to_owned(), tip_by: by.to_owned() });
        life(Life::Landed { commit: "7c41e0b".to_owned(), newer, taken_out })
    };
    let conflict = |files: &[&str]| {
        let files = files.iter().map(|f| (*f).to_owned()).collect();
        Facts { candidate: Candidate::Conflict(files), ..green() }
    };
    let refused = Some(trouble("it holds a file of 3 GB, big.iso", "push a branch without that file"));
    let full = Wait::Full { slaves: vec!["oak".parse().unwrap(), "elm".parse().unwrap()] };
    let no_label = Wait::NoLabel { missing: vec!["arm64".to_owned()] };
    let isolation = Wait::Isolation { needed: Isolation::Bubblewrap, slaves: vec!["oak".parse().unwrap()] };
    let mut optional_fails = green();
    optional_fails.builders[2].build = ended(Failure, "docs", "exit code 1");
    let mut only_optional = green();
    only_optional.builders.drain(..2);
    let mut nobody = built(ended(Failure, "", ""), passed());
    nobody.author.clear();
    vec![
        ("landed", landed(None, None)),
        ("landed, and a newer revision did not", landed(Some(5), None)),
        ("landed, and was taken out", landed(None, Some("Mateo"))),
        ("landed, and was taken out by nobody knows whom", landed(None, Some(""))),
        ("withdrawn", life(Life::Withdrawn { by: "Mateo".to_owned() })),
        ("withdrawn by nobody knows whom", life(Life::Withdrawn { by: String::new() })),
        ("gone too long", life(Life::Gone)),
        ("quiet too long", life(Life::Quiet)),
        ("in mainline", life(Life::InMainline)),
        ("just published", unfetched(Source::Fine)),
        ("never readable", unfetched(Source::Trouble(trouble("git.ines.example does not answer", "")))),
        (
            "asked too often",
            unfetched(Source::Trouble(by_bb(
                "git.ines.example asks to be left alone",
                "asks again when its server allows it",
            ))),
        ),
        (
            "its host's key is not known",
            unfetched(Source::Trouble(by_admin("the key is not known", "adds the server's key"))),
        ),
        ("never there", unfetched(Source::Gone(trouble("there is no branch `x`", "publish a branch that is there")))),
        ("refused", Facts { revision: Some(Revision { number: 4, refused, lost: None }), ..green() }),
        (
            "its commit lost",
            Facts {
                revision: Some(Revision {
                    number: 4,
                    refused: None,
                    lost: Some(trouble("nobody has it any more", "push it again")),
                }),
                ..green()
            },
        ),
        (
            "its commit lost by the disk",
            Facts {
                revision: Some(Revision {
                    number: 4,
                    refused: None,
                    lost: Some(by_admin("an object can't be read", "looks at the disk")),
                }),
                ..green()
            },
        ),
        (
            "its commit is being fetched again",
            Facts {
                revision: Some(Revision {
                    number: 4,
                    refused: None,
                    lost: Some(by_bb("the mirror lacks it", "fetches it again")),
                }),
                ..green()
            },
        ),
        ("source gone", Facts { source: Source::Gone(trouble("there is no branch `x` any more", "")), ..green() }),
        ("source not readable now", Facts { source: Source::Trouble(trouble("timed out", "")), ..green() }),
        ("mainline's recipe not read yet", Facts { recipe: Recipe::Unknown, ..green() }),
        (
            "mainline's recipe not read, and mainline away",
            Facts { recipe: Recipe::Unknown, mainline: Mainline::Away(trouble("no answer", "")), ..green() },
        ),
        ("no recipe", Facts { recipe: Recipe::Missing, ..green() }),
        (
            "mainline's recipe broken",
            Facts { recipe: Recipe::Broken(trouble(".bb.toml:3:1: unknown key `x`", "")), ..green() },
        ),
        (
            "the master's own recipe can't be read",
            Facts { recipe: Recipe::Broken(by_admin("no such file", "mends `recipe` in master.toml")), ..green() },
        ),
        (
            "its own recipe broken",
            Facts { recipe: Recipe::BrokenInBranch(trouble(".bb.toml:3:1: unknown key `x`", "")), ..green() },
        ),
        ("changes the recipe", Facts { changes_recipe: true, ..green() }),
        ("no candidate yet", Facts { candidate: Candidate::NotMade, ..green() }),
        ("conflict", conflict(&["src/queue.c"])),
        ("conflict of nobody knows what", conflict(&[])),
        (
            "mainline at fault",
            Facts {
                candidate: Candidate::MainlineTrouble(trouble("ChangeLog is not a plain file", "make it a file")),
                ..green()
            },
        ),
        ("superseded", Facts { candidate: Candidate::Superseded, ..green() }),
        (
            "fragment malformed",
            Facts {
                candidate: Candidate::Refused(trouble(
                    "repo.ChangeLog, line 3: an entry starts with a date",
                    "begin it with a header",
                )),
                ..green()
            },
        ),
        ("nothing required", only_optional),
        ("fails", built(ended(Failure, "test", "1 failed, 48 passed"), running("test"))),
        ("both fail", built(ended(Failure, "build", ""), ended(Failure, "test", "exit code 1"))),
        ("fails, nobody knows whose", nobody),
        ("the slave lacks a program", {
            let says = "test: this slave has no program `cmake` (exit code 127)".to_owned();
            let lacks = Some("cmake".to_owned());
            built(Build::Finished { result: Failure, step: Some("test".to_owned()), says, lacks }, passed())
        }),
        ("exception", built(ended(Exception, "", "slave birch was lost"), passed())),
        ("cancelled", built(passed(), ended(Cancelled, "", ""))),
        ("skipped", built(passed(), ended(Skipped, "", ""))),
        ("run again", built(ended(Retry, "", ""), passed())),
        ("both run", built(running("build"), Build::Running { step: None })),
        ("one runs, one waits", built(running("build"), Build::Waiting(Some(full.clone())))),
        ("not asked for", built(Build::NotAsked, Build::NotAsked)),
        ("as many wait as may", {
            let held = || Build::Held(Crowded { of: pending::Of::Publisher, most: 5 });
            built(held(), held())
        }),
        ("just asked for", built(Build::Waiting(None), Build::Waiting(None))),
        ("waits for a slave", built(Build::Waiting(Some(full)), passed())),
        ("waits for a lock", built(passed(), Build::Waiting(Some(lock_wait())))),
        ("no such label", built(Build::Waiting(Some(no_label)), running("test"))),
        ("no isolation", built(Build::Waiting(Some(isolation)), passed())),
        ("ready", green()),
        ("ready with warnings", built(ended(Warnings, "build", "2 warnings"), passed())),
        ("ready, optional fails", optional_fails),
        ("ready, an older revision was ejected", Facts { queue: ejected(3), ..green() }),
        ("ejected", Facts { queue: ejected(4), ..green() }),
        (
            "first in the queue",
            queued(1, 4, Code::Testing, "linux and asan are left", "bb", "lands it when they passed"),
        ),
        ("landing", queued(1, 4, Code::Landing, "it passed and is landed now", "bb", "pushes it")),
        ("third in the queue", queued(3, 4, Code::Behind, "2 branches are before it", "bb", "tests it later")),
        (
            "paused",
            queued(1, 4, Code::Paused, "it passed; the queue is paused by Olga", "a maintainer", "resumes the queue"),
        ),
        (
            "push refused",
            queued(
                1,
                4,
                Code::PushRefused,
                "it passed; the push was refused: no\npolicy says why",
                "an admin",
                "mends it",
            ),
        ),
        (
            "bb can't read it",
            queued(1, 4, Code::Unreadable, "bb can't read what it keeps of it", "an admin", "sees to it"),
        ),
        ("mainline can't be read", Facts { mainline: Mainline::Away(trouble("no answer", "")), ..green() }),
        (
            "mainline's branch is gone, and it is not accepted",
            Facts { mainline: Mainline::Gone(trouble("it has no branch `main`", "")), ..green() },
        ),
        (
            "mainline's branch is gone",
            Facts {
                mainline: Mainline::Gone(trouble("it has no branch `main`", "")),
                ..queued(1, 4, Code::Testing, "linux and asan are left", "bb", "lands it when they passed")
            },
        ),
        (
            "in the queue, no slave has the label",
            queued(
                1,
                4,
                Code::TestingStuck,
                "linux can't be built: no slave has the label `x`",
                "an admin",
                "adds one",
            ),
        ),
        (
            "an older revision is in the queue",
            queued(2, 3, Code::Behind, "one branch is before it", "bb", "tests it later"),
        ),
        (
            "accepted, source gone since",
            Facts {
                source: Source::Gone(trouble("no such repository", "")),
                ..queued(1, 4, Code::Making, "its candidate is being made", "bb", "makes it")
            },
        ),
    ]
}

fn told(verdict: &Verdict) -> String {
    let would = match verdict.would_land {
        WouldLand::Yes => "yes",
        WouldLand::No => "no",
        WouldLand::NotYet => "not yet",
        WouldLand::NotKnownYet => "not known yet",
    };
    let Verdict { code, state, look, because, next, needs, .. } = verdict;
    let mut text =
        format!("{state} [{code}, {look:?}]\nWould land: {would}, {because}\nNext: {} {}\n", next.who, next.what);
    for need in needs {
        let page = need.page.as_ref().map(|p| format!(" ({p})")).unwrap_or_default();
        text.push_str(&format!("  {:?}: {}{page}\n", need.look, need.text));
    }
    text
}

#[test]
fn every_verdict_in_its_words() {
    let text = all().iter().map(|(when, facts)| format!("# {when}\n{}", told(&judge(facts)))).collect::<Vec<_>>();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn every_code_of_a_branch_is_said_of_some_branch() {
    let said: BTreeSet<String> = all().iter().map(|(_, facts)| judge(facts).code).collect();
    let known = Code::ALL.iter().filter(|c| c.of() == Of::Branch).map(|c| c.as_str().to_owned()).collect();
    assert_eq!(said, known);
}

/// Facts mixed of all of the above, also such as can't come about.
fn mixed() -> impl Strategy<Value = Facts> {
    let pick = || (0..all().len()).prop_map(|n| all().swap_remove(n).1);
    (
        pick(),
        pick(),
        (pick(), pick()),
        pick(),
        pick(),
        pick(),
        pick(),
        prop::sample::subsequence(vec![0usize, 1, 2], 0..=3),
    )
        .prop_map(|(life, source, (mainline, revision), recipe, candidate, builders, queue, some)| Facts {
            author: life.author,
            life: life.life,
            source: source.source,
            mainline: mainline.mainline,
            revision: revision.revision,
            recipe: recipe.recipe,
            candidate: candidate.candidate,
            changes_recipe: recipe.changes_recipe,
            recipe_warnings: recipe.recipe_warnings,
            builders: some.into_iter().filter_map(|n| builders.builders.get(n).cloned()).collect(),
            queue: queue.queue,
        })
}

proptest! {
    #[test]
    fn every_verdict_says_why_and_who_is_next(facts in mixed()) {
        let verdict = judge(&facts);
        let code = Code::ALL.iter().find(|c| c.as_str() == verdict.code);
        prop_assert!(code.is_some_and(|c| c.of() == Of::Branch));
        let begins = ["because ", "as soon as ", "but it changes how it is built; as soon as "];
        prop_assert!(begins.iter().any(|b| verdict.because.starts_with(b)), "{verdict:?}");
        prop_assert!(!verdict.because.ends_with(['.', ' ', ':']) && !verdict.because.contains('\n'));
        prop_assert!(!verdict.next.who.is_empty() && !verdict.next.what.is_empty() && !verdict.state.is_empty());
    }

    #[test]
    fn no_word_contradicts_who_is_next(facts in mixed()) {
        let verdict = judge(&facts);
        let Next { who, what } = &verdict.next;
        // "Not yet" is a person's turn, "not known yet" is bb's, and what would not land is never bb's to mend.
        prop_assert!(verdict.would_land != WouldLand::NotYet || who != "bb", "{verdict:?}");
        prop_assert!(verdict.would_land != WouldLand::NotKnownYet || who == "bb", "{verdict:?}");
        prop_assert!(verdict.would_land != WouldLand::No || who != "bb", "{verdict:?}");
        // The line reads "Next: WHO WHAT": a verb follows, and nobody who mends something need do nothing.
        prop_assert!(!what.starts_with("an admin") && !what.starts_with("a maintainer") && !what.contains("nothing needs"), "{verdict:?}");
        prop_assert!(!what.contains('\n') && !what.ends_with(['.', ' ', ':']), "{verdict:?}");
        // The table of codes names whoever is next here.
        let role = if who == "Ines" { "the author" } else { who };
        let code = Code::ALL.iter().find(|c| c.as_str() == verdict.code).unwrap();
        prop_assert!(code.next().contains(role), "{code}: {} says nothing of {role}", code.next());
        let mends = ["mends", "publishes", "withdraws", "brings it back", "makes"];
        prop_assert!(who != "nobody" || !mends.iter().any(|verb| what.starts_with(verb)), "{verdict:?}");
    }

    #[test]
    fn only_what_every_required_builder_passed_is_ready(facts in mixed()) {
        if judge(&facts).code == Code::Ready.as_str() {
            let required: Vec<&Builder> = facts.builders.iter().filter(|b| b.required).collect();
            prop_assert!(!required.is_empty());
            for b in required {
                let green = matches!(&b.build, Build::Finished { result, .. } if result.passed());
                prop_assert!(green, "{b:?}");
            }
            prop_assert_eq!(facts.candidate, Candidate::Made);
        }
    }

    #[test]
    fn no_turn_is_bb_s_while_mainline_can_t_be_read(facts in mixed()) {
        let verdict = judge(&facts);
        if facts.mainline != Mainline::Fine && facts.life == Life::Live {
            prop_assert!(verdict.next.who != "bb" && verdict.would_land != WouldLand::Yes, "{verdict:?}");
        }
    }

    #[test]
    fn a_shape_stands_as_all_branches_of_it_do(
        own in mixed(),
        project in mixed(),
        required in prop::collection::vec(prop::option::of(any::<bool>()), 4),
        held in any::<bool>(),
    ) {
        let own = Facts {
            mainline: Mainline::Fine,
            recipe: if matches!(own.recipe, Recipe::BrokenInBranch(_)) { own.recipe } else { Recipe::Fine },
            builders: own.builders.into_iter().filter(|b| !matches!(b.build, Build::NotAsked | Build::Held(_))).collect(),
            ..own
        };
        let stuck = own.builders.iter().filter_map(|b| match &b.build {
            Build::Waiting(Some(wait)) if !wait.passes_by_itself() => Some((b.name.clone(), wait.clone())),
            _ => None,
        });
        let named = ["linux", "docs", "new", "asan"].iter().zip(required);
        let around = Surroundings {
            mainline: project.mainline,
            recipe: if matches!(project.recipe, Recipe::BrokenInBranch(_)) { Recipe::Fine } else { project.recipe },
            builders: named.filter_map(|(name, required)| Some(((*name).to_owned(), required?))).collect(),
            stuck: stuck.collect(),
        };
        let shape = Shape::of(&own, str::to_owned);
        let kept = serde_json::to_string(&shape).unwrap();
        prop_assert_eq!(&shape, &serde_json::from_str::<Shape>(&kept).unwrap());
        let held = held.then_some(Crowded { of: pending::Of::Host, most: 3 });
        let verdict = judge(&around.around(own, held));
        let brief = shape.within(&around);
        // Who stands behind a branch, its place and what its builds wait for are no part of its shape.
        let code = if verdict.code == Code::TooManyPending.as_str() { Code::Waiting.as_str() } else { &verdict.code };
        let state = if code == Code::Waiting.as_str() { "waiting" } else { &verdict.state };
        let state = if state.starts_with("queue ") { "queue" } else { state };
        prop_assert_eq!((brief.code.as_str(), brief.state.as_str(), brief.whose), (code, state, Whose::of(&verdict.next)));
    }

    #[test]
    fn what_is_unmet_is_told_first(facts in mixed()) {
        let bad = |look: Look| matches!(look, Look::Failed | Look::Conflict | Look::Exception);
        let needs = judge(&facts).needs;
        let first_fine = needs.iter().position(|n| !bad(n.look)).unwrap_or(needs.len());
        prop_assert!(needs[first_fine..].iter().all(|n| !bad(n.look)), "{needs:?}");
    }
}
