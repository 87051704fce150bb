//! What is guessed for a project without a recipe.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use recipe::{Guess, Recipe, guess};

/// The guess for a root with these files; those with text can be read.
fn of(root: &[(&str, &str)]) -> Option<Guess> {
    let names: Vec<&str> = root.iter().map(|(name, _)| *name).collect();
    guess(&names, &|name| root.iter().find(|(n, _)| *n == name).map(|(_, text)| (*text).to_owned()))
}

#[test]
fn what_is_printed_for_each_kind() {
    let roots: &[&[(&str, &str)]] = &[
        &[("Makefile", "all:\n\tcc x.c\n\ncheck: all\n\t./t\n"), ("Cargo.toml", "")],
        &[("GNUmakefile", "test:\n"), ("Makefile", "check:\n")],
        &[("configure.ac", ""), ("Makefile.am", "")],
        &[("configure.ac", ""), ("autogen.sh", "")],
        &[("configure", ""), ("configure.ac", "")],
        &[("configure", "")],
        &[("Cargo.toml", "[workspace]\n"), ("Cargo.lock", "")],
        &[("Cargo.toml", "[package]\n")],
        &[("package.json", r#"{"scripts": {"test": "vitest"}}"#), ("package-lock.json", "")],
        &[("package.json", r#"{"scripts": {"test": "vitest"}}"#), ("pnpm-lock.yaml", "")],
        &[("package.json", r#"{"scripts": {"test": "vitest"}}"#), ("yarn.lock", "")],
        &[("package.json", r#"{"scripts": {"test": "vitest"}}"#)],
        &[("deno.json", "{}")],
        &[("pyproject.toml", "")],
        &[("pyproject.toml", ""), ("uv.lock", "")],
        &[("pyproject.toml", ""), ("poetry.lock", "")],
        &[("setup.py", ""), ("tox.ini", "")],
        &[("meson.build", "")],
        &[("CMakeLists.txt", "include(CTest)\n")],
        &[("CMakeLists.txt", "project(x)\n")],
        &[("go.mod", "")],
        &[("build.gradle.kts", ""), ("gradlew", "")],
        &[("pom.xml", "")],
        &[("dune-project", "")],
        &[("mix.exs", "")],
        &[("rebar.config", "")],
        &[("stack.yaml", ""), ("heron.cabal", "")],
        &[("heron.cabal", "")],
        &[("Rakefile", ""), ("Gemfile", "")],
        &[("composer.json", ""), ("phpunit.xml.dist", "")],
        &[("heron.sln", "")],
        &[("Package.swift", "")],
        &[("build.zig", "")],
        &[("Makefile.PL", "")],
        &[("Makefile", "all:\n\tcc x.c\n")],
    ];
    let printed = roots.iter().map(|root| {
        let guess = of(root).unwrap_or_else(|| panic!("no guess for {root:?}"));
        let (back, warnings) = Recipe::parse(guess.toml.as_bytes(), ".bb.toml").unwrap();
        assert_eq!((&back, warnings), (&guess.recipe, vec![]), "{root:?}");
        guess.toml
    });
    insta::assert_snapshot!(printed.collect::<Vec<_>>().join("\n"));
}

#[test]
fn nothing_is_guessed_from_what_tests_nothing() {
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[("README", "make check"), ("src.c", "")]), None);
    assert_eq!(of(&[("package.json", "{}")]), None);
    assert_eq!(of(&[("package.json", "no JSON")]), None);
    assert_eq!(
        of(&[("package.json", r#"{"scripts": {"test": "echo \"Error: no test specified\" && exit 1"}}"#)]),
        None
    );
    assert_eq!(of(&[(".cabal", "")]), None, "a name before the suffix is wanted");
    assert_eq!(of(&[("composer.json", "{}")]), None);
}

#[test]
fn a_file_that_can_not_be_read_is_no_reason_to_stop() {
    let guess = guess(&["Makefile", "Cargo.toml"], &|_| None).unwrap();
    assert_eq!(guess.why, "Cargo.toml");
}

#[test]
fn a_file_name_can_not_write_into_the_recipe() {
    let guess = of(&[("x\n[[builder]]\u{202e}.cabal", "")]).unwrap();
    assert_eq!(guess.why, "x\u{fffd}[[builder]]\u{fffd}.cabal");
    assert_eq!(guess.toml.lines().filter(|l| *l == "[[builder]]").count(), 1);
}
