//! What a user reads when a recipe is wrong, letter by letter.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use changelog::{DatePolicy, Format, Order};
use recipe::{MAX_BYTES, Project, Recipe};

/// The errors of some recipes, each below its name.
fn errors(cases: &[(&str, &str)]) -> String {
    let told = cases.iter().map(|(what, text)| match Recipe::parse(text.as_bytes(), ".bb.toml") {
        Ok(_) => panic!("{what}: no error"),
        Err(error) => format!("# {what}\n{error}\n"),
    });
    told.collect::<Vec<_>>().join("\n")
}

/// A recipe with these lines in its builder and its only step.
fn with(builder: &str, step: &str) -> String {
    format!("[[builder]]\nname = \"linux\"\n{builder}\n[[builder.step]]\nname = \"test\"\n{step}\n")
}

#[test]
fn what_is_no_toml() {
    insta::assert_snapshot!(errors(&[
        ("an open string", "[[builder]]\nname = \"linux\n"),
        ("no value", "[[builder]]\nname =\n"),
        ("a doubled key", "[[builder]]\nname = \"a\"\nname = \"b\"\n"),
        ("one bracket, twice", "[builder]\nname = \"a\"\n[builder]\nname = \"b\"\n"),
        ("a bare word", "[[builder]]\nname = linux\n"),
        ("markers of a conflict", "<<<<<<< HEAD\n[[builder]]\n"),
    ]));
}

#[test]
fn what_is_missing() {
    insta::assert_snapshot!(errors(&[
        ("an empty file", ""),
        ("only a comment", "# nothing\n"),
        ("no builder", "[project]\nchangelog = \"NEWS\"\n"),
        ("an empty list of builders", "builder = []\n"),
        ("a builder without anything", "[[builder]]\n"),
        ("a builder without steps", "[[builder]]\nname = \"linux\"\n"),
        ("an empty list of steps", "[[builder]]\nname = \"linux\"\nstep = []\n"),
        ("a step without anything", "[[builder]]\nname = \"linux\"\n[[builder.step]]\n"),
        ("an empty command", &with("", "run = \" \"")),
        ("an empty list as command", &with("", "run = []")),
        ("an empty program", &with("", "run = [\"\", \"x\"]")),
    ]));
}

#[test]
fn what_is_misspelt() {
    insta::assert_snapshot!(errors(&[
        ("a slip in a step", &with("", "run = \"make\"\ntimout = \"20m\"")),
        ("a slip in a builder", &with("requierd = false", "run = \"make\"")),
        ("another tool's word", &with("labels = [\"linux\"]", "script = \"make\"")),
        ("a slip in a word", &with("", "run = \"make\"\nwhen = \"allways\"\non_failure = \"warning\"")),
        ("a step of no builder", "[[builder]]\nname = \"linux\"\n[[step]]\nname = \"test\"\nrun = \"make\"\n"),
        ("builders", "[[builders]]\nname = \"linux\"\n"),
        ("a key of nothing we know", &with("", "run = \"make\"\ncolour = \"red\"")),
        ("a slip in the project", &format!("[project]\nchangelogs = \"NEWS\"\n{}", with("", "run = \"make\""))),
        ("one bracket", "[builder]\nname = \"linux\"\n"),
    ]));
}

#[test]
fn what_is_of_the_wrong_kind() {
    insta::assert_snapshot!(errors(&[
        ("a number as name", "[[builder]]\nname = 5\n[[builder.step]]\nname = \"test\"\nrun = true\n"),
        ("a word as truth", &with("required = \"no\"", "run = \"make\"")),
        ("labels", &with("slaves = [1, \"linux\"]", "run = \"make\"")),
        ("locks", &with("locks = 3", "run = \"make\"")),
        ("history", &with("history = true", "run = \"make\"")),
        ("a part of history", &with("history = 1.5", "run = \"make\"")),
        ("variables", &with("", "run = \"make\"\nenv = { JOBS = 4, \"A B\" = \"x\", BB_BUILD = \"1\", \"1\" = \"\" }")),
        ("variables in a list", &with("", "run = \"make\"\nenv = [\"A=1\"]")),
        ("a step that is no table", "[[builder]]\nname = \"linux\"\nstep = [\"make check\"]\n"),
        ("a project that is no table", &format!("project = \"heron\"\n{}", with("", "run = \"make\""))),
    ]));
}

#[test]
fn what_is_out_of_bounds() {
    insta::assert_snapshot!(errors(&[
        ("times", &with("", "run = \"make\"\ntimeout = \"20 min\"")),
        ("a time without unit", &with("", "run = \"make\"\ntimeout = 1200")),
        ("no time", &with("", "run = \"make\"\ntimeout = \"0s\"")),
        ("too long", &with("", "run = \"make\"\ntimeout = \"8d\"")),
        ("units twice", &with("", "run = \"make\"\ntimeout = \"1m1m\"")),
        ("a time beyond all", &with("", "run = \"make\"\ntimeout = \"99999999999999999999d\"")),
        ("no shares", &with("locks = { vm = 0 }", "run = \"make\"")),
        ("shares below nothing", &with("locks = { vm = -1, disk = \"all\" }", "run = \"make\"")),
        ("too many shares", &with("locks = { vm = 4294967296 }", "run = \"make\"")),
        ("no history", &with("history = 0", "run = \"make\"")),
        ("less than no history", &with("history = -1", "run = \"make\"")),
        ("more history than there can be", &with("history = 4294967296", "run = \"make\"")),
        ("a word for history", &with("history = \"all\"", "run = \"make\"")),
        ("names", "[[builder]]\nname = \"in vm\"\n[[builder.step]]\nname = \"-x\"\nrun = \"make\"\n"),
        (
            "hidden characters",
            "[[builder]]\nname = \"li\u{202e}nux\"\n[[builder.step]]\nname = \"a\\u0000\"\nrun = \"a\\u0000\"\n"
        ),
        ("labels and locks", &with("slaves = [\"\"]\nlocks = [\"a/b\"]", "run = \"make\"")),
        (
            "paths",
            &with(
                "",
                "run = \"make\"\njunit = \"/tmp/*.xml\"\nartifacts = [\"../x\", \"a//b\", \".git/config\", \"a**/b\", \"[a\"]"
            )
        ),
        (
            "the project's paths",
            &format!(
                "[project]\nchangelog = \"../ChangeLog\"\nfragments = [\"a/b\", \"\", \"ChangeLog\"]\n{}",
                with("", "run = \"make\"")
            ),
        ),
    ]));
}

#[test]
fn what_is_there_twice() {
    let twice = "[[builder.step]]\nname = \"test\"\nrun = \"make\"\n";
    insta::assert_snapshot!(errors(&[
        ("builders", &format!("{}{}", with("", "run = \"make\""), with("", "run = \"make\""))),
        ("steps", &format!("{}{twice}", with("", "run = \"make\""))),
        ("locks", &with("locks = [\"vm\", \"vm\"]", "run = \"make\"")),
    ]));
}

#[test]
fn what_is_too_much() {
    let builders: String = (0..65).map(|n| with("", "run = \"make\"").replace("linux", &format!("b{n}"))).collect();
    let steps: String = (0..65).map(|n| format!("[[builder.step]]\nname = \"s{n}\"\nrun = \"make\"\n")).collect();
    let wrong: String = (0..100).map(|n| format!("a{n} = 1\n")).collect();
    let told = errors(&[
        ("builders", &builders),
        ("steps", &format!("[[builder]]\nname = \"linux\"\n{steps}")),
        ("a long line", &with(&format!("slaves = [{}5]", "\"linux\", ".repeat(60)), "run = \"make\"")),
        ("a long name", &with("", "run = \"make\"").replace("linux", &"x".repeat(300))),
    ]);
    insta::assert_snapshot!(told);
    let many = Recipe::parse(wrong.as_bytes(), ".bb.toml").unwrap_err();
    assert_eq!(many.problems.len(), 20, "the rest is told when these are mended");
    let large = Recipe::parse(&vec![b'#'; MAX_BYTES + 1], ".bb.toml").unwrap_err();
    insta::assert_snapshot!(large, @".bb.toml:1:1: the file has 262145 bytes; expected at most 262144");
    let deep = format!("a = {}", "[".repeat(10_000));
    insta::assert_snapshot!(Recipe::parse(deep.as_bytes(), ".bb.toml").unwrap_err().line());
}

#[test]
fn what_is_not_utf_8() {
    let error = Recipe::parse(b"[[builder]]\nname = \"l\xfcnux\"\n", ".bb.toml").unwrap_err();
    insta::assert_snapshot!(error);
}

#[test]
fn what_is_worth_a_look() {
    let told = |text: &str| {
        let (_, warnings) = Recipe::parse(text.as_bytes(), ".bb.toml").unwrap();
        warnings.iter().map(|w| w.render(".bb.toml")).collect::<Vec<_>>().join("")
    };
    let cases = [
        with("required = false", "run = \"make\""),
        with("", "run = \"make\"\non_failure = \"ignore\""),
        with("", "run = \"make\"\nwhen = \"on-failure\""),
        with("slaves = [\"linux\", \"linux\"]", "run = \"make\""),
    ];
    insta::assert_snapshot!(cases.iter().map(|c| told(c)).collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_project_alone_needs_no_builder() {
    let read = |text: &str| Project::parse(text.as_bytes(), ".bb.toml");
    assert_eq!(read("").unwrap(), Project::default());
    let project =
        read("[project]\nchangelog = \"doc/NEWS\"\nfragments = [\"Branch.ChangeLog\"]\n[[builder]]\nx = 1").unwrap();
    let places = project.places(|_| true);
    let [place] = &*places else { panic!("{places:?}") };
    assert_eq!((place.path.as_str(), &place.rules.names), ("doc/NEWS", &vec!["Branch.ChangeLog".to_owned()]));
    insta::assert_snapshot!(read("[project]\nchangelgo = \"x\"\n").unwrap_err());
}

#[test]
fn several_changelogs_and_their_settings() {
    let builder = with("", "run = \"make\"");
    let good = "order = \"date\"\n[project]\norder = \"arrival\"\nchangelog = [{ path = \"lib/ChangeLog\", scope = \"lib\", date = \"author\" }, \"ChangeLog\"]\n[changelog]\nformat = \"gnu\"\ntypes = { feature = \"Features\" }\n";
    let (recipe, warnings) = Recipe::parse(format!("{good}{builder}").as_bytes(), ".bb.toml").unwrap();
    assert!(warnings.is_empty());
    let places = recipe.project.places(|_| true);
    let [lib, root] = &*places else { panic!("{places:?}") };
    assert_eq!((lib.path.as_str(), lib.scope.as_str(), lib.date), ("lib/ChangeLog", "lib", DatePolicy::Author));
    assert_eq!((root.path.as_str(), root.scope.as_str(), root.date), ("ChangeLog", "", DatePolicy::Merge));
    for place in &*places {
        assert_eq!((place.order, place.format), (Order::Arrival, Some(Format::Gnu)));
        assert_eq!(place.rules.types, [("feature".to_owned(), "Features".to_owned())].into());
    }
    let wrong = |head: &str| format!("{head}\n{builder}");
    insta::assert_snapshot!(errors(&[
        ("a slip in a word", &wrong("order = \"arival\"\n[changelog]\ndate = \"never\"\nformat = \"md\"")),
        ("a slip in a key", &wrong("[changelog]\nissue_url = \"x\"\ntypes = [\"feature\"]")),
        ("a table without a path", &wrong("[project]\nchangelog = [{ scope = \"lib\", indnt = \"keep\" }]")),
        ("no ChangeLog", &wrong("[project]\nchangelog = []\nfragments = \"repo.ChangeLog\"")),
        ("a table alone", &wrong("[project]\nchangelog = { path = \"ChangeLog\" }")),
        ("one file twice", &wrong("[project]\nchangelog = [\"ChangeLog\", { path = \"ChangeLog\", scope = \"lib\" }]")),
        ("two that take the same", &wrong("[project]\nchangelog = [\"ChangeLog\", \"NEWS\"]")),
        (
            "the repository's own files",
            &wrong(
                "[project]\nfragments = [\".git\"]\nchangelog = [{ path = \".git/hooks/post-merge\" }, { path = \"a\", scope = \".GIT\", folder = \"x/.git/y\" }]",
            ),
        ),
        (
            "folders",
            &wrong(
                "[changelog]\nfolder = \"../x\"\nissue-url = \"https://x/\"\ntypes = { \"a.b\" = \"A\", c = \" \" }"
            )
        ),
    ]));
}

#[test]
fn a_changelog_that_is_not_named_is_the_usual_one_that_is_there() {
    let recipe = |head: &str| {
        let text = format!("{head}\n{}", with("", "run = \"make\""));
        Recipe::parse(text.as_bytes(), ".bb.toml").unwrap().0
    };
    let found = |head: &str, there: &str| {
        let project = recipe(head).project;
        let places = project.places(|path| path == there);
        places.iter().map(|p| (p.path.clone(), p.date)).collect::<Vec<_>>()
    };
    let merge = |path: &str| vec![(path.to_owned(), DatePolicy::Merge)];
    assert_eq!(found("", "ChangeLog"), merge("ChangeLog"));
    assert_eq!(found("", "CHANGELOG.md"), merge("CHANGELOG.md"));
    for there in ["NEWS", "NEWS.txt", "CHANGES", "Changes", "HISTORY", "CHANGELOG.txt"] {
        assert_eq!(found("", there), merge(there), "no ChangeLog is begun beside it");
    }
    let both = recipe("").project;
    let places = both.places(|path| ["ChangeLog", "NEWS"].contains(&path));
    assert_eq!(places[0].path, "ChangeLog", "GNU projects keep both");
    assert_eq!(found("", "news/README"), merge("ChangeLog"));
    assert_eq!(found("[project]\nchangelog = \"NEWS\"", "CHANGELOG.md"), merge("NEWS"));
    let only = recipe("[project]\nchangelog = [\"doc/NEWS\"]").project;
    assert_eq!(only.places(|_| true)[0].scope, "", "the only one is about everything");
    let dated = "[changelog]\ndate = \"author\"";
    assert_eq!(found(dated, "CHANGELOG.md"), vec![("CHANGELOG.md".to_owned(), DatePolicy::Author)]);
}

#[test]
fn what_is_wrong_with_a_matrix() {
    let matrix = |text: &str| with(&format!("matrix = {text}"), "run = \"make\"\nenv = { LANG = \"C\" }");
    let long: String = "x".repeat(60);
    let many = format!("[{}]", (0..17).map(|n| format!("\"v{n}\"")).collect::<Vec<_>>().join(", "));
    let twice = "[[builder]]\nname = \"linux-gcc\"\n[[builder.step]]\nname = \"a\"\nrun = \"true\"\n";
    insta::assert_snapshot!(errors(&[
        ("no table", &matrix("[\"gcc\"]")),
        ("no axis", &matrix("{}")),
        ("no list", &matrix("{ cc = \"gcc\" }")),
        ("no value", &matrix("{ cc = [] }")),
        ("values that are no words", &matrix("{ cc = [\"gcc 12\", \"gcc\", \"gcc\", 3] }")),
        ("names of bb's own and none at all", &matrix("{ BB_CC = [\"gcc\"], \"a b\" = [\"x\"] }")),
        ("a variable of a step", &matrix("{ LANG = [\"C\"] }")),
        ("more than are made", &matrix(&format!("{{ v = {many} }}"))),
        ("many of many", &matrix(&format!("{{ a = {many}, b = {many}, c = {many} }}"))),
        ("a name too long", &matrix(&format!("{{ cc = [\"{long}\"] }}"))),
        ("a name that another has", &format!("{twice}{}", matrix("{ cc = [\"gcc\"] }"))),
        ("a label of no axis", &with("slaves = [\"{os}\"]\nmatrix = { cc = [\"gcc\"] }", "run = \"make\"")),
        ("a label of an axis without a matrix", &with("slaves = [\"{os}\"]", "run = \"make\"")),
    ]));
}

#[test]
fn a_matrix_makes_a_builder_of_each_combination() {
    let text = with(
        "slaves = [\"linux\", \"{os}\"]\nrequired = false\nmatrix = { os = [\"debian\", \"fedora\"], cc = [\"gcc\", \"clang\"] }",
        "run = \"make\"\nenv = { LANG = \"C\" }",
    );
    let (recipe, warnings) = Recipe::parse(
        format!("{text}{}", text.replace("linux", "more").replace("false", "true")).as_bytes(),
        ".bb.toml",
    )
    .unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let names: Vec<_> = recipe.builders.iter().map(|builder| builder.name.as_str()).collect();
    assert_eq!(
        names[..5],
        ["linux-debian-gcc", "linux-debian-clang", "linux-fedora-gcc", "linux-fedora-clang", "more-debian-gcc"]
    );
    let fedora = &recipe.builders[2];
    assert_eq!((fedora.slaves.join(" "), fedora.required), ("linux fedora".to_owned(), false));
    let env: Vec<_> = fedora.steps[0].env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["LANG=C", "cc=gcc", "os=fedora"]);
    let (again, _) = Recipe::parse(recipe.to_toml().as_bytes(), ".bb.toml").unwrap();
    assert_eq!(again, recipe, "printed, they are builders of their own");
}
