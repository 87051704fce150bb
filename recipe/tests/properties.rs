//! What holds for every input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use changelog::{DatePolicy, Format, IndentPolicy, Order, Place};
use proptest::collection::{btree_map, hash_map, vec};
use proptest::prelude::*;
use recipe::{
    Builder, History, LockAmount, LockRequest, MAX_TIMEOUT_S, OnFailure, Project, Queue, Recipe, RecipeError, Run,
    Step, When, guess,
};

use std::collections::BTreeSet;
use std::num::NonZeroU32;

const GOOD: &str = r#"
[project]
changelog = "ChangeLog"
fragments = ["repo.ChangeLog"]
[[builder]]
name = "linux"
slaves = ["linux"]
locks = { vm = 2, disk = "exclusive" }
matrix = { cc = ["gcc", "clang"], mode = ["debug", "release"] }
required = true
[[builder.step]]
name = "test"
run = """
make
make check
"""
timeout = "20m"
junit = "target/*.xml"
artifacts = ["doc/**"]
env = { LANG = "C" }
[[builder.step]]
name = "coverage"
run = ["make", "coverage"]
when = "always"
on_failure = "warn"
"#;

/// Bits of recipes, to be put where they don't belong.
const SHARDS: &[&str] = &[
    "[[builder]]",
    "[builder]",
    "[[builder.step]]",
    "[[builder.step.x]]",
    "[project]",
    "matrix",
    "{cc}",
    "name",
    "run",
    "locks",
    "env",
    "timeout",
    " = ",
    "=",
    "\"",
    "'''",
    "\"\"\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ".",
    "\n",
    "\r",
    "#",
    "\\",
    "\\u0000",
    "true",
    "-1",
    "0x1F",
    "1e9",
    "inf",
    "2026-11-24",
    "\u{feff}",
    "\u{202e}",
    "ü",
    "\u{1f9ea}",
    "<<<<<<< HEAD\n",
];

/// A good recipe with some bytes cut out and some shards put in.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let blow = (0..GOOD.len(), 0usize..12, prop::option::of(prop::sample::select(SHARDS)), any::<u8>());
    vec(blow, 1..8).prop_map(|blows| {
        let mut text = GOOD.as_bytes().to_vec();
        for (at, cut, shard, byte) in blows {
            let at = at.min(text.len());
            let end = (at + cut).min(text.len());
            let put = shard.map_or_else(|| vec![byte], |s| s.as_bytes().to_vec());
            text.splice(at..end, put);
        }
        text
    })
}

/// What every error keeps, whatever the input was.
fn is_told_well(error: &RecipeError, input: &[u8]) {
    assert!(!error.problems.is_empty() && error.problems.len() <= RecipeError::MOST);
    let lines = String::from_utf8_lossy(input).matches('\n').count() + 1;
    for problem in &error.problems {
        let place = &problem.place;
        assert!((1..=lines).contains(&place.line) && place.column >= 1, "{problem}");
        assert!(place.shown_at + place.width <= place.text.chars().count().max(place.shown_at), "{problem:?}");
    }
    let hidden = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!error.to_string().contains(hidden), "{error}");
    assert!(!error.line().contains('\n'));
}

fn read(input: &[u8]) {
    match Recipe::parse(input, ".bb.toml") {
        Ok((recipe, _)) => assert!(recipe.builders.iter().all(|b| !b.steps.is_empty()) && !recipe.builders.is_empty()),
        Err(error) => is_told_well(&error, input),
    }
    if let Err(error) = Project::parse(input, ".bb.toml") {
        is_told_well(&error, input);
    }
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}"
}

fn path() -> impl Strategy<Value = String> {
    let part = || prop_oneof![9 => "[a-zA-Z0-9?]{1,4}[*]?[a-zA-Z0-9]{0,4}", 1 => Just("**".to_owned())];
    vec(part(), 1..4).prop_map(|parts| parts.join("/"))
}

/// Text without NUL, now and then of several lines.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{1,20}", "([a-z\"'\\\\ \t]{0,8}\n){1,4}", any::<String>().prop_map(|t| t.replace('\0', ""))]
}

fn run() -> impl Strategy<Value = Run> {
    let shell = text().prop_filter("a command", |t| !t.trim().is_empty()).prop_map(Run::Shell);
    let argv = (name(), vec(text(), 0..3)).prop_map(|(program, mut words)| {
        words.insert(0, program);
        Run::Argv(words)
    });
    prop_oneof![shell, argv]
}

fn step() -> impl Strategy<Value = Step> {
    let when = prop_oneof![Just(When::OnSuccess), Just(When::Always), Just(When::OnFailure)];
    let on_failure = prop_oneof![Just(OnFailure::Fail), Just(OnFailure::Warn), Just(OnFailure::Ignore)];
    let env = btree_map("[A-Z_][A-Z0-9_]{0,5}", text(), 0..3)
        .prop_map(|env| env.into_iter().filter(|(name, _)| !name.starts_with("BB_")).collect());
    let timeout = prop::option::of(1..=MAX_TIMEOUT_S);
    (run(), timeout, when, on_failure, env, vec(path(), 0..3), vec(path(), 0..3)).prop_map(
        |(run, timeout_s, when, on_failure, env, junit, artifacts)| Step {
            name: String::new(),
            run,
            timeout_s,
            when,
            on_failure,
            env,
            junit,
            artifacts,
        },
    )
}

fn builder() -> impl Strategy<Value = Builder> {
    let amount = prop_oneof![(1u32..).prop_map(LockAmount::Shares), Just(LockAmount::Exclusive)];
    let locks = hash_map(name(), amount, 0..3)
        .prop_map(|locks| locks.into_iter().map(|(name, amount)| LockRequest { name, amount }).collect());
    let labels = prop::collection::btree_set(name(), 0..3).prop_map(|set| set.into_iter().collect());
    let steps = hash_map(name(), step(), 1..4)
        .prop_map(|steps| steps.into_iter().map(|(name, step)| Step { name, ..step }).collect());
    let history = prop_oneof![Just(History::Full), any::<NonZeroU32>().prop_map(History::Commits)];
    (labels, locks, any::<bool>(), history, steps).prop_map(|(slaves, locks, required, history, steps)| Builder {
        name: String::new(),
        slaves,
        locks,
        required,
        history,
        steps,
    })
}

/// ChangeLogs in folders of their own, so that no two want the same fragments.
fn project() -> impl Strategy<Value = Project> {
    let place = (
        "[A-Z]{1,8}",
        vec("[a-z]{1,8}", 0..3),
        prop::option::of("[a-z]{1,4}(/[a-z]{1,4})?"),
        prop::option::of(prop::sample::select(vec![Format::Gnu, Format::KeepAChangelog, Format::News])),
        prop::bool::ANY,
        prop::bool::ANY,
        prop::bool::ANY,
        prop::option::of("[a-z:/]{1,9}\\{\\}"),
        prop::option::of(prop::collection::btree_map("[a-z]{1,6}", "[A-Z][a-z \"]{0,6}[a-z]", 0..3)),
        prop::bool::ANY,
    );
    let place =
        place.prop_map(|(name, names, folder, format, by_author, adopt, arrival, issue_url, types, elsewhere)| {
            let mut place = Place::new(&name);
            place.scope = if elsewhere { "q".to_owned() } else { place.scope };
            place.rules.folder = folder.filter(|folder| !names.contains(folder));
            place.rules.names = names.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
            place.rules.types = types.unwrap_or(place.rules.types);
            place.format = format;
            place.date = if by_author { DatePolicy::Author } else { DatePolicy::Merge };
            place.indent = if adopt { IndentPolicy::Adopt } else { IndentPolicy::Keep };
            place.order = if arrival { Order::Arrival } else { Order::Date };
            place.issue_url = issue_url;
            place
        });
    vec(place, 0..4).prop_map(|mut places| {
        if places.len() > 1 {
            for (number, place) in places.iter_mut().enumerate() {
                place.path = format!("p{number}/{}", place.path);
                place.scope = format!("p{number}{}", place.scope);
            }
        }
        Project::with(places)
    })
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let builders = hash_map(name(), builder(), 1..4)
        .prop_map(|builders| builders.into_iter().map(|(name, builder)| Builder { name, ..builder }).collect());
    let queue = any::<bool>().prop_map(|every_commit| Queue { every_commit });
    (project(), queue, builders).prop_map(|(project, queue, builders)| Recipe { project, queue, builders })
}

proptest! {
    #[test]
    fn any_bytes_are_survived(input: Vec<u8>) {
        read(&input);
    }

    #[test]
    fn any_text_is_survived(input: String) {
        read(input.as_bytes());
    }

    #[test]
    fn any_heap_of_shards_is_survived(shards in vec(prop::sample::select(SHARDS), 0..60)) {
        read(shards.concat().as_bytes());
    }

    #[test]
    fn any_damage_is_survived(input in damaged()) {
        read(&input);
    }

    #[test]
    fn what_is_printed_is_read_back(recipe in recipe()) {
        let printed = recipe.to_toml();
        let (back, _) = Recipe::parse(printed.as_bytes(), ".bb.toml").map_err(|e| TestCaseError::fail(format!("{e}\n{printed}")))?;
        prop_assert_eq!(&back, &recipe, "{}", printed);
        prop_assert_eq!(back.to_toml(), printed);
    }

    #[test]
    fn the_json_form_comes_back(recipe in recipe()) {
        let json = serde_json::to_string(&recipe).unwrap();
        prop_assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe);
    }

    #[test]
    fn a_guess_is_survived_and_is_a_recipe(files in vec("[a-zA-Z.]{1,14}|Makefile|package.json|x\n.cabal|CMakeLists.txt", 0..6), text: String) {
        let names: Vec<&str> = files.iter().map(String::as_str).collect();
        if let Some(guess) = guess(&names, &|_| Some(text.clone())) {
            let (back, warnings) = Recipe::parse(guess.toml.as_bytes(), ".bb.toml").unwrap();
            prop_assert_eq!((back, warnings), (guess.recipe, vec![]));
        }
    }
}

#[test]
fn the_recipe_that_is_damaged_above_is_good() {
    let (recipe, warnings) = Recipe::parse(GOOD.as_bytes(), ".bb.toml").unwrap();
    assert_eq!(warnings, []);
    assert_eq!(recipe.builders[0].locks[0], LockRequest { name: "vm".to_owned(), amount: LockAmount::Shares(2) });
    assert_eq!(recipe.builders[0].locks[1], LockRequest { name: "disk".to_owned(), amount: LockAmount::Exclusive });
    assert_eq!(recipe.builders[0].steps[1].run, Run::Argv(vec!["make".to_owned(), "coverage".to_owned()]));
}

#[test]
fn the_largest_recipes_are_read() {
    // Wide, deep and long: work that grows with the square of the text would show here.
    let numbered = |shape: &str| {
        (0..)
            .map(|n| shape.replace('#', &n.to_string()))
            .scan(0, |len, line| {
                *len += line.len();
                (*len <= recipe::MAX_BYTES - 200).then_some(line)
            })
            .collect::<String>()
    };
    let head = "[[builder]]\nname = \"a\"\n";
    for text in [
        "a = 1\n".repeat(40_000),
        "[[builder]]\n".repeat(20_000),
        "x.y.z = 1\n".repeat(20_000),
        "{".repeat(250_000),
        "\\".repeat(250_000),
        "\"\"\"".repeat(80_000),
        numbered("a# = 1\n"),
        numbered("[a#]\n"),
        format!("{head}slaves = [{}]", numbered("\"l#\",")),
        format!("{head}locks = [{}]", numbered("\"l#\",")),
        format!("{head}locks = {{ {} x = 1 }}", numbered("l# = 1,")),
        format!("{head}[builder.env]\n{}", numbered("l# = 1\n")),
        numbered("[[builder]]\nname = \"b\"\n"),
        format!("{head}{}", numbered("[[builder.step]]\nname = \"s#\"\nrun = \"x\"\nenv = { A = \"1\" }\n")),
    ] {
        assert!(text.len() <= recipe::MAX_BYTES);
        let error = Recipe::parse(text.as_bytes(), ".bb.toml").unwrap_err();
        is_told_well(&error, text.as_bytes());
    }
}
